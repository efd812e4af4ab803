//! Keys: those that write links, in files of a store's keys ([`backup`]), and those that sign for a quorum
//! ([`keyring`]): their files, and passphrases and secrets in memory ([`guarded`]). Whoever is asked for a passphrase is asked by
//! the program. Keys for updates over HTTPS are in [`crate::manifest::keypair`].
//!
//! # Files
//!
//! - `command`: `bosc keys` on the engine: export, backup, import, links marked shared, the shortest passphrase. `backup`: files of
//!   write keys: their format, cost, bounds. `event`: what is reported.
//! - `keyring/`: a folder of signing keys: which folder, names, order of writes. `signing_key/`: one of them: its bytes, how much
//!   memory and work its file may ask for, a wrong passphrase. `transfer`: one as a line of text.
//! - `guarded`: secrets in memory, kept from swap and core dumps. `files`: files that nobody else can read. `existing`: what such a
//!   file may replace.
//! - `forms`: spellings of one passphrase (accents).

pub mod backup;
pub(crate) mod command;
pub mod event;
mod existing;
pub(super) mod files;
mod forms;
pub mod guarded;
pub mod keyring;
pub mod signing_key;
pub mod transfer;

pub use existing::refuse_existing;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// A passphrase on its way: wiped when dropped, and no debug output has it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The passphrase.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Written only into the request that goes to the store's owner, over loopback and under its token.
impl Serialize for Passphrase {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(from)?)))
    }
}

/// `bosc keys export`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysExport {
    /// The link whose write key it is; `None` backs up all of the store.
    pub link: Option<String>,
    /// Where to write, absolute.
    #[serde(with = "crate::wire_path")]
    pub file: PathBuf,
    /// Replace the file.
    pub force: bool,
    /// Of a backup: other machines write with it while this one does, so that peers are asked before anything is written here.
    #[serde(default)]
    pub shared: bool,
    /// What it is encrypted under.
    pub passphrase: Passphrase,
}

/// `bosc keys import`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysImport {
    /// The file, absolute.
    #[serde(with = "crate::wire_path")]
    pub file: PathBuf,
    /// What it is encrypted under.
    pub passphrase: Passphrase,
}
