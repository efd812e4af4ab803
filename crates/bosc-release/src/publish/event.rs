//! What `publish` tells on the way, and what it ends with.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens when a release is put on a link: by `publish`, and by `line promote` to a link this store writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PublishEvent {
    /// A link was made and written to package.json.
    Minted {
        /// It.
        link: String,
        /// The file.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// The applications were built before it was known.
        artifacts: bool,
    },
    /// It begins.
    Publishing {
        /// The application.
        name: Option<String>,
        /// Its version.
        version: Option<String>,
        /// The link.
        link: String,
        /// The folder.
        #[serde(serialize_with = "crate::event::fields::path")]
        dir: PathBuf,
    },
    /// A build that `bosc.toml` names is not there: the release has none for its platform.
    NotBuilt {
        /// Its platform, such as `linux-x64`.
        platform: String,
        /// Where it would be.
        #[serde(serialize_with = "crate::event::fields::path")]
        path: PathBuf,
    },
    /// The release that is to be put on the link is fetched.
    Fetching {
        /// From here.
        link: String,
    },
    /// The link holds just this already.
    Unchanged {
        /// The version.
        version: String,
        /// The link that names it.
        verlink: String,
        /// Files it has.
        files: u64,
    },
    /// `seed` runs in this store and keeps the release available: no peer is waited for.
    SeededHere {
        /// The link.
        link: String,
    },
    /// A build that the release does not change.
    SamePlatform {
        /// Its platform, such as `linux-x64`.
        platform: String,
        /// The version of the release.
        version: String,
        /// The version it has been the same since, or longer.
        before: String,
    },
    /// Time is up, and fewer peers than wanted hold a full copy.
    FewCopies {
        /// How many do.
        full: usize,
        /// How many have to.
        wanted: usize,
        /// The link.
        link: String,
    },
}

/// What happens besides on a machine that has only the primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum CiEvent {
    /// What the cache has was taken. It was called a mirror.
    Mirror {
        /// Length of the db.
        length: u64,
        /// Length of the blobs core.
        blobs_length: u64,
    },
    /// Peers are asked for the newest version.
    Learning {
        /// Of this link.
        link: String,
        /// Length that is here.
        length: u64,
        /// Length that the snapshot tells.
        at_least: u64,
    },
    /// Blocks come in.
    Fetching {
        /// Of this link.
        link: String,
        /// Length of the db so far.
        length: u64,
        /// Blocks that came, of both cores.
        blocks: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The newest version is here.
    Learned {
        /// Length of the db.
        length: u64,
        /// Its fork.
        fork: u64,
        /// Who vouches for it.
        from: Voucher,
        /// How many peers do.
        peers: usize,
    },
    /// The cache has the release.
    Mirrored {
        /// Length of the db.
        length: u64,
        /// Blocks it has now, of both cores.
        blocks: u64,
    },
    /// The length was noted for the next run.
    Snapshot {
        /// In this file.
        #[serde(serialize_with = "crate::event::fields::path")]
        file: PathBuf,
        /// Length of the db.
        length: u64,
    },
}

/// Who vouches for the newest version of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voucher {
    /// Peers that hold a full copy.
    Peers,
    /// The cache.
    Mirror,
    /// Nobody has anything of it: it is the first release.
    First,
}

/// What `publish` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The link.
    pub link: String,
    /// The link that names the version it holds now.
    pub verlink: String,
    /// The link that names that version and its content.
    pub hashlink: String,
    /// Length of the db.
    pub length: u64,
    /// The application's version.
    pub version: String,
    /// The version the link held before.
    pub before: Option<String>,
    /// Anything was staged, or on a dry run would be.
    pub changed: bool,
    /// The link was made by this command.
    pub minted: bool,
    /// Nothing was written.
    pub dry_run: bool,
    /// How many peers hold a full copy; none when none was waited for.
    pub copies: Option<usize>,
    /// How many have to.
    pub wanted: usize,
}

#[cfg(test)]
mod tests;
