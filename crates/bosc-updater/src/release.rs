//! What passes from a source to the installer.

use semver::Version;
use std::path::PathBuf;

/// Names one release for good: what is remembered when it is rolled back.
///
/// For a link it is the tree hash of the drive's db core at the release's length, for a manifest the SHA-256 of the
/// artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(pub [u8; 32]);

/// A release that a source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// Its identity.
    pub id: ReleaseId,
    /// Where it comes from: a verlink or the URL of the artifact.
    pub origin: String,
    /// Release notes, Markdown, at most 64 KiB.
    pub notes: Option<String>,
    /// Bytes of the build when installed or downloaded, where known.
    pub size: Option<u64>,
}

/// What kind of thing an entry of a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// SHA-256 of them.
        sha256: [u8; 32],
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link that stays inside the build.
    Symlink {
        /// What it points at, relative to its own folder, with `/` between parts.
        target: String,
    },
}

/// One thing in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the build's root, parts joined by `/`; empty for the root itself. Never absolute, no `.` or `..`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// A build as it was proved: every entry, sorted by path, the root first.
///
/// A build that is one file (an executable, an AppImage) has one entry with an empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// All entries.
    pub entries: Vec<Entry>,
}

/// A build that lies on the disk beside the installed one, with what was proved of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Which release it is.
    pub release: Release,
    /// The file or folder to put in the application's place.
    pub path: PathBuf,
    /// What it must consist of. The installer reads it all again and refuses anything else.
    pub contents: Contents,
}

/// Whether two versions are of the same precedence: all but what follows a `+` is equal.
pub fn same(a: &Version, b: &Version) -> bool {
    a.cmp_precedence(b) == std::cmp::Ordering::Equal
}

/// Whether `version` is an update for `installed`: strictly newer in SemVer's order, in which what follows a `+` does
/// not count.
pub fn newer(version: &Version, installed: &Version) -> bool {
    version.cmp_precedence(installed) == std::cmp::Ordering::Greater
}
