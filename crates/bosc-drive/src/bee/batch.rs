//! Puts and deletes that become one append.
//!
//! Produces the bytes `hyperbee`'s `batch()` with its default options would append for the same operations in the
//! same order: every put writes a block even if the value is the same, a delete of an absent key writes none. The
//! first operation on an empty core writes the header first.
//!
//! Each operation first loads all it needs and only then changes anything, so after [`Error::Missing`] it can be
//! called again.

use super::bounds::{MAX_DEPTH, MAX_KEY_LEN, MIN_KEYS, SPLIT_KEYS};
use super::pending::{Child, ChildId, Node, NodeId, Pending, PendingBlocks};
use super::proto::Header;
use super::tree::LazyKey;
use super::view::Bee;
use crate::{BlockSource, Error, Result};
use bytes::Bytes;
use std::cmp::Ordering;

/// A batch on top of the newest version of a bee.
#[derive(Debug)]
pub struct Batch<S> {
    bee: Bee<S>,
    header: Option<Header>,
    base: u64,
    pending: Pending,
    root: Option<NodeId>,
    touched: bool,
}

/// The blocks of a batch, see [`Batch::blocks`].
#[derive(Debug)]
pub struct BatchBlocks {
    header: Option<Vec<u8>>,
    pending: PendingBlocks,
}

impl Iterator for BatchBlocks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.header.take().or_else(|| self.pending.next())
    }
}

/// The way from the root to where a key is or would be.
struct Path {
    /// Nodes from the root down.
    nodes: Vec<NodeId>,
    /// `turns[i]` is the child taken in `nodes[i]`; one fewer than nodes.
    turns: Vec<usize>,
    /// Place of the key in the last node, and whether it is there.
    place: usize,
    found: bool,
}

impl<S: BlockSource> Batch<S> {
    /// A batch on the core's present end. `header` is what an empty core gets as block 0.
    pub fn new(source: S, header: Header) -> Self {
        let base = source.length();
        let header = (base == 0).then_some(header);
        Self {
            bee: Bee::new(source),
            header,
            base: base.max(1),
            pending: Pending::default(),
            root: None,
            touched: false,
        }
    }

    /// How many blocks the operations so far make, without the header.
    pub fn len(&self) -> usize {
        usize::try_from(self.pending.len()).unwrap_or(usize::MAX)
    }

    /// Whether no operation has made a block.
    pub fn is_empty(&self) -> bool {
        self.pending.len() == 0
    }

    /// The core's length once the blocks are appended.
    pub fn version(&self) -> u64 {
        self.base.saturating_add(self.pending.len())
    }

    /// Puts `value` under `key` and returns the block it will be in. `None` is the null value.
    pub fn put(&mut self, key: impl Into<Bytes>, value: Option<Bytes>) -> Result<u64> {
        self.put_after(key.into(), value, false)
    }

    /// A put. `last`: no key before this one comes any more, and what lies left of it is closed.
    pub(super) fn put_after(&mut self, key: Bytes, value: Option<Bytes>, last: bool) -> Result<u64> {
        let key = checked_key(key)?;
        self.touched = true;
        let root = match self.load_root()? {
            Some(root) => root,
            None => self.pending.add_node(Node { changed: true, ..Node::default() }),
        };
        let seq = self.version();
        let mut path = self.find(root, &key)?;
        if last {
            self.close_left(&path);
        }
        let lazy = LazyKey { seq, key: Some(key.clone()) };
        for &node in &path.nodes {
            self.pending.node_mut(node).changed = true;
        }
        let Some(last) = path.nodes.pop() else { return Ok(seq) };
        let keys = &mut self.pending.node_mut(last).keys;
        let mut root = root;
        if path.found {
            if let Some(slot) = keys.get_mut(path.place) {
                *slot = lazy;
            }
        } else {
            keys.insert(path.place.min(keys.len()), lazy);
            root = self.split_up(root, last, &mut path);
        }
        self.finish(root, seq, key, value);
        Ok(seq)
    }

