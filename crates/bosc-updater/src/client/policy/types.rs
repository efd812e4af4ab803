//! What goes into the policy and what comes out of it.

use crate::error::ErrorKind;
use crate::release::{Release, ReleaseId};
use semver::Version;
use std::time::Duration;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// Whether to look for updates at all.
    pub updates: bool,
    /// Whether to look without being asked.
    pub auto_check: bool,
    /// Whether to fetch without being asked.
    pub auto_download: bool,
    /// The version that runs.
    pub installed: Version,
    /// Names this device; any bytes, the same at every start.
    pub device: [u8; 16],
    /// Longest random delay.
    pub delay: Duration,
    /// A release found so soon after the start is fetched at once.
    pub grace: Duration,
    /// How often a source that cannot tell of news is asked. `None`: it tells.
    pub poll: Option<Duration>,
    /// Whether a person asked for a version below the installed one.
    pub downgrade: bool,
    /// The version that the person does not want.
    pub skipped: Option<Version>,
}

/// What may be done with a release, as the installer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be installed.
    Admitted,
    /// It was rolled back before, and may be tried again after so long.
    Rejected(Duration),
    /// It is below the version floor, or not newer.
    TooOld,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The client started.
    Open,
    /// The source says that there may be something new.
    News,
    /// The source cannot tell of news, although its kind does: it is asked so often.
    AskEvery(Duration),
    /// What may be installed can change without news: check again after so long.
    AskAgain(Duration),
    /// Only this version may be installed now, whatever was found before.
    Only(Option<Version>),
    /// The build before the installed one was put back: this version.
    Restored(Version),
    /// The person wants to know now.
    CheckNow,
    /// The person wants this release, now.
    Download(ReleaseId),
    /// A check ended.
    Checked(Result<Option<(Release, Verdict)>, ErrorKind>),
    /// A fetch ended.
    Fetched(Result<(), ErrorKind>),
    /// A prefetch ended, however.
    Prefetched,
    /// Use no network until further notice.
    Pause,
    /// Go on.
    Resume,
    /// Stop the running fetch, or forget the release that waits.
    Cancel,
    /// The person does not want this version, until they look for it themselves or ask for it.
    Skip(Version),
    /// Put the staged release in place.
    Apply,
    /// An apply ended.
    Applied(Result<(), ErrorKind>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the source for something newer than this version.
    Check(Version),
    /// Bring the installed build's blocks here.
    Prefetch,
    /// Fetch this release.
    Fetch(Release),
    /// Install what is staged.
    Apply,
    /// End what runs; its end comes as an input.
    Interrupt,
    /// Tell that a release waits for so long.
    Scheduled(Release, Duration),
    /// Tell that a release was found, and is not fetched by itself.
    Available(Release),
    /// Tell that a release was found and may not be installed.
    Refused(Release, Verdict),
    /// There is nothing to apply.
    NothingToApply,
}
