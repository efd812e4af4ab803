//! A folder staged without a look at its rules, as other tools do it: what a client makes of them is the client's matter.

use bosc_drive::BlockSource;
use bosc_follow::{CoreSource, DriveCores};
use bosc_format::link::PearLink;
use bosc_release::engine::Engine;
use bosc_release::stage::{
    BlobBlock, CoreState, Leaf, StageOptions, StageTarget, TargetError, TargetState, stage,
};
use bosc_store::{Batch, Core, Store};
use bytes::Bytes;
use std::path::Path;

/// Stages a folder, whatever its `/release.json` says.
pub(crate) fn stage_unchecked(engine: &Engine, link: &str, dir: &Path) {
    let store = engine.store().clone();
    let drive = DriveCores::open(&store, &PearLink::parse(link).unwrap().key).unwrap();
    let blobs = drive.blobs().unwrap().unwrap();
    let (source, batch) = (CoreSource::new(&drive.db), store.batch());
    let mut target = Target { store, db: drive.db.clone(), blobs, source, batch };
    stage(&mut target, dir, &StageOptions::default(), &mut |_| {}).unwrap();
}

struct Target {
    store: Store,
    db: Core,
    blobs: Core,
    source: CoreSource,
    batch: Batch,
}

fn state(core: &Core) -> CoreState {
    let head = core.head();
    CoreState {
        key: *core.key(),
        fork: head.fork,
        length: head.length,
        byte_length: head.byte_length,
        tree_hash: head.tree_hash(),
    }
}

fn failed(e: bosc_store::Error) -> TargetError {
    TargetError::Failed(Box::new(e))
}

impl StageTarget for Target {
    fn state(&self) -> Result<TargetState, TargetError> {
        Ok(TargetState { db: state(&self.db), blobs: state(&self.blobs) })
    }

    fn db(&self) -> &dyn BlockSource {
        &self.source
    }

    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
        if let Some((hash, size)) = self.batch.leaf(&self.blobs, index).map_err(failed)? {
            return Ok(Leaf { hash, size });
        }
        let node = self.blobs.node(index * 2).map_err(failed)?;
        node.map(|n| Leaf { hash: n.hash, size: n.size }).ok_or(TargetError::Missing(index))
    }

    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
        self.blobs.block(index).map_err(failed)?.ok_or(TargetError::Missing(index))
    }

    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
        for block in blocks {
            self.batch.append_hashed(&self.blobs, block.bytes, block.hash).map_err(failed)?;
        }
        Ok(())
    }

    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
        for block in blocks {
            self.batch.append_block(&self.db, block).map_err(failed)?;
        }
        self.batch.commit().map_err(failed)?;
        self.source = CoreSource::new(&self.db);
        self.state()
    }

    fn rollback(&mut self) {
        self.batch = self.store.batch();
    }
}
