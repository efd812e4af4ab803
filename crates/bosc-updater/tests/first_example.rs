//! The first example of the documentation as an application: the very text, with this test's server in place of the link and
//! this test's version in place of the package's. Every build is a copy of this program with a note at its end that says which
//! version it is and how it behaves; it is started, closed and started again as a person does.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    // The example is for editions without let chains, and reads as one would write it.
    clippy::collapsible_match
)]

#[path = "support/harness.rs"]
mod harness;
mod support;

use bosc_updater::install::{Installer, Options, Status};
use bosc_updater::{PublicKey, Started, UpdateError, UpdateSource, Updater};
use semver::Version;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Cert, Server, Signing, answer, serve_file};

const MARK: &[u8] = b"\nBOSC-FIRST-EXAMPLE:";

/// The example as it is printed.
mod first {
    /// What the example imports: the crate, but for what names a publisher.
    mod bosc_updater {
        pub use ::bosc_updater::*;

        pub struct UpdateSource;

        impl UpdateSource {
            pub fn pear(_: &str) -> ::bosc_updater::UpdateSource {
                crate::source()
            }
        }

        macro_rules! package_version {
            () => {
                crate::own_version()
            };
        }
        pub(crate) use package_version;
    }

    use crate::open_window;

    include!("../src/doc/first.rs");

    pub fn run() -> Result<(), ::bosc_updater::UpdateError> {
        main()
    }
}

/// The example that asks.
mod ask {
    use crate::{ask, say as tell};

    include!("../src/doc/ask.rs");

    pub fn run(updater: &::bosc_updater::Updater) -> bool {
        ask_about_updates(updater)
    }
}

fn main() {
    if own_note().is_some() {
        std::process::exit(application());
    }
    let tests: &[(&str, fn())] = &[
        ("an_update_is_put_in_place_at_quit", an_update_is_put_in_place_at_quit),
        ("a_build_that_does_not_work_is_rolled_back", a_build_that_does_not_work_is_rolled_back),
        ("a_second_instance_is_an_application_as_well", a_second_instance_is_an_application_as_well),
        ("a_source_that_is_broken_ends_nothing", a_source_that_is_broken_ends_nothing),
        ("a_restart_keeps_arguments_folder_and_environment", a_restart_keeps_what_it_was_started_with),
        ("an_idle_updater_does_not_wake", an_idle_updater_does_not_wake),
    ];
    harness::run(tests);
}

// --- the application ---

/// `[version, behaviour, home]`
fn own_note() -> Option<Vec<String>> {
    harness::own_note(MARK, 1024)
}

fn note(part: usize) -> String {
    own_note().unwrap()[part].clone()
}

fn home() -> PathBuf {
    note(2).into()
}

fn own_version() -> Version {
    note(0).parse().unwrap()
}

fn source() -> UpdateSource {
    let conf: Value = serde_json::from_slice(&fs::read(home().join("conf.json")).unwrap()).unwrap();
    let key = PublicKey::base64(conf["key"].as_str().unwrap());
    let source = UpdateSource::https(conf["url"].as_str().unwrap(), key);
    source.certificates([fs::read(home().join("ca.der")).unwrap()])
}

fn say(line: &str) {
    let mut log = fs::OpenOptions::new().create(true).append(true).open(home().join("log")).unwrap();
    log.write_all(format!("{} {line}\n", note(0)).as_bytes()).unwrap();
}

fn ask(question: &str) -> bool {
    say(question);
    true
}

struct Window;

/// What the application did before it had an updater.
fn open_window() -> Window {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = std::env::current_dir().unwrap();
    let word = std::env::var("BOSC_TEST_WORD").unwrap_or_default();
    say(&format!("opens {} in {} with {word}", args.join(","), folder.file_name().unwrap().display()));
    if note(1) == "broken" {
        std::process::exit(7);
    }
    Window
}

