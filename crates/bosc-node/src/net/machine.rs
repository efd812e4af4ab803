//! Everything the net thread decides, without a socket, a clock or a thread: DHT, handshakes, UDX streams, encryption,
//! and which peers to connect to.
//!
//! ```text
//!   datagrams, FromLive, joins and leaves --> NetMachine --> datagrams, FromNet, a NetStatus
//!                                                 ^
//!                                                 `-- now, next_timeout
//! ```
//!
//! A connection's life:
//!
//! ```text
//! dialled or accepted handshake -> UDX stream and secret stream -> header of the other side arrived: open
//!   -> given to the live machine -> closed by either side, by a duplicate, or by silence
//! ```
//!
//! How it is driven: give it what came in, call [`NetMachine::work`], then take everything from
//! [`NetMachine::poll_live`], [`NetMachine::poll_datagram`], [`NetMachine::poll_stream`] and then [`NetMachine::poll_unused`]; come back at
//! [`NetMachine::next_timeout`] or with the next input.
//!
//! Invariants:
//! * A connection that is not open within [`OPEN_TIMEOUT`] is dropped; at most [`MAX_UNOPENED`] of others wait for that. The
//!   oldest makes room, one from which no packet of its stream came first. From [`PRESSED`] of them on a peer that asks directly
//!   gets a stream only when it sends a packet to it, and one that we have to write to first has [`FIRST_WAIT`]: what one
//!   forged datagram makes is cheap and keeps nobody out.
//! * Every link has a stream. A stream outlives its link only for as long as it takes to say good-bye.
//! * Frames wait unencrypted (sharing memory with their blocks) until the stream takes them; how many may wait is
//!   bounded by [`Credit`].
//! * The same inputs at the same times give the same outputs, byte by byte: nothing iterates over a hash map, and
//!   randomness comes from the given entropy.
//! * At rest it asks to be woken by what a protocol demands and by nothing else; see the crate's documentation for what
//!   that is. Keep-alives that are due soon go out with the first one that is due, or in answer to the other side's.
//!
//! [`NetMachine`] is the state that the files beside it share.

use super::connection::{Connection, Query};
use super::dialer::{Dialer, Way};
use super::facts::Facts;
use super::lan::{Found, Lan, Outgoing as LanPacket};
use super::life::Rest;
use super::meter::Meter;
use super::records::Records;
use super::relay::RelaySetup;
use super::relay::client::Relays;
use super::relay::offer::Offers;
use super::relay::server::RelayServer;
use super::relay::session::Session;
use super::share::Share;
use super::tags::{kind, tag};
use crate::between::{FromLive, FromNet};
use crate::credit::{Bounds, Credit};
use crate::mapping::MappedBy;
use crate::swarm::{Action, ConnId, Limits, Part, Swarm, Topic};
use bosc_dht::{Dht, Entropy, ListenId, QueryId, SocketKind};
use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_udx::{Dispatch, SocketTag, StreamTable};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a connection may take from the end of its handshake to the first bytes of the other side.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(12);
/// Most connections of others waiting for that.
pub(super) const MAX_UNOPENED: usize = 1024;
/// From so many of them on addresses that nobody has proved get no stream.
pub(super) const PRESSED: usize = 64;
/// How long one of them may then take to its first packet. Who is there answers within a round trip; three of its packets fit in.
pub(super) const FIRST_WAIT: Duration = Duration::from_secs(3);

/// A datagram to send, but of a stream.
#[derive(Debug)]
pub struct Datagram {
    /// From which socket. One of the pool is bound when something is sent from it for the first time.
    pub socket: SocketTag,
    /// Where to.
    pub to: SocketAddrV4,
    /// All of it.
    pub bytes: Bytes,
    /// The IP time to live; `None`: the system's own.
    pub ttl: Option<u8>,
}

/// Sizes that a simulation makes small, so that they are reached.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Of what waits for a connection.
    pub credit: Bounds,
    /// Bytes a stream takes before the network has taken them.
    pub send_buffer: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { credit: Bounds::default(), send_buffer: 512 << 10 }
    }
}

/// How a machine is made.
pub struct NetSetup {
    /// Others know us by it.
    pub key_pair: KeyPair,
    /// How to take part in the DHT.
    pub dht: bosc_dht::Config,
    /// Of the swarm.
    pub limits: Limits,
    /// Sizes.
    pub tuning: Tuning,
    /// Spreads refreshes and retries in time.
    pub seed: u64,
    /// Blind relays to go through where there is no direct way; one is chosen for each connection.
    pub relay_through: Vec<PublicKey>,
    /// Be a blind relay.
    pub relay: Option<RelaySetup>,
    /// Most bytes a second that all connections together send; none: any.
    pub upload_limit: Option<u64>,
    /// Find peers in the local network and be found there, with this randomness for what is announced.
    pub lan: Option<Entropy>,
    /// Randomness for the DHT, for handshakes and for streams.
    pub entropy: [Entropy; 3],
}

