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
use crate::core_state::{CoreShared, Counters, State};
use crate::db::{self, Db};
use crate::delta::Delta;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::lock::lock;
use crate::options::Options;
use crate::page::{ASIDE, PLACES, Page, PageKey, Place, SharedPage, tree_slot};
use crate::pending::CommitState;
use crate::recent::Recent;
use crate::record::{KeySource, Record};
use crate::rows::{name_row, user_row};
use crate::segment::{SegmentWriter, Segments};
use bosc_format::corestore;
use bosc_format::crypto::{CoreKey, DiscoveryKey, Hash, KeyPair, discovery_key};
use bosc_format::flat_tree;
use bosc_format::manifest::Verifier;
use bosc_format::merkle::{Node, TreeReadError, TreeReader};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use zeroize::Zeroizing;

/// Rows of places read at once.
const PLACE_ROWS: usize = 1024;

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

    /// Places in the database of the blocks in a range, with their blocks: some of them, and where to go on if
    /// there may be more. Only what is there costs anything, however long the range.
    #[allow(clippy::type_complexity)]
    pub(crate) fn places(
        &self,
        core: u32,
        blocks: std::ops::Range<u64>,
    ) -> Result<(Vec<(u64, Place)>, Option<u64>)> {
        if blocks.is_empty() {
            return Ok((Vec::new(), None));
        }
        let first = PageKey::places(core, blocks.start);
        let last = PageKey::places(core, blocks.end - 1);
        self.db.read(|txn| {
            let mut out = Vec::new();
            let table = txn.open_table(db::PAGES)?;
            let rows = table.range::<&[u8; 13]>(&first.to_bytes()..=&last.to_bytes())?;
            for (n, row) in rows.enumerate() {
                let (key, value) = row?;
                let key = PageKey::from_bytes(key.value());
                let start = key.number.saturating_mul(PLACES);
                if n >= PLACE_ROWS {
                    return Ok((out, Some(start)));
                }
                let page = Page::decode(&key, value.value()).ok_or_else(|| Error::corrupt("a page"))?;
                if let Some(page) = page.place() {
                    out.extend(page.iter().map(|(i, p)| (start + i, p)).filter(|(b, _)| blocks.contains(b)));
                }
            }
            Ok((out, None))
        })
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
            recent: Recent::default(),
        });
        if open.by_discovery.len() >= 1024 && open.by_discovery.len().is_power_of_two() {
            open.by_discovery.retain(|_, c| c.strong_count() > 0);
        }
        open.by_discovery.insert(core.discovery_key, Arc::downgrade(&core));
        Ok(core)
    }

    pub(crate) fn user_data(&self, core: u32, name: &str) -> Result<Option<Vec<u8>>> {
        let row = user_row(core, name, None)?;
        self.db.read(|txn| Ok(txn.open_table(db::USER)?.get(row.as_slice())?.map(|v| v.value().to_vec())))
    }

    /// The key of the core that got this name.
    pub(crate) fn named(&self, namespace: &Hash, name: &[u8]) -> Result<Option<CoreKey>> {
        let row = name_row(namespace, name);
        if let Some(key) = lock(&self.open).names.get(&row) {
            return Ok(Some(*key));
        }
        self.db.read(|txn| {
            let Some(id) = txn.open_table(db::NAMES)?.get(row.as_slice())?.map(|v| v.value()) else {
                return Ok(None);
            };
            match txn.open_table(db::CORES)?.get(id)? {
                Some(record) => Ok(Some(Record::decode(record.value())?.key)),
                None => Ok(None),
            }
        })
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
    pub(crate) fn pending_quarters(&self) -> u64 {
        let pages = lock(&self.cache).dirty_bytes() as u64 * 4 / (self.options.pending_bytes as u64).max(4);
        let blocks = self.segments.pending_bytes() * 4 / self.options.pending_block_bytes.max(4);
        pages.max(blocks)
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
