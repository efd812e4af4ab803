//! How much may wait between the thread that talks to sockets and the one that talks to cores.
//!
//! Frames for a connection are made while little waits for it *and* its stream takes more: a frame can hold a block of
//! several MiB, and would else wait beside what the stream has not had acknowledged. Who made none because of one of the
//! two is told when neither holds any more ([`Credit::sent_out`], [`Credit::room`]); told too often does no harm.

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

/// Bytes of frames that may wait for a new connection: what it may have is decided when it takes some.
const FIRST: usize = 128 << 10;

/// Counters of one connection, shared by both threads.
#[derive(Debug)]
pub struct Credit {
    bounds: Bounds,
    /// What may wait now, at most the bound: a slow one of many has less.
    high: AtomicUsize,
    outbound: AtomicUsize,
    inbound: AtomicUsize,
    /// The stream takes no more for now.
    full: AtomicBool,
    starved: AtomicBool,
    /// Whether bytes went each way.
    pub(crate) received: AtomicBool,
    pub(crate) sent: AtomicBool,
}

impl Credit {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            high: AtomicUsize::new(bounds.outbound_high.min(FIRST)),
            bounds,
            outbound: AtomicUsize::new(0),
            inbound: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            starved: AtomicBool::new(false),
            received: AtomicBool::new(false),
            sent: AtomicBool::new(false),
        }
    }

    /// Bytes of frames that wait.
    pub(crate) fn outbound(&self) -> usize {
        self.outbound.load(Ordering::SeqCst)
    }

    /// Whether more may be made for the connection. When not, [`Credit::sent_out`] or [`Credit::room`] tells when to try
    /// again.
    pub(crate) fn may_send(&self) -> bool {
        if self.is_below(self.high()) {
            return true;
        }
        self.starved.store(true, Ordering::SeqCst);
        // It may have drained between the look and the note.
        self.is_below(self.low())
    }

    fn is_below(&self, bound: usize) -> bool {
        !self.full.load(Ordering::SeqCst) && self.outbound.load(Ordering::SeqCst) < bound
    }

    /// Whether the stream takes more now. Returns whether the maker waits to be told.
    pub(crate) fn room(&self, takes_more: bool) -> bool {
        self.full.store(!takes_more, Ordering::SeqCst);
        self.is_below(self.low()) && self.starved.swap(false, Ordering::SeqCst)
    }

    /// Bytes from which on no more frames are made for it.
    pub(crate) fn high(&self) -> usize {
        self.high.load(Ordering::SeqCst)
    }

    fn low(&self) -> usize {
        self.bounds.outbound_low.min(self.high() / 2)
    }

    /// So many bytes of frames may wait from now on, at most the bound.
    pub(crate) fn allow(&self, bytes: usize) {
        self.high.store(bytes.min(self.bounds.outbound_high), Ordering::SeqCst);
    }

    /// Frames of `n` bytes were handed to the socket thread.
    pub(crate) fn queued(&self, n: usize) {
        self.outbound.fetch_add(n, Ordering::SeqCst);
    }

    /// `n` bytes went out. Returns whether the maker waits to be told.
    pub(crate) fn sent_out(&self, n: usize) -> bool {
        self.outbound.fetch_sub(n, Ordering::SeqCst);
        self.is_below(self.low()) && self.starved.swap(false, Ordering::SeqCst)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_when_the_stream_has_room_and_little_waits() {
        let bounds = Bounds { outbound_high: 100, outbound_low: 50, inbound_high: 1 };
        let credit = Credit::new(bounds);
        assert!(credit.may_send());
        credit.queued(10);
        assert!(!credit.room(false), "nobody waits");
        assert!(!credit.may_send(), "the stream is full though little waits");
        assert!(!credit.sent_out(10), "it still is");
        assert!(credit.room(true));
        assert!(credit.may_send() && !credit.room(true), "told once");
        credit.queued(120);
        assert!(!credit.may_send());
        assert!(!credit.room(true), "too much waits");
        assert!(!credit.room(false) && !credit.sent_out(100), "now the stream is full");
        assert!(credit.room(true) && credit.may_send());
    }
}
