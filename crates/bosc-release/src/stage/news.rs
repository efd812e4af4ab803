//! What a stage comes across.

use crate::folder::diff::ByteDiff;
use crate::folder::portable_names::NameFound;
use crate::folder::scan::Skipped;
use crate::secrets::Found;
use std::path::PathBuf;

/// What [`stage`](super::stage) comes across, for the caller to tell.
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
    /// A delta was made, and will be committed with the release.
    Delta {
        /// The key of the file that it leads to.
        key: String,
        /// The version of the release that it starts from.
        from: Option<String>,
        /// Its bytes.
        size: u64,
        /// Bytes of blocks that it takes the place of.
        whole: u64,
    },
    /// A large file is packed now, which takes a while.
    Packing {
        /// The file's key.
        key: String,
        /// Its bytes.
        size: u64,
    },
    /// A packed copy of a whole file was made, and will be committed with the release.
    Packed {
        /// The file's key.
        key: String,
        /// Its bytes.
        size: u64,
        /// The file's.
        whole: u64,
    },
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
