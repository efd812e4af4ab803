//! What can go wrong while reading or writing a drive.

use crate::source::SourceError;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A block is not here yet: fetch it and call again. Whether it is a block of the db or of the blobs core
    /// follows from what was asked.
    #[error("block {0} is not here yet")]
    Missing(u64),
    /// The place where blocks are kept failed.
    #[error("reading a block failed: {0}")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A block does not hold what its format says; the drive was written wrongly or by someone hostile.
    #[error("block {block} is malformed: {what}")]
    Malformed {
        /// Index of the block.
        block: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The version is not the end of a batch, so no tree can be read there.
    #[error("length {0} is inside a batch, not a version")]
    NotAVersion(u64),
    /// The core does not hold a Hyperbee.
    #[error("the core does not hold a Hyperbee")]
    NotABee,
    /// A path or key is not one a drive can hold.
    #[error("invalid path {path:?}: {why}")]
    InvalidPath {
        /// The path as given.
        path: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A value is larger than this implementation takes.
    #[error("{0} is over its bound")]
    TooLarge(&'static str),
    /// A key of a batch whose keys must rise does not come after the one before it.
    #[error("the keys of a batch that is made as it grows must rise")]
    NotRising,
    /// Symlinks follow each other for too long.
    #[error("too many symlinks on the way to {0:?}")]
    SymlinkLoop(String),
}

impl Error {
    /// The block to fetch before calling again, when that is all that is wrong.
    pub fn missing(&self) -> Option<u64> {
        match self {
            Self::Missing(index) => Some(*index),
            _ => None,
        }
    }

    pub(crate) fn malformed(block: u64, what: &'static str) -> Self {
        Self::Malformed { block, what }
    }
}

impl From<SourceError> for Error {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::Missing(index) => Self::Missing(index),
            SourceError::Failed(e) => Self::Source(e),
        }
    }
}
