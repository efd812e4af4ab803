//! Reading a stored tree: offsets, seeks, missing nodes, roots of shorter trees.

use super::head::Head;
use super::node::{MAX_BYTES, Node};
use super::reader::{TreeError, TreeReadError, TreeReader};
use crate::flat_tree;
use std::ops::Range;

/// A stored tree with the roots of its head in front of it.
pub(crate) struct WithRoots<'a> {
    pub(crate) head: &'a Head,
    pub(crate) tree: &'a dyn TreeReader,
}

impl WithRoots<'_> {
    pub(crate) fn get(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        match self.head.root(index) {
            Some(root) => Ok(Some(*root)),
            None => self.tree.node(index),
        }
    }

    pub(crate) fn need(&self, index: u64) -> Result<Node, TreeError> {
        self.get(index)?.ok_or(TreeError::Missing(index))
    }
}

/// The roots of the tree as it was at `length` blocks (at most the head's).
pub fn roots_at(tree: &dyn TreeReader, head: &Head, length: u64) -> Result<Vec<Node>, TreeError> {
    if length > head.length {
        return Err(TreeError::OutOfBounds("a length"));
    }
    let tree = WithRoots { head, tree };
    flat_tree::full_roots(length).map(|index| tree.need(index)).collect()
}

/// The head after cutting the tree back to `length` blocks, with fork `fork`, not signed. A truncation needs a
/// higher fork than before, or other peers take it for a conflict. [`replaced_nodes`] tells what to delete.
pub fn truncate(head: &Head, tree: &dyn TreeReader, length: u64, fork: u64) -> Result<Head, TreeError> {
    let roots = roots_at(tree, head, length)?;
    let byte_length = roots.iter().fold(0u64, |sum, n| sum.saturating_add(n.size));
    if byte_length > MAX_BYTES {
        return Err(TreeError::TooLarge("the number of bytes"));
    }
    Ok(Head { fork, length, byte_length, roots, signature: Vec::new() })
}

/// Which stored nodes are no longer true when a tree keeps only its first `kept` of `old_length` blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedNodes {
    /// All nodes in this range of indexes.
    pub range: Range<u64>,
    /// Nodes left of the range that span blocks on both sides of the cut.
    pub across: Vec<u64>,
}

/// What to delete when a tree is cut back to `kept` blocks, by truncation or reorg.
pub fn replaced_nodes(kept: u64, old_length: u64) -> ReplacedNodes {
    let cut = kept.saturating_mul(2);
    let mut across = Vec::new();
    if kept > 0 && kept < old_length {
        let old_end = old_length.saturating_mul(2);
        let mut at = cut - 2;
        while flat_tree::left_span(at) > 0 || flat_tree::right_span(at) < old_end {
            at = flat_tree::parent(at);
            if at < cut && flat_tree::contains(at, cut) {
                across.push(at);
            }
            if at >= flat_tree::MAX_INDEX {
                break;
            }
        }
    }
    ReplacedNodes { range: cut..old_length.saturating_mul(2).max(cut), across }
}

/// The byte at which block `block` starts; the byte length of the core when `block` is its length.
pub fn byte_offset(tree: &dyn TreeReader, head: &Head, block: u64) -> Result<u64, TreeError> {
    node_byte_offset(tree, head, block.saturating_mul(2))
}

/// The byte at which the leftmost block below node `index` starts.
pub(crate) fn node_byte_offset(tree: &dyn TreeReader, head: &Head, index: u64) -> Result<u64, TreeError> {
    let leaf = flat_tree::left_span(index);
    if leaf == head.length.saturating_mul(2) {
        return Ok(head.byte_length);
    }
    let tree = WithRoots { head, tree };
    let mut sum = 0u64;
    for root in &head.roots {
        if leaf > flat_tree::right_span(root.index) {
            sum = sum.saturating_add(root.size);
            continue;
        }
        let mut at = root.index;
        while !flat_tree::is_leaf(at) && flat_tree::left_span(at) != leaf {
            let left = flat_tree::left_child(at);
            if flat_tree::contains(left, leaf) {
                at = left;
            } else {
                sum = sum.saturating_add(tree.need(left)?.size);
                at = flat_tree::right_child(at);
            }
        }
        return Ok(sum);
    }
    Err(TreeError::OutOfBounds("a block"))
}

