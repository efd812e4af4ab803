//! A place for a mirror, whatever it is.

use crate::error::CommandError;
use bosc_files::FolderLock;
use std::fmt;

/// What an object is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It never changes under its name.
    ForEver,
    /// It changes.
    Fresh,
}

/// A place for a mirror. Paths are of `/` and names of letters, digits, `-` and `.`.
pub(crate) trait Target: Send + Sync + fmt::Debug {
    /// As it is shown, without secrets.
    fn name(&self) -> String;

    /// An object, if it is there; at most `max` bytes of it.
    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, CommandError>;

    /// The size of an object, if it is there whole.
    fn size(&self, path: &str) -> Result<Option<u64>, CommandError>;

    /// Writes an object, whole or not at all. It is there for readers, and stays, when this returns.
    fn put(&self, path: &str, bytes: Vec<u8>, kept: Kept) -> Result<(), CommandError>;

    /// Removes an object, if it is there.
    fn remove(&self, path: &str) -> Result<(), CommandError>;

    /// Keeps other runs on this machine from writing there until what is returned is dropped, where that can be had.
    ///
    /// # Errors
    /// `ERR_LOCKED`: another one writes there now.
    fn alone(&self) -> Result<Option<FolderLock>, CommandError> {
        Ok(None)
    }

    /// Whether what is there can be looked at for next to nothing.
    fn is_near(&self) -> bool {
        false
    }

    /// How many objects are best on their way at once.
    fn at_once(&self) -> usize {
        1
    }
}

/// Why a text is no target.
pub(super) fn bad(target: &str) -> CommandError {
    let shown: String = target.split(['?', '#']).next().unwrap_or_default().chars().take(120).collect();
    let hint = if cfg!(feature = "buckets") {
        "give a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or the https:// address of a WebDAV folder"
    } else {
        "give a folder: this program was built without the feature `buckets`"
    };
    CommandError::input(format!("not a target for a mirror: {shown:?}")).hint(hint)
}
