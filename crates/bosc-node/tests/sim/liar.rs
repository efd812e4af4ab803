//! A peer that holds the core and lies about it: most proofs it gives are changed in one way or another.

use bosc_format::proof::{Proof, ProofRequest};
use bosc_testkit::Rng;
use bosc_wire::replication::{ApplyError, CoreAccess, HeadInfo, ProveError, ReorgStep};
use bytes::Bytes;
use std::cell::{Cell, RefCell};

/// How often and how it lies.
pub(super) struct Lies {
    rng: RefCell<Rng>,
    chance: f64,
    pub(super) told: Cell<u64>,
}

impl Lies {
    pub(super) fn new(rng: Rng, chance: f64) -> Self {
        Self { rng: RefCell::new(rng), chance, told: Cell::new(0) }
    }

    fn bend(&self, proof: &mut Proof) {
        let mut rng = self.rng.borrow_mut();
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
            self.told.set(self.told.get() + 1);
        }
    }
}

/// A core as the liar shows it.
pub(super) struct Liar<'a, A> {
    pub(super) inner: A,
    pub(super) lies: &'a Lies,
}

impl<A: CoreAccess> CoreAccess for Liar<'_, A> {
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

    fn apply(&mut self, proof: &Proof) -> Result<(), ApplyError> {
        self.inner.apply(proof)
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.inner.begin_reorg(proof)
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.inner.continue_reorg(proof)
    }
}
