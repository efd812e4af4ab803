//! The listening side (`hyperdht/lib/server.js`).
//!
//! ```text
//! message --- refused or in error ---> Done
//!    |------- client open or direct -> Done   Connected at once (direct under pressure: as below)
//!    +------- else ------------------> Waiting --- its stream packet ---> Done   Connected
//!                                         +------- timeout -------------> Done   (later while we punch)
//! Done --(clear_wait)--> forgotten
//! ```
//!
//! In every state the same message gets the same answer.

use super::Connector;
use super::blind::{Blind, State};
use super::event::{Connection, EarlyPacket};
use super::names::{Key, Side, StreamOwner, Timer};
use super::payload::{HolepunchInfo, HolepunchPayload, NoisePayload, UdxInfo, VERSION, error, firewall};
use super::reach::{is_private, match_address};
use super::secure::{NoiseWrap, SecurePayload};
use crate::event::{IncomingRequest, SocketKind};
use crate::messages::{Handshake, mode};
use crate::rpc::command;
use crate::{Dht, ListenId, ReplyOptions};
use bosc_format::crypto::{KeyPair, PublicKey, hash};
use bosc_wire::noise::HandshakeResult;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

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
    /// A blind relay that peers are told to go through where there is no direct way.
    pub relay_through: Option<PublicKey>,
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
    /// The answer leaves from the puncher's socket, while there is one: the peer opens a way to where it comes from.
    from_puncher: bool,
    pub(super) waiting: Option<Waiting>,
}

/// An answered handshake whose peer has not come yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) handshake: HandshakeResult,
    pub(super) local_id: u32,
    pub(super) remote_id: u32,
    pub(super) holepunch: u64,
    pub(super) payload: SecurePayload,
    /// The highest round that came.
    pub(super) rounds: u64,
    /// A holepunch round to be answered.
    pub(super) round: Option<PendingRound>,
    /// It waited long enough, and goes on only because we punch.
    pub(super) overdue: bool,
    /// The relay that counts.
    pub(super) blind: Option<Blind>,
    /// The peer was told of a port that our router maps.
    pub(super) mapped: bool,
}

/// A holepunch round to be answered.
#[derive(Debug)]
pub(super) struct PendingRound {
    pub(super) request: IncomingRequest,
    /// The peer as its relay sees it.
    pub(super) peer: SocketAddrV4,
    pub(super) said: HolepunchPayload,
    /// It came through a relay that we chose.
    pub(super) is_relay: bool,
}

/// A handshake message and how it came.
struct Arrival<'a> {
    noise: &'a [u8],
    /// Where the client is.
    client: SocketAddrV4,
    /// No relay was in between.
    direct: bool,
    socket: SocketKind,
    /// We as the relay sees us.
    server: SocketAddrV4,
}

/// Whether the peer seems to be in our local network: the relay sees both at one host, and it has an address as ours are.
fn is_near(dht: &Dht, arrival: &Arrival<'_>, remote: &NoisePayload) -> bool {
    let private: Vec<SocketAddrV4> =
        remote.addresses4.iter().copied().filter(|a| is_private(a.ip())).collect();
    arrival.client.ip() == arrival.server.ip() && match_address(dht.local_addresses(), &private).is_some()
}

impl Connector {
    pub(super) fn on_request(&mut self, dht: &mut Dht, request: &IncomingRequest, now: Duration) {
        match request.command {
            command::PEER_HANDSHAKE => self.on_handshake(dht, request, now),
            command::PEER_HOLEPUNCH => self.on_holepunch(dht, request, now),
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
            server: request.to,
        };
        let Some(noise) = self.answer(dht, &target, &arrival, now) else { return };
        let key = hash(&[&target, arrival.noise]);
        let from_puncher = self.incoming.get(&key).is_some_and(|i| i.from_puncher);
        let socket = if from_puncher { self.puncher_socket(Side::Server(key)) } else { None };
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
        dht.relay(request, &reply.encode(), to, socket);
    }

