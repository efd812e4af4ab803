//! References of a file, by blocks: each is found from the bytes around its block alone, or by a walk that was made once.
//! What is found for the same bytes and the same layout never changes within a version of the extractor ([`VERSION`]): maker
//! and client must agree.
//!
//! # Files
//!
//! - Here: blocks, their cache, what is walked at the start, versions.
//! - `window`: bytes in memory. `x86`: lengths of instructions. `code`: references in code (x86-64, arm64). `data`: references in
//!   data, record by record.
//! - `jumps`: jump tables. `go`: what Go's runtime keeps, how many references. `unwind`: compact unwinding of Mach-O.

mod code;
mod data;
mod go;
mod jumps;
mod unwind;
mod window;
mod x86;

use crate::Error;
use crate::base::{Base, Words};
use crate::field::{Kind, Reference};
use crate::layout::{Layout, Region, RegionKind};
use go::Listed;
use jumps::Starts;
use window::Window;

/// The version of everything in this folder.
pub(crate) const VERSION: u8 = 1;
/// The same for programs that begin anywhere in a file ([`Layout::placed`]): whether a table of jumps is aligned is asked of its
/// address, not of its position.
pub(crate) const VERSION_PLACED: u8 = 2;

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 16 << 10;
/// Bytes before and after a block that are looked at.
const BEFORE: u64 = 64;
const AFTER: u64 = 48;
/// Blocks that are kept.
const KEPT: u64 = 192;

/// A block: its bytes, and the references that start in it.
#[derive(Default)]
pub(crate) struct Block {
    number: Option<u64>,
    /// Position of the first byte.
    pub(crate) start: u64,
    bytes: Vec<u8>,
    skip: usize,
    len: usize,
    /// In order, none over another; the last may end beyond the block.
    pub(crate) references: Vec<Reference>,
}

impl Block {
    /// The block's bytes, and some after it as the file has them.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or(&[])
    }

    /// Position of its end.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len as u64
    }
}

/// Finds references.
pub(crate) struct Extractor<'a, B: Base + ?Sized> {
    base: &'a B,
    layout: &'a Layout,
    /// Ranges that are taken for zeros, without references.
    holes: &'a [(u64, u64)],
    words: Words<'a, B>,
    starts: Option<Starts>,
    listed: Listed,
    /// For each region with frames, the first record of every block: (region, block, position).
    frames: Vec<(usize, u64, u64)>,
    cache: Vec<Block>,
    loads: u64,
    most_loads: u64,
    scratch: Vec<Reference>,
}

