//! No faster than the application said.

use std::time::{Duration, Instant};

/// Longest sleep at a time: whoever wants the download to end does not wait for it.
const STEP: Duration = Duration::from_millis(100);

/// Counts bytes against time.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<u64>,
    start: Instant,
    bytes: u64,
}

impl Pace {
    /// At most so many bytes a second, at least 1 KiB; as many as come without one.
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.map(|rate| rate.max(1024)), start: Instant::now(), bytes: 0 }
    }

    /// Bytes to read at a time, of at most `most`.
    pub(super) fn block(&self, most: usize) -> usize {
        let tenth = self.rate.map_or(u64::MAX, |rate| (rate / 10).max(256));
        most.min(usize::try_from(tenth).unwrap_or(most))
    }

    /// `more` bytes came.
    pub(super) fn count(&mut self, more: u64) {
        // What a slow server left over is not made up for.
        if self.due().is_some_and(|due| self.start.elapsed().saturating_sub(due) > Duration::from_secs(1)) {
            (self.start, self.bytes) = (Instant::now(), 0);
        }
        self.bytes = self.bytes.saturating_add(more);
    }

    fn due(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(self.bytes as f64 / self.rate? as f64))
    }

    /// How long to wait now, a step at most; ask again afterwards. `None` when it is time to go on.
    pub(super) fn wait(&self) -> Option<Duration> {
        let early = self.due()?.saturating_sub(self.start.elapsed());
        (!early.is_zero()).then(|| early.min(STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_read_at_a_time_and_what_a_slow_server_left_over_is_not_made_up_for() {
        let unbounded = Pace::new(None);
        assert_eq!((unbounded.block(1 << 20), unbounded.wait()), (1 << 20, None));
        let mut pace = Pace::new(Some(100_000));
        assert_eq!((pace.block(1 << 20), pace.block(100)), (10_000, 100));
        assert_eq!(pace.wait(), None);
        pace.count(50_000);
        assert_eq!(pace.wait(), Some(STEP), "half a second's worth");
        // Nothing came for a minute.
        pace.start -= Duration::from_secs(60);
        assert_eq!(pace.wait(), None);
        pace.count(50_000);
        assert_eq!(pace.wait(), Some(STEP));
    }
}
