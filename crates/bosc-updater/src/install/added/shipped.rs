//! What was installed in a folder, and what stays when it goes.

use crate::release::Contents;
use bosc_files::Dir;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;
use std::path::Path;

/// Most names that are listed.
const LISTED: usize = 10;
/// Folders in folders that are walked; what is deeper stays.
pub(super) const DEPTH: usize = 200;
/// Files, links and folders that may be added to an application.
pub const MAX_ADDED: usize = 200_000;

/// What stayed of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stayed {
    names: Vec<String>,
    count: u64,
}

impl Stayed {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.names.len() < LISTED {
            self.names.push(name);
        }
    }

    /// Nothing did.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl std::fmt::Display for Stayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match self.count.saturating_sub(self.names.len() as u64) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Paths of what was installed in a folder, with `/` between their parts. Folders need not be among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shipped(pub(super) BTreeSet<String>);

impl FromIterator<String> for Shipped {
    fn from_iter<I: IntoIterator<Item = String>>(paths: I) -> Self {
        Self(paths.into_iter().collect())
    }
}

impl Shipped {
    /// All that a release has.
    pub(crate) fn of(contents: &Contents) -> Self {
        contents.entries.iter().filter(|e| !e.path.is_empty()).map(|e| e.path.clone()).collect()
    }

    /// All that lies in a folder now; `None` when that is more than an application holds.
    pub(crate) fn found_at(path: &Path) -> io::Result<Option<Self>> {
        let mut all = Self::default();
        Ok(all.find(&Dir::open(path)?, "", 0)?.then_some(all))
    }

    fn find(&mut self, folder: &Dir, at: &str, depth: usize) -> io::Result<bool> {
        for name in folder.list()? {
            let path = join(at, &name);
            if self.0.len() >= MAX_ADDED || depth >= DEPTH {
                return Ok(false);
            }
            if folder.metadata(&name)?.is_folder()
                && !self.find(&folder.open_dir(&name)?, &path, depth + 1)?
            {
                return Ok(false);
            }
            self.0.insert(path);
        }
        Ok(true)
    }

    /// Whether it was installed at this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether something was installed below this folder.
    fn has_below(&self, path: &str) -> bool {
        let start = format!("{path}/");
        let mut from = self.0.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        from.next().is_some_and(|first| first.starts_with(&start))
    }

    pub(super) fn has_folder(&self, path: &str) -> bool {
        self.has(path) || self.has_below(path)
    }

    /// Removes what was installed from a folder. What stays.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove(&self, folder: &Dir) -> io::Result<Stayed> {
        let mut stayed = Stayed::default();
        self.remove_in(folder, "", 0, &mut stayed)?;
        Ok(stayed)
    }

    fn remove_in(&self, folder: &Dir, at: &str, depth: usize, stayed: &mut Stayed) -> io::Result<()> {
        let mut names = folder.list()?;
        names.sort_unstable();
        for name in names {
            let path = join(at, &name);
            let meta = folder.metadata(&name)?;
            if !meta.is_folder() {
                if self.has(&path) { folder.remove_file(&name)? } else { stayed.add(path) }
            } else if depth < DEPTH && self.has_folder(&path) {
                let before = stayed.count;
                self.remove_in(&folder.open_dir(&name)?, &path, depth + 1, stayed)?;
                if stayed.count == before {
                    folder.remove_dir(&name)?;
                }
            } else {
                stayed.add(format!("{path}/"));
            }
        }
        Ok(())
    }

    /// Removes all but what was installed.
    pub(crate) fn strip(&self, folder: &Dir) -> io::Result<()> {
        self.strip_in(folder, "", 0)
    }

    fn strip_in(&self, folder: &Dir, at: &str, depth: usize) -> io::Result<()> {
        for name in folder.list()? {
            let path = join(at, &name);
            let folder_there = folder.metadata(&name)?.is_folder();
            if folder_there && depth < DEPTH && self.has_folder(&path) {
                self.strip_in(&folder.open_dir(&name)?, &path, depth + 1)?;
            } else if folder_there || !self.has(&path) {
                folder.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Whether a folder holds anything that was not installed.
    pub(super) fn adds_to(&self, folder: &Dir, at: &str, depth: usize) -> io::Result<bool> {
        for name in folder.list()? {
            let path = join(at, &name);
            let adds = match folder.metadata(&name)?.is_folder() {
                true if depth < DEPTH && self.has_folder(&path) => {
                    self.adds_to(&folder.open_dir(&name)?, &path, depth + 1)?
                }
                true => true,
                false => !self.has(&path),
            };
            if adds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(super) fn join(at: &str, name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if at.is_empty() { name.into_owned() } else { format!("{at}/{name}") }
}
