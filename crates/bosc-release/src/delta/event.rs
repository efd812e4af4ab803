//! What `delta` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `delta`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DeltaEvent {
    /// A patch is being made.
    Making {
        /// Bytes of the old file.
        old_bytes: u64,
        /// Bytes of the new file.
        new_bytes: u64,
        /// Bytes of memory that it takes, about.
        memory: u64,
    },
    /// How far it is: about once a second.
    Progress {
        /// Milliseconds since it began.
        ms: u64,
        /// Bytes of the new file that are there, of `of`; none where that is not known.
        bytes: Option<u64>,
        /// Bytes of the new file.
        of: u64,
    },
    /// One way of sending the new file.
    Tried(Tried),
}

/// One way of sending a file, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// What did it: `file`, `bosc delta`, or the program with its flags.
    pub by: String,
    /// Whether it takes the old file.
    pub old: bool,
    /// Bytes that are sent; none if it failed.
    pub bytes: Option<u64>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What `delta make` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeDelta {
    /// The patch.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub patch: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of the new file.
    pub new_bytes: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What `delta apply` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedDelta {
    /// The new file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its BLAKE2b-256, lower-case hex.
    pub blake2b: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// What `delta inspect` ends with: what a patch says of itself. Nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaInspected {
    /// Its bytes.
    pub bytes: u64,
    /// Version of its format.
    pub format: u8,
    /// Version of its extractor.
    pub extractor: u8,
    /// Bytes of the old file.
    pub old_bytes: u64,
    /// BLAKE2b-256 of the old file; none if the patch needs no old file.
    pub old_blake2b: Option<String>,
    /// Bytes of the new file.
    pub new_bytes: u64,
    /// BLAKE2b-256 of the new file.
    pub new_blake2b: String,
    /// Stretches that are taken from the old file.
    pub copies: u64,
    /// Bytes that are in none of them.
    pub fresh_bytes: u64,
}

/// What `delta bench` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaMeasured {
    /// Bytes of the old file.
    pub old_bytes: u64,
    /// Bytes of the new file.
    pub new_bytes: u64,
    /// Bytes of the patch.
    pub bytes: u64,
    /// How long making it took, in milliseconds.
    pub make_ms: u64,
    /// How long applying it took, in milliseconds.
    pub apply_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn events_and_results_have_the_names_that_others_read() {
        use DeltaEvent as E;
        golden::events(vec![
            (
                E::Making { old_bytes: 1, new_bytes: 2, memory: 3 },
                "making",
                r#"{"oldBytes":1,"newBytes":2,"memory":3}"#,
            ),
            (E::Progress { ms: 1, bytes: Some(2), of: 3 }, "progress", r#"{"ms":1,"bytes":2,"of":3}"#),
            (
                E::Tried(Tried { by: "zstd -19".into(), old: false, bytes: Some(1), ms: 2 }),
                "tried",
                r#"{"by":"zstd -19","old":false,"bytes":1,"ms":2}"#,
            ),
        ]);
        golden::texts(vec![(
            MadeDelta { patch: "p".into(), bytes: 1, new_bytes: 2, ms: 3 },
            r#"{"patch":"p","bytes":1,"newBytes":2,"ms":3}"#,
        )]);
        golden::texts(vec![(
            AppliedDelta { file: "f".into(), bytes: 1, blake2b: "00".into(), ms: 2 },
            r#"{"file":"f","bytes":1,"blake2b":"00","ms":2}"#,
        )]);
        golden::texts(vec![(
            DeltaInspected {
                bytes: 1,
                format: 1,
                extractor: 1,
                old_bytes: 2,
                old_blake2b: Some("00".into()),
                new_bytes: 3,
                new_blake2b: "01".into(),
                copies: 4,
                fresh_bytes: 5,
            },
            r#"{"bytes":1,"format":1,"extractor":1,"oldBytes":2,"oldBlake2b":"00","newBytes":3,"newBlake2b":"01","copies":4,"freshBytes":5}"#,
        )]);
        golden::texts(vec![(
            DeltaMeasured { old_bytes: 1, new_bytes: 2, bytes: 3, make_ms: 4, apply_ms: 5 },
            r#"{"oldBytes":1,"newBytes":2,"bytes":3,"makeMs":4,"applyMs":5}"#,
        )]);
    }
}
