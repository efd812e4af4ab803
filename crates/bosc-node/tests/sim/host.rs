//! One simulated process: the machines of a node, glued as `net` glues them, on two simulated sockets.

use super::cores::{Conn, Slot};
use super::liar::Lies;
use super::links::Link;
use bosc_dht::connect::{ConnectConfig, ConnectEvent, ConnectId, ConnectOptions, Connector, ServerOptions};
use bosc_dht::{
    AnnounceOptions, Dht, Event, ListenId, QueryData, QueryId, QueryOptions, SocketKind, is_dht_datagram,
};
use bosc_format::crypto::{CoreKey, KeyPair, PublicKey};
use bosc_node::swarm::{Action, ConnId, Limits, Swarm, Topic};
use bosc_store::Store;
use bosc_testkit::Rng;
use bosc_udx::{Dispatch, SocketTag, StreamTable};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

pub(super) const SERVER_PORT: u16 = 49737;
pub(super) const CLIENT_PORT: u16 = 50000;
pub(super) const SERVER: SocketTag = SocketTag(0);
const CLIENT: SocketTag = SocketTag(1);
/// Datagrams of one stream before others get their turn.
const SEGMENTS: usize = 8;

/// What a query is for.
#[derive(Clone, Copy)]
enum Query {
    Discover(Topic),
    Unannounce,
}

/// How a process is started.
pub(super) struct Setup<'a> {
    pub(super) ip: Ipv4Addr,
    pub(super) key_pair: KeyPair,
    pub(super) bootstrap: Vec<SocketAddrV4>,
    /// A node of the DHT itself, reachable for sure.
    pub(super) persistent: bool,
    pub(super) store: Option<&'a Store>,
    /// Fetch every block of every core.
    pub(super) download: bool,
    pub(super) lies: Option<Rc<Lies>>,
    pub(super) rng: Rng,
}

pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct Host {
    ip: Ipv4Addr,
    key_pair: KeyPair,
    pub(super) rng: Rng,
    pub(super) store: Option<Store>,
    pub(super) download: bool,
    pub(super) lies: Option<Rc<Lies>>,
    dht: Dht,
    connector: Connector,
    attempts: BTreeMap<ConnId, ConnectId>,
    attempted: HashMap<ConnectId, ConnId>,
    pub(super) table: StreamTable,
    pub(super) swarm: Swarm,
    queries: HashMap<QueryId, Query>,
    announced_on: BTreeSet<Topic>,
    waiting_announces: BTreeSet<Topic>,
    listen: Option<ListenId>,
    listening: bool,
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) by_conn: BTreeMap<ConnId, u32>,
    pub(super) cores: BTreeMap<CoreKey, Slot>,
    pub(super) conns: BTreeMap<ConnId, Conn>,
    pub(super) dirty: BTreeSet<ConnId>,
    pub(super) starved: BTreeSet<ConnId>,
    /// Peers dropped for what they sent, and why.
    pub(super) banned: Vec<(PublicKey, String)>,
    /// Connections opened; those whose encryption noticed damage.
    pub(super) opened: u64,
    pub(super) broken: u64,
    scratch: Vec<u8>,
}

impl Host {
    pub(super) fn new(setup: Setup<'_>, now: Duration) -> Self {
        let Setup { ip, key_pair, bootstrap, persistent, store, download, lies, mut rng } = setup;
        let server = SocketAddrV4::new(ip, SERVER_PORT);
        let mut config = bosc_dht::Config {
            bootstrap,
            server_port: SERVER_PORT,
            local_addresses: vec![server],
            ..bosc_dht::Config::default()
        };
        if persistent {
            config.ephemeral = Some(false);
            config.firewalled = false;
            config.known_address = Some(server);
        }
        let mut dht = Dht::new(config, rng.entropy(), now);
        dht.bootstrap(now);
        Self {
            ip,
            dht,
            connector: Connector::new(ConnectConfig::default(), rng.entropy()),
            attempts: BTreeMap::new(),
            attempted: HashMap::new(),
            table: StreamTable::new(),
            swarm: Swarm::new(key_pair.public(), Limits::default(), rng.next_u64()),
            key_pair,
            rng,
            store: store.cloned(),
            download,
            lies,
            queries: HashMap::new(),
            announced_on: BTreeSet::new(),
            waiting_announces: BTreeSet::new(),
            listen: None,
            listening: false,
            links: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            cores: BTreeMap::new(),
            conns: BTreeMap::new(),
            dirty: BTreeSet::new(),
            starved: BTreeSet::new(),
            banned: Vec::new(),
            opened: 0,
            broken: 0,
            scratch: Vec::new(),
        }
    }

