//! The store across processes: the lock, a process killed at any moment, file modes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bosc_store::{CreateOptions, Error, Options, Store};
use bytes::Bytes;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "BOSC_STORE_TEST_ROLE";
const DIR: &str = "BOSC_STORE_TEST_DIR";

/// Runs this test binary again, in another role.
fn child(role: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture", "--test-threads", "1"])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn block(core: u8, index: u64) -> Bytes {
    let len = 1 + (index as usize * 7919 + core as usize * 31) % 3000;
    vec![core ^ index as u8; len].into()
}

fn open(dir: &Path) -> Store {
    let mut options = Options::default();
    options.segment_bytes = 200_000;
    Store::open(dir, options).unwrap()
}

/// Whether the writer ever clears this block of `a`: the first 40 of each 50 but the first.
fn may_be_cleared(index: u64) -> bool {
    index >= 50 && index % 50 < 40
}

/// Not a test: what the children run.
#[test]
fn child_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let dir = std::env::var(DIR).unwrap();
    let store = open(Path::new(&dir));
    let say = |text: String| {
        let mut out = std::io::stdout();
        writeln!(out, "child says {text}").unwrap();
        out.flush().unwrap();
    };
    say("ready".into());
    match role.as_str() {
        "hold" => std::thread::sleep(Duration::from_secs(60)),
        "write" => {
            let a = store.create_core(CreateOptions::named("a")).unwrap();
            let b = store.create_core(CreateOptions::named("b")).unwrap();
            loop {
                let length = a.length();
                if length.is_multiple_of(3) {
                    // Three in `a` for each in `b`, together.
                    let mut batch = store.batch();
                    for i in 0..3 {
                        batch.append_block(&a, block(1, length + i)).unwrap();
                    }
                    batch.append_block(&b, block(2, b.length())).unwrap();
                    batch.commit().unwrap();
                } else {
                    a.append(&[block(1, length)]).unwrap();
                }
                if length.is_multiple_of(50) && length > 100 {
                    a.clear(length - 100, length - 60).unwrap();
                    assert!((length - 100..length - 60).all(may_be_cleared));
                }
                say(a.length().to_string());
            }
        }
        _ => panic!("role"),
    }
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(|l| l.split_once("child says ").map(|(_, s)| s.to_owned()))
}

#[test]
fn one_process_owns_a_store_and_its_death_frees_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut owner = child("hold", &path);
    assert_eq!(lines(&mut owner).next().unwrap(), "ready");
    match Store::open(&path, Options::default()) {
        Err(Error::Locked { pid, .. }) => assert_eq!(pid, Some(owner.id())),
        other => panic!("{other:?}"),
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    let store = Store::open(&path, Options::default()).unwrap();
    // The same holds within a process.
    assert!(matches!(Store::open(&path, Options::default()), Err(Error::Locked { .. })));
    drop(store);
    Store::open(&path, Options::default()).unwrap();
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_it_was_told_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut before = 0;
    for round in 0..12u64 {
        let mut writer = child("write", &path);
        let mut said = lines(&mut writer);
        assert_eq!(said.next().as_deref(), Some("ready"));
        let until = Instant::now() + Duration::from_millis(20 + round * 37 % 190);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            writer.kill().unwrap();
            writer.wait().unwrap();
        });
        let acknowledged: u64 = said.last().map_or(before, |l| l.parse().unwrap());
        killer.join().unwrap();
        let store = open(&path);
        let a = store.create_core(CreateOptions::named("a")).unwrap();
        let b = store.create_core(CreateOptions::named("b")).unwrap();
        assert!(a.length() >= acknowledged, "{} of {acknowledged} left", a.length());
        assert!(a.length() <= acknowledged + 3);
        assert_eq!(b.length(), a.length().div_ceil(3), "two cores moved apart");
        for i in 0..a.length() {
            if a.has(i).unwrap() {
                assert_eq!(a.block(i).unwrap().unwrap(), block(1, i));
            } else {
                assert!(may_be_cleared(i), "block {i} of {} is lost", a.length());
            }
        }
        for i in 0..b.length() {
            assert_eq!(b.block(i).unwrap().unwrap(), block(2, i));
        }
        before = a.length();
    }
    assert!(before > 0);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/store");
    let store = Store::open(&path, Options::default()).unwrap();
    store.create_core(CreateOptions::named("x")).unwrap().append(&["1".into()]).unwrap();
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("data")), 0o700);
    for name in ["bosc.redb", "FORMAT", "LOCK", "OWNER", "data/000001.seg"] {
        assert_eq!(mode(&path.join(name)), 0o600, "{name}");
    }
}
