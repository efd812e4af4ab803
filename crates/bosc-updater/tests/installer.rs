//! What the installer admits, refuses, remembers and recognises.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod common;

use bosc_updater::install::{Admission, Installer, Options, Reason, StartState, Status, contents_of, verify};
use bosc_updater::release::{Entry, EntryKind};
use bosc_updater::{ErrorKind, UpdateError};
use common::{Shape, expected, later, now, release, staged, version, write_build};
use std::fs;
use std::path::{Path, PathBuf};

const DAY: u64 = 86_400;

struct App {
    dir: tempfile::TempDir,
    shape: Shape,
}

impl App {
    fn new(shape: Shape) -> Self {
        let app = Self { dir: tempfile::tempdir().unwrap(), shape };
        write_build(&app.target(), shape, "1.0.0");
        app
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("App")
    }

    fn prev(&self) -> PathBuf {
        self.dir.path().join("App.prev")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join(".App.bosc/journal.json")
    }

    /// An installer of the code that runs as this version.
    fn as_version(&self, running: &str) -> Installer {
        Installer::open(Options::new(self.target(), version(running))).unwrap()
    }

    fn stage(&self, new: &str) -> PathBuf {
        let path = self.dir.path().join(format!("staged-{new}"));
        write_build(&path, self.shape, new);
        path
    }

    fn install(&self, running: &str, new: &str, at: u64) -> Result<(), UpdateError> {
        let staged = staged(&self.stage(new), new);
        let done = self.as_version(running).install(&staged, later(at)).map(drop);
        let _ = fs::remove_file(&staged.path);
        let _ = fs::remove_dir_all(&staged.path);
        done
    }

    fn holds(&self, path: &Path, what: &str) {
        verify(path, &expected(self.shape, what))
            .unwrap_or_else(|e| panic!("{what} is not at {}: {e}", path.display()));
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, UpdateError>) -> ErrorKind {
    let e = result.unwrap_err();
    assert!(e.next_step().is_some(), "{e} says nothing of what to do");
    e.kind()
}

#[test]
fn the_whole_life_of_an_update() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        assert_eq!(app.as_version("1.0.0").started(now()).unwrap().state, StartState::Settled);
        assert!(
            !app.dir.path().join(".App.bosc").exists(),
            "an application that never updated gets no folder"
        );

        app.install("1.0.0", "1.0.1", 0).unwrap();
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.prev(), "1.0.0");
        let new = app.as_version("1.0.1");
        assert!(matches!(new.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        assert_eq!(new.floor().unwrap().version, None, "the floor rises only with health");
        assert!(
            !app.as_version("1.0.0").mark_healthy(now()).unwrap(),
            "the old code cannot speak for the new"
        );
        assert!(new.mark_healthy(now()).unwrap());
        assert!(!new.mark_healthy(now()).unwrap());
        assert_eq!(new.floor().unwrap().version, Some(version("1.0.1")));
        app.holds(&app.prev(), "1.0.0");

        // The next one pushes out the one before.
        app.install("1.0.1", "1.0.2", 0).unwrap();
        app.holds(&app.prev(), "1.0.1");
        let rolled_back = app.as_version("1.0.2").roll_back(Reason::Asked, now()).unwrap();
        assert_eq!(rolled_back.restored.version, version("1.0.1"));
        assert_eq!(rolled_back.restored.release, Some(release("1.0.1").id));
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.dir.path().join("App.broken"), "1.0.2");
        assert_eq!(kind(app.as_version("1.0.1").roll_back(Reason::Asked, now())), ErrorKind::Refused);
        app.install("1.0.1", "1.0.3", 0).unwrap();
        assert!(!app.dir.path().join("App.broken").exists(), "the broken one is kept until the next install");
    }
}

#[test]
fn a_build_that_says_another_version_is_not_on_trial_for_ever() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let mut at = 2;
    while !matches!(app.as_version("7.7.7").started(later(at)).unwrap().state, StartState::RolledBack(_)) {
        at += 1;
        assert!(at < 10);
    }
    app.holds(&app.target(), "1.0.0");
}

