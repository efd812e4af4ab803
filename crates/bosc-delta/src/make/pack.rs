//! New bytes, packed; and the patch that needs no base.

use crate::Error;
use crate::apply::back;
use crate::coder::Encoder;
use crate::format::{Header, Packing, Parts};
use crate::hash::hash;
use crate::literals::{self, Literals};
use lzma_rust2::{EncodeMode, LzmaOptions, LzmaWriter, MfType};
use std::io::Write;

/// Models are tried on no more bytes than this: LZMA is quicker to read.
const MODELLED: usize = 2 << 20;
/// A piece of the new file that is packed to see how well it packs.
const SAMPLE: usize = 64 << 10;

/// How LZMA looks for repetitions: whether it compares ways to take them, by which index, how long one has to be to be taken at once,
/// and how often it looks (0: by that length). Of a patch, everything is tried. Files without a base are long: so it takes the first
/// good one (docs/performance.md has what that costs and saves).
struct Effort {
    mode: EncodeMode,
    index: MfType,
    nice: u32,
    depth: i32,
}

const THOROUGH: Effort = Effort { mode: EncodeMode::Normal, index: MfType::Bt4, nice: 273, depth: 0 };
const QUICK: Effort = Effort { mode: EncodeMode::Fast, index: MfType::Hc4, nice: 273, depth: 8 };

fn lzma(bytes: &[u8], effort: &Effort) -> Result<Vec<u8>, Error> {
    let Effort { mode, index, nice, depth } = *effort;
    let back = back(bytes.len() as u64);
    let options = LzmaOptions::new(back, 3, 0, 2, mode, nice, index, depth);
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false).map_err(Error::Write)?;
    writer.write_all(bytes).map_err(Error::Write)?;
    writer.finish().map_err(Error::Write)
}

fn models(bytes: &[u8]) -> Vec<u8> {
    let mut literals = Literals::new(Encoder::new());
    for byte in bytes {
        literals.byte(*byte);
    }
    literals.coder.finish()
}

/// The smallest form of new bytes.
pub(super) fn extra(bytes: &[u8]) -> Result<(Packing, Vec<u8>), Error> {
    extra_with(bytes, &THOROUGH)
}

fn extra_with(bytes: &[u8], effort: &Effort) -> Result<(Packing, Vec<u8>), Error> {
    if bytes.is_empty() {
        return Ok((Packing::Raw, Vec::new()));
    }
    let mut best = (Packing::Lzma, lzma(bytes, effort)?);
    if bytes.len() <= MODELLED.min(literals::MOST as usize) {
        let modelled = models(bytes);
        if modelled.len() < best.1.len() {
            best = (Packing::Models, modelled);
        }
    }
    if bytes.len() <= best.1.len() {
        best = (Packing::Raw, bytes.to_vec());
    }
    Ok(best)
}

/// The patch, or the one that needs no base if it is smaller.
pub(super) fn smaller(patch: Option<Vec<u8>>, old: &[u8], new: &[u8]) -> Result<Vec<u8>, Error> {
    match patch {
        Some(patch) if patch.len() < 256 || !promising(patch.len(), new)? => Ok(patch),
        patch => {
            let whole = whole(old, new)?;
            Ok(patch.filter(|p| p.len() <= whole.len()).unwrap_or(whole))
        }
    }
}

/// Whether the new file alone could pack into less: samples say how well it packs.
fn promising(len: usize, new: &[u8]) -> Result<bool, Error> {
    if len > new.len() / 16 || new.len() <= 8 * SAMPLE {
        return Ok(true);
    }
    let (mut packed, mut seen) = (0, 0);
    for i in 0..8 {
        let from = (new.len() - SAMPLE) / 7 * i;
        let piece = new.get(from..from + SAMPLE).unwrap_or(&[]);
        packed += lzma(piece, &THOROUGH)?.len();
        seen += piece.len();
    }
    Ok(packed as u64 * new.len() as u64 / (seen as u64 * 4) < len as u64)
}

fn whole(old: &[u8], new: &[u8]) -> Result<Vec<u8>, Error> {
    let effort = if old.is_empty() { QUICK } else { THOROUGH };
    let (packing, packed) = extra_with(new, &effort)?;
    let header = Header {
        extractor: crate::extract::VERSION,
        old_len: old.len() as u64,
        new_len: new.len() as u64,
        old_hash: hash(old),
        new_hash: hash(new),
        tables_len: 0,
        copies: 0,
        extra_len: new.len() as u64,
        packing,
        inside: None,
    };
    Ok(Parts { header, recipe: &[], tables: &[], script: &[], extra: &packed }.write())
}
