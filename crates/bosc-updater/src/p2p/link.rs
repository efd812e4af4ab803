//! The followed drive of a link: opening it, the newest head that counts, news and conflicts in the updater's words.

use super::cache;
use super::error::{nobody, older};
use super::options::P2pOptions;
use crate::error::{ErrorKind, UpdateError};
use crate::source::{Conflict, Head};
use bosc_follow::mirror::Carrier;
use bosc_follow::{DriveCores, FollowedCore, FollowedDrive, News, Stop, Topics, Wait, policy_here};
use bosc_format::id;
use bosc_format::link::{PearLink, Version};
use bosc_format::merkle::Head as CoreHead;
use bosc_node::bootstrap::{BootstrapError, resolve};
use bosc_node::{HeadSummary, Node, NodeConfig};
use bosc_policy::Policy;
use bosc_store::Store;
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

/// Name of the key pair the node is known by.
const NODE_KEY: &str = "bosc-updater";
/// How long what is known already waits for peers who may know more.
const SHORT: Duration = Duration::from_secs(3);

/// A link that is followed. Dropping it leaves the network.
pub(super) struct FollowedLink {
    pub(super) link: PearLink,
    pub(super) store: Store,
    // Dropped in this order: the topic is left while the node still runs.
    news: Option<News>,
    pub(super) drive: FollowedDrive,
    pub(super) node: Arc<Node>,
    pub(super) stop: Stop,
}

impl std::fmt::Debug for FollowedLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FollowedLink").field("link", &self.link.to_string()).finish_non_exhaustive()
    }
}

impl FollowedLink {
    /// Opens the store and joins the link's topic. Needs no network: without one it waits for one.
    pub(super) fn open(options: &P2pOptions) -> Result<Self, UpdateError> {
        let link = parse(&options.link)?;
        let bootstrap = bootstrap_nodes(&options.bootstrap)?;
        let relay = options.relay.iter().map(|key| relay_key(key)).collect::<Result<_, _>>()?;
        let store = cache::open(&options.dir)?;
        let cores = DriveCores::open(&store, &link.key)?;
        let mut config = NodeConfig::peer(bootstrap);
        // Copies of an installed application with its store are nodes of their own.
        let lineage = store.lineage();
        let name = [NODE_KEY.as_bytes(), lineage.as_ref().map_or(&[], |l| l.as_slice())].concat();
        config.key_pair = store.create_key_pair(name);
        config.relay_through = relay;
        config.lan = options.lan;
        let node = Node::start(config, Some(store.clone())).map_err(|e| {
            UpdateError::new(ErrorKind::Network, "no UDP socket could be opened")
                .hint("check that this application may use the network")
                .because(e)
        })?;
        let node = Arc::new(node);
        let drive = FollowedDrive::join(&node, &Topics::default(), cores, options.seed_back)?;
        let opened = Self { link, store, news: None, drive, node, stop: options.stop.clone() };
        options.mirrors.iter().try_for_each(|mirror| opened.add_mirror(mirror))?;
        // Those that the newest release which is here names: nothing else may lead to a newer one.
        let policy = policy_here(opened.drive.cores());
        opened.name_mirrors(options, policy.as_ref().map_or(&[], Policy::mirrors))?;
        opened.node.add_relays(policy.as_ref().map_or(&[], Policy::relays));
        Ok(opened)
    }

    fn add_mirror(&self, mirror: &Arc<dyn Carrier>) -> Result<(), UpdateError> {
        self.drive.mirrors().add(Arc::clone(mirror)).map_err(|e| {
            UpdateError::new(ErrorKind::Network, "no thread for a mirror could be had")
                .hint("close other programs, then try again")
                .because(e)
        })
    }

    /// Takes the mirrors that the link's policy names, beside those that the application names. An address that is not taken is left
    /// out: another client may know what to do with it.
    pub(super) fn name_mirrors(&self, options: &P2pOptions, addresses: &[String]) -> Result<(), UpdateError> {
        let Some(named) = &options.named_mirror else { return Ok(()) };
        addresses
            .iter()
            .filter_map(|address| named(address).ok())
            .try_for_each(|mirror| self.add_mirror(&mirror))
    }

