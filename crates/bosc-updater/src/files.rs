//! The small files that the updater keeps for its user: what was seen of a server and of operators, Perry's sentinel, the device's name, locks.
//!
//! There is one road for a file that is replaced, [`bosc_files::Replace`]; this module says how it is taken here:
//!
//! | file | on disk when the call returns | permissions |
//! |---|---|---|
//! | the installer's journal (`install::journal`) | yes, its folder too | those of the installation it speaks of |
//! | [`state`]: `https.json`, the sentinel, `device`, `p2p.statements` | yes, its folder too | this user alone, and so are folders that are made |
//! | [`cache`]: what is known of a download | the old one or the new one, whole | this user alone |
//!
//! "This user" is the owner of the folder when root works in somebody else's: run once as root, the updater locks nobody out.
//! A lock file is made for this user alone and stays; a lock ends with its process.

#[cfg(feature = "perry")]
pub(crate) use shared::with_ending;
#[cfg(any(feature = "http", feature = "perry"))]
pub(crate) use shared::{kind, lock, read_text};

use bosc_files::{Durability, Replace};

/// How a file is replaced that says what must not be forgotten.
pub(crate) fn state() -> Replace {
    Replace::new(Durability::Disk).private().for_owner_of_folder().make_private_folders().temporary(".tmp")
}

/// How a file is replaced that can be made anew.
#[cfg(feature = "http")]
pub(crate) fn cache() -> Replace {
    Replace::new(Durability::Whole).private().for_owner_of_folder().temporary(".tmp")
}

/// What a server's memory and Perry's sentinel have in common.
#[cfg(any(feature = "http", feature = "perry"))]
mod shared {
    use crate::error::ErrorKind;
    use std::ffi::OsString;
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// The text of a small file; `None` when there is none. One that is not UTF-8 or has more than `max` bytes is an empty text, which
    /// no parser takes.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn read_text(path: &Path, max: u64) -> io::Result<Option<String>> {
        match bosc_files::read_bounded(path, max) {
            Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8(bytes).unwrap_or_default())),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(Some(String::new())),
            Err(e) => Err(e),
        }
    }

    /// The lock on `<path>.lock`, under which a small file is read and replaced. Waits for ten seconds.
    ///
    /// # Errors
    /// Of the system, and when somebody else holds it all the time.
    pub(crate) fn lock(path: &Path) -> io::Result<File> {
        const PATIENCE: Duration = Duration::from_secs(10);
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            bosc_files::make_private_folders(parent)?;
        }
        let held = bosc_files::lock(&with_ending(path, ".lock"), PATIENCE)?;
        held.ok_or_else(|| io::Error::other("another process holds it"))
    }

    /// The path with more text behind its name.
    pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
        let mut name = OsString::from(path);
        name.push(ending);
        name.into()
    }

    /// What a failure of the system is for the caller.
    pub(crate) fn kind(error: &io::Error) -> ErrorKind {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Permission,
            _ if bosc_files::is_full(error) => ErrorKind::NoSpace,
            _ => ErrorKind::Disk,
        }
    }
}
