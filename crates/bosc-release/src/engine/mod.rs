//! What commands run on ([`Engine`]): one open store, and a network node that starts when the first command needs it. Which
//! feature a request belongs to is in `run.rs`; here is what several features need.
//!
//! # Files
//!
//! - Here: when it is said that no DHT node answers.
//! - `drive`: a drive's two cores in the store; links that are refused, a length inside a batch. `open`: a drive brought up to date
//!   as far as peers allow, and its small files, the largest package.json. `look`: a link opened to see who holds it, how long nobody
//!   is waited for.
//! - `follow`: followed drives, and what they fail with in this crate's words; the usual `--timeout`. `copies`: seeding until peers
//!   hold full copies of a drive, and the error when too few do. `seeded`: which drives `seed` keeps available. `mirrors`: which
//!   mirrors are read for which drive. `peer_table`: who has a drive, and how many peers are named.
//! - `shared`: links whose key more than one machine has, or whose store was copied: nothing is written to them before peers showed
//!   the newest version; how long these are looked for. `run_lock`: runs about to write one link see each other, how long they wait.
//!   `conflict`: two histories of one link, told and kept.
//! - `prepare`: what the node has to be for a request. `pace`: how fast all scrubs together read. `folders`: names of work folders in
//!   the store. `errors`: what the store and the network fail with, in words, and the ways back from a damaged store.

pub(crate) mod conflict;
pub(crate) mod copies;
pub(crate) mod drive;
pub(crate) mod errors;
pub(crate) mod folders;
pub(crate) mod follow;
pub(crate) mod look;
pub(crate) mod mirrors;
pub(crate) mod open;
pub(crate) mod pace;
pub(crate) mod peer_table;
mod prepare;
pub(crate) mod run_lock;
pub(crate) mod seeded;
pub(crate) mod shared;

use crate::error::{CommandError, ErrorKind};
use bosc_follow::Topics;
use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_node::bootstrap::{BootstrapError, resolve};
use bosc_node::{BlindFor, Node, NodeConfig, RelaySetup};
use bosc_store::{Options, Store};
use errors::store_error;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// Name of the key pair that a store's node is known by.
const NODE_KEY: &str = "bosc-node";
/// How long DHT nodes have to answer before it is said that none does.
pub(crate) const OFFLINE_AFTER: Duration = Duration::from_secs(4);

/// Where the store is and how the network is reached.
#[derive(Clone, Default)]
pub struct EngineConfig {
    /// The store's folder; made when missing.
    pub store: PathBuf,
    /// DHT nodes as `host:port`; empty for the public ones.
    pub bootstrap: Vec<String>,
    /// Public keys of blind relays to go through where no direct way to a peer is found.
    pub relay: Vec<String>,
    /// Find peers in the local network, and be found there.
    pub lan: bool,
    /// The root secret of a new store. An existing store must have the same one.
    pub primary_key: Option<[u8; 32]>,
    /// Counts how often what runs was asked to read its files again; who counts up wakes it with [`Stop::wake`].
    ///
    /// [`Stop::wake`]: crate::command::Stop::wake
    pub reload: Arc<AtomicU64>,
}

/// What a command wants of the node, which is started later and once.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeWishes {
    /// UDP port.
    pub(crate) port: Option<u16>,
    /// Be a blind relay.
    pub(crate) relay: Option<RelaySetup>,
    /// Ask the router for a port.
    pub(crate) map_port: bool,
    /// Be a blind peer.
    pub(crate) blind_for: Option<BlindFor>,
    /// Most connections.
    pub(crate) max_connections: Option<usize>,
    /// Most bytes a second that are sent.
    pub(crate) upload_limit: Option<u64>,
    /// How long its end may take to write what it has begun to send.
    pub(crate) grace: Duration,
}

impl std::fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineConfig")
            .field("store", &self.store)
            .field("bootstrap", &self.bootstrap)
            .field("relay", &self.relay)
            .finish_non_exhaustive()
    }
}

