//! Which stretches of two texts are nearly the same: the method of Colin Percival's bsdiff. A stretch goes on over bytes that
//! differ as long as most are equal.

use super::suffix::Index;
use crate::common::common;
use crate::map::Copy;

/// An alignment that holds for so many bytes needs no search.
const ALIGNED: usize = 24;
/// Another alignment has to be better by more than this.
const BETTER: i64 = 8;
/// How far back a stretch is lengthened.
const MOST_BACK: usize = 1 << 16;

struct Texts<'a> {
    old: &'a [u8],
    new: &'a [u8],
}

impl Texts<'_> {
    fn same(&self, old: i64, new: usize) -> bool {
        let old = usize::try_from(old).ok().and_then(|o| self.old.get(o));
        old.is_some() && old == self.new.get(new)
    }

    fn common(&self, old: i64, new: usize) -> usize {
        let old = usize::try_from(old).ok().and_then(|o| self.old.get(o..));
        old.map_or(0, |old| common(old, self.new.get(new..).unwrap_or(&[])))
    }
}

/// Stretches of `new` that are nearly in `old`, in order; positions count from `old_start` and `new_start`.
pub(super) fn stretches(
    index: &impl Index,
    (old, old_start): (&[u8], u32),
    (new, new_start): (&[u8], u32),
    out: &mut Vec<Copy>,
) {
    let t = Texts { old, new };
    let (mut scan, mut len, mut place) = (0usize, 0usize, 0usize);
    // The stretch that is open: where it starts in both.
    let (mut open_new, mut open_old) = (0usize, 0usize);
    while scan < new.len() {
        let alignment = open_old as i64 - open_new as i64;
        let (mut score, mut scored);
        scan += len;
        scored = scan;
        score = 0i64;
        while scan < new.len() {
            if score >= 0 {
                let aligned = t.common(scan as i64 + alignment, scan);
                if aligned >= ALIGNED {
                    scan += aligned;
                    scored = scan;
                    score = 0;
                    continue;
                }
            }
            (place, len) = index.longest(old, new.get(scan..).unwrap_or(&[]));
            while scored < scan + len {
                score += i64::from(t.same(scored as i64 + alignment, scored));
                scored += 1;
            }
            if len > 0 && len as i64 == score || len as i64 > score + BETTER {
                break;
            }
            if scored > scan {
                score -= i64::from(t.same(scan as i64 + alignment, scan));
            } else {
                scored = scan + 1;
            }
            scan += 1;
        }
        scan = scan.min(new.len());
        if len as i64 == score && scan < new.len() {
            continue;
        }
        let mut forward = forward(&t, open_old, open_new, scan);
        let mut back = if scan < new.len() { backward(&t, place, scan, scan - open_new) } else { 0 };
        if open_new + forward > scan - back {
            let overlap = open_new + forward - (scan - back);
            let kept =
                split(&t, open_old + forward - overlap, open_new + forward - overlap, place - back, overlap);
            forward = forward + kept - overlap;
            back -= kept;
        }
        if forward > 0 {
            out.push(Copy {
                old: old_start + open_old as u32,
                new: new_start + open_new as u32,
                len: forward as u32,
            });
        }
        (open_new, open_old) = (scan - back, place - back);
    }
}

/// How far the open stretch goes on for the best.
fn forward(t: &Texts<'_>, old: usize, new: usize, until: usize) -> usize {
    let (mut score, mut best, mut len) = (0i64, 0i64, 0);
    let pairs = t.old.iter().skip(old).zip(t.new.iter().take(until).skip(new));
    for (i, (a, b)) in pairs.enumerate() {
        score += if a == b { 1 } else { -1 };
        if score > best {
            (best, len) = (score, i + 1);
        }
    }
    len
}

/// How far the next stretch goes back for the best.
fn backward(t: &Texts<'_>, old: usize, new: usize, most: usize) -> usize {
    let (mut score, mut best, mut len) = (0i64, 0i64, 0);
    let pairs = t.old.iter().take(old).rev().zip(t.new.iter().take(new).rev());
    for (i, (a, b)) in pairs.take(most.min(MOST_BACK)).enumerate() {
        score += if a == b { 1 } else { -1 };
        if score > best {
            (best, len) = (score, i + 1);
        }
    }
    len
}

/// How much of `overlap` bytes at `new` is better taken from `first` than from `second`.
fn split(t: &Texts<'_>, first: usize, new: usize, second: usize, overlap: usize) -> usize {
    let (mut score, mut best, mut len) = (0i64, 0i64, 0);
    for i in 0..overlap {
        score +=
            i64::from(t.same((first + i) as i64, new + i)) - i64::from(t.same((second + i) as i64, new + i));
        if score > best {
            (best, len) = (score, i + 1);
        }
    }
    len
}
