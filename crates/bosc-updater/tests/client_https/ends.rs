//! What is in place and what stays when the application ends.

use super::*;

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
