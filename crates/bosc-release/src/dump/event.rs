//! What `dump` tells on the way, and what it ends with.

use crate::folder::diff::{ByteDiff, DiffCount};
use serde::{Deserialize, Serialize};

/// What happens during `dump`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DumpEvent {
    /// It begins.
    Dumping {
        /// The link as it was given.
        link: String,
        /// The folder, or `-`.
        dir: String,
        /// Files are named only.
        list: bool,
    },
    /// Nothing will be written.
    Dry,
    /// A path of `only` at which the drive has nothing; others it has.
    Unmatched {
        /// `only`.
        list: String,
        /// As it was given.
        pattern: String,
    },
    /// A file of the drive, or a part of one.
    File(FilePart),
    /// A file that differs.
    ByteDiff(ByteDiff),
    /// How far it is.
    Stats(DumpStats),
}

/// A file, or a part of its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// Its drive key.
    pub key: String,
    /// Of a symlink: where it leads.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::event::fields::present"
    )]
    pub linkname: Option<Option<String>>,
    /// The content, when it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The content otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Of a part: where in the file it begins, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Of a part: others follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
}

/// How far a dump is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpStats {
    /// Peers that have the content.
    pub peers: usize,
    /// The version that is dumped.
    pub drive_length: u64,
    /// What came.
    pub download: Received,
    /// What was given to others.
    pub upload: Sent,
    /// What is to be written, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// The files that a dump writes, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes of those that differ from what is there.
    pub bytes: u64,
    /// Bytes of them that are written.
    pub written: u64,
}

/// Blocks of content that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Their bytes.
    pub bytes: u64,
    /// Their number.
    pub blocks: u64,
    /// Their bytes, under the name that `seed` uses.
    pub total_bytes: u64,
}

/// Blocks of content that were given to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Their bytes.
    pub bytes: u64,
    /// Their number.
    pub blocks: u64,
}

/// What `dump` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dumped {
    /// How many files there are, and how many changed how.
    pub count: DiffCount,
    /// Bytes that came from peers.
    pub received: u64,
    /// The version that was dumped.
    pub version: u64,
}

#[cfg(test)]
mod tests;
