//! What the threads of all mirrors of a drive share with whoever wants something.

use super::carrier::Carrier;
use super::fault::MirrorFault;
use super::known::Known;
use super::wish::Wishes;
use crate::cores::DriveCores;
use crate::error::FollowError;
use bosc_mirror::Part;
use bosc_node::{CoreFailure, LiveCore, Node, Signal};
use bosc_store::{Core, Error};
use bytes::Bytes;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// What a mirror is found to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorStatus {
    /// Its address, without secrets.
    pub name: String,
    /// Whether it was asked since it was named, and answered or failed.
    pub settled: bool,
    /// Fork and length of the entries that it has, once its head was verified.
    pub head: Option<(u64, u64)>,
    /// What it has of the drive, if that is not all.
    pub sparse: Option<String>,
    /// When its head was written, in seconds since 1970, as it says itself.
    pub made: Option<u64>,
    /// What was wrong with it last. Nothing is while it is used.
    pub fault: Option<MirrorFault>,
    /// Requests that were sent.
    pub requests: u64,
    /// Bytes of objects that came.
    pub received: u64,
    /// Blocks that it brought and that were proved.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a mirror has beside its head: what operators say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorStatements {
    /// The mirror's address, without secrets.
    pub name: String,
    /// The file as it came: nothing of it is proved.
    pub bytes: Option<Bytes>,
    /// Why it did not come. That a mirror has no such file is no fault.
    pub fault: Option<MirrorFault>,
}

/// The same, and how far asking for it is.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Which round of asking it has answered.
    pub(super) answered: u64,
    pub(super) asking: bool,
    /// What the file is recognised by.
    pub(super) mark: Option<String>,
    pub(super) bytes: Option<Bytes>,
    pub(super) fault: Option<MirrorFault>,
}

/// One mirror.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) carrier: Arc<dyn Carrier>,
    pub(super) status: MirrorStatus,
    /// Which round of asking for heads it has answered.
    pub(super) answered: u64,
    /// A thread asks for its head.
    pub(super) asking: bool,
    /// When its head was asked for.
    pub(super) looked: Option<Instant>,
    /// What its head is recognised by.
    pub(super) mark: Option<String>,
    pub(super) known: [Option<Arc<Known>>; 2],
    /// Bytes of blocks that it brought of each core.
    pub(super) brought: [u64; 2],
    /// A number that changes while it is of use: with what comes until a fault, after that with blocks alone. A mirror that has a good
    /// head and not what the head names sends that head again and again.
    pub(super) came: u64,
    /// The newest head that it has shown.
    pub(super) newest: Option<(u64, u64)>,
    /// Faults without something good between them: a block, or a newer head. A head that was there before, or an old one, is no sign
    /// that the rest is there.
    pub(super) fails: u32,
    pub(super) paused: Option<Instant>,
    pub(super) said: Said,
    /// Whether its server has ranges, as far as is known.
    pub(super) ranges: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) mirrors: Vec<Mirror>,
    pub(super) wishes: Wishes,
    /// Rounds of asking for heads so far.
    pub(super) round: u64,
    /// Rounds of asking for statements so far.
    pub(super) said_round: u64,
    pub(super) failed: Option<CoreFailure>,
    pub(super) stopped: bool,
    /// Nothing is asked for until this is over.
    pub(super) resting: bool,
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cores: DriveCores,
    node: Signal,
    pub(super) db: LiveCore,
    pub(super) blobs: OnceLock<LiveCore>,
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

impl Shared {
    pub(super) fn new(node: &Node, cores: &DriveCores, db: LiveCore) -> Self {
        Self {
            cores: cores.clone(),
            node: node.signal().clone(),
            db,
            blobs: OnceLock::new(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for something of the drive.
    pub(super) fn raise(&self) {
        self.node.raise();
        self.db.signal().raise();
        if let Some(blobs) = self.blobs.get() {
            blobs.signal().raise();
        }
    }

    pub(super) fn core(&self, part: Part) -> Result<Option<Core>, FollowError> {
        match part {
            Part::Db => Ok(Some(self.cores.db.clone())),
            Part::Blobs => self.cores.blobs(),
        }
    }

    /// Whether peers have something of a core.
    pub(super) fn has_peers(&self, part: Part) -> bool {
        let live = match part {
            Part::Db => Some(&self.db),
            Part::Blobs => self.blobs.get(),
        };
        live.is_some_and(|l| l.status().peers.iter().any(|p| p.synced && p.length > 0 && !p.other_history))
    }

    /// The store failed.
    pub(super) fn fail(&self, e: &Error) {
        let failure = CoreFailure { kind: e.kind(), why: e.to_string() };
        self.lock().failed.get_or_insert(failure);
        self.raise();
    }
}