    /// Our answer to a handshake message, the same each time.
    fn answer(
        &mut self,
        dht: &mut Dht,
        target: &[u8; 32],
        arrival: &Arrival<'_>,
        now: Duration,
    ) -> Option<Bytes> {
        let key = hash(&[target, arrival.noise]);
        if let Some(known) = self.incoming.get(&key) {
            return known.reply.clone();
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
            self.keep(dht, key, Incoming { listen, reply: None, from_puncher: false, waiting: None }, now);
            return None;
        }
        let hide_local = server.options.hide_local_addresses;
        let relay_through = server.options.relay_through;
        let error = match (remote.version, remote.udx) {
            (VERSION, Some(_)) => error::NONE,
            (VERSION, None) => error::ABORTED,
            _ => error::VERSION_MISMATCH,
        };
        // Behind our own NAT the way by our router's port is a detour that not every router has: there we meet in the local network.
        let beside = arrival.client.ip() == arrival.server.ip();
        let mapped = dht.mapped_address().filter(|_| !beside && !arrival.direct);
        let open = dht.remote_address();
        let mapped = mapped.filter(|_| open.is_none());
        let own = open.or(mapped);
        let mut addresses4: Vec<SocketAddrV4> = own.into_iter().collect();
        if !hide_local {
            addresses4.extend(dht.local_addresses());
        }
        let remote_id = remote.udx.filter(|_| error == error::NONE).map(|u| u.id);
        let local_id = if remote_id.is_some() { self.stream_id(StreamOwner::Server(key)) } else { 0 };
        let holepunch = self.next();
        let reachable = own.is_some() || arrival.direct || remote.firewall == firewall::OPEN;
        let relay = self.name_relay(relay_through.filter(|_| !reachable));
        let payload = NoisePayload {
            error,
            firewall: if own.is_some() { firewall::OPEN } else { firewall::UNKNOWN },
            holepunch: own
                .is_none()
                .then(|| HolepunchInfo { id: holepunch, relays: dht.relays(listen).to_vec() }),
            addresses4,
            udx: Some(UdxInfo { version: 1, reusable_socket: false, id: local_id, seq: 0 }),
            secret_stream: Some(1),
            relay_through: relay,
            relay_addresses: dht.relay_addresses(listen).to_vec(),
            ..NoisePayload::default()
        };
        let answered = wrap.send(&payload).ok().and_then(|reply| Some((reply, wrap.finish().ok()?)));
        let Some((reply, handshake)) = answered else {
            self.streams.remove(&local_id);
            return None;
        };
        let reply = Bytes::from(reply);
        let mut incoming =
            Incoming { listen, reply: Some(reply.clone()), from_puncher: false, waiting: None };
        let Some(remote_id) = remote_id else {
            self.keep(dht, key, incoming, now);
            return Some(reply);
        };
        let payload = SecurePayload::new(&handshake.hash, self.random());
        let theirs = remote.relay_through.filter(|_| self.may_relay());
        let blind = Blind::server(relay, theirs).filter(|_| own.is_none() && !reachable);
        let (rounds, round, overdue) = (0, None, false);
        let waiting = Waiting {
            handshake,
            local_id,
            remote_id,
            holepunch,
            payload,
            rounds,
            round,
            overdue,
            blind,
            mapped: mapped.is_some(),
        };
        incoming.waiting = Some(waiting);
        self.holepunches.insert(holepunch, key);
        self.insert(dht, key, incoming, now);
        if arrival.direct && self.events.len() >= self.unproved_left {
            self.at(now.saturating_add(self.config.passive_timeout), Timer::Passive(key));
        } else if arrival.direct {
            self.accept(dht, key, arrival.socket, arrival.client, Vec::new(), now);
        } else if remote.firewall == firewall::OPEN {
            self.accept(dht, key, dht.default_socket(), arrival.client, Vec::new(), now);
        } else {
            let near = !hide_local && is_near(dht, arrival, &remote);
            // Who is open only waits, unless the peer may see it at a local address only.
            if near || own.is_none() {
                let side = Side::Server(key);
                let made = self.new_puncher(dht, side, remote.firewall, now);
                if let Some(incoming) = self.incoming.get_mut(&key) {
                    // The peer pings our local address, which has to be that of the answer.
                    incoming.from_puncher = made && !near;
                }
            }
            self.at(now.saturating_add(self.config.passive_timeout), Timer::Passive(key));
            if blind.is_some() {
                let wait = if dht.is_randomized() { Duration::ZERO } else { self.config.relay_after };
                self.at(now.saturating_add(wait), Timer::Relay(Side::Server(key)));
            }
        }
        Some(reply)
    }

