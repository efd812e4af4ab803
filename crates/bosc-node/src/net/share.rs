//! Memory that all connections share: what they have written and nobody has acknowledged.
//!
//! A stream keeps as much as its path takes. One path needs several MiB; ten slow ones beside each other would each take
//! as much, and gain nothing. So those that are busy share [`TOTAL`], and everyone may have [`LEAST`].

use super::machine::NetMachine;
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

impl NetMachine {
    /// What a new connection may have.
    pub(super) fn send_share(&self) -> usize {
        self.share.limit
    }

    /// Divides anew, if it is time.
    pub(super) fn share_memory(&mut self, now: Duration) {
        if now < self.share.next {
            return;
        }
        self.share.next = now.saturating_add(EVERY);
        let streams = || self.links.keys().filter_map(|id| self.table.get(*id));
        let limit = share(streams().filter(|s| s.unacknowledged() >= LEAST / 2).count());
        if limit == self.share.limit {
            return;
        }
        self.share.limit = limit;
        for id in self.links.keys() {
            if let Some(stream) = self.table.get_mut(*id) {
                stream.set_write_limit(limit);
            }
        }
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
