//! Telling others that a core changed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What happened to a core. Told after it is visible, on the thread that did it, in no promised order between
/// threads: take the state from the core itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreChange {
    /// The head is longer: by a local writer (then it is durable) or by a proof.
    Append {
        /// Length before.
        from: u64,
        /// Length now.
        length: u64,
    },
    /// The core was cut back or replaced by another fork.
    Truncate {
        /// Blocks from here on are not what they were.
        ancestors: u64,
        /// Length now.
        length: u64,
        /// Fork now.
        fork: u64,
    },
    /// Blocks `start..end` are here now.
    Blocks {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
    },
    /// Blocks `start..end` are not here any more.
    Cleared {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
    },
    /// Blocks `start..end` were found damaged on disk: they are not here any more, and can be fetched again.
    Damaged {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
    },
    /// The manifest became known.
    Manifest,
    /// The core was removed from the store.
    Removed,
}

/// Called with every change. It may call the core's reading methods and must not wait for other threads.
pub type Listener = Box<dyn Fn(CoreChange) + Send + Sync>;

type Shared = Arc<dyn Fn(CoreChange) + Send + Sync>;

#[derive(Default)]
pub(crate) struct Listeners {
    next: u64,
    list: Vec<(u64, Shared)>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.list.len())
    }
}

/// A listener's place in the list. Dropping it ends the calls.
#[must_use = "dropping the subscription ends it"]
#[derive(Debug)]
pub struct Subscription {
    list: Weak<Mutex<Listeners>>,
    id: u64,
}

pub(crate) fn subscribe(list: &Arc<Mutex<Listeners>>, listener: Listener) -> Subscription {
    let mut l = list.lock().unwrap_or_else(PoisonError::into_inner);
    let id = l.next;
    l.next = l.next.wrapping_add(1);
    l.list.push((id, Arc::from(listener)));
    Subscription { list: Arc::downgrade(list), id }
}

pub(crate) fn notify(list: &Mutex<Listeners>, changes: &[CoreChange]) {
    if changes.is_empty() {
        return;
    }
    let listeners: Vec<Shared> = {
        let l = list.lock().unwrap_or_else(PoisonError::into_inner);
        l.list.iter().map(|(_, f)| f.clone()).collect()
    };
    for change in changes {
        listeners.iter().for_each(|f| f(*change));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(list) = self.list.upgrade() {
            list.lock().unwrap_or_else(PoisonError::into_inner).list.retain(|(id, _)| *id != self.id);
        }
    }
}
