//! Jump tables of x86: distances from the table's start to places in code. A table starts where some `lea` points.

use crate::Error;
use crate::base::{Base, Words};
use crate::field::{Kind, Reference};
use crate::layout::{Layout, Region, RegionKind};

/// A table is followed over a block's start from this far back, in bytes.
const BACK: u64 = 16 << 10;

/// Where tables may start: one bit for four bytes of the file.
pub(super) struct Starts {
    bits: Vec<u64>,
    /// Addresses and lengths of code.
    code: Vec<(u64, u64)>,
}

impl Starts {
    pub(super) fn new(len: u64, layout: &Layout) -> Starts {
        let code = layout.regions.iter().filter(|r| r.kind.is_code());
        Starts { bits: vec![0; (len / 256 + 1) as usize], code: code.map(|r| (r.address, r.len)).collect() }
    }

    fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|(start, len)| address.wrapping_sub(*start) < *len)
    }

    pub(super) fn insert(&mut self, offset: u64) {
        if let Some(word) = self.bits.get_mut((offset / 256) as usize) {
            *word |= 1 << (offset / 4 % 64);
        }
    }

    fn has(&self, offset: u64) -> bool {
        self.bits.get((offset / 256) as usize).is_some_and(|w| w >> (offset / 4 % 64) & 1 == 1)
    }

    /// The last start below `offset` that is a multiple of four bytes from it, not below `least`.
    fn before(&self, offset: u64, least: u64) -> Option<u64> {
        let phase = offset % 4;
        Some(self.multiple_before(offset - phase, least.saturating_sub(phase))? + phase)
    }

    fn multiple_before(&self, offset: u64, least: u64) -> Option<u64> {
        let mut at = offset;
        while at >= least + 4 {
            at -= 4;
            let below = at / 4 % 64;
            let word = self.bits.get((at / 256) as usize).copied().unwrap_or(0) & (u64::MAX >> (63 - below));
            if word != 0 {
                let found = at / 256 * 256 + (63 - u64::from(word.leading_zeros())) * 4;
                return (found >= least).then_some(found);
            }
            at = at / 256 * 256;
        }
        None
    }
}

/// References of the tables in a stretch.
pub(super) fn tables<B: Base + ?Sized>(
    words: &mut Words<'_, B>,
    starts: &Starts,
    region: &Region,
    (from, to): (u64, u64),
    layout: &Layout,
    out: &mut Vec<Reference>,
) -> Result<(), Error> {
    let within_code = region.kind == RegionKind::X86Tables;
    let entry = |words: &mut Words<'_, B>, start: u64, at: u64| -> Result<Option<Reference>, Error> {
        let Some(v) = words.u32(at)? else { return Ok(None) };
        if v == 0 || within_code && (v as i32).unsigned_abs() > 1 << 20 {
            return Ok(None);
        }
        let base = region.address.wrapping_add(start - region.offset);
        let target = base.wrapping_add(i64::from(v as i32) as u64);
        Ok(starts.is_code(target).then_some(Reference {
            offset: at,
            kind: Kind::Jump,
            tail: 0,
            target,
            base,
        }))
    };
    // Where entries are, of four bytes.
    let phase = if layout.placed { region.offset.wrapping_sub(region.address) % 4 } else { 0 };
    let mut at = from + phase.wrapping_sub(from) % 4;
    let least = from.saturating_sub(BACK).max(region.offset);
    let mut start = if starts.has(at) { None } else { starts.before(at, least) };
    loop {
        if start.is_none() {
            while at < to && !starts.has(at) {
                at += 4;
            }
            if at >= to {
                return Ok(());
            }
            start = Some(at);
        }
        let Some(table) = start.take() else { return Ok(()) };
        // One entry is no table.
        let mut place = table;
        let whole = entry(words, table, table)?.is_some()
            && !starts.has(table + 4)
            && table + 8 <= region.end()
            && entry(words, table, table + 4)?.is_some();
        while whole && place < to && place + 4 <= region.end() && (place == table || !starts.has(place)) {
            let Some(reference) = entry(words, table, place)? else { break };
            if place >= from {
                out.push(reference);
            }
            place += 4;
        }
        at = at.max(place).max(table + 4);
    }
}
