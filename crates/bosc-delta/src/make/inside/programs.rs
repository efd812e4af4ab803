//! Executables anywhere in a file: in an archive that does not pack, or inside of one that does.

use super::super::read::{self, Structure};
use crate::hash::hash;
use crate::layout::{IMAGE_SHIFT, RAW, RegionKind, Segment};
use std::collections::HashSet;

/// Programs that are understood in one file.
const MOST: usize = 24;
/// Shorter ones are not worth their tables.
const LEAST: usize = 4096;
/// What a patch may say of both files.
const MOST_SEGMENTS: usize = 250;
const MOST_CODE: usize = 60;
const MOST_REGIONS: usize = 3000;

struct Program<'a> {
    start: usize,
    bytes: &'a [u8],
    structure: Structure,
    /// Hashes of some of its content.
    sketch: HashSet<u32>,
}

/// The structures of both files: each of its programs that the other does not have as well, in pairs.
pub(in crate::make) fn structures(old: &[u8], new: &[u8]) -> (Structure, Structure) {
    let (a, b) = (read::structure(old), read::structure(new));
    let whole =
        |file: &[u8], s: &Structure| !s.layout.regions.is_empty() && read::length(file) > file.len() / 2;
    if whole(old, &a) && whole(new, &b) {
        return (a, b);
    }
    let (mut of_old, mut of_new) = (find(old), find(new));
    let (in_old, in_new) = (hashes(&of_old), hashes(&of_new));
    of_old.retain(|p| !in_new.contains(&hash(p.bytes)));
    of_new.retain(|p| !in_old.contains(&hash(p.bytes)));
    let (mut a, mut b) = (Structure::default(), Structure::default());
    // The largest first: there may be more than a patch has room for.
    of_new.sort_by_key(|p| (std::cmp::Reverse(p.bytes.len()), p.start));
    for new in of_new.into_iter().take(MOST) {
        let alike = |old: &Program<'_>| {
            let same = old.sketch.intersection(&new.sketch).count();
            (same * 8 > new.sketch.len()).then_some((same, std::cmp::Reverse(old.start)))
        };
        let best = of_old.iter().enumerate().filter_map(|(i, old)| Some((alike(old)?, i))).max();
        let Some((_, i)) = best else { continue };
        let old = of_old.remove(i);
        let room = |to: &Structure, s: &Structure| {
            let code = |s: &Structure| s.layout.regions.iter().filter(|r| r.kind.is_code()).count();
            to.layout.segments.len() + s.layout.segments.len() <= MOST_SEGMENTS
                && code(to) + code(s) <= MOST_CODE
                && to.layout.regions.len() + s.layout.regions.len() <= MOST_REGIONS
                && to.layout.walks.len() + s.layout.walks.len() <= 16
                && to.derived.len() + s.derived.len() <= 60
        };
        if !room(&a, &old.structure) || !room(&b, &new.structure) {
            continue;
        }
        add(&mut a, old.structure, old.start as u64);
        add(&mut b, new.structure, new.start as u64);
        // What is of one pair has the same numbers on both sides.
        let images = a.layout.images.len().max(b.layout.images.len());
        let segments = a.layout.segments.len().max(b.layout.segments.len());
        for s in [&mut a, &mut b] {
            s.layout.images.resize(images, 0);
            s.layout.segments.resize(segments, Segment::default());
        }
    }
    for s in [&mut a, &mut b] {
        s.layout.placed = !s.layout.regions.is_empty();
        s.layout.regions.sort_by_key(|r| r.offset);
        s.derived.sort_by_key(|(d, _)| d.offset);
    }
    (a, b)
}

fn hashes(programs: &[Program<'_>]) -> HashSet<[u8; 32]> {
    programs.iter().map(|p| hash(p.bytes)).collect()
}

/// Programs in order, none over another.
fn find(file: &[u8]) -> Vec<Program<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = next(file, at) {
        at = found + 1;
        let rest = file.get(found..).unwrap_or(&[]);
        let len = read::length(rest).min(rest.len());
        if len < LEAST {
            continue;
        }
        let bytes = rest.get(..len).unwrap_or(&[]);
        let structure = read::structure(bytes);
        if structure.layout.regions.is_empty() {
            continue;
        }
        out.push(Program { start: found, bytes, structure, sketch: sketch(bytes) });
        at = found + len;
    }
    out
}

/// Where a program may begin.
fn next(file: &[u8], from: usize) -> Option<usize> {
    let rest = file.get(from..)?;
    let at = rest.windows(4).position(|w| {
        matches!(
            w,
            [0x7f, b'E', b'L', b'F']
                | [0xcf, 0xfa, 0xed, 0xfe]
                | [0xca, 0xfe, 0xba, 0xbe]
                | [b'M', b'Z', _, 0]
        )
    })?;
    Some(from + at)
}

/// Which of its content a file is known by.
fn sketch(bytes: &[u8]) -> HashSet<u32> {
    let seen = bytes.get(..4 << 20).unwrap_or(bytes);
    let hashes = seen.chunks_exact(4).zip(seen.chunks_exact(4).skip(1)).map(|(a, b)| {
        let word = |c: &[u8]| c.first_chunk().map_or(0, |c| u32::from_le_bytes(*c));
        let h = (u64::from(word(a)) << 32 | u64::from(word(b))).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (h >> 32) as u32
    });
    hashes.filter(|h| h % 64 == 0).collect()
}

/// Adds the structure of a program that begins `start` bytes into the file.
fn add(to: &mut Structure, s: Structure, start: u64) {
    let tag = (to.layout.images.len() as u64) << IMAGE_SHIFT;
    let moved =
        |v: u64| if v & RAW != 0 { (v & !RAW).wrapping_add(start) | RAW } else { v.wrapping_add(tag) };
    to.layout.images.extend(s.layout.images);
    to.layout.segments.extend(s.layout.segments.into_iter().map(|g| Segment {
        address: moved(g.address),
        offset: g.offset + start,
        ..g
    }));
    let region = |mut r: crate::layout::Region| {
        r.offset += start;
        r.address = moved(r.address);
        match r.kind {
            RegionKind::Symbols | RegionKind::Nlist => (r.a, r.b) = (moved(r.a), moved(r.b)),
            RegionKind::Relative => r.a = moved(r.a),
            RegionKind::Go => r.a = if r.a == 0 { 0 } else { r.a + start },
            _ => {}
        }
        r
    };
    to.layout.regions.extend(s.layout.regions.into_iter().map(region));
    to.layout.walks.extend(s.layout.walks.into_iter().map(region));
    to.derived.extend(s.derived.into_iter().map(|(d, holds)| (d.moved(start, tag), holds)));
    to.filled.extend(s.filled.into_iter().map(|(at, target)| (at + start, moved(target))));
    to.names.extend(s.names.into_iter().map(|(name, address)| (format!("{tag} {name}"), moved(address))));
}
