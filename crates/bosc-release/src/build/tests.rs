#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::event::Event;
use serde_json::Value;
use std::fs;
use std::path::Path;

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(package: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("package.json"), package).unwrap();
        Self { dir }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let at = self.at(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        at
    }

    fn request(&self, artifacts: &[(&str, &str)]) -> Build {
        Build {
            package: None,
            target: None,
            cwd: self.dir.path().to_owned(),
            artifacts: artifacts
                .iter()
                .map(|(arch, path)| Artifact { arch: (*arch).into(), path: self.at(path), rename: false })
                .collect(),
            force: false,
        }
    }
}

fn build(request: &Build) -> Result<(Value, Vec<(String, Value)>), CommandError> {
    let mut events = Vec::new();
    let done = run(request, &mut |event: Event| events.push(event.parts()), &Stop::new())?;
    Ok((serde_json::to_value(done).unwrap(), events))
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

const PACKAGE: &str =
    r#"{ "name":"@org/demo", "productName":"Demo", "version":"1.2.3","bin":{"democtl":"x"} }"#;

#[test]
fn artifacts_go_where_clients_look_for_them() {
    let p = Project::new(PACKAGE);
    p.file("CHANGELOG.md", "# c");
    p.file("pear.json", "{}");
    p.file("out/Demo.AppImage", "linux");
    p.file("mac/Demo.app/Contents/MacOS/Demo", "mac");
    p.file("win/Demo.exe", "win");
    p.file("out/democtl", "ctl");
    let (done, events) = build(&p.request(&[
        ("linux-x64", "out/Demo.AppImage"),
        ("linux-x64", "out/democtl"),
        ("darwin-arm64", "mac/Demo.app"),
        ("win32-x64", "win/Demo.exe"),
    ]))
    .unwrap();
    let target = p.at("org-demo-1.2.3");
    assert_eq!(fs::read_to_string(target.join("package.json")).unwrap(), PACKAGE, "byte for byte");
    for (file, text) in [
        ("by-arch/linux-x64/app/Demo.AppImage", "linux"),
        ("by-arch/linux-x64/app/democtl", "ctl"),
        ("by-arch/darwin-arm64/app/Demo.app/Contents/MacOS/Demo", "mac"),
        ("by-arch/win32-x64/app/Demo.exe", "win"),
        ("CHANGELOG.md", "# c"),
        ("pear.json", "{}"),
    ] {
        assert_eq!(fs::read_to_string(target.join(file)).unwrap(), text, "{file}");
    }
    assert_eq!(done["executables"], 4);
    assert_eq!(done["platforms"], serde_json::json!(["darwin-arm64", "linux-x64", "win32-x64"]));
    assert_eq!(done["files"], 7);
    assert_eq!(events[0].0, "building");
    assert_eq!(events[0].1["name"], "Demo");
    let executables: Vec<_> = events.iter().filter(|(t, _)| t == "executable").collect();
    assert_eq!(executables.len(), 4);
    assert!(executables[0].1["origin"].as_str().unwrap().ends_with("Demo.app"));
    assert!(!names(p.dir.path()).iter().any(|n| n.contains("bosc-build")), "no work folder is left");
}

#[cfg(unix)]
#[test]
fn executable_bits_and_symlinks_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let p = Project::new(PACKAGE);
    let run = p.file("a/Demo/bin/run", "#!/bin/sh");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    p.file("a/Demo/bin/data", "data");
    p.file("outside", "from outside");
    symlink("run", p.at("a/Demo/bin/current")).unwrap();
    symlink("bin", p.at("a/Demo/folder")).unwrap();
    symlink(p.at("a/Demo/bin/data"), p.at("a/Demo/absolute")).unwrap();
    symlink("../../outside", p.at("a/Demo/left")).unwrap();
    symlink("nowhere", p.at("a/Demo/broken-but-inside")).unwrap();
    let (_, _) = build(&p.request(&[("linux-x64", "a/Demo")])).unwrap();
    let app = p.at("org-demo-1.2.3/by-arch/linux-x64/app/Demo");
    let mode = |n: &str| fs::metadata(app.join(n)).unwrap().permissions().mode() & 0o111;
    assert_eq!((mode("bin/run"), mode("bin/data")), (0o111, 0));
    let text = |n: &str| fs::read_link(app.join(n)).unwrap().to_str().unwrap().to_owned();
    assert_eq!(text("bin/current"), "run");
    assert_eq!(text("folder"), "bin");
    assert_eq!(text("absolute"), "bin/data", "still holds from the new place");
    assert_eq!(text("broken-but-inside"), "nowhere");
    let left = fs::symlink_metadata(app.join("left")).unwrap();
    assert!(left.is_file(), "a link that leaves the artifact is followed");
    assert_eq!(fs::read_to_string(app.join("left")).unwrap(), "from outside");
}

