//! Starts builds, and watches a new one until it is healthy.
//!
//! # The watch
//!
//! The process that installed runs the old code and stays until the new build has proved itself. Nothing of it depends on
//! the new build being able to run: what cannot start, lacks a library, aborts before `main` or ends in a loop is seen from
//! outside.
//!
//! | what happens to the new build | what the watch does |
//! |---|---|
//! | says that it is healthy ([`Installer::mark_healthy`]) | [`Outcome::Healthy`] |
//! | the system cannot start it | takes it back at once: another attempt would end the same way |
//! | ends with an error or a signal | starts it again while the policy allows (`threshold - 1` starts), then takes it back |
//! | ends with exit code 0 | keeps waiting: a launcher ends so while the application goes on. At the end of the window [`Outcome::Closed`]: the person closed it; not health, not a failure, and the start is not counted (up to eight times) |
//! | takes itself back at its start ([`Installer::started`]) | starts the old build |
//! | runs, but says nothing to the end of the window and half as long again (1 to 30 s) | takes it back and ends it |
//!
//! "Takes back" is decided under the application's lock against the journal: a build that says it is healthy in the same
//! moment stays. The old build is then started with the same arguments. Where no process watches any more (power cut), the
//! journal counts the starts and does the same at the next one ([`Installer::started`]); a build that cannot even reach that
//! call needs a watcher from outside, as `bosc watch` is.

mod bundle;
mod launch;
mod watch;

pub(crate) use launch::is_watched;
pub use launch::{end_started, executable_of as executable, relaunch};
pub use watch::watch;

#[cfg(doc)]
use crate::install::Installer;
use crate::install::{Reason, TakenBack};
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
    /// The caller stopped the watch, or somebody else ended the trial; a build that runs is left running.
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
