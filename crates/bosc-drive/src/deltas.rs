//! Where a drive keeps deltas: patches that make a file of a build from one that its readers may have.
//!
//! ```text
//! /by-arch/linux-x64/app/Demo/bin/run                       the file
//! /by-delta/linux-x64/app/Demo/bin/run/<hash of the base>   a patch (npm has none; `bosc-delta` does) that makes it
//! ```
//!
//! The hash is the BLAKE2b-256 of the base in lower-case hex. The entry's metadata says what its maker knows of the base:
//! `{"bosc":{"size":41000,"from":"1.4.2","base":{"blockOffset":…,…}}}`, with the bytes of the patch. Nothing rests on any of it: whoever makes a file of a patch
//! proves its blocks against the tree.
//!
//! Clients in JavaScript mirror `/by-arch/<host>/app` and never look here; their seeders keep it as any other file.

use crate::blobs::BlobId;
use crate::drive::entry;
use serde_json::{Map, Value};

/// Where all deltas are.
pub const FOLDER: &str = "/by-delta";

/// Where the files are that may have deltas.
const BUILDS: &str = "/by-arch/";

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
    let hex: String = base.iter().map(|b| format!("{b:02x}")).collect();
    Some(format!("{}/{hex}", folder_of(key)?))
}

/// The file that a delta makes, and the hash of its base. `None` for keys of another form.
pub fn parse(key: &str) -> Option<(String, [u8; 32])> {
    let rest = key.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (file, hex) = rest.rsplit_once('/')?;
    if file.is_empty() || hex.len() != 64 {
        return None;
    }
    let mut base = [0; 32];
    for (byte, digits) in base.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = match digits {
            [high, low] => (digit(*high)? << 4) | digit(*low)?,
            _ => return None,
        };
    }
    Some((format!("{BUILDS}{file}"), base))
}

fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
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
