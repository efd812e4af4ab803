//! Brings what was added to one build to another that takes its place, or is to.
//!
//! A file gets a second name in the other build where the file system has such (it costs no room, and whoever writes to it writes to
//! both), else it is copied. Links are made again. Sockets, pipes and devices are of no use without what made them.

use super::aside::Aside;
use super::shipped::{DEPTH, MAX_ADDED, Shipped, join};
use crate::install::fs;
use bosc_files::{Dir, Meta, give_folder_to_owner, give_to_owner};
use std::ffi::OsStr;
use std::io;

/// Lines that are kept of it.
const MAX_LINES: usize = 32;

/// What became of what was added.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// A line for each thing that did not come along and where it is instead; at most 32.
    pub lines: Vec<String>,
    seen: usize,
}

/// What was added to a build, and the build that it is brought to.
pub(crate) struct Carry<'a> {
    /// What the build was installed with.
    pub(crate) from: &'a Shipped,
    /// What the other was.
    pub(crate) to: &'a Shipped,
    pub(crate) aside: Aside,
    /// Nothing may be added to the other build: a bundle's signature covers all that is in it.
    pub(crate) sealed: bool,
    /// What can neither be linked nor copied, as the file of another user, is moved. Only to a build that is in its place.
    pub(crate) moves: bool,
    pub(crate) done: Carried,
}

impl Shipped {
    /// Brings what was added to the build at `old`, which was installed with this list, to the one at `new`. What the new one ships
    /// at the same path counts, and what was added there goes aside.
    ///
    /// # Errors
    /// Of the system; with more than [`super::MAX_ADDED`] things that were added.
    pub fn carry_over(
        &self,
        old: &Dir,
        new: &Dir,
        ships: &Self,
        aside: Aside,
        sealed: bool,
    ) -> io::Result<Carried> {
        Carry { from: self, to: ships, aside, sealed, moves: false, done: Carried::default() }.all(old, new)
    }
}

impl Carry<'_> {
    pub(crate) fn all(mut self, old: &Dir, new: &Dir) -> io::Result<Carried> {
        self.folder(old, new, "", 0)?;
        Ok(self.done)
    }

    fn folder(&mut self, old: &Dir, new: &Dir, at: &str, depth: usize) -> io::Result<()> {
        if depth >= DEPTH {
            return Err(io::Error::other(format!("{at} is in too many folders")));
        }
        let mut names = old.list()?;
        names.sort_unstable();
        for name in names {
            let path = join(at, &name);
            let meta = old.metadata(&name)?;
            if !meta.is_folder() {
                if !self.from.has(&path) {
                    self.entry(old, new, &name, &path, &meta)?;
                }
                continue;
            }
            let shipped = self.from.has_folder(&path);
            let sub = old.open_dir(&name)?;
            if shipped && !self.from.adds_to(&sub, &path, depth + 1)? {
                continue;
            }
            if !shipped {
                self.count(&path)?;
            }
            if self.sealed {
                self.put_aside(&sub, &path, depth + 1)?;
                continue;
            }
            let into = match found(new.metadata(&name))? {
                Some(there) if there.is_folder() => new.open_dir(&name)?,
                // The new build has something else there.
                Some(_) => {
                    self.put_aside(&sub, &path, depth + 1)?;
                    continue;
                }
                None => {
                    new.create_dir(&name, 0o777)?;
                    let at = new.path().join(&name);
                    give_folder_to_owner(&at);
                    if let Some(made) = fs::look(&at)? {
                        fs::set_mode(&at, &made, meta.mode & 0o777 | 0o700)?;
                    }
                    new.open_dir(&name)?
                }
            };
            self.folder(&sub, &into, &path, depth + 1)?;
        }
        new.sync()
    }

    fn count(&mut self, path: &str) -> io::Result<()> {
        self.done.seen += 1;
        if self.done.seen > MAX_ADDED {
            return Err(io::Error::other(format!(
                "more than {MAX_ADDED} files were added to the application, among them {path}"
            )));
        }
        Ok(())
    }

    fn say(&mut self, line: String) {
        if self.done.lines.len() < MAX_LINES {
            self.done.lines.push(line);
        }
    }

    /// A file or link that was added.
    fn entry(&mut self, old: &Dir, new: &Dir, name: &OsStr, path: &str, meta: &Meta) -> io::Result<()> {
        if !meta.is_file() && !meta.is_link() {
            return Ok(());
        }
        self.count(path)?;
        let there = found(new.metadata(name))?;
        if self.sealed || there.is_some_and(|there| there.is_folder() || self.to.has(path)) {
            if let Some(there) = there.filter(|_| !self.sealed)
                && same_bytes(old, meta, new, &there, name)?
            {
                return Ok(());
            }
            return self.one_aside(old, name, path, meta);
        }
        let brought = match there {
            Some(there) if !is_newer(meta, &there) => Ok(()),
            // It was written to on one side since, by a program that replaces what it writes.
            there => bring(old, new, name, meta, there.is_some()),
        };
        brought.or_else(|e| self.cannot(e, old, new, name, path))
    }

    /// It may be neither linked nor read: another user's.
    fn cannot(&mut self, e: io::Error, old: &Dir, new: &Dir, name: &OsStr, path: &str) -> io::Result<()> {
        if e.kind() != io::ErrorKind::PermissionDenied {
            return Err(e);
        }
        if self.moves && old.rename_new(name, new, name).is_err() {
            self.say(format!("{path}: it could not be taken along ({e}); it is in {}", old.path().display()));
        }
        Ok(())
    }

    fn one_aside(&mut self, old: &Dir, name: &OsStr, path: &str, meta: &Meta) -> io::Result<()> {
        let into = self.aside.folder(path.rsplit_once('/').map_or("", |(at, _)| at))?;
        match found(into.metadata(name))? {
            Some(there) if there.is_folder() || !is_newer(meta, &there) => return Ok(()),
            there => bring(old, &into, name, meta, there.is_some())?,
        }
        into.sync()?;
        let why = if self.sealed {
            "nothing may be added to a signed bundle"
        } else {
            "the release has a file of its own there"
        };
        self.say(format!("{path}: {why}; what was added is {}", self.aside.path(path).display()));
        Ok(())
    }

    /// All that was added to a folder.
    fn put_aside(&mut self, old: &Dir, at: &str, depth: usize) -> io::Result<()> {
        if depth >= DEPTH {
            return Err(io::Error::other(format!("{at} is in too many folders")));
        }
        for name in old.list()? {
            let path = join(at, &name);
            let meta = old.metadata(&name)?;
            if meta.is_folder() {
                self.put_aside(&old.open_dir(&name)?, &path, depth + 1)?;
            } else if !self.from.has(&path) && (meta.is_file() || meta.is_link()) {
                self.count(&path)?;
                self.one_aside(old, &name, &path, &meta)?;
            }
        }
        Ok(())
    }
}

