//! A handle of a core: what is known of it, and what every change of it begins with.

use crate::core_state::CoreShared;
use crate::edits::Edits;
use crate::error::{Error, Result};
use crate::events::{CoreChange, Listener, Subscription, notify, subscribe};
use crate::inner::Tree;
use crate::lock::lock;
use crate::owner::Owner;
use crate::page::{BITS, PageKey};
use crate::record::{KeySource, Record};
use crate::rows::{name_row, user_row};
use bosc_format::crypto::{CoreKey, DiscoveryKey, Hash, KeyPair, discovery_key};
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::{self, Head, Node, Seek};
use std::sync::Arc;

/// A handle of a core. Clones are handles of the same core.
#[derive(Debug, Clone)]
pub struct Core {
    pub(crate) inner: Arc<Owner>,
    pub(crate) shared: Arc<CoreShared>,
}

/// What is known of a core without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreInfo {
    /// The core's key.
    pub key: CoreKey,
    /// Its discovery key.
    pub discovery_key: DiscoveryKey,
    /// Fork of its head.
    pub fork: u64,
    /// Number of blocks in it.
    pub length: u64,
    /// Bytes in it.
    pub byte_length: u64,
    /// All blocks below are kept.
    pub contiguous_length: u64,
    /// Number of blocks kept.
    pub blocks: u64,
    /// Bytes of the blocks kept.
    pub block_bytes: u64,
    /// Whether a key pair is kept with it.
    pub has_key_pair: bool,
}

impl CoreInfo {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            key: record.key,
            discovery_key: discovery_key(&record.key),
            fork: record.head.fork,
            length: record.head.length,
            byte_length: record.head.byte_length,
            contiguous_length: record.contiguous,
            blocks: record.blocks,
            block_bytes: record.bytes,
            has_key_pair: !record.source.is_none(),
        }
    }
}

impl Core {
    pub(crate) fn new(inner: Arc<Owner>, shared: Arc<CoreShared>) -> Self {
        Self { inner, shared }
    }

