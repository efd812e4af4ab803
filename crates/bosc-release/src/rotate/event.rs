//! What `rotate` tells on the way, and what it ends with.

use crate::line::event::Step;
use serde::{Deserialize, Serialize};

/// What happens during `rotate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum RotateEvent {
    /// Followers are moved.
    Rotating {
        /// From this link.
        old: String,
        /// To this one.
        new: String,
        /// Nothing will be written.
        dry_run: bool,
    },
    /// One of the conditions was looked at.
    Condition {
        /// Its name.
        name: String,
        /// Whether it holds.
        ok: bool,
        /// What was found.
        detail: String,
    },
    /// The old link leads to the new one already.
    Unchanged {
        /// The version it holds.
        version: String,
        /// Its link with the version.
        verlink: String,
        /// Files were not counted.
        files: (),
    },
    /// Fewer hold it than are wanted.
    FewCopies {
        /// How many do.
        full: usize,
        /// How many are wanted.
        wanted: usize,
        /// What to seed.
        link: String,
    },
    /// What is done now, as a command.
    Command {
        /// The command.
        command: String,
    },
    /// The release to sign is prepared.
    Provisioned {
        /// Its link with the version.
        verlink: String,
        /// The same with its hash.
        hashlink: String,
    },
    /// What people have to do.
    NextStep(Step),
    /// A link that a follower comes by.
    Hop {
        /// The link.
        link: String,
        /// What it holds.
        verlink: String,
        /// The version.
        version: Option<String>,
        /// Where it leads.
        upgrade: Option<String>,
        /// How many peers hold a full copy.
        full: usize,
    },
}

/// A link that was rotated before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedBefore {
    /// The old link.
    pub old: String,
    /// The new link.
    pub new: String,
    /// Nothing changed.
    pub changed: bool,
    /// How many hold the old link whole.
    pub copies: usize,
    /// Enough do.
    pub done: bool,
}

/// A link that was rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// The old link.
    pub old: String,
    /// The new link.
    pub new: String,
    /// What the old link holds now.
    pub verlink: String,
    /// Its version.
    pub version: String,
    /// The version it held before.
    pub before: Option<String>,
    /// Whether anything changed.
    pub changed: bool,
    /// How many peers hold a full copy; none when none was asked.
    pub copies: Option<usize>,
    /// It was written.
    pub done: bool,
}

/// A rotation that a quorum has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationToSign {
    /// The old link.
    pub old: String,
    /// The new link.
    pub new: String,
    /// The link it was prepared on.
    pub target: String,
    /// What that holds.
    pub verlink: String,
    /// Not told.
    pub version: (),
    /// Something was prepared, or would be.
    pub changed: bool,
    /// It is not released yet.
    pub done: bool,
}

/// Where a follower ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The link it follows.
    pub old: String,
    /// The link it has to end on.
    pub new: String,
    /// The key it ends on.
    pub ends: String,
    /// The links it came by.
    pub hops: Vec<String>,
    /// The version it has then.
    pub version: Option<String>,
}

#[cfg(test)]
mod tests;
