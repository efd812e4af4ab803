//! Checking and making the signature of a head.

use super::bounds::MAX_SIGNATURE;
use super::derive::TREE;
use super::fields::{Manifest, Prologue, SignerSpec};
use super::multisig::{MultiSignature, PartialSignature, SignerProof, assemble};
use crate::crypto::{self, CoreKey, Hash, KeyPair, PublicKey};
use crate::flat_tree;
use crate::merkle::{Head, Node, RootStack, next_subtree, tree_hash};
use std::collections::HashMap;
use thiserror::Error;

/// A manifest cannot be used for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The manifest hashes to another key.
    #[error("the manifest belongs to another key")]
    WrongKey,
}

/// A head cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key pair is none of the manifest's signers.
    #[error("this key pair is not a signer of the core")]
    NotASigner,
    /// The manifest is not the one of the key.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What signers sign: `TREE || context || tree hash || u64le length || u64le fork`, 112 bytes. `context` is the
/// core's key (manifest hash), for version 0 manifests the signer's namespace.
pub fn signable(context: &Hash, tree_hash: &Hash, length: u64, fork: u64) -> [u8; 112] {
    let mut out = [0; 112];
    fill(&mut out, &[&*TREE, context, tree_hash, &length.to_le_bytes(), &fork.to_le_bytes()]);
    out
}

/// What is signed under compat keys: as [`signable`] without the context, 80 bytes.
pub fn signable_compat(tree_hash: &Hash, length: u64, fork: u64) -> [u8; 80] {
    let mut out = [0; 80];
    fill(&mut out, &[&*TREE, tree_hash, &length.to_le_bytes(), &fork.to_le_bytes()]);
    out
}

fn fill(out: &mut [u8], parts: &[&[u8]]) {
    for (to, from) in out.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
}

/// Checks heads against a core's key. Making one costs a hash of the manifest; keep it.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: CoreKey,
    compat: bool,
    version: u8,
    allow_patch: bool,
    quorum: u64,
    signers: Vec<SignerSpec>,
    prologue: Option<Prologue>,
}

impl Verifier {
    /// For the core `key` with its manifest. Without one, `key` is taken for a compat key.
    pub fn new(key: &CoreKey, manifest: Option<&Manifest>) -> Result<Self, ManifestError> {
        let Some(m) = manifest else { return Ok(Self::compat(key)) };
        if m.is_compat_with(key) {
            return Ok(Self::compat(key));
        }
        if m.key() != *key {
            return Err(ManifestError::WrongKey);
        }
        Ok(Self {
            key: *key,
            compat: false,
            version: m.version,
            allow_patch: m.allow_patch,
            quorum: m.quorum,
            signers: m.signers.clone(),
            prologue: m.prologue.clone(),
        })
    }

    fn compat(key: &CoreKey) -> Self {
        let only = SignerSpec { namespace: [0; 32], public_key: *key };
        Self {
            key: *key,
            compat: true,
            version: 0,
            allow_patch: false,
            quorum: 1,
            signers: vec![only],
            prologue: None,
        }
    }

    /// The core's key.
    pub fn key(&self) -> &CoreKey {
        &self.key
    }

    /// Whether the key is the public key of its only signer.
    pub fn is_compat(&self) -> bool {
        self.compat
    }

    /// The first blocks that are fixed by the key.
    pub fn prologue(&self) -> Option<&Prologue> {
        self.prologue.as_ref()
    }

    /// Whether the head is signed as the key demands. `head` must be well formed.
    pub fn verify(&self, head: &Head) -> bool {
        if head.signature.len() > MAX_SIGNATURE {
            return false;
        }
        if self.version == 0 {
            return match self.signers.as_slice() {
                [only] if !self.allow_patch => match head.signature.as_slice().try_into() {
                    Ok(signature) => self.check(only, &View::of(head), signature),
                    Err(_) => false,
                },
                _ => MultiSignature::decode_v0(&head.signature).is_ok_and(|s| self.verify_multi(head, &s)),
            };
        }
        if let Some(p) = &self.prologue
            && head.length <= p.length
        {
            return head.length == p.length && head.tree_hash() == p.hash;
        }
        MultiSignature::decode(&head.signature).is_ok_and(|s| self.verify_multi(head, &s))
    }

    /// The public keys of those who signed a head, in the order of its signature: the quorum that counts. Empty where the head is not
    /// signed as the key demands, and where the key itself fixes its blocks.
    pub fn signed_by(&self, head: &Head) -> Vec<PublicKey> {
        if !self.verify(head) || self.prologue.as_ref().is_some_and(|p| head.length <= p.length) {
            return Vec::new();
        }
        let signature = match (self.version, self.signers.as_slice()) {
            (0, [only]) if !self.allow_patch => return vec![only.public_key],
            (0, _) => MultiSignature::decode_v0(&head.signature),
            _ => MultiSignature::decode(&head.signature),
        };
        let proofs = signature.map(|s| s.proofs).unwrap_or_default();
        let quorum = usize::try_from(self.quorum).unwrap_or(usize::MAX);
        let signer = |p: &SignerProof| Some(self.signers.get(usize::try_from(p.signer).ok()?)?.public_key);
        proofs.iter().take(quorum).filter_map(signer).collect()
    }

