//! Ordered iteration over a part of the keys.

use super::bounds::MAX_DEPTH;
use super::entry::Entry;
use super::tree::{Found, TreeNode};
use super::view::Bee;
use crate::{BlockSource, Error, Result};
use bytes::Bytes;
use std::ops::Bound;

impl<S: BlockSource> Bee<S> {
    /// The entries of `range`, in order.
    pub fn range(&self, range: KeyRange) -> Range<S>
    where
        S: Clone,
    {
        Range::new(self.clone(), range)
    }
}

/// Which keys, in which direction, how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Lower end.
    pub start: Bound<Bytes>,
    /// Upper end.
    pub end: Bound<Bytes>,
    /// From the upper end down.
    pub reverse: bool,
    /// At most so many; `None` for all.
    pub limit: Option<u64>,
}

impl Default for KeyRange {
    fn default() -> Self {
        Self::all()
    }
}

impl KeyRange {
    /// All keys, ascending.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded, reverse: false, limit: None }
    }

    /// Keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                break;
            }
        }
        let end = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end.into()) };
        Self { start: Bound::Included(Bytes::copy_from_slice(prefix)), end, ..Self::all() }
    }

    /// Lower end, itself excluded.
    pub fn gt(mut self, key: impl Into<Bytes>) -> Self {
        self.start = Bound::Excluded(key.into());
        self
    }

    /// Lower end, itself included.
    pub fn gte(mut self, key: impl Into<Bytes>) -> Self {
        self.start = Bound::Included(key.into());
        self
    }

    /// Upper end, itself excluded.
    pub fn lt(mut self, key: impl Into<Bytes>) -> Self {
        self.end = Bound::Excluded(key.into());
        self
    }

    /// Upper end, itself included.
    pub fn lte(mut self, key: impl Into<Bytes>) -> Self {
        self.end = Bound::Included(key.into());
        self
    }

    /// From the upper end down.
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most `n` entries.
    pub fn limit(mut self, n: u64) -> Self {
        self.limit = Some(n);
        self
    }
}

/// Place in a node: even numbers are children (`at / 2`), odd ones keys.
#[derive(Debug, Clone)]
struct Frame {
    node: TreeNode,
    at: usize,
}

/// Iterator over the entries of a [`KeyRange`]. An item `Err(Error::Missing(i))` did not advance it: fetch block `i`
/// and call again. Any other error ends it.
#[derive(Debug, Clone)]
pub struct Range<S> {
    bee: Bee<S>,
    range: KeyRange,
    /// The node the search for the first key stands at; moved to `stack` when its place is known.
    seeking: Option<TreeNode>,
    started: bool,
    done: bool,
    stack: Vec<Frame>,
    last: Option<Bytes>,
    /// How many more nodes a tree of this version can have.
    budget: u64,
}

impl<S: BlockSource> Range<S> {
    pub(crate) fn new(bee: Bee<S>, range: KeyRange) -> Self {
        let done = range.limit == Some(0);
        let budget = bee.version();
        Self { bee, range, seeking: None, started: false, done, stack: Vec::new(), last: None, budget }
    }

    /// The bee this walks.
    pub fn bee(&self) -> &Bee<S> {
        &self.bee
    }

