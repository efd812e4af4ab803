#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::folder::diff::{ByteDiff, DiffKind};
use bosc_drive::blobs::{BlobId, BlobReader, load_map};
use bosc_drive::chunker::Chunker;
use bosc_drive::drive::{Drive, DriveBatch, EntryValue};
use bosc_drive::{BlockSource, MemorySource};
use bosc_format::crypto;
use bytes::Bytes;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A drive in memory that keeps its promises: nothing appended shows before the commit.
#[derive(Default)]
pub(crate) struct MemoryTarget {
    pub(crate) db: MemorySource,
    pub(crate) blobs: MemorySource,
    leaves: Vec<Leaf>,
    fork: u64,
    pending: Vec<BlobBlock>,
    commits: usize,
    /// Largest number of bytes appended at once.
    largest: Cell<usize>,
    fail: Option<&'static str>,
}

impl MemoryTarget {
    pub(crate) fn drive(&self) -> Drive<&MemorySource> {
        Drive::new(&self.db)
    }

    fn file(&self, key: &str) -> Vec<u8> {
        let id = self.drive().entry(key).unwrap().unwrap().value.blob.unwrap();
        BlobReader::new(&self.blobs, id).flat_map(|b| b.unwrap()).collect()
    }

    pub(crate) fn push_blob(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.leaves.push(Leaf { hash: crypto::leaf_hash(&bytes), size: bytes.len() as u64 });
        self.blobs.push(bytes);
    }

    fn core(&self, key: u8, source: &MemorySource) -> CoreState {
        let blocks: Vec<Bytes> = (0..source.length()).map(|i| source.block(i).unwrap()).collect();
        let hashes: Vec<u8> = blocks.iter().flat_map(|b| crypto::leaf_hash(b)).collect();
        CoreState {
            key: [key; 32],
            fork: self.fork,
            length: source.length(),
            byte_length: blocks.iter().map(|b| b.len() as u64).sum(),
            tree_hash: crypto::hash(&[&hashes]),
        }
    }
}

impl StageTarget for MemoryTarget {
    fn state(&self) -> Result<TargetState, TargetError> {
        Ok(TargetState { db: self.core(1, &self.db), blobs: self.core(2, &self.blobs) })
    }
    fn db(&self) -> &dyn BlockSource {
        &self.db
    }
    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
        let pending = (index as usize).checked_sub(self.leaves.len()).and_then(|at| self.pending.get(at));
        let appended = pending.map(|b| Leaf { hash: b.hash, size: b.bytes.len() as u64 });
        self.leaves.get(index as usize).copied().or(appended).ok_or(TargetError::Missing(index))
    }
    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
        self.blobs.block(index).map_err(|_| TargetError::Missing(index))
    }
    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
        if self.fail == Some("append") {
            return Err(TargetError::Failed("disk full".into()));
        }
        self.largest.set(self.largest.get().max(blocks.iter().map(|b| b.bytes.len()).sum()));
        for b in &blocks {
            assert_eq!(b.hash, crypto::leaf_hash(&b.bytes));
        }
        self.pending.extend(blocks);
        Ok(())
    }
    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
        if self.fail == Some("commit") {
            return Err(TargetError::Failed("disk full".into()));
        }
        for b in std::mem::take(&mut self.pending) {
            self.push_blob(b.bytes);
        }
        self.db.extend(blocks);
        self.commits += 1;
        self.state()
    }
    fn rollback(&mut self) {
        self.pending.clear();
    }
}

fn run(target: &mut MemoryTarget, root: &Path, options: &StageOptions) -> (StageSummary, Vec<ByteDiff>) {
    let mut diffs = Vec::new();
    let summary = stage(target, root, options, &mut |e| {
        if let StageNews::Diff(d) = e {
            diffs.push(d);
        }
    });
    (summary.unwrap(), diffs)
}

fn plain(target: &mut MemoryTarget, root: &Path) -> (StageSummary, Vec<ByteDiff>) {
    run(target, root, &StageOptions::default())
}

