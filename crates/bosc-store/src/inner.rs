//! What all handles of a store share, and how locks nest.
//!
//! Locks, outermost first; nobody takes one while holding a later one:
//! 1. a core's `intent`: who is changing the core; held from reading its state to making the change visible
//! 2. `commit`: one commit at a time
//! 3. `gate`: shared while a pending change becomes visible, exclusive while a commit takes its snapshot; so a
//!    commit sees every change whole or not at all, across all cores
//! 4. `stream`, the writer of downloaded blocks
//! 5. a core's `state`: shared by readers for the whole of an operation, exclusive to make a change visible
//! 6. `open`, `dirty`, the page cache, the segments, the database
//!
//! Pages of a core change only under its `intent`, and become visible only under its exclusive `state`; so a
//! reader that holds `state` sees one state of the core however long it takes.

use crate::cache::Cache;
use crate::commit::CommitState;
use crate::core::Counters;
use crate::db::{self, Db};
use crate::disk::Disk;
use crate::edits::{ASIDE, Delta};
use crate::error::{Error, Result};
use crate::events::Listeners;
use crate::identity::Identity;
use crate::options::Options;
use crate::page::{Page, PageKey, Place, SharedPage, tree_slot};
use crate::record::{KeySource, Record};
use crate::segment::{SegmentWriter, Segments};
use bosc_format::corestore;
use bosc_format::crypto::{CoreKey, DiscoveryKey, KeyPair, discovery_key};
use bosc_format::flat_tree;
use bosc_format::manifest::Verifier;
use bosc_format::merkle::{Node, TreeReadError, TreeReader};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::thread::JoinHandle;
use zeroize::Zeroizing;

/// Takes a lock. A thread that panicked while holding it has left nothing half done that the next commit does
/// not write whole.
pub(crate) fn lock<T: ?Sized>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One core, shared by all its handles.
#[derive(Debug)]
pub(crate) struct CoreShared {
    pub(crate) id: u32,
    pub(crate) key: CoreKey,
    pub(crate) discovery_key: DiscoveryKey,
    pub(crate) intent: Mutex<()>,
    state: RwLock<State>,
    pub(crate) listeners: Arc<Mutex<Listeners>>,
    pub(crate) damage: Counters,
}

/// What changes about a core.
pub(crate) struct State {
    pub(crate) record: Record,
    /// Made from key and manifest. `None` while the manifest is not known: then the key is taken for a compat
    /// key.
    pub(crate) verifier: Option<Arc<Verifier>>,
    pub(crate) pair: Option<KeyPair>,
    /// Its record is in the database.
    pub(crate) persisted: bool,
    /// Its record is in the database or will be with the next commit.
    pub(crate) kept: bool,
    pub(crate) removed: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("length", &self.record.head.length).finish_non_exhaustive()
    }
}

impl CoreShared {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cores that are open, or were made and not written yet.
#[derive(Debug, Default)]
pub(crate) struct OpenCores {
    pub(crate) by_discovery: HashMap<DiscoveryKey, Weak<CoreShared>>,
    /// Names given since the last commit that wrote them (namespace and name to key).
    pub(crate) names: HashMap<Vec<u8>, CoreKey>,
    pub(crate) next_id: u32,
    /// Next core number for pages put aside.
    pub(crate) next_aside: u32,
}

/// A store.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) segments: Arc<Segments>,
    pub(crate) cache: Mutex<Cache>,
    pub(crate) gate: RwLock<()>,
    pub(crate) commit: Mutex<CommitState>,
    /// Cores whose record differs from the database.
    pub(crate) dirty: Mutex<BTreeMap<u32, Arc<CoreShared>>>,
    pub(crate) open: Mutex<OpenCores>,
    pub(crate) stream: Mutex<SegmentWriter>,
    pub(crate) primary: RwLock<PrimaryKey>,
    pub(crate) options: Options,
    pub(crate) disk: Arc<dyn Disk>,
    /// Whether the store is a copy. Locked after `commit`, and last.
    pub(crate) identity: Mutex<Identity>,
}

/// The primary key: hidden from debug output and wiped.
pub(crate) struct PrimaryKey(pub(crate) Zeroizing<[u8; 32]>);

impl fmt::Debug for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrimaryKey(..)")
    }
}

