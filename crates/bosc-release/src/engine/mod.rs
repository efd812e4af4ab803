//! Runs commands on one open store, with a network node that starts when the first command needs it.

mod ci;
mod copies;
mod drive;
mod dump;
mod info;
mod lines;
mod multisig;
mod provision;
mod publish;
mod release;
mod rotate;
mod run_lock;
mod seed;
mod shared;
mod stage;
mod tools;
mod topics;
mod touch;
mod wait;

use crate::command::{Outcome, Request, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::owner::Executor;
use bosc_format::crypto::KeyPair;
use bosc_node::{Node, NodeConfig, PUBLIC_BOOTSTRAP};
use bosc_store::{Options, Store};
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Name of the key pair that a store's node is known by.
const NODE_KEY: &str = "bosc-node";

/// Where the store is and how the network is reached.
#[derive(Clone, Default)]
pub struct EngineConfig {
    /// The store's folder; made when missing.
    pub store: PathBuf,
    /// DHT nodes as `host:port`; empty for the public ones.
    pub bootstrap: Vec<String>,
    /// The root secret of a new store. An existing store must have the same one.
    pub primary_key: Option<[u8; 32]>,
}

impl std::fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineConfig")
            .field("store", &self.store)
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

/// An open store and its node.
pub struct Engine {
    store: Store,
    dir: PathBuf,
    bootstrap: Vec<SocketAddrV4>,
    node: Mutex<Option<Arc<Node>>>,
    /// No node may run now: a release is on its way to its mirror (see `ci`). Changed with `node` locked.
    silent: Arc<AtomicBool>,
    /// One staging at a time: two would each build on the same head.
    staging: Mutex<()>,
    /// One commit of a signed release writes at a time.
    committing: Mutex<()>,
    /// One release at a time is compared with what its link holds, and written.
    releasing: Mutex<()>,
    /// The primary key is on other machines too, so that names of it do not tell this one apart.
    common_key: bool,
    topics: topics::Topics,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store. The error has the code `ERR_LOCKED` while another process has it.
    pub fn open(config: &EngineConfig) -> Result<Self, CommandError> {
        let bootstrap = resolve(&config.bootstrap)?;
        let store = Store::open(&config.store, Options::default()).map_err(store_error)?;
        if let Some(key) = &config.primary_key {
            store.set_primary_key(key).map_err(|e| {
                CommandError::input("BOSC_PRIMARY_KEY is not the primary key of this store")
                    .because(e)
                    .hint("unset it, or use a new store with `--store DIR`")
            })?;
        }
        Ok(Self::with_store(store, config, bootstrap))
    }

    /// An engine whose store is in memory and gone with it: how others see the network.
    pub(crate) fn in_memory(bootstrap: Vec<SocketAddrV4>) -> Result<Self, CommandError> {
        let store = Store::memory(Options::default()).map_err(store_error)?;
        Ok(Self::with_store(store, &EngineConfig::default(), bootstrap))
    }

    fn with_store(store: Store, config: &EngineConfig, bootstrap: Vec<SocketAddrV4>) -> Self {
        Self {
            store,
            dir: config.store.clone(),
            bootstrap,
            node: Mutex::new(None),
            silent: Arc::default(),
            staging: Mutex::new(()),
            committing: Mutex::new(()),
            releasing: Mutex::new(()),
            common_key: config.primary_key.is_some(),
            topics: topics::Topics::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The network node, started when it is first asked for.
    pub fn node(&self) -> Result<Arc<Node>, CommandError> {
        let mut slot = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = &*slot {
            return Ok(Arc::clone(node));
        }
        if self.silent.load(Ordering::SeqCst) {
            return Err(ci::busy());
        }
        let mut config = NodeConfig::peer(self.bootstrap.clone());
        config.key_pair = self.node_key()?;
        let node = Node::start(config, Some(self.store.clone())).map_err(|e| {
            CommandError::new(ErrorKind::Network, "ERR_CONNECTION", "the network could not be reached")
                .because(e)
                .hint("check that this machine may open UDP sockets")
        })?;
        let node = Arc::new(node);
        *slot = Some(Arc::clone(&node));
        Ok(node)
    }

    /// The key pair others know this store's node by. Two runners with one primary key are two nodes.
    fn node_key(&self) -> Result<KeyPair, CommandError> {
        let kept = self.store.user_data(NODE_KEY).map_err(store_error)?.map(Zeroizing::new);
        if let Some(seed) = kept.as_deref().and_then(|s| <&[u8; 32]>::try_from(s.as_slice()).ok()) {
            return Ok(KeyPair::from_seed(seed));
        }
        if !self.common_key {
            return Ok(self.store.create_key_pair(NODE_KEY));
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)
            .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
        self.store.set_user_data(NODE_KEY, Some(&*seed)).map_err(store_error)?;
        Ok(KeyPair::from_seed(&seed))
    }

    /// Runs one command. Its last event, `final`, is the caller's to make from the outcome.
    pub fn execute_request(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        match request {
            Request::Touch(r) => self.touch(r, stop),
            Request::Stage(r) => self.stage(r, sink, stop),
            Request::Seed(r) => self.seed(r, sink, stop),
            Request::Info(r) => self.info(r, sink, stop),
            Request::Dump(r) => self.dump(r, sink, stop),
            Request::Multisig(r) => self.multisig(r, sink, stop),
            Request::Provision(r) => self.provision(r, sink, stop),
            Request::Tool(r) => self.tool(r, sink, stop),
            Request::Publish(r) => self.publish(r, sink, stop),
            Request::Line(r) => self.line(r, sink, stop),
            Request::Rotate(r) => self.rotate(r, sink, stop),
        }
    }

    /// Ends the node, taking announcements back, and makes everything durable.
    pub fn close(&self) {
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(node) = node.and_then(Arc::into_inner) {
            node.close();
        }
        let _ = self.store.flush();
    }
}

impl Executor for Engine {
    fn execute(&self, request: &Request, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        self.execute_request(request, sink, stop)
    }
}

/// Resolves `host:port` texts to IPv4 addresses; none given means the public network.
pub fn resolve(bootstrap: &[String]) -> Result<Vec<SocketAddrV4>, CommandError> {
    if bootstrap.is_empty() {
        return Ok(PUBLIC_BOOTSTRAP.to_vec());
    }
    let mut out = Vec::new();
    for text in bootstrap {
        // npm hyperdht writes nodes as `address@name:port`.
        let plain = text.split_once('@').map_or(text.clone(), |(address, rest)| {
            format!("{address}:{}", rest.rsplit_once(':').map_or("", |(_, port)| port))
        });
        let found = plain.to_socket_addrs().map_err(|e| {
            CommandError::input(format!("no DHT node: {text:?}"))
                .because(e)
                .hint("bootstrap nodes are given as host:port, separated by commas")
        })?;
        out.extend(found.filter_map(|a| if let SocketAddr::V4(a) = a { Some(a) } else { None }));
    }
    if out.is_empty() {
        return Err(CommandError::input("none of the bootstrap nodes has an IPv4 address"));
    }
    Ok(out)
}

/// An error of the store, with what to do about it.
pub(crate) fn store_error(e: bosc_store::Error) -> CommandError {
    use bosc_store::Error as E;
    let (kind, code, message, hint) = match &e {
        E::Locked { .. } => (
            ErrorKind::Store,
            "ERR_LOCKED",
            "another process has the store open and does not take commands",
            "wait for it to end, or use another store with `--store DIR`",
        ),
        E::NewerVersion { .. } => (
            ErrorKind::Store,
            "ERR_STORE_VERSION",
            "the store was made by a newer version of Bosc",
            "update Bosc, or use another store with `--store DIR`",
        ),
        E::Corrupt { .. } => (
            ErrorKind::Store,
            "ERR_STORE_CORRUPT",
            "the store is damaged",
            "restore it from a backup, or use a new one with `--store DIR`",
        ),
        E::Full { .. } => (
            ErrorKind::Store,
            "ERR_DISK_FULL",
            "the disk is full",
            "free some space and run the command again; nothing that was stored is lost",
        ),
        E::NotWritable => return not_writable(),
        _ => (
            ErrorKind::Store,
            "ERR_STORE",
            "the store failed",
            "check the folder of the store, its disk and its permissions",
        ),
    };
    CommandError::new(kind, code, message).hint(hint).because(e)
}

/// This machine cannot write to a link.
pub(crate) fn not_writable() -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_PERMISSION_REQUIRED", "this store cannot write to the link")
        .hint(
            "stage with the store that made the link, or make a new link with `bosc touch` and stage to that",
        )
}
