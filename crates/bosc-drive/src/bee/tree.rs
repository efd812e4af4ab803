//! Reading tree nodes, and searching for one key.

use super::bounds::MAX_DEPTH;
use super::entry::Entry;
use super::proto::NodeBlock;
use super::view::Bee;
use crate::{BlockSource, Error, Result};
use bytes::Bytes;

impl<S: BlockSource> Bee<S> {
    /// The value of `key`. Starts over after [`Error::Missing`]; use [`Bee::lookup`] to fetch ahead.
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry>> {
        Lookup::new(Bee { source: &self.source, version: self.version }, Bytes::copy_from_slice(key)).poll()
    }

    /// A resumable search for `key`.
    pub fn lookup(&self, key: impl Into<Bytes>) -> Lookup<S>
    where
        S: Clone,
    {
        Lookup::new(self.clone(), key.into())
    }

    pub(super) fn tree_node(&self, seq: u64, offset: u64) -> Result<TreeNode> {
        TreeNode::new(&self.node_block(seq)?, offset)
    }

    pub(super) fn root(&self) -> Result<Option<TreeNode>> {
        if self.version < 2 { Ok(None) } else { self.tree_node(self.version - 1, 0).map(Some) }
    }
}

/// A tree node while it is read: keys are loaded when they are first compared.
#[derive(Debug, Clone)]
pub(crate) struct TreeNode {
    pub(crate) seq: u64,
    pub(crate) keys: Vec<LazyKey>,
    pub(crate) children: Vec<(u64, u64)>,
}

/// A key known by the block that wrote it.
#[derive(Debug, Clone)]
pub(crate) struct LazyKey {
    pub(crate) seq: u64,
    pub(crate) key: Option<Bytes>,
}

/// Where a search in one node ended.
pub(crate) enum Found {
    /// The key at this place is the one.
    At(usize),
    /// It would be in the child, or at the place, of this number.
    Before(usize),
}

impl TreeNode {
    pub(crate) fn new(block: &NodeBlock, offset: u64) -> Result<Self> {
        let level = block.level(offset)?;
        let keys = level
            .keys
            .into_iter()
            .map(|seq| LazyKey { seq, key: (seq == block.seq).then(|| block.key.clone()) });
        Ok(Self { seq: block.seq, keys: keys.collect(), children: level.children })
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    pub(crate) fn key<S: BlockSource>(&mut self, bee: &Bee<S>, i: usize) -> Result<&Bytes> {
        let seq = self.seq;
        let lazy = self.keys.get_mut(i).ok_or(Error::malformed(seq, "no such key"))?;
        if lazy.key.is_none() {
            lazy.key = Some(bee.node_block(lazy.seq)?.key);
        }
        lazy.key.as_ref().ok_or(Error::malformed(seq, "no such key"))
    }

    pub(crate) fn bisect<S: BlockSource>(&mut self, bee: &Bee<S>, key: &[u8]) -> Result<Found> {
        let (mut start, mut end) = (0, self.keys.len());
        while start < end {
            let mid = (start + end) >> 1;
            match key.cmp(self.key(bee, mid)?.as_ref()) {
                std::cmp::Ordering::Equal => return Ok(Found::At(mid)),
                std::cmp::Ordering::Less => end = mid,
                std::cmp::Ordering::Greater => start = mid + 1,
            }
        }
        Ok(Found::Before(start))
    }

    /// The node that child `i` names.
    pub(crate) fn child<S: BlockSource>(&self, bee: &Bee<S>, i: usize) -> Result<TreeNode> {
        let &(seq, offset) = self.children.get(i).ok_or(Error::malformed(self.seq, "no such child"))?;
        let child = bee.tree_node(seq, offset)?;
        if child.keys.is_empty() {
            Err(Error::malformed(seq, "an inner tree node has no keys"))
        } else {
            Ok(child)
        }
    }
}

/// A search for one key that can be continued after [`Error::Missing`].
#[derive(Debug, Clone)]
pub struct Lookup<S> {
    bee: Bee<S>,
    key: Bytes,
    node: Option<TreeNode>,
    depth: usize,
}

impl<S: BlockSource> Lookup<S> {
    pub(crate) fn new(bee: Bee<S>, key: Bytes) -> Self {
        Self { bee, key, node: None, depth: 0 }
    }

    /// Goes on until the key is found or known to be absent. After `Missing(i)`, fetch block `i`, and better all of
    /// [`Lookup::wanted`], and call again.
    pub fn poll(&mut self) -> Result<Option<Entry>> {
        if self.node.is_none() {
            self.node = self.bee.root()?;
        }
        while let Some(node) = &mut self.node {
            let i = match node.bisect(&self.bee, &self.key)? {
                Found::At(i) => {
                    let seq = node.keys.get(i).map_or(0, |k| k.seq);
                    return Ok(Some(self.bee.node_block(seq)?.into()));
                }
                Found::Before(_) if node.is_leaf() => return Ok(None),
                Found::Before(i) => i,
            };
            let child = node.child(&self.bee, i)?;
            self.depth += 1;
            if self.depth >= MAX_DEPTH {
                return Err(Error::malformed(child.seq, "the tree is too deep"));
            }
            *node = child;
        }
        Ok(None)
    }

    /// Blocks the search may need next and the source does not have: keys and children of the node it is at, as
    /// JavaScript peers fetch them.
    pub fn wanted(&self) -> Vec<u64> {
        let Some(node) = &self.node else {
            let root = self.bee.version().saturating_sub(1);
            return if root > 0 && !self.bee.source().has(root) { vec![root] } else { Vec::new() };
        };
        let keys = node.keys.iter().filter(|k| k.key.is_none()).map(|k| k.seq);
        let mut all: Vec<u64> = keys.chain(node.children.iter().map(|c| c.0)).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|&seq| !self.bee.source().has(seq));
        all
    }
}
