//! Staging: making a drive hold what a folder holds.
//!
//! 1. [`crate::folder::scan`] lists the folder; the drive's entries are listed beside it.
//! 2. What only the drive has is removed; what both have is compared: by size, then by the hashes of its chunks
//!    against the leaves of the blobs core's tree. No content of the drive is read.
//! 3. Changed files are cut by content; chunks the core already holds, of this file or any other, are only named.
//! 4. All blocks of content, then all entries as one batch, become visible together in [`StageTarget::commit`]. Blocks of the
//!    batch are given to the target as soon as nothing can change them any more.
//!
//! One thread reads and cuts, others hash, and the caller's thread decides and writes, in the order of keys: the same
//! folder staged on the same drive gives the same blocks on every machine. At most [`BUDGET`] bytes of content are
//! between reading and writing. What is held of a file besides is counted in tens of bytes: its key and state in a list
//! ([`crate::folder::scan`]), of one that changed the place of its content.
//!
//! Before anything is committed the folder has passed: no secret is in it ([`crate::secrets`]), no name that clients of its
//! platform refuse ([`crate::folder::portable_names`]), and what looks like either was told.
//!
//! With an index ([`StageOptions::index`]) files that have not been touched since the last stage are not read at all.
//!
//! # Files
//!
//! - `command`: `bosc stage` on the engine, `--truncate`, keys that must not be in it. `link_rules`: what may be published on a link:
//!   a version against the one held, the `--name`, the folder of `--ci`.
//! - `next_release`: a folder as the next release of a link (`publish`), and what any release needs. `from_drive`: a version of
//!   another drive as the next release (`line promote`, `rotate`).
//! - `options`: how to stage, and what came of it, content in memory at most. `news`: what it comes across. `error`: why it failed.
//!   `request`: `bosc   stage`.
//! - `run`: one stage from start to commit, in which order entries are written, executable bits where a system has none. `target`:
//!   what it writes to. `event`: what is reported.
//! - `changes`: folder against drive. `entries`: what the drive holds, in little memory. `compare`: the drive's side of it, as
//!   hashes. `index`: what need not be read again, when an entry is believed, times that are too young.
//! - `deltas`: patches of builds beside them, from what readers have: how many bases and hops, which files, when one pays, memory.
//! - `checks`: what a folder must pass before it is committed: names, secrets, versions that builds say; links that lead nowhere.
//! - `puts`: the entries that will be written, in little memory.
//! - `pipeline`: reading and cutting ahead, files that say they have no size. `blocks`: blocks that are there already, how many are
//!   remembered. `writer`: content into the blobs core.

mod blocks;
mod changes;
mod checks;
pub(crate) mod command;
pub(crate) mod compare;
mod deltas;
mod entries;
mod error;
pub(crate) mod event;
mod from_drive;
mod index;
pub mod link_rules;
mod news;
pub(crate) mod next_release;
mod options;
mod pipeline;
mod puts;
mod request;
mod run;
#[cfg(test)]
mod streamed_tests;
mod target;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;

pub use error::StageError;
#[cfg(test)]
pub(crate) use event::tests::blobs as blobs_text;
pub use event::{Addendum, BlobsSize, StageEvent, Staged, Summary};
pub use news::StageNews;
pub use options::{BUDGET, StageOptions, StageSummary};
pub use request::Stage;
pub use run::stage;
pub use target::{BlobBlock, CoreState, Leaf, StageTarget, TargetError, TargetState};

/// The change index's decoder, for fuzzing.
#[doc(hidden)]
pub fn check_index(bytes: &[u8], whole: bool) -> bool {
    index::check(bytes, whole)
}
