//! Writing what a plan says: content first, then all entries as one batch.

use super::content::{load, read};
use super::plan::{ProvisionPlan, Put};
use super::types::{BlobTree, Layout, ProvisionError};
use crate::stage::StageTarget;
use crate::stage::compare::Old;
use crate::stage::writer::{ContentWriter, Cost};
use bosc_drive::blobs::{BlobId, MAP_REFS_PER_BLOCK, MAX_MAP_BLOCKS};
use bosc_drive::chunker::ChunkBuffer;
use bosc_drive::drive::{DriveBatch, EntryValue};
use bosc_drive::{BlockSource, SourceError};
use bosc_format::crypto::{Hash, leaf_hash};
use bytes::Bytes;
use std::collections::VecDeque;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Bytes of content appended, block maps not counted.
    pub new_bytes: u64,
    /// Blocks appended to the blobs core, block maps too.
    pub new_blocks: u64,
    /// Bytes that changed files share with what the target held.
    pub shared_bytes: u64,
}

/// Writes the plan on the end of `target`'s prefix and commits it. `base` is the prefix's content, `source` the
/// drive the plan was made for. `progress` is told how many changed files and bytes of them were dealt with. On an
/// error nothing was written.
pub fn write<T: StageTarget>(
    target: &mut T,
    plan: &ProvisionPlan,
    source: &dyn BlobTree,
    base: &dyn BlobTree,
    layout: Layout,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<WriteSummary, ProvisionError> {
    let result = run(target, plan, source, base, layout, progress);
    if result.is_err() {
        target.rollback();
    }
    result
}

fn run<T: StageTarget>(
    target: &mut T,
    plan: &ProvisionPlan,
    source: &dyn BlobTree,
    base: &dyn BlobTree,
    layout: Layout,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<WriteSummary, ProvisionError> {
    let before = target.state()?;
    let mut summary = WriteSummary::default();
    let mut writer = ContentWriter::new(target, &before.blobs);
    let mut puts: Vec<(&str, EntryValue)> = Vec::new();
    let mut done = (0u64, 0u64);
    for (key, put) in &plan.puts {
        let value = match put {
            Put::Value(value) => value.clone(),
            Put::Content { source: entry, old } => {
                let content = load(entry, source)?;
                let (id, cost) = match layout {
                    Layout::Contiguous => contiguous(&mut writer, &content, source)?,
                    Layout::Dedup => {
                        let old = old.as_ref().map(|old| load(old, base)).transpose()?;
                        dedup(&mut writer, &content, old, source)?
                    }
                };
                summary.new_blocks += cost.blocks;
                summary.new_bytes += cost.bytes;
                summary.shared_bytes += content.size.saturating_sub(cost.bytes);
                done.1 += content.size;
                EntryValue {
                    executable: entry.executable,
                    linkname: None,
                    blob: Some(id),
                    metadata: entry.metadata.clone(),
                }
            }
        };
        puts.push((key, value));
        done.0 += 1;
        progress(done.0, done.1);
    }
    writer.flush(None)?;
    let blocks = entry_blocks(target.db(), plan, &puts, layout)?;
    target.commit(&mut blocks.into_iter())?;
    Ok(summary)
}

/// The file whole, in the blocks it has.
fn contiguous<T: StageTarget>(
    writer: &mut ContentWriter<'_, T>,
    content: &Old,
    source: &dyn BlobTree,
) -> Result<(BlobId, Cost), ProvisionError> {
    source.fetch(content.blocks.iter().map(|b| b.index).collect())?;
    let mut id = writer.start_plain();
    for block in &content.blocks {
        let bytes = read(block.index, &block.leaf, source)?;
        writer.append_plain(&mut id, bytes, block.leaf.hash)?;
    }
    Ok((id, Cost { blocks: id.block_length, bytes: id.byte_length }))
}

/// The file as a map that names what is there already.
fn dedup<T: StageTarget>(
    writer: &mut ContentWriter<'_, T>,
    content: &Old,
    mut old: Option<Old>,
    source: &dyn BlobTree,
) -> Result<(BlobId, Cost), ProvisionError> {
    if let Some(known) = all_known(writer, content, old.as_mut())? {
        let mut map = writer.start();
        for (hash, block) in known {
            ContentWriter::<T>::name(&mut map, &hash, block);
        }
        return Ok(writer.finish(map)?);
    }
    source.fetch(content.blocks.iter().map(|b| b.index).collect())?;
    let mut map = writer.start();
    let mut chunks = ChunkBuffer::new();
    let mut hashes = Hashes::default();
    for block in &content.blocks {
        let bytes = read(block.index, &block.leaf, source)?;
        chunks.buffer().extend_from_slice(&bytes);
        hashes.ends.push_back((block.leaf.size, block.leaf.hash));
        while let Some(chunk) = chunks.next_chunk() {
            let hash = hashes.of(&chunk);
            writer.place(&mut map, old.as_mut(), chunk, hash, None)?;
        }
    }
    if let Some(chunk) = chunks.finish() {
        let hash = hashes.of(&chunk);
        writer.place(&mut map, old.as_mut(), chunk, hash, None)?;
    }
    Ok(writer.finish(map)?)
}

type Known = Vec<(Hash, bosc_drive::blobs::BlockRef)>;

/// The target's blocks for each of the source's, if it has them all.
fn all_known<T: StageTarget>(
    writer: &mut ContentWriter<'_, T>,
    content: &Old,
    mut old: Option<&mut Old>,
) -> Result<Option<Known>, ProvisionError> {
    // A file cut into more pieces than a map takes is cut anew.
    if content.blocks.len() as u64 > MAP_REFS_PER_BLOCK as u64 * MAX_MAP_BLOCKS {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(content.blocks.len());
    for block in &content.blocks {
        // A block of nothing is in no map.
        if block.leaf.size == 0 {
            continue;
        }
        match writer.find(old.as_deref_mut(), &block.leaf.hash, block.leaf.size)? {
            Some(known) => out.push((block.leaf.hash, known)),
            None => return Ok(None),
        }
    }
    Ok(Some(out))
}

/// Hashes of the source's blocks, for chunks that are one: most often all of them.
#[derive(Default)]
struct Hashes {
    /// Blocks that the next chunk starts in or before: bytes left of each, and its hash.
    ends: VecDeque<(u64, Hash)>,
    /// Whether the first of them was cut into.
    inside: bool,
}

impl Hashes {
    /// The leaf hash of the next chunk.
    fn of(&mut self, chunk: &Bytes) -> Hash {
        let mut left = chunk.len() as u64;
        while self.ends.front().is_some_and(|b| b.0 == 0) {
            self.ends.pop_front();
            self.inside = false;
        }
        if let Some(&(size, hash)) = self.ends.front()
            && size == left
            && !self.inside
        {
            self.ends.pop_front();
            return hash;
        }
        while left > 0 {
            let Some(first) = self.ends.front_mut() else { break };
            if first.0 > left {
                first.0 -= left;
                self.inside = true;
                break;
            }
            left -= first.0;
            self.ends.pop_front();
            self.inside = false;
        }
        leaf_hash(chunk)
    }
}

/// The db with blocks on its end that are not in it yet.
struct Stacked<'a> {
    base: &'a dyn BlockSource,
    top: &'a [Bytes],
}

impl BlockSource for Stacked<'_> {
    fn length(&self) -> u64 {
        self.base.length().saturating_add(self.top.len() as u64)
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        match index.checked_sub(self.base.length()) {
            None => self.base.block(index),
            Some(i) => usize::try_from(i)
                .ok()
                .and_then(|i| self.top.get(i))
                .cloned()
                .ok_or(SourceError::Missing(index)),
        }
    }
}

fn entry_blocks(
    db: &dyn BlockSource,
    plan: &ProvisionPlan,
    puts: &[(&str, EntryValue)],
    layout: Layout,
) -> Result<Vec<Bytes>, ProvisionError> {
    let mut batch = DriveBatch::new(db);
    for key in &plan.removals {
        // As it is written there: a drive made by others may have names that no put makes.
        batch.del_raw(&format!("files\0{key}"))?;
    }
    for (key, value) in puts {
        batch.put(key, value)?;
    }
    if layout == Layout::Dedup {
        plan.fields.iter().try_for_each(|f| set(&mut batch, f))?;
        return Ok(finish(batch));
    }
    // Pear sets each field in an append of its own.
    let mut out = finish(batch);
    for field in &plan.fields {
        let blocks = {
            let mut batch = DriveBatch::new(Stacked { base: db, top: &out });
            set(&mut batch, field)?;
            finish(batch)
        };
        out.extend(blocks);
    }
    Ok(out)
}

fn set<S: BlockSource>(
    batch: &mut DriveBatch<S>,
    change: &super::plan::FieldChange,
) -> Result<(), bosc_drive::Error> {
    match &change.value {
        Some(value) => batch.put_raw(change.field, value.clone()).map(drop),
        None => batch.del_raw(change.field).map(drop),
    }
}

fn finish<S: BlockSource>(batch: DriveBatch<S>) -> Vec<Bytes> {
    // A batch that does nothing would still write an empty db's header.
    if batch.is_empty() { Vec::new() } else { batch.into_blocks().into_iter().map(Bytes::from).collect() }
}
