//! What a dump is to do: plain data between the plan, which makes it, and those who write and remove.

use super::root::Root;
use super::scope::Scope;
use crate::folder::diff::{ByteDiff, DiffCount};
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::DriveEntry;
use std::ffi::OsString;
use std::path::PathBuf;

/// How to dump.
#[derive(Debug, Clone, Default)]
pub struct DumpOptions {
    /// The path in the drive that `entries` are of; empty for all. Nothing outside it is touched.
    pub below: String,
    /// Files and folders of the drive to look at; empty for all. Nothing outside them is touched.
    pub only: Vec<String>,
    /// Keep what is in the folder and not in the drive. Without it such files are removed when all is in place, within
    /// `below` and `only`. A path of `only` that the drive has nothing of costs nothing.
    pub keep_missing: bool,
    /// Overwrite a folder that is not empty.
    pub force: bool,
    /// Tell what would change, write nothing.
    pub dry_run: bool,
    /// Ask the disk to keep each file before it takes its place.
    pub fsync: bool,
}

/// What to do about a file of the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// The folder has no such file.
    Add,
    /// The folder's file differs.
    Change,
    /// The folder's file has the same size; only its bytes can tell.
    Compare,
    /// Only the executable bit differs; no bytes are needed.
    Mode,
}

/// A file or symlink to write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteAction {
    /// The drive's entry.
    pub entry: DriveEntry,
    /// Where it goes.
    pub path: PathBuf,
    /// What is to do.
    pub kind: WriteKind,
    /// Its size in bytes; 0 for a symlink.
    pub size: u64,
    /// Size of what is on disk now.
    pub old_size: u64,
    /// The text of the symlink, when it is one.
    pub link: Option<String>,
}

impl WriteAction {
    /// The content to read and give to the writer; `None` when no bytes are needed.
    pub fn content(&self) -> Option<BlobId> {
        if self.link.is_some() || self.kind == WriteKind::Mode { None } else { self.entry.value.blob }
    }

    /// The diff of this action, as far as it is known before writing.
    pub fn diff(&self) -> Option<ByteDiff> {
        match self.kind {
            WriteKind::Add => Some(ByteDiff::add(&self.entry.key, self.size)),
            WriteKind::Change => Some(self.changed()),
            WriteKind::Compare => None,
            WriteKind::Mode => Some(ByteDiff::change(&self.entry.key, 0, 0)),
        }
    }

    /// Its folder's key, and its name.
    pub(super) fn split(&self) -> (&str, &str) {
        self.entry.key.rsplit_once('/').unwrap_or(("", self.entry.key.as_str()))
    }

    pub(super) fn changed(&self) -> ByteDiff {
        ByteDiff::change(&self.entry.key, self.old_size, self.size)
    }
}

/// What the writers of a plan share.
#[derive(Debug, Clone)]
pub struct DumpContext {
    pub(super) root: Root,
    pub(super) dry_run: bool,
    pub(super) fsync: bool,
    pub(super) may_remove: bool,
    pub(super) scope: Scope,
}

impl DumpContext {
    /// What may be moved out of the way.
    pub(super) fn removable(&self) -> Option<&Scope> {
        self.may_remove.then_some(&self.scope)
    }
}

/// What to do, in order: writes, of which symlinks come last, then removals.
#[derive(Debug, Clone)]
pub struct DumpPlan {
    /// Shared by the writers.
    pub context: DumpContext,
    /// What to write.
    pub writes: Vec<WriteAction>,
    /// What the drive does not have, with diffs.
    pub removals: Vec<Removal>,
    pub(super) respelled: Vec<Respelled>,
    /// Files of the drive looked at; the rest of the count is complete once all is written.
    pub count: DiffCount,
}

/// A file or link to remove.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// The folders on the way to it, and its name.
    pub(super) names: Vec<OsString>,
    /// What is told of it.
    pub diff: ByteDiff,
}

/// A name that differs from the drive's in case or normalisation only, and is the same file to this file system.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Respelled {
    pub(crate) folder: String,
    pub(crate) from: OsString,
    pub(crate) to: String,
}
