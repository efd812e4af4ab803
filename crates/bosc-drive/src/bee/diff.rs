//! What changed between two versions of one bee.
//!
//! Both trees are walked side by side. Parts that name the same node of the same block are skipped unread, so the
//! cost follows the size of the change. The order of steps is that of hyperbee's iterators/diff.js.

use super::bounds::MAX_DEPTH;
use super::entry::Entry;
use super::range::KeyRange;
use super::tree::{Found, TreeNode};
use super::view::Bee;
use crate::{BlockSource, Error, Result};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Bound;

impl<S: BlockSource> Bee<S> {
    /// What changed from `older` to this version of the same core, within `range` (its limit counts changes; its
    /// direction is ignored).
    pub fn diff(&self, older: u64, range: KeyRange) -> Diff<S>
    where
        S: Clone,
    {
        Diff::new(self.clone(), Bee::checkout(self.source.clone(), older), range)
    }
}

/// One changed key. Never both `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry in the newer version; `None` when the key was removed.
    pub new: Option<Entry>,
    /// The entry in the older version; `None` when the key was added.
    pub old: Option<Entry>,
}

/// Place in a node: even numbers are children, odd ones keys.
#[derive(Debug, Clone)]
struct Frame {
    node: TreeNode,
    at: usize,
}

impl Frame {
    fn is_key(&self) -> bool {
        self.at & 1 == 1
    }

    fn n(&self) -> usize {
        self.at >> 1
    }

    fn over(&self) -> bool {
        self.n() >= if self.is_key() { self.node.keys.len() } else { self.node.children.len() }
    }

    fn advance(&mut self) {
        self.at += 1;
        if !self.is_key() && self.node.is_leaf() {
            self.at += 1;
        }
    }

    /// What the place names: (seq, offset, is key).
    fn target(&self) -> (u64, u64, bool) {
        if self.is_key() {
            (self.node.keys.get(self.n()).map_or(0, |k| k.seq), 0, true)
        } else {
            let (seq, offset) = self.node.children.get(self.n()).copied().unwrap_or_default();
            (seq, offset, false)
        }
    }
}

/// One of the two walks. A frame that is used up stays below the frame of its last child, because the child's
/// last place is compared by the parent's next key.
#[derive(Debug, Clone)]
struct Side<S> {
    bee: Bee<S>,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
    seeking: bool,
    opened: bool,
    stack: Vec<Frame>,
    /// Child of the top frame, loaded and placed, before the walk advances into it. `Some(None)`: nothing in it.
    staged: Option<Option<Frame>>,
    /// Node being placed by its keys.
    placing: Option<TreeNode>,
    last: Option<Bytes>,
    budget: u64,
}

impl<S: BlockSource> Side<S> {
    fn new(bee: Bee<S>, range: &KeyRange) -> Self {
        let seeking = !matches!(range.start, Bound::Unbounded);
        Self {
            budget: bee.version(),
            bee,
            start: range.start.clone(),
            end: range.end.clone(),
            seeking,
            opened: false,
            stack: Vec::new(),
            staged: None,
            placing: None,
            last: None,
        }
    }

    fn open(&mut self) -> Result<()> {
        if self.opened {
            return Ok(());
        }
        if self.placing.is_none() {
            self.placing = self.bee.root()?.filter(|root| !root.keys.is_empty());
        }
        if let Some(frame) = self.place()? {
            self.stack.push(frame);
        }
        self.opened = true;
        Ok(())
    }

    /// Turns the node in `placing` into a frame at its first wanted place; `None` when it has none.
    fn place(&mut self) -> Result<Option<Frame>> {
        let Some(node) = &mut self.placing else { return Ok(None) };
        let mut at = usize::from(node.is_leaf());
        if self.seeking {
            let (key, included) = match &self.start {
                Bound::Included(key) => (key, true),
                Bound::Excluded(key) => (key, false),
                Bound::Unbounded => return Ok(None),
            };
            let leaf = node.is_leaf();
            let done;
            (at, done) = match node.bisect(&self.bee, key)? {
                Found::At(i) if included => (i * 2 + 1, true),
                Found::At(i) => (i * 2 + if leaf { 3 } else { 2 }, true),
                Found::Before(i) => (i * 2 + usize::from(leaf), leaf),
            };
            self.seeking = !done;
        }
        Ok(self.placing.take().map(|node| Frame { node, at }).filter(|f| !f.over()))
    }

    fn peek(&self) -> Option<&Frame> {
        self.stack.last()
    }

    fn drop_used(&mut self) {
        while self.stack.last().is_some_and(Frame::over) {
            self.stack.pop();
        }
    }

    fn skip(&mut self) {
        if let Some(top) = self.stack.last_mut() {
            top.advance();
        }
        self.drop_used();
    }

    /// The key at or after the present place.
    fn key(&mut self) -> Result<Option<Bytes>> {
        for frame in self.stack.iter_mut().rev() {
            let n = frame.n();
            if n < frame.node.keys.len() {
                return frame.node.key(&self.bee, n).cloned().map(Some);
            }
        }
        Ok(None)
    }

    /// Loads what [`Side::enter`] needs.
    fn prepare(&mut self) -> Result<()> {
        if self.staged.is_some() {
            return Ok(());
        }
        if self.placing.is_none() {
            let Some(top) = self.stack.last() else { return Ok(()) };
            if self.stack.len() >= MAX_DEPTH {
                return Err(Error::malformed(top.node.seq, "the tree is too deep"));
            }
            let child = top.node.child(&self.bee, top.n())?;
            let spent = self.budget.checked_sub(1);
            self.budget = spent.ok_or(Error::malformed(child.seq, "the tree repeats its nodes"))?;
            self.placing = Some(child);
        }
        self.staged = Some(self.place()?);
        Ok(())
    }

