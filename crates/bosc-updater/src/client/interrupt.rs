//! How the updater's thread is let go from what it waits for.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// What the source is asked for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    No = 0,
    /// Looking for a release, or bringing in what is installed: any command ends it.
    Checking = 1,
    /// Fetching. It asks for commands as bytes arrive; what wants it to end does not wait for a silent server.
    Fetching = 2,
}

/// Ends what waits for the network when somebody wants something else.
#[derive(Default)]
pub(crate) struct Interrupt {
    pub(super) flag: Arc<AtomicBool>,
    busy: AtomicU8,
    pub(super) cancel: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// The flag as whoever waits for peers has it.
    #[cfg(feature = "p2p")]
    stop: OnceLock<bosc_follow::Stop>,
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

impl Interrupt {
    pub(crate) fn clear(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    pub(crate) fn busy(&self, with: Busy) {
        self.busy.store(with as u8, Ordering::SeqCst);
    }

    #[cfg(feature = "p2p")]
    pub(crate) fn stop(&self) -> bosc_follow::Stop {
        self.stop.get_or_init(|| bosc_follow::Stop::over(Arc::clone(&self.flag))).clone()
    }

    /// `ends_fetch`: it is also worth ending a fetch for.
    pub(super) fn raise(&self, ends_fetch: bool) {
        self.flag.store(true, Ordering::SeqCst);
        #[cfg(feature = "p2p")]
        if let Some(stop) = self.stop.get() {
            stop.wake();
        }
        let busy = self.busy.load(Ordering::SeqCst);
        if (busy == Busy::Checking as u8 || (ends_fetch && busy == Busy::Fetching as u8))
            && let Some(cancel) = self.cancel.get()
        {
            cancel();
        }
    }
}
