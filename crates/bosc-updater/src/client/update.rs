//! A release that an application may update to, and the commands with which it, and the updater's handle, have that done.
//!
//! They are one file because they name each other: a release takes commands to the thread, whose answers hold releases.

use super::interrupt::Interrupt;
use super::reply::{self, Pending, pending};
use crate::error::UpdateError;
use crate::release::{Release, ReleaseId};
use crate::source::{Progress, Terms};
use semver::Version;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// A release that is newer than what is installed, as [`Updater::check`](crate::Updater::check) found it or an event reported it.
///
/// It names this release and no other: what a person agreed to is downloaded and applied, or nothing. It does not keep the updater
/// running; once that has ended, calls answer with [`Cancelled`](crate::ErrorKind::Cancelled).
#[derive(Clone)]
pub struct Update {
    release: Release,
    received: u64,
    terms: Terms,
    remote: Remote,
}

impl Update {
    pub(super) fn new(release: Release, received: u64, terms: Terms, remote: Remote) -> Self {
        Self { release, received, terms, remote }
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.release.version
    }

    /// Release notes, Markdown, at most 64 KiB.
    pub fn notes(&self) -> Option<&str> {
        self.release.notes.as_deref()
    }

    /// Bytes of the build, where known.
    pub fn size(&self) -> Option<u64> {
        self.release.size
    }

    /// Whether the publisher wants it to be installed before the application is used further (`mandatory` in the manifest). What that
    /// means is up to the application; nobody signed it.
    pub fn is_mandatory(&self) -> bool {
        self.terms.mandatory
    }

    /// The oldest version of the operating system that it runs on (`minimumSystemVersion` in the manifest), as the publisher writes
    /// it. An application that respects it downloads on request; a build that does not start is rolled back in any case.
    pub fn minimum_system(&self) -> Option<&str> {
        self.terms.minimum_system.as_deref()
    }

    /// Where it comes from: a verlink, or the URL of the artifact.
    pub fn link(&self) -> &str {
        &self.release.origin
    }

    /// Names this release and no other, whatever its version says.
    pub fn id(&self) -> ReleaseId {
        self.release.id
    }

    /// Bytes that came over the network for it; 0 until it was downloaded.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Downloads and proves it, without a delay. Joins a download that runs; done at once when it lies there already. It works
    /// whether or not anybody waits for the answer.
    ///
    /// `on_progress` is called on the updater's thread, so it must not block; pass `|_| ()` if it is not shown.
    ///
    /// # Errors
    /// `Refused` when a newer release has come meanwhile: check again. `Network`, `Integrity`, `Disk`, `NoSpace` when it did not
    /// work (what was received is kept, and automatic downloads try again later), `Cancelled`.
    pub fn download(&self, on_progress: impl FnMut(Progress) + Send + 'static) -> Pending<()> {
        let (reply, answer) = pending();
        self.remote.tell(Command::Download(self.release.id, Box::new(on_progress), reply));
        answer
    }

    /// The person does not want this version: it is no longer offered, downloaded or applied automatically, even after a restart.
    /// A newer one is. What was downloaded of it is removed. [`Updater::check`](crate::Updater::check) still finds it, because a person asks,
    /// and downloading it undoes the skip.
    ///
    /// # Errors
    /// `Disk` when it cannot be recorded for later starts; until then it is skipped.
    pub fn skip(&self) -> Pending<()> {
        let (reply, answer) = pending();
        self.remote.tell(Command::Skip(self.release.clone(), reply));
        answer
    }

    /// Puts it in the application's place. The running code keeps running; the next start runs the new one, see
    /// [`Updater::restart`](crate::Updater::restart). May be called again when it failed.
    ///
    /// # Errors
    /// `Refused` when it was not downloaded, or a newer release has come meanwhile (that one was reported); `Busy` while the installed
    /// build is on trial; `Integrity`, `NoSpace`, `Permission`, `Disk`. In each case the installed build stays in place.
    pub fn apply(&self) -> Pending<AppliedUpdate> {
        self.remote.apply(Some(self.release.id))
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("release", &self.release).field("received", &self.received).finish()
    }
}

/// The same release.
impl PartialEq for Update {
    fn eq(&self, other: &Self) -> bool {
        self.release.id == other.release.id
    }
}

impl Eq for Update {}

/// What an apply put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedUpdate {
    /// The new version.
    pub version: Version,
    /// The version before.
    pub previous: Version,
    /// Where it came from.
    pub link: String,
    /// What the build before had on the disk and the new one has not (capabilities, attributes, permissions), a line for each file.
    pub not_kept: Vec<String>,
}

/// Where an answer goes.
pub(super) type Reply<T> = reply::Sender<Result<T, UpdateError>>;

/// What the thread is asked to do.
pub(super) enum Command {
    News,
    CheckNow,
    /// As [`Command::CheckNow`], for somebody who waits.
    Check(Reply<Option<Update>>),
    /// This release, with a callback for its progress.
    Download(ReleaseId, Box<dyn FnMut(Progress) + Send>, Reply<()>),
    Pause,
    /// As [`Command::Pause`], for somebody who waits for the network to be silent.
    Suspend(Reply<()>),
    Resume,
    Cancel,
    /// The person does not want this release.
    Skip(Release, Reply<()>),
    /// The release that was agreed to; nothing when none was reported.
    Apply(Option<ReleaseId>, Reply<AppliedUpdate>),
    End,
}

/// A way to tell the thread something. It keeps nothing running.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(super) commands: Sender<Command>,
    pub(super) interrupt: Arc<Interrupt>,
}

impl Remote {
    pub(super) fn tell(&self, command: Command) {
        let ends_fetch = matches!(
            command,
            Command::Apply(..)
                | Command::Pause
                | Command::Suspend(_)
                | Command::Cancel
                | Command::Skip(..)
                | Command::End
        );
        let _ = self.commands.send(command);
        // After the command: whoever clears the flag finds it.
        self.interrupt.raise(ends_fetch);
    }

    pub(super) fn apply(&self, agreed: Option<ReleaseId>) -> Pending<AppliedUpdate> {
        let (reply, answer) = pending();
        self.tell(Command::Apply(agreed, reply));
        answer
    }
}
