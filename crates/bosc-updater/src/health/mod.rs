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
//! | the system cannot start it | rolls it back at once: another attempt would end the same way |
//! | ends with an error or a signal | starts it again while the policy allows (`threshold - 1` starts), then rolls it back |
//! | ends with exit code 0 within three seconds, with nothing of it running | starts it once more: the old program may have been about to end |
//! | is ended by somebody (SIGTERM, SIGHUP, SIGINT; Ctrl+C, a closed console, a logout) | [`Outcome::Closed`]: no fault of its own, and the start is not counted (up to eight times) |
//! | says that it needs longer ([`Installer::starting`]) | waits a window more from then |
//! | ends with exit code 0 | keeps waiting: a launcher ends so while the application goes on. At the end of the window [`Outcome::Closed`]: the person closed it; not health, not a failure, and the start is not counted (up to eight times) |
//! | rolls itself back at its start ([`Installer::started`]) | starts the old build |
//! | runs, but says nothing to the end of the window and half as long again (1 to 30 s) | rolls it back and ends it |
//!
//! "Rolls back" is decided under the application's lock against the journal: a build that says it is healthy in the same
//! moment stays. The old build is then started with the same arguments. Where no process watches any more (power cut), the
//! journal counts the starts and does the same at the next one ([`Installer::started`]); a build that cannot even reach that
//! call needs a watcher from outside, as `bosc watch` is.

mod bundle;
mod desktop;
mod launch;
mod watch;

#[doc(hidden)]
pub use launch::end_started;
pub use launch::{can_start, executable_of as executable, relaunch};
pub(crate) use launch::{is_watched, runs_in};
pub use watch::watch;

use crate::error::UpdateError;
use crate::install::{Installer, Kind, Reason, RolledBack};
use std::ffi::OsString;
use std::path::PathBuf;

/// How to start the application.
///
/// [`Program::default`] is how this process was started: its arguments, the folder it is in now, its environment, and the program
/// inside the application that it runs. [`Program::new`] has none of that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// The executable inside a folder, relative to it. Not needed for a file, for a `.app` (its `Info.plist` says), nor for a folder
    /// with one that is named as the folder, in it or in its `bin`.
    pub inside: Option<PathBuf>,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Environment variables beside those of the process that starts it. A `.app` that is not watched does not get them.
    pub env: Vec<(OsString, OsString)>,
    /// The folder it starts in; the caller's when `None`.
    pub current_dir: Option<PathBuf>,
    /// Whether the program that runs here may be the one to start, when `inside` says nothing.
    again: bool,
}

impl Default for Program {
    /// As this process was started.
    fn default() -> Self {
        Self {
            inside: None,
            args: std::env::args_os().skip(1).collect(),
            env: Vec::new(),
            current_dir: std::env::current_dir().ok(),
            again: true,
        }
    }
}

impl Program {
    /// Without arguments, in the caller's folder.
    pub fn new() -> Self {
        Self { inside: None, args: Vec::new(), env: Vec::new(), current_dir: None, again: false }
    }

    /// The executable inside an application folder, relative to it.
    #[must_use]
    pub fn inside(mut self, path: impl Into<PathBuf>) -> Self {
        self.inside = Some(path.into());
        self
    }

    /// These arguments, and no others.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The folder it starts in.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// Remembers which program in the application's folder runs here. To be called at the start: once an update is in place, this
    /// process runs what lies elsewhere.
    pub(crate) fn find_inside(&mut self, installer: &Installer) {
        if self.again && self.inside.is_none() && installer.kind() == Kind::Directory {
            self.inside = launch::own_place_in(installer.target());
        }
    }
}

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
