//! A directory of the file system. Files are private to the user (mode 0600, directories 0700) because the
//! database holds secret keys.

use super::place::Place;
use super::traits::{Disk, DiskFile};
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file the owner's lock is on.
const LOCK_FILE: &str = "LOCK";
/// The file the owner writes its process id to. Not the lock file itself: locks are mandatory on Windows, and
/// whoever is refused should still be able to read it.
const OWNER_FILE: &str = "OWNER";

/// A directory, owned by this process alone for as long as the value lives. The operating system takes the lock
/// back when the process dies, however it dies.
#[derive(Debug)]
pub struct DirDisk {
    dir: PathBuf,
    place: Place,
    _lock: File,
}

impl DirDisk {
    /// Creates the directory (and those above it) when missing and takes the lock.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Io`] and [`Error::Full`] from the file system.
    pub fn open(dir: &Path) -> Result<Self> {
        create_dirs(&dir.join("data")).map_err(|e| Error::io(dir, e))?;
        let lock_path = dir.join(LOCK_FILE);
        let lock = options(true).open(&lock_path).map_err(|e| Error::io(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { path: dir.to_path_buf(), pid: owner(dir) });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&lock_path, e)),
        }
        // Only a hint for the error above: failing to write it (a full disk) must not keep anyone out.
        let _ = options(true).truncate(true).open(dir.join(OWNER_FILE)).and_then(|mut f| {
            f.seek(SeekFrom::Start(0))?;
            f.write_all(std::process::id().to_string().as_bytes())
        });
        Ok(Self { dir: dir.to_path_buf(), place: Place::new(dir), _lock: lock })
    }
}

/// Process id the owner of `dir` left, if it can be read.
fn owner(dir: &Path) -> Option<u32> {
    let mut text = String::new();
    bosc_files::open_plain(&dir.join(OWNER_FILE)).ok()?.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn create_dirs(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn options(create: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Disk for DirDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match options(create).open(self.dir.join(name)) {
            Ok(file) => Ok(Some(Arc::new(OsFile(file)))),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !create => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.dir.join(folder)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    #[cfg(unix)]
    fn sync_dirs(&self) -> io::Result<()> {
        File::open(self.dir.join("data"))?.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// Directories cannot be opened for syncing here; the file system journals its metadata by itself.
    #[cfg(not(unix))]
    fn sync_dirs(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
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
