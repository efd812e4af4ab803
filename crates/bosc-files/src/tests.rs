#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::{Dir, Durability, Replace, Work};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

fn names(path: &Path) -> Vec<String> {
    let mut out: Vec<String> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    out.sort();
    out
}

#[test]
fn a_name_is_one_name() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    for name in ["", ".", "..", "a/b", "/a", "a\0"] {
        assert_eq!(dir.create_file(name, 0o600).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert!(dir.remove(name).is_err() && dir.open_dir(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("f");
    fs::write(&path, "old").unwrap();
    for durability in [Durability::Process, Durability::Whole, Durability::Disk] {
        let failed = Replace::new(durability).write_with(&path, |file| {
            std::io::Write::write_all(file, b"half")?;
            Err(std::io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(temp.path()), ["f"], "nothing is left");
    }
    Replace::new(Durability::Disk).write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let refused = Replace::new(Durability::Disk).only_new().write(&path, b"x").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    let below = temp.path().join("a/b/c");
    assert!(Replace::new(Durability::Disk).write(&below, b"x").is_err());
    Replace::new(Durability::Disk).make_folders().only_new().write(&below, b"x").unwrap();
    assert_eq!(names(temp.path()), ["a", "f"]);
}

#[test]
fn what_a_killed_process_left_beside_a_file_goes_when_it_is_replaced_again() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("state/f");
    let how = Replace::new(Durability::Disk).private().make_private_folders().temporary(".tmp");
    how.write(&path, b"1").unwrap();
    fs::write(temp.path().join("state/f.tmp"), "half").unwrap();
    how.write(&path, b"2").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"2");
    let dir = Dir::open(&temp.path().join("state")).unwrap();
    let named = Replace::new(Durability::Whole).temporary_name("f.new");
    fs::write(temp.path().join("state/f.new"), "half").unwrap();
    named.write_in(&dir, "f", b"3").unwrap();
    assert_eq!(
        (fs::read(&path).unwrap().as_slice(), names(dir.path())),
        (b"3".as_slice(), vec!["f".to_owned()])
    );
    // A folder there is nobody's leftover.
    fs::create_dir(temp.path().join("state/f.tmp")).unwrap();
    assert!(how.write(&path, b"4").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"3");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&temp.path().join("state")), 0o700);
    }
}

#[test]
fn small_files_are_read_locked_renamed_and_removed() {
    use crate::{lock, read_bounded, remove_file, rename_beside};
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("f");
    assert_eq!(read_bounded(&path, 3).unwrap(), None);
    assert_eq!(read_bounded(temp.path(), 3).unwrap_or(None), None, "a folder is no file");
    fs::write(&path, "abc").unwrap();
    assert_eq!(read_bounded(&path, 3).unwrap().as_deref(), Some(b"abc".as_slice()));
    assert_eq!(read_bounded(&path, 2).unwrap_err().kind(), ErrorKind::InvalidData);
    fs::write(temp.path().join("g"), "old").unwrap();
    rename_beside(&path, "g", Durability::Disk).unwrap();
    assert_eq!(fs::read(temp.path().join("g")).unwrap(), b"abc");
    assert!(rename_beside(&path, "g", Durability::Disk).is_err());
    assert!(rename_beside(&temp.path().join("g"), "../out", Durability::Disk).is_err(), "not one name");
    assert!(remove_file(&temp.path().join("g"), Durability::Disk).unwrap());
    assert!(!remove_file(&temp.path().join("g"), Durability::Disk).unwrap());
    assert!(!remove_file(&temp.path().join("no/g"), Durability::Disk).unwrap());
    let held = lock(&path, std::time::Duration::ZERO).unwrap();
    assert!(held.is_some());
    assert!(lock(&path, std::time::Duration::from_millis(30)).unwrap().is_none(), "somebody has it");
    drop(held);
    assert!(lock(&path, std::time::Duration::ZERO).unwrap().is_some());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&path, temp.path().join("link")).unwrap();
        let through = lock(&temp.path().join("link"), std::time::Duration::ZERO);
        assert_eq!(through.unwrap_err().kind(), ErrorKind::InvalidInput, "no link is locked through");
    }
}

#[cfg(feature = "faults")]
/// Tells a process of this test program that it is to wait.
const WAIT: &str = "BOSC_FILES_TEST_WAIT";

/// The program of the next one, which runs until its input is closed.
#[test]
fn a_program_that_waits() {
    if std::env::var_os(WAIT).is_some() {
        println!("it runs");
        let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    }
}

