//! The connecting side (`hyperdht/lib/connect.js`).
//!
//! ```text
//! Searching --- answer of the peer ---> Answered --- where it is, or a way through NATs --> Connected
//!     |                                     |
//!     +-- nobody left to ask --> Failed <---+-- timeout, or nowhere to go
//! ```
//!
//! Searching sends the one handshake message through all relays known from before at once, so that dead ones among them cost no
//! time, and through those the search for the peer finds, two at a time.

use super::Connector;
use super::blind::Blind;
use super::event::{ConnectError, ConnectEvent, Connection, EarlyPacket};
use super::names::{Asker, ConnectId, Side, StreamOwner, Timer};
use super::payload::{NoisePayload, RelayThrough, UdxInfo, VERSION, error, firewall};
use super::punch::Rounds;
use super::reach::{is_bogon, is_reserved, match_address};
use super::secure::{Answered, NoiseWrap};
use crate::addr::is_sendable;
use crate::event::{QueryData, QueryReply, Reply, SocketKind};
use crate::messages::{Handshake, mode};
use crate::rpc::command;
use crate::{Busy, Dht, QueryId, QueryOptions, Request, RequestId};
use bosc_format::crypto::{KeyPair, PublicKey, hash};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Handshakes through relays found by the search, at once.
const PARALLEL: usize = 2;
/// Most relays asked for one connection.
const MAX_ASKED: usize = 64;
/// Most relay addresses taken from outside.
const MAX_KNOWN: usize = 8;
/// How often a relay that is known is asked again.
const KNOWN_RETRIES: u32 = 2;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who we are towards the peer.
    pub key_pair: KeyPair,
    /// Nodes that relay for the peer, or the peer itself, as far as known: asked at once, without a search.
    pub relay_addresses: Vec<SocketAddrV4>,
    /// Do not try the local network, nor tell our addresses there.
    pub no_local: bool,
    /// A blind relay to go through where there is no direct way. The peer may name another one.
    pub relay_through: Option<PublicKey>,
}

impl ConnectOptions {
    /// With nothing but a key pair.
    pub fn new(key_pair: &KeyPair) -> Self {
        Self { key_pair: key_pair.clone(), relay_addresses: Vec::new(), no_local: false, relay_through: None }
    }
}

/// A handshake on its way.
#[derive(Debug)]
struct Attempt {
    request: RequestId,
    relay: SocketAddrV4,
    /// Through a relay known before the search.
    known: bool,
}

#[derive(Debug)]
pub(super) struct Client {
    remote_public_key: PublicKey,
    pub(super) target: [u8; 32],
    wrap: NoiseWrap,
    /// The handshake message, once made.
    message: Option<Bytes>,
    no_local: bool,
    /// We told the peer that we are open.
    open: bool,
    pub(super) local_id: u32,
    attempts: Vec<Attempt>,
    known: VecDeque<SocketAddrV4>,
    found: VecDeque<SocketAddrV4>,
    asked: Vec<SocketAddrV4>,
    query: Option<QueryId>,
    queries_left: u32,
    early: Vec<EarlyPacket>,
    pub(super) answered: Option<Box<Answered>>,
    /// A ping in the local network.
    lan: Option<(RequestId, SocketAddrV4)>,
    /// Holepunching.
    pub(super) rounds: Option<Rounds>,
    /// The relay that we named.
    relay: Option<RelayThrough>,
    /// The relay that counts, once the peer has answered.
    pub(super) blind: Option<Blind>,
    /// Why there is no direct way, while the relay is asked.
    pub(super) failed: Option<ConnectError>,
}