    /// Joins a topic; a server is announced and can be found.
    pub(super) fn join(&mut self, topic: Topic, client: bool, server: bool, now: Duration) {
        if server && self.listen.is_none() {
            let listen = self.connector.listen(&mut self.dht, &self.key_pair, ServerOptions::default(), now);
            self.listen = Some(listen.unwrap());
        }
        assert!(self.swarm.join(topic, client, server, now));
    }

    pub(super) fn receive(&mut self, port: u16, from: SocketAddr, bytes: &[u8], now: Duration) {
        let (kind, tag) =
            if port == SERVER_PORT { (SocketKind::Server, SERVER) } else { (SocketKind::Client, CLIENT) };
        let SocketAddr::V4(from) = from else { return };
        if is_dht_datagram(bytes) {
            self.dht.handle_datagram(kind, from, bytes, now);
        } else if let Dispatch::Unknown(id) =
            self.table.handle_datagram(tag, SocketAddr::V4(from), bytes, now)
        {
            self.connector.handle_stream_packet(&mut self.dht, id, kind, from, bytes, now);
        }
    }

    /// Everything that follows from what came in or from time passing; datagrams to send come out.
    pub(super) fn work(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        if self.dht.next_timeout().is_some_and(|t| t <= now) {
            self.dht.handle_timeout(now);
        }
        self.table.handle_timeout(now);
        if self.swarm.next_timeout().is_some_and(|t| t <= now) {
            self.swarm.handle_timeout(now);
        }
        self.connector.handle_timeout(&mut self.dht, now);
        self.link_timeouts(now);
        self.core_timeouts(now);
        let mut rounds = 0;
        loop {
            let mut any = self.dht_events(now);
            any |= self.dial_events(now);
            any |= self.stream_events(now);
            any |= self.actions(now);
            any |= self.core_events(now);
            any |= self.pump(now);
            if !any {
                break;
            }
            rounds += 1;
            assert!(rounds < 10_000, "the machines keep each other busy for ever");
        }
        self.transmit(now, out);
    }

