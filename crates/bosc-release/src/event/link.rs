//! Events of any command that reads or writes a link.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is met on the way to a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LinkEvent {
    /// It has two histories.
    Conflict(Box<Conflict>),
    /// The store is a copy of another one, which may have written to it meanwhile.
    StoreCopied {
        /// The store's folder.
        #[serde(serialize_with = "crate::event::fields::path")]
        store: PathBuf,
        /// What tells so.
        evidence: String,
        /// The link.
        link: String,
    },
    /// Its key is on other machines too: peers are asked for its newest version.
    Checking {
        /// The link.
        link: String,
        /// Length that is here.
        length: u64,
        /// Length that the key came with.
        at_least: u64,
    },
    /// Blocks of the newest version come in.
    Stats(CatchUpStats),
    /// The newest version is here.
    Newest {
        /// The link that names it.
        verlink: String,
        /// Its length.
        length: u64,
        /// Nobody was asked, as the caller says that it is.
        told: bool,
    },
    /// Another run that writes to it is waited for.
    Waiting {
        /// How many there are.
        runs: usize,
    },
    /// Other runs could not be looked for in time.
    Unguarded {
        /// Others can find this one.
        announced: bool,
    },
    /// A peer says that it has more and cannot prove it.
    UnprovedPeer {
        /// Its public key.
        peer: String,
        /// The fork it says.
        fork: u64,
        /// The length it says.
        length: u64,
    },
    /// What an update costs who has an older version.
    UpdateCost(UpdateCost),
}

/// What an update of one platform from one version costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateCost {
    /// The platform, such as `linux-x64`.
    pub platform: String,
    /// The version that is updated.
    pub from: String,
    /// Bytes of patches, and of new blocks of files that have none.
    pub bytes: u64,
    /// Bytes of new blocks, if there were no patches; none if they are not known.
    pub without: Option<u64>,
    /// Who says so.
    pub basis: CostBasis,
}

/// What a size rests on, from the best on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostBasis {
    /// The drive's tree.
    Proved,
    /// What the publisher says, which nothing here proves.
    Publisher,
    /// Only a part of it is known here: it is at least that.
    Partly,
}

/// How far a link is that is brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUpStats {
    /// Peers that have it.
    pub peers: usize,
    /// Its length.
    pub drive_length: u64,
    /// What came.
    pub download: Downloaded,
    /// Not counted.
    pub upload: (),
}

/// Blocks that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Downloaded {
    /// Their bytes.
    pub total_bytes: u64,
    /// Their number.
    pub total_blocks: u64,
}

/// Two histories of a link, as they are told and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The link.
    pub link: String,
    /// Key of the core that has them.
    pub key: String,
    /// `db` or `blobs`.
    pub core: String,
    /// The fork of both.
    pub fork: u64,
    /// A length both reach and up to which they differ.
    pub length: u64,
    /// The head here.
    pub ours: HistoryHead,
    /// The other one.
    pub theirs: HistoryHead,
    /// The peer that proved the other history.
    pub peer: String,
}

/// The head of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryHead {
    /// Its length.
    pub length: u64,
    /// Hash of its tree.
    pub tree_hash: String,
}

/// A blobs core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobsHead {
    /// Its key.
    pub key: String,
    /// Its length.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// Its bytes.
    pub byte_length: u64,
    /// Hash of its tree.
    pub hash: String,
}
