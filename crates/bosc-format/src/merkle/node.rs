//! A node of the tree.

use crate::crypto::Hash;
use crate::{crypto, flat_tree};

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
