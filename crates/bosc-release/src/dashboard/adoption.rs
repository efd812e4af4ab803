//! How many peers had which version, over 90 days: `dashboard.json` in the store.
//!
//! Invariants:
//! * Only numbers are kept: no key, no address, nothing that tells one peer from another.
//! * Bounds: [`MAX_LINKS`] links, of each [`MAX_SAMPLES`] samples of three hours with [`MAX_VERSIONS`] versions, none older than 90 days;
//!   a file of more than [`MAX_FILE`] bytes, or a damaged one, counts as none.
//! * It is history for people: what cannot be written is tried again later, and fails nothing.

use super::snapshot::{LineView, Sample, cut};
use bosc_files::{Durability, Replace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Its name in the store.
pub const FILE_NAME: &str = "dashboard.json";
/// Seconds of a sample.
const STEP: u64 = 3 * 60 * 60;
/// Samples of 90 days.
const MAX_SAMPLES: usize = 90 * 8;
/// Most links.
const MAX_LINKS: usize = 32;
/// Most versions of a sample; the rest are counted as not known.
const MAX_VERSIONS: usize = 8;
/// Longest version that is kept, in characters.
const MAX_VERSION: usize = 40;
/// Largest file in bytes: all of the above, with room.
const MAX_FILE: u64 = 16 << 20;

/// The history of all links.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// By link.
    links: BTreeMap<String, Vec<Sample>>,
}

/// The history, and where it is kept.
#[derive(Debug)]
pub(super) struct Adoption {
    path: Option<PathBuf>,
    kept: Kept,
    changed: bool,
}

impl Adoption {
    /// Reads what is there. Without a folder it is kept in memory.
    pub(super) fn open(store: &Path) -> Self {
        let path = store.is_dir().then(|| store.join(FILE_NAME));
        let bytes = path.as_deref().and_then(|p| bosc_files::read_bounded(p, MAX_FILE).ok().flatten());
        let kept: Kept = bytes.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        Self { path, kept, changed: false }
    }

    /// Takes in who is there at `now`.
    pub(super) fn note(&mut self, line: &LineView, now: u64) {
        let Some(link) = &line.link else { return };
        if !self.kept.links.contains_key(link) {
            if line.peers == 0 {
                return;
            }
            while self.kept.links.len() >= MAX_LINKS {
                let last = |s: &[Sample]| s.last().map_or(0, |s| s.at);
                let oldest = self.kept.links.iter().min_by_key(|(_, s)| last(s)).map(|(k, _)| k.clone());
                let Some(oldest) = oldest else { break };
                self.kept.links.remove(&oldest);
            }
        }
        let at = now - now % STEP;
        let samples = self.kept.links.entry(link.clone()).or_default();
        // A clock that was ahead leaves nothing that stays for ever.
        samples.retain(|s| s.at <= at && s.at + STEP * MAX_SAMPLES as u64 > at);
        if samples.last().is_none_or(|s| s.at != at) {
            samples.push(Sample { at, ..Sample::default() });
            self.changed = true;
        }
        let excess = samples.len().saturating_sub(MAX_SAMPLES);
        samples.drain(..excess);
        let Some(sample) = samples.last_mut() else { return };
        let before = sample.clone();
        sample.seeders = sample.seeders.max(line.seeders);
        for share in &line.shares {
            let version = share.version.as_deref().map(|v| cut(v, MAX_VERSION)).unwrap_or_default();
            let count = share.seeders + share.followers;
            if let Some((_, most)) = sample.versions.iter_mut().find(|(v, _)| *v == version) {
                *most = (*most).max(count);
            } else if sample.versions.len() < MAX_VERSIONS {
                sample.versions.push((version, count));
            }
        }
        self.changed |= before != *sample;
    }

    /// The samples of a link, the oldest first.
    pub(super) fn of(&self, line: &LineView) -> Vec<Sample> {
        line.link.as_ref().and_then(|l| self.kept.links.get(l)).cloned().unwrap_or_default()
    }

    /// Writes what changed. It is history: a failure is not worth more than another try.
    pub(super) fn save(&mut self) {
        let Some(path) = self.path.as_deref().filter(|_| self.changed) else { return };
        let Ok(bytes) = serde_json::to_vec(&self.kept) else { return };
        if Replace::new(Durability::Process).private().write(path, &bytes).is_ok() {
            self.changed = false;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::snapshot::VersionShare;
    use super::*;

    fn line(link: &str, peers: &[(&str, u64)]) -> LineView {
        let shares = peers.iter().map(|(v, n)| VersionShare {
            version: Some((*v).to_owned()),
            seeders: 0,
            followers: *n,
        });
        LineView {
            link: Some(link.into()),
            peers: peers.iter().map(|p| p.1).sum(),
            shares: shares.collect(),
            ..LineView::default()
        }
    }

    #[test]
    fn the_most_within_three_hours_is_kept_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut adoption = Adoption::open(dir.path());
        let start = STEP * 1_000;
        adoption.note(&line("l", &[("1.0.0", 3)]), start + 5);
        adoption.note(&line("l", &[("1.0.0", 1), ("1.1.0", 2)]), start + 9);
        adoption.note(&line("l", &[("1.1.0", 2)]), start + STEP);
        adoption.save();
        let read = Adoption::open(dir.path()).of(&line("l", &[]));
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].versions, [("1.0.0".to_owned(), 3), ("1.1.0".to_owned(), 2)]);
        assert_eq!(read[1].at, start + STEP);
        std::fs::write(dir.path().join(FILE_NAME), "nonsense").unwrap();
        assert!(Adoption::open(dir.path()).of(&line("l", &[])).is_empty());
    }

    #[test]
    fn nothing_is_older_than_90_days_or_more_than_the_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let mut adoption = Adoption::open(dir.path());
        let many: Vec<(String, u64)> = (0..40).map(|n| (format!("1.0.{n}"), 1)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(v, n)| (v.as_str(), *n)).collect();
        for n in 0..2_000 {
            adoption.note(&line("l", &many), (5_000 + n) * STEP);
        }
        let samples = adoption.of(&line("l", &[]));
        assert_eq!(samples.len(), MAX_SAMPLES);
        assert_eq!(samples.last().unwrap().at - samples[0].at, STEP * (MAX_SAMPLES as u64 - 1));
        assert_eq!(samples[0].versions.len(), MAX_VERSIONS);
        for n in 0..100 {
            adoption.note(&line(&format!("l{n}"), &[("1.0.0", 1)]), (9_000 + n) * STEP);
        }
        assert_eq!(adoption.kept.links.len(), MAX_LINKS);
        adoption.save();
        assert!(std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().len() < MAX_FILE);
    }
}
