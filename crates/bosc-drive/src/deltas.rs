//! Where a drive keeps deltas: patches that make a file of a build from one that its readers may have.
//!
//! ```text
//! /by-arch/linux-x64/app/Demo/bin/run                       the file
//! /by-delta/linux-x64/app/Demo/bin/run/<hash of the base>   a patch (npm has none; `bosc-delta` does) that makes it
//! /by-delta/linux-x64/app/Demo/bin/run/<base>-<result>      a *hop*: a patch that makes what another one starts from
//! ```
//!
//! The hash is the BLAKE2b-256 of the base in lower-case hex; of [`NOTHING`], the patch is the whole file, packed. The entry's metadata says what its maker knows of the base:
//! `{"bosc":{"size":41000,"from":"1.4.2","base":{"blockOffset":…,…}}}`, with the bytes of the patch. Nothing rests on any of it: whoever makes a file of a patch
//! proves its blocks against the tree.
//!
//! Clients in JavaScript mirror `/by-arch/<host>/app` and never look here; their seeders keep it as any other file.

use crate::blobs::BlobId;
use crate::drive::entry;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Where all deltas are.
pub const FOLDER: &str = "/by-delta";

/// Where the files are that may have deltas.
const BUILDS: &str = "/by-arch/";

/// BLAKE2b-256 of no bytes: a patch with this base needs none.
pub const NOTHING: [u8; 32] = [
    0x0e, 0x57, 0x51, 0xc0, 0x26, 0xe5, 0x43, 0xb2, 0xe8, 0xab, 0x2e, 0xb0, 0x60, 0x99, 0xda, 0xa1, 0xd1,
    0xe5, 0xdf, 0x47, 0x77, 0x8f, 0x77, 0x87, 0xfa, 0xab, 0x45, 0xcd, 0xf1, 0x2f, 0xe3, 0xa8,
];

/// Most patches that are applied one after another to make a file.
pub const MAX_CHAIN: usize = 3;

/// Longest version kept, in bytes.
const MAX_VERSION: usize = 128;

/// Whether this is the key of a delta, or of anything else where deltas are.
pub fn holds(key: &str) -> bool {
    key.strip_prefix('/').is_some_and(holds_bare)
}

