//! Puts a staged build in the place of the installed one, atomically, and back.

mod types;

pub use types::{
    Admission, Build, Floor, HealthPolicy, Installed, Kind, Method, Options, Reason, Rejection, StartState, Started, Status,
    TakenBack,
};

use crate::error::{ErrorKind, UpdateError};
use crate::release::{Contents, Release, Staged};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Installs builds of one application, takes them back, and remembers. Every call takes the application's lock for as
/// long as it works, so any number of processes and users may have one.
#[derive(Debug)]
pub struct Installer {
    options: Options,
}

#[allow(unused_variables, clippy::unused_self)]
impl Installer {
    /// An installer for the application at `options.target`. Touches nothing but the disk's names.
    ///
    /// # Errors
    /// `Input` when there is nothing at the target and no backup of it either; `Unsupported` on iOS and Android.
    pub fn open(options: Options) -> Result<Self, UpdateError> {
        Ok(Self { options })
    }
    /// The application's path, links followed.
    pub fn target(&self) -> &Path {
        &self.options.target
    }
    /// What is there.
    pub fn kind(&self) -> Kind {
        Kind::File
    }
    /// The options it was opened with, bounded.
    pub fn options(&self) -> &Options {
        &self.options
    }
    /// Where the build before the installed one is kept: `<target>.prev`.
    pub fn backup(&self) -> PathBuf {
        unimplemented()
    }
    /// The folder for everything this updater keeps about the application: `.<name>.bosc` beside it.
    pub fn folder(&self) -> PathBuf {
        unimplemented()
    }
    /// A folder on the application's file system for sources to fetch into; made if it is missing. Kept between runs
    /// (a source may resume); the caller removes what it does not need any more.
    ///
    /// # Errors
    /// `Permission`, `Disk`.
    pub fn staging(&self) -> Result<PathBuf, UpdateError> {
        Err(not_yet())
    }
    /// Fails with `NoSpace` unless `bytes` more fit on the application's file system, with 16 MiB to spare.
    ///
    /// # Errors
    /// `NoSpace`; `Disk` when the file system does not say.
    pub fn room_for(&self, bytes: u64) -> Result<(), UpdateError> {
        Err(not_yet())
    }
    /// Where the application stands. Changes nothing.
    ///
    /// # Errors
    /// `Disk`.
    pub fn status(&self) -> Result<Status, UpdateError> {
        Err(not_yet())
    }
    /// Finishes or undoes what a killed process left. Every other call does this first.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn recover(&self, now: SystemTime) -> Result<Status, UpdateError> {
        Err(not_yet())
    }
    /// Called once by the application at its start, before anything that can fail. Counts the start when this code is a
    /// build on trial, and takes the build back at the policy's threshold.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn started(&self, now: SystemTime) -> Result<Started, UpdateError> {
        Err(not_yet())
    }
    /// This code works. Raises the floor. `false` when it was not on trial. Only the build on trial (by version) can.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn mark_healthy(&self, now: SystemTime) -> Result<bool, UpdateError> {
        Err(not_yet())
    }
    /// The person closed the application before it was healthy: this start does not count against the build, up to eight
    /// times. A crash must not call it.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn closed(&self, now: SystemTime) -> Result<(), UpdateError> {
        Err(not_yet())
    }
    /// Whether a release may be installed: newer than the running version, not below the floor, not taken back.
    ///
    /// # Errors
    /// `Disk`.
    pub fn admit(&self, release: &Release, now: SystemTime) -> Result<Admission, UpdateError> {
        Err(not_yet())
    }
    /// Reads the staged build again, compares every byte, and puts it in the application's place. It is then on trial.
    /// The staged path is gone afterwards; on an error it is still there unless the error is `Integrity`.
    ///
    /// # Errors
    /// `Integrity` when the build is not what was proved, `Refused` when [`Installer::admit`] would not admit it, `Busy`
    /// when another updater works or a build is on trial, `NoSpace`, `Permission`, `Disk`, `Unsupported`.
    pub fn install(&self, staged: &Staged, now: SystemTime) -> Result<Installed, UpdateError> {
        Err(not_yet())
    }
    /// Takes the build on trial back, or when none is, returns to the build at `<target>.prev`. The release is remembered.
    ///
    /// # Errors
    /// `Refused` when there is no build to return to, and as [`Installer::install`].
    pub fn roll_back(&self, reason: Reason, now: SystemTime) -> Result<TakenBack, UpdateError> {
        Err(not_yet())
    }
    /// What may not be gone below.
    ///
    /// # Errors
    /// `Disk`.
    pub fn floor(&self) -> Result<Floor, UpdateError> {
        Err(not_yet())
    }
    /// Remembers that a manifest of this schema was seen with a good signature. Never lowers it.
    ///
    /// # Errors
    /// `Busy`, `Disk`, `Permission`.
    pub fn raise_schema(&self, schema: u32) -> Result<(), UpdateError> {
        Err(not_yet())
    }
    /// The releases that were taken back, newest last, at most 32.
    ///
    /// # Errors
    /// `Disk`.
    pub fn rejections(&self) -> Result<Vec<Rejection>, UpdateError> {
        Err(not_yet())
    }
}

/// Compares a build on disk with what it must be, every byte; nothing may be missing and nothing may be more.
///
/// # Errors
/// `Integrity` with the first difference, `Disk`.
pub fn verify(path: &Path, contents: &Contents) -> Result<(), UpdateError> {
    let _ = (path, contents);
    Err(not_yet())
}

/// Reads a build and says what it consists of.
///
/// # Errors
/// `Integrity` for things a build cannot hold (devices, links that leave it, too many entries), `Disk`.
pub fn contents_of(path: &Path) -> Result<Contents, UpdateError> {
    let _ = path;
    Err(not_yet())
}

fn not_yet() -> UpdateError {
    UpdateError::new(ErrorKind::Unsupported, "being written")
}
fn unimplemented() -> PathBuf {
    PathBuf::new()
}
