//! What a change does to segments: bytes that come and go.

use crate::page::Place;
use std::collections::BTreeMap;

/// What one change does to a segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use {
    /// In use at least up to here.
    pub(crate) end: u32,
    /// Bytes of new blocks.
    pub(crate) added: u64,
    /// Bytes of blocks given up.
    pub(crate) freed: u64,
}

/// What changes do to segments, by number.
pub(crate) type Uses = BTreeMap<u32, Use>;

/// Counts a new block.
pub(crate) fn add_use(uses: &mut Uses, place: Place) {
    let u = uses.entry(place.segment).or_default();
    u.end = u.end.max(place.offset.saturating_add(place.len));
    u.added = u.added.saturating_add(u64::from(place.len));
}

/// Counts a block given up.
pub(crate) fn free_use(uses: &mut Uses, place: Place) {
    let u = uses.entry(place.segment).or_default();
    u.freed = u.freed.saturating_add(u64::from(place.len));
}
