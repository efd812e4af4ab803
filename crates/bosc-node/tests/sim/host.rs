//! One simulated process: the machines of a node, with two simulated sockets between them and the network where the
//! threads of a real one are.

use bosc_format::crypto::{CoreKey, KeyPair, PublicKey};
use bosc_node::machine::{
    Bounds, CLIENT, CoreShared, Disguise, DownloadState, FromLive, FromNet, LiveMachine, LiveSetup,
    NetMachine, NetSetup, POOL, SERVER, Tuning,
};
use bosc_node::swarm::{ConnId, Limits, Topic};
use bosc_node::{Part, RelaySetup, RelayStatus};
use bosc_store::{Core, CoreChange, Store, Subscription};
use bosc_testkit::Rng;
use bosc_udx::SocketTag;
use bosc_wire::replication::{Download, LocalChange};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const SERVER_PORT: u16 = 49737;
pub(super) const CLIENT_PORT: u16 = 50000;
/// Of the sockets for holepunching, again and again.
pub(super) const POOL_PORTS: std::ops::Range<u16> = 50001..50017;
/// Datagrams of one stream before others get their turn.
const SEGMENTS: usize = 8;
/// Bytes of frames that may wait for a connection before no more are made. Small, so that it is reached.
const OUTBOUND_HIGH: usize = 96 << 10;
/// What one turn may add to that: a message at least.
const TURN: usize = 32 << 10;
/// No queue of frames may ever be longer: the bound, a turn, and one message with the greatest block.
const OUTBOUND_MAX: usize = OUTBOUND_HIGH + TURN + (64 << 10);
/// Small, so that they are reached.
const TUNING: Tuning = Tuning {
    credit: Bounds { outbound_high: OUTBOUND_HIGH, outbound_low: 48 << 10, inbound_high: 4 << 20 },
    send_buffer: 64 << 10,
};

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
    /// How it shows its cores, if not as they are.
    pub(super) disguise: Option<Arc<dyn Disguise>>,
    pub(super) relay_through: Option<PublicKey>,
    pub(super) relay: Option<RelaySetup>,
    pub(super) rng: Rng,
}

pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// A live core as the simulation watches it.
pub(super) struct Slot {
    pub(super) core: Core,
    pub(super) shared: Arc<CoreShared>,
    download: Option<Arc<DownloadState>>,
    changes: Arc<Mutex<Vec<CoreChange>>>,
    _watch: Subscription,
}

