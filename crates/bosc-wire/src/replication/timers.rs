//! Time: requests that are not answered, news that are due, pauses that end.
//!
//! A peer that owes answers and sends none for [`Config::request_timeout`](super::Config) plus the time its next
//! answer takes at 32 KiB a second loses its requests to others. [`Replicator::peer_active`] tells that bytes of
//! an answer are coming; it puts the end off to at most twelve times the timeout.

use super::Replicator;
use super::access::CoreAccess;
use super::event::{InvalidPeer, PeerId};
use super::peer::{Peer, mark};
use super::request::END_GAME_AGE;
use std::time::Duration;

/// Slowest rate that is not silence, in bytes a second.
const SLOWEST: u64 = 32 << 10;

fn deadline(peer: &Peer, timeout: Duration) -> Option<Duration> {
    let oldest = peer.in_flight.values().next()?;
    let transfer = Duration::from_millis(oldest.size.saturating_mul(1000) / SLOWEST);
    let quiet = peer.last_progress.max(oldest.sent_at).saturating_add(timeout).saturating_add(transfer);
    let queue = Duration::from_millis(peer.in_flight_bytes.saturating_mul(1000) / SLOWEST);
    let last = oldest.sent_at.saturating_add(timeout.saturating_mul(12)).saturating_add(queue);
    Some(quiet.min(last))
}

impl Replicator {
    /// Bytes are coming from the peer, though no whole message yet.
    pub fn peer_active(&mut self, id: PeerId, now: Duration) {
        if let Some(p) = self.peers.get_mut(&id) {
            p.last_progress = now;
        }
    }

    /// When [`Replicator::handle_timeout`] is to be called next, unless something else happens before.
    pub fn next_timeout(&self) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        let mut at = |t: Duration| next = Some(next.map_or(t, |n| n.min(t)));
        for p in self.peers.values() {
            if let Some(d) = deadline(p, self.config.request_timeout) {
                at(d);
            }
            // What was due when time was last looked at waits for the connection, not for time.
            let refused = (!p.refused.is_empty()).then_some(p.refused_until);
            let compare = self.quiet_comparison_due(p);
            let waits =
                [p.news.due, refused, Some(p.paused_until), Some(p.upgrade_after), self.ack_due(p), compare];
            for t in waits.into_iter().flatten() {
                if t > p.woken {
                    at(t);
                }
            }
        }
        if self.peers.len() > 1 {
            if !self.in_flight.is_empty() {
                at(self.last_wake.saturating_add(self.hedge().min(END_GAME_AGE)));
            } else if !self.upgrades.is_empty() {
                // Another peer is asked for the head then, and nothing else may wake it.
                at(self.last_wake.saturating_add(self.hedge()));
            }
        }
        self.claim_due().into_iter().for_each(at);
        next
    }

    /// Time went on.
    pub fn handle_timeout(&mut self, core: &mut dyn CoreAccess, now: Duration) {
        self.last_wake = now;
        self.note_claims(now);
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            let Some(p) = self.peers.get_mut(&id) else { continue };
            p.woken = now;
            if !p.refused.is_empty() && now >= p.refused_until {
                p.forgive();
            }
            mark(&mut self.ready, id, p);
            if deadline(p, self.config.request_timeout).is_some_and(|d| d <= now) {
                self.expire_all(id, core, now);
            }
        }
    }

    /// Everything the peer owes goes to others.
    fn expire_all(&mut self, id: PeerId, core: &mut dyn CoreAccess, now: Duration) {
        let Some(p) = self.peers.get_mut(&id) else { return };
        p.strike(now);
        p.window.reset();
        p.lane = None;
        let mut over = Vec::new();
        while let Some(rid) = p.in_flight.keys().next().copied() {
            if let Some(sent) = p.expire(rid) {
                over.push((rid, sent));
            }
        }
        for early in std::mem::take(&mut p.early).into_values().flatten() {
            over.push((early.id, early.sent));
        }
        p.early_bytes = 0;
        p.unproved = p.unproved.saturating_add(u32::from(over.iter().any(|(_, s)| s.head() && !s.quiet)));
        let unexplained = p.suspect.take_if(|_| over.iter().any(|(_, s)| s.compare.is_some()));
        for (rid, sent) in over {
            self.release(id, rid, &sent, core);
        }
        if let Some(why) = unexplained {
            self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
        }
    }
}
