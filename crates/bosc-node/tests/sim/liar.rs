//! A peer that holds the core and lies about it: most proofs it gives are changed in one way or another.

use bosc_format::proof::{HashedProof, Proof, ProofRequest};
use bosc_node::machine::Disguise;
use bosc_testkit::Rng;
use bosc_wire::replication::{ApplyError, CoreAccess, HeadInfo, ProveError, ReorgStep};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How often and how it lies.
pub(super) struct Lies {
    rng: Mutex<Rng>,
    chance: f64,
    told: AtomicU64,
}

impl Lies {
    pub(super) fn new(rng: Rng, chance: f64) -> Self {
        Self { rng: Mutex::new(rng), chance, told: AtomicU64::new(0) }
    }

    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    fn bend(&self, proof: &mut Proof) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        if !rng.chance(self.chance) {
            return;
        }
        let flip = |rng: &mut Rng, bytes: &mut [u8]| {
            let at = rng.index(bytes.len());
            let bit = rng.below(8);
            if let Some(b) = bytes.get_mut(at) {
                *b ^= 1 << bit;
            }
        };
        let before = proof.clone();
        match rng.below(9) {
            0 | 1 => {
                if let Some(block) = &mut proof.block {
                    let mut value = block.value.to_vec();
                    if value.is_empty() {
                        value.push(1);
                    } else {
                        flip(&mut rng, &mut value);
                    }
                    block.value = Bytes::from(value);
                }
            }
            2 => {
                if let Some(block) = &mut proof.block {
                    block.value = Bytes::from(rng.bytes(block.value.len()));
                    let at = rng.index(block.nodes.len());
                    if let Some(node) = block.nodes.get_mut(at) {
                        flip(&mut rng, &mut node.hash);
                    }
                }
            }
            3 => {
                if let Some(block) = &mut proof.block {
                    block.nodes.pop();
                }
            }
            4 => {
                if let Some(block) = &mut proof.block {
                    block.index ^= 1;
                }
            }
            5 => {
                if let Some(upgrade) = &mut proof.upgrade {
                    flip(&mut rng, &mut upgrade.signature);
                }
            }
            6 => {
                if let Some(upgrade) = &mut proof.upgrade {
                    let at = rng.index(upgrade.nodes.len());
                    if let Some(node) = upgrade.nodes.get_mut(at) {
                        flip(&mut rng, &mut node.hash);
                        node.size = node.size.wrapping_add(rng.below(3));
                    }
                }
            }
            7 => {
                if let Some(upgrade) = &mut proof.upgrade {
                    upgrade.length = upgrade.length.saturating_add(1);
                }
            }
            _ => {
                if let Some(hash) = &mut proof.hash {
                    let at = rng.index(hash.nodes.len());
                    if let Some(node) = hash.nodes.get_mut(at) {
                        flip(&mut rng, &mut node.hash);
                    }
                } else {
                    proof.fork = proof.fork.wrapping_add(1);
                }
            }
        }
        if *proof != before {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A core as the liar shows it.
struct Liar<'a> {
    inner: Box<dyn CoreAccess + 'a>,
    lies: &'a Lies,
}

impl Disguise for Lies {
    fn show<'a>(&'a self, core: Box<dyn CoreAccess + 'a>) -> Box<dyn CoreAccess + 'a> {
        Box::new(Liar { inner: core, lies: self })
    }
}

impl CoreAccess for Liar<'_> {
    fn head(&self) -> HeadInfo {
        self.inner.head()
    }

    fn contiguous_length(&self) -> u64 {
        self.inner.contiguous_length()
    }

    fn next_held(&self, from: u64) -> Option<u64> {
        self.inner.next_held(from)
    }

    fn next_missing(&self, from: u64) -> u64 {
        self.inner.next_missing(from)
    }

    fn has(&self, block: u64) -> bool {
        self.inner.has(block)
    }

    fn bitfield_words(&self, start: u64, words: usize) -> Vec<u32> {
        self.inner.bitfield_words(start, words)
    }

    fn has_node(&self, index: u64) -> bool {
        self.inner.has_node(index)
    }

    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError> {
        let mut proof = self.inner.prove(request)?;
        if let Some(proof) = &mut proof {
            self.lies.bend(proof);
        }
        Ok(proof)
    }

    fn expect(&mut self, blocks: &[u64]) {
        self.inner.expect(blocks);
    }

    fn apply(&mut self, proof: &HashedProof) -> Result<(), ApplyError> {
        self.inner.apply(proof)
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.inner.begin_reorg(proof)
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.inner.continue_reorg(proof)
    }
}
