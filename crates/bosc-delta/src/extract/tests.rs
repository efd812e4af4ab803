//! The extractor is frozen: what it finds in these bytes never changes. A hash that differs breaks patches that are out there; what
//! is to be found otherwise needs a new version.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use super::*;
use crate::derive::{PageHasher, frame_index};
use crate::hash::hash;
use crate::layout::{IMAGE_SHIFT, RAW, Segment};

use crate::program::noise;

const LEN: u64 = 80_000;
const BASE: u64 = 0x14_0000_0000;

fn layout(kind: RegionKind, (offset, address): (u64, u64), (a, b): (u64, u64)) -> Layout {
    let segment = |from: u64, to: u64| Segment {
        address: address - offset + from,
        offset: from,
        file_len: to - from,
        memory_len: to - from + 0x1000,
    };
    let region =
        |kind, offset: u64, len, a, b| Region { kind, offset, len, address: address - 4096 + offset, a, b };
    let code = if kind == RegionKind::Arm64 { RegionKind::Arm64 } else { RegionKind::X86 };
    let mut regions = vec![region(code, 4096, 30_000, 0, 0)];
    let mut walks = Vec::new();
    if matches!(kind, RegionKind::Go | RegionKind::Unwind) {
        walks.push(region(kind, 40_000, 30_000, a, b));
    } else if kind == RegionKind::X86Tables {
        regions[0].kind = kind;
    } else if !kind.is_code() {
        regions.push(region(kind, 40_000, 30_000, a, b));
    }
    Layout {
        images: vec![BASE],
        segments: vec![segment(4096, 40_000), segment(40_000, 72_000)],
        regions,
        walks,
        placed: false,
    }
}

