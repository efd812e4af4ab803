//! Keys in use: what equals one of them is published by nobody, wherever it stands.
//!
//! Those of this process, and, while it works for another one ([`KeysInUse::hold`]), those of that. A set of keys can be given to
//! another process: it can be looked for with, and says nothing of the keys.
//!
//! # Invariants
//!
//! 1. A key is compared as its 32 bytes, and as text in hex, base64 (both alphabets) and z-base-32. Only characters that
//!    those bytes decide alone are compared, so that a seed is also found at the start of a key pair of 64 bytes.
//! 2. A key of equal bytes is an example and is not looked for.
//! 3. Of each form only its first four bytes are kept (32 of a key's 256 bits at most), to find where it may stand, and a digest, to tell
//!    whether it does. Nothing of it is in `Debug`.

use super::bare::bare_key;
use super::search::find;
use crate::manifest::keypair::SECRET_ENV;
use bosc_format::crypto::{Hash, hash};
use bosc_format::id;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;
use zeroize::Zeroizing;

/// Characters of base64 that 32 bytes decide alone.
const BASE64_SURE: usize = 42;
/// The same of z-base-32.
const Z32_SURE: usize = 51;

/// Bytes of a form that are kept.
const START: usize = 4;

/// A key as it looks somewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Form {
    start: [u8; START],
    len: usize,
    digest: Hash,
}

impl Form {
    fn of(text: &[u8]) -> Option<Self> {
        Some(Self { start: *text.first_chunk()?, len: text.len(), digest: digest(text) })
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let mut rest = text;
        while let Some(at) = find(rest, &self.start) {
            let Some(found) = rest.get(at..) else { return false };
            let Some(whole) = found.get(..self.len) else { return false };
            if digest(whole) == self.digest {
                return true;
            }
            rest = found.get(1..).unwrap_or_default();
        }
        false
    }
}

fn digest(form: &[u8]) -> Hash {
    hash(&[&b"bosc key in use"[..], form])
}

/// Secret keys in use.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysInUse {
    keys: Vec<Form>,
    /// How they look in a text.
    texts: Vec<Form>,
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
        let Some(seed) = key.get(..32).filter(|k| k.iter().any(|b| Some(b) != k.first())) else {
            return self;
        };
        let cut = |text: String, sure: usize| {
            let text = Zeroizing::new(text.into_bytes());
            Form::of(text.get(..sure).unwrap_or_default())
        };
        let texts = [
            cut(HEXLOWER.encode(seed), 64),
            cut(HEXUPPER.encode(seed), 64),
            cut(BASE64.encode(seed), BASE64_SURE),
            cut(BASE64URL.encode(seed), BASE64_SURE),
            cut(id::encode_bytes(seed), Z32_SURE),
        ];
        self.texts.extend(texts.into_iter().flatten());
        self.texts.sort();
        self.texts.dedup();
        self.keys.extend(Form::of(seed));
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
        self.keys.iter().any(|key| key.is_in(bytes))
    }

    /// Whether one is written in it.
    pub(super) fn in_text(&self, text: &[u8]) -> bool {
        self.texts.iter().any(|key| key.is_in(text))
    }

    /// Tells sets of keys apart and nothing of the keys.
    pub(crate) fn fingerprint(&self) -> Hash {
        let keys = self.keys.iter().map(|k| k.digest.as_slice());
        let parts: Vec<&[u8]> = std::iter::once(&b"bosc keys in use"[..]).chain(keys).collect();
        hash(&parts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_went_to_another_process_finds_the_keys_and_says_nothing_of_them() {
        let key: Vec<u8> = (0..32).map(|i| i * 7 + 3).collect();
        let sent = serde_json::to_string(&KeysInUse::default().with(&key)).unwrap();
        for text in
            [HEXLOWER.encode(&key), HEXUPPER.encode(&key), BASE64.encode(&key), id::encode_bytes(&key)]
        {
            // As numbers, as serde writes them, or as text.
            let numbers: Vec<String> = text.bytes().skip(START).take(4).map(|b| b.to_string()).collect();
            assert!(!sent.contains(&numbers.join(",")) && !sent.contains(text.get(4..12).unwrap()));
            let there: KeysInUse = serde_json::from_str(&sent).unwrap();
            assert!(there.in_text(format!("key = {text}!").as_bytes()), "{text}");
            // The start stands there more than once, and overlaps itself.
            let again = text.get(..START).unwrap().repeat(3);
            assert!(there.in_text(format!("{again}{text}").as_bytes()), "{text}");
            assert!(!there.in_text(text.get(..text.len() - 4).unwrap().as_bytes()), "{text}");
        }
        let there: KeysInUse = serde_json::from_str(&sent).unwrap();
        assert!(there.in_bytes(&[&[1, 2, 3][..], &key].concat()));
        assert!(!there.in_bytes(key.get(..31).unwrap()));
    }

    #[test]
    fn keys_of_another_are_in_use_as_long_as_they_are_held() {
        let key: Vec<u8> = (0..32).map(|i| i * 5 + 1).collect();
        let before = KeysInUse::of_environment();
        let held = KeysInUse::default().with(&key).hold();
        assert!(KeysInUse::of_environment().in_bytes(&key));
        assert!(!std::thread::scope(|s| s
            .spawn(|| KeysInUse::of_environment().in_bytes(&key))
            .join()
            .unwrap()));
        drop(held);
        assert_eq!(KeysInUse::of_environment(), before);
    }
}
