//! A folder to work in.
//!
//! `<prefix><random>/` holds `lock` (locked as long as the folder is used), whatever is made in it, and for a moment, on
//! systems that cannot exchange two names, `old` with the text `target` beside it. What a start finds:
//! * a folder that is locked: somebody is at work; left alone.
//! * one without `old`: a process was killed; removed.
//! * `old`, and nothing by the name in `target`: killed between two renames; `old` goes back, the rest is removed.
//! * `old` and something by that name: killed after them; removed.
//!
//! Only folders with our prefix, a random part, our owner and (on Unix) mode 0700 are looked into. A folder that somebody
//! else made is never used, and holds nobody up.

use crate::meta::Meta;
use crate::names::{is_random, one, random_name};
use crate::system::{Dir, exchanged};
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

const LOCK: &str = "lock";
const OLD: &str = "old";
const TARGET: &str = "target";
/// Longest name of a target, in bytes.
const MAX_NAME: u64 = 1024;

/// A fresh folder, removed when dropped.
#[derive(Debug)]
pub struct Work {
    parent: Dir,
    name: String,
    dir: Option<Dir>,
    lock: Option<File>,
}

/// What [`Work::sweep`] met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Folders that are in use.
    pub busy: usize,
    /// Folders that were removed.
    pub removed: usize,
}

impl Work {
    /// Makes one in `parent`.
    ///
    /// # Errors
    /// Of the system.
    pub fn create(parent: &Dir, prefix: &str) -> io::Result<Self> {
        for _ in 0..16 {
            let name = random_name(prefix, "")?;
            let dir = match parent.create_dir(&name, 0o700) {
                Ok(dir) => dir,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            };
            let mut work = Self { parent: parent.again()?, name, dir: Some(dir), lock: None };
            // A sweep of another process may take the folder for one that was left, until the lock is held.
            if work.lock()? {
                return Ok(work);
            }
        }
        Err(io::Error::other("no work folder could be made"))
    }

    /// Makes one in the system's folder for temporary files, and removes those of this user there that killed processes left.
    ///
    /// # Errors
    /// Of the system.
    pub fn temporary(prefix: &str) -> io::Result<Self> {
        let parent = Dir::open(&std::env::temp_dir())?;
        // What cannot be removed takes room and nothing else.
        let _ = Self::sweep(&parent, prefix);
        Self::create(&parent, prefix)
    }

    fn lock(&mut self) -> io::Result<bool> {
        // The umask may have taken rights that we need.
        self.dir().set_own_mode(0o700)?;
        let lock = match self.dir().create_file(LOCK, 0o600) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
        let held = Meta::from(&lock.metadata()?);
        let there = self.dir().metadata(LOCK).is_ok_and(|m| m.same_file(&held) || m.inode == 0);
        self.lock = Some(lock);
        Ok(there)
    }

    /// The folder. Names `lock`, `old` and `target` are taken.
    #[allow(clippy::missing_panics_doc, clippy::expect_used)]
    pub fn dir(&self) -> &Dir {
        self.dir.as_ref().expect("it is taken only by drop")
    }

    /// Its path, for messages and for programs.
    pub fn path(&self) -> &Path {
        self.dir().path()
    }

