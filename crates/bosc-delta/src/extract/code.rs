//! References in code: every instruction of a stretch is looked at in turn. Where the stretch begins within an instruction,
//! the first few are misread.

use super::window::Window;
use super::x86::{self, Holds};
use crate::field::{Kind, Reference, signed};
use crate::layout::{Layout, Region};

/// Visits the fields of x86 code in `from..to`: position, tail, target, what it is.
pub(super) fn x86_fields(
    window: Window<'_>,
    region: &Region,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, u8, u64, Holds),
) {
    let mut at = from.max(window.start);
    while at < to {
        let Some(i) = x86::decode(window.from(at)) else {
            at += 1;
            continue;
        };
        if i.holds != Holds::Nothing {
            let field = at + i.field as u64;
            if let Some(distance) = window.u32(field) {
                let next = region.address.wrapping_add(at + i.len as u64 - region.offset);
                let target = next.wrapping_add(i64::from(distance as i32) as u64);
                visit(field, (i.len - i.field) as u8, target, i.holds);
            }
        }
        at += i.len as u64;
    }
}

/// References of x86 code.
pub(super) fn x86(
    window: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    // Begun earlier, so that most stretches begin at an instruction.
    let early = from.saturating_sub(48).max(region.offset);
    x86_fields(window, region, early, to, |offset, tail, target, holds| {
        if offset >= from && layout.covers(target) {
            let kind = if holds == Holds::Branch { Kind::Branch } else { Kind::Data };
            out.push(Reference { offset, kind, tail, target, base: 0 });
        }
    });
}

/// How far apart `adrp` and the lower bits may be.
const NEAR: u64 = 64;

/// References of arm64 code.
pub(super) fn arm64(
    window: Window<'_>,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) {
    // The page that a register holds: where it was set, its index in `out` and its address.
    let mut pages: [Option<(u64, Option<usize>, u64)>; 32] = [None; 32];
    let start = from.saturating_sub(NEAR).max(region.offset);
    let mut at = region.offset + (start - region.offset).div_ceil(4) * 4;
    while at < to {
        let Some(w) = window.u32(at) else { break };
        let here = region.address.wrapping_add(at - region.offset);
        let own = at >= from;
        let (set, used) = ((w & 31) as usize, (w >> 5 & 31) as usize);
        if w & 0x7c00_0000 == 0x1400_0000 {
            let target = here.wrapping_add((signed(w & 0x3ff_ffff, 26) * 4) as u64);
            if own && layout.covers(target) {
                out.push(Reference { offset: at, kind: Kind::ArmBranch, tail: 0, target, base: 0 });
            }
        } else if w & 0x9f00_0000 == 0x9000_0000 {
            let distance = signed(w >> 29 & 3 | (w >> 5 & 0x7_ffff) << 2, 21) << 12;
            let target = (here & !0xfff).wrapping_add(distance as u64);
            let known = layout.covers(target);
            if known && own {
                out.push(Reference { offset: at, kind: Kind::ArmPage, tail: 0, target, base: 0 });
            }
            if let Some(slot) = pages.get_mut(set) {
                let index = own.then(|| out.len().saturating_sub(1));
                *slot = known.then_some((at, index, target));
            }
        } else {
            let add = w & 0xffc0_0000 == 0x9100_0000;
            let load = w & 0x3b00_0000 == 0x3900_0000;
            if add || load {
                let scale = match (add, w & 0x0480_0000 == 0x0480_0000) {
                    (true, _) => 0,
                    (false, true) => 4,
                    (false, false) => w >> 30,
                };
                if let Some((since, index, address)) = pages.get(used).copied().flatten()
                    && at - since <= NEAR
                {
                    let target = address + u64::from((w >> 10 & 0xfff) << scale);
                    // The page's own target becomes the first that is known whole.
                    if let Some(first) = index.and_then(|i| out.get_mut(i))
                        && first.target & 0xfff == 0
                    {
                        first.target = target;
                    }
                    if own {
                        let tail = scale as u8;
                        out.push(Reference { offset: at, kind: Kind::ArmLow, tail, target, base: 0 });
                    }
                }
                if add && let Some(slot) = pages.get_mut(set) {
                    *slot = None;
                }
            }
        }
        at += 4;
    }
}
