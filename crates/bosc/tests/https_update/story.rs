//! The application, the publisher and the user.

#[path = "../../../bosc-updater/tests/support/harness.rs"]
mod harness;
#[path = "../../../bosc-updater/tests/support/mod.rs"]
mod support;

use bosc_updater::install::{HealthPolicy, Installer, Options};
use bosc_updater::p2p::host;
use bosc_updater::{Event, Outcome, Program, PublicKey, Started, UpdateSource, Updater};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use support::{Cert, Server, answer, serve_file};

const MARK: &[u8] = b"\nBOSC-HTTPS-NOTE:";

pub(crate) fn main() {
    if let Some(note) = own_note() {
        std::process::exit(demo(&note));
    }
    let tests: &[(&str, fn())] = &[
        ("a_file_follows_a_manifest", || story(Shape::File)),
        ("a_folder_follows_a_manifest", || story(Shape::Folder)),
        ("an_appimage_follows_a_manifest", || story(Shape::AppImage)),
        ("bosc_watch_follows_a_manifest", watch),
        ("bosc_watch_fetches_what_it_is_told_to", tell_only),
        ("smoke_of_a_file_and_a_folder", smoke),
        ("smoke_says_what_is_wrong", smoke_says_what_is_wrong),
    ];
    harness::run(tests);
}

// --- the application ---

/// `[version, behaviour]`
fn own_note() -> Option<Vec<String>> {
    harness::own_note(MARK, 256)
}

fn demo(note: &[String]) -> i32 {
    let [version, behaviour] = note else { return 90 };
    if let Some(folder) = std::env::var_os("BOSC_UPDATER_SMOKE") {
        return smoked(version, behaviour, Path::new(&folder));
    }
    let home = PathBuf::from(std::env::args().nth(1).unwrap());
    let exe = std::env::current_exe().unwrap();
    if exe.extension().is_some_and(|e| e == "AppImage") {
        return appimage_runtime(&exe, &home);
    }
    let say = |what: &str| {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
        log.write_all(format!("{version} {what}\n").as_bytes()).unwrap();
    };
    say("started");
    if behaviour == "broken" {
        return 7;
    }
    let conf: Value = serde_json::from_slice(&fs::read(home.join("conf.json")).unwrap()).unwrap();
    let folder = conf["folder"] == true;
    let key = PublicKey::base64(conf["key"].as_str().unwrap());
    let source = UpdateSource::https(conf["url"].as_str().unwrap(), key)
        .certificates([fs::read(home.join("ca.der")).unwrap()])
        .bound_to("demo");
    let mut builder = Updater::builder("Demo", version.parse().unwrap(), source)
        .data_folder(home.join("data"))
        .delay(Duration::ZERO)
        .health(HealthPolicy::within(Duration::from_secs(10)));
    let mut program = Program::new().args([&home]);
    if folder {
        builder = builder.app(exe.ancestors().nth(2).unwrap());
        program = program.inside("bin/demo");
    }
    let updater = match builder.program(program.clone()).start() {
        Started::Running(updater) => updater,
        Started::RolledBack(failed) => {
            say("rolled back");
            failed.restart().unwrap();
            return 0;
        }
    };
    let events = updater.events();
    say(&format!("healthy {}", updater.mark_healthy().wait().unwrap()));
    let deadline = Instant::now() + Duration::from_secs(100);
    while Instant::now() < deadline && !home.join("stop").exists() {
        updater.check_now();
        match events.recv_timeout(Duration::from_millis(300)) {
            Some(Event::Updated(update)) => {
                say(&format!("updated {} {}", update.version(), update.notes().unwrap_or_default()));
                let applied = updater.apply_update().wait().unwrap();
                say(&format!("applied {}", applied.version));
                let outcome = updater.relaunch_and_watch(&program, &mut |_| true).unwrap();
                say(match &outcome {
                    Outcome::Healthy => "sees it healthy",
                    Outcome::RolledBack { .. } => "took it back",
                    _ => "sees something else",
                });
                return 0;
            }
            Some(Event::RolledBack { version: bad, .. }) => say(&format!("told of {bad}")),
            Some(Event::Error(e)) => say(&format!("error {:?}", e.kind())),
            _ => {}
        }
    }
    say("stopped");
    0
}

