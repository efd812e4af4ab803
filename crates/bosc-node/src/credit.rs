//! How much may wait between the thread that talks to sockets and the one that talks to cores.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of frames that may wait for one connection before no more are made for it.
const OUTBOUND_HIGH: usize = 512 << 10;
/// Bytes left at which making more begins again.
const OUTBOUND_LOW: usize = 256 << 10;
/// Bytes of received messages that may wait before the connection is not read any more.
const INBOUND_HIGH: usize = 4 << 20;

/// Counters of one connection, shared by both threads.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    outbound: AtomicUsize,
    inbound: AtomicUsize,
    starved: AtomicBool,
    /// Whether bytes went each way.
    pub(crate) received: AtomicBool,
    pub(crate) sent: AtomicBool,
}

impl Credit {
    /// Whether more may be made for the connection. When not, [`Credit::sent_out`] tells when to try again.
    pub(crate) fn may_send(&self) -> bool {
        if self.outbound.load(Ordering::SeqCst) < OUTBOUND_HIGH {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        // It may have drained between the look and the note.
        self.outbound.load(Ordering::SeqCst) < OUTBOUND_LOW
    }

    /// Frames of `n` bytes were handed to the socket thread.
    pub(crate) fn queued(&self, n: usize) {
        self.outbound.fetch_add(n, Ordering::SeqCst);
    }

    /// `n` bytes went out. Returns whether the maker waits to be told.
    pub(crate) fn sent_out(&self, n: usize) -> bool {
        let before = self.outbound.fetch_sub(n, Ordering::SeqCst);
        before.saturating_sub(n) < OUTBOUND_LOW && self.starved.swap(false, Ordering::SeqCst)
    }

    /// Messages of `n` bytes were handed to the core thread.
    pub(crate) fn arrived(&self, n: usize) {
        self.inbound.fetch_add(n, Ordering::SeqCst);
    }

    /// `n` of them were worked through. Returns whether reading may have stopped because of them.
    pub(crate) fn worked(&self, n: usize) -> bool {
        let before = self.inbound.fetch_sub(n, Ordering::SeqCst);
        before >= INBOUND_HIGH && before - n < INBOUND_HIGH
    }

    /// Whether the connection may be read.
    pub(crate) fn may_read(&self) -> bool {
        self.inbound.load(Ordering::SeqCst) < INBOUND_HIGH
    }
}
