//! The tree of an unfinished batch: nodes that can be changed and are shared by place.
//!
//! A block of a batch refers to nodes by the slot of the child that leads to them, not by copy: a later operation of
//! the same batch may move such a node to its own block, and the earlier block is then written without it. What an
//! earlier block still holds, and in which order, decides the bytes, so this mirrors how `hyperbee` keeps it.
//!
//! A node that no later operation can reach is *closed* ([`Pending::close`]), and all below it are. A block is final once
//! every node it still holds is closed: [`Pending::next_final`] makes it then, in the order of the operations, and lets
//! go of those nodes. The newest operation is never final: the last block of a batch carries the root.

use super::proto::{self, Level};
use super::tree::{LazyKey, TreeNode};
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildId(usize);

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) keys: Vec<LazyKey>,
    pub(super) children: Vec<ChildId>,
    pub(super) changed: bool,
}

/// The way from a node to a child: where it is written, and the node itself once loaded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Child {
    pub(super) seq: u64,
    pub(super) offset: u64,
    pub(super) node: Option<NodeId>,
    /// No later operation reaches the node.
    closed: bool,
}

impl Child {
    /// One that no block has yet.
    pub(super) fn new(node: NodeId) -> Self {
        Self { node: Some(node), ..Self::default() }
    }
}

/// One operation: what it wrote and the nodes it changed, root first.
#[derive(Debug)]
struct Operation {
    key: Bytes,
    value: Option<Bytes>,
    index: Vec<ChildId>,
}

/// Nodes and children by id. Ids come only from here, so a lookup that fails cannot happen; it reads as an empty
/// node rather than panicking.
#[derive(Debug, Default)]
pub(super) struct Pending {
    nodes: Vec<Node>,
    children: Vec<Child>,
    /// Those whose blocks were not made yet.
    operations: VecDeque<Operation>,
    /// How many blocks were made before those.
    made: u64,
    /// Places of nodes and children that were let go, for others.
    free_nodes: Vec<NodeId>,
    free_children: Vec<ChildId>,
    spare: Node,
}

/// The blocks of a batch, each made when it is asked for.
#[derive(Debug)]
pub(super) struct PendingBlocks {
    pending: Pending,
    operations: std::collections::vec_deque::IntoIter<Operation>,
    seq: u64,
}

impl Iterator for PendingBlocks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut op = self.operations.next()?;
        if self.operations.len() > 0 {
            self.pending.compact(&mut op.index, self.seq);
        }
        self.seq = self.seq.saturating_add(1);
        Some(self.pending.block(&op))
    }
}

impl Pending {
    /// All operations so far.
    pub(super) fn len(&self) -> u64 {
        self.made.saturating_add(self.operations.len() as u64)
    }

