//! Growing a tree at its right edge.

use super::head::{Head, tree_hash};
use super::node::{MAX_BYTES, Node};
use super::reader::TreeError;
use crate::crypto::{self, Hash};
use crate::flat_tree;

/// Roots of a growing tree. Pushing a subtree joins it with equal neighbours, as adding one to a binary number
/// carries. Shared by appending, proof verification and reorgs.
///
/// Invariant: `roots` are the full roots of `length`; a push that would leave a gap is refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct RootStack {
    pub(crate) roots: Vec<Node>,
    pub(crate) length: u64,
    pub(crate) byte_length: u64,
}

impl RootStack {
    pub(crate) fn from_head(head: &Head) -> Self {
        Self { roots: head.roots.clone(), length: head.length, byte_length: head.byte_length }
    }

    /// Adds the subtree `node` right of all others; `made` is told of it and of every parent that comes to be.
    pub(crate) fn push(&mut self, node: Node, mut made: impl FnMut(Node)) -> Result<(), TreeError> {
        if flat_tree::left_span(node.index) != self.length.saturating_mul(2) {
            return Err(TreeError::OutOfBounds("an appended node"));
        }
        let length = self.length.saturating_add(flat_tree::count_leaves(node.index));
        if length > flat_tree::MAX_LENGTH {
            return Err(TreeError::TooLarge("the number of blocks"));
        }
        let byte_length = self.byte_length.saturating_add(node.size);
        if byte_length > MAX_BYTES {
            return Err(TreeError::TooLarge("the number of bytes"));
        }
        self.length = length;
        self.byte_length = byte_length;
        made(node);
        let mut last = node;
        while let Some(left) = self.roots.last().copied() {
            if flat_tree::sibling(last.index) != left.index {
                break;
            }
            // Cannot be over the bound: both are part of `byte_length`.
            last = Node::parent_of(&left, &last).ok_or(TreeError::TooLarge("the number of bytes"))?;
            self.roots.pop();
            made(last);
        }
        self.roots.push(last);
        Ok(())
    }

    pub(crate) fn into_head(self, fork: u64, signature: Vec<u8>) -> Head {
        Head { fork, length: self.length, byte_length: self.byte_length, roots: self.roots, signature }
    }
}

/// The largest subtree that starts at block `from` and is a node of every tree of `to` blocks or more.
pub(crate) fn next_subtree(from: u64, to: u64) -> u64 {
    let fits = (to - from).checked_ilog2().unwrap_or(0);
    let depth = if from == 0 { fits } else { from.trailing_zeros().min(fits) };
    flat_tree::index(depth, from >> depth)
}

/// Appends blocks to a tree: takes leaf hashes in order, gives the new nodes and the new roots.
///
/// It streams: take finished nodes out with [`Appender::take_nodes`] as often as you like. Leaf hashes come from the
/// caller so that blocks can be hashed elsewhere, in parallel ([`crypto::leaf_hash`], [`crypto::leaf_hashes`]). Each
/// leaf costs on average one parent hash and no allocation of its own.
#[derive(Debug, Clone, Default)]
pub struct Appender {
    stack: RootStack,
    nodes: Vec<Node>,
}

impl Appender {
    /// Starts at `head`, which must be well formed.
    pub fn new(head: &Head) -> Self {
        Self { stack: RootStack::from_head(head), nodes: Vec::new() }
    }

    /// Makes room for the nodes of `leaves` more leaves.
    pub fn reserve(&mut self, leaves: usize) {
        self.nodes.reserve(leaves.saturating_mul(2));
    }

    /// Appends a leaf by hash and size in bytes. Refused (and nothing changed) over 2^52 blocks or 2^53 - 1 bytes.
    pub fn append(&mut self, hash: Hash, size: u64) -> Result<(), TreeError> {
        let leaf = Node { index: self.stack.length.saturating_mul(2), size, hash };
        let nodes = &mut self.nodes;
        self.stack.push(leaf, |n| nodes.push(n))
    }

    /// Appends a block, hashing it here.
    pub fn append_block(&mut self, data: &[u8]) -> Result<(), TreeError> {
        self.append(crypto::leaf_hash(data), data.len() as u64)
    }

    /// Blocks so far, those of the head it started from included.
    pub fn length(&self) -> u64 {
        self.stack.length
    }

    /// Bytes so far, those of the head it started from included.
    pub fn byte_length(&self) -> u64 {
        self.stack.byte_length
    }

    /// The roots as they are now.
    pub fn roots(&self) -> &[Node] {
        &self.stack.roots
    }

    /// The tree hash as it is now.
    pub fn tree_hash(&self) -> Hash {
        tree_hash(&self.stack.roots)
    }

    /// Nodes made since the start or the last [`Appender::take_nodes`]: leaves, each followed by the parents it
    /// completed.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Takes out the nodes made so far; appending goes on.
    pub fn take_nodes(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.nodes)
    }

    /// The head as it is now, not signed.
    pub fn head(&self, fork: u64) -> Head {
        self.stack.clone().into_head(fork, Vec::new())
    }

    /// The new head, not signed, and the nodes not taken out yet.
    pub fn finish(self, fork: u64) -> (Head, Vec<Node>) {
        (self.stack.into_head(fork, Vec::new()), self.nodes)
    }
}
