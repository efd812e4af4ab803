//! What `multisig` tells on the way, and what it ends with.

mod outcome;

pub use outcome::{
    CommitDone, CommittedCore, CommittedCores, CoreHead, Inspected, Known, Length, LengthAndHash, Production,
    QuorumReached, RecordKey, Records, ReleaseContent, RequestMade, RequestSays, Seen, SignedHead,
    StatusShown, ToldBy,
};

use super::journal::Phase;
use crate::folder::diff::ByteDiff;
use bosc_follow::CoreName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose copies are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopiesOf {
    /// The drive that is to be released.
    Source,
    /// The drive that a quorum signs.
    Production,
}

impl fmt::Display for CopiesOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Production => "production",
        })
    }
}

/// What happens during `multisig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum MultisigEvent {
    /// The source's blobs core is looked for.
    GettingSrcBlobs,
    /// Whether the source's db can be signed is looked at.
    VerifyDbRequestableStart,
    /// How many blobs the source's files name is counted.
    GettingBlobsLength,
    /// Whether the source's blobs can be signed is looked at.
    VerifyBlobsRequestableStart,
    /// The request is made.
    CreatingDrive,
    /// A commit, or a rehearsal of one, begins.
    Multisigging {
        /// The request.
        request: String,
        /// The responses as they were given.
        responses: Vec<String>,
        /// Nothing will be written.
        dry_run: bool,
    },
    /// The responses were judged.
    Signatures {
        /// How many signers must sign.
        quorum: u64,
        /// How many did.
        valid: u64,
        /// Each response.
        responses: Vec<JudgedResponse>,
    },
    /// Source and target are looked at.
    VerifyCommittableStart {
        /// The source's key.
        src_key: String,
        /// Production's key.
        dst_key: String,
    },
    /// No peer told whether production has a release; a rehearsal takes it for empty.
    TargetUnknown {
        /// Production's link.
        link: String,
    },
    /// `--first-commit` was given, and production has a release.
    NotFirstCommit {
        /// Its length.
        length: u64,
    },
    /// What production holds.
    Target {
        /// Length of its db.
        length: u64,
        /// Length of its blobs.
        blobs_length: u64,
        /// It has no release yet.
        first_commit: bool,
        /// Peers told it.
        from_peers: bool,
    },
    /// Too few peers hold all of a core.
    Waiting(Waiting),
    /// Blocks come in.
    Download {
        /// Of this core.
        core: CoreName,
        /// Blocks that came.
        blocks: u64,
        /// Bytes that came.
        bytes: u64,
        /// Blocks wanted.
        of: u64,
    },
    /// The checks are over, or the write begins.
    CommitStart {
        /// Nothing will be written.
        dry_run: bool,
        /// The source's key.
        src_key: String,
        /// Production's key.
        dst_key: String,
    },
    /// Production is claimed, so that no other commit writes to it.
    Claiming {
        /// Production's key.
        key: String,
        /// Length that is committed.
        length: u64,
    },
    /// It is claimed.
    Claimed {
        /// Production's key.
        key: String,
        /// Length that is committed.
        length: u64,
    },
    /// The claim does not keep out everybody.
    Unguarded(Unguarded),
    /// The commit was written down, to be finished whatever happens.
    Journaled {
        /// How far it is.
        phase: Phase,
    },
    /// Blocks are copied to production.
    CommitProgress {
        /// To this core.
        core: CoreName,
        /// Blocks copied.
        blocks: u64,
        /// Blocks to copy.
        of: u64,
    },
    /// The release is in production, here.
    Committed {
        /// Length of the db.
        length: u64,
        /// Length of the blobs.
        blobs_length: u64,
        /// It was written before this run.
        resumed: bool,
    },
    /// Others have to take it.
    VerifyCommittedStart {
        /// Nobody has anything of production yet.
        first_commit: bool,
        /// Production's key.
        key: String,
        /// Production's link.
        link: String,
    },
    /// How many others have it.
    VerifyCommitted {
        /// All of the db.
        db: FullCopies,
        /// All of the blobs.
        blobs: FullCopies,
        /// How many are needed.
        need: usize,
    },
    /// How far a commit from this store got.
    Commit(CommitState),
    /// A file that a request changes.
    ByteDiff(ByteDiff),
    /// A file of a request whose production is not known.
    File {
        /// The file's drive key.
        key: String,
        /// Its size in bytes.
        size: u64,
    },
}

/// A response and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgedResponse {
    /// Who signed.
    pub public_key: String,
    /// Whether it counts.
    pub verdict: Verdict,
}

/// How many peers hold a core whole, while more are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Whose core it is.
    #[serde(rename = "for")]
    pub whose: CopiesOf,
    /// The core.
    pub core: CoreName,
    /// Peers that have it at all.
    pub peers: usize,
    /// Peers that hold a full copy.
    pub full_copies: usize,
    /// How many are needed.
    pub need: usize,
}

/// Why a claim may not keep out everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unguarded {
    /// Others can find the claim.
    pub announced: bool,
    /// Claims that could not be told from a stranger's and were passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rivals: Option<usize>,
    /// Peers that did not show their claim in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<usize>,
    /// Some peers were not looked at, for want of room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<bool>,
}

/// A number of whole copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FullCopies {
    /// The number.
    pub full_copies: usize,
}

/// How far a commit got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitState {
    /// Production's key.
    pub key: String,
    /// Its link.
    pub link: String,
    /// Its link at the length that is committed.
    pub verlink: String,
    /// The source's key.
    pub source: String,
    /// How far it got.
    pub phase: Phase,
    /// It is production's first release.
    pub first_commit: bool,
    /// How many responses were given.
    pub signatures: usize,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it last went on, in seconds since 1970.
    pub updated: u64,
    /// The request.
    pub request: String,
    /// The db.
    pub db: HeldCore,
    /// The blobs.
    pub blobs: HeldCore,
    /// What to do now.
    pub next: String,
}

/// How much of a core is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCore {
    /// The length that is committed.
    pub length: u64,
    /// The length that is known here.
    pub here: u64,
    /// Blocks that are here without a gap.
    pub held: u64,
}

/// What became of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A declared signer's signature over this request.
    Valid,
    /// Valid, and this signer answered before.
    Duplicate,
    /// It answers another request.
    OtherRequest,
    /// Not one of the signers.
    UnknownSigner,
    /// The signature does not verify.
    InvalidSignature,
}

#[cfg(test)]
mod tests;
