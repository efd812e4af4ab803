//! The connecting side agrees on a punch (`probeRound` and `roundPunch` of `hyperdht/lib/connect.js`).
//!
//! ```text
//! Probe --reply--> (a second, if they know nothing yet) --> Analyze --> Punch --reply--> Punching
//!   ^                                                         |  another socket: once more
//!   '---------------------------------------------------------'
//! ```
//!
//! The first round goes through a relay that the listening side chose, which so proves that we are where its token is sent. The second goes through
//! the relay that we chose, and brings that token back.

use super::super::Connector;
use super::super::event::ConnectError;
use super::super::names::{Asker, ConnectId, Side, Timer};
use super::super::payload::{HolepunchPayload, error, firewall};
use super::super::secure::{Answered, SecurePayload};
use super::bounds::LOW_TTL;
use crate::event::{Relay, Reply, SocketKind};
use crate::messages::{Holepunch, mode};
use crate::rpc::command;
use crate::{Dht, Request, RequestId};
use std::net::SocketAddrV4;
use std::time::Duration;

/// How long is waited for a listening side that does not know its NAT yet.
const REMOTE_UNKNOWN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The reply to the first round is waited for.
    Probe,
    /// A second for the other side.
    Pause,
    /// Our own NAT is not known yet.
    Analyze,
    /// Nor is that of another socket.
    Reopened,
    /// The reply to the second round is waited for.
    Punch,
    Punching,
}

/// The rounds of one connection.
#[derive(Debug)]
pub(in super::super) struct Rounds {
    id: u64,
    /// Who relayed our handshake.
    client_relay: SocketAddrV4,
    /// Who relays for them, and they as that node sees them.
    server_relay: Relay,
    /// They as our relay sees them.
    server: SocketAddrV4,
    secure: SecurePayload,
    round: u64,
    step: Step,
    request: Option<RequestId>,
    /// Whether the first round may be asked a second time.
    again: bool,
    /// What they want to have shown back, and where they say they are now.
    their_token: Option<[u8; 32]>,
    peer: Option<SocketAddrV4>,
    /// What we want to have shown back, and from where.
    our_token: Option<([u8; 32], SocketAddrV4)>,
}

impl Rounds {
    pub(in super::super) fn request(&self) -> Option<RequestId> {
        self.request
    }
}

impl Connector {
    /// Begins to punch to who answered: `relay` passed the handshake on and sees the other side at `server`.
    pub(in super::super) fn start_rounds(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        relay: SocketAddrV4,
        server: SocketAddrV4,
        now: Duration,
    ) {
        let local = self.random();
        let Some((answered, rounds)) = self.client_rounds(id) else { return };
        let info = answered.payload.holepunch.as_ref();
        let sendable = |r: &&Relay| crate::addr::is_sendable(r.relay_address);
        let usable = || info.into_iter().flat_map(|h| &h.relays).filter(sendable);
        let chosen = usable().find(|r| r.relay_address == relay).or_else(|| usable().next()).copied();
        let (Some(info), Some(server_relay)) = (info, chosen) else {
            self.fail(dht, id, ConnectError::CannotHolepunch, now);
            return;
        };
        *rounds = Some(Rounds {
            id: info.id,
            client_relay: relay,
            server_relay,
            server,
            secure: SecurePayload::new(&answered.handshake.hash, local),
            round: 0,
            step: Step::Probe,
            request: None,
            again: true,
            their_token: None,
            peer: None,
            our_token: None,
        });
        let kind = answered.payload.firewall;
        if !self.new_puncher(dht, Side::Client(id), kind, now) {
            self.fail(dht, id, ConnectError::Busy, now);
            return;
        }
        self.probe_round(dht, id, now);
    }

    fn client_rounds(&mut self, id: ConnectId) -> Option<(&Answered, &mut Option<Rounds>)> {
        let c = self.clients.get_mut(&id)?;
        Some((c.answered.as_deref()?, &mut c.rounds))
    }

    fn rounds(&mut self, id: ConnectId) -> Option<&mut Rounds> {
        self.clients.get_mut(&id)?.rounds.as_mut()
    }

