//! Cuts an ordered byte stream into frames: three bytes of length, little endian, then as many bytes.
//!
//! Every byte is copied once, into the buffer it will be decrypted in. Small frames share a buffer; a large one
//! has its own, which grows as bytes arrive, so that three bytes cannot make us take 16 MiB.

use super::cipher::{OVERHEAD, StreamCipherState, TAG_MESSAGE};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes of a frame's length.
pub(super) const PREFIX: usize = 3;
/// Frames up to this many bytes are carved from a shared buffer.
const SMALL: usize = 2 * 1024;
/// Size of a shared buffer.
const ARENA: usize = 32 * 1024;
/// First capacity of a large frame's buffer. It doubles when full, which copies: so the frames that seeders fill with
/// blocks up to 256 KiB and a little more have room at once.
const FIRST_STEP: usize = 512 * 1024;
/// Sealed messages up to this many bytes share an output buffer.
const JOIN: usize = 8 * 1024;

/// A longer message is sealed and handed on in pieces of so many bytes, each with memory of its own: what was acknowledged of a
/// block of several MiB is free before its end is. All take the same room, which an allocator gives to the next one.
const PIECE: usize = 256 * 1024;
/// Messages longer than this are sealed in pieces.
pub(super) const LONG: usize = 2 * PIECE;

/// A frame is longer or shorter than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLength(pub(super) usize);

#[derive(Debug, Default)]
enum Reading {
    #[default]
    Nothing,
    Prefix(Vec<u8>),
    /// A small frame, at the end of the arena.
    Small(usize),
    Large(usize, BytesMut),
}

/// The receiving half.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    reading: Reading,
    arena: BytesMut,
}