/// A release whose version was not raised in the code is the release it is, and the next one mends it.
#[test]
fn a_build_is_what_it_is_and_not_what_it_says() {
    for says in ["1.0.0", "7.7.7"] {
        let app = App::new(Shape::File);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        let mislabelled = app.as_version(says);
        assert!(matches!(mislabelled.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        let both = Some((version("1.0.1"), version(says)));
        assert_eq!(mislabelled.mismatch().unwrap(), both);
        assert_eq!(mislabelled.installed_version().unwrap(), version("1.0.1"));
        assert!(mislabelled.mark_healthy(now()).unwrap(), "{says}");
        drop(mislabelled);
        // At the next start it still says so, is not offered itself, and the next one comes.
        let again = app.as_version(says);
        assert_eq!(again.started(now()).unwrap().state, StartState::Settled);
        assert_eq!(again.mismatch().unwrap(), both);
        assert_eq!(again.admit(&release("1.0.1"), now()).unwrap(), Admission::NotNewer);
        app.install(says, "1.0.2", 0).unwrap();
        let mended = app.as_version("1.0.2");
        mended.started(now()).unwrap();
        assert_eq!(mended.mismatch().unwrap(), None);
        assert!(mended.mark_healthy(now()).unwrap());
        assert_eq!(mended.mismatch().unwrap(), None);
    }
}

#[test]
fn what_follows_a_plus_is_no_other_version() {
    let app = App::new(Shape::File);
    for twin in ["1.0.0+5", "1.0.0"] {
        assert_eq!(app.as_version("1.0.0").admit(&release(twin), now()).unwrap(), Admission::NotNewer);
        assert_eq!(app.as_version("1.0.0+7").admit(&release(twin), now()).unwrap(), Admission::NotNewer);
    }
    app.install("1.0.0+1", "1.0.1+5", 0).unwrap();
    let plain = app.as_version("1.0.1");
    assert!(matches!(plain.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
    assert_eq!(plain.mismatch().unwrap(), None);
    assert!(plain.mark_healthy(now()).unwrap());
    assert_eq!(plain.admit(&release("1.0.1+6"), now()).unwrap(), Admission::NotNewer);
    assert_eq!(plain.admit(&release("1.0.1+4"), now()).unwrap(), Admission::NotNewer);
    assert_eq!(plain.admit(&release("1.0.2+1"), now()).unwrap(), Admission::Admitted);
}

#[test]
fn starts_that_were_cut_off_are_no_crashes() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || app.as_version("1.0.1").started(now()).unwrap().state;
    // A power cut, a logout and a kill: nobody saw what ended them.
    for n in 1..=3 {
        assert!(matches!(start(), StartState::Trial { start, .. } if start == n), "start {n}");
    }
    assert!(matches!(start(), StartState::RolledBack(_)), "not for ever");
    app.holds(&app.target(), "1.0.0");

    // The system itself was started anew in between: that is no fault of the build at all.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || app.as_version("1.0.1").started(now()).unwrap().state;
    for _ in 0..8 {
        assert!(matches!(start(), StartState::Trial { start: 1, .. }) || cfg!(not(target_os = "linux")));
        bosc_updater::install::faults::reboot();
    }
    assert!(app.as_version("1.0.1").mark_healthy(now()).unwrap() || cfg!(not(target_os = "linux")));
}

#[test]
fn a_build_may_say_that_it_needs_longer() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    assert!(!app.as_version("1.0.0").starting(now()).unwrap(), "the old code does not speak for the new");
    let new = app.as_version("1.0.1");
    new.started(now()).unwrap();
    // Its time would be over after 90 s; a second click would count then.
    assert!(new.starting(later(80)).unwrap());
    assert!(matches!(
        app.as_version("1.0.1").started(later(120)).unwrap().state,
        StartState::Trial { start: 1, .. }
    ));
    assert!(matches!(
        app.as_version("1.0.1").started(later(141)).unwrap().state,
        StartState::Trial { start: 2, .. }
    ));
    for n in 0..300 {
        assert_eq!(new.starting(later(n)).unwrap(), n < 255, "{n}");
    }
}

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
fn a_second_start_beside_a_living_one_is_no_crash() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = |at: u64| {
        let mut options = Options::new(app.target(), version("1.0.1"));
        options.health.unfinished = 2;
        let installer = Installer::open(options).unwrap();
        let state = installer.started(later(at)).unwrap().state;
        (installer, state)
    };
    let trial = |state: &StartState| match state {
        StartState::Trial { start, .. } => *start,
        other => panic!("{other:?}"),
    };
    let (first, state) = start(0);
    assert_eq!(trial(&state), 1);
    for at in 1..20 {
        assert_eq!(trial(&start(at).1), 1, "clicked again after {at} s");
    }
    // The first one dies: that counts, and so does whoever comes when the time to be healthy is over.
    drop(first);
    let (second, state) = start(20);
    assert_eq!(trial(&state), 2);
    assert_eq!(trial(&start(21).1), 2);
    assert!(matches!(start(20 + 3600).1, StartState::RolledBack(_)));
    drop(second);
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn a_release_that_was_rolled_back_waits_longer_each_time() {
    let app = App::new(Shape::File);
    let mut at = 0;
    for (times, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64)] {
        app.install("1.0.0", "1.0.1", at).unwrap();
        app.as_version("1.0.1").roll_back(Reason::Crashed, later(at)).unwrap();
        let old = app.as_version("1.0.0");
        let until = later(at + wait * DAY);
        assert_eq!(old.admit(&release("1.0.1"), later(at)).unwrap(), Admission::Rejected { until, times });
        assert_eq!(kind(app.install("1.0.0", "1.0.1", at + wait * DAY - 1)), ErrorKind::Refused);
        at += wait * DAY;
        assert_eq!(old.admit(&release("1.0.1"), later(at)).unwrap(), Admission::Admitted);
    }
    let old = app.as_version("1.0.0");
    let mut same_tree = release("1.0.5");
    same_tree.id = release("1.0.1").id;
    assert!(
        matches!(old.admit(&same_tree, later(at - 1)).unwrap(), Admission::Rejected { .. }),
        "by its identity too"
    );
    let mut same_version = release("1.0.1");
    same_version.id = release("9.0.0").id;
    assert!(matches!(old.admit(&same_version, later(at - 1)).unwrap(), Admission::Rejected { .. }));
    assert_eq!(
        old.admit(&release("1.0.2"), later(at - 1)).unwrap(),
        Admission::Admitted,
        "a newer one is free"
    );
    app.install("1.0.0", "1.0.2", at).unwrap();
    app.as_version("1.0.2").mark_healthy(later(at)).unwrap();
    assert_eq!(app.as_version("1.0.2").rejections(later(at)).unwrap(), []);
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
        // A link in the place of a file is not followed.
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

/// `App.prev` and `App.broken` may be the person's own: what the journal does not name is never removed.
#[test]
fn names_that_a_person_uses_are_left_alone() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        let mine = |name: &str| app.dir.path().join(name);
        let names = ["App.prev", "App.broken", "App.prev-3", "App.broken-2"];
        for name in names {
            fs::create_dir(mine(name)).unwrap();
            fs::write(mine(name).join("thesis.txt"), name).unwrap();
        }
        let mut at = 0;
        let (mut running, mut before) = ("1.0.0", "1.0.0");
        for new in ["1.0.1", "1.0.2", "1.0.3"] {
            app.install(running, new, at).unwrap();
            app.holds(&mine("App.prev-2"), before);
            assert_eq!(app.as_version(new).backup().file_name().unwrap(), "App.prev-2");
            assert!(app.as_version(new).mark_healthy(later(at)).unwrap());
            (running, before) = (new, new);
        }
        for bad in ["1.0.4", "1.0.5"] {
            app.install(running, bad, at).unwrap();
            app.as_version(bad).roll_back(Reason::Crashed, later(at)).unwrap();
            app.holds(&app.target(), running);
            app.holds(&mine("App.broken-3"), bad);
            at += 3 * DAY;
        }
        app.install(running, "1.0.6", at).unwrap();
        assert!(!mine("App.broken-3").exists());
        for name in names {
            assert_eq!(fs::read_to_string(mine(name).join("thesis.txt")).unwrap(), name);
        }
        assert_eq!(
            fs::read_dir(app.dir.path()).unwrap().count(),
            names.len() + 3,
            "App, App.prev-2, .App.bosc"
        );
        // A person who moves ours away and puts their own there keeps that, too.
        aside(&mine("App.prev-2"));
        fs::write(mine("App.prev-2"), "mine").unwrap();
        assert!(app.as_version("1.0.6").mark_healthy(later(at)).unwrap());
        app.install("1.0.6", "1.0.7", at).unwrap();
        assert_eq!(fs::read_to_string(mine("App.prev-2")).unwrap(), "mine");
        app.holds(&mine("App.prev-4"), "1.0.6");
    }
}

