//! What a chosen application says of itself.

use super::candidates::below;
use super::found::{Build, Candidate, Found, Tool};
use super::outputs::{builds, loose, product_name};
use super::read::{inside, json};
use crate::build::{ProjectPackage, Unfit};
use crate::error::{CommandError, ErrorKind};
use crate::publish::project_file::{ProjectFile, expanded};
use bosc_names::{Target, check_name};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Fields of a package.json that says nothing but what is released.
const BARE: [&str; 5] = ["name", "productName", "version", "upgrade", "description"];

/// Looks at one application of a folder; `None`: at what lies there without a project.
///
/// # Errors
/// A file of the project is damaged, says no version, or a name that cannot be one.
pub(super) fn look(dir: &Path, of: Option<&Candidate>) -> Result<Found, CommandError> {
    let Some(candidate) = of else { return Ok(bare(dir)) };
    let Some(file) = &candidate.package else { return Ok(bare(dir)) };
    let project = project(dir, file)?;
    // Its builds are called so, and `publish` reads that name from package.json.
    let product = match candidate.tool {
        Tool::ElectronBuilder => product_name(dir, file)?.filter(|name| name != project.app_name()),
        _ => None,
    };
    let product = product.filter(|_| project.package.product_name.is_none());
    let name = product.clone().unwrap_or_else(|| project.app_name().to_owned());
    check_app_name(&name).map_err(|e| {
        let what = match candidate.tool {
            Tool::Cargo => "`product-name` below [package.metadata.bosc]",
            Tool::Pyinstaller => "`product-name` below [tool.bosc]",
            _ => "`productName`",
        };
        e.hint(format!("set {what} in {file} to a name such as \"Hello\", and run `bosc init` again"))
    })?;
    let mut candidate = candidate.clone();
    let json = if candidate.tool == Tool::Node { json(dir, file)?.unwrap_or_default() } else { Map::new() };
    if candidate.tool == Tool::Node && json.keys().all(|key| BARE.contains(&key.as_str())) {
        candidate.tool = Tool::Builds;
    }
    let mut found = builds(dir, &candidate, &name, &project.version)?;
    let as_it_is = candidate.tool == Tool::Pear || is_deployment(dir);
    let mut lying = Vec::new();
    if as_it_is {
        found.clear();
    } else if matches!(candidate.tool, Tool::Builds | Tool::Node) && !found.values().any(|b| b.there) {
        lying = loose(dir);
        if candidate.tool == Tool::Builds || !lying.is_empty() {
            found.clear();
        }
    }
    // What a person wrote into bosc.toml counts.
    let build_command = build_command(dir, &candidate, file)?;
    let mut found = Found {
        upgrade: project.package.upgrade.clone().filter(|u| !u.trim().is_empty()),
        name: Some(name.clone()),
        product,
        version: Some(project.version.clone()),
        builds: found,
        loose: lying,
        as_it_is,
        build_command,
        candidate,
    }
    .called(&name);
    for (platform, path) in ProjectFile::read(dir)?.unwrap_or_default().builds {
        let there = dir.join(expanded(&path, &name, &project.version)).exists();
        found.builds.insert(platform, Build { path, there });
    }
    Ok(found)
}

/// The package of a project, with hints for whoever is new to it.
fn project(dir: &Path, file: &str) -> Result<ProjectPackage, CommandError> {
    let path = dir.join(file);
    inside(dir, &path)?;
    crate::build::project(&path).map_err(|(what, e)| match what {
        Unfit::Version => e.hint(format!("give {file} a version, such as 1.0.0, and run `bosc init` again")),
        Unfit::Name => e.hint(format!("give {file} a name, such as \"hello\", and run `bosc init` again")),
        Unfit::SemVer => e.hint(format!(
            "set the version in {file} to three numbers, as in 1.2.3, and run `bosc init` again"
        )),
        Unfit::Other => e,
    })
}

/// A folder without a project.
fn bare(dir: &Path) -> Found {
    let as_it_is = is_deployment(dir);
    let lying = if as_it_is { Vec::new() } else { loose(dir) };
    let mut names: Vec<&String> = lying.iter().map(|of| &of.name).collect();
    names.sort();
    names.dedup();
    let name = match names.as_slice() {
        [one] if check_app_name(one).is_ok() => Some((*one).clone()),
        _ => None,
    };
    Found {
        candidate: Candidate { label: "builds".into(), tool: Tool::Builds, package: None, program: None },
        name: name.clone(),
        product: None,
        version: None,
        upgrade: None,
        builds: BTreeMap::new(),
        loose: lying,
        as_it_is,
        build_command: None,
    }
    .called(name.as_deref().unwrap_or_default())
}

