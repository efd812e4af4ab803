//! `log`: every release of a link, the newest first, and what its operators say.
//!
//! ```text
//! versions of the drive ── neighbours that say one SemVer are one release ── what changed since the one before
//! the newest head ── who of the quorum signed it          policy ── operators ── what they say now
//! ```
//!
//! Invariants:
//! * Length and hash of a line are of the tree: whoever has the link computes the same (`bosc dump LINK --checkout LENGTH`).
//! * What is not known is not guessed: a store keeps the signature of its newest head alone, and contents that are gone are said to be.
//! * Nothing is fetched for a size: it is known where the maps of the files are here.
//! * Bounds: [`MAX_RELEASES`] releases, `crate::versions::command::MAX_VERSIONS` versions.
//!
//! # Files
//!
//! - Here: how many releases are told.
//! - `command`: what the command runs: which versions are one release, who signed. `statements`: what operators say, and how long
//!   they are looked for. `event`: what is told.

pub(crate) mod command;
pub mod event;
pub(crate) mod statements;

use serde::{Deserialize, Serialize};

/// Most releases told.
pub const MAX_RELEASES: usize = 1_000;

/// `bosc log`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The link; with a version, the newest that is told.
    pub link: String,
    /// The newest so many.
    pub max: usize,
    /// Mirrors to read from.
    pub mirrors: Vec<String>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}
