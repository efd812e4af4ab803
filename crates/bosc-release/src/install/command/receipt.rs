//! What was installed from a link: a file in the store, replaced whole.

use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, Replace};
use bosc_format::id;
use bosc_updater::install::InstalledMark;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "installs";
/// Most bytes of a receipt that are read: thousands of names.
const MAX_RECEIPT: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReceiptState {
    /// Begun: what it names may be there or not, and is ours.
    Installing,
    /// Done.
    Installed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(super) link: String,
    pub(super) verlink: String,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) length: u64,
    pub(super) state: ReceiptState,
    /// The application and its programs.
    pub(super) files: BTreeSet<PathBuf>,
    /// Desktop entries and icons.
    pub(super) extras: BTreeSet<PathBuf>,
    /// What was put at these paths. One that has none here is of an install that did not end, or of a version without.
    #[serde(default)]
    pub(super) marks: BTreeMap<PathBuf, Mark>,
    /// The paths in each folder that was installed. A receipt of a version without names none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) contents: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// [`InstalledMark`] as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
}

impl From<InstalledMark> for Mark {
    fn from(mark: InstalledMark) -> Self {
        Self { identity: mark.identity, contents: mark.contents.map(|c| HEXLOWER.encode(&c)) }
    }
}

impl Mark {
    fn read(&self) -> InstalledMark {
        let contents = self.contents.as_ref().and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let contents = contents.and_then(|bytes| bytes.try_into().ok());
        InstalledMark { identity: self.identity.clone(), contents }
    }
}

fn path(store: &Path, key: &[u8; 32]) -> PathBuf {
    store.join(FOLDER).join(format!("{}.json", id::encode(key)))
}

fn failed(path: &Path, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CommandError {
    CommandError::new(ErrorKind::Store, "ERR_STORE", format!("{} cannot be used", path.display()))
        .because(e)
        .hint("check the store's folder, its disk and its permissions")
}

impl Receipt {
    /// Remembers what is at a path now as what was installed there.
    pub(super) fn mark(&mut self, path: &Path) -> Result<(), CommandError> {
        let mark = InstalledMark::of(path).map_err(|e| {
            CommandError::unwritable(format!("cannot look at {}", path.display()), e, "run it again")
        })?;
        self.marks.insert(path.to_owned(), mark.into());
        Ok(())
    }

    /// Whether what is at a path was installed from the link, or is an update of it. What somebody else put there since
    /// is not; what is not there is.
    pub(super) fn put(&self, path: &Path) -> Result<bool, CommandError> {
        let Some(mark) = self.marks.get(path) else { return Ok(true) };
        match mark.read().is_at(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(CommandError::unwritable(
                format!("cannot look at {}", path.display()),
                e,
                "check its permissions",
            )),
            Ok(put) => Ok(put),
        }
    }

    /// Whether what is at a path is, byte for byte, what was installed or an update of it.
    pub(super) fn is_untouched(&self, path: &Path) -> Result<bool, CommandError> {
        Ok(self.look(path, InstalledMark::is_untouched_at)?.unwrap_or(false))
    }

    /// Whether what is at a path is the very folder that was installed, and no update of it. One without a mark is of an install
    /// that did not end.
    pub(super) fn is_as_installed(&self, path: &Path) -> Result<bool, CommandError> {
        Ok(self.look(path, InstalledMark::is_itself_at)?.unwrap_or(true))
    }

    fn look(
        &self,
        path: &Path,
        is: fn(&InstalledMark, &Path) -> std::io::Result<bool>,
    ) -> Result<Option<bool>, CommandError> {
        let Some(mark) = self.marks.get(path) else { return Ok(None) };
        is(&mark.read(), path).map(Some).map_err(|e| {
            CommandError::unwritable(format!("cannot look at {}", path.display()), e, "check its permissions")
        })
    }

    pub(super) fn read(store: &Path, key: &[u8; 32]) -> Result<Option<Self>, CommandError> {
        let path = path(store, key);
        match bosc_files::read_plain(&path, MAX_RECEIPT) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| failed(&path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path, e)),
        }
    }

    pub(super) fn keep(&self, store: &Path, key: &[u8; 32]) -> Result<(), CommandError> {
        let path = path(store, key);
        let write = || -> std::io::Result<()> {
            Replace::new(Durability::Disk).make_folders().write(&path, &serde_json::to_vec(self)?)
        };
        write().map_err(|e| failed(&path, e))
    }

    pub(super) fn forget(store: &Path, key: &[u8; 32]) -> Result<(), CommandError> {
        let path = path(store, key);
        fs::remove_file(&path).map_err(|e| failed(&path, e))
    }
}
