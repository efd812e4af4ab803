//! The target and the work folder beside it.
//!
//! `.<target>.bosc-build/` holds `lock` (locked while a build runs), `tree/` (what will be the target) and, for a
//! moment, `old/` (the target it replaces). States, by what exists when a build starts:
//! * `tree/` alone: a build was killed; removed.
//! * `old/` and no target: killed between the two renames of a system without an exchange: `old/` goes back.
//! * `old/` and a target: killed after the renames; `old/` is removed.

use super::io_error;
use crate::error::{CommandError, ErrorKind};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind as Io;
use std::path::{Path, PathBuf};

pub(super) struct Place {
    target: PathBuf,
    work: PathBuf,
    tree: PathBuf,
    lock: Option<File>,
    done: bool,
}

impl Place {
    /// Checks the target and makes the work folder.
    pub(super) fn open(target: &Path, force: bool) -> Result<Self, CommandError> {
        let name = target.file_name().ok_or_else(|| {
            CommandError::input(format!("{} cannot be a target", target.display()))
                .hint("name a folder that does not exist yet with --target")
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".bosc-build");
        let parent = target.parent().unwrap_or(Path::new("."));
        let work = parent.join(hidden);
        // Looked at before anything is made; again below, when nobody else can be at work on it.
        if !work.exists() {
            check(target, force)?;
        }
        fs::create_dir_all(&work).map_err(|e| io_error("cannot make", &work, e))?;
        let at = work.join("lock");
        let lock = File::create(&at).map_err(|e| io_error("cannot write", &at, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CommandError::new(
                    ErrorKind::Failed,
                    "ERR_LOCKED",
                    format!("another build of {} is running", target.display()),
                )
                .hint("wait for it, or choose another --target"));
            }
            Err(TryLockError::Error(e)) => return Err(io_error("cannot lock", &at, e)),
        }
        let place =
            Self { target: target.to_owned(), tree: work.join("tree"), work, lock: Some(lock), done: false };
        place.recover()?;
        check(target, force)?;
        fs::create_dir(&place.tree).map_err(|e| io_error("cannot make", &place.tree, e))?;
        Ok(place)
    }

    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    fn old(&self) -> PathBuf {
        self.work.join("old")
    }

    fn recover(&self) -> Result<(), CommandError> {
        remove(&self.tree)?;
        let old = self.old();
        if fs::symlink_metadata(&old).is_err() {
            return Ok(());
        }
        if fs::symlink_metadata(&self.target).is_err() {
            return fs::rename(&old, &self.target).map_err(|e| io_error("cannot restore", &self.target, e));
        }
        remove(&old)
    }

    /// Puts the tree in the target's place.
    pub(super) fn finish(mut self) -> Result<(), CommandError> {
        let io = |e| io_error("cannot write", &self.target, e);
        match fs::symlink_metadata(&self.target) {
            Err(e) if e.kind() == Io::NotFound => fs::rename(&self.tree, &self.target).map_err(io)?,
            Err(e) => return Err(io(e)),
            // An empty folder gives way by itself on Unix; elsewhere it is taken away.
            Ok(_) if fs::remove_dir(&self.target).is_ok() => {
                fs::rename(&self.tree, &self.target).map_err(io)?;
            }
            Ok(_) => match exchange(&self.tree, &self.target) {
                Ok(()) => {}
                Err(e) if matches!(e.kind(), Io::Unsupported | Io::InvalidInput) => {
                    fs::rename(&self.target, self.old()).map_err(io)?;
                    fs::rename(&self.tree, &self.target).map_err(io)?;
                }
                Err(e) => return Err(io(e)),
            },
        }
        #[cfg(unix)]
        if let Some(parent) = self.target.parent() {
            let _ = File::open(parent).and_then(|f| f.sync_all());
        }
        self.done = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays behind is removed by the next build.
        if self.recover().is_ok() || self.done {
            // Windows does not remove an open file.
            self.lock = None;
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}

/// Swaps two folders in one step, where the system can.
fn exchange(a: &Path, b: &Path) -> std::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(|e| match e {
            rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP => {
                Io::Unsupported.into()
            }
            e => e.into(),
        })
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios")))]
    {
        let _ = (a, b);
        Err(Io::Unsupported.into())
    }
}

fn remove(path: &Path) -> Result<(), CommandError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != Io::NotFound => Err(io_error("cannot remove", path, e)),
        _ => Ok(()),
    }
}

/// A target must be absent or empty, or with `--force` a deployment directory.
fn check(target: &Path, force: bool) -> Result<(), CommandError> {
    let meta = match fs::symlink_metadata(target) {
        Ok(meta) => meta,
        Err(e) if e.kind() == Io::NotFound => return Ok(()),
        Err(e) => return Err(io_error("cannot use", target, e)),
    };
    let exists = |message: String, hint: &str| {
        Err(CommandError::new(ErrorKind::Input, "ERR_DIR_NONEMPTY", message).hint(hint))
    };
    if !meta.is_dir() {
        return exists(format!("{} is not a folder", target.display()), "choose another --target");
    }
    let mut items = fs::read_dir(target).map_err(|e| io_error("cannot read", target, e))?;
    if items.next().is_none() {
        return Ok(());
    }
    if !force {
        return exists(
            format!("{} is not empty", target.display()),
            "choose another --target, or replace this one with --force",
        );
    }
    if !target.join("package.json").is_file() || !target.join("by-arch").is_dir() {
        return exists(
            format!("{} is not a deployment directory, so it is not replaced", target.display()),
            "choose another --target, or remove that folder yourself",
        );
    }
    Ok(())
}