/// Whether builds lie as clients read them.
fn is_deployment(dir: &Path) -> bool {
    dir.join("by-arch").is_dir()
}

/// Whether an application may be called so, on every system and in a workflow.
///
/// # Errors
/// `ERR_INVALID_APP_NAME`.
pub fn check_app_name(name: &str) -> Result<(), CommandError> {
    let shown: String = name.chars().take(64).collect();
    let refused = |why: String| {
        Err(CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_APP_NAME",
            format!("{shown:?} cannot be the name of an application: {why}"),
        )
        .hint("choose a name of letters, digits, spaces, `.`, `_`, `-` and `+` that begins with a letter or digit"))
    };
    if let Some(c) = name.chars().find(|c| !c.is_alphanumeric() && !matches!(c, ' ' | '.' | '_' | '-' | '+'))
    {
        return refused(format!("it has {c:?} in it"));
    }
    if !name.starts_with(char::is_alphanumeric) {
        return refused("it does not begin with a letter or digit".into());
    }
    match check_name(name, Target::Archive) {
        Ok(()) => Ok(()),
        Err(why) => refused(why.to_string()),
    }
}

/// Whether a path may stand in a workflow and in bosc.toml.
pub(super) fn is_plain_path(path: &str) -> bool {
    let fits = |c: char| {
        c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '+' | '/' | '{' | '}' | '@' | '(' | ')')
    };
    !path.is_empty() && path.chars().all(fits) && !path.contains("{{")
}

/// The command that makes the builds.
fn build_command(dir: &Path, of: &Candidate, file: &str) -> Result<Option<String>, CommandError> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let scripts = |file: &str| -> Result<Map<String, Value>, CommandError> {
        let package = json(dir, file)?.unwrap_or_default();
        Ok(package.get("scripts").and_then(Value::as_object).cloned().unwrap_or_default())
    };
    let manager = package_manager(dir);
    // The shortest name of a script that runs the tool; others release or sign as well.
    let script = |scripts: &Map<String, Value>, runs: &str| {
        let mut found: Vec<&String> = scripts
            .iter()
            .filter(|(_, v)| v.as_str().is_some_and(|v| has_words(v, runs) && !is_for_one_purpose(v)))
            .map(|(k, _)| k)
            .collect();
        found.retain(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '_')));
        found.retain(|name| !runs_by_itself(name, scripts));
        found.sort_by_key(|name| (name.len(), (*name).clone()));
        found.first().map(|name| format!("{manager} run {name}"))
    };
    let within =
        |command: String| if folder.is_empty() { command } else { format!("cd '{folder}' && {command}") };
    Ok(match of.tool {
        Tool::Tauri => {
            let scripts = scripts("package.json")?;
            Some(match scripts.contains_key("tauri") {
                true if manager == "npm" => "npm run tauri -- build".to_owned(),
                true => format!("{manager} run tauri build"),
                false => "cargo tauri build".to_owned(),
            })
        }
        Tool::ElectronBuilder => {
            let scripts = scripts(&below(folder, "package.json"))?;
            // A bundler that goes before, as in the projects of electron-vite.
            let before = match scripts.get("build").and_then(Value::as_str) {
                Some(build) if !has_words(build, "electron-builder") => format!("{manager} run build && "),
                _ => String::new(),
            };
            let found = script(&scripts, "electron-builder");
            Some(within(found.unwrap_or_else(|| format!("{before}npx electron-builder"))))
        }
        Tool::ElectronForge => {
            let found = script(&scripts(&below(folder, "package.json"))?, "electron-forge package");
            Some(within(found.unwrap_or_else(|| "npx electron-forge package".to_owned())))
        }
        Tool::Cargo => {
            let program = of.program.as_deref().filter(|_| !folder.is_empty());
            Some(match program {
                Some(program) => format!("cargo build --release --bin '{program}'"),
                None => "cargo build --release".to_owned(),
            })
        }
        Tool::Pyinstaller => {
            let spec = of.program.as_ref().map(|name| format!("pyinstaller --noconfirm '{name}.spec'"));
            Some(spec.unwrap_or_else(|| "pyinstaller --noconfirm --name NAME main.py".to_owned()))
        }
        Tool::Node => scripts(file)?.contains_key("build").then(|| within(format!("{manager} run build"))),
        Tool::Pear | Tool::Builds => None,
    })
}

