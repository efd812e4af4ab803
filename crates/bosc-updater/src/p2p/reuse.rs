//! Filling the blobs core from builds on this disk: what need not be fetched.
//!
//! Three looks, each finer and dearer than the one before:
//! 1. The file at the same path, cut as the drive would have cut it, at the place where a first staging would have put
//!    it. Right for every file that did not change since; costs a few hashes for all of them together.
//! 2. Block maps of the other files are fetched (a few bytes each). A map names the file's blocks: those before and
//!    behind a change are guessed from the same path again.
//! 3. For what is still missing, the leaf hashes are fetched and looked up in every file there is: moved blocks,
//!    renamed files, older builds.

use super::confirm::{Guess, Guesses, ask};
use super::core::CoreSource;
use super::fetching::Fetching;
use super::local::{Chunk, Local, Scheme};
use super::plan::{Plan, PlanFile};
use crate::error::{ErrorKind, UpdateError};
use bosc_drive::BlockSource;
use bosc_drive::blobs::{BLOCK_SIZE, BlobId, BlockRef, MAX_MAP_BLOCKS, encode_map, load_map};
use bosc_format::crypto::Hash;
use bosc_node::LiveCore;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Below so many missing bytes the third look is not worth its round trip.
const SMALL: u64 = 128 << 10;
/// A block of fewer bytes is cheaper fetched than looked for.
const TINY: u64 = 128;
/// Most leaf hashes asked for in the third look.
const MAX_HASHES: usize = 1 << 16;
/// Map blocks asked for at once.
const AHEAD: usize = 512;

/// Fills what it can of the blocks `plan` needs. Whatever it does not find is left to be fetched.
pub(super) fn reuse(
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    source: &CoreSource,
    plan: &Plan,
    local: &mut Local,
) -> Result<(), UpdateError> {
    if local.is_empty() {
        return Ok(());
    }
    let mut guesses = Guesses::default();
    for file in plan.files.iter().filter(|f| !is_here(source, f)) {
        guess_unchanged(fetching, file, local, &mut guesses)?;
    }
    settle(guesses, fetching, live, local)?;
    fetch_maps(fetching, live, source, plan)?;
    let mut guesses = Guesses::default();
    for file in plan.files.iter().filter(|f| !is_here(source, f)) {
        guess_around_a_change(fetching, source, file, local, &mut guesses)?;
    }
    settle(guesses, fetching, live, local)?;
    look_everywhere(fetching, live, source, plan, local)
}

fn settle(
    guesses: Guesses,
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    local: &Local,
) -> Result<(), UpdateError> {
    if guesses.is_empty() { Ok(()) } else { guesses.settle(fetching, live, local) }
}

/// Whether all that a file needs is in the core.
fn is_here(source: &CoreSource, file: &PlanFile) -> bool {
    let Some(id) = &file.blob else { return true };
    let end = id.block_offset.saturating_add(id.block_length);
    let own = (id.block_offset..end).all(|b| source.has(b));
    own && (!id.block_map || load_map(source, id).is_ok_and(|refs| refs.iter().all(|r| source.has(r.index))))
}

fn no_such_size(chunks: &[Chunk], size: u64) -> bool {
    chunks.is_empty() || chunks.iter().fold(0u64, |n, c| n.saturating_add(c.len)) != size
}

