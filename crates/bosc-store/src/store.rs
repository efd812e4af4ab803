//! Opening a store, its keys, and finding cores in it.

use crate::batch::Batch;
use crate::cache::Cache;
use crate::commit::{CommitState, name_row};
use crate::core::{Core, CoreInfo};
use crate::db::{self, Db, u64_from};
use crate::disk::{DirDisk, Disk, MemoryDisk};
use crate::edits::ASIDE;
use crate::error::{Error, Result};
use crate::gc::Collected;
use crate::inner::{Inner, OpenCores, Owner, PrimaryKey, lock};
use crate::options::Options;
use crate::page::PageKey;
use crate::record::{KeySource, Record};
use crate::segment::{FOLDER, SegmentWriter, Segments};
use bosc_format::corestore::{self, DEFAULT_NAMESPACE};
use bosc_format::crypto::{CoreKey, DiscoveryKey, Hash, KeyPair, discovery_key};
use bosc_format::manifest::Manifest;
use redb::{ReadableTable, ReadableTableMetadata};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Version of the format on disk that this code writes, and the newest it reads.
pub const FORMAT_VERSION: u64 = 1;

/// Names the format, in a file of its own: a version that keeps nothing in `bosc.redb` can say so.
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_PREFIX: &str = "bosc-store ";
/// First bytes of a redb file.
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// Longest name and user data, in bytes.
pub(crate) const MAX_NAME: usize = 1024;
const MAX_USER_DATA: usize = 16 << 20;

/// A store of cores. Clones are handles of the same store; it closes with the last handle, core or batch.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Owner>,
}

/// How a core is made. Without a key pair or a name it gets a new random key pair.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    name: Option<(Hash, Vec<u8>)>,
    key_pair: Option<KeyPair>,
    manifest: Option<Manifest>,
    compat: bool,
}

impl CreateOptions {
    /// A core with a new random key pair, kept in the store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A core whose key pair is derived from the store's primary key and `name`, in the default namespace. The
    /// same name gives the same core.
    pub fn named(name: impl AsRef<[u8]>) -> Self {
        Self::named_in(DEFAULT_NAMESPACE, name)
    }

    /// As [`CreateOptions::named`], in a namespace ([`bosc_format::corestore::namespace`]).
    pub fn named_in(namespace: Hash, name: impl AsRef<[u8]>) -> Self {
        Self { name: Some((namespace, name.as_ref().to_vec())), ..Self::default() }
    }

    /// A core signed with this key pair, which is kept in the store.
    pub fn with_key_pair(key_pair: KeyPair) -> Self {
        Self { key_pair: Some(key_pair), ..Self::default() }
    }

    /// The manifest; the core's key is its hash. Without one, a single-signer manifest is made of the key pair.
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// Makes the public key itself the core's key, as cores had it before manifests.
    pub fn compat(mut self) -> Self {
        self.compat = true;
        self
    }
}

/// Sizes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Bytes in segments.
    pub segment_bytes: u64,
    /// Of those, bytes of blocks that are kept.
    pub live_bytes: u64,
    /// Bytes of pages that are visible and not durable. 0: everything is durable but what a commit under way
    /// is writing.
    pub pending_bytes: usize,
    /// Bytes of blocks that are visible and not durable.
    pub pending_block_bytes: u64,
}

