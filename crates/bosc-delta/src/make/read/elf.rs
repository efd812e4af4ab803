//! ELF, 64 bits, little-endian, x86-64 and arm64.

use super::bytes::Bytes;
use super::go;
use super::structure::Structure;
use crate::derive::{Derived, Rule, frame_index};
use crate::layout::{RAW, Region, RegionKind, Segment};

struct Section {
    name: String,
    kind: u32,
    flags: u64,
    address: u64,
    offset: u64,
    len: u64,
}

pub(super) fn read(file: &[u8]) -> Option<Structure> {
    let b = Bytes(file);
    if b.slice(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let x86 = match b.u16(18)? {
        62 => true,
        183 => false,
        _ => return None,
    };
    let mut s = Structure::default();
    let (headers, size, count) = (b.u64(32)?, u64::from(b.u16(54)?), u64::from(b.u16(56)?));
    let mut loads = Vec::new();
    for i in 0..count {
        let p = headers.checked_add(i * size)?;
        if b.u32(p)? == 1 && b.u64(p + 40)? > 0 {
            loads.push((b.u32(p + 4)?, b.u64(p + 8)?, b.u64(p + 16)?, b.u64(p + 32)?, b.u64(p + 40)?));
        }
    }
    let base = loads.iter().map(|l| l.2).min()? & !0xfff;
    s.layout.images = vec![base];
    for &(_, offset, address, file_len, memory_len) in &loads {
        s.layout.segments.push(Segment { address: address.checked_sub(base)?, offset, file_len, memory_len });
    }
    let sections = sections(b).unwrap_or_default();
    let code = if x86 { RegionKind::X86 } else { RegionKind::Arm64 };
    if sections.is_empty() {
        // Without section headers, what may be run is code.
        for &(flags, offset, address, len, _) in loads.iter().filter(|l| l.0 & 1 != 0) {
            let _ = flags;
            s.layout.regions.push(Region { kind: code, offset, len, address: address - base, a: 0, b: 0 });
        }
        return Some(s);
    }
    let find = |name: &str| sections.iter().find(|x| x.name == name && x.kind != 8);
    for x in sections.iter().filter(|x| x.kind != 8 && x.len > 0) {
        let name = x.name.as_str();
        let loaded = x.flags & 2 != 0;
        let address = if loaded { x.address.wrapping_sub(base) } else { x.offset | RAW };
        if loaded {
            s.names.push((x.name.clone(), address));
        }
        let (kind, a, at) = match name {
            _ if x.flags & 4 != 0 => (code, 0, 0),
            ".eh_frame" => (RegionKind::EhFrame, 0, 0),
            ".eh_frame_hdr" => (RegionKind::Relative, address, 12),
            ".dynsym" => (RegionKind::Symbols, find(".dynstr")?.address.wrapping_sub(base), 0),
            ".symtab" => (RegionKind::Symbols, find(".strtab").map_or(0, |n| n.offset) | RAW, 0),
            ".gopclntab" => {
                let module = find(".go.module").map(|m| m.offset);
                s.layout.walks.push(go::region(b, &s.layout, (x.offset, x.len, address), module));
                continue;
            }
            ".dynstr" | ".gnu.hash" | ".hash" | ".gnu.version" | ".gnu.version_r" | ".note.go.buildid" => {
                continue;
            }
            _ if !loaded => continue,
            _ if x.kind == 4 => (RegionKind::Rela, 0, 0),
            ".rodata" if x86 => (RegionKind::Constants, u64::from(base != 0), 0),
            _ if base != 0 && x86 => (RegionKind::Constants, 1, 0),
            _ if base != 0 => (RegionKind::Pointers, 0, 0),
            _ if name.starts_with(".data")
                || name.contains("array")
                || name == ".got"
                || name == ".relr.dyn" =>
            {
                (RegionKind::Pointers, 0, 0)
            }
            _ if x86 => (RegionKind::Constants, 0, 0),
            _ => continue,
        };
        s.layout.regions.push(Region { kind, offset: x.offset, len: x.len, address, a, b: at });
    }
    for x in sections.iter().filter(|x| x.kind == 4 && x.flags & 2 != 0) {
        relocations(b, x, base, &mut s);
    }
    if let (Some(index), Some(frames)) = (find(".eh_frame_hdr"), find(".eh_frame"))
        && index.len > 12
    {
        let address = index.address.wrapping_sub(base);
        let frames_address = frames.address.wrapping_sub(base);
        let rule = Rule::FrameIndex { address, frames: (frames_address, frames.offset, frames.len) };
        let derived = Derived { offset: index.offset + 12, len: index.len - 12, rule };
        let computed = frame_index(b.slice(frames.offset, frames.len)?, frames_address, address);
        let there = b.slice(derived.offset, derived.len)?;
        s.derived.push((derived, computed.starts_with(there)));
    }
    Some(s)
}

/// How long a file is: to the end of its segments, its sections and their headers.
pub(super) fn length(file: &[u8]) -> Option<u64> {
    let b = Bytes(file);
    if b.slice(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let mut end = 0u64;
    let (at, size, count) = (b.u64(32)?, u64::from(b.u16(54)?), u64::from(b.u16(56)?));
    for i in 0..count {
        let p = at.checked_add(i * size)?;
        end = end.max(b.u64(p + 8)?.checked_add(b.u64(p + 32)?)?);
    }
    let (at, size, count) = (b.u64(40)?, u64::from(b.u16(58)?), u64::from(b.u16(60)?));
    for i in 0..count {
        let h = at.checked_add(i * size)?;
        if b.u32(h + 4)? != 8 {
            end = end.max(b.u64(h + 24)?.checked_add(b.u64(h + 32)?)?);
        }
    }
    Some(end.max(at.checked_add(size * count)?))
}

fn sections(b: Bytes<'_>) -> Option<Vec<Section>> {
    let (at, size, count, names) =
        (b.u64(40)?, u64::from(b.u16(58)?), u64::from(b.u16(60)?), u64::from(b.u16(62)?));
    let names = b.u64(at.checked_add(names * size)?.checked_add(24)?)?;
    let mut out = Vec::new();
    for i in 0..count {
        let h = at.checked_add(i * size)?;
        let section = Section {
            name: b.name(names.checked_add(b.word(h)?)?, 200),
            kind: b.u32(h + 4)?,
            flags: b.u64(h + 8)?,
            address: b.u64(h + 16)?,
            offset: b.u64(h + 24)?,
            len: b.u64(h + 32)?,
        };
        if section.kind == 8 || section.offset.checked_add(section.len)? <= b.0.len() as u64 {
            out.push(section);
        }
    }
    Some(out)
}

/// Places that the loader fills with an address: linkers may leave zeros there.
fn relocations(b: Bytes<'_>, x: &Section, base: u64, s: &mut Structure) {
    for i in 0..x.len / 24 {
        let at = x.offset + i * 24;
        let (Some(place), Some(info), Some(addend)) = (b.u64(at), b.u32(at + 8), b.u64(at + 16)) else {
            return;
        };
        // R_X86_64_RELATIVE, R_AARCH64_RELATIVE
        if !matches!(info, 8 | 1027) || addend < base {
            continue;
        }
        if let Some(offset) = s.layout.offset(place.wrapping_sub(base)).filter(|o| o & RAW == 0)
            && b.u64(offset) == Some(0)
        {
            s.filled.push((offset, addend - base));
        }
    }
}
