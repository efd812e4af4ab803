//! The peers a swarm knows: which are queued, which wait for a retry, which are banned.

use super::types::Topic;
use bosc_format::crypto::PublicKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Duration;

/// A connection that lived so long makes the next retry a quick one.
const LONG_LIVED: Duration = Duration::from_secs(15);
const TOPICS_PER_PEER: usize = 16;
const RELAYS_PER_PEER: usize = 8;
/// A named peer is tried again after so long at the latest, in milliseconds.
const NAMED_AGAIN: u64 = 30_000;

/// When a connection ended, and how far to spread its retry (milliseconds).
pub(super) struct Backoff {
    pub(super) now: Duration,
    pub(super) jitter: u64,
}

#[derive(Debug, Default)]
struct Peer {
    relays: Vec<SocketAddrV4>,
    topics: BTreeSet<Topic>,
    attempts: u32,
    proven: bool,
    /// It said something on a connection: our key was welcome there.
    heard: bool,
    /// The last connection was closed by the peer before it said anything.
    refused: bool,
    /// The last attempt came to nothing.
    failed: bool,
    banned: bool,
    /// It is wanted for its own sake, whatever topics it has.
    named: bool,
    queued: bool,
    connected_at: Option<Duration>,
    retry_at: Option<Duration>,
    seen: Duration,
}

#[derive(Debug)]
pub(super) struct Peers {
    known: BTreeMap<PublicKey, Peer>,
    /// Those to try: who never failed, and who did.
    fresh: Vec<PublicKey>,
    again: Vec<PublicKey>,
    max: usize,
}

impl Peers {
    pub(super) fn new(max: usize) -> Self {
        Self { known: BTreeMap::new(), fresh: Vec::new(), again: Vec::new(), max }
    }

    /// The record of a peer, made when there is room for it.
    fn entry(&mut self, key: PublicKey, now: Duration) -> Option<&mut Peer> {
        if !self.known.contains_key(&key) && self.known.len() >= self.max {
            let idle = self
                .known
                .iter()
                .filter(|(_, p)| !p.queued && !p.named && p.connected_at.is_none())
                .min_by_key(|(_, p)| (p.proven && !p.banned, p.banned, p.seen))
                .map(|(k, _)| *k);
            self.known.remove(&idle?);
        }
        let peer = self.known.entry(key).or_default();
        peer.seen = now;
        Some(peer)
    }

    /// Returns whether the peer is queued for a connection now.
    pub(super) fn found(
        &mut self,
        topic: Topic,
        key: PublicKey,
        mut relays: Vec<SocketAddrV4>,
        connected: bool,
        now: Duration,
    ) -> bool {
        relays.truncate(RELAYS_PER_PEER);
        let Some(peer) = self.entry(key, now) else { return false };
        if peer.topics.len() < TOPICS_PER_PEER {
            peer.topics.insert(topic);
        }
        peer.relays = relays;
        if connected || peer.banned {
            return false;
        }
        // Announced again: whatever failed before deserves a fresh start.
        if peer.retry_at.is_none() {
            peer.attempts = 0;
        }
        peer.retry_at = None;
        if !peer.queued {
            peer.queued = true;
            let queue = if peer.failed { &mut self.again } else { &mut self.fresh };
            queue.push(key);
        }
        true
    }

    /// Has the peer connected to for its own sake from now on, or no longer. Returns whether it is queued now.
    pub(super) fn name(&mut self, key: PublicKey, named: bool, connected: bool, now: Duration) -> bool {
        if !named {
            if let Some(peer) = self.known.get_mut(&key) {
                peer.named = false;
                if peer.topics.is_empty() {
                    peer.retry_at = None;
                }
            }
            return false;
        }
        let Some(peer) = self.entry(key, now) else { return false };
        peer.named = true;
        if connected || peer.banned || peer.queued {
            return false;
        }
        (peer.retry_at, peer.attempts, peer.queued) = (None, 0, true);
        self.fresh.push(key);
        true
    }

    pub(super) fn is_named(&self, key: &PublicKey) -> bool {
        self.known.get(key).is_some_and(|p| p.named)
    }

    /// Those wanted for their own sake.
    pub(super) fn named(&self) -> Vec<PublicKey> {
        self.known.iter().filter(|(_, p)| p.named).map(|(k, _)| *k).collect()
    }

    pub(super) fn seen(&mut self, key: PublicKey, now: Duration) {
        self.entry(key, now);
    }

    pub(super) fn forget_topic(&mut self, topic: &Topic) {
        for p in self.known.values_mut() {
            if p.topics.remove(topic) && p.topics.is_empty() && !p.named {
                p.retry_at = None;
            }
        }
    }