/// What may change without an event that says so, cheap to look at.
/// See the module's documentation.
pub struct NetMachine {
    pub(super) key_pair: KeyPair,
    pub(super) dht: Dht,
    pub(super) dialer: Dialer,
    pub(super) table: StreamTable,
    pub(super) swarm: Swarm,
    pub(super) tuning: Tuning,
    pub(super) entropy: Entropy,
    pub(super) links: BTreeMap<u32, Connection>,
    pub(super) by_conn: BTreeMap<ConnId, u32>,
    pub(super) queries: HashMap<QueryId, Query>,
    pub(super) announced_on: BTreeSet<Topic>,
    pub(super) waiting_announces: BTreeSet<Topic>,
    pub(super) listen: Option<ListenId>,
    pub(super) listening: bool,
    pub(super) offline: bool,
    pub(super) flushed: BTreeSet<Topic>,
    pub(super) to_live: VecDeque<FromNet>,
    pub(super) changed: bool,
    pub(super) closing: Option<Duration>,
    pub(super) rest: Option<Rest>,
    /// Until then the end waits for the other sides' good-byes, too.
    pub(super) closing_soon: Option<Duration>,
    pub(super) broken: u64,
    pub(super) share: Share,
    pub(super) meter: Meter,
    /// Streams on sockets of the pool.
    pub(super) on_pool: BTreeMap<u32, SocketTag>,
    pub(super) unused: VecDeque<SocketTag>,
    /// Whose handshakes are not answered. Shared with the connector, which asks.
    pub(super) banned: Arc<Mutex<BTreeSet<PublicKey>>>,
    pub(super) sessions: BTreeMap<u32, Session>,
    pub(super) relays: Relays,
    pub(super) relay_server: Option<RelayServer>,
    pub(super) relay_through: Vec<PublicKey>,
    pub(super) offers: Offers,
    pub(super) lan: Option<Lan>,
    pub(super) mapping: Option<(SocketAddrV4, MappedBy)>,
    pub(super) mapping_known: bool,
    pub(super) records: Records,
    pub(super) facts: Facts,
}

