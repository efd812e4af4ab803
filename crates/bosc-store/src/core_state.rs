//! What all handles of one core share: its keys, its state, and who listens.

use crate::error::{Error, Result};
use crate::events::Listeners;
use crate::recent::Recent;
use crate::record::Record;
use bosc_format::crypto::{CoreKey, DiscoveryKey, KeyPair};
use bosc_format::manifest::{Manifest, Verifier};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One core, shared by all its handles.
#[derive(Debug)]
pub(crate) struct CoreShared {
    pub(crate) id: u32,
    pub(crate) key: CoreKey,
    pub(crate) discovery_key: DiscoveryKey,
    pub(crate) intent: Mutex<()>,
    pub(crate) state: RwLock<State>,
    pub(crate) listeners: Arc<Mutex<Listeners>>,
    pub(crate) damage: Counters,
    pub(crate) recent: Recent,
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

    /// Fails for a core that was removed.
    pub(crate) fn alive(&self) -> Result<()> {
        if self.read().removed { Err(Error::NotFound("the core")) } else { Ok(()) }
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

    /// The manifest as proofs want it: none for compat cores.
    pub(crate) fn proof_manifest(&self) -> Option<&Manifest> {
        self.record.manifest.as_deref().filter(|m| !m.is_compat_with(&self.record.key))
    }

    /// The pair that signs heads of this core alone, if it is here.
    pub(crate) fn signer(&self) -> Option<&KeyPair> {
        let pair = self.pair.as_ref()?;
        let alone = match &self.record.manifest {
            Some(m) => matches!(m.signers.as_slice(), [only] if only.public_key == pair.public()),
            None => pair.public() == self.record.key,
        };
        alone.then_some(pair)
    }
}

/// How many blocks of a core were found damaged and were mended, since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) found: AtomicU64,
    pub(crate) mended: AtomicU64,
}

impl Counters {
    pub(crate) fn mended(&self, n: u64) {
        self.mended.fetch_add(n, Ordering::Relaxed);
    }
}
