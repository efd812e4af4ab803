//! Rot: blocks whose bytes on disk are not what was stored.
//!
//! Every block is checked against the leaf of its tree before its bytes leave the store, to a caller or to a peer. A
//! block is in one of these states:
//!
//! | bit | place | the block is |
//! |---|---|---|
//! | no | no | not here |
//! | yes | yes | here; nothing is known about its bytes until they are read |
//! | no | yes | damaged: not here for anyone, and it may be fetched again |
//!
//! ```text
//!   here --- read, served, checked: wrong or missing bytes (lose) ---> damaged
//!   damaged --- its bytes are right again: a disk that came back, a file put back (check) ---> here
//!   damaged --- a peer's proof brings it (apply), at a new place; the old one is freed ---> here
//! ```
//!
//! Tree, head and signature stay as they are whatever happens to blocks: a core that this store signs is never signed
//! anew or cut back for rot. The bytes of a damaged block stay until it is replaced. All changes are pending ones: a
//! crash loses that a block was found damaged, and it is found again.
//!
//! A device that fails to read (no wrong bytes, an error) is not taken for rot: the block stays, is not served, and is
//! told as unreadable.

use super::handle::Core;
use crate::core_state::State;
use crate::db;
use crate::edits::Edits;
use crate::error::{Error, Result};
use crate::events::CoreChange;
use crate::lock::lock;
use crate::page::{PLACES, PageKey, kind};
use bosc_format::crypto::leaf_hash;
use bosc_format::id;
use bosc_format::merkle::Node;
use bytes::Bytes;
use std::sync::atomic::Ordering;

/// Most blocks named in one [`Checked`] list; more are counted.
const MAX_NAMED: usize = 4096;

/// What a place that gave no bytes counts for in [`Core::check_blocks`]: it takes its time too.
const NO_BYTES: u64 = 4096;
/// The same of a block that has no place: it is looked up only.
const NO_PLACE: u64 = 64;
/// Most blocks that the device fails to read in one call: each may take it seconds.
const MAX_UNREADABLE: usize = 16;

/// What is on disk in a block's place.
#[derive(Debug)]
pub(super) enum Found {
    /// The block is not here.
    Absent,
    /// It is the block.
    Whole(Bytes),
    /// It is not the block.
    Damaged(Error),
    /// The device did not say.
    Unreadable(Error),
}

/// How many blocks of a core were found damaged and were mended, since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Blocks that turned out damaged.
    pub found: u64,
    /// Damaged blocks that are here again, those found before the store was opened included.
    pub mended: u64,
}

/// What [`Core::check_blocks`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
    /// Blocks read that are right.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are damaged, those known before included; the first 4096 of them.
    pub damaged: Vec<u64>,
    /// How many there are.
    pub damaged_count: u64,
    /// Blocks that the device failed to read.
    pub unreadable: Vec<u64>,
    /// How many blocks that counted as damaged are right again.
    pub restored: u64,
}

impl Core {
    /// Whether the block counts as here.
    pub(super) fn is_here(&self, state: &State, index: u64) -> Result<bool> {
        Ok(index < state.record.head.length
            && (index < state.record.contiguous || self.inner.has(self.shared.id, index)?))
    }

    /// Reads a block and compares it with the tree, by one who holds the state.
    pub(super) fn look_at_block(&self, state: &State, index: u64) -> Result<Found> {
        if state.removed {
            return Err(Error::NotFound("the core"));
        }
        if !self.is_here(state, index)? {
            return Ok(Found::Absent);
        }
        self.look_at_place(state, index)
    }

    /// The leaf of a block, if it is known.
    pub(super) fn leaf(&self, state: &State, index: u64) -> Result<Option<Node>> {
        let head = &state.record.head;
        match head.root(index.saturating_mul(2)) {
            Some(root) => Ok(Some(*root)),
            None => self.tree(head).get(index.saturating_mul(2)),
        }
    }

