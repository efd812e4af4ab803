//! The Merkle tree over a core's blocks (hypercore `lib/merkle-tree.js`).
//!
//! * [`Head`] is one signed state of a tree: roots, length, fork.
//! * [`Appender`] turns leaf hashes into nodes and a longer head, streaming.
//! * [`truncate`], [`roots_at`], [`byte_offset`], [`byte_range`], [`seek`], [`missing_nodes`] read a stored tree
//!   through [`TreeReader`].
//!
//! Invariants:
//! * The roots of a well-formed head are exactly [`flat_tree::full_roots`] of its length, left to right, and their
//!   sizes add up to its byte length ([`Head::is_well_formed`]).
//! * No length is over [`flat_tree::MAX_LENGTH`] and no sum of sizes over [`MAX_BYTES`].

use crate::crypto::Hash;
use crate::{crypto, flat_tree};

mod append;
mod query;
#[cfg(test)]
pub(crate) mod tests;

pub use append::Appender;
pub(crate) use append::{RootStack, next_subtree};
pub use query::{
    ReplacedNodes, Seek, byte_offset, byte_range, max_missing_nodes, missing_nodes, replaced_nodes, roots_at,
    seek, truncate,
};
pub(crate) use query::{WithRoots, node_byte_offset};

/// The largest number of bytes in a core: 2^53 - 1, what a JavaScript peer can count to.
pub const MAX_BYTES: u64 = (1 << 53) - 1;

/// A node of the tree, numbered as in flat in-order trees: leaves are even, `2 * block index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// Position in the in-order numbering.
    pub index: u64,
    /// Bytes of all blocks below.
    pub size: u64,
    /// BLAKE2b-256.
    pub hash: Hash,
}

impl Node {
    /// The leaf of block `block` with value `data`.
    pub fn leaf(block: u64, data: &[u8]) -> Self {
        Self { index: block.saturating_mul(2), size: data.len() as u64, hash: crypto::leaf_hash(data) }
    }

    /// The parent of two siblings. `None` when the sizes add up to more than [`MAX_BYTES`].
    pub(crate) fn parent_of(left: &Node, right: &Node) -> Option<Self> {
        let (left, right) = if left.index > right.index { (right, left) } else { (left, right) };
        let size = left.size.checked_add(right.size).filter(|s| *s <= MAX_BYTES)?;
        let hash = crypto::parent_hash(size, &left.hash, &right.hash);
        Some(Self { index: flat_tree::parent(left.index), size, hash })
    }
}

/// What is signed of a core: one state of its tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// How often the core was truncated (or was told so).
    pub fork: u64,
    /// Number of blocks.
    pub length: u64,
    /// Bytes in all blocks.
    pub byte_length: u64,
    /// Roots from left to right.
    pub roots: Vec<Node>,
    /// The signature as stored and sent (multi-signature encoding for version 1 manifests, 64 raw bytes for
    /// compat keys); empty when `length` is 0.
    pub signature: Vec<u8>,
}

impl Head {
    /// The head of a core without blocks, fork 0.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The hash over all roots: what is signed, together with length and fork.
    pub fn tree_hash(&self) -> Hash {
        tree_hash(&self.roots)
    }

    /// The root with this index.
    pub fn root(&self, index: u64) -> Option<&Node> {
        self.roots.iter().find(|n| n.index == index)
    }

    /// Whether roots, length and byte length fit together and are in bounds. True of every head this crate
    /// makes; check heads that come from elsewhere (a file).
    pub fn is_well_formed(&self) -> bool {
        let mut bytes = 0u64;
        let sizes_add_up = self.roots.iter().all(|n| {
            bytes = bytes.saturating_add(n.size);
            bytes <= MAX_BYTES
        });
        sizes_add_up
            && bytes == self.byte_length
            && self.length <= flat_tree::MAX_LENGTH
            && self.roots.iter().map(|n| n.index).eq(flat_tree::full_roots(self.length))
    }
}

/// Hash of a tree from its roots.
pub fn tree_hash(roots: &[Node]) -> Hash {
    crypto::tree_hash(roots.iter().map(|n| (&n.hash, n.index, n.size)))
}

/// Reads tree nodes from wherever they are kept.
///
/// Every node a reader returns was proved or computed before it was kept; proofs are checked against them.
pub trait TreeReader {
    /// The node at `index`, `None` when it is not kept here.
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError>;
}

impl<T: TreeReader + ?Sized> TreeReader for &T {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        (**self).node(index)
    }
}

/// A tree in memory, for tests and small cores.
impl TreeReader for std::collections::BTreeMap<u64, Node> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.get(&index).copied())
    }
}

/// A tree in memory, for tests and small cores.
impl TreeReader for std::collections::HashMap<u64, Node> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.get(&index).copied())
    }
}

/// The place where nodes are kept failed.
#[derive(Debug, thiserror::Error)]
#[error("reading the tree failed: {0}")]
pub struct TreeReadError(pub Box<dyn std::error::Error + Send + Sync>);

/// Why a tree operation could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The place where nodes are kept failed.
    #[error(transparent)]
    Read(#[from] TreeReadError),
    /// A node that is needed is not kept here (a sparse core, or damage).
    #[error("tree node {0} is not here")]
    Missing(u64),
    /// An index, length or offset is outside the tree.
    #[error("{0} is outside the tree")]
    OutOfBounds(&'static str),
    /// The tree would have more than 2^52 blocks or 2^53 - 1 bytes.
    #[error("{0} is over its bound")]
    TooLarge(&'static str),
}
