//! Which mirrors are in use for which drive: a command names its own for as long as it runs.

use bosc_follow::mirror::Carrier;
use bosc_format::crypto::CoreKey;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one command named.
type Named = (u64, Vec<Arc<dyn Carrier>>);

/// Mirrors in use, by the drive's key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    of: BTreeMap<CoreKey, Vec<Named>>,
}

/// Mirrors are in use until this is dropped.
#[derive(Debug)]
pub(crate) struct InUse {
    sources: Sources,
    key: CoreKey,
    id: u64,
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut table = self.sources.lock();
        if let Some(named) = table.of.get_mut(&self.key) {
            named.retain(|(id, _)| *id != self.id);
        }
        table.of.retain(|_, named| !named.is_empty());
    }
}

impl Sources {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has these in use.
    pub(crate) fn add(&self, key: &CoreKey, carriers: Vec<Arc<dyn Carrier>>) -> InUse {
        let mut table = self.lock();
        table.next += 1;
        let id = table.next;
        if !carriers.is_empty() {
            table.of.entry(*key).or_default().push((id, carriers));
        }
        InUse { sources: self.clone(), key: *key, id }
    }

    /// All that are in use for a drive.
    pub(crate) fn of(&self, key: &CoreKey) -> Vec<Arc<dyn Carrier>> {
        let table = self.lock();
        table.of.get(key).into_iter().flatten().flat_map(|(_, carriers)| carriers.iter().cloned()).collect()
    }
}
