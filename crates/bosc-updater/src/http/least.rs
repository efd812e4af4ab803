//! What a server has to bring at least.
//!
//! The time-out of a read ends a server that brings nothing; one that brings a byte every few seconds passes it and holds the download,
//! and every check behind it, for hours. Invariant: an answer that goes on has brought [`RATE`] bytes a second over each span that is
//! over (half of what the application allows where that is less), or it has been given up.

use std::time::{Duration, Instant};

/// Bytes a second: a connection over GPRS brings more.
const RATE: u64 = 1024;

/// Counts the bytes of one answer in spans of equal length.
#[derive(Debug)]
pub(super) struct Least {
    rate: u64,
    span: Duration,
    since: Instant,
    bytes: u64,
}

impl Least {
    /// For spans of this length, and a download that is to bring at most `max_rate` bytes a second.
    pub(super) fn new(span: Duration, max_rate: Option<u64>, now: Instant) -> Self {
        let rate = RATE.min(max_rate.unwrap_or(u64::MAX) / 2);
        Self { rate, span, since: now, bytes: 0 }
    }

    /// An answer begins: time in which nothing could come does not count.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.since, self.bytes) = (now, 0);
    }

    /// `more` bytes came. Bytes of the span that is over, when they were too few.
    pub(super) fn count(&mut self, more: u64, now: Instant) -> Option<u64> {
        self.bytes = self.bytes.saturating_add(more);
        let passed = now.saturating_duration_since(self.since);
        if passed < self.span {
            return None;
        }
        let bytes = self.bytes;
        self.begin(now);
        ((bytes as f64) < self.rate as f64 * passed.as_secs_f64()).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_counts_for_itself() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut least = Least::new(second * 60, None, start);
        assert_eq!(least.count(1, start + second * 59), None, "the span is not over");
        assert_eq!(least.count(1, start + second * 60), Some(2));
        let next = start + second * 60;
        assert_eq!(least.count(60 * RATE, next + second * 60), None, "enough");
        let next = next + second * 60;
        assert_eq!(
            least.count(60 * RATE - 1, next + second * 60),
            Some(60 * RATE - 1),
            "what came before is no help"
        );
        least.begin(next + second * 600);
        assert_eq!(least.count(1, next + second * 659), None, "nor is the wait for an answer counted");
    }

    #[test]
    fn an_application_may_ask_for_less() {
        let (start, span) = (Instant::now(), Duration::from_secs(10));
        let mut least = Least::new(span, Some(1000), start);
        assert_eq!(least.count(5000, start + span), None);
        assert_eq!(least.count(4999, start + span * 2), Some(4999));
    }
}
