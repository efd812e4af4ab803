//! Manifests: who may sign a core (hypercore `lib/verifier.js`, `lib/messages.js`, `lib/multisig.js`).
//!
//! A core's key is the hash of its manifest, so the manifest can come from anyone: [`Manifest::key`] tells whether
//! it is the right one. Old "compat" cores have no manifest: their key is their only signer's public key.
//!
//! * [`Manifest`]: encode, decode, key, and the manifests derived from it (a drive's blobs).
//! * [`Verifier`]: checks and makes the signature of a [`Head`](crate::merkle::Head).
//! * [`MultiSignature`]: the encoding of several signatures in one.
//!
//! Invariants:
//! * A [`Verifier`] exists only for a manifest that belongs to its key.
//! * Manifests are bounded: [`MAX_SIGNERS`], [`MAX_LINKED`], [`MAX_USER_DATA`].

use crate::crypto::{Hash, PublicKey};

mod derive;
mod encoding;
mod multisig;
#[cfg(test)]
mod tests;
mod verifier;

pub use derive::{default_quorum, multisig_namespace};
pub use multisig::{MultiSignature, PartialSignature, SignerProof, assemble, assemble_v0, signable_length};
pub use verifier::{ManifestError, SignError, Verifier, sign_head, signable, signable_compat, verify_head};

/// The most signers a manifest may have here.
pub const MAX_SIGNERS: usize = 1024;
/// The most linked cores a manifest may have here.
pub const MAX_LINKED: usize = 1024;
/// The most bytes of user data a manifest may have here.
pub const MAX_USER_DATA: usize = 64 * 1024;
/// The most bytes a head's signature may have here: room for [`MAX_SIGNERS`] and thousands of patch nodes. What it is
/// must not be compared: bytes that say nothing can be added to a multi-signature.
pub const MAX_SIGNATURE: usize = 256 * 1024;

/// One signer of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerSpec {
    /// Namespace of the signature (only signed over in version 0 manifests, always part of the hash).
    pub namespace: Hash,
    /// Ed25519 public key.
    pub public_key: PublicKey,
}

/// A core's first blocks fixed by hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prologue {
    /// Tree hash of the prologue.
    pub hash: Hash,
    /// Number of blocks in it.
    pub length: u64,
}

/// Who may sign a core and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Format version, 0 to 3.
    pub version: u8,
    /// Whether signers may have signed different lengths.
    pub allow_patch: bool,
    /// How many signatures a head needs.
    pub quorum: u64,
    /// The signers, in the order that is part of the key.
    pub signers: Vec<SignerSpec>,
    /// Fixed first blocks.
    pub prologue: Option<Prologue>,
    /// Keys of linked cores (version 2 and later).
    pub linked: Option<Vec<[u8; 32]>>,
    /// Free bytes (version 2 and later).
    pub user_data: Option<Vec<u8>>,
}
