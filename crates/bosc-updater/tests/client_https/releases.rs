//! Which releases are offered.

use super::*;

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
    // What lies here ready is not put in place, either; and this is reported after it was rolled back.
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