pub(crate) fn noise(mut state: u32, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 4);
    while out.len() < length {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn line(d: &ByteDiff) -> String {
    let sign = match d.kind {
        DiffKind::Add => '+',
        DiffKind::Change => '~',
        DiffKind::Remove => '-',
    };
    format!("{sign} {} {:?}", d.key, d.sizes())
}

fn lines(diffs: &[ByteDiff]) -> Vec<String> {
    diffs.iter().map(line).collect()
}

fn map_of(target: &MemoryTarget, key: &str) -> Vec<(u64, u64)> {
    let id = target.drive().entry(key).unwrap().unwrap().value.blob.unwrap();
    load_map(&target.blobs, &id).unwrap().iter().map(|r| (r.index, r.byte_length)).collect()
}

#[test]
fn a_folder_becomes_a_drive_and_an_unchanged_one_appends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let big = noise(12345, 5 << 20);
    write(dir.path(), "a/big", &big);
    write(dir.path(), "a.txt", b"hello");
    write(dir.path(), "copy.txt", b"hello");
    write(dir.path(), "empty", b"");
    let mut target = MemoryTarget::default();
    let dry = StageOptions { dry_run: true, ..StageOptions::default() };
    let (summary, dry_diffs) = run(&mut target, dir.path(), &dry);
    assert_eq!(summary.after, summary.before);
    assert_eq!((target.db.length(), target.pending.len()), (0, 0));
    let (summary, diffs) = plain(&mut target, dir.path());
    assert_eq!(dry_diffs, diffs);
    assert_eq!(lines(&diffs), ["+ /a.txt [5]", "+ /a/big [5242880]", "+ /copy.txt [5]", "+ /empty [0]"]);
    assert_eq!(target.file("/a/big"), big);
    assert_eq!(target.file("/copy.txt"), b"hello");
    assert_eq!(target.file("/empty"), b"");
    // Cut where the chunker cuts, the copy names the same block, the empty file has no map.
    let sizes: Vec<u64> = map_of(&target, "/a/big").iter().map(|r| r.1).collect();
    assert_eq!(sizes[..2], [1724349, 693338]);
    assert_eq!(map_of(&target, "/copy.txt"), map_of(&target, "/a.txt"));
    assert_eq!(summary.new_bytes, big.len() as u64 + 5);
    assert_eq!(summary.shared_bytes, 5);
    assert_eq!(summary.after.blobs.length, summary.new_blocks);
    assert_eq!(summary.after.db.length, 5);
    assert_eq!((summary.count.files, summary.count.add), (4, 4));
    assert_eq!(target.commits, 1);

    let (again, diffs) = plain(&mut target, dir.path());
    assert!(diffs.is_empty());
    assert_eq!((again.after, target.commits), (summary.after, 1));
    assert_eq!(again.read, 4);
}

#[test]
fn changes_reuse_what_the_core_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut big = noise(12345, 20 << 20);
    write(dir.path(), "big", &big);
    write(dir.path(), "gone", b"bye");
    let mut target = MemoryTarget::default();
    plain(&mut target, dir.path());
    // The bit of the vectors: one chunk of 1,201,454 bytes is replaced.
    big[10485760] ^= 1;
    write(dir.path(), "big", &big);
    fs::remove_file(dir.path().join("gone")).unwrap();
    let (summary, diffs) = plain(&mut target, dir.path());
    assert_eq!(lines(&diffs), ["- /gone [-3]", "~ /big [-20971520, 20971520]"]);
    assert_eq!(summary.new_bytes, 1201454);
    assert_eq!(summary.new_blocks, 2);
    assert_eq!(target.file("/big"), big);
    assert_eq!(target.drive().entry("/gone").unwrap(), None);
    // Moved, and grown in front: nothing but the changed chunk and maps.
    fs::rename(dir.path().join("big"), dir.path().join("moved")).unwrap();
    let (summary, diffs) = plain(&mut target, dir.path());
    assert_eq!(lines(&diffs), ["- /big [-20971520]", "+ /moved [20971520]"]);
    assert_eq!((summary.new_bytes, summary.new_blocks), (0, 1));
    let grown = [b"insert", big.as_slice()].concat();
    write(dir.path(), "moved", &grown);
    let (summary, _) = plain(&mut target, dir.path());
    assert!(summary.new_bytes < 3 << 20, "{}", summary.new_bytes);
    assert_eq!(target.file("/moved"), grown);
}

