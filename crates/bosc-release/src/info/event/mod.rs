//! `info`: what it tells of a link.

use crate::event::link::BlobsHead;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `info` tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum InfoEvent {
    /// The link is looked for.
    Retrieving {
        /// Its key.
        z32: String,
        /// Only its keys are asked for.
        only_show_key: bool,
    },
    /// Its keys.
    Keys {
        /// Of the db, which is that of the link.
        project: String,
        /// Of the blobs core, once it is known.
        content: Option<String>,
        /// What the link is found by.
        discovery: String,
    },
    /// It holds nothing.
    Empty,
    /// It is signed by a quorum.
    Multisig {
        /// How many must sign.
        quorum: u64,
        /// Who may.
        public_keys: Vec<String>,
        /// Only this was asked for.
        only: bool,
    },
    /// Its package.json, null when there is none.
    Manifest {
        /// As its author wrote it.
        manifest: Value,
    },
    /// What it holds.
    Info(Box<LinkInfo>),
}

/// What a link holds. The fields of its package.json are told as they are: they are whatever its author wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkInfo {
    /// The link.
    pub link: String,
    /// The link that names this version.
    pub verlink: String,
    /// The link that names this version and its content.
    pub hashlink: String,
    /// `name`.
    pub name: Value,
    /// `version`.
    pub version: Value,
    /// `productName`.
    pub product_name: Value,
    /// `upgrade`.
    pub upgrade: Value,
    /// Length of the db.
    pub length: u64,
    /// Its bytes.
    pub byte_length: u64,
    /// Its fork.
    pub fork: u64,
    /// This store can write to it.
    pub writable: bool,
    /// The blobs core, once it is known.
    pub blobs: Option<BlobsHead>,
}

#[cfg(test)]
mod tests;
