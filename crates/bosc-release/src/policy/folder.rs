//! The rules in a folder that is about to be released.

use super::check::{invalid, read};
use super::event::PolicyEvent;
use super::shown::PolicyShown;
use crate::error::{CommandError, ErrorKind};
use crate::event::Sink;
use bosc_policy::{MAX_POLICY, Policy};
use std::path::Path;

/// Its name in a folder.
pub(crate) const FILE_NAME: &str = "release.json";

/// The bytes of a folder's file; none if there is none.
///
/// # Errors
/// It cannot be read, or is longer than a client reads.
pub(crate) fn bytes_of(folder: &Path) -> Result<Option<Vec<u8>>, CommandError> {
    bytes_of_file(&folder.join(FILE_NAME))
}

/// The same of a file by its own name.
///
/// # Errors
/// As [`bytes_of`].
pub(crate) fn bytes_of_file(path: &Path) -> Result<Option<Vec<u8>>, CommandError> {
    bosc_files::read_bounded(path, MAX_POLICY as u64).map_err(|e| not_read(path, e))
}

/// Why a file of rules is not read.
pub(crate) fn not_read(path: &Path, e: std::io::Error) -> CommandError {
    if e.kind() == std::io::ErrorKind::InvalidData {
        return invalid(ErrorKind::Input).because(e);
    }
    CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", format!("{} cannot be read", path.display()))
        .because(e)
        .hint("check that the file belongs to you and that you may read it")
}

/// The rules of a folder; none if it has none.
///
/// # Errors
/// `ERR_INVALID_POLICY`, or the file cannot be read.
pub fn of_folder(folder: &Path) -> Result<Option<Policy>, CommandError> {
    bytes_of(folder)?.map(|bytes| read(&bytes, ErrorKind::Input)).transpose()
}

/// Reports what a release of this folder will mean, if it has rules.
///
/// # Errors
/// As [`of_folder`].
pub fn tell_folder(folder: &Path, version: Option<&str>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if let Some(policy) = of_folder(folder)? {
        let of = folder.display().to_string();
        sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, version, &policy))));
    }
    Ok(())
}
