//! The facade over an HTTPS server: it is the client that links have, with what only a server can do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::ErrorKind;
use bosc_updater::client::{Event, Events, Updater, UpdaterOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::*;

/// A server whose manifest can be changed, and an application of version 1.0.0.
struct Bed {
    dir: tempfile::TempDir,
    server: Server,
    manifest: Arc<Mutex<Option<String>>>,
}

impl Bed {
    fn new() -> Self {
        let manifest: Arc<Mutex<Option<String>>> = Arc::default();
        let offered = Arc::clone(&manifest);
        let server = Server::start(Cert::Good, move |r| match (r.path.as_str(), &*offered.lock().unwrap()) {
            ("/m.json", Some(text)) => answer(200, &[], text.clone()),
            // Accepts the request and says nothing.
            ("/m.json", None) => {
                Answer { body: Body::Stall { declared: 100, sent: Vec::new() }, ..answer(200, &[], "") }
            }
            // Half of it, and then nothing for ten seconds.
            ("/slow", _) => {
                Answer { body: Body::Stall { declared: 9, sent: b"new".to_vec() }, ..answer(200, &[], "") }
            }
            _ => serve_file(r, b"new build"),
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("App"), "old build").unwrap();
        Self { dir, server, manifest }
    }

    fn app(&self) -> PathBuf {
        self.dir.path().join("App")
    }

    fn offer(&self, manifest: &Value) {
        *self.manifest.lock().unwrap() = Some(manifest.to_string());
    }

    fn manifest(&self, version: &str) -> Value {
        Signing::new(7).manifest(version, &self.server.url("/app"), b"new build")
    }

    fn options(&self, user: &str) -> UpdaterOptions {
        let dir = self.dir.path().join(user);
        let version = "1.0.0".parse().unwrap();
        let mut o = UpdaterOptions::new(dir, Some(self.app()), "App", version, self.server.url("/m.json"));
        o.public_keys = vec![Signing::new(7).public()];
        o.certificates = vec![self.server.ca.clone()];
        o.delay = Duration::ZERO;
        o
    }
}

fn until<T>(events: &Events<Event>, mut take: impl FnMut(Event) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    while Instant::now() < deadline {
        if let Some(found) = events.recv_timeout(Duration::from_secs(1)).and_then(&mut take) {
            return found;
        }
    }
    panic!("it did not come");
}

fn updated(event: Event) -> Option<String> {
    match event {
        Event::Updated { version, .. } => Some(version.to_string()),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

fn error(event: Event) -> Option<ErrorKind> {
    match event {
        Event::Error(e) => Some(e.kind),
        Event::Updated { version, .. } => panic!("{version} was fetched"),
        _ => None,
    }
}

#[test]
fn several_updates_in_one_run_and_the_last_one_is_applied() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = Updater::start(bed.options("me")).unwrap();
    assert_eq!(until(&events, updated), "1.0.1");
    bed.offer(&bed.manifest("1.0.2"));
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.2");
    assert_eq!(updater.apply_update().wait().unwrap().version.to_string(), "1.0.2");
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    updater.close();
}

#[test]
fn the_format_that_one_user_saw_binds_all_users_of_the_installation() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = Updater::start(bed.options("me")).unwrap();
    assert_eq!(until(&events, updated), "1.0.1");
    updater.close();
    // The attacker has an old signature of format 1, which names no version.
    let mut old = bed.manifest("99.0.0");
    old["schemaVersion"] = 1.into();
    for (_, entry) in old["platforms"].as_object_mut().unwrap() {
        entry["signature"] = Signing::new(7).v1(b"new build").into();
    }
    bed.offer(&old);
    let (_other, events) = Updater::start(bed.options("somebody-else")).unwrap();
    assert_eq!(until(&events, error), ErrorKind::Refused);
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
}

#[test]
fn not_below_the_newest_that_was_seen() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.5"));
    let (updater, events) = Updater::start(bed.options("me")).unwrap();
    assert_eq!(until(&events, updated), "1.0.5");
    updater.close();
    bed.offer(&bed.manifest("1.0.4"));
    let (updater, events) = Updater::start(bed.options("me")).unwrap();
    assert_eq!(until(&events, error), ErrorKind::Refused);
    // A higher version is what a publisher mends it with.
    bed.offer(&bed.manifest("1.0.6"));
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.6");
}

#[test]
fn a_server_that_says_nothing_holds_nobody_up() {
    let bed = Bed::new();
    let (updater, _events) = Updater::start(bed.options("me")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while bed.server.asked("/m.json") == 0 {
        assert!(Instant::now() < deadline, "it does not ask");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It waits for an answer; whoever wants something meanwhile gets it.
    let start = Instant::now();
    assert!(!updater.mark_healthy().wait().unwrap());
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Refused);
    updater.close();
    // Without being let go it would be the server's ten seconds, four times.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_stops_in_the_middle_holds_nobody_up() {
    let bed = Bed::new();
    bed.offer(&Signing::new(7).manifest("1.0.1", &bed.server.url("/slow"), b"new build"));
    let (updater, _events) = Updater::start(bed.options("me")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while bed.server.sent.load(std::sync::atomic::Ordering::SeqCst) < 3 || bed.server.asked("/slow") == 0 {
        assert!(Instant::now() < deadline, "it does not fetch");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert!(!updater.mark_healthy().wait().unwrap());
    assert_eq!(updater.apply_update().wait().unwrap_err().kind(), ErrorKind::Refused);
    updater.close();
    // Without being let go it would be the server's ten seconds, four times.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// What Perry's client leaves after an install of 1.0.1.
fn perrys_install(bed: &Bed) -> UpdaterOptions {
    std::fs::write(bed.dir.path().join("App.prev"), "old build").unwrap();
    std::fs::write(bed.app(), "new build").unwrap();
    let sentinel = serde_json::json!({
        "prevExePath": format!("{}.prev", bed.app().display()), "stagedAt": "2026-11-01T00:00:00.000Z",
        "currentVersion": "1.0.0", "targetVersion": "1.0.1", "restartCount": 0, "state": "armed",
        "generation": "mvx2-1-a",
    });
    let mut o = bed.options("me");
    o.version = "1.0.1".parse().unwrap();
    o.updates = false;
    o.sentinel = Some(bed.dir.path().join("updater.sentinel"));
    std::fs::write(o.sentinel.as_ref().unwrap(), sentinel.to_string()).unwrap();
    o
}

#[test]
fn what_perrys_client_installed_is_taken_over() {
    use bosc_updater::install::StartState;
    let bed = Bed::new();
    let o = perrys_install(&bed);
    let sentinel = o.sentinel.clone().unwrap();
    let start = || Updater::start(o.clone()).unwrap().0;
    let state = |u: &Updater| u.started().unwrap().state.clone();
    assert!(matches!(state(&start()), StartState::Trial { start: 1, .. }));
    assert!(sentinel.exists());
    // It says nothing, and starts again: taken back.
    assert!(matches!(state(&start()), StartState::TakenBack(_)));
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
    assert!(!sentinel.exists());

    let bed = Bed::new();
    let o = perrys_install(&bed);
    let updater = Updater::start(o.clone()).unwrap().0;
    assert!(updater.mark_healthy().wait().unwrap());
    assert!(!o.sentinel.as_ref().unwrap().exists());
    drop(updater);
    for _ in 0..3 {
        let updater = Updater::start(o.clone()).unwrap().0;
        assert_eq!(updater.started().unwrap().state, StartState::Settled);
    }
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    // Garbage and what is about another version is cleared.
    for text in ["garbage", r#"{"state":"armed","targetVersion":"7.0.0"}"#] {
        std::fs::write(o.sentinel.as_ref().unwrap(), text).unwrap();
        assert_eq!(Updater::start(o.clone()).unwrap().0.started().unwrap().state, StartState::Settled);
        assert!(!o.sentinel.as_ref().unwrap().exists(), "{text}");
    }
}

/// A build with Perry's client removes the sentinel when it is healthy.
#[cfg(unix)]
#[test]
fn a_build_with_perrys_client_says_in_its_words_that_it_is_healthy() {
    use bosc_updater::health::{Outcome, Program, WatchEvent, end_started};
    use bosc_updater::perry::sentinel::{Sentinel, read_sentinel};
    for (script, healthy) in
        [("#!/bin/sh\nsleep 1; rm \"$1\"; sleep 30\n", true), ("#!/bin/sh\nsleep 30\n", false)]
    {
        let manifest: Arc<Mutex<String>> = Arc::default();
        let offered = Arc::clone(&manifest);
        let server = Server::start(Cert::Good, move |r| match r.path.as_str() {
            "/m.json" => answer(200, &[], offered.lock().unwrap().clone()),
            _ => serve_file(r, script.as_bytes()),
        });
        let offer = Signing::new(7).manifest("1.0.1", &server.url("/app"), script.as_bytes());
        *manifest.lock().unwrap() = offer.to_string();
        let dir = tempfile::tempdir().unwrap();
        let (app, sentinel) = (dir.path().join("App"), dir.path().join("updater.sentinel"));
        std::fs::write(&app, "#!/bin/sh\nexit 0\n").unwrap();
        std::fs::set_permissions(&app, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let version = "1.0.0".parse().unwrap();
        let mut o =
            UpdaterOptions::new(dir.path().join("data"), Some(app), "App", version, server.url("/m.json"));
        o.public_keys = vec![Signing::new(7).public()];
        o.certificates = vec![server.ca.clone()];
        o.sentinel = Some(sentinel.clone());
        o.health.window = Duration::from_secs(3);
        let (updater, events) = Updater::start(o).unwrap();
        assert_eq!(until(&events, updated), "1.0.1");
        updater.apply_update().wait().unwrap();
        let armed = Sentinel::parse(&read_sentinel(&sentinel).unwrap().unwrap()).unwrap();
        assert_eq!((armed.target_version(), armed.restart_count()), (Some("1.0.1"), Some(0)));
        let program = Program { args: vec![sentinel.clone().into()], ..Program::default() };
        let mut started = Vec::new();
        let outcome = updater.relaunch_and_watch(&program, &mut |event| {
            if let WatchEvent::Started(pid) = event {
                started.push(pid);
            }
            true
        });
        match outcome.unwrap() {
            Outcome::Healthy => assert!(healthy),
            Outcome::RolledBack { .. } => assert!(!healthy),
            other => panic!("{other:?}"),
        }
        assert!(!sentinel.exists());
        if healthy {
            started.into_iter().for_each(end_started);
        }
    }
}

#[test]
fn what_cannot_be_is_said_at_the_start() {
    let bed = Bed::new();
    let start = |change: &dyn Fn(&mut UpdaterOptions)| {
        let mut o = bed.options("me");
        change(&mut o);
        Updater::start(o).map(drop).unwrap_err()
    };
    let none = start(&|o| o.public_keys.clear());
    assert_eq!(none.kind(), ErrorKind::Input);
    assert!(none.next_step().unwrap().contains("public"), "{:?}", none.next_step());
    assert_eq!(start(&|o| o.public_keys = vec!["abc".into()]).kind(), ErrorKind::Input);
    assert_eq!(start(&|o| o.upgrade = "http://example.com/m.json".into()).kind(), ErrorKind::Refused);
    assert_eq!(start(&|o| o.upgrade = "https://".into()).kind(), ErrorKind::Refused);
    assert!(!folder_has_anything(&bed.dir.path().join("me/bosc-updater/p2p")));
}

fn folder_has_anything(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_some())
}