    /// Deletes `key`; `false` when it was absent, which writes nothing.
    pub fn del(&mut self, key: impl Into<Bytes>) -> Result<bool> {
        let key = checked_key(key.into())?;
        self.touched = true;
        let Some(root) = self.load_root()? else { return Ok(false) };
        let path = self.find(root, &key)?;
        if !path.found {
            return Ok(false);
        }
        let seq = self.version();
        let mut nodes = path.nodes;
        let Some(&at) = nodes.last() else { return Ok(false) };
        let donor = self.nearest_leaf(at, path.place)?;
        if let Some(donor) = &donor {
            nodes.extend_from_slice(&donor.way);
        }
        if nodes.len() > MAX_DEPTH {
            return Err(Error::malformed(seq, "the tree is too deep"));
        }
        self.load_siblings(&nodes)?;
        match donor {
            Some(donor) => {
                let Some(&leaf) = nodes.last() else { return Ok(false) };
                let keys = &mut self.pending.node_mut(leaf).keys;
                let moved = if donor.first { (!keys.is_empty()).then(|| keys.remove(0)) } else { keys.pop() };
                let moved = moved.ok_or(Error::malformed(seq, "an inner tree node has no keys"))?;
                if let Some(slot) = self.pending.node_mut(at).keys.get_mut(path.place) {
                    *slot = moved;
                }
            }
            None => self.pending.remove_key(at, path.place),
        }
        for &node in &nodes {
            self.pending.node_mut(node).changed = true;
        }
        let root = self.rebalance(nodes, root);
        self.finish(root, seq, key, None);
        Ok(true)
    }

    /// The blocks to append, all at once. With no operation that wrote there may still be a header.
    pub fn into_blocks(self) -> Vec<Vec<u8>> {
        self.blocks().collect()
    }

    /// The same one after the other: each is made when it is asked for, and what it was made from is dropped then.
    pub fn blocks(self) -> BatchBlocks {
        let header = self.header.filter(|_| self.touched).map(|h| h.encode());
        BatchBlocks { header, pending: self.pending.encode(self.base) }
    }

