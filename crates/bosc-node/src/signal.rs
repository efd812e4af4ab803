//! Lets blocking callers wait until something they watch has changed.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A counter that threads can wait on. Cloned handles share it.
#[derive(Debug, Clone, Default)]
pub struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    epoch: Mutex<u64>,
    changed: Condvar,
}

impl Signal {
    /// Wakes everyone who waits: their `ready` is asked again.
    pub fn raise(&self) {
        let mut epoch = self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        *epoch = epoch.wrapping_add(1);
        self.0.changed.notify_all();
    }

    /// Asks `ready` at once and again after every [`Signal::raise`], until it answers or `deadline` passes. Nothing else
    /// wakes it: whoever changes what `ready` looks at has to raise the signal. Without a deadline it may wait for ever.
    ///
    /// A change between the question and the sleep is not missed.
    pub fn wait<T>(&self, deadline: Option<Instant>, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            let seen = *self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = ready() {
                return Some(value);
            }
            let until = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if until.is_some_and(|left| left.is_zero()) {
                return None;
            }
            let epoch = self.0.epoch.lock().unwrap_or_else(PoisonError::into_inner);
            if *epoch != seen {
                continue;
            }
            match until {
                Some(left) => drop(self.0.changed.wait_timeout(epoch, left)),
                None => drop(self.0.changed.wait(epoch)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn a_change_wakes_who_waits_and_a_deadline_ends_it() {
        let (signal, flag) = (Signal::default(), Arc::new(AtomicBool::new(false)));
        let (s, f) = (signal.clone(), Arc::clone(&flag));
        let t = std::thread::spawn(move || {
            f.store(true, Ordering::SeqCst);
            s.raise();
        });
        let got = signal.wait(None, || flag.load(Ordering::SeqCst).then_some(7));
        assert_eq!(got, Some(7));
        t.join().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(signal.wait(Some(soon), || None::<()>), None);
    }

    #[test]
    fn a_change_while_the_question_is_asked_is_not_missed() {
        let signal = Signal::default();
        let mut asked = 0;
        let got = signal.wait(None, || {
            asked += 1;
            if asked == 1 {
                signal.raise();
            }
            (asked == 2).then_some(asked)
        });
        assert_eq!(got, Some(2));
    }

    #[test]
    fn nobody_is_asked_again_without_a_change() {
        let signal = Signal::default();
        let mut asked = 0;
        let soon = Instant::now() + Duration::from_millis(30);
        let never = signal.wait(Some(soon), || {
            asked += 1;
            None::<()>
        });
        // At the start and at the deadline; a condition variable may wake for nothing now and then.
        assert!(never.is_none() && asked <= 4, "{asked}");
    }
}