impl Store {
    /// Opens the store in `dir`, creating it when missing.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process has it, [`Error::NewerVersion`], [`Error::Corrupt`], and what the
    /// file system says.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_disk(Arc::new(DirDisk::open(dir.as_ref())?), options)
    }

    /// A store in memory, gone with its last handle.
    pub fn memory(options: Options) -> Result<Self> {
        Self::open_disk(Arc::new(MemoryDisk::new()), options)
    }

    /// Opens the store on a [`Disk`].
    pub fn open_disk(disk: Arc<dyn Disk>, options: Options) -> Result<Self> {
        let formatted = check_format(&*disk)?;
        if !formatted {
            clear_unfinished(&*disk)?;
        }
        let db = Db::open(disk.clone(), options.database_cache_bytes)?;
        let (seq, primary) = prepare(&db)?;
        if !formatted {
            write_format(&*disk)?;
        }
        let seq = clear_aside(&db, seq)?;
        let (rows, next_id) = db.read(|txn| {
            let mut rows = Vec::new();
            for row in txn.open_table(db::SEGMENTS)?.iter()? {
                let (id, value) = row?;
                let (end, live) = value.value();
                rows.push((id.value(), end, live));
            }
            let last = txn.open_table(db::CORES)?.last()?.map_or(0, |(id, _)| id.value());
            Ok((rows, last.saturating_add(1)))
        })?;
        let limit = options.segment_bytes.clamp(1, 3 << 30);
        let segments = Arc::new(Segments::open(disk, limit, rows)?);
        let inner = Inner {
            db,
            cache: Mutex::new(Cache::new(options.page_cache_bytes)),
            gate: RwLock::new(()),
            commit: Mutex::new(CommitState::new(seq)),
            dirty: Mutex::default(),
            open: Mutex::new(OpenCores { next_id, next_aside: ASIDE, ..OpenCores::default() }),
            stream: Mutex::new(SegmentWriter::new(segments.clone(), true)),
            segments,
            primary: RwLock::new(PrimaryKey(primary)),
            options,
        };
        Ok(Self { inner: Arc::new(Owner::new(inner)) })
    }

    /// The key all named key pairs are derived from. Wiped when dropped; keep it out of logs.
    pub fn primary_key(&self) -> Zeroizing<[u8; 32]> {
        self.inner.primary.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Replaces the primary key (a store restored from a backup of it). Durable on return.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there are cores already: their names would mean other key pairs.
    pub fn set_primary_key(&self, key: &[u8; 32]) -> Result<()> {
        if *self.primary_key() == *key {
            return Ok(());
        }
        if !self.inner.open_cores().is_empty()
            || self.inner.db.read(|txn| Ok(!txn.open_table(db::CORES)?.is_empty()?))?
        {
            return Err(Error::Conflict("the store has cores under its old primary key"));
        }
        self.inner.write_meta("primary", key)?;
        self.inner.primary.write().unwrap_or_else(PoisonError::into_inner).0 = Zeroizing::new(*key);
        Ok(())
    }

    /// The key pair called `name` in the default namespace, as `corestore` derives it.
    pub fn create_key_pair(&self, name: impl AsRef<[u8]>) -> KeyPair {
        self.create_key_pair_in(&DEFAULT_NAMESPACE, name)
    }

    /// The key pair called `name` in a namespace.
    pub fn create_key_pair_in(&self, namespace: &Hash, name: impl AsRef<[u8]>) -> KeyPair {
        corestore::key_pair(&self.primary_key(), namespace, name.as_ref())
    }

    /// Makes a core, or opens it when it is there. It is written with the first thing stored in it (or
    /// [`Store::flush`]).
    pub fn create_core(&self, options: CreateOptions) -> Result<Core> {
        let CreateOptions { name, key_pair, manifest, compat } = options;
        if name.as_ref().is_some_and(|(_, n)| n.len() > MAX_NAME) {
            return Err(Error::Argument("a core's name is over 1024 bytes"));
        }
        let (source, pair) = match (name, key_pair) {
            (Some((namespace, name)), _) => {
                let source = KeySource::Name { namespace, name };
                let pair = self.inner.key_pair(&source);
                (source, pair)
            }
            (None, Some(pair)) => (KeySource::seed(&pair), Some(pair)),
            (None, None) if manifest.is_some() => (KeySource::None, None),
            (None, None) => {
                let mut seed = Zeroizing::new([0; 32]);
                random(&mut *seed)?;
                let pair = KeyPair::from_seed(&seed);
                (KeySource::Seed(seed), Some(pair))
            }
        };
        let (key, manifest) = match (manifest, &pair) {
            (Some(manifest), pair) => {
                let key = match pair {
                    Some(pair) if compat => pair.public(),
                    _ => manifest.key(),
                };
                (key, manifest)
            }
            (None, Some(pair)) => {
                let manifest = Manifest::single(pair.public());
                (if compat { pair.public() } else { manifest.key() }, manifest)
            }
            (None, None) => return Err(Error::Argument("a core needs a key pair or a manifest")),
        };
        let key = match &source {
            KeySource::Name { namespace, name } if !compat && manifest == own_manifest(pair.as_ref()) => {
                self.inner.named(namespace, name)?.unwrap_or(key)
            }
            _ => key,
        };
        let core = Core::new(self.inner.clone(), self.inner.find_or_make(&key)?);
        core.adopt(Some(manifest), source)?;
        Ok(core)
    }

    /// The core with this key. When it is not here it is empty, and nothing is written until something is stored
    /// in it.
    pub fn open_core(&self, key: &CoreKey) -> Result<Core> {
        Ok(Core::new(self.inner.clone(), self.inner.find_or_make(key)?))
    }

    /// The core with this key, if something is kept of it.
    pub fn get_core(&self, key: &CoreKey) -> Result<Option<Core>> {
        self.get_by_discovery_key(&discovery_key(key))
    }

    /// The core with this discovery key, if something is kept of it or it is open.
    pub fn get_by_discovery_key(&self, discovery_key: &DiscoveryKey) -> Result<Option<Core>> {
        Ok(self.inner.find(discovery_key)?.map(|core| Core::new(self.inner.clone(), core)))
    }

    /// All cores kept here, in the order they were made.
    pub fn cores(&self) -> Result<Vec<CoreInfo>> {
        let mut all = self.inner.db.read(|txn| {
            let mut all = std::collections::BTreeMap::new();
            for row in txn.open_table(db::CORES)?.iter()? {
                let (id, value) = row?;
                all.insert(id.value(), CoreInfo::of(&Record::decode(value.value())?));
            }
            Ok(all)
        })?;
        // Open ones are newer: pending, or part of a commit under way.
        for core in self.inner.open_cores() {
            let state = core.read();
            if state.kept {
                all.insert(core.id, CoreInfo::of(&state.record));
            }
        }
        Ok(all.into_values().collect())
    }

    /// Removes a core and all that is kept of it. Durable on return; handles of it fail from then on.
    pub fn remove_core(&self, key: &CoreKey) -> Result<()> {
        match self.get_core(key)? {
            Some(core) => core.remove(),
            None => Err(Error::NotFound("the core")),
        }
    }

    /// Starts staging blocks for any number of cores. See [`Batch`].
    pub fn batch(&self) -> Batch {
        Batch::new(self.inner.clone())
    }

    /// Makes everything visible durable.
    pub fn flush(&self) -> Result<()> {
        self.inner.commit(Vec::new(), Vec::new(), &mut None)
    }

    /// A caller's own bytes, kept for the store as a whole.
    pub fn user_data(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.inner.user_data(0, name)
    }

    /// Keeps (or with `None` removes) bytes of the caller's own. Durable on return.
    pub fn set_user_data(&self, name: &str, value: Option<&[u8]>) -> Result<()> {
        let change = (user_row(0, name, value)?, value.map(<[u8]>::to_vec));
        self.inner.commit(Vec::new(), vec![change], &mut None)
    }

    /// Gives disk space back: moves blocks out of segments that are mostly dead, and packs the database. What
    /// is only pending is made durable first.
    pub fn gc(&self) -> Result<Collected> {
        crate::gc::run(self)
    }

    /// Sizes.
    pub fn stats(&self) -> StoreStats {
        let (segment_bytes, live_bytes) = self.inner.segments.totals();
        let pending_bytes = lock(&self.inner.cache).dirty_bytes();
        let pending_block_bytes = self.inner.segments.pending_bytes();
        StoreStats { segment_bytes, live_bytes, pending_bytes, pending_block_bytes }
    }
}

