//! Updates with real processes. Every build is a copy of this very program with a note at its end that says which version
//! it is and how it behaves; so the tests need no compiler and run wherever the crate does.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/harness.rs"]
mod harness;

use bosc_updater::ErrorKind;
use bosc_updater::health::{Outcome, Program, WatchEvent, relaunch, watch};
use bosc_updater::install::{HealthPolicy, Installer, Options, Reason, StartState, Status, contents_of};
use bosc_updater::release::{Release, ReleaseId, Staged};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

const MARK: &[u8] = b"BOSC-FIXTURE-NOTE:";
const NOTE: usize = 2048;

fn main() {
    if let Some(note) = own_note() {
        std::process::exit(fixture(&note));
    }
    let tests: &[(&str, fn())] = &[
        ("a_healthy_build_stays", a_healthy_build_stays),
        ("a_build_that_is_no_program_goes", a_build_that_is_no_program_goes),
        ("a_build_that_lacks_a_library_goes", a_build_that_lacks_a_library_goes),
        ("a_build_that_exits_at_once_goes", a_build_that_exits_at_once_goes),
        ("a_build_that_aborts_goes", a_build_that_aborts_goes),
        ("a_build_that_is_silent_goes", a_build_that_is_silent_goes),
        ("a_build_that_ends_in_a_loop_goes", a_build_that_ends_in_a_loop_goes),
        ("a_build_that_was_closed_stays_on_trial", a_build_that_was_closed_stays_on_trial),
        ("a_build_that_somebody_ended_stays_on_trial", a_build_that_somebody_ended_stays_on_trial),
        ("a_build_that_ends_at_once_is_started_once_more", a_build_that_ends_at_once_is_started_once_more),
        ("a_program_named_as_its_folder_is_found", a_program_named_as_its_folder_is_found),
        ("a_build_that_needs_longer_says_so", a_build_that_needs_longer_says_so),
        ("without_a_watcher_the_journal_decides", without_a_watcher_the_journal_decides),
        ("a_folder_is_watched_like_a_file", a_folder_is_watched_like_a_file),
        ("the_policy_may_leave_a_bad_build", the_policy_may_leave_a_bad_build),
        ("a_relaunched_program_gets_its_arguments", a_relaunched_program_gets_its_arguments),
    ];
    let secrets = bosc_updater::secrets::VARIABLES;
    if secrets.iter().any(|name| std::env::var_os(name).is_none()) {
        // Started again with a publisher's environment, which no application is to see.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(std::env::args().skip(1)).envs(secrets.map(|name| (name, "secret")));
        std::process::exit(again.status().unwrap().code().unwrap_or(1));
    }
    harness::run(tests);
}

// --- the builds ---

/// `[version, behaviour, target, log]`
fn own_note() -> Option<Vec<String>> {
    harness::own_note(MARK, NOTE)
}

