//! How many requests may be on the wire at once (`CongestionWindow` of `dht-rpc/lib/io.js`).
//!
//! Four slots of 750 ms each count the datagrams sent in them and not answered. No slot may hold more than
//! `max`, all four together no more than twice that. What is over waits in the queue of [`super::io`].

use std::time::Duration;

const SLOT: Duration = Duration::from_millis(750);

#[derive(Debug)]
pub(crate) struct Congestion {
    slots: [usize; 4],
    at: usize,
    total: usize,
    max: usize,
    turned: Duration,
}

impl Congestion {
    pub(crate) fn new(max: usize, now: Duration) -> Self {
        Self { slots: [0; 4], at: 0, total: 0, max: max.max(1), turned: now }
    }

    /// Frees the slots whose time is over.
    pub(crate) fn advance(&mut self, now: Duration) {
        for _ in 0..self.slots.len() {
            if now.saturating_sub(self.turned) < SLOT {
                return;
            }
            self.turned += SLOT;
            self.at = (self.at + 1) & 3;
            if let Some(slot) = self.slots.get_mut(self.at) {
                self.total = self.total.saturating_sub(*slot);
                *slot = 0;
            }
        }
        self.turned = now;
    }

    /// Forgets what was sent.
    pub(crate) fn clear(&mut self, now: Duration) {
        *self = Self::new(self.max, now);
    }

    /// When the next slot is freed.
    pub(crate) fn next_turn(&self) -> Duration {
        self.turned.saturating_add(SLOT)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.total >= self.max.saturating_mul(2) || self.slots.get(self.at).is_some_and(|s| *s >= self.max)
    }

    pub(crate) fn sent(&mut self) {
        self.total += 1;
        if let Some(slot) = self.slots.get_mut(self.at) {
            *slot += 1;
        }
    }

    pub(crate) fn answered(&mut self) {
        if let Some(slot) = self.slots.get_mut(self.at)
            && *slot > 0
        {
            *slot -= 1;
            self.total = self.total.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_requests_fill_the_window_and_time_empties_it() {
        let at = |ms| Duration::from_millis(ms);
        let mut c = Congestion::new(2, at(0));
        c.sent();
        assert!(!c.is_full());
        c.sent();
        assert!(c.is_full());
        c.answered();
        assert!(!c.is_full());
        c.sent();
        c.advance(at(750));
        assert!(!c.is_full());
        c.sent();
        c.sent();
        c.advance(at(1500));
        assert!(c.is_full(), "four in all");
        c.advance(at(3000));
        assert!(!c.is_full());
        c.advance(at(3_000_000));
        assert_eq!(c.total, 0);
    }
}
