//! What goes into the installer and what comes out of it.

use crate::release::ReleaseId;
use semver::Version;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What lies at the application's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One file: an executable or an AppImage.
    File,
    /// A folder with the program somewhere in it.
    Directory,
    /// A macOS bundle: a folder whose name ends in `.app`.
    Bundle,
    /// A program that Windows installed from an MSIX package, and keeps where nobody else may write.
    Package,
}

/// How a new build proves itself. Take [`HealthPolicy::default`] and set what is to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthPolicy {
    /// How long a new build may take from its start until it says that it is healthy. 1 s to 1 day; default 60 s.
    pub window: Duration,
    /// How often a watcher ([`crate::health::watch`]) starts a build that ends by itself before it said that it is healthy:
    /// `threshold - 1` times, at least once; then it is rolled back. 1 to 16; default 2 (the first such end rolls it back), as in
    /// Perry's updater.
    pub threshold: u32,
    /// Starts that may end unhealthy before the build is rolled back at the next one, where nobody saw what ended them: a person, a
    /// logout, a power cut, or a fault of the build. 1 to 64; default 3. One that a reboot ended is not counted, up to eight times.
    pub unfinished: u32,
    /// Whether builds are rolled back without anyone's help. Default true.
    pub automatic: bool,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), threshold: 2, unfinished: 3, automatic: true }
    }
}

impl HealthPolicy {
    /// The default with another [`HealthPolicy::window`].
    pub fn within(window: Duration) -> Self {
        Self { window, ..Self::default() }
    }

    /// The policy with every number inside its bounds.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            window: self.window.clamp(Duration::from_secs(1), Duration::from_secs(86_400)),
            threshold: self.threshold.clamp(1, 16),
            unfinished: self.unfinished.clamp(1, 64),
            automatic: self.automatic,
        }
    }

    /// Starts without health that a new build is allowed.
    pub fn starts(self) -> u32 {
        self.threshold.saturating_sub(1).clamp(1, 15)
    }
}

/// What an installer is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The application: an executable, an AppImage, a folder or a `.app`. A symbolic link is followed once, when the
    /// installer is opened.
    pub target: PathBuf,
    /// The version of the code that calls; for a watcher in a process of its own, the version of the application that
    /// started it.
    pub version: Version,
    /// How a new build proves itself.
    pub health: HealthPolicy,
    /// How long to wait for another updater of the same application, and for files that something else (a virus
    /// scanner) holds open. Default 10 s.
    pub patience: Duration,
    /// How long a release that was rolled back is held back; doubled each time, up to 64 times. Default 1 day.
    pub back_off: Duration,
    /// Whether a version may be installed that is below the installed one, or below one that worked here: because a person asked
    /// for it. It then becomes the oldest one that is taken. For one install. Default false.
    pub downgrade: bool,
}

impl Options {
    /// Options for an application at `target` that runs as `version`.
    pub fn new(target: impl Into<PathBuf>, version: Version) -> Self {
        Self {
            target: target.into(),
            version,
            health: HealthPolicy::default(),
            patience: Duration::from_secs(10),
            back_off: Duration::from_secs(86_400),
            downgrade: false,
        }
    }
}

/// One build that the journal speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its version.
    pub version: Version,
    /// Its release; `None` for a build that did not come through this updater.
    pub release: Option<ReleaseId>,
}

/// Why a build was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The operating system could not start it.
    CannotStart,
    /// It ended with an error, or was killed, before it said that it is healthy.
    Crashed,
    /// It ran, but did not say that it is healthy in time.
    Silent,
    /// It was started as often as the policy allows, every start was cut off, and it never said that it is healthy.
    TooManyStarts,
    /// Somebody asked for it.
    Asked,
    /// An operator of the link halted or recalled it, as its quorum lets them. It may be installed again once they lift that.
    Recalled,
}

impl Reason {
    /// Its name in the journal and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CannotStart => "cannot-start",
            Self::Crashed => "crashed",
            Self::Silent => "silent",
            Self::TooManyStarts => "too-many-starts",
            Self::Asked => "asked",
            Self::Recalled => "recalled",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::CannotStart, Self::Crashed, Self::Silent, Self::TooManyStarts, Self::Asked, Self::Recalled]
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }
}

/// A build that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The build that was removed. It lies at `<target>.broken` until the next install.
    pub bad: Build,
    /// The build that is in its place.
    pub restored: Build,
    /// Why.
    pub reason: Reason,
}

/// A build that was installed and is now on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The build at the application's path.
    pub new: Build,
    /// The build before it, kept at `backup`.
    pub old: Build,
    /// Where the build before it is kept: `<target>.prev`.
    pub backup: PathBuf,
    /// How it came into place.
    pub method: Method,
    /// What the build before had on the disk and the new one has not (capabilities, attributes, set-user-id bits), a line for each file,
    /// at most 32. Nothing for a package.
    pub not_kept: Vec<String>,
}

/// How builds change places. See the table in [`crate::install`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// One system call exchanges both: the path never is without a whole build.
    Exchange,
    /// One system call replaces the file; the old one has got a second name first: the path never is without a build.
    Replace,
    /// Two renames; a kill between them is undone by whoever starts next.
    Renames,
    /// A package was handed to the system, which puts it in place when the application has ended.
    Package,
}

/// Where an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No update is on its way. `previous` is the build at `<target>.prev`, if there is one that may be returned to.
    Settled {
        /// The build before the installed one.
        previous: Option<Build>,
    },
    /// A new build is at the application's path and has not said yet that it is healthy.
    Trial {
        /// The new build.
        new: Build,
        /// The build that takes its place if it does not.
        old: Build,
        /// Starts of the new build so far.
        starts: u32,
        /// When it was installed.
        since: SystemTime,
    },
}

/// What an application that has just started must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Where it stands.
    pub state: StartState,
    /// A build that was rolled back since the application last asked. Told once.
    pub news: Option<RolledBack>,
    /// Whether a process that watches this start ([`crate::health::watch`]) said so when it made it. That one starts the
    /// build before it, so one that was rolled back only exits.
    pub watched: bool,
}

/// Where a started application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartState {
    /// Nothing to do.
    Settled,
    /// This code is the new build: call [`super::Installer::mark_healthy`] when it works.
    Trial {
        /// Which start this is, 1 for the first.
        start: u32,
        /// How long it has from now.
        window: Duration,
    },
    /// This code is a build that was just rolled back: the application's path holds the build before it. Start that one
    /// ([`crate::health::relaunch`]) unless [`Started::watched`], and exit.
    RolledBack(RolledBack),
}

/// Whether a release may be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted,
    /// It is not newer than what runs.
    NotNewer,
    /// It is older than a version that was healthy here.
    BelowFloor(Version),
    /// It was rolled back before, and may be tried again at this time, or is lifted by a newer version.
    Rejected {
        /// When it may be tried again.
        until: SystemTime,
        /// How often it was rolled back.
        times: u32,
    },
    /// The installed build has not said yet that it is healthy.
    OnTrial,
}

/// A release that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its version: any release with this version is held back.
    pub version: Version,
    /// Its identity: this release is held back whatever version it says.
    pub release: Option<ReleaseId>,
    /// How often it was rolled back.
    pub times: u32,
    /// When it was last rolled back.
    pub last: SystemTime,
    /// When it may be tried again.
    pub until: SystemTime,
    /// Why, the last time.
    pub reason: Reason,
}

/// What may not be gone below.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Floor {
    /// The newest version that said it is healthy.
    pub version: Option<Version>,
    /// The newest manifest schema that was seen with a good signature; 0 for none.
    pub schema: u32,
}