    /// Operations whose blocks were not made yet.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.operations.len()
    }

    /// Nodes and children that are held.
    #[cfg(test)]
    pub(super) fn places(&self) -> (usize, usize) {
        (self.nodes.len() - self.free_nodes.len(), self.children.len() - self.free_children.len())
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0).unwrap_or(&self.spare)
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id.0).unwrap_or(&mut self.spare)
    }

    pub(super) fn child(&self, id: ChildId) -> Child {
        self.children.get(id.0).copied().unwrap_or_default()
    }

    fn child_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.children.get_mut(id.0)
    }

    pub(super) fn add_node(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free_nodes.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub(super) fn add_child(&mut self, child: Child) -> ChildId {
        if let Some(id) = self.free_children.pop() {
            if let Some(slot) = self.child_mut(id) {
                *slot = child;
            }
            return id;
        }
        self.children.push(child);
        ChildId(self.children.len() - 1)
    }

    /// Takes in a node read from a block.
    pub(super) fn adopt(&mut self, node: TreeNode) -> NodeId {
        let children = node
            .children
            .iter()
            .map(|&(seq, offset)| self.add_child(Child { seq, offset, ..Child::default() }))
            .collect();
        self.add_node(Node { keys: node.keys, children, changed: false })
    }

    pub(super) fn set_loaded(&mut self, child: ChildId, node: NodeId) {
        if let Some(child) = self.child_mut(child) {
            child.node = Some(node);
        }
    }

    /// Takes key `i` out of `node`, and the child right of it, which is freed.
    pub(super) fn remove_key(&mut self, node: NodeId, i: usize) {
        let mut freed = None;
        let node = self.node_mut(node);
        if i < node.keys.len() {
            node.keys.remove(i);
        }
        if i + 1 < node.children.len() {
            freed = Some(node.children.remove(i + 1));
        }
        node.changed = true;
        if let Some(child) = freed.and_then(|id| self.child_mut(id)) {
            child.seq = 0;
        }
    }

    /// Splits a full node: it keeps the lower keys; returns the middle key and a new node with the upper ones.
    pub(super) fn split(&mut self, id: NodeId) -> Option<(LazyKey, NodeId)> {
        let node = self.node_mut(id);
        let half = node.keys.len() / 2;
        let mut right = Node { changed: true, ..Node::default() };
        right.keys = node.keys.split_off(node.keys.len() - half);
        let median = node.keys.pop()?;
        if !node.children.is_empty() {
            right.children = node.children.split_off(node.children.len().saturating_sub(half + 1));
        }
        node.changed = true;
        Some((median, self.add_node(right)))
    }

    /// Closes an operation: gives every changed node its place in block `seq`.
    pub(super) fn commit(&mut self, root: NodeId, seq: u64, key: Bytes, value: Option<Bytes>) {
        let top = self.add_child(Child { seq, ..Child::new(root) });
        let mut index = vec![top];
        self.index_changes(root, seq, &mut index);
        self.operations.push_back(Operation { key, value, index });
    }

    /// Depth of the recursion is the depth of the tree, which is bounded where nodes are loaded.
    fn index_changes(&mut self, node: NodeId, seq: u64, index: &mut Vec<ChildId>) {
        let n = self.node_mut(node);
        n.changed = false;
        let count = n.children.len();
        for i in 0..count {
            let Some(&id) = self.node(node).children.get(i) else { return };
            let Some(below) = self.child(id).node.filter(|&n| self.node(n).changed) else { continue };
            let offset = index.len() as u64;
            index.push(id);
            if let Some(child) = self.child_mut(id) {
                child.seq = seq;
                child.offset = offset;
            }
            self.index_changes(below, seq, index);
        }
    }

    /// Says that no later operation reaches the node that `id` leads to, nor what is below it. `first` is the block of the
    /// batch's first operation. The depth of the recursion is that of the tree.
    pub(super) fn close(&mut self, id: ChildId, first: u64) {
        let child = self.child(id);
        let Some(node) = child.node.filter(|_| !child.closed) else { return };
        if let Some(child) = self.child_mut(id) {
            child.closed = true;
        }
        for i in 0..self.node(node).children.len() {
            if let Some(&below) = self.node(node).children.get(i) {
                self.close(below, first);
            }
        }
        // Read from a block and not changed: no operation holds it.
        if child.seq < first {
            let children = self.let_go(id);
            self.free(children);
        }
    }

    /// The block of the oldest operation that was not made yet, if nothing can change it any more. `first` as in
    /// [`Pending::close`].
    pub(super) fn next_final(&mut self, first: u64) -> Option<Vec<u8>> {
        let seq = first.saturating_add(self.made);
        let is_final = |op: &Operation| {
            op.index.iter().skip(1).map(|&id| self.child(id)).all(|child| child.seq != seq || child.closed)
        };
        if self.operations.len() < 2 || !self.operations.front().is_some_and(is_final) {
            return None;
        }
        let mut op = self.operations.pop_front()?;
        self.made = self.made.saturating_add(1);
        let top = op.index.first().copied();
        self.compact(&mut op.index, seq);
        let block = self.block(&op);
        let gone: Vec<ChildId> = op.index.into_iter().flat_map(|id| self.let_go(id)).chain(top).collect();
        if let Some(top) = top.and_then(|id| self.child_mut(id)) {
            top.node = None;
        }
        self.free(gone);
        Some(block)
    }

    /// Forgets a node whose blocks are all made. Its children are returned: their places are free once theirs are gone.
    fn let_go(&mut self, id: ChildId) -> Vec<ChildId> {
        let Some(node) = self.child_mut(id).and_then(|child| child.node.take()) else { return Vec::new() };
        self.free_nodes.push(node);
        std::mem::take(self.node_mut(node)).children
    }

    fn free(&mut self, gone: Vec<ChildId>) {
        for id in gone {
            if self.child(id).node.is_none() {
                self.free_children.push(id);
            }
        }
    }

    /// The blocks of all operations that were not made yet; the first of all is block `first`. In all but the last the root
    /// is left out, and what a later operation moved on; the gap is filled from the end, as `hyperbee` does.
    pub(super) fn encode(mut self, first: u64) -> PendingBlocks {
        let operations = std::mem::take(&mut self.operations).into_iter();
        let seq = first.saturating_add(self.made);
        PendingBlocks { pending: self, operations, seq }
    }

    fn block(&self, op: &Operation) -> Vec<u8> {
        let levels: Vec<Level> = op.index.iter().map(|&id| self.level(id)).collect();
        proto::encode_node(&op.key, op.value.as_deref(), &levels)
    }

    fn compact(&mut self, index: &mut Vec<ChildId>, seq: u64) {
        let mut root = true;
        let mut at = 0;
        while let Some(&id) = index.get(at) {
            // The root's slot is always given up, and only while it is still the first.
            let keep = !std::mem::take(&mut root) && self.child(id).seq == seq;
            if keep {
                if let Some(child) = self.child_mut(id) {
                    child.offset = at as u64;
                }
                at += 1;
            } else {
                index.swap_remove(at);
            }
        }
    }

    fn level(&self, id: ChildId) -> Level {
        let Some(node) = self.child(id).node else { return Level::default() };
        let node = self.node(node);
        Level {
            keys: node.keys.iter().map(|k| k.seq).collect(),
            children: node.children.iter().map(|&c| self.child(c)).map(|c| (c.seq, c.offset)).collect(),
        }
    }
}
