//! `bosc init` as a new user types it, on a project of each kind: what the tools' own scaffolding makes (create-tauri-app 4,
//! Electron Forge 7, `cargo new`), or for tools that make none what their documentation shows. `publish` right after it works.
#![cfg(unix)]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The lines for a Rust application compile.
#[allow(dead_code, unreachable_pub, missing_docs, clippy::print_stderr)]
#[path = "../../bosc-release/src/init/templates/updates.rs"]
mod updates;

const TAURI_CONF: &str = r#"{
  "$schema": "https://schema.tauri.app/config/2",
  "productName": "hello",
  "version": "0.1.0",
  "identifier": "com.example.hello",
  "build": {
    "frontendDist": "../src"
  },
  "bundle": {
    "active": true,
    "targets": "all"
  }
}
"#;
const TAURI_PAGE: &str = r#"{
  "name": "hello",
  "private": true,
  "version": "0.1.0",
  "type": "module",
  "scripts": {
    "tauri": "tauri"
  },
  "devDependencies": {
    "@tauri-apps/cli": "^2"
  }
}
"#;
const TAURI_CARGO: &str =
    "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[lib]\nname = \"hello_lib\"\n";
const FORGE: &str = r#"{
  "name": "hello",
  "productName": "hello",
  "version": "1.0.0",
  "main": "src/index.js",
  "scripts": {
    "start": "electron-forge start",
    "package": "electron-forge package",
    "make": "electron-forge make",
    "publish": "electron-forge publish"
  },
  "devDependencies": {
    "@electron-forge/cli": "^7.11.2",
    "electron": "40.0.0"
  },
  "license": "MIT"
}
"#;
const BUILDER: &str = r#"{
  "name": "hello",
  "version": "1.0.0",
  "main": "main.js",
  "scripts": {
    "start": "electron .",
    "dist": "electron-builder"
  },
  "build": {
    "appId": "com.example.hello",
    "productName": "Hello World",
    "directories": { "output": "release" }
  },
  "devDependencies": {
    "electron": "^40.0.0",
    "electron-builder": "^26.0.0"
  }
}
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn project(&self) -> PathBuf {
        self.0.path().join("project")
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.project().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program that the system runs.
    fn program(&self, file: &str) {
        self.put(file, "#!/bin/sh\necho hello\n");
        fs::set_permissions(self.project().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.current_dir(self.project()).args(args).stdin(Stdio::null());
        command.env("BOSC_STORE", self.0.path().join("store")).env("BOSC_BOOTSTRAP", "127.0.0.1:9");
        command.env_remove("BOSC_PRIMARY_KEY").env("BOSC_PASSPHRASE", "long enough");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The data of the last line, and all lines.
    fn ok(&self, args: &[&str]) -> (Value, Vec<Value>) {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        (lines.last().unwrap()["data"].clone(), lines)
    }

    /// The error's code, message and hint.
    fn fails(&self, args: &[&str]) -> (String, String) {
        let output = self.run(&[args, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success(), "{args:?}: {text}");
        let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let said = |key: &str| line["data"][key].as_str().unwrap_or_default().to_owned();
        (said("code"), format!("{} | {}", said("message"), said("hint")))
    }
}

/// Files below a folder.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn host() -> &'static str {
    bosc_release::init::host().unwrap()
}

/// Projects of each kind, built for this machine; what a release of each holds for it.
fn kinds() -> Vec<(&'static str, Place, String)> {
    let mut all = Vec::new();
    let mut add = |tool, app: &str, make: &dyn Fn(&Place)| {
        let place = Place::new();
        fs::create_dir_all(place.project()).unwrap();
        make(&place);
        all.push((tool, place, format!("by-arch/{}/app/{app}", host())));
    };
    let mac = cfg!(target_os = "macos");
    add("cargo", "project", &|p| {
        let made = Command::new("cargo")
            .args(["init", "--name", "project", "--vcs", "none"])
            .current_dir(p.project())
            .output();
        assert!(made.unwrap().status.success());
        p.program("target/release/project");
    });
    add("tauri", if mac { "hello.app/x" } else { "hello.AppImage" }, &|p| {
        p.put("package.json", TAURI_PAGE);
        p.put("src-tauri/tauri.conf.json", TAURI_CONF);
        p.put("src-tauri/Cargo.toml", TAURI_CARGO);
        p.put("src-tauri/src/main.rs", "fn main() {}\n");
        let bundle = "src-tauri/target/release/bundle";
        match mac {
            true => p.program(&format!("{bundle}/macos/hello.app/x")),
            false if host() == "linux-arm64" => {
                p.program(&format!("{bundle}/appimage/hello_0.1.0_aarch64.AppImage"))
            }
            false => p.program(&format!("{bundle}/appimage/hello_0.1.0_amd64.AppImage")),
        }
    });
    add("electron-forge", if mac { "hello.app/x" } else { "hello/hello" }, &|p| {
        p.put("package.json", FORGE);
        p.put("forge.config.js", "module.exports = {}\n");
        let packed = format!("out/hello-{}", host());
        p.program(&if mac { format!("{packed}/hello.app/x") } else { format!("{packed}/hello") });
    });
    // It is called as its builder calls it.
    add("electron-builder", if mac { "Hello World.app/x" } else { "Hello World/hello" }, &|p| {
        p.put("package.json", BUILDER);
        let arm = if host().ends_with("arm64") { "-arm64" } else { "" };
        p.program(&match mac {
            true => format!("release/mac{arm}/Hello World.app/x"),
            false => format!("release/linux{arm}-unpacked/hello"),
        });
    });
    add("pyinstaller", "hello/hello", &|p| {
        p.put("pyproject.toml", "[project]\nname = \"hello\"\nversion = \"1.0.0\"\n");
        p.put("hello.spec", "a = Analysis(['hello.py'])\n");
        p.program("dist/hello/hello");
        if mac {
            p.program("dist/hello.app/x");
        }
    });
    add("pear", "", &|p| {
        p.put(
            "package.json",
            "{\n  \"name\": \"hello\",\n  \"version\": \"1.0.0\",\n  \"pear\": { \"name\": \"hello\" }\n}\n",
        );
        p.put("index.html", "<h1>hello</h1>\n");
        p.put(".git/config", "[core]\n");
    });
    add("builds", "project", &|p| p.program("project"));
    add("builds", "project", &|p| p.program(&format!("by-arch/{}/app/project", host())));
    all
}

#[test]
fn publish_works_right_after_it_for_each_kind() {
    for (tool, place, app) in kinds() {
        let (done, lines) = place.ok(&["init", "--yes"]);
        let found = &lines[0]["data"];
        assert_eq!((lines[0]["tag"].as_str(), found["tool"].as_str()), (Some("found"), Some(tool)));
        let link = done["link"].as_str().unwrap().to_owned();
        assert!(link.starts_with("pear://"), "{done}");
        let published = place.run(&["publish", "--copies", "0", "--json"]);
        let text = String::from_utf8_lossy(&published.stdout).into_owned();
        assert!(published.status.success(), "{tool}: {text}");
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let told = &last["data"];
        assert_eq!(
            (&told["link"], &told["version"], &told["changed"]),
            (&done["link"], &done["version"], &Value::Bool(true))
        );
        let put: Vec<&str> = text.lines().filter(|l| l.contains("byte-diff")).collect();
        let holds = |key: &str| put.iter().any(|l| l.contains(&format!("\"/{key}")));
        let app = app.trim_end_matches("/x");
        assert!(holds("package.json") && (app.ends_with("/app/") || holds(app)), "{tool}: {put:?}");
        assert!(
            ["bosc.toml", ".github", ".git", ".boscignore"].iter().all(|file| !holds(file)),
            "{tool}: {put:?}"
        );
        // Once more: nothing to do, and nothing to publish.
        let before = tree(&place.project());
        let (again, _) = place.ok(&["init", "--yes"]);
        assert_eq!((again["files"].as_array().unwrap().len(), &again["link"]), (0, &done["link"]), "{tool}");
        assert_eq!(tree(&place.project()), before);
        let (same, _) = place.ok(&["publish", "--copies", "0"]);
        assert_eq!(same["changed"], Value::Bool(false), "{tool}");
        // GitLab, too.
        let (more, _) = place.ok(&["init", "--yes", "--ci", "gitlab"]);
        assert_eq!(more["files"].as_array().unwrap(), &[Value::from(".gitlab-ci.yml")]);
    }
}

#[test]
fn a_dry_run_writes_nothing_and_without_a_terminal_it_says_what_is_missing() {
    let place = Place::new();
    place.program("Hello");
    place.program("other");
    let before = tree(&place.project());
    let (dry, lines) = place.ok(&["init", "--dry-run"]);
    assert_eq!((tree(&place.project()), place.0.path().join("store").exists()), (before.clone(), false));
    assert!(dry["link"].is_null() && dry["files"].as_array().unwrap().len() >= 4);
    let diff = lines.iter().find(|l| l["data"]["file"] == "package.json").unwrap();
    assert!(diff["data"]["diff"].to_string().contains("+{"), "{diff}");
    let (code, said) = place.fails(&["init"]);
    assert_eq!(code, "ERR_INVALID_INPUT");
    assert!(
        said.contains("--name") && said.contains("--version") && said.contains("project, 1.0.0 with --yes"),
        "{said}"
    );
    assert_eq!(tree(&place.project()), before);
    for (args, words) in [
        (&["init", "--name", "a/b", "--version", "1.0.0"][..], "cannot be the name"),
        (&["init", "--name", "a", "--version", "1"], "three numbers"),
        (&["init", "--app", "nothing", "--yes"], "leave --app out"),
        (&["init", "none"], "there is no"),
    ] {
        let (_, said) = place.fails(args);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    // What there is to be told is told by flags: nothing is asked then.
    let (done, _) = place.ok(&["init", "--name", "Hello", "--version", "2.0.0"]);
    assert_eq!((done["name"].as_str(), done["version"].as_str()), (Some("Hello"), Some("2.0.0")));
    let (_, said) = place.fails(&["init", "--name", "Other"]);
    assert!(said.contains("package.json says \"Hello\""), "{said}");
}

#[test]
fn what_is_there_is_changed_only_when_that_was_agreed_to() {
    let place = Place::new();
    place.put("package.json", FORGE);
    place.program(&format!("out/hello-{}/hello", host()));
    let before = tree(&place.project());
    let (_, said) = place.fails(&["init"]);
    assert!(said.contains("package.json would be changed") && said.contains("--dry-run"), "{said}");
    assert_eq!(tree(&place.project()), before);
    place.ok(&["init", "--yes"]);
    let after = fs::read_to_string(place.project().join("package.json")).unwrap();
    let lines: Vec<&str> = after.lines().filter(|l| !FORGE.contains(l)).collect();
    assert_eq!(lines.len(), 1, "one line is new: {lines:?}");
    assert!(lines[0].starts_with("  \"upgrade\": \"pear://"));
    // A file of ours that somebody changed.
    let workflow = place.project().join(".github/workflows/bosc-publish.yml");
    fs::write(&workflow, "mine\n").unwrap();
    let (kept, lines) = place.ok(&["init", "--yes"]);
    assert_eq!(kept["files"].as_array().unwrap().len(), 0);
    assert!(lines.iter().any(|l| l["tag"] == "kept"));
    place.ok(&["init", "--yes", "--force"]);
    assert_ne!(fs::read_to_string(&workflow).unwrap(), "mine\n");
}

#[test]
fn nothing_is_published_that_is_not_built() {
    let place = Place::new();
    place.put("package.json", FORGE);
    place.ok(&["init", "--yes"]);
    let (code, said) = place.fails(&["publish", "--copies", "0"]);
    assert_eq!(code, "ERR_NOT_FOUND");
    assert!(said.contains("nothing is built yet") && said.contains("bosc.toml"), "{said}");
    // One of two platforms: said, and released.
    place.program(&format!("out/hello-{}/hello", host()));
    let toml = place.project().join("bosc.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let other = if host() == "win32-x64" { "linux-x64" } else { "win32-x64" };
    fs::write(&toml, format!("{text}{other} = \"out/hello-{other}\"\n")).unwrap();
    let (done, lines) = place.ok(&["publish", "--copies", "0"]);
    let missing: Vec<&Value> = lines.iter().filter(|l| l["tag"] == "not-built").collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0]["data"]["platform"].as_str(), &done["changed"]),
        (Some(other), &Value::Bool(true))
    );
}

#[test]
fn ci_publishes_to_the_same_link_with_the_keys_of_this_store() {
    let place = Place::new();
    place.put("package.json", FORGE);
    place.program(&format!("out/hello-{}/hello", host()));
    let (done, _) = place.ok(&["init", "--yes"]);
    place.ok(&["publish", "--copies", "0"]);
    place.ok(&["keys", "backup", "../ci.key", "--shared"]);
    // On a runner: which link it is bosc.toml says.
    let runner = place.0.path().join("runner");
    let mut ci =
        place.command(&["publish", ".", "--ci", "--dry-run", "--wait-peers", "1", "--first", "--json"]);
    ci.env("BOSC_STORE", &runner).env("BOSC_PRIMARY_KEY_FILE", place.0.path().join("ci.key"));
    let text = String::from_utf8(ci.output().unwrap().stdout).unwrap();
    assert!(
        text.contains("\"tag\":\"publishing\"") && text.contains(done["link"].as_str().unwrap()),
        "{text}"
    );
    // From now on this store does not write before it asked.
    place.put(
        "package.json",
        &fs::read_to_string(place.project().join("package.json")).unwrap().replace("1.0.0", "1.0.1"),
    );
    let mut local = place.command(&["publish", "--copies", "0", "--json"]);
    let text = String::from_utf8(local.output().unwrap().stdout).unwrap();
    assert!(text.contains("\"checking\"") && text.contains("\"error\""), "{text}");
    // Nor with a link of another project that is made now.
    let other = place.0.path().join("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("package.json"), "{\"name\":\"o\",\"version\":\"1.0.0\",\"pear\":{}}").unwrap();
    let (made, _) = place.ok(&["init", other.to_str().unwrap(), "--yes"]);
    assert!(made["next"].to_string().contains("--ci --first"), "{made}");
}

#[test]
fn killed_at_any_moment_it_leaves_whole_files_and_goes_on_with_the_same_link() {
    let place = Place::new();
    let mut names = std::collections::BTreeSet::new();
    // Killed at once, and as soon as each of its files is there.
    let moments = [
        "package.json",
        "bosc.toml",
        ".bosc/.gitignore",
        ".boscignore",
        "bosc-updates.mjs",
        ".github/workflows",
        ".github/workflows/bosc-publish.yml",
    ];
    for moment in moments.iter().cycle().take(3 * moments.len()) {
        let project = place.project();
        let _ = fs::remove_dir_all(&project);
        place.put("package.json", FORGE);
        let mut child =
            place.command(&["init", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !project.join(moment).exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
        let read = |file: &str| fs::read_to_string(project.join(file)).ok();
        let package = read("package.json").unwrap();
        let linked = package.contains("\"upgrade\"");
        assert!(linked || package == FORGE, "{package}");
        let toml = read("bosc.toml");
        assert!(!linked || toml.is_some(), "the link comes last");
        for (path, _) in tree(&project) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                !path.exists() || name.ends_with(".tmp") || fs::metadata(&path).unwrap().len() > 0,
                "{}",
                path.display()
            );
        }
        let (done, _) = place.ok(&["init", "--yes"]);
        if let Some(toml) = toml {
            let name = toml.lines().find_map(|l| l.strip_prefix("link-name = ")).unwrap().to_owned();
            assert!(read("bosc.toml").unwrap().contains(&name), "the same link");
            names.insert(name);
        }
        assert!(read("package.json").unwrap().contains(done["link"].as_str().unwrap()));
    }
    assert!(!names.is_empty(), "it was never killed after its first file");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_a_link_is_made() {
    let place = Place::new();
    place.put("package.json", FORGE);
    place.put(".github/workflows", "a file\n");
    let (_, said) = place.fails(&["init", "--yes"]);
    assert!(said.contains("bosc-publish.yml"), "{said}");
    assert!(!place.0.path().join("store").exists() && !place.project().join("bosc.toml").exists());
    // As somebody else than the owner of the folder. Only root can become one.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let place = Place::new();
    place.put("package.json", FORGE);
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.project(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.0.path().join("bosc");
    fs::copy(env!("CARGO_BIN_EXE_bosc"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(["init", "--yes", "--json"]).current_dir(place.project()).stdin(Stdio::null());
    let output = command.env("BOSC_STORE", "/nonexistent/store").uid(65_534).gid(65_534).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ERR_UNWRITABLE") || text.contains("ERR_PERMISSION"), "{text}");
    assert!(text.contains("permissions of the folder"), "{text}");
}
