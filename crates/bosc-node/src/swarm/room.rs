//! Room: which connection goes when there is no room for another, and when the next peer is dialled.
//!
//! ```text
//!   unproved (shares no core with us) --- opens a core's channel ---> idle --- STEP bytes for it, or a block from it ---> busy
//!                                                                      ^                                                 |
//!                                                                      +------------------ BUSY without more ------------+
//! ```
//!
//! Invariants:
//! * A peer that connects to us is refused only while every connection it could replace is busy, and none of the networks
//!   they come from has more than its share ([`SHARE`]). So connections that do nothing keep nobody out.
//! * What goes first: unproved before idle before busy; in each, the network (/24) with most connections, the address
//!   with most, the one that did nothing for longest. A newcomer is the last to go.
//! * Networks and addresses count for nothing while there is room: many honest peers share one.
//! * Peers are dialled [`Limits::parallel`](super::Limits::parallel) at a time, where an attempt counts for [`SLOT`]: one that hangs holds up
//!   nobody. At most [`Limits::peers`](super::Limits::peers) are dialled; then an attempt older than [`ATTEMPT`] makes room, or, while somebody
//!   waits on a topic, a connection that did nothing for [`SETTLE`].
//! * A topic counts a peer as tried when its attempt ended or is older than [`ATTEMPT`].
//! * Nothing here wakes a swarm that has nobody left to dial and no attempt under way.

use super::state::{Connected, Swarm};
use super::types::{Action, ConnId};
use bosc_dht::network_of;
use bosc_format::crypto::PublicKey;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long an attempt counts among those that are under way at once.
pub(super) const SLOT: Duration = Duration::from_secs(1);
/// How long an attempt has before it makes room for another, and before nobody waits for its end.
pub(super) const ATTEMPT: Duration = Duration::from_secs(4);
/// How long a connection has to show what it is good for before we dial another in its place.
const SETTLE: Duration = Duration::from_secs(5);
/// A connection is busy for so long after [`STEP`] bytes went out on it or a block came in.
const BUSY: Duration = Duration::from_secs(10);
/// See [`BUSY`]. The owner calls [`Swarm::moved`] each time so many bytes went out.
pub(crate) const STEP: usize = 16 << 10;
/// The part of all connections, one in so many, that busy ones of one network may hold when there is no room.
const SHARE: usize = 4;

/// What a connection is good for, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Unproved,
    Idle,
    Busy,
}

impl Connected {
    fn used(&self) -> Duration {
        self.moved.unwrap_or_default().max(self.since)
    }

    fn good_for(&self, now: Duration) -> Use {
        match self.moved {
            Some(at) if now.saturating_sub(at) < BUSY => Use::Busy,
            _ if self.shares.is_empty() => Use::Unproved,
            _ => Use::Idle,
        }
    }
}

impl Swarm {
    /// `STEP` bytes more went out on a connection, or a block came in.
    pub fn moved(&mut self, conn: ConnId, now: Duration) {
        if let Some(link) = self.by_conn.get(&conn).and_then(|peer| self.links.get_mut(peer)) {
            link.moved = Some(now);
        }
    }

    /// Most connections, dialled and accepted.
    pub(super) fn most(&self) -> usize {
        self.limits.all.unwrap_or(self.limits.peers.saturating_mul(2))
    }

    /// Makes room for a peer at `host` that connected to us, if there is none. Whether there is now.
    pub(super) fn make_room(&mut self, host: Ipv4Addr, now: Duration) -> bool {
        if self.links.len() < self.most() {
            return true;
        }
        let Some(peer) = self.least_useful(host, now) else { return false };
        self.give_up(&peer, now);
        true
    }

    /// The accepted connection that goes first for a newcomer from `host`.
    fn least_useful(&self, host: Ipv4Addr, now: Duration) -> Option<PublicKey> {
        let accepted = || self.links.iter().filter(|(_, l)| l.open && !l.initiator);
        let (mut networks, mut hosts) = (HashMap::new(), HashMap::new());
        for at in accepted().filter_map(|(_, l)| l.host) {
            *networks.entry(network_of(at)).or_insert(0usize) += 1;
            *hosts.entry(at).or_insert(0usize) += 1;
        }
        let (share, own) = (self.most() / SHARE, network_of(host));
        let crowd = |at: Option<Ipv4Addr>| {
            let of = |at: Ipv4Addr| Some((*networks.get(&network_of(at))?, *hosts.get(&at)?));
            at.and_then(of).unwrap_or_default()
        };
        accepted()
            .map(|(peer, l)| (l.good_for(now), crowd(l.host), l, peer))
            .filter(|(good, (crowd, _), l, _)| {
                *good < Use::Busy || (*crowd > share && l.host.is_some_and(|at| network_of(at) != own))
            })
            .min_by_key(|(good, crowd, l, peer)| (*good, std::cmp::Reverse(*crowd), l.used(), **peer))
            .map(|(.., peer)| *peer)
    }

