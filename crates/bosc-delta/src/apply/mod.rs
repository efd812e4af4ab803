//! The new file from the old one and a patch.
//!
//! - Here: the order of things. `extra`: the bytes that no copy gives. `truth`: what is there instead of what was expected.
//! - `output`: what is written: in order, hashed, with derived ranges filled in.

mod extra;
mod output;
mod truth;

use crate::Error;
use crate::base::Base;
use crate::coder::Decoder;
use crate::extract::{BLOCK, Extractor};
use crate::format::{Parts, Tables};
use crate::hash::{digest, hasher};
use crate::map::{Copy, Map};
use crate::script::{Copies, Script};
use crate::walk::Walk;
use extra::Extra;
#[cfg(feature = "make")]
pub(crate) use extra::back;
use output::{Output, PIECE};
use std::io::Write;
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
    4096 + 4 * (old_len / BLOCK + new_len / BLOCK)
}

/// Writes to `into` what `patch` makes of `old`. The result was proved against the hash in the patch when this returns; until
/// then what was written is nothing. Reads `old` at positions; what it holds has bounds (see the crate).
///
/// # Errors
/// [`Error::WrongBase`] before anything is written, if `old` is another file; [`Error::WrongResult`]; a patch that is damaged or
/// hostile; reading and writing.
pub fn apply<B: Base + ?Sized, W: Write>(old: &B, patch: &[u8], into: W) -> Result<Applied, Error> {
    let parts = Parts::read(patch)?;
    let h = parts.header;
    // A patch without copies needs no base.
    if h.copies > 0 && (old.len() != h.old_len || hash(old)? != h.old_hash) {
        return Err(Error::WrongBase);
    }
    let tables = Tables::read(parts.tables, h.tables_len, (h.old_len, h.new_len))?;
    let mut extra = Extra::new(&parts)?;
    let mut output = Output::new(into, &tables.derived, h.new_len);
    if h.copies > 0 {
        let mut script = Script::new(Decoder::new(parts.script));
        let copies = copies(&mut script, h.copies, (h.old_len, h.new_len))?;
        let map = Map::new(&copies);
        let extractor = Extractor::new(old, &tables.old, &tables.holes, most_loads(h.old_len, h.new_len))?;
        let mut walk = Walk::new(extractor, map, &tables.old, &tables.new, &tables.anchors);
        let mut truth = Truth::new(script, &mut output)?;
        for copy in &copies {
            extra.give(u64::from(copy.new) - truth.position(), truth.output())?;
            walk.copy(*copy, &mut truth)?;
        }
        truth.finish()?;
    }
    extra.give(h.new_len - output.position(), &mut output)?;
    extra.finish()?;
    if output.finish()? != h.new_hash {
        return Err(Error::WrongResult);
    }
    Ok(Applied { len: h.new_len, hash: h.new_hash })
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

fn hash<B: Base + ?Sized>(base: &B) -> Result<[u8; 32], Error> {
    let mut hasher = hasher();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < base.len() {
        piece.truncate(usize::try_from(base.len() - at).unwrap_or(PIECE));
        base.read_at(at, &mut piece).map_err(Error::Read)?;
        hasher.update(&piece);
        at += piece.len() as u64;
    }
    Ok(digest(&hasher))
}
