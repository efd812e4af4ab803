//! Requests in flight: transaction ids, retries, timeouts, the window (`dht-rpc/lib/io.js`).
//!
//! A request is *queued* while the window is full, *waiting* after it was sent, and over when a reply with
//! its transaction id comes from the address it was sent to (a reply from elsewhere is ignored), or when it
//! was sent `1 + retries` times without one. `O` says who wants the result.

use crate::addr::NodeId;
use crate::event::{SocketKind, Stats, Transmit};
use crate::rng::{Entropy, Rng};
use crate::rpc::adaptive::AdaptiveTimeout;
use crate::rpc::command;
use crate::rpc::congestion::Congestion;
use crate::rpc::tokens::Tokens;
use crate::rpc::wire::{ReplyMessage, RequestMessage, Token};
use crate::{Busy, RequestId};
use bosc_format::crypto::keyed_hash;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// How long a reply is waited for when timeouts do not adapt.
const TIMEOUT: Duration = Duration::from_millis(1000);

/// A request to send.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing<O> {
    pub(crate) to: SocketAddrV4,
    /// Its id, when it is a node of the table: it is dropped from there if it does not reply.
    pub(crate) node: Option<NodeId>,
    pub(crate) token: Option<Token>,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) target: Option<NodeId>,
    pub(crate) value: Option<Bytes>,
    pub(crate) socket: Option<SocketKind>,
    pub(crate) ttl: Option<u8>,
    pub(crate) retries: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) owner: O,
}

impl<O> Outgoing<O> {
    pub(crate) fn new(to: SocketAddrV4, command: u64, owner: O) -> Self {
        Self {
            to,
            node: None,
            token: None,
            internal: false,
            command,
            target: None,
            value: None,
            socket: None,
            ttl: None,
            retries: 3,
            timeout: None,
            owner,
        }
    }

    pub(crate) fn internal(to: SocketAddrV4, command: u64, owner: O) -> Self {
        Self { internal: true, ..Self::new(to, command, owner) }
    }
}

impl<O> Inflight<O> {
    /// The node that is asked asks another one: the round trip to it says little about the reply's.
    fn is_passed_on(&self) -> bool {
        !self.internal && self.command == command::PEER_HANDSHAKE
    }
}

#[derive(Debug)]
struct Inflight<O> {
    id: RequestId,
    to: SocketAddrV4,
    node: Option<NodeId>,
    socket: SocketKind,
    bytes: Bytes,
    ttl: Option<u8>,
    internal: bool,
    command: u64,
    sent: u32,
    retries: u32,
    timeout: Option<Duration>,
    sent_at: Duration,
    deadline: Option<Duration>,
    cycled: bool,
    owner: O,
}

/// A request that is over.
#[derive(Debug)]
pub(crate) struct Finished<O> {
    pub(crate) id: RequestId,
    pub(crate) to: SocketAddrV4,
    pub(crate) node: Option<NodeId>,
    /// Whether it had been reported as slow.
    pub(crate) slow: bool,
    pub(crate) rtt: Duration,
    pub(crate) owner: O,
}

/// What a deadline brought.
#[derive(Debug)]
pub(crate) enum Expired<O> {
    /// The first wait of a request is over and it was sent again.
    Slow(O),
    /// Nobody answered.
    TimedOut(Finished<O>),
}

#[derive(Debug)]
pub(crate) struct IoConfig {
    pub(crate) max_inflight: usize,
    pub(crate) max_window: usize,
    pub(crate) max_transmits: usize,
    pub(crate) adaptive: bool,
    pub(crate) firewalled: bool,
}

pub(crate) struct Io<O> {
    inflight: HashMap<u16, Inflight<O>>,
    deadlines: BTreeSet<(Duration, u16)>,
    queue: VecDeque<RequestId>,
    out: VecDeque<Transmit>,
    congestion: Congestion,
    tokens: Tokens,
    adaptive: Option<AdaptiveTimeout>,
    tid_secret: [u8; 32],
    count: u64,
    max_inflight: usize,
    max_transmits: usize,
    /// Our id, sent along from the server socket; `None` while ephemeral.
    pub(crate) identity: Option<NodeId>,
    pub(crate) firewalled: bool,
    pub(crate) stats: Stats,
}

