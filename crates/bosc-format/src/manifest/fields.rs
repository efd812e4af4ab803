//! What a manifest says.

use crate::crypto::{Hash, PublicKey};

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
