//! What is known of a link: the engine gathers it.

use crate::policy::event::{Heard, PolicyFinding};
use crate::policy::shown::{FreshnessShown, VersionStanding};
use serde::{Deserialize, Serialize};

/// What a platform has in the drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// As `linux-x64`.
    pub platform: String,
    /// Names in its `app` folder.
    pub apps: Vec<String>,
    /// How many files and symlinks.
    pub files: u64,
    /// Db length at which one of them last changed.
    pub length: u64,
    /// SemVer of the package.json at that length.
    pub version: Option<String>,
}

/// What is known of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The link without a version.
    pub link: String,
    /// Fork and length of the newest head; length 0 when nothing is known.
    pub fork: u64,
    /// Its length.
    pub length: u64,
    /// The length looked at: the link's, or the newest.
    pub at: u64,
    /// Whether `at` is the end of a batch.
    pub batch_end: bool,
    /// Connected peers that have the db.
    pub peers: usize,
    /// Peers that hold all of the db, of the blobs, of both.
    pub full: (usize, usize, usize),
    /// Mirrors that were read and have all of it, of this version or a newer one.
    pub mirrors: usize,
    /// Whether this store holds all of both.
    pub here: bool,
    /// Blocks that are damaged here and were not fetched again.
    pub damaged: u64,
    /// Whether this process seeds it now.
    pub seeding: bool,
    /// Whether it can be written here; whether its key was imported and waits; whether others have the key.
    pub writable: bool,
    /// An imported key that has not been used.
    pub pending: bool,
    /// Other machines may have the key.
    pub shared: bool,
    /// Why the store is taken for a copy of another that may write to the link as well.
    pub copied: Option<String>,
    /// Two histories of the link that are known, and what to do about them.
    pub conflict: Option<(String, String)>,
    /// Signers and quorum.
    pub signers: usize,
    /// How many must sign.
    pub quorum: u64,
    /// Whether there is a package.json, and what it says.
    pub package: bool,
    /// `productName`, else `name`.
    pub app: Option<String>,
    /// Programs in `bin`.
    pub bins: Vec<String>,
    /// `version`.
    pub version: Option<String>,
    /// `upgrade`.
    pub upgrade: Option<String>,
    /// Key part of `upgrade`, when it is a link.
    pub upgrade_key: Option<String>,
    /// Key part of the link.
    pub key: String,
    /// What is in `by-arch`.
    pub platforms: Vec<Platform>,
    /// Its package.json starts with a byte order mark.
    pub package_mark: bool,
    /// It has a package.json, and no peer gave its content.
    pub package_away: bool,
    /// What is wrong with files of the drive.
    pub files: FilesFound,
    /// Builds that say another version than the release: the file, and the version.
    pub says: Vec<(String, String)>,
    /// A platform whose files changed without a new version, and that version.
    pub not_raised: Option<(String, String)>,
    /// Of the application that is installed here: the version of its release, and what the program says; the error when its
    /// journal cannot be read.
    pub installed: Option<Result<Option<(String, String)>, String>>,
    /// Where its updater's journal lies that was damaged.
    pub journal_damaged: Option<String>,
    /// What is known of its rules; none if nothing is.
    pub rules: Option<RulesSeen>,
    /// Blind peers that are to keep it.
    pub blind_peers: Vec<BlindPeerSeen>,
}

/// What was seen of a blind peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindPeerSeen {
    /// Its key.
    pub key: String,
    /// There is a connection to it.
    pub reached: bool,
    /// Blocks of the db that it holds from the first on; none if it does not offer the link.
    pub db: Option<u64>,
    /// Of the blobs, likewise.
    pub blobs: u64,
    /// How many blobs the version that was looked at needs.
    pub needed: u64,
}

/// What is known of a link's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesSeen {
    /// It has none.
    Missing,
    /// Clients cannot obey them: why.
    Wrong(String),
    /// They are obeyed.
    Obeyed(Box<Rules>),
}

/// Rules that are obeyed, and what operators say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// In a sentence.
    pub meaning: String,
    /// What is probably not meant so.
    pub doubts: Vec<PolicyFinding>,
    /// Each operator, as people call it, and what was heard of it.
    pub operators: Vec<(String, Heard)>,
    /// Whether what is known of the newest is recent enough.
    pub freshness: FreshnessShown,
    /// How the versions stand, the newest among them.
    pub standings: Vec<VersionStanding>,
    /// When it was looked, seconds since 1970.
    pub now: u64,
}

/// Files of a drive that clients refuse or that should not be there; of each kind how many, and the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesFound {
    /// Names that clients of their own platform refuse.
    pub refused: Option<(usize, String)>,
    /// Names that other platforms refuse.
    pub warned: Option<(usize, String)>,
    /// Symlinks that lead nowhere.
    pub dangling: Option<(usize, String)>,
    /// What looks secret, by name.
    pub secret: Option<(usize, String)>,
}
