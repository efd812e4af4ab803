//! Ranges of a file that follow from the rest of it: they are computed again, and cost nothing.

use crate::Error;
use crate::format::Numbers;
#[cfg(feature = "make")]
use crate::format::put;
use sha2::{Digest, Sha256};

/// The source of a derived range may end this far behind its start: so much is held in memory.
pub(crate) const MOST_HELD: u64 = 24 << 20;

/// How a range is computed. The numbers are in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// `.eh_frame_hdr`: a sorted table of the functions in `.eh_frame`, which follows it.
    FrameIndex {
        /// Address of the section that the table is in.
        address: u64,
        /// Address, position and length of the frames.
        frames: (u64, u64, u64),
    },
    /// A code directory of Mach-O: the SHA-256 of each page before it.
    PageHashes { page: u64, from: u64, len: u64 },
}

/// A derived range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) rule: Rule,
}

impl Derived {
    pub(crate) fn read(n: &mut Numbers<'_>) -> Result<Derived, Error> {
        let [rule] = n.bytes()?;
        let (offset, len) = (n.number()?, n.number()?);
        let rule = match rule {
            0 => Rule::FrameIndex { address: n.number()?, frames: (n.number()?, n.number()?, n.number()?) },
            1 => Rule::PageHashes { page: n.number()?, from: n.number()?, len: n.number()? },
            _ => return Err(Error::Damaged("a range follows from an unknown rule")),
        };
        Ok(Derived { offset, len, rule })
    }

    #[cfg(feature = "make")]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (number, rest) = match self.rule {
            Rule::FrameIndex { address, frames: (a, o, l) } => (0, vec![address, a, o, l]),
            Rule::PageHashes { page, from, len } => (1, vec![page, from, len]),
        };
        out.push(number);
        for v in [self.offset, self.len].into_iter().chain(rest) {
            put(out, v);
        }
    }

    /// The same in a program that begins `start` bytes into the file and whose addresses are `tag` further.
    #[cfg(feature = "make")]
    pub(crate) fn moved(self, start: u64, tag: u64) -> Derived {
        let rule = match self.rule {
            Rule::FrameIndex { address, frames: (a, at, len) } => {
                Rule::FrameIndex { address: address + tag, frames: (a + tag, at + start, len) }
            }
            Rule::PageHashes { page, from, len } => Rule::PageHashes { page, from: from + start, len },
        };
        Derived { offset: self.offset + start, len: self.len, rule }
    }

    /// Whether the rule can be followed in a file of `len` bytes.
    pub(crate) fn fits(&self, len: u64) -> bool {
        let end = self.offset.saturating_add(self.len);
        match self.rule {
            Rule::FrameIndex { frames: (_, at, frames), .. } => {
                let last = at.saturating_add(frames);
                at >= end && last <= len && last - self.offset <= MOST_HELD
            }
            Rule::PageHashes { page, from, len: covered } => {
                (512..=1 << 20).contains(&page)
                    && from.checked_add(covered).is_some_and(|last| last <= self.offset)
                    && covered.div_ceil(page).checked_mul(32) == Some(self.len)
            }
        }
    }
}

/// The table of a section at `address` for these frames.
pub(crate) fn frame_index(frames: &[u8], at: u64, address: u64) -> Vec<u8> {
    let word =
        |i: usize| frames.get(i..i.checked_add(4)?).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let from = |i: usize, v: u32| {
        (at as u32).wrapping_add(i as u32).wrapping_add(v).wrapping_sub(address as u32) as i32
    };
    let mut rows: Vec<(i32, i32)> = Vec::new();
    let mut i = 0usize;
    while let (Some(len), Some(id)) = (word(i), word(i + 4)) {
        if len == 0 {
            i += 4;
            continue;
        }
        if len >= 0xffff_fff0 {
            break;
        }
        if id != 0
            && let Some(code) = word(i + 8)
        {
            rows.push((from(i + 8, code), from(i, 0)));
        }
        i = i.saturating_add(4 + len as usize);
    }
    rows.sort_unstable();
    rows.dedup_by_key(|r| r.0);
    rows.iter().flat_map(|r| [r.0.to_le_bytes(), r.1.to_le_bytes()]).flatten().collect()
}

/// Hashes of pages, as their bytes come.
pub(crate) struct PageHasher {
    page: u64,
    from: u64,
    to: u64,
    current: Sha256,
    in_page: u64,
    pub(crate) digests: Vec<u8>,
}

impl PageHasher {
    pub(crate) fn new(page: u64, from: u64, len: u64) -> PageHasher {
        PageHasher { page, from, to: from + len, current: Sha256::new(), in_page: 0, digests: Vec::new() }
    }

    /// Takes bytes that lie at `at`; each is given once, in order.
    pub(crate) fn take(&mut self, at: u64, bytes: &[u8]) {
        let skip = self.from.saturating_sub(at).min(bytes.len() as u64) as usize;
        let end = self.to.saturating_sub(at).min(bytes.len() as u64) as usize;
        let mut rest = bytes.get(skip..end).unwrap_or(&[]);
        let mut place = at + skip as u64;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min((self.page - self.in_page) as usize));
            self.current.update(now);
            self.in_page += now.len() as u64;
            place += now.len() as u64;
            if self.in_page == self.page || place == self.to {
                self.digests.extend_from_slice(&self.current.finalize_reset());
                self.in_page = 0;
            }
            rest = later;
        }
    }
}
