//! File errors as update errors.

use crate::error::{ErrorKind, UpdateError};
use std::io;
use std::path::Path;

/// An error of a file operation: `what` says what was tried, as "read" or "put the new build in place of".
pub(crate) fn io_error(what: &str, path: &Path, error: io::Error) -> UpdateError {
    let message = format!("cannot {what} {}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            UpdateError::new(ErrorKind::Permission, message).because(error).hint(
                "run the update as the user who installed the application, or install it where you may write",
            )
        }
        _ if bosc_files::is_full(&error) => UpdateError::new(ErrorKind::NoSpace, message)
            .because(error)
            .hint("make room on the disk and try again; the installed build is untouched"),
        io::ErrorKind::InvalidData => UpdateError::new(ErrorKind::Integrity, message)
            .because(error)
            .hint("fetch the release again; if the error stays, the release itself is wrong"),
        _ => UpdateError::new(ErrorKind::Disk, message)
            .because(error)
            .hint("check the disk and try again; the installed build is untouched"),
    }
}

/// `map_err` with [`io_error`].
pub(crate) trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, UpdateError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, UpdateError> {
        self.map_err(|e| io_error(what, path, e))
    }
}

/// What was staged is not what was proved.
pub(crate) fn integrity(message: String) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message).hint(
        "nothing was installed; fetch the release again: if the error stays, the release itself is wrong",
    )
}

/// Another updater is at work.
pub(crate) fn busy(message: &str, hint: &str) -> UpdateError {
    UpdateError::new(ErrorKind::Busy, message).hint(hint)
}