    /// When [`Host::work`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let cores = self.cores.values().filter_map(Slot::next_timeout).min();
        let all = [
            self.dht.next_timeout(),
            self.table.next_timeout(),
            self.swarm.next_timeout(),
            self.connector.next_timeout(),
            self.link_timeout(),
            cores,
        ];
        all.into_iter().flatten().min()
    }

    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        let at = |kind| {
            let port = if kind == SERVER { SERVER_PORT } else { CLIENT_PORT };
            SocketAddr::V4(SocketAddrV4::new(self.ip, port))
        };
        while let Some(t) = self.dht.poll_transmit() {
            let (from, to) = (at(tag(t.socket)), SocketAddr::V4(t.to));
            out.push(Datagram { from, to, bytes: t.bytes.to_vec() });
        }
        loop {
            self.scratch.clear();
            let Some((_, t)) = self.table.poll_transmit(now, SEGMENTS, &mut self.scratch) else { break };
            for bytes in self.scratch.chunks(t.segment.max(1)) {
                out.push(Datagram { from: at(t.socket), to: t.to, bytes: bytes.to_vec() });
            }
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
                    let options =
                        ConnectOptions { relay_addresses: relays, ..ConnectOptions::new(&self.key_pair) };
                    match self.connector.connect(&mut self.dht, peer, &options, now) {
                        Ok(id) => {
                            self.attempts.insert(conn, id);
                            self.attempted.insert(id, conn);
                        }
                        Err(_) => self.swarm.closed(conn, now),
                    }
                }
                Action::Close { conn } => self.close_conn(conn, now),
                Action::Flushed { .. } => {}
            }
        }
        any
    }

    pub(super) fn cancel(&mut self, conn: ConnId, now: Duration) {
        if let Some(id) = self.attempts.remove(&conn) {
            self.attempted.remove(&id);
            self.connector.cancel(&mut self.dht, id, now);
        }
    }

    fn discover(&mut self, topic: Topic, announce: bool, now: Duration) {
        if announce && !self.listening {
            self.waiting_announces.insert(topic);
            return;
        }
        let started = if announce {
            let relays = self.listen.map(|l| self.dht.relay_addresses(l).to_vec()).unwrap_or_default();
            let options =
                AnnounceOptions { clear: self.announced_on.insert(topic), ..AnnounceOptions::default() };
            self.dht.announce(topic, &self.key_pair, &relays, &options, now)
        } else {
            self.dht.lookup(topic, &QueryOptions::default(), now)
        };
        match started {
            Ok(query) => {
                self.queries.insert(query, Query::Discover(topic));
            }
            Err(_) => self.swarm.query_failed(topic, now),
        }
    }

    fn unannounce(&mut self, topic: Topic, now: Duration) {
        self.waiting_announces.remove(&topic);
        if self.announced_on.remove(&topic)
            && let Ok(query) = self.dht.unannounce(topic, &self.key_pair, &QueryOptions::default(), now)
        {
            self.queries.insert(query, Query::Unannounce);
        }
    }

    fn dht_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(event) = self.dht.poll_event() {
            any = true;
            let Some(event) = self.connector.handle_event(&mut self.dht, event, now) else { continue };
            match event {
                Event::QueryReply(reply) => {
                    if let (Some(Query::Discover(topic)), QueryData::Peers { peers, .. }) =
                        (self.queries.get(&reply.query).copied(), reply.data)
                    {
                        for peer in peers {
                            self.swarm.peer_found(topic, peer.public_key, peer.relay_addresses, now);
                        }
                    }
                }
                Event::QueryDone(done) => {
                    if let Some(Query::Discover(topic)) = self.queries.remove(&done.query) {
                        match done.result {
                            Ok(()) => self.swarm.query_done(topic, now),
                            Err(_) => self.swarm.query_failed(topic, now),
                        }
                    }
                }
                Event::Announced { listen, .. } if self.listen == Some(listen) => {
                    self.listening = true;
                    for topic in std::mem::take(&mut self.waiting_announces) {
                        self.discover(topic, true, now);
                    }
                }
                _ => {}
            }
        }
        any
    }

    fn dial_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(event) = self.connector.poll_event() {
            any = true;
            match event {
                ConnectEvent::Connected { connect, connection, .. } => {
                    let conn = match connect {
                        None => None,
                        Some(id) => match self.finish(id) {
                            Some(conn) => Some(conn),
                            None => continue,
                        },
                    };
                    self.establish(conn, *connection, now);
                }
                ConnectEvent::Failed { connect, .. } => {
                    if let Some(conn) = self.finish(connect) {
                        self.swarm.closed(conn, now);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        any
    }

    fn finish(&mut self, id: ConnectId) -> Option<ConnId> {
        let conn = self.attempted.remove(&id)?;
        self.attempts.remove(&conn);
        Some(conn)
    }

    /// For the message of a test that failed.
    pub(super) fn state(&self) -> String {
        format!(
            "bootstrapped {} firewalled {} nodes {} listening {} links {} open {} connecting {} banned {}",
            self.dht.is_bootstrapped(),
            self.dht.is_firewalled(),
            self.dht.node_count(),
            self.listening,
            self.links.len(),
            self.conns.len(),
            self.swarm.is_connecting(),
            self.banned.len(),
        )
    }
}

pub(super) fn tag(kind: SocketKind) -> SocketTag {
    match kind {
        SocketKind::Server => SERVER,
        SocketKind::Client | SocketKind::Pool(_) => CLIENT,
    }
}
