//! What the writer ever signed, and the check that nobody holds anything else.

use bosc_drive::blobs::BlobId;
use bosc_drive::drive::{Drive, DriveBatch, EntryValue};
use bosc_drive::{BlockSource, SourceError};
use bosc_format::crypto::{Hash, KeyPair};
use bosc_store::{Core, CreateOptions, Store};
use bosc_testkit::Rng;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The largest block; a drive's blobs and a plain core's blocks stay below it.
const MAX_BLOCK: u64 = 6000;

/// One core of the writer and all its heads.
pub(super) struct Written {
    pub(super) core: Core,
    forks: BTreeMap<u64, Vec<Bytes>>,
    heads: BTreeMap<(u64, u64), Hash>,
}

impl Written {
    fn new(store: &Store, rng: &mut Rng) -> Self {
        let mut seed = [0; 32];
        rng.fill(&mut seed);
        Self::of(store.create_core(CreateOptions::with_key_pair(KeyPair::from_seed(&seed))).unwrap())
    }

    /// The core of a drive's blobs beside its db.
    fn beside(store: &Store, db: &Core) -> Self {
        let manifest = db.manifest().unwrap().blobs(db.key()).unwrap();
        let options = CreateOptions::with_key_pair(db.key_pair().unwrap()).manifest(manifest);
        Self::of(store.create_core(options).unwrap())
    }

    fn of(core: Core) -> Self {
        let mut written = Self { core, forks: BTreeMap::from([(0, Vec::new())]), heads: BTreeMap::new() };
        written.sign();
        written
    }

    fn sign(&mut self) {
        let head = self.core.head();
        self.heads.insert((head.fork, head.length), head.tree_hash());
    }

    fn append(&mut self, blocks: Vec<Bytes>) {
        self.core.append(&blocks).unwrap();
        self.forks.get_mut(&self.core.head().fork).unwrap().extend(blocks);
        self.sign();
    }

    fn truncate(&mut self, length: u64) {
        let fork = self.core.head().fork;
        self.core.truncate(length, fork + 1).unwrap();
        let kept = self.forks[&fork][..length as usize].to_vec();
        self.forks.insert(fork + 1, kept);
        self.sign();
    }

    /// The head of a copy was signed by the writer.
    pub(super) fn check_head(&self, who: usize, copy: &Core) {
        let head = copy.head();
        if (head.fork, head.length) == (0, 0) {
            return;
        }
        let signed = self.heads.get(&(head.fork, head.length));
        assert_eq!(
            signed,
            Some(&head.tree_hash()),
            "peer {who} accepted a head nobody signed: fork {} length {}",
            head.fork,
            head.length
        );
    }

    /// The block of a copy, if it has it, is the writer's block of that fork.
    pub(super) fn check_block(&self, who: usize, copy: &Core, index: u64) -> bool {
        let fork = copy.head().fork;
        let Some(block) = copy.block(index).unwrap_or_else(|e| panic!("peer {who}, block {index}: {e}"))
        else {
            return false;
        };
        let ours = self.forks.get(&fork).and_then(|b| b.get(index as usize));
        assert!(ours == Some(&block), "peer {who} accepted block {index} of fork {fork} without proof");
        true
    }

    /// Checks the whole copy. Returns how many blocks it holds.
    pub(super) fn check_all(&self, who: usize, copy: &Core) -> usize {
        self.check_head(who, copy);
        (0..copy.length()).filter(|i| self.check_block(who, copy, *i)).count()
    }

    /// Whether the copy is the same core, whole.
    pub(super) fn is_equal(&self, copy: &Core) -> bool {
        let (a, b) = (self.core.head(), copy.head());
        (a.fork, a.length) == (b.fork, b.length) && copy.contiguous_length() == a.length
    }

    /// What a copy at the end must be.
    pub(super) fn check_equal(&self, who: usize, copy: &Core) {
        let (a, b) = (self.core.head(), copy.head());
        assert_eq!((a.fork, a.length, a.byte_length), (b.fork, b.length, b.byte_length), "peer {who}");
        assert_eq!(a.tree_hash(), b.tree_hash(), "peer {who}");
        assert_eq!(self.check_all(who, copy) as u64, a.length, "peer {who}");
    }
}

#[derive(Clone)]
struct Version {
    db: u64,
    blobs: u64,
    files: BTreeMap<String, Bytes>,
}

/// Which core changed and how.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Append,
    Reorg { ancestors: u64 },
}

/// Everything the writer publishes: plain cores, or the two cores of a drive.
pub(super) struct History {
    pub(super) cores: Vec<Written>,
    /// Of a drive: what is in it, at each version.
    versions: Option<Vec<Version>>,
    rng: Rng,
}

impl History {
    pub(super) fn new(store: &Store, drive: bool, cores: usize, mut rng: Rng) -> Self {
        let mut cores: Vec<Written> =
            (0..if drive { 1 } else { cores }).map(|_| Written::new(store, &mut rng)).collect();
        if drive {
            cores.push(Written::beside(store, &cores[0].core));
        }
        let empty = Version { db: 0, blobs: 0, files: BTreeMap::new() };
        Self { cores, versions: drive.then(|| vec![empty]), rng }
    }

