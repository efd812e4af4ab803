//! The listening side agrees on a punch (`_onpeerholepunch` of `hyperdht/lib/server.js`).
//!
//! Each round is answered once our own NAT is known: of two that wait only the later one is. When the other side says that it
//! punches, so do we, and say so.

use super::super::Connector;
use super::super::names::{Key, Side, Timer};
use super::super::payload::{HolepunchPayload, error, firewall};
use super::super::server::PendingRound;
use crate::Dht;
use crate::event::IncomingRequest;
use crate::messages::{Holepunch, mode};
use std::net::SocketAddrV4;
use std::time::Duration;

/// How long "no" is held back where nothing else is known to do. It ends the peer's attempt, and a ping in the local network that
/// would succeed must be faster.
const ABORT_DELAY: Duration = Duration::from_millis(800);

impl Connector {
    /// Takes a round.
    pub(in super::super) fn on_holepunch(&mut self, dht: &mut Dht, request: &IncomingRequest, now: Duration) {
        let Some(message) = request.value.as_ref().and_then(|v| Holepunch::decode(v).ok()) else { return };
        let (mode::FROM_RELAY, Some(peer)) = (message.mode, message.peer_address) else { return };
        let Some(key) = self.holepunches.get(&message.id).copied() else { return };
        let Some(incoming) = self.incoming.get_mut(&key) else { return };
        let listen = incoming.listen;
        let Some(waiting) = &mut incoming.waiting else { return };
        let Some(said) = waiting.payload.open(&message.payload) else { return };
        let is_relay = dht.is_relay(listen, request.from);
        let echoed = is_relay && said.remote_token == Some(waiting.payload.token(*peer.ip()));
        let newest = said.round >= waiting.rounds;
        waiting.rounds = waiting.rounds.max(said.round);
        let round = PendingRound { request: request.clone(), peer, said, is_relay };
        let Some(p) = self.punchers.get_mut(&Side::Server(key)) else {
            if waiting.round.replace(round).is_none() {
                self.at(now.saturating_add(ABORT_DELAY), Timer::Abort(key));
            }
            return;
        };
        if round.said.error != error::NONE {
            self.refuse_round(dht, key, &round, error::ABORTED, now);
            return;
        }
        if request.socket == p.socket() {
            p.nat.add(request.to, request.from);
        }
        if newest {
            let said = &round.said;
            let verified = echoed.then(|| *peer.ip());
            p.update_remote(said.firewall, said.addresses.clone(), said.punching, verified);
        }
        waiting.round = Some(round);
        self.server_nat_decided(dht, key, now);
    }

    /// Answers the round that waits, if our own NAT is known.
    pub(super) fn server_nat_decided(&mut self, dht: &mut Dht, key: Key, now: Duration) {
        let side = Side::Server(key);
        let Some(p) = self.punchers.get(&side).filter(|p| p.nat.is_decided()) else { return };
        let waiting = self.incoming.get(&key).and_then(|i| i.waiting.as_ref());
        if waiting.is_none_or(|w| w.round.is_none()) {
            return;
        }
        if !p.remote_punching && p.is_unstable() && self.reopen(dht, side, now) {
            return;
        }
        let waiting = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut());
        let Some(round) = waiting.and_then(|w| w.round.take()) else { return };
        self.answer_round(dht, key, &round, now);
    }

    fn answer_round(&mut self, dht: &mut Dht, key: Key, round: &PendingRound, now: Duration) {
        let side = Side::Server(key);
        let busy = self.is_random_busy(now);
        let Some(p) = self.punchers.get_mut(&side) else { return };
        if !p.remote_punching && p.is_unstable() {
            self.refuse_round(dht, key, round, error::ABORTED, now);
            return;
        }
        // They opened a way to the very address that we have: a probe goes through at once.
        let consistent = matches!(p.nat.firewall(), firewall::OPEN | firewall::CONSISTENT);
        let open = |to: SocketAddrV4| p.nat.addresses().is_some_and(|ours| ours.contains(&to));
        if consistent && round.said.remote_address.is_some_and(open) {
            dht.probe(p.socket(), round.peer, None);
        }
        if p.remote_punching {
            let random = p.remote_firewall >= firewall::RANDOM || p.nat.firewall() >= firewall::RANDOM;
            if random && busy && !p.is_probing() {
                self.refuse_round(dht, key, round, error::TRY_LATER, now);
                return;
            }
            if !self.punch(dht, side, now) {
                self.refuse_round(dht, key, round, error::ABORTED, now);
                return;
            }
        }
        let Some(p) = self.punchers.get_mut(&side) else { return };
        if p.nat.firewall() != firewall::UNKNOWN {
            // What was told must not change any more.
            p.nat.freeze();
        }
        let answer = HolepunchPayload {
            error: error::NONE,
            firewall: p.nat.firewall(),
            punching: p.is_probing(),
            addresses: p.nat.addresses().map(<[_]>::to_vec),
            remote_token: round.said.token,
            ..HolepunchPayload::default()
        };
        let socket = p.socket();
        self.reply_to_round(dht, key, round, answer, Some(socket));
    }

    fn reply_to_round(
        &mut self,
        dht: &mut Dht,
        key: Key,
        round: &PendingRound,
        mut answer: HolepunchPayload,
        socket: Option<crate::SocketKind>,
    ) {
        let nonce = self.random();
        let Some(waiting) = self.incoming.get(&key).and_then(|i| i.waiting.as_ref()) else { return };
        answer.round = waiting.rounds;
        if answer.error == error::NONE && round.is_relay {
            // Only a relay that we chose cannot make up where they are.
            answer.token = Some(waiting.payload.token(*round.peer.ip()));
        }
        let reply = Holepunch {
            mode: mode::FROM_SERVER,
            id: 0,
            payload: waiting.payload.seal(&answer, nonce).into(),
            peer_address: Some(round.peer),
        };
        dht.relay(&round.request, &reply.encode(), round.request.from, socket);
    }

    fn refuse_round(&mut self, dht: &mut Dht, key: Key, round: &PendingRound, error: u64, now: Duration) {
        let answer = HolepunchPayload { error, ..HolepunchPayload::default() };
        self.reply_to_round(dht, key, round, answer, Some(dht.default_socket()));
        self.end_puncher(dht, Side::Server(key), None, now);
        if error == error::ABORTED {
            self.ask_relay(Side::Server(key), now);
        }
        let overdue = self.incoming.get(&key).and_then(|i| i.waiting.as_ref()).is_some_and(|w| w.overdue);
        if overdue {
            self.passive_timeout(dht, key, now);
        }
    }

    /// Says "no" to a round that nothing was done for.
    pub(in super::super) fn abort_round(&mut self, dht: &mut Dht, key: Key) {
        let waiting = self.incoming.get_mut(&key).and_then(|i| i.waiting.as_mut());
        let Some(round) = waiting.and_then(|w| w.round.take()) else { return };
        let answer = HolepunchPayload { error: error::ABORTED, ..HolepunchPayload::default() };
        self.reply_to_round(dht, key, &round, answer, None);
    }

    pub(super) fn server_punch_over(&mut self, dht: &mut Dht, key: Key, now: Duration) {
        self.end_puncher(dht, Side::Server(key), None, now);
        self.passive_timeout(dht, key, now);
    }
}
