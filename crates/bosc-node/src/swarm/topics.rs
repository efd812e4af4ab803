//! Topics: joined and left, and the queries that look for their peers.

use super::state::Swarm;
use super::types::{Action, Part, Topic};
use bosc_format::crypto::PublicKey;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

pub(super) const REFRESH: Duration = Duration::from_secs(600);
pub(super) const REFRESH_JITTER_MS: u64 = 120_000;
/// A query that found nobody is repeated so soon, then after three times the time, and so on up to [`REFRESH`]: two peers
/// that announce at the same moment do not find each other the first time.
pub(super) const NOBODY: Duration = Duration::from_millis(1500);
/// With no connection and nobody left to try we look again so soon, then after twice the time, and so on: those we
/// knew may have been given up while the network was bad.
const LONELY: Duration = Duration::from_secs(15);

/// A query that failed outright is repeated so soon, then after twice the time, and so on up to [`FAILED_MOST`].
const FAILED: Duration = Duration::from_secs(5);
const FAILED_MOST: Duration = Duration::from_secs(600);

impl Swarm {
    /// Joins a topic, or changes how it is joined. Returns whether there is room for it.
    pub fn join(&mut self, topic: Topic, part: Part, now: Duration) -> bool {
        if !self.topics.contains_key(&topic) && self.topics.len() >= self.limits.topics {
            return false;
        }
        let joined = self.topics.entry(topic).or_default();
        let before = std::mem::replace(&mut joined.part, part);
        let changed = (before.client, before.server) != (part.client, part.server);
        if changed || !joined.queried_once {
            joined.flushing = Some(BTreeSet::new());
            self.discover(topic, now);
        }
        self.set_urgent(topic, part.urgent, now);
        true
    }

    /// Leaves a topic. Connections stay; peers only known by it are not tried again.
    pub fn leave(&mut self, topic: &Topic) {
        if let Some(joined) = self.topics.remove(topic) {
            if joined.announced {
                self.actions.push_back(Action::Unannounce { topic: *topic });
            }
            self.peers.forget_topic(topic);
        }
        if self.topics.is_empty() {
            self.lonely = (0, None);
        }
    }

    /// Looks again at once: the network has changed, or somebody waits.
    pub fn refresh(&mut self, topic: &Topic, now: Duration) {
        if self.topics.contains_key(topic) {
            self.discover(*topic, now);
        }
    }

    /// Looks again at once, and counts as flushed only when that is over.
    pub fn look_again(&mut self, topic: &Topic, now: Duration) {
        if let Some(joined) = self.topics.get_mut(topic) {
            joined.flushing = Some(BTreeSet::new());
            self.discover(*topic, now);
        }
    }

    pub(super) fn discover(&mut self, topic: Topic, now: Duration) {
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if joined.querying {
            joined.again = true;
            return;
        }
        joined.querying = true;
        joined.found = false;
        joined.next = None;
        joined.looked = Some(now);
        let announce = joined.part.server;
        if announce {
            joined.announced = true;
        } else if std::mem::take(&mut joined.announced) {
            self.actions.push_back(Action::Unannounce { topic });
        }
        self.actions.push_back(Action::Discover { topic, announce });
    }

    /// A query told of a peer.
    pub fn peer_found(&mut self, topic: Topic, peer: PublicKey, relays: Vec<SocketAddrV4>, now: Duration) {
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if peer == self.me || !joined.part.client {
            return;
        }
        joined.found = true;
        if let Some(flushing) = &mut joined.flushing
            && flushing.len() < self.limits.known
            && !self.links.get(&peer).is_some_and(|l| l.open)
        {
            flushing.insert(peer);
        }
        let connected = self.links.contains_key(&peer);
        if !self.peers.found(topic, peer, relays, connected, now) && !connected {
            // Banned, or there is no room for it. An attempt that is under way ends by itself.
            self.tried(&peer);
        }
        self.pump(now);
    }

    /// A query ended well.
    pub fn query_done(&mut self, topic: Topic, now: Duration) {
        if let Some(joined) = self.topics.get_mut(&topic) {
            joined.failed = 0;
        }
        self.query_over(topic, now);
    }

    fn query_over(&mut self, topic: Topic, now: Duration) {
        let jitter = Duration::from_millis(self.random() % REFRESH_JITTER_MS);
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        joined.querying = false;
        joined.queried_once = true;
        joined.next = Some(now + REFRESH + jitter);
        if joined.found || !joined.part.client {
            joined.empty = 0;
        } else {
            let soon = NOBODY.saturating_mul(3u32.saturating_pow(joined.empty)).min(REFRESH);
            joined.next =
                Some(now + soon + soon.mul_f64(jitter.as_millis() as f64 / (2 * REFRESH_JITTER_MS) as f64));
            joined.empty = joined.empty.saturating_add(1);
        }
        self.plan_urgent(topic, now);
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if std::mem::take(&mut joined.again) {
            self.discover(topic, now);
        } else {
            self.flush_maybe(topic);
        }
        self.pump(now);
        self.note_loneliness(now);
    }

    /// Plans a look ahead of time when there is no connection and nobody left to try.
    pub(super) fn note_loneliness(&mut self, now: Duration) {
        let (looks, at) = &mut self.lonely;
        let hopeful = !self.links.is_empty() || self.peers.has_queued() || self.peers.next_retry().is_some();
        if at.is_none() && !hopeful && self.topics.values().any(|j| j.part.client) {
            *at = Some(now + LONELY.saturating_mul(1 << (*looks).min(5)));
            *looks = looks.saturating_add(1);
        }
    }

    /// A query failed (no network): look again soon instead of in ten minutes, but ever later while it goes on.
    pub fn query_failed(&mut self, topic: Topic, now: Duration) {
        self.query_over(topic, now);
        let jitter = self.random() % 400;
        if let Some(joined) = self.topics.get_mut(&topic) {
            let wait = FAILED.saturating_mul(1 << joined.failed.min(7)).min(FAILED_MOST);
            let soon = now + wait + wait.mul_f64(jitter as f64 / 1000.0);
            joined.failed = joined.failed.saturating_add(1);
            joined.next = joined.next.map(|n| n.min(soon));
        }
    }

    /// The network works again, or the machine has slept: whatever failed or found nobody before says nothing any
    /// more. Every topic is looked at again.
    pub fn network_back(&mut self, now: Duration) {
        self.lonely = (0, None);
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            if let Some(joined) = self.topics.get_mut(&topic) {
                (joined.failed, joined.empty) = (0, 0);
            }
            self.discover(topic, now);
        }
        for peer in self.peers.named() {
            self.name(peer, true, now);
        }
    }

    pub(super) fn flush_maybe(&mut self, topic: Topic) {
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if joined.queried_once && !joined.querying && joined.flushing.as_ref().is_some_and(BTreeSet::is_empty)
        {
            joined.flushing = None;
            self.actions.push_back(Action::Flushed { topic });
        }
    }
}
