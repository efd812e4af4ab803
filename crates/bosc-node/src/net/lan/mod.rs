//! Peers in the same local network, without internet and without a DHT: multicast DNS (RFC 6762, RFC 6763).
//!
//! ```text
//!   serving a topic:  announced twice, a second apart, and when somebody asks ──▶ "NONCE; for each topic: tag, masked key; port"
//!   looking for one:  asked when a topic is joined, then after 1 s, 3 s, 9 s and so on up to an hour
//!                     a tag of ours in an announcement ──▶ Found: topic, key, address ──▶ the swarm connects, as if a lookup had found it
//! ```
//!
//! What is announced of a topic is `BLAKE2b("bosc-lan-tag", nonce, topic)`, 8 bytes of it, and the node's key, masked with
//! `BLAKE2b("bosc-lan-key", nonce, topic)`. The nonce, and the names in the packet, are random and new after [`ROTATE`] and after each change of
//! network. So a listener who knows a link sees that somebody here serves it, and who; one who does not sees that Bosc runs at this
//! address, and for how many topics, and can link neither two hours nor two networks. Who asks names no topic at all.
//!
//! # Invariants
//!
//! * Nothing that comes in makes a packet go out more than once a second ([`LEAST`]), whoever asks however often.
//! * Of what comes in at most [`BURST`] packets at once and [`RATE`] a second are looked at, and [`FOUND`] peers of one host are reported a minute.
//! * Where to connect to is the address that the packet came from, in our network; the handshake proves the key.
//! * At rest, with nothing but topics that are served, there is no timer; a topic that is looked for wakes it once an hour.
//!
//! # Files
//!
//! - Here: when is announced and asked, rates in and out, new nonces, tags and masked keys.
//! - `packet`: DNS packets, read and written: fields, lengths, how many records and jumps. `socket`: port and group of multicast DNS,
//!   which interfaces and how many, sockets.

mod packet;
pub(super) mod socket;
#[cfg(test)]
mod tests;

use crate::swarm::{Part, Topic};
use bosc_dht::Entropy;
use bosc_format::crypto::{PublicKey, hash};
use packet::{Beacon, Instance, MAX_ENTRIES, Packet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Least time between two announcements, as RFC 6762 has it for a record.
const LEAST: Duration = Duration::from_secs(1);
/// Names and the salt are new so long after they were made, when something is sent.
const ROTATE: Duration = Duration::from_secs(3600);
/// First wait between two questions; then thrice the one before, up to the most.
const ASK: Duration = Duration::from_secs(1);
const ASK_MOST: Duration = Duration::from_secs(3600);
/// An answer is put off by a random time up to this, so that not all answer at once.
const SPREAD_MS: u64 = 100;
/// How long others may keep what we announce, in seconds.
const TTL: u32 = 120;
/// Packets looked at: at once, and a second.
const BURST: f64 = 64.0;
const RATE: f64 = 32.0;
/// Most peers of one host that are reported a minute.
const FOUND: usize = 16;
/// The same one is reported again after so long.
const FOUND_AGAIN: Duration = Duration::from_secs(3);
/// Most hosts remembered for that, and most instances that are known.
const MAX_KNOWN: usize = 256;
/// Instances of one announcement: so many times [`MAX_ENTRIES`] topics are announced.
const INSTANCES: usize = 8;

/// A peer that serves a topic of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) topic: Topic,
    pub(super) peer: PublicKey,
    pub(super) at: SocketAddrV4,
}

/// Peers of one host that were reported, and when.
#[derive(Debug)]
struct Reported {
    since: Duration,
    peers: BTreeSet<PublicKey>,
    last: BTreeMap<(Topic, PublicKey), Duration>,
}

impl Reported {
    fn new(now: Duration) -> Self {
        Self { since: now, peers: BTreeSet::new(), last: BTreeMap::new() }
    }

    /// Whether it may be reported now; then it counts.
    fn may(&mut self, topic: &Topic, peer: &PublicKey, now: Duration) -> bool {
        if self.peers.len() >= FOUND && !self.peers.contains(peer) {
            return false;
        }
        self.peers.insert(*peer);
        let before = self.last.get(&(*topic, *peer));
        if before.is_some_and(|at| now.saturating_sub(*at) < FOUND_AGAIN) {
            return false;
        }
        self.last.insert((*topic, *peer), now);
        true
    }
}

