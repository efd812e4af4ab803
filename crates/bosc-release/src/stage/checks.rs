//! What a folder must pass before it is committed, and what is told of it.

use super::{StageError, StageNews, StageOptions};
use crate::folder::glob::{Ignore, Only};
use crate::folder::ignore_file::IgnoreFile;
use crate::folder::portable_names::check_drive;
use crate::folder::said_version;
use crate::folder::scan::{LocalFile, LocalKind, Scan, links};
use crate::secrets::{Allow, Found, StorePlaces, Suspect, find_suspects, with_keys};
use bosc_drive::drive::DriveEntry;
use std::collections::BTreeMap;
use std::path::Path;

/// A folder beside the drive it goes to.
pub(super) struct CheckedFolder<'a> {
    pub(super) files: &'a [LocalFile],
    pub(super) entries: &'a [DriveEntry],
    /// Entries that go, in the order of the entries.
    pub(super) removals: &'a [&'a DriveEntry],
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

/// Refuses what belongs to the store in use.
pub(super) fn places(root: &Path, found: &Scan, options: &StageOptions) -> Result<(), StageError> {
    let work: Vec<&str> = options.store_work.iter().map(String::as_str).collect();
    let places = options.store.as_deref().map(|store| StorePlaces::of_store(store, &work));
    Ok(places.unwrap_or_default().check(root, found)?)
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
    /// Entries that stay and are not in the folder.
    fn kept(&self) -> impl Iterator<Item = &DriveEntry> + Clone {
        self.entries.iter().filter(|e| {
            self.removals.binary_search_by(|r| r.key.cmp(&e.key)).is_err()
                && self.files.binary_search_by(|f| f.key.cmp(&e.key)).is_err()
        })
    }

    /// Refuses names that clients refuse, tells of those that others would.
    pub(super) fn names(&self, on: &mut dyn FnMut(StageNews)) -> Result<(), StageError> {
        let files = self.files.iter().map(|f| match &f.kind {
            LocalKind::Symlink { target } => (f.key.as_str(), Some(target.as_str())),
            LocalKind::File { .. } => (f.key.as_str(), None),
        });
        let kept = self.kept().map(|e| (e.key.as_str(), e.value.linkname.as_deref()));
        let report = check_drive(files.chain(kept), &self.options.app);
        report.warned.iter().for_each(|found| on(StageNews::BadName(found.clone())));
        if report.refused.is_empty() { Ok(()) } else { Err(StageError::Names(report)) }
    }

    /// Tells of symlinks that lead nowhere.
    pub(super) fn dangling(&self, on: &mut dyn FnMut(StageNews)) {
        for (key, target) in links::dangling(self.files, self.kept().map(|e| e.key.as_str())) {
            on(StageNews::Dangling { key: key.to_owned(), target: target.to_owned() });
        }
    }

    /// Tells which builds say another version than the release: their users would not see it arrive.
    pub(super) fn versions(&self, on: &mut dyn FnMut(StageNews)) {
        let Some(release) = &self.options.version else { return };
        for file in self.files.iter().filter(|f| said_version::is_told_by(&f.key)) {
            // What cannot be read is an error of the stage itself.
            let Ok(bytes) = bosc_files::read_plain(&file.path, said_version::MAX) else { continue };
            let said =
                said_version::said(&file.key, &bytes).filter(|said| said_version::differs(release, said));
            if let Some(running) = said {
                on(StageNews::VersionMismatch { key: file.key.clone(), release: release.clone(), running });
            }
        }
    }

    /// What looks secret, by name and by what is known of `content`.
    pub(super) fn suspects(
        &self,
        content: &BTreeMap<String, Suspect>,
        allowed: &Allowed,
    ) -> Result<Vec<Found>, StageError> {
        let found = find_suspects(self.files.iter(), content, &allowed.suspects);
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
