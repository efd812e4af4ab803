//! The inside of the old file, read at positions: packed pieces are unpacked where they are read.
//!
//! A piece is unpacked in chunks. Chunks are kept as long as there is room, and so is the state at the start of each, so that a
//! read in the middle of a long piece does not begin at its start. Both have bounds, and so has what is unpacked in all.

use super::inflate::{Inflate, Input};
use super::level::{Level, Unpack};
use crate::base::Base;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;

/// Bytes that are unpacked at once, and after which a state is kept.
const CHUNK: u64 = 256 << 10;
/// Bytes of chunks that are kept.
const KEPT: usize = 16 << 20;
/// States that are kept, of some 33 KiB each.
const STATES: usize = 192;

struct Placed {
    /// Where it starts inside.
    start: u64,
    piece: Unpack,
}

/// The inside of a file.
pub(crate) struct Opened<'a> {
    base: &'a dyn Base,
    pieces: Vec<Placed>,
    len: u64,
    kept: RefCell<Kept>,
}

/// A chunk: the number of its piece, and its own within it.
type Chunk = (usize, u64);

#[derive(Default)]
struct Kept {
    chunks: HashMap<Chunk, Vec<u8>>,
    chunks_in_order: VecDeque<Chunk>,
    bytes: usize,
    states: HashMap<Chunk, Inflate>,
    states_in_order: VecDeque<Chunk>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Opened<'a> {
    /// `len`: of the inside, by the recipe. No more than `most` bytes are unpacked in all.
    pub(crate) fn new(base: &'a dyn Base, level: &Level, len: u64, most: u64) -> Opened<'a> {
        let (mut start, mut end) = (0, 0);
        let pieces = level.old.iter().map(|piece| {
            start += piece.offset - end;
            end = piece.offset + piece.packed;
            let placed = Placed { start, piece: *piece };
            start += piece.unpacked;
            placed
        });
        let pieces = pieces.collect();
        Opened { base, pieces, len, kept: RefCell::new(Kept { left: most, ..Kept::default() }) }
    }

    /// Copies from a chunk; returns how many bytes.
    fn read_chunk(&self, number: usize, p: &Placed, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let within = at - p.start;
        let chunk = (number, within / CHUNK);
        let mut kept = self.kept.try_borrow_mut().map_err(|_| io::ErrorKind::Other)?;
        if !kept.chunks.contains_key(&chunk) {
            kept.unpack(self.base, &p.piece, chunk)?;
        }
        let bytes = kept.chunks.get(&chunk).ok_or_else(damaged)?;
        let rest = bytes.get((within % CHUNK) as usize..).unwrap_or(&[]);
        let len = rest.len().min(into.len());
        if len == 0 {
            return Err(damaged());
        }
        for (to, from) in into.chunks_mut(len).zip([rest.get(..len).unwrap_or(&[])]) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what is packed is damaged")
}

impl Kept {
    /// Unpacks up to the end of a chunk, and keeps it.
    fn unpack(&mut self, base: &dyn Base, piece: &Unpack, chunk: Chunk) -> io::Result<()> {
        let (number, wanted) = chunk;
        let known = (1..=wanted).rev().find(|c| self.states.contains_key(&(number, *c)));
        let (mut at, mut inflate) = match known {
            Some(c) => (c, self.states.get(&(number, c)).cloned().unwrap_or_else(Inflate::new)),
            None => (0, Inflate::new()),
        };
        let from = piece.offset + piece.method.header_len() + inflate.taken();
        let mut input =
            Reader { base, at: from, end: piece.offset + piece.packed, bytes: Vec::new(), next: 0 };
        loop {
            let len = (piece.unpacked - at * CHUNK).min(CHUNK);
            self.left = self.left.checked_sub(len).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "it jumps about in what is packed")
            })?;
            let mut out = Vec::with_capacity(len as usize);
            inflate.run(&mut input, &mut out, len as usize)?;
            if out.len() as u64 != len {
                return Err(damaged());
            }
            if at == wanted {
                self.keep_state((number, at + 1), inflate, piece);
                self.keep(chunk, out);
                return Ok(());
            }
            at += 1;
            if !self.states.contains_key(&(number, at)) {
                self.keep_state((number, at), inflate.clone(), piece);
            }
        }
    }

    fn keep(&mut self, chunk: Chunk, bytes: Vec<u8>) {
        while self.bytes + bytes.len() > KEPT {
            let Some(gone) = self.chunks_in_order.pop_front() else { break };
            self.bytes -= self.chunks.remove(&gone).map_or(0, |b| b.len());
        }
        self.bytes += bytes.len();
        self.chunks_in_order.push_back(chunk);
        self.chunks.insert(chunk, bytes);
    }

    fn keep_state(&mut self, chunk: Chunk, inflate: Inflate, piece: &Unpack) {
        if chunk.1 * CHUNK >= piece.unpacked || self.states.contains_key(&chunk) {
            return;
        }
        if self.states.len() >= STATES
            && let Some(gone) = self.states_in_order.pop_front()
        {
            self.states.remove(&gone);
        }
        self.states_in_order.push_back(chunk);
        self.states.insert(chunk, inflate);
    }
}

impl Base for Opened<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
        if at.checked_add(into.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !into.is_empty() {
            let next = self.pieces.partition_point(|p| p.start <= at);
            let before = next.checked_sub(1).and_then(|i| Some((i, self.pieces.get(i)?)));
            let len = match before {
                Some((number, p)) if at - p.start < p.piece.unpacked => {
                    self.read_chunk(number, p, at, into)?
                }
                _ => {
                    // Between pieces, as it is.
                    let offset = before.map_or(at, |(_, p)| {
                        at - (p.start + p.piece.unpacked) + p.piece.offset + p.piece.packed
                    });
                    let until = self.pieces.get(next).map_or(u64::MAX, |p| p.start - at);
                    let len = until.min(into.len() as u64) as usize;
                    self.base.read_at(offset, into.get_mut(..len).unwrap_or(&mut []))?;
                    len
                }
            };
            into = into.get_mut(len..).unwrap_or(&mut []);
            at += len as u64;
        }
        Ok(())
    }
}

/// A stretch of a file, in order.
struct Reader<'a> {
    base: &'a dyn Base,
    at: u64,
    end: u64,
    bytes: Vec<u8>,
    next: usize,
}

impl Input for Reader<'_> {
    fn next(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.bytes.get(self.next) {
            self.next += 1;
            return Ok(Some(*byte));
        }
        if self.at >= self.end {
            return Ok(None);
        }
        self.bytes.resize((self.end - self.at).min(32 << 10) as usize, 0);
        self.base.read_at(self.at, &mut self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.next = 1;
        Ok(self.bytes.first().copied())
    }
}
