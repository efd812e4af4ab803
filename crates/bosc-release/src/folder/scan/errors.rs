//! What to do about a folder that could not be read whole.

use super::ScanError;
use crate::error::{CommandError, ErrorKind};
use std::io;

/// What to do about a file or folder that could not be read.
pub(crate) fn unreadable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "it disappeared meanwhile: run the command again; nothing was written",
        io::ErrorKind::PermissionDenied => {
            "check its permissions, or leave it out with `--ignore`; nothing was written"
        }
        _ => "correct it, or leave it out with `--ignore`; nothing was written",
    }
}

impl From<ScanError> for CommandError {
    fn from(e: ScanError) -> Self {
        let message = e.to_string();
        match e {
            ScanError::Io { error, .. } => {
                CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message).hint(unreadable(&error))
            }
            ScanError::Name { .. } => CommandError::new(ErrorKind::Input, "ERR_INVALID_NAME", message)
                .hint("rename it, or leave it out with `--ignore`; nothing was written"),
            ScanError::Loop { .. } => CommandError::input(message).hint(
                "remove the symlink that leads back, or leave it out with `--ignore`; nothing was written",
            ),
            ScanError::Foreign { .. } => {
                CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message).hint(
                    "put a copy of what is meant into the folder, make the link your own (`chown -h`), or leave it out \
                     with `--ignore`; nothing was written",
                )
            }
            ScanError::TooDeep { .. } => CommandError::input(message)
                .hint("move it further up, or leave it out with `--ignore`; nothing was written"),
            ScanError::NotAFolder { .. } => {
                CommandError::new(ErrorKind::Input, "ERR_INVALID_PROJECT_DIR", message).hint("give a folder")
            }
        }
    }
}