impl<'a, B: Base + ?Sized> Extractor<'a, B> {
    /// Walks what has to be walked once. `most_loads` bounds the blocks that are read later.
    pub(crate) fn new(
        base: &'a B,
        layout: &'a Layout,
        holes: &'a [(u64, u64)],
        most_loads: u64,
    ) -> Result<Extractor<'a, B>, Error> {
        let mut cache = Vec::new();
        cache.resize_with(KEPT as usize, Block::default);
        let mut extractor = Extractor {
            base,
            layout,
            holes,
            words: Words::new(base),
            starts: None,
            listed: Listed::default(),
            frames: Vec::new(),
            cache,
            loads: 0,
            most_loads,
            scratch: Vec::new(),
        };
        extractor.find_tables()?;
        extractor.find_frames()?;
        for region in &layout.walks {
            match region.kind {
                RegionKind::Go => go::walk(&mut extractor.words, region, layout, &mut extractor.listed)?,
                RegionKind::Unwind => unwind::walk(&mut extractor.words, region, &mut extractor.listed)?,
                _ => {}
            }
        }
        extractor.listed.sort();
        Ok(extractor)
    }

    /// Notes what `lea` names.
    fn find_tables(&mut self) -> Result<(), Error> {
        let holds = |r: &&Region| matches!(r.kind, RegionKind::Constants | RegionKind::X86Tables);
        if !self.layout.regions.iter().any(|r| holds(&r)) {
            return Ok(());
        }
        let mut starts = Starts::new(self.base.len(), self.layout);
        let mut bytes = Vec::new();
        for region in
            self.layout.regions.iter().filter(|r| matches!(r.kind, RegionKind::X86 | RegionKind::X86Tables))
        {
            let mut at = region.offset;
            while at < region.end() {
                let to = (at + (BLOCK << 2)).min(region.end());
                bytes.resize((to.saturating_add(AFTER).min(region.end()) - at) as usize, 0);
                self.base.read_at(at, &mut bytes).map_err(crate::error::reading)?;
                let window = Window { start: at, bytes: &bytes };
                code::x86_fields(window, region, at, to, |_, _, target, holds| {
                    if holds == x86::Holds::Address
                        && let Some(offset) = self.layout.offset(target)
                    {
                        let aligned = if self.layout.placed { target } else { offset };
                        if aligned.is_multiple_of(4) {
                            starts.insert(offset);
                        }
                    }
                });
                at = to;
            }
        }
        self.starts = Some(starts);
        Ok(())
    }

    /// Notes where frames start.
    fn find_frames(&mut self) -> Result<(), Error> {
        for (i, region) in
            self.layout.regions.iter().enumerate().filter(|(_, r)| r.kind == RegionKind::EhFrame)
        {
            let mut at = region.offset;
            let (mut last, mut before) = (None, at);
            while at + 8 <= region.end() {
                let block = at / BLOCK;
                if last != Some(block) {
                    // Fields of the record before may lie in this block.
                    self.frames.push((i, block, if at - before < BEFORE { before } else { at }));
                    last = Some(block);
                }
                before = at;
                let Some(len) = self.words.u32(at)? else { break };
                if len >= 0xffff_fff0 {
                    break;
                }
                at += 4 + u64::from(len);
            }
        }
        Ok(())
    }

    /// What the references that were found by a walk are relative to, in order of the walks.
    #[cfg(feature = "make")]
    pub(crate) fn bases(&self) -> Vec<(Kind, u64)> {
        self.listed.meanings.clone()
    }

    /// The block that `offset` is in.
    pub(crate) fn block(&mut self, offset: u64) -> Result<&Block, Error> {
        let number = offset / BLOCK;
        let slot = (number % KEPT) as usize;
        if self.cache.get(slot).is_none_or(|b| b.number != Some(number)) {
            let mut block = self.cache.get_mut(slot).map(std::mem::take).unwrap_or_default();
            self.loads += 1;
            if self.loads > self.most_loads {
                return Err(Error::TooMuch("it jumps about in the old file"));
            }
            self.load(number, &mut block)?;
            if let Some(slot) = self.cache.get_mut(slot) {
                *slot = block;
            }
        }
        self.cache.get(slot).ok_or(Error::Damaged("a block lies beyond the old file"))
    }

    fn load(&mut self, number: u64, block: &mut Block) -> Result<(), Error> {
        let len = self.base.len();
        let start = number * BLOCK;
        let end = (start + BLOCK).min(len);
        if start >= end {
            return Err(Error::Damaged("a block lies beyond the old file"));
        }
        let (from, to) = (start.saturating_sub(BEFORE), (end + AFTER).min(len));
        block.bytes.resize((to - from) as usize, 0);
        self.base.read_at(from, &mut block.bytes).map_err(crate::error::reading)?;
        block.start = start;
        block.skip = (start - from) as usize;
        block.len = (end - start) as usize;
        block.references.clear();
        self.references(Window { start: from, bytes: &block.bytes }, start, end, &mut block.references)?;
        for &(at, len) in self.holes {
            let (low, high) = (at.max(from), at.saturating_add(len).min(to));
            if low < high
                && let Some(hole) = block.bytes.get_mut((low - from) as usize..(high - from) as usize)
            {
                hole.fill(0);
            }
        }
        block.number = Some(number);
        Ok(())
    }

    fn references(
        &mut self,
        w: Window<'_>,
        start: u64,
        end: u64,
        out: &mut Vec<Reference>,
    ) -> Result<(), Error> {
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        let layout = self.layout;
        let first = layout.regions.partition_point(|r| r.end() <= start);
        for (i, region) in layout.regions.iter().enumerate().skip(first).take_while(|(_, r)| r.offset < end) {
            let range = (start.max(region.offset), end.min(region.end()));
            let before = found.len();
            match region.kind {
                RegionKind::Nothing | RegionKind::Go | RegionKind::Unwind => {}
                RegionKind::X86 => code::x86(w, region, range, layout, &mut found),
                RegionKind::Arm64 => code::arm64(w, region, range, layout, &mut found),
                RegionKind::Pointers => data::pointers(w, region, range, layout, &mut found),
                RegionKind::MachoData => data::macho(w, region, range, layout, &mut found),
                RegionKind::Rela => data::rela(w, region, range, layout, &mut found),
                RegionKind::Symbols => data::symbols(w, region, 24, range, layout, &mut found),
                RegionKind::Nlist => data::symbols(w, region, 16, range, layout, &mut found),
                RegionKind::Relative => data::relative(w, region, range, layout, &mut found),
                RegionKind::Counts => data::counts(w, region, range, &mut found),
                RegionKind::Constants | RegionKind::X86Tables => {
                    if let Some(starts) = &self.starts {
                        jumps::tables(&mut self.words, starts, region, range, layout, &mut found)?;
                    }
                    if region.kind == RegionKind::X86Tables {
                        code::x86(w, region, range, layout, &mut found);
                    } else if region.a == 1 {
                        data::pointers(w, region, range, layout, &mut found);
                    }
                }
                RegionKind::EhFrame => self.frames_of(w, i, region, range, &mut found)?,
            }
            // None beyond its region.
            let mut kept = before;
            for at in before..found.len() {
                if let Some(r) = found.get(at).copied()
                    && r.offset >= range.0
                    && r.offset < range.1
                    && r.end() <= region.end()
                {
                    if let Some(slot) = found.get_mut(kept) {
                        *slot = r;
                    }
                    kept += 1;
                }
            }
            found.truncate(kept);
        }
        self.listed(w, start, end, &mut found);
        // Of two at one place the walk's, then the one of the lower kind; jump tables before what code seems to be there.
        found.sort_by_key(|r| (r.offset, rank(r.kind)));
        let mut free = 0;
        for r in &found {
            let hole = self.holes.iter().any(|(at, len)| r.end() > *at && r.offset < at.saturating_add(*len));
            if r.offset >= free && r.end() <= self.base.len() && !hole {
                free = r.end();
                out.push(*r);
            }
        }
        self.scratch = found;
        Ok(())
    }

    fn listed(&self, w: Window<'_>, start: u64, end: u64, found: &mut Vec<Reference>) {
        let fields = &self.listed.fields;
        let first = fields.partition_point(|f| u64::from(f.0) < start);
        for (at, meaning) in fields.iter().skip(first).take_while(|f| u64::from(f.0) < end) {
            let offset = u64::from(*at);
            if let (Some((kind, base)), Some(v)) =
                (self.listed.meanings.get(usize::from(*meaning)).copied(), w.u32(offset))
            {
                let target = match kind {
                    Kind::Count => 0,
                    Kind::FromBase24 => base.wrapping_add(u64::from(v & 0xff_ffff)),
                    _ => base.wrapping_add(u64::from(v)),
                };
                found.push(Reference { offset, kind, tail: 0, target, base });
            }
        }
    }

    fn frames_of(
        &mut self,
        w: Window<'_>,
        index: usize,
        region: &Region,
        (from, to): (u64, u64),
        found: &mut Vec<Reference>,
    ) -> Result<(), Error> {
        // A record that began in a block before may reach into this one.
        let at = self.frames.partition_point(|f| (f.0, f.1) < (index, from / BLOCK));
        let mut at = match self.frames.get(at) {
            Some((i, block, at)) if *i == index && *block == from / BLOCK => *at,
            _ => return Ok(()),
        };
        while at + 8 <= region.end() && at < to {
            let Some(len) = w.u32(at) else { break };
            if len >= 0xffff_fff0 {
                break;
            }
            data::frame(w, region, at, self.layout, found);
            at += 4 + u64::from(len);
        }
        Ok(())
    }
}

fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Jump => 0,
        kind => kind as u8 + 1,
    }
}

#[cfg(all(test, feature = "make"))]
mod tests;