impl std::fmt::Debug for NetMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetMachine")
            .field("dht", &self.dht)
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl NetMachine {
    /// A machine that starts to find its place in the DHT at once.
    pub fn new(setup: NetSetup, now: Duration) -> Self {
        let NetSetup {
            key_pair,
            dht,
            limits,
            tuning,
            seed,
            relay_through,
            relay,
            upload_limit,
            lan,
            entropy,
        } = setup;
        let [for_dht, for_handshakes, entropy] = entropy;
        let lan = lan.map(|entropy| Lan::new(key_pair.public(), dht.server_port, entropy, now));
        let mut dht = Dht::new(dht, for_dht, now);
        dht.bootstrap(now);
        let mut machine = Self {
            dht,
            dialer: Dialer::new(key_pair.clone(), for_handshakes),
            table: StreamTable::new(),
            swarm: Swarm::new(key_pair.public(), limits, seed),
            key_pair,
            tuning,
            entropy,
            links: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            queries: HashMap::new(),
            announced_on: BTreeSet::new(),
            waiting_announces: BTreeSet::new(),
            listen: None,
            listening: false,
            offline: false,
            flushed: BTreeSet::new(),
            to_live: VecDeque::new(),
            changed: true,
            closing: None,
            rest: None,
            closing_soon: None,
            broken: 0,
            share: Share::default(),
            meter: Meter::new(upload_limit, now),
            on_pool: BTreeMap::new(),
            unused: VecDeque::new(),
            banned: Arc::default(),
            sessions: BTreeMap::new(),
            relays: Relays::default(),
            relay_server: relay.map(|setup| RelayServer::new(setup, now)),
            relay_through,
            offers: Offers::default(),
            lan,
            mapping: None,
            mapping_known: false,
            records: Records::default(),
            facts: Facts::default(),
        };
        machine.start_relay(now);
        machine
    }

    /// A datagram came in on a socket.
    pub fn receive(&mut self, socket: SocketTag, from: SocketAddrV4, datagram: &[u8], now: Duration) {
        if self.is_suspended() {
            return;
        }
        let kind = kind(socket);
        if let (SocketKind::Pool(number), [_]) = (kind, datagram) {
            self.dialer.connector.handle_probe(&mut self.dht, number, from, now);
        } else if bosc_dht::is_dht_datagram(datagram) {
            self.dht.handle_datagram(kind, from, datagram, now);
        } else if self
            .relay_server
            .as_mut()
            .is_some_and(|s| s.table.handle_datagram(socket, SocketAddr::V4(from), datagram, now))
        {
        } else if let Dispatch::Unknown(id) =
            self.table.handle_datagram(socket, SocketAddr::V4(from), datagram, now)
            && !self.came_early(id, socket, SocketAddr::V4(from), datagram)
        {
            self.dialer.packet(&mut self.dht, id, kind, from, datagram, now);
        }
    }

    /// The live side wants something.
    pub fn from_live(&mut self, told: FromLive, now: Duration) {
        match told {
            FromLive::Send { conn, frames } => self.send_frames(conn, frames, now),
            FromLive::Read { conn } => {
                if let Some(id) = self.by_conn.get(&conn).copied() {
                    self.read_stream(id, now);
                }
            }
            FromLive::Close { conn } => self.close_conn(conn, now),
            FromLive::Ban { conn, remote, .. } => {
                self.swarm.ban(&remote, now);
                self.refuse(remote);
                self.close_conn(conn, now);
            }
            FromLive::Shares { conn, topic, shared } => {
                self.swarm.shares(conn, topic, shared, now);
                self.note_sharer(conn, now);
            }
            FromLive::RelayOffered { conn, key } => self.relay_offered(conn, key, now),
            FromLive::Delivered { conn } => self.swarm.delivered(conn, now),
        }
    }

    /// Joins a topic, or changes the part played in it.
    pub fn join(&mut self, topic: Topic, part: Part, now: Duration) {
        if let Some(topics) = self.resting() {
            topics.retain(|(t, _)| *t != topic);
            topics.push((topic, part));
            return;
        }
        if part.server {
            self.start_listening(now);
        }
        if !self.swarm.join(topic, part, now) {
            tracing::warn!("too many topics joined");
            return;
        }
        if let Some(lan) = &mut self.lan {
            lan.join(topic, part, now);
        }
        self.note_flushed(topic);
    }

    /// Leaves a topic and takes the announcement back.
    pub fn leave(&mut self, topic: Topic) {
        if let Some(topics) = self.resting() {
            topics.retain(|(t, _)| *t != topic);
        }
        self.flushed.remove(&topic);
        self.lan.iter_mut().for_each(|lan| lan.leave(&topic));
        self.swarm.leave(&topic);
    }

    /// A packet of multicast DNS came from a host of our network.
    pub fn receive_lan(&mut self, from: Ipv4Addr, packet: &[u8], now: Duration) {
        if self.rest.is_none() && self.closing.is_none() {
            self.lan.iter_mut().for_each(|lan| lan.receive(from, packet, now));
        }
    }

    /// The next packet of multicast DNS to send, on every interface.
    pub(super) fn poll_lan(&mut self) -> Option<LanPacket> {
        self.lan.as_mut()?.poll_transmit()
    }

    /// Peers that were found in the local network are tried as those are that a lookup finds.
    fn lan_work(&mut self, now: Duration) {
        let Some(lan) = &mut self.lan else { return };
        lan.handle_timeout(now);
        while let Some(Found { topic, peer, at }) = lan.poll_found() {
            tracing::debug!(%at, "a peer in the local network");
            self.swarm.peer_found(topic, peer, vec![at], now);
        }
    }

    /// Connects to a peer for its own sake, or no longer. See [`Swarm::name`].
    pub fn name(&mut self, peer: PublicKey, named: bool, now: Duration) {
        self.swarm.name(peer, named, now);
    }

    /// Whether a port of our router would be of use: others see us at a public address, and do not reach us there.
    pub fn wants_mapping(&self) -> bool {
        let behind = self.dht.is_bootstrapped() && self.dht.is_firewalled();
        behind && self.dht.nat().host().is_some_and(bosc_dht::is_public)
    }

    /// What our router maps to the server socket's port; or nothing any more. Used once DHT nodes have reached us there.
    pub fn set_mapping(&mut self, got: Option<(SocketAddrV4, MappedBy)>, now: Duration) {
        self.mapping = got;
        self.mapping_known = true;
        self.changed = true;
        self.dht.set_mapping(got.map(|(at, _)| at), now);
    }

    /// Lets peers connect to our key, whether or not a topic is announced.
    pub fn listen_always(&mut self, now: Duration) {
        if self.resting().is_none() {
            self.start_listening(now);
        }
    }

    /// Looks again; the topic counts as flushed when that is over, and not before.
    pub fn look_again(&mut self, topic: Topic, now: Duration) {
        self.swarm.look_again(&topic, now);
        self.note_flushed(topic);
    }

    fn note_flushed(&mut self, topic: Topic) {
        if !self.swarm.is_flushed(&topic) && self.flushed.remove(&topic) {
            self.changed = true;
        }
    }

    /// Everything that follows from what came in or from time passing.
    pub fn work(&mut self, now: Duration) {
        if self.dht.next_timeout().is_some_and(|t| t <= now) {
            self.dht.handle_timeout(now);
        }
        self.table.handle_timeout(now);
        if self.swarm.next_timeout().is_some_and(|t| t <= now) {
            self.swarm.handle_timeout(now);
        }
        self.dialer.connector.handle_timeout(&mut self.dht, now);
        self.session_timeouts(now);
        self.checks_due(now);
        self.link_timeouts(now);
        self.relay_work(now);
        self.lan_work(now);
        self.metered_writes(now);
        loop {
            self.dialer.connector.press(PRESSED.saturating_sub(self.half_open().count()));
            let mut any = self.dht_events(now);
            any |= self.dial_events(now);
            any |= self.stream_events(now);
            any |= self.actions(now);
            if !any {
                break;
            }
        }
        self.look_at_facts(now);
        self.rest_when_quiet(now);
        self.closing_soon = self.closing_soon.filter(|t| now < *t);
    }

    pub(super) fn network_back(&mut self, now: Duration) {
        tracing::debug!("the network is back");
        if let Some(listen) = self.listen {
            self.dht.renew_listen(listen);
        }
        self.swarm.network_back(now);
        self.actions(now);
    }

    /// When [`NetMachine::work`] has something to do. Right only after everything was taken out.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.is_suspended() {
            return None;
        }
        let all = [
            self.dht.next_timeout(),
            self.check_timeout(),
            self.table.next_timeout(),
            self.swarm.next_timeout(),
            self.dialer.connector.next_timeout(),
            self.link_timeout(),
            self.meter.next_timeout(),
            self.lan.as_ref().and_then(Lan::next_timeout),
            self.session_timeout(),
            self.relay_server.as_ref().and_then(RelayServer::next_timeout),
            self.closing_soon.or(self.closing),
        ];
        all.into_iter().flatten().min()
    }

    fn one_time_key(&mut self) -> KeyPair {
        let mut seed = [0; 32];
        (self.entropy)(&mut seed);
        KeyPair::from_seed(&seed)
    }

    pub(super) fn actions(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(action) = self.swarm.poll_action() {
            any = true;
            match action {
                Action::Discover { topic, announce } => self.discover(topic, announce, now),
                Action::Unannounce { topic } => self.unannounce(topic, now),
                Action::Connect { conn, peer, relays, one_time_key } => {
                    let key = one_time_key.then(|| self.one_time_key());
                    let relay_through = self.choose_relay_to(&peer);
                    let way = Way { relays: &relays, one_time_key: key.as_ref(), relay_through };
                    if !self.dialer.connect(conn, peer, &way, &mut self.dht, now) {
                        self.swarm.closed(conn, now);
                    }
                }
                Action::Close { conn } => self.close_conn(conn, now),
                Action::Flushed { topic } => {
                    self.flushed.insert(topic);
                    self.changed = true;
                }
            }
        }
        any
    }

    /// The next thing the live side has to know.
    pub fn poll_live(&mut self) -> Option<FromNet> {
        self.to_live.pop_front()
    }

    /// The next datagram of the DHT to send.
    pub fn poll_datagram(&mut self) -> Option<Datagram> {
        let t = self.dht.poll_transmit()?;
        Some(Datagram { socket: tag(t.socket), to: t.to, bytes: t.bytes, ttl: t.ttl })
    }

    /// The next socket of the pool that nothing needs any more. To be asked after everything was sent.
    pub fn poll_unused(&mut self) -> Option<SocketTag> {
        while let Some(socket) = self.unused.pop_front() {
            let wanted = match kind(socket) {
                SocketKind::Pool(number) => self.dialer.connector.uses_socket(number),
                _ => true,
            };
            if !wanted && !self.on_pool.values().any(|used| *used == socket) {
                return Some(socket);
            }
        }
        None
    }

    /// The next datagrams of a stream to send: up to `max` for one place, one behind the other in `out`, each as long as
    /// the number returned but perhaps the last.
    pub fn poll_stream(
        &mut self,
        now: Duration,
        max: usize,
        out: &mut Vec<u8>,
    ) -> Option<(SocketTag, SocketAddrV4, usize)> {
        loop {
            out.clear();
            let Some((_, t)) = self.table.poll_transmit(now, max, out) else {
                let (socket, to, segment) = self.relay_server.as_mut()?.table.poll_transmit(max, out)?;
                match to {
                    SocketAddr::V4(to) => return Some((socket, to, segment)),
                    SocketAddr::V6(_) => continue,
                }
            };
            if let SocketAddr::V4(to) = t.to {
                return Some((t.socket, to, t.segment));
            }
        }
    }
}

/// Shared by the counters of a new connection.
pub(super) fn new_credit(bounds: Bounds) -> Arc<Credit> {
    Arc::new(Credit::new(bounds))
}