/// [`holds`] for a key without its first slash.
pub fn holds_bare(path: &str) -> bool {
    FOLDER
        .strip_prefix('/')
        .and_then(|folder| path.strip_prefix(folder))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder of the deltas of a file or of all files of a folder; `None` when it is in no build.
pub fn folder_of(key: &str) -> Option<String> {
    Some(format!("{FOLDER}/{}", key.strip_prefix(BUILDS)?))
}

/// The key of the delta that makes the file `key` from the base with this BLAKE2b-256.
pub fn key_of(key: &str, base: &[u8; 32]) -> Option<String> {
    Some(format!("{}/{}", folder_of(key)?, hex(base)))
}

/// The key of the hop of the file `key` between contents with these hashes.
pub fn hop_key_of(key: &str, base: &[u8; 32], result: &[u8; 32]) -> Option<String> {
    Some(format!("{}/{}-{}", folder_of(key)?, hex(base), hex(result)))
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// The file that a delta makes, and the hash of its base. `None` for keys of another form, hops included.
pub fn parse(key: &str) -> Option<(String, [u8; 32])> {
    let (file, name) = parts(key)?;
    Some((file, hash(name)?))
}

/// The file that a hop is for, and the hashes of its base and of what it makes. `None` for keys of another form.
pub fn parse_hop(key: &str) -> Option<(String, [u8; 32], [u8; 32])> {
    let (file, name) = parts(key)?;
    let (base, result) = name.split_once('-')?;
    Some((file, hash(base)?, hash(result)?))
}

/// The file that a delta or a hop is for.
pub fn file_of(key: &str) -> Option<String> {
    parse(key).map(|(file, _)| file).or_else(|| parse_hop(key).map(|(file, _, _)| file))
}

fn parts(key: &str) -> Option<(String, &str)> {
    let rest = key.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (file, name) = rest.rsplit_once('/')?;
    (!file.is_empty()).then(|| (format!("{BUILDS}{file}"), name))
}

fn hash(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = match digits {
            [high, low] => (digit(*high)? << 4) | digit(*low)?,
            _ => return None,
        };
    }
    Some(hash)
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// A patch of a file, as one that goes from a content to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg<P> {
    /// BLAKE2b-256 of what it starts from.
    pub base: [u8; 32],
    /// BLAKE2b-256 of what it makes; none if that is the file of this version.
    pub result: Option<[u8; 32]>,
    /// Bytes that it costs.
    pub size: u64,
    /// The patch.
    pub patch: P,
}

/// The cheapest way from each content to the file of this version, over [`MAX_CHAIN`] legs at most: their places in `legs`, from the
/// first to be applied to the last, and what they cost together. Looks at each leg so many times, however they lead in circles.
pub fn routes<P>(legs: &[Leg<P>]) -> HashMap<[u8; 32], (u64, Vec<usize>)> {
    let mut best: HashMap<[u8; 32], (u64, Vec<usize>)> = HashMap::new();
    for _ in 0..MAX_CHAIN {
        // What this round finds is one leg longer than what the one before found.
        let before = best.clone();
        for (at, leg) in legs.iter().enumerate() {
            let (rest, behind) = match &leg.result {
                None => (0, &[][..]),
                Some(result) => match before.get(result) {
                    Some((cost, legs)) => (*cost, legs.as_slice()),
                    None => continue,
                },
            };
            let cost = leg.size.saturating_add(rest);
            if best.get(&leg.base).is_none_or(|(known, _)| cost < *known) {
                best.insert(leg.base, (cost, [&[at], behind].concat()));
            }
        }
    }
    best
}

/// Whether two names of files are the same but for what changes with a version: parts with a digit in them, as in `app-1.4.2.so` and
/// `app-1.4.3.so`, `main.8f3ab2.js` and `main.77c0de.js`. The base of a file's delta may be one with such a name in the same folder.
pub fn are_alike(a: &str, b: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let varies = |part: &str| part.contains(|c: char| c.is_ascii_digit());
    let between = |name: &str| name.chars().filter(|c| !is_part(*c)).collect::<String>();
    let parts = |name: &str| {
        let parts = name.split(|c| !is_part(c));
        parts.map(|part| if varies(part) { "0" } else { part }.to_owned()).collect::<Vec<_>>()
    };
    between(a) == between(b) && parts(a) == parts(b)
}

/// What the maker of a delta says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AboutDelta {
    /// Its bytes.
    pub size: Option<u64>,
    /// The version of the release that its base was in.
    pub from: Option<String>,
    /// The base's content in the blobs core of the drive that the delta was made for.
    pub blob: Option<BlobId>,
}

impl AboutDelta {
    /// As the metadata of an entry.
    pub fn to_metadata(&self) -> Value {
        let mut about = Map::new();
        if let Some(size) = self.size {
            about.insert("size".into(), size.into());
        }
        if let Some(from) = &self.from {
            about.insert("from".into(), Value::String(from.clone()));
        }
        if let Some(blob) = &self.blob {
            about.insert("base".into(), entry::blob_json(blob));
        }
        Value::Object(Map::from_iter([("bosc".to_owned(), Value::Object(about))]))
    }

