//! Dumping: making a folder hold what a drive holds.
//!
//! 1. The caller lists the drive's entries and gives them to [`plan`], which checks every path, compares with the
//!    folder and says what to remove and what to write. It asks for the block maps it needs with
//!    [`DumpError::Missing`].
//! 2. For every [`WriteAction`] in order: [`DumpPlan::open`] gives a [`FileWriter`], which takes the file's bytes in
//!    order and replaces the file at once when they are all there and differ from what is on disk. Links come last.
//! 3. [`DumpPlan::prune`] removes what the drive does not have.
//!
//! Invariants:
//! * Nothing is written, moved or removed outside the folder: keys must be plain paths, nothing may lie below a file or
//!   symlink of the drive, symlinks must lead to a place within the folder, and everything below the folder is reached
//!   by handle ([`bosc_files::Dir`]), so that a folder that is exchanged for a link at the same time leads nowhere.
//! * Nothing outside [`DumpOptions::below`] and [`DumpOptions::only`] is touched in it.
//! * A version, or a choice of it, without a file costs nothing: it is an error.
//! * Until all that is new is in place nothing is removed. What is in the way of a new file or folder (a folder where a
//!   file must come, or the reverse) gets another name beside it, `.bosc-<random>.old`, until then. A kill leaves every
//!   file whole that both have, the old one or the new one, and at most such names, which the next run removes.
//!
//! [`dump`] does all of it for a drive whose blocks are all here.
//!
//! # Files
//!
//! - `command`: `bosc dump` on the engine: a version without a file, a folder in use, files told as events. `plan`: drive against
//!   folder: what is equal. `actions`: what is to be done. `event`: what is reported.
//! - `check`: which entries may be written: keys, nesting, links that leave. `scope`: what of the folder may be touched: a path,
//!   `--only`. `root`: the folder, by handle, and what is moved aside.
//! - `write`: one file: compared first, replaced at once, links and executable bits. `prune`: what the drive does not have, found and
//!   removed; names spelled otherwise.
//! - `packed`: packed copies of whole files, before blocks: how many are looked at, how long. `request`: what is asked for, and why
//!   it fails.

mod actions;
mod check;
pub(crate) mod command;
pub(crate) mod event;
mod packed;
mod plan;
mod prune;
mod request;
mod root;
mod scope;
#[cfg(test)]
mod tests;
mod write;

pub use actions::Removal;
pub use actions::{DumpContext, DumpOptions, DumpPlan, WriteAction, WriteKind};
pub use check::{LinkError, check_link};
pub use event::{Content, DumpEvent, DumpStats, Dumped, FilePart, Received, Sent};
pub use plan::plan;
pub use request::{Dump, DumpError};
pub use root::Root;
pub use write::{FileOutcome, FileWriter, dump};