#[test]
fn what_cannot_be_built_is_refused_before_anything_is_written() {
    let p = Project::new(PACKAGE);
    p.file("out/Demo.AppImage", "x");
    p.file("out/Other.AppImage", "x");
    p.file("out/sub/Demo.AppImage", "x");
    p.file("app/Demo/file", "x");
    p.file("full/mine.txt", "keep");
    let ok = p.request(&[("linux-x64", "out/Demo.AppImage")]);
    let target = |name: &str| Build { target: Some(p.at(name)), ..ok.clone() };
    for (what, request, code) in [
        ("no artifact", p.request(&[]), "ERR_INVALID_INPUT"),
        ("wrong name", p.request(&[("linux-x64", "out/Other.AppImage")]), "ERR_INVALID_APP_NAME"),
        ("missing", p.request(&[("linux-x64", "out/none/Demo")]), "ERR_NOT_FOUND"),
        ("platform", p.request(&[("amiga-x64", "out/Demo.AppImage")]), "ERR_INVALID_INPUT"),
        (
            "twice",
            p.request(&[("linux-x64", "out/Demo.AppImage"), ("linux-x64", "out/sub/Demo.AppImage")]),
            "ERR_INVALID_INPUT",
        ),
        (
            "target in source",
            Build { target: Some(p.at("app/Demo/dist")), ..p.request(&[("linux-x64", "app/Demo")]) },
            "ERR_INVALID_INPUT",
        ),
        ("source in target", target("out"), "ERR_INVALID_INPUT"),
        ("not empty", target("full"), "ERR_DIR_NONEMPTY"),
        ("not ours", Build { force: true, ..target("full") }, "ERR_DIR_NONEMPTY"),
        ("a file", Build { force: true, ..target("package.json") }, "ERR_DIR_NONEMPTY"),
        ("no package", Build { package: Some(p.at("none.json")), ..ok.clone() }, "ERR_INVALID_INPUT"),
    ] {
        let before = names(p.dir.path());
        let error = build(&request).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert_eq!(names(p.dir.path()), before, "{what}");
    }
    assert_eq!(fs::read_to_string(p.at("full/mine.txt")).unwrap(), "keep");
    for text in ["{", "[]", r#"{"name":"a"}"#, r#"{"version":"1.0.0"}"#, r#"{"name":"a","version":"1"}"#] {
        p.file("package.json", text);
        assert_eq!(build(&ok).unwrap_err().code(), "ERR_INVALID_MANIFEST", "{text}");
    }
}

#[test]
fn a_deployment_directory_is_replaced_whole_when_forced() {
    let p = Project::new(PACKAGE);
    p.file("out/Demo.AppImage", "one");
    let request = p.request(&[("linux-x64", "out/Demo.AppImage")]);
    build(&request).unwrap();
    p.file("org-demo-1.2.3/by-arch/linux-x64/app/Demo", "from before");
    p.file("org-demo-1.2.3/CHANGELOG.md", "from before");
    assert_eq!(build(&request).unwrap_err().code(), "ERR_DIR_NONEMPTY");
    p.file("out/Demo.AppImage", "two");
    build(&Build { force: true, ..request.clone() }).unwrap();
    let target = p.at("org-demo-1.2.3");
    assert_eq!(names(&target), ["by-arch", "package.json"]);
    assert_eq!(names(&target.join("by-arch/linux-x64/app")), ["Demo.AppImage"]);
    assert_eq!(fs::read_to_string(target.join("by-arch/linux-x64/app/Demo.AppImage")).unwrap(), "two");
}

