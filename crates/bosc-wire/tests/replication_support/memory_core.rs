//! A core in memory, for tests: what a store does, without a disk.

use super::{
    ApplyError, Comparison, CoreAccess, HeadInfo, HeadSummary, ManifestState, ProveError, ReorgStep,
};
use bosc_format::crypto::{CoreKey, KeyPair};
use bosc_format::manifest::{Manifest, sign_head};
use bosc_format::merkle::{Appender, Head, Node, TreeReader, replaced_nodes, truncate};
use bosc_format::proof::{
    HashedProof, Proof, ProofError, ProofRequest, Reorg, RequestError, compare_history, create_proof,
    verify_hashed,
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

pub struct MemoryCore {
    pub key: CoreKey,
    pub manifest: Option<Manifest>,
    pub head: Head,
    pub nodes: HashMap<u64, Node>,
    pub blocks: BTreeMap<u64, Bytes>,
    key_pair: Option<KeyPair>,
    reorg: Option<Reorg>,
    contiguous: u64,
    /// Applying fails as a full disk does.
    pub broken: bool,
    /// Forget block data (and make it up again by `make`): for big transfers without memory.
    pub discard: bool,
    pub proofs_made: std::cell::Cell<u64>,
}

impl MemoryCore {
    pub fn writer(seed: u8) -> Self {
        let key_pair = KeyPair::from_seed(&[seed; 32]);
        let manifest = Manifest::single(key_pair.public());
        let mut core = Self::reader(manifest.key());
        core.manifest = Some(manifest);
        core.key_pair = Some(key_pair);
        core
    }

    pub fn reader(key: CoreKey) -> Self {
        Self {
            key,
            manifest: None,
            head: Head::empty(),
            nodes: HashMap::new(),
            blocks: BTreeMap::new(),
            key_pair: None,
            reorg: None,
            contiguous: 0,
            broken: false,
            discard: false,
            proofs_made: std::cell::Cell::new(0),
        }
    }

    fn sign(&mut self) {
        let (Some(m), Some(k)) = (&self.manifest, &self.key_pair) else { panic!("not writable") };
        self.head.signature = sign_head(m, k, &self.head).unwrap();
    }

    pub fn append(&mut self, blocks: impl IntoIterator<Item = Bytes>) {
        let mut appender = Appender::new(&self.head);
        for b in blocks {
            appender.append_block(&b).unwrap();
            self.blocks.insert(appender.length() - 1, b);
        }
        let (head, nodes) = appender.finish(self.head.fork);
        self.nodes.extend(nodes.into_iter().map(|n| (n.index, n)));
        self.head = head;
        self.sign();
        self.update_contiguous();
    }

    /// Cuts back to `length` blocks at the next fork.
    pub fn truncate(&mut self, length: u64) {
        let head = truncate(&self.head, &self.nodes, length, self.head.fork + 1).unwrap();
        self.replace(length, head);
        if length > 0 {
            self.sign();
        }
    }

    fn replace(&mut self, kept: u64, head: Head) {
        let gone = replaced_nodes(kept, self.head.length);
        self.nodes.retain(|i, _| !gone.range.contains(i) && !gone.across.contains(i));
        self.blocks.retain(|i, _| *i < kept);
        self.contiguous = self.contiguous.min(kept);
        self.head = head;
    }

    pub fn clear(&mut self, start: u64, end: u64) {
        self.blocks.retain(|i, _| !(start..end).contains(i));
        if start < self.contiguous {
            self.contiguous = start;
        }
    }

    fn update_contiguous(&mut self) {
        while self.blocks.contains_key(&self.contiguous) {
            self.contiguous += 1;
        }
    }

    fn take_reorg(&mut self, reorg: Reorg) -> ReorgStep {
        match reorg.want() {
            Some(w) => {
                self.reorg = Some(reorg);
                ReorgStep::Want { start: w.start, end: w.end, nodes: w.nodes }
            }
            None => {
                let (ancestors, head, nodes, manifest) = reorg.finish().unwrap().into_parts();
                self.replace(ancestors, head);
                self.nodes.extend(nodes.into_iter().map(|n| (n.index, n)));
                if manifest.is_some() {
                    self.manifest = manifest;
                }
                ReorgStep::Done { ancestors }
            }
        }
    }
}

fn apply_error(e: ProofError) -> ApplyError {
    match e {
        ProofError::Invalid(e) => ApplyError::Peer(e.to_string()),
        ProofError::Stale(_) => ApplyError::Stale,
        e => ApplyError::Core(e.to_string().into()),
    }
}

impl CoreAccess for MemoryCore {
    fn head(&self) -> HeadInfo {
        HeadInfo {
            fork: self.head.fork,
            length: self.head.length,
            byte_length: self.head.byte_length,
            manifest: if self.manifest.is_some() { ManifestState::Held } else { ManifestState::Missing },
        }
    }

    fn contiguous_length(&self) -> u64 {
        self.contiguous
    }

    fn next_held(&self, from: u64) -> Option<u64> {
        self.blocks.range(from..).next().map(|(i, _)| *i)
    }

    fn next_missing(&self, from: u64) -> u64 {
        let mut at = from.max(if from < self.contiguous { self.contiguous } else { 0 });
        while self.blocks.contains_key(&at) {
            at += 1;
        }
        at
    }

    fn bitfield_words(&self, start: u64, words: usize) -> Vec<u32> {
        let bit = |w: usize, b: u32| self.has(start + w as u64 * 32 + u64::from(b));
        (0..words).map(|w| (0..32).fold(0, |acc, b| acc | u32::from(bit(w, b)) << b)).collect()
    }

    fn has_node(&self, index: u64) -> bool {
        self.nodes.contains_key(&index) || self.head.root(index).is_some()
    }

    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError> {
        self.proofs_made.set(self.proofs_made.get() + 1);
        if request.manifest && *request == (ProofRequest { manifest: true, ..ProofRequest::default() }) {
            let manifest = self.manifest.clone();
            return Ok(manifest.map(|m| Proof {
                fork: self.head.fork,
                manifest: Some(m),
                ..Proof::default()
            }));
        }
        create_proof(&self.head, self.manifest.as_ref(), &self.nodes, request, &mut |i| {
            Ok(self.blocks.get(&i).cloned())
        })
        .map_err(|e| match e {
            RequestError::Invalid(why) => ProveError::Invalid(why.into()),
            e => ProveError::Core(e.to_string().into()),
        })
    }

    fn apply(&mut self, proof: &HashedProof) -> Result<(), ApplyError> {
        if self.broken {
            return Err(ApplyError::Core("no space left".into()));
        }
        let tree: &dyn TreeReader = &self.nodes;
        let verified =
            verify_hashed(&self.key, self.manifest.as_ref(), &self.head, tree, proof).map_err(apply_error)?;
        let (nodes, upgrade, block, manifest) = verified.into_parts();
        self.nodes.extend(nodes.into_iter().map(|n| (n.index, n)));
        if let Some(head) = upgrade {
            self.head = head;
        }
        if let Some((index, value)) = block {
            self.blocks.insert(index, if self.discard { Bytes::new() } else { value });
            self.update_contiguous();
        }
        if manifest.is_some() {
            self.manifest = manifest;
        }
        Ok(())
    }

    fn compare_history(&self, proof: &Proof, length: u64) -> Result<Comparison, ApplyError> {
        let compared =
            compare_history(&self.key, self.manifest.as_ref(), &self.head, &self.nodes, proof, length)
                .map_err(apply_error)?;
        let short = |h: &Head| HeadSummary { length: h.length, tree_hash: h.tree_hash() };
        Ok(Comparison { same: compared.same, ours: short(&self.head), theirs: short(&compared.theirs) })
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.reorg = None;
        let reorg = Reorg::start(&self.key, self.manifest.as_ref(), &self.head, &self.nodes, proof)
            .map_err(apply_error)?;
        Ok(self.take_reorg(reorg))
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        let Some(mut reorg) = self.reorg.take() else { return Err(ApplyError::Stale) };
        match reorg.update(&self.head, &self.nodes, proof) {
            Ok(_) => Ok(self.take_reorg(reorg)),
            Err(e) => Err(apply_error(e)),
        }
    }
}

impl MemoryCore {
    /// After blocks were put in by hand.
    pub fn recount(&mut self) {
        self.contiguous = 0;
        self.update_contiguous();
    }
}