    pub(super) fn connected(&mut self, key: &PublicKey, now: Duration) {
        if let Some(p) = self.known.get_mut(key) {
            p.proven = true;
            p.failed = false;
            p.connected_at = Some(now);
            p.retry_at = None;
        }
    }

    pub(super) fn disconnected(&mut self, key: &PublicKey, at: Backoff) {
        let Some(p) = self.known.get_mut(key) else { return };
        let since = p.connected_at.take();
        p.failed = since.is_none();
        if since.is_some_and(|since| at.now.saturating_sub(since) >= LONG_LIVED) {
            p.attempts = 0;
        }
        p.attempts += 1;
        let wait_ms: Option<u64> = match (p.attempts, p.proven) {
            _ if p.refused && p.attempts <= 2 => Some(500),
            (0 | 1, true) => Some(1000),
            (0 | 1, false) | (2, true) => Some(5000),
            (2, false) | (3, _) => Some(15_000),
            _ if p.named => Some(NAMED_AGAIN),
            // Given up until a lookup finds it again.
            _ => None,
        };
        p.retry_at = wait_ms
            .filter(|_| !p.banned && (p.named || !p.topics.is_empty()))
            .map(|ms| at.now + Duration::from_millis(ms + at.jitter));
    }

    /// The peer took our connection and closed it without a word: the next attempt is made under another key, soon. Who refuses
    /// that one too is met under our own key again. One that spoke with us before means us, and is left alone.
    pub(super) fn refused(&mut self, key: &PublicKey) {
        if let Some(p) = self.known.get_mut(key).filter(|p| !p.heard) {
            p.refused = !p.refused;
        }
    }

    pub(super) fn heard(&mut self, key: &PublicKey) {
        if let Some(p) = self.known.get_mut(key) {
            (p.heard, p.refused) = (true, false);
        }
    }

    /// A peer that waits to be tried again is tried now.
    pub(super) fn retry_now(&mut self, key: &PublicKey, now: Duration) {
        if let Some(at) = self.known.get_mut(key).and_then(|p| p.retry_at.as_mut()) {
            *at = now.min(*at);
        }
    }

    /// A connection ended, whoever began it: its record may make room for another.
    pub(super) fn left(&mut self, key: &PublicKey) {
        if let Some(p) = self.known.get_mut(key) {
            p.connected_at = None;
        }
    }

    /// An attempt was ended in favour of another: the peer is tried again when a lookup finds it.
    pub(super) fn gave_up(&mut self, key: &PublicKey) {
        if let Some(p) = self.known.get_mut(key) {
            p.failed = true;
        }
    }

    pub(super) fn ban(&mut self, key: PublicKey, now: Duration) {
        if let Some(p) = self.entry(key, now) {
            p.banned = true;
            p.retry_at = None;
        }
    }

    pub(super) fn is_banned(&self, key: &PublicKey) -> bool {
        self.known.get(key).is_some_and(|p| p.banned)
    }

    /// Whether a connection to the peer still serves a topic.
    pub(super) fn wanted(&self, key: &PublicKey) -> bool {
        self.known.get(key).is_some_and(|p| !p.banned && (p.named || !p.topics.is_empty()))
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.fresh.is_empty() || !self.again.is_empty()
    }

    /// Any of those to try, who never failed first: by which nodes, and whether under a one-time key.
    pub(super) fn pop(&mut self, random: u64) -> Option<(PublicKey, Vec<SocketAddrV4>, bool)> {
        let queue = if self.fresh.is_empty() { &mut self.again } else { &mut self.fresh };
        let at = usize::try_from(random % (queue.len() as u64).max(1)).unwrap_or(0);
        let key = (!queue.is_empty()).then(|| queue.swap_remove(at))?;
        match self.known.get_mut(&key) {
            Some(p) => {
                p.queued = false;
                Some((key, p.relays.clone(), p.refused))
            }
            None => Some((key, Vec::new(), false)),
        }
    }

    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.known.values().filter_map(|p| p.retry_at).min()
    }

    pub(super) fn retry_due(&mut self, now: Duration) {
        for (key, p) in &mut self.known {
            if p.retry_at.is_some_and(|t| t <= now) {
                p.retry_at = None;
                if !p.queued {
                    p.queued = true;
                    let queue = if p.failed { &mut self.again } else { &mut self.fresh };
                    queue.push(*key);
                }
            }
        }
    }
}

#[cfg(test)]
impl Peers {
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.fresh.len() + self.again.len()
    }
}