/// What goes out on every interface; an announcement has the address of its own in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Question(Vec<u8>),
    Beacon(Beacon),
}

/// A packet to send.
pub(super) struct Outgoing(Out);

impl Outgoing {
    /// Its bytes, as sent from `host`.
    pub(super) fn bytes(&self, host: Ipv4Addr) -> Vec<u8> {
        match &self.0 {
            Out::Question(bytes) => bytes.clone(),
            Out::Beacon(b) => packet::beacon(b, host),
        }
    }
}

/// The machine: packets and `now` in, packets and found peers out.
pub(super) struct Lan {
    me: PublicKey,
    port: u16,
    entropy: Entropy,
    topics: BTreeMap<Topic, Part>,
    nonce: [u8; 16],
    instances: Vec<Instance>,
    made: Duration,
    /// Announcements still to be made unasked, and when the next one is due.
    unasked: u32,
    announce_at: Option<Duration>,
    announced: Option<Duration>,
    ask_at: Option<Duration>,
    asked: Option<Duration>,
    wait: Duration,
    /// Instances that were heard, with the time at which they are forgotten.
    known: BTreeMap<Instance, Duration>,
    left: (f64, Duration),
    /// What was reported of each host in a minute.
    hosts: BTreeMap<Ipv4Addr, Reported>,
    out: VecDeque<Outgoing>,
    found: VecDeque<Found>,
}

impl Lan {
    /// For the node with this key, whose server socket has this port.
    pub(super) fn new(me: PublicKey, port: u16, entropy: Entropy, now: Duration) -> Self {
        let mut lan = Self {
            me,
            port,
            entropy,
            topics: BTreeMap::new(),
            nonce: [0; 16],
            instances: Vec::new(),
            made: now,
            unasked: 0,
            announce_at: None,
            announced: None,
            ask_at: None,
            asked: None,
            wait: ASK,
            known: BTreeMap::new(),
            left: (BURST, now),
            hosts: BTreeMap::new(),
            out: VecDeque::new(),
            found: VecDeque::new(),
        };
        lan.rotate(now);
        lan
    }

    fn rotate(&mut self, now: Duration) {
        (self.entropy)(&mut self.nonce);
        self.instances.clear();
        for _ in 0..INSTANCES {
            let mut instance = [0; 8];
            (self.entropy)(&mut instance);
            self.instances.push(instance);
        }
        self.made = now;
    }

    /// A topic is joined, or joined in another part.
    pub(super) fn join(&mut self, topic: Topic, part: Part, now: Duration) {
        let before = self.topics.insert(topic, part).unwrap_or_default();
        if part.server && !before.server {
            self.announce_unasked(now);
        }
        // Who waits wants to know at once; others are looked for at the pace of those before.
        if part.client && (!before.client || (part.urgent && !before.urgent)) {
            self.wait = ASK;
            self.ask_at = Some(self.asked.map_or(now, |at| (at + LEAST).max(now)));
        }
    }

    pub(super) fn leave(&mut self, topic: &Topic) {
        self.topics.remove(topic);
        if !self.topics.values().any(|p| p.client) {
            self.ask_at = None;
        }
    }

    /// Another network, or the machine slept: nothing of before is of account.
    pub(super) fn network_changed(&mut self, now: Duration) {
        self.known.clear();
        self.rotate(now);
        self.announce_unasked(now);
        if self.topics.values().any(|p| p.client) {
            self.wait = ASK;
            self.ask_at = Some(now);
        }
    }

    /// An interface came or went, perhaps: others ask and are asked again, under the same names.
    pub(super) fn look_around(&mut self, now: Duration) {
        self.announce_unasked(now);
        if self.topics.values().any(|p| p.client) {
            self.ask_at = Some(self.asked.map_or(now, |at| (at + LEAST).max(now)));
        }
    }

    /// The node goes on after a rest, at this port.
    pub(super) fn resumed(&mut self, port: u16, now: Duration) {
        self.port = port;
        self.network_changed(now);
    }

    fn announce_unasked(&mut self, now: Duration) {
        self.unasked = 2;
        self.announce_by(now);
    }

    fn announce_by(&mut self, at: Duration) {
        if !self.topics.values().any(|p| p.server) {
            return;
        }
        let at = self.announced.map_or(at, |last| (last + LEAST).max(at));
        self.announce_at = Some(self.announce_at.map_or(at, |before| before.min(at)));
    }

