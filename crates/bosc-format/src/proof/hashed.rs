//! Proofs whose blocks were hashed before they are checked, several side by side: hashing is most of the work of a
//! download. Each proof still stands or falls alone, against the head and the tree as they are when its turn comes.

use super::answer::Proof;
use crate::crypto::{self, Hash};
use std::ops::Deref;

/// A proof, perhaps with the leaf hash of its block. The hash is always that of these very bytes: it is computed here, and
/// the proof cannot be changed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedProof {
    proof: Proof,
    leaf: Option<Hash>,
}

impl HashedProof {
    /// Hashes the blocks of all proofs, several at once ([`crypto::leaf_hashes`]).
    pub fn together(proofs: Vec<Proof>) -> Vec<Self> {
        let blocks: Vec<&[u8]> =
            proofs.iter().filter_map(|p| Some(p.block.as_ref()?.value.as_ref())).collect();
        let mut leaves = crypto::leaf_hashes(&blocks).into_iter();
        proofs
            .into_iter()
            .map(|proof| {
                let leaf = proof.block.is_some().then(|| leaves.next()).flatten();
                Self { proof, leaf }
            })
            .collect()
    }

    pub(super) fn leaf(&self) -> Option<Hash> {
        self.leaf
    }
}

/// Not hashed yet: that is done when it is checked.
impl From<Proof> for HashedProof {
    fn from(proof: Proof) -> Self {
        Self { proof, leaf: None }
    }
}

impl Deref for HashedProof {
    type Target = Proof;

    fn deref(&self) -> &Proof {
        &self.proof
    }
}
