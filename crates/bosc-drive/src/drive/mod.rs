//! A drive's file tree: entries in a bee, as `hyperdrive` 13 lays them out.
//!
//! A file is the key `files` 0x00 `/abs/path` with a JSON value. Folders are implied. Other keys of the bee
//! (`manifest`, `metadata`, `platformVersion`) are reached with [`Drive::raw`].
//!
//! # Files
//!
//! - Here: lookups, and how many symlinks are followed. `entry`: what is said of a file, its longest value. `path`: its name: how
//!   those of people are read, which keys are refused. `key`: its key in the bee. `list`: all of them, folders, differences. `batch`:
//!   changes as one append.

mod batch;
pub(crate) mod entry;
mod key;
mod list;
pub mod path;

pub use batch::{DriveBatch, RisingDriveBatch};
pub use entry::{DriveEntry, EntryValue, MAX_ENTRY_LEN};
pub use key::FILES_PREFIX;
pub use list::{DirEntry, DriveDiff, EntryChange, List, ReadDir};

use crate::bee::{Bee, Entry as BeeEntry, KeyRange};
use crate::{BlockSource, Error, Result};
use key::{files_key, folder_range};

/// Most symlinks followed for one path, as in `hyperdrive`.
const MAX_SYMLINKS: usize = 16;

/// A drive's file tree at one version. Cheap to copy when its source is.
#[derive(Debug, Clone, Copy)]
pub struct Drive<S> {
    bee: Bee<S>,
}

impl<S: BlockSource> Drive<S> {
    /// The drive as it is now.
    pub fn new(db: S) -> Self {
        Self { bee: Bee::new(db) }
    }

    /// The drive as it was at a length of its db.
    pub fn checkout(db: S, version: u64) -> Self {
        Self { bee: Bee::checkout(db, version) }
    }

    /// The version: the length of the db, at least 1.
    pub fn version(&self) -> u64 {
        self.bee.version()
    }

    /// The bee the entries are in.
    pub fn bee(&self) -> &Bee<S> {
        &self.bee
    }

    /// The entry called `name`, symlinks not followed.
    pub fn entry(&self, name: &str) -> Result<Option<DriveEntry>> {
        let key = files_key(&path::normalize(name)?);
        self.bee.get(&key)?.map(|e| DriveEntry::from_bee(&e)).transpose()
    }

    /// The entry `name` leads to, through at most 16 symlinks. As in `hyperdrive`, a relative target is seen from the
    /// link itself taken as a folder, so `..` stands for the link's own folder.
    pub fn entry_follow(&self, name: &str) -> Result<Option<DriveEntry>> {
        let mut name = name.to_owned();
        for _ in 0..MAX_SYMLINKS {
            let Some(entry) = self.entry(&name)? else { return Ok(None) };
            let Some(target) = &entry.value.linkname else { return Ok(Some(entry)) };
            name = path::resolve(&entry.key, target)?;
        }
        Err(Error::SymlinkLoop(name))
    }

    /// A key of the bee outside the file tree.
    pub fn raw(&self, key: &str) -> Result<Option<BeeEntry>> {
        self.bee.get(key.as_bytes())
    }

    /// All files below `folder` (`/` for the drive), in key order.
    pub fn list(&self, folder: &str) -> Result<List<S>>
    where
        S: Clone,
    {
        let folder = path::normalize_folder(folder)?;
        Ok(List::new(self.bee.range(folder_range(&folder, "/"))))
    }

    /// What lies directly in `folder`: files, symlinks and sub-folders, in key order.
    pub fn read_dir(&self, folder: &str) -> Result<ReadDir<S>>
    where
        S: Clone,
    {
        Ok(ReadDir::new(self.bee.clone(), path::normalize_folder(folder)?))
    }

    /// What changed below `folder` since the version `older` of the same drive, in key order.
    pub fn diff(&self, older: u64, folder: &str) -> Result<DriveDiff<S>>
    where
        S: Clone,
    {
        let folder = path::normalize_folder(folder)?;
        Ok(DriveDiff::new(self.bee.diff(older, folder_range(&folder, "/"))))
    }

    /// How long the blobs core must be to hold every file of this version: what a signing request names, and what a
    /// truncation keeps. Reads all entries; starts over after [`Error::Missing`].
    pub fn blobs_length(&self) -> Result<u64>
    where
        S: Clone,
    {
        let mut length = 0;
        for entry in self.bee.range(KeyRange::all()) {
            let entry = entry?;
            // Values outside the file tree may be anything; JavaScript looks at any that has a blob.
            let Some(value) = entry.value.as_deref() else { continue };
            let blob = match EntryValue::decode(entry.seq, value) {
                Ok(value) => value.blob,
                Err(e) if entry.key.starts_with(FILES_PREFIX) => return Err(e),
                Err(_) => None,
            };
            if let Some(blob) = blob {
                length = length.max(blob.block_offset.saturating_add(blob.block_length));
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
