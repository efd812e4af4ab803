//! What handles hold: a store, with the thread that commits beside downloads.

use crate::error::Result;
use crate::inner::Inner;
use crate::lock::lock;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

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
