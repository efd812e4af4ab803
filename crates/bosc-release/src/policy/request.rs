//! What is asked for.

use serde::{Deserialize, Serialize};

/// `bosc policy show` and `bosc policy check` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyOfLink {
    /// The link.
    pub link: String,
    /// Name what is wrong or should be looked at, and fail if something is wrong.
    pub check: bool,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}
