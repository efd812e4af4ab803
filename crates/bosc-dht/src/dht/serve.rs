//! Answering others.
//!
//! Invariant: a value over [`PLAIN_VALUE`] bytes goes to no address that has not shown that it receives there. A request with a token of
//! ours shows it. Who sent none, as JavaScript clients, is pinged where it asks from, and gets the value when it answers:
//! a round trip later, and under the transaction id of its request. So nobody can make us send such values to others.

use super::Dht;
use super::owner::Owner;
use crate::RequestId;
use crate::addr::{self, NodeId};
use crate::error_code::{INVALID_TOKEN, UNKNOWN_COMMAND};
use crate::event::{Event, IncomingRequest, SocketKind};
use crate::records::store::{Answer, Context};
use crate::router::Route;
use crate::rpc::io::Outgoing;
use crate::rpc::wire::{ReplyMessage, RequestMessage};
use crate::rpc::{command, internal};
use crate::table::K;
use bosc_format::codec::Decoder;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Longest delay of a delayed ping.
const MAX_PING_DELAY: Duration = Duration::from_secs(10);

/// Longest value that goes to whoever asks, in bytes: what HyperDHT's documentation allows, and what fits into a datagram on every path.
const PLAIN_VALUE: usize = 1000;
/// Most larger ones that wait for who asked; the oldest makes room.
const MAX_UNPROVED: usize = 32;

/// A large value for who asked, if it is there.
#[derive(Debug)]
pub(super) struct LargeAnswer {
    answering: Answering,
    value: Bytes,
    ping: RequestId,
}

/// A ping to be answered later.
#[derive(Debug)]
pub(super) struct DelayedPing {
    socket: SocketKind,
    from: SocketAddrV4,
    tid: u16,
}

/// What a reply says besides its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answering {
    pub(super) socket: SocketKind,
    pub(super) to: SocketAddrV4,
    pub(super) tid: u16,
    pub(super) token: bool,
    /// Name nodes close to this place.
    pub(super) closer: Option<NodeId>,
    pub(super) error: u64,
}

impl Dht {
    pub(super) fn answer(&mut self, a: Answering, value: Option<&[u8]>, now: Duration) {
        let token = a.token.then(|| self.io.token(a.to.ip(), &mut self.entropy, now));
        let closer = a.closer.map(|t| self.table.closest(&t, K)).unwrap_or_default();
        let closer = closer.into_iter().map(|(_, addr)| addr).collect();
        let message = ReplyMessage { tid: a.tid, to: a.to, id: None, token, closer, error: a.error, value };
        self.io.reply(a.socket, message);
    }

    pub(super) fn on_request(
        &mut self,
        socket: SocketKind,
        from: SocketAddrV4,
        message: &RequestMessage<'_>,
        now: Duration,
    ) {
        self.io.stats.served += 1;
        let tid = message.tid;
        let plain = Answering { socket, to: from, tid, token: false, closer: None, error: 0 };
        if let Some(token) = &message.token
            && !self.io.check_token(from.ip(), token, &mut self.entropy, now)
        {
            let a = Answering { token: true, closer: message.target, error: INVALID_TOKEN, ..plain };
            self.answer(a, None, now);
            return;
        }
        if message.id.is_some() {
            let sample = socket == self.io.expected_socket();
            self.heard_from(from, message.id, Some(message.to).filter(|_| sample), now);
        }
        if message.internal {
            self.on_internal(plain, message, now);
            return;
        }
        let request = IncomingRequest {
            socket,
            from,
            from_id: message.id,
            to: message.to,
            tid,
            command: message.command,
            target: message.target,
            token: message.token,
            value: message.value.map(Bytes::copy_from_slice),
        };
        match message.command {
            command::PEER_HANDSHAKE => {
                let route = self.router.handshake(request.target.as_ref(), from, message.value, now);
                self.follow(route, request, now);
            }
            command::PEER_HOLEPUNCH => {
                let route = self.router.holepunch(request.target.as_ref(), from, message.value, now);
                self.follow(route, request, now);
            }
            _ => self.on_store(plain, &request, now),
        }
    }