    pub(crate) fn tree(&self, head: &Head) -> Tree<'_> {
        Tree { inner: &self.inner, core: self.shared.id, length: head.length }
    }

    pub(crate) fn notify(&self, changes: &[CoreChange]) {
        notify(&self.shared.listeners, changes);
    }

    /// Its number in the store.
    pub(crate) fn number(&self) -> u32 {
        self.shared.id
    }

    /// The core's key.
    pub fn key(&self) -> &CoreKey {
        &self.shared.key
    }

    /// The topic the core is found under.
    pub fn discovery_key(&self) -> &DiscoveryKey {
        &self.shared.discovery_key
    }

    /// The manifest, when it is known.
    pub fn manifest(&self) -> Option<Arc<Manifest>> {
        self.shared.read().record.manifest.clone()
    }

    /// Whether this store can sign for the core alone.
    pub fn writable(&self) -> bool {
        self.shared.read().signer().is_some()
    }

    /// The key pair kept with the core.
    pub fn key_pair(&self) -> Option<KeyPair> {
        self.shared.read().pair.clone()
    }

    /// The head: fork, length, roots and signature of what is known of the core.
    pub fn head(&self) -> Arc<Head> {
        self.shared.read().record.head.clone()
    }

    /// Number of blocks.
    pub fn length(&self) -> u64 {
        self.shared.read().record.head.length
    }

    /// All blocks below this one are here.
    pub fn contiguous_length(&self) -> u64 {
        self.shared.read().record.contiguous
    }

    /// Lengths, counts and keys at one moment.
    pub fn info(&self) -> CoreInfo {
        CoreInfo::of(&self.shared.read().record)
    }

    /// Whether block `index` is here.
    pub fn has(&self, index: u64) -> Result<bool> {
        let state = self.shared.read();
        if index < state.record.contiguous {
            return Ok(true);
        }
        Ok(index < state.record.head.length && self.inner.has(self.shared.id, index)?)
    }

    /// Which blocks are here, as `words` words of 32 blocks: bit `i % 32` of word `i / 32` is block
    /// `start + i`. `start` is a multiple of 32. Bounded: at most 65,536 words at once.
    pub fn bitfield_words(&self, start: u64, words: usize) -> Result<Vec<u32>> {
        if !start.is_multiple_of(32) || words > 1 << 16 {
            return Err(Error::Argument("a bitfield range"));
        }
        let _state = self.shared.read();
        let mut out = Vec::with_capacity(words);
        let mut at = start;
        let mut page = None;
        for i in 0..words {
            if i == 0 || at.is_multiple_of(BITS) {
                page = self.inner.page(&PageKey::bits(self.shared.id, at))?;
            }
            let word = page.as_ref().and_then(|p| p.bit()).map_or(0, |p| p.word32((at % BITS / 32) as usize));
            out.push(word);
            at = at.saturating_add(32);
        }
        Ok(out)
    }

    /// First block in `start..end` that is not here.
    pub fn first_missing(&self, start: u64, end: u64) -> Result<Option<u64>> {
        let state = self.shared.read();
        let end = end.min(state.record.head.length);
        let start = start.max(state.record.contiguous.min(end));
        if start >= end {
            return Ok(None);
        }
        let found = Edits::new(self.shared.id).first_missing(&self.inner, start, end)?;
        Ok(Some(found).filter(|f| *f < end))
    }

    /// The hash of block `index`, if it is known (the block need not be here).
    pub fn leaf_hash(&self, index: u64) -> Result<Option<Hash>> {
        Ok(self.node(index.saturating_mul(2))?.map(|n| n.hash))
    }

    /// The tree node at flat-tree `index`, if it is here.
    pub fn node(&self, index: u64) -> Result<Option<Node>> {
        let state = self.shared.read();
        let head = &state.record.head;
        match head.root(index) {
            Some(root) => Ok(Some(*root)),
            None => self.tree(head).get(index),
        }
    }

    /// The byte at which block `index` starts; the byte length for the core's length.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a node it takes is not here, [`Error::Argument`] behind the end.
    pub fn byte_offset(&self, index: u64) -> Result<u64> {
        let state = self.shared.read();
        let head = &state.record.head;
        Ok(merkle::byte_offset(&self.tree(head), head, index)?)
    }

    /// The block byte `offset` of the core is in.
    pub fn seek(&self, offset: u64) -> Result<Seek> {
        let state = self.shared.read();
        let head = &state.record.head;
        Ok(merkle::seek(&self.tree(head), head, offset)?)
    }

    /// How many levels above a node are missing here: the `nodes` of a request. `index` is a flat-tree index:
    /// `2 * i` for block `i`.
    pub fn missing_nodes(&self, index: u64) -> Result<u64> {
        let state = self.shared.read();
        let head = &state.record.head;
        Ok(merkle::missing_nodes(&self.tree(head), head, index)?)
    }

    /// The nodes that lengthen the tree from `from` to `to` blocks (for signatures over different lengths).
    pub fn upgrade_nodes(&self, from: u64, to: u64) -> Result<Vec<Node>> {
        let state = self.shared.read();
        let head = &state.record.head;
        Ok(bosc_format::proof::upgrade_nodes(head, &self.tree(head), from, to)?)
    }

    /// The head as it was at `length` blocks, with the current fork and no signature.
    pub fn head_at(&self, length: u64) -> Result<Head> {
        let state = self.shared.read();
        let head = &state.record.head;
        Ok(merkle::truncate(head, &self.tree(head), length, head.fork)?)
    }

    /// Calls `listener` with every change from now on, until the subscription is dropped.
    pub fn subscribe(&self, listener: Listener) -> Subscription {
        subscribe(&self.shared.listeners, listener)
    }

    /// A caller's own bytes, kept with the core.
    pub fn user_data(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.inner.user_data(self.shared.id, name)
    }

    /// Keeps (or with `None` removes) bytes of the caller's own. Durable on return.
    pub fn set_user_data(&self, name: &str, value: Option<&[u8]>) -> Result<()> {
        let _intent = lock(&self.shared.intent);
        self.shared.alive()?;
        let change = (user_row(self.shared.id, name, value)?, value.map(<[u8]>::to_vec));
        self.touch();
        self.inner.commit(Vec::new(), vec![change], &mut None)
    }

    /// Has the record written with the next commit, if it never was.
    pub(crate) fn touch(&self) {
        let _gate = self.inner.gate.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut state = self.shared.write();
        if !state.persisted {
            state.kept = true;
            lock(&self.inner.dirty).insert(self.shared.id, self.shared.clone());
        }
    }

    /// Takes a manifest and the source of a key pair, where there is none yet.
    pub(crate) fn adopt(&self, manifest: Option<Manifest>, source: KeySource) -> Result<()> {
        let _intent = lock(&self.shared.intent);
        let mut record = {
            let state = self.shared.read();
            if state.removed {
                return Err(Error::NotFound("the core"));
            }
            state.record.clone()
        };
        let mut changes = Vec::new();
        let mut changed = false;
        if let Some(m) = manifest
            && record.manifest.is_none()
        {
            Verifier::new(&record.key, Some(&m))
                .map_err(|_| Error::Invalid("manifest: it is another core's"))?;
            record.manifest = Some(Arc::new(m));
            changes.push(CoreChange::Manifest);
            changed = true;
        }
        if record.source.is_none() && !source.is_none() {
            if let KeySource::Name { namespace, name } = &source {
                let row = name_row(namespace, name);
                lock(&self.inner.open).names.insert(row, record.key);
            }
            let pair = self.inner.key_pair(&source);
            record.source = source;
            self.shared.write().pair = pair;
            changed = true;
        }
        if changed {
            let edits = Edits::new(self.shared.id);
            let shared = self.shared.clone();
            self.inner.install_pending(|| edits.finish(&self.inner, shared, record, Vec::new()))?;
        }
        drop(_intent);
        self.notify(&changes);
        Ok(())
    }
}