/// The bytes `[start, end)` of block `block`.
pub fn byte_range(tree: &dyn TreeReader, head: &Head, block: u64) -> Result<Range<u64>, TreeError> {
    if block >= head.length {
        return Err(TreeError::OutOfBounds("a block"));
    }
    let start = byte_offset(tree, head, block)?;
    let leaf = WithRoots { head, tree }.need(block.saturating_mul(2))?;
    Ok(start..start.saturating_add(leaf.size))
}

/// Where a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// In block `block`, `offset` bytes in. The byte after the last is at `(length, 0)`.
    Found {
        /// Block index.
        block: u64,
        /// Bytes into the block.
        offset: u64,
    },
    /// In one of the blocks `start..end`; the nodes to tell which are not here. Ask a peer: a hash request for
    /// leaf `2 * i` of any `i` in the range with `nodes` levels, together with the seek.
    Within {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
        /// Levels above a leaf up to the node that is known.
        nodes: u64,
    },
    /// Behind the end of the core.
    Beyond,
}

/// Finds the block that holds byte `bytes` (hypercore's `ByteSeeker`, without padding).
pub fn seek(tree: &dyn TreeReader, head: &Head, bytes: u64) -> Result<Seek, TreeError> {
    if bytes == 0 {
        return Ok(Seek::Found { block: 0, offset: 0 });
    }
    let tree = WithRoots { head, tree };
    let mut rest = bytes;
    for root in &head.roots {
        if rest > root.size {
            rest -= root.size;
            continue;
        }
        if rest == root.size {
            return Ok(Seek::Found { block: flat_tree::end_block(root.index), offset: 0 });
        }
        let mut at = root.index;
        while !flat_tree::is_leaf(at) {
            let Some(left) = tree.get(flat_tree::left_child(at))? else {
                return Ok(Seek::Within {
                    start: flat_tree::first_block(at),
                    end: flat_tree::end_block(at),
                    nodes: u64::from(flat_tree::depth(at)),
                });
            };
            if rest == left.size {
                return Ok(Seek::Found { block: flat_tree::end_block(left.index), offset: 0 });
            }
            if rest < left.size {
                at = left.index;
            } else {
                rest -= left.size;
                at = flat_tree::right_child(at);
            }
        }
        return Ok(Seek::Found { block: at / 2, offset: rest });
    }
    Ok(Seek::Beyond)
}

/// How many levels above node `index` are missing here, itself included: the `nodes` of a block or hash request
/// (hypercore's `missingNodes`). `index` is a flat-tree index: pass `2 * block` for a block. 0 when the node is
/// here, or when it is outside the tree (then nobody can tell).
pub fn missing_nodes(tree: &dyn TreeReader, head: &Head, index: u64) -> Result<u64, TreeReadError> {
    let end = head.length.saturating_mul(2);
    if flat_tree::right_span(index) >= end {
        return Ok(0);
    }
    let tree = WithRoots { head, tree };
    let mut at = index;
    let mut missing = 0;
    while !flat_tree::contains(at, end) && tree.get(at)?.is_none() {
        missing += 1;
        at = flat_tree::parent(at);
    }
    Ok(missing)
}

/// What [`missing_nodes`] is at most, for a peer of `length` blocks of which no more is known.
pub fn max_missing_nodes(index: u64, length: u64) -> u64 {
    let end = length.saturating_mul(2);
    if flat_tree::right_span(index) >= end || flat_tree::full_roots(length).any(|root| root == index) {
        return 0;
    }
    let mut at = flat_tree::parent(index);
    let mut missing = 0;
    while !flat_tree::contains(at, end) {
        missing += 1;
        at = flat_tree::parent(at);
    }
    missing
}
