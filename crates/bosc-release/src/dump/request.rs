//! What `dump` is asked for, and why it fails.

use crate::folder::pattern::GlobError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use thiserror::Error;

/// Why a drive could not be written to a folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// These blocks of the blobs core (block maps) are not here yet: fetch them and call again.
    #[error("{} blocks are not here yet", .0.len())]
    Missing(Vec<u64>),
    /// The version has no file: making the folder the same would empty it.
    #[error("this version holds no files")]
    Empty,
    /// The drive has nothing that was asked for.
    #[error("the drive has none of the paths of --only")]
    NothingTaken,
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
        /// Whether it leads out of the folder; otherwise no file system here holds it.
        outside: bool,
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
            Self::Blocked(_) => Some(
                "remove it; what is outside of the path, of --only, or kept with --no-prune is not touched",
            ),
            Self::Empty => Some("nothing was touched; to empty the folder, remove what is in it"),
            Self::NothingTaken => {
                Some("nothing was touched; see what the drive has with `bosc dump <link> --list`")
            }
            _ => None,
        }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

/// `bosc dump`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// The link, with an optional path to a file or folder in it.
    pub link: String,
    /// Where to write, absolute; `None` writes file contents as events.
    #[serde(default, with = "crate::wire_path")]
    pub dir: Option<PathBuf>,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Length to read the drive at.
    pub checkout: Option<u64>,
    /// Prefixes to restrict to.
    pub only: Vec<String>,
    /// Write into a folder that is not empty.
    pub force: bool,
    /// Name the files only.
    pub list: bool,
    /// Remove files that are not in the drive.
    pub prune: bool,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}
