//! The thread that owns the sockets: DHT, handshakes, UDX streams, encryption, and which peers to connect to.
//!
//! Datagrams come in, decrypted messages go to the core thread; frames come from there and go out encrypted.
//! Nothing in here waits for a disk. A connection's life:
//!
//! ```text
//! dialled or accepted handshake -> UDX stream and secret stream -> header of the other side arrived: open
//!   -> given to the core thread -> closed by either side, by a duplicate, or by silence
//! ```
//!
//! Invariants: a connection that is not open within [`OPEN_TIMEOUT`] is dropped; at most
//! [`MAX_UNOPENED`] wait for that; frames wait unencrypted (sharing memory with their blocks) until the stream
//! takes them.

mod dial;
mod links;
mod socket;
mod topics;

use crate::credit::Credit;
use crate::live::Input;
use crate::signal::Signal;
use crate::status::NetStatus;
use crate::swarm::{Action, ConnId, Limits, Swarm, Topic};
use bosc_dht::{Dht, ListenId, QueryId, SocketKind};
use bosc_format::crypto::KeyPair;
use bosc_udx::{Dispatch, SocketTag, StreamTable};
use bosc_wire::mux::Frame;
use links::Link;
use socket::Socket;
use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a connection may take from the end of its handshake to the first bytes of the other side.
const OPEN_TIMEOUT: Duration = Duration::from_secs(12);
/// Most connections waiting for that.
const MAX_UNOPENED: usize = 256;
/// How long the end of the node may take: taking announcements back, sending what is left.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Datagrams handed to the kernel at once.
const SEGMENTS: usize = 44;
/// System calls for receiving before something is sent.
const RECEIVES: usize = 8;

pub(crate) const SERVER: SocketTag = SocketTag(0);
pub(crate) const CLIENT: SocketTag = SocketTag(1);

/// What the thread is told.
pub(crate) enum NetCommand {
    /// Send frames on a connection.
    Send { conn: ConnId, frames: Vec<Frame>, bytes: usize },
    /// The core thread has caught up: read on.
    Read { conn: ConnId },
    /// Name up to `limit` known DHT nodes.
    Nodes { limit: usize, reply: Sender<Vec<SocketAddrV4>> },
    /// End a connection.
    Close { conn: ConnId },
    /// End it and never connect to the peer again.
    Ban { conn: ConnId },
    /// Join a topic.
    Join { topic: Topic, client: bool, server: bool },
    /// Leave it.
    Leave { topic: Topic },
    /// Look for peers again now.
    Refresh { topic: Topic },
    /// Look again; it counts as flushed when that is over. Answers when the snapshot says so.
    LookAgain { topic: Topic, reply: Sender<()> },
    /// End the node. The channel is dropped when that is done.
    Shutdown { done: Sender<()> },
}

/// How to take part in the DHT.
pub(crate) struct NetConfig {
    pub(crate) key_pair: KeyPair,
    pub(crate) host: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) dht: bosc_dht::Config,
    pub(crate) limits: Limits,
}

/// Snapshot shared with callers.
#[derive(Debug, Default)]
pub(crate) struct NetShared(Mutex<NetStatus>);

impl NetShared {
    pub(crate) fn get(&self) -> NetStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct Net {
    start: Instant,
    key_pair: KeyPair,
    server: Socket,
    client: Socket,
    dht: Dht,
    dialer: dial::Dialer,
    table: StreamTable,
    swarm: Swarm,
    links: HashMap<u32, Link>,
    by_conn: HashMap<ConnId, u32>,
    queries: HashMap<QueryId, topics::Query>,
    announced_on: BTreeSet<Topic>,
    waiting_announces: BTreeSet<Topic>,
    listen: Option<ListenId>,
    listening: bool,
    flushed: BTreeSet<Topic>,
    live: Sender<Input>,
    shared: Arc<NetShared>,
    signal: Signal,
    changed: bool,
    published: Duration,
    closing: Option<(Sender<()>, Duration)>,
    scratch: Vec<u8>,
}

impl Net {
    /// Binds the sockets. Must run inside a tokio runtime.
    pub(crate) fn bind(
        config: NetConfig,
        start: Instant,
        live: Sender<Input>,
        shared: Arc<NetShared>,
        signal: Signal,
    ) -> std::io::Result<Self> {
        let server = Socket::bind(config.host, config.port)?;
        let client = Socket::bind(config.host, 0)?;
        let mut dht_config = config.dht;
        dht_config.server_port = server.port();
        dht_config.local_addresses = local_addresses(config.host, server.port());
        if let Some(known) = &mut dht_config.known_address {
            known.set_port(server.port());
        }
        let mut seed = [0; 8];
        entropy(&mut seed);
        let me = config.key_pair.public();
        Ok(Self {
            start,
            dht: Dht::new(dht_config, Box::new(entropy), start.elapsed()),
            dialer: dial::Dialer::new(config.key_pair.clone()),
            key_pair: config.key_pair,
            server,
            client,
            table: StreamTable::new(),
            swarm: Swarm::new(me, config.limits, u64::from_le_bytes(seed)),
            links: HashMap::new(),
            by_conn: HashMap::new(),
            queries: HashMap::new(),
            announced_on: BTreeSet::new(),
            waiting_announces: BTreeSet::new(),
            listen: None,
            listening: false,
            flushed: BTreeSet::new(),
            live,
            shared,
            signal,
            changed: true,
            published: Duration::ZERO,
            closing: None,
            scratch: Vec::with_capacity(1 << 16),
        })
    }

