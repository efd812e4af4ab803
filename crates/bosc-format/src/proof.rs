//! Proofs: what a peer asks for and what it is given. The types are shared by the store (which makes and applies
//! proofs) and the wire (which carries them).
//!
//! * [`create_proof`] answers a [`ProofRequest`] from a stored tree, as hypercore's `generateProof` does.
//! * [`verify_proof`] checks an answer against what is known of a core and gives [`Verified`], the only form in which
//!   anything from a peer should reach a store. Its fields cannot be set from outside.
//! * [`HashedProof`] hashes the blocks of many answers side by side, for [`verify_hashed`].
//! * [`Reorg`] gathers the proofs that replace the tree by one of a higher fork.
//! * [`verify_detached`] proves a head on its own, to recognise conflicts; [`compare_history`] compares it with ours.
//!
//! # Invariant
//!
//! What is in a [`Verified`] or [`VerifiedReorg`] hangs, by hashes, below a signature that the core's key
//! demands. One thing is weaker, as in hypercore: the *sizes* of two sibling nodes that came without the block below
//! either of them (hash and seek proofs, `additional_nodes`) are proved in sum, not each. No block, hash, root or
//! byte length of a head depends on them; offsets inside do until the blocks come, which also sets wrong sizes right.
//!
//! # Files
//!
//! - `create`: answers a request. `verify`: checks an answer against what is known of a core, with `tree` for its parts.
//! - `hashed`: blocks of several answers hashed side by side. `reorg`: a tree replaced by one of a higher fork.
//! - `error`: why a proof was not accepted, and whose fault that is.

use crate::flat_tree;
use crate::manifest::Manifest;
use crate::merkle::Node;
use bytes::Bytes;

mod create;
mod error;
mod hashed;
mod reorg;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use create::{RequestError, create_proof, upgrade_nodes};
pub use error::{InvalidProof, ProofError};
pub use hashed::HashedProof;
pub use reorg::{Reorg, ReorgWant, VerifiedReorg};
pub use verify::{
    HistoryComparison, Verified, compare_history, verify_detached, verify_hashed, verify_proof,
};

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

/// A block and the nodes that connect it to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockProof {
    /// Block index.
    pub index: u64,
    /// The block.
    pub value: Bytes,
    /// Sibling nodes upward.
    pub nodes: Vec<Node>,
}

/// Nodes that connect a tree node to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashProof {
    /// Flat-tree index.
    pub index: u64,
    /// The node itself and siblings upward.
    pub nodes: Vec<Node>,
}

/// Nodes that place a byte offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeekProof {
    /// Byte offset.
    pub bytes: u64,
    /// Nodes on the way.
    pub nodes: Vec<Node>,
}

/// Nodes and signature of a longer head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeProof {
    /// From this length.
    pub start: u64,
    /// This many blocks.
    pub length: u64,
    /// Nodes up to `start + length`.
    pub nodes: Vec<Node>,
    /// Nodes from there to the signed length.
    pub additional_nodes: Vec<Node>,
    /// Signature over the signed length.
    pub signature: Vec<u8>,
}

/// An answer to a [`ProofRequest`] (hypercore's `data` message without the request id).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Fork of the head it was made from.
    pub fork: u64,
    /// The block.
    pub block: Option<BlockProof>,
    /// The hash.
    pub hash: Option<HashProof>,
    /// The seek.
    pub seek: Option<SeekProof>,
    /// The longer head.
    pub upgrade: Option<UpgradeProof>,
    /// The manifest.
    pub manifest: Option<Manifest>,
}

impl Proof {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.block.is_none()
            && self.hash.is_none()
            && self.seek.is_none()
            && self.upgrade.is_none()
            && self.manifest.is_none()
    }
}

impl UpgradeProof {
    /// The signed length the proof leads to, `additional_nodes` included (hypercore's `upgradeLength`). Not proved
    /// yet.
    pub fn signed_length(&self) -> u64 {
        match self.additional_nodes.last() {
            Some(last) => flat_tree::end_block(last.index),
            None => self.start.saturating_add(self.length),
        }
    }
}
