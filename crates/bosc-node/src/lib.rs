//! Sockets, timers, swarm, live cores: the part of Bosc that touches the network.
//!
//! It owns the sockets, the two threads, which peers are connected and which blocks are asked of whom. It never decides what a
//! block means, never signs, and gives no caller a byte that is not proved; what a drive is, is above it (`bosc-drive`,
//! `bosc-follow`), what is on the disk below (`bosc-store`). Where its files are: the end of this text.
//!
//! A [`Node`] runs two threads of its own: one owns the sockets (see `net`), one the cores (see `live`). Callers
//! talk to it with blocking calls; everything they can watch is a snapshot, and [`Node::signal`] wakes them when
//! one has changed.
//!
//! ```text
//!              datagrams                    messages                   blocks, proofs
//!   peers  <------------->  net thread  <------------->  live thread  <------------->  store
//!                            DHT, UDX,    bounded by        mux,
//!                            encryption,  credit         replication
//!                            swarm
//! ```
//!
//! # At rest
//!
//! Both threads sleep until a timeout of theirs or an input, and a waiting caller until a signal or its deadline. What
//! still wakes a node that has nothing to do is what protocols ask for, all of it in the net thread:
//!
//! | what | how often | whose rule |
//! |---|---|---|
//! | each connection: the other side's keep-alive | 5 s | hyperdht's `connectionKeepAlive`; JavaScript peers send theirs whatever we do |
//! | each connection: ours, and its acknowledgement | 20 s, with the answer to theirs; 5 s when nothing arrives for 7.5 s | ours: what acknowledges theirs says that we are there |
//! | served topics: three relays are pinged | 20 s (3 s for the first 15 s) | ours: NATs must not forget the path |
//! | served topics: our key is announced to its relays | 5 min | hyperdht |
//! | pings of up to five known DHT nodes, or a walk when none is known | 3 min | ours, while we are not a node of the DHT ourselves; 40 s after |
//! | a walk, when fewer than 20 DHT nodes are known | 5 min | dht-rpc |
//! | a port that the router maps: DHT nodes are asked to ping it | 5 min | ours; where there is a mapping, which is renewed every 30 min by a thread of its own |
//! | is our socket reachable | 10 s after the start, then ever later, up to 20 min | ours |
//! | a lookup of each topic | 10 to 12 min, sooner and then ever later while nobody is found | hyperswarm |
//!
//! A node that can be reached becomes one of the DHT's own after 20 minutes and answers others, as often as they ask.
//! `cargo run --release -p bosc-node --example idle` measures all this on loopback, and the test `who_has_nothing_to_do_sleeps`
//! counts it in virtual time: a client alone, and one without a network, wake less than once in ten seconds.
//!
//! # Another network
//!
//! A node goes on when its address changes, when it comes into another network and when the machine has slept: see `net/watch` for
//! how it notices and `net/life` for what it does. [`Node::suspend`] and [`Node::resume`] are for applications that
//! know better.
//!
//! Neither thread ever waits for the other: what is on its way between them is bounded by counters that stop
//! the reading of sockets on one side and the making of messages on the other.
//!
//! # Files
//!
//! - `net/`, `live/`: the two threads. `between`: what they are told. `credit`: how much may wait between them: when frames are made,
//!   when sockets are read no more (what one connection may have unsent or unacknowledged, and who is closed for memory:
//!   `net/share`).
//! - `mapping/`: a port of the router that leads to ours (UPnP, NAT-PMP, PCP): asked for, renewed, taken back.
//! - `swarm/`: who to look for and to connect to, and which connection is kept. `bootstrap`: the DHT nodes that are known at the
//!   start, as people write them. `nodes`: those of an earlier run: how many are kept, for how long, their format in the store.
//! - `record`: records of the DHT: how long a value may be, and where an answer about one is put. `record_query`: a question, as its
//!   caller holds it.
//! - `status`: what callers can see: peers, copies, conflicts (how many are kept). `signal`: waiting until it has changed.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod between;
pub mod bootstrap;
mod credit;
mod live;
mod mapping;
mod net;
mod nodes;
mod record;
mod record_query;
mod signal;
mod status;
pub mod swarm;

