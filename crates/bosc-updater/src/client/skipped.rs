//! The version that the person does not want, remembered between starts.

use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::release::same;
use bosc_files::read_bounded;
use semver::Version;
use std::path::{Path, PathBuf};

/// Bytes of the file that are read; a longer one counts as damaged, and as none.
const MAX_LEN: u64 = 256;

/// The file it is kept in.
#[derive(Debug, Clone)]
pub(super) struct Skipped(PathBuf);

impl Skipped {
    /// In this user's folder for the updater.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(folder.join("skipped"))
    }

    pub(super) fn version(&self) -> Option<Version> {
        let text = read_bounded(&self.0, MAX_LEN).ok().flatten()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }

    pub(super) fn remember(&self, version: &Version) -> Result<(), UpdateError> {
        let text = version.to_string();
        files::state().write(&self.0, text.as_bytes()).map_err(|e| {
            UpdateError::new(ErrorKind::Disk, format!("cannot record that {version} was skipped"))
                .hint("give the updater a folder that this user may write to; it stays skipped until the next start")
                .because(e)
        })
    }

    /// Not being able to is no error: it is asked for by hand once more.
    pub(super) fn forget(&self, version: &Version) {
        if self.version().is_some_and(|there| same(&there, version)) {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
