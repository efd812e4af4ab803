//! Errors of files that are read and written.

use crate::error::{CommandError, ErrorKind};

/// A file or folder that cannot be read or written.
pub(crate) fn io_error(what: &str, path: &std::path::Path, e: std::io::Error) -> CommandError {
    let hint = match e.kind() {
        std::io::ErrorKind::PermissionDenied => "check the permissions of that path",
        _ => "check that path and run the command again; the target was not touched",
    };
    CommandError::new(ErrorKind::Failed, "ERR_OPERATION_FAILED", format!("{what} {}", path.display()))
        .because(e)
        .hint(hint)
}
