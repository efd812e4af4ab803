//! The new file from the old one and a patch.
//!
//! - Here: the order of things, the hash that the result must have. `extra`: the bytes that no copy gives, and how far LZMA may look
//!   back. `truth`: what is there instead of what was expected.
//! - `output`: what is written: in order, with derived ranges filled in.

mod extra;
mod output;
mod truth;

use crate::Error;
use crate::base::{Base, Measured};
use crate::coder::Decoder;
use crate::extract::{self, BLOCK, Extractor};
use crate::format::{Parts, Tables};
use crate::hash::{digest, hasher};
use crate::map::{Copy, Map};
use crate::packed::{Level, Opened, Rebuild};
use crate::script::{Copies, Script};
use crate::walk::Walk;
use extra::Extra;
#[cfg(feature = "make")]
pub(crate) use extra::back;
use output::{Output, PIECE, write_error};
use std::io::{self, Write};
use truth::Truth;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its length in bytes.
    pub len: u64,
    /// Its BLAKE2b-256.
    pub hash: [u8; 32],
}

/// Reads of blocks that a patch may cause: more would be work out of proportion to the files.
pub(crate) fn most_loads(old_len: u64, new_len: u64) -> u64 {
    4096 + 24 * (old_len / BLOCK + new_len / BLOCK)
}

/// Writes to `into` what `patch` makes of `old`. The result was proved against the hash in the patch when this returns; until
/// then what was written is nothing. Reads `old` at positions; what it holds has bounds (see the crate).
///
/// # Errors
/// [`Error::WrongBase`] before anything is written, if `old` is another file; [`Error::WrongResult`]; a patch that is damaged or
/// hostile; reading and writing.
pub fn apply<B: Base + ?Sized, W: Write>(old: &B, patch: &[u8], mut into: W) -> Result<Applied, Error> {
    let parts = Parts::read(patch)?;
    let h = parts.header;
    let base: &dyn Base = &Measured::new(&old);
    // A patch without copies needs no base.
    if h.copies > 0 && (base.len() != h.old_len || hash(base)? != h.old_hash) {
        return Err(Error::WrongBase);
    }
    let recipe = parts.recipe()?;
    let mut proved = Proved { into: &mut into, hasher: hasher(), left: h.new_len };
    level(base, &recipe.levels, &parts, &mut proved)?;
    if proved.left > 0 {
        return Err(Error::Damaged("it makes less than its result"));
    }
    if digest(&proved.hasher) != h.new_hash {
        return Err(Error::WrongResult);
    }
    Ok(Applied { len: h.new_len, hash: h.new_hash })
}

/// Inside after inside, then the copies.
fn level(base: &dyn Base, levels: &[Level], parts: &Parts<'_>, into: &mut dyn Write) -> Result<(), Error> {
    let Some((first, rest)) = levels.split_first() else { return copied(base, parts, into) };
    let damaged = Error::Damaged("its recipe does not fit the files");
    let len = first.inside_len(base.len()).ok_or(damaged)?;
    let lens = parts.header.lens();
    let opened = Opened::new(base, first, len, 8 * (lens.0 + lens.1) + (16 << 20));
    let mut rebuild = Rebuild::new(into, first);
    level(&opened, rest, parts, &mut rebuild)?;
    rebuild.finish().map_err(write_error)
}

fn copied(old: &dyn Base, parts: &Parts<'_>, into: &mut dyn Write) -> Result<(), Error> {
    let h = parts.header;
    let lens = h.lens();
    let mut tables = Tables::read(parts.tables, h.tables_len, lens)?;
    tables.old.placed = h.extractor == extract::VERSION_PLACED;
    let mut extra = Extra::new(parts)?;
    let mut output = Output::new(into, &tables.derived, lens.1);
    if h.copies > 0 {
        let mut script = Script::new(Decoder::new(parts.script));
        let copies = copies(&mut script, h.copies, lens)?;
        let map = Map::new(&copies);
        let extractor = Extractor::new(old, &tables.old, &tables.holes, most_loads(lens.0, lens.1))?;
        let mut walk = Walk::new(extractor, map, &tables.old, &tables.new, &tables.anchors);
        let mut truth = Truth::new(script, &mut output)?;
        for copy in &copies {
            extra.give(u64::from(copy.new) - truth.position(), truth.output())?;
            walk.copy(*copy, &mut truth)?;
        }
        truth.finish()?;
    }
    extra.give(lens.1 - output.position(), &mut output)?;
    extra.finish()?;
    output.finish()
}

/// The result as it comes: hashed, and no more than it may be.
struct Proved<'a> {
    into: &'a mut dyn Write,
    hasher: blake2b_simd::State,
    left: u64,
}

impl Write for Proved<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "more than its result"))?;
        self.hasher.update(bytes);
        self.into.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

fn copies(script: &mut Script<Decoder<'_>>, count: u64, lens: (u64, u64)) -> Result<Vec<Copy>, Error> {
    let mut out = Vec::new();
    let mut place = Copies::new();
    for _ in 0..count {
        let copy = place
            .next(script, Copy::default(), lens)
            .ok_or(Error::Damaged("a copy lies beyond the files"))?;
        if script.coder.overrun() {
            return Err(Error::Damaged("its script ends early"));
        }
        out.push(copy);
    }
    Ok(out)
}

fn hash(base: &dyn Base) -> Result<[u8; 32], Error> {
    let mut hasher = hasher();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < base.len() {
        piece.truncate(usize::try_from(base.len() - at).unwrap_or(PIECE));
        base.read_at(at, &mut piece).map_err(crate::error::reading)?;
        hasher.update(&piece);
        at += piece.len() as u64;
    }
    Ok(digest(&hasher))
}