impl Window {
    fn run_until_closed(self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !home().join("close").exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// An application that asks, and restarts at once.
fn restarts() -> Result<(), UpdateError> {
    let updater = match Updater::builder("Demo", own_version(), source()).start() {
        Started::Running(updater) => updater,
        Started::RolledBack(failed) => return failed.restart(),
    };
    let window = open_window();
    updater.mark_healthy();
    let closed = updater.clone();
    std::thread::spawn(move || {
        window.run_until_closed();
        closed.close();
    });
    if ask::run(&updater) {
        let outcome = updater.restart()?;
        say(&format!("{outcome:?}"));
    }
    Ok(())
}

fn application() -> i32 {
    let done = if note(1) == "asks" { restarts() } else { first::run() };
    match done {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("{e:?}");
            1
        }
    }
}

// --- the publisher and the person ---

struct World {
    _temp: tempfile::TempDir,
    root: PathBuf,
    server: Server,
    manifest: Arc<Mutex<Option<String>>>,
    offered: Arc<Mutex<Vec<u8>>>,
}

impl World {
    fn new(behaviour: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for dir in ["home/work", "installed", "config"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        let manifest = Arc::<Mutex<Option<String>>>::default();
        let offered = Arc::<Mutex<Vec<u8>>>::default();
        let (text, bytes) = (Arc::clone(&manifest), Arc::clone(&offered));
        let server = Server::start(Cert::Good, move |r| match (r.path.as_str(), &*text.lock().unwrap()) {
            ("/m.json", Some(text)) => answer(200, &[], text.clone()),
            ("/app", _) => serve_file(r, &bytes.lock().unwrap()),
            _ => answer(404, &[], ""),
        });
        fs::write(root.join("home/ca.der"), &server.ca).unwrap();
        let world = Self { _temp: temp, root, server, manifest, offered };
        world.conf(&world.server.url("/m.json"), &Signing::new(7).public());
        let app = world.app();
        fs::write(&app, world.build("1.0.0", behaviour)).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&app, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        world
    }

    fn conf(&self, url: &str, key: &str) {
        fs::write(self.home().join("conf.json"), json!({ "url": url, "key": key }).to_string()).unwrap();
    }

    fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    fn app(&self) -> PathBuf {
        self.root.join("installed").join(format!("Demo{}", std::env::consts::EXE_SUFFIX))
    }

    fn build(&self, version: &str, behaviour: &str) -> Vec<u8> {
        let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(format!("{version}|{behaviour}|{}", self.home().display()).as_bytes());
        bytes
    }

    fn publish(&self, version: &str, behaviour: &str) {
        let bytes = self.build(version, behaviour);
        let manifest = Signing::new(7).manifest(version, &self.server.url("/app"), &bytes);
        *self.offered.lock().unwrap() = bytes;
        *self.manifest.lock().unwrap() = Some(manifest.to_string());
    }

    fn start(&self) -> Child {
        let _ = fs::remove_file(self.home().join("close"));
        let config = self.root.join("config");
        Command::new(self.app())
            .args(["--flag", "a b"])
            .current_dir(self.home().join("work"))
            .env("BOSC_TEST_WORD", "word")
            // The data folder is the default one.
            .envs(["XDG_CONFIG_HOME", "HOME", "LOCALAPPDATA"].map(|name| (name, config.as_os_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Closes every window.
    fn close(&self, children: impl IntoIterator<Item = Child>) -> Vec<ExitStatus> {
        fs::write(self.home().join("close"), "").unwrap();
        children.into_iter().map(|mut child| child.wait().unwrap()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home().join("log")).unwrap_or_default()
    }

    fn wait(&self, line: &str, times: usize) {
        self.until(line, || self.log().lines().filter(|l| *l == line).count() >= times);
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < deadline, "{what} did not come:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn holds(&self, version: &str) -> bool {
        let tail = fs::read(self.app()).unwrap();
        let tail = String::from_utf8_lossy(&tail[tail.len() - 512..]).into_owned();
        tail.rsplit(':').next().unwrap().starts_with(&format!("{version}|"))
    }

    fn status(&self) -> Status {
        let installer = Installer::open(Options::new(self.app(), Version::new(0, 0, 1))).unwrap();
        installer.status().unwrap()
    }

    /// A person works until the update is here, and closes the application: as often as it takes for the place to hold it.
    fn work_until(&self, version: &str) {
        for _ in 0..20 {
            let child = self.start();
            let asked = self.server.asked("/m.json");
            self.until("a look at the manifest", || self.server.asked("/m.json") > asked);
            let staging =
                self.root.join("installed").join(format!(".{}.bosc", name(&self.app()))).join("staging");
            let whole = self.offered.lock().unwrap().len() as u64;
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && !files(&staging).iter().any(|size| *size >= whole) {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(500));
            let ended = self.close([child]);
            assert!(ended[0].success(), "{ended:?}");
            if self.holds(version) {
                return;
            }
        }
        panic!("{version} was not put in place:\n{}", self.log());
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Sizes of the files below a folder.
fn files(folder: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let sizes = entries.flatten().filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        Some(if meta.is_dir() { files(&entry.path()) } else { vec![meta.len()] })
    });
    sizes.flatten().collect()
}

/// A file of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| match entry.file_name() == name {
        true => Some(entry.path()),
        false => find(&entry.path(), name),
    })
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::write(self.home().join("close"), "");
    }
}

const OPENS: &str = "opens --flag,a b in work with word";

fn an_update_is_put_in_place_at_quit() {
    let world = World::new("first");
    world.publish("1.0.1", "first");
    world.work_until("1.0.1");
    assert!(matches!(world.status(), Status::Trial { .. }), "nobody started it yet");
    assert!(!world.log().contains("1.0.1"), "it is not started either");
    // The data folder is the default one.
    let data: Vec<OsString> =
        fs::read_dir(world.root.join("config")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!data.is_empty());
    let child = world.start();
    world.wait(&format!("1.0.1 {OPENS}"), 1);
    world.until("it is healthy", || matches!(world.status(), Status::Settled { previous: Some(_) }));
    assert!(world.close([child])[0].success());
    assert!(world.holds("1.0.1"));
}

fn a_build_that_does_not_work_is_rolled_back() {
    let world = World::new("first");
    world.publish("1.0.1", "broken");
    world.work_until("1.0.1");
    // It ends in an error as often as it is started; at the next start it gives way, and what it was started with is handed on.
    for n in 1..=3 {
        let ended = world.start().wait().unwrap();
        assert_eq!(ended.code(), Some(7), "start {n}");
        assert!(world.holds("1.0.1"));
    }
    let before = world.log().matches(&format!("1.0.0 {OPENS}")).count();
    let asked = world.server.asked("/m.json");
    assert!(world.start().wait().unwrap().success());
    assert!(world.holds("1.0.0"));
    world.wait(&format!("1.0.0 {OPENS}"), before + 1);
    // Nobody here started that one: it has ended when it looks for updates no more.
    world.until("a look at the manifest", || world.server.asked("/m.json") > asked);
    world.close([]);
    let instance = find(&world.root.join("config"), "INSTANCE").unwrap();
    world.until("its end", || fs::File::open(&instance).unwrap().try_lock().is_ok());
    assert_eq!(
        world.log().matches(&format!("1.0.1 {OPENS}")).count(),
        3,
        "the fourth start opened no window"
    );
    // It is on offer still, and is not taken again.
    let asked = world.server.asked("/m.json");
    let child = world.start();
    world.until("a look at the manifest", || world.server.asked("/m.json") > asked);
    std::thread::sleep(Duration::from_millis(500));
    assert!(world.close([child])[0].success());
    assert!(world.holds("1.0.0"));
    // The one that mends it is.
    world.publish("1.0.2", "first");
    world.work_until("1.0.2");
}

fn a_second_instance_is_an_application_as_well() {
    let world = World::new("first");
    let first = world.start();
    world.wait(&format!("1.0.0 {OPENS}"), 1);
    world.until("a look at the manifest", || world.server.asked("/m.json") > 0);
    let second = world.start();
    world.wait(&format!("1.0.0 {OPENS}"), 2);
    std::thread::sleep(Duration::from_millis(500));
    assert!(world.close([first, second]).iter().all(ExitStatus::success));
    assert!(world.holds("1.0.0"));
    // And an update still comes to whoever looks.
    world.publish("1.0.1", "first");
    world.work_until("1.0.1");
}

fn a_source_that_is_broken_ends_nothing() {
    let world = World::new("first");
    let key = Signing::new(7).public();
    for (url, key) in [
        ("", key.as_str()),
        ("nonsense", &key),
        ("https://localhost:1/m.json", &key),
        ("http://localhost/m.json", &key),
        (&world.server.url("/gone.json"), &key),
        (&world.server.url("/m.json"), "no key"),
    ] {
        world.conf(url, key);
        let before = world.log().lines().count();
        let child = world.start();
        world.until(url, || world.log().lines().count() > before);
        std::thread::sleep(Duration::from_millis(100));
        assert!(world.close([child])[0].success(), "{url} {key}");
    }
    // A data folder that is none.
    world.conf(&world.server.url("/m.json"), &key);
    fs::remove_dir_all(world.root.join("config")).unwrap();
    fs::write(world.root.join("config"), "x").unwrap();
    let before = world.log().lines().count();
    let child = world.start();
    world.until("it opens", || world.log().lines().count() > before);
    assert!(world.close([child])[0].success());
    assert_eq!(world.log().lines().count(), 7);
    assert!(world.log().lines().all(|line| line == format!("1.0.0 {OPENS}")), "{}", world.log());
}

fn a_restart_keeps_what_it_was_started_with() {
    let world = World::new("asks");
    world.publish("1.0.1", "first");
    let mut child = world.start();
    assert!(child.wait().unwrap().success(), "{}", world.log());
    world.wait(&format!("1.0.1 {OPENS}"), 1);
    world.wait("1.0.0 Healthy", 1);
    let told: Vec<String> = world.log().lines().map(str::to_owned).collect();
    assert_eq!(told[1], "1.0.0 Version 1.0.1 is ready. Restart?", "{told:?}");
    assert!(world.holds("1.0.1"));
    // A build that does not work is gone when the old one returns from `restart`, and the old one runs again.
    let world = World::new("asks");
    world.publish("1.0.1", "broken");
    let mut child = world.start();
    world.wait(&format!("1.0.1 {OPENS}"), 1);
    world.wait(&format!("1.0.0 {OPENS}"), 2);
    *world.manifest.lock().unwrap() = None;
    assert!(child.wait().unwrap().success(), "{}", world.log());
    assert!(world.log().contains("1.0.0 RolledBack {"), "{}", world.log());
    world.wait("1.0.0 1.0.1 did not work; 1.0.0 is back.", 1);
    assert!(world.holds("1.0.0"));
}

/// The updater's thread sleeps until something is due or somebody calls.
fn an_idle_updater_does_not_wake() {
    let world = World::new("first");
    let source =
        UpdateSource::https(world.server.url("/m.json"), PublicKey::base64(Signing::new(7).public()))
            .certificates([world.server.ca.clone()]);
    let started = Updater::builder("Demo", Version::new(1, 0, 0), source)
        .app(world.app())
        .data_folder(world.root.join("data"))
        .start();
    let Started::Running(updater) = started else { panic!("{started:?}") };
    // What it looks at is missing, so that is told; then it is at rest until the next look.
    assert!(updater.check().wait().is_err());
    std::thread::sleep(Duration::from_millis(500));
    let Some(before) = switches() else {
        println!("not measured: this system does not say how often a thread woke");
        return;
    };
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(switches().unwrap() - before, 0);
    updater.close();
}

/// How often the updater's thread gave up the processor; `None` where the system does not say.
fn switches() -> Option<u64> {
    let mut all = None;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        if fs::read_to_string(task.path().join("comm")).ok()?.trim() == "bosc-updater" {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
            all = Some(all.unwrap_or(0) + line.split_whitespace().nth(1)?.parse::<u64>().ok()?);
        }
    }
    all
}
