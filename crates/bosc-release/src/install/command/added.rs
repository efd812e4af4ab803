//! What somebody added to the folder of an application: it is neither removed with it nor lost when it is replaced.
//!
//! Invariants:
//! * Removed is only what was installed, by its path in the folder, and folders that are empty then.
//! * What was added is copied before the new build takes its place, so that a kill loses nothing of it.
//! * What the new build has at the same path counts.

use bosc_files::{Dir, Meta};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;

/// Most names that are listed.
const LISTED: usize = 10;
/// Folders in folders that are walked; what is deeper stays.
const DEPTH: usize = 200;

/// What stayed of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stayed {
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

    pub(super) fn is_empty(&self) -> bool {
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

/// Paths of what was installed in a folder, with `/` between their parts.
pub(super) struct Known<'a>(pub(super) &'a BTreeSet<String>);

impl Known<'_> {
    fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether something was installed below this folder.
    fn has_below(&self, path: &str) -> bool {
        let start = format!("{path}/");
        let mut from = self.0.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        from.next().is_some_and(|first| first.starts_with(&start))
    }

    /// Removes what was installed from a folder. What stays.
    pub(super) fn remove(&self, folder: &Dir) -> io::Result<Stayed> {
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
            } else if depth < DEPTH && self.has_below(&path) {
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

    /// Copies what was added to the old build into the new one.
    pub(super) fn carry_over(&self, old: &Dir, new: &Dir) -> io::Result<()> {
        self.carry_over_in(old, new, "", 0)
    }

    fn carry_over_in(&self, old: &Dir, new: &Dir, at: &str, depth: usize) -> io::Result<()> {
        for name in old.list()? {
            let path = join(at, &name);
            let meta = old.metadata(&name)?;
            let there = found(new.metadata(&name))?;
            if !meta.is_folder() {
                if there.is_none() && !self.has(&path) {
                    copy(old, new, &name, &meta)?;
                }
                continue;
            }
            if depth >= DEPTH {
                return Err(io::Error::other(format!("{path} is in too many folders")));
            }
            let sub = old.open_dir(&name)?;
            let into = match there {
                Some(there) if there.is_folder() => new.open_dir(&name)?,
                // The new build has something else there.
                Some(_) => continue,
                None if self.has_below(&path) && !self.adds_to(&sub, &path, depth + 1)? => continue,
                None => new.create_dir(&name, 0o777)?,
            };
            self.carry_over_in(&sub, &into, &path, depth + 1)?;
        }
        Ok(())
    }

    /// Whether a folder holds anything that was not installed.
    fn adds_to(&self, folder: &Dir, at: &str, depth: usize) -> io::Result<bool> {
        for name in folder.list()? {
            let path = join(at, &name);
            let adds = match folder.metadata(&name)?.is_folder() {
                true if depth < DEPTH && self.has_below(&path) => {
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

fn join(at: &str, name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if at.is_empty() { name.into_owned() } else { format!("{at}/{name}") }
}

fn found(meta: io::Result<Meta>) -> io::Result<Option<Meta>> {
    match meta {
        Ok(meta) => Ok(Some(meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A file or a link; whatever else lies there is of no use without what made it.
fn copy(old: &Dir, new: &Dir, name: &OsStr, meta: &Meta) -> io::Result<()> {
    if meta.is_link() {
        return new.symlink(&old.read_link(name)?, name, false);
    }
    if meta.is_file() {
        let mut from = old.open_file(name)?;
        let mut to = new.create_file(name, 0o600)?;
        io::copy(&mut from, &mut to)?;
        new.set_mode(name, meta.mode & 0o777)?;
    }
    Ok(())
}
