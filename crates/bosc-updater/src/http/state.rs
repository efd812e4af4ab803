//! What was seen, remembered between runs: it only ever gets stricter.

use crate::error::UpdateError;
use crate::perry::manifest::{Proof, Schema};
use crate::perry::sentinel::{read_sentinel, write_sentinel};
use crate::perry::version::parse_version;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What was seen with a good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The oldest signature format that is still taken.
    pub(super) min_schema: Schema,
    /// Whether a release bound to the application was seen.
    pub(super) bound: bool,
    /// The newest version.
    pub(super) newest: Option<Version>,
    /// The public keys that were good at the time. With others the newest version starts anew: whoever had a stolen key
    /// may have signed one that is far ahead, and a new key must not be held to it.
    pub(super) keys: Vec<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { min_schema: Schema::V1, bound: false, newest: None, keys: Vec::new() }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    min_schema: u64,
    bound: bool,
    newest: Option<String>,
    keys: Vec<String>,
}

impl Seen {
    /// Reads the file; nothing seen when there is none. A damaged file counts as having seen format 2: what it said is lost,
    /// and the safe side is the newer format.
    pub(super) fn load(path: Option<&Path>, keys: &[String]) -> Result<Self, UpdateError> {
        let none = || Self { keys: keys.to_vec(), ..Self::default() };
        let Some(path) = path else { return Ok(none()) };
        let Some(text) = read_sentinel(path)? else { return Ok(none()) };
        let Ok(file) = serde_json::from_str::<File>(&text) else {
            return Ok(Self { min_schema: Schema::V2, ..none() });
        };
        let min_schema = if file.min_schema >= 2 { Schema::V2 } else { Schema::V1 };
        let same = file.keys.iter().any(|k| keys.contains(k));
        let newest = file.newest.as_deref().and_then(parse_version).filter(|_| same);
        Ok(Self { min_schema, bound: file.bound, newest, ..none() })
    }

    /// Takes note of a good signature; writes the file when that changed something.
    pub(super) fn note(
        &mut self,
        proof: Proof,
        version: &Version,
        path: Option<&Path>,
    ) -> Result<(), UpdateError> {
        let before = self.clone();
        self.min_schema = self.min_schema.max(proof.schema);
        self.bound |= proof.bound;
        // Without the version in it a signature says nothing about how new a release is.
        if proof.schema == Schema::V2 && self.newest.as_ref().is_none_or(|n| n < version) {
            self.newest = Some(version.clone());
        }
        if *self == before {
            return Ok(());
        }
        let Some(path) = path else { return Ok(()) };
        let file = File {
            min_schema: self.min_schema.number().into(),
            bound: self.bound,
            newest: self.newest.as_ref().map(ToString::to_string),
            keys: self.keys.clone(),
        };
        write_sentinel(path, &serde_json::to_string(&file).unwrap_or_default())
    }
}