    /// From the metadata of an entry; what cannot be read is not known.
    pub fn of_metadata(metadata: &Value) -> Self {
        let about = metadata.get("bosc");
        let from =
            about.and_then(|a| a.get("from")).and_then(Value::as_str).filter(|v| v.len() <= MAX_VERSION);
        let blob = about.and_then(|a| a.get("base")).and_then(entry::decode_blob);
        let size = about.and_then(|a| a.get("size")).and_then(Value::as_u64);
        Self { size, from: from.map(str::to_owned), blob }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_the_file_and_its_base() {
        let base: [u8; 32] = std::array::from_fn(|i| i as u8 * 7);
        let file = "/by-arch/linux-x64/app/Demo/bin/run";
        let key = key_of(file, &base).unwrap();
        assert!(key.starts_with("/by-delta/linux-x64/app/Demo/bin/run/00070e15"), "{key}");
        assert!(holds(&key) && holds(FOLDER) && !holds("/by-deltas/x") && !holds("/x/by-delta"));
        assert_eq!(parse(&key), Some((file.to_owned(), base)));
        assert_eq!(key_of("/package.json", &base), None);
        for bad in
            ["", "/by-delta", "/by-delta/", "/by-delta/x", "/by-delta/x/00", &key.to_uppercase(), &key[1..]]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&format!("/by-delta//{}", "0".repeat(64))), None);
    }

    #[test]
    fn keys_of_hops_name_both_ends_and_are_no_deltas_to_the_file() {
        let file = "/by-arch/linux-x64/app/Demo/bin/run";
        let key = hop_key_of(file, &[1; 32], &[0xab; 32]).unwrap();
        assert_eq!(parse_hop(&key), Some((file.to_owned(), [1; 32], [0xab; 32])));
        assert_eq!((parse(&key), file_of(&key).as_deref()), (None, Some(file)));
        let direct = key_of(file, &[1; 32]).unwrap();
        assert_eq!((parse_hop(&direct), file_of(&direct).as_deref()), (None, Some(file)));
        for bad in [&key[..key.len() - 1], &format!("{direct}-"), &format!("{direct}-é{}", "0".repeat(62))] {
            assert_eq!(file_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_route_is_the_cheapest_and_has_three_legs_at_most() {
        let leg = |base: u8, result: Option<u8>, size| Leg {
            base: [base; 32],
            result: result.map(|r| [r; 32]),
            size,
            patch: (),
        };
        // 5 is the file. From 4 and 3 there is a patch to it, from 3 the way over 4 is cheaper; 1 is four legs away.
        let mut legs = vec![
            leg(3, None, 100),
            leg(1, Some(2), 1),
            leg(2, Some(3), 1),
            leg(3, Some(4), 10),
            leg(4, None, 20),
        ];
        let found = routes(&legs);
        assert_eq!(found.get(&[3; 32]), Some(&(30, vec![3, 4])));
        assert_eq!(found.get(&[2; 32]), Some(&(31, vec![2, 3, 4])));
        // By the patch from 3 it would be three.
        assert_eq!(found.get(&[1; 32]), Some(&(102, vec![1, 2, 0])));
        legs.remove(0);
        assert_eq!(routes(&legs).get(&[1; 32]), None);
        // Circles lead nowhere, and sizes that nobody has are added up all the same.
        let odd = [leg(1, Some(2), u64::MAX), leg(2, Some(1), 1), leg(2, None, u64::MAX), leg(1, Some(1), 0)];
        assert_eq!(routes(&odd).get(&[1; 32]), Some(&(u64::MAX, vec![0, 2])));
    }

    #[test]
    fn names_are_alike_but_for_a_version() {
        for (a, b) in [
            ("app-1.4.2.so", "app-1.4.12.so"),
            ("main.8f3ab2.js", "main.77c0de.js"),
            ("libfoo.so.6", "libfoo.so.7"),
            ("run", "run"),
        ] {
            assert!(are_alike(a, b) && are_alike(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("app-1.4.2.so", "app-1.4.so"),
            ("app-1.so", "lib-1.so"),
            ("app_1.so", "app-1.so"),
            ("a", ""),
            ("a1b", "a-1-b"),
        ] {
            assert!(!are_alike(a, b) && !are_alike(b, a), "{a} {b}");
        }
    }

    #[test]
    fn what_is_known_of_a_base_is_read_back() {
        let blob =
            BlobId { block_offset: 1, byte_offset: 2, block_length: 3, byte_length: 4, block_map: true };
        for base in [
            AboutDelta { size: Some(7), from: Some("1.4.2".into()), blob: Some(blob) },
            AboutDelta { size: None, from: None, blob: Some(BlobId { block_map: false, ..blob }) },
            AboutDelta::default(),
        ] {
            assert_eq!(AboutDelta::of_metadata(&base.to_metadata()), base);
        }
        for odd in [Value::Null, serde_json::json!({"bosc": {"from": 1, "base": {"blockOffset": -1}}})] {
            assert_eq!(AboutDelta::of_metadata(&odd), AboutDelta::default());
        }
    }
}