    /// Puts a file or folder of the work folder in its place, synced, in one step where the system can. `expected` is
    /// what the caller found there and decided to replace: nothing, or just that.
    ///
    /// # Errors
    /// `AlreadyExists` when something came to be there, `PermissionDenied` when something else is there than was expected;
    /// others of the system. What was there is there then.
    pub fn put(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        at: impl AsRef<OsStr>,
        expected: Option<&Meta>,
    ) -> io::Result<()> {
        let (name, at) = (one(name.as_ref())?, one(at.as_ref())?);
        let dir = self.dir();
        let Some(expected) = expected else {
            dir.rename_new(name, to, at)?;
            return to.sync();
        };
        if !expected.is_folder() && !dir.metadata(name)?.is_folder() {
            dir.rename(name, to, at)?;
            return to.sync();
        }
        match dir.exchange(name, to, at) {
            Ok(()) => {
                // Somebody may have put another folder there meanwhile: it is not ours to remove.
                if !dir.metadata(name)?.same_file(expected) {
                    let back = dir.exchange(name, to, at);
                    return Err(back.err().unwrap_or_else(|| exchanged(&to.path().join(at))));
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Unsupported => self.put_in_two(name, to, at, expected)?,
            Err(e) => return Err(e),
        }
        to.sync()
    }

    /// Without an exchange: the old one is moved aside and back when that is the end.
    pub(crate) fn put_in_two(&self, name: &OsStr, to: &Dir, at: &OsStr, expected: &Meta) -> io::Result<()> {
        let dir = self.dir();
        let mut note = dir.create_file(TARGET, 0o600)?;
        note.write_all(at.as_encoded_bytes())?;
        note.sync_all()?;
        dir.sync()?;
        to.rename(at, dir, OLD)?;
        let there = dir.metadata(OLD)?;
        let moved = if there.inode == 0 || there.same_file(expected) {
            dir.rename_new(name, to, at)
        } else {
            Err(exchanged(&to.path().join(at)))
        };
        if let Err(e) = moved {
            dir.rename_new(OLD, to, at)?;
            dir.remove_file(TARGET)?;
            return Err(e);
        }
        Ok(())
    }

    /// Puts right and removes what killed processes left in `parent`.
    ///
    /// # Errors
    /// When the folder cannot be listed, or what was moved aside cannot be moved back.
    pub fn sweep(parent: &Dir, prefix: &str) -> io::Result<Found> {
        let mut found = Found::default();
        for name in parent.list()? {
            if !is_random(&name, prefix, "") {
                continue;
            }
            match sweep_one(parent, &name)? {
                Swept::Busy => found.busy += 1,
                Swept::Removed => found.removed += 1,
                Swept::Left => {}
            }
        }
        Ok(found)
    }
}

enum Swept {
    Busy,
    Removed,
    /// It is not ours, or cannot be told from one that is being made.
    Left,
}

fn sweep_one(parent: &Dir, name: &OsString) -> io::Result<Swept> {
    let Ok(dir) = parent.open_dir(name) else { return Ok(Swept::Left) };
    let meta = dir.own_metadata()?;
    if !meta.ours() || (cfg!(unix) && meta.mode & 0o777 != 0o700) {
        return Ok(Swept::Left);
    }
    let lock = match dir.lock_file(LOCK) {
        Ok(Some(lock)) => lock,
        // Killed before the lock was made, or about to make it: only an empty folder goes.
        Ok(None) => return Ok(if parent.remove_dir(name).is_ok() { Swept::Removed } else { Swept::Left }),
        Err(_) => return Ok(Swept::Left),
    };
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Swept::Busy),
        Err(TryLockError::Error(_)) => return Ok(Swept::Left),
    }
    put_back(&dir, parent)?;
    let gone = empty(&dir, Some(lock)).is_ok() && parent.remove_dir(name).is_ok();
    Ok(if gone { Swept::Removed } else { Swept::Left })
}

/// Moves what was put aside back to its place, if that is free.
fn put_back(dir: &Dir, parent: &Dir) -> io::Result<()> {
    if dir.metadata(OLD).is_err() {
        return Ok(());
    }
    let mut target = Vec::new();
    dir.open_file(TARGET)?.take(MAX_NAME).read_to_end(&mut target)?;
    let target = os_string(target)?;
    match dir.rename_new(OLD, parent, &target) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)]
fn os_string(bytes: Vec<u8>) -> io::Result<OsString> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> io::Result<OsString> {
    String::from_utf8(bytes).map(Into::into).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Removes everything in a work folder, the lock last: until then nobody else touches it.
fn empty(dir: &Dir, lock: Option<File>) -> io::Result<()> {
    for name in dir.list()? {
        if name != LOCK {
            dir.remove(&name)?;
        }
    }
    if cfg!(windows) {
        // An open file is not removed there.
        drop(lock);
        return dir.remove(LOCK).map(drop);
    }
    dir.remove(LOCK)?;
    drop(lock);
    Ok(())
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        if put_back(&dir, &self.parent).is_ok() && empty(&dir, self.lock.take()).is_ok() {
            drop(dir);
            // Only an empty folder goes: one that somebody put there instead stays.
            let _ = self.parent.remove_dir(&self.name);
        }
    }
}

impl Dir {
    fn lock_file(&self, name: &str) -> io::Result<Option<File>> {
        match self.metadata(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
            Ok(meta) if !meta.is_file() => return Err(io::ErrorKind::InvalidInput.into()),
            Ok(_) => {}
        }
        self.open_file(name).map(Some)
    }
}