    pub(crate) fn server_port(&self) -> u16 {
        self.server.port()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs until told to shut down.
    pub(crate) async fn run(mut self, mut commands: UnboundedReceiver<NetCommand>) {
        self.dht.bootstrap(self.now());
        loop {
            self.work();
            if self.is_closed() {
                return;
            }
            let wait = self.next_timeout().saturating_sub(self.now());
            tokio::select! {
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    self.command(command);
                    while let Ok(next) = commands.try_recv() {
                        self.command(next);
                    }
                }
                _ = self.server.readable() => {}
                _ = self.client.readable() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.receive();
        }
    }

    /// Takes in what has arrived, bounded, so that answers go out between.
    fn receive(&mut self) {
        let now = self.now();
        for (kind, tag) in [(SocketKind::Server, SERVER), (SocketKind::Client, CLIENT)] {
            for _ in 0..RECEIVES {
                let socket = if tag == SERVER { &mut self.server } else { &mut self.client };
                let (table, dht, dialer) = (&mut self.table, &mut self.dht, &mut self.dialer);
                let got = socket.receive(|from, datagram| {
                    if bosc_dht::is_dht_datagram(datagram) {
                        dht.handle_datagram(kind, from, datagram, now);
                    } else {
                        let known = table.handle_datagram(tag, SocketAddr::V4(from), datagram, now);
                        if let Dispatch::Unknown(id) = known {
                            dialer.packet(dht, id, kind, from, datagram, now);
                        }
                    }
                });
                match got {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => {
                        tracing::warn!(error = %e, "receiving failed");
                        break;
                    }
                }
            }
        }
    }

    /// Everything that follows from what came in or from time passing.
    fn work(&mut self) {
        let now = self.now();
        if self.dht.next_timeout().is_some_and(|t| t <= now) {
            self.dht.handle_timeout(now);
        }
        self.table.handle_timeout(now);
        if self.swarm.next_timeout().is_some_and(|t| t <= now) {
            self.swarm.handle_timeout(now);
        }
        self.dialer.connector.handle_timeout(&mut self.dht, now);
        self.link_timeouts(now);
        loop {
            let mut any = self.dht_events(now);
            any |= self.dial_events(now);
            any |= self.stream_events(now);
            any |= self.actions(now);
            if !any {
                break;
            }
        }
        self.transmit();
        self.publish(now);
    }

    fn next_timeout(&self) -> Duration {
        let mut next = self.now() + Duration::from_secs(1);
        let mut at = |t: Option<Duration>| next = t.map_or(next, |t| t.min(next));
        at(self.dht.next_timeout());
        at(self.table.next_timeout());
        at(self.swarm.next_timeout());
        at(self.dialer.connector.next_timeout());
        at(self.link_timeout());
        at(self.closing.as_ref().map(|(_, by)| *by));
        next
    }

    fn command(&mut self, command: NetCommand) {
        let now = self.now();
        match command {
            NetCommand::Send { conn, frames, bytes } => self.send_frames(conn, frames, bytes, now),
            NetCommand::Read { conn } => {
                if let Some(id) = self.by_conn.get(&conn).copied() {
                    self.read_stream(id, now);
                }
            }
            NetCommand::Close { conn } => self.close_conn(conn, now),
            NetCommand::Ban { conn } => {
                if let Some(link) = self.by_conn.get(&conn).and_then(|id| self.links.get(id)) {
                    self.swarm.ban(&link.remote, now);
                }
                self.close_conn(conn, now);
            }
            NetCommand::Join { topic, client, server } => {
                if server {
                    self.start_listening(now);
                }
                self.flushed.remove(&topic);
                if !self.swarm.join(topic, client, server, now) {
                    tracing::warn!("too many topics joined");
                }
            }
            NetCommand::Leave { topic } => {
                self.flushed.remove(&topic);
                self.swarm.leave(&topic);
            }
            NetCommand::Refresh { topic } => self.swarm.refresh(&topic, now),
            NetCommand::LookAgain { topic, reply } => {
                self.flushed.remove(&topic);
                self.swarm.look_again(&topic, now);
                self.changed = true;
                self.publish(now);
                let _ = reply.send(());
            }
            NetCommand::Nodes { limit, reply } => {
                let _ = reply.send(self.dht.nodes(limit));
            }
            NetCommand::Shutdown { done } => self.shut_down(done, now),
        }
    }

    fn actions(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(action) = self.swarm.poll_action() {
            any = true;
            match action {
                Action::Discover { topic, announce } => self.discover(topic, announce, now),
                Action::Unannounce { topic } => self.unannounce(topic, now),
                Action::Connect { conn, peer, relays } => {
                    if !self.dialer.connect(conn, peer, &relays, &mut self.dht, now) {
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

    fn transmit(&mut self) {
        let now = self.now();
        while let Some(t) = self.dht.poll_transmit() {
            match t.socket {
                SocketKind::Server => self.server.push(t.to, &t.bytes),
                SocketKind::Client | SocketKind::Pool(_) => self.client.push(t.to, &t.bytes),
            }
        }
        self.server.flush();
        self.client.flush();
        loop {
            self.scratch.clear();
            let Some((_, t)) = self.table.poll_transmit(now, SEGMENTS, &mut self.scratch) else { break };
            let SocketAddr::V4(to) = t.to else { continue };
            let socket = if t.socket == CLIENT { &mut self.client } else { &mut self.server };
            socket.send(to, &self.scratch, t.segment);
        }
    }

    fn publish(&mut self, now: Duration) {
        let stale = now.saturating_sub(self.published) > Duration::from_millis(250);
        if !self.changed && !stale {
            // The byte counts are always true; the rest of the snapshot costs more.
            let mut status = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            status.received = self.server.received + self.client.received;
            status.sent = self.server.sent + self.client.sent;
            return;
        }
        let status = NetStatus {
            bootstrapped: self.dht.is_bootstrapped(),
            nodes: self.dht.node_count(),
            address: self.dht.remote_address(),
            firewalled: self.dht.is_firewalled(),
            randomized: self.dht.is_randomized(),
            connections: self.links.values().filter(|l| l.conn_open).map(|l| l.remote).collect(),
            flushed: self.flushed.clone(),
            listening: self.listening,
            connecting: self.swarm.is_connecting(),
            received: self.server.received + self.client.received,
            sent: self.server.sent + self.client.sent,
            port: self.server.port(),
        };
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
        self.published = now;
        if std::mem::take(&mut self.changed) {
            self.signal.raise();
        }
    }

    fn shut_down(&mut self, done: Sender<()>, now: Duration) {
        for topic in self.swarm.topics().copied().collect::<Vec<_>>() {
            self.swarm.leave(&topic);
        }
        self.actions(now);
        if let Some(listen) = self.listen.take() {
            self.dialer.connector.unlisten(&mut self.dht, listen, now);
        }
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            if let Some(stream) = self.table.get_mut(id) {
                stream.end();
            }
        }
        self.closing = Some((done, now + CLOSE_TIMEOUT));
    }

    fn is_closed(&self) -> bool {
        let Some((_, by)) = &self.closing else { return false };
        let quiet = self.queries.is_empty()
            && self.table.ids().all(|id| self.table.get(id).is_none_or(bosc_udx::Stream::is_closed));
        quiet || self.now() >= *by
    }
}

/// Fills `out` from the operating system's random source.
pub(crate) fn entropy(out: &mut [u8]) {
    // Without randomness no key may be made: there is nothing safe to go on with.
    if getrandom::fill(out).is_err() {
        std::process::abort();
    }
}

/// The addresses that peers in the same network may use. The address of the default route is found without
/// sending anything: connecting a UDP socket only asks the routing table.
fn local_addresses(host: Ipv4Addr, port: u16) -> Vec<SocketAddrV4> {
    if !host.is_unspecified() {
        return vec![SocketAddrV4::new(host, port)];
    }
    let mut out = Vec::new();
    if let Ok(probe) = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        && probe.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).is_ok()
        && let Ok(SocketAddr::V4(local)) = probe.local_addr()
    {
        out.push(SocketAddrV4::new(*local.ip(), port));
    }
    out.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    out
}

/// Shared by the counters of a new connection.
pub(crate) fn new_credit() -> Arc<Credit> {
    Arc::new(Credit::default())
}
