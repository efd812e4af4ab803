//! An answer, as it came: nothing in it is proved.

use crate::flat_tree;
use crate::manifest::Manifest;
use crate::merkle::Node;
use bytes::Bytes;

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

/// An answer to a [`ProofRequest`](super::ProofRequest) (hypercore's `data` message without the request id).
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
