//! What was installed from a link: a file in the store, replaced whole.

use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, Replace};
use bosc_format::id;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
