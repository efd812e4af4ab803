//! What a start of the application finds.

use super::Updater;
use crate::error::UpdateError;
use crate::install::{Reason, RolledBack};
use semver::Version;

/// What [`UpdaterBuilder::start`](crate::UpdaterBuilder::start) finds. There are these two cases, and there will be no third:
/// whatever else keeps updates from coming is told by events, and the application runs.
#[derive(Debug)]
#[must_use = "a build that was rolled back has to end now"]
pub enum Started {
    /// The application runs: up to date or not, online or not, installed or not, on trial or not, the only instance or not.
    Running(Updater),
    /// This process runs a build that did not work and has just been rolled back: the build before it lies in the application's
    /// place again. Return from `main` with [`FailedBuild::restart`].
    RolledBack(FailedBuild),
}

impl Started {
    /// The updater in either case, for a process that is not the application itself, as `bosc watch` is. That of a build that was
    /// rolled back looks for nothing and starts what it is told to.
    pub fn into_updater(self) -> Updater {
        match self {
            Self::Running(updater) | Self::RolledBack(FailedBuild { updater, .. }) => updater,
        }
    }
}

/// A build that was started as often as it may be without saying that it is healthy, and was rolled back at this start.
#[derive(Debug)]
#[must_use = "the build before it has to be started"]
pub struct FailedBuild {
    pub(super) updater: Updater,
    pub(super) what: RolledBack,
    pub(super) watched: bool,
}

impl FailedBuild {
    /// The version that runs here and does not work.
    pub fn version(&self) -> &Version {
        &self.what.bad.version
    }

    /// The version that is in the application's place again.
    pub fn restored(&self) -> &Version {
        &self.what.restored.version
    }

    /// Why it was rolled back.
    pub fn reason(&self) -> Reason {
        self.what.reason
    }

    /// Starts the restored build as this process was started (arguments, folder, environment), unless the process that watches this
    /// one does so. Return from `main` afterwards.
    ///
    /// # Errors
    /// `Disk` and `Input` when it cannot be started: the person has to start it.
    pub fn restart(self) -> Result<(), UpdateError> {
        let started = if self.watched { Ok(()) } else { self.updater.relaunch_again().map(drop) };
        self.updater.close();
        started
    }
}