    /// As [`Core::look_at_block`], also for a block that counts as damaged.
    fn look_at_place(&self, state: &State, index: u64) -> Result<Found> {
        let Some(place) = self.inner.place(self.shared.id, index)? else { return Ok(Found::Absent) };
        let wrong = |why: String| {
            Ok(Found::Damaged(Error::corrupt(format!(
                "block {index} of core {} {why}",
                id::encode(&self.shared.key)
            ))))
        };
        let bytes = match self.inner.segments.read(place) {
            Ok(bytes) => bytes,
            Err(Error::Corrupt(why)) => return wrong(format!("is gone: {why}")),
            Err(e) => return Ok(Found::Unreadable(e)),
        };
        match self.leaf(state, index)? {
            Some(leaf) if leaf.size == bytes.len() as u64 && leaf.hash == leaf_hash(&bytes) => {
                Ok(Found::Whole(bytes))
            }
            _ => wrong("is not what was stored".to_owned()),
        }
    }

    /// Has blocks that the device fails to read count as not here, so that they are fetched again. For those who were
    /// told to: the device may read them another time. How many there were.
    pub fn give_up_unreadable(&self, blocks: &[u64]) -> Result<u64> {
        self.settle_blocks(blocks, false, true)
    }

    /// Has blocks count as not here when they are damaged, and tells it. They are looked at once more before. How many
    /// there were.
    pub(super) fn lose(&self, blocks: &[u64]) -> Result<u64> {
        self.settle_blocks(blocks, false, false)
    }

    /// Changes whether blocks count as here, where what is on disk says otherwise. `unreadable`: a device that does not
    /// say counts as damage.
    fn settle_blocks(&self, blocks: &[u64], here: bool, unreadable: bool) -> Result<u64> {
        let intent = lock(&self.shared.intent);
        let mut edits = Edits::new(self.shared.id);
        let mut changed = Vec::new();
        let mut record = {
            let state = self.shared.read();
            if state.removed {
                return Err(Error::NotFound("the core"));
            }
            for block in blocks.iter().copied().filter(|b| *b < state.record.head.length) {
                if self.is_here(&state, block)? == here {
                    continue;
                }
                let is_whole = match self.look_at_place(&state, block)? {
                    Found::Whole(_) => true,
                    Found::Damaged(_) => false,
                    Found::Unreadable(_) if unreadable => false,
                    Found::Absent | Found::Unreadable(_) => continue,
                };
                if is_whole == here {
                    edits.set_here(&self.inner, block, here)?;
                    changed.push(block);
                }
            }
            state.record.clone()
        };
        let Some(first) = changed.iter().min().filter(|_| !edits.is_empty()) else { return Ok(0) };
        if !here {
            record.contiguous = record.contiguous.min(*first);
        }
        let shared = self.shared.clone();
        self.inner.install_pending(|| edits.finish(&self.inner, shared, record, Vec::new()))?;
        let count = changed.len() as u64;
        let counter = if here { &self.shared.damage.mended } else { &self.shared.damage.found };
        counter.fetch_add(count, Ordering::Relaxed);
        drop(intent);
        let tell = |(start, end)| {
            if here { CoreChange::Blocks { start, end } } else { CoreChange::Damaged { start, end } }
        };
        self.notify(&runs(changed).into_iter().map(tell).collect::<Vec<_>>());
        Ok(count)
    }