impl Inner {
    /// A page, from the cache or the database.
    pub(crate) fn page(&self, key: &PageKey) -> Result<Option<SharedPage>> {
        if let Some(page) = lock(&self.cache).get(key) {
            return Ok(page);
        }
        let page = self.db.read(|txn| {
            let table = txn.open_table(db::PAGES)?;
            let Some(row) = table.get(&key.to_bytes())? else { return Ok(None) };
            match Page::decode(key, row.value()) {
                Some(page) => Ok(Some(Arc::new(page))),
                None => Err(Error::corrupt("a page does not decode").into()),
            }
        })?;
        lock(&self.cache).put_clean(*key, page.clone());
        Ok(page)
    }

    pub(crate) fn place(&self, core: u32, block: u64) -> Result<Option<Place>> {
        Ok(self.page(&PageKey::places(core, block))?.and_then(|p| p.place()?.get(block)))
    }

    pub(crate) fn has(&self, core: u32, block: u64) -> Result<bool> {
        Ok(self.page(&PageKey::bits(core, block))?.and_then(|p| Some(p.bit()?.get(block))).unwrap_or(false))
    }

    pub(crate) fn key_pair(&self, source: &KeySource) -> Option<KeyPair> {
        match source {
            KeySource::None => None,
            KeySource::Seed(seed) => Some(KeyPair::from_seed(seed)),
            KeySource::Name { namespace, name } => {
                let primary = self.primary.read().unwrap_or_else(PoisonError::into_inner);
                Some(corestore::key_pair(&primary.0, namespace, name))
            }
        }
    }

    /// The open core with this discovery key, or the one in the database.
    pub(crate) fn find(&self, discovery: &DiscoveryKey) -> Result<Option<Arc<CoreShared>>> {
        let mut open = lock(&self.open);
        self.find_locked(&mut open, discovery)
    }

    pub(crate) fn find_locked(
        &self,
        open: &mut OpenCores,
        discovery: &DiscoveryKey,
    ) -> Result<Option<Arc<CoreShared>>> {
        if let Some(core) = open.by_discovery.get(discovery).and_then(Weak::upgrade) {
            return Ok(Some(core));
        }
        let found = self.db.read(|txn| {
            let Some(id) = txn.open_table(db::KEYS)?.get(discovery)?.map(|v| v.value()) else {
                return Ok(None);
            };
            match txn.open_table(db::CORES)?.get(id)? {
                Some(row) => Ok(Some((id, Record::decode(row.value())?))),
                None => Err(Error::corrupt("a core without a record").into()),
            }
        })?;
        match found {
            Some((id, record)) => Ok(Some(self.insert_open(open, id, record, true)?)),
            None => Ok(None),
        }
    }

    /// The core with this key; makes an empty one, which is written when something is stored in it.
    pub(crate) fn find_or_make(&self, key: &CoreKey) -> Result<Arc<CoreShared>> {
        let mut open = lock(&self.open);
        if let Some(core) = self.find_locked(&mut open, &discovery_key(key))? {
            return Ok(core);
        }
        let id = open.next_id;
        if id >= ASIDE {
            return Err(Error::corrupt("core numbers ran out"));
        }
        open.next_id = id + 1;
        self.insert_open(&mut open, id, Record::new(*key), false)
    }

    fn insert_open(
        &self,
        open: &mut OpenCores,
        id: u32,
        record: Record,
        persisted: bool,
    ) -> Result<Arc<CoreShared>> {
        let key = record.key;
        let verifier = match &record.manifest {
            Some(m) => Some(Arc::new(
                Verifier::new(&key, Some(m)).map_err(|_| Error::corrupt("a core with the wrong manifest"))?,
            )),
            None => None,
        };
        let pair = self.key_pair(&record.source);
        let core = Arc::new(CoreShared {
            id,
            key,
            discovery_key: discovery_key(&key),
            intent: Mutex::new(()),
            state: RwLock::new(State { record, verifier, pair, persisted, kept: persisted, removed: false }),
            listeners: Arc::default(),
            damage: Counters::default(),
        });
        if open.by_discovery.len() >= 1024 && open.by_discovery.len().is_power_of_two() {
            open.by_discovery.retain(|_, c| c.strong_count() > 0);
        }
        open.by_discovery.insert(core.discovery_key, Arc::downgrade(&core));
        Ok(core)
    }

    /// A core number for pages put aside.
    pub(crate) fn new_aside(&self) -> Result<u32> {
        let mut open = lock(&self.open);
        let id = open.next_aside;
        open.next_aside = id.checked_add(1).ok_or_else(|| Error::corrupt("core numbers ran out"))?;
        Ok(id)
    }

