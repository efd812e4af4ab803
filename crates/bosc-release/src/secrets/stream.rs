//! Keys anywhere in a long file, found while it is read.
//!
//! ```text
//! bytes ──> (UTF-16: narrowed) ──> window of 64 KiB + the last 4 KiB of the one before ──> looked at, forgotten
//! ```
//!
//! # Invariants
//!
//! 1. Memory is one window, whatever the file; there is no size above which a file is not searched.
//! 2. What is at most [`OVERLAP`] bytes long stands whole in one window.
//! 3. Words are read only in windows that have one of [`LONG_WORD`](words::LONG_WORD) characters. Keys in use are looked for in all
//!    of them: they may be written in groups.
//! 4. Key pairs are told by computing public keys, which is slow: [`PAIRS`] times a file, and beyond that only in windows
//!    where the word "secret" stands.
//!
//! In a file that is no text (a zero byte near its start) only two things are looked for: keys in use, and a key of ours
//! behind its name.

use super::content::{holds_private_key, is_text, look, sets_our_key};
use super::in_use::KeysInUse;
use super::kinds::{ContentVerdict, HEAD, Secret, Suspect};
use super::programs;
use super::words::{self, Held};
use super::writings::SPAN;
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// New bytes in a window.
const STEP: usize = 64 * 1024;
/// Bytes of the last window that are looked at again.
const OVERLAP: usize = SPAN;
/// Public keys computed for one file where nothing says that it has secrets: about a second.
const PAIRS: usize = 50_000;

/// A file that is looked at as it is read: its first bytes say what it is, and a longer one is searched to its end.
pub(crate) struct FileLook<'k> {
    told: ContentVerdict,
    search: Option<Search<'k>>,
}

impl<'k> FileLook<'k> {
    /// Of the file at `path`, of `size` bytes, which starts with `head`: the whole file, or its first [`HEAD`] bytes, which are to
    /// be fed as well.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub(crate) fn new(path: &Path, head: &[u8], size: u64, keys: &'k KeysInUse) -> io::Result<Self> {
        let told = look(path, head, size.max(head.len() as u64), keys)?;
        Ok(Self { told, search: (head.len() >= HEAD).then(|| Search::new(head, keys)) })
    }

    /// What its first bytes say.
    pub(crate) fn told(&self) -> ContentVerdict {
        self.told
    }

    /// Whether there is more to be read of it.
    pub(crate) fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// Takes the next bytes, from the first one on.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Secret> {
        self.search.as_mut().and_then(|search| search.feed(bytes))
    }

    /// What all of it says, after the last bytes.
    pub(crate) fn end(self) -> ContentVerdict {
        self.told.and(self.search.map_or(self.told, Search::end))
    }
}

/// A search through one file.
pub(crate) struct Search<'k> {
    keys: &'k KeysInUse,
    is_text: bool,
    /// Whether it is UTF-16, and then whether the lower byte comes first.
    wide: Option<bool>,
    /// The first byte of a unit of UTF-16 whose second has not come.
    half: Option<u8>,
    window: Zeroizing<Vec<u8>>,
    pairs: usize,
    suspect: Option<Suspect>,
}

impl<'k> Search<'k> {
    /// For a file that starts with `head`, which is to be fed as well.
    pub(crate) fn new(head: &[u8], keys: &'k KeysInUse) -> Self {
        let wide = words::is_utf16(head);
        Self {
            keys,
            is_text: wide.is_some() || is_text(head),
            wide,
            half: None,
            // Never grown, so that no copy of it stays behind.
            window: Zeroizing::new(Vec::with_capacity(STEP + OVERLAP)),
            pairs: PAIRS,
            suspect: None,
        }
    }

    /// Takes the next bytes. A secret ends the search.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Option<Secret> {
        while !bytes.is_empty() {
            let room = (STEP + OVERLAP).saturating_sub(self.window.len());
            let units = if self.wide.is_some() { room.saturating_mul(2) } else { room };
            let (now, later) = bytes.split_at(bytes.len().min(units));
            match self.wide {
                // What stands as bytes is looked for before it is narrowed.
                Some(_) if self.keys.in_bytes(now) => return Some(Secret::InUse),
                Some(little) => self.narrow(now, little),
                None => self.window.extend_from_slice(now),
            }
            bytes = later;
            if self.window.len() >= STEP + OVERLAP {
                if let Some(secret) = self.look() {
                    return Some(secret);
                }
                let seen = self.window.len() - OVERLAP;
                self.window.drain(..seen);
            }
        }
        None
    }

    /// What was found, after the last bytes.
    pub(crate) fn end(mut self) -> ContentVerdict {
        match (self.look(), self.suspect) {
            (Some(secret), _) => ContentVerdict::Secret(secret),
            (None, Some(suspect)) => ContentVerdict::Suspect(suspect),
            (None, None) => ContentVerdict::Plain,
        }
    }

    fn narrow(&mut self, bytes: &[u8], little: bool) {
        for byte in bytes {
            let Some(first) = self.half.take() else {
                self.half = Some(*byte);
                continue;
            };
            let (low, high) = if little { (first, *byte) } else { (*byte, first) };
            // What is no ASCII is in no key.
            self.window.push(if high == 0 { low } else { b'?' });
        }
    }

    fn look(&mut self) -> Option<Secret> {
        let window = self.window.as_slice();
        let has_words = words::has_long(window);
        if self.keys.in_bytes(window) || self.keys.in_text(window) {
            return Some(Secret::InUse);
        }
        let mut suspect = self.suspect;
        if has_words && sets_our_key(window) {
            suspect = Some(Suspect::KeyInText);
        }
        if self.is_text {
            if has_words && !window.contains(&0) {
                match words::held(window, &mut self.pairs) {
                    Some(Held::Secret(secret)) => return Some(secret),
                    Some(Held::Suspect(held)) => suspect = suspect.or(Some(held)),
                    None => suspect = suspect.or_else(|| words::token(window)),
                }
            }
            let other = || {
                let key = holds_private_key(window).then_some(Suspect::PrivateKey);
                key.or_else(|| programs::sets_secret(window, has_words).then_some(Suspect::Credentials))
            };
            suspect = suspect.or_else(other);
        }
        self.suspect = suspect;
        None
    }
}
