//! Reading a blob: which parts of which blocks, and the bytes in order.

use super::id::BlobId;
use super::map::{BlockRef, MAX_MAP_BLOCKS, decode_map};
use crate::error::{Error, Result};
use crate::source::{BlockSource, SourceError};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;

/// Blocks asked for at once.
const AHEAD: u64 = 32;

/// A part of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The block in the blobs core.
    pub block: u64,
    /// Bytes of the block to skip.
    pub start: u64,
    /// Bytes to take after that.
    pub length: u64,
    /// What the block must hold in all.
    pub block_size: u64,
}

/// What to read for a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadPlan {
    /// The file has a block map: these parts of these blocks, in order.
    Pieces(Vec<Piece>),
    /// The file is a run of blocks whose sizes are not known beforehand: read them in order, drop the first `skip`
    /// bytes and stop after `length`.
    Run {
        /// The blocks.
        blocks: Range<u64>,
        /// Bytes to drop. They lie in the first block if the source could seek, else they may span several.
        skip: u64,
        /// Bytes to take.
        length: u64,
    },
}

impl ReadPlan {
    /// How many bytes of the file it yields.
    pub fn length(&self) -> u64 {
        match self {
            Self::Pieces(pieces) => pieces.iter().fold(0, |n, p| n.saturating_add(p.length)),
            Self::Run { length, .. } => *length,
        }
    }

    /// The `i`-th block it reads.
    fn block(&self, i: u64) -> Option<u64> {
        match self {
            Self::Pieces(pieces) => pieces.get(usize::try_from(i).ok()?).map(|p| p.block),
            Self::Run { blocks, .. } => blocks.start.checked_add(i).filter(|b| blocks.contains(b)),
        }
    }
}

/// Reads and decodes the map of a blob that has one. Fails with [`Error::Missing`] for the first map block that is not
/// here; all are `block_offset .. block_offset + block_length`.
pub fn load_map<S: BlockSource>(source: &S, id: &BlobId) -> Result<Vec<BlockRef>> {
    if id.block_length > MAX_MAP_BLOCKS {
        return Err(Error::TooLarge("a block map"));
    }
    let blocks: Vec<Bytes> = (0..id.block_length)
        .map(|i| Ok(source.block(id.block_offset.saturating_add(i))?))
        .collect::<Result<_>>()?;
    let refs = decode_map(id.block_offset, &blocks)?;
    match refs.iter().find(|r| r.index >= source.length()) {
        Some(_) => Err(Error::malformed(id.block_offset, "a block map names a block beyond the core")),
        None => Ok(refs),
    }
}

/// The file's size in bytes. Needs the map of a blob that has one.
pub fn content_length<S: BlockSource>(source: &S, id: &BlobId) -> Result<u64> {
    if !id.block_map {
        return Ok(id.byte_length);
    }
    Ok(load_map(source, id)?.iter().fold(0u64, |n, r| n.saturating_add(r.byte_length)))
}

/// The blocks that hold the content, in order, as runs; map blocks are not among them.
pub fn content_blocks<S: BlockSource>(source: &S, id: &BlobId) -> Result<Vec<Range<u64>>> {
    if !id.block_map {
        return Ok(vec![run(source, id)?]);
    }
    let mut runs: Vec<Range<u64>> = Vec::new();
    for r in load_map(source, id)? {
        match runs.last_mut() {
            Some(last) if last.end == r.index => last.end = r.index.saturating_add(1),
            _ => runs.push(r.index..r.index.saturating_add(1)),
        }
    }
    Ok(runs)
}

fn run<S: BlockSource>(source: &S, id: &BlobId) -> Result<Range<u64>> {
    let end = id.block_offset.checked_add(id.block_length);
    let end = end.filter(|&end| end <= source.length() || id.block_length == 0);
    Ok(id.block_offset..end.ok_or(Error::malformed(id.block_offset, "a blob lies beyond the core"))?)
}

/// What to read for the bytes `range` of the file, cut to its size. Needs the map of a blob that has one.
pub fn read_plan<S: BlockSource>(source: &S, id: &BlobId, range: Range<u64>) -> Result<ReadPlan> {
    if id.block_map {
        return Ok(ReadPlan::Pieces(plan_map(&load_map(source, id)?, &range)));
    }
    let blocks = run(source, id)?;
    let end = range.end.min(id.byte_length);
    let length = end.saturating_sub(range.start);
    if length == 0 {
        return Ok(ReadPlan::Run { blocks: blocks.start..blocks.start, skip: 0, length: 0 });
    }
    let (mut first, mut skip, mut last) = (blocks.start, range.start, blocks.end);
    if range.start > 0
        && let Some((block, offset)) = source.seek(id.byte_offset.saturating_add(range.start))?
        && blocks.contains(&block)
    {
        (first, skip) = (block, offset);
    }
    if end < id.byte_length
        && let Some((block, _)) = source.seek(id.byte_offset.saturating_add(end - 1))?
        && blocks.contains(&block)
    {
        last = block.saturating_add(1);
    }
    Ok(ReadPlan::Run { blocks: first..last, skip, length })
}