fn log(path: &str, line: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn fixture(note: &[String]) -> i32 {
    let [version, behaviour, target, path] = note else { return 90 };
    let say = |what: &str| log(path, &format!("{version} {what}"));
    match behaviour.as_str() {
        "exit1" => {
            say("exits");
            return 1;
        }
        "abort" => {
            say("aborts");
            std::process::abort();
        }
        "args" => {
            let args: Vec<String> = std::env::args().skip(1).collect();
            #[cfg(unix)]
            let apart = rustix::process::getpgrp() == rustix::process::getpid();
            #[cfg(not(unix))]
            let apart = true;
            let secrets =
                bosc_updater::secrets::VARIABLES.iter().filter(|name| std::env::var_os(name).is_some());
            say(&format!(
                "{} apart={apart} {} secrets={}",
                args.join(","),
                std::env::var("BOSC_TEST_WORD").unwrap_or_default(),
                secrets.count()
            ));
            return 0;
        }
        "single" if !Path::new(&format!("{path}.first")).exists() => {
            fs::write(format!("{path}.first"), "").unwrap();
            return 0;
        }
        #[cfg(unix)]
        "launches" if std::env::var_os("BOSC_TEST_INNER").is_none() => {
            let exe = std::env::current_exe().unwrap();
            // A launcher ends before what it started.
            #[allow(clippy::zombie_processes)]
            let _child = Command::new(exe).env("BOSC_TEST_INNER", "1").spawn().unwrap();
            return 0;
        }
        _ => {}
    }
    let mut options = Options::new(target, version.parse().unwrap());
    options.health = policy(2);
    let installer = Installer::open(options).unwrap();
    let started = installer.started(SystemTime::now()).unwrap();
    if let Some(news) = &started.news {
        say(&format!("news {} {}", news.bad.version, news.reason.as_str()));
    }
    match started.state {
        StartState::RolledBack(rolled_back) => {
            say(&format!("leaves for {} watched={}", rolled_back.restored.version, started.watched));
            return 0;
        }
        StartState::Trial { start, .. } => say(&format!("trial {start}")),
        StartState::Settled => say("settled"),
    }
    match behaviour.as_str() {
        "healthy" | "single" | "launches" => {
            std::thread::sleep(Duration::from_millis(200));
            say(&format!("healthy {}", installer.mark_healthy(SystemTime::now()).unwrap()));
            0
        }
        // As a migration of data that takes longer than the window and its grace.
        "migrates" => {
            for _ in 0..4 {
                assert!(installer.starting(SystemTime::now()).unwrap());
                std::thread::sleep(Duration::from_millis(1200));
            }
            say(&format!("healthy {}", installer.mark_healthy(SystemTime::now()).unwrap()));
            0
        }
        #[cfg(unix)]
        "terminated" => {
            use rustix::process::{Signal, getpid, kill_process};
            kill_process(getpid(), Signal::TERM).unwrap();
            std::thread::sleep(Duration::from_secs(30));
            0
        }
        "exit3" => 3,
        "close" => 0,
        // Until it is ended, and at most so long that nothing is left of it.
        "hang" => {
            std::thread::sleep(Duration::from_secs(30));
            0
        }
        _ => 91,
    }
}

// --- the tests' side ---

fn policy(threshold: u32) -> HealthPolicy {
    let mut policy = HealthPolicy::within(Duration::from_secs(2));
    policy.threshold = threshold;
    policy
}

struct App {
    _dir: tempfile::TempDir,
    dir: PathBuf,
    folder: bool,
}

impl App {
    /// 1.0.0 is installed.
    fn new(folder: bool) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = if cfg!(windows) { temp.path().to_owned() } else { fs::canonicalize(temp.path()).unwrap() };
        let app = Self { _dir: temp, dir, folder };
        app.build(&app.target(), "1.0.0", "tell");
        app
    }

    fn target(&self) -> PathBuf {
        self.dir.join(if self.folder { "App" } else { "App.exe" })
    }

    fn program(&self) -> Program {
        if self.folder { Program::new().inside("bin/app.exe") } else { Program::new() }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the log says it.
    fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.log().lines().any(|l| l == line) {
            assert!(Instant::now() < deadline, "{line:?} did not come: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn executable(&self, root: &Path) -> PathBuf {
        if self.folder { root.join("bin/app.exe") } else { root.to_owned() }
    }

    /// Makes a build that behaves in some way.
    fn build(&self, root: &Path, version: &str, behaviour: &str) {
        let path = self.executable(root);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = match behaviour {
            "garbage" => vec![b'?'; 5000],
            _ => fs::read(std::env::current_exe().unwrap()).unwrap(),
        };
        if behaviour == "no-library" {
            let name = b"libc.so.6\0";
            let mut at = 0;
            while let Some(found) = bytes[at..].windows(name.len()).position(|w| w == name) {
                bytes[at + found + 8] = b'?';
                at += found + 1;
            }
            assert!(at > 0, "this program needs no libc");
        }
        let note = format!("{version}|{behaviour}|{}|{}", self.target().display(), self.log_path().display());
        let mut note = [MARK, note.as_bytes()].concat();
        note.resize(NOTE, b' ');
        bytes.extend_from_slice(&note);
        fs::write(&path, bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn installer(&self, threshold: u32) -> Installer {
        let mut options = Options::new(self.target(), "1.0.0".parse().unwrap());
        options.health = policy(threshold);
        Installer::open(options).unwrap()
    }

    fn release(&self) -> Release {
        Release {
            version: "1.0.1".parse().unwrap(),
            id: ReleaseId([7; 32]),
            origin: "https://example.test/".into(),
            notes: None,
            size: None,
        }
    }

    /// Installs 1.0.1, as the process that runs the old code would.
    fn install(&self, installer: &Installer, behaviour: &str) {
        let path = installer.staging().unwrap().join("build");
        self.build(&path, "1.0.1", behaviour);
        let staged = Staged { release: self.release(), contents: contents_of(&path).unwrap(), path };
        installer.install(&staged, SystemTime::now()).unwrap();
    }

    /// Installs and watches.
    fn update(&self, behaviour: &str, threshold: u32) -> (Outcome, Vec<WatchEvent>) {
        let old = contents_of(&self.target()).unwrap();
        let installer = self.installer(threshold);
        self.install(&installer, behaviour);
        assert_ne!(contents_of(&self.target()).unwrap(), old);
        let mut events = Vec::new();
        let outcome = watch(&installer, &self.program(), &mut |event| {
            if event != WatchEvent::Waiting {
                events.push(event);
            }
            true
        })
        .unwrap();
        if matches!(outcome, Outcome::RolledBack { .. }) {
            assert_eq!(contents_of(&self.target()).unwrap(), old, "the old build is back, every byte");
            let again = installer.admit(&self.release(), SystemTime::now()).unwrap();
            assert!(format!("{again:?}").starts_with("Rejected"), "{again:?}");
        }
        (outcome, events)
    }

    fn expect_rolled_back(&self, behaviour: &str, threshold: u32, expected: Reason) -> Vec<WatchEvent> {
        let (outcome, events) = self.update(behaviour, threshold);
        let Outcome::RolledBack { rolled_back, restarted } = outcome else { panic!("{outcome:?}") };
        assert_eq!(rolled_back.reason, expected);
        assert_eq!(rolled_back.bad.version.to_string(), "1.0.1");
        assert!(restarted.is_some());
        self.wait_for(&format!("1.0.0 news 1.0.1 {}", expected.as_str()));
        self.wait_for("1.0.0 settled");
        events
    }
}

fn a_healthy_build_stays() {
    let app = App::new(false);
    let (outcome, _) = app.update("healthy", 2);
    assert_eq!(outcome, Outcome::Healthy);
    let installer = app.installer(2);
    assert_eq!(installer.floor().unwrap().version, Some("1.0.1".parse().unwrap()));
    let Status::Settled { previous: Some(previous) } = installer.status().unwrap() else { panic!() };
    assert_eq!(previous.version.to_string(), "1.0.0");
    app.wait_for("1.0.1 healthy true");
    // It can still be rolled back by hand.
    let rolled_back = installer.roll_back(Reason::Asked, SystemTime::now()).unwrap();
    assert_eq!(rolled_back.restored.version.to_string(), "1.0.0");
}

fn a_build_that_is_no_program_goes() {
    // Under emulation a garbage file is one the system cannot start as well.
    let events = App::new(false).expect_rolled_back("garbage", 5, Reason::CannotStart);
    assert!(events.is_empty(), "there is no use in trying that again: {events:?}");
}

fn a_build_that_lacks_a_library_goes() {
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        App::new(false).expect_rolled_back("no-library", 2, Reason::Crashed);
    }
}

fn a_build_that_exits_at_once_goes() {
    let app = App::new(false);
    app.expect_rolled_back("exit1", 2, Reason::Crashed);
    app.wait_for("1.0.1 exits");
}

fn a_build_that_aborts_goes() {
    App::new(false).expect_rolled_back("abort", 2, Reason::Crashed);
}

fn a_build_that_is_silent_goes() {
    App::new(false).expect_rolled_back("hang", 2, Reason::Silent);
}

fn a_build_that_ends_in_a_loop_goes() {
    let app = App::new(false);
    let events = app.expect_rolled_back("exit1", 4, Reason::Crashed);
    assert_eq!(app.log().matches("1.0.1 exits").count(), 3, "{}", app.log());
    assert_eq!(events.iter().filter(|e| matches!(e, WatchEvent::Again(_))).count(), 2);
}

fn a_build_that_was_closed_stays_on_trial() {
    let app = App::new(false);
    let (outcome, _) = app.update("close", 2);
    assert_eq!(outcome, Outcome::Closed);
    let Status::Trial { starts, .. } = app.installer(2).status().unwrap() else { panic!() };
    assert_eq!(starts, 0, "a start that the person ended does not count");
    // An update over it has to wait.
    let installer = app.installer(2);
    let path = installer.staging().unwrap().join("build");
    app.build(&path, "1.0.2", "healthy");
    let mut release = app.release();
    release.version = "1.0.2".parse().unwrap();
    let staged = Staged { release, contents: contents_of(&path).unwrap(), path };
    assert_eq!(installer.install(&staged, SystemTime::now()).unwrap_err().kind(), ErrorKind::Busy);
}

fn a_build_that_somebody_ended_stays_on_trial() {
    if cfg!(unix) {
        let app = App::new(false);
        // A logout ends what it finds: nothing is known of the build.
        for _ in 0..5 {
            let (outcome, events) = match app.installer(2).status().unwrap() {
                Status::Settled { .. } => app.update("terminated", 2),
                Status::Trial { .. } => {
                    (watch(&app.installer(2), &app.program(), &mut |_| true).unwrap(), Vec::new())
                }
            };
            assert_eq!(outcome, Outcome::Closed);
            assert!(!events.iter().any(|e| matches!(e, WatchEvent::Again(_))));
        }
        let Status::Trial { starts, .. } = app.installer(2).status().unwrap() else { panic!() };
        assert_eq!(starts, 0);
    }
}

/// As an application that runs only once: the first start finds the old instance.
fn a_build_that_ends_at_once_is_started_once_more() {
    let app = App::new(false);
    let (outcome, events) = app.update("single", 2);
    assert_eq!(outcome, Outcome::Healthy, "{}", app.log());
    assert_eq!(events.iter().filter(|e| **e == WatchEvent::EndedAtOnce).count(), 1, "{events:?}");
    assert_eq!(events.iter().filter(|e| matches!(e, WatchEvent::Started(_))).count(), 2, "{events:?}");
    // What ends so each time was closed.
    let app = App::new(false);
    let (outcome, events) = app.update("close", 2);
    assert_eq!(outcome, Outcome::Closed);
    assert_eq!(events.iter().filter(|e| **e == WatchEvent::EndedAtOnce).count(), 1, "{events:?}");
    // A launcher ends so while the application goes on.
    if cfg!(unix) {
        let app = App::new(false);
        let (outcome, events) = app.update("launches", 2);
        assert_eq!(outcome, Outcome::Healthy, "{}", app.log());
        assert!(!events.contains(&WatchEvent::EndedAtOnce), "{events:?}");
    }
}

fn a_program_named_as_its_folder_is_found() {
    let app = App::new(true);
    let bin = app.target().join("bin");
    // On Windows it has the folder's name already.
    fs::rename(bin.join("app.exe"), bin.join("other.exe")).unwrap();
    let found = || bosc_updater::health::can_start(&app.installer(2), &Program::new());
    assert_eq!(found().unwrap_err().kind(), ErrorKind::Input);
    fs::copy(bin.join("other.exe"), bin.join(format!("app{}", std::env::consts::EXE_SUFFIX))).unwrap();
    found().unwrap();
}

fn a_build_that_needs_longer_says_so() {
    let app = App::new(false);
    let (outcome, _) = app.update("migrates", 2);
    assert_eq!(outcome, Outcome::Healthy);
}

fn without_a_watcher_the_journal_decides() {
    let app = App::new(false);
    let old = contents_of(&app.target()).unwrap();
    app.install(&app.installer(2), "exit3");
    // The power goes. The person starts the application: nobody sees what ends it, so it gets three starts.
    for n in 1..=3 {
        assert_eq!(Command::new(app.target()).status().unwrap().code(), Some(3));
        app.wait_for(&format!("1.0.1 trial {n}"));
    }
    // And again: it rolls itself back.
    assert_eq!(Command::new(app.target()).status().unwrap().code(), Some(0));
    app.wait_for("1.0.1 leaves for 1.0.0 watched=false");
    assert_eq!(contents_of(&app.target()).unwrap(), old);
    Command::new(app.target()).status().unwrap();
    app.wait_for("1.0.0 news 1.0.1 too-many-starts");
}

fn a_folder_is_watched_like_a_file() {
    let app = App::new(true);
    app.expect_rolled_back("exit1", 2, Reason::Crashed);
    let app = App::new(true);
    assert_eq!(app.update("healthy", 2).0, Outcome::Healthy);
}

fn the_policy_may_leave_a_bad_build() {
    let app = App::new(false);
    let mut options = Options::new(app.target(), "1.0.0".parse().unwrap());
    options.health = policy(2);
    options.health.automatic = false;
    let installer = Installer::open(options).unwrap();
    app.install(&installer, "exit1");
    let outcome = watch(&installer, &app.program(), &mut |_| true).unwrap();
    assert_eq!(outcome, Outcome::LeftInPlace(Reason::Crashed));
    assert!(matches!(installer.status().unwrap(), Status::Trial { .. }));
}

fn a_relaunched_program_gets_its_arguments() {
    let app = App::new(false);
    app.build(&app.target(), "1.0.0", "args");
    let program = Program::new().args(["--flag", "a b"]).env("BOSC_TEST_WORD", "word");
    relaunch(&app.installer(2), &program).unwrap();
    // This process has them: see `main`.
    app.wait_for("1.0.0 --flag,a b apart=true word secrets=0");
    let app = App::new(true);
    assert_eq!(relaunch(&app.installer(2), &Program::new()).unwrap_err().kind(), ErrorKind::Input);
}
