//! The state machine itself: what it knows, and what its timers do.

use super::joined::Joined;
use super::peers::Peers;
use super::types::{Action, ConnId, Limits, Part, Topic};
use bosc_format::crypto::PublicKey;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Connected {
    pub(super) conn: ConnId,
    pub(super) initiator: bool,
    pub(super) open: bool,
    /// When it opened, or the attempt began.
    pub(super) since: Duration,
    /// Where a peer that connected to us is.
    pub(super) host: Option<Ipv4Addr>,
    /// When it was told last that bytes are moved on it.
    pub(super) moved: Option<Duration>,
    /// An attempt that nobody waits for any more.
    pub(super) late: bool,
    /// Topics whose core it has with us.
    pub(super) shares: BTreeSet<Topic>,
}

impl Connected {
    pub(super) fn attempt(conn: ConnId, now: Duration) -> Self {
        let shares = BTreeSet::new();
        Self { conn, initiator: true, open: false, since: now, host: None, moved: None, late: false, shares }
    }

    pub(super) fn accepted(conn: ConnId, host: Ipv4Addr, now: Duration) -> Self {
        Self { initiator: false, open: true, host: Some(host), ..Self::attempt(conn, now) }
    }
}

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Swarm {
    pub(super) me: PublicKey,
    pub(super) limits: Limits,
    pub(super) topics: BTreeMap<Topic, Joined>,
    pub(super) peers: Peers,
    pub(super) links: HashMap<PublicKey, Connected>,
    pub(super) by_conn: HashMap<ConnId, PublicKey>,
    pub(super) connecting: usize,
    /// When room for those who are queued is looked for again.
    pub(super) blocked_until: Option<Duration>,
    /// Looks since the last connection opened, and when the next one is due.
    pub(super) lonely: (u32, Option<Duration>),
    pub(super) next_conn: ConnId,
    pub(super) noise: u64,
    pub(super) actions: VecDeque<Action>,
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
            blocked_until: None,
            lonely: (0, None),
            next_conn: 1,
            noise: seed | 1,
            actions: VecDeque::new(),
        }
    }

    /// The topics joined.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.keys()
    }

    /// The topics joined, and how.
    pub fn parts(&self) -> impl Iterator<Item = (Topic, Part)> {
        self.topics.iter().map(|(topic, joined)| (*topic, joined.part))
    }

    /// Whether the first discovery of `topic` is over (true for topics not joined).
    pub fn is_flushed(&self, topic: &Topic) -> bool {
        self.topics.get(topic).is_none_or(|j| j.flushing.is_none())
    }

    /// When [`Swarm::handle_timeout`] has work to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        let topics = self.topics.values().filter_map(Joined::due).min();
        [topics, self.peers.next_retry(), self.lonely.1, self.next_room()].into_iter().flatten().min()
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
        self.note_late(now);
        self.peers.retry_due(now);
        self.pump(now);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.links.values().filter(|l| l.open).count()
    }

    /// Whether connections are being tried or waited for right now. Attempts that take long are not waited for.
    pub fn is_connecting(&self) -> bool {
        (self.connecting > 0 && self.links.values().any(|l| !l.open && !l.late)) || self.peers.has_queued()
    }

    pub(super) fn random(&mut self) -> u64 {
        // splitmix64: spreads timers, nothing more.
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