/// An open store and its node.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) dir: PathBuf,
    pub(crate) bootstrap: Vec<SocketAddrV4>,
    relay: Vec<PublicKey>,
    lan: bool,
    pub(crate) node: Mutex<Option<Arc<Node>>>,
    /// No node may run now: a release is on its way to its mirror (see `ci`). Changed with `node` locked.
    pub(crate) silent: Arc<AtomicBool>,
    /// One staging at a time: two would each build on the same head.
    pub(crate) staging: Mutex<()>,
    /// One commit of a signed release writes at a time.
    pub(crate) committing: Mutex<()>,
    /// One release at a time is compared with what its link holds, and written.
    pub(crate) releasing: Mutex<()>,
    /// One statement of an operator at a time is kept.
    pub(crate) speaking: Mutex<()>,
    /// What `seed` keeps available.
    pub(crate) seeded: seeded::Seeded,
    /// The primary key is on other machines too, so that names of it do not tell this one apart.
    pub(crate) common_key: bool,
    pub(crate) topics: Topics,
    /// Mirrors that commands read from.
    pub(crate) mirrors: mirrors::Sources,
    pub(crate) scrub_pace: pace::Pace,
    wishes: Mutex<NodeWishes>,
    pub(crate) reload: Arc<AtomicU64>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store. The error has the code `ERR_LOCKED` while another process has it.
    pub fn open(config: &EngineConfig) -> Result<Self, CommandError> {
        let bootstrap = bootstrap_nodes(&config.bootstrap)?;
        let relay = public_keys(&config.relay, "--relay")?;
        let mut options = Options::default();
        // `gc` is the way out of a full disk.
        options.keep_reserve = true;
        let store = Store::open(&config.store, options).map_err(store_error)?;
        if let Some(key) = &config.primary_key {
            store.set_primary_key(key).map_err(|e| errors::other_primary_key().because(e))?;
        }
        Ok(Self::with_store(store, config, bootstrap, relay))
    }

    /// An engine whose store is in memory and gone with it: how others see the network.
    pub(crate) fn in_memory(bootstrap: Vec<SocketAddrV4>) -> Result<Self, CommandError> {
        let store = Store::memory(Options::default()).map_err(store_error)?;
        Ok(Self::with_store(store, &EngineConfig::default(), bootstrap, Vec::new()))
    }

    /// The same, known to others by the key pair of this seed.
    pub(crate) fn in_memory_as(bootstrap: Vec<SocketAddrV4>, seed: &[u8; 32]) -> Result<Self, CommandError> {
        let engine = Self::in_memory(bootstrap)?;
        engine.store.set_user_data(NODE_KEY, Some(seed)).map_err(store_error)?;
        Ok(engine)
    }

    fn with_store(
        store: Store,
        config: &EngineConfig,
        bootstrap: Vec<SocketAddrV4>,
        relay: Vec<PublicKey>,
    ) -> Self {
        Self {
            store,
            dir: config.store.clone(),
            bootstrap,
            relay,
            lan: config.lan,
            node: Mutex::new(None),
            silent: Arc::default(),
            staging: Mutex::new(()),
            committing: Mutex::new(()),
            releasing: Mutex::new(()),
            speaking: Mutex::new(()),
            seeded: seeded::Seeded::default(),
            common_key: config.primary_key.is_some(),
            topics: Topics::default(),
            mirrors: mirrors::Sources::default(),
            scrub_pace: pace::Pace::default(),
            wishes: Mutex::default(),
            reload: Arc::clone(&config.reload),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn wishes(&self) -> MutexGuard<'_, NodeWishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network node, started when it is first asked for.
    pub fn node(&self) -> Result<Arc<Node>, CommandError> {
        let mut slot = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = &*slot {
            return Ok(Arc::clone(node));
        }
        if self.silent.load(Ordering::SeqCst) {
            return Err(errors::busy());
        }
        let mut config = NodeConfig::peer(self.bootstrap.clone());
        config.key_pair = self.node_key()?;
        config.relay_through.clone_from(&self.relay);
        config.lan = self.lan;
        let wishes = self.wishes().clone();
        config.upload_limit = wishes.upload_limit;
        config.port = wishes.port.unwrap_or(0);
        config.relay = wishes.relay;
        config.blind_for = wishes.blind_for;
        config.map_port = wishes.map_port;
        if let Some(most) = wishes.max_connections {
            // At least one has to come to us, where more than one may: nobody could fetch from those who only dial.
            config.max_peers = config.max_peers.min(most.div_ceil(2));
            config.max_connections = Some(most);
        }
        let node = Node::start(config, Some(self.store.clone())).map_err(|e| {
            let (what, hint) = match wishes.port.filter(|port| *port > 0) {
                Some(port) => (
                    format!("UDP port {port} cannot be used"),
                    "choose another with `--port`; 0 takes a free one",
                ),
                None if self.lan => (
                    "the local network could not be listened to".to_owned(),
                    "check that this machine may open UDP port 5353, or leave `--lan` out",
                ),
                None => (
                    "the network could not be reached".to_owned(),
                    "check that this machine may open UDP sockets",
                ),
            };
            CommandError::new(ErrorKind::Network, "ERR_CONNECTION", what).because(e).hint(hint)
        })?;
        let node = Arc::new(node);
        *slot = Some(Arc::clone(&node));
        Ok(node)
    }

    /// The network node, if it runs.
    pub(crate) fn running_node(&self) -> Option<Arc<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key pair others know this store's node by. Two runners with one primary key are two nodes.
    pub(crate) fn node_key(&self) -> Result<KeyPair, CommandError> {
        self.own_key(NODE_KEY)
    }

    /// A key pair of this store and no other, by its name.
    pub(crate) fn own_key(&self, name: &str) -> Result<KeyPair, CommandError> {
        // Nor is a copy of the store the same node: each would take the other for itself.
        if let Some(lineage) = self.store.lineage() {
            return Ok(self.store.create_key_pair([name.as_bytes(), &lineage].concat()));
        }
        let kept = self.store.user_data(name).map_err(store_error)?.map(Zeroizing::new);
        if let Some(seed) = kept.as_deref().and_then(|s| <&[u8; 32]>::try_from(s.as_slice()).ok()) {
            return Ok(KeyPair::from_seed(seed));
        }
        if !self.common_key {
            return Ok(self.store.create_key_pair(name));
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)
            .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
        self.store.set_user_data(name, Some(&*seed)).map_err(store_error)?;
        Ok(KeyPair::from_seed(&seed))
    }

    /// The DHT nodes that were tried, when nothing at all was ever received.
    pub(crate) fn unanswered(&self) -> Option<Vec<SocketAddrV4>> {
        let slot = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().and_then(|node| self.unanswered_by(node))
    }

    /// The same of a node beside the engine's own.
    pub(crate) fn unanswered_by(&self, node: &Node) -> Option<Vec<SocketAddrV4>> {
        (node.status().received == 0).then(|| self.bootstrap.clone())
    }

    /// Ends the node, taking announcements back, and makes everything durable.
    pub fn close(&self) {
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(node) = node.and_then(Arc::into_inner) {
            let grace = self.wishes().grace;
            node.close_within(grace);
        }
        let _ = self.store.flush();
    }
}

/// Public keys of peers, as a flag gives them.
pub(crate) fn public_keys(given: &[String], flag: &str) -> Result<Vec<PublicKey>, CommandError> {
    let key = |text: &String| {
        bosc_format::id::decode(text).map_err(|e| {
            CommandError::input(format!("{flag} {text:?} is not a public key")).because(e).hint(
                "a key is 52 characters of z-base-32 or 64 of hex, as `bosc relay` and `bosc seed --json` show it",
            )
        })
    };
    given.iter().map(key).collect()
}

/// The nodes to start from.
pub(crate) fn bootstrap_nodes(given: &[String]) -> Result<Vec<SocketAddrV4>, CommandError> {
    resolve(given).map_err(|e| {
        let error = match e {
            // Without a network names do not resolve: that passes.
            BootstrapError::NotFound { .. } => {
                CommandError::new(ErrorKind::Network, "ERR_NO_DHT", e.to_string())
                    .hint("check the network and the name, or give the node's IP address")
            }
            _ => CommandError::input(e.to_string())
                .hint("bootstrap nodes are given as host:port, separated by commas"),
        };
        match e {
            BootstrapError::NotANode { source, .. } | BootstrapError::NotFound { source, .. } => {
                error.because(source)
            }
            _ => error,
        }
    })
}