/// Drives that others wrote: contiguous 64 KiB blocks, maps of any cut, content that is not on this machine.
#[test]
fn content_is_compared_however_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let content = noise(7, 2_000_000);
    write(dir.path(), "f", &content);
    let plain_drive = |content: &[u8]| {
        let mut target = MemoryTarget::default();
        content.chunks(65536).for_each(|c| target.push_blob(c.to_vec()));
        let blocks = content.len().div_ceil(65536) as u64;
        (target, BlobId { block_length: blocks, byte_length: content.len() as u64, ..BlobId::default() })
    };
    let put = |target: &mut MemoryTarget, id| {
        let mut batch = DriveBatch::new(&target.db);
        batch.put("/f", &EntryValue::file(id, false)).unwrap();
        let blocks = batch.into_blocks();
        target.db.extend(blocks);
    };
    let map_drive = |content: &[u8], cut: usize| {
        let mut target = MemoryTarget::default();
        let mut map = bosc_drive::blobs::ContentMap::new(0, 0);
        for c in content.chunks(cut) {
            map.push(&crypto::leaf_hash(c), c.len() as u64, |_| None);
            target.push_blob(c.to_vec());
        }
        let (id, blocks) = map.finish().unwrap();
        blocks.into_iter().for_each(|b| target.push_blob(b));
        (target, id)
    };
    let mut other = content.clone();
    *other.last_mut().unwrap() ^= 1;
    for (old, changes) in [(&content, 0), (&other, 1)] {
        for (mut target, id) in [plain_drive(old), map_drive(old, 100_000), map_drive(old, 600_000)] {
            put(&mut target, id);
            let dry = StageOptions { dry_run: true, ..StageOptions::default() };
            assert_eq!(run(&mut target, dir.path(), &dry).1.len(), changes);
            let (summary, diffs) = plain(&mut target, dir.path());
            assert_eq!(diffs.len(), changes);
            assert_eq!(summary.new_bytes, changes as u64 * 2_000_000);
            assert_eq!(target.file("/f"), content);
            assert!(plain(&mut target, dir.path()).1.is_empty());
        }
    }
    // The map is not here: the file is written anew.
    let (mut target, id) = map_drive(&content, 100_000);
    put(&mut target, id);
    target.blobs.clear(id.block_offset as usize);
    let mut unread = MemoryTarget { leaves: std::mem::take(&mut target.leaves), ..MemoryTarget::default() };
    unread.db = target.db.clone();
    unread.blobs = target.blobs.clone();
    struct Gap(MemoryTarget);
    impl StageTarget for Gap {
        fn state(&self) -> Result<TargetState, TargetError> {
            let blobs = CoreState { length: self.0.blobs.length(), ..CoreState::default() };
            Ok(TargetState { db: CoreState::default(), blobs })
        }
        fn db(&self) -> &dyn BlockSource {
            &self.0.db
        }
        fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
            self.0.blob_leaf(index)
        }
        fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
            self.0.blob_block(index)
        }
        fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
            self.0.append_blobs(blocks)
        }
        fn commit(&mut self, _: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
            self.state()
        }
        fn rollback(&mut self) {}
    }
    let summary = stage(&mut Gap(unread), dir.path(), &StageOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(summary.count.change, 1);
}

#[test]
fn ignore_only_purge_and_missing_files() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a/1.js", "a/2.md", "b/1.js", "c.js"] {
        write(dir.path(), name, name.as_bytes());
    }
    let mut target = MemoryTarget::default();
    plain(&mut target, dir.path());
    fs::remove_dir_all(dir.path().join("b")).unwrap();
    fs::remove_file(dir.path().join("a/1.js")).unwrap();
    let options = |ignore: &[&str], only: &[&str], purge, keep_missing| StageOptions {
        ignore: ignore.iter().map(|s| s.to_string()).collect(),
        only: only.iter().map(|s| s.to_string()).collect(),
        purge,
        keep_missing,
        dry_run: true,
        ..StageOptions::default()
    };
    let mut check = |o: StageOptions, expected: &[&str]| {
        assert_eq!(lines(&run(&mut target, dir.path(), &o).1), expected, "{o:?}");
    };
    check(options(&[], &[], false, false), &["- /a/1.js [-6]", "- /b/1.js [-6]"]);
    check(options(&[], &["b"], false, false), &["- /b/1.js [-6]"]);
    check(options(&[], &["none"], false, false), &[]);
    check(options(&["**/*.js"], &[], false, false), &[]);
    // Files that are only in the drive are purged by the same pattern.
    check(options(&["**/*.js"], &[], true, false), &["- /a/1.js [-6]", "- /b/1.js [-6]"]);
    check(options(&["**/*.js", "!b"], &[], true, true), &["- /a/1.js [-6]"]);
    check(options(&["c.js"], &["a"], true, true), &["- /c.js [-4]"]);
    check(options(&[], &[], true, true), &[]);
}