impl Slot {
    /// What the store told of since the last call.
    pub(super) fn take_changes(&self) -> Vec<CoreChange> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The hash that both ends of a connection have.
pub(super) type Handshake = [u8; 64];

/// Changes that the store tells of and the live machine has to hear.
type Told = Arc<Mutex<VecDeque<(CoreKey, LocalChange)>>>;

pub(super) struct Host {
    ip: Ipv4Addr,
    pub(super) download: bool,
    net: NetMachine,
    live: LiveMachine,
    told: Told,
    pub(super) cores: BTreeMap<CoreKey, Slot>,
    /// Connections dropped for what the peer sent: its key, the handshake, and why.
    pub(super) banned: Vec<(PublicKey, Handshake, String)>,
    /// Those it dialled, under whichever key.
    pub(super) dialled: HashSet<Handshake>,
    handshakes: HashMap<ConnId, Handshake>,
    /// Connections opened.
    pub(super) opened: u64,
    /// Who has which port for holepunching.
    pool: BTreeMap<u16, SocketTag>,
    scratch: Vec<u8>,
}

impl Host {
    pub(super) fn new(setup: Setup<'_>, now: Duration) -> Self {
        let Setup {
            ip,
            key_pair,
            bootstrap,
            persistent,
            store,
            download,
            disguise,
            relay_through,
            relay,
            mut rng,
        } = setup;
        let server = SocketAddrV4::new(ip, SERVER_PORT);
        let mut dht = bosc_dht::Config {
            bootstrap,
            server_port: SERVER_PORT,
            local_addresses: vec![server],
            ..bosc_dht::Config::default()
        };
        if persistent {
            dht.ephemeral = Some(false);
            dht.firewalled = false;
            dht.known_address = Some(server);
        }
        let offered = relay.as_ref().filter(|r| r.offer).map(|r| r.key_pair.public());
        let setup = NetSetup {
            upload_limit: None,
            lan: None,
            key_pair,
            dht,
            limits: Limits::default(),
            tuning: TUNING,
            seed: rng.next_u64(),
            relay_through: relay_through.into_iter().collect(),
            relay,
            entropy: [rng.entropy(), rng.entropy(), rng.entropy()],
        };
        let told = Told::default();
        let tell = Arc::clone(&told);
        let live = LiveSetup {
            store: store.cloned(),
            seed: rng.next_u64(),
            tell: Arc::new(move |key, change| {
                tell.lock().unwrap_or_else(PoisonError::into_inner).push_back((key, change));
            }),
            disguise,
            turn: TURN,
            offer_relay: offered,
            blind_for: None,
            blind: Arc::default(),
        };
        Self {
            ip,
            download,
            net: NetMachine::new(setup, now),
            live: LiveMachine::new(live),
            told,
            cores: BTreeMap::new(),
            banned: Vec::new(),
            dialled: HashSet::new(),
            handshakes: HashMap::new(),
            opened: 0,
            pool: BTreeMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Joins a topic; a server is announced and can be found.
    pub(super) fn join(&mut self, topic: Topic, client: bool, server: bool, now: Duration) {
        self.net.join(topic, Part { client, server, urgent: false }, now);
    }

    /// Makes a core live.
    pub(super) fn attach(&mut self, core: Core) {
        self.live.attach(core);
        self.watch_new();
    }

    /// Watches the cores that became live, those that peers asked for included.
    fn watch_new(&mut self) {
        let new: Vec<Core> =
            self.live.cores().filter(|core| !self.cores.contains_key(core.key())).cloned().collect();
        for core in new {
            let key = *core.key();
            let changes = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&changes);
            let watch = core.subscribe(Box::new(move |change| {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(change);
            }));
            let shared = self.live.attach(core.clone());
            let download = self.download.then(|| self.live.download(&key, Download::live()));
            self.cores.insert(key, Slot { core, shared, download, changes, _watch: watch });
        }
    }

    /// The owner changed the core.
    pub(super) fn local_changed(&mut self, key: &CoreKey, change: LocalChange, now: Duration) {
        self.live.changed(key, change, now);
    }

    /// Has every peer prove that its history of the core is ours.
    pub(super) fn compare(&mut self, key: &CoreKey) {
        self.live.compare(key);
    }

    pub(super) fn receive(&mut self, port: u16, from: SocketAddr, bytes: &[u8], now: Duration) {
        let SocketAddr::V4(from) = from else { return };
        let tag = match port {
            SERVER_PORT => SERVER,
            CLIENT_PORT => CLIENT,
            other => match self.pool.get(&other) {
                Some(tag) => *tag,
                None => return,
            },
        };
        self.net.receive(tag, from, bytes, now);
    }

    /// Everything that follows from what came in or from time passing; datagrams to send come out.
    pub(super) fn work(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        let mut rounds = 0;
        loop {
            let mut any = false;
            self.net.work(now);
            while let Some(told) = self.net.poll_live() {
                any = true;
                if let FromNet::Open { conn, initiator, hash, .. } = &told {
                    self.opened += 1;
                    self.handshakes.insert(*conn, *hash);
                    if *initiator {
                        self.dialled.insert(*hash);
                    }
                }
                self.live.from_net(told, now);
            }
            while let Some((key, change)) =
                { self.told.lock().unwrap_or_else(PoisonError::into_inner).pop_front() }
            {
                any = true;
                self.live.changed(&key, change, now);
            }
            self.live.work(now);
            self.watch_new();
            while let Some(told) = self.live.poll_net() {
                any = true;
                match &told {
                    FromLive::Ban { conn, remote, why } => {
                        self.banned.push((*remote, self.handshakes[conn], why.to_string()));
                    }
                    FromLive::Close { .. } => panic!("the other side's mux made a frame that ours refuses"),
                    _ => {}
                }
                self.net.from_live(told, now);
            }
            if !any {
                break;
            }
            rounds += 1;
            assert!(rounds < 10_000, "the machines keep each other busy for ever");
        }
        self.check();
        self.transmit(now, out);
    }

    /// What must be true at any time.
    fn check(&self) {
        assert_eq!(self.live.strangers(), 0, "every simulated peer knows the key");
        for slot in self.cores.values() {
            if let Some(why) = slot.shared.status().failed {
                panic!("the store failed: {why}");
            }
            assert!(!slot.download.as_ref().is_some_and(|d| d.is_done()), "a live download is never done");
        }
        let links = self.net.links();
        for (_, waiting, has_stream, _) in &links {
            assert!(*waiting <= OUTBOUND_MAX, "{waiting} bytes wait for one connection");
            assert!(has_stream, "a link outlived its stream");
        }
        // A stream lives on without its link only for as long as it takes to say good-bye.
        let streams = self.net.stream_count();
        assert!(streams <= links.len() + 64, "{streams} streams linger");
    }

    /// When [`Host::work`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        [self.net.next_timeout(), self.live.next_timeout()].into_iter().flatten().min()
    }

