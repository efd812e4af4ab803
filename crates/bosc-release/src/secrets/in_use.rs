//! Keys that this process holds: what equals one of them is published by nobody, wherever it stands.
//!
//! # Invariants
//!
//! 1. A key is compared as its 32 bytes, and as text in hex, base64 (both alphabets) and z-base-32. Only characters that
//!    those bytes decide alone are compared, so that a seed is also found at the start of a key pair of 64 bytes.
//! 2. A key of equal bytes is an example and is not looked for.
//! 3. Nothing of a key is in `Debug`, and its memory is overwritten.

use super::content::bare_key;
use super::search::find;
use crate::manifest::keypair::SECRET_ENV;
use bosc_format::crypto::{Hash, hash};
use bosc_format::id;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::fmt;
use zeroize::Zeroizing;

/// Characters of base64 that 32 bytes decide alone.
const BASE64_SURE: usize = 42;
/// The same of z-base-32.
const Z32_SURE: usize = 51;

/// Secret keys in use.
#[derive(Clone, Default)]
pub struct KeysInUse {
    keys: Vec<Zeroizing<Vec<u8>>>,
    /// How they look in a text.
    texts: Vec<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for KeysInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysInUse").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl KeysInUse {
    /// Those in `BOSC_PRIMARY_KEY` and `BOSC_UPDATER_SECRET_KEY`.
    pub fn of_environment() -> Self {
        ["BOSC_PRIMARY_KEY", SECRET_ENV].iter().fold(Self::default(), |keys, name| {
            let text = std::env::var_os(name).map(|v| Zeroizing::new(v.into_encoded_bytes()));
            match text.and_then(|text| bare_key(text.trim_ascii())) {
                Some(key) => keys.with(&key),
                None => keys,
            }
        })
    }

    /// These and one more: a seed of 32 bytes, or one with its public key behind it.
    #[must_use]
    pub fn with(mut self, key: &[u8]) -> Self {
        let Some(seed) = key.get(..32).filter(|k| k.iter().any(|b| Some(b) != k.first())) else {
            return self;
        };
        let cut = |text: String, sure: usize| {
            let text = Zeroizing::new(text.into_bytes());
            Zeroizing::new(text.get(..sure).unwrap_or_default().to_vec())
        };
        self.texts.extend([
            cut(HEXLOWER.encode(seed), 64),
            cut(HEXUPPER.encode(seed), 64),
            cut(BASE64.encode(seed), BASE64_SURE),
            cut(BASE64URL.encode(seed), BASE64_SURE),
            cut(id::encode_bytes(seed), Z32_SURE),
        ]);
        self.texts.sort_by(|a, b| a.as_slice().cmp(b));
        self.texts.dedup();
        self.keys.push(Zeroizing::new(seed.to_vec()));
        self.keys.sort_by(|a, b| a.as_slice().cmp(b));
        self.keys.dedup();
        self
    }

    /// Whether the bytes of one stand in it.
    pub(super) fn in_bytes(&self, bytes: &[u8]) -> bool {
        self.keys.iter().any(|key| find(bytes, key).is_some())
    }

    /// Whether one is written in it.
    pub(super) fn in_text(&self, text: &[u8]) -> bool {
        self.texts.iter().any(|key| find(text, key).is_some())
    }

    /// Tells sets of keys apart and nothing of the keys.
    pub(crate) fn fingerprint(&self) -> Hash {
        let keys = self.keys.iter().map(|k| k.as_slice());
        let parts: Vec<&[u8]> = std::iter::once(&b"bosc keys in use"[..]).chain(keys).collect();
        hash(&parts)
    }
}