    /// Ends a connection or an attempt in favour of another.
    fn give_up(&mut self, peer: &PublicKey, now: Duration) {
        if let Some(link) = self.links.get(peer) {
            let conn = link.conn;
            self.drop_link(peer, now);
            self.actions.push_back(Action::Close { conn });
        }
    }

    /// Whether the next peer may be dialled now.
    fn may_dial(&mut self, now: Duration) -> bool {
        let young = |l: &&Connected| !l.open && now.saturating_sub(l.since) < SLOT;
        if self.links.values().filter(young).count() >= self.limits.parallel {
            return false;
        }
        let dialled = self.links.values().filter(|l| l.initiator).count();
        if dialled < self.limits.peers && self.links.len() < self.most() {
            return true;
        }
        let waited_on = self.topics.values().any(|j| j.urgent.is_some());
        let goes = self
            .links
            .iter()
            .filter(|(peer, l)| l.initiator && !self.peers.is_named(peer) && self.can_go(l, waited_on, now))
            .min_by_key(|(peer, l)| (l.open, l.good_for(now), l.used(), **peer))
            .map(|(peer, _)| *peer);
        if let Some(peer) = goes {
            if let Some(link) = self.links.get(&peer)
                && !link.open
            {
                self.peers.gave_up(&peer);
            }
            self.give_up(&peer, now);
            return true;
        }
        // Those who came to us leave us a half.
        dialled < self.limits.peers && self.make_room(Ipv4Addr::UNSPECIFIED, now)
    }

    fn can_go(&self, link: &Connected, waited_on: bool, now: Duration) -> bool {
        let age = now.saturating_sub(link.used());
        if link.open { waited_on && age >= SETTLE && link.good_for(now) < Use::Busy } else { age >= ATTEMPT }
    }

    /// When an attempt or a connection may make room for those who are queued.
    pub(super) fn next_room(&self) -> Option<Duration> {
        let attempts = || self.links.values().filter(|l| !l.open);
        let late = attempts().filter(|l| !l.late).map(|l| l.since + ATTEMPT).min();
        let blocked = self.blocked_until.filter(|_| self.peers.has_queued());
        late.into_iter().chain(blocked).min()
    }

    /// Dials those who are queued as far as there is room for them, and notes when there may be more.
    pub(super) fn pump(&mut self, now: Duration) {
        self.blocked_until = None;
        while self.peers.has_queued() {
            if !self.may_dial(now) {
                self.note_blocked(now);
                break;
            }
            let random = self.random();
            let Some((peer, relays, one_time_key)) = self.peers.pop(random) else { break };
            if self.links.contains_key(&peer) || !self.peers.wanted(&peer) {
                self.tried(&peer);
                continue;
            }
            let conn = self.take_conn();
            self.links.insert(peer, Connected::attempt(conn, now));
            self.by_conn.insert(conn, peer);
            self.connecting += 1;
            self.actions.push_back(Action::Connect { conn, peer, relays, one_time_key });
        }
    }

    /// Nobody can be dialled now: plans when to look again, and lets nobody wait for those who are queued if that may take for ever.
    fn note_blocked(&mut self, now: Duration) {
        let waited_on = self.topics.values().any(|j| j.urgent.is_some());
        let times = self.links.values().filter(|l| l.initiator).filter_map(|l| match l.open {
            false if now.saturating_sub(l.since) < SLOT => Some(l.since + SLOT),
            false => Some(l.since + ATTEMPT),
            true => waited_on.then(|| l.used() + SETTLE.max(BUSY)),
        });
        // A look that finds nothing changed is not repeated at once.
        self.blocked_until = times.filter(|at| *at > now).min();
        if self.blocked_until.is_none() {
            // Full: nothing more will be tried for those who wait.
            for topic in self.topics.keys().copied().collect::<Vec<_>>() {
                if let Some(f) = self.topics.get_mut(&topic).and_then(|j| j.flushing.as_mut()) {
                    f.clear();
                }
                self.flush_maybe(topic);
            }
        }
    }

    /// Attempts that take long count as tried.
    pub(super) fn note_late(&mut self, now: Duration) {
        let late: Vec<PublicKey> = self
            .links
            .iter()
            .filter(|(_, l)| !l.open && !l.late && now.saturating_sub(l.since) >= ATTEMPT)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in late {
            if let Some(link) = self.links.get_mut(&peer) {
                link.late = true;
            }
            self.tried(&peer);
        }
    }
}
