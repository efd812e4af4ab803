//! `multisig`: a drive that only a quorum can extend.
//!
//! What needs no store is here: the configuration, requests and responses as text, the counting of signatures, and what a
//! key signed. What needs one is in `multisig::command` and comes as [`Work`], plain data, so that it can be handed to the
//! process that owns the store. A passphrase or a secret key is never in it: keys are in [`crate::keys`], and signing happens
//! in the process of the person who signs (`bosc/src/multisig/sign.rs`).
//!
//! A request and a commit need `FULL_COPIES` (two) full copies at peers.
//!
//! # Files
//!
//! - Here: how many full copies, and how long is waited for them and for peers.
//! - `config`: `pear.json` `multisig`, what is wrong with it, and the link that follows from it. `vanity`: a namespace for a wanted
//!   link.
//! - `text`: requests and responses from arguments, files and standard input: how they are told apart, how many and how long.
//!   `quorum`: which responses count: a bad one, two of one signer.
//! - `journal`: the journal of commits: its phases, how many records. `signed`: what a key signed, so that it signs no second release
//!   of a length, the file of it and when it is written; how that goes with what it is asked to sign now: `command/earlier`.
//! - `command/`: what the engine runs. `event`: events, and results of the subcommands. `errors`: errors by their codes.

pub(crate) mod command;
pub mod config;
pub mod errors;
pub mod event;
pub mod journal;
pub mod quorum;
pub mod signed;
pub mod text;
pub mod vanity;

use crate::error::CommandError;
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::manifest::Manifest;
use serde::{Deserialize, Serialize};

/// How long peers may take to tell how long a core is, when nothing else is said: that of npm `hyper-multisig`.
pub const PEER_UPDATE_TIMEOUT_MS: u64 = 5_000;
/// How many peers must hold everything before a request, and after a commit.
pub const FULL_COPIES: usize = 2;
/// How long a commit waits for those, when nothing else is said: ten minutes.
pub const COMMIT_WAIT_SECS: u32 = 600;

/// Who signs a link, as plain data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signers {
    /// The signers' public keys (z-base-32 or hex), in the order that is part of the link.
    pub public_keys: Vec<String>,
    /// How many of them must sign.
    pub quorum: u64,
    /// Tells several links of the same signers apart.
    pub namespace: String,
}

impl Signers {
    /// The public keys.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG` for a key that is none.
    pub fn keys(&self) -> Result<Vec<PublicKey>, CommandError> {
        self.public_keys.iter().map(|text| id::decode(text).map_err(|_| errors::bad_signer(text))).collect()
    }

    /// The manifest of the link's core.
    ///
    /// # Errors
    /// As [`Signers::keys`].
    pub fn manifest(&self) -> Result<Manifest, CommandError> {
        Ok(Manifest::multisig(&self.keys()?, self.quorum, &self.namespace))
    }
}

/// `bosc multisig request`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeRequest {
    /// Who has to sign.
    pub signers: Signers,
    /// The versioned link of the source drive.
    pub link: String,
    /// Make it with fewer than [`FULL_COPIES`] copies.
    pub force: bool,
    /// Make it in version 2, which old signers read.
    pub legacy: bool,
    /// How long peers may take to answer, in milliseconds.
    pub peer_update_timeout_ms: u64,
    /// How long to wait for full copies, in milliseconds; the above when not given.
    pub wait_ms: Option<u64>,
}

/// What `bosc multisig sign` asks the store before it asks the person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspect {
    /// The request.
    pub request: String,
    /// Where the content can be had, when it is not in the store.
    pub source: Option<String>,
    /// How long to look for peers, in milliseconds; 0 stays offline.
    pub wait_ms: u64,
    /// What the key signed for the request's link before, and was not replaced.
    #[serde(default)]
    pub signed: Vec<signed::Signed>,
}

/// `bosc multisig verify` and `commit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Who signs the link.
    pub signers: Signers,
    /// The source drive's link.
    pub link: String,
    /// The request.
    pub request: String,
    /// The responses, in any order.
    pub responses: Vec<String>,
    /// Check everything and write nothing.
    pub dry_run: bool,
    /// The link has no release yet, and whoever asks is sure of it.
    pub first_commit: bool,
    /// Do without peers: their copies are not counted, before or after.
    pub force_dangerous: bool,
    /// How long peers may take to answer, in milliseconds.
    pub peer_update_timeout_ms: u64,
    /// How long to wait for full copies after the commit, in milliseconds.
    pub wait_ms: u64,
}

/// Work that needs the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "lowercase")]
pub enum Work {
    /// Make a request.
    Request(MakeRequest),
    /// Show what a request is about.
    Inspect(Inspect),
    /// Check a request with its responses, and commit it.
    Commit(Commit),
    /// How far commits got.
    Status {
        /// Only this link.
        link: Option<String>,
    },
    /// `bosc data multisig`: the links committed from this store.
    Records,
}
