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
//! - `request`: what is asked for. `answer`: what comes, not proved yet.
//! - `create`: answers a request, with nodes in which order. `verify`: checks an answer against what is known of a core, sizes set
//!   right, a head on its own, two histories; with `tree` for its parts.
//! - `hashed`: blocks of several answers hashed side by side. `reorg`: a tree replaced by one of a higher fork.
//! - `error`: why a proof was not accepted, and whose fault that is.

mod answer;
mod create;
mod error;
mod hashed;
mod reorg;
mod request;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use answer::{BlockProof, HashProof, Proof, SeekProof, UpgradeProof};
pub use create::{RequestError, create_proof, upgrade_nodes};
pub use error::{InvalidProof, ProofError};
pub use hashed::HashedProof;
pub use reorg::{Reorg, ReorgWant, VerifiedReorg};
pub use request::{NodeRequest, ProofRequest, SeekRequest, UpgradeRequest};
pub use verify::{
    HistoryComparison, Verified, compare_history, verify_detached, verify_hashed, verify_proof,
};
