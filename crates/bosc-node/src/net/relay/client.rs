//! Relays that we use: who waits to be paired at which, and what becomes of it.

use super::session::{Role, Said};
use crate::net::connection::{Established, Via};
use crate::net::machine::NetMachine;
use crate::net::tags::{POOL, kind};
use bosc_dht::SocketKind;
use bosc_dht::connect::{ConnectId, ConnectOptions};
use bosc_format::crypto::PublicKey;
use bosc_udx::SocketTag;
use bosc_wire::blind_relay::{Message, Pair, Token, Unpair};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// Relays that are used at once; those of our own choice have room beside them.
pub(in crate::net) const MAX_RELAYS: usize = 16;
/// Streams that one relay may carry for us, or is asked to.
const MAX_REQUESTS: usize = 64;
/// Packets that are kept for a stream before its relay has answered, and how long each may be.
const MAX_EARLY: usize = 8;
const MAX_EARLY_LEN: usize = 2048;
/// How long a relay is kept after a link has moved away from it: packets of both sides may still be on their way through it.
const GRACE: Duration = Duration::from_secs(10);
/// How long a link that has lost its relay may still find the direct way: the other side may have found it, and let the relay go.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// A relay of ours.
#[derive(Debug)]
struct Relay {
    state: State,
    /// By stream.
    requests: BTreeMap<u32, Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Dialling(ConnectId),
    /// The session's stream.
    Session(u32),
}

#[derive(Debug, Clone, Copy)]
struct Request {
    token: Token,
    is_initiator: bool,
    paired: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::net) struct Relays {
    relays: BTreeMap<PublicKey, Relay>,
    dialling: HashMap<ConnectId, PublicKey>,
    /// Packets that came through a relay before its answer did, by stream.
    early: BTreeMap<u32, Vec<(SocketTag, SocketAddr, Bytes)>>,
}

impl Relays {
    fn of_stream(&self, local_id: u32) -> Option<PublicKey> {
        self.relays.iter().find(|(_, r)| r.requests.contains_key(&local_id)).map(|(key, _)| *key)
    }

    /// How many there are, dialled or used.
    pub(in crate::net) fn len(&self) -> usize {
        self.relays.len()
    }
}

impl NetMachine {
    /// The connector wants a stream paired.
    pub(in crate::net) fn relay_wanted(
        &mut self,
        local_id: u32,
        key: PublicKey,
        token: Token,
        is_initiator: bool,
        now: Duration,
    ) {
        let request = Request { token, is_initiator, paired: false };
        let room = match self.relays.relays.get(&key) {
            Some(relay) => relay.requests.len() < MAX_REQUESTS,
            // Whoever connects to us may name any key: relays of our own choice are not kept out by that.
            None => (is_initiator || self.relays.relays.len() < MAX_RELAYS) && key != self.key_pair.public(),
        };
        if !room || self.closing.is_some() {
            self.dialer.connector.relay_failed(&mut self.dht, local_id, now);
            return;
        }
        if let Some(relay) = self.relays.relays.get_mut(&key) {
            relay.requests.insert(local_id, request);
            if let State::Session(id) = relay.state
                && self.sessions.get(&id).is_some_and(|s| s.open)
            {
                self.ask(id, local_id, request, now);
            }
            return;
        }
        tracing::debug!(relay = %bosc_format::id::encode(&key), "asking a relay");
        let options = ConnectOptions::new(&self.key_pair);
        match self.dialer.connector.connect(&mut self.dht, key, &options, now) {
            Ok(id) => {
                self.relays.dialling.insert(id, key);
                let requests = BTreeMap::from([(local_id, request)]);
                self.relays.relays.insert(key, Relay { state: State::Dialling(id), requests });
            }
            Err(_) => self.dialer.connector.relay_failed(&mut self.dht, local_id, now),
        }
    }

    fn ask(&mut self, session: u32, local_id: u32, request: Request, now: Duration) {
        let Request { token, is_initiator, .. } = request;
        self.say(session, &Message::Pair(Pair { is_initiator, token, id: local_id, seq: 0 }), now);
    }

