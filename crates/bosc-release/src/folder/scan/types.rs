//! What is found in a folder, and why it cannot be.

use bosc_files::Meta;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Deepest folder looked into.
pub(super) const MAX_DEPTH: usize = 256;
/// Most symlinks followed from one place.
pub(super) const MAX_LINKS: usize = 256;

/// Why a folder could not be read whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The operating system refused something.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A name has no place in a drive.
    #[error("the name {} cannot be in a drive: {why}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// Why it is refused.
        why: &'static str,
    },
    /// Symlinks lead in a circle.
    #[error("{} leads to itself", path.display())]
    Loop {
        /// Where it was noticed.
        path: PathBuf,
    },
    /// Folders are nested too deep.
    #[error("{} lies below more than {MAX_DEPTH} folders", path.display())]
    TooDeep {
        /// Where it was noticed.
        path: PathBuf,
    },
    /// A link that another user put there leads out of the folder, to what is not his.
    #[error(
        "{} is a link of another user (uid {owner}) to a place outside of the folder that is not that user's",
        path.display()
    )]
    Foreign {
        /// The link.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The root is not a folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The root.
        path: PathBuf,
    },
}

/// What tells whether a file may have changed. Times are nanoseconds since 1970; what a system does not have is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Size in bytes.
    pub size: u64,
    /// When the content was last written.
    pub mtime: i64,
    /// When the content or the attributes were last changed (on Windows: when the file was created).
    pub ctime: i64,
    /// Number of the file in its file system.
    pub inode: u64,
    /// Number of the file system.
    pub device: u64,
}

impl FileStat {
    /// Whether size and times are the same. Some file systems number an open file otherwise than its path.
    pub(crate) fn same_times(&self, other: &Self) -> bool {
        (self.size, self.mtime, self.ctime) == (other.size, other.mtime, other.ctime)
    }

    /// From what the system says about an open file or a path.
    pub fn new(meta: &Metadata) -> Self {
        Self::of(&Meta::from(meta))
    }

    pub(super) fn of(meta: &Meta) -> Self {
        Self { size: meta.len, mtime: meta.mtime, ctime: meta.ctime, inode: meta.inode, device: meta.device }
    }
}

/// What lies at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalKind {
    /// A file.
    File {
        /// Its state when it was found.
        stat: FileStat,
        /// Whether its owner may run it; `None` where the system does not say (Windows).
        executable: Option<bool>,
    },
    /// A symlink within the folder and its target: as written, or from the drive's root if it was written as an
    /// absolute path.
    Symlink {
        /// The target.
        target: String,
    },
}

/// A file or symlink of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its drive key.
    pub key: String,
    /// Its path on disk.
    pub path: PathBuf,
    /// What it is.
    pub kind: LocalKind,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path on disk.
    pub path: PathBuf,
    /// Why.
    pub why: &'static str,
}

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Files and symlinks, by key.
    pub files: Vec<LocalFile>,
    /// What is neither, or leads nowhere.
    pub skipped: Vec<Skipped>,
    /// All folders that were looked into, by key (empty for the root), and what tells that two are one.
    pub folders: Vec<(String, FolderId)>,
}

/// What tells that two folders are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderId {
    /// Its device and its number there.
    Numbers(u64, u64),
    /// Its path without symlinks, where there are no numbers.
    Path(PathBuf),
}

/// Identifies a folder.
pub(crate) fn folder_id(path: &Path, meta: &Metadata) -> Result<FolderId, ScanError> {
    id_of(path, &Meta::from(meta))
}

pub(super) fn id_of(path: &Path, meta: &Meta) -> Result<FolderId, ScanError> {
    if meta.inode != 0 {
        return Ok(FolderId::Numbers(meta.device, meta.inode));
    }
    let path = std::fs::canonicalize(path).map_err(|error| ScanError::Io { path: path.to_owned(), error })?;
    Ok(FolderId::Path(path))
}

/// Where a symlink leads.
pub(super) enum LinkEnd {
    Inside(String),
    Outside(Meta),
    Nowhere,
}

/// Whether the owner may run a file.
pub(crate) fn executable(meta: &Metadata) -> Option<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Some(meta.permissions().mode() & 0o100 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        None
    }
}
