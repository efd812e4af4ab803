//! The bytes that no copy gives.

use super::output::{Output, PIECE};
use crate::Error;
use crate::coder::Decoder;
use crate::format::{Packing, Parts};
use crate::literals::{self, Literals};
use lzma_rust2::LzmaReader;
use std::io::Read;

enum Source<'a> {
    Models(Box<Literals<Decoder<'a>>>),
    Lzma(Box<LzmaReader<&'a [u8]>>),
    Raw(&'a [u8]),
    Nothing,
}

pub(super) struct Extra<'a> {
    source: Source<'a>,
    left: u64,
    piece: Vec<u8>,
}

/// LZMA looks back at most so far: it is held in memory.
pub(crate) const MOST_BACK: u64 = 32 << 20;

/// How far LZMA looks back in `len` bytes.
pub(crate) fn back(len: u64) -> u32 {
    len.next_power_of_two().clamp(1 << 16, MOST_BACK) as u32
}

impl<'a> Extra<'a> {
    pub(super) fn new(parts: &Parts<'a>) -> Result<Extra<'a>, Error> {
        let len = parts.header.extra_len;
        let source = match parts.header.packing {
            _ if len == 0 => Source::Nothing,
            Packing::Models if len > literals::MOST => {
                return Err(Error::TooMuch("its new bytes are packed slowly"));
            }
            Packing::Models => Source::Models(Box::new(Literals::new(Decoder::new(parts.extra)))),
            Packing::Lzma => {
                let reader = LzmaReader::new(parts.extra, len, 3, 0, 2, back(len), None);
                Source::Lzma(Box::new(reader.map_err(|_| Error::Damaged("its new bytes"))?))
            }
            Packing::Raw if parts.extra.len() as u64 != len => return Err(Error::Damaged("its new bytes")),
            Packing::Raw => Source::Raw(parts.extra),
        };
        Ok(Extra { source, left: len, piece: Vec::new() })
    }

    /// The next `len` bytes into `output`.
    pub(super) fn give(&mut self, len: u64, output: &mut Output<'_>) -> Result<(), Error> {
        self.left =
            self.left.checked_sub(len).ok_or(Error::Damaged("it has fewer new bytes than it uses"))?;
        let mut left = len;
        while left > 0 {
            self.piece.clear();
            self.piece.resize(left.min(PIECE as u64) as usize, 0);
            left -= self.piece.len() as u64;
            match &mut self.source {
                Source::Models(literals) => {
                    self.piece.iter_mut().for_each(|b| *b = literals.byte(0));
                    if literals.coder.overrun() {
                        return Err(Error::Damaged("its new bytes end early"));
                    }
                }
                Source::Lzma(reader) => {
                    reader.read_exact(&mut self.piece).map_err(|_| Error::Damaged("its new bytes"))?;
                }
                Source::Raw(bytes) => {
                    let (now, later) = bytes
                        .split_at_checked(self.piece.len())
                        .ok_or(Error::Damaged("its new bytes end early"))?;
                    self.piece.copy_from_slice(now);
                    *bytes = later;
                }
                Source::Nothing => return Err(Error::Damaged("it has fewer new bytes than it uses")),
            }
            output.push(&self.piece)?;
        }
        Ok(())
    }

    /// That nothing is left.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.left == 0 { Ok(()) } else { Err(Error::Damaged("it has more new bytes than it uses")) }
    }
}