    fn probe_round(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        let Some(rounds) = self.rounds(id) else { return };
        rounds.step = Step::Probe;
        let (server, relay) = (rounds.server, rounds.server_relay);
        self.open_session(dht, id, server);
        let payload = HolepunchPayload { remote_address: Some(server), ..HolepunchPayload::default() };
        self.send_round(dht, id, relay.relay_address, relay.peer_address, payload, now);
    }

    /// Lets answers from an address in through our NAT.
    fn open_session(&mut self, dht: &mut Dht, id: ConnectId, to: SocketAddrV4) {
        if let Some(p) = self.punchers.get(&Side::Client(id))
            && crate::addr::is_sendable(to)
        {
            dht.probe(p.socket(), to, Some(LOW_TTL));
        }
    }

    /// Sends a round, with what we know of our NAT unless it is an error.
    fn send_round(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        relay: SocketAddrV4,
        peer: SocketAddrV4,
        mut payload: HolepunchPayload,
        now: Duration,
    ) {
        let nonce = self.random();
        let Some(p) = self.punchers.get(&Side::Client(id)) else { return };
        let socket = p.socket();
        if payload.error == error::NONE {
            payload.firewall = p.nat.firewall();
            payload.addresses = p.nat.addresses().map(<[_]>::to_vec);
        }
        let Some(c) = self.clients.get_mut(&id) else { return };
        let Some(rounds) = &mut c.rounds else { return };
        payload.round = rounds.round;
        rounds.round += 1;
        let value = Holepunch {
            mode: mode::FROM_CLIENT,
            id: rounds.id,
            payload: rounds.secure.seal(&payload, nonce).into(),
            peer_address: Some(peer),
        };
        let request = Request {
            target: Some(c.target),
            value: Some(value.encode().into()),
            socket: Some(socket),
            ..Request::new(relay, command::PEER_HOLEPUNCH)
        };
        match dht.request(request, now) {
            // Nobody waits for what is said to a "no".
            Ok(_) if payload.error != error::NONE => {}
            Ok(request) => {
                rounds.request = Some(request);
                self.requests.insert(request, Asker::Client(id));
            }
            Err(_) => self.fail(dht, id, ConnectError::Busy, now),
        }
    }

    /// The reply to a round.
    pub(in super::super) fn round_replied(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        reply: &Reply,
        now: Duration,
    ) {
        let Some(rounds) = self.rounds(id) else { return };
        rounds.request = None;
        let answer = reply.value.as_ref().and_then(|v| Holepunch::decode(v).ok());
        let answer = answer.filter(|a| a.mode == mode::REPLY);
        let read = answer.and_then(|a| Some((rounds.secure.open(&a.payload)?, a.peer_address)));
        let Some((said, peer)) = read else {
            self.fail(dht, id, ConnectError::HolepunchFailed, now);
            return;
        };
        if said.error != error::NONE {
            let error = match said.error {
                error::TRY_LATER => ConnectError::Busy,
                _ => ConnectError::HolepunchFailed,
            };
            self.fail(dht, id, error, now);
            return;
        }
        let verified = rounds.our_token.filter(|(ours, _)| said.remote_token == Some(*ours));
        let step = rounds.step;
        if step == Step::Probe {
            rounds.their_token = said.token;
            rounds.peer = Some(peer.unwrap_or(reply.from));
        }
        let Some(p) = self.punchers.get_mut(&Side::Client(id)) else { return };
        p.update_remote(said.firewall, said.addresses, said.punching, verified.map(|(_, at)| *at.ip()));
        match step {
            Step::Probe => {
                p.nat.add(reply.to, reply.from);
                let unknown = p.remote_firewall == firewall::UNKNOWN;
                let next = if unknown { Step::Pause } else { Step::Analyze };
                if let Some(rounds) = self.rounds(id) {
                    rounds.step = next;
                }
                if unknown {
                    self.at(now.saturating_add(REMOTE_UNKNOWN), Timer::Rounds(id));
                } else {
                    self.client_nat_decided(dht, id, now);
                }
            }
            Step::Punch if !p.remote_punching => self.fail(dht, id, ConnectError::HolepunchFailed, now),
            Step::Punch => {
                if let Some(rounds) = self.rounds(id) {
                    rounds.step = Step::Punching;
                }
                if !self.punch(dht, Side::Client(id), now) {
                    self.fail(dht, id, ConnectError::CannotHolepunch, now);
                }
            }
            _ => {}
        }
    }

