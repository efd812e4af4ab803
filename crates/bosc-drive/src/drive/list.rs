//! Walks over a drive's entries. Like the bee's, they do not advance on `Err(Error::Missing)`.

use super::entry::DriveEntry;
use super::key::folder_range;
use crate::bee::{Bee, Diff, Range};
use crate::{BlockSource, Error, Result};

/// All files below a folder.
#[derive(Debug, Clone)]
pub struct List<S> {
    range: Range<S>,
}

impl<S: BlockSource> List<S> {
    pub(super) fn new(range: Range<S>) -> Self {
        Self { range }
    }

    /// Up to `max` db blocks it will need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        self.range.wanted(max)
    }
}

impl<S: BlockSource> Iterator for List<S> {
    type Item = Result<DriveEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.range.next()?.and_then(|e| DriveEntry::from_bee(&e)))
    }
}

/// Something directly in a folder.
#[derive(Debug, Clone, PartialEq)]
pub enum DirEntry {
    /// A file or symlink.
    File(Box<DriveEntry>),
    /// A folder: its name, without slashes.
    Folder(String),
}

impl DirEntry {
    /// Its name in the folder.
    pub fn name(&self) -> &str {
        match self {
            Self::File(entry) => entry.key.rsplit('/').next().unwrap_or_default(),
            Self::Folder(name) => name,
        }
    }
}

/// What lies directly in a folder. Skips over the content of sub-folders without reading it.
#[derive(Debug, Clone)]
pub struct ReadDir<S> {
    bee: Bee<S>,
    folder: String,
    range: Option<Range<S>>,
    after: String,
    done: bool,
}

impl<S: BlockSource + Clone> ReadDir<S> {
    pub(super) fn new(bee: Bee<S>, folder: String) -> Self {
        Self { bee, folder, range: None, after: "/".into(), done: false }
    }

    /// Up to `max` db blocks it will need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        self.range.as_ref().map(|r| r.wanted(max)).unwrap_or_default()
    }

    fn step(&mut self) -> Result<Option<DirEntry>> {
        let range = self.range.get_or_insert_with(|| self.bee.range(folder_range(&self.folder, &self.after)));
        let Some(entry) = range.next().transpose()? else { return Ok(None) };
        let entry = DriveEntry::from_bee(&entry)?;
        let name = entry.key.get(self.folder.len() + 1..).unwrap_or_default();
        match name.split_once('/') {
            None => Ok(Some(DirEntry::File(Box::new(entry)))),
            Some((name, _)) => {
                let name = name.to_owned();
                self.after = format!("/{name}0");
                self.range = None;
                Ok(Some(DirEntry::Folder(name)))
            }
        }
    }
}

impl<S: BlockSource + Clone> Iterator for ReadDir<S> {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.step();
        self.done = !matches!(result, Ok(Some(_)) | Err(Error::Missing(_)));
        result.transpose()
    }
}

/// One changed file. Never both `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryChange {
    /// The entry in the newer version; `None` when removed.
    pub new: Option<DriveEntry>,
    /// The entry in the older version; `None` when added.
    pub old: Option<DriveEntry>,
}

impl EntryChange {
    /// The path that changed.
    pub fn key(&self) -> &str {
        self.new.as_ref().or(self.old.as_ref()).map_or("", |e| &e.key)
    }
}

/// Changes between two versions of a drive, in key order.
#[derive(Debug, Clone)]
pub struct DriveDiff<S> {
    diff: Diff<S>,
}

impl<S: BlockSource> DriveDiff<S> {
    pub(super) fn new(diff: Diff<S>) -> Self {
        Self { diff }
    }

    /// Up to `max` db blocks it will likely need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        self.diff.wanted(max)
    }
}

impl<S: BlockSource> Iterator for DriveDiff<S> {
    type Item = Result<EntryChange>;

    fn next(&mut self) -> Option<Self::Item> {
        let decode = |e: Option<crate::bee::Entry>| e.map(|e| DriveEntry::from_bee(&e)).transpose();
        Some(self.diff.next()?.and_then(|c| Ok(EntryChange { new: decode(c.new)?, old: decode(c.old)? })))
    }
}
