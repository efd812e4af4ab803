#![allow(clippy::unwrap_used)]

//! A target that takes entries while they are made gets what one gets that takes them at the end.

use super::tests::{MemoryTarget, noise};
use super::*;
use bosc_drive::{BlockSource, MemorySource};
use bytes::Bytes;
use std::fs;
use std::path::Path;

/// Takes blocks of the db as they come, and shows them with the commit.
#[derive(Default)]
struct Streamed {
    inner: MemoryTarget,
    waiting: Vec<Bytes>,
    /// The largest number of entries that were left for the commit.
    left: usize,
    fail: bool,
}

impl StageTarget for Streamed {
    fn state(&self) -> Result<TargetState, TargetError> {
        self.inner.state()
    }
    fn db(&self) -> &dyn BlockSource {
        &self.inner.db
    }
    fn db_beside(&self) -> Option<Box<dyn BlockSource>> {
        Some(Box::new(self.inner.db.clone()))
    }
    fn append_db(&mut self, blocks: Vec<Bytes>) -> Result<(), TargetError> {
        if self.fail {
            return Err(TargetError::Failed("disk full".into()));
        }
        self.waiting.extend(blocks);
        Ok(())
    }
    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
        self.inner.blob_leaf(index)
    }
    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
        self.inner.blob_block(index)
    }
    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
        self.inner.append_blobs(blocks)
    }
    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
        let rest: Vec<Bytes> = blocks.collect();
        self.left = self.left.max(rest.len());
        let mut all = std::mem::take(&mut self.waiting).into_iter().chain(rest);
        self.inner.commit(&mut all)
    }
    fn rollback(&mut self) {
        self.waiting.clear();
        self.inner.rollback();
    }
}

/// The folder's files of a step, as name and content: some stay, some change, go and come with every step.
fn fill(root: &Path, step: u32) {
    let _ = fs::remove_dir_all(root);
    for i in 0..900u32 {
        if (i + step).is_multiple_of(9) {
            continue;
        }
        let path = root.join(format!("d{}/{}/file-{i}", i % 13, i % 3));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let version = if (i + step).is_multiple_of(4) { step } else { 0 };
        fs::write(path, noise(i + version * 7919, 20 + (i as usize % 50))).unwrap();
    }
}

fn blocks(db: &MemorySource) -> Vec<Bytes> {
    (0..db.length()).map(|i| db.block(i).unwrap()).collect()
}

#[test]
fn entries_given_as_they_are_made_are_those_given_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    let (mut whole, mut streamed) = (MemoryTarget::default(), Streamed::default());
    let options = StageOptions::default();
    for step in 0..4 {
        fill(&root, step);
        let a = stage(&mut whole, &root, &options, &mut |_| {}).unwrap();
        let b = stage(&mut streamed, &root, &options, &mut |_| {}).unwrap();
        assert_eq!(a, b, "step {step}");
        assert_eq!(blocks(&whole.db), blocks(&streamed.inner.db), "step {step}");
        if step == 0 {
            assert!(streamed.left < 32, "{} of {} entries waited", streamed.left, whole.db.length());
        }
    }
}

#[test]
fn one_that_fails_on_the_way_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    fill(&root, 0);
    let mut target = Streamed { fail: true, ..Streamed::default() };
    let error = stage(&mut target, &root, &StageOptions::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StageError::Target(_)), "{error}");
    assert_eq!((target.inner.db.length(), target.inner.blobs.length()), (0, 0));
    target.fail = false;
    stage(&mut target, &root, &StageOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(target.inner.db.length(), 801);
}
