//! Connections between key pairs: who listens, who connects, and the handshake that goes through relays
//! (`hyperdht/lib/connect.js`, `server.js`, `noise-wrap.js`).
//!
//! [`Connector`] works on top of a [`Dht`], which it is given at each call. Its product is
//! [`ConnectEvent::Connected`]: keys, addresses and stream ids, from which the owner makes a UDX stream and a
//! secret stream on it. The owner, forever:
//!
//! * gives every event of the [`Dht`] to [`Connector::handle_event`], which gives back those that are not for it;
//! * gives UDX datagrams for ids it has no stream for to [`Connector::handle_stream_packet`];
//! * calls [`Connector::handle_timeout`] when [`Connector::next_timeout`] has come;
//! * opens a socket when the [`Dht`] sends from a [`SocketKind::Pool`] for the first time, closes it on
//!   [`ConnectEvent::SocketUnused`] or with the connection that has it, and gives datagrams of one byte that
//!   arrive there to [`Connector::handle_probe`];
//! * after each call takes what [`Connector::poll_event`] gives, and drives the [`Dht`] as usual.
//!
//! # How two peers meet
//!
//! The connecting peer sends one Noise IK message, with its stream id and addresses, to nodes that relay for
//! the listening peer (or to itself, if its address is known). The listening peer answers with its own. Then,
//! whichever applies first:
//!
//! 1. A stream packet of the other side arrived: that is where it is.
//! 2. The handshake went directly: so does the stream.
//! 3. One of them is open: the other one connects to it. A listening peer does so as soon as it has answered.
//! 4. The relay sees the listening peer at a loopback address: so does the connecting peer.
//! 5. Both seem to be in the same local network: the connecting peer pings the listening peer's local address.
//!    The listening peer waits for the stream packet. Beside it:
//! 6. Both are behind NATs: they punch, see `punch`.
//! 7. Either of them named a blind relay: the stream goes through it, and moves when one of the others succeeds; see `blind`.
//!
//! # Invariants
//!
//! * A [`ConnectEvent::Connected`] comes only after the other side proved to hold its key.
//! * The same handshake message through several relays makes one connection, and gets the same answer.
//! * A forged answer costs one attempt, not the connection.
//! * Everything a peer can make us keep is bounded by [`ConnectConfig`]. Of handshakes the oldest makes room that does not punch: a
//!   flood keeps nobody out who takes less time than it takes to send [`ConnectConfig::max_handshakes`].
//! * While the owner has many connections that are not open ([`Connector::press`]) a peer that asks directly is not connected before
//!   a packet of its stream came: only who received our answer knows the stream's id, so its address is proved.
//!
//! # Files
//!
//! - Here: in which order ways are tried, stream packets that come early, the answer that is the same for the same message.
//! - `client`: the connecting side: through which relays and how many it asks, and when it gives up. `server`: the listening side:
//!   who is refused, how long a peer has to come, which handshake makes room. `punch/`: the way between two NATs. `blind`: the way
//!   through a blind relay: whose relay counts, when it is asked, what follows when it fails.
//! - `secure`: the Noise handshake, sealed holepunch rounds, and the token that shows that a host receives. `payload`: what travels
//!   inside both: fields, versions, kinds of firewall, errors. `reach`: which addresses can be reached from where (private, reserved,
//!   public, the same network).
//! - `config`: settings and bounds: time-outs, handshakes, punchers, early packets. `event`: what happens to a connection: made,
//!   failed and why, counted. `names`: what names one under way, and who waits for what.
//!
//! [`Connector`] is the state that these files share.

mod blind;
mod client;
mod config;
mod event;
mod names;
mod payload;
mod punch;
mod reach;
mod secure;
mod server;

pub use client::ConnectOptions;
pub use config::ConnectConfig;
pub use event::{ConnectError, ConnectEvent, ConnectStats, Connection, EarlyPacket, StreamPacket};
pub use names::ConnectId;
pub use payload::{
    HolepunchInfo, HolepunchPayload, NoisePayload, RelayThrough, UdxInfo, VERSION, error, firewall,
};
pub use reach::is_public;
pub use secure::{NoiseWrap, SecurePayload};
pub use server::{Approach, ServerOptions};

use crate::event::{Event, SocketKind};
use crate::rng::Entropy;
use crate::{Busy, Dht, ListenId, QueryId, RequestId};
use bosc_format::crypto::{KeyPair, PublicKey};
use bytes::Bytes;
use client::Client;
use names::{Asker, Key, Side, StreamOwner, Timer};
use punch::Puncher;
use server::{Incoming, Server};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Duration;

/// Longest stream packet that is kept for a connection that is not made yet.
const MAX_EARLY_LEN: usize = 2048;

