//! Holepunching (`hyperdht/lib/holepuncher.js`): two peers behind NATs open a way to each other.
//!
//! Both agree through relays ([`client`], [`server`]) on what NATs they are behind, and then send probes, datagrams of
//! one zero byte, at the same time. A probe that leaves makes the own NAT let answers in; one with a low time to live
//! does so without arriving. The side that listens answers each probe; the side that connects takes the first one that
//! arrives as the way, and opens the stream there.
//!
//! | own NAT | theirs | what is sent |
//! |---|---|---|
//! | consistent | consistent | a probe to each of their addresses, ten times in ten seconds |
//! | consistent | random | 1750 probes to random ports of their host in 35 s |
//! | random | consistent | probes from 256 sockets, again and again for 35 s |
//! | random | random | nothing: hopeless |
//!
//! ```text
//! sampling --> decided --(agreed to)--> punching --> connected | over
//!    ^            | not stable: another socket, three times at most
//!    '------------'
//! ```
//!
//! # Invariants
//!
//! * A puncher has a socket of its own, whose address nobody else was told; what it sends goes only to addresses the
//!   other side proved to hold the handshake's key for, at most [`MAX_ADDRESSES`], and to random ports only of a host that
//!   showed back a token sent there.
//! * At most [`ConnectConfig::max_punchers`](super::ConnectConfig::max_punchers) of others at once, and one of all with random
//!   ports or many sockets, twenty seconds after the last, as in JavaScript.
//! * Each ends by itself: sampling by the requests' time-outs, punching after its last probe.
//! * Every socket is given back with [`ConnectEvent::SocketUnused`], or goes with the connection.
//!
//! # Files
//!
//! - Here: the puncher, and what two kinds of NAT make it send. `bounds`: how many probes, sockets and addresses, how often, how far.
//!   `nat`: which kind of NAT a socket is behind, after how many samples. `client` and `server`: how both sides agree, and when one
//!   says no.

mod bounds;
mod client;
mod nat;
mod server;

pub(super) use client::Rounds;

use super::Connector;
use super::event::ConnectEvent;
use super::names::{Asker, Side, Timer};
use super::payload::firewall;
use crate::event::SocketKind;
use crate::{Dht, Request, RequestId};
use bounds::{
    BIRTHDAY_SOCKETS, CONSISTENT_EVERY, CONSISTENT_TRIES, LOW_TTL, MAX_ADDRESSES, MAX_REOPENS, RANDOM_EVERY,
    RANDOM_INTERVAL, RANDOM_TRIES, SKIPPED,
};
use nat::Nat;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// An address of the other side, and whether it showed that it receives at that host.
#[derive(Debug, Clone, Copy)]
struct RemoteAddress {
    addr: SocketAddrV4,
    verified: bool,
}

