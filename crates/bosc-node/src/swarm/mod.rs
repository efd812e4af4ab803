//! Who to look for, who to connect to, which connection to keep: Hyperswarm as a state machine without IO.
//!
//! A *topic* is announced (server) or looked up (client) when it is joined and again every ten to twelve
//! minutes. Peers that a lookup finds are queued and connected to, at most [`Limits::parallel`] at a time and
//! [`Limits::peers`] in all. A connection that ends is tried again with growing back-off as long as a joined
//! topic names the peer.
//!
//! Invariants:
//! * At most one connection (opening or open) per remote key. When two race, both sides pick the same one: the
//!   initiator is the peer with the greater public key, unless the older connection has been open for `RACE` and has
//!   carried bytes both ways: then its other end must have lost it, and the newer one wins. (Hyperswarm has no such time:
//!   when two that dialled each other at once both saw bytes on their own connection, each gives up its own, and both are
//!   lost.)
//! * We never connect to ourselves or to a banned peer.
//! * A topic counts as flushed once its first query has ended and each peer it found was tried once.
//! * Peers kept are bounded by [`Limits::known`]; the longest unseen idle one makes room.
//! * While a topic is joined as *urgent* (somebody waits) and no query runs, its next look is never further away than
//!   its present wait: half a second at first, then twice the wait before, up to three seconds while nobody there
//!   shares the topic's core, up to a minute while somebody does. What is delivered puts the look off: those who deliver are
//!   enough. See `urgency`.
//! * A topic that is not urgent is looked at by the refresh, `NOBODY` and `LONELY` alone.
//! * While queries fail outright (no network) looks are spread further and further, up to `FAILED_MOST`;
//!   [`Swarm::network_back`] ends that at once.
//!
//! # Files
//!
//! - `peers`: who is known, queued, banned. `urgency`: topics that somebody waits on.

mod peers;
#[cfg(test)]
mod tests;
mod urgency;

use bosc_format::crypto::PublicKey;
use peers::{Backoff, Peers};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Names a connection attempt or connection.
pub type ConnId = u64;
/// Names a topic: a discovery key.
pub type Topic = [u8; 32];

const REFRESH: Duration = Duration::from_secs(600);
const REFRESH_JITTER_MS: u64 = 120_000;
/// A query that found nobody is repeated so soon, then after three times the time, and so on up to [`REFRESH`]: two peers
/// that announce at the same moment do not find each other the first time.
const NOBODY: Duration = Duration::from_millis(1500);
/// With no connection and nobody left to try we look again so soon, then after twice the time, and so on: those we
/// knew may have been given up while the network was bad.
const LONELY: Duration = Duration::from_secs(15);

/// Longest time between two connections that were dialled at once by both sides.
const RACE: Duration = Duration::from_secs(5);

/// A query that failed outright is repeated so soon, then after twice the time, and so on up to [`FAILED_MOST`].
const FAILED: Duration = Duration::from_secs(5);
const FAILED_MOST: Duration = Duration::from_secs(600);

/// Bounds of a swarm.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once.
    pub peers: usize,
    /// Most connection attempts at once. Peers that are gone stay announced for a while, and each attempt to reach one
    /// takes its time: the others must not wait for that.
    pub parallel: usize,
    /// Most peers remembered.
    pub known: usize,
    /// Most topics joined.
    pub topics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers: 64, parallel: 8, known: 1024, topics: 1024 }
    }
}

/// How a topic is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Look for peers and connect to them.
    pub client: bool,
    /// Be announced, so that others find us.
    pub server: bool,
    /// Somebody waits: look again soon and often until the topic is joined without.
    pub urgent: bool,
}

/// What the owner of the swarm has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a query for the topic; `announce` when we serve it, else a lookup.
    Discover {
        /// The topic.
        topic: Topic,
        /// Announce ourselves while looking.
        announce: bool,
    },
    /// Take our announcement back.
    Unannounce {
        /// The topic.
        topic: Topic,
    },
    /// Open a connection.
    Connect {
        /// Id to use for it.
        conn: ConnId,
        /// Whom to.
        peer: PublicKey,
        /// Nodes that can relay the handshake.
        relays: Vec<SocketAddrV4>,
    },
    /// Close a connection or give an attempt up.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// First discovery of the topic is over.
    Flushed {
        /// The topic.
        topic: Topic,
    },
}

