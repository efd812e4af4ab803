//! Dumping: making a folder hold what a drive holds.
//!
//! 1. The caller lists the drive's entries and gives them to [`plan`], which checks every path, compares with the
//!    folder and says what to remove and what to write. It asks for the block maps it needs with
//!    [`DumpError::Missing`].
//! 2. [`DumpPlan::remove`] removes what the drive does not have.
//! 3. For every [`WriteAction`] in order: [`DumpPlan::open`] gives a [`FileWriter`], which takes the file's bytes in
//!    order and replaces the file at once when they are all there and differ from what is on disk. Links come last.
//!
//! Nothing is written outside the folder: keys must be plain paths, nothing may lie below a file or symlink of the
//! drive, symlinks must lead to a place within the folder, and folders on the way that are symlinks on disk are not
//! walked through. A program that swaps folders for symlinks at the same time is not guarded against.
//!
//! [`dump`] does all of it for a drive whose blocks are all here.

mod check;
mod plan;
mod write;

pub use check::{LinkError, check_link};
pub use plan::{DumpContext, DumpOptions, DumpPlan, WriteAction, WriteKind, plan};
pub use write::{FileWriter, Outcome, dump};

use crate::glob::GlobError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a drive could not be written to a folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// These blocks of the blobs core (block maps) are not here yet: fetch them and call again.
    #[error("{} blocks are not here yet", .0.len())]
    Missing(Vec<u64>),
    /// The folder holds something and overwriting was not asked for.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// An entry of the drive would be written where it must not.
    #[error("the drive's entry {key:?} is refused: {why}")]
    Unsafe {
        /// The entry.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// Something on disk is in the way and may not be removed.
    #[error("{} is in the way", .0.display())]
    Blocked(PathBuf),
    /// The operating system refused something.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file's bytes do not add up to the size its entry gives.
    #[error("{}: {got} bytes came where {expected} were announced", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// What the entry says.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The drive holds something invalid.
    #[error("the drive: {0}")]
    Drive(#[from] bosc_drive::Error),
    /// A prefix cannot be used.
    #[error(transparent)]
    Glob(#[from] GlobError),
}

impl DumpError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty(_) => Some("choose another folder or overwrite this one with --force"),
            Self::Blocked(_) => Some("remove it, or allow removing what the drive does not have"),
            _ => None,
        }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

#[cfg(test)]
mod tests;
