//! Filling the blobs core from builds on this disk: what need not be fetched.
//!
//! Three looks, each finer and dearer than the one before:
//! 1. The file at the same path, cut as the drive would have cut it, at the place where a first staging would have put
//!    it. Right for every file that did not change since; costs a few hashes for all of them together.
//! 2. Block maps of the other files are fetched (a few bytes each). A map names the file's blocks: those before and
//!    behind a change are guessed from the same path again.
//! 3. For what is still missing, the leaf hashes are fetched and looked up in every file there is: moved blocks,
//!    renamed files, older builds.

use super::fetching::Fetching;
use super::local::{Chunk, Local, Scheme};
use super::plan::{Plan, PlanFile};
use crate::error::{ErrorKind, UpdateError};
use bosc_drive::BlockSource;
use bosc_drive::blobs::{BLOCK_SIZE, BlobId, BlockRef, MAX_MAP_BLOCKS, encode_map, load_map};
use bosc_follow::offer::{Cost, Gathering, Guesses, MAX_LEAVES, Offer};
use bosc_follow::{CoreSource, Fetch, FollowError, FollowedCore};
use bosc_format::crypto::Hash;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Below so many missing bytes the third look is not worth its round trip.
const SMALL: u64 = 128 << 10;
/// A block of fewer bytes is cheaper fetched than looked for.
const TINY: u64 = 128;

/// Builds on this disk, as a source of the blocks that a plan needs.
pub(super) struct LocalBuilds<'a> {
    plan: &'a Plan,
    local: Local,
}

/// A piece of a file, by the file's number.
type Piece = (usize, Chunk);

impl<'a> LocalBuilds<'a> {
    pub(super) fn new(plan: &'a Plan, local: Local) -> Self {
        Self { plan, local }
    }

    fn prove(&self, to: &mut Gathering<'_, '_>, guesses: Guesses<Piece>) -> Result<(), FollowError> {
        if guesses.is_empty() {
            return Ok(());
        }
        to.prove(guesses, &mut |(file, chunk)| self.local.read(*file, *chunk))
    }
}

impl Offer for LocalBuilds<'_> {
    fn name(&self) -> &'static str {
        "builds on this disk"
    }

    fn cost(&self) -> Cost {
        Cost::Disk
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        if self.local.is_empty() {
            return Ok(());
        }
        let (plan, source) = (self.plan, CoreSource::new(to.core()));
        let mut guesses = Guesses::default();
        for file in plan.files.iter().filter(|f| !is_here(&source, f)) {
            guess_unchanged(to, file, &mut self.local, &mut guesses)?;
        }
        self.prove(to, guesses)?;
        to.fetch(maps(&source, plan))?;
        let mut guesses = Guesses::default();
        for file in plan.files.iter().filter(|f| !is_here(&source, f)) {
            guess_around_a_change(to, &source, file, &mut self.local, &mut guesses)?;
        }
        self.prove(to, guesses)?;
        self.look_everywhere(to, &source)
    }
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
    to: &mut Gathering<'_, '_>,
    file: &PlanFile,
    local: &mut Local,
    guesses: &mut Guesses<Piece>,
) -> Result<(), FollowError> {
    let (Some(id), Some(at)) = (file.blob, local.at(&file.rel)) else { return Ok(()) };
    let size = local.file(at).map_or(0, |f| f.size);
    let mut tell = || to.go_on();
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
            guesses.add(r.index, (at, *chunk), chunk.len, chunk.hash);
        }
        for (i, block) in map.into_iter().enumerate() {
            guesses.add_made(id.block_offset.saturating_add(i as u64), block.into());
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
        guesses.add(id.block_offset.saturating_add(i as u64), (at, *chunk), chunk.len, chunk.hash);
    }
    // Cut by content, what lies behind an insertion is the same again, counted from the end.
    if scheme == Scheme::Rabin && chunks.len() != count && size != id.byte_length {
        for (i, chunk) in chunks.iter().rev().take(count / 2).enumerate() {
            let block = id.block_offset.saturating_add(id.block_length).saturating_sub(1 + i as u64);
            guesses.add(block, (at, *chunk), chunk.len, chunk.hash);
        }
    }
    Ok(())
}

/// How a plain blob was cut: every 64 KiB, or as the drive it was copied from had it.
fn plain_scheme(id: &BlobId) -> Scheme {
    if id.byte_length.div_ceil(BLOCK_SIZE as u64) == id.block_length { Scheme::Fixed } else { Scheme::Rabin }
}

/// Blocks of maps that are not here.
fn maps(source: &CoreSource, plan: &Plan) -> Vec<u64> {
    plan.files
        .iter()
        .filter_map(|f| f.blob)
        .filter(|id| id.block_map)
        .flat_map(|id| id.block_offset..id.block_offset.saturating_add(id.block_length.min(MAX_MAP_BLOCKS)))
        .filter(|b| !source.has(*b))
        .collect()
}

/// What a plan needs of the core, as far as that can be told before the maps are here.
pub(super) fn needed_first(plan: &Plan) -> Vec<u64> {
    let mut out = BlockSet::default();
    for id in plan.files.iter().filter_map(|f| f.blob) {
        out.extend(id.block_offset..id.block_offset.saturating_add(id.block_length));
    }
    out.into_sorted()
}

