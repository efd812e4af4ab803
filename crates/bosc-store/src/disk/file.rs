//! A directory of the file system. Files are private to the user (mode 0600, directories 0700) because the
//! database holds secret keys.

use super::place::{MARK, Place};
use super::traits::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::folder_state::FORMAT_FILE;
use crate::{db, reserve, sequence};
use bosc_files::{Dir, trusted_owner};
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file the owner's lock is on.
const LOCK_FILE: &str = "LOCK";
/// The file the owner writes its process id to. Not the lock file itself: locks are mandatory on Windows, and
/// whoever is refused should still be able to read it.
const OWNER_FILE: &str = "OWNER";
/// The folder with the segments.
const DATA: &str = "data";
const PRIVATE: u32 = 0o600;

/// A directory, owned by this process alone for as long as the value lives. The operating system takes the lock
/// back when the process dies, however it dies.
///
/// It and `data` are reached by handles. A link to either is followed when the user or root made it; a file in them that
/// is a link is refused, and so is a folder where another user may have put files.
#[derive(Debug)]
pub struct DirDisk {
    path: PathBuf,
    dir: Dir,
    data: Dir,
    place: Place,
    lock: File,
}

impl DirDisk {
    /// Creates the directory (and those above it) when missing and takes the lock.
    ///
    /// # Errors
    /// [`Error::Foreign`] for a folder where another user may write, and for a file in it that is a link or belongs to
    /// another user; [`Error::Locked`] when another process has it; [`Error::Io`] and [`Error::Full`] from the file system.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, false)
    }

    /// As [`DirDisk::open`]; root may open the folder of another user, whose what is made in it then is.
    ///
    /// # Errors
    /// As [`DirDisk::open`].
    pub fn open_for_owner_of_folder(path: &Path) -> Result<Self> {
        Self::open_as(path, bosc_files::user() == 0)
    }

    fn open_as(path: &Path, of_anybody: bool) -> Result<Self> {
        let dir = Dir::create(path, 0o700).map_err(|e| refused(path, e))?;
        check(&dir, of_anybody)?;
        let data = data(&dir, of_anybody)?;
        let lock_path = path.join(LOCK_FILE);
        let lock = open_or_make(&dir, LOCK_FILE).map_err(|e| Error::io(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path: path.to_path_buf(), pid: owner(&dir) });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&lock_path, e)),
        }
        // Only a hint for the error above: failing to write it (a full disk) must not keep anyone out.
        let _ = open_or_make(&dir, OWNER_FILE).and_then(|mut f| {
            f.set_len(0)?;
            f.write_all(std::process::id().to_string().as_bytes())
        });
        Ok(Self { path: path.to_path_buf(), dir, data, place: Place::new(path), lock })
    }

    /// The folder of a file, and the file's name in it.
    fn at<'a>(&self, name: &'a str) -> (&Dir, &'a str) {
        match name.split_once('/') {
            Some((DATA, name)) => (&self.data, name),
            _ => (&self.dir, name),
        }
    }
}

impl Drop for DirDisk {
    /// Takes the lock off rather than leave that to closing the file: a process that another thread starts at this moment has a copy of
    /// it until it runs its own program, and would hold the lock as long.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// What the system says of a way that may lead over a link of another user.
fn refused(path: &Path, e: io::Error) -> Error {
    match e.get_ref() {
        Some(why) if e.kind() == io::ErrorKind::PermissionDenied => {
            Error::Foreign { path: path.to_path_buf(), why: why.to_string() }
        }
        _ => Error::io(path, e),
    }
}

/// Opens a file for writing, or makes it: for the folder's owner, whoever runs this.
fn open_or_make(dir: &Dir, name: &str) -> io::Result<File> {
    match dir.open_to_write(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match dir.create_file(name, PRIVATE) {
        Ok(made) => bosc_files::give_to_owner(&made, dir.path()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    dir.open_or_create(name, PRIVATE)
}

/// Whether all in a folder is ours to read and write; `of_anybody`: or its owner's.
fn check(dir: &Dir, of_anybody: bool) -> Result<()> {
    let path = dir.path();
    let folder = dir.own_metadata().map_err(|e| Error::io(path, e))?;
    if !of_anybody || folder.mode & 0o002 != 0 {
        dir.refuse_others().map_err(|e| refused(path, e))?;
    }
    for name in dir.list().map_err(|e| Error::io(path, e))? {
        let Ok(meta) = dir.metadata(&name) else { continue };
        let why = if !trusted_owner(meta.uid) && meta.uid != folder.uid {
            format!("it belongs to another user (uid {})", meta.uid)
        } else if is_opened(&name) && !meta.is_file() {
            "it is not a plain file".to_owned()
        } else {
            continue;
        };
        return Err(Error::Foreign { path: path.join(name), why });
    }
    Ok(())
}

/// Whether the name is one of a store's files.
fn is_opened(name: &OsStr) -> bool {
    let known = [LOCK_FILE, OWNER_FILE, db::FILE, FORMAT_FILE, sequence::FILE, reserve::FILE, MARK];
    known.iter().any(|file| name == *file) || Path::new(name).extension().is_some_and(|e| e == "seg")
}

fn data(dir: &Dir, of_anybody: bool) -> Result<Dir> {
    let path = dir.path().join(DATA);
    let opened = match dir.open_dir(DATA) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            dir.create_dir(DATA, 0o700).inspect(|_| bosc_files::give_folder_to_owner(&path))
        }
        // A link to another disk: the folder is ours, and so is the link.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Dir::open(&path),
        other => other,
    };
    let data = match opened {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => dir.open_dir(DATA),
        other => other,
    }
    .map_err(|e| refused(&path, e))?;
    check(&data, of_anybody)?;
    Ok(data)
}

/// Process id the owner of `dir` left, if it can be read.
fn owner(dir: &Dir) -> Option<u32> {
    let mut text = String::new();
    dir.open_file(OWNER_FILE).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl Disk for DirDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let (dir, name) = self.at(name);
        let opened = if create { open_or_make(dir, name) } else { dir.open_to_write(name) };
        match opened {
            Ok(file) => Ok(Some(Arc::new(OsFile(file)))),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !create => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let dir = match folder {
            DATA => self.data.again(),
            "" => self.dir.again(),
            other => self.dir.open_dir(other),
        };
        match dir {
            Ok(dir) => Ok(dir.list()?.into_iter().filter_map(|name| name.into_string().ok()).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (dir, name) = self.at(name);
        match dir.remove_file(name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn sync_dirs(&self) -> io::Result<()> {
        self.data.sync()?;
        self.dir.sync()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}

#[derive(Debug)]
struct OsFile(File);

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, out, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, data, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        use std::os::windows::fs::FileExt;
        while !out.is_empty() {
            match self.0.seek_read(out, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    out = out.split_at_mut(n.min(out.len())).1;
                    offset = offset.saturating_add(n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    #[cfg(windows)]
    fn write_at(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        use std::os::windows::fs::FileExt;
        while !data.is_empty() {
            match self.0.seek_write(data, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    data = data.split_at(n.min(data.len())).1;
                    offset = offset.saturating_add(n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_in_a_process_that_starts_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let disk = DirDisk::open(dir.path()).unwrap();
        // As a process has it between its start and its program.
        let copy = disk.lock.try_clone().unwrap();
        assert!(matches!(DirDisk::open(dir.path()), Err(Error::Locked { .. })));
        drop(disk);
        drop(DirDisk::open(dir.path()).unwrap());
        drop(copy);
    }
}
