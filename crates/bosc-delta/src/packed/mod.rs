//! What is packed inside a file: unpacked on both sides, so that a difference of what is inside is what travels, and packed again
//! to the same bytes.
//!
//! A *level* says which pieces of the old file are unpacked in place, which makes its inside, and which pieces of the new
//! file's inside are packed, which makes the new file. Levels lie within each other: a package in a package.
//!
//! # Files
//!
//! - Here: unpacking and packing what is at hand. `level`: ways of packing, levels, and how much a file may have inside. `recipe`:
//!   levels in a patch: how many, how long, and whether they fit the files. `opened`: the inside of the old file, read at positions:
//!   chunks and states kept, how much is unpacked in all. `rebuild`: the new file from its inside, packed again as its bytes come,
//!   and how much work that may be. `inflate`, `deflate/`: unpacks; the bytes that zlib and gzip pack to.

mod deflate;
mod inflate;
mod level;
mod opened;
mod rebuild;
mod recipe;

#[cfg(feature = "make")]
pub(crate) use deflate::{Deflate, Parameters};
pub(crate) use level::{Level, most_inside};
#[cfg(feature = "make")]
pub(crate) use level::{Method, Pack, Unpack};
pub(crate) use opened::Opened;
pub(crate) use rebuild::Rebuild;
pub(crate) use recipe::{Lens, MOST_LEVELS, MOST_RECIPE, Recipe};

#[cfg(feature = "make")]
use level::{Adler, zlib_header};

/// Unpacks what is at hand: its bytes, and how long it was packed. None if it is damaged or more than `most`.
#[cfg(feature = "make")]
pub(crate) fn unpack(packed: &[u8], method: Method, most: usize) -> Option<(Vec<u8>, u64)> {
    let mut inflate = inflate::Inflate::new();
    let header = method.header_len();
    let (mut input, mut out) = (packed.get(header as usize..)?, Vec::new());
    inflate.run(&mut input, &mut out, most.saturating_add(1)).ok()?;
    if !inflate.ended() {
        return None;
    }
    let consumed = header + inflate.consumed();
    if method == Method::Deflate {
        return Some((out, consumed));
    }
    let mut adler = Adler::new();
    adler.take(&out);
    let at = usize::try_from(consumed).ok()?;
    (packed.get(at..at + 4)? == adler.sum()).then_some((out, consumed + 4))
}

/// Whether `bytes` packed with these parameters, by the packer that has them, begin `packed`.
#[cfg(feature = "make")]
pub(crate) fn packs_to(
    (parameters, deflate): (Parameters, &mut Deflate),
    method: Method,
    bytes: &[u8],
    packed: &[u8],
) -> bool {
    deflate.reset();
    let Some((header, mut rest)) = packed.split_at_checked(method.header_len() as usize) else {
        return false;
    };
    if method == Method::Zlib && header != zlib_header(parameters) {
        return false;
    }
    let mut equal = |deflate: &mut Deflate| {
        let out = deflate.out();
        let same = rest.starts_with(out);
        rest = rest.get(out.len()..).unwrap_or(&[]);
        out.clear();
        same
    };
    for piece in bytes.chunks(1 << 17) {
        deflate.write(piece);
        if !equal(deflate) {
            return false;
        }
    }
    deflate.finish();
    equal(deflate)
}

#[cfg(all(test, feature = "make"))]
mod tests;
