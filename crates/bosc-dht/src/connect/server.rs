//! The listening side (`hyperdht/lib/server.js`).
//!
//! ```text
//! message --- refused or in error ---> Done
//!    |------- client open or direct -> Done   Connected at once
//!    +------- else ------------------> Waiting --- its stream packet ---> Done   Connected
//!                                         +------- timeout -------------> Done
//! Done --(clear_wait)--> forgotten
//! ```
//!
//! In every state the same message gets the same answer.

use super::payload::{HolepunchInfo, HolepunchPayload, NoisePayload, UdxInfo, VERSION, error, firewall};
use super::secure::{NoiseWrap, SecurePayload};
use super::{Connection, Connector, EarlyPacket, StreamOwner, Timer};
use crate::event::{IncomingRequest, SocketKind};
use crate::messages::{Handshake, Holepunch, mode};
use crate::rpc::command;
use crate::{Dht, ListenId, ReplyOptions};
use bosc_format::crypto::{KeyPair, PublicKey, hash};
use bosc_wire::noise::HandshakeResult;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How long the answer to a holepunch round is held back. It ends the peer's attempt, and a ping in the local
/// network that would succeed must be faster.
const ABORT_DELAY: Duration = Duration::from_millis(800);

/// A handshake message, by its hash.
pub(super) type Key = [u8; 32];

/// Somebody who wants to connect.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'a> {
    /// Who, proved.
    pub remote_public_key: &'a PublicKey,
    /// What they sent.
    pub payload: &'a NoisePayload,
    /// Where they are, as the relay says; or as we see them, if there was none.
    pub address: SocketAddrV4,
}

/// Says whether to refuse a peer (true, as the `firewall` of `hyperdht`).
type Refuse = Box<dyn FnMut(Approach<'_>) -> bool + Send>;

/// How a key pair listens.
#[derive(Default)]
pub struct ServerOptions {
    /// Refuses a peer by answering true. It is not told why, or that anybody listens. `None`: all are welcome.
    pub refuse: Option<Refuse>,
    /// Keep our addresses in the local network to ourselves.
    pub hide_local_addresses: bool,
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions").field("refuse", &self.refuse.is_some()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) listen: ListenId,
    key_pair: KeyPair,
    options: ServerOptions,
}

impl Server {
    pub(super) fn new(listen: ListenId, key_pair: KeyPair, options: ServerOptions) -> Self {
        Self { listen, key_pair, options }
    }
}

/// A handshake of somebody else.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) listen: ListenId,
    /// `None`: no answer.
    reply: Option<Bytes>,
    waiting: Option<Waiting>,
}

/// An answered handshake whose peer has not come yet.
#[derive(Debug)]
struct Waiting {
    handshake: HandshakeResult,
    local_id: u32,
    remote_id: u32,
    holepunch: u64,
    payload: SecurePayload,
    /// A holepunch round to be answered, and the peer as its relay sees it.
    round: Option<(IncomingRequest, SocketAddrV4, u64)>,
}

/// A handshake message and how it came.
struct Arrival<'a> {
    noise: &'a [u8],
    /// Where the client is.
    client: SocketAddrV4,
    /// No relay was in between.
    direct: bool,
    socket: SocketKind,
}

impl Connector {
    pub(super) fn on_request(&mut self, dht: &mut Dht, request: &IncomingRequest, now: Duration) {
        match request.command {
            command::PEER_HANDSHAKE => self.on_handshake(dht, request, now),
            command::PEER_HOLEPUNCH => self.on_holepunch(request, now),
            _ => {}
        }
    }

    fn on_handshake(&mut self, dht: &mut Dht, request: &IncomingRequest, now: Duration) {
        let Some(target) = request.target else { return };
        let Some(message) = request.value.as_ref().and_then(|v| Handshake::decode(v).ok()) else { return };
        let arrival = Arrival {
            noise: &message.noise,
            client: message.peer_address.unwrap_or(request.from),
            direct: message.peer_address.is_none(),
            socket: request.socket,
        };
        let Some(noise) = self.answer(dht, &target, &arrival, now) else { return };
        let (mode, to) = match message.mode {
            mode::FROM_CLIENT => {
                let reply = Handshake { mode: mode::REPLY, noise, peer_address: None, relay_address: None };
                dht.reply(request, Some(&reply.encode()), ReplyOptions::default(), now);
                return;
            }
            mode::FROM_RELAY => (mode::FROM_SERVER, request.from),
            mode::FROM_SECOND_RELAY => match message.relay_address {
                Some(relay) => (mode::FROM_SERVER, relay),
                None => return,
            },
            _ => return,
        };
        let reply = Handshake { mode, noise, peer_address: message.peer_address, relay_address: None };
        dht.relay(request, &reply.encode(), to, None);
    }