/// Out of the way and not deleted: a file system under emulation gives the next file the number of the one before.
fn aside(path: &Path) {
    fs::rename(path, path.with_extension("aside")).unwrap();
}

#[test]
fn a_stale_backup_is_never_returned_to() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        // Somebody puts another build at .prev.
        aside(&app.prev());
        write_build(&app.prev(), shape, "0.1.0");
        assert_eq!(kind(app.as_version("1.0.1").roll_back(Reason::Crashed, now())), ErrorKind::Refused);
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.prev(), "0.1.0");
    }
}

#[test]
fn a_backup_that_was_copied_is_recognised_by_its_bytes() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        // As from a backup program: other inodes, same bytes.
        let _ = fs::remove_file(app.prev());
        let _ = fs::remove_dir_all(app.prev());
        write_build(&app.prev(), shape, "1.0.0");
        app.as_version("1.0.1").roll_back(Reason::Crashed, now()).unwrap();
        app.holds(&app.target(), "1.0.0");
    }
}

#[test]
fn a_backup_that_the_application_wrote_into_is_returned_to() {
    let app = App::new(Shape::Folder);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    fs::write(app.prev().join("cache"), "made while it ran").unwrap();
    app.as_version("1.0.1").roll_back(Reason::Crashed, now()).unwrap();
    assert_eq!(fs::read_to_string(app.target().join("cache")).unwrap(), "made while it ran");
}

