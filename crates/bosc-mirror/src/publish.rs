//! What has to be written for a new head.
//!
//! ```text
//! the head before ── its objects stay where they are ──────────────┐
//! the new head    ── which blocks are in no piece? which tiles new? ┴─> objects to write, the head, what is retired
//! ```
//!
//! Invariants: an object of the head before that the new one needs keeps its name; a name that was used means the same bytes for ever
//! ([`Lineage`]); a small piece at the end is written anew with what follows it, so that a core of many small versions has few pieces,
//! and at most [`MERGE`] bytes are written twice for it.

use crate::head::CoreHead;
use crate::layout::{Layout, Lineage, MAX_LINEAGES, MAX_PIECE, MAX_PIECES, NODE, PIECE, Part, Piece, Tile};
use bosc_format::crypto::CoreKey;
use bosc_format::flat_tree;
use bosc_format::manifest::Manifest;
use bosc_format::merkle::{Head, Node, TreeError, TreeReadError, TreeReader};
use std::collections::BTreeSet;
use std::ops::Range;

/// Smaller pieces at the end are joined with what follows.
pub const MERGE: u64 = 256 << 10;

/// Why nothing can be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A node or a block's size is not known here.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A block is larger than a piece may be.
    #[error("block {0} is larger than a mirror takes")]
    Block(u64),
    /// The core has more pieces than a head holds.
    #[error("the drive is larger than a mirror takes")]
    Pieces,
}

impl From<TreeReadError> for PublishError {
    fn from(e: TreeReadError) -> Self {
        Self::Tree(e.into())
    }
}

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Tree nodes: [`Tile::encode`].
    Tile(Tile),
    /// The bytes of its blocks.
    Piece(Piece),
}

/// What to do for one core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its new head, to be written when all objects are.
    pub core: CoreHead,
    /// Objects that the mirror does not have yet, and where each goes.
    pub objects: Vec<(String, Object)>,
    /// What only the head before needs.
    pub retired: Vec<String>,
}

impl Tile {
    /// Its bytes.
    ///
    /// # Errors
    /// A node is not known.
    pub fn encode(self, head: &Head, tree: &dyn TreeReader) -> Result<Vec<u8>, TreeError> {
        let mut out = Vec::with_capacity(self.bytes());
        for i in 0..self.width {
            let node = node(head, tree, self.index(i))?;
            out.extend_from_slice(&node.size.to_le_bytes());
            out.extend_from_slice(&node.hash);
        }
        debug_assert_eq!(out.len(), usize::try_from(self.width).unwrap_or(0) * NODE);
        Ok(out)
    }
}

fn node(head: &Head, tree: &dyn TreeReader, index: u64) -> Result<Node, TreeError> {
    match head.root(index) {
        Some(root) => Ok(*root),
        None => tree.node(index)?.ok_or(TreeError::Missing(index)),
    }
}

/// How many blocks of the head before are certainly the same in the new one: as many as its roots, and what is known below them, show.
fn shared(before: &Head, old: &dyn TreeReader, head: &Head, tree: &dyn TreeReader) -> Result<u64, TreeError> {
    let mut same = 0;
    for root in &before.roots {
        let mut at = Some(*root);
        while let Some(known) = at.take() {
            let end = flat_tree::end_block(known.index);
            let new = if end <= head.length { Some(node(head, tree, known.index)) } else { None };
            match new {
                Some(Ok(new)) if new.hash == known.hash => {
                    same = end;
                    // The left half was the same: on with what is right of it, below the root that differs.
                    at = next_below(root.index, known.index, old)?;
                }
                Some(Err(e @ TreeError::Read(_))) => return Err(e),
                _ => at = old.node(flat_tree::left_child(known.index))?.filter(|n| n.index != known.index),
            }
        }
        if same < flat_tree::end_block(root.index) {
            break;
        }
    }
    Ok(same)
}

/// The node right of `done`, below `root` and under the same parent.
fn next_below(root: u64, done: u64, old: &dyn TreeReader) -> Result<Option<Node>, TreeError> {
    if done == root || !flat_tree::is_left(done) {
        return Ok(None);
    }
    Ok(old.node(flat_tree::sibling(done))?)
}

/// Every object that a head needs.
fn paths(part: Part, core: &CoreHead) -> BTreeSet<String> {
    let tiles = Tile::all(core.head.length).filter_map(|t| core.layout.tile_path(part, t));
    tiles.chain(core.layout.pieces.iter().filter_map(|p| core.layout.piece_path(part, p))).collect()
}

impl CoreHead {
    /// Whether a longer head of the same history can be told from this one alone: its roots are all in it.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn grows_to(&self, head: &Head, tree: &dyn TreeReader) -> Result<bool, TreeError> {
        let none: std::collections::BTreeMap<u64, Node> = std::collections::BTreeMap::new();
        let same = shared(&self.head, &none, head, tree)?;
        Ok(same == self.head.length && self.head.fork == head.fork)
    }

    /// Every object that this head needs, by where it is.
    pub fn objects(&self, part: Part) -> BTreeSet<String> {
        paths(part, self)
    }
}

