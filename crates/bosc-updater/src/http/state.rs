//! What was seen, remembered between runs: it only ever gets stricter.
//!
//! The oldest signature format, the binding, and that there are rules belong to the keys. How new the newest release was belongs to the source, the
//! manifest's URL: a look at a beta channel says nothing about the stable one. The file is read again and written under a lock, so
//! that of two processes with one file none lowers what the other saw.

use super::staging::disk;
use crate::error::UpdateError;
use crate::files;
use crate::manifest::version::parse_version;
use crate::manifest::{Proof, Schema};
use crate::release::newer;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Sources that are remembered; the one that was not seen for longest goes first.
const MAX_SOURCES: usize = 32;
/// Bytes of the file that are read. A larger one counts as damaged.
const MAX_LEN: u64 = 64 * 1024;

/// What was seen with a good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The oldest signature format that is still taken.
    pub(super) min_schema: Schema,
    /// Whether a release bound to the application was seen.
    pub(super) bound: bool,
    /// Whether rules were seen, and none later said that they end.
    pub(super) rules: bool,
    /// When the newest rules of this source were made, as they say: those before it do not count.
    pub(super) ruled: Option<u64>,
    /// The newest version of this source.
    pub(super) newest: Option<Version>,
    /// The public keys that were good at the time. With others the newest version starts anew: whoever had a stolen key
    /// may have signed one that is far ahead, and a new key must not be held to it.
    pub(super) keys: Vec<String>,
    /// The manifest's URL.
    source: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    min_schema: u64,
    bound: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rules: bool,
    /// Last seen last.
    sources: Vec<Newest>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Newest {
    source: String,
    newest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ruled: Option<u64>,
    keys: Vec<String>,
}

impl Seen {
    /// Reads the file; nothing seen when there is none. A damaged file counts as having seen format 2: what it said is lost,
    /// and the safe side is the newer format.
    pub(super) fn load(path: Option<&Path>, keys: &[String], source: &str) -> Result<Self, UpdateError> {
        let none = || Self {
            min_schema: Schema::V1,
            bound: false,
            rules: false,
            ruled: None,
            newest: None,
            keys: keys.to_vec(),
            source: source.to_owned(),
        };
        let Some(path) = path else { return Ok(none()) };
        let text = files::read_text(path, MAX_LEN).map_err(|e| disk(path, e))?;
        let Some(text) = text else { return Ok(none()) };
        let Ok(file) = serde_json::from_str::<File>(&text) else {
            return Ok(Self { min_schema: Schema::V2, ..none() });
        };
        let min_schema = if file.min_schema >= 2 { Schema::V2 } else { Schema::V1 };
        let of_keys = |s: &&Newest| s.source == source && s.keys.iter().any(|k| keys.contains(k));
        let here = file.sources.iter().find(of_keys);
        let newest = here.and_then(|s| parse_version(s.newest.as_deref()?));
        let ruled = here.and_then(|s| s.ruled);
        Ok(Self { min_schema, bound: file.bound, rules: file.rules, ruled, newest, ..none() })
    }

    /// Takes note of a good signature; writes the file when that changed something.
    pub(super) fn note(
        &mut self,
        proof: Proof,
        version: &Version,
        path: Option<&Path>,
    ) -> Result<(), UpdateError> {
        let before = self.clone();
        self.see(proof.schema, proof.bound, (proof.schema == Schema::V2).then_some(version));
        self.keep(&before, path, true)
    }

    /// Takes note of rules with a good signature, and when they were made; or of a release that says that there are none from now on.
    pub(super) fn note_rules(&mut self, made: Option<u64>, path: Option<&Path>) -> Result<(), UpdateError> {
        let before = self.clone();
        self.rules = made.is_some();
        self.ruled = self.ruled.max(made);
        self.keep(&before, path, made.is_some())
    }

