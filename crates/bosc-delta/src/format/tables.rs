//! Layouts, derived ranges and anchors: what maker and client have to know of the two files' structure.

use super::Numbers;
#[cfg(feature = "make")]
use super::{put, put_signed};
use crate::Error;
use crate::coder::{Decoder, Model, context};
use crate::derive::Derived;
use crate::layout::{Layout, Region, RegionKind, Segment};

/// Bytes of the tables, before they are packed.
pub(super) const MOST_TABLES: u64 = 256 << 10;

/// No list is longer than this.
const MOST: u64 = 4096;

/// What is known of the two files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tables {
    pub(crate) old: Layout,
    /// Without regions.
    pub(crate) new: Layout,
    /// Ranges of the old file that are taken for zeros.
    pub(crate) holes: Vec<(u64, u64)>,
    /// Ranges of the new file that follow from the rest of it.
    pub(crate) derived: Vec<Derived>,
    /// Addresses of the old file and where they are in the new one.
    pub(crate) anchors: Vec<(u64, u64)>,
}

fn list<T>(
    n: &mut Numbers<'_>,
    mut one: impl FnMut(&mut Numbers<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let len = n.number()?;
    if len > MOST {
        return Err(Error::TooMuch("a table is too long"));
    }
    (0..len).map(|_| one(n)).collect()
}

impl Tables {
    /// Reads tables of `len` bytes, packed, for files of `lens` bytes.
    pub(crate) fn read(packed: &[u8], len: u64, lens: (u64, u64)) -> Result<Tables, Error> {
        if len == 0 {
            return Ok(Tables::default());
        }
        let mut raw = Vec::with_capacity(len.min(MOST_TABLES) as usize);
        let mut coder = Decoder::new(packed);
        let mut model = Model::new(14, 1);
        for _ in 0..len.min(MOST_TABLES) {
            let byte = model.byte(&mut coder, &contexts(&raw), 0, 0);
            raw.push(byte);
        }
        if coder.overrun() {
            return Err(Error::Damaged("its tables end early"));
        }
        let tables = Tables::parse(&mut Numbers::new(&raw))?;
        tables.check(lens)?;
        Ok(tables)
    }

    fn parse(n: &mut Numbers<'_>) -> Result<Tables, Error> {
        let images = list(n, |n| n.number())?;
        let segments = list(n, |n| segment(n, Segment::default()))?;
        let mut end = 0u64;
        let regions = list(n, |n| {
            let [kind] = n.bytes()?;
            let kind =
                RegionKind::from_number(kind).ok_or(Error::Damaged("a region is of an unknown kind"))?;
            let offset = n.number()?.checked_add(end).ok_or(Error::Damaged("a region is too long"))?;
            let region = Region {
                kind,
                offset,
                len: n.number()?,
                address: n.number()?,
                a: n.number()?,
                b: n.number()?,
            };
            end = region.end();
            Ok(region)
        })?;
        let walks = list(n, |n| {
            let [kind] = n.bytes()?;
            let kind =
                RegionKind::from_number(kind).ok_or(Error::Damaged("a region is of an unknown kind"))?;
            let (offset, len, address) = (n.number()?, n.number()?, n.number()?);
            Ok(Region { kind, offset, len, address, a: n.number()?, b: n.number()? })
        })?;
        let new_images = list(n, |n| n.number())?;
        let mut i = 0;
        let new_segments = list(n, |n| {
            let like = segments.get(i).copied().unwrap_or_default();
            i += 1;
            segment(n, like)
        })?;
        let holes = list(n, |n| Ok((n.number()?, n.number()?)))?;
        let derived = list(n, Derived::read)?;
        let anchors = list(n, |n| {
            let old = n.number()?;
            Ok((old, old.wrapping_add_signed(n.signed()?)))
        })?;
        Ok(Tables {
            old: Layout { images, segments, regions, walks, placed: false },
            new: Layout { images: new_images, segments: new_segments, ..Layout::default() },
            holes,
            derived,
            anchors,
        })
    }

    fn check(&self, (old, new): (u64, u64)) -> Result<(), Error> {
        let within = |at: u64, len: u64, file: u64| at.checked_add(len).is_some_and(|end| end <= file);
        let fits = |layout: &Layout, file: u64| {
            layout.segments.len() <= 256 && layout.segments.iter().all(|s| within(s.offset, s.file_len, file))
        };
        let mut regions = self.old.regions.iter().chain(&self.old.walks);
        let regions = regions.all(|r| within(r.offset, r.len, old)) && self.old.walks.len() <= 16;
        let code = self.old.regions.iter().filter(|r| r.kind.is_code()).count() <= 64;
        let holes = self.holes.len() <= 64 && self.holes.iter().all(|h| within(h.0, h.1, old));
        let mut end = 0;
        let derived = self.derived.len() <= 64
            && self.derived.iter().all(|d| {
                let fits = d.offset >= end && within(d.offset, d.len, new) && d.fits(new);
                end = d.offset.saturating_add(d.len);
                fits
            });
        if fits(&self.old, old) && fits(&self.new, new) && regions && code && holes && derived {
            return Ok(());
        }
        Err(Error::Damaged("its tables do not fit the files"))
    }

    /// Writes the tables: their length, and packed.
    #[cfg(feature = "make")]
    pub(crate) fn write(&self) -> (u64, Vec<u8>) {
        if *self == Tables::default() {
            return (0, Vec::new());
        }
        let mut raw = Vec::new();
        let out = &mut raw;
        let numbers = |out: &mut Vec<u8>, list: &[u64]| list.iter().for_each(|v| put(out, *v));
        let len = |out: &mut Vec<u8>, len: usize| put(out, len as u64);
        len(out, self.old.images.len());
        numbers(out, &self.old.images);
        len(out, self.old.segments.len());
        self.old.segments.iter().for_each(|s| put_segment(out, s, Segment::default()));
        len(out, self.old.regions.len());
        let mut end = 0;
        for r in &self.old.regions {
            out.push(r.kind as u8);
            numbers(out, &[r.offset - end, r.len, r.address, r.a, r.b]);
            end = r.end();
        }
        len(out, self.old.walks.len());
        for r in &self.old.walks {
            out.push(r.kind as u8);
            numbers(out, &[r.offset, r.len, r.address, r.a, r.b]);
        }
        len(out, self.new.images.len());
        numbers(out, &self.new.images);
        len(out, self.new.segments.len());
        for (i, s) in self.new.segments.iter().enumerate() {
            put_segment(out, s, self.old.segments.get(i).copied().unwrap_or_default());
        }
        len(out, self.holes.len());
        self.holes.iter().for_each(|h| numbers(out, &[h.0, h.1]));
        len(out, self.derived.len());
        self.derived.iter().for_each(|d| d.write(out));
        len(out, self.anchors.len());
        for (old, new) in &self.anchors {
            put(out, *old);
            put_signed(out, new.wrapping_sub(*old) as i64);
        }
        let mut coder = crate::coder::Encoder::new();
        let mut model = Model::new(14, 1);
        for (i, byte) in raw.iter().enumerate() {
            model.byte(&mut coder, &contexts(raw.get(..i).unwrap_or(&[])), 0, *byte);
        }
        (raw.len() as u64, coder.finish())
    }
}

fn contexts(before: &[u8]) -> [u32; 3] {
    let mut last = before.iter().rev().map(|b| u64::from(*b));
    let mut next = || last.next().unwrap_or(0);
    let (a, b, c) = (next(), next(), next());
    [context(&[1]), context(&[2, a]), context(&[3, a, b, c])]
}

fn segment(n: &mut Numbers<'_>, like: Segment) -> Result<Segment, Error> {
    Ok(Segment {
        address: like.address.wrapping_add_signed(n.signed()?),
        offset: like.offset.wrapping_add_signed(n.signed()?),
        file_len: like.file_len.wrapping_add_signed(n.signed()?),
        memory_len: like.memory_len.wrapping_add_signed(n.signed()?),
    })
}

#[cfg(feature = "make")]
fn put_segment(out: &mut Vec<u8>, s: &Segment, like: Segment) {
    for (v, like) in [
        (s.address, like.address),
        (s.offset, like.offset),
        (s.file_len, like.file_len),
        (s.memory_len, like.memory_len),
    ] {
        put_signed(out, v.wrapping_sub(like) as i64);
    }
}
