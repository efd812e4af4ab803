//! The facade over an HTTPS server: it is the client that links have, with what only a server can do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use bosc_updater::{ErrorKind, Event, Events, PublicKey, Started, UpdateSource, Updater, UpdaterBuilder};
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
            ("/m.json" | "/m.json?channel=beta", Some(text)) => answer(200, &[], text.clone()),
            // Accepts the request and says nothing.
            ("/m.json", None) => {
                Answer { body: Body::Stall { declared: 100, sent: Vec::new() }, ..answer(200, &[], "") }
            }
            // Half of it, and then nothing for ten seconds.
            ("/slow", _) => {
                Answer { body: Body::Stall { declared: 9, sent: b"new".to_vec() }, ..answer(200, &[], "") }
            }
            ("/other", _) => serve_file(r, b"other build"),
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

    fn source(&self, path: &str) -> UpdateSource {
        let key = PublicKey::base64(Signing::new(7).public());
        UpdateSource::https(self.server.url(path), key).certificates([self.server.ca.clone()])
    }

    fn builder(&self, user: &str, version: &str, source: UpdateSource) -> UpdaterBuilder {
        Updater::builder("App", version.parse().unwrap(), source)
            .app(self.app())
            .data_folder(self.dir.path().join(user))
            .delay(Duration::ZERO)
    }

    fn options(&self, user: &str) -> UpdaterBuilder {
        self.builder(user, "1.0.0", self.source("/m.json"))
    }
}

fn start(builder: UpdaterBuilder) -> (Updater, Events) {
    let Started::Running(updater) = builder.start() else { panic!("it was rolled back") };
    let events = updater.events();
    (updater, events)
}

fn until<T>(events: &Events, mut take: impl FnMut(Event) -> Option<T>) -> T {
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
        Event::Updated(update) => Some(update.version().to_string()),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

fn error(event: Event) -> Option<ErrorKind> {
    match event {
        Event::Error(e) => Some(e.kind()),
        Event::Updated(update) => panic!("{update:?} was fetched"),
        _ => None,
    }
}

#[test]
fn several_updates_in_one_run_and_the_last_one_is_applied() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = start(bed.options("me"));
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
    let (updater, events) = start(bed.options("me"));
    assert_eq!(until(&events, updated), "1.0.1");
    updater.close();
    // The attacker has an old signature of format 1, which names no version.
    let mut old = bed.manifest("99.0.0");
    old["schemaVersion"] = 1.into();
    for (_, entry) in old["platforms"].as_object_mut().unwrap() {
        entry["signature"] = Signing::new(7).v1(b"new build").into();
    }
    bed.offer(&old);
    let (_other, events) = start(bed.options("somebody-else"));
    assert_eq!(until(&events, error), ErrorKind::Refused);
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
}

#[test]
fn not_below_the_newest_that_was_seen() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.5"));
    let (updater, events) = start(bed.options("me"));
    assert_eq!(until(&events, updated), "1.0.5");
    updater.close();
    bed.offer(&bed.manifest("1.0.4"));
    let (updater, events) = start(bed.options("me"));
    assert_eq!(until(&events, error), ErrorKind::Refused);
    // A higher version is what a publisher mends it with.
    bed.offer(&bed.manifest("1.0.6"));
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.6");
}

/// A look at a beta channel, signed with the same key, is no reason to refuse the stable one.
#[test]
fn another_channel_has_a_floor_of_its_own() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("2.0.0-beta.1"));
    let beta = bed.builder("me", "1.0.0", bed.source("/m.json?channel=beta"));
    bed.offer(&bed.manifest("2.0.0-beta.1"));
    let (updater, events) = start(beta);
    assert_eq!(until(&events, updated), "2.0.0-beta.1");
    updater.close();
    bed.offer(&bed.manifest("1.1.0"));
    let (updater, events) = start(bed.options("me"));
    assert_eq!(until(&events, updated), "1.1.0");
    updater.close();
}