/// Blocks that many entries may name over and over: it takes no more memory than about twice as many as there are.
#[derive(Default)]
struct BlockSet {
    blocks: Vec<u64>,
    /// How many there may be before doubles are taken out.
    room: usize,
}

impl BlockSet {
    fn extend(&mut self, blocks: impl IntoIterator<Item = u64>) {
        for block in blocks {
            if self.blocks.len() >= self.room {
                self.tidy();
            }
            self.blocks.push(block);
        }
    }

    fn tidy(&mut self) {
        self.blocks.sort_unstable();
        self.blocks.dedup();
        self.room = self.blocks.len().saturating_mul(2).max(1 << 16);
    }

    fn into_sorted(mut self) -> Vec<u64> {
        self.tidy();
        self.blocks
    }
}

/// A block map, as far as it is here: one that turns out damaged on this disk is fetched later, as what a plan needs.
fn map_here(source: &CoreSource, id: &BlobId) -> Result<Option<Vec<BlockRef>>, bosc_drive::Error> {
    match load_map(source, id) {
        Err(e) if e.missing().is_some() => Ok(None),
        map => map.map(Some),
    }
}

/// The blocks before and behind the place where the file at the same path differs.
fn guess_around_a_change(
    to: &mut Gathering<'_, '_>,
    source: &CoreSource,
    file: &PlanFile,
    local: &mut Local,
    guesses: &mut Guesses<Piece>,
) -> Result<(), FollowError> {
    let (Some(id), Some(at)) = (file.blob.filter(|id| id.block_map), local.at(&file.rel)) else {
        return Ok(());
    };
    let Some(refs) = map_here(source, &id)? else { return Ok(()) };
    let chunks = local.chunks(at, Scheme::Rabin, &mut || to.go_on())?;
    let fits = |(r, c): &(&BlockRef, &Chunk)| r.byte_length == c.len;
    for (r, chunk) in refs.iter().zip(chunks.iter()).take_while(fits) {
        guesses.add(r.index, (at, *chunk), chunk.len, chunk.hash);
    }
    for (r, chunk) in refs.iter().rev().zip(chunks.iter().rev()).take_while(fits) {
        guesses.add(r.index, (at, *chunk), chunk.len, chunk.hash);
    }
    Ok(())
}

impl LocalBuilds<'_> {
    /// Asks for the leaf hashes of what is missing and looks for them in all files.
    fn look_everywhere(
        &mut self,
        to: &mut Gathering<'_, '_>,
        source: &CoreSource,
    ) -> Result<(), FollowError> {
        let (missing, bytes, schemes) = missing(source, self.plan)?;
        if missing.is_empty() || missing.len() > MAX_LEAVES || bytes < SMALL {
            return Ok(());
        }
        let blocks: Vec<u64> = missing.iter().copied().collect();
        if !to.leaves(&blocks)? {
            return Ok(());
        }
        let mut leaves: BTreeMap<u64, Hash> = BTreeMap::new();
        for block in blocks {
            if let Some(hash) = to.leaf(block)? {
                leaves.insert(block, hash);
            }
        }
        let wanted: HashSet<Hash> = leaves.values().copied().collect();
        let found = self.local.find(&wanted, &schemes, &mut || to.go_on())?;
        let mut guesses = Guesses::default();
        for (block, hash) in leaves {
            if let Some((file, chunk)) = found.get(&hash) {
                guesses.add(block, (*file, *chunk), chunk.len, hash);
            }
        }
        self.prove(to, guesses)
    }
}

/// Content blocks that are not here and may be found by their hash, about how many bytes they have, and how they were
/// cut.
fn missing(source: &CoreSource, plan: &Plan) -> Result<(BTreeSet<u64>, u64, Vec<Scheme>), bosc_drive::Error> {
    let mut out = BTreeSet::new();
    let (mut bytes, mut schemes) = (0u64, Vec::new());
    for id in plan.files.iter().filter_map(|f| f.blob) {
        let before = out.len();
        let scheme = if id.block_map {
            for r in map_here(source, &id)?.unwrap_or_default() {
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
                if out.len() > MAX_LEAVES {
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
    /// Blocks of the deltas that were used: others may want them.
    pub(super) deltas: Vec<u64>,
}

/// Reads the maps (fetching those that are not here) and adds up what the build needs.
pub(super) fn needs(
    fetching: &mut Fetching<'_, '_>,
    blobs: &FollowedCore,
    source: &CoreSource,
    plan: &Plan,
) -> Result<Needs, UpdateError> {
    fetching.wait(|wait, _| blobs.blocks(maps(source, plan), wait))?;
    let (mut out, mut blocks) = (Needs::default(), BlockSet::default());
    for file in &plan.files {
        let mut size = 0u64;
        if let Some(id) = &file.blob {
            let end = id.block_offset.saturating_add(id.block_length);
            if end > source.length() {
                return Err(damaged());
            }
            blocks.extend(id.block_offset..end);
            if id.block_map {
                for r in fetching.of(blobs).read(|| load_map(source, id))? {
                    size = size.saturating_add(r.byte_length);
                    blocks.extend([r.index]);
                }
            } else {
                size = id.byte_length;
            }
        }
        out.sizes.push(size);
        out.bytes = out.bytes.saturating_add(size);
    }
    out.blocks = blocks.into_sorted();
    Ok(out)
}

fn damaged() -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, "the release names content that the drive does not have")
        .hint("the publisher has to stage the release again")
}