    /// Whether it rests: nothing is read then.
    pub(super) fn is_suspended(&self) -> bool {
        self.net.is_suspended()
    }

    /// When the live machine alone has something to do.
    pub(super) fn live_timeout(&self) -> Option<Duration> {
        self.live.next_timeout()
    }

    fn transmit(&mut self, now: Duration, out: &mut Vec<Datagram>) {
        let pool = &mut self.pool;
        let ip = self.ip;
        let mut at = |tag: SocketTag| {
            let port = match tag {
                SERVER => SERVER_PORT,
                CLIENT => CLIENT_PORT,
                SocketTag(n) => {
                    let port = POOL_PORTS.start + ((n - POOL.0) % POOL_PORTS.len() as u64) as u16;
                    pool.insert(port, tag);
                    port
                }
            };
            SocketAddr::V4(SocketAddrV4::new(ip, port))
        };
        while let Some(d) = self.net.poll_datagram() {
            // One with a short life opens a NAT and arrives nowhere.
            if d.ttl.is_none() {
                out.push(Datagram { from: at(d.socket), to: SocketAddr::V4(d.to), bytes: d.bytes.to_vec() });
            }
        }
        while let Some((tag, to, segment)) = self.net.poll_stream(now, SEGMENTS, &mut self.scratch) {
            for bytes in self.scratch.chunks(segment.max(1)) {
                out.push(Datagram { from: at(tag), to: SocketAddr::V4(to), bytes: bytes.to_vec() });
            }
        }
        while self.net.poll_unused().is_some() {}
    }

    /// Its address changed, and it was told.
    pub(super) fn readdress(&mut self, ip: Ipv4Addr, now: Duration) {
        self.ip = ip;
        self.net.network_changed(vec![SocketAddrV4::new(ip, SERVER_PORT)], now);
    }

    /// Its machine slept, and it was told.
    pub(super) fn slept(&mut self, now: Duration) {
        self.net.slept(now);
    }

    pub(super) fn suspend(&mut self, now: Duration) {
        self.net.suspend(now);
    }

    /// Goes on elsewhere.
    pub(super) fn resume(&mut self, ip: Ipv4Addr, now: Duration) {
        assert!(self.net.is_suspended());
        self.ip = ip;
        self.net.resume(vec![SocketAddrV4::new(ip, SERVER_PORT)], SERVER_PORT, now);
    }

    /// What it does as a relay.
    pub(super) fn relay(&self) -> RelayStatus {
        self.net.relay_status().expect("it is a relay")
    }

    /// Open connections, how many of them go through a relay, and sessions with relays or clients.
    pub(super) fn relayed(&self) -> (usize, usize, usize) {
        let s = self.net.status();
        (s.connections.len(), s.relayed, self.net.session_count().0)
    }

    /// Connections whose encryption noticed damage.
    pub(super) fn broken(&self) -> u64 {
        self.net.broken()
    }

    /// For the message of a test that failed.
    pub(super) fn state(&self) -> String {
        let s = self.net.status();
        format!(
            "bootstrapped {} firewalled {} nodes {} listening {} links {} open {} connecting {} banned {}",
            s.bootstrapped,
            s.firewalled,
            s.nodes,
            s.listening,
            self.net.links().len(),
            self.live.connections(),
            s.connecting,
            self.banned.len(),
        )
    }

    /// Remote keys of all links and how they are, for the message of a failed test.
    pub(super) fn link_states(&self) -> Vec<(PublicKey, String)> {
        let one = |(remote, waiting, _, text)| (remote, format!("queued {waiting} {text}"));
        self.net.links().into_iter().map(one).collect()
    }
}