    /// A packet came from a host of our network.
    pub(super) fn receive(&mut self, from: Ipv4Addr, bytes: &[u8], now: Duration) {
        let (left, at) = self.left;
        let left = (left + now.saturating_sub(at).as_secs_f64() * RATE).min(BURST);
        if left < 1.0 {
            return;
        }
        self.left = (left - 1.0, now);
        match packet::read(bytes) {
            Some(Packet::Question(known)) => {
                let mut random = [0; 8];
                (self.entropy)(&mut random);
                let serves = self.topics.values().any(|p| p.server);
                if serves && !self.instances.first().is_some_and(|first| known.contains(first)) {
                    let spread = Duration::from_millis(20 + u64::from_le_bytes(random) % SPREAD_MS);
                    self.announce_by(now + spread);
                }
            }
            Some(Packet::Beacon(b)) => self.heard(from, &b, now),
            None => {}
        }
    }

    fn heard(&mut self, from: Ipv4Addr, b: &Beacon, now: Duration) {
        if self.instances.contains(&b.instance) {
            return;
        }
        if b.ttl == 0 {
            self.known.remove(&b.instance);
            return;
        }
        self.known.retain(|_, until| *until > now);
        if self.known.len() < MAX_KNOWN {
            self.known.insert(b.instance, now + Duration::from_secs(u64::from(b.ttl.min(TTL))) / 2);
        }
        self.hosts.retain(|_, host| now.saturating_sub(host.since) < Duration::from_secs(60));
        if self.hosts.len() >= MAX_KNOWN && !self.hosts.contains_key(&from) {
            return;
        }
        for (topic, _) in self.topics.iter().filter(|(_, p)| p.client) {
            let tag = tag(&b.nonce, topic);
            for (_, masked) in b.entries.iter().filter(|(t, _)| *t == tag) {
                let peer = mask(&b.nonce, topic, masked);
                let host = self.hosts.entry(from).or_insert_with(|| Reported::new(now));
                if peer == self.me || !host.may(topic, &peer, now) {
                    continue;
                }
                self.found.push_back(Found { topic: *topic, peer, at: SocketAddrV4::new(from, b.port) });
            }
        }
    }

    /// When [`Lan::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        [self.announce_at, self.ask_at].into_iter().flatten().min()
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = None;
            self.unasked = self.unasked.saturating_sub(1);
            if now.saturating_sub(self.made) >= ROTATE {
                self.rotate(now);
            }
            self.announce(TTL);
            self.announced = Some(now);
            if self.unasked > 0 {
                self.announce_by(now + LEAST);
            }
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            self.known.retain(|_, until| *until > now);
            let known: Vec<Instance> = self.known.keys().copied().collect();
            self.out.push_back(Outgoing(Out::Question(packet::question(&known, TTL))));
            self.asked = Some(now);
            self.ask_at = Some(now + self.wait);
            self.wait = self.wait.saturating_mul(3).min(ASK_MOST);
        }
    }

    fn announce(&mut self, ttl: u32) {
        let served: Vec<&Topic> = self.topics.iter().filter(|(_, p)| p.server).map(|(t, _)| t).collect();
        for (part, instance) in served.chunks(MAX_ENTRIES).zip(&self.instances) {
            let entries =
                part.iter().map(|t| (tag(&self.nonce, t), mask(&self.nonce, t, &self.me))).collect();
            let (port, nonce) = (self.port, self.nonce);
            let b = Beacon { instance: *instance, port, nonce, entries, ttl };
            self.out.push_back(Outgoing(Out::Beacon(b)));
        }
    }

    /// We go: what was announced is taken back.
    pub(super) fn goodbye(&mut self) {
        if self.announced.take().is_some() {
            self.announce(0);
        }
        (self.announce_at, self.ask_at, self.unasked) = (None, None, 0);
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    pub(super) fn poll_found(&mut self) -> Option<Found> {
        self.found.pop_front()
    }
}

fn tag(nonce: &[u8; 16], topic: &Topic) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hash(&[b"bosc-lan-tag", nonce, topic]);
    [a, b, c, d, e, f, g, h]
}

/// Masks a key, or takes the mask off.
fn mask(nonce: &[u8; 16], topic: &Topic, key: &[u8; 32]) -> [u8; 32] {
    let mut out = hash(&[b"bosc-lan-key", nonce, topic]);
    out.iter_mut().zip(key).for_each(|(o, k)| *o ^= k);
    out
}
