//! `rotate`: moves the followers of a link to another one, for a new set of signers or a key that was lost or leaked.
//!
//! A follower goes where the build it runs tells it to. So the last release on the old link is what the new link holds:
//! builds that carry the new link. Whoever takes it follows the new link from then on.
//!
//! Conditions, checked before anything is written:
//! 1. the old link holds a release, and this store may write it (a stage or provision link), or a quorum signs it;
//! 2. the new link holds a release whose `upgrade` is the new link itself: else followers would go on to another one, or
//!    back;
//! 3. that release has a higher version than the one on the old link: else followers would not take it;
//! 4. both are held by enough others.
//!
//! `--check` looks from outside, as a client does, with a store of its own in memory: it follows the old link's `upgrade`
//! until a link names itself.
//!
//! # Files
//!
//! - Here: conditions, how many links a follower is followed over. `command`: checks them, releases, seeds the old link. `event`:
//!   what is told.

pub(crate) mod command;
pub(crate) mod event;

pub use event::{Followed, RotateEvent, Rotated, RotatedBefore, RotationToSign};

use serde::{Deserialize, Serialize};

/// How many links a follower is followed over.
pub const MAX_HOPS: usize = 8;

/// `bosc rotate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotate {
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
    /// The link that is followed now.
    pub old: String,
    /// The link to be followed.
    pub new: String,
    /// Only look, from outside, whether a follower of the old link ends on the new one.
    pub check: bool,
    /// For an old link that a quorum signs: the link to prepare the release on. `None` makes one.
    pub target: Option<String>,
    /// Only tell what would happen.
    pub dry_run: bool,
    /// How many others must hold the links whole.
    pub copies: usize,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
    /// Seed the old link at most so long after the release, in milliseconds.
    pub wait_ms: u64,
    /// How long a provision waits before it writes, in milliseconds.
    pub cooldown_ms: u64,
}
