//! What `store` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};

/// What happens during `store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum StoreEvent {
    /// A core that was read.
    Checked(Box<Checked>),
    /// The database was read.
    Database {
        /// How it is.
        state: DatabaseState,
    },
    /// A core that was mended.
    Repaired {
        /// The drive's link.
        link: String,
        /// The core's key.
        core: String,
        /// It is the drive's blobs core.
        content: bool,
        /// This store writes it.
        writable: bool,
        /// Blocks that were fetched.
        blocks: u64,
        /// Blocks that were not.
        missing: usize,
        /// The first of those.
        missing_blocks: Vec<u64>,
    },
}

/// How the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseState {
    /// As it was written.
    Ok,
    /// It had a fault, which is mended.
    Mended,
    /// It cannot be trusted.
    Damaged,
}

/// A core that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The drive's link.
    pub link: String,
    /// The core's key.
    pub core: String,
    /// It is the drive's blobs core.
    pub content: bool,
    /// This store writes it.
    pub writable: bool,
    /// Its length.
    pub length: u64,
    /// Blocks that are as they were stored.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are not.
    pub damaged: u64,
    /// The first of those.
    pub damaged_blocks: Vec<u64>,
    /// Blocks that the disk does not read.
    pub unreadable: usize,
    /// Blocks that were damaged once and are not any more.
    pub restored: u64,
}

/// What `store check` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreChecked {
    /// Cores that were read.
    pub cores: u64,
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are damaged: none, or it is an error.
    pub damaged: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of a newer state than the database.
    pub unnamed_bytes: u64,
}

/// What `store repair` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRepaired {
    /// Blocks that were damaged.
    pub blocks: u64,
    /// Blocks that still are: none, or it is an error.
    pub missing: u64,
}
