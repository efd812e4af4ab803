//! `seed`: keeping a drive available, and looking for rot in it meanwhile.

pub(crate) mod command;
pub mod event;
pub(crate) mod scrub;

use serde::{Deserialize, Serialize};

/// `bosc seed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The link to seed.
    pub link: String,
    /// Stop when these peers (z32 public keys) have everything.
    pub until_sync: Vec<String>,
    /// Milliseconds between `stats` events.
    pub stats_interval_ms: u64,
    /// Fail when nothing was received by then, in milliseconds, and nothing is here either.
    pub timeout_ms: Option<u64>,
}
