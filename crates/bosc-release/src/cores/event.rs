//! What `cores` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};

/// Which of a drive's cores one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoreKind {
    /// The files there are, or a core of something else.
    Db,
    /// Their content.
    Blobs,
}

impl std::fmt::Display for CoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Db => "db",
            Self::Blobs => "blobs",
        })
    }
}

/// What happens during `cores`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum CoresEvent {
    /// A core that is kept here.
    Core(Box<CoreKept>),
}

/// A core that is kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoreKept {
    /// Its link.
    pub link: String,
    /// This store writes it.
    pub writable: bool,
    /// Its length.
    pub length: u64,
    /// Blocks that are here from the first on without a gap.
    pub contiguous_length: u64,
    /// Its fork.
    pub fork: u64,
    /// Blocks that are here.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of all of it.
    pub byte_length: u64,
    /// Which of a drive's cores it is.
    pub kind: CoreKind,
    /// The drive's link, of a blobs core.
    pub drive: Option<String>,
    /// What it is found by.
    pub discovery_key: String,
}

/// What `cores` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoresShown {
    /// Cores that were shown.
    pub count: u64,
    /// How many of them this store writes.
    pub writable: u64,
    /// Bytes of blocks in the store.
    pub bytes: u64,
    /// Bytes they take on the disk.
    pub disk_bytes: u64,
}
