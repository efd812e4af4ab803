//! Looking at what is there.

use super::meta::Metadata;
use super::step::{Op, step};
use super::sys;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is at a path, links not followed.
pub(crate) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    step(Op::Look, path)?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A name for what is at a path that stays with it when it is renamed, where the file system keeps one.
pub(crate) fn identity(path: &Path) -> io::Result<String> {
    step(Op::Look, path)?;
    sys::identity(path)
}

/// Bytes that this user may still write on the file system of a path.
pub(crate) fn available_space(path: &Path) -> io::Result<u64> {
    step(Op::Look, path)?;
    sys::available_space(path)
}

/// The path with every link followed.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    step(Op::Look, path)?;
    fs::canonicalize(path)
}

/// The names in a folder, sorted. Fails with `InvalidData` above `limit`.
pub(crate) fn names(path: &Path, limit: usize) -> io::Result<Vec<OsString>> {
    step(Op::Look, path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        if names.len() >= limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many entries"));
        }
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Where a link points.
pub(crate) fn link_target(path: &Path) -> io::Result<PathBuf> {
    step(Op::Look, path)?;
    fs::read_link(path)
}

/// Names the time since the system was started; `None` where it does not say.
pub(crate) fn boot() -> Option<String> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let mut text = String::new();
    File::open("/proc/sys/kernel/random/boot_id").ok()?.take(64).read_to_string(&mut text).ok()?;
    #[cfg(feature = "faults")]
    if let Some(other) = super::step::faults::other_boot() {
        return Some(other);
    }
    Some(text.trim().to_owned())
}
