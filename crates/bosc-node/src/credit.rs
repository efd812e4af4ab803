//! How much may wait between the thread that talks to sockets and the one that talks to cores.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How much may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of frames from which on no more are made for it.
    pub outbound_high: usize,
    /// Bytes left at which making more begins again.
    pub outbound_low: usize,
    /// Bytes of received messages from which on it is not read any more.
    pub inbound_high: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { outbound_high: 512 << 10, outbound_low: 256 << 10, inbound_high: 4 << 20 }
    }
}

/// Counters of one connection, shared by both threads.
#[derive(Debug)]
pub struct Credit {
    bounds: Bounds,
    outbound: AtomicUsize,
    inbound: AtomicUsize,
    starved: AtomicBool,
    /// Whether bytes went each way.
    pub(crate) received: AtomicBool,
    pub(crate) sent: AtomicBool,
}

impl Credit {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            outbound: AtomicUsize::new(0),
            inbound: AtomicUsize::new(0),
            starved: AtomicBool::new(false),
            received: AtomicBool::new(false),
            sent: AtomicBool::new(false),
        }
    }

    /// Bytes of frames that wait.
    pub(crate) fn outbound(&self) -> usize {
        self.outbound.load(Ordering::SeqCst)
    }

    /// Whether more may be made for the connection. When not, [`Credit::sent_out`] tells when to try again.
    pub(crate) fn may_send(&self) -> bool {
        if self.outbound.load(Ordering::SeqCst) < self.bounds.outbound_high {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        // It may have drained between the look and the note.
        self.outbound.load(Ordering::SeqCst) < self.bounds.outbound_low
    }

    /// Frames of `n` bytes were handed to the socket thread.
    pub(crate) fn queued(&self, n: usize) {
        self.outbound.fetch_add(n, Ordering::SeqCst);
    }

    /// `n` bytes went out. Returns whether the maker waits to be told.
    pub(crate) fn sent_out(&self, n: usize) -> bool {
        let before = self.outbound.fetch_sub(n, Ordering::SeqCst);
        before.saturating_sub(n) < self.bounds.outbound_low && self.starved.swap(false, Ordering::SeqCst)
    }

    /// Messages of `n` bytes were handed to the core thread.
    pub(crate) fn arrived(&self, n: usize) {
        self.inbound.fetch_add(n, Ordering::SeqCst);
    }

    /// `n` of them were worked through. Returns whether reading may have stopped because of them.
    pub(crate) fn worked(&self, n: usize) -> bool {
        let before = self.inbound.fetch_sub(n, Ordering::SeqCst);
        before >= self.bounds.inbound_high && before - n < self.bounds.inbound_high
    }

    /// Whether the connection may be read.
    pub(crate) fn may_read(&self) -> bool {
        self.inbound.load(Ordering::SeqCst) < self.bounds.inbound_high
    }
}
