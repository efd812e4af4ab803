//! What `stage` tells on the way, and what it ends with.

use crate::event::link::BlobsHead;
use crate::folder::diff::ByteDiff;
use crate::folder::portable_names::BadName;
use crate::secrets::check::LooksSecret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `stage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum StageEvent {
    /// It begins.
    Staging {
        /// The application, as its package.json names it.
        name: Option<String>,
        /// The drive's key.
        key: String,
        /// Its link.
        link: String,
        /// The version it has now.
        verlink: String,
        /// Its length now.
        current: u64,
        /// The folder.
        #[serde(serialize_with = "crate::event::fields::path")]
        dir: PathBuf,
    },
    /// The folder has no package.json: the drive's is made of a project's file.
    Package {
        /// The Cargo.toml or tauri.conf.json.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// The name in it.
        name: Option<String>,
        /// The version in it.
        version: Option<String>,
    },
    /// Nothing will be written.
    Dry,
    /// Something in the folder that cannot be staged and is left out.
    Skipped {
        /// Its path on disk.
        #[serde(serialize_with = "crate::event::fields::path")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An ignore file counts.
    IgnoreFile {
        /// The file.
        #[serde(serialize_with = "crate::event::fields::path")]
        path: PathBuf,
    },
    /// A pattern or path that matches nothing.
    Unmatched {
        /// `ignore`, `only`, `allow` or `allow-key`.
        list: String,
        /// As it was given.
        pattern: String,
    },
    /// A name that some system cannot hold.
    BadName(BadName),
    /// A symlink that leads nowhere in the drive. It is staged all the same.
    Dangling {
        /// Its path in the folder.
        path: String,
        /// Its target.
        target: String,
    },
    /// Something that looks like a secret.
    LooksSecret(LooksSecret),
    /// A build says that it is another version than the release.
    VersionMismatch {
        /// The file that says so, in the folder.
        path: String,
        /// The release's version.
        release: String,
        /// The build's.
        running: String,
    },
    /// A delta that installed applications update by.
    Delta {
        /// The file that it leads to, in the folder.
        path: String,
        /// The version of the release that it starts from.
        from: Option<String>,
        /// Its bytes.
        bytes: u64,
        /// Bytes that it takes the place of.
        instead_of: u64,
    },
    /// A large file is packed now, which takes a while.
    Packing {
        /// The file, in the folder.
        path: String,
        /// Its bytes.
        bytes: u64,
    },
    /// A packed copy of a whole file, for first installs and installations that no delta starts from.
    Packed {
        /// The file, in the folder.
        path: String,
        /// Its bytes packed.
        bytes: u64,
        /// Its bytes.
        instead_of: u64,
    },
    /// A file that differs.
    ByteDiff(ByteDiff),
    /// All files were dealt with.
    Summary(Box<Summary>),
    /// Nothing was written.
    Skipping {
        /// Why: `dry-run`.
        reason: String,
        /// Always true.
        success: bool,
    },
    /// It is over.
    Complete {
        /// Nothing was written.
        dry_run: bool,
    },
    /// What the drive holds now.
    Addendum(Box<Addendum>),
}

/// What was staged, or on a dry run would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Files in the folder.
    pub files: u64,
    /// New ones.
    pub add: u64,
    /// Removed ones.
    pub remove: u64,
    /// Changed ones.
    pub change: u64,
    /// Length of the db.
    pub length: u64,
    /// Its bytes.
    pub byte_length: u64,
    /// Bytes of content that were not in the drive.
    pub new_bytes: u64,
    /// Blocks appended to the blobs core.
    pub new_blocks: u64,
    /// Bytes that changed files share with what the drive held.
    pub shared_bytes: u64,
    /// What looks like a secret.
    pub looks_secret: Vec<LooksSecret>,
    /// The blobs core.
    pub blobs: BlobsSize,
}

/// How large a blobs core is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobsSize {
    /// Its length.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// Its bytes.
    pub byte_length: u64,
}

/// What the drive holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addendum {
    /// Length of the db.
    pub version: u64,
    /// The drive's key.
    pub key: String,
    /// Its link.
    pub link: String,
    /// The link that names this version.
    pub verlink: String,
    /// The link that names this version and its content.
    pub hashlink: String,
    /// The blobs core.
    pub blobs: BlobsHead,
}

/// What `stage` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The drive's link.
    pub link: String,
    /// The link that names the version it holds now.
    pub verlink: String,
}

#[cfg(test)]
pub(super) mod tests;
