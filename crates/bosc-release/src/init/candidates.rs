//! Which applications a folder may be the project of, the most telling tool first.
//!
//! Tauri, electron-builder, Electron Forge, Pear, PyInstaller and Cargo say what they are; a package.json without a tool is one of
//! tooling as often as of an application, and counts only when there is nothing else. Members of npm and Cargo workspaces are
//! looked at, one folder deep as their patterns are written (`packages/*`).
//!
//! Bounds: [`MEMBERS`] members of a workspace; see `read` for files and folders.

use super::found::{Candidate, Tool};
use super::read::{invalid, json, json5, names, text, toml};
use crate::build::{PackageKind, TAURI_FILES};
use crate::error::CommandError;
use serde_json::{Map, Value};
use std::path::Path;

/// Most members of a workspace.
const MEMBERS: usize = 200;
/// Files that configure electron-builder.
pub(super) const ELECTRON_BUILDER: [&str; 9] = [
    "electron-builder.yml",
    "electron-builder.yaml",
    "electron-builder.json",
    "electron-builder.json5",
    "electron-builder.toml",
    "electron-builder.js",
    "electron-builder.cjs",
    "electron-builder.mjs",
    "electron-builder.config.js",
];
/// Files that configure Electron Forge.
const ELECTRON_FORGE: [&str; 5] =
    ["forge.config.js", "forge.config.ts", "forge.config.mjs", "forge.config.cjs", "forge.config.mts"];

/// All applications of a folder.
///
/// # Errors
/// A file of the project is damaged.
pub(super) fn candidates(dir: &Path) -> Result<Vec<Candidate>, CommandError> {
    refuse_specials(dir)?;
    let mut found = Vec::new();
    tauri(dir, &mut found)?;
    let is_tauri = !found.is_empty();
    let mut plain = None;
    if let Some(package) = json(dir, "package.json")? {
        match npm(dir, "", &package)? {
            Some(candidate) if candidate.tool != Tool::Node => found.push(candidate),
            candidate => plain = candidate.filter(|_| !is_tauri),
        }
        for member in members(dir, &workspaces(&package)) {
            if let Some(package) = json(dir, &format!("{member}/package.json"))? {
                found.extend(npm(dir, &member, &package)?.filter(|c| c.tool != Tool::Node));
            }
        }
    }
    python(dir, &mut found)?;
    if !is_tauri {
        cargo(dir, &mut found)?;
    }
    if found.is_empty() {
        found.extend(plain);
    }
    Ok(found)
}

/// Says what is there in the place of a project's file: nothing waits for a FIFO, and it is not passed over.
fn refuse_specials(dir: &Path) -> Result<(), CommandError> {
    for name in ["package.json", "Cargo.toml", "pyproject.toml", "bosc.toml"].iter().chain(&TAURI_FILES) {
        text(dir, name)?;
    }
    Ok(())
}

/// `a/b` of a folder and a name; the name alone where the folder is this one.
pub(super) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn tauri(dir: &Path, found: &mut Vec<Candidate>) -> Result<(), CommandError> {
    for folder in ["", "src-tauri"] {
        for name in TAURI_FILES {
            let file = below(folder, name);
            let there = match PackageKind::of(Path::new(name)) {
                PackageKind::TauriJson5 => json5(dir, &file)?.is_some(),
                PackageKind::TauriToml => toml(dir, &file)?.is_some(),
                _ => json(dir, &file)?.is_some(),
            };
            if !there {
                continue;
            }
            let program = match toml(dir, &below(folder, "Cargo.toml"))? {
                Some(cargo) => programs(dir, folder, &cargo).into_iter().next(),
                None => None,
            };
            found.push(Candidate { label: "tauri".into(), tool: Tool::Tauri, package: Some(file), program });
            return Ok(());
        }
    }
    Ok(())
}

/// The tool of a package.json.
fn npm(dir: &Path, folder: &str, package: &Map<String, Value>) -> Result<Option<Candidate>, CommandError> {
    let depends = |name: &str| {
        ["devDependencies", "dependencies"]
            .iter()
            .any(|list| package.get(*list).and_then(|l| l.get(name)).is_some())
    };
    let has = |files: &[&str]| files.iter().any(|f| dir.join(folder).join(f).is_file());
    let config = package.get("config").and_then(|c| c.get("forge")).is_some();
    let tool = if depends("@tauri-apps/cli") && dir.join("src-tauri").is_dir() {
        return Ok(None);
    } else if depends("electron-builder") || depends("electron-vite") || has(&ELECTRON_BUILDER) {
        Tool::ElectronBuilder
    } else if depends("@electron-forge/cli") || config || has(&ELECTRON_FORGE) {
        Tool::ElectronForge
    } else if package.get("pear").is_some_and(Value::is_object) {
        Tool::Pear
    } else {
        Tool::Node
    };
    let file = below(folder, "package.json");
    let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
    let label = if folder.is_empty() { tool_label(tool).to_owned() } else { one(name, folder) };
    Ok(Some(Candidate { label, tool, package: Some(file), program: None }))
}

/// What `--app` calls the application of the folder itself.
fn tool_label(tool: Tool) -> &'static str {
    match tool {
        Tool::Tauri => "tauri",
        Tool::ElectronBuilder => "electron-builder",
        Tool::ElectronForge => "electron-forge",
        Tool::Pear => "pear",
        Tool::Pyinstaller => "pyinstaller",
        Tool::Cargo => "cargo",
        Tool::Node => "node",
        Tool::Builds => "builds",
    }
}

