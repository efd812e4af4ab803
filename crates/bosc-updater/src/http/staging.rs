//! The files of a download in the staging folder.

use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::manifest::Asset;
use crate::manifest::verify::hex;
use std::io;
use std::path::{Path, PathBuf};

/// The files of one artifact in the staging folder.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    stem: String,
}

impl Files {
    pub(super) fn new(staging: &Path, asset: &Asset) -> Self {
        let stem = format!("http-{}", hex(&asset.sha256).get(..32).unwrap_or_default());
        Self { folder: staging.to_owned(), stem }
    }

    fn with(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.stem))
    }

    pub(super) fn part(&self) -> PathBuf {
        self.with("part")
    }

    pub(super) fn meta(&self) -> PathBuf {
        self.with("json")
    }

    /// Another answer than the part is of.
    pub(super) fn another(&self) -> PathBuf {
        self.with("new")
    }

    /// What a patch makes, until it is proved.
    #[cfg(feature = "deltas")]
    pub(super) fn made(&self) -> PathBuf {
        self.with("made")
    }

    /// The files of another download in the same folder.
    #[cfg(feature = "deltas")]
    pub(super) fn beside(&self, asset: &Asset) -> Self {
        Self::new(&self.folder, asset)
    }

    /// The whole, proved artifact.
    pub(super) fn build(&self) -> PathBuf {
        self.with("build")
    }

    /// What was unpacked from it.
    pub(super) fn unpacked(&self) -> PathBuf {
        self.with("d")
    }

    /// One for the whole folder: who is done with a release removes what others left there.
    pub(super) fn lock(&self) -> PathBuf {
        self.folder.join("http.lock")
    }

    /// Removes what other releases left. Errors are not looked at: it only frees room.
    pub(super) fn remove_others(&self) {
        remove(&self.folder, Some(&self.stem));
    }
}

/// Removes what was fetched into a folder, unless somebody fetches into it now. Errors are not looked at.
pub(super) fn remove_all(staging: &Path) {
    let lock = staging.join("http.lock");
    // Where nothing was ever fetched, nothing is made.
    if is_file(&lock)
        && let Ok(Some(_held)) = bosc_files::lock(&lock, std::time::Duration::ZERO)
    {
        remove(staging, None);
    }
}

fn remove(folder: &Path, but: Option<&str>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("http-") || but.is_some_and(|stem| name.starts_with(stem)) {
            continue;
        }
        let path = entry.path();
        let _ = match entry.file_type() {
            Ok(t) if t.is_dir() => std::fs::remove_dir_all(&path),
            _ => std::fs::remove_file(&path),
        };
    }
}

pub(super) fn disk(path: &Path, e: io::Error) -> UpdateError {
    let kind = files::kind(&e);
    let hint = match kind {
        ErrorKind::NoSpace => "free some room on the disk, then try again; what was received is kept",
        ErrorKind::Permission => "run the application as the user who owns it",
        _ => "check the disk, then try again",
    };
    UpdateError::new(kind, format!("updater: cannot write {}", path.display())).hint(hint).because(e)
}

pub(super) fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file())
}