impl Connector {
    /// Connects to a listening peer. Ends with [`ConnectEvent::Connected`] or [`ConnectEvent::Failed`], unless
    /// it is cancelled.
    pub fn connect(
        &mut self,
        dht: &mut Dht,
        remote_public_key: PublicKey,
        options: &ConnectOptions,
        now: Duration,
    ) -> Result<ConnectId, Busy> {
        if self.clients.len() >= self.config.max_connects {
            return Err(Busy);
        }
        let seed = self.random();
        let wrap = NoiseWrap::initiator(&options.key_pair, remote_public_key, seed).map_err(|_| Busy)?;
        let relay = self.name_relay(options.relay_through.filter(|r| *r != remote_public_key));
        let id = ConnectId(self.next());
        let target = hash(&[&remote_public_key]);
        let route = dht.forward(&target, now).and_then(|f| f.relay);
        let known: VecDeque<SocketAddrV4> = match (route, options.relay_addresses.is_empty()) {
            (Some(relay), _) => VecDeque::from([relay]),
            (None, false) => options.relay_addresses.iter().copied().collect(),
            (None, true) => self.relay_cache.get(&remote_public_key).cloned().unwrap_or_default().into(),
        };
        let known: VecDeque<SocketAddrV4> =
            known.into_iter().filter(|a| is_sendable(*a)).take(MAX_KNOWN).collect();
        let client = Client {
            remote_public_key,
            target,
            wrap,
            message: None,
            no_local: options.no_local,
            open: false,
            local_id: self.stream_id(StreamOwner::Client(id)),
            attempts: Vec::new(),
            // One search among the known relays, then one in the whole network.
            queries_left: if known.is_empty() { 1 } else { 2 },
            known,
            found: VecDeque::new(),
            asked: Vec::new(),
            query: None,
            early: Vec::new(),
            answered: None,
            lan: None,
            rounds: None,
            relay,
            blind: None,
            failed: None,
        };
        self.clients.insert(id, client);
        self.search(dht, id, now);
        self.advance(dht, id, now);
        Ok(id)
    }

    /// Gives up an outgoing connection. No event follows. False if it is over already.
    pub fn cancel(&mut self, dht: &mut Dht, connect: ConnectId, now: Duration) -> bool {
        self.take_client(dht, connect, now).is_some()
    }

    /// Starts the next search for relays.
    fn search(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        c.queries_left = c.queries_left.saturating_sub(1);
        let nodes = if c.queries_left > 0 { c.known.iter().copied().collect() } else { Vec::new() };
        let options = QueryOptions { nodes, retries: Some(3), ..QueryOptions::default() };
        if let Ok(query) = dht.find_peer(c.target, &options, now) {
            c.query = Some(query);
            self.queries.insert(query, id);
        }
    }

    /// Sends what may be sent, starts the next search, or gives up.
    fn advance(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        loop {
            let Some(c) = self.clients.get_mut(&id) else { return };
            if c.answered.is_some() {
                return;
            }
            let found_busy = c.attempts.iter().filter(|a| !a.known).count();
            let next = if let Some(relay) = c.known.pop_front() {
                Some((relay, true))
            } else if found_busy < PARALLEL {
                c.found.pop_front().map(|relay| (relay, false))
            } else {
                None
            };
            if let Some((relay, known)) = next {
                if c.asked.contains(&relay) || c.asked.len() >= MAX_ASKED {
                    continue;
                }
                c.asked.push(relay);
                self.attempt(dht, id, relay, known, now);
                continue;
            }
            if !c.attempts.is_empty() || c.query.is_some() {
                return;
            }
            if c.queries_left == 0 {
                let error = if c.asked.is_empty() {
                    ConnectError::PeerNotFound
                } else {
                    ConnectError::PeerConnectionFailed
                };
                self.fail(dht, id, error, now);
                return;
            }
            self.search(dht, id, now);
        }
    }

