//! How to stage, and what came of it.

use super::target::TargetState;
use crate::command::Stop;
use crate::folder::diff::DiffCount;
use crate::secrets::{Found, KeysInUse};
use std::path::PathBuf;
use std::time::SystemTime;

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
    /// A file that is the package.json of a folder without one.
    pub package: Option<PathBuf>,
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
    /// Make deltas to the builds that changed.
    pub deltas: bool,
    /// Of these, keep no packed copies of whole files.
    pub no_packed: bool,
    /// Ends the stage before anything is written.
    pub stop: Stop,
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
