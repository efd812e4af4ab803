//! What is asked for.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `bosc doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// The link.
    pub link: String,
    /// Version of a client to judge.
    pub version: Option<String>,
    /// Its platform, as `linux-x64`.
    pub platform: Option<String>,
    /// The path of an application that is installed on this machine and updates from the link.
    #[serde(default, with = "crate::wire_path")]
    pub app: Option<PathBuf>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Public keys of blind peers that are to keep the link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind_peers: Vec<String>,
}
