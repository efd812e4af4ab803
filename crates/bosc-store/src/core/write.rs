//! Changing a core by its own signer: append, truncate; and giving up blocks.

use super::handle::Core;
use crate::batch::Batch;
use crate::delta::Delta;
use crate::edits::Edits;
use crate::error::{Error, Result};
use crate::events::CoreChange;
use crate::lock::lock;
use crate::record::KeySource;
use crate::reserve::with_reserve;
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::{self, Head};
use bytes::Bytes;
use std::sync::Arc;

impl Core {
    /// Stores the manifest, when it was not known.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not this core's.
    pub fn set_manifest(&self, manifest: Manifest) -> Result<()> {
        Verifier::new(self.key(), Some(&manifest))
            .map_err(|_| Error::Invalid("manifest: it is another core's"))?;
        self.adopt(Some(manifest), KeySource::None)
    }

    /// Appends blocks, signs the new head with the core's key pair and makes it durable. The new head is
    /// visible when this returns, not before.
    ///
    /// # Errors
    /// [`Error::NotWritable`] without the key pair; after any error the core is as before.
    pub fn append(&self, blocks: &[Bytes]) -> Result<Arc<Head>> {
        if !self.writable() {
            return Err(Error::NotWritable);
        }
        self.append_with(blocks, None)
    }

    /// Appends blocks under a signature made elsewhere (by a quorum), in the form heads carry it. It is checked
    /// first. For much data stage with [`Batch::append_block`] and [`Batch::set_signature`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when the signature is not one of the head that comes out.
    pub fn append_signed(&self, blocks: &[Bytes], signature: Vec<u8>) -> Result<Arc<Head>> {
        self.append_with(blocks, Some(signature))
    }

    fn append_with(&self, blocks: &[Bytes], signature: Option<Vec<u8>>) -> Result<Arc<Head>> {
        let mut batch = Batch::new(self.inner.clone());
        let changed = {
            // Held from reading the head to the commit: appends of several threads line up.
            let _intent = lock(&self.shared.intent);
            for block in blocks {
                batch.append_block(self, block.clone())?;
            }
            if let Some(signature) = signature {
                batch.set_signature(self, signature)?;
            }
            batch.commit_locked()?
        };
        for (core, changes) in &changed {
            core.notify(changes);
        }
        Ok(self.head())
    }

    /// Cuts the core back to `length` blocks under fork `fork`, signs and makes it durable. The fork must be
    /// higher than the head's.
    pub fn truncate(&self, length: u64, fork: u64) -> Result<Arc<Head>> {
        let intent = lock(&self.shared.intent);
        self.inner.commit(Vec::new(), Vec::new(), &mut None)?;
        let (record, head) = {
            let state = self.shared.read();
            if state.removed {
                return Err(Error::NotFound("the core"));
            }
            let pair = state.signer().ok_or(Error::NotWritable)?;
            let old = &state.record.head;
            if fork <= old.fork {
                return Err(Error::Argument("a truncation needs a higher fork"));
            }
            let mut head = merkle::truncate(old, &self.tree(old), length, fork)?;
            if length > 0 {
                let verifier = match &state.verifier {
                    Some(verifier) => verifier.clone(),
                    None => Arc::new(Verifier::new(self.key(), None).map_err(|_| Error::NotWritable)?),
                };
                head.signature = verifier.sign(&head, pair).map_err(|_| Error::NotWritable)?;
            }
            (state.record.clone(), Arc::new(head))
        };
        let mut edits = Edits::new(self.shared.id);
        edits.cut(&self.inner, length)?;
        let mut next = record;
        next.head = head.clone();
        let changes = vec![CoreChange::Truncate { ancestors: length, length, fork }];
        let delta = edits.finish(&self.inner, self.shared.clone(), next, changes.clone())?;
        self.inner.commit(vec![delta], Vec::new(), &mut None)?;
        drop(intent);
        self.notify(&changes);
        Ok(head)
    }

    /// Gives up the bytes of blocks `start..end`; the tree stays, so they can be fetched again. Returns how
    /// many were here. Segments in which nothing lives any more are deleted; [`crate::Store::gc`] packs the
    /// others. A long range goes in steps: an error part way leaves the first steps done. On a full disk the
    /// store's reserve is spent, if it has one ([`crate::Options::keep_reserve`]).
    pub fn clear(&self, start: u64, end: u64) -> Result<u64> {
        let mut cleared = 0;
        let mut next = Some(start);
        while let Some(at) = next {
            let (here, rest) = with_reserve(&*self.inner.disk, || self.clear_some(at, end))?;
            cleared += here;
            next = rest;
        }
        Ok(cleared)
    }

    /// One step: how many blocks went, and where to go on.
    fn clear_some(&self, at: u64, end: u64) -> Result<(u64, Option<u64>)> {
        let intent = lock(&self.shared.intent);
        // Everything in the database, so that looking there finds everything.
        self.inner.commit(Vec::new(), Vec::new(), &mut None)?;
        let mut record = {
            let state = self.shared.read();
            if state.removed {
                return Err(Error::NotFound("the core"));
            }
            state.record.clone()
        };
        let end = end.min(record.head.length);
        let (places, rest) = self.inner.places(self.shared.id, at..end)?;
        if places.is_empty() {
            return Ok((0, rest));
        }
        let mut cleared = 0;
        let mut edits = Edits::new(self.shared.id);
        for (block, _) in &places {
            cleared += u64::from(edits.remove_block(&self.inner, *block)?);
        }
        record.contiguous = record.contiguous.min(at);
        let changes = vec![CoreChange::Cleared { start: at, end: rest.unwrap_or(end) }];
        let delta = edits.finish(&self.inner, self.shared.clone(), record, changes.clone())?;
        self.inner.commit(vec![delta], Vec::new(), &mut None)?;
        drop(intent);
        self.notify(&changes);
        Ok((cleared, rest))
    }

    /// Removes the core and all that is kept of it.
    pub(crate) fn remove(&self) -> Result<()> {
        with_reserve(&*self.inner.disk, || self.try_remove())
    }

    fn try_remove(&self) -> Result<()> {
        let intent = lock(&self.shared.intent);
        self.inner.commit(Vec::new(), Vec::new(), &mut None)?;
        self.shared.alive()?;
        let mut edits = Edits::new(self.shared.id);
        edits.cut(&self.inner, 0)?;
        let record = self.shared.read().record.clone();
        let changes = vec![CoreChange::Removed];
        let delta = edits.finish(&self.inner, self.shared.clone(), record, changes.clone())?;
        let gone = Delta { record: None, ..delta };
        self.inner.commit(vec![gone], Vec::new(), &mut None)?;
        let mut open = lock(&self.inner.open);
        open.by_discovery.remove(&self.shared.discovery_key);
        open.names.retain(|_, key| key != &self.shared.key);
        drop(open);
        drop(intent);
        self.notify(&changes);
        Ok(())
    }
}
