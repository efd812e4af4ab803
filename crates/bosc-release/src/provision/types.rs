//! What a target is provisioned from, how it is laid out, and why that fails.

use crate::error::CommandError;
use crate::stage::{Leaf, TargetError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `bosc provision`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// The version to release, as a versioned link.
    pub source: String,
    /// The link to write to; its version part is ignored.
    pub target: String,
    /// The version of production to start from, as a versioned link; length 0 while there is none.
    pub production: String,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Write changed files whole, as Pear does, rather than naming blocks that are there.
    pub contiguous: bool,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
    /// How long to wait before writing, so that it can be stopped, in milliseconds.
    pub cooldown_ms: u64,
    /// Do not ask peers for a newer version of a target whose key other machines have as well.
    #[serde(default)]
    pub newest: bool,
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
}

/// Most blocks that the files of one drive may name: what is remembered of a source is bounded by it.
pub const MAX_BLOCKS: u64 = 16 * 1024 * 1024;

/// How changed files are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// As block maps that name what is there already.
    #[default]
    Dedup,
    /// Whole, in the source's blocks, as Pear's `provision` does.
    Contiguous,
}

/// The blobs core of a drive at one version. Reading may fetch from peers and fail when they do not deliver.
pub trait BlobTree {
    /// How many blocks it has.
    fn length(&self) -> u64;

    /// Hash and size of a block.
    fn leaf(&self, index: u64) -> Result<Leaf, ProvisionError>;

    /// A block, proved.
    fn block(&self, index: u64) -> Result<Bytes, ProvisionError>;

    /// Says that leaves of these blocks will be asked for, so that they can be fetched together.
    fn fetch_leaves(&self, blocks: Vec<u64>) -> Result<(), ProvisionError>;

    /// Says that these blocks will be asked for.
    fn fetch(&self, blocks: Vec<u64>) -> Result<(), ProvisionError>;
}

/// Why provisioning failed. Nothing of the batch was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// A drive holds something invalid.
    #[error("the drive: {0}")]
    Drive(#[from] bosc_drive::Error),
    /// A drive's content is not what its entries say.
    #[error("blobs block {block}: {what}")]
    Content {
        /// The block of the blobs core.
        block: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The target could not be read or written.
    #[error("the store: {0}")]
    Target(#[from] TargetError),
    /// Blocks could not be had.
    #[error(transparent)]
    Fetch(Box<CommandError>),
    /// The source has a file name that no drive written by its rules has.
    #[error("the source has a file with the name {0:?}, which no drive may have")]
    Name(String),
    /// The source's files name more blocks than are taken.
    #[error("the drive's files name more than {MAX_BLOCKS} blocks")]
    TooManyBlocks,
}

impl From<CommandError> for ProvisionError {
    fn from(e: CommandError) -> Self {
        Self::Fetch(Box::new(e))
    }
}
