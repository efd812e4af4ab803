//! A mirror in a folder: the root of a web server, a share, a stick.

use super::place::{Kept, Target};
use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, FolderLock, Replace, lock_folder, open_plain, remove_file};
use bosc_mirror::{HEAD, Part};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another run may take before this one gives up.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Whether a folder holds a mirror, or what a run that ended early left of one; an empty one may become one. Names that begin with a dot
/// are those of systems and servers.
fn may_hold_a_mirror(path: &Path) -> io::Result<bool> {
    let names = |folder: &Path| -> io::Result<Vec<String>> {
        match std::fs::read_dir(folder) {
            Ok(entries) => entries.map(|e| Ok(e?.file_name().to_string_lossy().into_owned())).collect(),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(e) => Err(e),
        }
    };
    let is_lineage = |name: &String| name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let found = names(path)?;
    if found.iter().any(|name| name == HEAD) {
        return Ok(true);
    }
    for part in Part::ALL {
        if names(&path.join(part.as_str()))?.iter().any(is_lineage) {
            return Ok(true);
        }
    }
    Ok(found
        .iter()
        .all(|name| name.starts_with('.') || name == "lost+found" || name == "System Volume Information"))
}

impl Folder {
    /// In this folder, which is a mirror, or may become one.
    pub(super) fn new(path: &Path) -> Result<Self, CommandError> {
        if may_hold_a_mirror(path).map_err(|e| Self::failed(path, e))? {
            return Ok(Self(path.to_owned()));
        }
        let message = format!("{} holds other things than a mirror", path.display());
        Err(CommandError::new(ErrorKind::Input, "ERR_EXISTS", message)
            .hint(format!("give the mirror a folder of its own, such as {}", path.join("mirror").display())))
    }

    fn path(&self, path: &str) -> PathBuf {
        let mut out = self.0.clone();
        out.extend(path.split('/'));
        out
    }

    fn failed(path: &Path, e: io::Error) -> CommandError {
        if bosc_files::is_full(&e) {
            return CommandError::new(
                ErrorKind::Failed,
                "ERR_DISK_FULL",
                format!("no disk space for {}", path.display()),
            )
            .because(e)
            .hint("free some disk space, then run the command again: it goes on where it was");
        }
        CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", format!("cannot use {}", path.display()))
            .because(e)
            .hint("check the folder and its permissions, then run the command again: it goes on where it was")
    }
}

impl Target for Folder {
    fn is_near(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn alone(&self) -> Result<Option<FolderLock>, CommandError> {
        std::fs::create_dir_all(&self.0).map_err(|e| Self::failed(&self.0, e))?;
        let lock = lock_folder(&self.0, PATIENCE).map_err(|e| Self::failed(&self.0, e))?;
        lock.map(Some).ok_or_else(|| {
            let message = format!("another bosc writes the mirror {} now", self.0.display());
            CommandError::new(ErrorKind::Store, "ERR_LOCKED", message)
                .hint("wait until it has ended, then run the command again; two that write at once would undo each other's work")
        })
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, CommandError> {
        let path = self.path(path);
        let file = match open_plain(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Self::failed(&path, e))?,
        };
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes).map_err(|e| Self::failed(&path, e))?;
        Ok(Some(bytes))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, CommandError> {
        let path = self.path(path);
        match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Self::failed(&path, e)),
        }
    }

    fn put(&self, path: &str, bytes: Vec<u8>, _: Kept) -> Result<(), CommandError> {
        let path = self.path(path);
        let replace = Replace::new(Durability::Disk).make_folders().temporary(".part");
        replace.write(&path, &bytes).map_err(|e| Self::failed(&path, e))
    }

    fn remove(&self, path: &str) -> Result<(), CommandError> {
        let path = self.path(path);
        remove_file(&path, Durability::Process).map(drop).map_err(|e| Self::failed(&path, e))
    }
}
