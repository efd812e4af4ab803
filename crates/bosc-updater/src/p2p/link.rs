//! The link's two cores on the network: opening them, learning the newest head, telling of news.

use super::core::store_error;
use super::fetching::{core_failed, nobody};
use super::options::P2pOptions;
use crate::error::{ErrorKind, UpdateError};
use bosc_format::link::{PearLink, Version};
use bosc_format::merkle::Head;
use bosc_node::{CoreStatus, LiveCore, Node, NodeConfig, PUBLIC_BOOTSTRAP, TICK};
use bosc_store::{CreateOptions, Options, Store};
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Name of the key pair the node is known by.
const NODE_KEY: &str = "bosc-updater";
/// How soon peers are looked for again while nobody is there, or those who are there do not deliver.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Longest time between two of these looks while there are peers.
const LOOK_AGAIN_MOST: Duration = Duration::from_secs(60);
/// How often asking for the newest head also looks for peers who are not connected yet: otherwise whoever is connected
/// first and knows of nothing new would be believed until the swarm's next turn, some ten minutes later.
const LOOK_WIDER: Duration = Duration::from_secs(20);
/// How long what is known already waits for peers who may know more.
const SHORT: Duration = Duration::from_secs(3);

/// Called whenever there may be a newer release.
pub(crate) type Notify = Box<dyn Fn() + Send + Sync>;

/// When to look for more peers while something is waited for.
#[derive(Debug)]
pub(super) struct Looking {
    at: Instant,
    wait: Duration,
}

impl Looking {
    pub(super) fn start() -> Self {
        Self { at: Instant::now(), wait: LOOK_AGAIN }
    }

    /// Whether it is time. `alone`: nobody is there, so it does not become rarer.
    pub(super) fn is_due(&mut self, alone: bool) -> bool {
        if self.at.elapsed() < self.wait {
            return false;
        }
        self.at = Instant::now();
        self.wait = if alone { LOOK_AGAIN } else { (self.wait * 2).min(LOOK_AGAIN_MOST) };
        true
    }
}

/// A link that is followed. Dropping it leaves the network.
pub(super) struct Link {
    pub(super) link: PearLink,
    pub(super) store: Store,
    pub(super) node: Arc<Node>,
    pub(super) db: LiveCore,
    blobs: OnceLock<LiveCore>,
    topic: [u8; 32],
    stop: Arc<AtomicBool>,
    news: Arc<Mutex<Option<Notify>>>,
    /// When peers were last looked for because somebody asked for the newest head.
    wider: Mutex<Instant>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("link", &self.link.to_string()).finish_non_exhaustive()
    }
}

impl Link {
    /// Opens the store and joins the link's topic. Needs no network: without one it waits for one.
    pub(super) fn open(options: &P2pOptions) -> Result<Self, UpdateError> {
        let link = PearLink::parse(&options.link).map_err(|e| {
            UpdateError::new(ErrorKind::Input, "the upgrade link is no pear:// link")
                .hint("a link looks like pear://<52 characters>")
                .because(e)
        })?;
        let bootstrap = resolve(&options.bootstrap)?;
        private_dir(&options.dir)?;
        let store = Store::open(&options.dir, Options::default()).map_err(store_error)?;
        let core = store.open_core(&link.key).map_err(store_error)?;
        let mut config = NodeConfig::peer(bootstrap);
        config.key_pair = store.create_key_pair(NODE_KEY);
        let node = Node::start(config, Some(store.clone())).map_err(|e| {
            UpdateError::new(ErrorKind::Network, "no UDP socket could be opened")
                .hint("check that this application may use the network")
                .because(e)
        })?;
        let node = Arc::new(node);
        let db = node.attach(&core);
        let topic = *core.discovery_key();
        let (stop, news) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let wider = Mutex::new(Instant::now());
        let mut link =
            Self { link, store, node, db, blobs: OnceLock::new(), topic, stop, news, wider, thread: None };
        link.attach_blobs();
        link.node.join(topic, true, options.seed_back);
        link.thread = Some(link.watch()?);
        Ok(link)
    }