    /// Goes into the child at the present place. [`Side::prepare`] must have succeeded.
    fn enter(&mut self) {
        if let Some(top) = self.stack.last_mut() {
            top.advance();
        }
        match self.staged.take().flatten() {
            Some(frame) => self.stack.push(frame),
            None => self.drop_used(),
        }
    }

    /// Takes the key at the present place; ends the walk when it is beyond the range.
    fn take_key(&mut self, entry: Entry) -> Result<Option<Entry>> {
        let beyond = match &self.end {
            Bound::Unbounded => false,
            Bound::Included(end) => entry.key > end,
            Bound::Excluded(end) => entry.key >= end,
        };
        self.seeking = false;
        if beyond {
            self.stack.clear();
            return Ok(None);
        }
        if self.last.as_ref().is_some_and(|last| entry.key <= last) {
            return Err(Error::malformed(entry.seq, "keys are out of order"));
        }
        self.last = Some(entry.key.clone());
        self.skip();
        Ok(Some(entry))
    }

    fn entry(&self) -> Result<Option<Entry>> {
        match self.peek() {
            Some(top) => Ok(Some(self.bee.node_block(top.target().0)?.into())),
            None => Ok(None),
        }
    }

    /// The next entry, when the other side has ended.
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        loop {
            match self.peek() {
                None => return Ok(None),
                Some(top) if top.is_key() => {
                    let Some(entry) = self.entry()? else { return Ok(None) };
                    return self.take_key(entry);
                }
                Some(_) => {
                    self.prepare()?;
                    self.enter();
                }
            }
        }
    }
}

/// Iterator over the changes between two versions, in key order. `Err(Error::Missing(i))` does not advance it; any
/// other error ends it. A key written twice with the same value counts as changed.
#[derive(Debug, Clone)]
pub struct Diff<S> {
    new: Side<S>,
    old: Side<S>,
    limit: Option<u64>,
    done: bool,
}

/// Absent keys come after all others.
fn compare(a: Option<&Bytes>, b: Option<&Bytes>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    }
}

impl<S: BlockSource> Diff<S> {
    pub(crate) fn new(new: Bee<S>, old: Bee<S>, range: KeyRange) -> Self {
        let done = range.limit == Some(0);
        Self { new: Side::new(new, &range), old: Side::new(old, &range), limit: range.limit, done }
    }

    /// Up to `max` blocks it will likely need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        let mut out: Vec<u64> = Vec::new();
        for side in [&self.new, &self.old] {
            if !side.opened && side.placing.is_none() && side.bee.version() > 1 {
                out.push(side.bee.version() - 1);
            }
            let placing = side.placing.iter().flat_map(|n| n.keys.iter().map(|k| k.seq));
            let frames = side.stack.iter().rev().flat_map(|f| {
                let keys = f.node.keys.iter().skip(f.n()).map(|k| k.seq);
                keys.chain(f.node.children.iter().skip(f.n()).map(|c| c.0))
            });
            out.extend(placing.chain(frames).take(256));
        }
        out.sort_unstable();
        out.dedup();
        out.retain(|&seq| !self.new.bee.source().has(seq));
        // Newer blocks hold the nodes both walks reach first.
        out.reverse();
        out.truncate(max);
        out
    }

    fn step(&mut self) -> Result<Option<Change>> {
        let (a, b) = (&mut self.new, &mut self.old);
        a.open()?;
        b.open()?;
        loop {
            let (l, r) = match (a.peek(), b.peek()) {
                (None, None) => return Ok(None),
                (None, Some(_)) => {
                    return Ok(b.next_entry()?.map(|old| Change { new: None, old: Some(old) }));
                }
                (Some(_), None) => {
                    return Ok(a.next_entry()?.map(|new| Change { new: Some(new), old: None }));
                }
                (Some(l), Some(r)) => (l.target(), r.target()),
            };
            if l == r {
                a.skip();
                b.skip();
                continue;
            }
            let order = compare(a.key()?.as_ref(), b.key()?.as_ref());
            match (l.2, r.2) {
                (true, false) => {
                    b.prepare()?;
                    b.enter();
                }
                (false, true) => {
                    a.prepare()?;
                    a.enter();
                }
                (false, false) => {
                    if order != Ordering::Less {
                        // Newer first goes deeper when it lies at or after the other.
                        if order == Ordering::Equal {
                            b.prepare()?;
                        }
                        a.prepare()?;
                        a.enter();
                    } else {
                        b.prepare()?;
                    }
                    if order != Ordering::Greater {
                        b.enter();
                    }
                }
                (true, true) => {
                    let new = if order == Ordering::Greater { None } else { a.entry()? };
                    let old = if order == Ordering::Less { None } else { b.entry()? };
                    let new = new.map(|e| a.take_key(e)).transpose()?.flatten();
                    let old = old.map(|e| b.take_key(e)).transpose()?.flatten();
                    if new.is_none() && old.is_none() {
                        return Ok(None);
                    }
                    return Ok(Some(Change { new, old }));
                }
            }
        }
    }
}

impl<S: BlockSource> Iterator for Diff<S> {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.step();
        match &result {
            Err(Error::Missing(_)) => {}
            Ok(Some(_)) => {
                if let Some(limit) = &mut self.limit {
                    *limit = limit.saturating_sub(1);
                    self.done = *limit == 0;
                }
            }
            _ => self.done = true,
        }
        result.transpose()
    }
}