/// See the module.
pub struct Connector {
    config: ConnectConfig,
    entropy: Entropy,
    servers: HashMap<[u8; 32], Server>,
    incoming: HashMap<Key, Incoming>,
    /// Keys of those, oldest first, and of some that are gone.
    incoming_order: VecDeque<Key>,
    /// How many connections may be made for addresses that are only claimed.
    unproved_left: usize,
    holepunches: HashMap<u64, Key>,
    clients: HashMap<ConnectId, Client>,
    requests: HashMap<RequestId, Asker>,
    queries: HashMap<QueryId, ConnectId>,
    streams: HashMap<u32, StreamOwner>,
    /// Streams that go through a blind relay, and may still find the direct way.
    through: HashMap<u32, Side>,
    punchers: HashMap<Side, Puncher>,
    /// Sockets of punchers.
    pool: HashMap<u32, Side>,
    next_socket: u32,
    last_random: Option<Duration>,
    timers: BTreeMap<(Duration, u64), Timer>,
    relay_cache: HashMap<PublicKey, Vec<SocketAddrV4>>,
    relay_order: VecDeque<PublicKey>,
    events: VecDeque<ConnectEvent>,
    stats: ConnectStats,
    next: u64,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("servers", &self.servers.len())
            .field("incoming", &self.incoming.len())
            .field("outgoing", &self.clients.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// A connector that listens to nothing and connects to nobody.
    pub fn new(config: ConnectConfig, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            servers: HashMap::new(),
            incoming: HashMap::new(),
            incoming_order: VecDeque::new(),
            unproved_left: usize::MAX,
            holepunches: HashMap::new(),
            clients: HashMap::new(),
            requests: HashMap::new(),
            queries: HashMap::new(),
            streams: HashMap::new(),
            through: HashMap::new(),
            punchers: HashMap::new(),
            pool: HashMap::new(),
            next_socket: 0,
            last_random: None,
            timers: BTreeMap::new(),
            relay_cache: HashMap::new(),
            relay_order: VecDeque::new(),
            events: VecDeque::new(),
            stats: ConnectStats::default(),
            next: 0,
        }
    }

    /// Listens with a key pair: announces it and takes connections to it. One key pair listens once.
    pub fn listen(
        &mut self,
        dht: &mut Dht,
        key_pair: &KeyPair,
        options: ServerOptions,
        now: Duration,
    ) -> Result<ListenId, Busy> {
        let target = bosc_format::crypto::hash(&[&key_pair.public()]);
        if let Some(server) = self.servers.get(&target) {
            return Ok(server.listen);
        }
        let listen = dht.listen(key_pair.clone(), now)?;
        self.servers.insert(target, Server::new(listen, key_pair.clone(), options));
        Ok(listen)
    }

    /// Stops listening. Connections that are made stay.
    pub fn unlisten(&mut self, dht: &mut Dht, listen: ListenId, now: Duration) {
        self.servers.retain(|_, s| s.listen != listen);
        let gone: Vec<Key> =
            self.incoming.iter().filter(|(_, i)| i.listen == listen).map(|(k, _)| *k).collect();
        for key in gone {
            self.forget_incoming(dht, key, now);
        }
        dht.unlisten(listen, now);
    }

    /// Takes an event of the [`Dht`]. Gives it back when it is not for the connector, and then it is the
    /// owner's.
    pub fn handle_event(&mut self, dht: &mut Dht, event: Event, now: Duration) -> Option<Event> {
        match event {
            Event::Request(request) if request.target.is_some_and(|t| self.servers.contains_key(&t)) => {
                self.on_request(dht, &request, now);
                None
            }
            Event::Response { request, reply } => match self.requests.remove(&request) {
                Some(Asker::Client(id)) => {
                    self.client_response(dht, id, request, &reply, now);
                    None
                }
                Some(Asker::Sample(side)) => {
                    self.sample_over(dht, side, request, Some((reply.to, reply.from)), now);
                    None
                }
                None => Some(Event::Response { request, reply }),
            },
            Event::RequestTimeout { request, to } => match self.requests.remove(&request) {
                Some(Asker::Client(id)) => {
                    self.client_request_failed(dht, id, request, now);
                    None
                }
                Some(Asker::Sample(side)) => {
                    self.sample_over(dht, side, request, None, now);
                    None
                }
                None => Some(Event::RequestTimeout { request, to }),
            },
            Event::QueryReply(reply) => match self.queries.get(&reply.query).copied() {
                Some(id) => {
                    self.client_found(dht, id, &reply, now);
                    None
                }
                None => Some(Event::QueryReply(reply)),
            },
            Event::QueryDone(done) => match self.queries.remove(&done.query) {
                Some(id) => {
                    self.client_query_done(dht, id, done.query, now);
                    None
                }
                None => Some(Event::QueryDone(done)),
            },
            other => Some(other),
        }
    }

