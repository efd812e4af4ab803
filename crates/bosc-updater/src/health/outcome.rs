//! What a watch tells, and how it ends.

use crate::error::UpdateError;
use crate::install::{Reason, RolledBack};

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The new build said that it is healthy.
    Healthy,
    /// It was closed (exit code 0) before it said so. It stays on trial; its next start decides.
    Closed,
    /// It was rolled back and the build before it was started.
    RolledBack {
        /// What was rolled back.
        rolled_back: RolledBack,
        /// The process of the build before it; `None` when it could not be started either.
        restarted: Option<u32>,
    },
    /// The policy says not to roll builds back: it failed and is left in place.
    LeftInPlace(Reason),
    /// The update was handed to the system (an MSIX package), which puts it in place when this process has ended. The person starts it;
    /// its starts are counted, and nothing watches.
    WhenEnded,
    /// The caller stopped the watch, or somebody else ended the trial; a build that runs is left running.
    Stopped,
    /// No update was to be put in place: the installed build was started again, as this process. Nothing watches it.
    Restarted(u32),
    /// The update could not be put in place. The installed build was started again, and the update is offered again.
    NotApplied {
        /// Why.
        error: UpdateError,
        /// The process of the installed build; `None` when it could not be started either.
        restarted: Option<u32>,
    },
}

/// What a watch tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The new build was started as this process.
    Started(u32),
    /// It failed and is started again.
    Again(Reason),
    /// It ended with exit code 0 at once and left nothing running, as an application does that runs only once and finds another
    /// instance; it is started once more.
    EndedAtOnce,
    /// Still waiting. At least ten times a second.
    Waiting,
}