fn one(name: &str, folder: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if name.is_empty() { folder.to_owned() } else { name }
}

/// `workspaces` of a package.json: a list, or an object that has it as `packages`.
fn workspaces(package: &Map<String, Value>) -> Vec<String> {
    let of = package.get("workspaces");
    let list = of.and_then(Value::as_array).or_else(|| of?.get("packages")?.as_array());
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The folders that patterns of a workspace stand for. What leads out of the project stands for nothing.
fn members(dir: &Path, patterns: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for pattern in patterns.iter().take(MEMBERS) {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        if pattern.starts_with('/') || pattern.split('/').any(|p| p == "..") {
            continue;
        }
        match pattern.strip_suffix("/**").or_else(|| pattern.strip_suffix("/*")) {
            Some(above) if !above.contains('*') => {
                out.extend(names(&dir.join(above)).into_iter().map(|name| below(above, &name)));
            }
            None if pattern == "*" => out.extend(names(dir)),
            None if !pattern.contains('*') && !pattern.is_empty() => out.push(pattern.to_owned()),
            _ => {}
        }
    }
    out.retain(|member| dir.join(member).is_dir());
    out.dedup();
    out.truncate(MEMBERS);
    out
}

fn python(dir: &Path, found: &mut Vec<Candidate>) -> Result<(), CommandError> {
    let project = toml(dir, "pyproject.toml")?;
    let spec = names(dir).into_iter().find_map(|n| n.strip_suffix(".spec").map(str::to_owned));
    let named = project.as_ref().is_some_and(names_pyinstaller);
    if project.is_none() && spec.is_some() {
        return Err(invalid(
            &dir.join("pyproject.toml"),
            "there is none, and a PyInstaller project needs one",
        )
        .hint("write one with two fields below [project]: name = \"hello\" and version = \"1.0.0\""));
    }
    if project.is_some() && (spec.is_some() || named) {
        found.push(Candidate {
            label: tool_label(Tool::Pyinstaller).into(),
            tool: Tool::Pyinstaller,
            package: Some("pyproject.toml".into()),
            program: spec,
        });
    }
    Ok(())
}

/// Whether a pyproject.toml has PyInstaller among what it needs, or settings for it: as a name, not somewhere in a text.
fn names_pyinstaller(project: &toml::Table) -> bool {
    /// Deeper than any list of what is needed.
    const DEPTH: usize = 6;
    fn is(text: &str) -> bool {
        let name: String = text
            .trim()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .collect();
        name.eq_ignore_ascii_case("pyinstaller")
    }
    fn within(value: &toml::Value, depth: usize) -> bool {
        match value {
            _ if depth > DEPTH => false,
            toml::Value::Array(all) => all.iter().any(|v| v.as_str().is_some_and(is) || within(v, depth + 1)),
            toml::Value::Table(table) => table.iter().any(|(key, v)| is(key) || within(v, depth + 1)),
            _ => false,
        }
    }
    project.iter().any(|(key, value)| {
        matches!(key.as_str(), "project" | "tool" | "dependency-groups" | "build-system") && within(value, 0)
    })
}

fn cargo(dir: &Path, found: &mut Vec<Candidate>) -> Result<(), CommandError> {
    let Some(root) = toml(dir, "Cargo.toml")? else { return Ok(()) };
    let mut folders = vec![String::new()];
    if let Some(list) = root.get("workspace").and_then(|w| w.get("members")).and_then(toml::Value::as_array) {
        let patterns: Vec<String> = list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        folders.extend(members(dir, &patterns));
    }
    for folder in folders {
        let file = below(&folder, "Cargo.toml");
        let Some(table) = toml(dir, &file)? else { continue };
        for program in programs(dir, &folder, &table) {
            found.push(Candidate {
                label: program.clone(),
                tool: Tool::Cargo,
                package: Some(file.clone()),
                program: Some(program),
            });
        }
    }
    Ok(())
}

/// The programs of a Cargo.toml, the one that `cargo run` takes first.
fn programs(dir: &Path, folder: &str, cargo: &toml::Table) -> Vec<String> {
    let Some(package) = cargo.get("package").and_then(toml::Value::as_table) else { return Vec::new() };
    let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
    let home = dir.join(folder);
    let mut out: Vec<String> = Vec::new();
    let listed = cargo.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    out.extend(listed.filter_map(|b| b.get("name")?.as_str().map(str::to_owned)).take(MEMBERS));
    if package.get("autobins").and_then(toml::Value::as_bool) != Some(false) {
        let at_main = |b: &toml::Value| b.get("path").and_then(toml::Value::as_str) == Some("src/main.rs");
        let renamed =
            cargo.get("bin").and_then(toml::Value::as_array).is_some_and(|all| all.iter().any(at_main));
        if home.join("src/main.rs").is_file() && !renamed {
            out.extend(text("name").map(str::to_owned));
        }
        for name in names(&home.join("src/bin")) {
            match name.strip_suffix(".rs") {
                Some(stem) => out.push(stem.to_owned()),
                None if home.join("src/bin").join(&name).join("main.rs").is_file() => out.push(name),
                None => {}
            }
        }
    }
    let first = text("default-run").or(text("name")).map(str::to_owned);
    out.sort_by_key(|name| (Some(name) != first.as_ref(), name.clone()));
    out.dedup();
    out
}
