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
//! - `command`: `bosc stage` on the engine. `link_rules`: what may be published on a link.
//! - `next_release`: a folder as the next release of a link (`publish`), and what any release needs. `from_drive`: a version of
//!   another drive as the next release (`line promote`, `rotate`).
//! - `run`: one stage from start to commit. `target`: what it writes to. `event`: what is told.
//! - `changes`: folder against drive. `entries`: what the drive holds, in little memory. `compare`: the drive's side of it, as hashes. `index`: what need not be read again.
//! - `checks`: what a folder must pass before it is committed.
//! - `pipeline`: reading and cutting ahead. `blocks`: blocks that are there already. `writer`: content into the blobs core.

mod blocks;
mod changes;
mod checks;
pub(crate) mod command;
pub(crate) mod compare;
mod entries;
pub(crate) mod event;
mod from_drive;
mod index;
pub mod link_rules;
pub(crate) mod next_release;
mod pipeline;
mod run;
mod target;
pub(crate) mod writer;

#[cfg(test)]
pub(crate) use event::tests::blobs as blobs_text;
pub use event::{Addendum, BlobsSize, StageEvent, Staged, Summary};
pub use run::stage;
pub use target::{BlobBlock, CoreState, Leaf, StageTarget, TargetError, TargetState};

use crate::command::Stop;
use crate::folder::diff::{ByteDiff, DiffCount};
use crate::folder::pattern::GlobError;
use crate::folder::portable_names::{NameFound, NameReport};
use crate::folder::scan::{ScanError, Skipped};
use crate::secrets::{Found, KeysInUse, SecretFound};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;
use thiserror::Error;

/// Bytes of content that may be between reading and writing.
pub const BUDGET: usize = 16 * 1024 * 1024;

/// How to stage.
#[derive(Debug, Clone, Default)]
pub struct StageOptions {
    /// Patterns of files to leave out; see [`crate::folder::glob`].
    pub ignore: Vec<String>,
    /// Files and folders to look at; empty for all.
    pub only: Vec<String>,
    /// Also remove what is in the drive and ignored now.
    pub purge: bool,
    /// Keep what is in the drive and not in the folder.
    pub keep_missing: bool,
    /// Tell what would change, write nothing.
    pub dry_run: bool,
    /// File that remembers which files were unchanged. Made when absent, ignored when damaged or of another drive,
    /// folder or state.
    pub index: Option<PathBuf>,
    /// How many threads hash; `None`: one fewer than the machine has, at most 4.
    pub hashers: Option<usize>,
    /// The time, for the index; `None`: the system's clock.
    pub now: Option<SystemTime>,
    /// The folder of the store in use, which must not be staged.
    pub store: Option<PathBuf>,
    /// Names of folders in that store that may be.
    pub store_work: Vec<String>,
    /// What looks secret and is known: files, or folders with all they hold.
    pub allow: Vec<String>,
    /// Keys that nobody may find in a file.
    pub keys: KeysInUse,
    /// Files and folders that may be staged although a secret key is written out in them.
    pub allow_key: Vec<String>,
    /// Fail when anything else looks secret.
    pub no_suspects: bool,
    /// Names of the application and then of its programs: their builds are what clients read.
    pub app: Vec<String>,
    /// The version of the release, which its builds should say as well.
    pub version: Option<String>,
    /// Ends the stage before anything is written.
    pub stop: Stop,
}