    fn verify_multi(&self, head: &Head, signatures: &MultiSignature) -> bool {
        let Some(proofs) = usize::try_from(self.quorum)
            .ok()
            .filter(|q| *q > 0 && *q <= self.signers.len())
            .and_then(|q| signatures.proofs.get(..q))
        else {
            return false;
        };
        let view = View::of(head);
        let mut tried = vec![false; self.signers.len()];
        let mut patch: Option<HashMap<u64, &Node>> = None;
        proofs.iter().all(|proof| {
            let Ok(at) = usize::try_from(proof.signer) else { return false };
            let (Some(signer), Some(tried)) = (self.signers.get(at), tried.get_mut(at)) else { return false };
            if std::mem::replace(tried, true) {
                return false;
            }
            if proof.patch == 0 || !self.allow_patch {
                return self.check(signer, &view, &proof.signature);
            }
            let nodes = patch.get_or_insert_with(|| signatures.patch.iter().map(|n| (n.index, n)).collect());
            match patched(head, nodes, proof) {
                Some(view) => self.check(signer, &view, &proof.signature),
                None => false,
            }
        })
    }

    fn check(&self, signer: &SignerSpec, view: &View, signature: &[u8; 64]) -> bool {
        if self.compat {
            let message = signable_compat(&view.tree_hash, view.length, view.fork);
            return crypto::verify(&message, signature, &signer.public_key);
        }
        let message = signable(self.context(signer), &view.tree_hash, view.length, view.fork);
        crypto::verify(&message, signature, &signer.public_key)
    }

    fn context<'a>(&'a self, signer: &'a SignerSpec) -> &'a Hash {
        if self.version == 0 { &signer.namespace } else { &self.key }
    }

    /// The position of `public_key` among the signers.
    pub fn signer_index(&self, public_key: &[u8; 32]) -> Option<u64> {
        self.signers.iter().position(|s| s.public_key == *public_key).map(|i| i as u64)
    }

    /// The raw signature of one signer over the head: one part of a quorum.
    pub fn sign_partial(&self, head: &Head, key_pair: &KeyPair) -> Result<PartialSignature, SignError> {
        let public = key_pair.public();
        let signer = self.signer_index(&public).ok_or(SignError::NotASigner)?;
        let spec = self.signers.iter().find(|s| s.public_key == public).ok_or(SignError::NotASigner)?;
        let view = View::of(head);
        let signature = if self.compat {
            key_pair.sign(&signable_compat(&view.tree_hash, view.length, view.fork))
        } else {
            key_pair.sign(&signable(self.context(spec), &view.tree_hash, view.length, view.fork))
        };
        Ok(PartialSignature { signer, signature, patch: 0, nodes: Vec::new() })
    }

    /// The signature of the head as it is stored and sent, for cores with one signer. With several signers it is the
    /// raw 64 bytes of this one, for assembly.
    pub fn sign(&self, head: &Head, key_pair: &KeyPair) -> Result<Vec<u8>, SignError> {
        let part = self.sign_partial(head, key_pair)?;
        if self.signers.len() != 1 || self.version == 0 {
            return Ok(part.signature.to_vec());
        }
        Ok(assemble(&[part]))
    }
}

/// The parts of a head that are signed.
struct View {
    tree_hash: Hash,
    length: u64,
    fork: u64,
}

impl View {
    fn of(head: &Head) -> Self {
        Self { tree_hash: head.tree_hash(), length: head.length, fork: head.fork }
    }
}

/// The longer tree a signer signed: the head lengthened by `patch` blocks with the nodes that came along.
fn patched(head: &Head, nodes: &HashMap<u64, &Node>, proof: &SignerProof) -> Option<View> {
    let length = head.length.checked_add(proof.patch).filter(|l| *l <= flat_tree::MAX_LENGTH)?;
    let mut stack = RootStack::from_head(head);
    while stack.length < length {
        let next = next_subtree(stack.length, length);
        stack.push(**nodes.get(&next)?, |_| ()).ok()?;
    }
    Some(View { tree_hash: tree_hash(&stack.roots), length, fork: head.fork })
}

/// Whether the head is signed as `key` demands, under its manifest if it has one. For many heads of one core make a
/// [`Verifier`] once.
pub fn verify_head(key: &CoreKey, manifest: Option<&Manifest>, head: &Head) -> bool {
    Verifier::new(key, manifest).is_ok_and(|v| v.verify(head))
}

/// The signature over `head` by the one signer of `manifest`, as stored and sent; see [`Verifier::sign`].
pub fn sign_head(manifest: &Manifest, key_pair: &KeyPair, head: &Head) -> Result<Vec<u8>, SignError> {
    Verifier::new(&manifest.key(), Some(manifest))?.sign(head, key_pair)
}
