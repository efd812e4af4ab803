//! Whose everything is after an update: under any umask, by root for somebody else, and with a second user who tries to get in.
//! What needs a second user needs root to become one, and says so where it is not run.
#![cfg(unix)]
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
use bosc_updater::install::{Installer, Options, Reason, verify};
use common::{Shape, expected, now, staged, version, write_build};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const JOB: &str = "BOSC_OWNERS_JOB";
const ALICE: u32 = 54_001;
const MALLORY: u32 = 54_002;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("NOT RUN: this needs root, to become a second user");
    }
    root
}

struct App(tempfile::TempDir);

impl App {
    fn new(shape: Shape) -> Self {
        let app = Self(tempfile::tempdir().unwrap());
        write_build(&app.target(), shape, "1.0.0");
        app
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn target(&self) -> PathBuf {
        self.dir().join("App")
    }

    fn state(&self) -> PathBuf {
        self.dir().join(".App.bosc")
    }

    fn installer(&self, running: &str) -> Installer {
        Installer::open(Options::new(self.target(), version(running))).unwrap()
    }

    fn give(&self, uid: u32) {
        each(self.dir(), &mut |path| std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap());
    }
}

/// Everything below, the root included, links not followed.
fn each(path: &Path, see: &mut dyn FnMut(&Path)) {
    see(path);
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            each(&entry.unwrap().path(), see);
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn owners(path: &Path) -> Vec<(PathBuf, u32, u32)> {
    let mut out = Vec::new();
    each(path, &mut |at| {
        let found = fs::symlink_metadata(at).unwrap();
        out.push((at.to_owned(), found.uid(), found.gid()));
    });
    out
}

/// Runs a command as somebody else, and says whether it worked.
fn can(uid: u32, program: &str, args: &[&Path]) -> bool {
    let mut command = Command::new(program);
    command.args(args).uid(uid).gid(uid).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap().success()
}

/// Stages in a way that leaves what the umask lets be, and installs.
fn update(app: &App, shape: Shape, running: &str, new: &str) {
    let installer = app.installer(running);
    let path = installer.staging().unwrap().join("build");
    let _ = fs::remove_dir_all(&path);
    write_build(&path, shape, new);
    installer.install(&staged(&path, new), now()).unwrap();
}

/// Not a test of its own: an update in a process with a umask of its own.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let (dir, shape) = job.split_once('|').unwrap();
    if shape == "look" {
        let installer = Installer::open(Options::new(Path::new(dir).join("App"), version("1.0.1"))).unwrap();
        println!("LOOKED {:?}", installer.started(now()).unwrap().state);
        println!("HEALTHY {:?}", installer.mark_healthy(now()).map_err(|e| e.kind()));
        println!("CLOSED {:?}", installer.closed(now()).map_err(|e| e.kind()));
        return;
    }
    let shape = if shape == "file" { Shape::File } else { Shape::Folder };
    let dir = PathBuf::from(dir);
    let installer = Installer::open(Options::new(dir.join("App"), version("1.0.0"))).unwrap();
    let path = installer.staging().unwrap().join("build");
    write_build(&path, shape, "1.0.1");
    println!("STAGED {:o}", mode(path.parent().unwrap()));
    let installed = installer.install(&staged(&path, "1.0.1"), now()).unwrap();
    assert!(installer.closed(now()).is_ok());
    println!("NOT KEPT {:?}", installed.not_kept);
    println!("DONE");
}

fn update_with_umask(umask: &str, app: &App, shape: Shape) {
    let exe = std::env::current_exe().unwrap();
    let script = format!("umask {umask}; exec \"$0\" child --exact --nocapture --test-threads=1");
    let done = Command::new("sh")
        .args(["-c", &script])
        .arg(exe)
        .env(JOB, format!("{}|{}", app.dir().display(), shape.name()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(text.contains("DONE"), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.contains("STAGED 700"), "umask {umask}: only its owner gets into staging: {text}");
}

#[test]
fn no_umask_opens_or_closes_anything() {
    for umask in ["000", "002", "022", "077"] {
        for shape in [Shape::File, Shape::Folder] {
            let app = App::new(shape);
            fs::set_permissions(app.dir(), Permissions::from_mode(0o755)).unwrap();
            update_with_umask(umask, &app, shape);
            assert_eq!(mode(&app.state()), 0o755, "umask {umask}");
            assert_eq!(mode(&app.state().join("LOCK")), 0o600, "umask {umask}");
            assert_eq!(mode(&app.state().join("journal.json")), 0o644, "umask {umask}");
            assert!(!app.state().join("staging").exists(), "nothing stays of what it was made from");
            verify(&app.target(), &expected(shape, "1.0.1")).unwrap();
            each(&app.target(), &mut |path| {
                let found = fs::symlink_metadata(path).unwrap();
                if !found.is_symlink() {
                    let program = found.is_dir() || found.mode() & 0o100 != 0;
                    let right = if program { 0o755 } else { 0o644 };
                    assert_eq!(mode(path), right, "umask {umask}: {}", path.display());
                }
            });
        }
    }
}

#[test]
fn a_group_that_shares_an_installation_goes_on_sharing_it() {
    let app = App::new(Shape::Folder);
    each(&app.target(), &mut |path| {
        if !fs::symlink_metadata(path).unwrap().is_symlink() {
            fs::set_permissions(path, Permissions::from_mode(mode(path) | 0o020)).unwrap();
        }
    });
    fs::set_permissions(app.dir(), Permissions::from_mode(0o775)).unwrap();
    update_with_umask("077", &app, Shape::Folder);
    assert_eq!(mode(&app.state()), 0o775);
    assert_eq!(mode(&app.state().join("LOCK")), 0o660);
    assert_eq!(mode(&app.state().join("journal.json")), 0o664);
    assert_eq!(mode(&app.target()), 0o775);
    assert_eq!(mode(&app.target().join("bin/app")), 0o775);
    assert_eq!(mode(&app.target().join("share/notes.txt")), 0o664);
}

/// Also where the folder around it is, and where there is no application any more.
#[test]
fn a_state_folder_is_never_writable_for_all() {
    for (parent, there, state) in
        [(0o777, true, 0o775), (0o777, false, 0o775), (0o1777, true, 0o700), (0o1777, false, 0o700)]
    {
        let app = App::new(Shape::File);
        fs::set_permissions(app.dir(), Permissions::from_mode(parent)).unwrap();
        let installer = app.installer("1.0.0");
        if !there {
            // Removed while it runs.
            fs::remove_file(app.target()).unwrap();
        }
        installer.staging().unwrap();
        assert_eq!(mode(&app.state()), state, "{parent:o} {there}");
    }
}

/// Only root gives capabilities, so they cannot come along with an update by somebody else, who hears of it.
#[cfg(target_os = "linux")]
#[test]
fn what_an_owner_cannot_carry_over_is_said() {
    use rustix::fs::{XattrFlags, setxattr};
    if !is_root() {
        return;
    }
    let app = App::new(Shape::Folder);
    let exe = tempfile::tempdir().unwrap();
    fs::set_permissions(exe.path(), Permissions::from_mode(0o755)).unwrap();
    let exe = exe.path().join("updater");
    copy_program(&std::env::current_exe().unwrap(), &exe);
    fs::set_permissions(app.dir(), Permissions::from_mode(0o755)).unwrap();
    app.give(ALICE);
    // cap_net_bind_service=ep
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let program = app.target().join("bin/app");
    if setxattr(&program, "security.capability", &capability, XattrFlags::empty()).is_err() {
        eprintln!("NOT RUN: the file system of {} keeps no capabilities", app.dir().display());
        return;
    }
    let text = run_as(ALICE, &exe, &app, "folder");
    assert!(text.contains("DONE"), "{text}");
    assert!(text.contains(r#"NOT KEPT ["bin/app: its capabilities"]"#), "{text}");
}

#[test]
fn what_root_does_for_somebody_stays_theirs() {
    if !is_root() {
        return;
    }
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.give(ALICE);
        update(&app, shape, "1.0.0", "1.0.1");
        assert!(app.installer("1.0.1").mark_healthy(now()).unwrap());
        update(&app, shape, "1.0.1", "1.0.2");
        app.installer("1.0.2").roll_back(Reason::Asked, now()).unwrap();
        let staging = app.installer("1.0.1").staging().unwrap();
        assert_eq!(mode(&staging), 0o700);
        for (path, uid, gid) in owners(app.dir()) {
            assert_eq!((uid, gid), (ALICE, ALICE), "{}", path.display());
        }
        // Where everybody makes names it is the application's owner who counts.
        let app = App::new(shape);
        app.give(ALICE);
        chown(app.dir(), Some(0), Some(0)).unwrap();
        fs::set_permissions(app.dir(), Permissions::from_mode(0o1777)).unwrap();
        update(&app, shape, "1.0.0", "1.0.1");
        for (path, uid, _) in owners(app.dir()).into_iter().skip(1) {
            assert_eq!(uid, ALICE, "{}", path.display());
        }
        assert_eq!(mode(&app.state()), 0o700);
    }
}

#[test]
fn a_second_user_neither_holds_the_lock_nor_gets_into_staging() {
    if !is_root() {
        return;
    }
    let app = App::new(Shape::Folder);
    fs::set_permissions(app.dir(), Permissions::from_mode(0o755)).unwrap();
    let installer = app.installer("1.0.0");
    // As older versions left it: readable for all, and staging as a umask of 000 made it.
    fs::create_dir(app.state()).unwrap();
    fs::write(app.state().join("LOCK"), "").unwrap();
    fs::set_permissions(app.state().join("LOCK"), Permissions::from_mode(0o666)).unwrap();
    fs::create_dir(app.state().join("staging")).unwrap();
    fs::set_permissions(app.state().join("staging"), Permissions::from_mode(0o777)).unwrap();
    assert!(can(MALLORY, "touch", &[&app.state().join("staging/planted")]));
    let staging = installer.staging().unwrap();
    assert!(!staging.join("planted").exists(), "what others could write to is not used");
    update(&app, Shape::Folder, "1.0.0", "1.0.1");
    for path in [app.state().join("LOCK"), app.state().join("RUNNING")] {
        let _ = app.installer("1.0.1").started(now());
        assert!(path.exists());
        assert!(!can(MALLORY, "cat", &[&path]), "{} can be opened, and so held", path.display());
    }
    let staging = app.installer("1.0.1").staging().unwrap();
    assert!(!can(MALLORY, "touch", &[&staging.join("x")]));
    assert!(!can(MALLORY, "ls", &[&staging]));
    assert!(!can(MALLORY, "touch", &[&app.state().join("x")]));
}

#[test]
fn who_may_only_look_is_not_kept_from_running() {
    if !is_root() {
        return;
    }
    let app = App::new(Shape::File);
    fs::set_permissions(app.dir(), Permissions::from_mode(0o755)).unwrap();
    update(&app, Shape::File, "1.0.0", "1.0.1");
    let exe = app.dir().join("looker");
    copy_program(&std::env::current_exe().unwrap(), &exe);
    let look = || run_as(MALLORY, &exe, &app, "look");
    let text = look();
    assert!(text.contains("LOOKED Trial { start: 0"), "{text}");
    assert!(text.contains("HEALTHY Err(Permission)"), "{text}");
    assert!(app.installer("1.0.1").mark_healthy(now()).unwrap());
    let text = look();
    assert!(text.contains("LOOKED Settled") && text.contains("HEALTHY Ok(false)"), "{text}");
    assert!(text.contains("CLOSED Ok(())"), "{text}");
}

/// By another process: a file that was written in this one is busy for as long as a child that another test starts at that moment
/// has it open.
fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// Runs a job of [`child`] as somebody else, who is in no group but their own.
fn run_as(uid: u32, exe: &Path, app: &App, job: &str) -> String {
    let done = Command::new(exe)
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOB, format!("{}|{job}", app.dir().display()))
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// Who is not in the group that shares an installation does not open it to their own one.
#[test]
fn a_group_that_nothing_can_be_given_to_is_replaced_by_no_other() {
    if !is_root() {
        return;
    }
    let app = App::new(Shape::Folder);
    let exe = tempfile::tempdir().unwrap();
    fs::set_permissions(exe.path(), Permissions::from_mode(0o755)).unwrap();
    let exe = exe.path().join("updater");
    copy_program(&std::env::current_exe().unwrap(), &exe);
    each(app.dir(), &mut |path| {
        std::os::unix::fs::lchown(path, Some(ALICE), Some(MALLORY)).unwrap();
        if !fs::symlink_metadata(path).unwrap().is_symlink() {
            fs::set_permissions(path, Permissions::from_mode(mode(path) | 0o020)).unwrap();
        }
    });
    fs::set_permissions(app.dir(), Permissions::from_mode(0o775)).unwrap();
    let text = run_as(ALICE, &exe, &app, "folder");
    assert!(text.contains("DONE"), "{text}");
    for path in [app.state(), app.state().join("LOCK"), app.target(), app.target().join("bin/app")] {
        let found = fs::symlink_metadata(&path).unwrap();
        let open = found.gid() != MALLORY && found.mode() & 0o020 != 0;
        assert!(!open, "{} is writable for group {}", path.display(), found.gid());
    }
}

#[test]
fn what_another_user_made_is_copied_and_not_moved_into_place() {
    if !is_root() {
        return;
    }
    let app = App::new(Shape::Folder);
    let path = app.dir().join("theirs");
    write_build(&path, Shape::Folder, "1.0.1");
    let staged = staged(&path, "1.0.1");
    each(&path, &mut |at| std::os::unix::fs::lchown(at, Some(MALLORY), Some(MALLORY)).unwrap());
    app.installer("1.0.0").install(&staged, now()).unwrap();
    verify(&app.target(), &expected(Shape::Folder, "1.0.1")).unwrap();
    for (path, uid, _) in owners(&app.target()) {
        assert_eq!(uid, 0, "{}", path.display());
    }
}

#[test]
fn a_state_folder_that_somebody_else_made_is_not_ours() {
    if !is_root() {
        return;
    }
    for (mode, good) in [(0o1777, false), (0o777, false), (0o755, true)] {
        let app = App::new(Shape::File);
        fs::create_dir(app.state()).unwrap();
        chown(app.state(), Some(MALLORY), Some(MALLORY)).unwrap();
        fs::set_permissions(app.dir(), Permissions::from_mode(mode)).unwrap();
        let staging = app.installer("1.0.0").staging();
        match staging {
            Ok(_) => assert!(good, "{mode:o}"),
            Err(e) => assert_eq!((e.kind(), good), (ErrorKind::Permission, false), "{mode:o}: {e}"),
        }
    }
    // A link in its place is none either.
    let app = App::new(Shape::File);
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), app.state()).unwrap();
    assert_eq!(app.installer("1.0.0").staging().unwrap_err().kind(), ErrorKind::Permission);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