fn own_manifest(pair: Option<&KeyPair>) -> Manifest {
    Manifest::single(pair.map(KeyPair::public).unwrap_or_default())
}

/// Key of a row of user data; checks sizes.
pub(crate) fn user_row(core: u32, name: &str, value: Option<&[u8]>) -> Result<Vec<u8>> {
    if name.len() > MAX_NAME || value.is_some_and(|v| v.len() > MAX_USER_DATA) {
        return Err(Error::Argument("user data is over its bound (names 1 KiB, values 16 MiB)"));
    }
    Ok([&core.to_be_bytes(), name.as_bytes()].concat())
}

impl Inner {
    pub(crate) fn user_data(&self, core: u32, name: &str) -> Result<Option<Vec<u8>>> {
        let row = user_row(core, name, None)?;
        self.db.read(|txn| Ok(txn.open_table(db::USER)?.get(row.as_slice())?.map(|v| v.value().to_vec())))
    }

    /// The key of the core that got this name.
    fn named(&self, namespace: &Hash, name: &[u8]) -> Result<Option<CoreKey>> {
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
}

/// Whether the store says it has a format we read. False: it says nothing (new, or its making was cut short).
fn check_format(disk: &dyn Disk) -> Result<bool> {
    let io = |e| Error::io(disk.path(FORMAT_FILE), e);
    let Some(file) = disk.open(FORMAT_FILE, false).map_err(io)? else { return Ok(false) };
    let len = usize::try_from(file.len().map_err(io)?).unwrap_or(usize::MAX).min(64);
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes).map_err(io)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let Some(Ok(found)) = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|rest| rest.strip_suffix('\n'))
        .map(|version| version.trim().parse::<u64>())
    else {
        return Ok(false);
    };
    if found > FORMAT_VERSION {
        return Err(Error::NewerVersion { found, supported: FORMAT_VERSION });
    }
    Ok(true)
}

