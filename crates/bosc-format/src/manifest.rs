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
//!
//! # Files
//!
//! - `fields`: what a manifest says. `bounds`: how many signers, how long user data and signatures. `encoding`: its bytes, versions
//!   and flags. `derive`: keys (of the blobs core, too), the usual quorum, and manifests made from others.
//! - `verifier`: one head and its signature: what signers sign, compat keys, the quorum that counts. `multisig`: several signatures
//!   in one, patches.

mod bounds;
mod derive;
mod encoding;
mod fields;
mod multisig;
#[cfg(test)]
mod tests;
mod verifier;

pub use bounds::{MAX_LINKED, MAX_SIGNATURE, MAX_SIGNERS, MAX_USER_DATA};
pub use derive::{default_quorum, multisig_namespace};
pub use fields::{Manifest, Prologue, SignerSpec};
pub use multisig::{MultiSignature, PartialSignature, SignerProof, assemble, assemble_v0, signable_length};
pub use verifier::{ManifestError, SignError, Verifier, sign_head, signable, signable_compat, verify_head};
