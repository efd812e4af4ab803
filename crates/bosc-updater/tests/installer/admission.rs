//! Which release is installed.

use super::*;

#[test]
fn a_downgrade_is_for_who_asks_for_it() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "2.0.0-beta.1", 0).unwrap();
    assert!(app.as_version("2.0.0-beta.1").mark_healthy(now()).unwrap());
    let beta = app.as_version("2.0.0-beta.1");
    assert_eq!(beta.admit(&release("1.1.0"), now()).unwrap(), Admission::NotNewer);
    let mut asked = Options::new(app.target(), version("2.0.0-beta.1"));
    asked.downgrade = true;
    let asked = Installer::open(asked).unwrap();
    assert_eq!(asked.admit(&release("2.0.0-beta.1"), now()).unwrap(), Admission::NotNewer);
    assert_eq!(asked.admit(&release("1.1.0"), now()).unwrap(), Admission::Admitted);
    asked.install(&staged(&app.stage("1.1.0"), "1.1.0"), now()).unwrap();
    assert_eq!(asked.floor().unwrap().version, Some(version("2.0.0-beta.1")), "not before it works");
    assert!(app.as_version("1.1.0").mark_healthy(now()).unwrap());
    let stable = app.as_version("1.1.0");
    assert_eq!(stable.floor().unwrap().version, Some(version("1.1.0")));
    assert_eq!(stable.admit(&release("1.1.1"), now()).unwrap(), Admission::Admitted);
    assert_eq!(stable.admit(&release("1.0.9"), now()).unwrap(), Admission::NotNewer);
}

#[test]
fn a_clock_that_was_wrong_blocks_nothing_for_ever() {
    let app = App::new(Shape::File);
    let far = 4_000_000 * DAY;
    app.install("1.0.0", "1.0.1", far).unwrap();
    app.as_version("1.0.1").roll_back(Reason::Crashed, later(far)).unwrap();
    let Admission::Rejected { until, .. } = app.as_version("1.0.0").admit(&release("1.0.1"), now()).unwrap()
    else {
        panic!()
    };
    assert_eq!(until, later(DAY));
}

#[test]
fn nothing_older_comes() {
    let app = App::new(Shape::File);
    for old in ["1.0.0", "0.9.9", "1.0.0-beta"] {
        assert_eq!(app.as_version("1.0.0").admit(&release(old), now()).unwrap(), Admission::NotNewer);
        assert_eq!(kind(app.install("1.0.0", old, 0)), ErrorKind::Refused);
    }
    app.install("1.0.0", "1.0.2", 0).unwrap();
    assert_eq!(app.as_version("1.0.0").admit(&release("1.0.3"), now()).unwrap(), Admission::OnTrial);
    assert_eq!(kind(app.install("1.0.0", "1.0.3", 0)), ErrorKind::Busy);
    app.as_version("1.0.2").mark_healthy(now()).unwrap();
    // A process of the old code that still runs.
    assert_eq!(app.as_version("1.0.0").admit(&release("1.0.2"), now()).unwrap(), Admission::NotNewer);
    app.as_version("1.0.2").roll_back(Reason::Asked, now()).unwrap();
    let admission = app.as_version("1.0.0").admit(&release("1.0.1"), now()).unwrap();
    assert_eq!(admission, Admission::BelowFloor(version("1.0.2")));
    assert_eq!(kind(app.install("1.0.0", "1.0.1", 0)), ErrorKind::Refused);
    app.holds(&app.target(), "1.0.0");

    let installer = app.as_version("1.0.0");
    installer.raise_schema(2).unwrap();
    installer.raise_schema(1).unwrap();
    assert_eq!(installer.floor().unwrap().schema, 2);
}

