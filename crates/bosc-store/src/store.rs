//! Opening a store, its keys, and finding cores in it.

use crate::batch::Batch;
use crate::core::{Core, CoreInfo};
use crate::db;
use crate::disk::{DirDisk, Disk, MemoryDisk};
use crate::error::{Error, Result};
use crate::gc::Collected;
use crate::identity::Copied;
use crate::lock::lock;
use crate::options::Options;
use crate::owner::Owner;
use crate::random::random;
use crate::record::{KeySource, Record};
use crate::rows::{MAX_NAME, user_row};
use bosc_format::corestore::{self, DEFAULT_NAMESPACE};
use bosc_format::crypto::{CoreKey, DiscoveryKey, Hash, KeyPair, discovery_key};
use bosc_format::manifest::Manifest;
use redb::{ReadableTable, ReadableTableMetadata};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use zeroize::Zeroizing;

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Bytes in segments.
    pub segment_bytes: u64,
    /// Of those, bytes of blocks that are kept.
    pub live_bytes: u64,
    /// Bytes beside the segments that no commit names and that are kept, because the database was put back from a backup
    /// and they may be what was written since.
    pub unnamed_bytes: u64,
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
        let disk = match options.for_owner_of_folder {
            true => DirDisk::open_for_owner_of_folder(dir.as_ref())?,
            false => DirDisk::open(dir.as_ref())?,
        };
        Self::open_disk(Arc::new(disk), options)
    }

    /// A store in memory, gone with its last handle.
    pub fn memory(options: Options) -> Result<Self> {
        Self::open_disk(Arc::new(MemoryDisk::new()), options)
    }

    /// Opens the store on a [`Disk`].
    pub fn open_disk(disk: Arc<dyn Disk>, options: Options) -> Result<Self> {
        let inner = crate::open::open(disk, options)?;
        Ok(Self { inner: Arc::new(Owner::new(inner)) })
    }

    /// That this store is a copy of another or was brought back from a backup, and how it is known. `None`: it is the
    /// only one, as far as can be told, or was declared to be ([`Store::declare_sole_copy`]).
    ///
    /// Another store may have signed what this one does not know of. Before anything is appended to a core for which
    /// [`Store::may_be_elsewhere`] holds, a peer has to show its newest head.
    pub fn copied(&self) -> Option<Copied> {
        lock(&self.inner.identity).copied()
    }

    /// A random number of this copy, once the store was found to be one; it stays for good. What is derived from the
    /// primary key and must differ between copies (a node's key pair) takes it in.
    pub fn lineage(&self) -> Option<[u8; 16]> {
        lock(&self.inner.identity).lineage()
    }

    /// Whether this store is a copy and the core was in it when it was copied.
    pub fn may_be_elsewhere(&self, core: &Core) -> bool {
        self.copied().is_some_and(|c| c.covers(core.number()))
    }

    /// Whoever calls this knows that no other copy of the store is in use, nor was since this one was made. Durable on
    /// return.
    pub fn declare_sole_copy(&self) -> Result<()> {
        let Some((name, row)) = lock(&self.inner.identity).as_original() else { return Ok(()) };
        self.inner.write_meta(name, &row)?;
        lock(&self.inner.identity).set_original();
        Ok(())
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
        crate::gc::run(&self.inner)
    }

    /// Reads the whole database and checks every checksum in it; nobody else reads or writes meanwhile. False: something
    /// in it was wrong and has been repaired. What is only pending is made durable first.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be repaired, or only by losing the last commit: then the store refuses what asks
    /// the database until it is opened anew.
    pub fn check_database(&self) -> Result<bool> {
        self.flush()?;
        self.inner.check_database()
    }

    /// Sizes.
    pub fn stats(&self) -> StoreStats {
        let (segment_bytes, live_bytes) = self.inner.segments.totals();
        let pending_bytes = lock(&self.inner.cache).dirty_bytes();
        let pending_block_bytes = self.inner.segments.pending_bytes();
        StoreStats {
            segment_bytes,
            live_bytes,
            unnamed_bytes: self.inner.segments.unnamed_bytes(),
            pending_bytes,
            pending_block_bytes,
        }
    }
}

fn own_manifest(pair: Option<&KeyPair>) -> Manifest {
    Manifest::single(pair.map(KeyPair::public).unwrap_or_default())
}
