//! Connections through a blind relay, beside the direct way (`relayConnection` of `hyperdht/lib/connect.js`, `_relayConnection` of
//! `server.js`).
//!
//! Either side names a relay and a token in its handshake message; what the listening side names counts first, and whose relay it is
//! calls itself the initiator of the pairing. The direct way comes first: the relay is asked after
//! [`ConnectConfig::relay_after`](super::ConnectConfig::relay_after), or at once where no direct way can be.
//!
//! ```text
//!   Waiting --relay_after, or no direct way--> Asked --paired--> Through --direct way found--> direct
//!      |                                         |                  '--no direct way--> stays through the relay
//!      '--direct way found: nothing is asked     '--failed, or too late: as if there were no relay
//! ```
//!
//! JavaScript asks its relay at once; a pairing that waits for our half costs it nothing.
//!
//! # Invariants
//!
//! * A relay is trusted with nothing: the handshake went another way, and what it passes on is encrypted with its keys.
//! * A relay is not asked on the way to a peer that can be reached, nor on the way to a relay.
//! * [`ConnectEvent::Relay`] is followed by the owner's [`Connector::relayed`] or [`Connector::relay_failed`], or by
//!   [`ConnectEvent::RelayUnused`].
//! * At most [`ConnectConfig::max_relayed`](super::ConnectConfig::max_relayed) relays of others' choice are asked at once.
//! * Without an answer a relay counts as failed after [`ConnectConfig::relay_timeout`](super::ConnectConfig::relay_timeout).

use super::Connector;
use super::event::{ConnectError, ConnectEvent, Connection};
use super::names::{ConnectId, Side, StreamOwner, Timer};
use super::payload::RelayThrough;
use crate::Dht;
use crate::event::SocketKind;
use bosc_format::crypto::PublicKey;
use std::net::SocketAddrV4;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The direct way is tried.
    Waiting,
    /// The owner was told to ask the relay.
    Asked,
    /// The connection is made through it; the direct way may still be found.
    Through,
}

/// What one side does about its relay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blind {
    relay: PublicKey,
    token: [u8; 32],
    /// Our relay, and not theirs.
    is_initiator: bool,
    pub(super) state: State,
}

impl Blind {
    /// Theirs, if they name one, or else ours.
    pub(super) fn client(theirs: Option<RelayThrough>, ours: Option<RelayThrough>) -> Option<Self> {
        Self::new(theirs, false).or_else(|| Self::new(ours, true))
    }

    /// Ours, if we named one, or else theirs.
    pub(super) fn server(ours: Option<RelayThrough>, theirs: Option<RelayThrough>) -> Option<Self> {
        Self::new(ours, true).or_else(|| Self::new(theirs, false))
    }

    fn new(through: Option<RelayThrough>, is_initiator: bool) -> Option<Self> {
        let through = through.filter(|t| t.version == 1)?;
        let (relay, token) = (through.public_key, through.token);
        Some(Self { relay, token, is_initiator, state: State::Waiting })
    }
}

impl Connector {
    /// A relay to name in a handshake.
    pub(super) fn name_relay(&mut self, relay: Option<PublicKey>) -> Option<RelayThrough> {
        relay.map(|public_key| RelayThrough { version: 1, public_key, token: self.random() })
    }

    fn blind(&mut self, side: Side) -> Option<&mut Blind> {
        match side {
            Side::Client(id) => self.clients.get_mut(&id)?.blind.as_mut(),
            Side::Server(key) => self.incoming.get_mut(&key)?.waiting.as_mut()?.blind.as_mut(),
        }
    }

    fn local_id(&self, side: Side) -> Option<u32> {
        match side {
            Side::Client(id) => self.clients.get(&id).map(|c| c.local_id),
            Side::Server(key) => Some(self.incoming.get(&key)?.waiting.as_ref()?.local_id),
        }
    }

    /// Room for one more relay of somebody else's choice.
    pub(super) fn may_relay(&self) -> bool {
        let asked = self.incoming.values().filter_map(|i| i.waiting.as_ref()?.blind);
        asked.filter(|b| !b.is_initiator).count() < self.config.max_relayed
    }

    /// The direct way had its time, or there is none: the relay is asked, if it was not yet.
    pub(super) fn ask_relay(&mut self, side: Side, now: Duration) {
        let Some(local_id) = self.local_id(side) else { return };
        let Some(blind) = self.blind(side).filter(|b| b.state == State::Waiting) else { return };
        blind.state = State::Asked;
        let Blind { relay, token, is_initiator, .. } = *blind;
        self.events.push_back(ConnectEvent::Relay { local_id, relay, token, is_initiator });
        self.at(now.saturating_add(self.config.relay_timeout), Timer::RelayOver(side));
    }

