//! What `mirror` tells on the way, what it ends with, and what is told of mirrors that are read.

use bosc_follow::mirror::{FaultKind, MirrorStatus};
use serde::{Deserialize, Serialize};

/// What happens during `mirror`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum MirrorEvent {
    /// It begins.
    Mirroring {
        /// The link.
        link: String,
        /// Where to, without secrets.
        target: String,
    },
    /// How far it is.
    MirrorStats {
        /// Objects that are there.
        objects: u64,
        /// Objects that are to be there.
        total_objects: u64,
        /// Their bytes so far.
        bytes: u64,
        /// All their bytes.
        total_bytes: u64,
    },
    /// A mirror at the target is up to date, by a seeder.
    MirrorDone(Mirrored),
    /// A mirror at the target could not be brought up to date, by a seeder. It is tried again.
    MirrorFailed {
        /// Where to, without secrets.
        target: String,
        /// The code of the error.
        code: String,
        /// What is wrong.
        message: String,
        /// Why.
        #[serde(default)]
        causes: Vec<String>,
        /// What to do.
        #[serde(default)]
        hint: String,
    },
    /// What a mirror that was read is found to be.
    MirrorUsed(MirrorUse),
}

/// A mirror that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorUse {
    /// Its address, without secrets.
    pub mirror: String,
    /// Fork of what it has; none: nothing usable.
    pub fork: Option<u64>,
    /// Length of what it has.
    pub length: Option<u64>,
    /// What of the drive it has, if not all.
    pub sparse: Option<String>,
    /// Requests that were sent.
    pub requests: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bytes of blocks that were proved and kept.
    pub bytes: u64,
    /// What kind of fault it has.
    pub fault: Option<FaultKind>,
    /// What exactly.
    pub why: Option<String>,
}

impl From<MirrorStatus> for MirrorUse {
    fn from(s: MirrorStatus) -> Self {
        Self {
            mirror: s.name,
            fork: s.head.map(|(fork, _)| fork),
            length: s.head.map(|(_, length)| length),
            sparse: s.sparse,
            requests: s.requests,
            received: s.received,
            bytes: s.bytes,
            fault: s.fault.as_ref().map(|f| f.kind),
            why: s.fault.map(|f| f.to_string()),
        }
    }
}

/// What `mirror` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mirrored {
    /// Where to, without secrets.
    pub target: String,
    /// The version that it has.
    pub verlink: String,
    /// Length of the drive.
    pub length: u64,
    /// Whether anything was new.
    pub changed: bool,
    /// Objects that were written.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, objects that its head named and that were missing or damaged.
    #[serde(default)]
    pub repaired: u64,
    /// Objects that it has in all.
    pub total_objects: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// Objects that were removed.
    pub removed: u64,
    /// Whether all of the drive is there.
    pub whole: bool,
    /// Statements of operators that stand beside its head; none: the policy names no operators.
    #[serde(default)]
    pub statements: Option<u64>,
    /// Whether they are others than before.
    #[serde(default)]
    pub statements_changed: bool,
}
