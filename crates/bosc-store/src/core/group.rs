//! Reading several blocks at once: neighbours on disk with one read, and hashed side by side.
//!
//! As everywhere, no block leaves the store that is not the tree's (see `damage`). What a group finds wrong is left to
//! [`Core::block`], which looks again at that block alone and decides what it is.

use super::damage::Found;
use super::handle::Core;
use crate::core_state::State;
use crate::error::Result;
use crate::page::Place;
use bosc_format::crypto::{Hash, leaf_hashes};
use bytes::Bytes;
use std::sync::{Arc, Weak};

/// Most blocks read at once.
const MAX_BLOCKS: usize = 64;

/// While it lasts, blocks that peers bring are kept in memory until they are read once.
#[derive(Debug)]
pub struct AsItComes(Core);

impl Drop for AsItComes {
    fn drop(&mut self) {
        self.0.shared.recent.end();
    }
}

/// Where a block is and what its leaf has to be.
struct Wanted {
    index: u64,
    place: Place,
    leaf: Hash,
}

/// Blocks from so many bytes on are remembered for as long as they are in memory.
const LENT: usize = 128 << 10;
/// Most of those.
const MAX_LENT: usize = 1024;

/// Blocks that were read and checked before they are asked for, each with the hash it has. One counts as long as the tree
/// says that hash, whatever happened to the core since.
#[derive(Debug, Default)]
pub struct ReadAhead {
    blocks: Vec<(u64, Hash, Bytes)>,
    /// Large blocks that were given out, while somebody has them: ten peers that ask for the same one at about the same time have
    /// it from one read and one piece of memory.
    lent: Vec<(u64, Hash, Weak<Bytes>)>,
}

