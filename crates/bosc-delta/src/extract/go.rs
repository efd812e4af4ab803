//! What Go's runtime keeps of a program: functions and where their tables are, trees of inlined calls, and types. They hang
//! together by distances from a handful of bases, so they are walked once, as a whole.
//!
//! Layout of the tables: Go's `runtime/symtab.go`, `internal/abi/symtab.go` and `internal/abi/type.go`, of Go 1.20 and later.

use crate::Error;
use crate::base::{Base, Words};
use crate::field::Kind;
use crate::layout::{IMAGE_SHIFT, Layout, Region};

/// No more references than this are kept.
pub(super) const MAX: usize = 3 << 20;

/// References that are known by their position: the rest is read from the field.
#[derive(Default)]
pub(super) struct Listed {
    /// In order once [`Listed::sort`] was called.
    pub(super) fields: Vec<(u32, u16)>,
    /// What a field's second number means.
    pub(super) meanings: Vec<(Kind, u64)>,
}

impl Listed {
    pub(super) fn meaning(&mut self, kind: Kind, base: u64) -> u16 {
        if self.meanings.len() >= 65_000 {
            return 0;
        }
        self.meanings.push((kind, base));
        (self.meanings.len() - 1) as u16
    }

    pub(super) fn sort(&mut self) {
        self.fields.sort_unstable();
        self.fields.dedup_by_key(|f| f.0);
        self.fields.shrink_to_fit();
    }
}

/// What may be read for a walk of a file of `len` bytes, in words (see [`Words::cost`]): esbuild takes a thirtieth of a word for a byte.
/// A walk that would take more ends there, on both sides.
fn most_cost(len: u64) -> u64 {
    (8 << 20) + len / 2
}

struct Walk<'a, 'b, B: Base + ?Sized> {
    most_cost: u64,
    words: &'a mut Words<'b, B>,
    layout: &'a Layout,
    out: &'a mut Listed,
    /// An address of the image.
    place: u64,
}

impl<B: Base + ?Sized> Walk<'_, '_, B> {
    /// Notes a distance, unless it is none; returns it.
    fn field(&mut self, at: u64, meaning: u16) -> Result<u32, Error> {
        let v = self.words.u32(at)?.unwrap_or(0);
        if v != 0 && v != u32::MAX {
            self.any(at, meaning);
        }
        Ok(v)
    }

    fn any(&mut self, at: u64, meaning: u16) {
        if self.out.fields.len() < MAX
            && let Ok(at) = u32::try_from(at)
        {
            self.out.fields.push((at, meaning));
        }
    }

    /// An address that is held in place, chained or plain.
    fn address(&mut self, at: u64) -> Result<Option<u64>, Error> {
        let Some(v) = self.words.u64(at)? else { return Ok(None) };
        if let Some(address) = self.layout.pointer(v, self.place) {
            return Ok(Some(address));
        }
        let image = self.place & !(u64::MAX >> (64 - IMAGE_SHIFT));
        let low = v & 0xf_ffff_ffff;
        // Chained, as in Mach-O. What is below a page is a number.
        let chained = v >> 63 == 0 && low > 0xfff && self.layout.covers(image | low);
        Ok(chained.then_some(image | low))
    }

    /// Whether it read as much as it may.
    fn spent(&self) -> bool {
        self.words.cost > self.most_cost
    }

    fn number(&mut self, at: u64) -> Result<u64, Error> {
        Ok(self.words.u64(at)?.unwrap_or(0))
    }
}

