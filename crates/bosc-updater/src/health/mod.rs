//! Starts builds, and watches a new one until it is healthy.

use crate::error::{ErrorKind, UpdateError};
use crate::install::{Installer, Reason, TakenBack};
use std::ffi::OsString;
use std::path::PathBuf;

/// How to start the application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The executable inside a folder, relative to it. Not needed for a file, nor for a `.app` (its `Info.plist` says).
    pub inside: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<OsString>,
    /// More environment variables.
    pub env: Vec<(OsString, OsString)>,
    /// The folder it starts in; the caller's when `None`.
    pub current_dir: Option<PathBuf>,
}

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The new build said that it is healthy.
    Healthy,
    /// It was closed (exit code 0) before it said so. It stays on trial; its next start decides.
    Closed,
    /// It was taken back and the build before it was started.
    RolledBack {
        /// What was taken back.
        taken_back: TakenBack,
        /// The process of the build before it; `None` when it could not be started either.
        restarted: Option<u32>,
    },
    /// The policy says not to take builds back: it failed and is left in place.
    LeftInPlace(Reason),
    /// The caller stopped the watch; the build stays on trial.
    Stopped,
}

/// What a watch tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The new build was started as this process.
    Started(u32),
    /// It failed and is started again.
    Again(Reason),
    /// Still waiting. At least ten times a second.
    Waiting,
}

/// Starts the application detached from this process: its own process group, no terminal, nothing inherited. Returns its
/// process id. A `.app` goes through `open -n`.
///
/// # Errors
/// `Disk` when it cannot be started, `Unsupported` on iOS and Android.
pub fn relaunch(installer: &Installer, program: &Program) -> Result<u32, UpdateError> {
    let _ = (installer, program);
    Err(UpdateError::new(ErrorKind::Unsupported, "being written"))
}

/// Starts the build on trial and stays until it is healthy, or puts the build before it back and starts that one.
/// Blocking; `on_event` returns `false` to stop. Call it in the process that installed, which runs the old code: release
/// what the new build needs (single-instance locks, ports, windows) first, and exit when it returns.
///
/// # Errors
/// `Refused` when no build is on trial; what rolling back can say.
pub fn watch(
    installer: &Installer,
    program: &Program,
    on_event: &mut dyn FnMut(WatchEvent) -> bool,
) -> Result<Outcome, UpdateError> {
    let _ = (installer, program, on_event);
    Err(UpdateError::new(ErrorKind::Unsupported, "being written"))
}