/// The machines inside a node, for simulations: not part of the interface, may change at any time.
#[doc(hidden)]
pub mod machine {
    pub use crate::between::{FromLive, FromNet};
    pub use crate::credit::Bounds;
    pub use crate::live::blind::BlindShared;
    pub use crate::live::machine::{Disguise, LiveMachine, LiveSetup};
    pub use crate::live::shared::{CoreShared, DownloadState};
    pub use crate::net::machine::{Datagram, NetMachine, NetSetup, Tuning};
    pub use crate::net::tags::{CLIENT, POOL, SERVER};
    pub use crate::record::{RecordQuestion, RecordTicket};
}

pub use bosc_dht::is_public;
pub use bosc_udx::RelayLimits;
pub use bosc_wire::blind_peer::{Cores as BlindCores, Wish as BlindWish};
pub use bosc_wire::blind_relay::Limits as PairLimits;
pub use live::blind::{BlindFor, BlindPeerState, BlindRequest};
pub use mapping::MappedBy;
pub use net::relay::{MAX_RELAYS_NAMED, RelayBounds, RelayFor, RelaySetup, RelayStatus};
pub use record::{MAX_RECORD, Record, RecordAnswer, RecordError, RecordResult, SignedRecord};
pub use record_query::RecordQuery;
pub use signal::Signal;
pub use status::{
    ConflictStatus, ConnectionStatus, CoreFailure, CoreStatus, DroppedPeer, MAX_CONFLICTS, MappingStatus,
    NetStatus, PeerStatus,
};
pub use swarm::Part;

use between::{Input, NetCommand};
use bosc_format::crypto::{CoreKey, KeyPair, PublicKey};
use bosc_store::{Core, Store};
pub use bosc_wire::replication::{Blocks, Conflict, Download, HeadSummary, InvalidPeer};
use live::Live;
use live::blind::BlindShared;
use live::shared::{CoreShared, DownloadState};
use mapping::Mapper;
use net::{Net, NetConfig, NetShared};
use record::RecordQuestion;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;

/// The public HyperDHT nodes, as npm `hyperdht` has them.
pub const PUBLIC_BOOTSTRAP: [SocketAddrV4; 3] = [
    SocketAddrV4::new(Ipv4Addr::new(88, 99, 3, 86), 49737),
    SocketAddrV4::new(Ipv4Addr::new(142, 93, 90, 113), 49737),
    SocketAddrV4::new(Ipv4Addr::new(138, 68, 147, 8), 49737),
];

/// The part a node plays in the DHT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// An ordinary peer: asks others, and helps once it is known to be reachable for long.
    #[default]
    Peer,
    /// A node of the network itself: stores and relays for others from the start, as bootstrap nodes do. Its
    /// address is known for sure.
    Persistent(Ipv4Addr),
}

/// How a node is started.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// DHT nodes to start from. Empty for the first node of a private network.
    pub bootstrap: Vec<SocketAddrV4>,
    /// The key pair others know this node by.
    pub key_pair: KeyPair,
    /// Address to bind.
    pub host: Ipv4Addr,
    /// UDP port to bind; 0 takes a free one.
    pub port: u16,
    /// See [`Role`].
    pub role: Role,
    /// Most peers that are dialled.
    pub max_peers: usize,
    /// Most connections in all, dialled and accepted; none: twice [`NodeConfig::max_peers`].
    pub max_connections: Option<usize>,
    /// Most bytes a second that are sent to all peers together; none: any. Bytes of messages count: headers, and what has to be
    /// sent again, come on top.
    pub upload_limit: Option<u64>,
    /// Keys of blind relays to go through where no direct way to a peer is found. One is chosen for each connection.
    pub relay_through: Vec<PublicKey>,
    /// Be a blind relay for others.
    pub relay: Option<RelaySetup>,
    /// Be a blind peer: others may ask us to keep cores available, see [`Node::blind_requests`]. Such a node offers cores to those
    /// who ask for them, and tells nobody else what it keeps.
    pub blind_for: Option<BlindFor>,
    /// Ask the router, by PCP, NAT-PMP or UPnP, to map a port to ours, so that peers connect to us directly whatever NAT it is. See
    /// [`NetStatus::mapping`].
    pub map_port: bool,
    /// Find peers in the same local network by multicast DNS, and be found there with the topics that are served; needs no DHT. What a
    /// listener in that network learns: see docs/operators.md.
    pub lan: bool,
}