#[test]
fn the_file_of_a_program_that_runs_gets_a_free_name() {
    use std::process::{Command, Stdio};
    let temp = tempfile::tempdir().unwrap();
    let program = temp.path().join("program.exe");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["--exact", "tests::a_program_that_waits", "--nocapture"]).env(WAIT, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // Busy while a child that another test starts at this moment still has it open, as we had.
    let mut child = loop {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            started => break started.unwrap(),
        }
    };
    let said = std::io::BufReader::new(child.stdout.take().unwrap());
    assert!(std::io::BufRead::lines(said).any(|line| line.unwrap().contains("it runs")));
    let dir = Dir::open(temp.path()).unwrap();
    fs::write(temp.path().join("taken"), "somebody's").unwrap();
    let taken = dir.rename_new("program.exe", &dir, "taken").unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    assert_eq!(names(temp.path()), ["program.exe", "taken"]);
    dir.rename_new("program.exe", &dir, "kept").unwrap();
    assert_eq!(names(temp.path()), ["kept", "taken"]);
    assert_eq!(fs::read(temp.path().join("taken")).unwrap(), b"somebody's");
    // A folder as well, and not onto another one.
    fs::create_dir(temp.path().join("a")).unwrap();
    fs::create_dir(temp.path().join("b")).unwrap();
    assert_eq!(dir.rename_new("a", &dir, "b").unwrap_err().kind(), ErrorKind::AlreadyExists);
    dir.rename_new("a", &dir, "c").unwrap();
    assert_eq!(names(temp.path()), ["b", "c", "kept", "taken"]);
    assert_eq!(dir.rename_new("gone", &dir, "d").unwrap_err().kind(), ErrorKind::NotFound);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_test_makes_any_step_of_a_replacement_fail() {
    use crate::faults::{self, Fault};
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("f");
    let how = Replace::new(Durability::Disk).temporary(".tmp");
    fs::write(&path, "old").unwrap();
    faults::start(None, None);
    how.write(&path, b"new").unwrap();
    let (calls, log) = faults::stop();
    let ops: Vec<_> = log.iter().map(|(op, _)| format!("{op:?}")).collect();
    assert_eq!(ops, ["Make", "Write", "Sync", "Rename", "Sync"]);
    for call in 1..=calls {
        fs::write(&path, "old").unwrap();
        faults::start(Some((call, Fault::Fail(28))), None);
        assert!(how.write(&path, b"new").is_err());
        faults::stop();
        // Only the last one, the folder's sync, comes after the new file is in place.
        let there: &[u8] = if call == calls { b"new" } else { b"old" };
        assert_eq!(fs::read(&path).unwrap(), there, "{call}");
        assert_eq!(names(temp.path()), ["f"], "{call}");
    }
}

