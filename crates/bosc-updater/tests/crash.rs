//! The crash matrix: an install, a roll-back and a recovery are killed at every file-system call they make, one run per
//! call, and meet an error at every call; then the application's path must hold one whole build, and the work must be
//! finished or undone by whoever comes next.
//!
//! The work runs in a process of its own: this test binary again, in the test `child`, with the plan in its environment.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod common;

use bosc_updater::ErrorKind;
use bosc_updater::install::faults::{self, Fault};
use bosc_updater::install::{Installer, Op, Options, Reason, Status, contents_of};
use bosc_updater::release::Contents;
use common::{Shape, expected, folder, later, now, staged, version, write_build};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const JOB: &str = "BOSC_CRASH_JOB";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Install,
    RollBack,
    Recover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Case {
    shape: Shape,
    work: Work,
    exchange: bool,
    /// The staged build lies on another file system.
    far: bool,
    /// The person has put something into the application's folder.
    added: bool,
}

impl Case {
    /// Whether the path may be empty between a kill and the recovery: two renames.
    fn may_be_empty(self) -> bool {
        cfg!(windows) || (self.shape == Shape::Folder && !self.exchange)
    }
}

fn target(dir: &Path) -> PathBuf {
    dir.join("App")
}

fn staging(dir: &Path) -> PathBuf {
    dir.join(".App.bosc").join("staging").join("build")
}

/// The name that is left for the build before: the usual one is the person's.
fn installer(dir: &Path, running: &str) -> Installer {
    Installer::open(Options::new(target(dir), version(running))).unwrap()
}

/// What the child does. Prints how it ended and how many calls it made.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let mut words = job.split('|');
    let mut word = || words.next().unwrap().to_owned();
    let (work, dir, exchange, far) = (word(), PathBuf::from(word()), word(), word());
    let (at, fault, only) = (word(), word(), word());
    let installer = installer(&dir, "1.0.0");
    let build = (work == "Install").then(|| staged(&staging(&dir), "1.0.1"));
    faults::forbid_exchange(exchange == "false");
    faults::other_file_system(far == "true");
    let fault = match fault.as_str() {
        "kill" => Fault::Kill,
        code => Fault::Fail(code.parse().unwrap()),
    };
    let only = (only == "writes").then_some(Op::Write);
    faults::start(at.parse().ok().map(|at: u64| (at, fault)), only);
    let done = match work.as_str() {
        "Install" => installer.install(&build.unwrap(), now()).map(drop),
        "RollBack" => installer.roll_back(Reason::Asked, now()).map(drop),
        _ => installer.recover(now()).map(drop),
    };
    let (calls, log) = faults::stop();
    if std::env::var("BOSC_CRASH_LOG").is_ok() {
        for (op, path) in log {
            eprintln!("{op:?} {path}");
        }
    }
    let done = match done {
        Ok(()) => "ok".to_owned(),
        Err(e) => format!("{:?} {e}", e.kind()),
    };
    println!("DONE|{done}|{calls}|");
}

/// `None` when it was killed.
fn run(case: Case, dir: &Path, at: Option<u64>, fault: &str, only: &str) -> Option<(String, u64)> {
    let at = at.map_or_else(|| "none".to_owned(), |at| at.to_string());
    let job = format!("{:?}|{}|{}|{}|{at}|{fault}|{only}", case.work, dir.display(), case.exchange, case.far);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((_, rest)) = text.split_once("DONE|") else {
        assert!(!output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.signal(), Some(9), "not killed but failed: {text}{errors}");
        }
        return None;
    };
    let mut parts = rest.split('|');
    Some((parts.next().unwrap().to_owned(), parts.next().unwrap().parse().unwrap()))
}

struct Builds {
    stale: Contents,
    old: Contents,
    new: Contents,
}

impl Builds {
    fn of(shape: Shape) -> Self {
        Self { stale: expected(shape, "0.9.0"), old: expected(shape, "1.0.0"), new: expected(shape, "1.0.1") }
    }

    /// Which whole build is there.
    fn at(&self, path: &Path) -> &'static str {
        if fs::symlink_metadata(path).is_err() {
            return "nothing";
        }
        let added = path.is_dir() && ADDED.iter().any(|add| fs::symlink_metadata(path.join(add)).is_ok());
        let bare = added.then(|| without_added(path));
        match contents_of(&bare.as_ref().map_or(path.to_owned(), |dir| dir.path().join("build"))) {
            Ok(found) if found == self.old => "old",
            Ok(found) if found == self.new => "new",
            Ok(found) if found == self.stale => "stale",
            _ => "torn",
        }
    }
}

