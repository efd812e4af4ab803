//! Which drives `seed` keeps available from this store: `publish` then needs no other peer.

use bosc_format::crypto::CoreKey;
use std::sync::{Arc, Mutex, PoisonError};

/// Keys of the drives, each as often as it is seeded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seeded(Arc<Mutex<Vec<CoreKey>>>);

/// Says that a drive is seeded for as long as it is there.
#[derive(Debug)]
pub(crate) struct SeededHere {
    all: Seeded,
    key: CoreKey,
}

impl Seeded {
    /// A drive is seeded from now on.
    pub(crate) fn note(&self, key: &CoreKey) -> SeededHere {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(*key);
        SeededHere { all: self.clone(), key: *key }
    }

    /// Whether a drive is seeded now.
    pub(crate) fn has(&self, key: &CoreKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl Drop for SeededHere {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|k| *k == self.key) {
            all.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_who_seeds_what() {
        let seeded = Seeded::default();
        let (one, two) = (seeded.note(&[1; 32]), seeded.note(&[1; 32]));
        assert!(seeded.has(&[1; 32]) && !seeded.has(&[2; 32]));
        drop(one);
        assert!(seeded.has(&[1; 32]), "one more seeds it");
        drop(two);
        assert!(!seeded.has(&[1; 32]));
    }
}
