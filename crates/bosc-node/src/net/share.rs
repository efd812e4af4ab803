//! Memory that all connections share: what they have written and nobody has acknowledged.
//!
//! A stream keeps as much as its path takes. One path needs several MiB; ten slow ones beside each other would each take
//! as much, and gain nothing. So those that are busy share [`TOTAL`], and everyone may have [`LEAST`].

use std::time::Duration;

/// Bytes that busy connections have together.
const TOTAL: usize = 16 << 20;
/// Bytes that each may have in any case.
const LEAST: usize = 256 << 10;
/// How often it is looked at who is busy.
const EVERY: Duration = Duration::from_millis(100);

/// What each connection may have now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    limit: usize,
    next: Duration,
}

impl Default for Share {
    fn default() -> Self {
        Self { limit: TOTAL, next: Duration::ZERO }
    }
}

/// What each of `busy` connections may have.
fn share(busy: usize) -> usize {
    (TOTAL / busy.max(1)).max(LEAST)
}

impl Share {
    /// What a new connection may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Divides anew, if it is time, among connections with so many unacknowledged bytes each. What everyone may have from now on,
    /// if that is another share than before.
    pub(super) fn divide(
        &mut self,
        now: Duration,
        unacknowledged: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        if now < self.next {
            return None;
        }
        self.next = now.saturating_add(EVERY);
        let limit = share(unacknowledged.filter(|n| *n >= LEAST / 2).count());
        (std::mem::replace(&mut self.limit, limit) != limit).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_all_and_many_have_enough() {
        assert_eq!((share(0), share(1)), (TOTAL, TOTAL));
        assert_eq!(share(10), TOTAL / 10);
        assert_eq!((share(64), share(10_000)), (LEAST, LEAST));
    }
}
