//! Beside Perry's client.

use super::*;

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