    /// Reads blocks from `from` on and compares each with the tree, until about `max_bytes` were read, or the device
    /// failed to read 16 of them. A block without readable bytes counts as 4 KiB, so that no call takes long. Damaged ones
    /// count as not here from then on (and [`crate::CoreChange::Damaged`] is told), so that they can be fetched again;
    /// damaged ones that are right again count as here. Only blocks that a commit has seen are looked at. How far it got
    /// is in the result.
    ///
    /// # Errors
    /// The database cannot be read, or what was found not be kept ([`Error::Full`]); then it will be found again.
    pub fn check_blocks(&self, from: u64, max_bytes: u64) -> Result<Checked> {
        let mut out = Checked::default();
        let mut at = from;
        let (mut damaged, mut restored) = (Vec::new(), Vec::new());
        let mut work = 0u64;
        out.next = 'pages: loop {
            let length = self.length();
            let Some(first) = self.next_page_with_places(at)?.filter(|first| *first < length) else {
                break 'pages None;
            };
            let end = (first / PLACES + 1).saturating_mul(PLACES).min(length);
            for block in first.max(at)..end {
                let state = self.shared.read();
                if state.removed {
                    return Err(Error::NotFound("the core"));
                }
                let here = self.is_here(&state, block)?;
                match self.look_at_place(&state, block)? {
                    Found::Whole(bytes) => {
                        out.blocks += 1;
                        out.bytes = out.bytes.saturating_add(bytes.len() as u64);
                        work = work.saturating_add(bytes.len() as u64);
                        if !here {
                            restored.push(block);
                        }
                    }
                    Found::Damaged(_) => {
                        work = work.saturating_add(NO_BYTES);
                        out.damaged_count += 1;
                        if out.damaged.len() < MAX_NAMED {
                            out.damaged.push(block);
                        }
                        if here {
                            damaged.push(block);
                        }
                    }
                    Found::Unreadable(_) => {
                        work = work.saturating_add(NO_BYTES);
                        out.unreadable.push(block);
                    }
                    Found::Absent => work = work.saturating_add(NO_PLACE),
                }
                at = block.saturating_add(1);
                if work >= max_bytes || out.unreadable.len() >= MAX_UNREADABLE {
                    break 'pages Some(at);
                }
            }
            at = end;
        };
        if !damaged.is_empty() {
            self.lose(&damaged)?;
        }
        if !restored.is_empty() {
            out.restored = self.settle_blocks(&restored, true, false)?;
        }
        Ok(out)
    }

    /// Blocks that count as damaged, lowest first, `max` at most: those whose place is known and which are not here.
    /// Nothing of them is read.
    pub fn damaged_blocks(&self, max: usize) -> Result<Vec<u64>> {
        let mut out = Vec::new();
        let mut next = Some(0);
        while let Some(at) = next.filter(|_| out.len() < max) {
            let state = self.shared.read();
            let length = state.record.head.length;
            let (places, rest) = self.inner.places(self.shared.id, at..length)?;
            for (block, _) in places {
                if !self.is_here(&state, block)? && out.len() < max {
                    out.push(block);
                }
            }
            next = rest;
        }
        Ok(out)
    }

    /// Whether a block counts as damaged: it was here and is not any more. Nothing of it is read.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_damaged(&self, index: u64) -> Result<bool> {
        let state = self.shared.read();
        Ok(index < state.record.head.length
            && !self.is_here(&state, index)?
            && self.inner.place(self.shared.id, index)?.is_some())
    }

    /// How many blocks count as damaged. Nothing of them is read, and none is listed.
    pub fn count_damaged(&self) -> Result<u64> {
        let mut count = 0;
        let mut next = Some(0);
        while let Some(at) = next {
            let state = self.shared.read();
            let (places, rest) = self.inner.places(self.shared.id, at..state.record.head.length)?;
            for (block, _) in places {
                count += u64::from(!self.is_here(&state, block)?);
            }
            next = rest;
        }
        Ok(count)
    }

    /// What was found damaged and mended since the store was opened.
    pub fn damage(&self) -> Damage {
        let c = &self.shared.damage;
        Damage { found: c.found.load(Ordering::Relaxed), mended: c.mended.load(Ordering::Relaxed) }
    }

    /// First block at or after `from` of the first page of places that a commit wrote.
    fn next_page_with_places(&self, from: u64) -> Result<Option<u64>> {
        let first = PageKey::places(self.shared.id, from).to_bytes();
        let last = PageKey { core: self.shared.id, kind: kind::PLACE, number: u64::MAX }.to_bytes();
        self.inner.db.read(|txn| {
            let table = txn.open_table(db::PAGES)?;
            let row = table.range::<&[u8; 13]>(&first..=&last)?.next().transpose()?;
            Ok(row.map(|(key, _)| PageKey::from_bytes(key.value()).number.saturating_mul(PLACES).max(from)))
        })
    }
}

/// Sorted runs of neighbours.
fn runs(mut blocks: Vec<u64>) -> Vec<(u64, u64)> {
    blocks.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for block in blocks {
        match out.last_mut() {
            Some((_, end)) if *end == block => *end = block.saturating_add(1),
            _ => out.push((block, block.saturating_add(1))),
        }
    }
    out
}