#[derive(Debug, Default)]
struct Joined {
    part: Part,
    announced: bool,
    querying: bool,
    again: bool,
    next: Option<Duration>,
    flushing: Option<BTreeSet<PublicKey>>,
    queried_once: bool,
    /// This query found somebody.
    found: bool,
    /// Queries in a row that found nobody.
    empty: u32,
    /// Queries in a row that failed outright.
    failed: u32,
    /// When the last query began.
    looked: Option<Duration>,
    urgent: Option<urgency::Urgent>,
}

#[derive(Debug)]
struct Connected {
    conn: ConnId,
    initiator: bool,
    open: bool,
    /// When it opened.
    since: Duration,
    /// Topics whose core it has with us.
    shares: BTreeSet<Topic>,
}

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Swarm {
    me: PublicKey,
    limits: Limits,
    topics: BTreeMap<Topic, Joined>,
    peers: Peers,
    links: HashMap<PublicKey, Connected>,
    by_conn: HashMap<ConnId, PublicKey>,
    connecting: usize,
    /// Looks since the last connection opened, and when the next one is due.
    lonely: (u32, Option<Duration>),
    next_conn: ConnId,
    noise: u64,
    actions: VecDeque<Action>,
}

impl Swarm {
    /// A swarm of the peer whose public key is `me`. `seed` spreads refreshes and retries in time.
    pub fn new(me: PublicKey, limits: Limits, seed: u64) -> Self {
        Self {
            me,
            limits,
            topics: BTreeMap::new(),
            peers: Peers::new(limits.known),
            links: HashMap::new(),
            by_conn: HashMap::new(),
            connecting: 0,
            lonely: (0, None),
            next_conn: 1,
            noise: seed | 1,
            actions: VecDeque::new(),
        }
    }

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

