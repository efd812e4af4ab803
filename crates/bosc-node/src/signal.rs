//! Lets blocking callers wait until something they watch has changed.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A counter that threads can wait on. Cloned handles share it.
#[derive(Debug, Clone, Default)]
pub struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    epoch: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    /// Wakes everyone who waits.
    pub(crate) fn raise(&self) {
        let mut epoch = self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch = epoch.wrapping_add(1);
        self.0.changed.notify_all();
    }

    /// Asks `ready` again after every change and at least every `tick`, until it answers or `deadline` passes.
    pub fn wait<T>(
        &self,
        deadline: Option<Instant>,
        tick: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            let seen = *self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = ready() {
                return Some(value);
            }
            let mut left = tick;
            if let Some(d) = deadline {
                let until = d.saturating_duration_since(Instant::now());
                if until.is_zero() {
                    return None;
                }
                left = left.min(until);
            }
            let epoch = self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
            if *epoch == seen {
                let _ = self.0.changed.wait_timeout(epoch, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_change_wakes_who_waits_and_a_deadline_ends_it() {
        let (signal, flag) = (Signal::default(), Arc::new(AtomicBool::new(false)));
        let (s, f) = (signal.clone(), Arc::clone(&flag));
        let t = std::thread::spawn(move || {
            f.store(true, Ordering::SeqCst);
            s.raise();
        });
        let hour = Duration::from_secs(3600);
        let got = signal.wait(None, hour, || flag.load(Ordering::SeqCst).then_some(7));
        assert_eq!(got, Some(7));
        t.join().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(signal.wait(Some(soon), hour, || None::<()>), None);
    }
}
