//! References in data, record by record.

use super::window::Window;
use crate::field::{Kind, Reference};
use crate::layout::{IMAGE_SHIFT, Layout, Region, plain};

/// The first record of `step` bytes that ends after `from`.
fn first(region: &Region, from: u64, step: u64) -> u64 {
    region.offset + from.saturating_sub(region.offset) / step * step
}

fn absolute(window: Window<'_>, place: u64, at: u64, layout: &Layout, out: &mut Vec<Reference>) {
    // What is below a page is a number.
    if let Some(target) = window.u64(at).and_then(|v| layout.pointer(v, place))
        && plain(target) > 0x100
    {
        out.push(Reference { offset: at, kind: Kind::Absolute, tail: 0, target, base: 0 });
    }
}

/// Addresses in place.
pub(super) fn pointers(
    w: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    let shift = region.address.wrapping_neg() % 8;
    let mut at = first(region, from, 8) + shift;
    while at + 8 <= region.end() && at < to {
        absolute(w, region.address, at, layout, out);
        at += 8;
    }
}

/// Data of Mach-O: pointers that are chained, or plain ones.
pub(super) fn macho(
    w: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    let mut at = first(region, from, 8);
    while at + 8 <= region.end() && at < to {
        let Some(v) = w.u64(at) else { break };
        let low = v & 0xf_ffff_ffff;
        let target = region.address & !(u64::MAX >> (64 - IMAGE_SHIFT)) | low;
        let chained = v >> 36 != 0 && v >> 63 == 0 && v >> 36 & 0x7fff == 0 && low >= 0x100;
        if chained && layout.covers(target) {
            out.push(Reference { offset: at, kind: Kind::Chained, tail: 0, target, base: 0 });
        } else {
            absolute(w, region.address, at, layout, out);
        }
        at += 8;
    }
}

/// ELF relocations: where, and what is added.
pub(super) fn rela(
    w: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    let mut at = first(region, from, 24);
    while at + 24 <= region.end() && at < to {
        absolute(w, region.address, at, layout, out);
        absolute(w, region.address, at + 16, layout, out);
        at += 24;
    }
}

/// ELF symbols (24 bytes) and those of Mach-O (16 bytes): the name, and the value 8 bytes on. `place` is an address of the image.
pub(super) fn symbols(
    w: Window<'_>,
    region: &Region,
    step: u64,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    let mut at = first(region, from, step);
    while at + step <= region.end() && at < to {
        if let Some(name) = w.u32(at) {
            let target = region.a.wrapping_add(u64::from(name));
            out.push(Reference { offset: at, kind: Kind::FromBase, tail: 0, target, base: region.a });
        }
        absolute(w, region.b, at + 8, layout, out);
        at += step;
    }
}

/// Addresses of 32 bits from `a`, from `b` on.
pub(super) fn relative(
    w: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    let mut at = first(region, from, 4).max(region.offset.saturating_add(region.b));
    while at + 4 <= region.end() && at < to {
        if let Some(v) = w.u32(at).filter(|v| *v != 0) {
            let target = region.a.wrapping_add(i64::from(v as i32) as u64);
            if layout.covers(target) {
                out.push(Reference { offset: at, kind: Kind::FromBase, tail: 0, target, base: region.a });
            }
        }
        at += 4;
    }
}

/// Numbers that move together.
pub(super) fn counts(w: Window<'_>, region: &Region, (from, to): (u64, u64), out: &mut Vec<Reference>) {
    let mut at = first(region, from, 4);
    while at + 4 <= region.end() && at < to {
        if w.u32(at).is_some_and(|v| v >> 24 == 0) {
            out.push(Reference {
                offset: at,
                kind: Kind::Count,
                tail: 0,
                target: 0,
                base: 4 + (region.a & 3),
            });
        }
        at += 4;
    }
}

/// One frame, of `len` bytes at `at`: who it belongs to, where its code starts, and its language's data.
pub(super) fn frame(w: Window<'_>, region: &Region, at: u64, layout: &Layout, out: &mut Vec<Reference>) {
    let address = |at: u64| region.address.wrapping_add(at - region.offset);
    let (Some(len), Some(id)) = (w.u32(at), w.u32(at + 4)) else { return };
    if id == 0 || len < 12 {
        return;
    }
    let owner = address(at + 4).wrapping_sub(u64::from(id));
    out.push(Reference { offset: at + 4, kind: Kind::Back, tail: 0, target: owner, base: 0 });
    if region.a == 1 {
        let mut wide = |offset: u64| {
            if let Some(v) = w.u64(offset) {
                let target = address(offset).wrapping_add(v);
                out.push(Reference { offset, kind: Kind::FromHere64, tail: 0, target, base: 0 });
            }
        };
        wide(at + 8);
        if len >= 29 && w.u8(at + 24) == Some(8) {
            wide(at + 25);
        }
        return;
    }
    let mut short = |offset: u64| {
        let target = w.u32(offset).map(|v| address(offset).wrapping_add(i64::from(v as i32) as u64));
        if let Some(target) = target.filter(|t| layout.covers(*t)) {
            out.push(Reference { offset, kind: Kind::FromHere, tail: 0, target, base: 0 });
        }
    };
    short(at + 8);
    if len >= 17 && w.u8(at + 16) == Some(4) {
        short(at + 17);
    }
}
