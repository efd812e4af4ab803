//! What machines are told of a seeder: taken by the loop that looks at the links, read by whoever asks over HTTP. Asking costs the
//! loop nothing.

use super::Seed;
use super::event::ScrubStats;
use bosc_node::{NetStatus, RelayStatus};
use bosc_store::StoreStats;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The bounds that were asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    pub(super) upload: Option<u64>,
    pub(super) disk: Option<u64>,
}

/// One core of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CoreFacts {
    pub(super) length: u64,
    pub(super) bytes: u64,
    pub(super) held_blocks: u64,
    pub(super) held_bytes: u64,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkFacts {
    pub(super) link: String,
    pub(super) announced: bool,
    /// Why it is not seeded.
    pub(super) failed: Option<String>,
    pub(super) limited: bool,
    pub(super) complete: bool,
    pub(super) peers: u64,
    pub(super) full_copies: u64,
    /// Bytes and blocks.
    pub(super) sent: (u64, u64),
    pub(super) received: (u64, u64),
    pub(super) db: CoreFacts,
    pub(super) blobs: CoreFacts,
    pub(super) conflicts: u64,
    pub(super) scrub: ScrubStats,
}

impl Default for LinkFacts {
    fn default() -> Self {
        let scrub = ScrubStats {
            checked_bytes: 0,
            total_bytes: 0,
            damaged: 0,
            repaired: 0,
            unreadable: 0,
            passes: 0,
        };
        Self {
            link: String::new(),
            announced: false,
            failed: None,
            limited: false,
            complete: false,
            peers: 0,
            full_copies: 0,
            sent: (0, 0),
            received: (0, 0),
            db: CoreFacts::default(),
            blobs: CoreFacts::default(),
            conflicts: 0,
            scrub,
        }
    }
}

/// Everything, at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) bounds: Bounds,
    pub(super) net: NetStatus,
    pub(super) relay: Option<RelayStatus>,
    pub(super) store: StoreStats,
    pub(super) links: Vec<LinkFacts>,
    /// When it was taken; none: not yet.
    pub(super) at: Option<Instant>,
}

/// Where the loop leaves what it found.
#[derive(Debug)]
pub(super) struct Board(Mutex<Facts>);

impl Board {
    /// Nothing is known yet but what was asked for.
    pub(super) fn new(request: &Seed) -> Self {
        let bounds = Bounds { upload: request.upload_limit, disk: request.max_disk };
        Self(Mutex::new(Facts { bounds, ..Facts::default() }))
    }

    pub(super) fn post(
        &self,
        net: NetStatus,
        relay: Option<RelayStatus>,
        store: StoreStats,
        links: Vec<LinkFacts>,
        at: Instant,
    ) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *facts = Facts { bounds: facts.bounds, net, relay, store, links, at: Some(at) };
    }

    pub(super) fn read(&self) -> Facts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
