//! What `keys` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum KeysEvent {
    /// A key that is in the file.
    Exported {
        /// Its link.
        link: String,
        /// The link's length.
        length: u64,
        /// Its fork.
        fork: u64,
    },
    /// A key that was taken from the file.
    Imported {
        /// Its link.
        link: String,
        /// The version it was exported at.
        verlink: String,
        /// That version's length.
        length: u64,
        /// Its fork.
        fork: u64,
        /// This store had the key.
        already_writable: bool,
    },
}

/// What a key file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyFileKind {
    /// The key of one link.
    Link,
    /// All keys of a store.
    Backup,
}

/// What `keys export` and `keys backup` end with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysExported {
    /// The file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
    /// What it holds.
    pub kind: KeyFileKind,
    /// How many keys of links.
    pub links: usize,
    /// Of one link: the version it is at.
    pub verlink: Option<String>,
}

/// What `keys import` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysImported {
    /// What the file held.
    pub kind: KeyFileKind,
    /// How many keys of links.
    pub links: usize,
    /// How many are new here.
    pub imported: u64,
}