/// Whether `a` is not the file that `b` is and was written to later.
fn is_newer(a: &Meta, b: &Meta) -> bool {
    !a.same_file(b) && a.kind == b.kind && a.mtime > b.mtime
}

fn found(meta: io::Result<Meta>) -> io::Result<Option<Meta>> {
    match meta {
        Ok(meta) => Ok(Some(meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether both are files with the same bytes, or links with the same text.
fn same_bytes(old: &Dir, a: &Meta, new: &Dir, b: &Meta, name: &OsStr) -> io::Result<bool> {
    use std::io::{BufRead, BufReader};
    if a.is_link() && b.is_link() {
        return Ok(old.read_link(name)? == new.read_link(name)?);
    }
    if !a.is_file() || !b.is_file() || a.len != b.len {
        return Ok(false);
    }
    let mut a = BufReader::with_capacity(fs::CHUNK, old.open_file(name)?);
    let mut b = BufReader::with_capacity(fs::CHUNK, new.open_file(name)?);
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let len = left.len().min(right.len());
        if len == 0 {
            return Ok(left.len() == right.len());
        }
        if left.get(..len) != right.get(..len) {
            return Ok(false);
        }
        a.consume(len);
        b.consume(len);
    }
}

/// Gives a file or link its name in the other build.
fn bring(old: &Dir, new: &Dir, name: &OsStr, meta: &Meta, replaces: bool) -> io::Result<()> {
    if !replaces {
        return copy(old, new, name, name, meta);
    }
    let other = bosc_files::random_name(".bosc-", ".tmp")?;
    copy(old, new, name, OsStr::new(&other), meta)?;
    new.rename(&other, new, name).inspect_err(|_| drop(new.remove_file(&other)))
}

/// A file or a link.
fn copy(old: &Dir, new: &Dir, name: &OsStr, to: &OsStr, meta: &Meta) -> io::Result<()> {
    if meta.is_link() {
        return new.symlink(&old.read_link(name)?, to, leads_to_folder(old, name));
    }
    match old.second_name(name, new, to) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists || bosc_files::is_full(&e) => return Err(e),
        // File systems without second names, other file systems, others' files, a file with too many.
        Err(_) => {}
    }
    let mut from = old.open_file(name)?;
    let mut file = new.create_file(to, 0o600)?;
    let mut copied = || -> io::Result<()> {
        give_to_owner(&file, new.path());
        io::copy(&mut from, &mut file)?;
        // So that it is no newer than what it was copied from.
        let written = from.metadata()?.modified()?;
        file.set_modified(written)?;
        new.set_mode(to, meta.mode & 0o777)?;
        file.sync_all()
    };
    copied().inspect_err(|_| drop(new.remove_file(to)))
}

/// Windows wants to know.
fn leads_to_folder(dir: &Dir, name: &OsStr) -> bool {
    cfg!(windows) && dir.path().join(name).is_dir()
}
