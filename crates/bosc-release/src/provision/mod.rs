//! Provisioning: a drive that is production's blocks, verbatim, and one batch that makes it equal a source.
//!
//! # Invariants
//!
//! 1. The target's cores begin with production's, block for block, up to the production verlink's length `P`. The blobs
//!    prefix is as long as any file of any version up to `P` reaches: production's blobs core has that length, because a
//!    quorum signs up to the last block a version names, and cores only grow.
//! 2. What follows is a function of (the prefix, the source's files at its length, the layout), and of nothing else: not of
//!    the target's key, of what this machine happens to hold, or of the time. Removals come first, then files, each in
//!    the order of keys; content is cut by content, whatever way the source is cut.
//! 3. A drive whose files equal the source's gets nothing.
//! 4. The db moves from where it was to the end in one step, together with the new content. Only content of the prefix
//!    goes in before, in parts: no reader of the target sees it until the db names it.
//!
//! # States of a target
//!
//! | db against the prefix | blobs against the prefix | what happens |
//! |---|---|---|
//! | shorter, or as long | shorter, or as long | the rest of the prefix and one batch are written |
//! | shorter, or as long | longer | refused: content nobody names would shift all that follows |
//! | longer | any that starts with it | fine when the files equal the source's, else refused |
//! | another prefix, or a fork above 0 | | refused: a quorum could never sign it |
//!
//! # Layouts
//!
//! [`Layout::Dedup`] cuts changed files where `stage` cuts them and names the blocks that are in the target already: of
//! the same path, else of any. When each block the *source* has of a file is in the target, those are named as they are,
//! so that files whose content was never cut by content cost nothing either when they move. [`Layout::Contiguous`]
//! writes changed files as Pear does, whole, in the source's blocks.
//!
//! Here is what decides and writes; `command` brings blocks and keeps cores.
//!
//! # Files
//!
//! - `plan`: what differs, fields that are carried over. `content`: a file as a list of blocks. `write`: what a plan says, content
//!   first. `version`: what may be released: above the one held.
//! - `command/`: `bosc provision` on the engine. `event`: what is reported.
//! - `types`: from what, how laid out, how many blocks, and why that fails.

pub(crate) mod command;
mod content;
pub(crate) mod event;
mod plan;
#[cfg(test)]
mod tests;
mod types;
mod version;
mod write;

pub use event::{
    Copied, CoreVersion, Diffed, DriveVersion, Moved, ProvisionEvent, ProvisionStats, ProvisionWarning,
    Provisioned, Which,
};
pub use plan::{DriveTree, FIELDS, FieldChange, ProvisionPlan, plan};
pub use types::{BlobTree, Layout, MAX_BLOCKS, Provision, ProvisionError};
pub use version::{ReleaseVersion, VersionError};
pub use write::{WriteSummary, write};
