//! One signed state of a tree.

use super::node::{MAX_BYTES, Node};
use crate::crypto::Hash;
use crate::{crypto, flat_tree};

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
