//! What a copy is expected to be: the old bytes, with every reference to where its target went. Maker and client walk the
//! same way; they differ in where the truth comes from.

use crate::Error;
use crate::base::Base;
use crate::extract::Extractor;
use crate::field::{Field, Kind};
use crate::layout::{Layout, RAW};
use crate::map::{Copy, Map};
use std::collections::HashMap;

/// Where the truth comes from.
pub(crate) trait Side {
    /// Bytes that are expected as they are in the old file.
    fn plain(&mut self, old: &[u8]) -> Result<(), Error>;

    /// A field that is expected to stand for `guess`. Returns its true bytes, and the target they stand for if they differ.
    fn field(&mut self, field: &Field, guess: u64) -> Result<([u8; 8], Option<u64>), Error>;
}

/// The state of a walk.
pub(crate) struct Walk<'a, B: Base + ?Sized> {
    extractor: Extractor<'a, B>,
    map: Map,
    old: &'a Layout,
    new: &'a Layout,
    /// Targets whose place turned out to be another than the map says.
    corrected: Corrected,
    counts: [u32; 8],
}

/// Places that are known to have gone elsewhere than the map says.
struct Corrected {
    places: HashMap<u64, u64>,
    /// One bit for each value of a hash: most places are in none.
    known: Vec<u64>,
}

const KNOWN_BITS: u32 = 20;

impl Corrected {
    fn new(anchors: &[(u64, u64)]) -> Corrected {
        let mut out = Corrected { places: HashMap::new(), known: vec![0; 1 << (KNOWN_BITS - 6)] };
        anchors.iter().for_each(|(from, to)| out.insert(*from, *to));
        out
    }

    fn bit(place: u64) -> (usize, u64) {
        let h = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KNOWN_BITS);
        ((h >> 6) as usize, 1 << (h & 63))
    }

    fn get(&self, place: u64) -> Option<u64> {
        let (word, bit) = Corrected::bit(place);
        if self.known.get(word).is_none_or(|w| w & bit == 0) {
            return None;
        }
        self.places.get(&place).copied()
    }

    fn insert(&mut self, place: u64, to: u64) {
        let (word, bit) = Corrected::bit(place);
        if let Some(word) = self.known.get_mut(word) {
            *word |= bit;
        }
        self.places.insert(place, to);
    }

    /// Notes where a place went, as long as there is room.
    fn note(&mut self, place: u64, to: u64) {
        if self.places.len() < MOST_CORRECTED || self.get(place).is_some() {
            self.insert(place, to);
        }
    }
}

/// No more corrections than this are kept.
const MOST_CORRECTED: usize = 1 << 19;

impl<'a, B: Base + ?Sized> Walk<'a, B> {
    /// `anchors`: places that are known to have gone elsewhere.
    pub(crate) fn new(
        extractor: Extractor<'a, B>,
        map: Map,
        old: &'a Layout,
        new: &'a Layout,
        anchors: &[(u64, u64)],
    ) -> Walk<'a, B> {
        Walk { extractor, map, old, new, corrected: Corrected::new(anchors), counts: [0; 8] }
    }

    /// Walks one copy. Its ranges lie within the files.
    pub(crate) fn copy<S: Side>(&mut self, copy: Copy, side: &mut S) -> Result<(), Error> {
        let (start, end) = (u64::from(copy.old), u64::from(copy.old) + u64::from(copy.len));
        let mut at = start;
        let translator = Translator { map: &self.map, old: self.old, new: self.new };
        while at < end {
            let block = self.extractor.block(at)?;
            let bytes = block.bytes();
            let to = block.end().min(end);
            let bytes_at = |from: u64, to: u64| {
                let range = (from - block.start) as usize..(to - block.start) as usize;
                bytes.get(range).ok_or(Error::Damaged("a copy lies beyond the old file"))
            };
            let first = block.references.partition_point(|r| r.offset < at);
            for r in block.references.get(first..).unwrap_or(&[]) {
                if r.offset >= to || r.end() > end {
                    break;
                }
                if r.offset < at {
                    continue;
                }
                if r.offset > at {
                    side.plain(bytes_at(at, r.offset)?)?;
                }
                at = r.end();
                let mut old = [0; 8];
                for (to, from) in old.iter_mut().zip(bytes_at(r.offset, at)?) {
                    *to = *from;
                }
                let word = u64::from_le_bytes(old) as u32;
                let here = self.new.address(u64::from(copy.new) + (r.offset - start));
                let moved = self.counts.get_mut((r.base & 7) as usize).filter(|_| r.kind == Kind::Count);
                let guess = match &moved {
                    Some(moved) => u64::from(word.wrapping_add(**moved)),
                    None => translator.target(r.target, &self.corrected),
                };
                let base = match r.kind {
                    Kind::FromBase | Kind::Jump | Kind::FromBase24 => {
                        translator.target(r.base, &self.corrected)
                    }
                    _ => 0,
                };
                let field =
                    Field { kind: r.kind, tail: r.tail, here, base, image: self.new.image_base(guess), old };
                let (bytes, target) = side.field(&field, guess)?;
                if let Some(moved) = moved {
                    *moved = (u64::from_le_bytes(bytes) as u32).wrapping_sub(word);
                } else if let Some(target) = target
                    // Where a page of distances starts may have moved, and not what they name.
                    && r.kind != Kind::FromBase24
                {
                    self.corrected.note(r.target, target);
                }
            }
            if at < to {
                side.plain(bytes_at(at, to)?)?;
                at = to;
            }
        }
        Ok(())
    }
}

/// Says where addresses went.
pub(crate) struct Translator<'a> {
    pub(crate) map: &'a Map,
    pub(crate) old: &'a Layout,
    pub(crate) new: &'a Layout,
}

impl Translator<'_> {
    fn target(&self, address: u64, corrected: &Corrected) -> u64 {
        corrected.get(address).unwrap_or_else(|| self.plain(address))
    }

    /// Without corrections.
    pub(crate) fn plain(&self, address: u64) -> u64 {
        if let Some(offset) = self.old.offset(address) {
            let new = self.map.get(offset);
            // A name in a file stays a position, whatever is around it.
            return if address & RAW != 0 { new & !RAW | RAW } else { self.new.address(new & !RAW) };
        }
        // Memory without bytes: it keeps its distance from the segment's end.
        let segment = self
            .old
            .segment_of(address)
            .and_then(|i| Some((self.old.segments.get(i)?, self.new.segments.get(i)?)));
        match segment {
            Some((old, new)) => address
                .wrapping_add(new.address.wrapping_add(new.memory_len))
                .wrapping_sub(old.address.wrapping_add(old.memory_len)),
            None => address,
        }
    }
}
