//! What `bosc multisig` reports of keys and of what is signed, which no store knows of.

use bosc_format::crypto::Hash;
use bosc_format::id;
use bosc_format::signing::{Request, spoken};
use bosc_release::error::CommandError;
use bosc_release::multisig::event::{
    CommitDone, Inspected, Known, Production, RequestMade, RequestSays, Seen, ToldBy,
};
use bosc_release::multisig::signed::Book;
use serde::Serialize;
use std::path::Path;

/// Where the two files of a key are, as people are shown it.
#[derive(Debug, Serialize)]
pub(super) struct At {
    pub(super) r#pub: String,
    pub(super) prv: String,
}

/// What is reported of keys, namespaces and signatures.
#[derive(Debug, Serialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(super) enum KeyringEvent {
    /// Where a key's files are.
    #[serde(rename = "key")]
    Paths { paths: bool, r#pub: String, prv: String },
    /// A key.
    Key {
        name: String,
        r#pub: String,
        prv: String,
        public_key: String,
        at: At,
        #[serde(skip_serializing_if = "Option::is_none")]
        private_key: Option<String>,
    },
    /// All keys.
    List { keys: Vec<ListedKey> },
    /// A key is gone.
    Removed { name: String },
    /// A key that was exported.
    Export(Exported),
    /// The configuration has another namespace.
    Namespace { namespace: String },
    /// What is to be signed.
    Signing(Box<Signing>),
    /// What was signed.
    Sign { response: String, at: At, request_hash: String, spoken: String },
}

/// A key in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedKey {
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) owned: bool,
    pub(super) at: At,
}

/// A key that was exported: to a file, or as text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Exported {
    pub(super) name: String,
    pub(super) public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
}

/// A request's hash, to be compared.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestHash {
    pub(super) request_hash: String,
    pub(super) spoken: String,
}

/// What `request` ends with.
#[derive(Debug, Serialize)]
pub(super) struct MadeAndHash {
    #[serde(flatten)]
    pub(super) made: RequestMade,
    #[serde(flatten)]
    pub(super) hash: RequestHash,
}

/// What `verify` and `commit` end with.
#[derive(Debug, Serialize)]
pub(super) struct DoneAndHash {
    #[serde(flatten)]
    pub(super) done: CommitDone,
    #[serde(flatten)]
    pub(super) hash: RequestHash,
}

/// What `link` ends with.
#[derive(Debug, Serialize)]
pub(super) struct LinkShown {
    pub(super) link: String,
}

/// What the key signed for the link before.
#[derive(Debug, Serialize)]
pub(super) struct SignedBefore {
    pub(super) count: usize,
    pub(super) last: Option<LastSigned>,
    /// The folder of `--record`, when it is not that of the keys: other records of the key were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<String>,
}

/// The last of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastSigned {
    pub(super) length: u64,
    pub(super) request_hash: String,
    pub(super) spoken: String,
}

/// What a request says of itself, and what the key signed before: never taken from what a store answered.
#[derive(Debug)]
pub(super) struct OfRequest {
    pub(super) says: RequestSays,
    pub(super) request_hash: String,
    pub(super) spoken: String,
    pub(super) signed_before: SignedBefore,
}

impl OfRequest {
    pub(super) fn new(request: &Request, hash: &Hash, book: &Book, record: Option<&Path>) -> Self {
        let before = book.of(&request.key());
        let last = before.last().map(|s| LastSigned {
            length: s.length,
            request_hash: s.request.clone(),
            spoken: s.spoken(),
        });
        Self {
            says: RequestSays::of(request),
            request_hash: id::encode(hash),
            spoken: spoken(hash),
            signed_before: SignedBefore {
                count: before.len(),
                last,
                record: record.map(|dir| dir.display().to_string()),
            },
        }
    }
}

/// What is to be signed, as far as it is known. Without a store its own part comes last, as it was told second.
#[derive(Debug)]
pub(super) enum Signing {
    /// A store was asked.
    Asked { of_request: OfRequest, known: Known, seen: Seen },
    /// No store could be asked.
    Bare { of_request: OfRequest, known: Known, seen: Seen },
}

impl Signing {
    /// What a store told.
    pub(super) fn asked(of_request: OfRequest, told: Inspected) -> Self {
        Self::Asked { of_request, known: told.known, seen: told.seen }
    }

    /// Without any store.
    pub(super) fn bare(of_request: OfRequest, why: &CommandError) -> Self {
        let why = why.message();
        Self::Bare {
            of_request,
            known: Known {
                source: None,
                production: Production { known: false, from: ToldBy::Unknown, length: None, tree_hash: None },
                compatible: None,
                released: false,
                content: None,
                notes: vec![format!(
                    "The store could not be opened ({why}), so neither the files nor production are known."
                )],
            },
            seen: Seen {
                inspected: false,
                missing: Some(format!("the store could not be opened ({why})")),
                earlier: Vec::new(),
            },
        }
    }

    pub(super) fn of_request(&self) -> &OfRequest {
        match self {
            Self::Asked { of_request, .. } | Self::Bare { of_request, .. } => of_request,
        }
    }

    pub(super) fn known(&self) -> &Known {
        match self {
            Self::Asked { known, .. } | Self::Bare { known, .. } => known,
        }
    }

    pub(super) fn seen(&self) -> &Seen {
        match self {
            Self::Asked { seen, .. } | Self::Bare { seen, .. } => seen,
        }
    }
}

impl Serialize for Signing {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Asked<'a> {
            #[serde(flatten)]
            says: &'a RequestSays,
            #[serde(flatten)]
            known: &'a Known,
            request_hash: &'a str,
            #[serde(flatten)]
            seen: &'a Seen,
            spoken: &'a str,
            signed_before: &'a SignedBefore,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Bare<'a> {
            #[serde(flatten)]
            known: &'a Known,
            #[serde(flatten)]
            seen: &'a Seen,
            #[serde(flatten)]
            says: &'a RequestSays,
            request_hash: &'a str,
            spoken: &'a str,
            signed_before: &'a SignedBefore,
        }
        let OfRequest { says, request_hash, spoken, signed_before } = self.of_request();
        let (known, seen) = (self.known(), self.seen());
        match self {
            Self::Asked { .. } => {
                Asked { says, known, request_hash, seen, spoken, signed_before }.serialize(to)
            }
            Self::Bare { .. } => {
                Bare { known, seen, says, request_hash, spoken, signed_before }.serialize(to)
            }
        }
    }
}

#[cfg(test)]
mod tests;
