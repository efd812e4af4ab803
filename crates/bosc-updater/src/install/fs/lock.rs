//! Files that are locked.

#[cfg(unix)]
use super::entry;
use super::give::give_open;
use super::meta::{Owner, me, owner_of};
use super::step::{Op, step};
#[cfg(not(unix))]
use std::fs::OpenOptions;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Opens a file to lock it, and tries to. Only who may write to it can: `owner` says who that is, and is seen to for a file that
/// is this user's.
pub(crate) fn try_lock(path: &Path, owner: Owner) -> io::Result<Option<File>> {
    step(Op::Lock, path)?;
    lock_now(open_lock(path, owner)?)
}

fn open_lock(path: &Path, owner: Owner) -> io::Result<File> {
    #[cfg(unix)]
    let file = entry::open_or_make(path)?;
    #[cfg(not(unix))]
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if owner_of(&found).0 == me() || me() == 0 {
        // A group that this user is not in: those in it lock each other out, nothing worse.
        give_open(&file, path, owner, 0o600)?;
    }
    Ok(file)
}

fn lock_now(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// [`try_lock`], and writes down since when.
pub(crate) fn try_lock_since(path: &Path, owner: Owner, now: SystemTime) -> io::Result<Option<File>> {
    let locked = try_lock(path, owner)?;
    if let Some(file) = &locked {
        // Without it every start counts.
        let _ = file.set_modified(now);
    }
    Ok(locked)
}
