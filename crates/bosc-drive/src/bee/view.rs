//! A bee at one version: its header and its blocks. What is read of it is in the file of the reader.

use super::entry::Entry;
use super::proto::{Header, NodeBlock};
use crate::{BlockSource, Error, Result};

/// A bee read at one version.
#[derive(Debug, Clone, Copy)]
pub struct Bee<S> {
    pub(super) source: S,
    pub(super) version: u64,
}

impl<S: BlockSource> Bee<S> {
    /// The bee at the core's present length.
    pub fn new(source: S) -> Self {
        let version = source.length().max(1);
        Self { source, version }
    }

    /// The bee as it was when the core was `version` blocks long. 0 and 1 are the empty bee.
    pub fn checkout(source: S, version: u64) -> Self {
        Self { source, version: version.max(1) }
    }

    /// The length this bee is read at, at least 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where its blocks come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Block 0; `None` when the core is empty. Fails with [`Error::NotABee`] when it is not a bee's.
    pub fn header(&self) -> Result<Option<Header>> {
        if self.source.length() == 0 {
            return Ok(None);
        }
        let header = Header::decode(&self.source.block(0)?)?;
        if header.protocol == Header::PROTOCOL { Ok(Some(header)) } else { Err(Error::NotABee) }
    }

    /// The operation that block `seq` wrote, whether or not it still holds.
    pub fn get_by_seq(&self, seq: u64) -> Result<Entry> {
        Ok(self.node_block(seq)?.into())
    }

    pub(super) fn node_block(&self, seq: u64) -> Result<NodeBlock> {
        NodeBlock::decode(seq, &self.source.block(seq)?)
    }
}
