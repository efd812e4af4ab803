//! Errors of the updater as those of a command.

use bosc_release::error::{CommandError, ErrorKind as Blame};
use bosc_updater::{ErrorKind, UpdateError};

pub(super) fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Input => "ERR_INVALID_INPUT",
        ErrorKind::Network => "ERR_CONNECTION",
        ErrorKind::Integrity => "ERR_INTEGRITY",
        ErrorKind::Refused => "ERR_REFUSED",
        ErrorKind::Disk => "ERR_DISK",
        ErrorKind::NoSpace => "ERR_DISK_FULL",
        ErrorKind::Permission => "ERR_PERMISSION_REQUIRED",
        ErrorKind::Busy => "ERR_LOCKED",
        ErrorKind::Cancelled => "ERR_INTERRUPTED",
        ErrorKind::Unsupported => "ERR_UNSUPPORTED",
        _ => "ERR_OPERATION_FAILED",
    }
}

pub(super) fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Input => "check the options; see `bosc watch --help`",
        ErrorKind::Network => "check the network, and that a peer seeds the link; it is tried again",
        ErrorKind::Integrity => "nothing was installed; it is fetched again",
        ErrorKind::Refused => "wait for a newer version",
        ErrorKind::Disk => "check the disk and the permissions of the application's folders",
        ErrorKind::NoSpace => "free some disk space; what was downloaded is kept",
        ErrorKind::Permission => "let this user write to the folder of the application",
        ErrorKind::Busy => "let the other updater of this application finish",
        ErrorKind::Cancelled => "check again to take it up; what was downloaded is kept",
        _ => "run it again with --verbose to see more",
    }
}

pub(crate) fn command_error(e: &UpdateError) -> CommandError {
    let blame = match e.kind() {
        ErrorKind::Input => Blame::Input,
        ErrorKind::Network => Blame::Network,
        ErrorKind::Integrity => Blame::Integrity,
        ErrorKind::Disk | ErrorKind::NoSpace | ErrorKind::Busy => Blame::Store,
        ErrorKind::Permission => Blame::Permission,
        ErrorKind::Cancelled => Blame::Interrupted,
        _ => Blame::Failed,
    };
    let error =
        CommandError::new(blame, code(e.kind()), e.to_string()).hint(e.next_step().unwrap_or(hint(e.kind())));
    match std::error::Error::source(e) {
        Some(cause) => error.because(cause.to_string()),
        None => error,
    }
}
