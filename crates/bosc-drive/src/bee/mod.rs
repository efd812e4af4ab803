//! Hyperbee 2: an ordered map in an append-only core (npm `hyperbee`).
//!
//! Block 0 is a [`Header`]. Every later block is one put or delete and carries the tree nodes that operation rewrote,
//! the root first; all other nodes are named as (block, offset). The core's length is the version: reading at a
//! length means reading the tree whose root is in the block before it. Of a batch only the last block carries a
//! root, so only its end is a version.
//!
//! A B-tree node holds up to 8 keys. Keys are compared as bytes.
//!
//! # Files
//!
//! - `tree`: nodes, and one key. `range`: keys in order. `history`: all operations in theirs. `diff`: two versions compared.
//! - `batch`: puts and deletes that become one append, on the tree in `pending`. `rising`: the same of keys in order, made
//!   as it grows. `versions`: which lengths are versions.
//! - `proto`: blocks as bytes.

mod batch;
mod diff;
mod history;
mod pending;
mod proto;
mod range;
mod rising;
mod tree;
mod versions;

pub use batch::{Batch, BatchBlocks};
pub use diff::{Change, Diff};
pub use history::{History, HistoryEntry};
pub use proto::{Header, Metadata};
pub use range::{KeyRange, Range};
pub use rising::RisingBatch;
pub use tree::Lookup;
pub use versions::{Step, Versions};

use crate::{BlockSource, Error, Result};
use bytes::Bytes;
use proto::NodeBlock;
use tree::TreeNode;

/// Longest key taken, in bytes.
pub const MAX_KEY_LEN: usize = 64 * 1024;
/// Most keys of a tree node taken from a block. Hyperbee writes at most 8.
pub(crate) const MAX_NODE_KEYS: usize = 64;
/// Most levels of a block's index looked at. Hyperbee writes about three for each level of the tree.
pub(crate) const MAX_LEVELS: u64 = 1024;
/// Deepest tree taken. 32 levels of at least 5 children are more keys than a core can have blocks.
pub(crate) const MAX_DEPTH: usize = 32;
/// Fewest keys a node other than the root is left with.
pub(crate) const MIN_KEYS: usize = 4;
/// A node that reaches this many keys is split.
pub(crate) const SPLIT_KEYS: usize = 9;

/// A key and its value at some version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block that wrote it.
    pub seq: u64,
    /// The key.
    pub key: Bytes,
    /// The value; `None` when it was put as null.
    pub value: Option<Bytes>,
}

impl From<NodeBlock> for Entry {
    fn from(b: NodeBlock) -> Self {
        Self { seq: b.seq, key: b.key, value: b.value }
    }
}

/// A bee read at one version.
#[derive(Debug, Clone, Copy)]
pub struct Bee<S> {
    source: S,
    version: u64,
}

impl<S: BlockSource> Bee<S> {
    /// The bee at the core's present length.
    pub fn new(source: S) -> Self {
        let version = source.length().max(1);
        Self { source, version }
    }

    /// The bee as it was when the core was `version` blocks long. 0 and 1 are the empty bee.
    pub fn checkout(source: S, version: u64) -> Self {
        Self { source, version: version.max(1) }
    }

    /// The length this bee is read at, at least 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where its blocks come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Block 0; `None` when the core is empty. Fails with [`Error::NotABee`] when it is not a bee's.
    pub fn header(&self) -> Result<Option<Header>> {
        if self.source.length() == 0 {
            return Ok(None);
        }
        let header = Header::decode(&self.source.block(0)?)?;
        if header.protocol == Header::PROTOCOL { Ok(Some(header)) } else { Err(Error::NotABee) }
    }

    /// The value of `key`. Starts over after [`Error::Missing`]; use [`Bee::lookup`] to fetch ahead.
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        Lookup::new(Bee { source: &self.source, version: self.version }, Bytes::copy_from_slice(key)).poll()
    }

    /// A resumable search for `key`.
    pub fn lookup(&self, key: impl Into<Bytes>) -> Lookup<S>
    where
        S: Clone,
    {
        Lookup::new(self.clone(), key.into())
    }

    /// The operation that block `seq` wrote, whether or not it still holds.
    pub fn get_by_seq(&self, seq: u64) -> Result<Entry> {
        Ok(self.node_block(seq)?.into())
    }

    /// The entries of `range`, in order.
    pub fn range(&self, range: KeyRange) -> Range<S>
    where
        S: Clone,
    {
        Range::new(self.clone(), range)
    }

    /// What changed from `older` to this version of the same core, within `range` (its limit counts changes; its
    /// direction is ignored).
    pub fn diff(&self, older: u64, range: KeyRange) -> Diff<S>
    where
        S: Clone,
    {
        Diff::new(self.clone(), Bee::checkout(self.source.clone(), older), range)
    }

    /// Every operation from block `start` (at least 1) up to this version, oldest first.
    pub fn history(&self, start: u64) -> History<S>
    where
        S: Clone,
    {
        History::new(self.clone(), start)
    }

    /// Every operation from the first up to this version, with the lengths that are versions of their own.
    pub fn versions(&self) -> Versions<S>
    where
        S: Clone,
    {
        Versions::new(self.clone())
    }

    fn node_block(&self, seq: u64) -> Result<NodeBlock> {
        NodeBlock::decode(seq, &self.source.block(seq)?)
    }

    fn tree_node(&self, seq: u64, offset: u64) -> Result<TreeNode> {
        TreeNode::new(&self.node_block(seq)?, offset)
    }

    fn root(&self) -> Result<Option<TreeNode>> {
        if self.version < 2 { Ok(None) } else { self.tree_node(self.version - 1, 0).map(Some) }
    }
}

#[cfg(test)]
mod tests;
