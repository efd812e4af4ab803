//! Where blocks come from.

use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;

/// Why a block cannot be given now.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The block is not here yet: fetch it and call again.
    #[error("block {0} is not here yet")]
    Missing(u64),
    /// The place where blocks are kept failed.
    #[error("reading a block failed: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// Blocks of one core, by index. What a source returns is taken as proved: verifying is the source's business.
pub trait BlockSource {
    /// How many blocks the core has.
    fn length(&self) -> u64;

    /// The block at `index`.
    fn block(&self, index: u64) -> Result<Bytes, SourceError>;

    /// Some of the blocks at `indexes`, from the front: at least the first, or why that cannot be given. For sources that
    /// read several at once faster than one by one; what they give together takes little memory beyond one block's.
    fn blocks(&self, indexes: &[u64]) -> Result<Vec<Bytes>, SourceError> {
        indexes.iter().take(1).map(|i| self.block(*i)).collect()
    }

    /// Whether [`BlockSource::block`] would return the block without fetching it. Used only to choose what to
    /// announce as wanted.
    fn has(&self, index: u64) -> bool {
        self.block(index).is_ok()
    }

    /// The block that holds byte `offset` of the core and the place of that byte in it. `None` when the source
    /// does not know the sizes of blocks; a byte range of a contiguous blob is then found by walking its blocks.
    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        let _ = offset;
        Ok(None)
    }
}

impl<T: BlockSource + ?Sized> BlockSource for &T {
    fn length(&self) -> u64 {
        (**self).length()
    }
    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        (**self).block(index)
    }
    fn blocks(&self, indexes: &[u64]) -> Result<Vec<Bytes>, SourceError> {
        (**self).blocks(indexes)
    }
    fn has(&self, index: u64) -> bool {
        (**self).has(index)
    }
    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        (**self).seek(offset)
    }
}

impl<T: BlockSource + ?Sized> BlockSource for Arc<T> {
    fn length(&self) -> u64 {
        (**self).length()
    }
    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        (**self).block(index)
    }
    fn blocks(&self, indexes: &[u64]) -> Result<Vec<Bytes>, SourceError> {
        (**self).blocks(indexes)
    }
    fn has(&self, index: u64) -> bool {
        (**self).has(index)
    }
    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        (**self).seek(offset)
    }
}

/// A core held in memory; blocks may be absent.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    blocks: Vec<Option<Bytes>>,
}

impl MemorySource {
    /// An empty core.
    pub fn new() -> Self {
        Self::default()
    }

    /// A core of `length` blocks, none of them here.
    pub fn absent(length: usize) -> Self {
        Self { blocks: vec![None; length] }
    }

    /// Adds a block at the end.
    pub fn push(&mut self, block: impl Into<Bytes>) {
        self.blocks.push(Some(block.into()));
    }

    /// Puts a block in its place, growing the core when it lies beyond the end.
    pub fn set(&mut self, index: usize, block: impl Into<Bytes>) {
        if index >= self.blocks.len() {
            self.blocks.resize(index.saturating_add(1), None);
        }
        if let Some(slot) = self.blocks.get_mut(index) {
            *slot = Some(block.into());
        }
    }

    /// Forgets a block without changing the length.
    pub fn clear(&mut self, index: usize) {
        if let Some(slot) = self.blocks.get_mut(index) {
            *slot = None;
        }
    }

    /// Cuts the core down to `length` blocks.
    pub fn truncate(&mut self, length: usize) {
        self.blocks.truncate(length);
    }
}

impl<B: Into<Bytes>> FromIterator<B> for MemorySource {
    fn from_iter<I: IntoIterator<Item = B>>(blocks: I) -> Self {
        Self { blocks: blocks.into_iter().map(|b| Some(b.into())).collect() }
    }
}

impl<B: Into<Bytes>> Extend<B> for MemorySource {
    fn extend<I: IntoIterator<Item = B>>(&mut self, blocks: I) {
        self.blocks.extend(blocks.into_iter().map(|b| Some(b.into())));
    }
}

impl BlockSource for MemorySource {
    fn length(&self) -> u64 {
        self.blocks.len() as u64
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        usize::try_from(index)
            .ok()
            .and_then(|i| self.blocks.get(i))
            .and_then(Clone::clone)
            .ok_or(SourceError::Missing(index))
    }
}
