//! What is found and planned for projects of each kind, and for damaged ones.

use super::*;
use std::collections::BTreeMap;

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(file, text)| project.put(file, text));
        project
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn labels(&self) -> Vec<String> {
        applications(self.0.path()).unwrap().into_iter().map(|c| c.label).collect()
    }

    fn found(&self) -> Found {
        let all = applications(self.0.path()).unwrap();
        look(self.0.path(), all.first()).unwrap()
    }

    fn builds(&self) -> BTreeMap<String, (String, bool)> {
        self.found().builds.into_iter().map(|(on, b)| (on, (b.path, b.there))).collect()
    }

    fn error(&self) -> CommandError {
        applications(self.0.path()).and_then(|all| look(self.0.path(), all.first())).unwrap_err()
    }

    fn plan(&self, found: &Found) -> Plan {
        let settings = Settings {
            name: found.name.clone().unwrap_or_else(|| "Hello".into()),
            version: found.version.clone().unwrap_or_else(|| "1.0.0".into()),
            ..Settings::default()
        };
        let name = known_link_name(self.0.path()).unwrap().or(Some("hello-1".into()));
        let link = found.upgrade.clone().unwrap_or_else(|| "pear://x".into());
        Plan::new(self.0.path(), found, &settings, &InitLink { link, name }).unwrap()
    }
}

fn elf() -> String {
    format!("\x7fELF{}\x3e\0", "\0".repeat(14))
}

fn exe() -> Vec<u8> {
    [&b"MZ"[..], &[0; 58], b"\x40\0\0\0PE\0\0\x64\x86"].concat()
}

const ELECTRON: (&str, &str) = (
    "package.json",
    "{\n  \"name\": \"hello\",\n  \"productName\": \"Hello\",\n  \"version\": \"1.2.3\",\n  \"scripts\": {\"dist\": \"electron-builder\"},\n  \
     \"devDependencies\": {\"electron-builder\": \"26\"}\n}\n",
);

