//! What callers hold of a live core: its snapshot, and downloads.

use crate::signal::Signal;
use crate::status::CoreStatus;
use bosc_wire::replication::DownloadId;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A live core's snapshot, shared with callers.
#[derive(Debug, Default)]
pub struct CoreShared {
    pub(super) status: Mutex<CoreStatus>,
    pub(crate) signal: Signal,
}

impl CoreShared {
    /// The snapshot.
    pub fn status(&self) -> CoreStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A download's state, shared with callers.
#[derive(Debug, Default)]
pub struct DownloadState {
    done: AtomicBool,
    pub(super) id: Mutex<Option<DownloadId>>,
}

impl DownloadState {
    /// Whether all its blocks are here.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    pub(super) fn finish(&self) {
        self.done.store(true, Ordering::SeqCst);
    }
}
