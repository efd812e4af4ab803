//! `info`: what a link holds.
//!
//! # Files
//!
//! - `command`: what of a link is read. `event/`: what is told.

pub(crate) mod command;
pub mod event;

use crate::changelog::Select;
use serde::{Deserialize, Serialize};

/// `bosc info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The link.
    pub link: String,
    /// Show name, version and lengths only.
    pub metadata: bool,
    /// Show package.json only.
    pub manifest: bool,
    /// Show the signers only.
    pub multisig: bool,
    /// Show the keys only.
    pub key: bool,
    /// Show releases of its CHANGELOG.md only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changelog: Option<Select>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}
