//! The way to a folder that the user named.
//!
//! One part after the other, each opened from the one before. Links are followed when they belong to the user or to
//! root: those of others, who may put some into a folder that everybody writes to, are refused by name.

use crate::given::give;
use crate::names::trusted_owner;
use crate::system::meta;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Most links, and folders made by somebody else at the same moment, on one way.
const MAX_TURNS: usize = 64;

/// A handle that only leads on, which needs no right to list the folder, where the system has such.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const ON: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const ON: OFlags = OFlags::RDONLY;

/// Folders that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// They are an error.
    Fail,
    /// They are made with this mode.
    Make(u32),
    /// They are made for one user alone: the one whose folder they are in.
    MakeForOwner,
}

/// Opens the folder.
pub(crate) fn folder(path: &Path, missing: Missing) -> io::Result<OwnedFd> {
    let start = |p: &str| openat(CWD, p, ON | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let mut at = start(if path.is_absolute() { "/" } else { "." })?;
    let mut todo = parts(path);
    let mut done = PathBuf::from(if path.is_absolute() { "/" } else { "" });
    let mut turns = 0;
    while let Some(part) = todo.pop_front() {
        let flags = ON | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&at, &part, flags, Mode::empty()) {
            Ok(next) => {
                at = next;
                done.push(&part);
                continue;
            }
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let Some(text) = link(&at, &part, &done)? else {
                    return Err(io::ErrorKind::NotADirectory.into());
                };
                if text.is_absolute() {
                    at = start("/")?;
                    done = PathBuf::from("/");
                }
                for part in parts(&text).into_iter().rev() {
                    todo.push_front(part);
                }
            }
            Err(Errno::NOENT) if missing != Missing::Fail => {
                let mode = if let Missing::Make(mode) = missing { mode } else { 0o700 };
                match mkdirat(&at, &part, Mode::from_raw_mode(mode as _)) {
                    Ok(()) if missing == Missing::MakeForOwner => {
                        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                        give(openat(&at, &part, flags, Mode::empty())?, &meta(&fstat(&at)?));
                    }
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
                todo.push_front(part);
            }
            Err(e) => return Err(e.into()),
        }
        turns += 1;
        if turns > MAX_TURNS {
            return Err(Errno::LOOP.into());
        }
    }
    Ok(openat(&at, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The text of a link that may be followed; `None` when it is none.
pub(crate) fn link(at: &OwnedFd, name: &OsStr, shown: &Path) -> io::Result<Option<PathBuf>> {
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    if !trusted_owner(stat.st_uid) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is a link of another user (uid {})", shown.join(name).display(), stat.st_uid),
        ));
    }
    let text = readlinkat(at, name, Vec::new())?;
    // What was read is what was looked at.
    let again = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (again.st_dev, again.st_ino) != (stat.st_dev, stat.st_ino) {
        return Err(io::Error::other(format!("{} changed while it was read", shown.join(name).display())));
    }
    Ok(Some(PathBuf::from(OsString::from_vec(text.into_bytes()))))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}