    /// Changes the record of the first blocks.
    pub(super) fn forge(&mut self) {
        for block in self.cores.iter_mut().filter_map(|w| w.forks.get_mut(&0)?.first_mut()) {
            *block = [block.as_ref(), b"!"].concat().into();
        }
    }

    /// Publishes about this many blocks more. Returns what changed, in order.
    pub(super) fn append(&mut self, blocks: u64) -> Vec<(usize, Change)> {
        let Some(mut version) = self.versions.as_ref().and_then(|v| v.last()).cloned() else {
            let at = self.rng.index(self.cores.len());
            for i in 0..self.cores.len() {
                // All cores get something at first, later one of them does.
                if i == at || self.cores[i].core.length() == 0 {
                    let new = (0..blocks).map(|_| self.block()).collect();
                    self.cores[i].append(new);
                }
            }
            return (0..self.cores.len()).map(|i| (i, Change::Append)).collect();
        };
        let mut batch = DriveBatch::new(Source(&self.cores[0].core));
        let (mut new, mut at) = (Vec::new(), version.blobs);
        let mut byte = self.cores[1].core.head().byte_length;
        while (new.len() as u64) < blocks {
            let name = format!("/folder-{}/file-{}", self.rng.below(3), self.rng.below(blocks + 5));
            if version.files.contains_key(&name) && self.rng.chance(0.3) {
                assert!(batch.del(&name).unwrap());
                version.files.remove(&name);
            }
            let parts: Vec<Bytes> = {
                let n = self.rng.range(1, 4);
                (0..n).map(|_| random_block(&mut self.rng)).collect()
            };
            let content = parts.concat();
            let blob = BlobId {
                block_offset: at,
                byte_offset: byte,
                block_length: parts.len() as u64,
                byte_length: content.len() as u64,
                block_map: false,
            };
            at += parts.len() as u64;
            byte += content.len() as u64;
            new.extend(parts);
            batch.put(&name, &EntryValue::file(blob, false)).unwrap();
            version.files.insert(name, content.into());
        }
        let db: Vec<Bytes> = batch.into_blocks().into_iter().map(Bytes::from).collect();
        self.cores[1].append(new);
        self.cores[0].append(db);
        version.db = self.cores[0].core.length();
        version.blobs = self.cores[1].core.length();
        self.versions.as_mut().unwrap().push(version);
        vec![(1, Change::Append), (0, Change::Append)]
    }

    /// Cuts back and publishes something else instead.
    pub(super) fn reorg(&mut self, blocks: u64) -> Vec<(usize, Change)> {
        let mut changes = Vec::new();
        if let Some(versions) = &mut self.versions {
            let kept = self.rng.index(versions.len());
            versions.truncate(kept + 1);
            let (db, blobs) = (versions[kept].db, versions[kept].blobs);
            for (i, length) in [(1, blobs), (0, db)] {
                self.cores[i].truncate(length);
                changes.push((i, Change::Reorg { ancestors: length }));
            }
        } else {
            let i = self.rng.index(self.cores.len());
            let length = self.rng.range(0, self.cores[i].core.length());
            self.cores[i].truncate(length);
            changes.push((i, Change::Reorg { ancestors: length }));
        }
        if blocks > 0 {
            changes.extend(self.append(blocks));
        }
        changes
    }

    fn block(&mut self) -> Bytes {
        random_block(&mut self.rng)
    }

    /// Reads a copy of the drive as an application would.
    pub(super) fn check_files(&self, who: usize, copies: &[Core]) {
        let Some(version) = self.versions.as_ref().and_then(|v| v.last()) else { return };
        let [db, blobs] = copies else { panic!("a drive has two cores") };
        let mut found = BTreeMap::new();
        for entry in Drive::new(Source(db)).list("/").unwrap() {
            let entry = entry.unwrap();
            let blob = entry.value.blob.unwrap();
            let mut content = Vec::new();
            for i in blob.block_offset..blob.block_offset + blob.block_length {
                content.extend_from_slice(&blobs.block(i).unwrap().unwrap());
            }
            found.insert(entry.key, Bytes::from(content));
        }
        assert!(found == version.files, "peer {who} has other files");
    }
}

fn random_block(rng: &mut Rng) -> Bytes {
    let len = match rng.below(10) {
        0 => rng.range(1000, MAX_BLOCK),
        1 => 1,
        _ => rng.range(2, 400),
    };
    rng.bytes(len as usize).into()
}

#[derive(Clone, Copy)]
struct Source<'a>(&'a Core);

impl BlockSource for Source<'_> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        match self.0.block(index) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(SourceError::Missing(index)),
            Err(e) => Err(SourceError::Failed(Box::new(e))),
        }
    }
}
