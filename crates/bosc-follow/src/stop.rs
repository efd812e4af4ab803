//! Asking what runs to end.
//!
//! Invariant: whoever waits is woken. A wait registers its signal before it looks at the flag for the first time, and
//! [`Stop::stop`] sets the flag before it raises the signals; so one of the two sees the other.

use bosc_node::Signal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Asks a running call to end. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    flag: Arc<AtomicBool>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    signals: BTreeMap<u64, Signal>,
}

impl Stop {
    /// Not stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose flag others share. Whoever sets the flag without [`Stop::stop`] calls [`Stop::wake`] after it.
    pub fn over(flag: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Inner { flag, waiting: Mutex::default() }))
    }

    /// Asks to end, and wakes whoever waits.
    pub fn stop(&self) {
        self.0.flag.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Has whoever waits look again.
    pub fn wake(&self) {
        let signals: Vec<Signal> = self.lock().signals.values().cloned().collect();
        for signal in signals {
            signal.raise();
        }
    }

    /// Whether it was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.0.flag.load(Ordering::SeqCst)
    }

    /// Raises `signal` with [`Stop::stop`] and [`Stop::wake`] until the value is dropped.
    pub(crate) fn register(&self, signal: &Signal) -> Registered<'_> {
        let mut waiting = self.lock();
        let id = waiting.next;
        waiting.next = id.wrapping_add(1);
        waiting.signals.insert(id, signal.clone());
        Registered { stop: self, id }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signal that is raised when the stop is.
#[derive(Debug)]
pub(crate) struct Registered<'a> {
    stop: &'a Stop,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.stop.lock().signals.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_wakes_those_who_are_registered() {
        let (stop, signal) = (Stop::new(), Signal::default());
        let other = stop.clone();
        let _registered = stop.register(&signal);
        let thread = std::thread::spawn(move || other.stop());
        // No deadline: only the signal ends it.
        assert_eq!(signal.wait(None, || stop.is_stopped().then_some(1)), Some(1));
        thread.join().unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_wait_that_is_over() {
        let stop = Stop::new();
        for _ in 0..3 {
            let signal = Signal::default();
            let _a = stop.register(&signal);
            let _b = stop.register(&signal);
            assert_eq!(stop.lock().signals.len(), 2);
        }
        assert!(stop.lock().signals.is_empty());
    }
}