impl<O: Copy> Io<O> {
    pub(crate) fn new(config: &IoConfig, entropy: &mut Entropy, now: Duration) -> Self {
        let mut tid_secret = [0; 32];
        entropy(&mut tid_secret);
        Self {
            inflight: HashMap::new(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            out: VecDeque::new(),
            congestion: Congestion::new(config.max_window, now),
            tokens: Tokens::new(entropy, now),
            adaptive: config.adaptive.then(|| AdaptiveTimeout::new(now)),
            tid_secret,
            count: 0,
            max_inflight: config.max_inflight.clamp(1, 32_768),
            max_transmits: config.max_transmits.max(1),
            identity: None,
            firewalled: config.firewalled,
            stats: Stats::default(),
        }
    }

    /// The socket our requests leave from, and the only one whose traffic says something about our NAT.
    pub(crate) fn expected_socket(&self) -> SocketKind {
        if self.firewalled { SocketKind::Client } else { SocketKind::Server }
    }

    pub(crate) fn active(&self) -> usize {
        self.inflight.len()
    }

    fn identity_for(&self, socket: SocketKind) -> Option<NodeId> {
        self.identity.filter(|_| socket == SocketKind::Server)
    }

    pub(crate) fn transmit(&mut self, socket: SocketKind, to: SocketAddrV4, bytes: Bytes, ttl: Option<u8>) {
        if self.out.len() >= self.max_transmits || !crate::addr::is_sendable(to) {
            self.stats.dropped += 1;
            return;
        }
        self.stats.datagrams_sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        self.out.push_back(Transmit { socket, to, bytes, ttl });
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    pub(crate) fn token(&mut self, host: &Ipv4Addr, entropy: &mut Entropy, now: Duration) -> Token {
        self.tokens.advance(entropy, now);
        self.tokens.issue(host)
    }

    pub(crate) fn check_token(
        &mut self,
        host: &Ipv4Addr,
        token: &Token,
        entropy: &mut Entropy,
        now: Duration,
    ) -> bool {
        self.tokens.advance(entropy, now);
        self.tokens.check(host, token)
    }

    /// Starts a request.
    pub(crate) fn request(
        &mut self,
        out: Outgoing<O>,
        rng: &mut Rng,
        now: Duration,
    ) -> Result<RequestId, Busy> {
        if self.inflight.len() >= self.max_inflight {
            return Err(Busy);
        }
        self.count += 1;
        // Not to be guessed, so that who does not see our requests cannot answer them.
        let [lo, hi, ..] = keyed_hash(&self.tid_secret, &[&self.count.to_le_bytes()]);
        let mut tid = u16::from_le_bytes([lo, hi]);
        while self.inflight.contains_key(&tid) {
            tid = tid.wrapping_add(1);
        }
        let id = RequestId(self.count << 16 | u64::from(tid));
        let socket = out.socket.unwrap_or_else(|| self.expected_socket());
        let bytes = RequestMessage {
            tid,
            to: out.to,
            id: self.identity_for(socket),
            token: out.token,
            internal: out.internal,
            command: out.command,
            target: out.target,
            value: out.value.as_deref(),
        }
        .encode();
        self.inflight.insert(
            tid,
            Inflight {
                id,
                to: out.to,
                node: out.node,
                socket,
                bytes,
                ttl: out.ttl,
                internal: out.internal,
                command: out.command,
                sent: 0,
                retries: out.retries,
                timeout: out.timeout,
                sent_at: now,
                deadline: None,
                cycled: false,
                owner: out.owner,
            },
        );
        self.stats.requests += 1;
        if out.internal {
            self.stats.count_internal(out.command, true);
        }
        self.congestion.advance(now);
        self.send(id, rng, now);
        Ok(id)
    }

    fn send(&mut self, id: RequestId, rng: &mut Rng, now: Duration) {
        if self.congestion.is_full() {
            self.queue.push_back(id);
        } else {
            self.send_now(id, rng, now);
        }
    }

    fn send_now(&mut self, id: RequestId, rng: &mut Rng, now: Duration) {
        let Some(req) = self.inflight.get_mut(&id.tid()).filter(|r| r.id == id) else { return };
        req.sent += 1;
        req.sent_at = now;
        let wait = match (req.timeout, &mut self.adaptive) {
            (Some(fixed), _) => fixed,
            (None, Some(a)) if req.is_passed_on() => a.wait_relayed(req.to, req.sent, now),
            (None, Some(a)) => a.wait(req.to, req.sent, rng, now),
            (None, None) => TIMEOUT,
        };
        let deadline = now.saturating_add(wait);
        if let Some(old) = req.deadline.replace(deadline) {
            self.deadlines.remove(&(old, id.tid()));
        }
        self.deadlines.insert((deadline, id.tid()));
        self.congestion.sent();
        let (socket, to, bytes, ttl) = (req.socket, req.to, req.bytes.clone(), req.ttl);
        self.transmit(socket, to, bytes, ttl);
    }

    /// Sends what waits in the queue, as far as the window allows.
    pub(crate) fn drain(&mut self, rng: &mut Rng, now: Duration) {
        self.congestion.advance(now);
        while !self.congestion.is_full() {
            let Some(id) = self.queue.pop_front() else { return };
            self.send_now(id, rng, now);
        }
    }

    fn take(&mut self, tid: u16) -> Option<Inflight<O>> {
        let req = self.inflight.remove(&tid)?;
        if let Some(deadline) = req.deadline {
            self.deadlines.remove(&(deadline, tid));
        }
        Some(req)
    }

    fn finished(req: &Inflight<O>, rtt: Duration) -> Finished<O> {
        Finished { id: req.id, to: req.to, node: req.node, slow: req.cycled, rtt, owner: req.owner }
    }

    /// The request a reply is for.
    pub(crate) fn on_reply(&mut self, tid: u16, from: SocketAddrV4, now: Duration) -> Option<Finished<O>> {
        if self.inflight.get(&tid).is_none_or(|r| r.to != from || r.sent == 0) {
            self.stats.unexpected += 1;
            return None;
        }
        let req = self.take(tid)?;
        let rtt = now.saturating_sub(req.sent_at);
        if let Some(a) = &mut self.adaptive
            && req.sent <= 2
            && req.timeout.is_none()
            && !req.is_passed_on()
        {
            a.measured(from, rtt, now);
        }
        self.congestion.advance(now);
        self.congestion.answered();
        self.stats.responses += 1;
        if req.internal {
            self.stats.count_internal(req.command, false);
        }
        Some(Self::finished(&req, rtt))
    }

    /// Gives up a request; its owner hears nothing more.
    pub(crate) fn cancel(&mut self, id: RequestId) -> bool {
        if self.inflight.get(&id.tid()).is_none_or(|r| r.id != id) {
            return false;
        }
        let Some(req) = self.take(id.tid()) else { return false };
        if req.sent > 0 {
            self.congestion.answered();
        }
        if req.deadline.is_none() {
            self.queue.retain(|q| *q != id);
        }
        true
    }

    /// How often the request that was sent most often was sent.
    pub(crate) fn most_sent(&self) -> u32 {
        self.inflight.values().map(|req| req.sent).max().unwrap_or(0)
    }

    /// The network is another one: sends everything that was sent and not answered again, as if for the first time.
    pub(crate) fn send_all_again(&mut self, rng: &mut Rng, now: Duration) {
        self.congestion.clear(now);
        let mut again: Vec<RequestId> = self.inflight.values().filter(|r| r.sent > 0).map(|r| r.id).collect();
        again.sort_unstable();
        for id in again {
            let Some(req) = self.inflight.get_mut(&id.tid()) else { continue };
            // One that waits in the queue to be sent again is there already.
            if let Some(deadline) = req.deadline.take() {
                req.sent = 0;
                self.deadlines.remove(&(deadline, id.tid()));
                self.stats.retries += 1;
                self.send(id, rng, now);
            }
        }
    }

    /// Takes any request that is under way, given up.
    pub(crate) fn give_up_one(&mut self) -> Option<Finished<O>> {
        let tid = self.inflight.keys().min().copied()?;
        let req = self.take(tid)?;
        self.queue.retain(|q| *q != req.id);
        self.congestion.answered();
        Some(Self::finished(&req, Duration::ZERO))
    }

    /// The next deadline that has passed. To be called until it gives none.
    pub(crate) fn expire(&mut self, rng: &mut Rng, now: Duration) -> Option<Expired<O>> {
        loop {
            let (deadline, tid) = self.deadlines.first().copied().filter(|(d, _)| *d <= now)?;
            self.deadlines.remove(&(deadline, tid));
            let Some(req) = self.inflight.get_mut(&tid) else { continue };
            req.deadline = None;
            if req.sent > req.retries {
                let Some(req) = self.take(tid) else { continue };
                self.stats.timeouts += 1;
                self.congestion.answered();
                return Some(Expired::TimedOut(Self::finished(&req, Duration::ZERO)));
            }
            self.stats.retries += 1;
            let (id, owner, first) = (req.id, req.owner, !req.cycled);
            req.cycled = true;
            self.congestion.advance(now);
            self.send(id, rng, now);
            if first {
                return Some(Expired::Slow(owner));
            }
        }
    }

    /// When [`Io::expire`] or [`Io::drain`] have something to do.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let deadline = self.deadlines.first().map(|(d, _)| *d);
        let turn = (!self.queue.is_empty()).then(|| self.congestion.next_turn());
        deadline.into_iter().chain(turn).min()
    }

    /// Sends a reply.
    pub(crate) fn reply(&mut self, socket: SocketKind, mut message: ReplyMessage<'_>) {
        message.id = self.identity_for(socket);
        let to = message.to;
        self.transmit(socket, to, message.encode(), None);
    }

    /// Sends a request on, under the transaction id of the one who asked.
    pub(crate) fn relay(&mut self, socket: SocketKind, mut message: RequestMessage<'_>) {
        message.id = self.identity_for(socket);
        let to = message.to;
        self.transmit(socket, to, message.encode(), None);
    }
}

impl RequestId {
    fn tid(self) -> u16 {
        self.0 as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(window: usize) -> (Io<u8>, Rng) {
        let mut entropy: Entropy = Box::new(|b: &mut [u8]| b.fill(9));
        let rng = Rng::new(&mut entropy);
        let config = IoConfig {
            max_inflight: 8,
            max_window: window,
            max_transmits: 100,
            adaptive: false,
            firewalled: true,
        };
        (Io::new(&config, &mut entropy, Duration::ZERO), rng)
    }

    fn to(n: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 99)
    }