#[test]
fn a_work_folder_is_fresh_and_gone_in_the_end() {
    let temp = tempfile::tempdir().unwrap();
    let parent = Dir::open(temp.path()).unwrap();
    let (one, two) = (Work::create(&parent, ".w-").unwrap(), Work::create(&parent, ".w-").unwrap());
    assert_ne!(one.path(), two.path());
    one.dir().create_dir("tree", 0o777).unwrap().create_file("f", 0o666).unwrap();
    assert_eq!(Work::sweep(&parent, ".w-").unwrap().busy, 2, "both are in use");
    one.put("tree", &parent, "target", None).unwrap();
    assert_eq!(two.put("lock", &parent, "target", None).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(one);
    drop(two);
    assert_eq!(names(temp.path()), ["target"]);
}

#[test]
fn without_an_exchange_the_old_one_goes_back_when_the_new_one_cannot_come() {
    let temp = tempfile::tempdir().unwrap();
    let parent = Dir::open(temp.path()).unwrap();
    for (new, holds) in [("missing", "1"), ("tree", "2")] {
        let _ = parent.remove("app").unwrap();
        fs::create_dir(temp.path().join("app")).unwrap();
        fs::write(temp.path().join("app/v"), "1").unwrap();
        let work = Work::create(&parent, ".w-").unwrap();
        work.dir().create_dir("tree", 0o777).unwrap();
        fs::write(work.path().join("tree/v"), "2").unwrap();
        let expected = parent.metadata("app").unwrap();
        let put = work.put_in_two(new.as_ref(), &parent, "app".as_ref(), &expected);
        assert_eq!(put.is_ok(), new == "tree");
        drop(work);
        assert_eq!(fs::read_to_string(temp.path().join("app/v")).unwrap(), holds);
        assert_eq!(names(temp.path()), ["app"]);
    }
}

/// The states that a kill can leave on a system without an exchange.
#[test]
fn what_a_killed_process_left_is_put_right() {
    for (old, target) in [(false, false), (true, false), (true, true)] {
        let temp = tempfile::tempdir().unwrap();
        let parent = Dir::open(temp.path()).unwrap();
        let dir = parent.create_dir(".w-0123456789abcdef", 0o700).unwrap();
        dir.create_file("lock", 0o600).unwrap();
        dir.create_dir("tree", 0o777).unwrap().create_file("half", 0o666).unwrap();
        if old {
            fs::write(dir.path().join("target"), "app").unwrap();
            fs::create_dir(dir.path().join("old")).unwrap();
            fs::write(dir.path().join("old/v"), "1").unwrap();
        }
        if target {
            fs::create_dir(temp.path().join("app")).unwrap();
            fs::write(temp.path().join("app/v"), "2").unwrap();
        }
        assert_eq!(Work::sweep(&parent, ".w-").unwrap().removed, 1);
        let now = fs::read_to_string(temp.path().join("app/v")).ok();
        assert_eq!(now.as_deref(), if target { Some("2") } else { old.then_some("1") });
        assert!(names(temp.path()).iter().all(|n| n == "app"));
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    /// FAT, and network folders that give all to one user: a folder made there is never ours by its number.
    #[test]
    fn where_files_cannot_be_ours_a_folder_is_known_by_a_file_made_in_it() {
        use crate::system::{as_far_as_there_are_modes, same_owner};
        use rustix::io::Errno;
        let temp = tempfile::tempdir().unwrap();
        let at = |uid| crate::Meta { uid, ..Dir::open(temp.path()).unwrap().own_metadata().unwrap() };
        assert!(same_owner(&at(65534), || Ok(at(65534))), "all belongs to nobody there");
        assert!(!same_owner(&at(65534), || Ok(at(1000))), "the folder of somebody else");
        assert!(!same_owner(&at(65534), || Err(ErrorKind::PermissionDenied.into())));
        assert!(as_far_as_there_are_modes(Err(Errno::PERM)).is_ok());
        assert!(as_far_as_there_are_modes(Err(Errno::IO)).is_err());

        let dir = Dir::open(temp.path()).unwrap();
        assert!(dir.is_ours().unwrap());
        if std::os::unix::fs::chown(temp.path(), Some(1234), None).is_err() {
            eprintln!("skipped in part: only root can give a folder away");
            return;
        }
        assert!(!dir.is_ours().unwrap(), "a folder of another user is refused as before");
        assert!(names(temp.path()).is_empty(), "and nothing is left in it");
    }

    #[test]
    fn no_link_below_a_folder_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "mine").unwrap();
        let dir = Dir::open(&root).unwrap();
        symlink(&outside, root.join("sub")).unwrap();
        symlink(outside.join("f"), root.join("file")).unwrap();
        symlink(outside.join("new"), root.join("dangling")).unwrap();
        assert_eq!(dir.open_dir("sub").unwrap_err().kind(), ErrorKind::NotADirectory);
        assert!(dir.descend(["sub"]).unwrap().is_none());
        assert_eq!(dir.descend_making(["sub", "x"]).unwrap_err().kind(), ErrorKind::NotADirectory);
        for name in ["file", "sub", "dangling"] {
            assert_eq!(dir.open_file(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
            assert_eq!(
                dir.open_or_create(name, 0o600).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{name}"
            );
            assert_eq!(dir.create_file(name, 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
            assert!(dir.set_mode(name, 0o777).is_err());
            Replace::new(Durability::Process).write(&root.join(name), b"x").unwrap();
            assert!(root.join(name).symlink_metadata().unwrap().is_file());
        }
        assert_eq!(names(&outside), ["f"]);
        assert_eq!(fs::read(outside.join("f")).unwrap(), b"mine");
        symlink(&outside, root.join("again")).unwrap();
        assert!(dir.remove("again").unwrap());
        assert_eq!(names(&outside), ["f"], "the link went, not what it leads to");
    }

    #[test]
    fn a_folder_that_is_exchanged_leads_nowhere() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "mine").unwrap();
        let sub = Dir::open(&root).unwrap().open_dir("sub").unwrap();
        fs::rename(root.join("sub"), root.join("moved")).unwrap();
        symlink(&outside, root.join("sub")).unwrap();
        sub.create_file("new", 0o600).unwrap();
        sub.remove("f").unwrap();
        Replace::new(Durability::Disk).begin(&sub, "g").unwrap().commit().unwrap();
        assert_eq!(names(&outside), ["f"]);
        assert_eq!(names(&root.join("moved")), ["g", "new"]);
    }

    #[test]
    fn pipes_do_not_hold_us_up() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let made = std::process::Command::new("mkfifo").arg(temp.path().join("p")).status();
        if !made.is_ok_and(|s| s.success()) {
            eprintln!("no mkfifo here: the case is left out");
            return;
        }
        assert_eq!(dir.open_file("p").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(dir.open_or_create("p", 0o600).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn permissions_are_kept_given_or_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Replace::new(Durability::Process).write(&path, b"new").unwrap();
        assert_eq!(mode(&path), 0o640);
        Replace::new(Durability::Process).private().write(&path, b"new").unwrap();
        assert_eq!(mode(&path), 0o600);
        Replace::new(Durability::Process).mode(0o700).write(&path, b"new").unwrap();
        assert_eq!(mode(&path), 0o700);
        // Readable by nobody else from its first instant, when the old one was.
        Replace::new(Durability::Process)
            .write_with(&path, |file| {
                assert_eq!(file.metadata()?.mode() & 0o077, 0);
                Ok(())
            })
            .unwrap();
        assert_eq!(mode(Work::temporary(".bosc-test-").unwrap().path()), 0o700);
    }

    #[test]
    fn the_next_temporary_folder_removes_what_killed_processes_left_and_nothing_in_use() {
        let prefix = format!("bosc-test-{}-", std::process::id());
        let killed = std::env::temp_dir().join(format!("{prefix}0123456789abcdef"));
        fs::create_dir(&killed).unwrap();
        fs::set_permissions(&killed, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(killed.join("lock"), "").unwrap();
        fs::write(killed.join("half"), "of something").unwrap();
        let used = Work::temporary(&prefix).unwrap();
        assert!(!killed.exists());
        let next = Work::temporary(&prefix).unwrap();
        assert!(used.path().exists() && next.path().exists());
    }

    #[test]
    fn links_of_the_user_are_followed_where_that_was_asked_for() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real/f"), temp.path().join("link"));
        fs::create_dir(temp.path().join("real")).unwrap();
        symlink("real/f", &link).unwrap();
        Replace::new(Durability::Disk).follow_links().write(&link, b"through").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"through");
        symlink("loop", temp.path().join("loop")).unwrap();
        assert!(
            Replace::new(Durability::Disk).follow_links().write(&temp.path().join("loop"), b"x").is_err()
        );
        // On the way they always are.
        symlink("real", temp.path().join("way")).unwrap();
        Replace::new(Durability::Disk).write(&temp.path().join("way/g"), b"x").unwrap();
        assert_eq!(fs::read(temp.path().join("real/g")).unwrap(), b"x");
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let (socket, link) = (temp.path().join("socket"), temp.path().join("link"));
        let _served = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        symlink("socket", &link).unwrap();
        let how = Replace::new(Durability::Process);
        for (how, path) in [(how, &socket), (how.follow_links(), &socket), (how.follow_links(), &link)] {
            let refused = how.write(path, b"x").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert_eq!(refused.to_string(), "it is a socket, not a file");
        }
        let stream = how.follow_links().write(Path::new("/dev/stdout"), b"x").unwrap_err();
        assert!(stream.to_string().contains("a stream of this process"), "{stream}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "nothing was left beside them");
    }

    /// What root meets where everybody may write.
    #[test]
    fn links_and_folders_of_other_users_are_not_ours() {
        if crate::user() != 0 {
            eprintln!("not root: nothing can be given to another user, the test is left out");
            return;
        }
        let other = 65534;
        let temp = tempfile::tempdir().unwrap();
        let safe = temp.path().join("safe");
        fs::create_dir(&safe).unwrap();
        fs::write(safe.join("f"), "mine").unwrap();
        for (name, to) in [("d", safe.clone()), ("f", safe.join("f"))] {
            symlink(to, temp.path().join(name)).unwrap();
            std::os::unix::fs::lchown(temp.path().join(name), Some(other), Some(other)).unwrap();
        }
        let error = Dir::open(&temp.path().join("d")).unwrap_err();
        assert!(
            error.kind() == ErrorKind::PermissionDenied && error.to_string().contains("another user"),
            "{error}"
        );
        assert!(Dir::create(&temp.path().join("d/e"), 0o777).is_err());
        let how = Replace::new(Durability::Disk);
        assert!(how.follow_links().write(&temp.path().join("f"), b"x").is_err());
        assert!(how.write(&temp.path().join("d/f"), b"x").is_err());
        assert_eq!(names(&safe), ["f"]);
        assert_eq!(fs::read(safe.join("f")).unwrap(), b"mine");
        // A file of another user stays his.
        fs::write(temp.path().join("his"), "x").unwrap();
        std::os::unix::fs::chown(temp.path().join("his"), Some(other), Some(other)).unwrap();
        how.write(&temp.path().join("his"), b"y").unwrap();
        assert_eq!(fs::metadata(temp.path().join("his")).unwrap().uid(), other);
        // A folder that looks like ours and is not is neither used nor removed.
        let parent = Dir::open(temp.path()).unwrap();
        let planted = temp.path().join(".w-0123456789abcdef");
        fs::create_dir(&planted).unwrap();
        fs::set_permissions(&planted, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&planted, Some(other), Some(other)).unwrap();
        assert_eq!(Work::sweep(&parent, ".w-").unwrap(), crate::Found::default());
        assert!(planted.exists());
    }

    /// Both ways of replacing a folder, and somebody who exchanges it at the last moment.
    #[test]
    fn a_folder_is_replaced_only_by_who_looked_at_it() {
        let temp = tempfile::tempdir().unwrap();
        let parent = Dir::open(temp.path()).unwrap();
        let app = temp.path().join("app");
        fs::create_dir(&app).unwrap();
        fs::write(app.join("v"), "1").unwrap();
        let looked_at = parent.metadata("app").unwrap();
        let work = Work::create(&parent, ".w-").unwrap();
        work.dir().create_dir("tree", 0o777).unwrap().create_file("v", 0o666).unwrap();
        fs::rename(&app, temp.path().join("mine")).unwrap();
        fs::create_dir(&app).unwrap();
        fs::write(app.join("v"), "other").unwrap();
        let refused = work.put("tree", &parent, "app", Some(&looked_at)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert_eq!(fs::read(app.join("v")).unwrap(), b"other");
        let now = parent.metadata("app").unwrap();
        work.put("tree", &parent, "app", Some(&now)).unwrap();
        assert_eq!(fs::read(app.join("v")).unwrap(), b"");
        drop(work);
        assert_eq!(names(temp.path()), ["app", "mine"]);
    }
}

/// A user's data stay theirs when root works on them once; what was there stays whose it was, and a shared folder claims nothing.
#[cfg(unix)]
#[test]
fn what_root_makes_in_a_users_folder_is_the_users() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    const ALICE: u32 = 54_001;
    if crate::user() != 0 {
        eprintln!("NOT RUN: this needs root, to become a second user");
        return;
    }
    let owner = |path: &Path| fs::symlink_metadata(path).map(|m| (m.uid(), m.gid())).unwrap();
    let how = Replace::new(Durability::Disk).private().for_owner_of_folder().make_private_folders();
    for (mode, right) in [(0o700, ALICE), (0o755, ALICE), (0o1777, 0), (0o777, 0)] {
        let temp = tempfile::tempdir().unwrap();
        let alice = temp.path().join("alice");
        fs::create_dir(&alice).unwrap();
        fs::set_permissions(&alice, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(alice.join("roots"), "").unwrap();
        chown(&alice, Some(ALICE), Some(ALICE)).unwrap();
        crate::make_private_folders(&alice.join("a/b")).unwrap();
        how.write(&alice.join("c/d"), b"x").unwrap();
        crate::open_private(&alice.join("open")).unwrap();
        crate::lock(&alice.join("lock"), std::time::Duration::ZERO).unwrap().unwrap();
        for name in ["a", "a/b", "c", "c/d", "open", "lock"] {
            assert_eq!(owner(&alice.join(name)), (right, right), "{mode:o}: {name}");
        }
        crate::open_private(&alice.join("roots")).unwrap();
        assert_eq!(owner(&alice.join("roots")), (0, 0), "nothing that was there is given away");
        // Without being asked a secret of root's stays root's.
        Replace::new(Durability::Disk).private().write(&alice.join("key"), b"x").unwrap();
        assert_eq!(owner(&alice.join("key")), (0, 0));
    }
}
