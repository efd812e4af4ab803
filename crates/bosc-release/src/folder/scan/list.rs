//! What a folder holds, in little memory: some 50 bytes a file and its key, where a [`LocalFile`] takes three to five times
//! that.
//!
//! Keys lie one behind the other in one string, in their order; an item says where its key ends. Paths are not kept: a file
//! lies at its key below the root, whatever links led there. Symlinks, of which there are few, have their targets apart.

use super::types::{FileStat, LocalFile, LocalKind};
use std::path::{Path, PathBuf};

/// Files and symlinks of a folder, by key.
#[derive(Debug, Default)]
pub(crate) struct FileList {
    root: PathBuf,
    keys: String,
    items: Vec<Item>,
    /// Devices, of which a folder has one or few.
    devices: Vec<u64>,
    targets: Vec<String>,
    /// A file that lies elsewhere: its key, and where.
    apart: Option<(String, PathBuf)>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    /// Where the key ends in `keys`. It begins where the one before ends.
    end: usize,
    size: u64,
    mtime: i64,
    ctime: i64,
    inode: u64,
    /// Place of the device, of a symlink that of its target.
    place: u32,
    kind: ItemKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemKind {
    /// Whether its owner may run it.
    File(Option<bool>),
    Symlink,
}

/// One of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedFile<'l> {
    pub(crate) key: &'l str,
    pub(crate) kind: ListedKind<'l>,
}

/// As [`LocalKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedKind<'l> {
    File { stat: FileStat, executable: Option<bool> },
    Symlink { target: &'l str },
}

impl ListedFile<'_> {
    /// Its bytes.
    pub(crate) fn size(&self) -> u64 {
        match self.kind {
            ListedKind::File { stat, .. } => stat.size,
            ListedKind::Symlink { .. } => 0,
        }
    }

    /// As the walk found it, one of `list`.
    pub(crate) fn to_local(self, list: &FileList) -> LocalFile {
        let kind = match self.kind {
            ListedKind::File { stat, executable } => LocalKind::File { stat, executable },
            ListedKind::Symlink { target } => LocalKind::Symlink { target: target.to_owned() },
        };
        LocalFile { key: self.key.to_owned(), path: list.path(self.key), kind }
    }
}

/// Where a key lies below `root`.
fn path_of(root: &Path, key: &str) -> PathBuf {
    let mut path = root.to_owned();
    path.extend(key.split('/').filter(|part| !part.is_empty()));
    path
}

impl FileList {
    /// An empty list of what lies below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, ..Self::default() }
    }

    /// Adds a file; [`FileList::sort`] comes after the last.
    pub(crate) fn push(&mut self, key: &str, kind: &LocalKind) {
        let (stat, place, kind) = match kind {
            LocalKind::File { stat, executable } => {
                let at = self.devices.iter().position(|d| *d == stat.device).unwrap_or_else(|| {
                    self.devices.push(stat.device);
                    self.devices.len() - 1
                });
                (*stat, at, ItemKind::File(*executable))
            }
            LocalKind::Symlink { target } => {
                self.targets.push(target.clone());
                (FileStat::default(), self.targets.len() - 1, ItemKind::Symlink)
            }
        };
        self.keys.push_str(key);
        self.items.push(Item {
            end: self.keys.len(),
            size: stat.size,
            mtime: stat.mtime,
            ctime: stat.ctime,
            inode: stat.inode,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            kind,
        });
    }

    /// Puts all in the order of their keys.
    pub(crate) fn sort(&mut self) {
        if self.keys().zip(self.keys().skip(1)).all(|(a, b)| a <= b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        order.sort_unstable_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        let mut keys = String::with_capacity(self.keys.len());
        let mut items = Vec::with_capacity(self.items.len());
        for at in order {
            if let (Some(key), Some(item)) = (self.key(at), self.items.get(at)) {
                keys.push_str(key);
                items.push(Item { end: keys.len(), ..*item });
            }
        }
        (self.keys, self.items) = (keys, items);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Where one lies.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        match &self.apart {
            Some((apart, path)) if apart == key => path.clone(),
            _ => path_of(&self.root, key),
        }
    }

    /// Adds the file at `path` under a key that the folder has nothing at.
    pub(crate) fn push_apart(&mut self, key: &str, path: &Path) -> std::io::Result<()> {
        let stat = FileStat::new(&std::fs::metadata(path)?);
        self.push(key, &LocalKind::File { stat, executable: Some(false) });
        self.apart = Some((key.to_owned(), path.to_owned()));
        self.sort();
        Ok(())
    }

    /// The key at this place.
    pub(crate) fn key(&self, at: usize) -> Option<&str> {
        let start = match at.checked_sub(1) {
            Some(before) => self.items.get(before)?.end,
            None => 0,
        };
        self.keys.get(start..self.items.get(at)?.end)
    }

    /// All keys in their order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.items.len()).filter_map(|at| self.key(at))
    }

    /// The place of a key.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let (mut start, mut end) = (0, self.items.len());
        while start < end {
            let middle = start + (end - start) / 2;
            match self.key(middle)?.cmp(key) {
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The one at this place.
    pub(crate) fn get(&self, at: usize) -> Option<ListedFile<'_>> {
        let (key, item) = (self.key(at)?, self.items.get(at)?);
        let place = usize::try_from(item.place).unwrap_or(usize::MAX);
        let kind = match item.kind {
            ItemKind::File(executable) => ListedKind::File {
                stat: FileStat {
                    size: item.size,
                    mtime: item.mtime,
                    ctime: item.ctime,
                    inode: item.inode,
                    device: *self.devices.get(place)?,
                },
                executable,
            },
            ItemKind::Symlink => ListedKind::Symlink { target: self.targets.get(place)? },
        };
        Some(ListedFile { key, kind })
    }

    /// All of them by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ListedFile<'_>> + Clone {
        (0..self.items.len()).filter_map(|at| self.get(at))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::folder::glob::{Ignore, Only};
    use crate::folder::scan::{scan, scan_list};
    use std::fs;

    #[test]
    fn it_holds_what_a_scan_holds() {
        let dir = tempfile::tempdir().unwrap();
        // In another order by name than by key.
        for name in ["a/x", "a-b", "a.b", "a/y/z", "b", "é/ü"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            let outside = tempfile::tempdir().unwrap();
            fs::write(outside.path().join("f"), "out").unwrap();
            symlink("a/x", dir.path().join("a0")).unwrap();
            symlink(outside.path(), dir.path().join("ext")).unwrap();
            symlink("none", dir.path().join("é/none")).unwrap();
            check(dir.path());
        }
        check(dir.path());
    }

    fn check(root: &Path) {
        let (ignore, only) = (Ignore::default(), Only::default());
        let all = scan(root, &ignore, &only).unwrap();
        let (list, rest) = scan_list(root, &ignore, &only).unwrap();
        let local: Vec<_> = list.iter().map(|f| f.to_local(&list)).collect();
        assert_eq!(local, all.files);
        assert_eq!((rest.folders, rest.skipped, rest.files.len()), (all.folders, all.skipped, 0));
        assert_eq!(list.len(), all.files.len());
        for file in &all.files {
            assert!(list.find(&file.key).is_some());
            assert_eq!(list.path(&file.key), file.path);
            assert!(
                list.find(&format!("{}0", file.key)).is_none()
                    && list.find(&file.key.replace('/', "")).is_none()
            );
        }
        assert!(list.find("").is_none() && list.find("/~").is_none());
    }

    #[test]
    fn a_file_takes_little() {
        assert!(size_of::<Item>() <= 48, "{}", size_of::<Item>());
    }
}
