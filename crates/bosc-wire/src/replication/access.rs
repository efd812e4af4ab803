//! The seam between replication and whatever keeps the core.

use bosc_format::crypto::Hash;
use bosc_format::flat_tree;
use bosc_format::proof::{HashedProof, Proof, ProofRequest};
use thiserror::Error;

/// What is known of the core's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ManifestState {
    /// Not known: peers are asked for it.
    #[default]
    Missing,
    /// Kept, and given to peers who ask.
    Held,
    /// The core has none (its key is its only signer's public key) or it must not be given away.
    Compat,
}

/// The core's head as far as replication cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadInfo {
    /// Fork.
    pub fork: u64,
    /// Length in blocks.
    pub length: u64,
    /// Length in bytes.
    pub byte_length: u64,
    /// The manifest.
    pub manifest: ManifestState,
}

/// A signed head, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadSummary {
    /// Length in blocks.
    pub length: u64,
    /// Tree hash of the whole head.
    pub tree_hash: Hash,
}

/// What comparing a peer's signed head with ours showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Whether the two share one history up to the length that was compared.
    pub same: bool,
    /// Our head.
    pub ours: HeadSummary,
    /// The peer's, proved.
    pub theirs: HeadSummary,
}

/// A core failed to do what only disk or memory can refuse: nobody's fault but ours.
pub type CoreError = Box<dyn std::error::Error + Send + Sync>;

/// A proof could not be made.
#[derive(Debug, Error)]
pub enum ProveError {
    /// No head could answer the request: the asker's fault.
    #[error("the request cannot be answered: {0}")]
    Invalid(String),
    /// Our side failed.
    #[error("the core failed: {0}")]
    Core(#[source] CoreError),
}

/// A proof was not applied. The core is as it was before.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The proof is wrong: the sender's fault.
    #[error("invalid proof: {0}")]
    Peer(String),
    /// The proof was made for a head or for nodes the core no longer has (or does not have yet): nobody's fault.
    #[error("the core moved on")]
    Stale,
    /// Our side failed.
    #[error("the core failed: {0}")]
    Core(#[source] CoreError),
}

/// Where a reorganisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReorgStep {
    /// The head is proved; to find where the forks part, the hash of the leaf of any block in `start..end` is
    /// needed with `nodes` levels above it.
    Want {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
        /// Levels.
        nodes: u64,
    },
    /// The core now is at the proof's fork and keeps its first `ancestors` blocks.
    Done {
        /// Blocks both forks share.
        ancestors: u64,
    },
}

/// A core as replication sees it. Implementations are cheap to ask: no method may wait for the network.
///
/// `Bytes` in proofs may share memory with the packet they came in; keep a block by writing or copying it.
pub trait CoreAccess {
    /// The head. Called often.
    fn head(&self) -> HeadInfo;

    /// How many blocks from 0 on are held without a gap, at most the head's length.
    fn contiguous_length(&self) -> u64 {
        self.next_missing(0).min(self.head().length)
    }

    /// The lowest block held at or after `from`.
    fn next_held(&self, from: u64) -> Option<u64>;

    /// The lowest block not held at or after `from`; blocks behind the end count as not held.
    fn next_missing(&self, from: u64) -> u64;

    /// Whether the block is held.
    fn has(&self, block: u64) -> bool {
        self.next_missing(block) != block
    }

    /// Which of `32 * words` blocks from `start` (a multiple of 32) on are held, lowest bit first.
    fn bitfield_words(&self, start: u64, words: usize) -> Vec<u32>;

    /// Whether the tree node at flat-tree index `index` is kept. Roots of the head always are. A store that
    /// cannot tell says no.
    fn has_node(&self, index: u64) -> bool;

    /// Whether all roots of the tree at `length` blocks are kept.
    fn has_roots(&self, length: u64) -> bool {
        length <= self.head().length && flat_tree::full_roots(length).all(|n| self.has_node(n))
    }

    /// Proofs of these blocks will be asked for next, the first of them at once: a core may read them together.
    fn expect(&mut self, _blocks: &[u64]) {}

    /// Makes a proof against the current head (replication has checked the fork), with the block's value when a
    /// block is asked for and the manifest when it is. `None` when something asked for is not held.
    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError>;

    /// Checks a proof for the current fork against the head (or, with an upgrade, against the manifest's
    /// signatures) and keeps what it proves: the block, the longer head, the manifest, and *every* node of the
    /// proof and those computed on the way, all or nothing. Later calls see the effect at once.
    fn apply(&mut self, proof: &HashedProof) -> Result<(), ApplyError>;

    /// Compares the signed head in a proof from 0 on with ours up to `length`, to which the proof's upgrade goes. A core
    /// that cannot tell says that it moved on.
    fn compare_history(&self, _proof: &Proof, _length: u64) -> Result<Comparison, ApplyError> {
        Err(ApplyError::Stale)
    }

    /// Starts moving to another, higher fork from a proof of its whole head (`upgrade.start` is 0), forgetting
    /// one that was going on. [`ReorgStep::Done`] means the core has moved.
    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError>;

    /// Continues with the answer to what the last step wanted.
    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError>;
}
