//! `versions`: every version in a drive's history.
//!
//! # Files
//!
//! - `command`: which lengths are versions, and how many are told. `range`: version ranges as npm writes them. `event`: what is told.

pub(crate) mod command;
pub mod event;
pub mod range;

use serde::{Deserialize, Serialize};

/// `bosc versions` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The link.
    pub link: String,
    /// Show the newest so many; at most 10,000.
    pub max: usize,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}
