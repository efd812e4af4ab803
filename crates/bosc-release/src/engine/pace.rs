//! How fast all scrubs of a process together read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A step is this part of the time.
const SHARE: u32 = 100;

/// Bytes a second that are looked at whatever the steps take.
const LEAST_SPEED: f64 = (2 << 20) as f64;

/// When the next step of any scrub of the process may begin.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Instant>);

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Pace {
    pub(crate) fn next(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn took(&self, work: Duration, bytes: u64) {
        let longest = Duration::from_secs_f64(bytes.max(1 << 20) as f64 / LEAST_SPEED);
        let rest = work.saturating_mul(SHARE - 1).min(longest);
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now() + rest);
    }
}