/// A block that is lent.
struct Loan(Arc<Bytes>);

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ReadAhead {
    /// Whether the block was read.
    pub fn holds(&self, index: u64) -> bool {
        self.blocks.iter().any(|(i, ..)| *i == index)
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Lets go of what was read. What others still have of it is found again by [`Core::read_more`].
    pub fn rest(&mut self) {
        self.blocks.clear();
    }

    fn get(&self, index: u64, leaf: &Hash) -> Option<&Bytes> {
        self.blocks.iter().find(|(i, hash, _)| (i, hash) == (&index, leaf)).map(|(.., bytes)| bytes)
    }

    fn take_back(&mut self, index: u64) -> bool {
        self.lent.retain(|(.., bytes)| bytes.strong_count() > 0);
        let found = self.lent.iter().find(|(i, ..)| *i == index);
        let found = found.and_then(|(i, hash, bytes)| Some((*i, *hash, bytes.upgrade()?)));
        let Some((index, hash, bytes)) = found else { return false };
        self.blocks.push((index, hash, Bytes::from_owner(Loan(bytes))));
        true
    }

    fn put(&mut self, index: u64, hash: Hash, bytes: Bytes) {
        if bytes.len() < LENT || self.lent.len() >= MAX_LENT {
            return self.blocks.push((index, hash, bytes));
        }
        let bytes = Arc::new(bytes);
        self.lent.push((index, hash, Arc::downgrade(&bytes)));
        self.blocks.push((index, hash, Bytes::from_owner(Loan(bytes))));
    }
}

impl Core {
    /// Blocks as [`Core::block`] gives them, from the front of `indexes`: as many as are here, right, and not larger than
    /// `max_bytes` together. None when the first is not here; at least one otherwise. They may share memory.
    ///
    /// # Errors
    /// Those of [`Core::block`] for the first.
    pub fn blocks(&self, indexes: &[u64], max_bytes: usize) -> Result<Vec<Bytes>> {
        let mut blocks = {
            let state = self.shared.read();
            let recent = self.recent(&state, indexes, max_bytes)?;
            if recent.is_empty() {
                let wanted = self.wanted(&state, indexes, max_bytes)?;
                self.read_wanted(&wanted).unwrap_or_default()
            } else {
                recent
            }
        };
        if let (true, Some(first)) = (blocks.is_empty(), indexes.first()) {
            blocks.extend(self.block(*first)?);
        }
        Ok(blocks)
    }

    /// From now on, [`Core::blocks`] finds what peers bring in memory, 8 MiB of it at most. For who reads it as it comes.
    pub fn read_as_it_comes(&self) -> AsItComes {
        self.shared.recent.begin();
        AsItComes(self.clone())
    }

    /// Those from the front that peers brought just now. As everywhere, a block counts as long as the tree says its hash.
    fn recent(&self, state: &State, indexes: &[u64], max_bytes: usize) -> Result<Vec<Bytes>> {
        let mut out = Vec::new();
        let mut left = max_bytes;
        for index in indexes.iter().copied().take(MAX_BLOCKS) {
            let most = if out.is_empty() { usize::MAX } else { left };
            let Some((hash, bytes)) = self.shared.recent.take(index, most) else { break };
            if state.removed
                || !self.is_here(state, index)?
                || self.leaf(state, index)?.is_none_or(|l| l.hash != hash)
            {
                break;
            }
            left = left.saturating_sub(bytes.len());
            out.push(bytes);
        }
        Ok(out)
    }

    /// Reads blocks for [`Core::prove_ahead`], as [`Core::blocks`] does. One that is not here or not right is left out.
    pub fn read_ahead(&self, indexes: &[u64], max_bytes: usize) -> ReadAhead {
        let mut ahead = ReadAhead::default();
        self.read_more(&mut ahead, indexes, max_bytes);
        ahead
    }

    /// [`Core::read_ahead`] in the place of what was read before. The first block is read whatever its size, unless it is still
    /// in memory; the others are left out then.
    pub fn read_more(&self, ahead: &mut ReadAhead, indexes: &[u64], max_bytes: usize) {
        ahead.rest();
        if indexes.first().is_none_or(|first| ahead.take_back(*first)) {
            return;
        }
        let state = self.shared.read();
        let Ok(wanted) = self.wanted(&state, indexes, max_bytes) else { return };
        for (w, bytes) in wanted.iter().zip(self.read_wanted(&wanted).unwrap_or_default()) {
            ahead.put(w.index, w.leaf, bytes);
        }
    }

    /// The block, from what was read ahead where that still holds.
    pub(super) fn look_ahead(&self, state: &State, index: u64, ahead: &ReadAhead) -> Result<Found> {
        if !ahead.is_empty()
            && !state.removed
            && self.is_here(state, index)?
            && let Some(leaf) = self.leaf(state, index)?
            && let Some(bytes) = ahead.get(index, &leaf.hash)
        {
            return Ok(Found::Whole(bytes.clone()));
        }
        self.look_at_block(state, index)
    }

    fn wanted(&self, state: &State, indexes: &[u64], max_bytes: usize) -> Result<Vec<Wanted>> {
        let mut out = Vec::new();
        let mut left = max_bytes;
        for index in indexes.iter().copied().take(MAX_BLOCKS) {
            if state.removed || !self.is_here(state, index)? {
                break;
            }
            let Some(place) = self.inner.place(self.shared.id, index)? else { break };
            let Some(leaf) = self.leaf(state, index)?.filter(|l| l.size == u64::from(place.len)) else {
                break;
            };
            match left.checked_sub(place.len as usize) {
                Some(rest) => left = rest,
                None if out.is_empty() => left = 0,
                None => break,
            }
            out.push(Wanted { index, place, leaf: leaf.hash });
        }
        Ok(out)
    }

    /// The blocks from the front that are what they have to be.
    fn read_wanted(&self, wanted: &[Wanted]) -> Result<Vec<Bytes>> {
        let mut blocks = Vec::with_capacity(wanted.len());
        for run in wanted.chunk_by(|a, b| a.place.is_before(&b.place)) {
            let Some(first) = run.first().map(|w| w.place) else { continue };
            let len = run.iter().fold(0u32, |sum, w| sum.saturating_add(w.place.len));
            let mut bytes = self.inner.segments.read(Place { len, ..first })?;
            blocks.extend(run.iter().map(|w| bytes.split_to((w.place.len as usize).min(bytes.len()))));
        }
        let parts: Vec<&[u8]> = blocks.iter().map(AsRef::as_ref).collect();
        let right = leaf_hashes(&parts).iter().zip(wanted).take_while(|(hash, w)| **hash == w.leaf).count();
        blocks.truncate(right);
        Ok(blocks)
    }
}
