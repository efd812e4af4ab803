//! Where the tools put their builds: by their conventions, for each platform the most complete kind first.
//!
//! | tool | where |
//! |---|---|
//! | electron-builder | `directories.output` (`dist`): the AppImage, `linux-unpacked`, `mac*/NAME.app`, `win-unpacked`, with `-arm64` |
//! | Electron Forge | `out/NAME-PLATFORM-ARCH`, on macOS the `.app` in it |
//! | Tauri | `target/release/bundle`: `appimage`, `macos`; on Windows the program in `target/release` |
//! | Cargo | `target/release`, `target/TRIPLE/release` |
//! | PyInstaller | `dist/NAME`, a folder or a program, `.app`, `.exe` |
//!
//! A build that leads out of the project is none.

use super::candidates::{ELECTRON_BUILDER, below};
use super::found::{Build, Candidate, Loose, Tool};
use super::platform::{host, of_build};
use super::read::{inside, json, names, text};
use crate::build::ARCHITECTURES;
use crate::error::CommandError;
use crate::publish::project_file::expanded;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Rust's names of the platforms.
const TRIPLES: [(&str, &[&str]); 6] = [
    ("darwin-arm64", &["aarch64-apple-darwin", "universal-apple-darwin"]),
    ("darwin-x64", &["x86_64-apple-darwin", "universal-apple-darwin"]),
    ("linux-arm64", &["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"]),
    ("linux-x64", &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"]),
    ("win32-arm64", &["aarch64-pc-windows-msvc"]),
    ("win32-x64", &["x86_64-pc-windows-msvc", "x86_64-pc-windows-gnu"]),
];

/// The builds of an application: those that are there, and where that for this machine will be.
///
/// # Errors
/// A file of the project is damaged.
pub(super) fn builds(
    dir: &Path,
    of: &Candidate,
    name: &str,
    version: &str,
) -> Result<BTreeMap<String, Build>, CommandError> {
    let mut out = BTreeMap::new();
    for platform in ARCHITECTURES {
        let places = places(dir, of, name, platform)?;
        let found = places.iter().find(|path| is_build(dir, &expanded(path, name, version)));
        let build = match (found, places.first()) {
            (Some(path), _) => Build { path: path.clone(), there: true },
            (None, Some(path)) if host() == Some(platform) => Build { path: path.clone(), there: false },
            _ => continue,
        };
        out.insert(platform.to_owned(), build);
    }
    Ok(out)
}

fn is_build(dir: &Path, path: &str) -> bool {
    let path = dir.join(path);
    path.exists() && inside(dir, &path).is_ok()
}

/// Where the build for a platform may be, the best first.
fn places(dir: &Path, of: &Candidate, name: &str, platform: &str) -> Result<Vec<String>, CommandError> {
    let (system, arch) = platform.split_once('-').unwrap_or((platform, ""));
    let folder = of.package.as_deref().and_then(|p| p.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let program = of.program.as_deref().unwrap_or(name);
    let exe = if system == "win32" { ".exe" } else { "" };
    let mut out = Vec::new();
    match of.tool {
        Tool::ElectronBuilder => {
            let config = builder_config(dir, folder)?;
            let app = config.product.as_deref().unwrap_or(name);
            let at = |rest: String| below(folder, &format!("{}/{rest}", config.output));
            let suffix = if arch == "arm64" { "-arm64" } else { "" };
            match system {
                "linux" => {
                    out.push(at(config.artifact(app, if arch == "arm64" { arch } else { "x86_64" }, suffix)));
                    out.push(at(format!("linux{suffix}-unpacked")));
                }
                "darwin" => {
                    out.push(at(format!("mac{suffix}/{app}.app")));
                    out.push(at(format!("mac-universal/{app}.app")));
                }
                _ => out.push(at(format!("win{suffix}-unpacked"))),
            }
        }
        Tool::ElectronForge => {
            let packed = below(folder, &format!("out/{name}-{platform}"));
            out.push(if system == "darwin" { format!("{packed}/{name}.app") } else { packed });
        }
        Tool::Tauri => {
            // In a workspace all is built in the workspace's own folder.
            for target in [below(folder, "target"), "target".to_owned()] {
                for release in releases(platform) {
                    let bundle = format!("{target}/{release}/bundle");
                    match system {
                        "linux" => {
                            let arch = if arch == "arm64" { "aarch64" } else { "amd64" };
                            out.push(format!("{bundle}/appimage/{name}_{{version}}_{arch}.AppImage"));
                        }
                        "darwin" => out.push(format!("{bundle}/macos/{name}.app")),
                        _ => {}
                    }
                }
                if system != "darwin" {
                    out.extend(
                        releases(platform).map(|release| format!("{target}/{release}/{program}{exe}")),
                    );
                }
                if folder.is_empty() {
                    break;
                }
            }
            // The bundle of any place comes before a bare program.
            out.sort_by_key(|path| !path.contains("/bundle/"));
        }
        Tool::Cargo => {
            for target in ["target".to_owned(), below(folder, "target")] {
                out.extend(releases(platform).map(|release| format!("{target}/{release}/{program}{exe}")));
                if folder.is_empty() {
                    break;
                }
            }
        }
        Tool::Pyinstaller => {
            if system == "darwin" {
                out.push(format!("dist/{program}.app"));
            }
            out.push(format!("dist/{program}{exe}"));
            if !exe.is_empty() {
                out.push(format!("dist/{program}"));
            }
            // One folder serves all systems: what is in it says which it is for.
            out.retain(|path| {
                let there = of_build(&dir.join(path));
                there.is_empty() && host() == Some(platform) || there.contains(&platform)
            });
        }
        Tool::Node => {
            let named = ["dist", "build", "out", "bin"].iter().flat_map(|folder| {
                [format!("{folder}/{name}-{platform}{exe}"), format!("{folder}/{name}{exe}")]
            });
            out.extend(named);
            out.retain(|path| {
                let there = of_build(&dir.join(path));
                there.is_empty() && host() == Some(platform) || there.contains(&platform)
            });
        }
        Tool::Pear | Tool::Builds => {}
    }
    Ok(out)
}

/// Folders of Cargo's `target` that a release for the platform lies in: without a triple for this machine only.
fn releases(platform: &str) -> impl Iterator<Item = String> + use<> {
    let own = (host() == Some(platform)).then(|| "release".to_owned());
    let triples = TRIPLES.iter().find(|(p, _)| *p == platform).map_or(&[][..], |(_, all)| all);
    own.into_iter().chain(triples.iter().map(|t| format!("{t}/release")))
}

/// What electron-builder is told, as far as it says where builds are.
struct BuilderConfig {
    output: String,
    product: Option<String>,
    /// The pattern of a file's name.
    artifact: Option<String>,
    /// What `${name}` stands for in it.
    package: Option<String>,
}

impl BuilderConfig {
    /// The name of an AppImage.
    fn artifact(&self, app: &str, arch: &str, suffix: &str) -> String {
        match &self.artifact {
            None => format!("{app}-{{version}}{suffix}.AppImage"),
            Some(pattern) => pattern
                .replace("${productName}", app)
                .replace("${name}", self.package.as_deref().unwrap_or(app))
                .replace("${version}", "{version}")
                .replace("${os}", "linux")
                .replace("${arch}", arch)
                .replace("${ext}", "AppImage"),
        }
    }
}

/// What electron-builder calls the application, where its configuration says so.
pub(super) fn product_name(dir: &Path, package: &str) -> Result<Option<String>, CommandError> {
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(builder_config(dir, folder)?.product.filter(|name| !name.trim().is_empty()))
}

/// Reads its configuration: `build` of package.json, or a file of its own. Of YAML, JSON5 and TOML the lines that say where
/// builds are; a configuration that is a program says nothing.
fn builder_config(dir: &Path, folder: &str) -> Result<BuilderConfig, CommandError> {
    let package = json(dir, &below(folder, "package.json"))?.unwrap_or_default();
    let name =
        package.get("name").and_then(Value::as_str).filter(|name| !name.contains('/')).map(str::to_owned);
    let mut config = BuilderConfig { output: "dist".into(), product: None, artifact: None, package: name };
    let mut take = |build: &Value| {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        if let Some(output) = text(build.get("directories").and_then(|d| d.get("output"))) {
            config.output = output;
        }
        let linux = |key: &str| build.get(key).and_then(|l| l.get("artifactName"));
        config.product = text(build.get("productName")).or(config.product.take());
        config.artifact = text(linux("appImage").or(linux("linux")).or(build.get("artifactName")))
            .or(config.artifact.take());
    };
    if let Some(build) = package.get("build").filter(|b| b.is_object()) {
        take(build);
    } else {
        for name in ELECTRON_BUILDER.iter().take(5) {
            let Some(text) = text(dir, &below(folder, name))? else { continue };
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => take(&value),
                Err(_) => {
                    config.output = line_value(&text, "output").unwrap_or(config.output);
                    config.product = line_value(&text, "productName");
                    config.artifact = line_value(&text, "artifactName").filter(|_| one_artifact(&text));
                }
            }
            break;
        }
    }
    config.output = config.output.replace("${version}", "{version}").trim_matches(['.', '/']).to_owned();
    if config.output.is_empty() || config.output.split('/').any(|p| p == "..") {
        config.output = "dist".into();
    }
    Ok(config)
}

/// The value of the first line `key: value` or `key = value`, with quotes or without.
fn line_value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim().trim_end_matches(',');
        let (found, value) = line.split_once([':', '='])?;
        let value = value.trim().trim_matches(['"', '\'']);
        (found.trim().trim_matches(['"', '\'']) == key && !value.is_empty()).then(|| value.to_owned())
    })
}