/// What a person agreed to is installed, or nothing.
#[test]
fn a_newer_one_that_came_meanwhile_is_offered_and_not_installed_in_its_place() {
    let bed = Bed::new();
    let id = |event: Event| match event {
        Event::Updated(update) => Some((update.clone(), update.version().to_string())),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    };
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = start(bed.options("me"));
    let (one, _) = until(&events, id);
    bed.offer(&Signing::new(7).manifest("1.0.2", &bed.server.url("/other"), b"other build"));
    updater.check_now();
    let (two, version) = until(&events, id);
    assert_eq!(version, "1.0.2");
    let e = one.apply().wait().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
    assert!(e.to_string().contains("1.0.2"), "{e}");
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
    assert_eq!(two.apply().wait().unwrap().version.to_string(), "1.0.2");
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"other build");
    // Nothing stays but the application, the one before, and the state.
    let names = |dir: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(bed.dir.path()), [".App.bosc", "App", "App.prev", "me"]);
    assert_eq!(names(&bed.dir.path().join(".App.bosc")), ["LOCK", "journal.json"]);
    updater.close();
}

/// A person who looks again ends the check that runs: that is no fault of the network.
#[test]
fn a_check_that_the_next_one_ends_is_no_error() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.0"));
    let (updater, events) = start(bed.options("me"));
    for _ in 0..400 {
        updater.check_now();
        std::thread::sleep(Duration::from_micros(700));
    }
    bed.offer(&bed.manifest("1.0.1"));
    updater.check_now();
    assert_eq!(until(&events, updated), "1.0.1");
    updater.close();
}

#[test]
fn a_server_that_says_nothing_holds_nobody_up() {
    let bed = Bed::new();
    let (updater, _events) = start(bed.options("me"));
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
    let (updater, _events) = start(bed.options("me"));
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
fn perrys_install(bed: &Bed) -> (UpdaterBuilder, PathBuf) {
    std::fs::write(bed.dir.path().join("App.prev"), "old build").unwrap();
    std::fs::write(bed.app(), "new build").unwrap();
    let sentinel = serde_json::json!({
        "prevExePath": format!("{}.prev", bed.app().display()), "stagedAt": "2026-11-01T00:00:00.000Z",
        "currentVersion": "1.0.0", "targetVersion": "1.0.1", "restartCount": 0, "state": "armed",
        "generation": "mvx2-1-a",
    });
    let path = bed.dir.path().join("updater.sentinel");
    std::fs::write(&path, sentinel.to_string()).unwrap();
    (bed.builder("me", "1.0.1", bed.source("/m.json")).updates(false).perry_sentinel(&path), path)
}

#[test]
fn what_perrys_client_installed_is_taken_over() {
    use bosc_updater::install::StartState;
    let bed = Bed::new();
    let (o, sentinel) = perrys_install(&bed);
    let start = || o.clone().start().into_updater();
    let state = |u: &Updater| u.started().unwrap().state.clone();
    for n in 1..=3 {
        assert!(matches!(state(&start()), StartState::Trial { start, .. } if start == n));
        assert!(sentinel.exists());
    }
    // It says nothing, and starts again and again: rolled back.
    assert!(matches!(state(&start()), StartState::RolledBack(_)));
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
    assert!(!sentinel.exists());

    let bed = Bed::new();
    let (o, sentinel) = perrys_install(&bed);
    let start = || o.clone().start().into_updater();
    let updater = start();
    assert!(updater.mark_healthy().wait().unwrap());
    assert!(!sentinel.exists());
    drop(updater);
    for _ in 0..3 {
        let updater = start();
        assert_eq!(updater.started().unwrap().state, StartState::Settled);
    }
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    // Garbage and what is about another version is cleared.
    for text in ["garbage", r#"{"state":"armed","targetVersion":"7.0.0"}"#] {
        std::fs::write(&sentinel, text).unwrap();
        assert_eq!(start().started().unwrap().state, StartState::Settled);
        assert!(!sentinel.exists(), "{text}");
    }
}

/// A build with Perry's client removes the sentinel when it is healthy.
#[cfg(unix)]
#[test]
fn a_build_with_perrys_client_says_in_its_words_that_it_is_healthy() {
    use bosc_updater::health::{Outcome, Program, WatchEvent, end_started};
    use bosc_updater::install::HealthPolicy;
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
        let key = PublicKey::base64(Signing::new(7).public());
        let source = UpdateSource::https(server.url("/m.json"), key).certificates([server.ca.clone()]);
        let (updater, events) = start(
            Updater::builder("App", "1.0.0".parse().unwrap(), source)
                .app(app)
                .data_folder(dir.path().join("data"))
                .perry_sentinel(&sentinel)
                .health(HealthPolicy::within(Duration::from_secs(3))),
        );
        assert_eq!(until(&events, updated), "1.0.1");
        updater.apply_update().wait().unwrap();
        let armed = Sentinel::parse(&read_sentinel(&sentinel).unwrap().unwrap()).unwrap();
        assert_eq!((armed.target_version(), armed.restart_count()), (Some("1.0.1"), Some(0)));
        let program = Program::new().args([&sentinel]);
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
    let (url, key) = (bed.server.url("/m.json"), PublicKey::base64(Signing::new(7).public()));
    let wrong = |url: &str, keys: &[PublicKey]| {
        let source = UpdateSource::from_upgrade(url, keys.iter().cloned());
        let builder = bed.builder("me", "1.0.0", source);
        let e = builder.validate().unwrap_err();
        // Who does not ask is told, and runs.
        let (updater, events) = start(builder);
        assert_eq!(events.recv_timeout(Duration::from_secs(5)), Some(Event::Error(e.clone())));
        assert_eq!(updater.check().wait().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!updater.mark_healthy().wait().unwrap());
        assert_eq!(updater.quit().unwrap(), None);
        e
    };
    let none = wrong(&url, &[]);
    assert_eq!(none.kind(), ErrorKind::Input);
    assert!(none.next_step().unwrap().contains("public"), "{:?}", none.next_step());
    assert_eq!(wrong(&url, &[PublicKey::base64("abc")]).kind(), ErrorKind::Input);
    assert_eq!(wrong("http://example.com/m.json", std::slice::from_ref(&key)).kind(), ErrorKind::Refused);
    assert_eq!(wrong("https://", &[key]).kind(), ErrorKind::Refused);
    assert!(!folder_has_anything(&bed.dir.path().join("me/bosc-updater/p2p")));
}

fn folder_has_anything(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_some())
}

