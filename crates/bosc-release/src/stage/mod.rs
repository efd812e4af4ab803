//! Staging: making a drive hold what a folder holds.
//!
//! 1. [`crate::scan`] lists the folder; the drive's entries are listed beside it.
//! 2. What only the drive has is removed; what both have is compared: by size, then by the hashes of its chunks
//!    against the leaves of the blobs core's tree. No content of the drive is read.
//! 3. Changed files are cut by content; chunks the core already holds, of this file or any other, are only named.
//! 4. All blocks of content, then all entries as one batch, become visible together in [`StageTarget::commit`].
//!
//! One thread reads and cuts, others hash, and the caller's thread decides and writes, in the order of keys: the same
//! folder staged on the same drive gives the same blocks on every machine. At most [`BUDGET`] bytes of content are
//! between reading and writing.
//!
//! With an index ([`StageOptions::index`]) files that have not been touched since the last stage are not read at all.

mod blocks;
mod changes;
pub(crate) mod compare;
mod index;
mod pipeline;
mod run;
mod target;
pub(crate) mod writer;

pub use run::stage;
pub use target::{BlobBlock, CoreState, Leaf, StageTarget, TargetError, TargetState};

use crate::diff::{ByteDiff, DiffCount};
use crate::glob::GlobError;
use crate::scan::{ScanError, Skipped};
use std::path::PathBuf;
use std::time::SystemTime;
use thiserror::Error;

/// Bytes of content that may be between reading and writing.
pub const BUDGET: usize = 16 * 1024 * 1024;

/// How to stage.
#[derive(Debug, Clone, Default)]
pub struct StageOptions {
    /// Patterns of files to leave out; see [`crate::glob`].
    pub ignore: Vec<String>,
    /// Files and folders to look at; empty for all.
    pub only: Vec<String>,
    /// Also remove what is in the drive and ignored now.
    pub purge: bool,
    /// Keep what is in the drive and not in the folder.
    pub keep_missing: bool,
    /// Tell what would change, write nothing.
    pub dry_run: bool,
    /// File that remembers which files were unchanged. Made when absent, ignored when damaged or of another drive,
    /// folder or state.
    pub index: Option<PathBuf>,
    /// How many threads hash; `None`: one fewer than the machine has, at most 4.
    pub hashers: Option<usize>,
    /// The time, for the index; `None`: the system's clock.
    pub now: Option<SystemTime>,
}

/// What happens while staging.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StageEvent {
    /// The folder was listed: how many files, and how many bytes they have.
    Scanned {
        /// Files and symlinks.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Something in the folder cannot be staged and was left out.
    Skipped(Skipped),
    /// A file differs. Removals come first, then all others in the order of keys.
    Diff(ByteDiff),
    /// A file was dealt with.
    Progress {
        /// Files dealt with so far.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// What a stage did, or on a dry run would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageSummary {
    /// How many files changed how.
    pub count: DiffCount,
    /// Files whose content was read.
    pub read: u64,
    /// Bytes of content appended, block maps not counted.
    pub new_bytes: u64,
    /// Blocks appended to the blobs core, block maps too.
    pub new_blocks: u64,
    /// Bytes that changed files share with what the drive held.
    pub shared_bytes: u64,
    /// The cores before.
    pub before: TargetState,
    /// The cores after; the same as before when nothing changed and on a dry run.
    pub after: TargetState,
}

/// Why a stage failed. Nothing was written to the drive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// A pattern cannot be used.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The folder could not be listed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file was written to while it was read.
    #[error("{} changed while it was read; stage again", path.display())]
    Unstable {
        /// The file.
        path: PathBuf,
    },
    /// The drive holds something invalid, or a part of it is not on this machine.
    #[error("the drive: {0}")]
    Drive(#[from] bosc_drive::Error),
    /// The store failed.
    #[error("the store: {0}")]
    Target(#[from] TargetError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// The change index's decoder, for fuzzing.
#[doc(hidden)]
pub fn check_index(bytes: &[u8], whole: bool) -> bool {
    index::check(bytes, whole)
}

#[cfg(test)]
pub(crate) mod tests;
