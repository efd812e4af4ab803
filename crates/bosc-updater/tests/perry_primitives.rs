//! The low-level calls of Perry's updater by their names, with their return codes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bosc_updater::perry::{self, Boot, InitOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/perry.json")).unwrap()
}

#[test]
fn versions_hashes_and_signatures_answer_with_numbers() {
    for (current, candidate, code) in
        [("1.0.0", "1.0.1", -1), ("1.0.0", "1.0.0", 0), ("1.0.1", "1.0.0", 1), ("v1", "1.0.0", -2)]
    {
        assert_eq!(perry::compare_versions(current, candidate), code);
    }
    let all = vectors();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("artifact");
    for name in ["v1", "v2"] {
        let text = |field: &str| all[name][field].as_str().unwrap();
        std::fs::write(&file, text("body_utf8")).unwrap();
        let (sha256, signature, key) = (text("sha256"), text("signature"), text("public_key"));
        assert_eq!(perry::compute_file_sha256(&file), sha256);
        assert_eq!(perry::verify_hash(&file, sha256), 1);
        assert_eq!(perry::verify_hash(&file, &"0".repeat(64)), 0);
        assert_eq!(perry::verify_signature(&file, signature, key), i32::from(name == "v1"));
        assert_eq!(perry::verify_signature_v2(&file, signature, key, "1.2.3"), i32::from(name == "v2"));
        assert_eq!(perry::verify_signature_v2(&file, signature, key, ""), 0);
    }
    let missing = dir.path().join("missing");
    assert_eq!(perry::compute_file_sha256(&missing), "");
    assert_eq!(perry::verify_hash(&missing, &"0".repeat(64)), 0);
    assert_eq!(perry::verify_signature(&missing, "", ""), 0);
}

#[test]
fn a_sentinel_is_written_read_and_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/app/updater.sentinel");
    assert_eq!(perry::read_sentinel(&path), "");
    assert_eq!(perry::clear_sentinel(&path), 1, "there is none");
    assert_eq!(perry::write_sentinel(&path, "{}"), 1);
    assert_eq!(perry::read_sentinel(&path), "{}");
    assert_eq!(perry::clear_sentinel(&path), 1);
    assert_eq!(perry::read_sentinel(&path), "");
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert_eq!(perry::write_sentinel(dir.path().join("file/x"), "{}"), 0);
    // A folder is in its place.
    std::fs::create_dir_all(path.join("full")).unwrap();
    assert_eq!(perry::clear_sentinel(&path), 0);
    assert_eq!(perry::write_sentinel(&path, "{}"), 0);
}

#[test]
fn paths_are_texts() {
    let (exe, backup) = (perry::get_exe_path(), perry::get_backup_path());
    assert!(Path::new(&exe).is_absolute() && backup == format!("{exe}.prev"), "{exe} {backup}");
    assert!(perry::get_sentinel_path().ends_with("updater.sentinel"));
}

/// One file, or a folder with a program in it.
fn build(at: &Path, folder: bool, text: &str) {
    if folder {
        std::fs::create_dir(at).unwrap();
        std::fs::write(at.join("program"), text).unwrap();
    } else {
        std::fs::write(at, text).unwrap();
    }
}

fn text(at: &Path) -> Option<String> {
    let file = if at.is_dir() { at.join("program") } else { at.to_owned() };
    std::fs::read_to_string(file).ok()
}

#[test]
fn install_and_roll_back() {
    for folder in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (target, staged, prev) = (at("app"), at("app.staged"), at("app.prev"));
        assert_eq!(perry::install_update(&staged, &target), 0, "nothing is staged");
        assert_eq!(perry::perform_rollback(&target), 0, "nothing is there");
        // The first install of all.
        build(&staged, folder, "1");
        assert_eq!(perry::install_update(&staged, &target), 1);
        assert_eq!(perry::perform_rollback(&target), 0, "there is no backup");
        for (new, old) in [("2", "1"), ("3", "2")] {
            build(&staged, folder, new);
            assert_eq!(perry::install_update(&staged, &target), 1, "{folder} {new}");
            assert_eq!(
                (text(&target).as_deref(), text(&prev).as_deref()),
                (Some(new), Some(old)),
                "{folder}"
            );
            assert_eq!(text(&staged), None);
        }
        #[cfg(unix)]
        if !folder {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&target).unwrap().permissions().mode();
            assert_eq!(mode & 0o700, 0o700, "it can be started");
        }
        assert_eq!(perry::perform_rollback(&target), 1);
        assert_eq!((text(&target).as_deref(), text(&prev)), (Some("2"), None), "{folder}");
        assert_eq!(perry::perform_rollback(&target), 0);
        assert_eq!(text(&target).as_deref(), Some("2"));
        // What else lies there is left alone.
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".app.bosc", "app"]);
    }
}

/// The order of Perry's own wrapper: sentinel, install, relaunch; the next starts are judged by `init_updater`.
#[test]
fn an_install_by_hand_is_on_trial_like_every_other() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().canonicalize().unwrap().join("app");
    let (staged, sentinel) = (dir.path().join("app.staged"), dir.path().join("updater.sentinel"));
    std::fs::write(&target, "old").unwrap();
    std::fs::write(&staged, "new").unwrap();
    let armed = json!({
        "prevExePath": format!("{}.prev", target.display()), "stagedAt": "2026-11-01T00:00:00.000Z",
        "currentVersion": "1.0.0", "targetVersion": "1.0.1", "restartCount": 0, "state": "armed",
    });
    assert_eq!(perry::write_sentinel(&sentinel, &armed.to_string()), 1);
    assert_eq!(perry::install_update(&staged, &target), 1);
    let boot = |target: &PathBuf| {
        let mut options = InitOptions::new("1.0.1");
        options.health_check_ms = 0;
        options.target = Some(target.clone());
        options.sentinel = Some(sentinel.clone());
        perry::init_updater(&options).unwrap()
    };
    assert_eq!(boot(&target), Boot::Watching { boots: 1 });
    assert_eq!(boot(&target), Boot::RolledBack);
    assert_eq!(text(&target).as_deref(), Some("old"));
    assert_eq!(perry::read_sentinel(&sentinel), "");
}

#[cfg(unix)]
#[test]
fn relaunch_gives_the_process_or_minus_one() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let exe = dir.path().join("app");
    assert_eq!(perry::relaunch(&exe), -1, "there is none");
    std::fs::write(&exe, format!("#!/bin/sh\necho $# > {}/marker\n", dir.path().display())).unwrap();
    assert_eq!(perry::relaunch(&exe), -1, "it may not be started");
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(perry::relaunch(&exe) > 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let marker = dir.path().join("marker");
    while std::fs::read_to_string(&marker).unwrap_or_default() != "0\n" {
        assert!(std::time::Instant::now() < deadline, "without arguments");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
