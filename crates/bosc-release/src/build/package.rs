//! The package a deployment directory is made from: a package.json as it is, or one made from a project of Rust or Python.
//!
//! `Cargo.toml`: `[package.metadata.bosc]`, which may be missing, holds what package.json would (`productName` or `product-name`, `upgrade`,
//! `name`, ...); `name`, `version`, `description`, `license`, `repository` and `homepage` come from `[package]`, those
//! with `workspace = true` from the workspace above.
//!
//! `tauri.conf.json`: `productName` and `version` (of Tauri 1: below `package`), and `plugins.bosc` for the rest. A
//! version that Tauri takes from elsewhere (a path to a package.json, or none: Cargo.toml) is taken from there. Its other forms,
//! `tauri.conf.json5` and `Tauri.toml` (where it is `product-name`), say the same.
//!
//! `pyproject.toml`: `[project]` (or Poetry's `[tool.poetry]`), and `[tool.bosc]` for the rest.
//!
//! Bounds: each file at most 4 MiB; at most 64 folders above are looked into for a workspace.

use super::json5;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::{MAX_PACKAGE_LEN, Package, PackageProblem, bin_names};
use bosc_files::open_plain;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most folders above that are searched for a workspace.
const MAX_ABOVE: usize = 64;
/// Names of the file that configures Tauri.
pub const TAURI_FILES: [&str; 3] = ["tauri.conf.json", "tauri.conf.json5", "Tauri.toml"];
/// Fields of `[package]` that package.json has too.
const SHARED_FIELDS: [&str; 5] = ["version", "description", "license", "repository", "homepage"];

/// Where a package came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PackageKind {
    /// A package.json, carried byte for byte.
    #[serde(rename = "package.json")]
    Npm,
    /// A Cargo.toml.
    #[serde(rename = "Cargo.toml")]
    Cargo,
    /// A tauri.conf.json.
    #[serde(rename = "tauri.conf.json")]
    Tauri,
    /// A tauri.conf.json5.
    #[serde(rename = "tauri.conf.json5")]
    TauriJson5,
    /// A Tauri.toml.
    #[serde(rename = "Tauri.toml")]
    TauriToml,
    /// A pyproject.toml.
    #[serde(rename = "pyproject.toml")]
    Python,
}

impl PackageKind {
    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npm => "package.json",
            Self::Cargo => "Cargo.toml",
            Self::Tauri => "tauri.conf.json",
            Self::TauriJson5 => "tauri.conf.json5",
            Self::TauriToml => "Tauri.toml",
            Self::Python => "pyproject.toml",
        }
    }

    /// What a file of this name is.
    pub fn of(file: &Path) -> Self {
        let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "pyproject.toml" => Self::Python,
            name if name.starts_with("tauri.") && name.ends_with(".toml") => Self::TauriToml,
            name if name.starts_with("tauri.") && name.ends_with(".json5") => Self::TauriJson5,
            name if name.ends_with(".toml") => Self::Cargo,
            name if name.starts_with("tauri.") => Self::Tauri,
            _ => Self::Npm,
        }
    }
}

/// A package that can be deployed.
#[derive(Debug, Clone)]
pub struct ProjectPackage {
    /// The file it was read from.
    pub file: PathBuf,
    /// What kind of file that is.
    pub kind: PackageKind,
    /// Its `name`.
    pub name: String,
    /// Its `version`: SemVer.
    pub version: String,
    /// The package as such.
    pub package: Package,
    /// Bytes of the package.json of the deployment directory.
    pub text: Vec<u8>,
}

impl ProjectPackage {
    /// What the application is called on disk: `productName`, else `name`.
    pub fn app_name(&self) -> &str {
        self.package.product_name.as_deref().unwrap_or(&self.name)
    }

    /// Names in `bin`: command-line programs that come without or beside the application.
    pub fn bins(&self) -> Vec<String> {
        bin_names(&self.package.json, &self.name)
    }

    /// `<name>-<version>`, fit for a folder: `@org/app` becomes `org-app`.
    pub fn folder_name(&self) -> String {
        let clean: String = self
            .name
            .trim_start_matches('@')
            .chars()
            .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
            .collect();
        format!("{clean}-{}", self.version)
    }
}

fn invalid(file: &Path, what: impl std::fmt::Display) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_MANIFEST", format!("{}: {what}", file.display()))
        .hint("correct that file and build again")
}

