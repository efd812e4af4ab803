//! What an updater tells the application.

use super::diff::Change;
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Reason, TakenBack};
use crate::source::Progress;
use semver::Version;
use std::error::Error;
use std::time::Duration;

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A release was found and waits for so long, so that not everybody fetches it at once.
    Scheduled {
        /// Its version.
        version: Version,
        /// How long.
        delay: Duration,
    },
    /// A release is being fetched.
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
    /// The release is here, proved, and may be applied.
    Updated {
        /// Its version.
        version: Version,
        /// A verlink, or the URL of the artifact.
        link: String,
        /// Release notes, Markdown.
        notes: Option<String>,
        /// Bytes of the build, where known.
        size: Option<u64>,
        /// Bytes that came over the network for it.
        received: u64,
    },
    /// It is in the application's place. The next start runs it.
    Applied {
        /// The new version.
        version: Version,
        /// The version before, kept until the new one is healthy.
        previous: Version,
        /// A verlink, or the URL of the artifact.
        link: String,
    },
    /// A build was taken back.
    RolledBack {
        /// The version that is gone.
        version: Version,
        /// The version that is in its place again.
        restored: Version,
        /// Why.
        reason: Reason,
        /// The running code is the build that was taken back: start the application again, then exit.
        restart: bool,
    },
    /// Something did not work. What can be tried again is.
    Error(Failure),
}

impl Event {
    pub(crate) fn rolled_back(t: &TakenBack, restart: bool) -> Self {
        Self::RolledBack {
            version: t.bad.version.clone(),
            restored: t.restored.version.clone(),
            reason: t.reason,
            restart,
        }
    }
}

/// An [`UpdateError`] as an event: texts that can be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who is to blame.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// The release it was about.
    pub version: Option<Version>,
}

impl Failure {
    pub(crate) fn of(e: &UpdateError, version: Option<&Version>) -> Self {
        let mut causes = Vec::new();
        let mut next = e.source();
        while let Some(cause) = next.filter(|_| causes.len() < 8) {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Self {
            kind: e.kind(),
            message: e.to_string(),
            hint: e.next_step().map(str::to_owned),
            causes,
            version: version.cloned(),
        }
    }
}
