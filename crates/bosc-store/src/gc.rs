//! Giving disk space back.
//!
//! Segments that are mostly dead get no new writer; their blocks are copied to other segments, in commits of a
//! bounded size; then nothing lives in them and the next commit deletes them. A crash on the way leaves blocks in
//! one place or the other, never in none.

use crate::core::Core;
use crate::db;
use crate::edits::Edits;
use crate::error::{ErrorKind, Result};
use crate::lock::lock;
use crate::owner::Owner;
use crate::record::Record;
use crate::reserve::{self, with_reserve};
use crate::segment::SegmentWriter;
use bosc_format::crypto::discovery_key;
use redb::ReadableTable;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes copied between two commits.
const STEP_BYTES: u64 = 32 << 20;

/// What [`crate::Store::gc`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Bytes of segments deleted.
    pub freed_bytes: u64,
    /// Bytes of blocks copied.
    pub moved_bytes: u64,
}

pub(crate) fn run(inner: &Arc<Owner>) -> Result<Collected> {
    let flush = || with_reserve(&*inner.disk, || inner.commit(Vec::new(), Vec::new(), &mut None));
    let segment_bytes = || inner.segments.totals().0;
    flush()?;
    let before = segment_bytes();
    let mut out = Collected::default();
    // Downloads go on in another segment.
    lock(&inner.stream).leave();
    let held = inner.segments.hold(&inner.segments.sparse());
    let result =
        if held.is_empty() { Ok(()) } else { move_all(inner, &held.iter().copied().collect(), &mut out) };
    inner.segments.release(&held);
    result?;
    flush()?;
    inner.compact()?;
    if inner.options.keep_reserve {
        reserve::keep(&*inner.disk);
    }
    out.freed_bytes = before.saturating_add(out.moved_bytes).saturating_sub(segment_bytes());
    Ok(out)
}

fn move_all(inner: &Arc<Owner>, from: &BTreeSet<u32>, out: &mut Collected) -> Result<()> {
    let keys = inner.db.read(|txn| {
        let mut keys = Vec::new();
        for row in txn.open_table(db::CORES)?.iter()? {
            keys.push(Record::decode(row?.1.value())?.key);
        }
        Ok(keys)
    })?;
    for key in keys {
        let Some(core) = inner.find(&discovery_key(&key))? else { continue };
        let core = Core::new(inner.clone(), core);
        let mut next = Some(0);
        while let Some(at) = next {
            next = move_some(&core, at, from, out)?;
        }
    }
    Ok(())
}

/// Moves some of the blocks from `at` on. Where to go on.
fn move_some(core: &Core, at: u64, from: &BTreeSet<u32>, out: &mut Collected) -> Result<Option<u64>> {
    let inner = &core.inner;
    let _intent = lock(&core.shared.intent);
    // Blocks that arrived meanwhile are in other segments: what is in the database is enough, but pages that
    // are pending must not be overwritten by older ones.
    inner.commit(Vec::new(), Vec::new(), &mut None)?;
    if core.shared.read().removed {
        return Ok(None);
    }
    let (places, mut next) = inner.places(core.shared.id, at..u64::MAX)?;
    let mut writer = Some(SegmentWriter::new(inner.segments.clone(), false));
    let mut edits = Edits::new(core.shared.id);
    let mut moved = 0u64;
    for (block, place) in places {
        if !from.contains(&place.segment) {
            continue;
        }
        if moved >= STEP_BYTES {
            next = Some(block);
            break;
        }
        let bytes = match inner.segments.read(place) {
            Ok(bytes) => bytes,
            // What cannot be read stays where it is, and its segment with it, until it is replaced.
            Err(e) if e.kind() == ErrorKind::Corrupt => continue,
            Err(e) => return Err(e),
        };
        if let Some(writer) = &mut writer {
            edits.move_block(inner, block, writer.write(&bytes)?)?;
        }
        moved = moved.saturating_add(bytes.len() as u64);
    }
    if edits.is_empty() {
        return Ok(next);
    }
    let record = core.shared.read().record.clone();
    let delta = edits.finish(inner, core.shared.clone(), record, Vec::new())?;
    inner.commit(vec![delta], Vec::new(), &mut writer)?;
    out.moved_bytes = out.moved_bytes.saturating_add(moved);
    Ok(next)
}