/// Whether a script has these words, one after the other: `electron-builder` is not in `electron-builder-lint`.
fn has_words(script: &str, words: &str) -> bool {
    let plain = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '"' | '\'');
    let all: Vec<&str> = script.split(plain).filter(|w| !w.is_empty()).collect();
    let wanted: Vec<&str> = words.split(' ').collect();
    all.windows(wanted.len()).any(|at| at == wanted)
}

/// The command that fetches what the project's tools are made of, where that was not done yet.
pub(super) fn install_command(dir: &Path, of: &Candidate) -> Option<String> {
    let file = of.package.as_deref()?;
    let folder = match of.tool {
        Tool::Tauri => "",
        Tool::ElectronBuilder | Tool::ElectronForge | Tool::Node => {
            file.rsplit_once('/').map_or("", |(folder, _)| folder)
        }
        _ => return None,
    };
    // Tools are found in the folders above as well.
    let there = ["node_modules", ".pnp.cjs"]
        .iter()
        .any(|n| dir.join(n).exists() || dir.join(folder).join(n).exists());
    let package = json(dir, &below(folder, "package.json")).ok().flatten()?;
    let needs = ["dependencies", "devDependencies"]
        .iter()
        .any(|list| package.get(*list).and_then(Value::as_object).is_some_and(|l| !l.is_empty()));
    (needs && !there).then(|| format!("{} install", package_manager(dir)))
}

/// Whether npm runs a script of this name along with others, so that it is not what a person builds with.
fn runs_by_itself(name: &str, scripts: &Map<String, Value>) -> bool {
    const WITH: [&str; 6] = ["install", "prepare", "publish", "publishOnly", "version", "pack"];
    let around = name.strip_prefix("pre").or_else(|| name.strip_prefix("post"));
    matches!(name, "install" | "prepare" | "publish" | "version")
        || around.is_some_and(|of| WITH.contains(&of) || scripts.contains_key(of))
}

/// Whether a script builds for one system, or uploads what it built: the command runs on each system, and `publish` comes after it.
fn is_for_one_purpose(script: &str) -> bool {
    const FLAGS: [&str; 14] = [
        "-m",
        "-o",
        "--mac",
        "--macos",
        "-w",
        "--win",
        "--windows",
        "-l",
        "--linux",
        "--dir",
        "-p",
        "--publish",
        "--platform",
        "--arch",
    ];
    script.split_whitespace().any(|word| FLAGS.contains(&word.split('=').next().unwrap_or_default()))
}

/// The package manager of a project, by its lock file.
pub(super) fn package_manager(dir: &Path) -> &'static str {
    [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun")]
        .into_iter()
        .find(|(lock, _)| dir.join(lock).is_file())
        .map_or("npm", |(_, manager)| manager)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_script_runs_a_tool_by_its_whole_name() {
        for script in
            ["electron-builder", "tsc && electron-builder --x", "(electron-builder)", "a;electron-builder"]
        {
            assert!(has_words(script, "electron-builder"), "{script}");
        }
        for script in ["electron-builder-lint", "my-electron-builder", "cat electron-builder.yml"] {
            assert!(!has_words(script, "electron-builder"), "{script}");
        }
        assert!(has_words("x && electron-forge package", "electron-forge package"));
        assert!(!has_words("electron-forge start && x package", "electron-forge package"));
    }

    #[test]
    fn names_that_every_system_and_a_workflow_can_hold() {
        for name in ["Hello", "hello", "Hello App 2", "Höllo", "a.b", "x+y_z-1", "こんにちは"] {
            check_app_name(name).unwrap();
        }
        for name in [
            "", " a", "a ", "a.", ".a", "-a", "a/b", "@org/app", "a'b", "$(x)", "${{ x }}", "a\nb", "CON",
            "a:b",
        ] {
            let e = check_app_name(name).unwrap_err();
            assert_eq!(e.code(), "ERR_INVALID_APP_NAME", "{name}");
            assert!(e.hint_text().contains("choose a name"), "{name}");
        }
        assert!(check_app_name(&"a".repeat(256)).is_err());
    }
}
