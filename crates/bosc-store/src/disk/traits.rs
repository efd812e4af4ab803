//! The operations themselves.

use super::place::Place;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of files, named by relative paths with `/` (`bosc.redb`, `data/000001.seg`).
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing; creates it empty when `create` is set and it is missing.
    /// `None`: it is missing and was not to be created.
    fn open(&self, name: &str, create: bool) -> io::Result<Option<Arc<dyn DiskFile>>>;
    /// Names (without the folder) of the files in folder `folder`; none when the folder is missing.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Removes a file. Missing is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync_dirs(&self) -> io::Result<()>;
    /// The file's path as a person knows it, for errors.
    fn path(&self, name: &str) -> PathBuf;
    /// The folder, where a copy of it can be told from it.
    fn place(&self) -> Option<&Place> {
        None
    }
}

/// One open file. All operations take offsets; there is no cursor, so threads may share it.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `out` from `offset`; `UnexpectedEof` when the file is shorter.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data` at `offset`, growing the file.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Cuts or extends (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes bytes and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// The database's file seen through a [`DiskFile`].
#[derive(Debug)]
pub(crate) struct DatabaseFile(pub(crate) Arc<dyn DiskFile>);

impl redb::StorageBackend for DatabaseFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