/// What is being sent.
#[derive(Debug)]
enum Probing {
    /// Not yet.
    No,
    Consistent {
        tries: u32,
    },
    RandomPorts {
        host: Ipv4Addr,
        left: u32,
    },
    ManySockets {
        to: SocketAddrV4,
        next: usize,
        first_round: bool,
        left: u32,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Puncher {
    /// Tells which of two is older.
    born: u64,
    /// The first one is told to the other side.
    sockets: Vec<u32>,
    nat: Nat,
    /// Samples under way.
    samples: Vec<RequestId>,
    /// Who was asked for one.
    asked: Vec<SocketAddrV4>,
    asked_again: bool,
    reopens: u32,
    remote_firewall: u64,
    remote: Vec<RemoteAddress>,
    remote_punching: bool,
    probing: Probing,
    /// Counts as one with random ports or many sockets.
    random: bool,
}

fn as_consistent(kind: u64) -> u64 {
    if kind == firewall::OPEN { firewall::CONSISTENT } else { kind }
}

impl Puncher {
    fn new(socket: u32, remote_firewall: u64, born: u64) -> Self {
        Self {
            born,
            sockets: vec![socket],
            nat: Nat::new(),
            samples: Vec::new(),
            asked: Vec::new(),
            asked_again: false,
            reopens: 0,
            remote_firewall,
            remote: Vec::new(),
            remote_punching: false,
            probing: Probing::No,
            random: false,
        }
    }

    fn socket(&self) -> SocketKind {
        SocketKind::Pool(self.sockets.first().copied().unwrap_or_default())
    }

    pub(super) fn is_probing(&self) -> bool {
        !matches!(self.probing, Probing::No)
    }

    /// Nothing can come of it yet: neither side can be found, or we do not know what we are behind.
    fn is_unstable(&self) -> bool {
        let own = self.nat.firewall();
        own == firewall::UNKNOWN || (own >= firewall::RANDOM && self.remote_firewall >= firewall::RANDOM)
    }

    /// Takes what the other side says of itself. `verified` is a host where it showed that it receives.
    fn update_remote(
        &mut self,
        kind: u64,
        addresses: Option<Vec<SocketAddrV4>>,
        punching: bool,
        verified: Option<Ipv4Addr>,
    ) {
        let known = |host: &Ipv4Addr| self.remote.iter().any(|r| r.verified && r.addr.ip() == host);
        let addresses = addresses.unwrap_or_default();
        let remote = addresses
            .into_iter()
            .take(MAX_ADDRESSES)
            .map(|addr| RemoteAddress { addr, verified: verified == Some(*addr.ip()) || known(addr.ip()) });
        self.remote = remote.collect();
        self.remote_firewall = kind;
        self.remote_punching = punching;
    }

    /// What to send now, and when to come again; `None`: that was the last.
    fn tick(&mut self, mut port: impl FnMut() -> u16) -> (Vec<(u32, SocketAddrV4, bool)>, Option<Duration>) {
        let main = self.sockets.first().copied().unwrap_or_default();
        match &mut self.probing {
            Probing::No => (Vec::new(), None),
            Probing::Consistent { tries } => {
                if *tries >= CONSISTENT_TRIES {
                    return (Vec::new(), None);
                }
                *tries += 1;
                // Addresses that nobody showed to receive at are tried every fourth time.
                let all = *tries & 3 == 0;
                let to = self.remote.iter().filter(|r| r.verified || all).map(|r| (main, r.addr, false));
                (to.collect(), Some(CONSISTENT_EVERY))
            }
            Probing::RandomPorts { host, left } => {
                if *left == 0 {
                    return (Vec::new(), None);
                }
                *left -= 1;
                (vec![(main, SocketAddrV4::new(*host, port()), false)], Some(RANDOM_EVERY))
            }
            Probing::ManySockets { to, next, first_round, left } => {
                if *left == 0 {
                    return (Vec::new(), None);
                }
                *left -= 1;
                if *next >= self.sockets.len() {
                    (*next, *first_round) = (0, false);
                }
                let from = self.sockets.get(*next).copied().unwrap_or(main);
                *next += 1;
                (vec![(from, *to, *first_round)], Some(RANDOM_EVERY))
            }
        }
    }
}

impl Connector {
    /// Makes a puncher with a socket of its own, and begins to find out what that is behind. `false` when there are too many.
    pub(super) fn new_puncher(
        &mut self,
        dht: &mut Dht,
        side: Side,
        remote_firewall: u64,
        now: Duration,
    ) -> bool {
        if matches!(side, Side::Server(_)) && !self.make_room(dht, now) {
            return false;
        }
        let socket = self.pool_socket(side);
        let born = self.next();
        self.punchers.insert(side, Puncher::new(socket, remote_firewall, born));
        self.sample(dht, side, now);
        true
    }

    /// Room for one more of somebody else's. Our own are as many as our connections under way.
    fn make_room(&mut self, dht: &mut Dht, now: Duration) -> bool {
        let theirs = || self.punchers.iter().filter(|(side, _)| matches!(side, Side::Server(_)));
        if theirs().count() < self.config.max_punchers {
            return true;
        }
        let waiting = theirs().filter(|(_, p)| !p.is_probing());
        let Some(oldest) = waiting.min_by_key(|(_, p)| p.born).map(|(side, _)| *side) else { return false };
        self.end_puncher(dht, oldest, None, now);
        true
    }

    fn pool_socket(&mut self, side: Side) -> u32 {
        loop {
            self.next_socket = self.next_socket.wrapping_add(1);
            let number = self.next_socket;
            if let std::collections::hash_map::Entry::Vacant(place) = self.pool.entry(number) {
                place.insert(side);
                return number;
            }
        }
    }

    /// Whether a socket of the pool is still wanted, by a puncher or by a connection that was not taken yet.
    pub fn uses_socket(&self, number: u32) -> bool {
        self.pool.contains_key(&number)
            || self.events.iter().any(|event| match event {
                ConnectEvent::Connected { connection, .. } => connection.socket == SocketKind::Pool(number),
                ConnectEvent::Direct { socket, .. } => *socket == SocketKind::Pool(number),
                _ => false,
            })
    }

    /// Asks nodes what they see of the socket, each once; those that did not answer once more.
    fn sample(&mut self, dht: &mut Dht, side: Side, now: Duration) {
        let Some(p) = self.punchers.get_mut(&side) else { return };
        let nodes = dht.nodes(64);
        let skipped = if nodes.len() >= 8 { SKIPPED } else { 0 };
        let wanted = nat::ENOUGH.saturating_sub(p.nat.sampled()) as usize;
        let new: Vec<SocketAddrV4> =
            nodes.into_iter().skip(skipped).filter(|n| !p.asked.contains(n)).take(wanted).collect();
        for node in new {
            p.asked.push(node);
            let ping = Request { socket: Some(p.socket()), retries: 0, ..Request::ping(node) };
            if let Ok(request) = dht.request(ping, now) {
                p.samples.push(request);
                self.requests.insert(request, Asker::Sample(side));
            }
        }
        self.sampled(dht, side, now);
    }

    /// A sample came, or not.
    pub(super) fn sample_over(
        &mut self,
        dht: &mut Dht,
        side: Side,
        request: RequestId,
        seen: Option<(SocketAddrV4, SocketAddrV4)>,
        now: Duration,
    ) {
        let Some(p) = self.punchers.get_mut(&side) else { return };
        p.samples.retain(|r| *r != request);
        if let Some((seen, from)) = seen {
            p.nat.add(seen, from);
        }
        self.sampled(dht, side, now);
    }

    fn sampled(&mut self, dht: &mut Dht, side: Side, now: Duration) {
        let Some(p) = self.punchers.get_mut(&side) else { return };
        if p.samples.is_empty() && p.nat.wants_more() && !p.nat.is_decided() {
            if !p.asked_again {
                p.asked_again = true;
                self.sample(dht, side, now);
                return;
            }
            p.nat.give_up();
        }
        if p.nat.is_decided() {
            match side {
                Side::Client(id) => self.client_nat_decided(dht, id, now),
                Side::Server(key) => self.server_nat_decided(dht, key, now),
            }
        }
    }

    /// Tries another socket. `false` when that was done often enough.
    fn reopen(&mut self, dht: &mut Dht, side: Side, now: Duration) -> bool {
        let socket = match self.punchers.get(&side) {
            Some(p) if p.reopens < MAX_REOPENS && !p.is_probing() => self.pool_socket(side),
            _ => return false,
        };
        let Some(p) = self.punchers.get_mut(&side) else { return false };
        p.reopens += 1;
        let old = std::mem::replace(&mut p.sockets, vec![socket]);
        let samples = std::mem::take(&mut p.samples);
        p.nat = Nat::new();
        p.asked.clear();
        p.asked_again = false;
        for request in samples {
            self.requests.remove(&request);
            dht.cancel_request(request);
        }
        old.into_iter().for_each(|number| self.give_back(number));
        self.sample(dht, side, now);
        true
    }

    fn give_back(&mut self, number: u32) {
        if self.pool.remove(&number).is_some() {
            self.events.push_back(ConnectEvent::SocketUnused { number });
        }
    }

    /// Whether a punch with random ports or many sockets would be one too many now.
    fn is_random_busy(&self, now: Duration) -> bool {
        self.punchers.values().any(|p| p.random)
            || self.last_random.is_some_and(|at| now.saturating_sub(at) < RANDOM_INTERVAL)
    }

    /// Begins to send probes. `false` where that is hopeless.
    fn punch(&mut self, dht: &mut Dht, side: Side, now: Duration) -> bool {
        let Some(p) = self.punchers.get_mut(&side) else { return false };
        if p.is_probing() {
            return true;
        }
        if p.remote.is_empty() {
            return false;
        }
        let (own, theirs) = (as_consistent(p.nat.firewall()), as_consistent(p.remote_firewall));
        let verified = p.remote.iter().find(|r| r.verified).map(|r| r.addr);
        let consistent = firewall::CONSISTENT;
        let first = match (own, theirs, verified) {
            (own, theirs, _) if own == consistent && theirs == consistent => {
                p.probing = Probing::Consistent { tries: 0 };
                // The listening side just answered a probe of the other one's.
                if matches!(side, Side::Client(_)) { Duration::ZERO } else { CONSISTENT_EVERY }
            }
            (own, firewall::RANDOM.., Some(to)) if own == consistent => {
                p.probing = Probing::RandomPorts { host: *to.ip(), left: RANDOM_TRIES };
                p.random = true;
                Duration::ZERO
            }
            (firewall::RANDOM.., theirs, Some(to)) if theirs == consistent && to.port() != 0 => {
                p.probing = Probing::ManySockets { to, next: 0, first_round: true, left: RANDOM_TRIES };
                p.random = true;
                self.open_many(dht, side, to);
                Duration::from_millis(100)
            }
            _ => return false,
        };
        self.stats.punches += 1;
        self.at(now.saturating_add(first), Timer::Punch(side));
        true
    }

    fn open_many(&mut self, dht: &mut Dht, side: Side, to: SocketAddrV4) {
        let have = self.punchers.get(&side).map_or(BIRTHDAY_SOCKETS, |p| p.sockets.len());
        for _ in have..BIRTHDAY_SOCKETS {
            let socket = self.pool_socket(side);
            if let Some(p) = self.punchers.get_mut(&side) {
                p.sockets.push(socket);
            }
            dht.probe(SocketKind::Pool(socket), to, Some(LOW_TTL));
        }
    }

    pub(super) fn punch_tick(&mut self, dht: &mut Dht, side: Side, now: Duration) {
        let entropy = &mut self.entropy;
        let Some(p) = self.punchers.get_mut(&side).filter(|p| p.is_probing()) else { return };
        let (probes, next) = p.tick(|| {
            let mut random = [0; 2];
            entropy(&mut random);
            // As JavaScript: no port below 1000.
            1000 + u16::from_le_bytes(random) % (u16::MAX - 1000)
        });
        for (socket, to, low) in probes {
            dht.probe(SocketKind::Pool(socket), to, low.then_some(LOW_TTL));
        }
        match next {
            Some(wait) => self.at(now.saturating_add(wait), Timer::Punch(side)),
            None => match side {
                Side::Client(id) => self.client_punch_over(dht, id, now),
                Side::Server(key) => self.server_punch_over(dht, key, now),
            },
        }
    }

    /// Where the other side is to find us.
    pub(super) fn puncher_socket(&self, side: Side) -> Option<SocketKind> {
        self.punchers.get(&side).map(Puncher::socket)
    }

    pub(super) fn is_punching(&self, side: Side) -> bool {
        self.punchers.get(&side).is_some_and(Puncher::is_probing)
    }

    /// Takes a datagram of one byte from a socket of the pool.
    pub fn handle_probe(&mut self, dht: &mut Dht, number: u32, from: SocketAddrV4, now: Duration) {
        let Some(side) = self.pool.get(&number).copied() else { return };
        if !crate::addr::is_sendable(from) {
            return;
        }
        match side {
            // Whoever sent it: the stream that is opened there proves who that is.
            Side::Client(id) => self.client_probed(dht, id, SocketKind::Pool(number), from, now),
            Side::Server(_) => dht.probe(SocketKind::Pool(number), from, None),
        }
    }

    /// Ends a puncher. The socket `kept` goes with the connection, all others are given back.
    pub(super) fn end_puncher(&mut self, dht: &mut Dht, side: Side, kept: Option<SocketKind>, now: Duration) {
        let Some(p) = self.punchers.remove(&side) else { return };
        for request in p.samples {
            self.requests.remove(&request);
            dht.cancel_request(request);
        }
        if p.random {
            self.last_random = Some(now);
        }
        for number in p.sockets {
            if kept == Some(SocketKind::Pool(number)) {
                self.pool.remove(&number);
            } else {
                self.give_back(number);
            }
        }
    }
}