    /// Packs the database's file.
    pub(crate) fn compact(&self) -> Result<()> {
        let _commit = lock(&self.commit);
        self.db.compact()
    }

    /// Checks the database's file.
    pub(crate) fn check_database(&self) -> Result<bool> {
        let _commit = lock(&self.commit);
        self.db.check()
    }

    /// Open cores of which something is kept.
    pub(crate) fn open_cores(&self) -> Vec<Arc<CoreShared>> {
        let open = lock(&self.open);
        let cores: Vec<_> = open.by_discovery.values().filter_map(Weak::upgrade).collect();
        drop(open);
        cores.into_iter().filter(|c| c.read().kept).collect()
    }

    /// Makes a change visible before it is durable. `write` finishes it: it runs in the same breath, with no
    /// commit in between.
    pub(crate) fn install_pending(&self, finish: impl FnOnce() -> Result<Delta>) -> Result<()> {
        let _gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let delta = finish()?;
        let mut state = delta.core.write();
        {
            let mut cache = lock(&self.cache);
            for (key, page) in delta.pages {
                cache.put_dirty(key, page.unwrap_or_else(|| Arc::new(Page::empty(&key))));
            }
        }
        self.segments.install(&delta.uses);
        if let Some(record) = delta.record {
            state.take(record);
        }
        state.kept = true;
        drop(state);
        lock(&self.dirty).insert(delta.core.id, delta.core);
        Ok(())
    }

    /// How full the pending state is: 4 quarters is the bound.
    fn pending_quarters(&self) -> u64 {
        let pages = lock(&self.cache).dirty_bytes() as u64 * 4 / (self.options.pending_bytes as u64).max(4);
        let blocks = self.segments.pending_bytes() * 4 / self.options.pending_block_bytes.max(4);
        pages.max(blocks)
    }
}

/// What handles hold: the store, and the thread that commits beside downloads. Dropping the last handle waits for
/// that thread, so that the store is closed then.
#[derive(Debug)]
pub(crate) struct Owner {
    inner: Arc<Inner>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Owner {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), committer: Mutex::new(None) }
    }

    /// Keeps what is pending within its bound: commits beside the caller from a quarter on, and has the caller
    /// commit (or wait) when the bound is reached. A commit that fails keeps what is pending: fail before taking
    /// more.
    pub(crate) fn make_room(&self) -> Result<()> {
        let quarters = self.pending_quarters();
        if quarters >= 4 {
            return self.commit(Vec::new(), Vec::new(), &mut None);
        }
        if quarters >= 1 && self.options.background {
            let mut committer = lock(&self.committer);
            if committer.as_ref().is_none_or(JoinHandle::is_finished) {
                let inner = self.inner.clone();
                let commit = move || {
                    // A failure shows again when the bound is reached.
                    let _ = inner.commit(Vec::new(), Vec::new(), &mut None);
                };
                *committer = std::thread::Builder::new().name("bosc-store-commit".into()).spawn(commit).ok();
            }
        }
        Ok(())
    }
}

impl Deref for Owner {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The thread itself may come here, from a listener that held a handle.
        let own = |t: &JoinHandle<()>| t.thread().id() == std::thread::current().id();
        if let Some(thread) = lock(&self.committer).take().filter(|t| !own(t)) {
            let _ = thread.join();
        }
    }
}

impl State {
    /// Takes a new record. The verifier is made anew only when the manifest is.
    pub(crate) fn take(&mut self, record: Record) {
        if self.record.manifest.is_none()
            && let Some(m) = &record.manifest
        {
            self.verifier = Verifier::new(&record.key, Some(m)).ok().map(Arc::new);
        }
        self.record = record;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What fails here was never promised.
        let _ = self.commit(Vec::new(), Vec::new(), &mut None);
    }
}

/// The tree of a core as its head bounds it.
pub(crate) struct Tree<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) core: u32,
    pub(crate) length: u64,
}

impl Tree<'_> {
    pub(crate) fn get(&self, index: u64) -> Result<Option<Node>> {
        if flat_tree::right_span(index) >= self.length.saturating_mul(2) {
            return Ok(None);
        }
        let Some((key, slot)) = tree_slot(self.core, index) else { return Ok(None) };
        Ok(self.inner.page(&key)?.and_then(|p| p.tree()?.get(slot, index)))
    }
}

impl TreeReader for Tree<'_> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.get(index)?)
    }
}
