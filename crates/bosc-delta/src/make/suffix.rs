//! The longest match of some bytes in a text.

use crate::common::common;
/// A text's suffixes in order.
pub(super) struct Suffixes {
    order: Vec<i32>,
    /// For each pair of bytes, where the suffixes that begin with it start.
    pairs: Vec<u32>,
    /// Which stretches of [`SHORTEST`] bytes the text has: one bit for each value of a hash.
    known: Vec<u64>,
}

/// Matches that are shorter are not found.
const SHORTEST: usize = 8;
const FILTER_BITS: u32 = 27;
/// Matches are not followed further than this.
const LONGEST: usize = 1 << 14;

fn filter(bytes: &[u8]) -> Option<usize> {
    let v = u64::from_le_bytes(*bytes.first_chunk::<SHORTEST>()?);
    Some((v.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize)
}

/// Finds repetitions of a text.
pub(super) trait Index {
    /// Where the longest match of the start of `query` is that is found, and its length.
    fn longest(&self, text: &[u8], query: &[u8]) -> (usize, usize);
}

/// Places of a text by a hash of some bytes there: quicker to make than [`Suffixes`], and finds less. Good enough to learn
/// where things went.
pub(super) struct Seeds {
    places: Vec<u32>,
    shift: u32,
}

/// Bytes that are hashed.
const SEED: usize = 16;
/// Every so many bytes of the text there is a place.
const STEP: usize = 4;

impl Seeds {
    pub(super) fn new(text: &[u8]) -> Seeds {
        let bits = (text.len() / STEP + 1).ilog2().clamp(12, 25) + 1;
        let mut seeds = Seeds { places: vec![0; 1 << bits], shift: 64 - bits };
        for at in (0..text.len()).step_by(STEP) {
            if let Some(slot) = text.get(at..).and_then(|t| seeds.slot(t))
                && let Some(place) = seeds.places.get_mut(slot)
                && *place == 0
            {
                *place = at as u32 + 1;
            }
        }
        seeds
    }

    fn slot(&self, bytes: &[u8]) -> Option<usize> {
        let bytes = bytes.first_chunk::<SEED>()?;
        let (a, b) = bytes.split_first_chunk::<8>()?;
        let (a, b) = (u64::from_le_bytes(*a), b.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)));
        let h = (a ^ b.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b;
        Some((h.wrapping_mul(0xff51_afd7_ed55_8ccd) >> self.shift) as usize)
    }
}

impl Index for Seeds {
    fn longest(&self, text: &[u8], query: &[u8]) -> (usize, usize) {
        let query = query.get(..LONGEST).unwrap_or(query);
        let place = self.slot(query).and_then(|s| self.places.get(s)).and_then(|p| p.checked_sub(1));
        let Some(place) = place.map(|p| p as usize) else { return (0, 0) };
        let len = common(text.get(place..).unwrap_or(&[]), query);
        if len < SEED { (0, 0) } else { (place, len) }
    }
}

impl Suffixes {
    /// None if the text is too long or memory is short.
    pub(super) fn new(text: &[u8]) -> Option<Suffixes> {
        i32::try_from(text.len()).ok()?;
        let mut order = vec![0; text.len()];
        if !text.is_empty() && libsais_rs::libsais(text, &mut order, 0, None) != 0 {
            return None;
        }
        let mut pairs = vec![0u32; 65_537];
        let mut known = vec![0u64; 1 << (FILTER_BITS - 6)];
        for i in 0..text.len() {
            let pair = usize::from(*text.get(i)?) << 8 | text.get(i + 1).map_or(0, |b| usize::from(*b));
            *pairs.get_mut(pair + 1)? += 1;
            if let Some(hash) = text.get(i..).and_then(filter) {
                *known.get_mut(hash >> 6)? |= 1 << (hash & 63);
            }
        }
        let mut sum = 0;
        for count in &mut pairs {
            sum += *count;
            *count = sum;
        }
        Some(Suffixes { order, pairs, known })
    }
}

impl Index for Suffixes {
    fn longest(&self, text: &[u8], query: &[u8]) -> (usize, usize) {
        let query = query.get(..LONGEST).unwrap_or(query);
        let known = filter(query).and_then(|h| Some(self.known.get(h >> 6)? >> (h & 63) & 1 == 1));
        if known != Some(true) {
            return (0, 0);
        }
        let [a, b, ..] = query else { return (0, 0) };
        let pair = usize::from(*a) << 8 | usize::from(*b);
        let at = |i: usize| self.pairs.get(i).map_or(0, |v| *v as usize);
        let (mut low, mut high) = (at(pair), at(pair + 1));
        let (mut best, mut low_len, mut high_len) = ((0, 0), 2, 2);
        while low < high {
            let middle = (low + high) / 2;
            let Some(place) = self.order.get(middle).map(|p| *p as usize) else { break };
            let suffix = text.get(place..).unwrap_or(&[]);
            let from = low_len.min(high_len).min(suffix.len());
            let len = from + common(suffix.get(from..).unwrap_or(&[]), query.get(from..).unwrap_or(&[]));
            if len > best.1 {
                best = (place, len);
            }
            if len == query.len() {
                break;
            }
            if suffix.get(len) < query.get(len) {
                (low, low_len) = (middle + 1, len);
            } else {
                (high, high_len) = (middle, len);
            }
        }
        best
    }
}