    /// Takes a UDX datagram whose stream id, `local_id`, the owner has no stream for.
    pub fn handle_stream_packet(
        &mut self,
        dht: &mut Dht,
        local_id: u32,
        socket: SocketKind,
        from: SocketAddrV4,
        bytes: &[u8],
        now: Duration,
    ) -> StreamPacket {
        if bytes.len() > MAX_EARLY_LEN || !crate::addr::is_sendable(from) {
            return StreamPacket::Unknown;
        }
        let packet = || EarlyPacket { socket, from, bytes: Bytes::copy_from_slice(bytes) };
        match self.streams.get(&local_id).copied() {
            None => StreamPacket::Unknown,
            Some(StreamOwner::Client(id)) => {
                self.client_packet(dht, id, packet(), now);
                StreamPacket::Taken
            }
            Some(StreamOwner::Server(key)) => {
                self.accept(dht, key, socket, from, vec![packet()], now);
                StreamPacket::Taken
            }
            Some(StreamOwner::Made) => {
                let max = self.config.max_early_packets;
                let made = self.events.iter_mut().rev().find_map(|event| match event {
                    ConnectEvent::Connected { connection, .. } if connection.local_id == local_id => {
                        Some(connection)
                    }
                    _ => None,
                });
                if let Some(connection) = made.filter(|c| c.early.len() < max) {
                    connection.early.push(packet());
                }
                StreamPacket::Taken
            }
        }
    }

    /// Tells how many more connections may be made for peers that ask directly and have not shown that they receive at
    /// the address they ask from. The owner tells it before it hands over events.
    pub fn press(&mut self, unproved_left: usize) {
        self.unproved_left = unproved_left;
    }

    fn made(&mut self, connect: Option<ConnectId>, listen: Option<ListenId>, connection: Connection) {
        self.streams.insert(connection.local_id, StreamOwner::Made);
        let connection = Box::new(connection);
        self.events.push_back(ConnectEvent::Connected { connect, listen, connection });
    }

    /// When [`Connector::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what time demands. Calling it too early does nothing.
    pub fn handle_timeout(&mut self, dht: &mut Dht, now: Duration) {
        while let Some(entry) = self.timers.first_entry().filter(|e| e.key().0 <= now) {
            match entry.remove() {
                Timer::Client(id) => self.client_timeout(dht, id, now),
                Timer::Passive(key) => self.passive_over(dht, key, now),
                Timer::Abort(key) => self.abort_round(dht, key),
                Timer::Punch(side) => self.punch_tick(dht, side, now),
                Timer::Relay(side) => self.ask_relay(side, now),
                Timer::RelayOver(side) => self.relay_over(dht, side, now),
                Timer::Rounds(id) => self.rounds_pause_over(dht, id, now),
                Timer::Clear(key) => self.forget_incoming(dht, key, now),
            }
        }
    }

    /// What happened. To be called until it gives none, after every other call.
    pub fn poll_event(&mut self) -> Option<ConnectEvent> {
        let event = self.events.pop_front();
        if let Some(ConnectEvent::Connected { connection, .. }) = &event {
            self.streams.remove(&connection.local_id);
        }
        event
    }

    /// Counters since the start.
    pub fn stats(&self) -> ConnectStats {
        self.stats
    }

    /// How many outgoing connections are under way.
    pub fn connecting(&self) -> usize {
        self.clients.len()
    }

    /// Whether nothing is under way and nothing is remembered of others' handshakes.
    pub fn is_idle(&self) -> bool {
        self.incoming.is_empty()
            && self.holepunches.is_empty()
            && self.clients.is_empty()
            && self.requests.is_empty()
            && self.queries.is_empty()
            && self.streams.is_empty()
            && self.through.is_empty()
            && self.punchers.is_empty()
            && self.pool.is_empty()
            && self.events.is_empty()
    }

    fn next(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    fn at(&mut self, when: Duration, timer: Timer) {
        let n = self.next();
        self.timers.insert((when, n), timer);
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        (self.entropy)(&mut out);
        out
    }

    /// A stream id no connection under way has. Given to `owner`.
    fn stream_id(&mut self, owner: StreamOwner) -> u32 {
        loop {
            let id = u32::from_le_bytes(self.random());
            if let std::collections::hash_map::Entry::Vacant(place) = self.streams.entry(id) {
                place.insert(owner);
                return id;
            }
        }
    }

    /// Remembers who relays for a peer.
    fn remember_relays(&mut self, peer: PublicKey, relays: Vec<SocketAddrV4>) {
        if self.config.max_relay_cache == 0 {
            return;
        }
        if self.relay_cache.insert(peer, relays).is_none() {
            self.relay_order.push_back(peer);
        }
        if self.relay_order.len() > self.config.max_relay_cache
            && let Some(oldest) = self.relay_order.pop_front()
        {
            self.relay_cache.remove(&oldest);
        }
    }

    fn forget_relays(&mut self, peer: &PublicKey) {
        if self.relay_cache.remove(peer).is_some() {
            self.relay_order.retain(|p| p != peer);
        }
    }
}

#[cfg(test)]
mod tests;