    /// `adds`: what another process saw of rules counts as well.
    fn keep(&mut self, before: &Self, path: Option<&Path>, adds: bool) -> Result<(), UpdateError> {
        let Some(path) = path.filter(|_| self != before) else { return Ok(()) };
        let _lock = files::lock(path).map_err(|e| disk(path, e))?;
        // Another process may have seen more meanwhile.
        let there = Self::load(Some(path), &self.keys, &self.source)?;
        self.see(there.min_schema, there.bound, there.newest.as_ref());
        self.rules |= adds && there.rules;
        self.ruled = self.ruled.max(there.ruled);
        let text = files::read_text(path, MAX_LEN).map_err(|e| disk(path, e))?.unwrap_or_default();
        let mut sources = serde_json::from_str::<File>(&text).unwrap_or_default().sources;
        sources.retain(|s| s.source != self.source);
        sources.push(Newest {
            source: self.source.clone(),
            newest: self.newest.as_ref().map(ToString::to_string),
            ruled: self.ruled,
            keys: self.keys.clone(),
        });
        sources.drain(..sources.len().saturating_sub(MAX_SOURCES));
        let file = File {
            min_schema: self.min_schema.number().into(),
            bound: self.bound,
            rules: self.rules,
            sources,
        };
        let text = serde_json::to_string(&file).unwrap_or_default();
        files::state().write(path, text.as_bytes()).map_err(|e| disk(path, e))
    }

    /// Without the version in it a signature says nothing about how new a release is: then `version` is `None`.
    fn see(&mut self, schema: Schema, bound: bool, version: Option<&Version>) {
        self.min_schema = self.min_schema.max(schema);
        self.bound |= bound;
        if let Some(version) = version.filter(|v| self.newest.as_ref().is_none_or(|n| newer(v, n))) {
            self.newest = Some(version.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Proof = Proof { schema: Schema::V2, bound: true };

    #[test]
    fn each_source_has_a_floor_of_its_own_and_two_processes_never_lower_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("https.json");
        let keys = vec!["key".to_owned()];
        let load = |source: &str| Seen::load(Some(&path), &keys, source).unwrap();
        let version = |text: &str| text.parse::<Version>().unwrap();
        // Both were opened before either saw anything.
        let (mut one, mut two, mut beta) = (load("stable"), load("stable"), load("beta"));
        one.note(GOOD, &version("1.2.0"), Some(&path)).unwrap();
        beta.note(GOOD, &version("2.0.0-beta.1"), Some(&path)).unwrap();
        two.note(GOOD, &version("1.1.0"), Some(&path)).unwrap();
        assert_eq!(two.newest, Some(version("1.2.0")), "it hears of it as well");
        assert_eq!(load("stable").newest, Some(version("1.2.0")));
        assert_eq!(load("beta").newest, Some(version("2.0.0-beta.1")));
        assert!(load("another").bound, "the binding is the keys'");
        assert_eq!(load("another").newest, None);
        for n in 0..100 {
            load(&format!("source-{n}")).note(GOOD, &version("1.0.0"), Some(&path)).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < 8 * 1024);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("\"source\":").count(), MAX_SOURCES);
        assert_eq!(load("source-99").newest, Some(version("1.0.0")), "the last ones stay");
        assert_eq!(load("stable").newest, None);
    }

    #[test]
    fn a_floor_rises_from_run_to_run_and_only_by_what_says_its_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("https.json");
        let keys = vec!["key".to_owned()];
        let load = || Seen::load(Some(&path), &keys, "stable").unwrap();
        let version = |text: &str| text.parse::<Version>().unwrap();
        for text in ["1.0.0", "1.1.0", "1.2.0"] {
            load().note(GOOD, &version(text), Some(&path)).unwrap();
            assert_eq!(load().newest, Some(version(text)));
        }
        // Whoever has an old signature of the first format may put any version over it.
        let old = Proof { schema: Schema::V1, bound: false };
        load().note(old, &version("99.0.0"), Some(&path)).unwrap();
        assert_eq!((load().newest, load().bound), (Some(version("1.2.0")), true));
    }

    #[test]
    fn the_file_is_written_under_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("https.json");
        let held = files::lock(&path).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut seen = Seen::load(Some(&path), &["key".to_owned()], "stable").unwrap();
                seen.note(GOOD, &Version::new(1, 0, 0), Some(&path)).unwrap();
            });
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert!(!path.exists(), "somebody else is writing");
            drop(held);
            writer.join().unwrap();
        });
        assert!(path.exists());
    }
}