    /// The peer of an answered handshake is at `from`: the connection is made.
    pub(super) fn accept(
        &mut self,
        dht: &mut Dht,
        key: Key,
        socket: SocketKind,
        from: SocketAddrV4,
        early: Vec<EarlyPacket>,
        now: Duration,
    ) {
        let Some(incoming) = self.incoming.get_mut(&key) else { return };
        let listen = incoming.listen;
        let Some(waiting) = incoming.waiting.take() else { return };
        self.forget_waiting(&waiting);
        self.end_puncher(dht, Side::Server(key), Some(socket), now);
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
            relay: None,
            peer_id: waiting.remote_id,
            early,
        };
        self.made(None, Some(listen), connection);
    }

    /// The time of a peer that did not come is over, unless we punch.
    pub(super) fn passive_over(&mut self, dht: &mut Dht, key: Key, now: Duration) {
        if self.is_punching(Side::Server(key)) {
            if let Some(waiting) = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut()) {
                waiting.overdue = true;
            }
        } else {
            self.passive_timeout(dht, key, now);
        }
    }

    pub(super) fn passive_timeout(&mut self, dht: &mut Dht, key: Key, now: Duration) {
        self.end_puncher(dht, Side::Server(key), None, now);
        let Some(incoming) = self.incoming.get_mut(&key) else { return };
        let state = incoming.waiting.as_ref().and_then(|w| w.blind).map(|b| b.state);
        if let (Some(waiting), Some(State::Waiting | State::Asked)) = (&mut incoming.waiting, state) {
            // The relay is what is left.
            waiting.overdue = true;
            self.ask_relay(Side::Server(key), now);
            return;
        }
        let Some(waiting) = incoming.waiting.take() else { return };
        if waiting.mapped {
            dht.doubt_mapping(now);
        }
        self.stats.passive_timeouts += u64::from(state.is_none());
        self.forget_waiting(&waiting);
        self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
    }

    /// What ends with an answered handshake.
    pub(super) fn forget_waiting(&mut self, waiting: &Waiting) {
        self.holepunches.remove(&waiting.holepunch);
        self.forget_blind(waiting.blind, waiting.local_id);
    }

    pub(super) fn forget_incoming(&mut self, dht: &mut Dht, key: Key, now: Duration) {
        self.end_puncher(dht, Side::Server(key), None, now);
        if let Some(waiting) = self.incoming.remove(&key).and_then(|i| i.waiting) {
            self.forget_waiting(&waiting);
        }
    }

    /// Remembers a handshake that is over.
    fn keep(&mut self, dht: &mut Dht, key: Key, incoming: Incoming, now: Duration) {
        self.insert(dht, key, incoming, now);
        self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
    }

    /// Remembers a handshake; the oldest makes room that does not punch.
    fn insert(&mut self, dht: &mut Dht, key: Key, incoming: Incoming, now: Duration) {
        let most = self.config.max_handshakes.max(1);
        for _ in 0..self.incoming_order.len() {
            let Some(oldest) = self.incoming_order.front().copied() else { break };
            let known = self.incoming.contains_key(&oldest);
            if known && self.incoming.len() < most {
                break;
            }
            self.incoming_order.pop_front();
            if known && self.is_punching(Side::Server(oldest)) {
                self.incoming_order.push_back(oldest);
            } else if known {
                self.stats.dropped += 1;
                self.forget_incoming(dht, oldest, now);
            }
        }
        if self.incoming_order.len() >= most.saturating_mul(2) {
            let incoming = &self.incoming;
            self.incoming_order.retain(|key| incoming.contains_key(key));
        }
        self.incoming_order.push_back(key);
        self.incoming.insert(key, incoming);
    }
}
