//! Which ranges of a piece to ask for, and what is in an answer.

use crate::head::CoreHead;
use crate::layout::{Part, Piece};
use crate::tree::ProvenTree;
use bosc_format::crypto::leaf_hashes;
use bosc_format::merkle::{self, TreeError, TreeReader};
use bytes::Bytes;
use std::ops::Range;

/// Bytes that are rather read than asked around: about what another request costs.
const GAP: u64 = 32 << 10;
/// From how many quarters of a piece on all of it is asked for: caches between keep whole objects, and few keep ranges.
const QUARTERS: u64 = 3;

/// Why blocks cannot be read, or were not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Tiles around this block are missing: [`ProvenTree::lacks`].
    #[error("the place of block {0} is not known")]
    Lacks(u64),
    /// The head says that a piece has another size than its blocks have.
    #[error("the head says {said} bytes for a piece that has {has}")]
    Size {
        /// In the head.
        said: u64,
        /// By the tree.
        has: u64,
    },
    /// An answer has another length.
    #[error("{got} bytes came, and {expected} were expected")]
    Length {
        /// What was asked for.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// What came is not the block.
    #[error("the bytes of block {0} are not the drive's")]
    Wrong(u64),
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(TreeError),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where, below the mirror's address.
    pub path: String,
    /// Bytes of the whole object.
    pub object: u64,
    /// The bytes to ask for; `None`: all of it.
    pub range: Option<Range<u64>>,
    /// The blocks that are wanted of it, and where each is in the object.
    pub blocks: Vec<(u64, Range<u64>)>,
}

fn tree_error(block: u64) -> impl Fn(TreeError) -> ReadError {
    move |e| match e {
        TreeError::Missing(_) => ReadError::Lacks(block),
        e => ReadError::Tree(e),
    }
}

/// What to ask for, for these blocks of one piece. With `ranges` only what is needed of it, in as few requests as is sensible.
///
/// # Errors
/// [`ReadError::Lacks`]: tiles come first. [`ReadError::Size`]: the head cannot be used.
pub fn plan(
    part: Part,
    core: &CoreHead,
    tree: &ProvenTree,
    piece: &Piece,
    blocks: &[u64],
    ranges: bool,
) -> Result<Vec<Read>, ReadError> {
    let head = tree.head();
    let start = merkle::byte_offset(tree, head, piece.start).map_err(tree_error(piece.start))?;
    let last = piece.end.saturating_sub(1);
    let end = merkle::byte_range(tree, head, last).map_err(tree_error(last))?.end;
    let object = end.saturating_sub(start);
    if object != piece.bytes {
        return Err(ReadError::Size { said: piece.bytes, has: object });
    }
    let path = core.layout.piece_path(part, piece).unwrap_or_default();
    let mut places = Vec::new();
    for block in blocks.iter().copied().filter(|b| piece.blocks().contains(b)) {
        let range = merkle::byte_range(tree, head, block).map_err(tree_error(block))?;
        let within = range.start.saturating_sub(start)..range.end.saturating_sub(start);
        if within.end > object {
            return Err(ReadError::Size { said: piece.bytes, has: within.end });
        }
        places.push((block, within));
    }
    places.sort_unstable_by_key(|(block, _)| *block);
    let mut reads: Vec<Read> = Vec::new();
    for (block, place) in places {
        match reads.last_mut() {
            Some(Read { range: Some(range), blocks, .. }) if place.start.saturating_sub(range.end) <= GAP => {
                range.end = range.end.max(place.end);
                blocks.push((block, place));
            }
            _ => reads.push(Read {
                path: path.clone(),
                object,
                range: Some(place.clone()),
                blocks: vec![(block, place)],
            }),
        }
    }
    let asked: u64 =
        reads.iter().filter_map(|r| r.range.as_ref()).map(|r| r.end.saturating_sub(r.start)).sum();
    let whole = asked.saturating_mul(4) >= object.saturating_mul(QUARTERS) || !ranges;
    if whole && !reads.is_empty() {
        let blocks = reads.into_iter().flat_map(|r| r.blocks).collect();
        return Ok(vec![Read { path, object, range: None, blocks }]);
    }
    Ok(reads)
}

impl Read {
    /// Bytes of the answer, when the server does as it was asked.
    pub fn len(&self) -> u64 {
        self.range.as_ref().map_or(self.object, |r| r.end.saturating_sub(r.start))
    }

    /// Whether nothing is to be asked for: all blocks are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The blocks in an answer, not proved: for those who do that together with storing them. `whole`: the server sent the whole
    /// object, whatever was asked for.
    ///
    /// # Errors
    /// [`ReadError::Length`].
    pub fn cut(&self, answer: &Bytes, whole: bool) -> Result<Vec<(u64, Bytes)>, ReadError> {
        let expected = if whole { self.object } else { self.len() };
        if answer.len() as u64 != expected {
            return Err(ReadError::Length { expected, got: answer.len() as u64 });
        }
        let from = if whole { 0 } else { self.range.as_ref().map_or(0, |r| r.start) };
        let mut out = Vec::with_capacity(self.blocks.len());
        for (block, place) in &self.blocks {
            let cut = |n: u64| usize::try_from(n.checked_sub(from)?).ok();
            let bytes = cut(place.start).zip(cut(place.end)).filter(|(a, b)| a <= b && *b <= answer.len());
            let (a, b) = bytes.ok_or(ReadError::Wrong(*block))?;
            out.push((*block, answer.slice(a..b)));
        }
        Ok(out)
    }

    /// The blocks in an answer, each proved.
    ///
    /// # Errors
    /// [`ReadError::Length`], [`ReadError::Wrong`]: it is not what the drive has there.
    pub fn blocks(
        &self,
        answer: &Bytes,
        whole: bool,
        tree: &ProvenTree,
    ) -> Result<Vec<(u64, Bytes)>, ReadError> {
        let out = self.cut(answer, whole)?;
        let hashes = leaf_hashes(&out.iter().map(|(_, b)| b.as_ref()).collect::<Vec<_>>());
        for ((block, bytes), hash) in out.iter().zip(hashes) {
            let leaf = tree.node(block.saturating_mul(2)).ok().flatten().ok_or(ReadError::Lacks(*block))?;
            if leaf.hash != hash || leaf.size != bytes.len() as u64 {
                return Err(ReadError::Wrong(*block));
            }
        }
        Ok(out)
    }
}