/// Walks the table in `region`.
pub(super) fn walk<B: Base + ?Sized>(
    words: &mut Words<'_, B>,
    region: &Region,
    layout: &Layout,
    out: &mut Listed,
) -> Result<(), Error> {
    let most_cost = words.cost + most_cost(words.len());
    let mut w = Walk { most_cost, words, layout, out, place: region.address };
    let (o, end) = (region.offset, region.end());
    let module = region.a.checked_sub(1);
    let module_word = |i: u64| module.and_then(|m| m.checked_add(8 * i));
    let mut of_module = [None; 50];
    for (i, slot) in of_module.iter_mut().enumerate() {
        if let Some(at) = module_word(i as u64) {
            *slot = w.address(at)?;
        }
    }
    let module_at = |i: usize| of_module.get(i).copied().flatten();
    let functions = w.number(o + 8)?;
    let names = w.number(o + 32)?;
    let (units, files) = (w.number(o + 40)?, w.number(o + 48)?);
    let (programs, table) = (w.number(o + 56)?, w.number(o + 64)?);
    if [names, units, files, programs, table].iter().any(|v| *v > region.len) || functions > region.len / 8 {
        return Ok(());
    }
    let header_text = w.address(o + 24)?;
    let text =
        module_at(22).or(header_text).or(layout.regions.iter().find(|r| r.kind.is_code()).map(|r| r.address));
    let text = w.out.meaning(Kind::FromBase, text.unwrap_or(0));
    let by = |b: u64| region.address.wrapping_add(b);
    let entries = w.out.meaning(Kind::FromBase, by(table));
    let name = w.out.meaning(Kind::FromBase, by(names));
    let program = w.out.meaning(Kind::FromBase, by(programs));
    let data_base = module_at(40);
    let data = w.out.meaning(Kind::FromBase, data_base.unwrap_or(0));
    let counts = [0, 1, 2, 3].map(|n| w.out.meaning(Kind::Count, n));
    let (mut inlined, mut all) = (Vec::new(), Vec::new());
    for i in 0..functions {
        if w.spent() {
            return Ok(());
        }
        let at = o + table + i * 8;
        w.field(at, text)?;
        let f = o + table + u64::from(w.field(at + 4, entries)?);
        if f + 44 > end {
            break;
        }
        w.field(f, text)?;
        w.field(f + 4, name)?;
        for n in [16, 20, 24] {
            w.field(f + n, program)?;
        }
        w.any(f + 32, counts[0]);
        w.any(f + 36, counts[1]);
        let n_programs = u64::from(w.words.u32(f + 28)?.unwrap_or(0));
        let n_data = w.words.bytes::<1>(f + 43)?.map_or(0, |[b]| u64::from(b));
        if n_programs > 16 || n_data > 16 {
            continue;
        }
        for k in 0..n_programs {
            w.field(f + 44 + 4 * k, program)?;
        }
        for k in 0..n_data {
            let v = w.field(f + 44 + 4 * (n_programs + k), data)?;
            if v != u32::MAX && all.len() < MAX {
                all.push(v);
                if k == 3 {
                    inlined.push(v);
                }
            }
        }
    }
    for at in (units..files & !3).step_by(4) {
        if w.words.u32(o + at)?.is_some_and(|v| v != u32::MAX) {
            w.any(o + at, counts[2]);
        }
    }
    all.sort_unstable();
    all.dedup();
    inlined.sort_unstable();
    inlined.dedup();
    if let Some(base) = data_base {
        for v in inlined {
            if w.spent() {
                return Ok(());
            }
            let next = all.get(all.partition_point(|x| *x <= v)).copied().unwrap_or(v.saturating_add(16));
            let Some(at) = layout.offset(base.wrapping_add(u64::from(v))) else { continue };
            for k in (0..u64::from(next - v).min(1 << 16) / 16).map(|k| k * 16) {
                w.field(at + k + 4, name)?;
            }
        }
    }
    drop(all);
    // Which function a page of code begins with: grows by what was added before it.
    if let (Some(buckets), Some(from), Some(to)) = (module_at(19), module_at(20), module_at(21))
        && let Some(at) = layout.offset(buckets)
    {
        let pages = to.saturating_sub(from).min(1 << 32) / 4096 + 1;
        for k in 0..pages.min(w.words.len() / 20) {
            w.any(at + k * 20, counts[3]);
        }
    }
    if let (Some(first), Some(last)) = (module_at(37), module_at(38)) {
        // Which word the list of types is at depends on the version: its length and its capacity are the same.
        for i in [44, 45, 46] {
            let (Some(len), Some(capacity)) = (module_word(i + 1), module_word(i + 2)) else { break };
            let (len, capacity) = (w.number(len)?, w.number(capacity)?);
            if let Some(links) = module_at(i as usize).and_then(|l| layout.offset(l))
                && len == capacity
                && (1..1 << 24).contains(&len)
            {
                types(&mut w, (first, last), (links, len), text)?;
                break;
            }
        }
    }
    Ok(())
}