    /// Up to `max` blocks the walk will need and the source does not have, nearest first.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        let mut out: Vec<u64> = Vec::new();
        let mut add = |seq: u64| {
            if out.len() < max && !out.contains(&seq) && !self.bee.source().has(seq) {
                out.push(seq);
            }
            out.len() < max
        };
        if self.done {
            return out;
        }
        if !self.started {
            if self.bee.version() > 1 {
                add(self.bee.version() - 1);
            }
            return out;
        }
        if let Some(node) = &self.seeking {
            let keys = node.keys.iter().filter(|k| k.key.is_none()).map(|k| k.seq);
            keys.chain(node.children.iter().map(|c| c.0)).all(&mut add);
            return out;
        }
        for frame in self.stack.iter().rev() {
            let width = frame.node.keys.len() * 2 + 1;
            let left: Box<dyn Iterator<Item = usize>> = if self.range.reverse {
                Box::new((0..frame.at.min(width)).rev())
            } else {
                Box::new(frame.at..width)
            };
            for at in left {
                let seq = if at & 1 == 1 {
                    frame.node.keys.get(at >> 1).map(|k| k.seq)
                } else {
                    frame.node.children.get(at >> 1).map(|c| c.0)
                };
                if seq.is_some_and(|seq| !add(seq)) {
                    return out;
                }
            }
        }
        out
    }

    fn spend(&mut self, node: &TreeNode) -> Result<()> {
        self.budget =
            self.budget.checked_sub(1).ok_or(Error::malformed(node.seq, "the tree repeats its nodes"))?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(Error::malformed(node.seq, "the tree is too deep"));
        }
        Ok(())
    }

    /// A frame at the first place of `node`. In reverse `at` is one past the place, so that 0 means finished.
    fn whole(&self, node: TreeNode) -> Frame {
        let at = if self.range.reverse { node.keys.len() * 2 + 1 } else { 0 };
        Frame { node, at }
    }

    /// Finds the first place. Can be called again after `Missing`.
    fn seek(&mut self) -> Result<()> {
        if !self.started {
            self.seeking = self.bee.root()?;
            self.started = true;
        }
        let reverse = self.range.reverse;
        let bound = if reverse { &self.range.end } else { &self.range.start };
        let (key, included) = match bound.clone() {
            Bound::Unbounded => {
                if let Some(root) = self.seeking.take() {
                    self.stack.push(self.whole(root));
                }
                return Ok(());
            }
            Bound::Included(key) => (key, true),
            Bound::Excluded(key) => (key, false),
        };
        while let Some(mut node) = self.seeking.take() {
            let step = Self::seek_step(&self.bee, &mut node, &key);
            let (found, child) = match step {
                Ok(step) => step,
                Err(e) => {
                    self.seeking = Some(node);
                    return Err(e);
                }
            };
            if let Some(child) = &child {
                self.spend(child)?;
            }
            // Forward: the next place. Reverse: one past the next place.
            let at = match (found, reverse) {
                (Found::At(i), false) => i * 2 + if included { 1 } else { 2 },
                (Found::At(i), true) => i * 2 + if included { 2 } else { 1 },
                (Found::Before(i), false) => i * 2 + 1,
                (Found::Before(i), true) => i * 2,
            };
            self.stack.push(Frame { node, at });
            self.seeking = child;
        }
        Ok(())
    }

    fn seek_step(bee: &Bee<S>, node: &mut TreeNode, key: &[u8]) -> Result<(Found, Option<TreeNode>)> {
        let found = node.bisect(bee, key)?;
        let child = match found {
            Found::Before(i) if !node.is_leaf() => Some(node.child(bee, i)?),
            _ => None,
        };
        Ok((found, child))
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        if !self.started || self.seeking.is_some() {
            self.seek()?;
        }
        let reverse = self.range.reverse;
        while let Some(top) = self.stack.last_mut() {
            let width = top.node.keys.len() * 2 + 1;
            if if reverse { top.at == 0 } else { top.at >= width } {
                self.stack.pop();
                continue;
            }
            let at = if reverse { top.at - 1 } else { top.at };
            let next = if reverse { at } else { at + 1 };
            if at & 1 == 0 {
                if top.node.is_leaf() {
                    top.at = next;
                    continue;
                }
                let child = top.node.child(&self.bee, at >> 1)?;
                top.at = next;
                self.spend(&child)?;
                let frame = self.whole(child);
                self.stack.push(frame);
                continue;
            }
            let seq = top.node.keys.get(at >> 1).map_or(0, |k| k.seq);
            let entry: Entry = self.bee.node_block(seq)?.into();
            top.at = next;
            return self.accept(entry);
        }
        Ok(None)
    }

    /// Checks the far end and that keys really come in order.
    fn accept(&mut self, entry: Entry) -> Result<Option<Entry>> {
        let reverse = self.range.reverse;
        let far = if reverse { &self.range.start } else { &self.range.end };
        let beyond = match far {
            Bound::Unbounded => false,
            Bound::Included(b) => {
                if reverse {
                    entry.key < b
                } else {
                    entry.key > b
                }
            }
            Bound::Excluded(b) => {
                if reverse {
                    entry.key <= b
                } else {
                    entry.key >= b
                }
            }
        };
        if beyond {
            return Ok(None);
        }
        let ordered = self.last.as_ref().is_none_or(|l| if reverse { entry.key < l } else { entry.key > l });
        if !ordered {
            return Err(Error::malformed(entry.seq, "keys are out of order"));
        }
        self.last = Some(entry.key.clone());
        if let Some(limit) = &mut self.range.limit {
            *limit = limit.saturating_sub(1);
            self.done = *limit == 0;
        }
        Ok(Some(entry))
    }
}

impl<S: BlockSource> Iterator for Range<S> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.step();
        match &result {
            Ok(Some(_)) | Err(Error::Missing(_)) => {}
            _ => self.done = true,
        }
        result.transpose()
    }
}
