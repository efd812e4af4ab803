//! What the files of a drive say.

use super::facts::{Facts, FilesFound, Platform};
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::follow::reading;
use crate::engine::open::{Opened, PACKAGE_MARK};
use crate::error::{CommandError, ErrorKind};
use crate::folder::portable_names::{NameFound, check_drive};
use crate::folder::said_version;
use crate::folder::scan::links::dangling;
use crate::folder::scan::{LocalFile, LocalKind};
use crate::secrets::key_looks;
use crate::versions::command::{HistoryVersion, said};
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_follow::Fetch;
use bosc_format::id;
use bosc_format::link::PearLink;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

/// Most names told of one platform.
const MAX_NAMES: usize = 64;
/// Most files that are looked at together.
const MAX_ENTRIES: usize = 200_000;

impl Engine {
    /// What the drive's files say.
    pub(super) fn drive_content(
        &self,
        opened: &Opened,
        versions: &VecDeque<HistoryVersion>,
        facts: &mut Facts,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let mut list = Drive::checkout(opened.entries(), facts.at).list("/")?;
        let mut entries: Vec<DriveEntry> = Vec::new();
        let mut platforms: BTreeMap<String, (BTreeSet<String>, u64, u64)> = BTreeMap::new();
        while let Some(entry) = reading(opened.db(), timeout, stop).next(&mut list)? {
            if entries.len() < MAX_ENTRIES {
                entries.push(entry.clone());
            }
            let Some(below) = entry.key.strip_prefix("/by-arch/") else { continue };
            let mut parts = below.split('/');
            let (Some(platform), Some("app"), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if platforms.len() >= MAX_NAMES && !platforms.contains_key(platform) {
                continue;
            }
            let (names, files, length) = platforms.entry(platform.to_owned()).or_default();
            if names.len() < MAX_NAMES {
                names.insert(name.to_owned());
            }
            *files += 1;
            *length = (*length).max(entry.seq.saturating_add(1));
        }
        if let Some(json) = match self.package_json(opened, facts.at, timeout, stop) {
            Ok(json) => json,
            Err(e) if e.kind() == ErrorKind::Integrity => {
                facts.package_mark = e.message().ends_with(PACKAGE_MARK);
                None
            }
            Err(e) if e.code() == "ERR_NETWORK_TIMEOUT" => {
                facts.package_away = true;
                None
            }
            Err(e) => return Err(e),
        } {
            facts.package = json.is_object();
            let found = said(&json);
            facts.app = found.product_name.or_else(|| found.name.clone());
            facts.version = found.version;
            facts.upgrade_key =
                found.upgrade.as_deref().and_then(|u| PearLink::parse(u).ok()).map(|l| id::encode(&l.key));
            facts.upgrade = found.upgrade;
            if let Some(object) = json.as_object() {
                facts.bins =
                    crate::folder::package::bin_names(object, found.name.as_deref().unwrap_or_default());
            }
        }
        let mut known: BTreeMap<u64, Option<String>> = BTreeMap::new();
        for (platform, (apps, files, length)) in platforms {
            // Files of a batch have the seq of their own block; the version is the end of it.
            let batch = versions.iter().find(|v| v.length >= length);
            let end = batch.map_or(length, |v| v.length);
            let version = match known.get(&end) {
                Some(version) => version.clone(),
                None if end == facts.at => facts.version.clone(),
                None => match self.package_json(opened, end, timeout, stop) {
                    Ok(json) => said(&json.unwrap_or(Value::Null)).version,
                    Err(_) => None,
                },
            };
            known.insert(end, version.clone());
            if facts.not_raised.is_none() && version.is_some() {
                let before = versions.iter().rev().find(|v| v.length < end).map(|v| v.length);
                let there = |length| self.is_platform_at(opened, &platform, length, timeout, stop);
                if let Some(before) = before
                    && self
                        .package_json(opened, before, timeout, stop)
                        .is_ok_and(|j| said(&j.unwrap_or_default()).version == version)
                    && there(before)?
                {
                    facts.not_raised = version.clone().map(|v| (platform.clone(), v));
                }
            }
            let apps = apps.into_iter().collect();
            facts.platforms.push(Platform { platform, apps, files, length: end, version });
        }
        facts.files = files(&entries, facts.app.iter().chain(&facts.bins).cloned().collect());
        self.said_versions(opened, &entries, facts, timeout, stop)
    }

    /// Whether a version has files of this platform.
    fn is_platform_at(
        &self,
        opened: &Opened,
        platform: &str,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let drive = Drive::checkout(opened.entries(), length);
        let folder = format!("/by-arch/{platform}/app");
        let mut list = drive.list(&folder)?;
        let first = reading(opened.db(), timeout, stop).next(&mut list)?;
        Ok(first.is_some())
    }

    /// What the builds say of their version.
    fn said_versions(
        &self,
        opened: &Opened,
        entries: &[DriveEntry],
        facts: &mut Facts,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let Some(release) = facts.version.clone() else { return Ok(()) };
        let told = said_version::told_by(entries.iter().map(|e| e.key.as_str()));
        for entry in entries.iter().filter(|e| told.contains(&e.key.as_str())).take(MAX_NAMES) {
            // Of a large file without a map, everything before the part that is read would be fetched.
            let Some(blob) = entry.value.blob.filter(|b| b.block_map || b.byte_length <= said_version::MAX)
            else {
                continue;
            };
            // With a map, the entry has the length of that.
            let size = if blob.block_map { said_version::MAX } else { blob.byte_length };
            let mut read = |from, length| {
                Ok(self.read_range(opened, blob, (from, length), timeout, stop)?.unwrap_or_default())
            };
            let said = match said_version::said(&entry.key, size, &mut read) {
                Ok(said) => said.filter(|said| said_version::differs(&release, said)),
                // What peers do not deliver is not known.
                Err::<_, CommandError>(e) if e.kind() == ErrorKind::Network => return Ok(()),
                Err(e) => return Err(e),
            };
            facts.says.extend(said.map(|said| (entry.key.trim_start_matches('/').to_owned(), said)));
        }
        Ok(())
    }
}

/// What is wrong with files by their names and links.
fn files(entries: &[DriveEntry], app: Vec<String>) -> FilesFound {
    let first = |n: usize, shown: Option<String>| shown.map(|shown| (n, shown));
    let names = check_drive(entries.iter().map(|e| (e.key.as_str(), e.value.linkname.as_deref())), &app);
    let shown = |found: &[NameFound]| {
        first(found.len(), found.first().map(|f| format!("{} ({})", f.key.trim_start_matches('/'), f.why)))
    };
    let links: Vec<LocalFile> = entries
        .iter()
        .filter_map(|e| {
            let kind = LocalKind::Symlink { target: e.value.linkname.clone()? };
            Some(LocalFile { key: e.key.clone(), path: PathBuf::new(), kind })
        })
        .collect();
    let dangling = dangling(&links, entries.iter().map(|e| e.key.as_str()));
    let mut secret: Vec<&str> = entries.iter().filter_map(|e| Some(key_looks(&e.key)?.0)).collect();
    secret.dedup();
    FilesFound {
        refused: shown(&names.refused),
        warned: shown(&names.warned),
        dangling: first(
            dangling.len(),
            dangling.first().map(|(k, t)| format!("{} -> {t}", k.trim_start_matches('/'))),
        ),
        secret: first(secret.len(), secret.first().map(|k| k.trim_start_matches('/').to_owned())),
    }
}