/// Which file to read. A folder, or none given, is searched for package.json, Cargo.toml with
/// `[package.metadata.bosc]`, tauri.conf.json, src-tauri/tauri.conf.json and any other Cargo.toml of a package, in this order.
pub fn find_package(given: Option<&Path>, cwd: &Path) -> Result<PathBuf, CommandError> {
    let folder = match given {
        Some(path) if path.is_dir() => path,
        Some(path) if path.exists() => return Ok(path.to_owned()),
        Some(path) => {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_INPUT",
                format!("there is no {}", path.display()),
            )
            .hint("--package takes a package.json, a Cargo.toml or a tauri.conf.json"));
        }
        None => cwd,
    };
    let cargo = folder.join("Cargo.toml");
    let found = [folder.join("package.json")]
        .into_iter()
        .chain(has_metadata(&cargo).then_some(cargo))
        .chain(tauri_files(folder))
        .find(|p| p.is_file())
        // Beside a tauri.conf.json it is a part of it.
        .or_else(|| is_package(&folder.join("Cargo.toml")).then(|| folder.join("Cargo.toml")))
        .or_else(|| Some(folder.join("pyproject.toml")).filter(|p| is_python_project(p)));
    found.ok_or_else(|| {
        CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_PROJECT_DIR",
            format!("no package.json in {}", folder.display()),
        )
        .hint("name one with --package; a Cargo.toml, a tauri.conf.json or a pyproject.toml will do as well")
    })
}

/// The files that configure Tauri, those of the folder itself first, each in the order in which Tauri looks for them.
pub(crate) fn tauri_files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let places = [folder.to_owned(), folder.join("src-tauri")];
    places.into_iter().flat_map(|place| TAURI_FILES.map(|name| place.join(name)))
}

/// Whether a Cargo.toml is that of a package, and not of a workspace alone.
pub(super) fn is_package(cargo: &Path) -> bool {
    cargo.is_file() && read_toml(cargo).is_ok_and(|t| sub(&t, &["package"]).is_some())
}

/// Whether a pyproject.toml names a project, and not the settings of tools alone.
pub(super) fn is_python_project(file: &Path) -> bool {
    let table = if file.is_file() { read_toml(file).ok() } else { None };
    table.is_some_and(|t| sub(&t, &["project"]).or(sub(&t, &["tool", "poetry"])).is_some())
}

fn has_metadata(cargo: &Path) -> bool {
    let table = read_toml(cargo).ok();
    table.is_some_and(|t| sub(&t, &["package", "metadata", "bosc"]).is_some())
}

/// What a package lacks, for whoever says it in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has no name.
    Name,
    /// It has no version.
    Version,
    /// Its version is not SemVer.
    SemVer,
    /// Anything else.
    Other,
}

impl From<CommandError> for (Unfit, CommandError) {
    fn from(e: CommandError) -> Self {
        (Unfit::Other, e)
    }
}

/// Reads a package file.
pub fn read_project(file: &Path) -> Result<ProjectPackage, CommandError> {
    project(file).map_err(|(_, e)| e)
}

/// The same; an error says what it is about.
pub(crate) fn project(file: &Path) -> Result<ProjectPackage, (Unfit, CommandError)> {
    let kind = PackageKind::of(file);
    let text = match kind {
        PackageKind::Cargo => from_cargo(file)?,
        PackageKind::Python => from_python(file)?,
        PackageKind::Tauri | PackageKind::TauriJson5 | PackageKind::TauriToml => from_tauri(file, kind)?,
        PackageKind::Npm => read(file)?,
    };
    let package = Package::parse(&text).map_err(|what| invalid(file, what))?;
    if kind == PackageKind::Npm && text.starts_with(b"\xef\xbb\xbf") {
        // It is carried byte for byte.
        let problem = PackageProblem::Mark;
        return Err(invalid(file, &problem).hint(problem.hint()).into());
    }
    let app = package.json.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
    let name = app.or(package.name.as_deref()).filter(|n| !n.is_empty());
    let Some(name) = name.map(str::to_owned) else {
        return Err((Unfit::Name, invalid(file, "it has no name")));
    };
    let Some(version) = package.version.clone() else {
        return Err((Unfit::Version, invalid(file, "it has no version")));
    };
    if let Err(e) = semver::Version::parse(&version) {
        let what = format!("its version {version:?} is not SemVer: {e}");
        return Err((Unfit::SemVer, invalid(file, what)));
    }
    if let Some(product) = &package.product_name
        && (product.trim().is_empty() || product.contains(['/', '\\', '\0']))
    {
        return Err(invalid(file, format!("productName {product:?} is not a file name")).into());
    }
    Ok(ProjectPackage { file: file.to_owned(), kind, name, version, package, text })
}

fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    let io = |e| super::errors::io_error("cannot read", file, e);
    let mut text = Vec::new();
    open_plain(file).map_err(io)?.take(MAX_PACKAGE_LEN + 1).read_to_end(&mut text).map_err(io)?;
    if text.len() as u64 > MAX_PACKAGE_LEN {
        return Err(invalid(file, "it is over 4 MiB"));
    }
    Ok(text)
}

fn read_toml(file: &Path) -> Result<toml::Table, CommandError> {
    let text = String::from_utf8(read(file)?).map_err(|_| invalid(file, "it is not UTF-8"))?;
    text.parse::<toml::Table>().map_err(|e| invalid(file, crate::toml_fault::table(&text, &e)))
}

fn sub<'t>(table: &'t toml::Table, path: &[&str]) -> Option<&'t toml::Table> {
    path.iter().try_fold(table, |t, key| t.get(*key)?.as_table())
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::from(s.as_str()),
        toml::Value::Integer(n) => Value::from(*n),
        toml::Value::Float(f) => Value::from(*f),
        toml::Value::Boolean(b) => Value::from(*b),
        toml::Value::Datetime(d) => Value::from(d.to_string()),
        toml::Value::Array(a) => Value::Array(a.iter().map(to_json).collect()),
        toml::Value::Table(t) => Value::Object(t.iter().map(|(k, v)| (k.clone(), to_json(v))).collect()),
    }
}

/// A package.json from what was gathered: name, productName, version and upgrade first, the rest by name.
fn write(mut all: Map<String, Value>) -> Result<Vec<u8>, CommandError> {
    let mut parts = Vec::new();
    let first = ["name", "productName", "version", "upgrade"];
    let rest: Vec<String> = all.keys().filter(|k| !first.contains(&k.as_str())).cloned().collect();
    for key in first.iter().map(|k| (*k).to_owned()).chain(rest) {
        if let Some(value) = all.remove(&key) {
            let value = serde_json::to_string_pretty(&value)
                .map_err(|e| CommandError::failed("package.json cannot be written").because(e))?;
            parts.push(format!("  {}: {}", Value::from(key), value.replace('\n', "\n  ")));
        }
    }
    Ok(format!("{{\n{}\n}}\n", parts.join(",\n")).into_bytes())
}

/// Takes the settings people write for us; `product-name` is `productName`.
fn settings(out: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        let key = if key == "product-name" || key == "product_name" { "productName" } else { key };
        out.insert(key.to_owned(), value.clone());
    }
}

fn from_cargo(file: &Path) -> Result<Vec<u8>, CommandError> {
    let table = read_toml(file)?;
    let package = sub(&table, &["package"]).ok_or_else(|| invalid(file, "it has no [package]"))?;
    let mut out = Map::new();
    if let Some(name) = package.get("name").and_then(toml::Value::as_str) {
        out.insert("name".into(), Value::from(name));
    }
    let mut workspace = None;
    for field in SHARED_FIELDS {
        match package.get(field) {
            Some(toml::Value::String(text)) => {
                out.insert(field.to_owned(), Value::from(text.as_str()));
            }
            Some(toml::Value::Table(t))
                if t.get("workspace").and_then(toml::Value::as_bool) == Some(true) =>
            {
                if workspace.is_none() {
                    workspace = Some(workspace_package(file, &table)?);
                }
                if let Some(value) = workspace.as_ref().and_then(|w| w.get(field)) {
                    out.insert(field.to_owned(), to_json(value));
                }
            }
            _ => {}
        }
    }
    if let Some(own) = sub(package, &["metadata", "bosc"]) {
        let own: Map<String, Value> = own.iter().map(|(k, v)| (k.clone(), to_json(v))).collect();
        settings(&mut out, &own);
    }
    write(out)
}

