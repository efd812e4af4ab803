//! A set of sequence numbers kept as disjoint ranges.
//!
//! Invariant: ranges are not empty, do not touch and do not overlap. Every operation is O(log n) in the number of
//! ranges, plus the ranges it removes.

use std::collections::BTreeMap;

#[derive(Debug, Default, Clone)]
pub(crate) struct Ranges {
    /// start -> one past the end
    map: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn clear(&mut self) {
        self.map.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> + '_ {
        self.map.iter().map(|(&start, &end)| (start, end))
    }

    /// The range that holds this number.
    pub(crate) fn containing(&self, value: u64) -> Option<(u64, u64)> {
        self.map.range(..=value).next_back().map(|(&s, &e)| (s, e)).filter(|&(_, end)| value < end)
    }

    /// Adds `start..end` and calls `fresh` for every part that was not there yet, in order.
    pub(crate) fn insert(&mut self, start: u64, end: u64, mut fresh: impl FnMut(u64, u64)) {
        if start >= end {
            return;
        }
        let (mut low, mut high) = (start, end);
        let mut covered = start;
        // A range that begins before and reaches into this one, or touches it.
        if let Some((&s, &e)) = self.map.range(..start).next_back()
            && e >= start
        {
            if e >= end {
                return;
            }
            low = s;
            covered = e;
        }
        while let Some((&s, &e)) = self.map.range(start..=end).next() {
            if s > covered {
                fresh(covered, s);
            }
            covered = covered.max(e);
            high = high.max(e);
            self.map.remove(&s);
        }
        if covered < end {
            fresh(covered, end);
        }
        self.map.insert(low, high);
    }

    /// Forgets every number below `limit`.
    pub(crate) fn remove_below(&mut self, limit: u64) {
        while let Some(entry) = self.map.first_entry() {
            let (start, end) = (*entry.key(), *entry.get());
            if start >= limit {
                return;
            }
            entry.remove();
            if end > limit {
                self.map.insert(limit, end);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn as_a_plain_set(steps in prop::collection::vec((0u64..200, 0u64..20, 0u8..8), 0..60)) {
            let (mut ranges, mut plain) = (Ranges::default(), BTreeSet::new());
            for (start, len, kind) in steps {
                if kind == 0 {
                    ranges.remove_below(start);
                    plain.retain(|&x| x >= start);
                } else {
                    let mut fresh = Vec::new();
                    ranges.insert(start, start + len, |a, b| fresh.extend(a..b));
                    let expected: Vec<_> = (start..start + len).filter(|x| plain.insert(*x)).collect();
                    prop_assert_eq!(fresh, expected);
                }
                let flat: Vec<_> = ranges.iter().flat_map(|(a, b)| a..b).collect();
                prop_assert_eq!(flat, plain.iter().copied().collect::<Vec<_>>());
                let gaps = ranges.iter().zip(ranges.iter().skip(1)).all(|((_, e), (s, _))| e < s);
                prop_assert!(gaps, "ranges touch");
                for value in 0..230 {
                    let inside = ranges.containing(value).is_some_and(|(s, e)| s <= value && value < e);
                    prop_assert_eq!(inside, plain.contains(&value));
                }
            }
        }
    }
}