    /// Whether an attempt of the connector's is to a relay; then it is over.
    pub(in crate::net) fn was_to_relay(&mut self, connect: ConnectId) -> Option<PublicKey> {
        self.relays.dialling.remove(&connect)
    }

    /// The handshake with a relay is over.
    pub(in crate::net) fn relay_reached(&mut self, key: PublicKey, e: Established, now: Duration) {
        let Some(session) = self.start_session(e, Role::Client, now) else {
            self.relay_lost(key, now);
            return;
        };
        match self.relays.relays.get_mut(&key) {
            Some(relay) => relay.state = State::Session(session),
            None => self.drop_session(session, false, now),
        }
    }

    /// A relay cannot be reached, or not any more.
    pub(in crate::net) fn relay_lost(&mut self, key: PublicKey, now: Duration) {
        let Some(relay) = self.relays.relays.remove(&key) else { return };
        for (local_id, request) in relay.requests {
            self.way_lost(local_id, request.paired, now);
        }
    }

    /// The way of one stream through its relay is lost.
    fn way_lost(&mut self, local_id: u32, paired: bool, now: Duration) {
        self.relays.early.remove(&local_id);
        if !paired {
            self.dialer.connector.relay_failed(&mut self.dht, local_id, now);
        } else if let Some(via) = self.links.get_mut(&local_id).and_then(|l| l.via.as_mut())
            && !via.moved
        {
            via.until = Some(now.saturating_add(LOST_AFTER));
        }
    }

    /// A relay said something.
    pub(in crate::net) fn relay_said(&mut self, session: u32, said: &Said, now: Duration) {
        let of_session = |(_, r): &(&PublicKey, &Relay)| r.state == State::Session(session);
        let Some(key) = self.relays.relays.iter().find(of_session).map(|(key, _)| *key) else { return };
        match said {
            Said::Closed => self.relay_lost(key, now),
            Said::Open => {
                let Some(relay) = self.relays.relays.get(&key) else { return };
                let requests: Vec<(u32, Request)> = relay.requests.iter().map(|(id, r)| (*id, *r)).collect();
                for (local_id, request) in requests {
                    self.ask(session, local_id, request, now);
                }
            }
            Said::Message(Message::Pair(pair)) => self.paired(key, session, pair, now),
            Said::Message(Message::Unpair(Unpair { token })) => {
                let Some(relay) = self.relays.relays.get_mut(&key) else { return };
                let Some(local_id) =
                    relay.requests.iter().find(|(_, r)| r.token == *token).map(|(id, _)| *id)
                else {
                    return;
                };
                let Some(request) = relay.requests.remove(&local_id) else { return };
                self.way_lost(local_id, request.paired, now);
                self.let_go(key, now);
            }
        }
    }

    fn paired(&mut self, key: PublicKey, session: u32, pair: &Pair, now: Duration) {
        let Some(relay) = self.relays.relays.get_mut(&key) else { return };
        let asked = |(_, r): &(&u32, &mut Request)| {
            r.token == pair.token && r.is_initiator == pair.is_initiator && !r.paired
        };
        // An answer to what was not asked, or was answered, changes nothing.
        let Some((local_id, request)) = relay.requests.iter_mut().find(asked) else { return };
        request.paired = true;
        let local_id = *local_id;
        let Some((socket, SocketAddr::V4(to))) = self.table.get(session).and_then(|s| s.remote()) else {
            return;
        };
        let taken = self.dialer.connector.relayed(&mut self.dht, local_id, pair.id, kind(socket), to, now);
        if !taken {
            self.relay_unused(local_id, now);
        }
    }

    /// Nobody waits for the pairing of a stream any more, or its link has ended or moved.
    pub(in crate::net) fn relay_unused(&mut self, local_id: u32, now: Duration) {
        let Some(key) = self.relays.of_stream(local_id) else { return };
        let Some(relay) = self.relays.relays.get_mut(&key) else { return };
        let Some(request) = relay.requests.remove(&local_id) else { return };
        self.relays.early.remove(&local_id);
        let Some(relay) = self.relays.relays.get(&key) else { return };
        if let State::Session(id) = relay.state
            && self.sessions.get(&id).is_some_and(|s| s.open)
        {
            self.say(id, &Message::Unpair(Unpair { token: request.token }), now);
        }
        self.let_go(key, now);
    }

