//! Keys of manifests, and manifests made from other things.

use super::fields::{Manifest, SignerSpec};
use crate::crypto::{self, CoreKey, Hash, PublicKey};
use std::sync::LazyLock;

/// `namespace("hypercore", n)`: 0 tree signatures, 3 manifest hashes, 4 the namespace of signers that name none.
pub(super) static TREE: LazyLock<Hash> = LazyLock::new(|| crypto::namespace("hypercore", 0));
static MANIFEST: LazyLock<Hash> = LazyLock::new(|| crypto::namespace("hypercore", 3));
static DEFAULT_NAMESPACE: LazyLock<Hash> = LazyLock::new(|| crypto::namespace("hypercore", 4));
static BLOBS: LazyLock<Hash> = LazyLock::new(|| crypto::namespace("hyperdrive", 0));

/// How many of `signers` must sign when nothing else is said: more than half.
pub fn default_quorum(signers: usize) -> u64 {
    if signers == 0 { 0 } else { (signers as u64 >> 1) + 1 }
}

/// The signers' namespace of a multi-signature drive: the hash of its namespace's text.
pub fn multisig_namespace(text: &str) -> Hash {
    crypto::hash(&[text.as_bytes()])
}

impl Manifest {
    /// One signer, version 1: what a core gets that is made from a key pair.
    pub fn single(public_key: PublicKey) -> Self {
        Self {
            version: 1,
            allow_patch: false,
            quorum: 1,
            signers: vec![SignerSpec { namespace: *DEFAULT_NAMESPACE, public_key }],
            prologue: None,
            linked: None,
            user_data: None,
        }
    }

    /// Several signers, version 1, as `hyper-multisig` makes it. The order of `public_keys` is part of the key.
    pub fn multisig(public_keys: &[PublicKey], quorum: u64, namespace: &str) -> Self {
        let namespace = multisig_namespace(namespace);
        let signers = public_keys.iter().map(|k| SignerSpec { namespace, public_key: *k }).collect();
        Self { quorum, signers, ..Self::single([0; 32]) }
    }

    /// `H(MANIFEST || encoding)`: the key of a core with this manifest (compat cores have another, see
    /// [`Manifest::is_compat_with`]).
    pub fn key(&self) -> CoreKey {
        crypto::hash(&[&*MANIFEST, &self.encode()])
    }

    /// Whether `key` is a compat key under this manifest: the public key of its only signer.
    pub fn is_compat_with(&self, key: &CoreKey) -> bool {
        matches!(self.signers.as_slice(), [only] if only.public_key == *key)
    }

    /// The manifest of the core that holds a drive's blobs, where `self` is the manifest of the drive's own core and
    /// `key` its key. `None` for version 0, whose drives name their blobs' key in the header instead.
    pub fn blobs(&self, key: &CoreKey) -> Option<Self> {
        if self.version == 0 {
            return None;
        }
        let signers = self
            .signers
            .iter()
            .map(|s| SignerSpec {
                namespace: crypto::hash(&[&*BLOBS, key, &s.namespace]),
                public_key: s.public_key,
            })
            .collect();
        Some(Self { signers, prologue: None, linked: None, user_data: None, ..self.clone() })
    }

    /// The key of the core that holds a drive's blobs; see [`Manifest::blobs`].
    pub fn blobs_key(&self) -> Option<CoreKey> {
        Some(self.blobs(&self.key())?.key())
    }
}
