//! The layout of an executable, read from its headers. Only who makes a patch reads them; what they say travels in the patch.
//!
//! # Files
//!
//! - Here: which format a file has. `bytes`: numbers at positions. `elf`, `pe`, `macho`: the formats. `signature`: Mach-O's page hashes.
//! - `structure`: what they find.
//! - `go`: where Go keeps its tables.

mod bytes;
mod elf;
mod go;
mod macho;
mod pe;
mod signature;
mod structure;

use crate::layout::{Region, RegionKind};
pub(super) use structure::Structure;

/// Reads a file; of what is no executable that is known, nothing.
pub(super) fn structure(file: &[u8]) -> Structure {
    let mut s = elf::read(file).or_else(|| pe::read(file)).or_else(|| macho::read(file)).unwrap_or_default();
    tidy(&mut s, file.len() as u64);
    s
}

/// How long the executable at the start of a file is, by its headers; 0 if there is none.
pub(super) fn length(file: &[u8]) -> usize {
    let len = elf::length(file).or_else(|| pe::length(file)).or_else(|| macho::length(file)).unwrap_or(0);
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Puts regions in order, without overlaps and within the file.
fn tidy(s: &mut Structure, len: u64) {
    let layout = &mut s.layout;
    for segment in &mut layout.segments {
        segment.file_len = segment.file_len.min(len.saturating_sub(segment.offset));
        segment.offset = segment.offset.min(len);
    }
    layout.segments.truncate(200);
    let within = |r: &Region| r.len > 0 && r.end() <= len;
    layout.walks.retain(within);
    layout.walks.truncate(16);
    layout.regions.retain(|r| within(r) && r.kind != RegionKind::Nothing);
    layout.regions.sort_by_key(|r| (r.offset, r.len));
    let mut end = 0;
    layout.regions.retain(|r| {
        let keep = r.offset >= end;
        end = if keep { r.end() } else { end };
        keep
    });
    let mut code = 0;
    layout.regions.retain(|r| {
        code += usize::from(r.kind.is_code());
        !r.kind.is_code() || code <= 60
    });
    layout.regions.truncate(2000);
    s.derived.retain(|(d, _)| d.offset.checked_add(d.len).is_some_and(|end| end <= len) && d.fits(len));
    s.derived.sort_by_key(|(d, _)| d.offset);
    s.derived.truncate(60);
}
