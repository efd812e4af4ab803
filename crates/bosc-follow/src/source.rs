//! A core of the store as a source of blocks for reading drives.

use bosc_drive::{BlockSource, SourceError};
use bosc_format::merkle::Seek;
use bosc_store::{Core, ErrorKind};
use bytes::Bytes;

/// Bytes of blocks read at once.
const TOGETHER: usize = 1 << 20;

/// A core at a fixed length. Blocks are checked against the tree as they are read.
#[derive(Debug, Clone)]
pub struct CoreSource {
    core: Core,
    length: u64,
}

impl CoreSource {
    /// The core as long as it is now.
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), length: core.length() }
    }

    /// The core as it was at an older length.
    pub fn cut(core: &Core, length: u64) -> Self {
        Self { core: core.clone(), length: core.length().min(length) }
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
        self.length
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        if index >= self.length {
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
        let within = indexes.split(|i| *i >= self.length).next().unwrap_or_default();
        match self.core.blocks(within, TOGETHER) {
            Ok(blocks) if !blocks.is_empty() => Ok(blocks),
            // Not here, or beyond the end.
            Ok(_) => self.block(*first).map(|block| vec![block]),
            // Not asked for once more: what is damaged is only told the first time.
            Err(e) => Err(self.failed(*first, e)),
        }
    }

    fn has(&self, index: u64) -> bool {
        index < self.length && self.core.has(index).unwrap_or(false)
    }

    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
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
