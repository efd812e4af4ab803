//! Deltas of a release, as a source of the blocks that a plan needs: a patch from peers makes the new file of one on this
//! disk (see `bosc_drive::deltas`).
//!
//! ```text
//! file with missing blocks ── a base on this disk with a delta? ── fewer bytes than the blocks? ── leaf hashes, patch
//!                                                                                                     │
//!      blocks of the new file, each checked against the tree as it comes ◀── apply, streamed ─────────┘
//! ```
//!
//! # Invariants
//!
//! 1. A block that a delta made is put as any source's is: proved by its leaf hash, or refused. With the first that is
//!    refused, the delta is given up, and the blocks come from peers: a bad one costs at most the bytes of the plain way.
//! 2. Which way is taken is decided from sizes in signed entries, before any byte of a patch is asked for.
//! 3. Memory: the patch, up to [`MAX_PATCH`], a block of up to [`MAX_CHUNK`], and what `bosc_delta::apply` takes. The new file
//!    is never whole in memory, nor on the disk but as blocks.

use super::fetching::Fetching;
use super::plan::{Plan, PlanFile};
use crate::base_file::BaseFile;
use crate::error::UpdateError;
use bosc_drive::BlockSource;
use bosc_drive::blobs::{BlobId, BlobReader, BlockRef, content_blocks, load_map};
use bosc_drive::chunker::{ChunkBuffer, MAX_CHUNK};
use bosc_drive::deltas::{self, AboutDelta};
use bosc_drive::drive::Drive;
use bosc_follow::offer::{Cost, Gathering, MAX_LEAVES, Offer, Put};
use bosc_follow::{CoreSource, Fetch, FollowError};
use bosc_format::crypto::{Hash, Hasher};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most deltas looked at.
const MAX_DELTAS: usize = 4096;
/// Most names of a folder looked at, and most files of such a name as another one has.
const MAX_NAMES: usize = 10_000;
const MAX_ALIKE: usize = 8;
/// Longest patch taken, in bytes.
const MAX_PATCH: u64 = 64 << 20;
/// What a delta costs beside its bytes: its entry, proofs, a round trip.
const OVERHEAD: u64 = 16 << 10;

/// A delta in the drive.
#[derive(Debug, Clone)]
struct Delta {
    base: Hash,
    size: u64,
    blob: BlobId,
}

/// The deltas of a release to files of a plan.
pub(super) struct Deltas<'a> {
    plan: &'a Plan,
    /// Builds on this disk.
    builds: &'a [PathBuf],
    /// By the path of the file they lead to, below the build.
    by_rel: BTreeMap<String, Vec<Delta>>,
    /// Blocks of those that were used.
    pub(super) used: Vec<u64>,
}

impl<'a> Deltas<'a> {
    /// Those of the build at this key. Reads a few blocks of the db.
    ///
    /// # Errors
    /// As reading the db.
    pub(super) fn find(
        fetching: &mut Fetching<'_, '_>,
        (source, version): (&CoreSource, u64),
        root: &str,
        plan: &'a Plan,
        builds: &'a [PathBuf],
    ) -> Result<Self, UpdateError> {
        let mut found = Self { plan, builds, by_rel: BTreeMap::new(), used: Vec::new() };
        let Some(folder) = deltas::folder_of(root).filter(|_| !builds.is_empty()) else { return Ok(found) };
        let db = fetching.link.db();
        let drive = Drive::checkout(source.clone(), version);
        let mut list = drive.list(&folder)?;
        let mut count = 0;
        while let Some(entry) = fetching.of(db).next(&mut list)? {
            count += 1;
            if count > MAX_DELTAS {
                break;
            }
            let Some((file, base)) = deltas::parse(&entry.key) else { continue };
            let size = AboutDelta::of_metadata(&entry.value.metadata).size;
            let (Some(rel), Some(size), Some(blob)) = (below(root, &file), size, entry.value.blob) else {
                continue;
            };
            found.by_rel.entry(rel.to_owned()).or_default().push(Delta { base, size, blob });
        }
        Ok(found)
    }

    /// A file of a build on this disk for which there is a delta to this one, and the delta.
    fn choose(
        &self,
        to: &mut Gathering<'_, '_>,
        file: &PlanFile,
        at_most: u64,
    ) -> Result<Option<(BaseFile, Delta)>, FollowError> {
        let Some(deltas) = self.by_rel.get(&file.rel) else { return Ok(None) };
        let worth = |d: &&Delta| d.size.saturating_add(OVERHEAD) < at_most && d.size <= MAX_PATCH;
        if !deltas.iter().any(|d| worth(&d)) {
            return Ok(None);
        }
        for build in self.builds {
            let Ok(build) = build.canonicalize() else { continue };
            for path in candidates(build, &file.rel) {
                let Some((base, hash)) = open_base(&path, &mut || to.go_on())? else { continue };
                if let Some(delta) = deltas.iter().filter(worth).find(|d| d.base == hash) {
                    return Ok(Some((base, delta.clone())));
                }
            }
        }
        Ok(None)
    }

