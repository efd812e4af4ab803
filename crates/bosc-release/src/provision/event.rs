//! What `provision` tells on the way, and what it ends with.

use crate::folder::diff::ByteDiff;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Which of a drive's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The db.
    #[serde(rename = "metadata")]
    Db,
    /// The blobs.
    Blobs,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Db => "metadata",
            Self::Blobs => "blobs",
        })
    }
}

/// What happens during `provision`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ProvisionEvent {
    /// A core of the target is compared with production's.
    Syncing {
        /// The core.
        #[serde(rename = "type")]
        core: Which,
    },
    /// How much of production is here.
    Blocks(Copied),
    /// The core is here, and the target begins as it does.
    Synced {
        /// The core.
        #[serde(rename = "type")]
        core: Which,
    },
    /// Blocks come in.
    Stats(ProvisionStats),
    /// The source is compared with production.
    Diffing,
    /// A file that changes.
    ByteDiff(ByteDiff),
    /// All that differs was told.
    Diffed(Box<Diffed>),
    /// Something that may go wrong later.
    Warning {
        /// What.
        code: ProvisionWarning,
        /// In words.
        message: String,
    },
    /// Nothing will be written.
    Dry,
    /// It is written soon, and can still be stopped.
    Cooldown {
        /// Milliseconds.
        time: u64,
    },
    /// It is written soon.
    Cooling {
        /// Seconds left.
        left: u64,
    },
    /// The write begins.
    Staging,
    /// Production's content is copied.
    Copying(Copied),
    /// Files are written.
    Writing {
        /// Files written.
        files: u64,
        /// Files to write.
        of: usize,
        /// Bytes written.
        bytes: u64,
    },
    /// They are written.
    Staged {
        /// Files that changed.
        changes: usize,
        /// Bytes that were not in the target.
        new_bytes: u64,
        /// Blocks that were not in the target.
        new_blocks: u64,
        /// Bytes that were.
        shared_bytes: u64,
    },
    /// A field was taken out.
    Unsetting {
        /// Its name.
        field: String,
    },
    /// A field was set.
    Setting {
        /// Its name.
        field: String,
        /// Its value, as it is in the drive.
        value: Value,
    },
}

/// What may go wrong later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProvisionWarning {
    /// Production is longer than the version to start from.
    ProductionAhead,
    /// The version is not above the draft's.
    VersionNotAbove,
    /// The target holds content of versions that were never released.
    DraftsInTarget,
}

/// How far a core of the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The core.
    #[serde(rename = "type")]
    pub core: Which,
    /// Its length so far.
    pub target_length: u64,
    /// Production's length.
    pub production_length: u64,
}

/// Blocks that come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionStats {
    /// The core.
    #[serde(rename = "type")]
    pub core: Which,
    /// The drive's link.
    pub link: String,
    /// Peers that have the core.
    pub peers: usize,
    /// Length of the version that is read.
    pub drive_length: u64,
    /// Blocks that are asked for.
    pub wanted: usize,
    /// What came.
    pub download: Moved,
    /// What was given to others.
    pub upload: Moved,
}

/// Blocks and bytes that were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes, under the name that `seed` uses.
    pub total_bytes: u64,
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diffed {
    /// Files that differ.
    pub changes: usize,
    /// Fields that differ.
    pub fields: usize,
    /// The version that is provisioned.
    pub semver: String,
    /// The source.
    pub source: DriveVersion,
    /// The target as it is.
    pub target: DriveVersion,
}

/// A drive at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveVersion {
    /// Its db.
    pub core: CoreVersion,
    /// Its blobs; none while its manifest is not known.
    pub blobs: Option<CoreVersion>,
    /// Its link.
    pub link: String,
    /// Its link with the version.
    pub verlink: String,
    /// Its link with the version and its hash, when that is known.
    pub hashlink: Option<String>,
}

/// A core at one length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreVersion {
    /// Its key.
    pub id: String,
    /// The length.
    pub length: u64,
    /// Its tree hash, when the tree is known that far back.
    pub hash: Option<String>,
}

/// What `provision` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// The source.
    pub source: DriveVersion,
    /// The target as it is now.
    pub target: DriveVersion,
    /// What it starts with.
    pub production: DriveVersion,
    /// How many files differed.
    pub changes: usize,
}

#[cfg(test)]
mod tests;
