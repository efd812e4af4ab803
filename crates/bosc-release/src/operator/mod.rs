//! `rollout`, `halt`, `lift`, `refresh`: what an operator says about a link after a release, within what its quorum allows.
//!
//! ```text
//!   prepare ── newest head, rules, what stands in the DHT, what this store signed ──> Prepared
//!      │  refused: no rules │ not named │ no right │ the key speaks for another link │ no DHT
//!      ▼
//!   signed, in the process of the person who has the key (statement and record)
//!      ▼
//!   say ── kept in the store, durably ── put into the DHT ── read back ──> Stated
//!             │                            │ nobody there: kept; the next statement goes on from it
//!             │                            └ a higher one is there: signed elsewhere meanwhile, begun anew
//!             └ killed here: kept as well
//! ```
//!
//! # Invariants
//!
//! 1. A statement has a higher counter than all that this store signed with the key and all that the DHT has of it. What was signed is
//!    on the disk before anybody sees it (`book`).
//! 2. What was found is verified before anything follows from it; what still holds of it is repeated.
//! 3. A key speaks for one link: a record of another link under it, here or in the DHT, is never replaced.
//! 4. "This is the newest" is said only of a head that a peer vouches for, or that this store wrote, and never of a shorter one than
//!    an operator named before.
//! 5. No secret comes here: who has the key signs. The exception is a seeder that refreshes ([`RefreshKey`]), in its own process.
//!
//! # Files
//!
//! - `manifest`: the same for a manifest over HTTPS, whose statements are in a file beside it.
//! - `plan`: what is to be said, from what is known: which counter, what is repeated, what the rules do not let this operator do.
//!   Pure. `prepare`: gathers that, and looks for the release that is named. `say`: keeps and puts what was signed, and reads it
//!   back.
//! - `book`: what this store signed, never replaced by a lower one. `signed`: a statement as a record, its bytes and their most, and
//!   as text. `refresher`: a seeder that refreshes: how often, after a failure.

pub(crate) mod book;
pub mod manifest;
pub(crate) mod plan;
mod prepare;
pub(crate) mod refresher;
mod say;
pub mod signed;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What is to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    /// A version goes so far.
    Rollout {
        /// The version.
        version: String,
        /// In hundredths of a percent.
        share: u16,
    },
    /// A version goes to nobody more.
    Halt {
        /// The version.
        version: String,
        /// Who runs it goes back as well.
        recall: bool,
    },
    /// A version is not halted any more.
    Lift {
        /// The version.
        version: String,
    },
    /// The head that is found is the newest.
    #[default]
    Refresh,
}

/// A key that the person can sign with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHere {
    /// Its name on this machine.
    pub name: String,
    /// The public key, z-base-32.
    pub key: String,
}

/// What is to be known before an operator signs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// The link.
    pub link: String,
    /// What is to be said.
    pub change: Change,
    /// The keys to choose from: the one that the rules name speaks.
    pub keys: Vec<KeyHere>,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}

/// Work of an operator that needs the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "lowercase")]
pub enum Work {
    /// Find out what would be signed.
    Prepare(Prepare),
    /// Keep what was signed, and put it into the DHT.
    Say {
        /// The link, which the statement is about.
        link: String,
        /// The record, as [`signed::to_text`] makes it.
        record: String,
    },
    /// Find out what would be signed about the release of a manifest.
    PrepareFile {
        /// The manifest.
        #[serde(with = "crate::wire_path")]
        manifest: PathBuf,
        /// What is to be said.
        what: Change,
        /// The keys to choose from.
        keys: Vec<KeyHere>,
    },
    /// Keep what was signed, and write it beside the manifest.
    SayFile {
        /// The manifest.
        #[serde(with = "crate::wire_path")]
        manifest: PathBuf,
        /// The record, as [`signed::to_text`] makes it.
        record: String,
    },
}

impl Work {
    /// The command that it is of.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Prepare(Prepare { change, .. }) | Self::PrepareFile { what: change, .. } => change.name(),
            Self::Say { .. } | Self::SayFile { .. } => "refresh",
        }
    }
}

impl Change {
    /// The command that says it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rollout { .. } => "rollout",
            Self::Halt { .. } => "halt",
            Self::Lift { .. } => "lift",
            Self::Refresh => "refresh",
        }
    }
}

/// The secret that a seeder refreshes with: wiped when dropped, in no debug output, and never handed to another process.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshKey {
    /// Its name on this machine.
    pub name: String,
    seed: Zeroizing<[u8; 32]>,
}

impl RefreshKey {
    /// Takes the seed of a key pair.
    pub fn new(name: &str, seed: Zeroizing<[u8; 32]>) -> Self {
        Self { name: name.to_owned(), seed }
    }

    pub(crate) fn pair(&self) -> bosc_format::crypto::KeyPair {
        bosc_format::crypto::KeyPair::from_seed(&self.seed)
    }
}

impl std::fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshKey(..)")
    }
}