    /// Ends the session with a relay that nothing needs.
    fn let_go(&mut self, key: PublicKey, now: Duration) {
        if self.relays.relays.get(&key).is_none_or(|r| !r.requests.is_empty()) {
            return;
        }
        let Some(relay) = self.relays.relays.remove(&key) else { return };
        match relay.state {
            State::Dialling(id) => {
                self.relays.dialling.remove(&id);
                self.dialer.connector.cancel(&mut self.dht, id, now);
            }
            State::Session(id) => self.end_session(id, now),
        }
    }

    /// A direct way was found for a link that goes through a relay.
    pub(in crate::net) fn move_link(
        &mut self,
        local_id: u32,
        socket: SocketTag,
        to: SocketAddr,
        now: Duration,
    ) {
        let relay = self.via_remote(local_id);
        let Some(via) = self.links.get_mut(&local_id).and_then(|l| l.via.as_mut()) else { return };
        // What comes from the relay is no direct way, whatever socket it comes in on.
        if via.moved || relay == Some(to) {
            return;
        }
        (via.moved, via.until) = (true, Some(now.saturating_add(GRACE)));
        let peer_id = via.peer_id;
        let Some(stream) = self.table.get_mut(local_id) else { return };
        stream.change_remote(socket, peer_id, to, now);
        // The other side sees by it where we are.
        let _ = stream.send_message(Bytes::new());
        tracing::debug!(local_id, %to, "a relayed connection found the direct way");
        self.changed = true;
        if socket >= POOL {
            self.on_pool.insert(local_id, socket);
        }
        self.dialer.connector.settled(&mut self.dht, local_id, Some(kind(socket)), now);
    }

    /// Keeps a packet for a stream that is not made yet, if it came from the relay that was asked to carry it. For the connector it would
    /// be a sign of where the peer is.
    pub(in crate::net) fn came_early(
        &mut self,
        local_id: u32,
        socket: SocketTag,
        from: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        if self.via_remote(local_id) != Some(from) {
            return false;
        }
        let kept = self.relays.early.entry(local_id).or_default();
        if kept.len() < MAX_EARLY && datagram.len() <= MAX_EARLY_LEN {
            kept.push((socket, from, Bytes::copy_from_slice(datagram)));
        }
        true
    }

    /// Gives a stream that was made what had come for it.
    pub(in crate::net) fn take_relayed_early(&mut self, local_id: u32, now: Duration) {
        for (socket, from, datagram) in self.relays.early.remove(&local_id).unwrap_or_default() {
            let _ = self.table.handle_datagram(socket, from, &datagram, now);
        }
    }

    fn via_remote(&self, local_id: u32) -> Option<SocketAddr> {
        let key = self.relays.of_stream(local_id)?;
        match self.relays.relays.get(&key)?.state {
            State::Session(id) => self.table.get(id)?.remote().map(|(_, at)| at),
            State::Dialling(_) => None,
        }
    }

    /// A link that went through a relay has ended.
    pub(in crate::net) fn link_over(&mut self, local_id: u32, via: Via, now: Duration) {
        if !via.moved {
            self.dialer.connector.settled(&mut self.dht, local_id, None::<SocketKind>, now);
        }
        self.relay_unused(local_id, now);
    }

    /// Links whose time with, or without, their relay is over. Gives those that end.
    pub(in crate::net) fn via_timeouts(&mut self, now: Duration) -> Vec<u32> {
        let due: Vec<(u32, bool)> = self
            .links
            .iter()
            .filter_map(|(id, l)| l.via.filter(|v| v.until.is_some_and(|t| t <= now)).map(|v| (*id, v.moved)))
            .collect();
        let mut lost = Vec::new();
        for (id, moved) in due {
            if let Some(via) = self.links.get_mut(&id).and_then(|l| l.via.as_mut()) {
                via.until = None;
            }
            if moved {
                self.relay_unused(id, now);
            } else {
                lost.push(id);
            }
        }
        lost
    }
}
