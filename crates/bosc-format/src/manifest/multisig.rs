//! Several signatures in one byte string (hypercore `lib/multisig.js`).
//!
//! Version 1: `count | count x (signer | 64 signature | patch) | nodes`. A `patch` of n says that this signer signed
//! a tree n blocks longer than the head; `nodes` are what it takes to get from the one to the other, shared by all
//! signers. Version 0 keeps per proof the positions in `nodes` instead of only a length.

use super::bounds::{MAX_SIGNATURE, MAX_SIGNERS};
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::crypto::Hash;
use crate::flat_tree;
use crate::merkle::Node;
use std::collections::HashSet;

/// One signer's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerProof {
    /// Position among the manifest's signers.
    pub signer: u64,
    /// Ed25519 signature.
    pub signature: [u8; 64],
    /// How many blocks longer the signed tree is than the head.
    pub patch: u64,
}

/// Signatures of several signers, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MultiSignature {
    /// The signatures; a verifier looks at the first `quorum` only.
    pub proofs: Vec<SignerProof>,
    /// Nodes that lengthen the head for signers with a patch.
    pub patch: Vec<Node>,
}

/// One signer's part before assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialSignature {
    /// Position among the manifest's signers.
    pub signer: u64,
    /// Ed25519 signature.
    pub signature: [u8; 64],
    /// How many blocks longer the signed tree is than the head.
    pub patch: u64,
    /// The upgrade nodes from the head to the signed length; empty without a patch.
    pub nodes: Vec<Node>,
}

fn encode_nodes(e: &mut Encoder, nodes: &[Node]) {
    e.uint(nodes.len() as u64);
    for n in nodes {
        e.uint(n.index).uint(n.size).raw(&n.hash);
    }
}

fn decode_node(d: &mut Decoder<'_>) -> Result<Node, DecodeError> {
    let (index, size): (u64, u64) = (d.uint()?, d.uint()?);
    let hash: Hash = d.fixed32()?;
    Ok(Node { index, size, hash })
}

impl MultiSignature {
    /// The version 1 encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(2 + self.proofs.len().saturating_mul(66));
        e.uint(self.proofs.len() as u64);
        for p in &self.proofs {
            e.uint(p.signer).raw(&p.signature).uint(p.patch);
        }
        encode_nodes(&mut e, &self.patch);
        e.finish()
    }

    /// Reads the version 1 encoding. Bytes behind it are ignored, as the JavaScript decoder does.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = decoder(bytes)?;
        let proofs =
            d.list(66, |d| Ok(SignerProof { signer: d.uint()?, signature: d.fixed()?, patch: d.uint()? }))?;
        let patch = d.list(34, decode_node)?;
        bounded(proofs, patch)
    }

    /// Reads the encoding used under version 0 manifests with several signers.
    pub fn decode_v0(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = decoder(bytes)?;
        let proofs = d.list(66, |d| {
            let flags = d.uint()?;
            let (signer, signature) = (d.uint()?, d.fixed()?);
            let mut patch = 0;
            if flags & 1 != 0 {
                let _start = d.uint()?;
                patch = d.uint()?;
                d.list(1, |d| d.uint().map(|_| ()))?;
            }
            Ok(SignerProof { signer, signature, patch })
        })?;
        let patch = d.list(34, decode_node)?;
        bounded(proofs, patch)
    }
}

fn decoder(bytes: &[u8]) -> Result<Decoder<'_>, DecodeError> {
    if bytes.len() > MAX_SIGNATURE {
        return Err(DecodeError::TooLarge("the signature"));
    }
    Ok(Decoder::new(bytes))
}

fn bounded(proofs: Vec<SignerProof>, patch: Vec<Node>) -> Result<MultiSignature, DecodeError> {
    if proofs.len() > MAX_SIGNERS {
        return Err(DecodeError::TooLarge("the number of signatures"));
    }
    Ok(MultiSignature { proofs, patch })
}

/// Joins signatures for a manifest of version 1 or later. Give them in the order of the manifest's signers.
pub fn assemble(inputs: &[PartialSignature]) -> Vec<u8> {
    let mut seen = HashSet::new();
    let mut out = MultiSignature::default();
    for i in inputs {
        out.patch.extend(i.nodes.iter().filter(|n| seen.insert(n.index)));
        out.proofs.push(SignerProof { signer: i.signer, signature: i.signature, patch: i.patch });
    }
    out.encode()
}

/// Joins signatures for a version 0 manifest with several signers.
pub fn assemble_v0(inputs: &[PartialSignature]) -> Vec<u8> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut e = Encoder::new();
    e.uint(inputs.len() as u64);
    for i in inputs {
        let last = i.nodes.last().filter(|_| i.patch > 0);
        e.uint(u64::from(last.is_some())).uint(i.signer).raw(&i.signature);
        if let Some(last) = last {
            e.uint(flat_tree::end_block(last.index)).uint(i.patch).uint(i.nodes.len() as u64);
            for node in &i.nodes {
                let at = nodes.iter().position(|n| n == node).unwrap_or_else(|| {
                    nodes.push(*node);
                    nodes.len() - 1
                });
                e.uint(at as u64);
            }
        }
    }
    encode_nodes(&mut e, &nodes);
    e.finish()
}

/// The longest length that at least `quorum` signers (at least 1) have reached; 0 when there are too few.
pub fn signable_length(lengths: &[u64], quorum: u64) -> u64 {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    usize::try_from(quorum.max(1)).ok().and_then(|q| sorted.get(q - 1)).copied().unwrap_or(0)
}