#[cfg(unix)]
#[test]
fn executable_bits_and_symlinks_cost_an_entry() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "run", b"#!/bin/sh");
    write(dir.path(), "d/f", b"f");
    symlink("run", dir.path().join("link")).unwrap();
    symlink("../run", dir.path().join("d/up")).unwrap();
    let mut target = MemoryTarget::default();
    plain(&mut target, dir.path());
    fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let (summary, diffs) = plain(&mut target, dir.path());
    assert_eq!(lines(&diffs), ["~ /run [0, 0]"]);
    assert_eq!(summary.new_blocks, 0);
    assert!(target.drive().entry("/run").unwrap().unwrap().value.executable);
    fs::remove_file(dir.path().join("link")).unwrap();
    write(dir.path(), "link", b"file now");
    fs::remove_file(dir.path().join("d/f")).unwrap();
    symlink("../link", dir.path().join("d/f")).unwrap();
    let (_, diffs) = plain(&mut target, dir.path());
    assert_eq!(lines(&diffs), ["~ /d/f [-1, 0]", "~ /link [0, 8]"]);
    let link = target.drive().entry("/d/f").unwrap().unwrap();
    assert_eq!(link.value, EntryValue::symlink("../link"));
    // A target from the root in the drive and a relative one on disk are the same.
    let mut batch = DriveBatch::new(&target.db);
    batch.put("/d/up", &EntryValue::symlink("/run")).unwrap();
    let blocks = batch.into_blocks();
    target.db.extend(blocks);
    assert!(plain(&mut target, dir.path()).1.is_empty());
    symlink("/no/such/place", dir.path().join("x")).unwrap();
    assert!(plain(&mut target, dir.path()).1.is_empty(), "a link that leads nowhere is left out");
}

#[test]
fn an_index_saves_reading_and_is_not_fooled() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    for i in 0..20 {
        write(&root, &format!("f{i}"), format!("content {i:02}").as_bytes());
    }
    let index = Some(dir.path().join("index"));
    let later = |s| Some(SystemTime::now() + Duration::from_secs(s));
    let options = |now| StageOptions { index: index.clone(), now, ..StageOptions::default() };
    let mut target = MemoryTarget::default();
    // Files just written are not trusted yet. "Just" is less than a clock's tick: a busy machine takes longer from the first
    // of them to here.
    let written = fs::metadata(root.join("f0")).unwrap().modified().unwrap();
    run(&mut target, &root, &options(Some(written)));
    assert_eq!(run(&mut target, &root, &options(later(10))).0.read, 20);
    assert_eq!(run(&mut target, &root, &options(later(10))).0.read, 0);
    // Same size, another content.
    write(&root, "f3", b"CONTENT 03");
    let (summary, diffs) = run(&mut target, &root, &options(later(20)));
    assert_eq!((summary.read, lines(&diffs)), (1, vec!["~ /f3 [-10, 10]".to_owned()]));
    // Same size and modification time: the change time or inode tells.
    let times = fs::metadata(root.join("f4")).unwrap().modified().unwrap();
    write(&root, "f4", b"CONTENT 04");
    fs::File::options().write(true).open(root.join("f4")).unwrap().set_modified(times).unwrap();
    if cfg!(unix) {
        assert_eq!(run(&mut target, &root, &options(later(30))).0.count.change, 1);
        assert_eq!(target.file("/f4"), b"CONTENT 04");
    }
    // The drive was changed by someone else: the index does not count.
    let mut batch = DriveBatch::new(&target.db);
    batch.del("/f5").unwrap();
    let blocks = batch.into_blocks();
    target.db.extend(blocks);
    let (summary, diffs) = run(&mut target, &root, &options(later(40)));
    assert_eq!((summary.read, lines(&diffs)), (20, vec!["+ /f5 [10]".to_owned()]));
    // Damaged: as if there were none.
    let path = index.clone().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (summary, diffs) = run(&mut target, &root, &options(later(50)));
    assert_eq!((summary.read, diffs.len()), (20, 0));
    assert_eq!(run(&mut target, &root, &options(later(50))).0.read, 0);
}

