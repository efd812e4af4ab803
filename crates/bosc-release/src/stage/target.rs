//! What a stage writes to.

use bosc_drive::BlockSource;
use bosc_format::crypto::{CoreKey, Hash};
use bytes::Bytes;
use thiserror::Error;

/// State of a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreState {
    /// The core's key.
    pub key: CoreKey,
    /// How often it was truncated.
    pub fork: u64,
    /// Blocks.
    pub length: u64,
    /// Bytes of all blocks.
    pub byte_length: u64,
    /// Hash of the tree's roots.
    pub tree_hash: Hash,
}

/// State of a drive's two cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetState {
    /// The bee of entries.
    pub db: CoreState,
    /// The content.
    pub blobs: CoreState,
}

/// A leaf of the blobs core's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// [`bosc_format::crypto::leaf_hash`] of the block.
    pub hash: Hash,
    /// Bytes of the block.
    pub size: u64,
}

/// A block to append, with its leaf hash, so that nobody hashes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobBlock {
    /// [`bosc_format::crypto::leaf_hash`] of `bytes`.
    pub hash: Hash,
    /// The block.
    pub bytes: Bytes,
}

/// The store failed, or misses something.
#[derive(Debug, Error)]
pub enum TargetError {
    /// This block or leaf of the blobs core is not on this machine.
    #[error("block {0} of the blobs core is not here")]
    Missing(u64),
    /// The store failed.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// A writable drive: its db and blobs cores.
///
/// What is appended is seen by no reader, and by no method here but [`StageTarget::blob_leaf`] and [`StageTarget::commit`], until
/// that succeeds; then all of it is. All methods are called from one thread.
pub trait StageTarget {
    /// State of the committed cores.
    fn state(&self) -> Result<TargetState, TargetError>;

    /// The committed db.
    fn db(&self) -> &dyn BlockSource;

    /// The committed db, to be read while blocks are appended to it. `None`: all new entries are made in memory and
    /// given to [`StageTarget::commit`].
    fn db_beside(&self) -> Option<Box<dyn BlockSource>> {
        None
    }

    /// Appends blocks to the db, invisibly. For those who got [`StageTarget::db_beside`].
    fn append_db(&mut self, blocks: Vec<Bytes>) -> Result<(), TargetError> {
        let _ = blocks;
        Err(TargetError::Failed("the db takes blocks with the commit only".into()))
    }

    /// A leaf of the blobs core, of what was appended to it as well.
    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError>;

    /// A block of the committed blobs core; only block maps are asked for.
    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError>;

    /// Appends blocks to the blobs core, invisibly.
    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError>;

    /// Appends `blocks` to the db and makes all that was appended to both cores visible and durable at once.
    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError>;

    /// Drops what was appended since the last commit.
    fn rollback(&mut self);
}