/// `[project]`, or Poetry's own table, and `[tool.bosc]` for the rest.
fn from_python(file: &Path) -> Result<Vec<u8>, CommandError> {
    let table = read_toml(file)?;
    let project = sub(&table, &["project"]).or(sub(&table, &["tool", "poetry"]));
    let Some(project) = project else { return Err(invalid(file, "it has no [project]")) };
    let mut out = Map::new();
    for field in ["name", "version", "description"] {
        if let Some(text) = project.get(field).and_then(toml::Value::as_str) {
            out.insert(field.into(), Value::from(text));
        }
    }
    if let Some(own) = sub(&table, &["tool", "bosc"]) {
        let own: Map<String, Value> = own.iter().map(|(k, v)| (k.clone(), to_json(v))).collect();
        settings(&mut out, &own);
    }
    write(out)
}

/// `[workspace.package]` of the file itself or of the nearest workspace above.
fn workspace_package(file: &Path, table: &toml::Table) -> Result<toml::Table, CommandError> {
    if let Some(t) = sub(table, &["workspace", "package"]) {
        return Ok(t.clone());
    }
    let absolute = std::path::absolute(file).map_err(|e| super::errors::io_error("cannot read", file, e))?;
    for folder in absolute.ancestors().skip(2).take(MAX_ABOVE) {
        let above = folder.join("Cargo.toml");
        if above.is_file()
            && let Some(t) = sub(&read_toml(&above)?, &["workspace", "package"])
        {
            return Ok(t.clone());
        }
    }
    Err(invalid(file, "it takes fields from a workspace, and no workspace above has [workspace.package]"))
}

fn tauri_object(file: &Path, kind: PackageKind) -> Result<Map<String, Value>, CommandError> {
    if kind == PackageKind::TauriToml {
        return Ok(read_toml(file)?.iter().map(|(k, v)| (k.clone(), to_json(v))).collect());
    }
    let text = read(file)?;
    if kind == PackageKind::TauriJson5 {
        let text = String::from_utf8(text).map_err(|_| invalid(file, "it is not UTF-8"))?;
        return json5::object(&text).map_err(|what| invalid(file, what));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|e| invalid(file, format!("not a JSON object: {e}")))
}

fn from_tauri(file: &Path, kind: PackageKind) -> Result<Vec<u8>, CommandError> {
    let json = tauri_object(file, kind)?;
    // Tauri 1 has them below `package`, Tauri 2 at the top.
    let old = json.get("package").and_then(Value::as_object);
    let field = |key: &str| json.get(key).or_else(|| old.and_then(|o| o.get(key))).and_then(Value::as_str);
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut out = Map::new();
    let product = field("productName").or_else(|| field("product-name"));
    if let Some(product) = product {
        out.insert("productName".into(), Value::from(product));
    }
    let cargo = folder.join("Cargo.toml");
    let cargo = if cargo.is_file() { Some((read_toml(&cargo)?, cargo)) } else { None };
    let package = cargo.as_ref().and_then(|(t, _)| sub(t, &["package"]));
    let version = match field("version") {
        Some(path) if path.ends_with(".json") => {
            let path = folder.join(path);
            let package = Package::parse(&read(&path)?).map_err(|what| invalid(&path, what))?;
            package.version
        }
        Some(version) => Some(version.to_owned()),
        None => match (package.and_then(|p| p.get("version")), &cargo) {
            (Some(toml::Value::String(v)), _) => Some(v.clone()),
            (Some(toml::Value::Table(_)), Some((table, path))) => {
                workspace_package(path, table)?.get("version").and_then(|v| v.as_str().map(str::to_owned))
            }
            _ => None,
        },
    };
    if let Some(version) = version {
        out.insert("version".into(), Value::from(version));
    }
    let name = package.and_then(|p| p.get("name")).and_then(toml::Value::as_str).map(str::to_owned);
    let name = name.or_else(|| product.map(slug));
    if let Some(name) = name {
        out.insert("name".into(), Value::from(name));
    }
    if let Some(own) = json.get("plugins").and_then(|p| p.get("bosc")).and_then(Value::as_object) {
        settings(&mut out, own);
    }
    write(out)
}

/// `My App` as `my-app`.
fn slug(name: &str) -> String {
    let dashed: String =
        name.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    dashed.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-")
}
