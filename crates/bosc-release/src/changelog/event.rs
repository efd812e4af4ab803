//! What `changelog` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};

/// What happens during `changelog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ChangelogEvent {
    /// There is nothing to show.
    NoChangelog,
    /// A release, oldest first.
    Changelog {
        /// Its version as written.
        version: String,
        /// Its heading.
        heading: String,
        /// Heading and text.
        changelog: String,
        /// Which one, from 0.
        index: usize,
        /// How many are shown.
        max: usize,
    },
}

/// What `changelog` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangelogShown {
    /// Releases that were shown.
    pub shown: usize,
    /// Releases there are.
    pub found: usize,
}
