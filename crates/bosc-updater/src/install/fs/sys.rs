//! What every system does in its own way.

use std::io;
use std::path::Path;

#[cfg(windows)]
#[path = "windows.rs"]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{available_space, identity, in_use, remove_file, replace_file};

/// A name for what is at a path that stays with it when it is renamed: the inode and when it was made.
#[cfg(unix)]
pub(crate) fn identity(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::symlink_metadata(path)?;
    let born = found
        .created()
        .ok()
        .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    Ok(format!("{:x}.{born:x}", found.ino()))
}

/// syncfs. It tells of errors since Linux 5.8.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn sync_all(path: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    match rustix::fs::syncfs(std::fs::File::open(path)?) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn sync_all(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// On Apple's systems std empties the disk's own memory for each file (`F_FULLFSYNC`); once, at the end, is enough.
#[cfg(target_vendor = "apple")]
pub(crate) fn hand_over(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::fsync(open_to_sync(path)?)?)
}

/// Elsewhere there is no cheaper way than syncing it.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn hand_over(path: &Path) -> io::Result<()> {
    open_to_sync(path)?.sync_all()
}

/// Opens a file whose bytes are to be on the disk: neither a link in its place nor a fifo.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    // Windows flushes only what may be written.
    options.read(true).write(cfg!(windows));
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, super::meta::flags());
    options.open(path)
}

/// Bytes that this user may still write on the file system of a path.
#[cfg(unix)]
pub(crate) fn available_space(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether an error says that something else holds the file open for a moment. Only Windows knows that.
#[cfg(unix)]
pub(crate) fn in_use(_: &io::Error) -> bool {
    false
}