/// Whether a name of artifacts is said once, and so for all systems.
fn one_artifact(text: &str) -> bool {
    text.matches("artifactName").count() == 1
}

/// Builds that lie in a folder without a project: their platforms, paths and names. By their own first bytes, in the folder and in
/// folders that are called as platforms are.
pub(super) fn loose(dir: &Path) -> Vec<Loose> {
    let mut out = Vec::new();
    let mut take = |path: String, only: Option<&str>| {
        if !is_build(dir, &path) {
            return;
        }
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let stem = file.rsplit_once('.').filter(|(_, e)| is_extension(e)).map_or(file.as_str(), |(s, _)| s);
        let name = stem.to_owned();
        if is_library(&file) {
            return;
        }
        for platform in of_build(&dir.join(&path)) {
            if only.is_none_or(|only| only == platform) {
                out.push(Loose { platform: platform.to_owned(), path: path.clone(), name: name.clone() });
            }
        }
    };
    for name in names(dir) {
        if ARCHITECTURES.contains(&name.as_str()) {
            for inner in names(&dir.join(&name)) {
                take(format!("{name}/{inner}"), Some(&name));
            }
        } else {
            take(name, None);
        }
    }
    out
}

/// What programs load is none.
fn is_library(file: &str) -> bool {
    [".so", ".dll", ".dylib", ".node", ".DLL"].iter().any(|e| file.ends_with(e)) || file.contains(".so.")
}

/// Endings of applications.
fn is_extension(ending: &str) -> bool {
    ["app", "AppImage", "appimage", "msix", "exe", "MSIX", "EXE"].contains(&ending)
}