#[test]
fn what_others_do_is_respected() {
    // Somebody installs a third build over the one on trial.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    aside(&app.target());
    write_build(&app.target(), Shape::File, "2.0.0");
    let started = app.as_version("2.0.0").started(now()).unwrap();
    assert_eq!(started.state, StartState::Settled);
    assert_eq!(kind(app.as_version("2.0.0").roll_back(Reason::Asked, now())), ErrorKind::Refused);
    app.holds(&app.target(), "2.0.0");

    // Perry's updater rolls the build on trial back.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    fs::rename(app.prev(), app.target()).unwrap();
    let started = app.as_version("1.0.0").started(now()).unwrap();
    assert_eq!(started.news.unwrap().bad.version, version("1.0.1"));
    assert!(matches!(
        app.as_version("1.0.0").admit(&release("1.0.1"), now()).unwrap(),
        Admission::Rejected { .. }
    ));

    // Perry's updater was killed between its two renames.
    let app = App::new(Shape::File);
    fs::rename(app.target(), app.prev()).unwrap();
    app.as_version("1.0.0").recover(now()).unwrap();
    app.holds(&app.target(), "1.0.0");

    // The person removes the application: it stays removed.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let installer = app.as_version("1.0.1");
    installer.mark_healthy(now()).unwrap();
    fs::remove_file(app.target()).unwrap();
    assert_eq!(kind(installer.recover(now())), ErrorKind::Input);
    assert!(!app.target().exists());
}

