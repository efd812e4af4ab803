#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::target::{Kept, Target};
use super::write::{Content, everything, write};
use crate::command::Stop;
use crate::error::CommandError;
use bosc_follow::DriveCores;
use bosc_mirror::{HEAD, MirrorHead, Part, ProvenTree, ReadError, plan};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A target in memory whose process is killed at one of its steps.
#[derive(Debug, Default)]
struct Memory {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Changes that are still made.
    left: Mutex<Option<usize>>,
    /// In the order in which they were made.
    log: Mutex<Vec<String>>,
}

impl Memory {
    fn step(&self, what: String) -> Result<(), CommandError> {
        let mut left = self.left.lock().unwrap();
        match &mut *left {
            Some(0) => Err(CommandError::failed("killed")),
            Some(n) => {
                *n -= 1;
                self.log.lock().unwrap().push(what);
                Ok(())
            }
            None => {
                self.log.lock().unwrap().push(what);
                Ok(())
            }
        }
    }
}

impl Target for Memory {
    fn name(&self) -> String {
        "memory".into()
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, CommandError> {
        let files = self.files.lock().unwrap();
        Ok(files.get(path).map(|f| f.iter().copied().take(max as usize).collect()))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, CommandError> {
        Ok(self.files.lock().unwrap().get(path).map(|f| f.len() as u64))
    }

    fn put(&self, path: &str, bytes: Vec<u8>, kept: Kept) -> Result<(), CommandError> {
        self.step(format!("put {path}"))?;
        let old = self.files.lock().unwrap().insert(path.to_owned(), bytes.clone());
        assert!(kept == Kept::Fresh || old.is_none_or(|old| old == bytes), "{path} changed");
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), CommandError> {
        self.step(format!("remove {path}"))?;
        self.files.lock().unwrap().remove(path);
        Ok(())
    }
}

struct World {
    _store: Store,
    cores: DriveCores,
    n: u64,
}

impl World {
    fn new() -> Self {
        let store = Store::memory(Options::default()).unwrap();
        let db = store.create_core(CreateOptions::named("db")).unwrap();
        Self { cores: DriveCores::new(&store, db), _store: store, n: 0 }
    }

    /// Some blocks more of both.
    fn grow(&mut self, entries: usize, contents: usize) {
        let blobs = self.cores.blobs().unwrap().unwrap();
        for (core, n, size) in [(&blobs, contents, 90_000), (&self.cores.db, entries, 200)] {
            let block = |i: usize| {
                let seed = (self.n + i as u64).to_le_bytes();
                Bytes::from(bosc_format::crypto::hash(&[&seed]).repeat(size / 32 + 1))
            };
            core.append(&(0..n).map(block).collect::<Vec<_>>()).unwrap();
        }
        self.n += 1_000;
    }

    fn cut(&self, db: u64, blobs: u64) {
        let fork = self.cores.db.head().fork + 1;
        self.cores.blobs().unwrap().unwrap().truncate(blobs, fork).unwrap();
        self.cores.db.truncate(db, fork).unwrap();
    }

    fn write(
        &self,
        target: &Memory,
        content: &Content,
        grace_ms: u64,
    ) -> Result<super::event::Mirrored, CommandError> {
        write(&self.cores, target, content, (false, grace_ms), &mut |_| {}, &Stop::new())
    }

    fn all(&self) -> Content {
        everything(&self.cores).unwrap()
    }
}

/// Reads all that a head promises; the length of the entries.
fn read(target: &Memory, world: &World) -> Option<u64> {
    let files = target.files.lock().unwrap();
    let head = MirrorHead::decode(files.get(HEAD)?).unwrap();
    for part in Part::ALL {
        let Some(core) = head.core(part) else { continue };
        let key = match part {
            Part::Db => *world.cores.db.key(),
            Part::Blobs => *world.cores.blobs().unwrap().unwrap().key(),
        };
        core.verify(&key, None).unwrap();
        let mut tree = ProvenTree::new(core.head.clone());
        for piece in &core.layout.pieces {
            let blocks: Vec<u64> = piece.blocks().collect();
            let reads = loop {
                match plan(part, core, &tree, piece, &blocks, true) {
                    Err(ReadError::Lacks(block)) => {
                        for tile in tree.lacks(block) {
                            let path = core.layout.tile_path(part, tile).unwrap();
                            tree.insert(tile, &files[&path]).unwrap();
                        }
                    }
                    reads => break reads.unwrap(),
                }
            };
            for read in reads {
                let object = Bytes::from(files[&read.path].clone());
                read.blocks(&object, true, &tree).unwrap();
            }
        }
    }
    Some(head.db.head.length)
}

#[test]
fn a_run_that_is_killed_at_any_step_leaves_a_mirror_and_the_next_one_ends_it() {
    let mut world = World::new();
    world.grow(300, 60);
    let first = Memory::default();
    world.write(&first, &world.all(), 0).unwrap();
    let before = first.files.lock().unwrap().clone();
    // Cut back and grown: tiles and pieces are retired, in another lineage.
    world.cut(280, 40);
    world.grow(30, 30);
    let mut step = 0;
    loop {
        let target = Memory::default();
        *target.files.lock().unwrap() = before.clone();
        *target.left.lock().unwrap() = Some(step);
        let killed = world.write(&target, &world.all(), 0).is_err();
        let length = read(&target, &world).unwrap();
        let new = target.log.lock().unwrap().iter().any(|s| s == &format!("put {HEAD}"));
        assert_eq!(length, if new { 310 } else { 300 }, "step {step}");
        *target.left.lock().unwrap() = None;
        world.write(&target, &world.all(), 0).unwrap();
        assert_eq!(read(&target, &world), Some(310), "step {step}");
        // Nothing is left behind but what the head needs.
        let again = Memory::default();
        *again.files.lock().unwrap() = target.files.lock().unwrap().clone();
        let done = world.write(&again, &world.all(), 0).unwrap();
        assert!(!done.changed && done.objects == 0, "step {step}: {done:?}");
        let files = again.files.lock().unwrap().len() as u64;
        assert_eq!(files, done.total_objects + 2, "step {step}: the head, and the list of what is retired");
        if !killed {
            break;
        }
        step += 1;
    }
    assert!(step > 10, "{step}");
}

#[test]
fn the_head_comes_last_and_what_is_retired_stays_for_its_time() {
    let mut world = World::new();
    world.grow(300, 60);
    let target = Memory::default();
    world.write(&target, &world.all(), 0).unwrap();
    let log = std::mem::take(&mut *target.log.lock().unwrap());
    assert_eq!(log.last().unwrap(), &format!("put {HEAD}"));
    world.grow(1, 1);
    let done = world.write(&target, &world.all(), 3_600_000).unwrap();
    assert_eq!(done.removed, 0);
    let log = std::mem::take(&mut *target.log.lock().unwrap());
    assert!(log.iter().all(|s| s.starts_with("put ")), "{log:?}");
    assert!(done.bytes < 90_032 + 2 * 256 * 40 + 2 * bosc_mirror::MERGE, "{done:?}");
    world.grow(1, 1);
    let done = world.write(&target, &world.all(), 0).unwrap();
    assert!(done.removed > 0, "{done:?}");
    assert_eq!(read(&target, &world), Some(302));
}

/// Every file of a folder.
fn files(dir: &std::path::Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(files(&path)),
            false => drop(out.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    out
}

#[test]
fn what_is_missing_or_damaged_is_written_anew() {
    let mut world = World::new();
    world.grow(300, 200);
    let dir = tempfile::tempdir().unwrap();
    let target = super::target::open(dir.path().to_str().unwrap()).unwrap();
    let again = |check| {
        let done = write(&world.cores, &*target, &world.all(), (check, 0), &mut |_| {}, &Stop::new())?;
        Ok::<_, CommandError>((done.objects, done.repaired, done.bytes > 0))
    };
    let first = again(false).unwrap();
    assert!(first.0 > 6 && first.1 == 0, "{first:?}");
    let pristine = files(dir.path());
    let objects: Vec<_> = pristine
        .iter()
        .filter(|(path, _)| path.components().count() > dir.path().components().count() + 1)
        .collect();
    let (flipped, cut, gone) = (objects[0], objects[1], objects[2]);
    let flip = || {
        let mut bytes = flipped.1.clone();
        bytes[9] ^= 1;
        std::fs::write(flipped.0, bytes).unwrap();
    };
    flip();
    std::fs::write(cut.0, &cut.1[1..]).unwrap();
    std::fs::remove_file(gone.0).unwrap();
    // A folder tells its sizes for nothing.
    assert_eq!(again(false).unwrap(), (2, 2, true));
    assert_eq!(again(false).unwrap(), (0, 0, false));
    assert_ne!(files(dir.path()), pristine, "one has the size that it has to have");
    assert_eq!(again(true).unwrap(), (1, 1, true));
    let head = |files: &BTreeMap<std::path::PathBuf, Vec<u8>>| {
        files
            .iter()
            .filter(|(p, _)| !p.ends_with(HEAD))
            .map(|(p, b)| (p.clone(), b.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(files(dir.path()), pristine);

    // A head that no reader takes, and objects of which nothing is known then.
    flip();
    std::fs::write(dir.path().join(HEAD), &pristine[&dir.path().join(HEAD)][..90]).unwrap();
    let e = again(false).unwrap_err();
    assert!(e.code() == "ERR_MIRROR" && e.hint_text().contains("--check"), "{e:?}");
    assert_eq!(again(true).unwrap(), (1, 0, true));
    assert_eq!(head(&files(dir.path())), head(&pristine));
    flip();
    std::fs::remove_file(dir.path().join(HEAD)).unwrap();
    assert_eq!(again(false).unwrap().0, 1, "without a head, sizes are not believed");
    assert_eq!(head(&files(dir.path())), head(&pristine));
}

#[test]
fn what_a_far_target_has_is_looked_at_when_asked_for() {
    let mut world = World::new();
    world.grow(3, 2);
    let target = Memory::default();
    world.write(&target, &world.all(), 0).unwrap();
    let pristine = target.files.lock().unwrap().clone();
    let (path, _) = target.files.lock().unwrap().pop_last().unwrap();
    assert!(path.starts_with("db/") || path.starts_with("retired"), "{path}");
    assert_eq!(world.write(&target, &world.all(), 0).unwrap().objects, 0);
    let done = write(&world.cores, &target, &world.all(), (true, 0), &mut |_| {}, &Stop::new()).unwrap();
    assert_eq!((done.objects, done.repaired, done.changed), (1, 1, false));
    assert_eq!(*target.files.lock().unwrap(), pristine);
}

#[test]
fn a_folder_of_other_things_becomes_no_mirror() {
    let mut world = World::new();
    world.grow(3, 2);
    let dir = tempfile::tempdir().unwrap();
    let open = || super::target::open(dir.path().to_str().unwrap());
    std::fs::write(dir.path().join(".htaccess"), "").unwrap();
    open().unwrap();
    std::fs::write(dir.path().join("index.html"), "").unwrap();
    std::fs::create_dir_all(dir.path().join("db/migrations")).unwrap();
    let e = open().unwrap_err();
    assert_eq!((e.code(), e.kind()), ("ERR_EXISTS", crate::error::ErrorKind::Input));
    // What a first run left that ended before its head, and a mirror.
    std::fs::create_dir_all(dir.path().join("db/0011223344556677")).unwrap();
    open().unwrap();
    std::fs::remove_dir(dir.path().join("db/0011223344556677")).unwrap();
    open().unwrap_err();
    std::fs::write(dir.path().join(HEAD), "").unwrap();
    open().unwrap();
}

#[test]
fn another_drive_something_newer_and_something_else_are_left_as_they_are() {
    let mut world = World::new();
    world.grow(3, 2);
    let target = Memory::default();
    world.write(&target, &world.all(), 0).unwrap();
    let other = {
        let mut other = World::new();
        other.grow(3, 2);
        other
    };
    let refused = |world: &World| {
        let files = target.files.lock().unwrap().clone();
        let e = world.write(&target, &world.all(), 0).unwrap_err();
        assert_eq!(e.code(), "ERR_MIRROR");
        assert_eq!(*target.files.lock().unwrap(), files);
        e.to_string()
    };
    assert!(refused(&other).contains("another drive"));
    let newer = MirrorHead::decode(&target.files.lock().unwrap()[HEAD]).unwrap();
    let mut bytes = newer.encode();
    bytes[8] = 9;
    target.files.lock().unwrap().insert(HEAD.to_owned(), bytes);
    assert!(refused(&world).contains("newer version of bosc"));
    target.files.lock().unwrap().insert(HEAD.to_owned(), b"<html>".to_vec());
    assert!(refused(&world).contains("cannot be continued"));
}

#[test]
fn a_sparse_mirror_says_so_and_gives_up_what_is_not_wanted() {
    let mut world = World::new();
    world.grow(3, 100);
    let target = Memory::default();
    let content = |range: std::ops::Range<u64>| Content {
        blobs: std::iter::once(range).collect(),
        sparse: Some("the newest version".into()),
    };
    let done = world.write(&target, &content(0..50), 0).unwrap();
    assert!(!done.whole);
    let done = world.write(&target, &content(50..100), 0).unwrap();
    assert!(done.removed > 0 && !done.whole);
    let head = MirrorHead::decode(&target.files.lock().unwrap()[HEAD]).unwrap();
    assert_eq!(head.sparse.as_deref(), Some("the newest version"));
    assert!(head.blobs.unwrap().layout.piece(0).is_none());
    read(&target, &world).unwrap();
    assert!(world.write(&target, &world.all(), 0).unwrap().whole);
}

#[test]
fn what_is_told_has_the_names_that_others_read() {
    use super::event::{MirrorEvent as E, MirrorUse, Mirrored};
    use crate::golden;
    use bosc_follow::mirror::FaultKind;
    let done = || Mirrored {
        target: "/t".into(),
        verlink: "v".into(),
        length: 1,
        changed: true,
        objects: 2,
        bytes: 3,
        repaired: 8,
        total_objects: 4,
        total_bytes: 5,
        removed: 6,
        whole: true,
        statements: Some(7),
        statements_changed: true,
    };
    let text = r#"{"target":"/t","verlink":"v","length":1,"changed":true,"objects":2,"bytes":3,"repaired":8,"totalObjects":4,"totalBytes":5,"removed":6,"whole":true,"statements":7,"statementsChanged":true}"#;
    golden::events(vec![
        (
            E::Mirroring { link: "l".into(), target: "/t".into() },
            "mirroring",
            r#"{"link":"l","target":"/t"}"#,
        ),
        (
            E::MirrorStats { objects: 1, total_objects: 2, bytes: 3, total_bytes: 4 },
            "mirror-stats",
            r#"{"objects":1,"totalObjects":2,"bytes":3,"totalBytes":4}"#,
        ),
        (E::MirrorDone(done()), "mirror-done", text),
        (
            E::MirrorFailed {
                target: "/t".into(),
                code: "ERR_MIRROR".into(),
                message: "m".into(),
                causes: vec!["c".into()],
                hint: "h".into(),
            },
            "mirror-failed",
            r#"{"target":"/t","code":"ERR_MIRROR","message":"m","causes":["c"],"hint":"h"}"#,
        ),
        (
            E::MirrorUsed(MirrorUse {
                mirror: "u".into(),
                fork: Some(0),
                length: Some(1),
                sparse: Some("s".into()),
                requests: 2,
                received: 3,
                bytes: 4,
                fault: Some(FaultKind::WrongBytes),
                why: Some("w".into()),
            }),
            "mirror-used",
            concat!(
                r#"{"mirror":"u","fork":0,"length":1,"sparse":"s","requests":2,"received":3,"bytes":4,"#,
                r#""fault":"wrong-bytes","why":"w"}"#
            ),
        ),
    ]);
    golden::texts(vec![(done(), text)]);
}