/// Code with calls, `lea` and arm64's pairs; data with addresses of every form, tables of jumps, frames and records.
fn bytes(layout: &Layout, shift: u64) -> Vec<u8> {
    let mut file = noise(11, LEN as usize);
    let picks = noise(12, 200_000);
    let mut next = {
        let mut picks = picks.chunks_exact(4).cycle();
        move || u64::from(u32::from_le_bytes(picks.next().unwrap().try_into().unwrap()))
    };
    let at = |offset: u64| layout.segments[0].address.wrapping_add(offset - 4096);
    let mut put = |i: u64, bytes: &[u8]| file[i as usize..i as usize + bytes.len()].copy_from_slice(bytes);
    // Code.
    let mut i = 4096 + shift;
    while i < 34_000 {
        let target =
            if next() % 2 == 0 { 4096 + next() % 29_000 } else { 40_000 + next() % 7000 * 4 + shift };
        let (opcode, len): (&[u8], u64) = match next() % 4 {
            0 => (&[0xe8], 5),
            1 => (&[0x48, 0x8d, 0x05], 7),
            2 => (&[0x0f, 0x84], 6),
            _ => (&[0x48, 0x8b, 0x0d], 7),
        };
        put(i, opcode);
        put(i + len - 4, &(target.wrapping_sub(i + len) as u32).to_le_bytes());
        i += len + next() % 3;
    }
    let kind = layout.regions[0].kind;
    if kind == RegionKind::Arm64 {
        for i in (4096..34_000).step_by(16) {
            let target = at(4096 + next() % 60_000 / 8 * 8);
            let words = (target.wrapping_sub(at(i)) as i64 >> 2) as u32 & 0x3ff_ffff;
            let pages = ((target >> 12) as i64 - (at(i + 4) >> 12) as i64) as u32;
            let load = if next() % 2 == 0 {
                0x9100_0021 | (target as u32 & 0xfff) << 10
            } else {
                0xf940_0022 | (target as u32 & 0xff8) << 7
            };
            for (k, word) in
                [0x9400_0000 | words, 0x9000_0001 | (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5, load]
                    .iter()
                    .enumerate()
            {
                put(i + 4 * k as u64, &word.to_le_bytes());
            }
        }
    }
    if kind == RegionKind::X86Tables {
        for table in (8192..30_000u64).step_by(2048) {
            put(table - 7, &[0x48, 0x8d, 0x05, 0, 0, 0, 0]);
            (0..30).for_each(|k| put(table + 4 * k, &(next() as u32 % 4000 + 1).to_le_bytes()));
        }
    }
    // Data.
    let mut i = 40_000 + shift;
    while i < 70_000 {
        let target = 4096 + next() % 60_000;
        let address = at(target) & !(u64::MAX << IMAGE_SHIFT);
        match next() % 8 {
            0 | 1 => put(i, &(BASE + address).to_le_bytes()),
            2 => put(i, &(address | 1 << 51).to_le_bytes()),
            3 => (0..6).for_each(|k| {
                put(i + 4 * k, &((4096 + next() % 30_000).wrapping_sub(i) as u32).to_le_bytes())
            }),
            4 => put(i, &[&20u32.to_le_bytes()[..], &((i - 40_000) as u32).to_le_bytes()].concat()),
            5 => put(i, &(next() as u32 % 3000).to_le_bytes()),
            6 => put(i, &(address as u32).to_le_bytes()),
            _ => {}
        }
        i += 8 * (1 + next() % 4);
    }
    file
}

fn found(file: &[u8], layout: &Layout, holes: &[(u64, u64)]) -> (usize, String) {
    let mut extractor = Extractor::new(file, layout, holes, u64::MAX).unwrap();
    let (mut all, mut count, mut at) = (Vec::new(), 0, 0);
    while at < file.len() as u64 {
        let block = extractor.block(at).unwrap();
        at = block.end();
        for r in &block.references {
            count += 1;
            all.extend_from_slice(&[r.kind as u8, r.tail]);
            [r.offset, r.target, r.base].iter().for_each(|v| all.extend_from_slice(&v.to_le_bytes()));
        }
    }
    (count, short(&all))
}

fn short(bytes: &[u8]) -> String {
    hash(bytes).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// A function table of Go, and module data at 71,000 with lists of types.
fn go(file: &mut [u8]) {
    let mut put = |i: usize, v: u64| file[i..i + 8].copy_from_slice(&v.to_le_bytes());
    let address = |offset: u64| BASE + offset;
    for (i, v) in
        [0x0801_0000_ffff_fff1, 300, 20, address(4096), 80, 2000, 2600, 4000, 6000].iter().enumerate()
    {
        put(40_000 + 8 * i, *v);
    }
    for i in 0..300 {
        put(46_000 + 8 * i, (i as u64 * 90) | (2400 + 64 * i as u64) << 32);
    }
    for i in 0..300 {
        let f = 46_000 + 2400 + 64 * i;
        for k in 0..8 {
            put(f + 8 * k, ((i * 7 + k * 31) as u64 % 900) | ((i as u64 * 3 % 200) << 32));
        }
        put(f + 24, 5 | 3 << 32);
        put(f + 40, 4 << 56 | 0x20);
    }
    for i in 0..50 {
        put(71_000 + 8 * i, [address(40_000), address(4096), address(50_000 + 24 * i as u64), 900][i % 4]);
    }
    for (i, v) in [(19, address(60_000)), (20, address(4096)), (21, address(30_000)), (22, address(4096))] {
        put(71_000 + 8 * i, v);
    }
    for (i, v) in [(37, 50_000), (38, 69_000), (40, 45_000), (44, 62_000)] {
        put(71_000 + 8 * i, address(v));
    }
    put(71_000 + 8 * 45, 40);
    put(71_000 + 8 * 46, 40);
    for i in 0..40 {
        file[62_000 + 4 * i..][..4].copy_from_slice(&(i as u32 * 160).to_le_bytes());
    }
    for i in 0..1000 {
        let t = 50_000 + 8 * i;
        if i % 20 == 2 {
            file[t + 4..t + 8].copy_from_slice(&[1, 8, 8, [20, 25, 19, 21, 22, 23, 17, 18][i / 20 % 8]]);
        }
    }
}

/// An index of functions, pages and language data.
fn unwind(file: &mut [u8]) {
    let mut put = |i: usize, v: u32| file[i..i + 4].copy_from_slice(&v.to_le_bytes());
    for (i, v) in [1, 28, 0, 28, 2, 40, 4].iter().enumerate() {
        put(40_000 + 4 * i, *v);
    }
    for i in 0..4 {
        put(40_040 + 12 * i, 4096 + 500 * i as u32);
        put(40_044 + 12 * i, if i == 3 { 0 } else { 200 + 400 * i as u32 });
        put(40_048 + 12 * i, 100 + 16 * i as u32);
        put(40_200 + 400 * i, 2 + i as u32 % 2);
        put(40_204 + 400 * i, 12 | 30 << 16);
    }
}

#[test]
fn what_is_found_never_changes() {
    let kinds = [
        (RegionKind::X86, (0, 0), FROZEN[0]),
        (RegionKind::Arm64, (0, 0), FROZEN[1]),
        (RegionKind::Pointers, (0, 0), FROZEN[2]),
        (RegionKind::Constants, (1, 0), FROZEN[3]),
        (RegionKind::Rela, (0, 0), FROZEN[4]),
        (RegionKind::Symbols, (50_000 | RAW, 0), FROZEN[5]),
        (RegionKind::EhFrame, (0, 0), FROZEN[6]),
        (RegionKind::EhFrame, (1, 0), FROZEN[7]),
        (RegionKind::Relative, (4096, 12), FROZEN[8]),
        (RegionKind::MachoData, (0, 0), FROZEN[9]),
        (RegionKind::Go, (71_001, 0), FROZEN[10]),
        (RegionKind::Nlist, (50_000 | RAW, 4096), FROZEN[11]),
        (RegionKind::Counts, (2, 0), FROZEN[12]),
        (RegionKind::Unwind, (0, 0), FROZEN[13]),
        (RegionKind::X86Tables, (0, 0), FROZEN[14]),
    ];
    let mut seen = Vec::new();
    for (kind, (a, b), _) in kinds {
        let layout = layout(kind, (4096, 4096), (a, b));
        let mut file = bytes(&layout, 0);
        match kind {
            RegionKind::Go => go(&mut file),
            RegionKind::Unwind => unwind(&mut file),
            RegionKind::EhFrame => {
                for i in 0..1000 {
                    let at = 40_000 + 28 * i;
                    file[at..at + 4].copy_from_slice(&24u32.to_le_bytes());
                    file[at + 4..at + 8].copy_from_slice(
                        &(if i % 30 == 0 { 0 } else { 28 * (i as u32 % 30) + 4 }).to_le_bytes(),
                    );
                    file[at + 8..at + 12].copy_from_slice(&(0u32.wrapping_sub(30_000)).to_le_bytes());
                    file[at + 16] = if i % 3 == 0 { 4 } else { 1 };
                }
            }
            _ => {}
        }
        seen.push(found(&file, &layout, &[(45_000, 900)]));
    }
    let frozen: Vec<(usize, String)> = kinds.iter().map(|k| (k.2.0, k.2.1.to_owned())).collect();
    assert_eq!(seen, frozen);
}

/// A program that begins anywhere has the same references as at the start of a page: version 2 of the extractor.
#[test]
fn programs_that_begin_anywhere() {
    let placed = |shift: u64, placed: bool| {
        let mut l = layout(RegionKind::Constants, (4096, 4096), (1, 0));
        let file = bytes(&l, 0);
        let moved: Vec<u8> = [vec![0; shift as usize], file].concat();
        l.segments.iter_mut().for_each(|s| s.offset += shift);
        l.regions.iter_mut().for_each(|r| r.offset += shift);
        l.placed = placed;
        let mut extractor = Extractor::new(&moved[..], &l, &[], u64::MAX).unwrap();
        let mut out = Vec::new();
        let mut at = 0;
        while at < moved.len() as u64 {
            let block = extractor.block(at).unwrap();
            at = block.end();
            out.extend(block.references.iter().map(|r| (r.offset - shift, r.kind, r.target, r.base)));
        }
        out.into_iter().filter(|r| r.1 == Kind::Jump).collect::<Vec<_>>()
    };
    let there = placed(0, false);
    assert!(there.len() > 100, "{}", there.len());
    assert_eq!(placed(0, true), there);
    for shift in [1, 2, 3, 4096] {
        assert_eq!(placed(shift, true), there, "{shift}");
    }
    assert_ne!(placed(1, false), there, "version 1 asks for the position");
}

#[test]
fn derived_ranges_never_change() {
    let mut frames = noise(13, 9000);
    for i in 0..300 {
        frames[30 * i..30 * i + 4].copy_from_slice(&26u32.to_le_bytes());
        if i % 10 == 0 {
            frames[30 * i + 4..30 * i + 8].fill(0);
        }
    }
    let index = frame_index(&frames, 70_000, 60_000);
    assert_eq!((index.len(), short(&index).as_str()), FRAME_INDEX);
    let mut pages = PageHasher::new(4096, 1000, 30_000);
    let file = noise(14, 40_000);
    let mut at = 0;
    for piece in file.chunks(777) {
        pages.take(at, piece);
        at += piece.len() as u64;
    }
    assert_eq!((pages.digests.len(), short(&pages.digests).as_str()), PAGES);
}

const FROZEN: [(usize, &str); 15] = [
    (2730, "2497db4f9dae3517"),
    (5612, "4a86c88f83016f58"),
    (3108, "2cebb46ebaf1bbb7"),
    (3216, "d17bc02ffed67028"),
    (2992, "d4136d2aceac89f3"),
    (4059, "56d85daca9f65e11"),
    (4608, "d6a5b2f78c8e96f1"),
    (4604, "89c7da6c528af120"),
    (4439, "06ea595d76d8a6f7"),
    (3288, "b675d2381f9c0f11"),
    (7317, "d387ca555499cf64"),
    (4753, "acecfb21b4fdd471"),
    (4643, "5eb3cbf5e0f574fb"),
    (2847, "66a23c6fc6481f59"),
    (2819, "e776fc76f00bccb0"),
];
const FRAME_INDEX: (usize, &str) = (2160, "c01a2ba9294e4c73");
const PAGES: (usize, &str) = (256, "f1f3cabdb6a49b3e");