    fn attempt(&mut self, dht: &mut Dht, id: ConnectId, relay: SocketAddrV4, known: bool, now: Duration) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        let message = match &c.message {
            Some(m) => m.clone(),
            None => {
                let own = dht.remote_address();
                c.open = own.is_some();
                let mut addresses4: Vec<SocketAddrV4> = own.into_iter().collect();
                if !c.no_local {
                    addresses4.extend(dht.local_addresses());
                }
                let payload = NoisePayload {
                    firewall: if c.open { firewall::OPEN } else { firewall::UNKNOWN },
                    addresses4,
                    udx: Some(UdxInfo { version: 1, reusable_socket: false, id: c.local_id, seq: 0 }),
                    secret_stream: Some(1),
                    // Who is open is connected to.
                    relay_through: c.relay.filter(|_| !c.open),
                    ..NoisePayload::default()
                };
                // Fails only for a key that is not a point of the curve, which nobody can listen with.
                let Ok(sent) = c.wrap.send(&payload) else {
                    self.fail(dht, id, ConnectError::PeerNotFound, now);
                    return;
                };
                let sent = Bytes::from(sent);
                c.message = Some(sent.clone());
                sent
            }
        };
        let value =
            Handshake { mode: mode::FROM_CLIENT, noise: message, peer_address: None, relay_address: None };
        let mut request = Request {
            target: Some(c.target),
            value: Some(value.encode().into()),
            ..Request::new(relay, command::PEER_HANDSHAKE)
        };
        // They stand in for each other: what dead ones take of the window of requests is taken from all.
        if known {
            request.retries = request.retries.min(KNOWN_RETRIES);
        }
        if let Ok(request) = dht.request(request, now) {
            c.attempts.push(Attempt { request, relay, known });
            self.requests.insert(request, Asker::Client(id));
        }
    }

    pub(super) fn client_found(&mut self, dht: &mut Dht, id: ConnectId, reply: &QueryReply, now: Duration) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        if matches!(reply.data, QueryData::Peer(_)) && c.found.len() < MAX_ASKED {
            c.found.push_back(reply.from);
            self.advance(dht, id, now);
        }
    }

    pub(super) fn client_query_done(&mut self, dht: &mut Dht, id: ConnectId, query: QueryId, now: Duration) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        if c.query == Some(query) {
            c.query = None;
            self.advance(dht, id, now);
        }
    }

    pub(super) fn client_response(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        request: RequestId,
        reply: &Reply,
        now: Duration,
    ) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        if let Some((_, to)) = c.lan.take_if(|(r, _)| *r == request) {
            self.connected(dht, id, SocketKind::Server, to, now);
            return;
        }
        if c.rounds.as_ref().is_some_and(|r| r.request() == Some(request)) {
            self.round_replied(dht, id, reply, now);
            return;
        }
        let Some(at) = c.attempts.iter().position(|a| a.request == request) else { return };
        let Attempt { relay, .. } = c.attempts.swap_remove(at);
        let answer = reply.value.as_ref().and_then(|v| Handshake::decode(v).ok());
        let answer = answer.filter(|a| a.mode == mode::REPLY && reply.from == relay);
        // On a clone: what does not authenticate was made up on the way and must not spoil the handshake.
        let mut wrap = c.wrap.clone();
        let read = answer.and_then(|a| Some((wrap.recv(&a.noise)?, a.peer_address)));
        let Some((payload, peer_address)) = read else {
            self.advance(dht, id, now);
            return;
        };
        let error = match (&payload, payload.udx) {
            (p, _) if p.version != VERSION => Err(ConnectError::ServerIncompatible(p.version)),
            (p, _) if p.error != error::NONE => Err(ConnectError::ServerError(p.error)),
            (p, None) => Err(ConnectError::ServerError(p.error)),
            (_, Some(udx)) => Ok(udx.id),
        };
        let answered = error.and_then(|remote_id| {
            let handshake = wrap.finish().map_err(|_| ConnectError::PeerConnectionFailed)?;
            Ok(Answered { handshake, payload, remote_id })
        });
        match answered {
            Err(error) => self.fail(dht, id, error, now),
            Ok(answered) => {
                c.answered = Some(Box::new(answered));
                self.stop_searching(dht, id, now);
                self.reach(dht, id, relay, peer_address, reply.to, now);
            }
        }
    }

    pub(super) fn client_request_failed(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        request: RequestId,
        now: Duration,
    ) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        if c.lan.take_if(|(r, _)| *r == request).is_some() {
            if c.rounds.is_none() {
                self.fail(dht, id, ConnectError::CannotHolepunch, now);
            }
            return;
        }
        if c.rounds.as_ref().is_some_and(|r| r.request() == Some(request)) {
            self.fail(dht, id, ConnectError::HolepunchFailed, now);
            return;
        }
        c.attempts.retain(|a| a.request != request);
        self.advance(dht, id, now);
    }

    /// The peer answered: finds out where to connect to. `relay` is who was asked, `server` the peer as the
    /// relay sees it, `client` we as the relay sees us.
    fn reach(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        relay: SocketAddrV4,
        server: Option<SocketAddrV4>,
        client: SocketAddrV4,
        now: Duration,
    ) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        let Some(answered) = &c.answered else { return };
        if let Some(early) = c.early.last() {
            let (socket, from) = (early.socket, early.from);
            self.connected(dht, id, socket, from, now);
            return;
        }
        let default_socket = dht.default_socket();
        let Some(server) = server else {
            self.connected(dht, id, default_socket, relay, now);
            return;
        };
        let payload = &answered.payload;
        let relayed = server != relay;
        let punchable = payload.holepunch.as_ref().is_some_and(|h| !h.relays.is_empty());
        let blind = Blind::client(payload.relay_through, c.relay).filter(|_| !c.open);
        if payload.firewall == firewall::OPEN || (relayed && !punchable && blind.is_none()) {
            let public = payload.addresses4.iter().find(|a| !is_bogon(a.ip()) && is_sendable(**a));
            let to = public.copied().unwrap_or(server);
            self.connected(dht, id, default_socket, to, now);
            return;
        }
        if c.open {
            // The peer connects to us; its first packet says where it is.
            self.at(now.saturating_add(self.config.passive_timeout), Timer::Client(id));
            return;
        }
        if relayed && server.ip().is_loopback() && is_sendable(server) {
            // On this machine: no NAT is between us, whatever either side believes of itself.
            self.connected(dht, id, SocketKind::Server, server, now);
            return;
        }
        c.blind = blind;
        if blind.is_some() {
            let hopeless = dht.is_randomized() || !punchable;
            let wait = if hopeless { Duration::ZERO } else { self.config.relay_after };
            let n = self.next;
            self.next = n.wrapping_add(1);
            self.timers.insert((now.saturating_add(wait), self.next), Timer::Relay(Side::Client(id)));
        }
        if !c.no_local && relayed && client.ip() == server.ip() {
            let theirs: Vec<SocketAddrV4> = payload
                .addresses4
                .iter()
                .copied()
                .filter(|a| !is_reserved(a.ip()) && is_sendable(*a))
                .collect();
            let to = match_address(dht.local_addresses(), &theirs).or(theirs.first().copied());
            if let Some(to) = to
                && let Ok(request) = dht.ping(to, now)
            {
                c.lan = Some((request, to));
                self.requests.insert(request, Asker::Client(id));
                if !punchable {
                    return;
                }
            }
        }
        if punchable {
            self.start_rounds(dht, id, relay, server, now);
        } else {
            self.fail(dht, id, ConnectError::CannotHolepunch, now);
        }
    }

    /// A stream packet of the peer.
    pub(super) fn client_packet(&mut self, dht: &mut Dht, id: ConnectId, packet: EarlyPacket, now: Duration) {
        let max = self.config.max_early_packets;
        let Some(c) = self.clients.get_mut(&id) else { return };
        let (socket, from) = (packet.socket, packet.from);
        if c.early.len() < max {
            c.early.push(packet);
        }
        if c.answered.is_some() {
            self.connected(dht, id, socket, from, now);
        }
    }

    pub(super) fn client_timeout(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        if self.clients.get(&id).is_some_and(|c| c.answered.is_some()) {
            self.fail(dht, id, ConnectError::Aborted, now);
        }
    }

    pub(super) fn connected(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        socket: SocketKind,
        remote_address: SocketAddrV4,
        now: Duration,
    ) {
        if self.moved(dht, id, socket, remote_address, now) {
            return;
        }
        self.end_puncher(dht, Side::Client(id), Some(socket), now);
        let Some(mut c) = self.take_client(dht, id, now) else { return };
        let Some(answered) = c.answered.take() else { return };
        let Answered { handshake, payload, remote_id } = *answered;
        let told = payload.relay_addresses;
        let mut relays = if told.is_empty() { c.asked } else { told };
        relays.truncate(MAX_KNOWN);
        self.remember_relays(c.remote_public_key, relays);
        self.stats.connected += 1;
        let connection = Connection {
            is_initiator: true,
            handshake,
            local_id: c.local_id,
            remote_id,
            remote_address,
            socket,
            relay: None,
            peer_id: remote_id,
            early: c.early,
        };
        self.made(Some(id), None, connection);
    }

    pub(super) fn fail(&mut self, dht: &mut Dht, id: ConnectId, error: ConnectError, now: Duration) {
        if self.rely_on_relay(dht, id, error, now) {
            return;
        }
        let Some(c) = self.take_client(dht, id, now) else { return };
        self.stats.failed += 1;
        if error == ConnectError::PeerConnectionFailed || error == ConnectError::PeerNotFound {
            self.forget_relays(&c.remote_public_key);
        }
        let remote_public_key = c.remote_public_key;
        self.events.push_back(ConnectEvent::Failed { connect: id, remote_public_key, error });
    }

    /// Ends the search and the handshakes under way.
    fn stop_searching(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        let Some(c) = self.clients.get_mut(&id) else { return };
        for attempt in c.attempts.drain(..) {
            self.requests.remove(&attempt.request);
            dht.cancel_request(attempt.request);
        }
        if let Some(query) = c.query.take() {
            // Its entry stays until its end is reported.
            dht.cancel_query(query, now);
        }
        c.found.clear();
        c.known.clear();
    }

    pub(super) fn take_client(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) -> Option<Client> {
        self.stop_searching(dht, id, now);
        let c = self.clients.remove(&id)?;
        self.forget_blind(c.blind, c.local_id);
        let lan = c.lan.map(|(request, _)| request);
        for request in lan.into_iter().chain(c.rounds.as_ref().and_then(Rounds::request)) {
            self.requests.remove(&request);
            dht.cancel_request(request);
        }
        self.end_puncher(dht, Side::Client(id), None, now);
        Some(c)
    }
}
