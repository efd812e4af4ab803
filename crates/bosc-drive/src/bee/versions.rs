//! Which lengths of a bee are versions: the ends of batches.
//!
//! One block cannot tell. Of a batch only the last block carries the root, but blocks before it may carry other nodes
//! that the rest of the batch left alone, and such a node looks just like a root. What tells is whether the first node
//! of a block's index is the root of everything that is live there: the subtree below any other node lacks the least
//! key or the greatest, because a root has a key between any two of its children. So the walk keeps the live keys and
//! compares both ends of the subtree with theirs. A node inside a batch may also be the one that becomes the root, and
//! lack keys that the rest of the batch deletes; so the keys below are counted, too. Nodes never change, so each is
//! counted once.
//!
//! Bounds: [`MAX_LIVE`] bytes of live keys, [`MAX_COUNTED`] counts; a count goes no further than the live keys.

use super::bounds::MAX_DEPTH;
use super::history::{History, HistoryEntry};
use super::tree::TreeNode;
use super::view::Bee;
use crate::{BlockSource, Error, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Most bytes of live keys kept, 64 bytes each for keeping them included.
const MAX_LIVE: usize = 256 << 20;

/// Most counts of nodes that are kept; then they begin anew.
const MAX_COUNTED: usize = 1 << 20;

impl<S: BlockSource> Bee<S> {
    /// Every operation from the first up to this version, with the lengths that are versions of their own.
    pub fn versions(&self) -> Versions<S>
    where
        S: Clone,
    {
        Versions::new(self.clone())
    }
}

/// One operation, and whether a version ended with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The operation.
    pub entry: HistoryEntry,
    /// The length behind its block is a version.
    pub ends_batch: bool,
}

/// Iterator over all operations from the first on. `Err(Error::Missing(i))` does not advance it.
#[derive(Debug, Clone)]
pub struct Versions<S> {
    bee: Bee<S>,
    history: History<S>,
    /// The operation that was read and not judged yet.
    read: Option<HistoryEntry>,
    live: BTreeMap<Bytes, u64>,
    bytes: usize,
    /// How many keys are below a node, by its block and place in it.
    counted: HashMap<(u64, u64), u64>,
    done: bool,
}

impl<S: BlockSource + Clone> Versions<S> {
    pub(crate) fn new(bee: Bee<S>) -> Self {
        let history = bee.history(1);
        Self {
            bee,
            history,
            read: None,
            live: BTreeMap::new(),
            bytes: 0,
            counted: HashMap::new(),
            done: false,
        }
    }

    /// Up to `max` blocks it will need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        self.history.wanted(max)
    }

    fn step(&mut self) -> Result<Option<Step>> {
        if self.read.is_none() {
            let Some(entry) = self.history.next().transpose()? else { return Ok(None) };
            let (key, seq) = (entry.entry.key.clone(), entry.entry.seq);
            let cost = key.len() + 64;
            if entry.deleted {
                self.bytes -= self.live.remove(&key).map_or(0, |_| cost.min(self.bytes));
            } else {
                // A key of its own, not a slice that keeps its whole block.
                let old = self.live.insert(Bytes::copy_from_slice(&key), seq);
                self.bytes += if old.is_none() { cost } else { 0 };
                if self.bytes > MAX_LIVE {
                    return Err(Error::TooLarge("the number of live keys"));
                }
            }
            self.read = Some(entry);
        }
        let seq = self.read.as_ref().map_or(0, |e| e.entry.seq);
        let ends_batch = match self.is_root(seq) {
            // Nodes inside a batch may name blocks that come later in it.
            Err(Error::Malformed { .. } | Error::NotAVersion(_)) => false,
            other => other?,
        };
        Ok(self.read.take().map(|entry| Step { entry, ends_batch }))
    }

    fn is_root(&mut self, seq: u64) -> Result<bool> {
        let block = self.bee.node_block(seq)?;
        if !block.has_tree() {
            return Ok(false);
        }
        let root = TreeNode::new(&block, 0)?;
        let ends = self.live.first_key_value().zip(self.live.last_key_value());
        let Some(((_, least), (_, greatest))) = ends else { return Ok(root.keys.is_empty()) };
        let (least, greatest) = (*least, *greatest);
        if self.edge(root.clone(), true)? != Some(least) || self.edge(root.clone(), false)? != Some(greatest)
        {
            return Ok(false);
        }
        let live = self.live.len() as u64;
        let mut nodes = live.saturating_add(1);
        Ok(self.count(&root, MAX_DEPTH, &mut nodes)? == live)
    }

    /// How many keys are below a node. Looks at no more than `nodes` nodes: a tree has fewer of them than keys.
    fn count(&mut self, node: &TreeNode, depth: usize, nodes: &mut u64) -> Result<u64> {
        if depth == 0 || *nodes == 0 {
            return Err(Error::malformed(node.seq, "the tree is too deep or too large"));
        }
        *nodes -= 1;
        let mut keys = node.keys.len() as u64;
        for (at, place) in node.children.iter().copied().enumerate() {
            let below = match self.counted.get(&place) {
                Some(known) => *known,
                None => {
                    let below = self.count(&node.child(&self.bee, at)?, depth - 1, nodes)?;
                    if self.counted.len() >= MAX_COUNTED {
                        self.counted.clear();
                    }
                    self.counted.insert(place, below);
                    below
                }
            };
            keys = keys.saturating_add(below);
        }
        Ok(keys)
    }

    /// The block that wrote the first or last key below a node.
    fn edge(&self, mut node: TreeNode, first: bool) -> Result<Option<u64>> {
        for _ in 0..MAX_DEPTH {
            if node.is_leaf() {
                let key = if first { node.keys.first() } else { node.keys.last() };
                return Ok(key.map(|k| k.seq));
            }
            let at = if first { 0 } else { node.children.len().saturating_sub(1) };
            node = node.child(&self.bee, at)?;
        }
        Err(Error::malformed(node.seq, "the tree is too deep"))
    }
}

impl<S: BlockSource + Clone> Iterator for Versions<S> {
    type Item = Result<Step>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.step();
        self.done = !matches!(result, Ok(Some(_)) | Err(Error::Missing(_)));
        result.transpose()
    }
}
