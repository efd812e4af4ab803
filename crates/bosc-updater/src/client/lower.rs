//! The lower level of the updater: its own steps, one by one.

use super::reply::Pending;
use super::sentinel;
use super::update::AppliedUpdate;
use super::updater::Updater;
use crate::error::UpdateError;
use crate::health::{self, Outcome, Program, WatchEvent};
use crate::install;
use std::sync::Arc;
use std::time::SystemTime;

/// The lower level: for a process that is not the application, and for an application that has its own ideas.
impl Updater {
    /// Where the application stood when it started. `None` without an application.
    pub fn started(&self) -> Option<&install::Started> {
        self.0.started.as_ref()
    }

    /// [`Update::apply`](super::Update::apply) for the update that was last reported when this is called: for applications that ask nobody.
    pub fn apply_update(&self) -> Pending<AppliedUpdate> {
        self.0.remote.apply(self.ready())
    }

    /// The half of [`Updater::quit`] that is about this build: this start does not count against it while it is on trial.
    pub fn closing(&self) -> Pending<()> {
        self.aside(|i| i.closed(SystemTime::now()), ())
    }

    /// Whether it is known which program [`Updater::relaunch`] would start: to be asked at the start.
    ///
    /// # Errors
    /// `Input` without an application, and for a folder whose program is not known.
    pub fn can_relaunch(&self, program: &Program) -> Result<(), UpdateError> {
        health::can_start(self.installer()?, program)
    }

    /// Whether a build is on trial, which is what [`Updater::relaunch_and_watch`] starts: to be asked before the application ends
    /// for it.
    ///
    /// # Errors
    /// `Refused` when none is, `Input` without an application, `Disk` when it cannot be known.
    pub fn can_relaunch_and_watch(&self) -> Result<(), UpdateError> {
        health::on_trial(self.installer()?).map(drop)
    }

    /// Starts the application again, detached, without watching it. Exit afterwards.
    ///
    /// # Errors
    /// `Input` without an application, `Disk` when it cannot be started.
    pub fn relaunch(&self, program: &Program) -> Result<u32, UpdateError> {
        health::relaunch(self.installer()?, program)
    }

    /// Starts the new build and stays until it says that it is healthy; puts the old one back and starts that when it
    /// does not. Blocking: end everything the new build needs first (windows, ports, single-instance locks), and
    /// exit when it returns.
    ///
    /// # Errors
    /// As [`health::watch`], and `Input` without an application.
    pub fn relaunch_and_watch(
        &self,
        program: &Program,
        on_event: &mut dyn FnMut(WatchEvent) -> bool,
    ) -> Result<Outcome, UpdateError> {
        let installer = Arc::clone(self.installer()?);
        // Without one the updater goes on.
        health::on_trial(&installer)?;
        // The new build needs the store.
        self.0.end();
        let Some(path) = &self.0.sentinel else { return health::watch(&installer, program, on_event) };
        let mut listener = sentinel::Listener::new(path, &installer)?;
        let outcome = health::watch(&installer, program, &mut |event| {
            if let Some(listener) = &mut listener {
                listener.look(&installer);
            }
            on_event(event)
        })?;
        if matches!(outcome, Outcome::RolledBack { .. }) {
            // What stays is about a version that does not run, and is cleared at the next start.
            let _ = sentinel::over(path, &installer);
        }
        Ok(outcome)
    }

    pub(super) fn relaunch_again(&self) -> Result<u32, UpdateError> {
        self.relaunch(&self.0.program)
    }
}
