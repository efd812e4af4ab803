//! Mach-O, 64 bits, x86-64 and arm64, and universal files of several.

use super::bytes::Bytes;
use super::structure::Structure;
use super::{go, signature};
use crate::layout::{IMAGE_SHIFT, RAW, Region, RegionKind, Segment};

/// Images of a universal file that are looked at.
const MOST_IMAGES: u64 = 4;

pub(super) fn read(file: &[u8]) -> Option<Structure> {
    let b = Bytes(file);
    let mut s = Structure::default();
    if b.big(0)? == 0xcafe_babe {
        let count = b.big(4)?;
        // Java's classes begin the same; theirs is a version there.
        if count > MOST_IMAGES {
            return None;
        }
        for i in 0..count {
            let (start, len) = (b.big(8 + i * 20 + 8)?, b.big(8 + i * 20 + 12)?);
            image(Bytes(b.slice(start, len)?), start, &mut s)?;
        }
        return Some(s);
    }
    image(b, 0, &mut s)?;
    Some(s)
}

/// One image, `start` bytes into the file.
fn image(b: Bytes<'_>, start: u64, s: &mut Structure) -> Option<()> {
    if b.slice(0, 4)? != b"\xcf\xfa\xed\xfe" {
        return None;
    }
    let x86 = match b.u32(4)? {
        0x0100_0007 => true,
        0x0100_000c => false,
        _ => return None,
    };
    let commands = b.u32(16)?;
    let mut at = 32;
    let (mut segments, mut sections, mut symbols, mut indirect, mut signed) =
        (vec![], vec![], None, None, None);
    for _ in 0..commands {
        let (command, len) = (b.u32(at)?, b.word(at + 4)?);
        match command {
            0x19 => {
                let name = b.name(at + 8, 16);
                if name != "__PAGEZERO" {
                    segments.push((b.u64(at + 24)?, b.u64(at + 32)?, b.u64(at + 40)?, b.u64(at + 48)?));
                }
                for i in 0..b.word(at + 64)? {
                    let h = at + 72 + i * 80;
                    let section =
                        (b.name(h, 16), b.u64(h + 32)?, b.u64(h + 40)?, b.word(h + 48)?, b.u32(h + 64)?);
                    sections.push(section);
                }
            }
            0x2 => symbols = Some((b.word(at + 8)?, b.word(at + 12)?, b.word(at + 16)?)),
            0xb => indirect = Some((b.word(at + 56)?, b.word(at + 60)?)),
            0x1d => signed = Some(b.word(at + 8)?),
            _ => {}
        }
        at = at.checked_add(len.max(8))?;
    }
    let base = segments.iter().map(|g| g.0).min()?;
    let number = s.layout.images.len() as u64;
    s.layout.images.push(base);
    let relative = |address: u64| address.wrapping_sub(base) | number << IMAGE_SHIFT;
    for &(address, memory_len, offset, file_len) in &segments {
        let segment = Segment { address: relative(address), offset: start + offset, file_len, memory_len };
        s.layout.segments.push(segment);
    }
    let mut table = None;
    let mut module = None;
    for (name, address, len, offset, flags) in &sections {
        // Sections without bytes.
        if matches!(flags & 0xff, 1 | 0xc | 0x12) || *len == 0 || *offset == 0 {
            continue;
        }
        let address = relative(*address);
        let offset = start + offset;
        s.names.push((format!("{number} {name}"), address));
        let region = |kind, a| Region { kind, offset, len: *len, address, a, b: 0 };
        if name == "__go_module" {
            module = Some(offset);
        }
        match name.as_str() {
            _ if flags & 0x8000_0400 != 0 => {
                s.layout.regions.push(region(if x86 { RegionKind::X86Tables } else { RegionKind::Arm64 }, 0));
            }
            "__eh_frame" => s.layout.regions.push(region(RegionKind::EhFrame, 1)),
            "__unwind_info" => s.layout.walks.push(region(RegionKind::Unwind, 0)),
            "__gopclntab" => table = Some((offset, *len, address)),
            "__cstring" => {}
            _ if len % 8 == 0 => s.layout.regions.push(region(RegionKind::MachoData, 0)),
            _ => {}
        }
    }
    if let Some(table) = table {
        let region = go::region(b, &s.layout, table, module);
        s.layout.walks.push(region);
    }
    if let Some((at, count, names)) = symbols {
        let (offset, len) = (start + at, count * 16);
        let (a, place) = ((start + names) | RAW, relative(base));
        s.layout.regions.push(Region {
            kind: RegionKind::Nlist,
            offset,
            len,
            address: offset | RAW,
            a,
            b: place,
        });
    }
    if let Some((at, count)) = indirect {
        let (offset, len) = (start + at, count * 4);
        s.layout.regions.push(Region {
            kind: RegionKind::Counts,
            offset,
            len,
            address: offset | RAW,
            a: number,
            b: 0,
        });
    }
    if let Some(at) = signed {
        signature::pages(b, start, at, &mut s.derived);
    }
    Some(())
}

/// How long a file is: to the end of its segments, or of its images.
pub(super) fn length(file: &[u8]) -> Option<u64> {
    let b = Bytes(file);
    if b.big(0)? == 0xcafe_babe {
        let count = b.big(4)?;
        let end = |i: u64| Some(b.big(8 + i * 20 + 8)? + b.big(8 + i * 20 + 12)?);
        return if count > MOST_IMAGES { None } else { (0..count).filter_map(end).max() };
    }
    if b.slice(0, 4)? != b"\xcf\xfa\xed\xfe" {
        return None;
    }
    let (mut at, mut end) = (32, 0);
    for _ in 0..b.u32(16)? {
        if b.u32(at)? == 0x19 {
            end = end.max(b.u64(at + 40)?.checked_add(b.u64(at + 48)?)?);
        }
        at = at.checked_add(b.word(at + 4)?.max(8))?;
    }
    Some(end)
}