#[test]
fn what_is_not_what_was_proved_is_not_installed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 7] = [
        ("a byte", |p| fs::write(p.join("share/notes.txt"), "notes of 1.0.2").unwrap()),
        ("a longer file", |p| fs::write(p.join("share/notes.txt"), "notes of 1.0.1 and more").unwrap()),
        ("a file more", |p| fs::write(p.join("share/more"), "").unwrap()),
        ("a folder more", |p| fs::create_dir(p.join("more")).unwrap()),
        ("a file less", |p| fs::remove_file(p.join("bin/app")).unwrap()),
        ("a folder less", |p| fs::remove_dir(p.join("share/empty")).unwrap()),
        ("a folder for a file", |p| {
            fs::remove_file(p.join("share/notes.txt")).unwrap();
            fs::create_dir(p.join("share/notes.txt")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let app = App::new(Shape::Folder);
        let path = app.stage("1.0.1");
        let staged = staged(&path, "1.0.1");
        change(&path);
        assert_eq!(kind(app.as_version("1.0.0").install(&staged, now())), ErrorKind::Integrity, "{what}");
        app.holds(&app.target(), "1.0.0");
        assert!(path.exists());
        assert!(matches!(app.as_version("1.0.0").status().unwrap(), Status::Settled { previous: None }));
    }
    #[cfg(unix)]
    for target in ["/etc/passwd", "bin/other"] {
        let app = App::new(Shape::Folder);
        let path = app.stage("1.0.1");
        let staged = staged(&path, "1.0.1");
        fs::remove_file(path.join("app")).unwrap();
        std::os::unix::fs::symlink(target, path.join("app")).unwrap();
        assert_eq!(kind(app.as_version("1.0.0").install(&staged, now())), ErrorKind::Integrity);
        // A link in place of a file is not followed.
        fs::remove_file(path.join("bin/app")).unwrap();
        std::os::unix::fs::symlink(app.target().join("bin/app"), path.join("bin/app")).unwrap();
        assert_eq!(kind(app.as_version("1.0.0").install(&staged, now())), ErrorKind::Integrity);
    }
}

#[test]
fn a_list_that_cannot_be_is_refused() {
    let app = App::new(Shape::Folder);
    let path = app.stage("1.0.1");
    let good = staged(&path, "1.0.1");
    let file = |path: &str| Entry {
        path: path.into(),
        kind: EntryKind::File { size: 0, sha256: [0; 32], executable: false },
    };
    let link = |target: &str| Entry { path: "zz".into(), kind: EntryKind::Symlink { target: target.into() } };
    for bad in [
        file("../evil"),
        file("/evil"),
        file("a//b"),
        file("zz/nowhere"),
        file("bin/app"),
        file("bin/app/below"),
        file("x\0y"),
        link("../x"),
        link("/x"),
        link("bin/../../x"),
        link(""),
    ] {
        let mut staged = good.clone();
        staged.contents.entries.push(bad.clone());
        assert_eq!(kind(app.as_version("1.0.0").install(&staged, now())), ErrorKind::Integrity, "{bad:?}");
    }
    let mut staged = good.clone();
    staged.contents.entries.remove(0);
    assert_eq!(kind(app.as_version("1.0.0").install(&staged, now())), ErrorKind::Integrity);
    assert!(!app.dir.path().parent().unwrap().join("evil").exists());
    app.as_version("1.0.0").install(&good, now()).unwrap();
}

#[test]
fn another_kind_of_thing_is_refused() {
    let app = App::new(Shape::Folder);
    let path = app.dir.path().join("file");
    write_build(&path, Shape::File, "1.0.1");
    assert_eq!(kind(app.as_version("1.0.0").install(&staged(&path, "1.0.1"), now())), ErrorKind::Refused);
    let app = App::new(Shape::File);
    let path = app.dir.path().join("folder");
    write_build(&path, Shape::Folder, "1.0.1");
    assert_eq!(kind(app.as_version("1.0.0").install(&staged(&path, "1.0.1"), now())), ErrorKind::Refused);
    let missing = Options::new(app.dir.path().join("none"), version("1.0.0"));
    assert_eq!(kind(Installer::open(missing)), ErrorKind::Input);
}

#[test]
fn garbage_in_the_journal_keeps_nobody_from_updating() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    fs::write(app.journal(), b"\xff\x00garbage").unwrap();
    assert_eq!(app.as_version("1.0.1").started(now()).unwrap().state, StartState::Settled);
    app.holds(&app.target(), "1.0.1");
    app.install("1.0.1", "1.0.2", 0).unwrap();
    // Nothing says any more that what is at `.prev` is ours.
    app.holds(&app.prev(), "1.0.0");
    app.holds(&app.as_version("1.0.2").backup(), "1.0.1");
}

#[test]
fn the_disk_must_have_room() {
    let app = App::new(Shape::File);
    let installer = app.as_version("1.0.0");
    installer.room_for(1).unwrap();
    assert_eq!(kind(installer.room_for(u64::MAX / 2)), ErrorKind::NoSpace);
}

#[cfg(unix)]
#[test]
fn another_updater_at_work_is_waited_for_or_refused() {
    let app = App::new(Shape::File);
    let staging = app.as_version("1.0.0").staging().unwrap();
    let lock = fs::File::create(staging.parent().unwrap().join("LOCK")).unwrap();
    lock.lock().unwrap();
    assert_eq!(kind(app.install("1.0.0", "1.0.1", 0)), ErrorKind::Busy);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| app.as_version("1.0.0").recover(now()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        lock.unlock().unwrap();
        waiting.join().unwrap().unwrap();
    });
    app.install("1.0.0", "1.0.1", 0).unwrap();
}