    fn on_internal(&mut self, plain: Answering, message: &RequestMessage<'_>, now: Duration) {
        match message.command {
            internal::PING => self.answer(plain, None, now),
            internal::PING_NAT => {
                let port = message.value.and_then(|v| Decoder::new(v).u16().ok()).unwrap_or(0);
                if port != 0 {
                    let to = SocketAddrV4::new(*plain.to.ip(), port);
                    self.answer(Answering { to, ..plain }, None, now);
                }
            }
            internal::FIND_NODE => {
                if message.target.is_some() {
                    self.answer(Answering { closer: message.target, ..plain }, None, now);
                }
            }
            internal::DOWN_HINT => {
                let down = message.value.and_then(|v| addr::get_address(&mut Decoder::new(v)).ok());
                if let Some(down) = down {
                    self.on_down_hint(down, now);
                    self.answer(plain, None, now);
                }
            }
            internal::DELAYED_PING => {
                let ms = message.value.and_then(|v| Decoder::new(v).u32().ok());
                let delay = ms.map(|ms| Duration::from_millis(u64::from(ms)));
                if let Some(delay) = delay.filter(|d| *d <= MAX_PING_DELAY)
                    && self.delayed.len() < self.limits.max_delayed_pings
                {
                    let key = (now + delay, self.next_id());
                    let ping = DelayedPing { socket: plain.socket, from: plain.to, tid: plain.tid };
                    self.delayed.insert(key, ping);
                }
            }
            _ => {
                let a = Answering { closer: message.target, error: UNKNOWN_COMMAND, ..plain };
                self.answer(a, None, now);
            }
        }
    }

    pub(super) fn answer_delayed(&mut self, now: Duration) {
        while let Some(entry) = self.delayed.first_entry().filter(|e| e.key().0 <= now) {
            let DelayedPing { socket, from, tid } = entry.remove();
            let a = Answering { socket, to: from, tid, token: false, closer: None, error: 0 };
            self.answer(a, None, now);
        }
    }

    fn on_down_hint(&mut self, down: SocketAddrV4, now: Duration) {
        if self.checks >= super::tick::MAX_CHECKS {
            return;
        }
        let tick = self.tick;
        let id = addr::node_id(down);
        if let Some(node) = self.table.get_mut(&id)
            && (node.pinged < tick || node.down_hints == 0)
        {
            node.down_hints = node.down_hints.saturating_add(1);
            self.check_node(&id, now);
        }
    }

    fn follow(&mut self, route: Route, request: IncomingRequest, now: Duration) {
        let (socket, tid, target) = (request.socket, request.tid, request.target);
        let a = Answering { socket, to: request.from, tid, token: false, closer: None, error: 0 };
        match route {
            Route::Up => {
                if self.events.len() < self.limits.max_events {
                    self.events.push_back(Event::Request(request));
                } else {
                    self.io.stats.dropped += 1;
                }
            }
            Route::Relay(to, value) => self.relay(&request, &value, to, None),
            Route::Reply(to, value) => self.answer(Answering { to, ..a }, Some(&value), now),
            Route::Closer => self.answer(Answering { closer: target, ..a }, None, now),
            Route::Drop => {}
        }
    }

    fn on_store(&mut self, plain: Answering, request: &IncomingRequest, now: Duration) {
        let target = request.target;
        let answer = match self.id() {
            None => Answer::Error(UNKNOWN_COMMAND),
            Some(own_id) => {
                let unix = self.unix_time.saturating_add(now).as_millis();
                let mut cx = Context {
                    own_id: &own_id,
                    router: &mut self.router,
                    rng: &mut self.rng,
                    unix_ms: u64::try_from(unix).unwrap_or(u64::MAX),
                    now,
                };
                self.store.answer(request, &mut cx)
            }
        };
        match answer {
            Answer::Silence => {}
            Answer::Stored => self.answer(plain, None, now),
            Answer::Error(error) => self.answer(Answering { closer: target, error, ..plain }, None, now),
            Answer::Value(value) => {
                let a = Answering { token: true, closer: target, ..plain };
                let values = matches!(request.command, command::MUTABLE_GET | command::IMMUTABLE_GET);
                match value {
                    Some(v) if values && v.len() > PLAIN_VALUE && request.token.is_none() => {
                        self.answer_if_there(a, v, now);
                    }
                    value => self.answer(a, value.as_deref(), now),
                }
            }
        }
    }

    /// Pings who asked for a large value.
    fn answer_if_there(&mut self, answering: Answering, value: Bytes, now: Duration) {
        if self.unproved.len() >= MAX_UNPROVED
            && let Some((_, oldest)) = self.unproved.pop_first()
        {
            self.io.cancel(oldest.ping);
        }
        let n = self.next_id();
        let ping = Outgoing {
            socket: Some(answering.socket),
            retries: 0,
            ..Outgoing::internal(answering.to, internal::PING, Owner::Receives(n))
        };
        if let Ok(ping) = self.send(ping, now) {
            self.unproved.insert(n, LargeAnswer { answering, value, ping });
        }
    }

    /// Who asked for a large value answered our ping, or did not.
    pub(super) fn receives(&mut self, n: u64, there: bool, now: Duration) {
        if let Some(LargeAnswer { answering, value, .. }) = self.unproved.remove(&n)
            && there
        {
            self.answer(answering, Some(&value), now);
        }
    }
}