    #[test]
    fn a_request_is_sent_again_then_given_up() {
        let (mut io, mut rng) = io(80);
        io.request(Outgoing { retries: 2, ..Outgoing::new(to(1), 0, 5) }, &mut rng, Duration::ZERO).unwrap();
        assert_eq!(io.next_timeout(), Some(TIMEOUT));
        assert!(io.expire(&mut rng, Duration::from_millis(999)).is_none());
        assert!(matches!(io.expire(&mut rng, Duration::from_millis(1000)), Some(Expired::Slow(5))));
        assert!(io.expire(&mut rng, Duration::from_millis(2000)).is_none());
        let Some(Expired::TimedOut(f)) = io.expire(&mut rng, Duration::from_millis(3000)) else { panic!() };
        assert!(f.slow && f.owner == 5);
        assert_eq!(std::iter::from_fn(|| io.poll_transmit()).count(), 3);
        assert_eq!((io.active(), io.next_timeout()), (0, None));
    }

    #[test]
    fn only_the_one_asked_can_answer() {
        let (mut io, mut rng) = io(80);
        let id = io.request(Outgoing::new(to(1), 0, 5), &mut rng, Duration::ZERO).unwrap();
        assert!(io.on_reply(id.tid(), to(2), Duration::ZERO).is_none());
        assert!(io.on_reply(id.tid().wrapping_add(1), to(1), Duration::ZERO).is_none());
        assert!(io.on_reply(id.tid(), to(1), Duration::ZERO).is_some());
        assert!(io.on_reply(id.tid(), to(1), Duration::ZERO).is_none());
    }

    #[test]
    fn the_window_holds_back_and_the_table_of_requests_is_bounded() {
        let (mut io, mut rng) = io(2);
        let ids: Vec<_> = (0..8)
            .map(|n| io.request(Outgoing::new(to(n), 0, n), &mut rng, Duration::ZERO).unwrap())
            .collect();
        assert_eq!(io.request(Outgoing::new(to(9), 0, 9), &mut rng, Duration::ZERO), Err(Busy));
        assert_eq!(std::iter::from_fn(|| io.poll_transmit()).count(), 2);
        assert!(io.cancel(ids[2]) && !io.cancel(ids[2]));
        assert_eq!(io.next_timeout(), Some(Duration::from_millis(750)));
        io.drain(&mut rng, Duration::from_millis(750));
        let sent: Vec<_> = std::iter::from_fn(|| io.poll_transmit()).map(|t| t.to).collect();
        assert_eq!(sent, [to(3), to(4)]);
        assert!(io.on_reply(ids[7].tid(), to(7), Duration::ZERO).is_none(), "not asked yet");
    }
}
