//! What `gc` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `gc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum GcEvent {
    /// Nothing will be removed.
    Dry,
    /// A core whose blocks go, or stay.
    Cores {
        /// The drive's link.
        link: String,
        /// The core's key.
        core: String,
        /// It is the drive's blobs core.
        content: bool,
        /// Nothing of it goes.
        skipped: bool,
        /// Of downloads: why it stays, if it does.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "crate::event::fields::present"
        )]
        reason: Option<Option<Kept>>,
        /// Blocks that go.
        blocks: u64,
    },
    /// A file that went.
    Removed {
        /// The file.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

/// Why blocks stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// Another command works with them.
    #[serde(rename = "in use")]
    InUse,
    /// An application was installed from them.
    #[serde(rename = "installed from")]
    InstalledFrom,
    /// Some of them are damaged here: they are repaired first, or others have to have them.
    #[serde(rename = "damaged: repair it first")]
    Damaged,
}

/// What `gc` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcDone {
    /// Nothing was removed.
    pub dry_run: bool,
    /// Blocks that went.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the disk has back.
    pub disk_bytes: u64,
}
