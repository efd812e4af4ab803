//! What `versions` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};

/// What happens during `versions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum VersionsEvent {
    /// A version in the history, oldest first.
    Version {
        /// Length of the db.
        length: u64,
        /// The fork.
        fork: u64,
        /// The link with the version.
        verlink: String,
        /// The version in its package.json.
        semver: Option<String>,
        /// That version is another one than before.
        released: bool,
        /// Entries written since the version before.
        put: u64,
        /// Entries deleted since.
        deleted: u64,
        /// The link its package.json names.
        upgrade: Option<String>,
        /// It has a package.json whose content is not here any more, nor at a peer that answered.
        #[serde(default)]
        gone: bool,
    },
}

/// What `versions` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsShown {
    /// The link.
    pub link: String,
    /// Its newest length.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// Versions that were shown.
    pub shown: usize,
    /// Versions there are.
    pub versions: u64,
}