impl NodeConfig {
    /// An ordinary peer with a key pair of its own.
    pub fn peer(bootstrap: Vec<SocketAddrV4>) -> Self {
        let mut seed = [0; 32];
        net::entropy(&mut seed);
        Self {
            bootstrap,
            key_pair: KeyPair::from_seed(&seed),
            host: Ipv4Addr::UNSPECIFIED,
            port: 0,
            role: Role::Peer,
            max_peers: 64,
            max_connections: None,
            upload_limit: None,
            relay_through: Vec::new(),
            relay: None,
            blind_for: None,
            map_port: false,
            lan: false,
        }
    }
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the node could not start: {0}")]
pub struct StartError(#[from] std::io::Error);

/// A running node. Dropping it ends it at once; [`Node::close`] takes announcements back first.
pub struct Node {
    public_key: PublicKey,
    port: u16,
    net: UnboundedSender<NetCommand>,
    live: Sender<Input>,
    shared: Arc<NetShared>,
    signal: Signal,
    blind: Arc<BlindShared>,
    mapper: Option<Mapper>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Node {
    /// Binds the sockets and starts. With a store, cores in it are served to whoever knows their keys.
    ///
    /// # Errors
    /// What the operating system says when a socket or a thread cannot be had.
    pub fn start(config: NodeConfig, store: Option<Store>) -> Result<Self, StartError> {
        let start = Instant::now();
        let (live_tx, live_rx) = channel();
        let (net_tx, net_rx) = tokio::sync::mpsc::unbounded_channel();
        let (signal, shared) = (Signal::default(), Arc::new(NetShared::default()));
        let mut dht = bosc_dht::Config { bootstrap: config.bootstrap, ..bosc_dht::Config::default() };
        dht.unix_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let (Some(store), Role::Peer) = (&store, config.role) {
            dht.earlier = nodes::read(store, &dht.bootstrap, dht.unix_time);
        }
        let bootstrap = dht.bootstrap.clone();
        if let Role::Persistent(host) = config.role {
            dht.ephemeral = Some(false);
            dht.firewalled = false;
            dht.known_address = Some(SocketAddrV4::new(host, config.port));
        }
        let public_key = config.key_pair.public();
        let offered = config.relay.as_ref().filter(|r| r.offer).map(|r| r.key_pair.public());
        let net_config = NetConfig {
            key_pair: config.key_pair,
            host: config.host,
            port: config.port,
            dht,
            limits: swarm::Limits {
                peers: config.max_peers,
                all: config.max_connections,
                ..swarm::Limits::default()
            },
            upload_limit: config.upload_limit,
            relay_through: config.relay_through,
            relay: config.relay,
            lan: config.lan,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut net = {
            let _inside = runtime.enter();
            Net::bind(net_config, start, live_tx.clone(), Arc::clone(&shared), signal.clone())?
        };
        let port = net.server_port();
        let mapper = if config.map_port {
            let tell = net_tx.clone();
            let mapper = Mapper::start(
                port,
                Box::new(move |got| {
                    let _ = tell.send(NetCommand::Mapping { got });
                }),
            )?;
            net.set_mapper(mapper.notices());
            Some(mapper)
        } else {
            None
        };
        let net_thread = std::thread::Builder::new()
            .name("bosc-net".into())
            .spawn(move || runtime.block_on(net.run(net_rx)))?;
        let mut seed = [0; 8];
        net::entropy(&mut seed);
        let blind = Arc::new(BlindShared::default());
        let seed = u64::from_le_bytes(seed);
        let setup = live::setup(store, seed, live_tx.clone(), offered, config.blind_for, Arc::clone(&blind));
        let live = Live::new(setup, bootstrap, start, net_tx.clone(), signal.clone());
        let live_thread =
            std::thread::Builder::new().name("bosc-live".into()).spawn(move || live.run(&live_rx))?;
        Ok(Self {
            public_key,
            port,
            net: net_tx,
            live: live_tx,
            shared,
            signal,
            blind,
            mapper,
            threads: vec![net_thread, live_thread],
        })
    }

    /// The key others know this node by.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The UDP port others reach it at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Joins a topic with a [`Part`]. Joining it again changes the part.
    pub fn join(&self, topic: [u8; 32], part: Part) {
        let _ = self.net.send(NetCommand::Join { topic, part });
    }

    /// Goes through these blind relays as well from now on, as through those of [`NodeConfig::relay_through`]: what is there already
    /// changes nothing. At most [`MAX_RELAYS_NAMED`] are kept, the first ones.
    pub fn add_relays(&self, relays: &[PublicKey]) {
        if !relays.is_empty() {
            let relays = relays.iter().take(MAX_RELAYS_NAMED).copied().collect();
            let _ = self.net.send(NetCommand::AddRelays { relays });
        }
    }

    /// Leaves a topic and takes the announcement back.
    pub fn leave(&self, topic: [u8; 32]) {
        let _ = self.net.send(NetCommand::Leave { topic });
    }

    /// Looks for peers on a joined topic again; [`Node::is_flushed`] is true again when that is over.
    pub fn look_again(&self, topic: [u8; 32]) {
        let (reply, answer) = channel();
        let _ = self.net.send(NetCommand::LookAgain { topic, reply });
        let _ = answer.recv();
    }

    /// Whether the first discovery of a joined topic is over and each peer it found was tried.
    pub fn is_flushed(&self, topic: &[u8; 32]) -> bool {
        self.shared.is_flushed(topic)
    }

    /// Up to `limit` DHT nodes that are known, those heard of last first.
    pub fn dht_nodes(&self, limit: usize) -> Vec<SocketAddrV4> {
        let (reply, answer) = channel();
        let _ = self.net.send(NetCommand::Nodes { limit, reply });
        answer.recv().unwrap_or_default()
    }

    /// Asks the DHT for the newest record that the owner of a key signed. It is verified; nobody else's is answered.
    pub fn record(&self, key: &PublicKey) -> RecordQuery {
        RecordQuery::ask(&self.net, RecordQuestion::Get(*key))
    }

    /// As [`Node::record`]; what is found is put again where it belongs now, so that nobody forgets it for two days. Anybody may: its
    /// owner signed it.
    pub fn keep_record(&self, key: &PublicKey) -> RecordQuery {
        RecordQuery::ask(&self.net, RecordQuestion::Keep(*key))
    }

    /// Has the DHT keep a record for two days or so, 1 to [`MAX_RECORD`] bytes, in the place of one with a lower `seq`.
    pub fn put_record(&self, key_pair: &KeyPair, seq: u64, value: Vec<u8>) -> RecordQuery {
        self.put_signed(SignedRecord::sign(key_pair, seq, value.into()))
    }

    /// As [`Node::put_record`], of a record that was signed before. The same one may be put again, which makes the nodes keep it for
    /// two days more.
    pub fn put_signed(&self, record: SignedRecord) -> RecordQuery {
        RecordQuery::ask(&self.net, RecordQuestion::Put(Box::new(record)))
    }

    /// A snapshot of the network side.
    pub fn status(&self) -> NetStatus {
        self.shared.get()
    }

    /// What this node does as a blind relay; none when it is none. Changes without [`Node::signal`].
    pub fn relay(&self) -> Option<RelayStatus> {
        self.shared.relay()
    }

    /// Raised when any snapshot has changed, this node's or one of its cores'.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Makes a core live: offered on all connections, told of changes at once. Making it live again gives
    /// another handle of the same.
    pub fn attach(&self, core: &Core) -> LiveCore {
        let (reply, answer) = channel();
        let _ = self.live.send(Input::Attach { core: core.clone(), reply });
        let shared = answer.recv().unwrap_or_default();
        LiveCore { core: core.clone(), shared, live: self.live.clone() }
    }

    /// Asks the blind peer with this key to keep cores available, in place of what it was asked before: connects to it, stays
    /// connected, and asks again on each new connection. None: it is asked for nothing any more, and keeps what it has. The cores have
    /// to be live here, or in the store.
    pub fn ask_blind_peer(&self, peer: PublicKey, cores: Option<BlindCores>) {
        let _ = self.net.send(NetCommand::Name { peer, named: cores.is_some() });
        let _ = self.live.send(Input::AskBlindPeer { peer, cores });
    }

    /// Connects to a peer for its own sake, whatever topics are joined, and stays connected until it is not named any more; a
    /// connection that is there then stays.
    pub fn name_peer(&self, peer: PublicKey, named: bool) {
        let _ = self.net.send(NetCommand::Name { peer, named });
    }

    /// How the blind peers stand that are asked. [`Node::signal`] is raised when it changes.
    pub fn blind_peers(&self) -> BTreeMap<PublicKey, BlindPeerState> {
        self.blind.states()
    }

    /// What clients of this blind peer asked since the last call; see [`NodeConfig::blind_for`]. [`Node::signal`] is raised when
    /// there is something. Nothing is kept for them before [`Node::attach_for_clients`].
    pub fn blind_requests(&self) -> Vec<BlindRequest> {
        self.blind.take_requests()
    }

    /// Makes a core live as [`Node::attach`] does, but offers it to those only who asked us to keep it or open its channel themselves.
    pub fn attach_for_clients(&self, core: &Core) -> LiveCore {
        let (reply, answer) = channel();
        let _ = self.live.send(Input::AttachForClients { core: core.clone(), reply });
        let shared = answer.recv().unwrap_or_default();
        LiveCore { core: core.clone(), shared, live: self.live.clone() }
    }

    /// A core is live no longer. Handles of it stay as they are, and nothing happens to them.
    pub fn detach(&self, key: &CoreKey) {
        let _ = self.live.send(Input::Detach { key: *key });
    }

    /// Lets peers connect to this node's key, though it announces no topic. [`NetStatus::listening`] says when they can.
    pub fn listen(&self) {
        let _ = self.net.send(NetCommand::Listen);
    }

    /// Writes everything received so far to disk.
    ///
    /// # Errors
    /// What the store says.
    pub fn flush(&self) -> Result<(), String> {
        let (reply, answer) = channel();
        let _ = self.live.send(Input::Flush { reply });
        answer.recv().unwrap_or_else(|_| Err("the node has ended".into()))
    }

    /// Rests: takes announcements back, closes connections, and then sends nothing and sets no timer until [`Node::resume`]. For
    /// applications on laptops and phones that are about to be put to sleep. Takes two seconds at most. Topics may be joined
    /// and left meanwhile; downloads stand still and go on afterwards. Does nothing on a node that rests.
    ///
    /// A change of network and a sleep need no call: the node notices them.
    pub fn suspend(&self) {
        let (done, rests) = channel();
        let _ = self.net.send(NetCommand::Suspend { done });
        let _ = rests.recv_timeout(Duration::from_secs(4));
    }

    /// Goes on after [`Node::suspend`], in another network perhaps: binds the sockets anew (to the same ports where they are free),
    /// announces and looks for peers at once. Does nothing on a node that does not rest.
    pub fn resume(&self) {
        let _ = self.net.send(NetCommand::Resume);
    }

    /// Ends the node: takes announcements back and closes connections, within about two seconds.
    pub fn close(self) {
        self.close_within(Duration::ZERO);
    }

    /// Ends the node as [`Node::close`] does, but first writes what was made for peers, for `grace` at most.
    pub fn close_within(mut self, grace: Duration) {
        self.end(Some(grace));
    }

    fn end(&mut self, wait: Option<Duration>) {
        let (done, ended) = channel();
        let grace = wait.unwrap_or_default();
        let _ = self.net.send(NetCommand::Shutdown { grace, done });
        if wait.is_some() {
            // The channel closes when the thread ends.
            let _ = ended.recv_timeout(grace.saturating_add(Duration::from_secs(4)));
        }
        let _ = self.live.send(Input::Close);
        if let Some(mapper) = self.mapper.take() {
            mapper.end();
        }
        for t in self.threads.drain(..) {
            let _ = t.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(Some(Duration::ZERO));
        }
    }
}

/// A core that is offered to peers and fetched from them.
#[derive(Clone)]
pub struct LiveCore {
    core: Core,
    shared: Arc<CoreShared>,
    live: Sender<Input>,
}

impl std::fmt::Debug for LiveCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCore")
            .field("key", &bosc_format::id::encode(self.core.key()))
            .finish_non_exhaustive()
    }
}

impl LiveCore {
    /// The core in the store. Read blocks from it once they are here.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Its key.
    pub fn key(&self) -> &CoreKey {
        self.core.key()
    }

    /// A snapshot.
    pub fn status(&self) -> CoreStatus {
        self.shared.status()
    }

    /// Raised when this core's snapshot has changed, blocks have come, or a download of it is done. Nothing that only
    /// concerns other cores or the network raises it: see [`Node::signal`].
    pub fn signal(&self) -> &Signal {
        &self.shared.signal
    }

    /// Starts to download blocks. Ends with [`DownloadHandle::is_done`], or when the handle is dropped.
    pub fn download(&self, download: Download) -> DownloadHandle {
        let (reply, answer) = channel();
        let _ = self.live.send(Input::Download { key: *self.core.key(), download, reply });
        DownloadHandle {
            key: *self.core.key(),
            state: answer.recv().unwrap_or_default(),
            live: self.live.clone(),
        }
    }

    /// From now on has every peer prove that its history is ours as far as both go; see [`PeerStatus`]. Nothing else is
    /// asked of a peer before that. For those who are about to write: a sync tells a length, not a history.
    pub fn compare(&self) {
        let _ = self.live.send(Input::Compare { key: *self.core.key() });
    }

    /// Asks for blocks before everything else. Look with [`Core::has`] whether they came.
    pub fn want(&self, blocks: Vec<u64>) {
        let _ = self.live.send(Input::Want { key: *self.core.key(), blocks });
    }

    /// Asks for the leaf hashes of blocks of the present head, without the blocks: enough to learn which of them a
    /// local file already holds. Each comes with the nodes that prove it, so the hashes of its neighbours become
    /// known too. Look with [`Core::leaf_hash`] whether they came.
    pub fn want_hashes(&self, ranges: Vec<Range<u64>>) {
        let _ = self.live.send(Input::Hashes { key: *self.core.key(), ranges });
    }
}

/// A running download. Dropping it stops the download.
pub struct DownloadHandle {
    key: CoreKey,
    state: Arc<DownloadState>,
    live: Sender<Input>,
}

impl std::fmt::Debug for DownloadHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DownloadHandle").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

impl DownloadHandle {
    /// Whether all its blocks are here. Downloads without an end are never done.
    pub fn is_done(&self) -> bool {
        self.state.is_done()
    }
}

impl Drop for DownloadHandle {
    fn drop(&mut self) {
        if !self.is_done() {
            let _ = self.live.send(Input::Cancel { key: self.key, state: Arc::clone(&self.state) });
        }
    }
}
