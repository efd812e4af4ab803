//! Ways of packing, and levels.

use super::deflate::Parameters;

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
