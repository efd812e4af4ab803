//! A core of the store as replication sees it.

use bosc_format::merkle::Head;
use bosc_format::proof::{HashedProof, Proof, ProofRequest};
use bosc_store::{Applied, Core, CoreChange, Error, ErrorKind, ReadAhead, ReorgSession, Subscription};
use bosc_wire::replication::{
    ApplyError, Comparison, CoreAccess, HeadInfo, HeadSummary, LocalChange, ManifestState, ProveError,
    ReorgStep,
};

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes made for one connection before others get their turn.
pub(crate) const TURN: usize = 256 << 10;

/// What is remembered of a core between two accesses.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// A move to another fork that waits for more proofs.
    reorg: Option<ReorgSession>,
    /// Blocks that peers asked for, read together.
    ahead: ReadAhead,
    /// Of the last error of the store that was not a peer's fault.
    failed: Cell<Option<ErrorKind>>,
}

impl Memory {
    /// Lets go of what was read for peers whose turn is over.
    pub(super) fn rest(&mut self) {
        self.ahead.rest();
    }

    /// Of the error that the replicator calls [`bosc_wire::replication::Event::CoreFailed`].
    pub(super) fn failed_kind(&self) -> ErrorKind {
        self.failed.get().unwrap_or(ErrorKind::Io)
    }
}

/// Words of bitfield looked at in one go: 64 Ki blocks.
const WORDS: usize = 2048;

pub(super) struct Access<'a> {
    core: &'a Core,
    memory: &'a mut Memory,
}

impl<'a> Access<'a> {
    pub(super) fn new(core: &'a Core, memory: &'a mut Memory) -> Self {
        Self { core, memory }
    }

    /// Sorts an error by who is to blame, and remembers the kind of one of the store.
    fn refused(&self, e: Error) -> ApplyError {
        match e {
            Error::InvalidProof(why) => ApplyError::Peer(why.to_string()),
            Error::Invalid(why) => ApplyError::Peer(why.to_owned()),
            Error::Conflict(_) => ApplyError::Stale,
            e => {
                self.memory.failed.set(Some(e.kind()));
                ApplyError::Core(Box::new(e))
            }
        }
    }

    fn step(&mut self, session: ReorgSession) -> Result<ReorgStep, ApplyError> {
        if let Some(want) = session.want() {
            self.memory.reorg = Some(session);
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
        session.apply().map_err(|e| self.refused(e))?;
        drop(listening);
        Ok(ReorgStep::Done { ancestors: ancestors.load(Ordering::SeqCst) })
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

/// Calls `tell` with every change that another thread makes to the core, and with the loss of blocks by rot, which this
/// thread finds as well when it reads them for peers. What this thread applies for peers is known to the replicator
/// already.
pub(super) fn watch(core: &Core, tell: impl Fn(LocalChange) + Send + Sync + 'static) -> Subscription {
    let me = std::thread::current().id();
    core.subscribe(Box::new(move |change| {
        if let CoreChange::Damaged { start, end } = change {
            return tell(LocalChange::Cleared { start, end });
        }
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

    fn expect(&mut self, blocks: &[u64]) {
        if blocks.first().is_some_and(|b| !self.memory.ahead.holds(*b)) {
            self.core.read_more(&mut self.memory.ahead, blocks, TURN);
        }
    }

    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError> {
        self.core.prove_ahead(request, &self.memory.ahead).map_err(|e| match e {
            Error::Invalid(why) => ProveError::Invalid(why.to_owned()),
            e => {
                self.memory.failed.set(Some(e.kind()));
                ProveError::Core(Box::new(e))
            }
        })
    }

    fn apply(&mut self, proof: &HashedProof) -> Result<(), ApplyError> {
        match self.core.apply_hashed(proof).map_err(|e| self.refused(e))? {
            Applied::Stored { .. } => Ok(()),
            _ => Err(ApplyError::Stale),
        }
    }

    fn compare_history(&self, proof: &Proof, length: u64) -> Result<Comparison, ApplyError> {
        let compared = self.core.compare_history(proof, length).map_err(|e| self.refused(e))?;
        let short = |h: &Head| HeadSummary { length: h.length, tree_hash: h.tree_hash() };
        Ok(Comparison {
            same: compared.same,
            ours: short(&self.core.head()),
            theirs: short(&compared.theirs),
        })
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.memory.reorg = None;
        let session = self.core.begin_reorg(proof).map_err(|e| self.refused(e))?;
        self.step(session)
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        let mut session = self.memory.reorg.take().ok_or(ApplyError::Stale)?;
        session.update(proof).map_err(|e| self.refused(e))?;
        self.step(session)
    }
}