/// An application in a smoke test: it says that it works, or does not.
fn smoked(version: &str, behaviour: &str, folder: &Path) -> i32 {
    assert!(folder.join("installed").is_dir(), "it is told where");
    let exe = std::env::current_exe().unwrap();
    let app = if exe.ends_with("bin/demo") { exe.ancestors().nth(2).unwrap().to_owned() } else { exe };
    let installer = Installer::open(Options::new(app, version.parse().unwrap())).unwrap();
    installer.started(SystemTime::now()).unwrap();
    match behaviour {
        "broken" => return 7,
        "good" => drop(installer.mark_healthy(SystemTime::now()).unwrap()),
        _ => {}
    }
    std::thread::sleep(Duration::from_secs(40));
    0
}

/// What the runtime in an AppImage does: makes its content available elsewhere and starts that, with the file's own path in
/// the environment.
fn appimage_runtime(exe: &Path, home: &Path) -> i32 {
    let mount = home.join(format!("mount-{}", std::process::id()));
    fs::create_dir_all(mount.join("usr/bin")).unwrap();
    let inner = mount.join("usr/bin/demo");
    fs::copy(exe, &inner).unwrap();
    let error = Command::new(inner).arg(home).env("APPIMAGE", exe).env("APPDIR", mount).exec();
    panic!("{error}");
}

// --- the publisher and the user ---

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    File,
    Folder,
    AppImage,
}

impl Shape {
    fn name(self) -> &'static str {
        if self == Self::AppImage { "Demo.AppImage" } else { "Demo" }
    }

    fn executable(self, app: &Path) -> PathBuf {
        if self == Self::Folder { app.join("bin/demo") } else { app.to_owned() }
    }
}

struct World {
    _temp: tempfile::TempDir,
    root: PathBuf,
    server: Server,
    shape: Shape,
    key: String,
}

