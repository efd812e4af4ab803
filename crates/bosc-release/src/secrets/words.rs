//! Keys of ours inside of something else: in other JSON, behind a comment, two in one file, in UTF-16.
//!
//! A key pair is known by what it is: of two words of 32 bytes one is the public key of the other. Where the words around it are
//! ours too it is a [`Secret`]; else, as in test vectors of other programs, it only looks like one. The cost is bounded by the
//! size of the texts that are looked at, at most 68 KiB at once (`stream`): some 1,500 words, 20 microseconds each.

use super::bare::bare_key;
use super::search::find;
use super::{Secret, Suspect};
use crate::keys::signing_key::V0_BYTES;
use crate::keys::transfer;
use bosc_format::crypto::KeyPair;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Characters of the shortest signing key as text: five bits each.
const SIGNING_KEY: usize = V0_BYTES * 8 / 5;
/// Characters of the longest word that is read as a signing key.
const LONGEST: usize = 2048;
/// A word shorter than this is no key and no token.
pub(super) const LONG_WORD: usize = 26;

/// What a text holds.
pub(super) enum Held {
    Secret(Secret),
    Suspect(Suspect),
}

/// UTF-16 as UTF-8: what PowerShell's `>` writes. `None` for what is not UTF-16.
pub(super) fn from_utf16(head: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (little, body) = match head {
        [0xff, 0xfe, body @ ..] => (true, body),
        [0xfe, 0xff, body @ ..] => (false, body),
        // Without a mark: the text of a key has no character beyond ASCII.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => (true, head),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => (false, head),
        _ => return None,
    };
    let units = body.chunks_exact(2).map(|pair| {
        let pair = <[u8; 2]>::try_from(pair).unwrap_or_default();
        if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().map(|text| Zeroizing::new(text.into_bytes()))
}

/// Whether bytes start as UTF-16, and then whether the lower byte comes first: by a mark, or as only ASCII stands there.
pub(super) fn is_utf16(head: &[u8]) -> Option<bool> {
    match head {
        [0xff, 0xfe, ..] => return Some(true),
        [0xfe, 0xff, ..] => return Some(false),
        _ => {}
    }
    let start = head.get(..256)?;
    [true, false].into_iter().find(|little| {
        start.chunks_exact(2).all(|pair| match pair {
            [a, b] => {
                let (low, high) = if *little { (a, b) } else { (b, a) };
                *low != 0 && *high == 0
            }
            _ => false,
        })
    })
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte)
}

/// Whether a text has a word that may be a key or token. Only every [`LONG_WORD`]th byte of other text is read.
pub(super) fn has_long(text: &[u8]) -> bool {
    (LONG_WORD - 1..text.len()).step_by(LONG_WORD).any(|at| {
        let (before, behind) = text.split_at(at);
        let behind = behind.iter().take(LONG_WORD).take_while(|b| is_word(b)).count();
        behind > 0
            && behind + before.iter().rev().take(LONG_WORD).take_while(|b| is_word(b)).count() >= LONG_WORD
    })
}

/// What of ours stands in a small text, or in a part of a long one. `pairs`: how many public keys may be computed although
/// nothing in it says that there are secrets.
pub(super) fn held(text: &[u8], pairs: &mut usize) -> Option<Held> {
    // No text of keys has a zero byte.
    if text.contains(&0) {
        return None;
    }
    if key_file(text) {
        return Some(Held::Secret(Secret::KeyFile));
    }
    let all = text.split(|b| !is_word(b));
    // `secret_key`, `secretKey`, as `bosc updater keygen` has it.
    let tells = find(text, b"ecret").is_some();
    let mut may_compute = || {
        let left = *pairs > 0;
        *pairs = pairs.saturating_sub(1);
        left || tells
    };
    let (mut keys, mut whole) = (Vec::new(), false);
    for word in all.filter(|word| word.len() >= 43) {
        if (SIGNING_KEY..LONGEST).contains(&word.len())
            && word.iter().all(u8::is_ascii_alphanumeric)
            && transfer::from_bytes(word).is_ok()
        {
            return Some(Held::Secret(Secret::SigningKey));
        }
        let Some(key) = bare_key(word) else { continue };
        match key.split_first_chunk::<32>() {
            Some((key, [])) => keys.push((*key, word.len() == 44)),
            Some((seed, public)) if may_compute() => {
                whole |= *public == KeyPair::from_seed(seed).public();
            }
            Some(_) => {}
            None => {}
        }
    }
    let known: HashSet<[u8; 32]> = keys.iter().map(|(key, _)| *key).collect();
    let mut pair = None;
    // One alone is the public key of nothing.
    if known.len() > 1 {
        for (key, base64) in &keys {
            if may_compute() && known.contains(&KeyPair::from_seed(key).public()) {
                pair = Some(pair.unwrap_or(false) || *base64);
            }
        }
    }
    if pair == Some(true) && tells {
        return Some(Held::Secret(Secret::UpdaterKey));
    }
    (pair.is_some() || whole).then_some(Held::Suspect(Suspect::BareKey))
}

/// Whether a file of `bosc keys` stands in it: its first words, and behind them what they announce.
fn key_file(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| find(rest, b"bosc-key-file ")) {
        from += at + 1;
        let rest = text.get(from..).unwrap_or_default();
        let data = find(rest, b"data: ").and_then(|at| rest.get(at + 6..)).unwrap_or_default();
        let data = data.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        if find(rest, b"kdf: scrypt ").is_some() && data >= 32 {
            return true;
        }
    }
    false
}

/// What tokens of the large services begin with, and how many characters follow at least.
const TOKENS: [(&str, usize, Suspect); 10] = [
    ("ghp_", 36, Suspect::Credentials),
    ("gho_", 36, Suspect::Credentials),
    ("ghu_", 36, Suspect::Credentials),
    ("ghs_", 36, Suspect::Credentials),
    ("ghr_", 36, Suspect::Credentials),
    ("github_pat_", 60, Suspect::Credentials),
    ("glpat-", 20, Suspect::Credentials),
    ("npm_", 36, Suspect::RegistryToken),
    ("pypi-", 60, Suspect::RegistryToken),
    ("xoxb-", 40, Suspect::Credentials),
];

/// A token that tells by itself whose it is. One of few different characters stands for one.
pub(super) fn token(text: &[u8]) -> Option<Suspect> {
    TOKENS.iter().find_map(|(prefix, length, suspect)| {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| find(rest, prefix.as_bytes())) {
            let start = from + at;
            from = start + prefix.len();
            let before = start.checked_sub(1).and_then(|i| text.get(i));
            let rest = text.get(from..).unwrap_or_default();
            let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"_-".contains(b));
            let word: Vec<u8> = word.take(256).copied().collect();
            let different = word.iter().collect::<HashSet<_>>().len();
            if word.len() >= *length
                && different >= 12
                && !before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
            {
                return Some(*suspect);
            }
        }
        None
    })
}