    /// The bytes of a patch; `None` when it is not what its entry says.
    fn patch(&mut self, to: &mut Gathering<'_, '_>, delta: &Delta) -> Result<Option<Vec<u8>>, FollowError> {
        let source = CoreSource::new(to.core());
        let end = delta.blob.block_offset.saturating_add(delta.blob.block_length);
        if end > source.length() || delta.blob.block_length > delta.size {
            return Ok(None);
        }
        let mut blocks: Vec<u64> = (delta.blob.block_offset..end).collect();
        if delta.blob.block_map {
            to.fetch(blocks.clone())?;
            let size = load_map(&source, &delta.blob)
                .map(|refs| refs.iter().fold(0, |n: u64, r| n.saturating_add(r.byte_length)));
            if size.ok() != Some(delta.size) {
                return Ok(None);
            }
            let Ok(runs) = content_blocks(&source, &delta.blob) else { return Ok(None) };
            blocks.extend(runs.into_iter().flatten());
        } else if delta.blob.byte_length != delta.size {
            return Ok(None);
        }
        to.fetch(blocks.clone())?;
        self.used.extend(blocks);
        let mut bytes = Vec::new();
        let mut reader = BlobReader::new(source, delta.blob);
        for part in reader.by_ref() {
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(_) => return Ok(None),
            }
        }
        Ok((bytes.len() as u64 == delta.size).then_some(bytes))
    }

    fn file(&mut self, to: &mut Gathering<'_, '_>, file: &PlanFile) -> Result<(), FollowError> {
        let Some(id) = file.blob.filter(|id| id.block_map) else { return Ok(()) };
        let Ok(refs) = load_map(&CoreSource::new(to.core()), &id) else { return Ok(()) };
        let (mut missing, mut bytes) = (Vec::new(), 0u64);
        for r in &refs {
            if to.is_missing(r.index)? {
                missing.push(r.index);
                bytes = bytes.saturating_add(r.byte_length);
            }
        }
        if missing.is_empty() || missing.len() > MAX_LEAVES {
            return Ok(());
        }
        let Some((base, delta)) = self.choose(to, file, bytes)? else { return Ok(()) };
        let Some(patch) = self.patch(to, &delta)? else { return Ok(()) };
        if !to.leaves(&missing)? {
            return Ok(());
        }
        let mut blocks = Blocks { to, refs: refs.iter(), chunks: ChunkBuffer::new(), failed: None };
        let made = bosc_delta::apply(&base, &patch, &mut blocks).is_ok();
        if made {
            // What is left over is the last block.
            let _ = blocks.finish();
        }
        match blocks.failed {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }
}

/// The part of a file's key below the key of a build, which may be the file itself.
fn below<'k>(root: &str, key: &'k str) -> Option<&'k str> {
    let rest = key.strip_prefix(root)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl Offer for Deltas<'_> {
    fn name(&self) -> &'static str {
        "deltas from builds on this disk"
    }

    fn cost(&self) -> Cost {
        Cost::Delta
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        if self.by_rel.is_empty() {
            return Ok(());
        }
        let plan = self.plan;
        for file in &plan.files {
            to.go_on()?;
            self.file(to, file)?;
        }
        Ok(())
    }
}

/// The files of a build that a delta of this one may start from: itself, and those whose name is the same but for a version.
fn candidates(build: PathBuf, rel: &str) -> Vec<PathBuf> {
    if rel.is_empty() {
        return vec![build];
    }
    let path = build.join(rel);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return vec![path];
    };
    let names = std::fs::read_dir(folder).into_iter().flatten().take(MAX_NAMES).flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut alike: Vec<String> = names.filter(|n| n != name && deltas::are_alike(n, name)).collect();
    alike.sort_unstable();
    alike.truncate(MAX_ALIKE);
    let alike: Vec<PathBuf> = alike.iter().map(|n| folder.join(n)).collect();
    [vec![path], alike].concat()
}

/// Opens a file of an installed build and hashes it; `None` when it cannot be read.
fn open_base(
    path: &Path,
    tell: &mut dyn FnMut() -> Result<(), FollowError>,
) -> Result<Option<(BaseFile, Hash)>, FollowError> {
    let mut hasher = Hasher::new();
    let opened = BaseFile::measured(path, |part| {
        hasher.update(part);
        tell()
    })?;
    Ok(opened.map(|base| (base, hasher.finish())))
}

/// Cuts what a patch makes into the blocks of the file, and puts those that are missing.
struct Blocks<'b, 'g, 'w> {
    to: &'b mut Gathering<'g, 'w>,
    refs: std::slice::Iter<'b, BlockRef>,
    chunks: ChunkBuffer,
    /// What ends more than this delta.
    failed: Option<FollowError>,
}

impl Blocks<'_, '_, '_> {
    fn put(&mut self, chunk: Bytes) -> io::Result<()> {
        let other = || io::Error::new(io::ErrorKind::InvalidData, "another file");
        let r = self.refs.next().filter(|r| r.byte_length == chunk.len() as u64).ok_or_else(other)?;
        let put = match self.to.is_missing(r.index) {
            Ok(false) => return Ok(()),
            Ok(true) => self.to.put(r.index, chunk),
            Err(e) => Err(e),
        };
        match put {
            Ok(Put::Taken | Put::Known) => Ok(()),
            Ok(Put::Refused | Put::Unproved) => Err(other()),
            Err(e) => {
                self.failed = Some(e);
                Err(other())
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.chunks.finish() {
            Some(chunk) => self.put(chunk),
            None => Ok(()),
        }
    }
}

impl Write for Blocks<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunks.buffer().extend_from_slice(bytes);
        while let Some(chunk) = self.chunks.next_chunk() {
            self.put(chunk)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a chunk may have at most is what a block may.
const _: () = assert!(MAX_CHUNK <= MAX_PATCH as usize);
