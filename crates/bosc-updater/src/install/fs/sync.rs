//! Waiting until things are on the disk.

use super::step::{Op, step};
use super::sys;
use bosc_files::Dir;
use std::io;
use std::path::Path;

/// Waits until a file's bytes are on the disk.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    sys::open_to_sync(path)?.sync_all()
}

/// Waits until everything on the file system of a path is on the disk: for hundreds of files one wait and not hundreds.
/// `Ok(false)` where the system cannot.
pub(crate) fn sync_all(path: &Path) -> io::Result<bool> {
    step(Op::Sync, path)?;
    sys::sync_all(path)
}

/// Hands a file's bytes to the disk, which may still hold them in its own memory: for many files before one that is
/// synced in full.
pub(crate) fn hand_over(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    sys::hand_over(path)
}

/// Waits until a folder's names are on the disk. Nothing to do on Windows, whose file systems order them themselves.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    Dir::open(path)?.sync()
}
