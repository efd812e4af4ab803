//! What a drive says about a file: the JSON value under its key (npm `hyperdrive`, putEntry).

use super::key::FILES_PREFIX;
use crate::bee::Entry as BeeEntry;
use crate::blobs::BlobId;
use crate::{Error, Result, json};
use serde_json::{Map, Value};

/// Longest entry value taken, in bytes.
pub const MAX_ENTRY_LEN: usize = 4 * 1024 * 1024;

/// A file or symlink of a drive.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveEntry {
    /// The db block that wrote it.
    pub seq: u64,
    /// Its path, starting with `/`. Not checked: use [`components`](super::path::components) before it touches a disk.
    pub key: String,
    /// What is known about it.
    pub value: EntryValue,
}

impl DriveEntry {
    pub(super) fn from_bee(entry: &BeeEntry) -> Result<Self> {
        let bad = |what| Error::malformed(entry.seq, what);
        let key = entry.key.strip_prefix(FILES_PREFIX).ok_or(bad("a file's key has no prefix"))?;
        let key = std::str::from_utf8(key).map_err(|_| bad("a file's name is not UTF-8"))?;
        let value = entry.value.as_deref().ok_or(bad("a file's entry is null"))?;
        Ok(Self { seq: entry.seq, key: key.to_owned(), value: EntryValue::decode(entry.seq, value)? })
    }
}

/// The value of a drive entry.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EntryValue {
    /// Whether the file may be run.
    pub executable: bool,
    /// Target of a symlink, as written.
    pub linkname: Option<String>,
    /// Where the content lies; `None` for symlinks and for entries without content.
    pub blob: Option<BlobId>,
    /// Whatever the application keeps with the file; null when nothing.
    pub metadata: Value,
}

impl EntryValue {
    /// A file.
    pub fn file(blob: BlobId, executable: bool) -> Self {
        Self { executable, blob: Some(blob), ..Self::default() }
    }

    /// A symlink.
    pub fn symlink(target: impl Into<String>) -> Self {
        Self { linkname: Some(target.into()), ..Self::default() }
    }

    /// The bytes JavaScript would write for it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::from("{\"executable\":");
        out.push_str(if self.executable { "true" } else { "false" });
        out.push_str(",\"linkname\":");
        match &self.linkname {
            Some(name) => json::write_string(&mut out, name),
            None => out.push_str("null"),
        }
        out.push_str(",\"blob\":");
        match &self.blob {
            Some(b) => {
                out.push_str(&format!(
                    "{{\"blockOffset\":{},\"byteOffset\":{},\"blockLength\":{},\"byteLength\":{}",
                    b.block_offset, b.byte_offset, b.block_length, b.byte_length
                ));
                out.push_str(if b.block_map { ",\"blockMap\":true}" } else { "}" });
            }
            None => out.push_str("null"),
        }
        out.push_str(",\"metadata\":");
        json::write(&mut out, &self.metadata);
        out.push('}');
        // Of a hundred thousand entries, the room that is left over would be much.
        out.shrink_to_fit();
        out.into_bytes()
    }

    /// Reads a value written by any version. Absent fields are null; fields of other names are ignored. `seq` is the
    /// block the value was found in, for the error.
    pub fn decode(seq: u64, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_ENTRY_LEN {
            return Err(Error::malformed(seq, "the entry is too long"));
        }
        let bad = |_| Error::malformed(seq, "the entry is not a JSON object");
        let mut object: Map<String, Value> = serde_json::from_slice(bytes).map_err(bad)?;
        let blob = match object.get("blob") {
            None | Some(Value::Null | Value::Bool(false)) => None,
            Some(blob) => {
                Some(decode_blob(blob).ok_or(Error::malformed(seq, "the entry's blob is invalid"))?)
            }
        };
        let linkname = match object.get("linkname") {
            Some(Value::String(s)) if !s.is_empty() => Some(s.clone()),
            None | Some(Value::Null | Value::Bool(false) | Value::String(_)) => None,
            Some(_) => return Err(Error::malformed(seq, "the entry's link name is invalid")),
        };
        Ok(Self {
            executable: object.get("executable").is_some_and(truthy),
            linkname,
            blob,
            metadata: object.remove("metadata").unwrap_or_default(),
        })
    }
}

/// A blob id as an entry has it.
pub(crate) fn blob_json(b: &BlobId) -> Value {
    let mut out = Map::new();
    out.insert("blockOffset".into(), b.block_offset.into());
    out.insert("byteOffset".into(), b.byte_offset.into());
    out.insert("blockLength".into(), b.block_length.into());
    out.insert("byteLength".into(), b.byte_length.into());
    if b.block_map {
        out.insert("blockMap".into(), true.into());
    }
    Value::Object(out)
}

pub(crate) fn decode_blob(value: &Value) -> Option<BlobId> {
    let blob = value.as_object()?;
    let id = BlobId {
        block_offset: whole(blob.get("blockOffset")?)?,
        byte_offset: whole(blob.get("byteOffset")?)?,
        block_length: whole(blob.get("blockLength")?)?,
        byte_length: whole(blob.get("byteLength")?)?,
        block_map: blob.get("blockMap").is_some_and(truthy),
    };
    id.block_offset.checked_add(id.block_length)?;
    id.byte_offset.checked_add(id.byte_length)?;
    Some(id)
}

/// A whole number that JavaScript holds exactly.
fn whole(value: &Value) -> Option<u64> {
    const MAX_SAFE: u64 = (1 << 53) - 1;
    let n = value.as_u64().or_else(|| {
        let f = value.as_f64()?;
        (f >= 0.0 && f.fract() == 0.0 && f <= MAX_SAFE as f64).then_some(f as u64)
    })?;
    (n <= MAX_SAFE).then_some(n)
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64().is_some_and(|f| f != 0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_lenient_about_what_older_writers_left_out() {
        let v = EntryValue::decode(
            1,
            br#"{"blob":{"byteOffset":4,"blockOffset":1.0,"blockLength":1,"byteLength":9}}"#,
        )
        .unwrap();
        let blob =
            BlobId { block_offset: 1, byte_offset: 4, block_length: 1, byte_length: 9, block_map: false };
        assert_eq!(v, EntryValue::file(blob, false));
        assert_eq!(EntryValue::decode(1, b"{}").unwrap(), EntryValue::default());
    }

    #[test]
    fn hostile_entries_are_errors() {
        for text in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            r#"{"blob":1}"#,
            r#"{"blob":{}}"#,
            r#"{"linkname":5}"#,
            r#"{"blob":{"byteOffset":-1,"blockOffset":1,"blockLength":1,"byteLength":9}}"#,
            r#"{"blob":{"byteOffset":0,"blockOffset":1e300,"blockLength":1,"byteLength":9}}"#,
            r#"{"blob":{"byteOffset":0,"blockOffset":18446744073709551615,"blockLength":1,"byteLength":9}}"#,
        ] {
            assert!(EntryValue::decode(1, text.as_bytes()).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(EntryValue::decode(1, format!("{{\"metadata\":{deep}").as_bytes()).is_err());
    }

    #[test]
    fn metadata_is_kept_as_javascript_would() {
        let text = br#"{"executable":true,"linkname":"../a \"b\"","blob":null,"metadata":{"z":1.50,"a":[null,"\u00e9"]}}"#;
        let v = EntryValue::decode(1, text).unwrap();
        let expected =
            r#"{"executable":true,"linkname":"../a \"b\"","blob":null,"metadata":{"z":1.5,"a":[null,"é"]}}"#;
        assert_eq!(String::from_utf8(v.encode()).unwrap(), expected);
    }
}
