//! Why a proof was not accepted, and whose fault that is.

use crate::merkle::{TreeError, TreeReadError};
use thiserror::Error;

/// A proof was not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The proof is wrong whatever we have: the peer sent garbage or worse.
    #[error("invalid proof: {0}")]
    Invalid(#[from] InvalidProof),
    /// The proof does not fit what is here any more (another fork or length, or it hangs on a node that is not here).
    /// It may have been right when it was asked for; ask again.
    #[error("the proof does not fit: {0}")]
    Stale(&'static str),
    /// The place where nodes are kept failed.
    #[error(transparent)]
    Read(#[from] TreeReadError),
}

impl ProofError {
    /// Whether the peer is to blame.
    pub fn is_peer_fault(&self) -> bool {
        matches!(self, Self::Invalid(_))
    }
}

/// What is wrong with a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidProof {
    /// A node is not the one that is needed at this place.
    #[error("expected tree node {expected}, got node {got}")]
    UnexpectedNode {
        /// The index needed.
        expected: u64,
        /// The index that came.
        got: u64,
    },
    /// A node that is needed is not there.
    #[error("tree node {0} is not in the proof")]
    MissingNode(u64),
    /// Nodes are left over.
    #[error("the proof has nodes that are not needed")]
    SpareNodes,
    /// The hash at this node is another than the one known.
    #[error("wrong hash at tree node {0}")]
    Checksum(u64),
    /// The head is not signed as the key demands.
    #[error("the signature is not valid")]
    Signature,
    /// The manifest is not the one of the key.
    #[error("the manifest belongs to another key")]
    Manifest,
    /// The upgrade leaves out or contradicts the first blocks that the key fixes.
    #[error("the upgrade does not satisfy the prologue")]
    Prologue,
    /// A part that must be there is not, or a number makes no sense; the text names it.
    #[error("{0}")]
    Malformed(&'static str),
    /// A number is over its bound; the text names it.
    #[error("{0} is over its bound")]
    TooLarge(&'static str),
}

/// For trees built from a proof: nothing is read, so every error is the proof's.
pub(super) fn from_growing(error: TreeError) -> ProofError {
    match error {
        TreeError::Read(e) => ProofError::Read(e),
        TreeError::Missing(index) => InvalidProof::MissingNode(index).into(),
        TreeError::OutOfBounds(_) => InvalidProof::Malformed("an upgrade node is out of place").into(),
        TreeError::TooLarge(what) => InvalidProof::TooLarge(what).into(),
    }
}
