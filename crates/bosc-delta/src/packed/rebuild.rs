//! The new file from its inside, as its bytes come: pieces are packed, the rest goes through.

use super::deflate::{Deflate, Parameters};
use super::level::{Adler, Level, Method, Pack, zlib_header};
use std::io::{self, Write};

/// Packed bytes that are held.
const HELD: usize = 64 << 10;
/// Looks for repetitions that are allowed for a byte; real files take up to some 60 at the highest level.
const STEPS: u64 = 400;

/// Takes the inside, writes the file.
pub(crate) struct Rebuild<'a> {
    into: &'a mut dyn Write,
    /// Those that are not packed yet.
    pieces: std::slice::Iter<'a, Pack>,
    now: Option<&'a Pack>,
    /// Position in the inside.
    at: u64,
    deflate: Option<(Parameters, Deflate)>,
    adler: Adler,
    /// Looks for repetitions that are left.
    steps: u64,
}

impl<'a> Rebuild<'a> {
    pub(crate) fn new(into: &'a mut dyn Write, level: &'a Level) -> Rebuild<'a> {
        let mut pieces = level.new.iter();
        let now = pieces.next();
        Rebuild { into, pieces, now, at: 0, deflate: None, adler: Adler::new(), steps: STEPS << 16 }
    }

    /// Everything was given.
    pub(crate) fn finish(self) -> io::Result<()> {
        if self.now.is_some() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what is to be packed is not whole"));
        }
        self.into.flush()
    }

    fn pack(&mut self, piece: &Pack, bytes: &[u8]) -> io::Result<()> {
        if self.at == piece.offset {
            match &mut self.deflate {
                Some((parameters, deflate)) if *parameters == piece.parameters => deflate.reset(),
                slot => *slot = Some((piece.parameters, Deflate::new(piece.parameters))),
            }
            self.adler = Adler::new();
            if piece.method == Method::Zlib {
                self.into.write_all(&zlib_header(piece.parameters))?;
            }
        }
        let Some((_, deflate)) = &mut self.deflate else { return Ok(()) };
        deflate.write(bytes);
        if piece.method == Method::Zlib {
            self.adler.take(bytes);
        }
        self.at += bytes.len() as u64;
        self.steps += STEPS * bytes.len() as u64;
        let over = self.at == piece.offset + piece.unpacked;
        if over {
            deflate.finish();
            if piece.method == Method::Zlib {
                deflate.out().extend_from_slice(&self.adler.sum());
            }
            self.now = self.pieces.next();
        }
        self.steps = self
            .steps
            .checked_sub(deflate.steps())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what it packs is made to be slow"))?;
        if over || deflate.out().len() >= HELD {
            self.into.write_all(deflate.out())?;
            deflate.out().clear();
        }
        Ok(())
    }
}

impl Write for Rebuild<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.now {
                Some(piece) if self.at >= piece.offset => {
                    let left = piece.offset + piece.unpacked - self.at;
                    let (now, later) = rest.split_at(left.min(rest.len() as u64) as usize);
                    self.pack(piece, now)?;
                    rest = later;
                }
                piece => {
                    let until = piece.map_or(u64::MAX, |p| p.offset - self.at);
                    let (now, later) = rest.split_at(until.min(rest.len() as u64) as usize);
                    self.into.write_all(now)?;
                    self.at += now.len() as u64;
                    rest = later;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
