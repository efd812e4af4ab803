//! Small files of a program: its state, its marks and its locks, by path.

use crate::given::give;
use crate::names::one;
use crate::replace::{Durability, patiently};
use crate::system::Dir;
use std::ffi::OsStr;
#[cfg(windows)]
use std::fs::OpenOptions;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a lock that somebody else holds is tried.
const LOOK: Duration = Duration::from_millis(10);

/// Opens a file of this user alone to read and write it, or makes it. What it holds stays. What root makes in somebody else's folder is that
/// folder's owner's.
///
/// # Errors
/// `InvalidInput` for what is not a plain file; others of the system.
pub fn open_private(path: &Path) -> io::Result<File> {
    let (dir, name) = place(path)?;
    open_private_in(&dir, name)
}

fn open_private_in(dir: &Dir, name: &OsStr) -> io::Result<File> {
    // The one that was there first is whose it was.
    if dir.metadata(name).is_err() {
        match dir.create_file(name, 0o600) {
            Ok(file) => {
                give(&file, &dir.own_metadata()?);
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    dir.open_or_create(name, 0o600)
}

/// Makes a folder and those that are missing above it, for this user alone; by root, for the owner of the folder they are made in.
///
/// # Errors
/// As [`Dir::create`].
pub fn make_private_folders(path: &Path) -> io::Result<Dir> {
    Dir::create_private(path)
}

/// The folder of a file, and the file's name in it.
fn place(path: &Path) -> io::Result<(Dir, &OsStr)> {
    let name = one(path.file_name().ok_or(io::ErrorKind::InvalidInput)?)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(parent)?, name))
}

/// Removes a file. Whether there was one.
///
/// # Errors
/// Of the system.
pub fn remove_file(path: &Path, durability: Durability) -> io::Result<bool> {
    let (dir, name) = match place(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        place => place?,
    };
    match patiently(|| dir.remove_file(name)) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    if durability == Durability::Disk {
        dir.sync()?;
    }
    Ok(true)
}

/// Gives a file another name in its folder; a file there is replaced.
///
/// # Errors
/// Of the system.
pub fn rename_beside(path: &Path, name: impl AsRef<OsStr>, durability: Durability) -> io::Result<()> {
    let (dir, old) = place(path)?;
    patiently(|| dir.rename(old, &dir, name.as_ref()))?;
    if durability == Durability::Disk { dir.sync() } else { Ok(()) }
}

/// Held while a file of a folder is read, changed and replaced by a program of ours. Dropped, or with the end of the process, the
/// next one goes on.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code)] Option<File>);

/// Waits until no other program of ours changes files in a folder that people work in, and gives up after `patience`: `None` then.
/// Nothing is left in the folder. Where folders cannot be locked (some file systems of networks) it goes on without.
///
/// # Errors
/// When there is no such folder.
pub fn lock_folder(folder: &Path, patience: Duration) -> io::Result<Option<FolderLock>> {
    let begun = Instant::now();
    #[cfg(unix)]
    let handle = File::from(crate::resolve::folder(folder, crate::resolve::Missing::Fail)?);
    loop {
        #[cfg(unix)]
        let tried = handle.try_lock();
        #[cfg(not(unix))]
        let tried = held_alone(&folder.join(".bosc-lock"));
        match tried {
            #[cfg(unix)]
            Ok(()) => return Ok(Some(FolderLock(Some(handle)))),
            #[cfg(not(unix))]
            Ok(file) => return Ok(Some(FolderLock(Some(file)))),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => return Ok(Some(FolderLock(None))),
        }
    }
}

/// A file that only one process can have open, and that goes when it is closed.
#[cfg(windows)]
fn held_alone(path: &Path) -> Result<File, TryLockError> {
    use std::os::windows::fs::OpenOptionsExt;
    const GENERIC_WRITE: u32 = 0x4000_0000;
    const DELETE: u32 = 0x0001_0000;
    const DELETE_ON_CLOSE: u32 = 0x0400_0000;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).share_mode(0);
    options.access_mode(GENERIC_WRITE | DELETE).custom_flags(DELETE_ON_CLOSE);
    options.open(path).map_err(|e| match e.raw_os_error() {
        // ERROR_SHARING_VIOLATION; ERROR_ACCESS_DENIED while it goes.
        Some(32 | 5) if path.exists() => TryLockError::WouldBlock,
        _ => TryLockError::Error(e),
    })
}

#[cfg(not(any(unix, windows)))]
fn held_alone(_: &Path) -> Result<File, TryLockError> {
    Err(TryLockError::Error(io::ErrorKind::Unsupported.into()))
}

/// Locks a file that is made for it, for this user alone, and gives up after `patience`: `None` then. The lock ends when the file is
/// closed or the process ends.
///
/// # Errors
/// `InvalidInput` for what is not a plain file; others of the system.
pub fn lock(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let (dir, name) = place(path)?;
    let file = open_private_in(&dir, name)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}