    /// Calls `notify` whenever there may be a newer release. Whether that can be told.
    pub(super) fn on_news(&mut self, notify: Box<dyn Fn() + Send + Sync>) -> bool {
        self.news = None;
        self.news = self.drive.on_change(notify).ok();
        self.news.is_some()
    }

    /// Bytes that came so far, from peers and mirrors.
    pub(super) fn received(&self) -> u64 {
        self.node.status().received.saturating_add(self.drive.mirrors().received())
    }

    /// The db core.
    pub(super) fn db(&self) -> &FollowedCore {
        self.drive.db()
    }

    /// Other histories that peers proved and that are not in `told` yet.
    pub(super) fn conflicts(&self, told: &mut BTreeSet<[u8; 32]>) -> Vec<Conflict> {
        let mut out = Vec::new();
        for (core, c) in self.drive.conflicts() {
            if !told.insert(c.conflict.theirs.tree_hash) {
                continue;
            }
            let key = self.drive.core(core).map(|c| *c.core().key());
            let head = |h: HeadSummary| Head { length: h.length, tree_hash: id::encode(&h.tree_hash) };
            out.push(Conflict {
                link: self.link.to_string(),
                key: key.map(|k| id::encode(&k)).unwrap_or_default(),
                fork: c.conflict.fork,
                length: c.conflict.length,
                ours: head(c.conflict.ours),
                theirs: head(c.conflict.theirs),
                peer: id::encode(&c.peer),
            });
        }
        out
    }

    /// As [`FollowedDrive::need_blobs`].
    pub(super) fn need_blobs(&self) -> Result<&FollowedCore, UpdateError> {
        Ok(self.drive.need_blobs()?)
    }

    /// The newest head that can be known within `patience`: what the first peers to answer have, or what is here
    /// when nobody answers. `None` when nothing is known at all.
    ///
    /// # Errors
    /// `Disk` and `NoSpace` when what came could not be kept, `Network` when there are peers and none delivers.
    pub(super) fn newest(&self, patience: Duration) -> Result<Option<Arc<CoreHead>>, UpdateError> {
        let at_least = self.link.version.unwrap_or(Version { fork: 0, length: 1 });
        self.db().newest(SHORT, &mut Wait::new(&self.stop).timeout(patience))?;
        let status = self.db().status();
        let core = self.db().core();
        let head = core.head();
        if head.length == 0 || core.manifest().is_none() {
            return if status.peers.is_empty() { Ok(None) } else { Err(nobody(&self.db().in_vain())) };
        }
        self.drive.blobs()?;
        // An older history than the link names is not taken, whoever offers it.
        let old = (head.fork, head.length) < (at_least.fork, at_least.length);
        if old {
            return if status.peers.is_empty() { Ok(None) } else { Err(older()) };
        }
        if self.link.version.is_some_and(|v| v.fork == head.fork) {
            self.drive.cores().check_link(&self.link)?;
        }
        Ok(Some(head))
    }
}

impl Drop for FollowedLink {
    fn drop(&mut self) {
        self.news = None;
        let _ = self.store.flush();
    }
}

/// Reads an upgrade link.
pub(super) fn parse(text: &str) -> Result<PearLink, UpdateError> {
    PearLink::parse(text).map_err(|e| {
        UpdateError::new(ErrorKind::Input, "the upgrade link is not a pear:// link")
            .hint("a link looks like pear://<52 characters>")
            .because(e)
    })
}

/// A relay's key.
fn relay_key(text: &str) -> Result<[u8; 32], UpdateError> {
    id::decode(text).map_err(|e| {
        UpdateError::new(ErrorKind::Input, format!("the relay {text:?} is not a public key"))
            .hint("a key is 52 characters of z-base-32 or 64 of hex, as `bosc relay` prints it")
            .because(e)
    })
}

/// The nodes to start from.
fn bootstrap_nodes(given: &[String]) -> Result<Vec<SocketAddrV4>, UpdateError> {
    resolve(given).map_err(|e| {
        // Without a network names do not resolve: that passes.
        let kind = match e {
            BootstrapError::NotFound { .. } => ErrorKind::Network,
            _ => ErrorKind::Input,
        };
        let error = UpdateError::new(kind, e.to_string()).hint("bootstrap nodes are given as host:port");
        match e {
            BootstrapError::NotANode { source, .. } | BootstrapError::NotFound { source, .. } => {
                error.because(source)
            }
            _ => error,
        }
    })
}
