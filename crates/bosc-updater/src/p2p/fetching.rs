//! Waiting for what peers bring: bounded, told of, stoppable.

use super::core::drive_error;
use super::link::{Link, Looking};
use crate::error::{ErrorKind, UpdateError};
use crate::source::{OnProgress, Progress};
use bosc_node::{CoreStatus, LiveCore, TICK};
use std::time::{Duration, Instant};

/// How often progress is told while something is waited for.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// One fetch on its way: who is told, and since when nothing came.
pub(super) struct Fetching<'a, 'b> {
    pub(super) link: &'a Link,
    on_progress: &'a mut OnProgress<'b>,
    patience: Duration,
    /// Bytes of the build that are here without having been downloaded now.
    pub(super) local: u64,
    pub(super) total: Option<u64>,
    /// Bytes of blocks of the blobs core downloaded before the build's own began to come.
    downloaded_before: u64,
    received_before: u64,
    told: Instant,
}

impl<'a, 'b> Fetching<'a, 'b> {
    /// `received_before`: the node's count of received bytes when the release was first looked for.
    pub(super) fn new(
        link: &'a Link,
        on_progress: &'a mut OnProgress<'b>,
        patience: Duration,
        received_before: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            link,
            on_progress,
            patience,
            local: 0,
            total: None,
            downloaded_before: 0,
            received_before,
            told: now.checked_sub(TELL_EVERY).unwrap_or(now),
        }
    }

    /// From here on downloaded blocks count as parts of the build.
    pub(super) fn count_from_here(&mut self) {
        self.downloaded_before = self.link.blobs().map_or(0, |b| b.status().downloaded_bytes);
    }

    pub(super) fn progress(&self) -> Progress {
        let blobs = self.link.blobs().map(|b| b.status()).unwrap_or_default();
        let downloaded = match self.total {
            Some(_) => blobs.downloaded_bytes.saturating_sub(self.downloaded_before),
            None => 0,
        };
        let bytes = self.local.saturating_add(downloaded);
        Progress {
            bytes: self.total.map_or(bytes, |t| bytes.min(t)),
            total: self.total,
            received: self.link.node.status().received.saturating_sub(self.received_before),
            peers: self.link.db.status().peers.len(),
        }
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
        let progress = self.progress();
        if (self.on_progress)(progress) { Ok(()) } else { Err(cancelled()) }
    }

    /// Asks `ready` after every change until it answers. Gives up when nothing comes for as long as the patience.
    pub(super) fn wait<T>(
        &mut self,
        live: &LiveCore,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, UpdateError> {
        let mut seen = (live.status().downloaded_blocks, Instant::now());
        let mut looking = Looking::start();
        loop {
            let until = Instant::now() + TELL_EVERY;
            if let Some(value) = live.signal().wait(Some(until), TICK, &mut ready) {
                return Ok(value);
            }
            self.tell()?;
            let status = live.status();
            if let Some(why) = &status.failed {
                return Err(core_failed(why));
            }
            if status.downloaded_blocks != seen.0 {
                seen = (status.downloaded_blocks, Instant::now());
                looking = Looking::start();
            }
            if seen.1.elapsed() > self.patience {
                return Err(nobody(&status));
            }
            // Nobody is there, or nothing comes from those who are.
            if looking.is_due(status.peers.is_empty()) {
                self.link.look_again();
            }
        }
    }

    /// Waits for a download, telling of progress on the way.
    pub(super) fn wait_while_it_comes(
        &mut self,
        live: &LiveCore,
        done: impl Fn() -> bool,
    ) -> Result<(), UpdateError> {
        self.wait(live, || done().then_some(()))
    }

    /// Repeats `op` until it has all blocks of `live` that it needs. `op` names more that it will need soon.
    pub(super) fn read<T>(
        &mut self,
        live: &LiveCore,
        mut op: impl FnMut() -> Result<T, (bosc_drive::Error, Vec<u64>)>,
    ) -> Result<T, UpdateError> {
        loop {
            match op() {
                Ok(value) => return Ok(value),
                Err((e, ahead)) => {
                    let Some(block) = e.missing() else { return Err(drive_error(e)) };
                    self.blocks(live, block, ahead)?;
                }
            }
        }
    }

    /// Gets `block`, and asks for `ahead` at the same time.
    pub(super) fn blocks(
        &mut self,
        live: &LiveCore,
        block: u64,
        mut ahead: Vec<u64>,
    ) -> Result<(), UpdateError> {
        if ahead.first() != Some(&block) {
            ahead.insert(0, block);
        }
        live.want(ahead);
        let core = live.core().clone();
        self.wait(live, || core.has(block).unwrap_or(false).then_some(()))
    }
}

pub(super) fn cancelled() -> UpdateError {
    UpdateError::new(ErrorKind::Cancelled, "the update was stopped").hint("what was downloaded is kept")
}

pub(super) fn core_failed(why: &str) -> UpdateError {
    let kind = if why.contains("space") { ErrorKind::NoSpace } else { ErrorKind::Disk };
    UpdateError::new(kind, format!("what was downloaded could not be kept: {why}"))
        .hint("check the disk of the updater's folder; what was downloaded is kept")
}

/// Nothing came in time.
pub(super) fn nobody(status: &CoreStatus) -> UpdateError {
    let message = if status.peers.is_empty() {
        "nobody who has the release was found"
    } else {
        "the peers that were found did not deliver"
    };
    let e = UpdateError::new(ErrorKind::Network, message)
        .hint("somebody has to seed the link; it is tried again when a peer appears");
    match &status.dropped_peer {
        Some(why) => e.because(format!("a peer was dropped because it {why}")),
        None => e,
    }
}
