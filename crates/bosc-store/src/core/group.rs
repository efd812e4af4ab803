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

/// Most blocks read at once.
const MAX_BLOCKS: usize = 64;

/// Where a block is and what its leaf has to be.
struct Wanted {
    index: u64,
    place: Place,
    leaf: Hash,
}

/// Blocks that were read and checked before they are asked for, each with the hash it has. One counts as long as the tree
/// says that hash, whatever happened to the core since.
#[derive(Debug, Default)]
pub struct ReadAhead(Vec<(u64, Hash, Bytes)>);

impl ReadAhead {
    /// Whether the block was read.
    pub fn holds(&self, index: u64) -> bool {
        self.0.iter().any(|(i, ..)| *i == index)
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, index: u64, leaf: &Hash) -> Option<&Bytes> {
        self.0.iter().find(|(i, hash, _)| (i, hash) == (&index, leaf)).map(|(.., bytes)| bytes)
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
            let wanted = self.wanted(&state, indexes, max_bytes)?;
            self.read_wanted(&wanted).unwrap_or_default()
        };
        if let (true, Some(first)) = (blocks.is_empty(), indexes.first()) {
            blocks.extend(self.block(*first)?);
        }
        Ok(blocks)
    }

    /// Reads blocks for [`Core::prove_ahead`], as [`Core::blocks`] does. One that is not here or not right is left out.
    pub fn read_ahead(&self, indexes: &[u64], max_bytes: usize) -> ReadAhead {
        let state = self.shared.read();
        let Ok(wanted) = self.wanted(&state, indexes, max_bytes) else { return ReadAhead::default() };
        let blocks = self.read_wanted(&wanted).unwrap_or_default();
        ReadAhead(wanted.iter().zip(blocks).map(|(w, bytes)| (w.index, w.leaf, bytes)).collect())
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
            let Some(rest) = left.checked_sub(place.len as usize) else { break };
            left = rest;
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
