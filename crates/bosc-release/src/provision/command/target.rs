//! The drive that is written to.

use super::context::Context;
use super::side::DriveAt;
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, DriveCores};
use crate::engine::errors::{not_writable, store_error};
use crate::error::{CommandError, ErrorKind};
use crate::provision::{BlobTree, Copied, CoreVersion, DriveVersion, ProvisionEvent, Which};
use crate::stage::{BlobBlock, CoreState, Leaf, StageTarget, TargetError, TargetState};
use bosc_drive::BlockSource;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::merkle::Head;
use bosc_store::{Batch, Core, Store};
use bytes::Bytes;

/// Bytes of production's content that are made durable at once.
const PART: u64 = 32 << 20;

/// The target's cores.
pub(super) struct Target {
    pub(super) drive: DriveCores,
    pub(super) blobs: Core,
    /// Lengths of db and blobs when the command began.
    pub(super) length: u64,
    pub(super) blobs_length: u64,
}

impl Target {
    pub(super) fn open(engine: &Engine, link: &PearLink) -> Result<Self, CommandError> {
        let drive = engine.open_drive(link)?;
        if !drive.db.writable() {
            return Err(not_writable().hint(
                "provision on the machine, and with the store, that made the target link; or make a new one with \
                 `bosc touch` and provision to that: the result is the same",
            ));
        }
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let (head, blobs_head) = (drive.db.head(), blobs.head());
        if head.fork > 0 || blobs_head.fork > 0 {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_TARGET_FORKED",
                format!(
                    "the target was cut back once (fork {}): what is written to it can never be signed into production",
                    head.fork.max(blobs_head.fork)
                ),
            )
            .hint("make a new target with `bosc touch` and provision to that"));
        }
        Ok(Self { length: head.length, blobs_length: blobs_head.length, drive, blobs })
    }

    pub(super) fn told(&self) -> DriveVersion {
        let core = |core: &Core| {
            let head = core.head();
            let hash = Some(id::encode(&head.tree_hash()));
            CoreVersion { id: id::encode(core.key()), length: head.length, hash }
        };
        DriveVersion {
            core: core(&self.drive.db),
            blobs: Some(core(&self.blobs)),
            link: self.drive.plain_link(),
            verlink: self.drive.verlink(),
            hashlink: Some(self.drive.hashlink()),
        }
    }

    /// Fails when somebody wrote to it since the command began.
    pub(super) fn check_unchanged(&self) -> Result<(), CommandError> {
        if (self.drive.db.length(), self.blobs.length()) == (self.length, self.blobs_length)
            && self.drive.db.head().fork == 0
        {
            return Ok(());
        }
        Err(CommandError::failed("the target was written to by another command meanwhile")
            .hint("run the command again to see what differs now"))
    }

    /// Copies what is missing of the first `length` blocks of production's blobs. Durable part by part: a run that
    /// was cut off goes on where it was.
    pub(super) fn copy_blobs(
        &self,
        cx: &Context<'_>,
        base: &DriveAt<'_>,
        length: u64,
    ) -> Result<(), CommandError> {
        let from = base.core(Which::Blobs)?;
        let told = |at: u64| {
            ProvisionEvent::Copying(Copied {
                core: Which::Blobs,
                target_length: at,
                production_length: length,
            })
        };
        let mut at = self.blobs.length();
        while at < length {
            cx.check_stop()?;
            let mut batch = cx.engine.store.batch();
            let mut bytes = 0;
            while at < length && bytes < PART {
                bytes += copy(&mut batch, &from, &self.blobs, at)?;
                at += 1;
            }
            batch.commit().map_err(store_error)?;
            cx.progress(|| told(at));
        }
        if length > self.blobs_length {
            cx.tell(told(length));
        }
        Ok(())
    }
}

/// Appends block `index` of a core, which was proved when it came and is checked again here, to another.
fn copy(batch: &mut Batch, from: &Core, to: &Core, index: u64) -> Result<u64, CommandError> {
    let missing = || {
        CommandError::not_found(format!("block {index} of production is not on this machine"))
            .hint("run the command again")
    };
    let block = from.block(index).map_err(store_error)?.ok_or_else(missing)?;
    let hash = from.leaf_hash(index).map_err(store_error)?.ok_or_else(missing)?;
    let size = block.len() as u64;
    let place = batch.append_hashed(to, block, hash).map_err(store_error)?;
    if place != index {
        return Err(CommandError::failed("the target was written to by another command meanwhile")
            .hint("run the command again"));
    }
    Ok(size)
}

/// A target as it will be when production's prefix is in it, and what is put on top.
pub(super) struct Prefixed<'b, 'a> {
    db: Core,
    blobs: Core,
    base: &'b DriveAt<'a>,
    base_db: Core,
    source: CoreSource,
    state: TargetState,
    store: Store,
    batch: Batch,
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> TargetError {
    TargetError::Failed(Box::new(e))
}

fn core_state(core: &Core, head: &Head) -> CoreState {
    CoreState {
        key: *core.key(),
        fork: head.fork,
        length: head.length,
        byte_length: head.byte_length,
        tree_hash: head.tree_hash(),
    }
}

impl<'b, 'a> Prefixed<'b, 'a> {
    /// `base` holds the whole prefix; the target holds all of its blobs and the beginning of its db.
    pub(super) fn new(
        cx: &Context<'_>,
        target: &Target,
        base: &'b DriveAt<'a>,
    ) -> Result<Self, CommandError> {
        let base_db = base.core(Which::Db)?;
        let db_head = base_db.head_at(base.length).map_err(store_error)?;
        let state = TargetState {
            db: core_state(&target.drive.db, &db_head),
            blobs: core_state(&target.blobs, &target.blobs.head()),
        };
        if state.blobs.length != BlobTree::length(base) {
            return Err(CommandError::failed("the target does not have the length of production's content")
                .hint("run the command again"));
        }
        Ok(Self {
            db: target.drive.db.clone(),
            blobs: target.blobs.clone(),
            source: CoreSource::cut(&base_db, base.length),
            base,
            base_db,
            state,
            store: cx.engine.store.clone(),
            batch: cx.engine.store.batch(),
        })
    }
}

impl StageTarget for Prefixed<'_, '_> {
    fn state(&self) -> Result<TargetState, TargetError> {
        Ok(self.state)
    }

    fn db(&self) -> &dyn BlockSource {
        &self.source
    }

    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
        if let Some((hash, size)) = self.batch.leaf(&self.blobs, index).map_err(failed)? {
            return Ok(Leaf { hash, size });
        }
        // All of it is in the target: a block that is not found would make another result.
        self.base.leaf(index).map_err(failed)
    }

    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
        self.base.block(index).map_err(failed)
    }

    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
        for block in blocks {
            self.batch.append_hashed(&self.blobs, block.bytes, block.hash).map_err(failed)?;
        }
        Ok(())
    }

    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
        for index in self.db.length()..self.state.db.length {
            copy(&mut self.batch, &self.base_db, &self.db, index).map_err(failed)?;
        }
        for block in blocks {
            self.batch.append_block(&self.db, block).map_err(failed)?;
        }
        self.batch.commit().map_err(failed)?;
        self.state = TargetState {
            db: core_state(&self.db, &self.db.head()),
            blobs: core_state(&self.blobs, &self.blobs.head()),
        };
        Ok(self.state)
    }

    fn rollback(&mut self) {
        self.batch = self.store.batch();
    }
}
