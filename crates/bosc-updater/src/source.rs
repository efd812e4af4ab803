//! Where releases come from.

use crate::error::UpdateError;
use crate::release::{Release, Staged};
use semver::Version;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far a fetch has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the build that are on this disk and proved, whatever they came from.
    pub bytes: u64,
    /// Bytes of the whole build, where known.
    pub total: Option<u64>,
    /// Bytes that came over the network for it.
    pub received: u64,
    /// Connected peers; 1 for a server.
    pub peers: usize,
}

/// One of two signed heads of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Length in blocks.
    pub length: u64,
    /// Tree hash, in z-base-32.
    pub tree_hash: String,
}

/// A link with two histories, both signed by its key. The one that is here is followed further; nothing is taken from the
/// other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The link that is followed.
    pub link: String,
    /// Key of the core that has two histories: the link's, or that of its blobs.
    pub key: String,
    /// The fork of both.
    pub fork: u64,
    /// A length both reach and up to which they differ.
    pub length: u64,
    /// The head that is here.
    pub ours: Head,
    /// The other one.
    pub theirs: Head,
    /// Public key of the peer that proved it.
    pub peer: String,
}

/// What a publisher says about a release besides its bytes. Told to the application, which decides what it means. A link's quorum signed
/// it, and so did the key of a manifest with rules; of a manifest without them nobody did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Whether the publisher wants it to be installed before the application is used further.
    pub mandatory: bool,
    /// The oldest version of the operating system that it runs on, as the publisher writes it.
    pub minimum_system: Option<String>,
}

/// Where an application stands, for the rules of its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is installed.
    pub installed: Version,
    /// Whether it has not said yet that it is healthy.
    pub on_trial: bool,
    /// The version of the build that is kept beside it.
    pub kept: Option<Version>,
}

/// Where the application stands, asked when there are rules.
pub type Where = Arc<dyn Fn() -> Result<Standing, UpdateError> + Send + Sync>;

/// Why a release that the quorum signed is not installed here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldBy {
    /// An operator halted it.
    #[non_exhaustive]
    Halt {
        /// The operator's public key, z-base-32.
        operator: String,
    },
    /// It goes to a share of all installations so far, and this one is not among them.
    #[non_exhaustive]
    Share {
        /// The share, in hundredths of a percent.
        hundredths: u16,
    },
    /// Nobody said lately that it is the newest.
    Stale,
}

/// A release that the quorum signed and that is not installed here for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its version.
    pub version: Version,
    /// Why.
    pub by: HeldBy,
}

/// Nobody who may say so said lately what is the newest release: somebody may be holding back what is newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// When somebody said so last.
    pub last: Option<SystemTime>,
    /// How long that may be ago, as the quorum signed it.
    pub limit: Duration,
}

/// What the rules of a link let a client do after a check. By default: install nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guidance {
    /// The only version that may be installed, whatever was found or fetched before.
    pub allowed: Option<Version>,
    /// The newest release that is not for this installation.
    pub held: Option<Held>,
    /// Nobody said lately what is the newest.
    pub stale: Option<Stale>,
    /// This installed version is taken back by an operator.
    pub taken_back: Option<Version>,
    /// The build that is kept goes into its place.
    pub restore: bool,
    /// What holds may change without news of a release.
    pub ask_again: bool,
}

/// Called with progress; returns `false` to cancel.
pub type OnProgress<'a> = dyn FnMut(Progress) -> bool + Send + 'a;

mod sealed {
    /// What a source delivers is installed: whether it proves that is not left to others.
    pub trait Sealed {}
}

pub(crate) use sealed::Sealed;

/// Something that offers releases and proves what it delivers. Blocking. There are two, and no others can be made.
pub trait Source: Send + Sealed {
    /// The newest release there is for this platform, or `None` when nothing could be newer than `installed`.
    ///
    /// # Errors
    /// `Network` when nobody answers, `Integrity` when what answers is wrong.
    fn check(&mut self, installed: &Version) -> Result<Option<Release>, UpdateError>;

    /// Brings a release into `staging` (a folder on the application's file system, which may hold what an interrupted
    /// call left) and proves it.
    ///
    /// # Errors
    /// As [`Source::check`], and `Disk`, `NoSpace`, `Cancelled`.
    fn fetch(
        &mut self,
        release: &Release,
        staging: &Path,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Staged, UpdateError>;

    /// Brings the build that is installed here, so that later releases need only what changes. Does nothing where
    /// that is of no use.
    ///
    /// # Errors
    /// As [`Source::fetch`].
    fn prefetch(&mut self, installed: &Version, on_progress: &mut OnProgress<'_>) -> Result<(), UpdateError> {
        let _ = (installed, on_progress);
        Ok(())
    }

    /// What the publisher says about the release that the last check found.
    fn terms(&self) -> Terms {
        Terms::default()
    }

    /// What rules of the link follow from the last check. `None`: there are none, or the check did not come so far.
    fn guidance(&mut self) -> Option<Guidance> {
        None
    }

    /// What was fetched is not installed in this run. What can be made anew from the rest goes.
    fn put_away(&mut self) {}

    /// What was fetched into `staging` is not needed any more: there is no newer release.
    fn tidy(&mut self, staging: &Path) {
        let _ = staging;
    }

    /// Called after a fetched build was reported: time for what a source does for later (making room, writing down).
    fn settle(&mut self) {}

    /// Uses no network from now on, or does so again. Blocks until that is so, two seconds at most.
    fn rest(&mut self, rests: bool) {
        let _ = rests;
    }

    /// Other histories of what is followed that were proved since the last call.
    fn conflicts(&mut self) -> Vec<Conflict> {
        Vec::new()
    }

    /// Calls `notify` whenever there may be a newer release. `false`: it cannot tell, and has to be asked now and then.
    fn on_news(&mut self, notify: Box<dyn Fn() + Send + Sync>) -> bool {
        let _ = notify;
        false
    }
}
