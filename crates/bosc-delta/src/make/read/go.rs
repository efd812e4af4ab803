//! Where Go keeps its tables.

use super::bytes::Bytes;
use crate::layout::{Layout, Region, RegionKind, plain};

/// The region of a function table, and the module data that points at it: given, or looked for in data.
pub(super) fn region(
    b: Bytes<'_>,
    layout: &Layout,
    (offset, len, address): (u64, u64, u64),
    module: Option<u64>,
) -> Region {
    let module = module.or_else(|| search(b, layout, address));
    Region { kind: RegionKind::Go, offset, len, address, a: module.map_or(0, |m| m + 1), b: 0 }
}

/// Module data begins with the address of the function table.
fn search(b: Bytes<'_>, layout: &Layout, address: u64) -> Option<u64> {
    let real = layout.image_base(address).wrapping_add(plain(address));
    layout.segments.iter().filter(|s| s.file_len > 0).find_map(|s| {
        let bytes = b.slice(s.offset, s.file_len)?;
        let at = bytes.chunks_exact(8).position(|c| {
            let v = c.first_chunk().map_or(0, |c| u64::from_le_bytes(*c));
            v == real || v >> 63 == 0 && v >> 36 != 0 && v & 0xf_ffff_ffff == plain(address)
        })?;
        // Text, its end, data: a table of addresses in order follows.
        let at = s.offset + 8 * at as u64;
        b.slice(at, 400)?;
        Some(at)
    })
}

/// A function table by its magic, in data without sections for it.
pub(super) fn find_table(b: Bytes<'_>, from: u64, len: u64) -> Option<u64> {
    let bytes = b.slice(from, len)?;
    let at = (0..bytes.len().saturating_sub(80)).step_by(16).find(|i| {
        let at = from + *i as u64;
        b.u32(at) == Some(0xffff_fff1)
            && b.u16(at + 4) == Some(0)
            && bytes.get(i + 7) == Some(&8)
            && b.u64(at + 32).is_some_and(|v| v < 0x200)
    })?;
    Some(from + at as u64)
}
