//! What a peer has not been told yet: ranges, bitfields, and how far we are.

use super::messages::Range;
use super::wants::RemoteWants;
use std::collections::VecDeque;
use std::time::Duration;

/// Most bitfields that wait for one peer.
const MAX_BITFIELDS: usize = 512;

/// What a peer has not been told yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(super) ranges: VecDeque<Range>,
    /// Parts to be answered with a bitfield.
    pub(super) bitfields: VecDeque<(u64, u64)>,
    /// How far the peer knows us to be without a gap.
    pub(super) contiguous_told: u64,
    /// How far it is to be told at the next occasion: what lies below is in no range of the queue. Never less than
    /// what was told, and never more than what is held without a gap.
    pub(super) contiguous_owed: u64,
    pub(crate) due: Option<Duration>,
}

impl News {
    pub(super) fn push(&mut self, range: Range) {
        if let Some(last) = self.ranges.back_mut()
            && last.drop == range.drop
            && last.start.saturating_add(last.length) == range.start
        {
            last.length = last.length.saturating_add(range.length);
            return;
        }
        self.ranges.push_back(range);
    }

    pub(super) fn push_bitfield(&mut self, start: u64, length: u64) {
        if !self.bitfields.contains(&(start, length)) && self.bitfields.len() < MAX_BITFIELDS {
            self.bitfields.push_back((start, length));
        }
    }

    /// The next occasion tells everything up to `contiguous`.
    pub(crate) fn owe(&mut self, contiguous: u64) {
        self.contiguous_owed = self.contiguous_owed.max(contiguous);
    }

    /// A gap `start..end` opens. What was owed and lies above it has to be told by itself from now on.
    pub(super) fn drop_range(&mut self, start: u64, end: u64) {
        let told_all = self.contiguous_told >= self.contiguous_owed;
        self.push(Range { drop: true, start, length: end - start });
        if !told_all && end < self.contiguous_owed {
            self.push(Range { drop: false, start: end, length: self.contiguous_owed - end });
        }
        self.contiguous_told = self.contiguous_told.min(start);
        self.contiguous_owed = self.contiguous_owed.min(start);
    }

    pub(super) fn soon(&mut self, at: Duration) {
        self.due = Some(self.due.map_or(at, |d| d.min(at)));
    }

    /// Too many ranges: tells everything from the beginning.
    pub(super) fn start_over(&mut self, wants: &RemoteWants, contiguous: u64, length: u64) {
        self.ranges.clear();
        self.contiguous_told = 0;
        self.contiguous_owed = contiguous;
        if contiguous < length {
            self.ranges.push_back(Range { drop: true, start: contiguous, length: length - contiguous });
        }
        for (start, len) in wants.parts().take(MAX_BITFIELDS) {
            self.push_bitfield(start, len);
        }
    }
}