    /// The next block that no put of a key behind all others can change; the header first.
    pub(super) fn next_final(&mut self) -> Option<Vec<u8>> {
        if self.touched
            && let Some(header) = self.header.take()
        {
            return Some(header.encode());
        }
        self.pending.next_final(self.base)
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> &Pending {
        &self.pending
    }

    fn close_left(&mut self, path: &Path) {
        // What is below a key that was found lies left of it up to its own place.
        let last = if path.found { path.place + 1 } else { 0 };
        for (i, &node) in path.nodes.iter().enumerate() {
            for turn in 0..path.turns.get(i).copied().unwrap_or(last) {
                let Some(&child) = self.pending.node(node).children.get(turn) else { break };
                self.pending.close(child, self.base);
            }
        }
    }

    fn finish(&mut self, root: NodeId, seq: u64, key: Bytes, value: Option<Bytes>) {
        self.pending.commit(root, seq, key, value);
        self.root = Some(root);
    }

    fn load_root(&mut self) -> Result<Option<NodeId>> {
        if self.root.is_none() {
            self.root = self.bee.root()?.map(|node| self.pending.adopt(node));
        }
        Ok(self.root)
    }

    fn load_child(&mut self, node: NodeId, i: usize) -> Result<Option<NodeId>> {
        let Some(&id) = self.pending.node(node).children.get(i) else { return Ok(None) };
        let child = self.pending.child(id);
        if child.node.is_some() {
            return Ok(child.node);
        }
        let loaded = self.bee.tree_node(child.seq, child.offset)?;
        if loaded.keys.is_empty() {
            return Err(Error::malformed(child.seq, "an inner tree node has no keys"));
        }
        let loaded = self.pending.adopt(loaded);
        self.pending.set_loaded(id, loaded);
        Ok(Some(loaded))
    }

    fn compare(&mut self, node: NodeId, i: usize, key: &[u8]) -> Result<Ordering> {
        let Some(lazy) = self.pending.node(node).keys.get(i) else { return Ok(Ordering::Less) };
        if let Some(known) = &lazy.key {
            return Ok(key.cmp(known));
        }
        let loaded = self.bee.node_block(lazy.seq)?.key;
        let order = key.cmp(&loaded);
        if let Some(lazy) = self.pending.node_mut(node).keys.get_mut(i) {
            lazy.key = Some(loaded);
        }
        Ok(order)
    }

    fn find(&mut self, root: NodeId, key: &[u8]) -> Result<Path> {
        let mut path = Path { nodes: vec![root], turns: Vec::new(), place: 0, found: false };
        let mut node = root;
        loop {
            let (mut start, mut end) = (0, self.pending.node(node).keys.len());
            while start < end {
                let mid = (start + end) >> 1;
                match self.compare(node, mid, key)? {
                    Ordering::Equal => {
                        (path.place, path.found) = (mid, true);
                        return Ok(path);
                    }
                    Ordering::Less => end = mid,
                    Ordering::Greater => start = mid + 1,
                }
            }
            let Some(child) = self.load_child(node, start)? else {
                path.place = start;
                return Ok(path);
            };
            path.turns.push(start);
            path.nodes.push(child);
            if path.nodes.len() > MAX_DEPTH {
                return Err(Error::malformed(self.base, "the tree is too deep"));
            }
            node = child;
        }
    }

    /// Splits full nodes from `node` up along `path`, and returns the root, which may be new.
    fn split_up(&mut self, root: NodeId, mut node: NodeId, path: &mut Path) -> NodeId {
        while self.pending.node(node).keys.len() >= SPLIT_KEYS {
            let Some((median, right)) = self.pending.split(node) else { break };
            let right = self.pending.add_child(Child::new(right));
            match (path.nodes.pop(), path.turns.pop()) {
                (Some(parent), Some(turn)) => {
                    let p = self.pending.node_mut(parent);
                    p.keys.insert(turn.min(p.keys.len()), median);
                    p.children.insert((turn + 1).min(p.children.len()), right);
                    node = parent;
                }
                _ => {
                    let left = self.pending.add_child(Child::new(node));
                    return self.pending.add_node(Node {
                        keys: vec![median],
                        children: vec![left, right],
                        changed: true,
                    });
                }
            }
        }
        root
    }

    /// For a key of an inner node: the leaf that gives its nearest key in exchange. `None` in a leaf.
    fn nearest_leaf(&mut self, node: NodeId, place: usize) -> Result<Option<Donor>> {
        let Some(left) = self.load_child(node, place)? else { return Ok(None) };
        let Some(right) = self.load_child(node, place + 1)? else { return Ok(None) };
        let left = self.way_down(left, false)?;
        let right = self.way_down(right, true)?;
        let size = |way: &[NodeId]| way.last().map_or(0, |&n| self.pending.node(n).keys.len());
        let first = size(&left) < size(&right);
        Ok(Some(Donor { way: if first { right } else { left }, first }))
    }

    fn way_down(&mut self, mut node: NodeId, leftmost: bool) -> Result<Vec<NodeId>> {
        let mut way = vec![node];
        loop {
            let last = self.pending.node(node).children.len().saturating_sub(1);
            let Some(child) = self.load_child(node, if leftmost { 0 } else { last })? else { return Ok(way) };
            way.push(child);
            if way.len() > MAX_DEPTH {
                return Err(Error::malformed(self.base, "the tree is too deep"));
            }
            node = child;
        }
    }

    fn place_in_parent(&self, parent: NodeId, node: NodeId) -> Option<usize> {
        self.pending.node(parent).children.iter().position(|&c| self.pending.child(c).node == Some(node))
    }

    /// Loads the siblings that [`Batch::rebalance`] will look at once the last of `nodes` has lost a key.
    fn load_siblings(&mut self, nodes: &[NodeId]) -> Result<()> {
        for pair in nodes.windows(2).rev() {
            let &[parent, node] = pair else { continue };
            if self.pending.node(node).keys.len().saturating_sub(1) >= MIN_KEYS {
                break;
            }
            let Some(i) = self.place_in_parent(parent, node) else { break };
            let left = if i > 0 { self.load_child(parent, i - 1)? } else { None };
            let right = self.load_child(parent, i + 1)?;
            let rich = |n: Option<NodeId>| n.is_some_and(|n| self.pending.node(n).keys.len() > MIN_KEYS);
            if rich(left) || rich(right) {
                break;
            }
        }
        Ok(())
    }

    /// Borrows from or merges with siblings from the end of `stack` up; returns the root, which may be lower.
    fn rebalance(&mut self, mut stack: Vec<NodeId>, root: NodeId) -> NodeId {
        while let Some(node) = stack.pop() {
            let Some(&parent) = stack.last() else { break };
            if self.pending.node(node).keys.len() >= MIN_KEYS {
                return root;
            }
            let Some(mut i) = self.place_in_parent(parent, node) else { return root };
            let sibling = |i: Option<usize>| {
                let id = i.and_then(|i| self.pending.node(parent).children.get(i).copied());
                id.and_then(|id: ChildId| self.pending.child(id).node)
            };
            let (left, right) = (sibling(i.checked_sub(1)), sibling(i.checked_add(1)));
            let rich = |n: &NodeId| self.pending.node(*n).keys.len() > MIN_KEYS;
            if let Some(left) = left.filter(rich) {
                self.borrow(parent, i - 1, node, left, false);
                return root;
            }
            if let Some(right) = right.filter(rich) {
                self.borrow(parent, i, node, right, true);
                return root;
            }
            let (low, high) = match (left, right) {
                (Some(left), _) => {
                    i -= 1;
                    (left, node)
                }
                (None, Some(right)) => (node, right),
                (None, None) => return root,
            };
            self.merge(parent, i, low, high);
        }
        let top = self.pending.node(root);
        if !top.keys.is_empty() {
            return root;
        }
        top.children.first().and_then(|&c| self.pending.child(c).node).unwrap_or(root)
    }

    /// Moves one key from `from` through key `i` of the parent into `to`. `first`: `from` lies right of `to`.
    fn borrow(&mut self, parent: NodeId, i: usize, to: NodeId, from: NodeId, first: bool) {
        let source = self.pending.node_mut(from);
        source.changed = true;
        let (key, child) = if first {
            let child = (!source.children.is_empty()).then(|| source.children.remove(0));
            ((!source.keys.is_empty()).then(|| source.keys.remove(0)), child)
        } else {
            (source.keys.pop(), source.children.pop())
        };
        let Some(key) = key else { return };
        let Some(slot) = self.pending.node_mut(parent).keys.get_mut(i) else { return };
        let key = std::mem::replace(slot, key);
        let target = self.pending.node_mut(to);
        if first {
            target.keys.push(key);
            target.children.extend(child);
        } else {
            target.keys.insert(0, key);
            if let Some(child) = child {
                target.children.insert(0, child);
            }
        }
    }

    /// Puts key `i` of the parent and all of `high` at the end of `low`.
    fn merge(&mut self, parent: NodeId, i: usize, low: NodeId, high: NodeId) {
        let median = self.pending.node(parent).keys.get(i).cloned();
        let keys = self.pending.node(high).keys.clone();
        let children = self.pending.node(high).children.clone();
        let target = self.pending.node_mut(low);
        target.changed = true;
        target.keys.extend(median);
        target.keys.extend(keys);
        target.children.extend(children);
        self.pending.remove_key(parent, i);
    }
}

/// A leaf that gives a key to an inner node, and the way to it.
struct Donor {
    way: Vec<NodeId>,
    /// Gives its first key rather than its last.
    first: bool,
}

fn checked_key(key: Bytes) -> Result<Bytes> {
    if key.len() > MAX_KEY_LEN { Err(Error::TooLarge("a key")) } else { Ok(key) }
}
