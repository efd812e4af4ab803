//! Content-defined chunking with a Rabin fingerprint: the cut points of npm `rabin-native` 2.0.0 (librabin).
//!
//! A window of 64 bytes slides over the content; its fingerprint is the window read as a polynomial over GF(2) modulo
//! an irreducible polynomial of degree 53. A chunk ends where the low 20 bits of the fingerprint are zero and it is at
//! least 512 KiB long, or when it is 8 MiB long. State starts anew at every cut, with the single byte 1 in the window.
//!
//! Two things make it fast and change nothing. Where no cut may be, no fingerprint is needed: the window forgets
//! everything older than 64 bytes, so the walk starts 64 bytes before the shortest chunk's end. And four stretches of
//! the same data are walked at once, each warmed up with the 64 bytes before it, because one walk alone waits for its
//! own table look-ups.
//!
//! # Files
//!
//! - Here: where chunks end, the shortest and the longest. `rabin`: the rolling fingerprint: window, polynomial, stretches walked at
//!   once.

mod rabin;

use bytes::{Bytes, BytesMut};
use rabin::{WINDOW, fingerprint, scan};

/// Shortest chunk, in bytes; only the last of a file may be shorter.
pub const MIN_CHUNK: usize = 512 * 1024;
/// Longest chunk, in bytes.
pub const MAX_CHUNK: usize = 8 * 1024 * 1024;

/// Finds cut points in a stream fed in slices of any size. Keeps 64 bytes, no content.
#[derive(Debug, Clone)]
pub struct Chunker {
    min: usize,
    max: usize,
    /// Bytes of the present chunk so far.
    count: usize,
    /// The last 64 bytes.
    tail: [u8; WINDOW],
    /// Fingerprint of `tail`, kept only while cuts are possible.
    digest: Option<u64>,
}

impl Default for Chunker {
    fn default() -> Self {
        Self::new()
    }
}

/// A window as it is at the start of a chunk: the byte 1 after zeros.
const START: [u8; WINDOW] = {
    let mut window = [0; WINDOW];
    #[allow(clippy::indexing_slicing)]
    {
        window[WINDOW - 1] = 1;
    }
    window
};

impl Chunker {
    /// A chunker with the sizes every drive uses.
    pub fn new() -> Self {
        Self::with_sizes(MIN_CHUNK, MAX_CHUNK)
    }

    /// A chunker with other sizes. `max` below `min` reads as `min`; both are at least 1.
    pub fn with_sizes(min: usize, max: usize) -> Self {
        let min = min.max(1);
        Self { min, max: max.max(min), count: 0, tail: START, digest: None }
    }

    /// Feeds `data`. `Some(n)`: the chunk ends after its first `n` bytes, and the rest must be fed again. `None`: all
    /// was taken and the chunk goes on. What is left at the end of the content is the last chunk.
    pub fn push(&mut self, data: &[u8]) -> Option<usize> {
        // Cuts are looked for from the byte that makes the chunk `min` long.
        let quiet = (self.min - 1).saturating_sub(self.count).min(data.len());
        let (skipped, rest) = data.split_at_checked(quiet)?;
        self.remember(skipped);
        self.count += quiet;
        if rest.is_empty() {
            return None;
        }
        let mut digest = self.digest.unwrap_or_else(|| fingerprint(&self.tail));
        let room = self.max - self.count;
        let rest = rest.get(..room).unwrap_or(rest);
        let cut = match scan(&mut digest, &self.tail, rest) {
            Some(n) => n,
            None if rest.len() == room => room,
            None => {
                self.remember(rest);
                self.count += rest.len();
                self.digest = Some(digest);
                return None;
            }
        };
        self.reset();
        Some(quiet + cut)
    }

    /// Bytes of the present chunk so far.
    pub fn pending(&self) -> usize {
        self.count
    }

    /// Forgets the present chunk.
    pub fn reset(&mut self) {
        (self.count, self.tail, self.digest) = (0, START, None);
    }

    fn remember(&mut self, data: &[u8]) {
        if let Some(last) = data.last_chunk::<WINDOW>() {
            self.tail = *last;
        } else {
            self.tail.rotate_left(data.len());
            let keep = WINDOW - data.len();
            for (slot, byte) in self.tail.iter_mut().skip(keep).zip(data) {
                *slot = *byte;
            }
        }
    }
}

/// Cuts a stream into chunks that own their bytes. Holds at most one chunk and the data of one call.
#[derive(Debug, Default)]
pub struct ChunkBuffer {
    chunker: Chunker,
    buffer: BytesMut,
    /// How much of `buffer` the chunker has seen.
    seen: usize,
}

impl ChunkBuffer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room to read into: append to it, then call [`ChunkBuffer::next_chunk`] until it gives `None`.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole chunk in what was read so far.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        let fresh = self.buffer.get(self.seen..).unwrap_or_default();
        match self.chunker.push(fresh) {
            Some(n) => {
                let len = self.seen + n;
                self.seen = 0;
                Some(self.buffer.split_to(len.min(self.buffer.len())).freeze())
            }
            None => {
                self.seen = self.buffer.len();
                None
            }
        }
    }

    /// The last chunk, if any bytes are left, and starts over.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.chunker.reset();
        self.seen = 0;
        let rest = self.buffer.split().freeze();
        if rest.is_empty() { None } else { Some(rest) }
    }
}

#[cfg(test)]
mod tests;