/// What [`stage`] comes across, for the caller to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageNews {
    /// The folder was listed: how many files, and how many bytes they have.
    Scanned {
        /// Files and symlinks.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Something in the folder cannot be staged and was left out.
    Skipped(Skipped),
    /// An ignore file counts.
    IgnoreFile(PathBuf),
    /// A pattern, or a path of `only`, `allow` or `allow-key`, that matches nothing in the folder or the drive.
    Unmatched {
        /// `ignore`, `only`, `allow` or `allow-key`.
        list: &'static str,
        /// As it was given.
        pattern: String,
    },
    /// A name that not every platform of the drive can hold.
    BadName(NameFound),
    /// A symlink that leads nowhere in the drive. It is staged all the same.
    Dangling {
        /// Its key.
        key: String,
        /// Its target.
        target: String,
    },
    /// A build says that it is another version than the release.
    VersionMismatch {
        /// The key of the file that says so.
        key: String,
        /// The release's version.
        release: String,
        /// The build's.
        running: String,
    },
    /// Something that looks secret. All of them come before anything is committed.
    Suspect(Found),
    /// A file differs. Removals come first, then all others in the order of keys.
    Diff(ByteDiff),
    /// A file was dealt with.
    Progress {
        /// Files dealt with so far.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// What a stage did, or on a dry run would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageSummary {
    /// How many files changed how.
    pub count: DiffCount,
    /// Files whose content was read.
    pub read: u64,
    /// Bytes of content appended, block maps not counted.
    pub new_bytes: u64,
    /// Blocks appended to the blobs core, block maps too.
    pub new_blocks: u64,
    /// Bytes that changed files share with what the drive held.
    pub shared_bytes: u64,
    /// What looks secret.
    pub suspects: Vec<Found>,
    /// The cores before.
    pub before: TargetState,
    /// The cores after; the same as before when nothing changed and on a dry run.
    pub after: TargetState,
}

/// Why a stage failed. Nothing was written to the drive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// A pattern cannot be used.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The folder holds what must not be published.
    #[error(transparent)]
    Secret(#[from] SecretFound),
    /// The folder holds what looks secret, and that was asked not to be.
    #[error("{} files or folders look secret", .0.len())]
    Suspects(Vec<Found>),
    /// The folder holds names that clients refuse.
    #[error("clients refuse {} of the names", .0.refused.len())]
    Names(NameReport),
    /// The ignore file cannot be used.
    #[error("cannot use {}: {error}", path.display())]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The folder could not be listed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file was written to while it was read.
    #[error("{} changed while it was read; stage again", path.display())]
    Unstable {
        /// The file.
        path: PathBuf,
    },
    /// The drive holds something invalid, or a part of it is not on this machine.
    #[error("the drive: {0}")]
    Drive(#[from] bosc_drive::Error),
    /// The store failed.
    #[error("the store: {0}")]
    Target(#[from] TargetError),
    /// It was stopped.
    #[error("stopped; nothing was written")]
    Stopped,
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// The change index's decoder, for fuzzing.
#[doc(hidden)]
pub fn check_index(bytes: &[u8], whole: bool) -> bool {
    index::check(bytes, whole)
}

#[cfg(test)]
mod streamed_tests;
#[cfg(test)]
pub(crate) mod tests;

/// `bosc stage`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The link to stage to; its version part is ignored.
    pub link: String,
    /// The folder to stage; absolute.
    pub dir: PathBuf,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Patterns to leave out, added to `pear.stage.ignore`.
    pub ignore: Vec<String>,
    /// Prefixes to restrict to, added to `pear.stage.only`.
    pub only: Vec<String>,
    /// Remove staged files that are ignored now.
    pub purge: bool,
    /// First cut the drive back to this length.
    pub truncate: Option<u64>,
    /// Do not ask peers for a newer version of a link whose key other machines have as well.
    #[serde(default)]
    pub newest: bool,
    /// The store is the only copy of what it was copied from.
    #[serde(default)]
    pub sole_copy: bool,
    /// Take the folder without a package.json, or with one that clients cannot use.
    #[serde(default)]
    pub skip_package: bool,
    /// Files and folders that look secret and may be staged.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Files and folders that may be staged although a secret key is written out in them.
    #[serde(default)]
    pub allow_key: Vec<String>,
    /// Fail when anything else looks secret.
    #[serde(default)]
    pub no_suspects: bool,
}