#[test]
fn a_folder_with_anything_that_no_build_makes_is_not_replaced() {
    for (more, named) in [
        (&["src/main.rs", "by-arch/linux-x64/app/Demo.AppImage"][..], "src"),
        (&[".git/HEAD", "by-arch/linux-x64/app/Demo.AppImage"], ".git"),
        (&["by-arch/notes/app/x"], "by-arch/notes"),
        (&["by-arch/mine"], "by-arch/mine"),
        (&["by-arch/linux-x64/mine"], "by-arch/linux-x64/mine"),
        (&["by-arch/linux-x64/app/Demo.AppImage", "CHANGELOG.md/x"], "CHANGELOG.md"),
        (&["by-arch/linux-x64/app/Demo.AppImage", "by-arch/linux-x64/app/extra"], "app/extra"),
        (&["by-arch/linux-x64/app/Demo.AppImage", "by-arch/linux-arm64/app/extra/x"], "app/extra"),
        (&["by-arch/linux-x64/app/Demo.AppImage", "by-arch/linux-arm64/app"], "by-arch/linux-arm64/app"),
        (&[], "its by-arch holds no build"),
    ] {
        let p = Project::new(PACKAGE);
        p.file("out/Demo.AppImage", "new");
        p.file("work/package.json", r#"{"name":"Demo"}"#);
        fs::create_dir_all(p.at("work/by-arch")).unwrap();
        for file in more {
            p.file(&format!("work/{file}"), "mine");
        }
        let request = p.request(&[("linux-x64", "out/Demo.AppImage")]);
        let request = Build { target: Some(p.at("work")), force: true, ..request };
        let error = build(&request).unwrap_err();
        assert_eq!(error.code(), "ERR_DIR_NONEMPTY");
        assert!(error.to_string().contains(named), "{error}");
        for file in more {
            assert_eq!(fs::read_to_string(p.at(&format!("work/{file}"))).unwrap(), "mine");
        }
    }
}

#[test]
fn what_a_killed_build_left_is_put_right() {
    let p = Project::new(PACKAGE);
    p.file("out/Demo.AppImage", "new");
    let work = ".org-demo-1.2.3.bosc-build-0123456789abcdef";
    p.file(&format!("{work}/tree/by-arch/half"), "half");
    p.file(&format!("{work}/lock"), "");
    p.file(&format!("{work}/target"), "org-demo-1.2.3");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(p.at(work), fs::Permissions::from_mode(0o700)).unwrap();
    }
    // Killed between the renames: the old one must come back before it is judged.
    p.file(&format!("{work}/old/package.json"), r#"{"name":"x"}"#);
    p.file(&format!("{work}/old/by-arch/linux-x64/app/x"), "old");
    let request = p.request(&[("linux-x64", "out/Demo.AppImage")]);
    assert_eq!(build(&request).unwrap_err().code(), "ERR_DIR_NONEMPTY");
    assert_eq!(names(&p.at("org-demo-1.2.3")), ["by-arch", "package.json"]);
    assert!(!p.at(work).exists());
    build(&Build { force: true, ..request }).unwrap();
    assert!(p.at("org-demo-1.2.3/by-arch/linux-x64/app/Demo.AppImage").is_file());
}

#[test]
fn two_builds_of_one_target_do_not_meet() {
    let p = Project::new(PACKAGE);
    p.file("out/Demo.AppImage", "x");
    let held = place::BuildPlace::open(&p.at("org-demo-1.2.3"), false).unwrap();
    let request = p.request(&[("linux-x64", "out/Demo.AppImage")]);
    assert_eq!(build(&request).unwrap_err().code(), "ERR_LOCKED");
    drop(held);
    build(&request).unwrap();
}

#[test]
fn a_rust_application_needs_no_npm() {
    let dir = tempfile::tempdir().unwrap();
    let at = |p: &str| dir.path().join(p);
    fs::create_dir_all(at("ws/app")).unwrap();
    fs::write(
        at("ws/Cargo.toml"),
        "[workspace]\nmembers=['app']\n[workspace.package]\nversion='2.1.0'\nlicense='MIT'\n",
    )
    .unwrap();
    fs::write(
        at("ws/app/Cargo.toml"),
        "[package]\nname='demo-app'\nversion.workspace=true\nlicense.workspace=true\ndescription='d'\n\
         [package.metadata.bosc]\nproduct-name='Demo App'\nupgrade='pear://x'\n\
         [package.metadata.bosc.pear.stage]\nignore=['*.log']\n",
    )
    .unwrap();
    let file = find_package(None, &at("ws/app")).unwrap();
    let project = read_project(&file).unwrap();
    assert_eq!((project.name.as_str(), project.app_name()), ("demo-app", "Demo App"));
    assert_eq!(project.version, "2.1.0");
    assert_eq!(project.package.upgrade.as_deref(), Some("pear://x"));
    assert_eq!(project.package.stage.ignore, ["*.log"]);
    let text = String::from_utf8(project.text.clone()).unwrap();
    assert!(text.starts_with("{\n  \"name\": \"demo-app\",\n  \"productName\": \"Demo App\",\n"), "{text}");
    assert!(text.contains("\"license\": \"MIT\"") && text.contains("\"description\": \"d\""));
    // Without our section it is not taken by itself, and says so when it is named.
    let error = find_package(None, &at("ws")).unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_PROJECT_DIR");
    assert_eq!(read_project(&at("ws/Cargo.toml")).unwrap_err().code(), "ERR_INVALID_MANIFEST");
}

#[test]
fn tauri_configurations_of_both_generations_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |p: &str| dir.path().join(p);
    fs::create_dir_all(at("src-tauri")).unwrap();
    let config = at("src-tauri/tauri.conf.json");
    let read = |text: &str| {
        fs::write(&config, text).unwrap();
        read_project(&find_package(None, dir.path()).unwrap())
    };
    let two = read(
        r#"{"productName":"My App","version":"1.0.0","identifier":"org.my","plugins":{"bosc":{"upgrade":"pear://k"}}}"#,
    )
    .unwrap();
    assert_eq!((two.name.as_str(), two.app_name(), two.version.as_str()), ("my-app", "My App", "1.0.0"));
    assert_eq!(two.package.upgrade.as_deref(), Some("pear://k"));
    let one = read(r#"{"package":{"productName":"Old","version":"0.9.0"},"tauri":{}}"#).unwrap();
    assert_eq!((one.name.as_str(), one.version.as_str()), ("old", "0.9.0"));
    fs::write(at("src-tauri/Cargo.toml"), "[package]\nname='crate-name'\nversion='3.0.0'\n").unwrap();
    let cargo = read(r#"{"productName":"My App"}"#).unwrap();
    assert_eq!((cargo.name.as_str(), cargo.version.as_str()), ("crate-name", "3.0.0"));
    fs::write(at("web.json"), r#"{"version":"4.0.0"}"#).unwrap();
    assert_eq!(read(r#"{"productName":"A","version":"../web.json"}"#).unwrap().version, "4.0.0");
    assert_eq!(read("{ // comment\n}").unwrap_err().code(), "ERR_INVALID_MANIFEST");
}

#[test]
fn names_are_compared_before_the_extension() {
    let bins = vec!["ctl".to_owned()];
    for name in ["My.App", "My.App.AppImage", "My.App.exe", "ctl", "ctl.exe"] {
        assert!(crate::folder::package::fits(name, "My.App", &bins), "{name}");
    }
    for name in ["My", "my.app", "My.App.zip", "My.App-1.0", "other"] {
        assert!(!crate::folder::package::fits(name, "My.App", &bins), "{name}");
    }
    assert_eq!(copy::relative("/a/b/c", "/x/y"), Path::new("../../x/y"));
    assert_eq!(copy::relative("/a", "/"), Path::new("."));
    assert_eq!(copy::relative("/a/b", "../c"), Path::new("../c"));
}

#[test]
fn a_program_of_another_version_is_reported() {
    let p = Project::new(PACKAGE);
    for (path, version) in [("win/Demo.exe", [1, 2, 2, 0]), ("arm/Demo.exe", [1, 2, 3, 9])] {
        fs::create_dir_all(p.at(path).parent().unwrap()).unwrap();
        fs::write(p.at(path), crate::folder::said_version::tests::exe(version)).unwrap();
    }
    let (_, events) =
        build(&p.request(&[("win32-x64", "win/Demo.exe"), ("win32-arm64", "arm/Demo.exe")])).unwrap();
    let told: Vec<_> =
        events.iter().filter(|(tag, _)| tag == "version-mismatch").map(|(_, data)| data).collect();
    let path = "by-arch/win32-x64/app/Demo.exe";
    assert_eq!(told, [&serde_json::json!({ "path": path, "release": "1.2.3", "running": "1.2.2" })]);
}
