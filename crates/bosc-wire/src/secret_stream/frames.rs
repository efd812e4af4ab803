//! Cuts an ordered byte stream into frames: three bytes of length, little endian, then as many bytes.
//!
//! Every byte is copied once, into the buffer it will be decrypted in. Small frames share a buffer; a large one
//! has its own, which grows as bytes arrive, so that three bytes cannot make us take 16 MiB.

use super::cipher::{OVERHEAD, Sealing, StreamCipherState, TAG_MESSAGE};
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

/// A longer message is sealed and handed on in pieces of so many bytes, each when it is taken and with memory of its own: of a
/// block of several MiB only what is on its way is there twice, and several streams can send from the same one. All pieces take
/// the same room, which an allocator gives to the next one.
const PIECE: usize = 64 * 1024;
/// Messages longer than this are sealed in pieces.
pub(super) const LONG: usize = 8 * PIECE;

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

/// The sending half: sealed frames waiting to be written, small ones joined, and behind them a long one that is sealed as it is
/// taken.
#[derive(Default)]
pub(super) struct Output {
    done: VecDeque<Bytes>,
    joined: BytesMut,
    long: Option<Box<Long>>,
    /// Of all of them, sealed.
    bytes: usize,
}

/// The rest of a long frame: what was not sealed yet.
struct Long {
    /// Length and tag, before the first piece.
    head: [u8; PREFIX + 1],
    begun: bool,
    parts: VecDeque<Bytes>,
    left: usize,
    sealing: Sealing,
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

    /// Appends a frame of all `parts`, which are `len` bytes. Before the next frame, [`Output::seal_long`].
    pub(super) fn long_frame(&mut self, len: usize, parts: Vec<Bytes>, state: &mut StreamCipherState) {
        self.seal_long(state);
        self.flush_joined();
        let [a, b, c, ..] = (len.saturating_add(OVERHEAD) as u32).to_le_bytes();
        let (tag, sealing) = state.begin(TAG_MESSAGE);
        self.bytes = self.bytes.saturating_add(len.saturating_add(PREFIX + OVERHEAD));
        let (head, parts) = ([a, b, c, tag], parts.into());
        self.long = Some(Box::new(Long { head, begun: false, parts, left: len, sealing }));
    }

    /// Whether a long frame is not sealed to its end.
    pub(super) fn has_long(&self) -> bool {
        self.long.is_some()
    }

    /// Seals what is left of a long frame.
    pub(super) fn seal_long(&mut self, state: &mut StreamCipherState) {
        while let Some(piece) = self.next_piece(state) {
            self.done.push_back(piece);
        }
    }

    fn next_piece(&mut self, state: &mut StreamCipherState) -> Option<Bytes> {
        let mut long = self.long.take()?;
        let mut piece = BytesMut::with_capacity(PIECE + PREFIX + OVERHEAD);
        if !std::mem::replace(&mut long.begun, true) {
            piece.extend_from_slice(&long.head);
        }
        let start = piece.len();
        let mut room = long.left.min(PIECE);
        long.left = long.left.saturating_sub(room);
        while room > 0 {
            let Some(part) = long.parts.front_mut() else { break };
            let now = part.split_to(room.min(part.len()));
            piece.extend_from_slice(&now);
            room = room.saturating_sub(now.len());
            if part.is_empty() {
                long.parts.pop_front();
            }
        }
        let body = piece.get_mut(start..).unwrap_or_default();
        if long.left == 0 {
            let sum = long.sealing.finish(state, body);
            piece.extend_from_slice(&sum);
        } else {
            long.sealing.piece(body);
            self.long = Some(long);
        }
        Some(piece.freeze())
    }

    /// Bytes waiting.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// The next chunk to write, sealed now if it is of a long frame.
    pub(super) fn take(&mut self, state: Option<&mut StreamCipherState>) -> Option<Bytes> {
        if self.done.is_empty() {
            self.flush_joined();
        }
        let chunk = self.done.pop_front().or_else(|| self.next_piece(state?))?;
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