/// The file as if it had not changed since it was first staged.
fn guess_unchanged(
    fetching: &mut Fetching<'_, '_>,
    file: &PlanFile,
    local: &mut Local,
    guesses: &mut Guesses,
) -> Result<(), UpdateError> {
    let (Some(id), Some(at)) = (file.blob, local.at(&file.rel)) else { return Ok(()) };
    let size = local.file(at).map_or(0, |f| f.size);
    let mut tell = || fetching.tell();
    if id.block_map {
        let chunks = local.chunks(at, Scheme::Rabin, &mut tell)?;
        if no_such_size(&chunks, size) {
            return Ok(());
        }
        // Blocks that occur twice in the file are kept once, and the map follows the last of them.
        let mut order: HashMap<Hash, u64> = HashMap::new();
        for chunk in chunks.iter() {
            let next = order.len() as u64;
            order.entry(chunk.hash).or_insert(next);
        }
        let Some(first) = id.block_offset.checked_sub(order.len() as u64) else { return Ok(()) };
        let refs: Vec<BlockRef> = chunks
            .iter()
            .map(|c| BlockRef { index: first + order.get(&c.hash).copied().unwrap_or(0), byte_length: c.len })
            .collect();
        let Ok(map) = encode_map(&refs) else { return Ok(()) };
        let bytes: usize = map.iter().map(Vec::len).sum();
        if map.len() as u64 != id.block_length || bytes as u64 != id.byte_length {
            return Ok(());
        }
        for (r, chunk) in refs.iter().zip(chunks.iter()) {
            guesses.add(r.index, Guess::File(at, *chunk));
        }
        for (i, block) in map.into_iter().enumerate() {
            guesses.add(id.block_offset.saturating_add(i as u64), Guess::Bytes(block.into()));
        }
        return Ok(());
    }
    if id.block_length == 0 || size == 0 {
        return Ok(());
    }
    let scheme = plain_scheme(&id);
    let chunks = local.chunks(at, scheme, &mut tell)?;
    if no_such_size(&chunks, size) {
        return Ok(());
    }
    let count = usize::try_from(id.block_length).unwrap_or(usize::MAX);
    for (i, chunk) in chunks.iter().take(count).enumerate() {
        guesses.add(id.block_offset.saturating_add(i as u64), Guess::File(at, *chunk));
    }
    // Cut by content, what lies behind an insertion is the same again, counted from the end.
    if scheme == Scheme::Rabin && chunks.len() != count && size != id.byte_length {
        for (i, chunk) in chunks.iter().rev().take(count / 2).enumerate() {
            let block = id.block_offset.saturating_add(id.block_length).saturating_sub(1 + i as u64);
            guesses.add(block, Guess::File(at, *chunk));
        }
    }
    Ok(())
}

/// How a plain blob was cut: every 64 KiB, or as the drive it was copied from had it.
fn plain_scheme(id: &BlobId) -> Scheme {
    if id.byte_length.div_ceil(BLOCK_SIZE as u64) == id.block_length { Scheme::Fixed } else { Scheme::Rabin }
}

/// Gets the block maps that are not here.
fn fetch_maps(
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    source: &CoreSource,
    plan: &Plan,
) -> Result<(), UpdateError> {
    let missing: Vec<u64> = plan
        .files
        .iter()
        .filter_map(|f| f.blob)
        .filter(|id| id.block_map)
        .flat_map(|id| id.block_offset..id.block_offset.saturating_add(id.block_length.min(MAX_MAP_BLOCKS)))
        .filter(|b| !source.has(*b))
        .collect();
    for part in missing.chunks(AHEAD) {
        for block in part {
            if !source.has(*block) {
                fetching.blocks(live, *block, part.to_vec())?;
            }
        }
    }
    Ok(())
}

/// The blocks before and behind the place where the file at the same path differs.
fn guess_around_a_change(
    fetching: &mut Fetching<'_, '_>,
    source: &CoreSource,
    file: &PlanFile,
    local: &mut Local,
    guesses: &mut Guesses,
) -> Result<(), UpdateError> {
    let (Some(id), Some(at)) = (file.blob.filter(|id| id.block_map), local.at(&file.rel)) else {
        return Ok(());
    };
    let refs = load_map(source, &id).map_err(super::core::drive_error)?;
    let chunks = local.chunks(at, Scheme::Rabin, &mut || fetching.tell())?;
    let fits = |(r, c): &(&BlockRef, &Chunk)| r.byte_length == c.len;
    for (r, chunk) in refs.iter().zip(chunks.iter()).take_while(fits) {
        guesses.add(r.index, Guess::File(at, *chunk));
    }
    for (r, chunk) in refs.iter().rev().zip(chunks.iter().rev()).take_while(fits) {
        guesses.add(r.index, Guess::File(at, *chunk));
    }
    Ok(())
}