/// The application before the work: 1.0.0 installed, a `.prev` and a `.broken` that the person made, 1.0.1 staged or installed.
fn prepare(case: Case, dir: &Path) {
    write_build(&target(dir), case.shape, "1.0.0");
    write_build(&dir.join("App.prev"), case.shape, "0.9.0");
    write_build(&dir.join("App.broken"), case.shape, "0.9.0");
    restage(case, dir);
    if case.added {
        installer(dir, "1.0.0").note_installed(now()).unwrap();
        add(&target(dir));
    }
    if case.work == Work::RollBack {
        installer(dir, "1.0.0").install(&staged(&staging(dir), "1.0.1"), now()).unwrap();
    }
}

fn restage(case: Case, dir: &Path) {
    fs::create_dir_all(staging(dir).parent().unwrap()).unwrap();
    let _ = fs::remove_file(staging(dir));
    let _ = fs::remove_dir_all(staging(dir));
    write_build(&staging(dir), case.shape, "1.0.1");
}

/// After a kill or an error: whole at once, whole and settled after the next call, and the work can be done again.
fn check(case: Case, builds: &Builds, dir: &Path, what: &str) {
    let at_once = builds.at(&target(dir));
    let fine = matches!(at_once, "old" | "new") || (at_once == "nothing" && case.may_be_empty());
    assert!(fine, "{case:?} {what}: {at_once} at the path before recovery");
    let mine = |when: &str| {
        let there = !case.added || has_added(&target(dir));
        assert!(there, "{case:?} {what}: what was added is gone {when}");
    };
    if at_once != "nothing" {
        mine("before recovery");
    }

    let installer = installer(dir, "1.0.0");
    let status = installer.recover(now()).unwrap_or_else(|e| panic!("{case:?} {what}: recover: {e}"));
    mine("after recovery");
    let there = builds.at(&target(dir));
    let prev = builds.at(&installer.backup());
    let of_the_person = || {
        for name in ["App.prev", "App.broken"] {
            assert_eq!(builds.at(&dir.join(name)), "stale", "{case:?} {what}: the person's own {name}");
        }
    };
    of_the_person();
    match &status {
        Status::Trial { .. } => assert_eq!((there, prev), ("new", "old"), "{case:?} {what}"),
        Status::Settled { previous } => {
            assert_eq!(there, "old", "{case:?} {what}");
            assert_eq!(previous, &None, "{case:?} {what}: the stale build must not be one to return to");
        }
    }
    assert_eq!(
        installer.recover(now()).unwrap(),
        status,
        "{case:?} {what}: a second recovery changes nothing"
    );
    for left in ["incoming", "outgoing", "journal.new"] {
        if matches!(status, Status::Settled { .. }) {
            assert!(!dir.join(".App.bosc").join(left).exists(), "{case:?} {what}: {left} is left over");
        }
    }

    // Whatever happened, the update can be installed and rolled back.
    if matches!(status, Status::Settled { .. }) {
        let rolled_back = !installer.rejections(now()).unwrap().is_empty();
        assert_eq!(
            rolled_back,
            case.work == Work::RollBack,
            "{case:?} {what}: on the list of those rolled back"
        );
        restage(case, dir);
        let again = installer.install(&staged(&staging(dir), "1.0.1"), later(200 * 86_400));
        again.unwrap_or_else(|e| panic!("{case:?} {what}: again: {e}"));
    }
    assert_eq!(builds.at(&target(dir)), "new", "{case:?} {what}");
    mine("in the new build");
    installer.roll_back(Reason::Asked, now()).unwrap_or_else(|e| panic!("{case:?} {what}: back: {e}"));
    assert_eq!(builds.at(&target(dir)), "old", "{case:?} {what}");
    mine("after it was rolled back");
    assert_eq!(builds.at(&dir.join("App.broken-2")), "new", "{case:?} {what}");
    assert!(!dir.join("App.broken-3").exists(), "{case:?} {what}: one is enough");
    assert!(!dir.join("App.prev-3").exists(), "{case:?} {what}: one is enough");
    of_the_person();
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in [Shape::File, Shape::Folder] {
        for work in [Work::Install, Work::RollBack] {
            for exchange in [true, false] {
                cases.push(Case { shape, work, exchange, far: false, added: false });
            }
        }
        cases.push(Case { shape, work: Work::Install, exchange: true, far: true, added: false });
    }
    for work in [Work::Install, Work::RollBack] {
        for exchange in [true, false] {
            cases.push(Case { shape: Shape::Folder, work, exchange, far: false, added: true });
        }
    }
    cases
}

