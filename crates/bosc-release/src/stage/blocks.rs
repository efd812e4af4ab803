//! Blocks the blobs core already holds, found by the hash of their leaf.

use super::target::{BlobBlock, Leaf, StageTarget, TargetError};
use bosc_drive::blobs::BlockRef;
use bosc_format::crypto::Hash;
use std::collections::HashMap;

/// Most blocks remembered: the newest of a longer core, and as many that are new. About 24 bytes each.
const MAX_KNOWN: usize = 256 * 1024;

/// Leaf hashes, by their first 8 bytes, to block indexes. Filled from the tree at the first look, because most stages
/// never need it. Whether a block is the one that is looked for, its leaf says.
#[derive(Debug, Default)]
pub(crate) struct KnownBlocks {
    filled: bool,
    known: HashMap<u64, u64>,
    /// How many of them this stage appended.
    fresh: usize,
}

fn short(hash: &Hash) -> u64 {
    hash.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b))
}

impl KnownBlocks {
    /// The block with this content, if the core holds one. `held` has those that the target was not given yet.
    pub(crate) fn find<'b, T: StageTarget>(
        &mut self,
        target: &T,
        held: &dyn Fn(u64) -> Option<&'b BlobBlock>,
        hash: &Hash,
        size: u64,
    ) -> Result<Option<BlockRef>, TargetError> {
        if !self.filled {
            self.fill(target)?;
        }
        let Some(&index) = self.known.get(&short(hash)) else { return Ok(None) };
        let leaf = match held(index) {
            Some(block) => Leaf { hash: block.hash, size: block.bytes.len() as u64 },
            None => target.blob_leaf(index)?,
        };
        let same = leaf.hash == *hash && leaf.size == size;
        Ok(same.then_some(BlockRef { index, byte_length: size }))
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
    pub(crate) fn add(&mut self, index: u64, hash: &Hash) {
        if self.fresh < MAX_KNOWN {
            self.known.entry(short(hash)).or_insert(index);
            self.fresh += 1;
        }
    }
}
