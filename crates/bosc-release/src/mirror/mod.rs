//! `mirror`: a link's drive as static files in a folder, on a web server or in a bucket. The format is of `bosc-mirror`.
//!
//! ```text
//! the link here, whole ── what has the target? ── objects that it lacks ── retired ── head ── what was retired long ago goes
//!                                                                                      └─ what operators say
//! ```
//!
//! Invariants:
//! * The head is written after every object that it needs, and each object in one step. Whatever ends a run, the target is the mirror
//!   it was before, or the new one; the next run takes up what was written.
//! * A target that holds another drive, or something newer than is here, is left as it is.
//! * Nothing is removed that the head at the target needs, whoever wrote it; what it does not need stays for a grace time, as a reader may
//!   have the head before.
//! * What the head at the target names counts as there. A folder is asked for its sizes, which costs nothing; everything is read back, and
//!   written anew where it is not what it has to be, when a person asks for that (`check`).
//! * No listing of a bucket is believed: what is there is told by the head, and by asking for each object.
//! * Credentials come from the environment of this process, and are in no argument, event or error.
//!
//! # Files
//!
//! - `command`: what the command runs. `write`: one mirror brought up to date: a target that holds another drive or something newer,
//!   the order of writes, `--check`. `scope`: which blocks a sparse one holds.
//! - `sources`: mirrors that commands read from. `keep`: a mirror kept up to date by a seeder, and when a failure is tried again.
//! - `retired`: what is to be removed, and when. `statements`: what operators say, beside the head: the highest counter of each.
//!   `target/`: where it is written: a folder, WebDAV, buckets, credentials. `event`: what is told.

pub(crate) mod command;
pub mod event;
pub(crate) mod keep;
mod retired;
mod scope;
pub(crate) mod sources;
pub(crate) mod statements;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use crate::error::CommandError;
use serde::{Deserialize, Serialize};

/// How long retired objects stay, unless something else is asked for: a day.
pub const GRACE_MS: u64 = 24 * 3600 * 1000;

/// `bosc mirror`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// The link.
    pub link: String,
    /// Where to: an absolute path, or a URL.
    pub target: String,
    /// The files of the newest version alone.
    pub newest: bool,
    /// Of these, only what is below these paths.
    pub only: Vec<String>,
    /// Look at every object, and write anew what is missing or is not what it has to be.
    #[serde(default)]
    pub check: bool,
    /// How long what is not needed any more stays for those who read the head before, in milliseconds.
    pub grace_ms: u64,
    /// Mirrors to read from.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// Give up when nobody delivers for so long, in milliseconds.
    pub timeout_ms: u64,
}

impl Mirror {
    /// Whether it takes credentials from the environment of the process that was asked.
    pub(crate) fn needs_own_process(&self) -> bool {
        !target::is_folder(&self.target)
    }

    /// Whether there can be a mirror at the target: asked before anybody is asked for the store. Nothing is written.
    ///
    /// # Errors
    /// `Input`: it is not a target, or a folder of something else.
    pub fn check_target(&self) -> Result<(), CommandError> {
        target::open(&self.target).map(drop)
    }
}
