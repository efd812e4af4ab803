//! What is packed inside a file: unpacked on both sides, so that a difference of what is inside is what travels, and packed again
//! to the same bytes.
//!
//! A *level* says which pieces of the old file are unpacked in place, which makes its inside, and which pieces of the new
//! file's inside are packed, which makes the new file. Levels lie within each other: a package in a package.
//!
//! - Here: ways of packing and levels. `recipe`: levels in a patch. `opened`: the inside of the old file, read at positions.
//!   `rebuild`: the new file from its inside. `inflate`, `deflate`: unpacks; packs as zlib and gzip do.

mod deflate;
mod inflate;
mod opened;
mod rebuild;
mod recipe;

pub(crate) use deflate::{Deflate, Parameters};
pub(crate) use opened::Opened;
pub(crate) use rebuild::Rebuild;
pub(crate) use recipe::{Lens, MOST_LEVELS, MOST_RECIPE, Recipe};

/// What a packed piece is. The numbers are in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Method {
    /// Deflate alone.
    Deflate = 0,
    /// Zlib's format (RFC 1950): a header, deflate, and the Adler-32 of what is unpacked.
    Zlib = 1,
}

impl Method {
    /// Bytes before deflate.
    pub(crate) fn header_len(self) -> u64 {
        match self {
            Method::Deflate => 0,
            Method::Zlib => 2,
        }
    }
}

/// The header of zlib's format, which says how hard the packer tried.
pub(crate) fn zlib_header(parameters: Parameters) -> [u8; 2] {
    let effort: u8 = match parameters.level {
        0 | 1 => 0,
        2..=5 => 1,
        6 => 2,
        _ => 3,
    };
    let (first, second) = (0x78, effort << 6);
    [first, second + (31 - (u16::from(first) << 8 | u16::from(second)) % 31) as u8]
}

/// A piece of the old file that is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpack {
    /// Where it is in the file that it is unpacked from.
    pub(crate) offset: u64,
    pub(crate) packed: u64,
    pub(crate) unpacked: u64,
    pub(crate) method: Method,
}

/// A piece of the new file's inside that is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Where it is in the inside.
    pub(crate) offset: u64,
    pub(crate) unpacked: u64,
    pub(crate) method: Method,
    pub(crate) parameters: Parameters,
}

/// One level. Both lists are in order, and none of a list lies over another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Level {
    pub(crate) old: Vec<Unpack>,
    pub(crate) new: Vec<Pack>,
}

impl Level {
    /// Length of the inside of an old file of `len` bytes.
    pub(crate) fn inside_len(&self, len: u64) -> Option<u64> {
        self.old.iter().try_fold(len, |len, p| len.checked_sub(p.packed)?.checked_add(p.unpacked))
    }
}

/// Bytes that a file of `len` may have inside.
pub(crate) fn most_inside(len: u64) -> u64 {
    len.saturating_mul(64).saturating_add(1 << 20).min(crate::MAX_FILE)
}

/// The checksum of zlib's format, over bytes as they come.
#[derive(Clone, Copy)]
pub(crate) struct Adler(u32, u32);

impl Adler {
    pub(crate) fn new() -> Adler {
        Adler(1, 0)
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        // So many bytes fit into 32 bits.
        for piece in bytes.chunks(5552) {
            for byte in piece {
                self.0 += u32::from(*byte);
                self.1 += self.0;
            }
            self.0 %= 65_521;
            self.1 %= 65_521;
        }
    }

    pub(crate) fn sum(self) -> [u8; 4] {
        (self.1 << 16 | self.0).to_be_bytes()
    }
}

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
