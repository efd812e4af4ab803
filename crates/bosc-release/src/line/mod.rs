//! `line`: release lines, declared in one file and moved along it.
//!
//! A line is a link with a place in the way of a release: `development`, `staging` and `rc` are **stage** links that one
//! machine writes, `prerelease` is a **provision** of `rc` on production's blocks, `production` is signed by a
//! **quorum**. The five are a habit, not a rule: a line is whatever the file declares.
//!
//! The file is `bosc.toml` and stays with the project. It is not part of `pear.json`, because that is carried into the
//! deployment directory, and links of inner lines are nobody's business who follows production: a link is the right to
//! read.
//!
//! ```toml
//! [line.rc]
//! kind = "stage"            # stage, provision or multisig
//! link = "pear://..."
//! source = "staging"        # the line it is promoted from
//! seeds = 2                 # full copies wanted, or ["<peer key>", ...] who have to hold one
//!
//! [line.prerelease]
//! kind = "provision"
//! link = "pear://..."
//! source = "rc"
//! production = "production" # whose blocks it starts with
//! ```
//!
//! # Files
//!
//! - `file`: reads and changes `bosc.toml` (how many lines, copies wanted). `compare`: which line is ahead. `command/`: `list` and
//!   `promote`. `event/`: what is told.

pub(crate) mod command;
pub mod compare;
pub(crate) mod event;
pub mod file;

pub use event::{
    Added, Initialised, LineEvent, LinePromoted, LineShown, ListedLines, Notice, NoticeCode, Over,
    PromotedProvision, PromotedStage, PromotedToSign, Removed, Seeders, Step, Who,
};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `bosc line`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file; absolute.
    #[serde(with = "crate::wire_path")]
    pub file: PathBuf,
    /// What to do.
    pub action: Action,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

impl Line {
    /// Whether it says that the store is the only copy, and may write that down.
    pub(crate) fn is_sole_copy(&self) -> bool {
        matches!(&self.action, Action::Promote(p) if p.sole_copy && !p.dry_run)
    }
}

/// What `bosc line` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Show all lines, or the named ones, side by side.
    List {
        /// Only these.
        names: Vec<String>,
    },
    /// Declare a line.
    Add(Add),
    /// Take a line out of the file.
    Remove {
        /// Its name.
        name: String,
    },
    /// Write the five usual lines.
    Init {
        /// The link of production, when the signers are known.
        production: Option<String>,
    },
    /// Make what one line holds the next release of another.
    Promote(Promote),
}

/// `bosc line add`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Add {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: file::LineKind,
    /// Its link; `None` makes one for kinds that this machine writes.
    pub link: Option<String>,
    /// The line it is promoted from.
    pub source: Option<String>,
    /// For provision lines: the line whose blocks it starts with.
    pub production: Option<String>,
    /// Full copies wanted, or who have to hold one.
    pub seeds: Option<file::Seeds>,
    /// Change a line that is there. What is not given stays as it is.
    pub replace: bool,
}

/// `bosc line promote`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promote {
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
    /// The line to take from.
    pub from: String,
    /// The line to release on.
    pub to: String,
    /// Take the version of this length rather than the newest.
    pub length: Option<u64>,
    /// Only tell what would happen.
    pub dry_run: bool,
    /// Also when `to` is declared to come from another line.
    pub force: bool,
    /// Write provisions as Pear does.
    pub contiguous: bool,
    /// How long a provision waits before it writes, in milliseconds.
    pub cooldown_ms: u64,
}
