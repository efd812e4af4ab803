//! Where the bytes of the old file went.

use std::collections::BinaryHeap;

/// Bytes of the new file that are nearly those of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Copy {
    pub(crate) old: u32,
    pub(crate) new: u32,
    pub(crate) len: u32,
}

#[derive(Clone, Copy)]
struct Interval {
    start: u32,
    end: u32,
    /// To where `start` went.
    new: u32,
}

/// Where each position of the old file went. Of several copies of a position the longest counts.
pub(crate) struct Map {
    intervals: Vec<Interval>,
    /// For each page of the old file the number of intervals that start below it.
    pages: Vec<u32>,
}

const PAGE_SHIFT: u32 = 12;

impl Map {
    pub(crate) fn new(copies: &[Copy]) -> Map {
        let mut order: Vec<u32> = (0..copies.len() as u32).collect();
        let at = |i: u32| copies.get(i as usize).copied().unwrap_or_default();
        order.sort_unstable_by_key(|i| (at(*i).old, *i));
        let mut intervals: Vec<Interval> = Vec::with_capacity(copies.len());
        // Longest first, then the one that is first in the new file.
        let mut open: BinaryHeap<(u32, std::cmp::Reverse<u32>)> = BinaryHeap::new();
        let (mut next, mut place) = (0, 0u32);
        loop {
            while let Some(i) = order.get(next).filter(|i| at(**i).old <= place || open.is_empty()) {
                place = place.max(at(*i).old);
                open.push((at(*i).len, std::cmp::Reverse(*i)));
                next += 1;
            }
            let Some((_, std::cmp::Reverse(i))) = open.peek().copied() else { break };
            let c = at(i);
            let end = c.old.saturating_add(c.len);
            if end <= place {
                open.pop();
                continue;
            }
            let until = order.get(next).map_or(end, |n| end.min(at(*n).old));
            let new = c.new.wrapping_add(place - c.old);
            match intervals.last_mut() {
                Some(last) if last.end == place && last.new.wrapping_add(place - last.start) == new => {
                    last.end = until
                }
                _ => intervals.push(Interval { start: place, end: until, new }),
            }
            place = until;
        }
        intervals.shrink_to_fit();
        let count = intervals.last().map_or(0, |l| (l.start >> PAGE_SHIFT) + 2);
        let mut pages = Vec::with_capacity(count as usize);
        let mut i = 0usize;
        for page in 0..count {
            while intervals.get(i).is_some_and(|x| x.start >> PAGE_SHIFT < page) {
                i += 1;
            }
            pages.push(i as u32);
        }
        Map { intervals, pages }
    }

    /// Where a position went; where its nearest neighbour went if it is gone.
    pub(crate) fn get(&self, old: u64) -> u64 {
        let Ok(position) = u32::try_from(old) else { return old };
        let page = (position >> PAGE_SHIFT) as usize;
        let low = self.pages.get(page).map_or(self.intervals.len(), |i| *i as usize);
        let high = self.pages.get(page + 1).map_or(self.intervals.len(), |i| *i as usize);
        let within = self.intervals.get(low..high).unwrap_or(&[]);
        let next = low + within.partition_point(|x| x.start <= position);
        let before = next.checked_sub(1).and_then(|i| self.intervals.get(i));
        let after = self.intervals.get(next);
        let by = |x: &Interval| u64::from(x.new).wrapping_add(old).wrapping_sub(u64::from(x.start));
        match (before, after) {
            (Some(b), Some(a)) if position >= b.end && a.start - position < position - b.end => by(a),
            (Some(b), _) => by(b),
            (None, Some(a)) => by(a),
            (None, None) => old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_copy_counts_and_neighbours_stand_in() {
        let copies = [
            Copy { old: 100, new: 0, len: 50 },
            Copy { old: 120, new: 1000, len: 10 },
            Copy { old: 140, new: 5000, len: 9000 },
            Copy { old: 20_000, new: 2, len: 4 },
        ];
        let map = Map::new(&copies);
        for (old, new) in [
            (100, 0),
            (125, 25),
            (139, 39),
            (140, 5000),
            (9139, 13_999),
            (9141, 14_001),
            (19_999, 1),
            (20_003, 5),
            (30_000, 10_002),
            (90, u64::MAX - 9),
        ] {
            assert_eq!(map.get(old), new, "{old}");
        }
    }
}
