//! What a folder must pass before it is committed, and what is told of it.

use super::entries::EntryList;
use super::error::StageError;
use super::news::StageNews;
use super::options::StageOptions;
use crate::folder::glob::{Ignore, Only};
use crate::folder::ignore_file::IgnoreFile;
use crate::folder::portable_names::check_drive;
use crate::folder::said_version::{Mismatch, mismatches};
use crate::folder::scan::{FileList, ListedKind, Scan, links};
use crate::secrets::{Allow, Found, StorePlaces, Suspect, check_names, find_suspect_keys, with_keys};
use bosc_drive::drive::DriveEntry;
use std::collections::BTreeMap;
use std::path::Path;

/// A folder beside the drive it goes to.
pub(super) struct CheckedFolder<'a> {
    pub(super) files: &'a FileList,
    pub(super) entries: &'a EntryList<'a>,
    /// Entries that go, in the order of the entries.
    pub(super) removals: &'a [DriveEntry],
    pub(super) options: &'a StageOptions,
}

/// What may go although it looks secret.
pub(super) struct Allowed {
    suspects: Allow,
    keys: Allow,
}

impl Allowed {
    pub(super) fn of(options: &StageOptions) -> Result<Self, StageError> {
        Ok(Self { suspects: Allow::new(&options.allow)?, keys: Allow::new(&options.allow_key)? })
    }
}

/// The folder's ignore file, if it counts.
pub(super) fn ignore_file(
    root: &Path,
    on: &mut dyn FnMut(StageNews),
) -> Result<Option<IgnoreFile>, StageError> {
    let found = IgnoreFile::find(root).map_err(|(path, error)| StageError::IgnoreFile { path, error })?;
    Ok(found.map(|(path, file)| {
        on(StageNews::IgnoreFile(path));
        file
    }))
}

/// Refuses what belongs to the store in use, and what is named by a key in use.
pub(super) fn places(
    root: &Path,
    files: &FileList,
    found: &Scan,
    options: &StageOptions,
) -> Result<(), StageError> {
    let work: Vec<&str> = options.store_work.iter().map(String::as_str).collect();
    let places = options.store.as_deref().map(|store| StorePlaces::of_store(store, &work));
    let states = files.iter().map(|f| match f.kind {
        ListedKind::File { stat, .. } => (f.key, Some(stat)),
        ListedKind::Symlink { .. } => (f.key, None),
    });
    let path = |key: &str| files.path(key);
    places.unwrap_or_default().check_files(root, &found.folders, states, path)?;
    let names = files.iter().map(|f| match f.kind {
        ListedKind::Symlink { target } => (f.key, Some(target)),
        ListedKind::File { .. } => (f.key, None),
    });
    Ok(check_names(root, names, &options.keys)?)
}

/// Tells what matched nothing.
pub(super) fn unmatched(ignore: &Ignore, only: &Only, allowed: &Allowed, on: &mut dyn FnMut(StageNews)) {
    for (list, unused) in [
        ("ignore", ignore.unused()),
        ("only", only.unused()),
        ("allow", allowed.suspects.unused()),
        ("allow-key", allowed.keys.unused()),
    ] {
        for pattern in unused {
            on(StageNews::Unmatched { list, pattern: pattern.to_owned() });
        }
    }
}

impl CheckedFolder<'_> {
    /// Keys of entries that stay and are not in the folder, with the targets of symlinks.
    fn kept(&self) -> impl Iterator<Item = (&str, Option<&str>)> + Clone {
        let stays = |key: &str| self.removals.binary_search_by(|r| r.key.as_str().cmp(key)).is_err();
        self.entries.beside_files().filter(move |(key, _)| stays(key))
    }

    /// Refuses names that clients refuse, tells of those that others would.
    pub(super) fn names(&self, on: &mut dyn FnMut(StageNews)) -> Result<(), StageError> {
        let files = self.files.iter().map(|f| match f.kind {
            ListedKind::Symlink { target } => (f.key, Some(target)),
            ListedKind::File { .. } => (f.key, None),
        });
        let report = check_drive(files.chain(self.kept()), &self.options.app);
        report.warned.iter().for_each(|found| on(StageNews::BadName(found.clone())));
        if report.refused.is_empty() { Ok(()) } else { Err(StageError::Names(report)) }
    }

    /// Tells of symlinks that lead nowhere.
    pub(super) fn dangling(&self, on: &mut dyn FnMut(StageNews)) {
        let links = self.files.iter().filter_map(|f| match f.kind {
            ListedKind::Symlink { target } => Some((f.key, target)),
            ListedKind::File { .. } => None,
        });
        let all = self.files.keys().chain(self.kept().map(|(key, _)| key));
        for (key, target) in links::dangling_among(links.collect(), all) {
            on(StageNews::Dangling { key: key.to_owned(), target: target.to_owned() });
        }
    }

    /// Tells which builds say another version than the release: their users would not see it arrive.
    pub(super) fn versions(&self, on: &mut dyn FnMut(StageNews)) {
        let Some(release) = &self.options.version else { return };
        // What cannot be read is an error of the stage itself.
        for Mismatch { key, running } in mismatches(release, self.files.keys(), |key| self.files.path(key)) {
            on(StageNews::VersionMismatch { key, release: release.clone(), running });
        }
    }

    /// What looks secret, by name and by what is known of `content`.
    pub(super) fn suspects(
        &self,
        content: &BTreeMap<String, Suspect>,
        allowed: &Allowed,
    ) -> Result<Vec<Found>, StageError> {
        let found = find_suspect_keys(self.files.keys(), content, &allowed.suspects);
        let keys = with_keys(&found, &allowed.keys);
        if !keys.is_empty() {
            return Err(StageError::Suspects(keys));
        }
        if self.options.no_suspects && found.iter().any(|f| !f.suspect.is_key()) {
            return Err(StageError::Suspects(found.into_iter().filter(|f| !f.suspect.is_key()).collect()));
        }
        Ok(found)
    }
}
