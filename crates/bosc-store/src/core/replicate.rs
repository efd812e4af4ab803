//! Changing a core by what peers send. Nothing is stored that is not proved.

use super::handle::Core;
use crate::edits::Edits;
use crate::error::{Error, Result};
use crate::events::CoreChange;
use crate::inner::Tree;
use crate::lock::lock;
use bosc_format::manifest::Manifest;
use bosc_format::merkle::Head;
use bosc_format::proof::{
    HashedProof, HistoryComparison, Proof, ProofError, Reorg, ReorgWant, Verified, compare_history,
    verify_hashed, verify_proof,
};
use std::sync::Arc;

/// What became of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// It holds and what it brought is kept: visible now, durable with the next commit.
    Stored {
        /// The block it brought; also when it was here before.
        block: Option<u64>,
        /// The head is longer now.
        upgraded: bool,
    },
    /// It does not fit the core as it is now (fork or length moved on, or the nodes it hangs on are not here).
    /// Nobody is to blame; ask again. The text says why.
    Stale(&'static str),
}

fn proof_error<T>(e: ProofError, stale: impl FnOnce(&'static str) -> Result<T>) -> Result<T> {
    match e {
        ProofError::Invalid(e) => Err(e.into()),
        ProofError::Stale(why) => stale(why),
        ProofError::Read(e) => Err(e.into()),
        _ => Err(Error::Invalid("proof")),
    }
}

impl Core {
    /// Checks a proof and stores what it brings: block, nodes, longer head, manifest. The checking, the costly
    /// part, runs beside other threads' proofs for the same core.
    ///
    /// # Errors
    /// [`Error::InvalidProof`] when the peer is to blame; disk errors, after which nothing of it is stored.
    pub fn apply(&self, proof: &Proof) -> Result<Applied> {
        self.apply_verified(proof.upgrade.is_some(), |manifest, head, tree| {
            verify_proof(self.key(), manifest, head, tree, proof)
        })
    }

    /// [`Core::apply`] of a proof whose block may have been hashed before, beside others.
    ///
    /// # Errors
    /// As [`Core::apply`].
    pub fn apply_hashed(&self, proof: &HashedProof) -> Result<Applied> {
        self.apply_verified(proof.upgrade.is_some(), |manifest, head, tree| {
            verify_hashed(self.key(), manifest, head, tree, proof)
        })
    }

    fn apply_verified(
        &self,
        upgrades: bool,
        verify: impl Fn(Option<&Manifest>, &Head, &Tree<'_>) -> Result<Verified, ProofError>,
    ) -> Result<Applied> {
        self.inner.make_room()?;
        loop {
            let (verified, based_on) = {
                let state = self.shared.read();
                let record = &state.record;
                let head = &record.head;
                let manifest = record.manifest.as_deref();
                match verify(manifest, head, &self.tree(head)) {
                    Ok(verified) => (verified, head.clone()),
                    Err(e) => return proof_error(e, |why| Ok(Applied::Stale(why))),
                }
            };
            let intent = lock(&self.shared.intent);
            let head = {
                let state = self.shared.read();
                if state.removed {
                    return Err(Error::NotFound("the core"));
                }
                state.record.head.clone()
            };
            // What was proved against a shorter tree of the same fork still holds; a new head has to start
            // at the length there is.
            if head.fork != based_on.fork || (upgrades && head.length != based_on.length) {
                drop(intent);
                continue;
            }
            let (applied, changes) = self.store(verified)?;
            drop(intent);
            self.notify(&changes);
            return Ok(applied);
        }
    }

    fn store(&self, verified: Verified) -> Result<(Applied, Vec<CoreChange>)> {
        let (nodes, upgrade, block, manifest) = verified.into_parts();
        let mut changes = Vec::new();
        let applied = Applied::Stored { block: block.as_ref().map(|(i, _)| *i), upgraded: upgrade.is_some() };
        let mut edits = Edits::new(self.shared.id);
        for node in &nodes {
            edits.put_node(&self.inner, node)?;
        }
        let mut record = self.shared.read().record.clone();
        if record.manifest.is_none()
            && let Some(m) = manifest
        {
            record.manifest = Some(Arc::new(m));
            changes.push(CoreChange::Manifest);
        }
        if let Some(head) = upgrade {
            changes.push(CoreChange::Append { from: record.head.length, length: head.length });
            record.head = Arc::new(head);
        }
        let block = match block {
            Some((i, _)) if edits.has(&self.inner, i)? => None,
            other => other,
        };
        let mended = match &block {
            Some((i, _)) => edits.place(&self.inner, *i)?.is_some(),
            None => false,
        };
        if let Some((i, _)) = &block {
            changes.push(CoreChange::Blocks { start: *i, end: i.saturating_add(1) });
        }
        if nodes.is_empty() && changes.is_empty() {
            return Ok((applied, changes));
        }
        let shared = self.shared.clone();
        self.inner.install_pending(|| {
            // Written in the same breath as it is installed: no commit can sync in between and miss it.
            if let Some((i, value)) = &block {
                let reserved = lock(&self.inner.stream).reserve(value.len())?;
                reserved.write(&self.inner.segments, value)?;
                edits.put_block(&self.inner, *i, reserved.place)?;
            }
            edits.finish(&self.inner, shared, record, Vec::new())
        })?;
        if mended {
            self.shared.damage.mended(1);
        }
        if let Some((i, value)) = block.filter(|(_, value)| self.shared.recent.takes(value.len())) {
            let state = self.shared.read();
            if let Some(leaf) = self.leaf(&state, i)? {
                self.shared.recent.put(i, leaf.hash, &value);
            }
        }
        Ok((applied, changes))
    }

    /// Compares a peer's signed head with this core, and gives the head with the answer. `proof` is of the peer's whole head, with an
    /// upgrade from 0 to `length`, and `length` is not above this core's.
    ///
    /// # Errors
    /// [`Error::InvalidProof`] when the peer is to blame; [`Error::Conflict`] when it is of another fork or the core
    /// is shorter by now.
    pub fn compare_history(&self, proof: &Proof, length: u64) -> Result<HistoryComparison> {
        let state = self.shared.read();
        let head = &state.record.head;
        let manifest = state.record.manifest.as_deref();
        compare_history(self.key(), manifest, head, &self.tree(head), proof, length)
            .or_else(|e| proof_error(e, |why| Err(Error::Conflict(why))))
    }

    /// Starts replacing the core by another fork, from a proof of a higher fork with an upgrade from 0. Nothing
    /// changes until [`ReorgSession::apply`].
    ///
    /// # Errors
    /// [`Error::InvalidProof`] when the peer is to blame, [`Error::Conflict`] when the fork is not higher.
    pub fn begin_reorg(&self, proof: &Proof) -> Result<ReorgSession> {
        let state = self.shared.read();
        let head = &state.record.head;
        let manifest = state.record.manifest.as_deref();
        let reorg = Reorg::start(self.key(), manifest, head, &self.tree(head), proof)
            .or_else(|e| proof_error(e, |why| Err(Error::Conflict(why))))?;
        drop(state);
        Ok(ReorgSession { core: self.clone(), reorg })
    }
}

/// A reorg on its way: gathers proofs until it knows which blocks stay.
#[derive(Debug, Clone)]
pub struct ReorgSession {
    core: Core,
    reorg: Reorg,
}

impl ReorgSession {
    /// The new head.
    pub fn head(&self) -> &Head {
        self.reorg.head()
    }

    /// What to ask peers for next; `None` when it can be applied.
    pub fn want(&self) -> Option<ReorgWant> {
        self.reorg.want()
    }

    /// Takes an answer. `true`: it can be applied now.
    ///
    /// # Errors
    /// [`Error::InvalidProof`] when the peer is to blame; [`Error::Conflict`] when the answer is to an earlier
    /// question or the core changed meanwhile (then start again).
    pub fn update(&mut self, proof: &Proof) -> Result<bool> {
        let state = self.core.shared.read();
        let head = &state.record.head;
        let tree = self.core.tree(head);
        self.reorg.update(head, &tree, proof).or_else(|e| proof_error(e, |why| Err(Error::Conflict(why))))
    }

    /// Switches to the new fork: blocks both trees share stay, all others go. Durable on return.
    ///
    /// # Errors
    /// [`Error::Conflict`] when something is still wanted or the core changed meanwhile.
    pub fn apply(self) -> Result<Arc<Head>> {
        let core = self.core;
        let reorg = self.reorg.finish().map_err(|_| Error::Conflict("the reorg still wants proofs"))?;
        let intent = lock(&core.shared.intent);
        core.inner.commit(Vec::new(), Vec::new(), &mut None)?;
        let mut record = {
            let state = core.shared.read();
            if state.removed {
                return Err(Error::NotFound("the core"));
            }
            state.record.clone()
        };
        if reorg.based_on() != (record.head.fork, record.head.length) {
            return Err(Error::Conflict("the core changed during the reorg"));
        }
        let (ancestors, head, nodes, manifest) = reorg.into_parts();
        let head = Arc::new(head);
        let mut changes = vec![CoreChange::Truncate { ancestors, length: head.length, fork: head.fork }];
        if record.manifest.is_none()
            && let Some(m) = manifest
        {
            record.manifest = Some(Arc::new(m));
            changes.push(CoreChange::Manifest);
        }
        record.head = head.clone();
        let mut edits = Edits::new(core.shared.id);
        edits.cut(&core.inner, ancestors)?;
        for node in &nodes {
            edits.put_node(&core.inner, node)?;
        }
        let delta = edits.finish(&core.inner, core.shared.clone(), record, changes.clone())?;
        core.inner.commit(vec![delta], Vec::new(), &mut None)?;
        drop(intent);
        core.notify(&changes);
        Ok(head)
    }
}
