//! Blocks the blobs core already holds, found by the hash of their leaf.

use super::target::{Leaf, StageTarget, TargetError};
use bosc_drive::blobs::BlockRef;
use bosc_format::crypto::Hash;
use std::collections::HashMap;

/// Most blocks remembered; the newest of a longer core. About 24 bytes each, 72 for new ones.
const MAX_KNOWN: usize = 256 * 1024;

/// Leaf hashes, by their first 8 bytes, to block indexes. Filled from the tree at the first look, because most stages
/// never need it.
#[derive(Debug, Default)]
pub(crate) struct KnownBlocks {
    filled: bool,
    known: HashMap<u64, u64>,
    /// Full leaves of what this stage appended, by index, which rises: the target does not show them yet.
    fresh: Vec<(u64, Leaf)>,
}

fn short(hash: &Hash) -> u64 {
    hash.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b))
}

impl KnownBlocks {
    /// The block with this content, if the core holds one.
    pub(crate) fn find<T: StageTarget>(
        &mut self,
        target: &T,
        hash: &Hash,
        size: u64,
    ) -> Result<Option<BlockRef>, TargetError> {
        if !self.filled {
            self.fill(target)?;
        }
        let Some(&index) = self.known.get(&short(hash)) else { return Ok(None) };
        let at = self.fresh.binary_search_by_key(&index, |(i, _)| *i).ok();
        let leaf = match at.and_then(|at| self.fresh.get(at)) {
            Some((_, leaf)) => *leaf,
            None => target.blob_leaf(index)?,
        };
        Ok((leaf.hash == *hash && leaf.size == size).then_some(BlockRef { index, byte_length: size }))
    }

    fn fill<T: StageTarget>(&mut self, target: &T) -> Result<(), TargetError> {
        let length = target.state()?.blobs.length;
        self.filled = true;
        for index in (0..length).rev().take(MAX_KNOWN) {
            match target.blob_leaf(index) {
                // The oldest of equal blocks is the one that names stay stable with.
                Ok(leaf) => drop(self.known.insert(short(&leaf.hash), index)),
                Err(TargetError::Missing(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Remembers a block that is being appended.
    pub(crate) fn add(&mut self, index: u64, leaf: Leaf) {
        if self.fresh.len() < MAX_KNOWN && self.fresh.last().is_none_or(|(last, _)| *last < index) {
            self.known.entry(short(&leaf.hash)).or_insert(index);
            self.fresh.push((index, leaf));
        }
    }
}