/// Asks for the leaf hashes of what is missing and looks for them in all files.
fn look_everywhere(
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    source: &CoreSource,
    plan: &Plan,
    local: &mut Local,
) -> Result<(), UpdateError> {
    let (missing, bytes, schemes) = missing(source, plan)?;
    if missing.is_empty() || missing.len() > MAX_HASHES || bytes < SMALL {
        return Ok(());
    }
    let blocks: Vec<u64> = missing.iter().copied().collect();
    if !ask(fetching, live, &blocks)? {
        return Ok(());
    }
    let core = live.core();
    let mut leaves: BTreeMap<u64, Hash> = BTreeMap::new();
    for block in blocks {
        if let Some(hash) = core.leaf_hash(block).map_err(super::core::store_error)? {
            leaves.insert(block, hash);
        }
    }
    let wanted: HashSet<Hash> = leaves.values().copied().collect();
    let found = local.find(&wanted, &schemes, &mut || fetching.tell())?;
    let mut guesses = Guesses::default();
    for (block, hash) in leaves {
        if let Some((file, chunk)) = found.get(&hash) {
            guesses.add(block, Guess::File(*file, *chunk));
        }
    }
    settle(guesses, fetching, live, local)
}

/// Content blocks that are not here and may be found by their hash, about how many bytes they have, and how they were
/// cut.
fn missing(
    source: &CoreSource,
    plan: &Plan,
) -> Result<(std::collections::BTreeSet<u64>, u64, Vec<Scheme>), UpdateError> {
    let mut out = std::collections::BTreeSet::new();
    let (mut bytes, mut schemes) = (0u64, Vec::new());
    for id in plan.files.iter().filter_map(|f| f.blob) {
        let before = out.len();
        let scheme = if id.block_map {
            for r in load_map(source, &id).map_err(super::core::drive_error)? {
                if !source.has(r.index) && r.byte_length > TINY && out.insert(r.index) {
                    bytes = bytes.saturating_add(r.byte_length);
                }
            }
            Scheme::Rabin
        } else {
            let mean = id.byte_length.checked_div(id.block_length).unwrap_or(0);
            for block in id.block_offset..id.block_offset.saturating_add(id.block_length) {
                if !source.has(block) && mean > TINY && out.insert(block) {
                    bytes = bytes.saturating_add(mean);
                }
                if out.len() > MAX_HASHES {
                    return Ok((out, bytes, schemes));
                }
            }
            plain_scheme(&id)
        };
        if out.len() > before && !schemes.contains(&scheme) {
            schemes.push(scheme);
        }
    }
    Ok((out, bytes, schemes))
}

/// Everything a build needs of the blobs core, and what it weighs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// All blocks, maps included, sorted.
    pub(super) blocks: Vec<u64>,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Size of each file, in the order of the plan.
    pub(super) sizes: Vec<u64>,
}

/// Reads the maps (fetching those that are not here) and adds up what the build needs.
pub(super) fn needs(
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    source: &CoreSource,
    plan: &Plan,
) -> Result<Needs, UpdateError> {
    fetch_maps(fetching, live, source, plan)?;
    let mut out = Needs::default();
    for file in &plan.files {
        let mut size = 0u64;
        if let Some(id) = &file.blob {
            let end = id.block_offset.saturating_add(id.block_length);
            if end > source.length() {
                return Err(damaged());
            }
            out.blocks.extend(id.block_offset..end);
            if id.block_map {
                for r in load_map(source, id).map_err(super::core::drive_error)? {
                    size = size.saturating_add(r.byte_length);
                    out.blocks.push(r.index);
                }
            } else {
                size = id.byte_length;
            }
        }
        out.sizes.push(size);
        out.bytes = out.bytes.saturating_add(size);
    }
    out.blocks.sort_unstable();
    out.blocks.dedup();
    Ok(out)
}

fn damaged() -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, "the release names content that the drive does not have")
        .hint("the publisher has to stage the release again")
}