/// Walks the types that are linked, and those they lead to.
fn types<B: Base + ?Sized>(
    w: &mut Walk<'_, '_, B>,
    (first, last): (u64, u64),
    (links, count): (u64, u64),
    text: u16,
) -> Result<(), Error> {
    let Some(start) = w.layout.offset(first) else { return Ok(()) };
    let len = last.saturating_sub(first).min(u64::from(u32::MAX));
    let own = w.out.meaning(Kind::FromBase, first);
    let mut todo: Vec<u32> = Vec::new();
    // One bit for eight bytes.
    let mut seen = vec![0u64; (len / 512 + 1).min(1 << 20) as usize];
    for i in 0..count.min(len / 8) {
        todo.push(w.field(links + 4 * i, own)?);
    }
    while let Some(t) = todo.pop() {
        if w.spent() {
            return Ok(());
        }
        let Some(word) = seen.get_mut(t as usize / 512) else { continue };
        let bit = 1 << (t / 8 % 64);
        if *word & bit != 0 || u64::from(t) >= len || t % 8 != 0 {
            continue;
        }
        *word |= bit;
        let o = start + u64::from(t);
        let Some([flags, _, _, kind]) = w.words.bytes::<4>(o + 20)? else { continue };
        let kind = kind & 31;
        if kind == 0 || kind > 26 {
            continue;
        }
        let leads = |w: &mut Walk<'_, '_, B>, at: u64, todo: &mut Vec<u32>| -> Result<(), Error> {
            if let Some(a) = w.address(at)?
                && a.wrapping_sub(first) < len
                && todo.len() < MAX
            {
                todo.push((a - first) as u32);
            }
            Ok(())
        };
        w.field(o + 40, own)?;
        let pointer = w.field(o + 44, own)?;
        if pointer != 0 {
            todo.push(pointer);
        }
        // Sizes of the kinds' own parts, and where they lead.
        let (size, children): (u64, &[u64]) = match kind {
            17 => (72, &[48, 56]),
            18 => (64, &[48]),
            19 => (56, &[]),
            20 => (80, &[]),
            21 => (104, &[48, 56, 64]),
            22 | 23 => (56, &[48]),
            25 => (80, &[]),
            _ => (48, &[]),
        };
        for child in children {
            leads(w, o + child, &mut todo)?;
        }
        let (list, number) = (w.address(o + 56)?.and_then(|a| w.layout.offset(a)), w.number(o + 64)?);
        match (kind, list) {
            (20, Some(methods)) => {
                for i in 0..number.min(500) {
                    w.field(methods + i * 8, own)?;
                    let leads = w.field(methods + i * 8 + 4, own)?;
                    todo.push(leads);
                }
            }
            (25, Some(fields)) => {
                for i in 0..number.min(2000) {
                    leads(w, fields + i * 24 + 8, &mut todo)?;
                }
            }
            _ => {}
        }
        let extended = flags & 1 != 0;
        if kind == 19 {
            let Some([a, b, c, d]) = w.words.bytes::<4>(o + 48)? else { continue };
            let count = u64::from(u16::from_le_bytes([a, b])) + u64::from(u16::from_le_bytes([c, d & 0x7f]));
            let from = o + 56 + if extended { 16 } else { 0 };
            for i in 0..count.min(200) {
                leads(w, from + i * 8, &mut todo)?;
            }
        }
        if extended {
            let u = o + size;
            w.field(u, own)?;
            let Some([a, b]) = w.words.bytes::<2>(u + 4)? else { continue };
            let Some(methods) = w.words.u32(u + 8)? else { continue };
            for i in 0..u64::from(u16::from_le_bytes([a, b])).min(1000) {
                let m = u + u64::from(methods) + i * 16;
                w.field(m, own)?;
                let leads = w.field(m + 4, own)?;
                todo.push(leads);
                w.field(m + 8, text)?;
                w.field(m + 12, text)?;
            }
        }
    }
    Ok(())
}
