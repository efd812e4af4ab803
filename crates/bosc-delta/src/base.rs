//! The old file, read at positions.

use std::io;

use crate::Error;

/// A file that is read at positions. A slice is one.
pub trait Base {
    /// Its length in bytes. It does not change while a patch is applied.
    fn len(&self) -> u64;

    /// Fills `into` with the bytes at `at`.
    ///
    /// # Errors
    /// What the disk says, and an unexpected end if the range is not whole.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Base for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let range = usize::try_from(at).ok().and_then(|at| self.get(at..at.checked_add(into.len())?));
        into.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<B: Base + ?Sized> Base for &B {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        (**self).read_at(at, into)
    }
}

/// A base whose length was asked for once: to a file that is a question to the system.
pub(crate) struct Measured<'a> {
    base: &'a dyn Base,
    len: u64,
}

impl<'a> Measured<'a> {
    pub(crate) fn new(base: &'a dyn Base) -> Measured<'a> {
        Measured { base, len: base.len() }
    }
}

impl Base for Measured<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.base.read_at(at, into)
    }
}

const PAGE: usize = 4096;
const SLOTS: usize = 256;
/// A page that is read, in words that are at hand.
const PAGE_COST: u64 = 64;

/// Words of a file in any order, over a few pages that are kept.
pub(crate) struct Words<'a, B: Base + ?Sized> {
    base: &'a B,
    pages: Vec<Page>,
    /// What was read so far, in words; a page counts as [`PAGE_COST`].
    pub(crate) cost: u64,
}

struct Page {
    number: u64,
    bytes: Vec<u8>,
}

impl<'a, B: Base + ?Sized> Words<'a, B> {
    pub(crate) fn new(base: &'a B) -> Words<'a, B> {
        let pages = (0..SLOTS).map(|_| Page { number: u64::MAX, bytes: Vec::new() }).collect();
        Words { base, pages, cost: 0 }
    }

    /// Length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.base.len()
    }

    /// `N` bytes at `at`; none if they are not all in the file.
    pub(crate) fn bytes<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>, Error> {
        let mut out = [0; N];
        self.cost += 1;
        if at.checked_add(N as u64).is_none_or(|end| end > self.base.len()) {
            return Ok(None);
        }
        let within = (at % PAGE as u64) as usize;
        if within + N > PAGE {
            self.base.read_at(at, &mut out).map_err(crate::error::reading)?;
            return Ok(Some(out));
        }
        let number = at / PAGE as u64;
        let base = self.base;
        let Some(page) = self.pages.get_mut((number % SLOTS as u64) as usize) else { return Ok(None) };
        if page.number != number {
            let start = number * PAGE as u64;
            page.bytes.resize((base.len() - start).min(PAGE as u64) as usize, 0);
            page.number = u64::MAX;
            self.cost += PAGE_COST;
            base.read_at(start, &mut page.bytes).map_err(crate::error::reading)?;
            page.number = number;
        }
        Ok(page.bytes.get(within..within + N).and_then(|b| b.try_into().ok()))
    }

    /// A little-endian word of 32 bits.
    pub(crate) fn u32(&mut self, at: u64) -> Result<Option<u32>, Error> {
        Ok(self.bytes(at)?.map(u32::from_le_bytes))
    }

    /// A little-endian word of 64 bits.
    pub(crate) fn u64(&mut self, at: u64) -> Result<Option<u64>, Error> {
        Ok(self.bytes(at)?.map(u64::from_le_bytes))
    }
}
