//! What `monitor` tells on the way, and what it ends with.

use crate::log::event::StatementSeen;
use serde::{Deserialize, Serialize};

/// What happens during `monitor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum MonitorEvent {
    /// It begins.
    Monitoring {
        /// The link.
        link: String,
        /// The file.
        file: String,
        /// Heads that are in it.
        heads: u64,
        /// Statements that are in it.
        statements: u64,
    },
    /// What a kill left of the last record of a file was dropped.
    Torn {
        /// The file.
        file: String,
        /// Its bytes.
        bytes: u64,
    },
    /// A head was recorded.
    Head {
        /// `db` or `blobs`.
        core: String,
        /// Its fork.
        fork: u64,
        /// Its length.
        length: u64,
        /// The hash of its tree.
        hash: String,
    },
    /// A statement was recorded.
    Said(Box<StatementSeen>),
    /// Nobody answered; it looks again.
    Unanswered,
    /// Something contradicts something.
    Finding(Box<Finding>),
}

/// What contradicts what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Finding {
    /// Two histories of one fork, both signed.
    Fork {
        /// `db` or `blobs`.
        core: String,
        /// The fork of both.
        fork: u64,
        /// Lengths of two heads that do not continue each other.
        lengths: [u64; 2],
        /// Hashes of their trees, as far as they are known.
        hashes: [String; 2],
    },
    /// The history was cut back, and went on at a higher fork.
    CutBack {
        /// `db` or `blobs`.
        core: String,
        /// The fork before and the one now.
        forks: [u64; 2],
        /// The length before and the one now.
        lengths: [u64; 2],
    },
    /// Others of those who may sign have signed than the head before.
    Signers {
        /// Length of the head.
        length: u64,
        /// Who signed the one before.
        before: Vec<String>,
        /// Who signed this one.
        now: Vec<String>,
    },
    /// The policy names other operators, or gives them other rights.
    Operators {
        /// Keys before.
        before: Vec<String>,
        /// Keys now.
        now: Vec<String>,
    },
    /// An operator said two things under one counter.
    Contradiction {
        /// The operator's public key.
        operator: String,
        /// The counter of both.
        counter: u64,
    },
    /// An operator names another history than the one that is here.
    OtherHead {
        /// The operator's public key.
        operator: String,
        /// The length that was named.
        length: u64,
        /// The hash that was named, and the one of the tree that is here.
        hashes: [String; 2],
    },
}

impl Finding {
    /// Whether it stays true, whatever comes. A change of who signs, who operates, or what a link was cut back to may be meant.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Fork { .. } | Self::Contradiction { .. } | Self::OtherHead { .. })
    }
}

/// What `monitor` ends with, when nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitored {
    /// The link.
    pub link: String,
    /// The file.
    pub file: String,
    /// Heads that are in it.
    pub heads: u64,
    /// Statements that are in it.
    pub statements: u64,
}

/// What `monitor --compare` ends with, when nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// The link of both.
    pub link: String,
    /// Its key.
    pub key: String,
    /// Heads in each.
    pub heads: [u64; 2],
    /// Statements in each.
    pub statements: [u64; 2],
}
