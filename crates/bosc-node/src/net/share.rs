//! Memory that all connections share: what they have written and nobody has acknowledged, and what waits to be written.
//!
//! A stream keeps as much as its path takes. One path needs several MiB; ten slow ones beside each other would each take
//! as much, and gain nothing. So those that are busy share [`TOTAL`], and everyone may have [`LEAST`].
//!
//! Invariants:
//! * A connection has more than [`LEAST`] only as far as it was earned: [`EARNS`] times what its peer acknowledged within a second.
//!   So a hundred that ask for everything at once and read nothing have [`LEAST`] each, from their first byte on.
//! * What was made for a connection and waits to be written is bounded by the same share, down to [`LEAST_QUEUED`]. What its stream
//!   took beyond its share counts as waiting while it has no more than [`LEAST`]; one that earned more is bounded by what its stream
//!   takes. So a peer that does not read costs its share and one message: a block in the
//!   course of being sent.
//! * While all together wait with more than [`PRESSED`], one whose peer acknowledged nothing for [`STOPPED`] is closed: a block is as large
//!   as 8 MiB, and one that is sent is kept until its last byte is acknowledged.
//! * While one connection alone is busy it has all that its path takes.

use std::time::Duration;

/// Bytes that busy connections have together.
const TOTAL: usize = 16 << 20;
/// Bytes that each may have in any case.
const LEAST: usize = 256 << 10;
/// Bytes that may wait to be written in any case: two blocks of 64 KiB.
pub(super) const LEAST_QUEUED: usize = 128 << 10;
/// How many times what was acknowledged within a second a connection may have. Twice is four times what a path of half a second needs.
const EARNS: usize = 2;
/// How often it is looked at who is busy.
const EVERY: Duration = Duration::from_millis(100);
/// Unacknowledged bytes of all, from which on connections that stopped are closed.
const PRESSED: usize = 64 << 20;
/// How long a peer may acknowledge nothing then.
const STOPPED: Duration = Duration::from_secs(30);

/// Looks in a second.
const LOOKS: usize = 10;

/// What a connection's peer acknowledged in the last second.
#[derive(Debug, Clone, Default)]
pub(super) struct Earned {
    looks: [u64; LOOKS],
    at: usize,
    acknowledged: u64,
    /// When something was acknowledged last, or nothing was owed.
    moved: Duration,
}

/// Which of these connections, with the unacknowledged bytes and the account of each, are closed now.
pub(super) fn stopped<'a, K>(
    connections: impl Iterator<Item = (K, usize, &'a Earned)> + Clone,
    now: Duration,
) -> impl Iterator<Item = K> {
    let all: usize = connections.clone().map(|(_, waiting, _)| waiting).sum();
    connections.filter_map(move |(key, waiting, earned)| {
        let late = now.saturating_sub(earned.moved) >= STOPPED;
        (all > PRESSED && waiting > 0 && late).then_some(key)
    })
}

impl Earned {
    /// Of a connection that begins now.
    pub(super) fn new(now: Duration) -> Self {
        Self { moved: now, ..Self::default() }
    }

    /// So many bytes were acknowledged by now, since the start, and so many wait for it. What the connection may have, at most `share`.
    pub(super) fn limit(&mut self, acknowledged: u64, waiting: usize, share: usize, now: Duration) -> usize {
        let new = acknowledged.saturating_sub(self.acknowledged);
        if new > 0 || waiting == 0 {
            self.moved = now;
        }
        self.acknowledged = acknowledged;
        if let Some(look) = self.looks.get_mut(self.at) {
            *look = new;
        }
        self.at = (self.at + 1) % LOOKS;
        let second = usize::try_from(self.looks.iter().sum::<u64>()).unwrap_or(usize::MAX);
        second.saturating_mul(EARNS).max(LEAST).min(share)
    }
}

/// When it is divided next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    next: Duration,
}

/// What each of `busy` connections may have.
fn share(busy: usize) -> usize {
    (TOTAL / busy.max(1)).max(LEAST)
}

impl Share {
    /// What a new connection may have.
    pub(super) fn first(&self) -> usize {
        LEAST
    }

    /// Divides anew, if it is time, among connections with so many unacknowledged bytes each: what each may have that earned it.
    pub(super) fn divide(
        &mut self,
        now: Duration,
        unacknowledged: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        if now < self.next {
            return None;
        }
        self.next = now.saturating_add(EVERY);
        Some(share(unacknowledged.filter(|n| *n >= LEAST / 2).count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn who_stopped_is_closed_when_memory_is_short() {
        let accounts: Vec<Earned> = (0..4).map(|n| Earned::new(Duration::from_secs(10 * n))).collect();
        let closed = |waiting: usize, now| {
            let each = accounts.iter().enumerate().map(|(n, e)| (n, if n == 1 { 0 } else { waiting }, e));
            stopped(each, Duration::from_secs(now)).collect::<Vec<_>>()
        };
        assert!(closed(1 << 20, 1000).is_empty(), "nobody while there is room");
        assert_eq!(
            closed(30 << 20, 55),
            [0, 2],
            "not the one that owes nothing, nor the one that may still go on"
        );
    }

    #[test]
    fn one_has_all_and_many_have_enough() {
        assert_eq!((share(0), share(1)), (TOTAL, TOTAL));
        assert_eq!(share(10), TOTAL / 10);
        assert_eq!((share(64), share(10_000)), (LEAST, LEAST));
    }

    #[test]
    fn more_than_the_least_is_earned_and_lost_again() {
        let mut e = Earned::default();
        assert_eq!(e.limit(0, 0, TOTAL, NOW), LEAST);
        // A path of 100 ms that takes 20 MB a second: twice that, a few looks later.
        let mut acknowledged = 0;
        let limits: Vec<usize> = (0..20)
            .map(|_| {
                acknowledged += 2_000_000;
                e.limit(acknowledged, 1, TOTAL, NOW)
            })
            .collect();
        assert!(limits[0] > 2_000_000 && limits[19] == TOTAL, "{limits:?}");
        assert_eq!(e.limit(acknowledged, 1, 300_000, NOW), 300_000, "the share of many");
        // It reads nothing any more.
        let last = (0..LOOKS).map(|_| e.limit(acknowledged, 1, TOTAL, NOW)).last();
        assert_eq!(last, Some(LEAST));
    }
}
