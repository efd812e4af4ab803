//! Which parts of a core each side wants to be told about (npm `hypercore`, `lib/wants.js`).
//!
//! A want makes the other side send what it holds of the part and keep telling as blocks come. Ours are whole
//! parts of 2^21 blocks, the only size older JavaScript peers answer. What a remote wants is kept in bounded
//! form: too many different wants turn into "everything".

use super::messages::Want;
use std::collections::{BTreeMap, BTreeSet};

/// Blocks in a part we want.
pub(crate) const PART: u64 = 1 << 21;
/// Most parts wanted of one peer.
const MAX_PARTS: usize = 512;
const MAX_ANY: usize = 16;
const MAX_LENGTHS: usize = 4;
const MAX_LENGTH: u64 = PART;
const MIN_LENGTH: u64 = 32;

/// What we want of a peer.
#[derive(Debug, Default, Clone)]
pub(crate) struct LocalWants {
    parts: BTreeSet<u64>,
}

impl LocalWants {
    /// Wants the part with this number. The message to send, `None` when it was wanted before or there are too many.
    pub(crate) fn add(&mut self, part: u64) -> Option<Want> {
        if self.parts.len() >= MAX_PARTS || !self.parts.insert(part) {
            return None;
        }
        Some(Want { start: part.saturating_mul(PART), length: PART, any: false })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.parts.len() >= MAX_PARTS
    }

    pub(crate) fn contains(&self, part: u64) -> bool {
        self.parts.contains(&part)
    }
}

/// What a peer wants of us.
#[derive(Debug, Default, Clone)]
pub(crate) struct RemoteWants {
    any: Vec<Want>,
    /// By length, a power of two: the numbers of the parts.
    parts: BTreeMap<u64, BTreeSet<u64>>,
    size: usize,
    all: bool,
}

fn is_part(w: &Want) -> bool {
    (MIN_LENGTH..=MAX_LENGTH).contains(&w.length)
        && w.length.is_power_of_two()
        && w.start.is_multiple_of(w.length)
}

impl RemoteWants {
    /// Keeps a want. `false` when it is not to be answered.
    pub(crate) fn add(&mut self, want: Want) -> bool {
        if want.any {
            if self.any.len() < MAX_ANY {
                self.any.push(want);
            } else {
                self.all = true;
            }
            return true;
        }
        if want.length > MAX_LENGTH {
            return false;
        }
        let known = self.parts.contains_key(&want.length);
        if !is_part(&want) || self.size >= MAX_PARTS || (!known && self.parts.len() >= MAX_LENGTHS) {
            self.all = true;
            return true;
        }
        let n = want.start.checked_div(want.length).unwrap_or(0);
        if self.parts.entry(want.length).or_default().insert(n) {
            self.size += 1;
        }
        true
    }

    pub(crate) fn remove(&mut self, want: Want) {
        if want.any {
            self.any.retain(|w| (w.start, w.length) != (want.start, want.length));
            return;
        }
        if !is_part(&want) {
            return;
        }
        if let Some(set) = self.parts.get_mut(&want.length) {
            if set.remove(&want.start.checked_div(want.length).unwrap_or(0)) {
                self.size -= 1;
            }
            if set.is_empty() {
                self.parts.remove(&want.length);
            }
        }
    }

    /// The parts wanted, each as first block and number of blocks.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.parts.iter().flat_map(|(len, set)| set.iter().map(|n| (n.saturating_mul(*len), *len)))
    }

    /// Whether any block of `start..end` is wanted.
    pub(crate) fn touches(&self, start: u64, end: u64) -> bool {
        if self.all || start >= end {
            return self.all;
        }
        let any = |w: &Want| w.start < end && start < w.start.saturating_add(w.length);
        self.any.iter().any(any)
            || self.parts.iter().any(|(len, set)| {
                let len = (*len).max(1);
                set.range(start / len..=(end - 1) / len).next().is_some()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(start: u64, length: u64) -> Want {
        Want { start, length, any: false }
    }

    #[test]
    fn wanted_parts_are_found_and_forgotten() {
        let mut w = RemoteWants::default();
        assert!(w.add(want(PART, PART)) && w.add(want(64, 32)));
        assert!(!w.touches(0, 64) && w.touches(0, 65) && w.touches(PART * 2 - 1, PART * 3));
        assert!(!w.touches(PART * 2, PART * 3) && !w.touches(5, 5));
        w.remove(want(64, 32));
        assert!(!w.touches(64, 96));
        assert!(w.add(Want { start: 10, length: 5, any: true }) && w.touches(14, 15) && !w.touches(15, 20));
        w.remove(Want { start: 10, length: 5, any: true });
        assert!(!w.touches(14, 15));
        assert!(!w.add(want(0, PART * 2)), "parts that are too long are not answered");
    }

    #[test]
    fn a_peer_that_wants_too_much_wants_everything() {
        let mut w = RemoteWants::default();
        for i in 0..10_000 {
            w.add(want(i * 32, 32));
        }
        assert!(w.size <= MAX_PARTS && w.touches(1 << 40, (1 << 40) + 1));
        let mut w = RemoteWants::default();
        w.add(want(7, 33));
        assert!(w.touches(1 << 40, (1 << 40) + 1));
        let mut l = LocalWants::default();
        assert_eq!((0..1000).filter_map(|i| l.add(i)).count(), MAX_PARTS);
        assert!(l.is_full() && l.add(3).is_none());
    }
}
