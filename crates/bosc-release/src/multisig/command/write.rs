//! The one transaction that extends production: both cores, both signatures and the journal's record move together.
//!
//! Npm `hyper-multisig` writes blobs, then db; a crash between the two leaves a link that its own rules refuse to
//! finish. Here there is no moment between the two. States that such a crash left elsewhere are still met, because
//! peers pass cores on one by one: each core is extended from where it is.

use super::TargetCores;
use super::target::{TargetStanding, Wanted, standing};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::engine::follow::stopped;
use crate::error::CommandError;
use crate::multisig::errors;
use crate::multisig::event::MultisigEvent;
use crate::multisig::journal::{ROW, Record};
use bosc_store::{Core, Error as StoreError};
use std::time::{Duration, Instant};

const PROGRESS: Duration = Duration::from_millis(250);

/// What to write to one core.
pub(super) struct CoreWrite<'a> {
    pub(super) wanted: Wanted,
    pub(super) source: &'a Core,
    pub(super) target: &'a Core,
    /// The quorum's signature over the head that comes out.
    pub(super) signature: Vec<u8>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The release is on this disk now.
    Now,
    /// A core got another head meanwhile (peers, another committer): look again.
    Moved,
}

impl Engine {
    /// Extends both cores. `record` becomes the journal's in the same transaction. Call with `committing` held.
    pub(super) fn write_release(
        &self,
        cores: &TargetCores,
        parts: &[CoreWrite<'_>],
        record: Record,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Written, CommandError> {
        let mut batch = self.store.batch();
        for part in parts {
            let wanted = part.wanted;
            let start = match standing(part.target, part.source, wanted)? {
                TargetStanding::Done => continue,
                TargetStanding::Empty => 0,
                TargetStanding::Earlier(length) => length,
            };
            if batch.length(part.target) != start {
                return Ok(Written::Moved);
            }
            let mut told: Option<Instant> = None;
            for index in start..wanted.length {
                if stop.is_stopped() {
                    return Err(stopped());
                }
                let missing = || errors::source_too_small(wanted.name, index, wanted.length);
                let block = part.source.block(index).map_err(store_error)?.ok_or_else(missing)?;
                let hash = part.source.leaf_hash(index).map_err(store_error)?.ok_or_else(missing)?;
                batch.append_hashed(part.target, block, hash).map_err(store_error)?;
                if told.is_none_or(|t| t.elapsed() >= PROGRESS) {
                    told = Some(Instant::now());
                    sink.tell(MultisigEvent::CommitProgress {
                        core: wanted.name,
                        blocks: index + 1 - start,
                        of: wanted.length - start,
                    });
                }
            }
            // What was copied is what was signed, whatever the disk gave back.
            if batch.head(part.target).tree_hash() != wanted.hash {
                return Err(errors::source_mismatch(wanted.name, wanted.length));
            }
            batch.set_signature(part.target, part.signature.clone()).map_err(store_error)?;
        }
        let row = self.journal_row(record)?;
        batch.set_user_data(None, ROW, Some(&row)).map_err(store_error)?;
        // The manifests have to be kept with the cores, or nobody can verify them after a restart.
        debug_assert!(cores.db.manifest().is_some() && cores.blobs.manifest().is_some());
        match batch.commit() {
            Ok(()) => Ok(Written::Now),
            Err(StoreError::Conflict(_)) => Ok(Written::Moved),
            Err(e @ StoreError::Full { .. }) => Err(store_error(e)),
            Err(e) => Err(errors::commit_failed(e)),
        }
    }
}
