//! Fetching a release: with progress, stoppable, given up when nobody delivers.

use super::error::cancelled;
use super::link::FollowedLink;
use crate::error::UpdateError;
use crate::source::{OnProgress, Progress};
use bosc_follow::offer::{Gathering, Offer};
use bosc_follow::{Fetch, FollowError, FollowedCore, Reader, Wait};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Least time between two calls of the listener.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// One fetch on its way: who gets its progress, and since when nothing came.
pub(super) struct Fetching<'a, 'b> {
    pub(super) link: &'a FollowedLink,
    on_progress: &'a mut OnProgress<'b>,
    patience: Duration,
    counts: Counts,
    told: Instant,
}

/// What progress is made of.
struct Counts {
    /// Bytes of the build that are here without having been downloaded now.
    local: Cell<u64>,
    total: Option<u64>,
    /// Bytes of blocks of the blobs core downloaded before the build's own began to come.
    downloaded_before: u64,
    received_before: u64,
}

/// Bytes of contents that came so far.
fn downloaded(link: &FollowedLink) -> u64 {
    link.drive.known_blobs().map_or(0, FollowedCore::downloaded_bytes)
}

impl Counts {
    fn progress(&self, link: &FollowedLink) -> Progress {
        let downloaded = match self.total {
            Some(_) => downloaded(link).saturating_sub(self.downloaded_before),
            None => 0,
        };
        let bytes = self.local.get().saturating_add(downloaded);
        Progress {
            bytes: self.total.map_or(bytes, |t| bytes.min(t)),
            total: self.total,
            received: link.received().saturating_sub(self.received_before),
            peers: link.db().status().peers.len(),
        }
    }
}

impl<'a, 'b> Fetching<'a, 'b> {
    /// `received_before`: the node's count of received bytes when the release was first looked for.
    pub(super) fn new(
        link: &'a FollowedLink,
        on_progress: &'a mut OnProgress<'b>,
        patience: Duration,
        received_before: u64,
    ) -> Self {
        let now = Instant::now();
        let counts = Counts { local: Cell::new(0), total: None, downloaded_before: 0, received_before };
        let told = now.checked_sub(TELL_EVERY).unwrap_or(now);
        Self { link, on_progress, patience, counts, told }
    }

    /// The same with another patience.
    pub(super) fn patient(&mut self, patience: Duration) -> Fetching<'_, 'b> {
        let received_before = self.counts.received_before;
        Fetching::new(self.link, &mut *self.on_progress, patience, received_before)
    }

    /// From here on downloaded blocks count as parts of a build of `total` bytes, of which `local` are here.
    pub(super) fn count(&mut self, local: u64, total: u64) {
        self.counts.local.set(local);
        self.counts.total = Some(total);
        self.counts.downloaded_before = downloaded(self.link);
    }

    /// All of the build is here.
    pub(super) fn is_here(&mut self, bytes: u64) {
        self.counts.local.set(bytes);
    }

    /// Tells of progress when it is time.
    ///
    /// # Errors
    /// `Cancelled` when the listener wants no more.
    pub(super) fn tell(&mut self) -> Result<(), UpdateError> {
        if self.told.elapsed() < TELL_EVERY { Ok(()) } else { self.tell_now() }
    }

    pub(super) fn tell_now(&mut self) -> Result<(), UpdateError> {
        self.told = Instant::now();
        let progress = self.counts.progress(self.link);
        if (self.on_progress)(progress) { Ok(()) } else { Err(cancelled()) }
    }

    /// Has `work` wait as this fetch does: with progress, and given up when nothing comes for as long as the patience.
    pub(super) fn wait<T>(
        &mut self,
        work: impl FnOnce(&mut Wait<'_>, &Cell<u64>) -> Result<T, FollowError>,
    ) -> Result<T, UpdateError> {
        let Self { link, on_progress, counts, told, .. } = self;
        let mut tell = || {
            // Many short waits tell no more often than one long one; what has to be heard is.
            if told.elapsed() < TELL_EVERY && !link.stop.is_stopped() {
                return true;
            }
            *told = Instant::now();
            on_progress(counts.progress(link))
        };
        let mut wait = Wait::new(&link.stop).stall(self.patience).tell(TELL_EVERY, &mut tell);
        Ok(work(&mut wait, &counts.local)?)
    }

    /// Brings these blocks here, from offers in order of their cost. Whether all are here.
    pub(super) fn gather(
        &mut self,
        core: &FollowedCore,
        blocks: Vec<u64>,
        offers: &mut [&mut dyn Offer],
    ) -> Result<bool, UpdateError> {
        self.wait(|wait, local| Gathering::new(core, blocks, local, wait).from(offers))
    }

    /// Reads a core.
    pub(super) fn of<'f>(&'f mut self, core: &'f FollowedCore) -> Reading<'f, 'a, 'b> {
        Reading { fetching: self, core }
    }
}

/// A core that is read.
pub(super) struct Reading<'f, 'a, 'b> {
    fetching: &'f mut Fetching<'a, 'b>,
    core: &'f FollowedCore,
}

impl Fetch for Reading<'_, '_, '_> {
    type Error = UpdateError;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), UpdateError> {
        let core = self.core;
        self.fetching.wait(|wait, _| Reader::new(Some(core), wait).fetch(block, ahead))
    }
}