    pub(super) fn on_news(&self, notify: Notify) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(notify);
    }

    /// Watches the db's head from a thread of its own and tells when it moves, or when the first peer comes.
    fn watch(&self) -> Result<JoinHandle<()>, UpdateError> {
        let (db, stop, news) = (self.db.clone(), Arc::clone(&self.stop), Arc::clone(&self.news));
        let state = |s: &CoreStatus| {
            let synced = s.peers.iter().any(|p| p.synced);
            (s.fork, s.length, s.has_manifest, synced)
        };
        let mut seen = state(&db.status());
        let (node, topic) = (Arc::clone(&self.node), self.topic);
        let run = move || {
            let mut looking = Looking::start();
            while !stop.load(Ordering::SeqCst) {
                // Somebody says that there is more and does not deliver it: others may.
                if !is_behind(&db.status()) {
                    looking = Looking::start();
                } else if looking.is_due(false) {
                    node.refresh(topic);
                }
                let changed = db.signal().wait(Some(Instant::now() + TICK), TICK, || {
                    let now = state(&db.status());
                    let end = stop.load(Ordering::SeqCst);
                    (now != seen || end).then_some(now)
                });
                let Some(now) = changed else { continue };
                // Somebody leaving is no news.
                let news_came = now.3 || (now.0, now.1, now.2) != (seen.0, seen.1, seen.2);
                seen = now;
                if news_came && let Some(notify) = &*news.lock().unwrap_or_else(PoisonError::into_inner) {
                    notify();
                }
            }
        };
        std::thread::Builder::new()
            .name("bosc-news".into())
            .spawn(run)
            .map_err(|e| UpdateError::new(ErrorKind::Disk, "no thread could be started").because(e))
    }

    /// The blobs core, live; once the db's manifest is known.
    pub(super) fn blobs(&self) -> Option<&LiveCore> {
        self.blobs.get()
    }

    fn attach_blobs(&self) -> Option<&LiveCore> {
        if let Some(blobs) = self.blobs.get() {
            return Some(blobs);
        }
        let manifest = self.db.core().manifest()?.blobs(self.db.key())?;
        let core = self.store.create_core(CreateOptions::new().manifest(manifest)).ok()?;
        Some(self.blobs.get_or_init(|| self.node.attach(&core)))
    }

    /// As [`Link::blobs`], with an error when the drive has none.
    pub(super) fn need_blobs(&self) -> Result<LiveCore, UpdateError> {
        self.attach_blobs().cloned().ok_or_else(|| {
            UpdateError::new(ErrorKind::Integrity, "the link does not name a drive of a current format")
                .hint("stage the application with a current version of bosc or pear")
        })
    }

    pub(super) fn look_again(&self) {
        self.node.refresh(self.topic);
    }

    fn look_wider(&self) {
        let mut last = self.wider.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LOOK_WIDER {
            *last = Instant::now();
            self.look_again();
        }
    }

    /// The newest head that can be known within `patience`: what the first peers to answer have, or what is here
    /// when nobody answers. `None` when nothing is known at all.
    ///
    /// # Errors
    /// `Disk` and `NoSpace` when what came could not be kept, `Network` when there are peers and none delivers.
    pub(super) fn newest(
        &self,
        patience: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<Head>>, UpdateError> {
        let at_least = self.link.version.unwrap_or(Version { fork: 0, length: 1 });
        let start = Instant::now();
        let mut looking = Looking::start();
        self.look_wider();
        let status = self.db.signal().wait(Some(start + patience), TICK, || {
            let s = self.db.status();
            if s.failed.is_some() || interrupted() {
                return Some(s);
            }
            let known = s.length > 0 && s.has_manifest;
            if known && s.peers.iter().any(|p| p.synced) && !is_behind(&s) {
                return Some(s);
            }
            let alone = s.peers.is_empty();
            if alone && known && start.elapsed() > SHORT {
                return Some(s);
            }
            if self.node.is_flushed(&self.topic) && looking.is_due(alone) {
                self.look_again();
            }
            None
        });
        let status = status.unwrap_or_else(|| self.db.status());
        if let Some(why) = &status.failed {
            return Err(core_failed(why));
        }
        self.attach_blobs();
        let head = self.db.core().head();
        if head.length == 0 || self.db.core().manifest().is_none() {
            return if status.peers.is_empty() { Ok(None) } else { Err(nobody(&status)) };
        }
        // An older history than the link names is not taken, whoever offers it.
        let old = (head.fork, head.length) < (at_least.fork, at_least.length);
        if old && status.peers.is_empty() {
            return Ok(None);
        }
        if old {
            return Err(UpdateError::new(
                ErrorKind::Refused,
                "peers have only an older version than the link names",
            )
            .hint("wait until somebody seeds the version in the link"));
        }
        if let (Some(hash), Some(version)) = (self.link.hash, self.link.version)
            && head.fork == version.fork
            && self.db.core().head_at(version.length).is_ok_and(|h| h.tree_hash() != hash)
        {
            return Err(UpdateError::new(
                ErrorKind::Integrity,
                "the drive is not the one the link's hash names",
            )
            .hint("check the link, or leave the hash out of it"));
        }
        Ok(Some(head))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.node.leave(self.topic);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = self.store.flush();
    }
}

/// Whether a peer says that it has more than we do.
fn is_behind(s: &CoreStatus) -> bool {
    let mut synced = s.peers.iter().filter(|p| p.synced);
    synced.any(|p| p.fork > s.fork || (p.fork == s.fork && p.length > s.length && p.length > 0))
}

/// Makes the folder for this user alone.
fn private_dir(dir: &std::path::Path) -> Result<(), UpdateError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| {
        UpdateError::new(ErrorKind::Disk, format!("the folder {} cannot be made", dir.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    })
}

/// Resolves `host:port` texts to IPv4 addresses; none given means the public network.
fn resolve(bootstrap: &[String]) -> Result<Vec<SocketAddrV4>, UpdateError> {
    if bootstrap.is_empty() {
        return Ok(PUBLIC_BOOTSTRAP.to_vec());
    }
    let bad = |text: &str| {
        UpdateError::new(ErrorKind::Input, format!("no DHT node: {text:?}"))
            .hint("bootstrap nodes are given as host:port")
    };
    let mut out = Vec::new();
    for text in bootstrap {
        // npm hyperdht writes nodes as `address@name:port`.
        let plain = text.split_once('@').map_or(text.clone(), |(address, rest)| {
            format!("{address}:{}", rest.rsplit_once(':').map_or("", |(_, port)| port))
        });
        let found = plain.to_socket_addrs().map_err(|e| bad(text).because(e))?;
        out.extend(found.filter_map(|a| if let SocketAddr::V4(a) = a { Some(a) } else { None }));
    }
    if out.is_empty() { Err(bad(bootstrap.first().map_or("", String::as_str))) } else { Ok(out) }
}