    /// The second for the other side is over.
    pub(in super::super) fn rounds_pause_over(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        if let Some(rounds) = self.rounds(id).filter(|r| r.step == Step::Pause) {
            rounds.step = Step::Analyze;
            self.client_nat_decided(dht, id, now);
        }
    }

    /// Goes on where our own NAT is known as well as it will be.
    pub(super) fn client_nat_decided(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        let side = Side::Client(id);
        let Some(p) = self.punchers.get(&side).filter(|p| p.nat.is_decided()) else { return };
        let (own, theirs, unstable) = (p.nat.firewall(), p.remote_firewall, p.is_unstable());
        let Some(rounds) = self.rounds(id) else { return };
        let reopened = match rounds.step {
            Step::Analyze => false,
            Step::Reopened => true,
            _ => return,
        };
        if unstable {
            // Before the other socket's samples: they may be there at once.
            rounds.step = Step::Reopened;
            if self.reopen(dht, side, now) {
                return;
            }
        } else if reopened && own == firewall::CONSISTENT {
            rounds.again = false;
            self.probe_round(dht, id, now);
            return;
        }
        let Some(rounds) = self.rounds(id) else { return };
        if (theirs == firewall::UNKNOWN || rounds.their_token.is_none()) && std::mem::take(&mut rounds.again)
        {
            self.probe_round(dht, id, now);
        } else if theirs == firewall::UNKNOWN || own == firewall::UNKNOWN {
            self.give_up(dht, id, ConnectError::HolepunchFailed, now);
        } else if theirs >= firewall::RANDOM && own >= firewall::RANDOM {
            self.give_up(dht, id, ConnectError::BothNatsRandom, now);
        } else {
            self.punch_round(dht, id, now);
        }
    }

    fn punch_round(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        let side = Side::Client(id);
        let Some(rounds) = self.rounds(id) else { return };
        rounds.step = Step::Punch;
        if let Some(peer) = rounds.peer
            && rounds.server_relay.relay_address == rounds.client_relay
            && peer != rounds.server
        {
            // They changed their socket.
            rounds.server = peer;
            self.open_session(dht, id, peer);
        }
        let random = self.punchers.get_mut(&side).is_some_and(|p| {
            // What was told must not change any more.
            p.nat.freeze();
            p.remote_firewall >= firewall::RANDOM || p.nat.firewall() >= firewall::RANDOM
        });
        if random && self.is_random_busy(now) {
            self.give_up(dht, id, ConnectError::Busy, now);
            return;
        }
        let Some(rounds) = self.rounds(id) else { return };
        let (server, relay) = (rounds.server, rounds.client_relay);
        let token = rounds.secure.token(*server.ip());
        rounds.our_token = Some((token, server));
        let payload = HolepunchPayload {
            punching: true,
            token: Some(token),
            remote_token: rounds.their_token,
            ..HolepunchPayload::default()
        };
        self.send_round(dht, id, relay, server, payload, now);
    }

    /// Tells the other side that nothing will come, and fails.
    fn give_up(&mut self, dht: &mut Dht, id: ConnectId, error: ConnectError, now: Duration) {
        if let Some(rounds) = self.rounds(id) {
            let relay = rounds.server_relay;
            let payload = HolepunchPayload { error: error::ABORTED, ..HolepunchPayload::default() };
            self.send_round(dht, id, relay.relay_address, relay.peer_address, payload, now);
        }
        self.fail(dht, id, error, now);
    }

    /// A probe of the other side arrived.
    pub(super) fn client_probed(
        &mut self,
        dht: &mut Dht,
        id: ConnectId,
        socket: SocketKind,
        from: SocketAddrV4,
        now: Duration,
    ) {
        if self.clients.get(&id).is_some_and(|c| c.answered.is_some()) {
            self.connected(dht, id, socket, from, now);
        }
    }

    pub(super) fn client_punch_over(&mut self, dht: &mut Dht, id: ConnectId, now: Duration) {
        self.fail(dht, id, ConnectError::HolepunchFailed, now);
    }
}
