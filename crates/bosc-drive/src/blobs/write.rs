//! Writing a blob: which blocks are new, and the map that names them.

use super::id::BlobId;
use super::map::{BlockRef, encode_map};
use crate::error::Result;
use bosc_format::crypto::Hash;
use std::collections::HashMap;

/// Size of the blocks of a plain blob, in bytes, as `put` writes them.
pub const BLOCK_SIZE: usize = 1 << 16;

/// What to do with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The core holds it already.
    Known(BlockRef),
    /// Append it; it becomes this block.
    New(BlockRef),
}

/// Builds the block map of one file. Chunks are told apart by their hash: any one function of the content, such as the
/// leaf hash of the core's tree, used throughout.
#[derive(Debug)]
pub struct ContentMap {
    refs: Vec<BlockRef>,
    own: HashMap<Hash, BlockRef>,
    next_block: u64,
    next_byte: u64,
}

impl ContentMap {
    /// A map for content that is appended to a core of `blocks` blocks and `bytes` bytes.
    pub fn new(blocks: u64, bytes: u64) -> Self {
        Self { refs: Vec::new(), own: HashMap::new(), next_block: blocks, next_byte: bytes }
    }

    /// Adds the next chunk. `known` looks a chunk up among the blocks the core had before; chunks of this file are
    /// found without it.
    pub fn push(
        &mut self,
        hash: &Hash,
        byte_length: u64,
        known: impl FnOnce(&Hash) -> Option<BlockRef>,
    ) -> Placement {
        if let Some(&r) = self.own.get(hash) {
            self.refs.push(r);
            return Placement::Known(r);
        }
        let placement = match known(hash).filter(|r| r.byte_length == byte_length) {
            Some(r) => Placement::Known(r),
            None => {
                let r = BlockRef { index: self.next_block, byte_length };
                self.next_block = self.next_block.saturating_add(1);
                self.next_byte = self.next_byte.saturating_add(byte_length);
                Placement::New(r)
            }
        };
        let (Placement::Known(r) | Placement::New(r)) = placement;
        self.own.insert(*hash, r);
        self.refs.push(r);
        placement
    }

    /// The references so far.
    pub fn refs(&self) -> &[BlockRef] {
        &self.refs
    }

    /// The blob's id and the map blocks to append after all new chunks. An empty file has no map blocks.
    pub fn finish(self) -> Result<(BlobId, Vec<Vec<u8>>)> {
        let blocks = encode_map(&self.refs)?;
        let id = BlobId {
            block_offset: self.next_block,
            byte_offset: self.next_byte,
            block_length: blocks.len() as u64,
            byte_length: blocks.iter().map(|b| b.len() as u64).sum(),
            block_map: true,
        };
        Ok((id, blocks))
    }
}
