//! What the drive has in place of a file, as hashes: enough to tell whether the file is the same.

use super::error::StageError;
use super::target::{Leaf, StageTarget, TargetError, TargetState};
use bosc_drive::blobs::{BlockRef, load_map};
use bosc_drive::chunker::MAX_CHUNK;
use bosc_drive::drive::DriveEntry;
use bosc_drive::{BlockSource, SourceError};
use bosc_format::crypto::Hash;
use bytes::Bytes;
use std::collections::HashMap;

/// A block of a file's content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OldBlock {
    pub(crate) index: u64,
    pub(crate) leaf: Leaf,
}

/// The content of a drive entry.
#[derive(Debug, Default)]
pub(crate) struct Old {
    pub(crate) blocks: Vec<OldBlock>,
    pub(crate) size: u64,
    /// Whether it has a block map: it was most likely cut by content.
    pub(crate) mapped: bool,
    by_hash: Option<HashMap<Hash, BlockRef>>,
}

/// Reads the committed blobs core as a source of blocks.
struct Blobs<'a, T> {
    target: &'a T,
    state: TargetState,
}

impl<T: StageTarget> BlockSource for Blobs<'_, T> {
    fn length(&self) -> u64 {
        self.state.blobs.length
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        self.target.blob_block(index).map_err(|e| match e {
            TargetError::Missing(index) => SourceError::Missing(index),
            TargetError::Failed(e) => SourceError::Failed(e),
        })
    }
}

impl Old {
    /// One without blocks yet.
    pub(crate) fn empty(mapped: bool) -> Self {
        Self { mapped, ..Self::default() }
    }

    /// Looks up a file's content. `None` when the entry is no file, or a part of what describes it is not on this
    /// machine, does not add up or is too large to hold: the file then counts as changed, which is always safe.
    pub(crate) fn load<T: StageTarget>(target: &T, entry: &DriveEntry) -> Result<Option<Self>, StageError> {
        let Some(id) = entry.value.blob.filter(|_| entry.value.linkname.is_none()) else { return Ok(None) };
        let source = Blobs { target, state: target.state()? };
        let mut out = Self::empty(id.block_map);
        let indexes: Box<dyn Iterator<Item = (u64, Option<u64>)>> = if id.block_map {
            match load_map(&source, &id) {
                Ok(refs) => Box::new(refs.into_iter().map(|r| (r.index, Some(r.byte_length)))),
                Err(bosc_drive::Error::Source(e)) => return Err(TargetError::Failed(e).into()),
                Err(_) => return Ok(None),
            }
        } else {
            let Some(end) = id.block_offset.checked_add(id.block_length).filter(|e| *e <= source.length())
            else {
                return Ok(None);
            };
            Box::new((id.block_offset..end).map(|i| (i, None)))
        };
        for (index, size) in indexes {
            let leaf = match target.blob_leaf(index) {
                Ok(leaf) => leaf,
                Err(TargetError::Missing(_)) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            if size.is_some_and(|s| s != leaf.size) || leaf.size > MAX_CHUNK as u64 {
                return Ok(None);
            }
            out.size = out.size.saturating_add(leaf.size);
            out.blocks.push(OldBlock { index, leaf });
        }
        Ok((id.block_map || out.size == id.byte_length).then_some(out))
    }

    /// The block at `at`, if it has this content.
    pub(crate) fn matches(&self, at: usize, hash: &Hash, size: u64) -> Option<BlockRef> {
        let block = self.blocks.get(at)?;
        (block.leaf == Leaf { hash: *hash, size })
            .then_some(BlockRef { index: block.index, byte_length: size })
    }

    /// A block with this content.
    pub(crate) fn find(&mut self, hash: &Hash) -> Option<BlockRef> {
        let blocks = &self.blocks;
        let by_hash = self.by_hash.get_or_insert_with(|| {
            let entry = |b: &OldBlock| (b.leaf.hash, BlockRef { index: b.index, byte_length: b.leaf.size });
            blocks.iter().map(entry).collect()
        });
        by_hash.get(hash).copied()
    }
}