#[test]
fn an_update_of_perrys_is_taken_over() {
    let app = App::new(Shape::File);
    let (one, two) = (version("1.0.0"), version("1.0.1"));
    assert!(!app.as_version("1.0.1").adopt(&two, &one, 1, now()).unwrap(), "there is no backup");
    write_build(&app.prev(), Shape::File, "1.0.0");
    fs::remove_file(app.target()).unwrap();
    write_build(&app.target(), Shape::File, "1.0.1");
    let installer = app.as_version("1.0.1");
    assert!(installer.adopt(&two, &one, 3, now()).unwrap());
    assert!(!installer.adopt(&two, &one, 3, now()).unwrap());
    assert!(matches!(installer.started(now()).unwrap().state, StartState::RolledBack(_)));
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn starts_are_counted_and_forgiven_in_bounds() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || {
        let mut options = Options::new(app.target(), version("1.0.1"));
        options.health.unfinished = 1;
        Installer::open(options).unwrap()
    };
    for _ in 0..8 {
        let installer = start();
        assert!(matches!(installer.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        installer.closed(now()).unwrap();
        installer.closed(now()).unwrap();
    }
    let installer = start();
    assert!(matches!(installer.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
    installer.closed(now()).unwrap();
    assert!(matches!(start().started(now()).unwrap().state, StartState::RolledBack(_)));
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn an_old_process_cannot_speak_for_a_later_trial() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let first = app.as_version("1.0.1");
    first.started(now()).unwrap();
    first.roll_back(Reason::Asked, now()).unwrap();
    app.install("1.0.0", "1.0.1", 3 * DAY).unwrap();
    assert!(!first.mark_healthy(now()).unwrap());
    assert!(matches!(first.status().unwrap(), Status::Trial { .. }));
    assert!(app.as_version("1.0.1").mark_healthy(now()).unwrap());
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
fn many_files_are_one_build_too() {
    let app = App::new(Shape::Folder);
    let path = app.stage("1.0.1");
    for n in 0..300 {
        fs::write(path.join(format!("share/file-{n}")), n.to_string()).unwrap();
    }
    let staged = staged(&path, "1.0.1");
    app.as_version("1.0.0").install(&staged, now()).unwrap();
    verify(&app.target(), &staged.contents).unwrap();
    app.holds(&app.prev(), "1.0.0");
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
fn links_and_modes() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let app = App::new(Shape::File);
    let link = app.dir.path().join("link");
    symlink("App", &link).unwrap();
    let installer = Installer::open(Options::new(&link, version("1.0.0"))).unwrap();
    assert_eq!(installer.target(), fs::canonicalize(app.target()).unwrap());

    let path = app.stage("1.0.1");
    let mut staged = staged(&path, "1.0.1");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4600)).unwrap();
    let EntryKind::File { executable, .. } = &mut staged.contents.entries[0].kind else { panic!() };
    *executable = false;
    installer.install(&staged, now()).unwrap();
    let mode = fs::metadata(app.target()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755, "one file is a program, and has no more rights than that");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let folder = fs::metadata(app.dir.path().join(".App.bosc")).unwrap().permissions().mode() & 0o777;
    let parent = fs::metadata(app.dir.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, parent);
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

#[test]
fn a_build_is_described_the_same_wherever_it_lies() {
    let app = App::new(Shape::Folder);
    assert_eq!(contents_of(&app.target()).unwrap(), expected(Shape::Folder, "1.0.0"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../..", app.target().join("share/out")).unwrap();
        assert_eq!(kind(contents_of(&app.target())), ErrorKind::Integrity);
        let _ = fs::remove_file(app.target().join("share/out"));
        let _socket = std::os::unix::net::UnixListener::bind(app.target().join("socket")).unwrap();
        assert_eq!(kind(contents_of(&app.target())), ErrorKind::Integrity);
    }
}

/// A file that is replaced is replaced by `bosc_files`, whoever does it: there is one level of durability for each kind of file, and
/// no half-written one under its name. (`p2p` writes builds anew, in folders of its own.)
#[test]
fn files_are_replaced_on_one_road() {
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = at.display().to_string().replace('\\', "/");
        if name.contains("/install/fs/") || name.contains("/src/p2p/") || name.contains("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&at).unwrap();
        let code = text.split("mod tests {").next().unwrap();
        for forbidden in [
            "std::fs::rename",
            "std::fs::write",
            "File::create",
            ".truncate(true)",
            "create_new(",
            "DirBuilder",
        ] {
            assert!(!code.contains(forbidden), "{name} uses {forbidden}");
        }
        read += 1;
    }
    assert!(read > 50, "{read}");
}

/// Whatever the installer does to files goes through one place, or the crash matrix would not see it.
#[test]
fn every_file_operation_goes_through_the_counter() {
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = at.display().to_string().replace('\\', "/");
        let ours =
            ["/src/install/", "/src/health/", "/src/archive/"].iter().any(|folder| name.contains(folder));
        if !ours || name.contains("/install/fs/") || name.contains("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&at).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for forbidden in ["std::fs::", "use std::fs;", "OpenOptions", "File::open", "File::create"] {
            let found = code.replace("use std::fs::File;", "").contains(forbidden);
            assert!(!found, "{name} uses {forbidden}");
        }
        read += 1;
    }
    assert!(read > 15);
}

/// What the person or an administrator narrowed stays narrow, file by file; what is not carried over is said.
#[cfg(unix)]
#[test]
fn modes_are_those_of_the_build_before_or_narrower() {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode: u32| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (old, new) in
        [(0o700, 0o700), (0o711, 0o711), (0o750, 0o750), (0o755, 0o755), (0o4755, 0o755), (0o777, 0o775)]
    {
        let app = App::new(Shape::File);
        set(&app.target(), old);
        let staged = staged(&app.stage("1.0.1"), "1.0.1");
        let installed = app.as_version("1.0.0").install(&staged, now()).unwrap();
        assert_eq!(mode(&app.target()), new, "{old:o}");
        assert_eq!(installed.not_kept.len(), usize::from(old == 0o4755), "{:?}", installed.not_kept);
    }
    let app = App::new(Shape::Folder);
    let files = |root: &Path| {
        let mut files: Vec<_> =
            contents_of(root).unwrap().entries.into_iter().map(|e| root.join(e.path)).collect();
        files.retain(|path| path.is_file() && !path.is_symlink());
        files
    };
    let folder = files(&app.target())[0].clone();
    set(&folder, 0o600);
    set(&app.target(), 0o2750);
    // Every link says that everybody may write to it.
    let link = app.target().join("share/notes.txt");
    assert_ne!(folder, link);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("elsewhere", &link).unwrap();
    let staged = staged(&app.stage("1.0.1"), "1.0.1");
    let fresh = staged.path.join("fresh");
    fs::write(&fresh, "new").unwrap();
    set(&fresh, 0o644);
    let staged = bosc_updater::release::Staged { contents: contents_of(&staged.path).unwrap(), ..staged };
    app.as_version("1.0.0").install(&staged, now()).unwrap();
    assert_eq!(mode(&app.target()), 0o2750, "a folder that its group shares stays one");
    assert_eq!(mode(&folder) & 0o077, 0, "{}: {:o}", folder.display(), mode(&folder));
    assert_eq!(mode(&link) & 0o022, 0, "{}: {:o}", link.display(), mode(&link));
    assert_eq!(
        mode(&app.target().join("fresh")),
        0o640,
        "what is new is for those who could read the old build"
    );
}

/// What an administrator gave the files of an installation beside their modes is there after an update as well.
#[cfg(target_os = "linux")]
#[test]
fn attributes_access_lists_and_capabilities_come_along() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    use std::os::unix::fs::PermissionsExt;
    let app = App::new(Shape::Folder);
    let (program, notes) = (app.target().join("bin/app"), app.target().join("share/notes.txt"));
    // Owner rwx, user 1000 rwx, group r-x, mask rwx, others rwx.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 7, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        list.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    // cap_net_bind_service=ep
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let wanted: [(&Path, &str, &[u8]); 4] = [
        (&notes, "user.note", b"mine"),
        (&notes, "trusted.note", b"root's"),
        (&program, "system.posix_acl_access", &list),
        (&program, "security.capability", &capability),
    ];
    // Those that this user and this file system can have.
    let given: Vec<_> = wanted
        .into_iter()
        .filter(|(path, name, value)| setxattr(*path, *name, value, XattrFlags::empty()).is_ok())
        .collect();
    if given.len() < wanted.len() {
        eprintln!("RUN IN PART: of {} attributes {} can be given here", wanted.len(), given.len());
    }
    let staged = staged(&app.stage("1.0.1"), "1.0.1");
    let installed = app.as_version("1.0.0").install(&staged, now()).unwrap();
    assert_eq!(installed.not_kept, [""; 0]);
    for (path, name, value) in given {
        let mut now = [0_u8; 256];
        assert_eq!(getxattr(path, name, now.as_mut_slice()), Ok(value.len()), "{name} of {}", path.display());
        if name != "system.posix_acl_access" {
            assert_eq!(now[..value.len()], *value, "{name}");
        }
    }
    let mode = fs::metadata(&program).unwrap().permissions().mode();
    assert_eq!((mode & 0o002, mode & 0o100), (0, 0o100), "{mode:o}: a list that opens it to all is narrowed");
}

/// The name of the updater's folder is the user's own: it stays as it is, and is named for what it is.
#[test]
fn what_has_the_name_of_the_updaters_folder_is_named_and_left_alone() {
    type Make = fn(&Path);
    let all: &[(&str, Make)] = &[
        ("a file", |path| fs::write(path, "mine").unwrap()),
        #[cfg(unix)]
        ("a link", |path| std::os::unix::fs::symlink("elsewhere", path).unwrap()),
    ];
    for (what, make) in all {
        for shape in [Shape::File, Shape::Folder] {
            let app = App::new(shape);
            let folder = app.dir.path().join(".App.bosc");
            make(&folder);
            let before = fs::symlink_metadata(&folder).unwrap();
            let e = app.install("1.0.0", "1.0.1", 0).unwrap_err();
            let kind = if *what == "a link" { ErrorKind::Permission } else { ErrorKind::Input };
            assert_eq!(e.kind(), kind, "{e}");
            assert!(e.to_string().contains(&format!("{} is {what}", folder.display())), "{e}");
            assert!(e.next_step().is_some_and(|hint| hint.contains("another name")), "{e}");
            let mut all = vec![app.as_version("1.0.0").staging().map(drop).unwrap_err()];
            match app.as_version("1.0.0").started(now()) {
                Err(e) => all.push(e),
                // As where nothing may be written: the application starts, and is not updated.
                Ok(_) => assert_eq!(kind, ErrorKind::Permission),
            }
            for e in all {
                assert!(e.to_string().contains(&format!("is {what}")), "{e}");
            }
            let after = fs::symlink_metadata(&folder).unwrap();
            assert_eq!((after.file_type(), after.len()), (before.file_type(), before.len()));
            assert_eq!(contents_of(&app.target()).unwrap(), expected(shape, "1.0.0"));
        }
    }
}

#[test]
fn nothing_stays_of_the_build_before_when_it_is_not_kept() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        let installer = app.as_version("1.0.1");
        let _ = installer.started(later(1)).unwrap();
        assert!(installer.mark_healthy(later(2)).unwrap());
        installer.discard_previous(later(3)).unwrap();
        assert!(!app.prev().exists());
        assert!(!app.dir.path().join(".App.bosc/trash").exists(), "not even an empty folder");
    }
}
