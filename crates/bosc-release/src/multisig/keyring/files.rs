//! Files that nobody else can read, whole or not there at all.

use super::{sync_dir, write_all};
use std::io;
use std::path::{Path, PathBuf};

/// Makes the folder with mode 0700. One that is there already is tightened only when it is `own`: a folder that the user
/// named may be shared on purpose, and its files are 0600 anyway.
pub(super) fn make_dir(dir: &Path, own: bool) -> io::Result<()> {
    if dir.is_dir() {
        if own {
            tighten(dir, 0o700);
        }
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Takes the rights of others to a secret key's file. What belongs to someone else stays as it is.
pub(super) fn tighten_file(path: &Path) {
    tighten(path, 0o600);
}

#[cfg(unix)]
fn tighten(path: &Path, most: u32) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(meta) = std::fs::metadata(path) else { return };
    let mode = meta.permissions().mode() & 0o777;
    if mode & !most != 0 {
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & most));
    }
}

#[cfg(not(unix))]
fn tighten(_: &Path, _: u32) {
    // The user's folder is private by its access list.
}

/// Writes a new file; fails with `AlreadyExists` when there is one.
pub(super) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    // A link is made only where nothing is; a rename would replace.
    let linked = match std::fs::hard_link(&temporary, path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists && e.kind() != io::ErrorKind::NotFound => {
            // This file system has no hard links.
            if path.exists() {
                Err(io::ErrorKind::AlreadyExists.into())
            } else {
                return rename(&temporary, path);
            }
        }
        other => other,
    };
    let _ = std::fs::remove_file(&temporary);
    linked?;
    path.parent().map(sync_dir);
    Ok(())
}

/// Replaces a file in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    rename(&temporary, path)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let renamed = std::fs::rename(from, to);
    match &renamed {
        Ok(()) => to.parent().map_or((), sync_dir),
        Err(_) => {
            let _ = std::fs::remove_file(from);
        }
    }
    renamed
}

/// A temporary file beside `path`, private from its first instant.
fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
    let temporary = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&temporary)?;
    if let Err(e) = write_all(&file, bytes) {
        drop(file);
        let _ = std::fs::remove_file(&temporary);
        return Err(e);
    }
    Ok(temporary)
}