#[test]
fn builds_are_where_the_tools_put_them() {
    let electron = Project::new(&[ELECTRON]);
    let unbuilt = electron.builds();
    assert!(unbuilt.values().all(|(_, there)| !there) && unbuilt.len() <= 1, "{unbuilt:?}");
    for file in [
        "dist/Hello-1.2.3.AppImage",
        "dist/linux-arm64-unpacked/hello",
        "dist/mac-arm64/Hello.app/x",
        "dist/win-unpacked/Hello.exe",
    ] {
        electron.put(file, "x");
    }
    let paths: BTreeMap<String, String> =
        electron.builds().into_iter().map(|(on, (path, _))| (on, path)).collect();
    let expected = [
        ("darwin-arm64", "dist/mac-arm64/Hello.app"),
        ("linux-arm64", "dist/linux-arm64-unpacked"),
        ("linux-x64", "dist/Hello-{version}.AppImage"),
        ("win32-x64", "dist/win-unpacked"),
    ];
    assert_eq!(paths, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
    // Its own words for where and how.
    for (file, text) in [
        (
            "electron-builder.yml",
            "directories:\n  output: release/${version}\nartifactName: ${productName}_${version}.${ext}\n",
        ),
        (
            "electron-builder.json",
            r#"{"directories":{"output":"release/${version}"},"artifactName":"${productName}_${version}.${ext}"}"#,
        ),
    ] {
        let own = Project::new(&[ELECTRON, (file, text), ("release/1.2.3/Hello_1.2.3.AppImage", "x")]);
        assert_eq!(own.builds()["linux-x64"].0, "release/{version}/Hello_{version}.AppImage", "{file}");
    }
    // It calls the application otherwise than package.json, which `publish` reads.
    for (package, file) in [
        (
            r#"{"name":"@acme/desk","version":"1.0.0","devDependencies":{"electron-builder":"26"},"build":{"productName":"Acme Desk"}}"#,
            None,
        ),
        (
            r#"{"name":"desk","version":"1.0.0","devDependencies":{"electron-builder":"26"}}"#,
            Some((
                "electron-builder.yml",
                "productName: Acme Desk\nappImage:\n  artifactName: ${name}-${version}.${ext}\n",
            )),
        ),
    ] {
        let files: Vec<_> = std::iter::once(("package.json", package))
            .chain(file)
            .chain([("dist/mac-arm64/Acme Desk.app/x", "x"), ("dist/desk-1.0.0.AppImage", "x")])
            .collect();
        let project = Project::new(&files);
        let found = project.found();
        assert_eq!((found.name.as_deref(), found.product.as_deref()), (Some("Acme Desk"), Some("Acme Desk")));
        assert_eq!(project.builds()["darwin-arm64"], ("dist/mac-arm64/Acme Desk.app".into(), true));
        if file.is_some() {
            assert_eq!(project.builds()["linux-x64"], ("dist/desk-{version}.AppImage".into(), true));
        }
        let plan = project.plan(&found);
        let new = plan.files.iter().find(|f| f.file == "package.json").unwrap();
        let json: serde_json::Value = serde_json::from_str(&new.new).unwrap();
        assert_eq!((&json["productName"], &json["upgrade"]), (&"Acme Desk".into(), &"pear://x".into()));
        project.put("package.json", &new.new);
        assert_eq!(project.found().product, None, "it is said now");
    }
    let forge = Project::new(&[
        (
            "package.json",
            r#"{"name":"hello","version":"1.0.0","devDependencies":{"@electron-forge/cli":"7"}}"#,
        ),
        ("out/hello-linux-x64/hello", "x"),
        ("out/hello-darwin-x64/hello.app/x", "x"),
    ]);
    assert_eq!(forge.found().candidate.tool, Tool::ElectronForge);
    assert_eq!(forge.builds()["darwin-x64"], ("out/hello-darwin-x64/hello.app".into(), true));
    // The scripts of `npm create @quick-start/electron`, in another order.
    let vite = |scripts: &str| {
        let package = format!(
            r#"{{"name":"hello","version":"1.0.0","devDependencies":{{"electron-builder":"26"}},"scripts":{{{scripts}}}}}"#
        );
        Project::new(&[("package.json", package.as_str())]).found().build_command.unwrap()
    };
    let for_one = r#""postinstall":"electron-builder install-app-deps","build":"electron-vite build",
        "build:mac":"npm run build && electron-builder --mac","pack":"electron-builder --dir",
        "release":"electron-builder --publish=always""#;
    assert_eq!(vite(for_one), "npm run build && npx electron-builder");
    assert_eq!(vite(&format!(r#"{for_one},"dist":"npm run build && electron-builder""#)), "npm run dist");
    assert_eq!(vite(r#""build":"electron-builder""#), "npm run build");
    assert_eq!(
        vite(r#""predist":"electron-builder","dist":"cp -R a b","prepare":"electron-builder""#),
        "npx electron-builder"
    );
    assert_eq!(vite(r#""start":"electron .""#), "npx electron-builder");
    let tauri = Project::new(&[
        (
            "package.json",
            r#"{"name":"page","version":"0.0.0","devDependencies":{"@tauri-apps/cli":"2"},"scripts":{"tauri":"tauri"}}"#,
        ),
        ("src-tauri/tauri.conf.json", r#"{"productName":"Hello","version":"2.0.0"}"#),
        ("src-tauri/Cargo.toml", "[package]\nname = 'hello'\nversion = '0.1.0'\n"),
        ("src-tauri/src/main.rs", ""),
        ("src-tauri/target/x86_64-pc-windows-msvc/release/hello.exe", "x"),
        ("src-tauri/target/universal-apple-darwin/release/bundle/macos/Hello.app/x", "x"),
    ]);
    let found = tauri.found();
    assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some("Hello"), Some("2.0.0")));
    assert_eq!(found.build_command.as_deref(), Some("npm run tauri -- build"));
    assert_eq!(tauri.labels(), ["tauri"], "its page is no application of its own");
    let builds = tauri.builds();
    assert!(builds["win32-x64"].1 && builds["darwin-arm64"].1 && builds["darwin-x64"].1, "{builds:?}");
    let python = Project::new(&[
        ("pyproject.toml", "[project]\nname = 'hello'\nversion = '1.0.0'\n"),
        ("hello.spec", ""),
        ("dist/hello/hello", &elf()),
    ]);
    assert_eq!(python.found().candidate.tool, Tool::Pyinstaller);
    assert_eq!(python.builds()["linux-x64"], ("dist/hello".into(), true));
    let several = Project::new(&[("tool", &elf()), ("hello", &elf()), ("libx.so.1", &elf())]);
    std::fs::write(several.0.path().join("helper.dll"), exe()).unwrap();
    let found = several.found();
    assert_eq!((found.name.as_deref(), found.builds["linux-x64"].path.as_str()), (None, "hello"));
    assert_eq!(found.clone().called("tool").builds["linux-x64"].path, "tool");
    assert_eq!(found.called("other").builds.len(), 1, "a library is no program");
    let loose = Project::new(&[("Hello.AppImage", &elf()), ("notes.txt", "x")]);
    std::fs::write(loose.0.path().join("Hello.exe"), exe()).unwrap();
    let found = loose.found();
    assert_eq!((found.name.as_deref(), found.version), (Some("Hello"), None));
    assert_eq!(found.builds.keys().collect::<Vec<_>>(), ["linux-x64", "win32-x64"]);
}

#[test]
fn several_applications_are_told_apart() {
    let member = "[package]\nname = 'NAME'\nversion = '1.0.0'\n";
    let workspace = Project::new(&[
        ("Cargo.toml", "[workspace]\nmembers = ['crates/*', '../outside']\n"),
        ("crates/one/Cargo.toml", &member.replace("NAME", "one")),
        ("crates/one/src/main.rs", ""),
        ("crates/two/Cargo.toml", &format!("{}default-run = 'b'\n", member.replace("NAME", "two"))),
        ("crates/two/src/bin/a.rs", ""),
        ("crates/two/src/bin/b.rs", ""),
        ("crates/lib/Cargo.toml", &member.replace("NAME", "lib")),
        ("crates/lib/src/lib.rs", ""),
    ]);
    assert_eq!(workspace.labels(), ["one", "b", "a"]);
    // What bosc.toml says is not asked again.
    workspace.put(
        "bosc.toml",
        "[publish]\npackage = 'crates/two/Cargo.toml'\n[publish.builds]\nlinux-x64 = 'target/release/a'\n",
    );
    assert_eq!(workspace.labels(), ["a"]);
    let npm = Project::new(&[
        ("package.json", r#"{"name":"all","workspaces":["packages/*"]}"#),
        (
            "packages/app/package.json",
            r#"{"name":"@org/app","version":"1.0.0","devDependencies":{"electron-builder":"1"}}"#,
        ),
        ("packages/lib/package.json", r#"{"name":"lib","version":"1.0.0"}"#),
        ("Cargo.toml", &member.replace("NAME", "tool")),
        ("src/main.rs", ""),
    ]);
    assert_eq!(npm.labels(), ["@org/app", "tool"]);
    // A name with a scope is no name of a file.
    let e = npm.error();
    assert_eq!(e.code(), "ERR_INVALID_APP_NAME");
    assert!(e.hint_text().contains("`productName` in packages/app/package.json"), "{}", e.hint_text());
}

#[test]
fn a_second_time_nothing_is_planned() {
    for files in [
        &[ELECTRON][..],
        &[("Cargo.toml", "[package]\nname = 'hello'\nversion = '1.0.0'\n"), ("src/main.rs", "")],
        &[("pyproject.toml", "[project]\r\nname = 'hello'\r\nversion = '1.0.0'\r\n"), ("hello.spec", "")],
        &[("package.json", r#"{"name":"hello","version":"1.0.0","pear":{"name":"hello"}}"#)],
        &[("by-arch/linux-x64/app/Hello", "x"), (".pearignore", "*.map")],
        &[("src-tauri/tauri.conf.json", "\u{feff}{\"productName\":\"Hello\",\"version\":\"1.0.0\"}")],
    ] {
        let project = Project::new(files);
        if cfg!(not(any(target_os = "linux", target_os = "macos", target_os = "windows"))) {
            return;
        }
        let plan = project.plan(&project.found());
        assert!(plan.files.len() >= 4, "{files:?}: {plan:?}");
        assert_eq!(plan.files[0].file, "bosc.toml");
        assert!(plan.files.last().unwrap().new.contains("pear://x"), "the package is the last");
        plan.check(project.0.path()).unwrap();
        plan.write(project.0.path()).unwrap();
        let found = project.found();
        assert_eq!(found.upgrade.as_deref(), Some("pear://x"), "{files:?}");
        let again = project.plan(&found);
        assert_eq!((again.files, again.kept), (vec![], vec![]), "{files:?}");
        // Somebody writes meanwhile what was planned on another text: nothing is written.
        project.put("bosc.toml", "# mine\n");
        assert!(plan.write(project.0.path()).unwrap_err().message().contains("changed since"));
    }
}

#[test]
fn what_a_person_changed_stays() {
    let project = Project::new(&[ELECTRON, (".boscignore", "*.map")]);
    let plan = project.plan(&project.found());
    assert!(plan.files.iter().all(|f| f.file != ".boscignore"));
    plan.write(project.0.path()).unwrap();
    project.put(".github/workflows/bosc-publish.yml", "mine");
    let found = project.found();
    let again = project.plan(&found);
    assert_eq!((again.files.len(), again.kept.len()), (0, 1), "{again:?}");
    let settings =
        Settings { name: "Hello".into(), version: "1.2.3".into(), force: true, ..Settings::default() };
    let link = InitLink { link: "pear://x".into(), name: Some("hello-1".into()) };
    let forced = Plan::new(project.0.path(), &found, &settings, &link).unwrap();
    assert_eq!(forced.files.len(), 1);
    assert_eq!(forced.files[0].change, ChangeKind::Replace);
}

#[test]
fn damage_has_its_words_and_a_hint() {
    let long = " ".repeat(5 << 20);
    for (files, code, words) in [
        (&[("package.json", "{")][..], "ERR_INVALID_MANIFEST", "not a JSON object"),
        (&[("package.json", "\u{feff}{}")], "ERR_INVALID_MANIFEST", "byte-order mark"),
        (
            &[("package.json", r#"{"name":"a","version":"1.0.0","name":"b"}"#)],
            "ERR_INVALID_MANIFEST",
            "\"name\" twice",
        ),
        (&[("package.json", &long)], "ERR_INVALID_MANIFEST", "over 4 MiB"),
        (&[("package.json", r#"{"name":"a","pear":{}}"#)], "ERR_INVALID_MANIFEST", "no version"),
        (
            &[("package.json", r#"{"name":"a","version":"1.0","pear":{}}"#)],
            "ERR_INVALID_MANIFEST",
            "not SemVer",
        ),
        (&[("package.json", r#"{"version":"1.0.0","pear":{}}"#)], "ERR_INVALID_MANIFEST", "no name"),
        (
            &[("package.json", r#"{"name":"a$(x)","version":"1.0.0","pear":{}}"#)],
            "ERR_INVALID_APP_NAME",
            "cannot be the name",
        ),
        (&[("Cargo.toml", "[package]\nname = 'a'\nname = 'b'\n")], "ERR_INVALID_MANIFEST", "duplicate"),
        (
            &[("Cargo.toml", "[package]\nname = 'a'\n"), ("src/main.rs", "")],
            "ERR_INVALID_MANIFEST",
            "no version",
        ),
        (
            &[("bosc.toml", "[publish"), ("package.json", r#"{"name":"a","version":"1.0.0","pear":{}}"#)],
            "ERR_INVALID_CONFIG",
            "not TOML",
        ),
        (&[("x.spec", "")], "ERR_INVALID_MANIFEST", "pyproject.toml"),
        (&[("readme", "")], "ERR_INVALID_PROJECT_DIR", "neither a project nor a build"),
    ] {
        let e = Project::new(files).error();
        let shown: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
        assert_eq!(e.code(), code, "{shown:?}: {e}");
        assert!(format!("{e} {:?}", e.causes()).contains(words), "{shown:?}: {e}");
        assert!(!e.hint_text().is_empty(), "{shown:?}");
    }
    assert_eq!(applications(Path::new("/no/such/folder")).unwrap_err().code(), "ERR_NOT_FOUND");
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_or_leads_out_is_refused_and_nobody_waits() {
    use std::os::unix::fs::symlink;
    let fifo = Project::new(&[]);
    crate::folder::make_fifo(&fifo.0.path().join("package.json"));
    assert!(format!("{:?}", fifo.error().causes()).contains("a pipe"));
    let outside = Project::new(&[ELECTRON, ("workflows/x", "")]);
    let out = Project::new(&[]);
    symlink(outside.0.path().join("package.json"), out.0.path().join("package.json")).unwrap();
    assert!(out.error().to_string().contains("leads out of the folder"));
    // Where something would be written, through a folder or a link to nothing.
    for (link, to) in
        [(".github", outside.0.path().join("workflows")), ("bosc.toml", outside.0.path().join("none"))]
    {
        let project = Project::new(&[ELECTRON]);
        let plan = project.plan(&project.found());
        symlink(&to, project.0.path().join(link)).unwrap();
        assert_eq!(plan.check(project.0.path()).unwrap_err().code(), "ERR_EXISTS", "{link}");
        plan.write(project.0.path()).unwrap_err();
        assert!(!outside.0.path().join("none").exists() && !project.0.path().join(".boscignore").exists());
    }
    // Through a folder, too.
    let project = Project::new(&[("page.html", "")]);
    outside.put("tauri/tauri.conf.json", r#"{"productName":"Hello","version":"1.0.0"}"#);
    symlink(outside.0.path().join("tauri"), project.0.path().join("src-tauri")).unwrap();
    assert!(project.error().to_string().contains("leads out of the folder"));
    // A build that lies elsewhere is none.
    let built = Project::new(&[ELECTRON]);
    symlink(outside.0.path(), built.0.path().join("dist")).unwrap();
    outside.put("linux-unpacked/hello", "x");
    assert!(built.builds().values().all(|(_, there)| !there));
}

#[test]
fn the_lines_for_an_application_are_those_of_the_examples() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let Ok(node) = std::fs::read_to_string(examples.join("node/updater.mjs")) else { return };
    assert_eq!(include_str!("templates/updater.mjs"), node, "copy the example again");
    let python = std::fs::read_to_string(examples.join("python/updater.py")).unwrap();
    let class = |text: &str| {
        text[text.find("class Updater").unwrap()..]
            .split("\n\ndef main")
            .next()
            .unwrap()
            .trim_end()
            .to_owned()
    };
    assert_eq!(class(include_str!("templates/updater.py")), class(&python), "copy the example again");
}

#[test]
fn nothing_of_a_project_becomes_a_command_in_a_workflow() {
    for (file, text) in [
        ("bosc.toml", "[publish.builds]\nlinux-x64 = \"x'; rm -rf ~; '\"\n"),
        ("bosc.toml", "[publish.builds]\nlinux-x64 = \"${{ secrets.X }}\"\n"),
        ("electron-builder.yml", "directories:\n  output: x`id`\n"),
        ("Cargo.toml", "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[[bin]]\nname = \"a'; id; '\"\n"),
    ] {
        let project = Project::new(&[(file, text)]);
        if file != "Cargo.toml" {
            project.put(ELECTRON.0, ELECTRON.1);
        }
        if file == "electron-builder.yml" {
            project.put("dist/x", "");
        }
        let found = project.found();
        let settings = Settings { name: "Hello".into(), version: "1.0.0".into(), ..Settings::default() };
        let link = InitLink { link: "pear://x".into(), name: Some("hello-1".into()) };
        if found.builds.is_empty() {
            continue;
        }
        let e = Plan::new(project.0.path(), &found, &settings, &link).unwrap_err();
        assert!(e.message().contains("cannot hold"), "{text}: {e}");
    }
}

#[test]
fn tauri_is_known_by_each_form_of_its_file() {
    let json5 = "// mine\n{\n  productName: 'Hello App', // shown\n  version: '1.2.3',\n}\n";
    let toml = "product-name = 'Hello App'\nversion = '1.2.3'\n\n[app] # mine\n";
    for (file, text, wanted) in [
        (
            "src-tauri/tauri.conf.json5",
            json5,
            "  version: '1.2.3',\n  \"plugins\": {\"bosc\":{\"upgrade\":\"pear://x\"}},\n",
        ),
        ("src-tauri/Tauri.toml", toml, "[app] # mine\n\n[plugins.bosc]\nupgrade = \"pear://x\"\n"),
        ("tauri.conf.json5", json5, "// mine\n{\n  productName: 'Hello App', // shown\n"),
    ] {
        let project = Project::new(&[(file, text)]);
        let found = project.found();
        assert_eq!(
            (found.candidate.tool, found.name.as_deref(), found.version.as_deref()),
            (Tool::Tauri, Some("Hello App"), Some("1.2.3")),
            "{file}"
        );
        let plan = project.plan(&found);
        let changed = plan.files.iter().find(|f| f.file == file).unwrap();
        assert!(changed.new.contains(wanted), "{file}: {}", changed.new);
        // With the link in it there is nothing more to do, and `publish` finds it.
        project.put(file, &changed.new);
        assert_eq!(project.found().upgrade.as_deref(), Some("pear://x"), "{file}");
        let again = crate::build::find_package(None, project.0.path()).unwrap();
        assert!(again.ends_with(file), "{}", again.display());
    }
    for (file, text) in [("tauri.conf.json5", "{a: }"), ("Tauri.toml", "a = ")] {
        let e = Project::new(&[(file, text)]).error();
        assert!(e.message().contains("line 1") && e.message().contains(file), "{e}");
    }
}

#[test]
fn pyinstaller_is_a_name_and_not_a_part_of_a_text() {
    let label = |text: &str| {
        let text = format!("[project]\nname = 'hello'\nversion = '1.0.0'\n{text}");
        Project::new(&[("pyproject.toml", &text)]).labels()
    };
    for text in [
        "dependencies = ['PyInstaller>=6']\n",
        "[project.optional-dependencies]\nbuild = ['pyinstaller ~= 6.0']\n",
        "[dependency-groups]\ndev = ['pyinstaller']\n",
        "[tool.poetry.group.dev.dependencies]\npyinstaller = '^6'\n",
        "[tool.pyinstaller]\nname = 'x'\n",
    ] {
        assert_eq!(label(text), ["pyinstaller"], "{text}");
    }
    for text in [
        "description = 'not made with pyinstaller'\n",
        "dependencies = ['pyinstaller-hooks']\n",
        "# pyinstaller\n",
    ] {
        assert_eq!(label(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_an_application_is_called_does_not_decide_which_hint_is_given() {
    // A folder called so was taken for the fault.
    let project = Project::new(&[
        ("it has no name/x", ""),
        ("package.json", "{\"name\":\"a\",\"version\":\"1.0.0\",\"workspaces\":[\"it has no name\"]}"),
    ]);
    project.put(
        "it has no name/package.json",
        "{\"name\":\"b\",\"version\":\"x\",\"devDependencies\":{\"electron-builder\":\"1\"}}",
    );
    let e = project.error();
    assert!(e.hint_text().contains("three numbers"), "{}", e.hint_text());
}

#[test]
fn what_tools_are_made_of_is_fetched_first() {
    let steps = |project: &Project| next(&project.found(), project.0.path(), "pear://x", false);
    let tauri = ("src-tauri/tauri.conf.json", "{\"productName\":\"Hello\",\"version\":\"1.0.0\"}");
    let package = (
        "package.json",
        "{\"name\":\"h\",\"scripts\":{\"tauri\":\"tauri\"},\"devDependencies\":{\"@tauri-apps/cli\":\"^2\"}}",
    );
    let project = Project::new(&[tauri, package]);
    let all = steps(&project);
    let at = |what: &str| all.iter().position(|l| l == what);
    assert!(at("npm install") < at("npm run tauri -- build") && at("npm install").is_some(), "{all:?}");
    project.put("node_modules/x", "");
    assert!(!steps(&project).iter().any(|l| l.contains("install")), "it was done");
    let project = Project::new(&[tauri, package, ("pnpm-lock.yaml", "")]);
    assert!(steps(&project).contains(&"pnpm install".to_owned()));
    assert!(
        !steps(&Project::new(&[tauri])).iter().any(|l| l.contains("install")),
        "there is nothing to fetch"
    );
}

#[test]
fn another_application_is_not_taken_for_none() {
    let project = Project::new(&[
        ("Cargo.toml", "[workspace]\nmembers = ['a', 'b']\n"),
        ("a/Cargo.toml", "[package]\nname = 'a'\nversion = '1.0.0'\n"),
        ("a/src/main.rs", ""),
        ("b/Cargo.toml", "[package]\nname = 'b'\nversion = '1.0.0'\n"),
        ("b/src/main.rs", ""),
    ]);
    assert_eq!(left_out(project.0.path()).unwrap(), []);
    project.put("bosc.toml", "[publish]\npackage = 'a/Cargo.toml'\n");
    assert_eq!(project.labels(), ["a"]);
    let out: Vec<String> = left_out(project.0.path()).unwrap().into_iter().map(|c| c.label).collect();
    assert_eq!(out, ["b"]);
}

#[test]
fn links_have_names_of_their_own() {
    let (one, other) = (new_link_name("Höllo App!").unwrap(), new_link_name("Höllo App!").unwrap());
    assert!(one.starts_with("h-llo-app-") && one != other, "{one} {other}");
    assert!(new_link_name("こんにちは").unwrap().starts_with("app-"));
}

#[cfg(unix)]
#[test]
fn what_is_to_be_typed_next_can_be_typed() {
    let project = Project::new(&[ELECTRON]);
    let found = project.found();
    let of = |dir: &str| {
        next(&found, Path::new(dir), "pear://x", false).into_iter().find(|l| l.contains("publish")).unwrap()
    };
    assert_eq!(of("/a/b-1.c"), "bosc publish /a/b-1.c --copies 0");
    assert_eq!(of("/a/c 7 ü"), "bosc publish '/a/c 7 ü' --copies 0");
    assert_eq!(of("/a/it's;$x"), "bosc publish '/a/it'\\''s;$x' --copies 0");
}
