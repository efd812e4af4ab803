//! What a finder says.

use crate::packed::Method;

/// A packed piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) method: Method,
}

/// A file in a package, or another part of it: in pieces that follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Member {
    pub(super) pieces: Vec<Piece>,
}

impl Member {
    pub(super) fn one(offset: usize, len: usize, method: Method) -> Member {
        Member { pieces: vec![Piece { offset, len, method }] }
    }
}

/// A little-endian number of up to eight bytes.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
}

/// One that is a position or a length here.
pub(super) fn place(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, len)?).ok()
}
