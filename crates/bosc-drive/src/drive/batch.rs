//! Changes to a drive's file tree, as one append.

use super::entry::EntryValue;
use super::key::files_key;
use super::path;
use crate::bee::{Batch, BatchBlocks, Header, RisingBatch};
use crate::{BlockSource, Result};
use bytes::Bytes;

/// Puts and deletes of entries; see [`Batch`] for its guarantees.
#[derive(Debug)]
pub struct DriveBatch<S> {
    batch: Batch<S>,
}

impl<S: BlockSource> DriveBatch<S> {
    /// A batch on the end of a drive's db; an empty db gets a drive's header.
    pub fn new(db: S) -> Self {
        Self { batch: Batch::new(db, Header::drive()) }
    }

    /// Puts an entry; returns the block it will be in.
    pub fn put(&mut self, name: &str, value: &EntryValue) -> Result<u64> {
        self.put_encoded(name, value.encode().into())
    }

    /// Puts what [`EntryValue::encode`] gave: of many entries it takes less memory.
    pub fn put_encoded(&mut self, name: &str, value: Bytes) -> Result<u64> {
        self.batch.put(files_key(&path::normalize(name)?), Some(value))
    }

    /// Deletes an entry; `false` when there was none.
    pub fn del(&mut self, name: &str) -> Result<bool> {
        self.batch.del(files_key(&path::normalize(name)?))
    }

    /// Puts a key outside the file tree. The value must be JSON text for JavaScript to read it.
    pub fn put_raw(&mut self, key: &str, value: impl Into<Bytes>) -> Result<u64> {
        self.batch.put(Bytes::copy_from_slice(key.as_bytes()), Some(value.into()))
    }

    /// Deletes a key outside the file tree.
    pub fn del_raw(&mut self, key: &str) -> Result<bool> {
        self.batch.del(Bytes::copy_from_slice(key.as_bytes()))
    }

    /// How many blocks the operations make, without a header.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The db's length once the blocks are appended.
    pub fn version(&self) -> u64 {
        self.batch.version()
    }

    /// The blocks to append, all at once.
    pub fn into_blocks(self) -> Vec<Vec<u8>> {
        self.batch.into_blocks()
    }

    /// The same one after the other, each made when it is asked for.
    pub fn blocks(self) -> BatchBlocks {
        self.batch.blocks()
    }

    /// Goes on with puts of entries in the order of their keys only; see [`RisingBatch`].
    pub fn rising(self) -> RisingDriveBatch<S> {
        RisingDriveBatch { batch: self.batch.rising() }
    }
}

/// A batch of which only entries in the order of their keys are to come.
#[derive(Debug)]
pub struct RisingDriveBatch<S> {
    batch: RisingBatch<S>,
}

impl<S: BlockSource> RisingDriveBatch<S> {
    /// Puts what [`EntryValue::encode`] gave; returns the block it will be in.
    ///
    /// # Errors
    /// As [`RisingBatch::put`]; a name that is none.
    pub fn put_encoded(&mut self, name: &str, value: Bytes) -> Result<u64> {
        self.batch.put(files_key(&path::normalize(name)?), Some(value))
    }

    /// The next block, if no put that is to come can change it.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        self.batch.next_block()
    }

    /// The blocks that [`RisingDriveBatch::next_block`] has not given.
    pub fn finish(self) -> BatchBlocks {
        self.batch.finish()
    }
}
