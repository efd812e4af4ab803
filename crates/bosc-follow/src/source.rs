//! A core of the store as a source of blocks for reading drives.

use crate::beside::{self, CutBack};
use bosc_drive::{BlockSource, SourceError};
use bosc_format::merkle::Seek;
use bosc_store::{Core, ErrorKind};
use bytes::Bytes;

/// Bytes of blocks read at once: what the largest block of a file has. Most blocks of large files have 1 to 2 MiB, and four
/// and more of those are hashed side by side.
const TOGETHER: usize = 8 << 20;

/// A core at a fixed length of its present fork. Blocks are checked against the tree as they are read. When somebody else cuts
/// the core back, reading fails with [`CutBack`].
#[derive(Debug, Clone)]
pub struct CoreSource {
    core: Core,
    /// Of blobs beside a db: the db at the fork that their entries are of; they are as long as they are.
    db: Option<Core>,
    length: u64,
    /// Of the db, where there is one.
    fork: u64,
}

impl CoreSource {
    /// The core as long as it is now.
    pub fn new(core: &Core) -> Self {
        Self::cut(core, u64::MAX)
    }

    /// The core as it was at an older length.
    pub fn cut(core: &Core, length: u64) -> Self {
        let head = core.head();
        Self { core: core.clone(), db: None, length: head.length.min(length), fork: head.fork }
    }

    /// The blobs of the drive whose db this is, for what its entries name. While they are of a history before the db's, all
    /// of them is missing ([`crate::FollowedCore::block`] waits for that, too).
    #[must_use]
    pub fn contents(&self, blobs: &Core) -> Self {
        Self { core: blobs.clone(), db: Some(self.core.clone()), length: u64::MAX, fork: self.fork }
    }

    /// At this fork, of which the caller learned the rest: at another one, reading fails with [`CutBack`].
    #[must_use]
    pub fn of_fork(self, fork: u64) -> Self {
        Self { fork, ..self }
    }

    /// Whether blocks may be read now; `false`: later, once the contents of this history came.
    ///
    /// # Errors
    /// [`CutBack`]; what the store says.
    pub fn is_ready(&self) -> Result<bool, SourceError> {
        let told = self.db.as_ref().unwrap_or(&self.core);
        if told.head().fork != self.fork && !told.writable() {
            return Err(SourceError::Failed(Box::new(CutBack)));
        }
        let Some(db) = &self.db else { return Ok(true) };
        let lags = beside::lags(db, &self.core).map_err(|e| SourceError::Failed(Box::new(e)))?;
        Ok(!lags)
    }

    /// How long it is once it is ready.
    fn end(&self) -> u64 {
        self.length.min(self.core.length())
    }

    /// Why block `index` cannot be read. What was found damaged is not here any more, and peers may have it. Who writes a
    /// drive reads it without them.
    fn failed(&self, index: u64, e: bosc_store::Error) -> SourceError {
        match e.kind() == ErrorKind::Corrupt && !self.core.writable() && !self.has(index) {
            true => SourceError::Missing(index),
            false => SourceError::Failed(Box::new(e)),
        }
    }

    /// The core it reads.
    pub fn core(&self) -> &Core {
        &self.core
    }
}

impl BlockSource for CoreSource {
    fn length(&self) -> u64 {
        // What is to come may be longer than what is here.
        if self.db.is_some() && !self.is_ready().unwrap_or(false) { u64::MAX } else { self.end() }
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        if !self.is_ready()? || index >= self.end() {
            return Err(SourceError::Missing(index));
        }
        match self.core.block(index) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(SourceError::Missing(index)),
            Err(e) => Err(self.failed(index, e)),
        }
    }

    fn blocks(&self, indexes: &[u64]) -> Result<Vec<Bytes>, SourceError> {
        let Some(first) = indexes.first() else { return Ok(Vec::new()) };
        if !self.is_ready()? {
            return Err(SourceError::Missing(*first));
        }
        let end = self.end();
        let within = indexes.split(|i| *i >= end).next().unwrap_or_default();
        match self.core.blocks(within, TOGETHER) {
            Ok(blocks) if !blocks.is_empty() => Ok(blocks),
            // Not here, or beyond the end.
            Ok(_) => self.block(*first).map(|block| vec![block]),
            // Not asked for once more: what is damaged is only told the first time.
            Err(e) => Err(self.failed(*first, e)),
        }
    }

    fn has(&self, index: u64) -> bool {
        self.is_ready().unwrap_or(false) && index < self.end() && self.core.has(index).unwrap_or(false)
    }

    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        if !self.is_ready()? {
            return Ok(None);
        }
        match self.core.seek(offset) {
            Ok(Seek::Found { block, offset }) => Ok(Some((block, offset))),
            // The reader then walks the blocks.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_store::{CreateOptions, Options, Store};

    #[test]
    fn a_cut_core_ends_where_it_was_cut() {
        let store = Store::memory(Options::default()).unwrap();
        let core = store.create_core(CreateOptions::new()).unwrap();
        core.append(&["a".into(), "b".into(), "c".into()]).unwrap();
        let cut = CoreSource::cut(&core, 2);
        assert_eq!((cut.length(), cut.has(1), cut.has(2)), (2, true, false));
        assert!(matches!(cut.block(2), Err(SourceError::Missing(2))));
        assert_eq!(cut.block(1).unwrap(), "b");
        assert_eq!(CoreSource::cut(&core, 9).length(), 3);
        assert_eq!(cut.blocks(&[0, 1, 2]).unwrap(), ["a", "b"]);
        assert!(matches!(cut.blocks(&[2, 0]), Err(SourceError::Missing(2))));
        let whole = CoreSource::new(&core);
        assert_eq!(whole.blocks(&[2, 0]).unwrap(), ["c", "a"]);
        core.append(&["d".into()]).unwrap();
        assert_eq!(whole.length(), 3, "as long as it was");
    }
}