/// As a menu entry does it: nothing happens that was not asked for.
#[test]
fn checked_downloaded_and_applied_by_hand() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let builder = bed.options("me").check_automatically(false).download_automatically(false);
    let (updater, events) = start(builder);
    assert_eq!(events.recv_timeout(Duration::from_millis(500)), None);
    assert_eq!(bed.server.asked("/m.json"), 0, "nobody asked");
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!((update.version().to_string().as_str(), update.notes()), ("1.0.1", Some("what is new")));
    assert_eq!(
        until(&events, |event| matches!(event, Event::Available(_)).then_some(event)),
        Event::Available(update.clone())
    );
    assert_eq!(bed.server.asked("/app"), 0, "nobody asked");
    assert_eq!(update.apply().wait().unwrap_err().kind(), ErrorKind::Refused, "it is not here");
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let told = Arc::clone(&seen);
    update.download(move |p| told.lock().unwrap().push(p.bytes)).wait().unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&9), "{seen:?}");
    update.download(|_| panic!("it is here")).wait().unwrap();
    assert_eq!(update.apply().wait().unwrap().version.to_string(), "1.0.1");
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    assert_eq!(updater.check().wait().unwrap(), None, "it is installed");
    assert_eq!(updater.quit().unwrap(), None, "nothing is left to put in place");
}

/// An answer that nobody takes changes nothing, and a release that is not on offer any more is not downloaded.
#[test]
fn a_release_that_was_replaced_is_not_downloaded() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = start(bed.options("me").check_automatically(false).download_automatically(false));
    let old = updater.check().wait().unwrap().unwrap();
    bed.offer(&Signing::new(7).manifest("1.0.2", &bed.server.url("/other"), b"other build"));
    let new = updater.check().wait().unwrap().unwrap();
    assert_eq!(new.version().to_string(), "1.0.2");
    assert_eq!(old.download(|_| ()).wait().unwrap_err().kind(), ErrorKind::Refused);
    drop(new.download(|_| ()));
    assert_eq!(until(&events, updated), "1.0.2");
    updater.close();
    assert_eq!(new.apply().wait().unwrap_err().kind(), ErrorKind::Cancelled, "it has ended");
}