impl FrameReader {
    /// Takes bytes from the front of `data` until a frame is whole or `data` is empty. A length outside of
    /// `min..=max` fails.
    pub(super) fn next(
        &mut self,
        data: &mut &[u8],
        min: usize,
        max: usize,
    ) -> Result<Option<BytesMut>, BadLength> {
        loop {
            match std::mem::take(&mut self.reading) {
                Reading::Nothing => {
                    if data.is_empty() {
                        return Ok(None);
                    }
                    match data.split_first_chunk::<PREFIX>() {
                        Some((prefix, rest)) => {
                            *data = rest;
                            self.start(prefix, min, max)?;
                        }
                        None => self.reading = Reading::Prefix(Vec::with_capacity(PREFIX)),
                    }
                }
                Reading::Prefix(mut have) => {
                    take(data, PREFIX - have.len().min(PREFIX), |b| have.extend_from_slice(b));
                    match have.first_chunk::<PREFIX>() {
                        Some(prefix) => self.start(prefix, min, max)?,
                        None => {
                            self.reading = Reading::Prefix(have);
                            return Ok(None);
                        }
                    }
                }
                Reading::Small(len) => {
                    take(data, len.saturating_sub(self.arena.len()), |b| self.arena.extend_from_slice(b));
                    if self.arena.len() == len {
                        return Ok(Some(self.arena.split()));
                    }
                    self.reading = Reading::Small(len);
                    return Ok(None);
                }
                Reading::Large(len, mut buffer) => {
                    let missing = len.saturating_sub(buffer.len());
                    if buffer.len() == buffer.capacity() && missing > 0 && !data.is_empty() {
                        buffer.reserve(missing.min(buffer.len().max(FIRST_STEP)));
                    }
                    let room = buffer.capacity() - buffer.len();
                    take(data, missing.min(room), |b| buffer.extend_from_slice(b));
                    if buffer.len() == len {
                        return Ok(Some(buffer));
                    }
                    self.reading = Reading::Large(len, buffer);
                    if data.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Bytes of an unfinished frame that are held.
    pub(super) fn held(&self) -> usize {
        match &self.reading {
            Reading::Nothing => 0,
            Reading::Prefix(p) => p.len(),
            Reading::Small(_) => self.arena.len(),
            Reading::Large(_, b) => b.len(),
        }
    }

    fn start(&mut self, prefix: &[u8; PREFIX], min: usize, max: usize) -> Result<(), BadLength> {
        let [a, b, c] = *prefix;
        let len = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        if len < min || len > max {
            return Err(BadLength(len));
        }
        self.reading = if len <= SMALL {
            if self.arena.capacity() < len {
                self.arena.reserve(ARENA);
            }
            Reading::Small(len)
        } else {
            Reading::Large(len, BytesMut::with_capacity(len.min(FIRST_STEP)))
        };
        Ok(())
    }
}

/// Moves up to `n` bytes from the front of `data` to `sink`.
fn take(data: &mut &[u8], n: usize, sink: impl FnOnce(&[u8])) {
    if let Some((head, tail)) = data.split_at_checked(n.min(data.len())) {
        *data = tail;
        sink(head);
    }
}

/// The sending half: sealed frames waiting to be written, small ones joined.
#[derive(Debug, Default)]
pub(super) struct Output {
    done: VecDeque<Bytes>,
    joined: BytesMut,
    bytes: usize,
}

impl Output {
    /// Appends a frame of `len` bytes after the prefix. `fill` gets the bytes after the prefix, of which the
    /// first is zero; it must leave `len` of them, or fewer on failure, when the frame is dropped.
    pub(super) fn frame(&mut self, len: usize, fill: impl FnOnce(&mut Frame<'_>)) {
        let total = len.saturating_add(PREFIX);
        let start = if total > JOIN {
            self.flush_joined();
            self.joined = BytesMut::with_capacity(total);
            0
        } else {
            if self.joined.capacity() - self.joined.len() < total {
                self.flush_joined();
                self.joined.reserve(ARENA);
            }
            self.joined.len()
        };
        let [a, b, c, ..] = (len as u32).to_le_bytes();
        self.joined.extend_from_slice(&[a, b, c]);
        fill(&mut Frame { buffer: &mut self.joined, start: start + PREFIX });
        debug_assert_eq!(self.joined.len(), start + total);
        self.bytes = self.bytes.saturating_add(self.joined.len() - start);
        if total > JOIN {
            self.flush_joined();
        }
    }

    /// Appends a frame of all `parts`, which are `len` bytes, sealed piece by piece.
    pub(super) fn long_frame<P: AsRef<[u8]>>(
        &mut self,
        len: usize,
        parts: &[P],
        state: &mut StreamCipherState,
    ) {
        self.flush_joined();
        let [a, b, c, ..] = (len.saturating_add(OVERHEAD) as u32).to_le_bytes();
        let (tag, mut sealing) = state.begin(TAG_MESSAGE);
        let mut head: &[u8] = &[a, b, c, tag];
        let mut parts = parts.iter().map(AsRef::as_ref);
        let (mut part, mut left): (&[u8], usize) = (&[], len);
        loop {
            let mut piece = BytesMut::with_capacity(PIECE + PREFIX + OVERHEAD);
            piece.extend_from_slice(head);
            let start = std::mem::take(&mut head).len();
            let mut room = left.min(PIECE);
            left = left.saturating_sub(room);
            while room > 0 {
                if part.is_empty() {
                    let Some(next) = parts.next() else { break };
                    part = next;
                }
                let (now, later) = part.split_at(room.min(part.len()));
                piece.extend_from_slice(now);
                (part, room) = (later, room.saturating_sub(now.len()));
            }
            let body = piece.get_mut(start..).unwrap_or_default();
            if left == 0 {
                let sum = sealing.finish(body);
                piece.extend_from_slice(&sum);
                self.push(piece);
                return;
            }
            sealing.piece(body);
            self.push(piece);
        }
    }

    fn push(&mut self, piece: BytesMut) {
        self.bytes = self.bytes.saturating_add(piece.len());
        self.done.push_back(piece.freeze());
    }

    /// Bytes waiting.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// The next chunk to write.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.done.is_empty() {
            self.flush_joined();
        }
        let chunk = self.done.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.len());
        Some(chunk)
    }

    fn flush_joined(&mut self) {
        if !self.joined.is_empty() {
            self.done.push_back(self.joined.split().freeze());
        }
    }
}

/// A frame being written.
pub(super) struct Frame<'a> {
    buffer: &'a mut BytesMut,
    start: usize,
}

impl Frame<'_> {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What was put so far.
    pub(super) fn body(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.start..).unwrap_or_default()
    }
}