    /// Our answer to a handshake message, the same each time.
    fn answer(
        &mut self,
        dht: &Dht,
        target: &[u8; 32],
        arrival: &Arrival<'_>,
        now: Duration,
    ) -> Option<Bytes> {
        let key = hash(&[target, arrival.noise]);
        if let Some(known) = self.incoming.get(&key) {
            return known.reply.clone();
        }
        if self.incoming.len() >= self.config.max_handshakes {
            self.stats.dropped += 1;
            return None;
        }
        let seed = self.random();
        let server = self.servers.get_mut(target)?;
        let listen = server.listen;
        let mut wrap = NoiseWrap::responder(&server.key_pair, seed).ok()?;
        let Some(remote) = wrap.recv(arrival.noise) else {
            self.stats.dropped += 1;
            return None;
        };
        let remote_public_key = wrap.remote_public_key()?;
        let approach =
            Approach { remote_public_key: &remote_public_key, payload: &remote, address: arrival.client };
        if server.options.refuse.as_mut().is_some_and(|refuse| refuse(approach)) {
            self.stats.refused += 1;
            self.keep(key, Incoming { listen, reply: None, waiting: None }, now);
            return None;
        }
        let hide_local = server.options.hide_local_addresses;
        let error = match (remote.version, remote.udx) {
            (VERSION, Some(_)) => error::NONE,
            (VERSION, None) => error::ABORTED,
            _ => error::VERSION_MISMATCH,
        };
        let own = dht.remote_address();
        let mut addresses4: Vec<SocketAddrV4> = own.into_iter().collect();
        if !hide_local {
            addresses4.extend(dht.local_addresses());
        }
        let remote_id = remote.udx.filter(|_| error == error::NONE).map(|u| u.id);
        let local_id = if remote_id.is_some() { self.stream_id(StreamOwner::Server(key)) } else { 0 };
        let holepunch = self.next();
        let payload = NoisePayload {
            error,
            firewall: if own.is_some() { firewall::OPEN } else { firewall::UNKNOWN },
            holepunch: own
                .is_none()
                .then(|| HolepunchInfo { id: holepunch, relays: dht.relays(listen).to_vec() }),
            addresses4,
            udx: Some(UdxInfo { version: 1, reusable_socket: false, id: local_id, seq: 0 }),
            secret_stream: Some(1),
            relay_addresses: dht.relay_addresses(listen).to_vec(),
            ..NoisePayload::default()
        };
        let answered = wrap.send(&payload).ok().and_then(|reply| Some((reply, wrap.finish().ok()?)));
        let Some((reply, handshake)) = answered else {
            self.streams.remove(&local_id);
            return None;
        };
        let reply = Bytes::from(reply);
        let mut incoming = Incoming { listen, reply: Some(reply.clone()), waiting: None };
        let Some(remote_id) = remote_id else {
            self.keep(key, incoming, now);
            return Some(reply);
        };
        let payload = SecurePayload::new(&handshake.hash, self.random());
        incoming.waiting = Some(Waiting { handshake, local_id, remote_id, holepunch, payload, round: None });
        self.holepunches.insert(holepunch, key);
        self.incoming.insert(key, incoming);
        if arrival.direct {
            self.accept(key, arrival.socket, arrival.client, Vec::new(), now);
        } else if remote.firewall == firewall::OPEN {
            self.accept(key, dht.default_socket(), arrival.client, Vec::new(), now);
        } else {
            self.at(now.saturating_add(self.config.passive_timeout), Timer::Passive(key));
        }
        Some(reply)
    }

    /// The peer of an answered handshake is at `from`: the connection is made.
    pub(super) fn accept(
        &mut self,
        key: Key,
        socket: SocketKind,
        from: SocketAddrV4,
        early: Vec<EarlyPacket>,
        now: Duration,
    ) {
        let Some(incoming) = self.incoming.get_mut(&key) else { return };
        let listen = incoming.listen;
        let Some(waiting) = incoming.waiting.take() else { return };
        self.holepunches.remove(&waiting.holepunch);
        self.streams.remove(&waiting.local_id);
        self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
        if !crate::addr::is_sendable(from) {
            return;
        }
        self.stats.accepted += 1;
        let connection = Connection {
            is_initiator: false,
            handshake: waiting.handshake,
            local_id: waiting.local_id,
            remote_id: waiting.remote_id,
            remote_address: from,
            socket,
            early,
        };
        self.made(None, Some(listen), connection);
    }

    /// Takes a holepunch round. We do not punch, so the answer is "aborted", after a while.
    fn on_holepunch(&mut self, request: &IncomingRequest, now: Duration) {
        let Some(round) = request.value.as_ref().and_then(|v| Holepunch::decode(v).ok()) else { return };
        let (mode::FROM_RELAY, Some(peer)) = (round.mode, round.peer_address) else { return };
        let Some(key) = self.holepunches.get(&round.id).copied() else { return };
        let Some(waiting) = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut()) else { return };
        let Some(theirs) = waiting.payload.open(&round.payload) else { return };
        if waiting.round.replace((request.clone(), peer, theirs.round)).is_none() {
            self.at(now.saturating_add(ABORT_DELAY), Timer::Abort(key));
        }
    }

    pub(super) fn abort_round(&mut self, dht: &mut Dht, key: Key) {
        let nonce = self.random();
        let Some(waiting) = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut()) else { return };
        let Some((request, peer, round)) = waiting.round.take() else { return };
        let answer = HolepunchPayload { error: error::ABORTED, round, ..HolepunchPayload::default() };
        let reply = Holepunch {
            mode: mode::FROM_SERVER,
            id: 0,
            payload: waiting.payload.seal(&answer, nonce).into(),
            peer_address: Some(peer),
        };
        dht.relay(&request, &reply.encode(), request.from, None);
    }

    pub(super) fn passive_timeout(&mut self, key: Key, now: Duration) {
        let Some(waiting) = self.incoming.get_mut(&key).and_then(|i| i.waiting.take()) else { return };
        self.stats.passive_timeouts += 1;
        self.holepunches.remove(&waiting.holepunch);
        self.streams.remove(&waiting.local_id);
        self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
    }

    pub(super) fn forget_incoming(&mut self, key: Key) {
        if let Some(waiting) = self.incoming.remove(&key).and_then(|i| i.waiting) {
            self.holepunches.remove(&waiting.holepunch);
            self.streams.remove(&waiting.local_id);
        }
    }

    /// Remembers a handshake that is over.
    fn keep(&mut self, key: Key, incoming: Incoming, now: Duration) {
        self.incoming.insert(key, incoming);
        self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
    }
}
