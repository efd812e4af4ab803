//! Where the store in use lies, and whether a folder holds it, is it, or lies in it.

use super::content::is_format;
use super::found::SecretFound;
use super::kinds::Secret;
use super::looks::is_segment;
use crate::folder::scan::{FileStat, FolderId, LocalKind, Scan, folder_id};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Folders of a store that hold keys or what they signed.
const FOLDERS: [&str; 3] = ["", "data", "stage-index"];
/// What tells that a folder is a store's.
const MARKS: [&str; 3] = ["bosc.redb", "FORMAT", "OWNER"];

/// The store in use. Without one (`Places::default`) nothing is recognised by its place.
#[derive(Debug, Default)]
pub(crate) struct StorePlaces {
    store: Option<PathBuf>,
    folders: Vec<FolderId>,
    /// Device and number of each of its files.
    files: HashSet<(u64, u64)>,
    /// How folders in it begin that may be staged: where releases are put together.
    work: Vec<String>,
}

impl StorePlaces {
    /// The places of the store `dir`. `work`: how names of folders in it begin that hold what is to be released.
    pub(crate) fn of_store(dir: &Path, work: &[&str]) -> Self {
        let Ok(store) = std::fs::canonicalize(dir) else { return Self::default() };
        let mut out = Self { work: work.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() };
        for name in FOLDERS {
            let folder = store.join(name);
            let Ok(meta) = std::fs::metadata(&folder) else { continue };
            out.folders.extend(folder_id(&folder, &meta));
            for item in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let stat = item.metadata().ok().filter(|m| m.is_file()).map(|m| FileStat::new(&m));
                out.files.extend(stat.filter(|s| s.inode != 0).map(|s| (s.device, s.inode)));
            }
        }
        out.store = Some(store);
        out
    }

    /// Refuses what belongs to the store in use, and segments that lie in another one.
    pub(crate) fn check(&self, root: &Path, found: &Scan) -> Result<(), SecretFound> {
        let files = found.files.iter().map(|f| {
            let stat = match &f.kind {
                LocalKind::File { stat, .. } => Some(*stat),
                LocalKind::Symlink { .. } => None,
            };
            (f.key.as_str(), stat)
        });
        let path = |key: &str| found.files.iter().find(|f| f.key == key).map(|f| f.path.clone());
        self.check_files(root, &found.folders, files, |key| path(key).unwrap_or_default())
    }

    /// The same of files given by their keys and, unless they are symlinks, states. `path`: where one of them lies.
    pub(crate) fn check_files<'f>(
        &self,
        root: &Path,
        folders: &[(String, FolderId)],
        files: impl Iterator<Item = (&'f str, Option<FileStat>)> + Clone,
        path: impl Fn(&str) -> PathBuf,
    ) -> Result<(), SecretFound> {
        if let Some(store) = &self.store
            && let Ok(real) = std::fs::canonicalize(root)
            && let Ok(below) = real.strip_prefix(store)
            && !self.is_work(below)
        {
            return Err(SecretFound { path: root.to_owned(), secret: Secret::OwnStore });
        }
        if let Some((key, _)) = folders.iter().find(|(_, id)| self.folders.contains(id)) {
            // The first of its files that would go.
            let below = format!("{key}/");
            let first = files.clone().find(|(file, _)| file.starts_with(&below));
            if let Some((first, _)) = first {
                let database = format!("{below}bosc.redb");
                let key = if files.clone().any(|(file, _)| file == database) { &database } else { first };
                return Err(SecretFound { path: path(key), secret: Secret::OwnStore });
            }
        }
        for (key, stat) in files {
            let Some(stat) = stat else { continue };
            if self.files.contains(&(stat.device, stat.inode)) && stat.inode != 0 {
                return Err(SecretFound { path: path(key), secret: Secret::OwnStore });
            }
            if is_segment(key) && is_in_store(&path(key)) {
                return Err(SecretFound { path: path(key), secret: Secret::StoreFile });
            }
        }
        Ok(())
    }

    /// Whether a folder, given by its real path, is the store or in it, and not one where releases are put together.
    pub(super) fn holds(&self, real: &Path) -> bool {
        let below = self.store.as_ref().and_then(|store| real.strip_prefix(store).ok());
        below.is_some_and(|below| !self.is_work(below))
    }

    /// Whether a folder, given by its real path, is one in the store where releases are put together.
    pub(super) fn is_for_work(&self, real: &Path) -> bool {
        let below = self.store.as_ref().and_then(|store| real.strip_prefix(store).ok());
        below.is_some_and(|below| self.is_work(below))
    }

    /// Whether a path below the store leads into a work folder.
    fn is_work(&self, below: &Path) -> bool {
        let first = below.components().next().and_then(|c| c.as_os_str().to_str());
        first.is_some_and(|name| self.work.iter().any(|w| name.starts_with(w.as_str())))
    }
}

/// Whether folders are in a Bosc store, of whatever store.
#[derive(Debug, Default)]
pub(crate) struct StoreFolders(HashMap<PathBuf, Option<PathBuf>>);

impl StoreFolders {
    /// The store that a folder, given by its real path, is or is in. What was found is remembered.
    pub(crate) fn above(&mut self, folder: &Path) -> Option<PathBuf> {
        if let Some(known) = self.0.get(folder) {
            return known.clone();
        }
        let found = match is_store(folder) {
            true => Some(folder.to_owned()),
            false => folder.parent().and_then(|above| self.above(above)),
        };
        self.0.insert(folder.to_owned(), found.clone());
        found
    }
}

/// Whether a folder is a store's, damaged ones included.
fn is_store(folder: &Path) -> bool {
    let format = || bosc_files::read_bounded(&folder.join("FORMAT"), 64).ok().flatten();
    (folder.join("bosc.redb").is_file() && folder.join("data").is_dir())
        || format().is_some_and(|text| is_format(&text))
}

/// Whether the folder above that of a segment is a store.
fn is_in_store(file: &Path) -> bool {
    let above = file.parent().and_then(Path::parent);
    above.is_some_and(|folder| MARKS.iter().any(|m| folder.join(m).is_file()))
}
