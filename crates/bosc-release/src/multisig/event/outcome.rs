//! What the subcommands of `multisig` end with.

use crate::multisig::signed::Earlier;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::Request;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A request to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestMade {
    /// Its text.
    pub request: String,
    /// Production's link.
    pub link: String,
    /// The source's link, with its version.
    pub source: String,
    /// Length that is to be released.
    pub length: u64,
    /// Hash of the db's tree at that length.
    pub tree_hash: String,
    /// The same of the blobs.
    pub blobs: LengthAndHash,
    /// What production holds.
    pub production: Length,
}

/// A core's length and tree hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LengthAndHash {
    /// The length.
    pub length: u64,
    /// The tree hash, z-base-32.
    pub tree_hash: String,
}

/// A core's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// The length.
    pub length: u64,
}

/// What a request says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSays {
    /// Production's key.
    pub key: String,
    /// Its link.
    pub link: String,
    /// Its link at the length that is to be released.
    pub verlink: String,
    /// That length.
    pub length: u64,
    /// The fork.
    pub fork: u64,
    /// Hash of the db's tree.
    pub tree_hash: String,
    /// The blobs, unless it is for a single core.
    pub blobs: Option<LengthAndHash>,
    /// How many must sign.
    pub quorum: u64,
    /// Who may sign.
    pub signers: Vec<String>,
}

impl RequestSays {
    /// Of this request.
    pub fn of(request: &Request) -> Self {
        Self {
            key: id::encode(&request.key()),
            link: PearLink::new(request.key()).to_string(),
            verlink: PearLink::verlink(request.key(), request.fork, request.length).to_string(),
            length: request.length,
            fork: request.fork,
            tree_hash: id::encode(&request.tree_hash),
            blobs: request
                .content
                .map(|c| LengthAndHash { length: c.length, tree_hash: id::encode(&c.tree_hash) }),
            quorum: request.manifest.quorum,
            signers: request.manifest.signers.iter().map(|s| id::encode(&s.public_key)).collect(),
        }
    }
}

/// Who told what production holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToldBy {
    /// This store.
    Store,
    /// Peers that have it.
    Peers,
    /// Peers that have nothing of it.
    EmptyPeers,
    /// Nobody.
    Unknown,
}

impl fmt::Display for ToldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Peers => "peers",
            Self::EmptyPeers => "empty-peers",
            Self::Unknown => "unknown",
        })
    }
}

/// Production as it is known here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Production {
    /// Whether anything is known of it.
    pub known: bool,
    /// Who told it.
    pub from: ToldBy,
    /// Its length; none when no store could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its tree hash; none when no store could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_hash: Option<String>,
}

/// What a release holds, as far as it could be read. The fields of its package.json are told as they are: they are
/// whatever its author wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseContent {
    /// `name`.
    pub name: Value,
    /// `version`.
    pub version: Value,
    /// `upgrade`.
    pub upgrade: Value,
    /// `version` of what production holds.
    pub production_version: Value,
    /// Files that are new.
    pub add: u64,
    /// Files that differ.
    pub change: u64,
    /// Files that go away.
    pub remove: u64,
    /// Files there are, when production is not known.
    pub files: u64,
}

/// What a store knows of a request, beyond what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// The source's link, when it is known.
    pub source: Option<String>,
    /// Production.
    pub production: Production,
    /// Whether it goes on from production; `None`: cannot be told.
    pub compatible: Option<bool>,
    /// It is in production already.
    pub released: bool,
    /// What it holds; nothing when that is not here.
    #[serde(with = "or_nothing")]
    pub content: Option<ReleaseContent>,
    /// What a person has to know besides.
    pub notes: Vec<String>,
}

/// Whether all of a request was seen, and what was signed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// All of it was seen.
    pub inspected: bool,
    /// What was not.
    pub missing: Option<String>,
    /// How earlier releases go together with it.
    pub earlier: Vec<Earlier>,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    /// What it says of itself.
    #[serde(flatten)]
    pub says: RequestSays,
    /// What the store knows.
    #[serde(flatten)]
    pub known: Known,
    /// Hash of the request.
    pub request_hash: String,
    /// Whether that is all.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What a commit ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitDone {
    /// Production's key.
    pub dst_key: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Who signed.
    pub quorum: QuorumReached,
    /// Both cores.
    pub result: CommittedCores,
    /// Production's link.
    pub link: String,
    /// Its link at the length of the request.
    pub verlink: String,
    /// It is production's first release.
    pub first_commit: bool,
    /// Enough others hold it; none when nothing was written.
    pub seeded: Option<bool>,
}

/// How many signatures are needed and there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumReached {
    /// How many are needed.
    pub amount: u64,
    /// How many there are.
    pub total: u64,
}

/// Both cores of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedCores {
    /// The db.
    pub db: CommittedCore,
    /// The blobs.
    pub blobs: CommittedCore,
}

/// One core of a commit, as npm `hyper-multisig` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommittedCore {
    /// Production's core as it is now.
    pub dest_core: CoreHead,
    /// The source's.
    pub src_core: Option<CoreHead>,
    /// What is signed.
    pub batch: SignedHead,
}

/// A core's key, length and tree hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoreHead {
    /// The key, z-base-32.
    pub key: String,
    /// The key in hex.
    pub key_hex: String,
    /// The length.
    pub length: u64,
    /// The tree hash, z-base-32.
    pub tree_hash: String,
    /// The tree hash in hex.
    pub tree_hash_hex: String,
}

impl CoreHead {
    /// Of a core.
    pub fn new(key: &[u8; 32], length: u64, tree_hash: &[u8; 32]) -> Self {
        let hex = |bytes: &[u8; 32]| data_encoding::HEXLOWER.encode(bytes);
        Self {
            key: id::encode(key),
            key_hex: hex(key),
            length,
            tree_hash: id::encode(tree_hash),
            tree_hash_hex: hex(tree_hash),
        }
    }
}

/// A head and the quorum's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// The head.
    #[serde(flatten)]
    pub head: CoreHead,
    /// The signature, z-base-32; none while too few signed, and for an empty core.
    pub signature: Option<String>,
}

/// What `multisig status` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusShown {
    /// How many commits were told of.
    pub count: u64,
}

/// What `data multisig` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// The links.
    pub records: Vec<RecordKey>,
}

/// A link that was committed from this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordKey {
    /// Its key.
    pub key: String,
}

/// A value, or an object without fields.
mod or_nothing {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Read<T> {
        Value(T),
        Nothing {},
    }

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.collect_map(std::iter::empty::<((), ())>()),
        }
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(match Read::deserialize(from)? {
            Read::Value(value) => Some(value),
            Read::Nothing {} => None,
        })
    }
}
