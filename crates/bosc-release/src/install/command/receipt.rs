//! What was installed from a link: a file in the store, replaced whole.
//!
//! It holds one [`Receipt`] for each place, which is the folders that something was installed to by one command. Two that share
//! a folder are of one place. A file of an older version holds one receipt, alone.
//!
//! Invariants:
//! 1. Keeping the receipt of one place leaves those of all others as they are, but for desktop entries and icons: those belong to the
//!    place that wrote them last.
//! 2. No path is in two receipts.

use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, Replace};
use bosc_format::id;
use bosc_updater::install::InstalledMark;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
    /// The folders that something was installed to. Empty in a receipt of an older version: those of its files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) folders: BTreeSet<PathBuf>,
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

    /// The folders that make its place.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        match self.folders.is_empty() {
            true => self.files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect(),
            false => self.folders.clone(),
        }
    }

    /// Whether it is of the place that these folders make.
    pub(super) fn is_in(&self, folders: &BTreeSet<PathBuf>) -> bool {
        !self.folders().is_disjoint(folders)
    }

    /// What was installed to several places that turn out to be one.
    fn join(mut self, other: Self) -> Self {
        // Neither version is the one that is there.
        if other.state == ReceiptState::Installing || other.length != self.length {
            self.state = ReceiptState::Installing;
        }
        self.folders = self.folders().into_iter().chain(other.folders()).collect();
        self.files.extend(other.files);
        self.extras.extend(other.extras);
        self.marks.extend(other.marks);
        self.contents.extend(other.contents);
        self
    }

    /// What was installed to the place that these folders make.
    pub(super) fn of_place(
        store: &Path,
        key: &[u8; 32],
        folders: &BTreeSet<PathBuf>,
    ) -> Result<Option<Self>, CommandError> {
        Ok(Self::all(store, key)?.into_iter().filter(|r| r.is_in(folders)).reduce(Self::join))
    }

    /// All that was installed from a link, place by place.
    pub(super) fn all(store: &Path, key: &[u8; 32]) -> Result<Vec<Self>, CommandError> {
        let path = path(store, key);
        let read = match bosc_files::read_plain(&path, MAX_RECEIPT) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(&path, e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(&path, e)),
        };
        Ok(match read {
            Kept::Places { places } => places,
            Kept::One(one) => vec![*one],
        })
    }

    /// Keeps it, in place of what was known of its place.
    pub(super) fn keep(&self, store: &Path, key: &[u8; 32]) -> Result<(), CommandError> {
        let _alone = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = Self::all(store, key)?;
        places.retain(|r| !r.is_in(&self.folders()));
        for other in &mut places {
            other.extras.retain(|path| !self.extras.contains(path));
        }
        places.push(self.clone());
        write(store, key, places)
    }

    /// Forgets what was installed to a place.
    pub(super) fn forget(&self, store: &Path, key: &[u8; 32]) -> Result<(), CommandError> {
        let _alone = KEEPING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = Self::all(store, key)?;
        places.retain(|r| !r.is_in(&self.folders()));
        write(store, key, places)
    }
}

/// Held while the file is changed: several commands may install from one link at once.
static KEEPING: Mutex<()> = Mutex::new(());

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Places {
        places: Vec<Receipt>,
    },
    /// As older versions wrote it.
    One(Box<Receipt>),
}

fn write(store: &Path, key: &[u8; 32], places: Vec<Receipt>) -> Result<(), CommandError> {
    let path = path(store, key);
    let write = || -> std::io::Result<()> {
        if places.is_empty() {
            return fs::remove_file(&path);
        }
        let text = serde_json::to_vec(&Kept::Places { places })?;
        Replace::new(Durability::Disk).make_folders().write(&path, &text)
    };
    write().map_err(|e| failed(&path, e))
}
