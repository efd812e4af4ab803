//! Where releases come from.

use crate::error::UpdateError;
use crate::release::{Release, Staged};
use semver::Version;
use std::path::Path;

/// How far a fetch has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// Told of progress; returns `false` to cancel.
pub type OnProgress<'a> = dyn FnMut(Progress) -> bool + Send + 'a;

/// Something that offers releases and proves what it delivers. Blocking.
pub trait Source: Send {
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

    /// Called after a fetched build was told of: time for what a source does for later (making room, writing down).
    fn settle(&mut self) {}

    /// Calls `notify` whenever there may be a newer release. `false`: it cannot tell, and has to be asked now and then.
    fn on_news(&mut self, notify: Box<dyn Fn() + Send + Sync>) -> bool {
        let _ = notify;
        false
    }
}