    /// The owner has paired a stream at its relay: packets to `remote_id` at `address` reach the other side. False when nobody waits
    /// for that any more.
    pub fn relayed(
        &mut self,
        dht: &mut Dht,
        local_id: u32,
        remote_id: u32,
        socket: SocketKind,
        address: SocketAddrV4,
        now: Duration,
    ) -> bool {
        let Some(side) = self.asked(local_id) else { return false };
        let Some(blind) = self.blind(side) else { return false };
        blind.state = State::Through;
        let relay = Some(blind.relay);
        self.through.insert(local_id, side);
        self.stats.relayed += 1;
        let (connect, listen, handshake, peer_id, may_move) = match side {
            Side::Client(id) => {
                let Some(c) = self.clients.get(&id) else { return false };
                let Some(answered) = &c.answered else { return false };
                self.stats.connected += 1;
                (Some(id), None, answered.handshake.clone(), answered.remote_id, c.failed.is_none())
            }
            Side::Server(key) => {
                let punching = self.is_punching(side);
                let Some(incoming) = self.incoming.get(&key) else { return false };
                let Some(waiting) = &incoming.waiting else { return false };
                self.stats.accepted += 1;
                let may_move = !waiting.overdue || punching;
                (None, Some(incoming.listen), waiting.handshake.clone(), waiting.remote_id, may_move)
            }
        };
        let connection = Connection {
            is_initiator: matches!(side, Side::Client(_)),
            handshake,
            local_id,
            remote_id,
            remote_address: address,
            socket,
            relay,
            peer_id,
            early: Vec::new(),
        };
        self.made(connect, listen, connection);
        if !may_move {
            self.settle(dht, side, None, now);
        }
        true
    }

    /// The owner could not pair a stream at its relay, or has lost the relay before it was paired.
    pub fn relay_failed(&mut self, dht: &mut Dht, local_id: u32, now: Duration) {
        if let Some(side) = self.asked(local_id) {
            self.relay_lost(dht, side, now);
        }
    }

    /// Which side waits for the relay of this stream.
    fn asked(&mut self, local_id: u32) -> Option<Side> {
        let side = match self.streams.get(&local_id)? {
            StreamOwner::Client(id) => Side::Client(*id),
            StreamOwner::Server(key) => Side::Server(*key),
            StreamOwner::Made => return None,
        };
        self.blind(side).filter(|b| b.state == State::Asked).map(|_| side)
    }

    /// The relay had its time.
    pub(super) fn relay_over(&mut self, dht: &mut Dht, side: Side, now: Duration) {
        if self.blind(side).is_some_and(|b| b.state == State::Asked) {
            if let Some(local_id) = self.local_id(side) {
                self.events.push_back(ConnectEvent::RelayUnused { local_id });
            }
            self.relay_lost(dht, side, now);
        }
    }

    /// Goes on without the relay, if there is anything to go on with.
    fn relay_lost(&mut self, dht: &mut Dht, side: Side, now: Duration) {
        match side {
            Side::Client(id) => {
                let Some(c) = self.clients.get_mut(&id) else { return };
                c.blind = None;
                if let Some(error) = c.failed {
                    self.fail(dht, id, error, now);
                }
            }
            Side::Server(key) => {
                let punching = self.is_punching(side);
                let waiting = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut());
                let Some(waiting) = waiting else { return };
                waiting.blind = None;
                if waiting.overdue && !punching {
                    self.passive_timeout(dht, key, now);
                }
            }
        }
    }

    /// The direct way of an outgoing connection has failed. True when the relay is what is left, or carries the connection already.
    pub(super) fn rely_on_relay(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        error: ConnectError,
        now: Duration,
    ) -> bool {
        let side = Side::Client(id);
        let Some(c) = self.clients.get_mut(&id) else { return false };
        let Some(blind) = c.blind else { return false };
        if blind.state == State::Through {
            self.settle(dht, side, None, now);
            return true;
        }
        c.failed.get_or_insert(error);
        if let Some(request) = c.rounds.take().as_ref().and_then(super::punch::Rounds::request) {
            self.requests.remove(&request);
            dht.cancel_request(request);
        }
        self.end_puncher(dht, side, None, now);
        self.ask_relay(side, now);
        true
    }

    /// The owner has moved a relayed connection to its direct way through `socket`, or has lost it: the direct way is not looked for any
    /// more.
    pub fn settled(&mut self, dht: &mut Dht, local_id: u32, socket: Option<SocketKind>, now: Duration) {
        if let Some(side) = self.through.get(&local_id).copied() {
            self.settle(dht, side, socket, now);
        }
    }

    fn settle(&mut self, dht: &mut Dht, side: Side, socket: Option<SocketKind>, now: Duration) {
        self.end_puncher(dht, side, socket, now);
        match side {
            Side::Client(id) => {
                self.take_client(dht, id, now);
            }
            Side::Server(key) => {
                if let Some(waiting) = self.incoming.get_mut(&key).and_then(|i| i.waiting.take()) {
                    self.forget_waiting(&waiting);
                    self.at(now.saturating_add(self.config.clear_wait), Timer::Clear(key));
                }
            }
        }
    }

    /// A way was found for an outgoing connection that goes through a relay: the owner moves it there. False when it does not.
    pub(super) fn moved(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        socket: SocketKind,
        remote_address: SocketAddrV4,
        now: Duration,
    ) -> bool {
        let Some(c) = self.clients.get(&id) else { return false };
        let Some(answered) = &c.answered else { return false };
        if c.blind.is_none_or(|b| b.state != State::Through) {
            return false;
        }
        let (local_id, remote_id) = (c.local_id, answered.remote_id);
        self.events.push_back(ConnectEvent::Direct { local_id, remote_id, remote_address, socket });
        self.settle(dht, Side::Client(id), Some(socket), now);
        true
    }

    /// Gives up the relay of a connection that ends: an outgoing one, or an answered handshake.
    pub(super) fn forget_blind(&mut self, blind: Option<Blind>, local_id: u32) {
        match blind.map(|b| b.state) {
            // The stream is the owner's.
            Some(State::Through) => {
                self.through.remove(&local_id);
                return;
            }
            Some(State::Asked) => self.events.push_back(ConnectEvent::RelayUnused { local_id }),
            Some(State::Waiting) | None => {}
        }
        self.streams.remove(&local_id);
    }
}
