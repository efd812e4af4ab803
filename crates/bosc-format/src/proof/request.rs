//! What a proof is asked for.

/// Asks for a block, or for a tree node's hash (`index` is then a tree index), with the nodes that prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRequest {
    /// Block index for blocks, flat-tree index for hashes.
    pub index: u64,
    /// How many levels above the leaf the asker is missing (hypercore's `nodes`).
    pub nodes: u64,
}

/// Asks for the proof of which block a byte offset lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeekRequest {
    /// Byte offset in the core.
    pub bytes: u64,
    /// Bytes of padding per block (encryption); 0 here.
    pub padding: u64,
}

/// Asks for the proof from length `start` to length `start + length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeRequest {
    /// The length the asker has.
    pub start: u64,
    /// How many blocks more.
    pub length: u64,
}

/// What a proof is asked for. Any combination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProofRequest {
    /// A block with its value.
    pub block: Option<NodeRequest>,
    /// A node's hash only.
    pub hash: Option<NodeRequest>,
    /// A byte offset.
    pub seek: Option<SeekRequest>,
    /// A longer head.
    pub upgrade: Option<UpgradeRequest>,
    /// The manifest.
    pub manifest: bool,
}
