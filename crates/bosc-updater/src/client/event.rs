//! What an updater tells the application.

use super::diff::Change;
use super::update::Update;
use crate::error::UpdateError;
use crate::install::{Reason, RolledBack};
use crate::source::{Conflict, Held, Progress, Stale};
use semver::Version;
use std::path::PathBuf;
use std::time::Duration;

/// Something happened. All of it may be ignored: nothing waits for an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A release was found and is not downloaded, because
    /// [`UpdaterBuilder::download_automatically`](crate::UpdaterBuilder::download_automatically) is off. Reported once for each release.
    Available(Update),
    /// A release was found and is fetched after this delay, so that not everybody fetches it at once.
    #[non_exhaustive]
    Scheduled {
        /// Its version.
        version: Version,
        /// From now until it is fetched.
        delay: Duration,
    },
    /// A release is being fetched.
    #[non_exhaustive]
    Updating {
        /// Its version.
        version: Version,
        /// A verlink, or the URL of the artifact.
        link: String,
        /// Release notes, Markdown.
        notes: Option<String>,
    },
    /// How far the fetch is.
    Progress(Progress),
    /// The files that differ from the installed build.
    Delta(Vec<Change>),
    /// The release is here, whole and proved, and may be applied.
    Updated(Update),
    /// It is in the application's place. The next start runs it.
    #[non_exhaustive]
    Applied {
        /// The new version.
        version: Version,
        /// The version before, kept until the new one is healthy.
        previous: Version,
        /// A verlink, or the URL of the artifact.
        link: String,
        /// What the build before had on the disk and the new one has not (capabilities, attributes, permissions), a line for each
        /// file.
        not_kept: Vec<String>,
    },
    /// A build was rolled back.
    #[non_exhaustive]
    RolledBack {
        /// The version that is gone.
        version: Version,
        /// The version that is in its place again.
        restored: Version,
        /// Why.
        reason: Reason,
        /// The running code is the build that was rolled back: start the application again, then exit.
        restart: bool,
    },
    /// The link's quorum signed a release that is not for this installation yet, or not any more. Reported when that changes.
    Held(Held),
    /// Nobody who may say so said lately what is the link's newest release: somebody may be holding back what is newer. Nothing newer is
    /// installed until somebody does. Reported when that changes.
    Stale(Stale),
    /// An operator of the link takes the installed version back, and there is no build beside it to return to: it is replaced by the next
    /// release. Where there is one, [`Event::RolledBack`] is reported instead, with [`Reason::Recalled`].
    #[non_exhaustive]
    Recalled {
        /// The version.
        version: Version,
    },
    /// Somebody signed two histories of the link. This one is followed further, and nothing is installed from the other;
    /// report it to the publisher.
    Conflict(Conflict),
    /// The installed release and its own code say different versions: the version in the code was not raised. It is treated as
    /// the release it is; the next one puts that right.
    #[non_exhaustive]
    VersionMismatch {
        /// What the release says.
        release: Version,
        /// What the running code says.
        running: Version,
    },
    /// The updater's journal was damaged and is put aside at this path: what it knew of a build on trial, of the build before it
    /// and of releases that were rolled back is lost. The application keeps running the build that is in its place.
    #[non_exhaustive]
    JournalDamaged {
        /// Where it lies now.
        aside: PathBuf,
    },
    /// No application was named, and so nothing is looked for; this is why [`crate::client::this_app`] names none.
    #[non_exhaustive]
    NotInstalled {
        /// One sentence, in English.
        reason: String,
    },
    /// Another instance of the application looks for updates, so this one does not. It takes over when the other one has ended.
    /// Of kind [`Busy`](crate::ErrorKind::Busy).
    SecondInstance(UpdateError),
    /// Something did not work. What can be tried again is.
    Error(UpdateError),
}

impl Event {
    pub(crate) fn rolled_back(t: &RolledBack, restart: bool) -> Self {
        Self::RolledBack {
            version: t.bad.version.clone(),
            restored: t.restored.version.clone(),
            reason: t.reason,
            restart,
        }
    }
}