    /// The topics joined.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.keys()
    }

    /// Whether the first discovery of `topic` is over (true for topics not joined).
    pub fn is_flushed(&self, topic: &Topic) -> bool {
        self.topics.get(topic).is_none_or(|j| j.flushing.is_none())
    }

    fn discover(&mut self, topic: Topic, now: Duration) {
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
        self.pump();
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
        self.pump();
        self.note_loneliness(now);
    }

    /// Plans a look ahead of time when there is no connection and nobody left to try.
    fn note_loneliness(&mut self, now: Duration) {
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
    }

    /// Our attempt `conn` is open.
    pub fn opened(&mut self, conn: ConnId, now: Duration) {
        let Some(peer) = self.by_conn.get(&conn).copied() else { return };
        if let Some(link) = self.links.get_mut(&peer).filter(|l| l.conn == conn && !l.open) {
            (link.open, link.since) = (true, now);
            self.lonely = (0, None);
            self.connecting = self.connecting.saturating_sub(1);
            self.peers.connected(&peer, now);
            self.tried(&peer);
        }
        self.pump();
    }

    /// Somebody connected to us. `carried(conn)` tells whether a connection has carried bytes both ways.
    /// Returns the id for it, or `None` when it is to be closed.
    pub fn accepted(
        &mut self,
        peer: PublicKey,
        carried: impl Fn(ConnId) -> bool,
        now: Duration,
    ) -> Option<ConnId> {
        if peer == self.me || self.peers.is_banned(&peer) {
            return None;
        }
        if let Some(existing) = self.links.get(&peer) {
            // A new server connection was initiated by them.
            let we_should_initiate = self.me > peer;
            let lost = existing.open && now.saturating_sub(existing.since) >= RACE && carried(existing.conn);
            let keep_new = lost || !we_should_initiate;
            if !keep_new {
                return None;
            }
            let old = existing.conn;
            self.drop_link(&peer, now);
            self.actions.push_back(Action::Close { conn: old });
        } else if self.links.len() >= self.limits.peers.saturating_mul(2) {
            return None;
        }
        let conn = self.take_conn();
        let link = Connected { conn, initiator: false, open: true, since: now, shares: BTreeSet::new() };
        self.links.insert(peer, link);
        self.by_conn.insert(conn, peer);
        self.lonely = (0, None);
        self.peers.seen(peer, now);
        self.peers.connected(&peer, now);
        self.tried(&peer);
        self.pump();
        Some(conn)
    }

    /// A connection or an attempt has ended.
    pub fn closed(&mut self, conn: ConnId, now: Duration) {
        let Some(peer) = self.by_conn.get(&conn).copied() else { return };
        let initiator = self.links.get(&peer).is_some_and(|l| l.conn == conn && l.initiator);
        if self.links.get(&peer).is_some_and(|l| l.conn == conn) {
            self.drop_link(&peer, now);
        }
        self.by_conn.remove(&conn);
        if initiator {
            let jitter = self.random() % 500;
            self.peers.disconnected(&peer, Backoff { now, jitter });
        }
        self.tried(&peer);
        self.pump();
        self.note_loneliness(now);
    }

    /// Never connect to this peer again, and close what there is: it misbehaved.
    pub fn ban(&mut self, peer: &PublicKey, now: Duration) {
        self.peers.ban(*peer, now);
        if let Some(link) = self.links.get(peer) {
            let conn = link.conn;
            self.actions.push_back(Action::Close { conn });
        }
    }

    fn drop_link(&mut self, peer: &PublicKey, now: Duration) {
        if let Some(link) = self.links.remove(peer) {
            self.by_conn.remove(&link.conn);
            if !link.open {
                self.connecting = self.connecting.saturating_sub(1);
            }
            for topic in link.shares {
                self.look_if_alone(topic, now);
            }
        }
    }

    fn take_conn(&mut self) -> ConnId {
        let id = self.next_conn;
        self.next_conn = self.next_conn.wrapping_add(1);
        id
    }

    fn pump(&mut self) {
        while self.connecting < self.limits.parallel && self.links.len() < self.limits.peers {
            let Some((peer, relays)) = self.peers.pop() else { break };
            if self.links.contains_key(&peer) || !self.peers.wanted(&peer) {
                self.tried(&peer);
                continue;
            }
            let conn = self.take_conn();
            let (initiator, since) = (true, Duration::ZERO);
            self.links
                .insert(peer, Connected { conn, initiator, open: false, since, shares: BTreeSet::new() });
            self.by_conn.insert(conn, peer);
            self.connecting += 1;
            self.actions.push_back(Action::Connect { conn, peer, relays });
        }
        if self.links.len() >= self.limits.peers {
            // Full: nothing more will be tried for those who wait.
            for topic in self.topics.keys().copied().collect::<Vec<_>>() {
                if let Some(f) = self.topics.get_mut(&topic).and_then(|j| j.flushing.as_mut()) {
                    f.clear();
                }
                self.flush_maybe(topic);
            }
        }
    }

    fn tried(&mut self, peer: &PublicKey) {
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let was =
                self.topics.get_mut(&topic).and_then(|j| j.flushing.as_mut()).is_some_and(|f| f.remove(peer));
            if was {
                self.flush_maybe(topic);
            }
        }
    }

    fn flush_maybe(&mut self, topic: Topic) {
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if joined.queried_once && !joined.querying && joined.flushing.as_ref().is_some_and(BTreeSet::is_empty)
        {
            joined.flushing = None;
            self.actions.push_back(Action::Flushed { topic });
        }
    }

    /// When [`Swarm::handle_timeout`] has work to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        let topics = self.topics.values().filter_map(Joined::due).min();
        [topics, self.peers.next_retry(), self.lonely.1].into_iter().flatten().min()
    }

    /// Refreshes topics and retries peers whose time has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due: Vec<Topic> =
            self.topics.iter().filter(|(_, j)| j.due().is_some_and(|n| n <= now)).map(|(t, _)| *t).collect();
        for topic in due {
            self.wait_longer(topic, now);
            self.discover(topic, now);
        }
        if self.lonely.1.is_some_and(|at| at <= now) {
            self.lonely.1 = None;
            let client = |(t, j): (&Topic, &Joined)| j.part.client.then_some(*t);
            for topic in self.topics.iter().filter_map(client).collect::<Vec<_>>() {
                self.discover(topic, now);
            }
        }
        self.peers.retry_due(now);
        self.pump();
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.links.values().filter(|l| l.open).count()
    }

    /// Whether connections are being tried or waited for right now.
    pub fn is_connecting(&self) -> bool {
        self.connecting > 0 || self.peers.has_queued()
    }

    fn random(&mut self) -> u64 {
        // splitmix64: spreads timers, nothing more.
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
