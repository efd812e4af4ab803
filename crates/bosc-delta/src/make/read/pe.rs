//! PE, 64 bits, x86-64 and arm64.

use super::bytes::Bytes;
use super::go;
use super::structure::Structure;
use crate::layout::{Region, RegionKind, Segment};

pub(super) fn read(file: &[u8]) -> Option<Structure> {
    let b = Bytes(file);
    if b.slice(0, 2)? != b"MZ" {
        return None;
    }
    let header = b.word(60)?;
    if b.slice(header, 4)? != b"PE\0\0" {
        return None;
    }
    let x86 = match b.u16(header + 4)? {
        0x8664 => true,
        0xaa64 => false,
        _ => return None,
    };
    let (count, optional) = (u64::from(b.u16(header + 6)?), u64::from(b.u16(header + 20)?));
    if b.u16(header + 24)? != 0x20b {
        return None;
    }
    let mut s = Structure::default();
    s.layout.images = vec![b.u64(header + 48)?];
    let mut data = None;
    for i in 0..count {
        let h = header + 24 + optional + i * 40;
        let name = b.name(h, 8);
        let (memory_len, address, raw_len, offset) =
            (b.word(h + 8)?, b.word(h + 12)?, b.word(h + 16)?, b.word(h + 20)?);
        let flags = b.u32(h + 36)?;
        let len = raw_len.min(if memory_len == 0 { raw_len } else { memory_len });
        s.layout.segments.push(Segment { address, offset, file_len: len, memory_len: memory_len.max(len) });
        s.names.push((name.clone(), address));
        if len == 0 {
            continue;
        }
        let kind = match name.as_str() {
            _ if flags & 0x2000_0000 != 0 && x86 => RegionKind::X86,
            _ if flags & 0x2000_0000 != 0 => RegionKind::Arm64,
            ".pdata" => RegionKind::Relative,
            ".reloc" | ".rsrc" | ".symtab" => RegionKind::Nothing,
            _ if name.starts_with('/') => RegionKind::Nothing,
            _ if x86 => RegionKind::Constants,
            _ => RegionKind::Pointers,
        };
        let a = u64::from(kind == RegionKind::Constants);
        s.layout.regions.push(Region { kind, offset, len, address, a, b: 0 });
        if name == ".rdata" {
            data = Some((offset, len, address));
        }
    }
    if let Some((from, len, address)) = data
        && let Some(at) = go::find_table(b, from, len)
    {
        let table = (at, from + len - at, address + (at - from));
        let walk = go::region(b, &s.layout, table, None);
        s.layout.walks.push(walk);
    }
    Some(s)
}

/// How long a file is: to the end of its sections, and of its signature.
pub(super) fn length(file: &[u8]) -> Option<u64> {
    let b = Bytes(file);
    let header = b.word(60)?;
    if b.slice(0, 2)? != b"MZ" || b.slice(header, 4)? != b"PE\0\0" {
        return None;
    }
    let (count, optional) = (u64::from(b.u16(header + 6)?), u64::from(b.u16(header + 20)?));
    let mut end = 0;
    for i in 0..count {
        let h = header + 24 + optional + i * 40;
        end = end.max(b.word(h + 16)? + b.word(h + 20)?);
    }
    let signature = b.word(header + 24 + 144)? + b.word(header + 24 + 148)?;
    Some(if b.u16(header + 24)? == 0x20b { end.max(signature) } else { end })
}
