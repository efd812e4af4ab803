//! A core of the store as replication sees it.

use bosc_format::proof::{Proof, ProofRequest};
use bosc_store::{Applied, Core, CoreChange, Error, ReorgSession, Subscription};
use bosc_wire::replication::{
    ApplyError, CoreAccess, HeadInfo, LocalChange, ManifestState, ProveError, ReorgStep,
};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A move to another fork that waits for more proofs.
pub(super) type PendingReorg = ReorgSession;

/// Words of bitfield looked at in one go: 64 Ki blocks.
const WORDS: usize = 2048;

pub(super) struct Access<'a> {
    core: &'a Core,
    reorg: &'a mut Option<PendingReorg>,
}

impl<'a> Access<'a> {
    pub(super) fn new(core: &'a Core, reorg: &'a mut Option<PendingReorg>) -> Self {
        Self { core, reorg }
    }

    fn step(&mut self, session: ReorgSession) -> Result<ReorgStep, ApplyError> {
        if let Some(want) = session.want() {
            *self.reorg = Some(session);
            return Ok(ReorgStep::Want { start: want.start, end: want.end, nodes: want.nodes });
        }
        // The store tells where the forks part with the change itself.
        let ancestors = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&ancestors);
        let listening = self.core.subscribe(Box::new(move |change| {
            if let CoreChange::Truncate { ancestors, .. } = change {
                told.store(ancestors, Ordering::SeqCst);
            }
        }));
        session.apply().map_err(apply_error)?;
        drop(listening);
        Ok(ReorgStep::Done { ancestors: ancestors.load(Ordering::SeqCst) })
    }
}

fn apply_error(e: Error) -> ApplyError {
    match e {
        Error::InvalidProof(why) => ApplyError::Peer(why.to_string()),
        Error::Invalid(why) => ApplyError::Peer(why.to_owned()),
        Error::Conflict(_) => ApplyError::Stale,
        e => ApplyError::Core(Box::new(e)),
    }
}

fn manifest_state(core: &Core) -> ManifestState {
    match core.manifest() {
        None => ManifestState::Missing,
        Some(m) if m.is_compat_with(core.key()) => ManifestState::Compat,
        Some(_) => ManifestState::Held,
    }
}

/// Whether nothing more has to be known to verify and to derive from the core's key.
pub(super) fn has_manifest(core: &Core) -> bool {
    core.manifest().is_some()
}

/// Calls `tell` with every change that another thread makes to the core. What this thread applies for peers is
/// known to the replicator already.
pub(super) fn watch(core: &Core, tell: impl Fn(LocalChange) + Send + Sync + 'static) -> Subscription {
    let me = std::thread::current().id();
    core.subscribe(Box::new(move |change| {
        if std::thread::current().id() == me {
            return;
        }
        match change {
            CoreChange::Append { .. } | CoreChange::Manifest => tell(LocalChange::Appended),
            CoreChange::Truncate { ancestors, .. } => tell(LocalChange::Reorged { ancestors }),
            CoreChange::Blocks { start, end } => tell(LocalChange::Gained { start, end }),
            CoreChange::Cleared { start, end } => tell(LocalChange::Cleared { start, end }),
            _ => {}
        }
    }))
}

impl CoreAccess for Access<'_> {
    fn head(&self) -> HeadInfo {
        let head = self.core.head();
        HeadInfo {
            fork: head.fork,
            length: head.length,
            byte_length: head.byte_length,
            manifest: manifest_state(self.core),
        }
    }

    fn contiguous_length(&self) -> u64 {
        self.core.contiguous_length()
    }

    fn next_held(&self, from: u64) -> Option<u64> {
        let info = self.core.info();
        if from < info.contiguous_length {
            return Some(from);
        }
        if info.blocks <= info.contiguous_length {
            return None;
        }
        let mut start = from / 32 * 32;
        while start < info.length {
            let words = self.core.bitfield_words(start, WORDS).ok()?;
            for (i, word) in words.into_iter().enumerate() {
                let at = start + 32 * i as u64;
                // Bits below `from` in its own word do not count.
                let skipped = from.saturating_sub(at).min(32) as u32;
                let bits = if skipped == 32 { 0 } else { word >> skipped << skipped };
                if bits != 0 {
                    return Some(at + u64::from(bits.trailing_zeros()));
                }
            }
            start += 32 * WORDS as u64;
        }
        None
    }

    fn next_missing(&self, from: u64) -> u64 {
        let length = self.core.length();
        match self.core.first_missing(from, length) {
            Ok(Some(block)) => block,
            // A bitfield that cannot be read holds nothing.
            Err(_) => from,
            Ok(None) => from.max(length),
        }
    }

    fn has(&self, block: u64) -> bool {
        self.core.has(block).unwrap_or(false)
    }

    fn bitfield_words(&self, start: u64, words: usize) -> Vec<u32> {
        self.core.bitfield_words(start, words).unwrap_or_else(|_| vec![0; words])
    }

    fn has_node(&self, index: u64) -> bool {
        matches!(self.core.node(index), Ok(Some(_)))
    }

    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError> {
        self.core.prove(request).map_err(|e| match e {
            Error::Invalid(why) => ProveError::Invalid(why.to_owned()),
            e => ProveError::Core(Box::new(e)),
        })
    }

    fn apply(&mut self, proof: &Proof) -> Result<(), ApplyError> {
        match self.core.apply(proof).map_err(apply_error)? {
            Applied::Stored { .. } => Ok(()),
            _ => Err(ApplyError::Stale),
        }
    }

    fn same_history(&self, proof: &Proof, length: u64) -> Result<bool, ApplyError> {
        self.core.same_history(proof, length).map_err(apply_error)
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        *self.reorg = None;
        let session = self.core.begin_reorg(proof).map_err(apply_error)?;
        self.step(session)
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        let mut session = self.reorg.take().ok_or(ApplyError::Stale)?;
        session.update(proof).map_err(apply_error)?;
        self.step(session)
    }
}