#[test]
fn failures_write_nothing_and_name_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &noise(1, 3 << 20));
    write(dir.path(), "b", b"b");
    for fail in ["append", "commit"] {
        let mut target = MemoryTarget { fail: Some(fail), ..MemoryTarget::default() };
        let error = stage(&mut target, dir.path(), &StageOptions::default(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, StageError::Target(_)), "{error}");
        assert_eq!((target.db.length(), target.blobs.length(), target.pending.len()), (0, 0, 0));
    }
    let mut target = MemoryTarget::default();
    let gone = stage(&mut target, &dir.path().join("none"), &StageOptions::default(), &mut |_| {});
    assert!(matches!(gone, Err(StageError::Scan(_))));
    let path = dir.path().join("b");
    // A file that grows between listing and reading.
    let mut grown = false;
    let error = stage(&mut target, dir.path(), &StageOptions::default(), &mut |e| {
        if matches!(e, StageNews::Scanned { .. }) && !std::mem::replace(&mut grown, true) {
            fs::write(&path, b"longer").unwrap();
        }
    });
    assert!(matches!(&error, Err(StageError::Unstable { path: p }) if p.ends_with("b")), "{error:?}");
    let error = stage(&mut target, dir.path(), &StageOptions::default(), &mut |e| {
        if matches!(e, StageNews::Scanned { .. }) {
            fs::remove_file(&path).unwrap();
        }
    });
    assert!(matches!(&error, Err(StageError::Read { path: p, .. }) if p.ends_with("b")), "{error:?}");
    assert_eq!((target.db.length(), target.pending.len()), (0, 0));
}

#[test]
fn the_same_folder_gives_the_same_blocks() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..40u32 {
        write(dir.path(), &format!("d{}/f{i}", i % 3), &noise(i, (i as usize * 40_000) % 900_000));
    }
    let mut targets: Vec<MemoryTarget> = Vec::new();
    for hashers in [0, 1, 3] {
        let mut target = MemoryTarget::default();
        let options = StageOptions { hashers: Some(hashers), ..StageOptions::default() };
        run(&mut target, dir.path(), &options);
        assert!(target.largest.get() < 10 << 20);
        targets.push(target);
    }
    let state = targets[0].state().unwrap();
    assert!(targets.iter().all(|t| t.state().unwrap() == state));
}

type Tree = BTreeMap<String, (u32, usize)>;

fn tree() -> impl Strategy<Value = Tree> {
    let name = prop_oneof!["[a-c]", "[a-c]/[a-c]", "x/[a-c]/[a-c]"];
    let size = prop_oneof![0usize..100, Just(524_287), Just(524_288), 524_000usize..3_000_000];
    prop::collection::btree_map(name, (0u32..4, size), 0..8).prop_map(|mut t: Tree| {
        // A name is either a file or a folder.
        let keys: Vec<String> = t.keys().cloned().collect();
        t.retain(|k, _| !keys.iter().any(|o| o.starts_with(&format!("{k}/"))));
        t
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sequence_of_folders_is_staged_exactly(trees in prop::collection::vec(tree(), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("app");
        let mut target = MemoryTarget::default();
        let mut before = Tree::new();
        for tree in trees {
            let _ = fs::remove_dir_all(&root);
            fs::create_dir(&root).unwrap();
            for (name, (seed, size)) in &tree {
                write(&root, name, &noise(*seed, *size));
            }
            let (summary, diffs) = plain(&mut target, &root);
            let keys: Vec<String> = target.drive().list("/").unwrap().map(|e| e.unwrap().key).collect();
            prop_assert_eq!(keys, tree.keys().map(|k| format!("/{k}")).collect::<Vec<_>>());
            for (name, (seed, size)) in &tree {
                let content = noise(*seed, *size);
                let key = format!("/{name}");
                prop_assert!(target.file(&key) == content, "{key}");
                let mut chunker = Chunker::new();
                let (mut rest, mut cuts) = (content.as_slice(), Vec::new());
                while let Some(n) = chunker.push(rest) {
                    cuts.push(n as u64);
                    rest = &rest[n..];
                }
                cuts.extend((!rest.is_empty()).then_some(rest.len() as u64));
                let sizes: Vec<u64> = map_of(&target, &key).iter().map(|r| r.1).collect();
                prop_assert_eq!(sizes, cuts);
            }
            let content = |t: &Tree, k: &str| t.get(k).map(|(seed, size)| noise(*seed, *size));
            let changed = before.keys().chain(tree.keys()).filter(|k| content(&before, k) != content(&tree, k));
            let changed: std::collections::BTreeSet<_> = changed.collect();
            prop_assert_eq!(diffs.len(), changed.len());
            prop_assert_eq!(summary.count.files, tree.len() as u64);
            before = tree;
            let state = target.state().unwrap();
            prop_assert!(plain(&mut target, &root).1.is_empty());
            prop_assert_eq!(target.state().unwrap(), state);
        }
    }
}