impl World {
    fn new(shape: Shape) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for dir in ["home", "installed", "deploy", "www"] {
            fs::create_dir(root.join(dir)).unwrap();
        }
        let www = root.join("www");
        let server =
            Server::start(Cert::Good, move |r| match fs::read(www.join(r.path.trim_start_matches('/'))) {
                Ok(bytes) => serve_file(r, &bytes),
                Err(_) => answer(404, &[], ""),
            });
        let key_file = root.join("key.json");
        bosc(&["updater", "keygen", "--output", key_file.to_str().unwrap()]);
        let pair: Value = serde_json::from_slice(&fs::read(&key_file).unwrap()).unwrap();
        let key = pair["public_key"].as_str().unwrap().to_owned();
        fs::write(root.join("home/ca.der"), &server.ca).unwrap();
        let conf = json!({ "url": server.url("/latest.json"), "key": key, "folder": shape == Shape::Folder });
        fs::write(root.join("home/conf.json"), conf.to_string()).unwrap();
        let world = Self { _temp: temp, root, server, shape, key };
        world.build(&world.app(), "1.0.0", "good");
        world
    }

    fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    fn app(&self) -> PathBuf {
        self.root.join("installed").join(self.shape.name())
    }

    /// Writes a build of a version.
    fn build(&self, app: &Path, version: &str, behaviour: &str) {
        let exe = self.shape.executable(app);
        fs::create_dir_all(exe.parent().unwrap()).unwrap();
        let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(format!("{version}|{behaviour}").as_bytes());
        fs::write(&exe, bytes).unwrap();
        fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
        if self.shape == Shape::Folder {
            fs::create_dir_all(app.join("share")).unwrap();
            fs::write(app.join("share/version"), version).unwrap();
        }
    }

    /// What a publisher does: the deployment directory, then the command.
    fn publish(&self, version: &str, behaviour: &str) {
        let deploy = self.root.join("deploy");
        let app = deploy.join("by-arch").join(host()).join("app").join(self.shape.name());
        let _ = fs::remove_dir_all(&app);
        self.build(&app, version, behaviour);
        fs::write(deploy.join("package.json"), json!({ "name": "demo", "version": version }).to_string())
            .unwrap();
        let notes = format!("# Changelog\n\n## v{version}\n\n- notes of {version}\n");
        fs::write(deploy.join("CHANGELOG.md"), notes).unwrap();
        let path = |p: &str| self.root.join(p).to_str().unwrap().to_owned();
        let base = self.server.url("");
        bosc(&[
            "updater",
            "manifest",
            &path("deploy"),
            "--out",
            &path("www"),
            "--url-base",
            &base,
            "--secret-key",
            &path("key.json"),
        ]);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home().join("log")).unwrap_or_default()
    }

    fn wait(&self, line: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.log().lines().filter(|l| *l == line).count() < times {
            assert!(Instant::now() < deadline, "{line:?} did not come {times} times:\n{}", self.log());
            assert!(fs::symlink_metadata(self.app()).is_ok(), "there is always an application");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn runs(&self, version: &str) -> bool {
        let bytes = fs::read(self.shape.executable(&self.app())).unwrap();
        bytes.ends_with(format!("{version}|good").as_bytes())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::write(self.home().join("stop"), "");
    }
}

fn bosc(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_bosc"))
        .args(args)
        .env_remove("BOSC_UPDATER_SECRET_KEY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn story(shape: Shape) {
    let world = World::new(shape);
    fs::create_dir(world.home().join("data")).unwrap();
    fs::write(world.home().join("data/letter.txt"), "dear reader").unwrap();
    let mut first = Command::new(shape.executable(&world.app()))
        .arg(world.home())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    world.wait("1.0.0 started", 1);

    world.publish("1.0.1", "good");
    world.wait("1.0.0 updated 1.0.1 - notes of 1.0.1", 1);
    world.wait("1.0.0 applied 1.0.1", 1);
    world.wait("1.0.1 healthy true", 1);
    world.wait("1.0.0 sees it healthy", 1);
    assert!(first.wait().unwrap().success());
    assert!(world.runs("1.0.1"));

    // The next one ends as soon as it starts. The code that installed it puts itself back.
    world.publish("1.0.2", "broken");
    world.wait("1.0.1 applied 1.0.2", 1);
    world.wait("1.0.2 started", 1);
    world.wait("1.0.1 took it back", 1);
    world.wait("1.0.1 started", 2);
    world.wait("1.0.1 told of 1.0.2", 1);
    assert!(world.runs("1.0.1"));
    // It is on offer still, and is not taken again.
    world.wait("1.0.1 error Refused", 1);
    let asked = world.server.asked("/latest.json");
    while world.server.asked("/latest.json") < asked + 3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(world.log().matches("1.0.1 applied 1.0.2").count(), 1);

    // The one that mends it is.
    world.publish("1.0.3", "good");
    world.wait("1.0.3 healthy true", 1);
    assert!(world.runs("1.0.3"));
    assert_eq!(fs::read_to_string(world.home().join("data/letter.txt")).unwrap(), "dear reader");
    if shape == Shape::Folder {
        assert_eq!(fs::read_to_string(world.app().join("share/version")).unwrap(), "1.0.3");
    }
    world.wait("1.0.1 sees it healthy", 1);
    fs::write(world.home().join("stop"), "").unwrap();
    world.wait("1.0.3 stopped", 1);
}

/// `bosc watch` of version 1.0.0.
fn watching(world: &World, flags: &[&str]) -> Child {
    let pem = world.root.join("ca.pem");
    let text = data_encoding::BASE64.encode(&world.server.ca);
    fs::write(&pem, format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_bosc"))
        .args(["--json", "watch", "--name", "Demo", "--version", "1.0.0", "--delay", "0"])
        .args(["--manifest-app", "demo", "--public-key", &world.key])
        .args(["--upgrade", &world.server.url("/latest.json")])
        .arg("--app")
        .arg(world.app())
        .arg("--dir")
        .arg(world.home().join("data"))
        .arg("--ca")
        .arg(&pem)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Download on request: what is said is answered with the word that `answer` gives for it. Returns the tags with their versions.
fn answered(mut child: Child, mut answer: impl FnMut(&str, &Value) -> &'static str) -> Vec<String> {
    let mut stdin = child.stdin.take().unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || std::io::BufRead::lines(out).try_for_each(|line| send.send(line.unwrap())));
    let mut said = Vec::new();
    while said.last().is_none_or(|last| last != "final") {
        let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) else {
            child.kill().unwrap();
            panic!("it says no more after {said:?}");
        };
        let line: Value = serde_json::from_str(&line).unwrap();
        let (tag, data) = (line["tag"].as_str().unwrap(), &line["data"]);
        stdin.write_all(answer(tag, data).as_bytes()).unwrap();
        let version = data["version"].as_str().unwrap_or_default();
        let told = format!("{tag} {version}");
        if !["progress", "updating-delta"].contains(&tag) {
            said.push(told.trim_end().to_owned());
        }
    }
    assert!(child.wait().unwrap().success());
    said
}

/// The person decides: nothing is fetched before, and what is skipped is not told of again.
fn tell_only() {
    let world = World::new(Shape::File);
    world.publish("1.0.1", "good");
    let artifacts = |version: &str| {
        let name = |e: fs::DirEntry| e.file_name().into_string().unwrap();
        let all = fs::read_dir(world.root.join("www")).unwrap().map(|e| name(e.unwrap()));
        all.filter(|name| name.contains(version))
            .map(|name| world.server.asked(&format!("/{name}")))
            .sum::<usize>()
    };
    let said = answered(watching(&world, &["--tell-only"]), |tag, data| match tag {
        "available" => {
            assert_eq!((&data["notes"], &data["mandatory"]), (&json!("- notes of 1.0.1"), &json!(false)));
            assert!(data["size"].as_u64().unwrap() > 1_000_000, "{data}");
            "download 7.7.7\n"
        }
        "error" => {
            assert_eq!(data["code"], "ERR_REFUSED", "{data}");
            "skip 1.0.1\n"
        }
        "skipped" => "quit\n",
        _ => "",
    });
    assert_eq!(said, ["available 1.0.1", "error", "skipped 1.0.1", "final"]);
    assert_eq!(artifacts("1.0.1"), 0);

    world.publish("1.0.2", "good");
    let said = answered(watching(&world, &["--tell-only"]), |tag, _| match tag {
        "available" => {
            assert_eq!(artifacts("1.0.2"), 0);
            "download\n"
        }
        "updated" => {
            assert!(world.runs("1.0.0"), "not before it is told to");
            "apply 1.0.2\n"
        }
        "applied" => "quit\n",
        _ => "",
    });
    assert_eq!(said, ["available 1.0.2", "updating 1.0.2", "updated 1.0.2", "applied 1.0.2", "final"]);
    assert!(world.runs("1.0.2"));
}

/// The same client as a child process: any language can do that.
fn watch() {
    let world = World::new(Shape::File);
    world.publish("1.0.1", "good");
    let mut child = watching(&world, &[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut said = Vec::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())) {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (tag, data) = (line["tag"].as_str().unwrap().to_owned(), &line["data"]);
        match tag.as_str() {
            "updated" => {
                assert_eq!(data["version"], "1.0.1");
                assert!(data["link"].as_str().unwrap().starts_with("https://localhost:"), "{data}");
                assert!(data["received"].as_u64().unwrap() > 1_000_000, "{data}");
                assert!(world.runs("1.0.0"), "not before it is told to");
                stdin.write_all(b"apply\n").unwrap();
            }
            "applied" => stdin.write_all(b"quit\n").unwrap(),
            _ => {}
        }
        if said.last() != Some(&tag) {
            said.push(tag);
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(world.runs("1.0.1"));
    for tag in ["updating", "progress", "updating-delta", "updated", "applied"] {
        assert!(said.iter().any(|t| t == tag), "{tag}: {said:?}");
    }
}

fn smoke_of(shape: Shape, new: (&str, &str), flags: &[&str]) -> (Option<i32>, Vec<Value>) {
    let world = World::new(shape);
    let path = world.root.join("new").join(shape.name());
    world.build(&path, new.0, new.1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
    command.args(["--json", "updater", "smoke", "--health", "3"]).args(flags);
    command.arg("--old").arg(world.app()).arg("--new").arg(path);
    if shape == Shape::Folder {
        command.args(["--inside", "bin/demo"]);
    }
    let temp = world.root.join("temp");
    fs::create_dir(&temp).unwrap();
    let output = command.env("TMPDIR", &temp).stdin(Stdio::null()).output().unwrap();
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0, "nothing is left");
    assert!(world.runs("1.0.0"), "what was given is not touched");
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

fn steps(lines: &[Value]) -> Vec<String> {
    let step = |l: &Value| l["data"]["step"].as_str().map(str::to_owned);
    lines.iter().filter(|l| l["tag"] == "step").filter_map(step).collect()
}

fn smoke() {
    for shape in [Shape::File, Shape::Folder] {
        let (code, lines) = smoke_of(shape, ("1.0.1", "good"), &[]);
        assert_eq!(code, Some(0), "{lines:?}");
        let after = ["broken", "rolled-back", "refused"];
        let all =
            [&["installed", "old-runs", "applied", "healthy", "committed"][..], &after, &after].concat();
        assert_eq!(steps(&lines), all);
        let reasons: Vec<_> = lines.iter().filter_map(|l| l["data"]["reason"].as_str()).collect();
        assert_eq!(reasons, ["cannot-start", "crashed"]);
        assert_eq!(lines.last().unwrap()["tag"], "final");
    }
    // One that believes it is another version than the release: it works, and the publisher learns of it.
    let (code, lines) = smoke_of(Shape::File, ("1.0.1", "good"), &["--new-version", "1.1.0"]);
    assert_eq!(code, Some(0), "{lines:?}");
    let mismatch: Vec<_> = lines.iter().filter(|l| l["tag"] == "version-mismatch").collect();
    assert_eq!(mismatch.len(), 1, "{lines:?}");
    assert_eq!(mismatch[0]["data"], json!({ "release": "1.1.0", "running": "1.0.1" }));
    // One that does not say it, but lives.
    let (code, lines) = smoke_of(Shape::File, ("1.0.1", "silent"), &["--alive", "0.5"]);
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(lines.iter().any(|l| l["data"]["by"] == "alive"), "{lines:?}");
}

fn smoke_says_what_is_wrong() {
    let cases = [
        ("1.0.1", "broken", &[][..], "did not become healthy: crashed"),
        ("1.0.1", "silent", &[], "did not become healthy: silent"),
        ("1.0.1", "good", &["--new-version", "0.9.0"], "is not newer"),
        ("1.0.1", "good", &["--old-version", "one"], "is not of the form"),
    ];
    for (version, behaviour, flags, text) in cases {
        let (code, lines) = smoke_of(Shape::File, (version, behaviour), flags);
        assert_ne!(code, Some(0), "{flags:?} {behaviour}");
        let error = lines.last().unwrap();
        assert_eq!(error["tag"], "error", "{lines:?}");
        assert!(error["data"]["message"].as_str().unwrap().contains(text), "{error}");
        assert!(error["data"]["hint"].as_str().is_some_and(|h| !h.is_empty()), "{error}");
    }
}