#[test]
fn at_quit_what_came_is_put_in_place_unless_the_application_says_no() {
    for apply in [true, false] {
        let bed = Bed::new();
        bed.offer(&bed.manifest("1.0.1"));
        let (updater, events) = start(bed.options("me").apply_on_quit(apply));
        assert_eq!(until(&events, updated), "1.0.1");
        let version = updater.quit().unwrap().map(|version| version.to_string());
        assert_eq!(version.as_deref(), apply.then_some("1.0.1"));
        assert_eq!(std::fs::read(bed.app()).unwrap(), if apply { &b"new build"[..] } else { b"old build" });
        assert!(
            events.into_iter().last().is_none_or(|event| !matches!(event, Event::Error(_))),
            "it has ended"
        );
        assert_eq!(updater.quit().unwrap(), None, "and may be told so twice");
    }
}

/// A file that changed since it was proved: nothing is installed, and who wanted to restart gets the old build back.
#[cfg(unix)]
#[test]
fn an_update_that_cannot_be_put_in_place_is_no_end() {
    use bosc_updater::Outcome;
    use bosc_updater::health::{Program, end_started};
    let bed = Bed::new();
    let started = bed.dir.path().join("started");
    std::fs::write(bed.app(), format!("#!/bin/sh\necho $1 > {}\n", started.display())).unwrap();
    std::fs::set_permissions(bed.app(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = start(bed.options("me").program(Program::new().args(["again"])));
    assert_eq!(until(&events, updated), "1.0.1");
    let staging = bed.dir.path().join(".App.bosc/staging");
    let damage = |path: &Path| std::fs::write(path, "bad build").unwrap();
    for entry in std::fs::read_dir(&staging).unwrap().flatten() {
        match entry.path() {
            path if path.is_file() => damage(&path),
            path => std::fs::read_dir(path).unwrap().flatten().for_each(|e| damage(&e.path())),
        }
    }
    let Ok(Outcome::NotApplied { error, restarted: Some(pid) }) = updater.restart() else {
        panic!("it was applied")
    };
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::read(&started).unwrap_or_default() != b"again\n" {
        assert!(Instant::now() < deadline, "the old build was not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    end_started(pid);
}

/// One instance looks for updates. The other one is told, and takes over.
#[test]
fn a_second_instance_is_a_state() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.0"));
    let (first, _) = start(bed.options("me"));
    assert_eq!(first.check().wait().unwrap(), None);
    let (second, events) = start(bed.options("me"));
    let told = until(&events, |event| match event {
        Event::SecondInstance(e) => Some(e),
        other => panic!("{other:?}"),
    });
    assert_eq!(told.kind(), ErrorKind::Busy);
    assert!(second.is_second_instance() && !first.is_second_instance());
    assert_eq!(second.check().wait().unwrap_err().kind(), ErrorKind::Busy);
    first.close();
    bed.offer(&bed.manifest("1.0.1"));
    assert_eq!(second.check().wait().unwrap().unwrap().version().to_string(), "1.0.1");
    assert!(!second.is_second_instance());
}

/// What is awaited on no runtime at all, and as a stream.
#[test]
fn answers_and_events_are_plain_futures() {
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    #[allow(unused_mut)]
    let (updater, mut events) = start(bed.options("me"));
    let version = {
        let work = async {
            let update = updater.check().await.unwrap().unwrap();
            update.download(|_| ()).await.unwrap();
            update.apply().await.unwrap();
            loop {
                #[cfg(feature = "stream")]
                let event = {
                    use futures_core::Stream;
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut events).poll_next(cx)).await
                };
                #[cfg(not(feature = "stream"))]
                let event = events.recv_async().await;
                if let Some(Event::Applied { version, .. }) = event {
                    return version.to_string();
                }
            }
        };
        let mut work = pin!(work);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let begun = Instant::now();
        loop {
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(version) => break version,
                Poll::Pending => std::thread::park_timeout(Duration::from_secs(60)),
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing woke it");
        }
    };
    assert_eq!(version, "1.0.1");
    updater.close();
    assert!(events.next().is_none_or(|event| !matches!(event, Event::Error(_))));
}

fn available(event: Event) -> Option<bosc_updater::Update> {
    match event {
        Event::Available(update) => Some(update),
        Event::Error(e) => panic!("{e:?}"),
        _ => None,
    }
}

/// What a person does not want is not brought up again, until they ask.
#[test]
fn a_version_that_was_skipped_stays_away_until_somebody_asks() {
    let bed = Bed::new();
    bed.offer(&bed.manifest("1.0.1"));
    let (updater, events) = start(bed.options("me").download_automatically(false));
    until(&events, available).skip().wait().unwrap();
    updater.quit().unwrap();
    // At the next start, with automatic downloads.
    let (updater, events) = start(bed.options("me"));
    let asked = bed.server.asked("/m.json");
    assert_eq!(events.recv_timeout(Duration::from_secs(1)), None);
    assert!(bed.server.asked("/m.json") >= asked && bed.server.asked("/app") == 0);
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!(update.version().to_string(), "1.0.1", "a person asked");
    update.download(|_| ()).wait().unwrap();
    assert_eq!(until(&events, updated), "1.0.1");
    // What lies here ready is not put in place, either; and this is said after it was taken back.
    update.skip().wait().unwrap();
    let staging = bed.dir.path().join(".App.bosc/staging");
    let deadline = Instant::now() + Duration::from_secs(20);
    while names(&staging).iter().any(|name| name.starts_with("http-")) {
        assert!(Instant::now() < deadline, "what was downloaded of it goes");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(updater.quit().unwrap(), None);
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"old build");
    // Somebody else on this machine has a mind of their own, and so has a newer version.
    let (other, events) = start(bed.options("somebody-else"));
    assert_eq!(until(&events, updated), "1.0.1");
    other.close();
    bed.offer(&Signing::new(7).manifest("1.0.2", &bed.server.url("/other"), b"other build"));
    let (updater, events) = start(bed.options("me"));
    assert_eq!(until(&events, updated), "1.0.2");
    updater.close();
}

#[test]
fn what_the_publisher_says_about_a_release_is_told() {
    let bed = Bed::new();
    let mut manifest = bed.manifest("1.0.1");
    bed.offer(&manifest);
    let hand = || bed.options("me").check_automatically(false).download_automatically(false);
    let (updater, _events) = start(hand());
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!((update.is_mandatory(), update.minimum_system()), (false, None));
    manifest["mandatory"] = true.into();
    manifest["minimumSystemVersion"] = "10".into();
    bed.offer(&manifest);
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!((update.is_mandatory(), update.minimum_system()), (true, Some("10")));
    // What is said for this platform counts; what is no such value says nothing.
    for (_, entry) in manifest["platforms"].as_object_mut().unwrap() {
        entry["minimumSystemVersion"] = "12.3".into();
        entry["mandatory"] = "yes".into();
    }
    bed.offer(&manifest);
    let update = updater.check().wait().unwrap().unwrap();
    assert_eq!((update.is_mandatory(), update.minimum_system()), (false, Some("12.3")));
    updater.close();
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_build_before_is_kept_only_if_it_is_wanted() {
    for keep in [true, false] {
        let bed = Bed::new();
        bed.offer(&bed.manifest("1.0.1"));
        let (updater, events) = start(bed.options("me").keep_previous(keep));
        assert_eq!(until(&events, updated), "1.0.1");
        assert_eq!(updater.quit().unwrap().unwrap().to_string(), "1.0.1");
        assert!(names(bed.dir.path()).contains(&"App.prev".to_owned()), "it is on trial");
        let (updater, _events) = start(bed.builder("me", "1.0.1", bed.source("/m.json")).keep_previous(keep));
        assert!(updater.mark_healthy().wait().unwrap());
        updater.quit().unwrap();
        let there = names(bed.dir.path());
        assert_eq!(there.contains(&"App.prev".to_owned()), keep, "{there:?}");
        let kept: &[&str] =
            if keep { &[".App.bosc", "App", "App.prev", "me"] } else { &[".App.bosc", "App", "me"] };
        assert_eq!(there, kept);
        assert_eq!(names(&bed.dir.path().join(".App.bosc")), ["LOCK", "RUNNING", "journal.json"]);
    }
}

/// A release that is never applied: one copy of it waits, and none once it is of no use.
#[test]
fn an_archive_that_is_not_used_goes() {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [("app/App", "new build"), ("app/README", "read me")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let archive = tar.into_inner().unwrap().finish().unwrap();
    let bed = Bed::new();
    let served = archive.clone();
    let files = Server::start(Cert::Good, move |r| serve_file(r, &served));
    bed.offer(&Signing::new(7).manifest("1.0.1", &files.url("/download"), &archive));
    let source = || bed.source("/m.json").certificates([bed.server.ca.clone(), files.ca.clone()]);
    let program = || bosc_updater::Program::new().inside("App");
    let staging = bed.dir.path().join(".App.bosc/staging");
    let left = || -> Vec<String> { names(&staging).into_iter().filter(|n| n != "http.lock").collect() };
    let (updater, events) = start(bed.builder("me", "1.0.0", source()).program(program()));
    assert_eq!(until(&events, updated), "1.0.1");
    assert_eq!(left().len(), 2, "the archive, and what it holds");
    updater.close();
    assert!(left().len() == 1 && left()[0].ends_with(".build"), "{:?}", left());
    // The next start needs no server for it.
    let (updater, events) = start(bed.builder("me", "1.0.0", source()).program(program()));
    assert_eq!(until(&events, updated), "1.0.1");
    assert_eq!(files.asked("/download"), 1);
    updater.close();
    // Somebody installed that version by hand.
    std::fs::write(bed.app(), "by hand").unwrap();
    let (updater, _events) = start(bed.builder("me", "1.0.1", source()).program(program()));
    assert_eq!(updater.check().wait().unwrap(), None);
    assert_eq!(left(), [""; 0]);
    updater.close();
    // And when it is used.
    let (updater, events) = start(bed.builder("me", "1.0.0", source()).program(program()));
    assert_eq!(until(&events, updated), "1.0.1");
    updater.quit().unwrap();
    assert_eq!(std::fs::read(bed.app()).unwrap(), b"new build");
    assert_eq!(names(&bed.dir.path().join(".App.bosc")), ["LOCK", "journal.json"]);
}

/// Run once as root, the updater leaves nothing that the user could not go on with: not in the data folder, and not in staging.
#[cfg(unix)]
#[test]
fn what_root_keeps_in_a_users_folders_is_the_users() {
    use std::os::unix::fs::MetadataExt;
    const ALICE: u32 = 54_001;
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT RUN: this needs root, to become a second user");
        return;
    }
    fn each(path: &Path, see: &mut dyn FnMut(&Path)) {
        see(path);
        if std::fs::symlink_metadata(path).unwrap().is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| each(&entry.unwrap().path(), see));
        }
    }
    let bed = Bed::new();
    each(bed.dir.path(), &mut |path| std::os::unix::fs::lchown(path, Some(ALICE), Some(ALICE)).unwrap());
    bed.offer(&bed.manifest("1.0.1"));
    for skip in [false, true] {
        let (updater, events) = start(bed.options("alice/deep"));
        let update = until(&events, |event| match event {
            Event::Updated(update) => Some(update),
            _ => None,
        });
        if skip {
            update.skip().wait().unwrap();
        }
        updater.close();
        let mut seen = Vec::new();
        each(bed.dir.path(), &mut |path| {
            let found = std::fs::symlink_metadata(path).unwrap();
            assert_eq!((found.uid(), found.gid()), (ALICE, ALICE), "{}", path.display());
            seen.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        });
        for name in ["deep", "bosc-updater", "device", "INSTANCE", "https.json", "https.json.lock", "staging"]
        {
            assert!(seen.iter().any(|n| n == name), "{name}: {seen:?}");
        }
        assert!(!skip || seen.iter().any(|n| n == "skipped"), "{seen:?}");
    }
}
