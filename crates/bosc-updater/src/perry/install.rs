//! Perry's install, roll back and relaunch, on top of [`crate::install`] and [`crate::health`].
//!
//! The installer keeps a journal of its own; the sentinel is written around it so that a build whose updater is Perry's, before
//! or after this one, finds what it expects. The order is: arm the sentinel, install, relaunch. A crash after arming leaves
//! a sentinel about a version that does not run, which [`super::lifecycle`] clears; the installer removes a `.prev` of an
//! older update before it makes a new one, so there is none to go back to by mistake.
//!
//! On iOS and Android every call here returns `Unsupported` and touches nothing.

use super::lifecycle::{arm, disarm};
use crate::error::{ErrorKind, UpdateError};
use crate::health::{self, Program};
use crate::install::{Installed, Installer, Options, Reason, RolledBack};
use crate::release::Staged;
use semver::Version;
use std::path::Path;
use std::time::SystemTime;

fn open(target: &Path, running: &Version) -> Result<Installer, UpdateError> {
    Installer::open(Options::new(target, running.clone()))
}

fn failed(e: UpdateError, message: &str, hint: &str) -> UpdateError {
    UpdateError::new(e.kind(), message).hint(e.next_step().unwrap_or(hint).to_owned()).because(e)
}

/// Perry's `installUpdate`: replaces `target` by a staged build and keeps the old one at `<target>.prev`. Every byte
/// is compared again with what was proved.
///
/// # Errors
/// `updater: install failed`, with the installer's error as cause and its kind; the old build is in place.
pub fn install_update(staged: &Staged, target: &Path, running: &Version) -> Result<Installed, UpdateError> {
    install_with(&open(target, running)?, staged)
}

fn install_with(installer: &Installer, staged: &Staged) -> Result<Installed, UpdateError> {
    installer
        .install(staged, SystemTime::now())
        .map_err(|e| failed(e, "updater: install failed", "the old build is in place; try again"))
}

/// Perry's `performRollback`: puts the build at `<target>.prev` back.
///
/// # Errors
/// `Refused` when there is none, and what the installer says.
pub fn perform_rollback(target: &Path, running: &Version) -> Result<RolledBack, UpdateError> {
    open(target, running)?.roll_back(Reason::Asked, SystemTime::now())
}

/// Perry's `relaunch`: starts the application detached from this process. Its process id.
///
/// # Errors
/// `updater: relaunch failed (install committed; restart manually)`.
pub fn relaunch(target: &Path, running: &Version, program: &Program) -> Result<u32, UpdateError> {
    relaunch_with(&open(target, running)?, program)
}

fn relaunch_with(installer: &Installer, program: &Program) -> Result<u32, UpdateError> {
    health::relaunch(installer, program).map_err(|e| {
        failed(
            e,
            "updater: relaunch failed (install committed; restart manually)",
            "close the application and start it again",
        )
    })
}

/// Installs with the sentinel armed around it: what Perry's `installAndRelaunch` does before it relaunches.
///
/// # Errors
/// As [`install_update`], with the sentinel withdrawn; `updater: failed to write sentinel`, with nothing installed.
pub fn apply(installer: &Installer, staged: &Staged, sentinel: &Path) -> Result<Installed, UpdateError> {
    let current = installer.options().version.to_string();
    let next = staged.release.version.to_string();
    let generation = arm(sentinel, installer.target(), &current, &next)?;
    install_with(installer, staged).inspect_err(|_| {
        // What failed is reported; a sentinel that stays is about a version that does not run, and is cleared at the next start.
        let _ = disarm(sentinel, &generation);
    })
}

/// Perry's `installAndRelaunch`: [`apply`], then [`relaunch`]. End this process after it.
///
/// # Errors
/// As the two. When only the relaunch failed, the new build is in place and on trial.
pub fn apply_and_relaunch(
    installer: &Installer,
    staged: &Staged,
    sentinel: &Path,
    program: &Program,
) -> Result<u32, UpdateError> {
    if cfg!(any(target_os = "ios", target_os = "android")) {
        return Err(UpdateError::new(
            ErrorKind::Unsupported,
            "updater: this platform does not install updates",
        )
        .hint("publish through the platform's store"));
    }
    apply(installer, staged, sentinel)?;
    relaunch_with(installer, program)
}
