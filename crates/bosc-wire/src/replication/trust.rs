//! Liars are told apart by what they deliver.
//!
//! Anybody can open a channel, claim a head and hold every block, and then be silent, slow or wrong. Nothing tells such a peer
//! from an honest one but its answers. What is wrong drops a peer at once; the others lose their turn:
//!
//! ```text
//!   untried --- any answer ---> answers --- was overtaken by one asked after it ---> slow: one request at a time until it answers
//!      |                           (a block to this or another core of its drive: delivers)
//!      +--- overtaken -----------> paused, longer each time
//! ```
//!
//! Invariants, all only where there is more than one peer:
//! * An untried peer owes one answer at most. Its first one opens the window.
//! * A block that somebody waits for goes to one that answers and is not slow, while there is such a one that has it.
//! * What an untried peer owes is asked of one that answers after [`Replicator::hedge`]. While none answers, of one more untried
//!   peer, then of two, of four ...: with 30 silent ones the honest one is asked within five of these times.
//! * The next head likewise; a peer that delivers is asked for it before others.
//! * A claim to be ahead is waited for ([`PeerStats::remote_stale`](super::PeerStats)) for twice [`Replicator::patience`] since it was
//!   first made: what an honest peer needs to prove it, measured by the best one.
//!   Repeating or raising the claim does not renew it.
//! * Times follow the best latency of those who answered, between bounds: a slow network makes nobody a liar.

use super::Replicator;
use super::event::PeerId;
use super::peer::Peer;
use std::time::Duration;

/// Bounds of [`Replicator::hedge`].
const HEDGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Least [`Replicator::patience`], where few claim to be ahead and where many do.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(600));
/// So many are many.
const MANY: usize = 3;
/// A peer with less than the best rate divided by this is slow.
const SLOW: u64 = 16;

impl Peer {
    /// Whether it answered anything.
    pub(crate) fn answers(&self) -> bool {
        self.window.has_answered() || self.delivers
    }

    /// Whether it claims more than a head of `fork` and `length`.
    fn is_ahead_of(&self, fork: u64, length: u64) -> bool {
        let r = &self.remote;
        r.synced && !self.other_history && (r.fork, r.length) > (fork, length)
    }
}

impl Replicator {
    /// The peer delivered a block of another core of the same owner's drive: it is believed here as well.
    pub fn delivers(&mut self, id: PeerId) {
        if let Some(p) = self.peers.get_mut(&id) {
            p.delivers = true;
        }
    }

    /// The best latency that was measured.
    fn latency(&self) -> Option<Duration> {
        self.peers.values().filter_map(|p| p.window.latency()).min()
    }

    /// How long an untried peer is waited for before another one is asked the same.
    pub(super) fn hedge(&self) -> Duration {
        self.latency().map_or(HEDGE.0, |l| l.saturating_mul(4)).clamp(HEDGE.0, HEDGE.1)
    }

    /// How long a claim has, twice. Where nobody ever answered it is the time of any request.
    pub(super) fn patience(&self) -> Duration {
        let most = self.config.request_timeout;
        let Some(latency) = self.latency() else { return most };
        let (fork, length) = (self.head.fork, self.head.length);
        let many = self.peers.values().filter(|p| p.is_ahead_of(fork, length)).count() >= MANY;
        let least = if many { PATIENCE.1 } else { PATIENCE.0 };
        latency.saturating_mul(8).max(least).min(most)
    }

    /// How many peers may be asked the same, `asked` after the first of them.
    pub(super) fn doubling(&self, asked: Duration) -> usize {
        let steps = asked.as_micros() / self.hedge().as_micros().max(1);
        1usize << steps.min(6)
    }

    /// Whether some peer that delivers and has this head is not asked for it yet.
    pub(super) fn better_for_head(&self, id: PeerId, now: Duration) -> bool {
        let believed = |p: &Peer| p.delivers || p.stats.downloaded_blocks > 0;
        if self.peers.get(&id).is_some_and(believed) {
            return false;
        }
        self.peers.iter().any(|(other, p)| {
            believed(p)
                && p.heads
                && p.remote.can_upgrade
                && p.is_ahead_of(self.head.fork, self.head.length)
                && p.remote.fork == self.head.fork
                && now >= p.paused_until
                && now >= p.upgrade_after
                && self.upgrades.iter().all(|u| u.peer != *other)
        })
    }

    /// Whether a peer is much slower than the best.
    fn is_slow(&self, peer: &Peer) -> bool {
        let best = self.peers.values().map(|p| p.window.rate()).max().unwrap_or(0);
        // What was not measured yet is 0.
        peer.window.is_probing() || (1..best / SLOW).contains(&peer.window.rate())
    }

    /// Most requests this peer may owe answers to.
    pub(super) fn most_requests(&self, peer: &Peer) -> usize {
        let alone = self.peers.len() < 2;
        if alone || (peer.answers() && !self.is_slow(peer)) { self.config.max_window_requests } else { 1 }
    }

    /// Whether blocks that somebody waits for are left to other peers, that answer and are not slow.
    pub(super) fn leaves_urgent(&self, id: PeerId, block: u64, now: Duration) -> bool {
        let good = |p: &Peer| p.answers() && !self.is_slow(p);
        if self.peers.get(&id).is_some_and(good) {
            return false;
        }
        self.peers.iter().any(|(other, p)| {
            *other != id && good(p) && now >= p.paused_until && p.blocks.contains(block) && p.remote.uploading
        })
    }

    /// A block came from one peer; this one was asked for it before that and is overtaken.
    pub(super) fn overtaken(&mut self, id: PeerId, now: Duration) {
        let Some(p) = self.peers.get_mut(&id) else { return };
        if p.answers() {
            p.window.slow_down();
        } else {
            p.strike(now);
        }
    }

    /// How long a claim is waited for.
    fn claim_life(&self) -> Duration {
        self.patience().saturating_mul(2)
    }

    /// Notes since when peers claim more than we have, and which claims are waited for no longer.
    pub(super) fn note_claims(&mut self, now: Duration) {
        let (fork, length) = (self.head.fork, self.head.length);
        let after = self.claim_life();
        for p in self.peers.values_mut() {
            p.ahead_since = p.is_ahead_of(fork, length).then(|| p.ahead_since.unwrap_or(now));
            p.stats.remote_stale = p.ahead_since.is_some_and(|since| now >= since.saturating_add(after));
        }
    }

    /// When the next claim is waited for no longer.
    pub(super) fn claim_due(&self) -> Option<Duration> {
        let after = self.claim_life();
        let open = self.peers.values().filter(|p| !p.stats.remote_stale);
        open.filter_map(|p| p.ahead_since).min().map(|since| since.saturating_add(after))
    }
}