/// What the person has put into the application's folder: a file beside those of the release, one in a folder of their own, a link.
const ADDED: [&str; 3] = ["share/mine.txt", "plugins/deep/mine.js", "plugins/link"];

fn add(target: &Path) {
    fs::create_dir_all(target.join("plugins/deep")).unwrap();
    for (number, path) in ADDED.iter().enumerate().take(2) {
        fs::write(target.join(path), format!("mine {number}")).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/where/i/keep/things", target.join(ADDED[2])).unwrap();
}

/// What was added to the folder at the path is all there.
fn has_added(path: &Path) -> bool {
    let written = |number: usize| fs::read_to_string(path.join(ADDED[number])).ok();
    let link = fs::read_link(path.join(ADDED[2])).ok();
    written(0).as_deref() == Some("mine 0")
        && written(1).as_deref() == Some("mine 1")
        && (cfg!(windows) || link.as_deref() == Some(Path::new("/where/i/keep/things")))
}

/// A build without what was added to it.
fn without_added(path: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
            if kind.is_dir() {
                copy(&entry.path(), &to);
            } else if kind.is_symlink() {
                #[cfg(unix)]
                std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let dir = folder();
    let to = dir.path().join("build");
    copy(path, &to);
    let _ = fs::remove_file(to.join(ADDED[0]));
    let _ = fs::remove_dir_all(to.join("plugins"));
    dir
}

/// Every how many-th call is tried: all of them, but on Windows (slow under emulation) a few.
fn stride() -> usize {
    if cfg!(windows) { 9 } else { 1 }
}

/// What lies there, in short, to try one of each kind once.
fn signature(builds: &Builds, dir: &Path) -> String {
    let folder = dir.join(".App.bosc");
    let journal = fs::read_to_string(folder.join("journal.json")).unwrap_or_default();
    let state = journal.lines().find(|line| line.contains("\"state\"")).unwrap_or_default().trim().to_owned();
    let places = [
        target(dir),
        dir.join("App.prev-2"),
        dir.join("App.broken-2"),
        folder.join("incoming"),
        folder.join("outgoing"),
        folder.join("trash"),
        folder.join("journal.new"),
    ];
    places.iter().fold(state, |text, path| text + " " + builds.at(path))
}

#[test]
fn killed_at_every_call() {
    if std::env::var(JOB).is_ok() {
        return;
    }
    let (mut kills, mut again) = (0, 0);
    for case in cases() {
        let builds = Builds::of(case.shape);
        let count = {
            let dir = folder();
            prepare(case, dir.path());
            let (done, calls) = run(case, dir.path(), None, "kill", "all").unwrap();
            assert_eq!(done, "ok", "{case:?}");
            check(case, &builds, dir.path(), "unharmed");
            calls
        };
        let mut seen = BTreeSet::new();
        for at in (1..=count).step_by(stride()) {
            let dir = folder();
            prepare(case, dir.path());
            assert!(run(case, dir.path(), Some(at), "kill", "all").is_none(), "{case:?}: not killed at {at}");
            kills += 1;
            if seen.insert(signature(&builds, dir.path())) {
                again += killed_while_recovering(case, &builds, at);
            }
            check(case, &builds, dir.path(), &format!("killed at call {at} of {count}"));
        }
        println!(
            "{:?} {} exchange={} far={}: {count} calls, {} states",
            case.work,
            case.shape.name(),
            case.exchange,
            case.far,
            seen.len()
        );
    }
    println!(
        "crash matrix: {kills} kills of the work, {again} kills of its recovery; one whole build after each"
    );
}

/// The recovery from a kill is killed at each of its own calls.
fn killed_while_recovering(case: Case, builds: &Builds, first: u64) -> u64 {
    let recover = Case { work: Work::Recover, ..case };
    let again = || {
        let dir = folder();
        prepare(case, dir.path());
        assert!(run(case, dir.path(), Some(first), "kill", "all").is_none());
        dir
    };
    let (_, count) = run(recover, again().path(), None, "kill", "all").unwrap();
    let mut kills = 0;
    for at in (1..=count).step_by(stride()) {
        let dir = again();
        assert!(run(recover, dir.path(), Some(at), "kill", "all").is_none());
        kills += 1;
        check(case, builds, dir.path(), &format!("killed at call {first}, recovery at {at} of {count}"));
    }
    kills
}

#[test]
fn an_error_at_every_call() {
    if std::env::var(JOB).is_ok() {
        return;
    }
    let mut errors = 0;
    for case in cases() {
        let builds = Builds::of(case.shape);
        // EIO everywhere; a full disk, torn in the middle, at every write.
        for (fault, only) in [("5", "all"), (if cfg!(windows) { "112" } else { "28" }, "writes")] {
            let mut at = 1;
            loop {
                let dir = folder();
                prepare(case, dir.path());
                let (done, calls) = run(case, dir.path(), Some(at), fault, only).unwrap();
                let what = format!("error {fault} at call {at}: {done}");
                if calls < at {
                    break;
                }
                errors += 1;
                // The process lived: the path is whole at once, whatever the system.
                let there = builds.at(&target(dir.path()));
                assert!(matches!(there, "old" | "new"), "{case:?} {what}: {there} at the path");
                if case.work == Work::Install {
                    assert_eq!(there == "new", done == "ok", "{case:?} {what}: it must say what it did");
                } else if only == "writes" {
                    assert_eq!(
                        (done.as_str(), there),
                        ("ok", "old"),
                        "{case:?} {what}: a full disk is no reason to stay"
                    );
                }
                check_after_error(case, &builds, dir.path(), &what);
                at += stride() as u64;
            }
        }
    }
    println!("crash matrix: {errors} errors; one whole build after each");
}

fn check_after_error(case: Case, builds: &Builds, dir: &Path, what: &str) {
    // An error early in a roll-back leaves the build on trial; that is one of the two it may be.
    if case.work == Work::RollBack && builds.at(&target(dir)) == "new" {
        let installer = installer(dir, "1.0.0");
        let status = installer.recover(now()).unwrap_or_else(|e| panic!("{case:?} {what}: recover: {e}"));
        let there = builds.at(&target(dir));
        assert!(
            matches!((&status, there), (Status::Trial { .. }, "new") | (Status::Settled { .. }, "old")),
            "{case:?} {what}"
        );
        if matches!(status, Status::Trial { .. }) {
            installer
                .roll_back(Reason::Asked, now())
                .unwrap_or_else(|e| panic!("{case:?} {what}: back: {e}"));
            assert_eq!(builds.at(&target(dir)), "old", "{case:?} {what}");
            return;
        }
    }
    check(case, builds, dir, what);
}

#[test]
fn the_real_thing_across_file_systems() {
    if std::env::var(JOB).is_ok() {
        return;
    }
    let (here, there) = (folder(), tempfile::tempdir().unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if here.path().metadata().unwrap().dev() == there.path().metadata().unwrap().dev() {
            println!("only one file system here");
        }
    }
    for shape in [Shape::File, Shape::Folder] {
        let dir = here.path().join(shape.name());
        fs::create_dir(&dir).unwrap();
        write_build(&target(&dir), shape, "1.0.0");
        let far = there.path().join(shape.name());
        write_build(&far, shape, "1.0.1");
        let installed = installer(&dir, "1.0.0").install(&staged(&far, "1.0.1"), now()).unwrap();
        let builds = Builds::of(shape);
        assert_eq!(builds.at(&target(&dir)), "new");
        assert_eq!(builds.at(&installed.backup), "old");
        assert!(!far.exists());
    }
}

#[test]
fn one_of_many_updaters_wins() {
    if std::env::var(JOB).is_ok() {
        return;
    }
    let dir = folder();
    write_build(&target(dir.path()), Shape::Folder, "1.0.0");
    let results: Vec<_> = std::thread::scope(|scope| {
        let dir = dir.path();
        let threads: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let path = dir.join(format!("staged-{n}"));
                    write_build(&path, Shape::Folder, "1.0.1");
                    installer(dir, "1.0.0").install(&staged(&path, "1.0.1"), now()).map_err(|e| e.kind())
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(ErrorKind::Busy))), "{results:?}");
    let builds = Builds::of(Shape::Folder);
    assert_eq!(builds.at(&target(dir.path())), "new");
    assert_eq!(builds.at(&dir.path().join("App.prev")), "old");
}