fn write_format(disk: &dyn Disk) -> Result<()> {
    let io = |e| Error::io(disk.path(FORMAT_FILE), e);
    let file = disk.open(FORMAT_FILE, true).map_err(io)?.ok_or(Error::NotFound("the format file"))?;
    let text = format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n");
    file.set_len(0).map_err(io)?;
    file.write_at(0, text.as_bytes()).map_err(io)?;
    file.sync().map_err(io)?;
    disk.sync_dirs().map_err(io)
}

/// Empties a database file whose making was cut short. Only one that cannot be a database and has no segments
/// beside it.
fn clear_unfinished(disk: &dyn Disk) -> Result<()> {
    let io = |e| Error::io(disk.path(db::FILE), e);
    let Some(file) = disk.open(db::FILE, false).map_err(io)? else { return Ok(()) };
    let len = file.len().map_err(io)?;
    let mut magic = vec![0; REDB_MAGIC.len()];
    if len >= magic.len() as u64 {
        file.read_at(0, &mut magic).map_err(io)?;
        if magic == REDB_MAGIC {
            return Ok(());
        }
    }
    let others = disk.list(FOLDER).map_err(|e| Error::io(disk.path(FOLDER), e))?;
    if others.iter().any(|name| name.ends_with(".seg")) {
        return Err(Error::corrupt("the database's file is no database"));
    }
    if len > 0 {
        file.set_len(0).map_err(io)?;
    }
    Ok(())
}

/// Checks or makes the tables and the store-wide values. Number of the last commit, and the primary key.
fn prepare(db: &Db) -> Result<(u64, Zeroizing<[u8; 32]>)> {
    let found = db.read(|txn| {
        let table = match txn.open_table(db::META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let format = table.get("format")?.map_or(0, |v| u64_from(v.value()));
        let seq = table.get("seq")?.map_or(0, |v| u64_from(v.value()));
        let primary = table.get("primary")?.and_then(|v| <[u8; 32]>::try_from(v.value()).ok());
        Ok(Some((format, seq, primary.map(Zeroizing::new))))
    })?;
    match found {
        Some((format, ..)) if format > FORMAT_VERSION => {
            Err(Error::NewerVersion { found: format, supported: FORMAT_VERSION })
        }
        Some((_, seq, Some(primary))) => Ok((seq, primary)),
        Some(_) => Err(Error::corrupt("the store has no primary key")),
        None => {
            let mut primary = Zeroizing::new([0; 32]);
            random(&mut *primary)?;
            let written = db.write(1, false, |txn| {
                let mut meta = txn.open_table(db::META)?;
                meta.insert("format", FORMAT_VERSION.to_le_bytes().as_slice())?;
                meta.insert("primary", primary.as_slice())?;
                txn.open_table(db::CORES)?;
                txn.open_table(db::KEYS)?;
                txn.open_table(db::NAMES)?;
                txn.open_table(db::PAGES)?;
                txn.open_table(db::SEGMENTS)?;
                txn.open_table(db::USER)?;
                Ok(())
            });
            match written {
                db::Written::Yes => Ok((1, primary)),
                db::Written::No(e) | db::Written::Unknown(e) => Err(e),
            }
        }
    }
}

/// Deletes pages that were put aside by a batch that did not live to commit. Number of the last commit.
fn clear_aside(db: &Db, seq: u64) -> Result<u64> {
    let first = PageKey { core: ASIDE, kind: 0, number: 0 }.to_bytes();
    let any = db.read(|txn| {
        Ok(txn.open_table(db::PAGES)?.range::<&[u8; 13]>(&first..)?.next().transpose()?.is_some())
    })?;
    if !any {
        return Ok(seq);
    }
    let next = seq.saturating_add(1);
    match db.write(next, false, |txn| {
        txn.open_table(db::PAGES)?.retain_in::<&[u8; 13], _>(&first.., |_, _| false)?;
        Ok(())
    }) {
        db::Written::Yes => Ok(next),
        db::Written::No(e) | db::Written::Unknown(e) => Err(e),
    }
}

fn random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out)
        .map_err(|e| Error::io("the system's random source", std::io::Error::other(e.to_string())))
}
