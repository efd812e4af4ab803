//! Keys in use: what equals one of them is published by nobody, wherever it stands.
//!
//! Those of this process, and, while it works for another one ([`KeysInUse::hold`]), those of that. A set of keys can be given to
//! another process: it can be looked for with, and says nothing of the keys.
//!
//! # Invariants
//!
//! 1. A key is looked for as its 32 bytes, and in all that [`writings`](super::writings) lists. Only what those bytes decide alone is
//!    compared, so that a seed is also found at the start of a key pair of 64 bytes.
//! 2. A key of equal bytes is an example and is not looked for.
//! 3. Nothing of a key is kept but its first 34 bits, to find where it may stand, and digests, to tell whether it does. Nothing of it
//!    is in `Debug`.

use super::bare::bare_key;
use super::search::find;
use super::{dumps, writings};
use crate::manifest::keypair::SECRET_ENV;
use bosc_format::crypto::{Hash, hash};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;
use writings::Form;
use zeroize::Zeroizing;

/// Bytes of a key that are kept.
const START: usize = 4;

/// A key as its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Bytes {
    start: [u8; START],
    digest: Hash,
}

impl Bytes {
    fn of(key: &[u8; 32]) -> Option<Self> {
        Some(Self { start: *key.first_chunk()?, digest: digest(key) })
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some(at) = find(rest, &self.start) {
            let Some(found) = rest.get(at..) else { return false };
            let Some(whole) = found.get(..32) else { return false };
            if digest(whole) == self.digest {
                return true;
            }
            rest = found.get(1..).unwrap_or_default();
        }
        false
    }
}

fn digest(key: &[u8]) -> Hash {
    hash(&[&b"bosc key in use"[..], key])
}

/// Secret keys in use.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysInUse {
    keys: Vec<Bytes>,
    /// How they look in a text.
    forms: Vec<Form>,
}

thread_local! {
    /// Keys of whoever this thread works for.
    static HELD: RefCell<KeysInUse> = RefCell::default();
}

/// As long as it lives, keys are in use on this thread.
#[must_use]
pub struct HeldKeys(KeysInUse);

impl Drop for HeldKeys {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| *held = std::mem::take(&mut self.0));
    }
}

impl fmt::Debug for KeysInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysInUse").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeysInUse {
    /// Those in `BOSC_PRIMARY_KEY` and `BOSC_UPDATER_SECRET_KEY`, and those that are held.
    pub fn of_environment() -> Self {
        ["BOSC_PRIMARY_KEY", SECRET_ENV].iter().fold(HELD.with_borrow(Self::clone), |keys, name| {
            let text = std::env::var_os(name).map(|v| Zeroizing::new(v.into_encoded_bytes()));
            match text.and_then(|text| bare_key(text.trim_ascii())) {
                Some(key) => keys.with(&key),
                None => keys,
            }
        })
    }

    /// Has this thread look for these as well: they are those of whoever it works for.
    pub fn hold(self) -> HeldKeys {
        HeldKeys(HELD.replace(self))
    }

    /// These and one more: a seed of 32 bytes, or one with its public key behind it.
    #[must_use]
    pub fn with(mut self, key: &[u8]) -> Self {
        let Some(seed) = key.first_chunk::<32>().filter(|k| k.iter().any(|b| Some(b) != k.first())) else {
            return self;
        };
        self.forms.extend(writings::forms(seed));
        self.forms.sort();
        self.forms.dedup();
        self.keys.extend(Bytes::of(seed));
        self.keys.sort();
        self.keys.dedup();
        self
    }

    /// Whether no key is in both.
    #[cfg(test)]
    pub(crate) fn is_disjoint(&self, other: &Self) -> bool {
        !self.keys.iter().any(|key| other.keys.contains(key))
    }

    /// Whether the bytes of one stand in it.
    pub(super) fn in_bytes(&self, bytes: &[u8]) -> bool {
        self.keys.iter().any(|key| key.are_in(bytes))
    }

    /// Whether one is written in it.
    pub(super) fn in_text(&self, text: &[u8]) -> bool {
        if self.forms.is_empty() {
            return false;
        }
        let dumped = |bytes: &[u8]| self.in_bytes(bytes) || writings::stand_in(&self.forms, bytes);
        writings::stand_in(&self.forms, text) || dumps::of(text).iter().any(|bytes| dumped(bytes))
    }

    /// Whether one is, or is written in, a name, a path or another short text that goes along with files.
    pub(crate) fn in_name(&self, name: &str) -> bool {
        self.in_bytes(name.as_bytes()) || self.in_text(name.as_bytes())
    }

    /// Tells sets of keys apart and nothing of the keys.
    pub(crate) fn fingerprint(&self) -> Hash {
        let keys = self.keys.iter().map(|k| k.digest.as_slice());
        let parts: Vec<&[u8]> = std::iter::once(&b"bosc keys in use"[..]).chain(keys).collect();
        hash(&parts)
    }
}

#[cfg(test)]
#[path = "tests_in_use.rs"]
mod tests;
