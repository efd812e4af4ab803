//! `monitor`: every head of a link with its signatures, and every statement, in a file that only grows; what contradicts it is told.
//!
//! ```text
//!                    ┌────────────── wait ───────────────┐
//!                    ▼                                   │ nothing wrong
//! file read ──> link looked at ── heads, operators, statements that are new ── into the file ── judged
//!    │ wrong before                                                                              │ wrong
//!    └──────────────────────────> told, exit 7 <─────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! * What is judged is on the disk before it is told: a finding can be shown to others with the bytes that prove it.
//! * The file is written at its end alone, record by record, each with a sum over all before it. What a kill left of the last record is
//!   dropped and said; anything else that does not fit is damage, and nothing is written to such a file.
//! * Nothing in a file is believed: heads and statements are verified when it is read, by whoever reads it.
//! * A history that forked, or a statement that contradicts another, stays found as long as the file is used. A change of who signs or
//!   who operates is told once.
//! * Bounds: `record::MAX_RECORD` a record, `file::MAX_FILE` a file.
//!
//! # Files
//!
//! - `command`: following, and a file that was wrong before. `compare`: two files side by side. `judge`: what contradicts what.
//! - `file`: the file: sums, a record that a kill left, damage. `record`: what is in it, and how long. `event`: what is told.

pub(crate) mod command;
mod compare;
pub mod event;
mod file;
mod judge;
mod record;
#[cfg(test)]
mod tests;

pub use compare::compare;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `bosc monitor` of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// The link.
    pub link: String,
    /// The file; made when missing.
    #[serde(with = "crate::wire_path")]
    pub file: PathBuf,
    /// Look once, then end.
    pub once: bool,
    /// How often the link is looked at, in milliseconds.
    pub every_ms: u64,
    /// Mirrors to read from.
    pub mirrors: Vec<String>,
    /// How long to look for peers each time, in milliseconds.
    pub timeout_ms: u64,
}