fn plan_map(refs: &[BlockRef], range: &Range<u64>) -> Vec<Piece> {
    let mut at = 0u64;
    let mut pieces = Vec::new();
    for r in refs {
        let end = at.saturating_add(r.byte_length);
        let (from, to) = (range.start.max(at), range.end.min(end));
        if from < to {
            pieces.push(Piece {
                block: r.index,
                start: from - at,
                length: to - from,
                block_size: r.byte_length,
            });
        }
        at = end;
    }
    pieces
}

/// Iterator over a blob's bytes, a slice of a block at a time, without copying. `Err(Error::Missing(i))` does not
/// advance it: fetch block `i` of the blobs core, and better all of [`BlobReader::wanted`], and call again. Any other
/// error ends it. It yields exactly the bytes asked for or ends with an error.
#[derive(Debug, Clone)]
pub struct BlobReader<S> {
    source: S,
    id: BlobId,
    range: Range<u64>,
    plan: Option<ReadPlan>,
    /// Which block of the plan comes next.
    at: u64,
    /// Blocks of the plan that were read with the one before, from `at` on.
    ahead: VecDeque<Bytes>,
    skip: u64,
    left: u64,
    done: bool,
}

impl<S: BlockSource> BlobReader<S> {
    /// The whole file.
    pub fn new(source: S, id: BlobId) -> Self {
        Self::range(source, id, 0..u64::MAX)
    }

    /// The bytes `range` of the file, cut to its size.
    pub fn range(source: S, id: BlobId, range: Range<u64>) -> Self {
        Self { source, id, range, plan: None, at: 0, ahead: VecDeque::new(), skip: 0, left: 0, done: false }
    }

    /// Up to `max` blocks it will need and the source does not have, in order: map blocks first. Looks at most at
    /// 65,536 blocks ahead.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        let ahead = 0..65_536u64;
        let first = self.id.block_offset;
        let blocks: Box<dyn Iterator<Item = u64>> = match &self.plan {
            Some(_) if self.left == 0 => return Vec::new(),
            Some(plan) => Box::new(ahead.map_while(|i| plan.block(self.at.saturating_add(i)))),
            None => {
                let count = if self.id.block_map { MAX_MAP_BLOCKS } else { ahead.end };
                Box::new((0..self.id.block_length.min(count)).map(|i| first.saturating_add(i)))
            }
        };
        blocks.filter(|&i| !self.source.has(i)).take(max).collect()
    }

    /// How many bytes are still to come; `None` until the first call of `next` that had what it needed to plan.
    pub fn remaining(&self) -> Option<u64> {
        self.plan.as_ref().map(|_| self.left)
    }

    fn step(&mut self) -> Result<Option<Bytes>> {
        let plan = match &self.plan {
            Some(plan) => plan,
            None => {
                let plan = read_plan(&self.source, &self.id, self.range.clone())?;
                self.left = plan.length();
                if let ReadPlan::Run { skip, .. } = plan {
                    self.skip = skip;
                }
                self.plan.insert(plan)
            }
        };
        while self.left > 0 {
            let index = plan.block(self.at);
            let index =
                index.ok_or(Error::malformed(self.id.block_offset, "a blob is shorter than it says"))?;
            if self.ahead.is_empty() {
                let next: Vec<u64> =
                    (0..AHEAD).map_while(|i| plan.block(self.at.saturating_add(i))).collect();
                self.ahead = self.source.blocks(&next)?.into();
            }
            let block = self.ahead.pop_front().ok_or(SourceError::Missing(index))?;
            let size = block.len() as u64;
            let (start, length) = match plan {
                ReadPlan::Pieces(pieces) => {
                    let piece = usize::try_from(self.at).ok().and_then(|i| pieces.get(i));
                    let piece = piece.filter(|p| p.block_size == size);
                    let piece = piece
                        .ok_or(Error::malformed(index, "a block does not have the size that its map says"))?;
                    (piece.start, piece.length)
                }
                ReadPlan::Run { .. } if size == 0 => {
                    return Err(Error::malformed(index, "a block of a blob is empty"));
                }
                ReadPlan::Run { .. } => {
                    let start = self.skip.min(size);
                    self.skip -= start;
                    (start, (size - start).min(self.left))
                }
            };
            self.at = self.at.saturating_add(1);
            self.left = self.left.saturating_sub(length);
            let range = usize::try_from(start).ok().zip(usize::try_from(start.saturating_add(length)).ok());
            match range {
                Some((start, end)) if start < end && end <= block.len() => {
                    return Ok(Some(block.slice(start..end)));
                }
                Some((start, end)) if start == end => {}
                _ => return Err(Error::malformed(index, "a block does not have the size that its map says")),
            }
        }
        Ok(None)
    }
}

impl<S: BlockSource> Iterator for BlobReader<S> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.step();
        self.done = !matches!(result, Ok(Some(_)) | Err(Error::Missing(_)));
        result.transpose()
    }
}
