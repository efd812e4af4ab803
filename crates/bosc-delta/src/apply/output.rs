//! What is written: in order, with derived ranges filled in. Bytes whose derived range has to wait are held.

use crate::Error;
use crate::derive::{Derived, PageHasher, Rule, frame_index};
use std::io::{self, Write};

/// What is written at once.
pub(super) const PIECE: usize = 64 << 10;

/// What reading an inside, or writing one, says of the patch is about the patch.
pub(super) fn write_error(e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::InvalidData => Error::Damaged("what it packs is not as it says"),
        _ => Error::Write(e),
    }
}

pub(super) struct Output<'a> {
    into: &'a mut dyn Write,
    /// Bytes that are not written yet, and where the first of them is.
    held: Vec<u8>,
    start: u64,
    len: u64,
    /// Those that are not filled in yet.
    derived: &'a [Derived],
    pages: Vec<PageHasher>,
    last: [u8; 2],
}

impl<'a> Output<'a> {
    pub(super) fn new(into: &'a mut dyn Write, derived: &'a [Derived], len: u64) -> Output<'a> {
        let pages = derived.iter().filter_map(|d| match d.rule {
            Rule::PageHashes { page, from, len } => Some(PageHasher::new(page, from, len)),
            Rule::FrameIndex { .. } => None,
        });
        let pages = pages.collect();
        Output { into, held: Vec::new(), start: 0, len, derived, pages, last: [0; 2] }
    }

    pub(super) fn position(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    /// The two bytes before the position, the nearer one first.
    pub(super) fn last(&self) -> [u8; 2] {
        self.last
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() as u64 > self.len.saturating_sub(self.position()) {
            return Err(Error::Damaged("it makes more than its result"));
        }
        match bytes {
            [.., b, a] => self.last = [*a, *b],
            [a] => self.last = [*a, self.last[0]],
            [] => {}
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() >= PIECE {
                self.drain()?;
            }
        }
        Ok(())
    }

    /// Writes what need not wait.
    fn drain(&mut self) -> Result<(), Error> {
        while !self.held.is_empty() {
            let Some(d) = self.derived.first().copied() else { return self.write(self.held.len()) };
            if self.start < d.offset {
                let before = usize::try_from(d.offset - self.start).unwrap_or(usize::MAX);
                self.write(self.held.len().min(before))?;
                continue;
            }
            let ready = match d.rule {
                Rule::FrameIndex { frames: (_, at, len), .. } => at + len,
                Rule::PageHashes { .. } => d.offset + d.len,
            };
            if self.position() < ready {
                return Ok(());
            }
            self.fill(&d);
            self.derived = self.derived.get(1..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Fills in a range that starts where what is held starts.
    fn fill(&mut self, d: &Derived) {
        let computed = match d.rule {
            Rule::FrameIndex { address, frames: (frames_address, at, len) } => {
                let from = at.saturating_sub(self.start) as usize;
                let frames = self.held.get(from..from.saturating_add(len as usize)).unwrap_or(&[]);
                frame_index(frames, frames_address, address)
            }
            Rule::PageHashes { .. } if self.pages.is_empty() => Vec::new(),
            Rule::PageHashes { .. } => self.pages.remove(0).digests,
        };
        for (to, from) in self.held.iter_mut().zip(computed.iter().take(d.len as usize)) {
            *to = *from;
        }
    }

    fn write(&mut self, len: usize) -> Result<(), Error> {
        let Some(bytes) = self.held.get(..len) else { return Ok(()) };
        for pages in &mut self.pages {
            pages.take(self.start, bytes);
        }
        self.into.write_all(bytes).map_err(write_error)?;
        self.start += len as u64;
        self.held.drain(..len);
        Ok(())
    }

    /// Writes the rest.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.drain()?;
        if self.position() != self.len || !self.held.is_empty() {
            return Err(Error::Damaged("it makes less than its result"));
        }
        self.into.flush().map_err(write_error)
    }
}
