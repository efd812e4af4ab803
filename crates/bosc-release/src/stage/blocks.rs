//! Blocks the blobs core already holds, found by the hash of their leaf.

use super::target::{Leaf, StageTarget, TargetError};
use bosc_drive::blobs::BlockRef;
use bosc_format::crypto::Hash;
use std::collections::HashMap;

/// Most blocks remembered; the newest of a longer core. About 24 bytes each, 56 for new ones.
const MAX_KNOWN: usize = 256 * 1024;

/// Leaf hashes, by their first 8 bytes, to block indexes. Filled from the tree at the first look, because most stages
/// never need it.
#[derive(Debug, Default)]
pub(crate) struct KnownBlocks {
    filled: bool,
    known: HashMap<u64, u64>,
    /// Leaves of what this stage appended, by index, which rises: the target does not show them yet.
    fresh: Vec<FreshLeaf>,
    /// Index of the first of them.
    first: u64,
}

/// A leaf by what `known` does not say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FreshLeaf {
    /// Counted from the first.
    index: u32,
    size: u32,
    /// The hash but its first 8 bytes.
    rest: [u8; 24],
}

impl FreshLeaf {
    fn new(index: u64, hash: &Hash, size: u64) -> Option<Self> {
        let rest = *hash.last_chunk::<24>()?;
        Some(Self { index: u32::try_from(index).ok()?, size: u32::try_from(size).ok()?, rest })
    }
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
        let named = || Some(BlockRef { index, byte_length: size });
        let place = index.checked_sub(self.first).and_then(|at| u32::try_from(at).ok());
        let at = place.and_then(|place| self.fresh.binary_search_by_key(&place, |leaf| leaf.index).ok());
        if let (Some(place), Some(leaf)) = (place, at.and_then(|at| self.fresh.get(at))) {
            // The first 8 bytes are what it was found by.
            let same = FreshLeaf::new(u64::from(place), hash, size).as_ref() == Some(leaf);
            return Ok(if same { named() } else { None });
        }
        let leaf = target.blob_leaf(index)?;
        Ok(if leaf.hash == *hash && leaf.size == size { named() } else { None })
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
        if self.fresh.is_empty() {
            self.first = index;
        }
        let place = index.checked_sub(self.first);
        let Some(new) = place.and_then(|place| FreshLeaf::new(place, &leaf.hash, leaf.size)) else { return };
        if self.fresh.len() < MAX_KNOWN && self.fresh.last().is_none_or(|last| last.index < new.index) {
            self.known.entry(short(&leaf.hash)).or_insert(index);
            self.fresh.push(new);
        }
    }
}