/// What to write so that a mirror has `head` of a core, of which it has `before` already (verified, and of the same core), and what is
/// known of its tree: when the core was cut back, that tells how much of it stays. `wanted`: the blocks that are to be on it, in order.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(
    part: Part,
    (key, manifest): (&CoreKey, Option<&Manifest>),
    (head, tree): (&Head, &dyn TreeReader),
    wanted: &[Range<u64>],
    before: Option<(&CoreHead, &dyn TreeReader)>,
) -> Result<Publication, PublishError> {
    let layout = match before {
        Some((before, old)) => layout_after(key, (before, old), head, tree)?,
        None => Layout::default(),
    };
    let before = before.map(|(before, _)| before);
    let mut layout = if head.length > 0 && layout.lineages.is_empty() {
        Layout { lineages: vec![Lineage::begin(key, head.fork, &head.tree_hash(), 0)], ..Layout::default() }
    } else {
        layout
    };
    let kept = std::mem::take(&mut layout.pieces);
    layout.pieces = cut(kept, wanted, head, tree)?;
    if layout.pieces.len() > MAX_PIECES {
        return Err(PublishError::Pieces);
    }
    let core = CoreHead { key: *key, manifest: manifest.cloned(), head: head.clone(), layout };
    let old = before.map(|b| paths(part, b)).unwrap_or_default();
    let tiles = Tile::all(head.length).map(|t| (core.layout.tile_path(part, t), Object::Tile(t)));
    let pieces = core.layout.pieces.iter().map(|p| (core.layout.piece_path(part, p), Object::Piece(*p)));
    let objects =
        tiles.chain(pieces).filter_map(|(path, o)| Some((path?, o))).filter(|(path, _)| !old.contains(path));
    let objects = objects.collect();
    let now = paths(part, &core);
    let retired = old.into_iter().filter(|path| !now.contains(path)).collect();
    Ok(Publication { core, objects, retired })
}

/// The lineages of the new head, and the pieces that stay.
fn layout_after(
    key: &CoreKey,
    (before, old): (&CoreHead, &dyn TreeReader),
    head: &Head,
    tree: &dyn TreeReader,
) -> Result<Layout, PublishError> {
    let same = shared(&before.head, old, head, tree)?;
    let grows = same == before.head.length && before.head.fork == head.fork;
    let mut layout = before.layout.clone();
    layout.pieces.retain(|p| p.end <= same);
    if grows || head.length == 0 {
        if head.length == 0 {
            layout = Layout::default();
        }
        return Ok(layout);
    }
    // What is left of it was cut from a history that may end elsewhere: only whole objects below the cut are shared.
    layout.lineages.retain(|l| l.start < same);
    if same == 0 || same >= head.length || layout.lineages.len() >= MAX_LINEAGES {
        layout = Layout::default();
    }
    let start = if layout.lineages.is_empty() { 0 } else { same };
    layout.lineages.push(Lineage::begin(key, head.fork, &head.tree_hash(), start));
    Ok(layout)
}

/// Cuts the wanted blocks into pieces; those that are there stay as they are, but for small ones at the end.
fn cut(
    mut kept: Vec<Piece>,
    wanted: &[Range<u64>],
    head: &Head,
    tree: &dyn TreeReader,
) -> Result<Vec<Piece>, PublishError> {
    kept.retain(|p| wanted.iter().any(|w| w.start < p.end && p.start < w.end));
    let mut joined = 0u64;
    let grown = wanted.last().is_some_and(|w| kept.last().is_some_and(|p| w.end > p.end && w.start <= p.end));
    while let Some(last) = kept.last().filter(|_| grown) {
        joined = joined.saturating_add(last.bytes);
        if joined > MERGE {
            break;
        }
        let start = last.start;
        kept.pop();
        // Before a hole nothing is joined.
        if kept.last().is_none_or(|p| p.end != start) {
            break;
        }
    }
    let mut out: Vec<Piece> = Vec::new();
    let mut kept = kept.into_iter().peekable();
    for range in wanted {
        let mut at = range.start;
        let end = range.end.min(head.length);
        let mut open: Option<Piece> = None;
        while at < end {
            while let Some(piece) = kept.next_if(|p| p.end <= at) {
                out.push(piece);
            }
            if let Some(piece) = kept.next_if(|p| p.start <= at) {
                out.extend(open.take());
                at = piece.end;
                out.push(piece);
                continue;
            }
            let size = node(head, tree, at.saturating_mul(2))?.size;
            if size > MAX_PIECE {
                return Err(PublishError::Block(at));
            }
            open = Some(match open {
                Some(p) if p.bytes.saturating_add(size) <= PIECE => {
                    Piece { end: at + 1, bytes: p.bytes.saturating_add(size), ..p }
                }
                full => {
                    out.extend(full);
                    Piece { start: at, end: at + 1, bytes: size }
                }
            });
            at += 1;
        }
        out.extend(open);
    }
    out.extend(kept);
    out.sort_unstable();
    out.dedup();
    Ok(out)
}
