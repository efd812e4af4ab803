//! Names on the disk.

use super::errors::{At, io_error};
use super::fs;
use super::tree;
use super::types::Kind;
use crate::error::{ErrorKind, UpdateError};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The application's path and everything that is named after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The application.
    pub(crate) target: PathBuf,
    /// The folder that the application is in.
    pub(crate) parent: PathBuf,
    /// `.<name>.bosc` beside it.
    pub(crate) folder: PathBuf,
    name: OsString,
}

impl Place {
    /// Finds the application. A link at the target is followed, and the folder's own links are.
    pub(crate) fn find(target: &Path) -> Result<Self, UpdateError> {
        let nothing = || {
            UpdateError::new(ErrorKind::Input, format!("there is no application at {}", target.display()))
                .hint("Give the path of the executable, AppImage, folder or .app that is installed.")
        };
        let target = std::path::absolute(target).map_err(|e| nothing().because(e))?;
        let target = match fs::look(&target).at("look at", &target)? {
            Some(meta) if meta.file_type().is_symlink() => {
                fs::canonical(&target).map_err(|e| nothing().because(e))?
            }
            _ => target,
        };
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Err(nothing()) };
        // Windows gives paths of a form that programs do not expect; its folders are seldom links.
        let parent = if cfg!(windows) {
            parent.to_owned()
        } else {
            fs::canonical(parent).map_err(|e| nothing().because(e))?
        };
        let mut folder = OsString::from(".");
        folder.push(name);
        folder.push(".bosc");
        let place =
            Self { target: parent.join(name), folder: parent.join(folder), name: name.to_owned(), parent };
        let exists = |path: &Path| fs::look(path).map(|meta| meta.is_some()).at("look at", path);
        if exists(&place.target)? || exists(&place.prev())? || exists(&place.outgoing())? {
            Ok(place)
        } else {
            Err(nothing())
        }
    }

    fn sibling(&self, ending: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(ending);
        self.parent.join(name)
    }

    /// The build before the installed one. Perry's name.
    pub(crate) fn prev(&self) -> PathBuf {
        self.sibling(".prev")
    }

    /// The build that was taken back. Perry's name.
    pub(crate) fn broken(&self) -> PathBuf {
        self.sibling(".broken")
    }

    /// Where the build that is to come waits; after an exchange the one that went is here.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    /// Where the build that is to go waits, when there is no exchange.
    pub(crate) fn outgoing(&self) -> PathBuf {
        self.folder.join("outgoing")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.folder.join("staging")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.join("LOCK")
    }

    /// Locked by the process of the build on trial, as long as it lives.
    pub(crate) fn running(&self) -> PathBuf {
        self.folder.join("RUNNING")
    }

    fn trash(&self) -> PathBuf {
        self.folder.join("trash")
    }

    /// What lies at the target, or lay there.
    pub(crate) fn kind(&self) -> Result<Kind, UpdateError> {
        for path in [self.target.clone(), self.prev(), self.outgoing()] {
            if let Some(meta) = fs::look(&path).at("look at", &path)? {
                return Ok(if !meta.is_dir() {
                    Kind::File
                } else if self.target.extension() == Some(OsStr::new("app")) {
                    Kind::Bundle
                } else {
                    Kind::Directory
                });
            }
        }
        Ok(Kind::File)
    }

    /// Makes the folder. Who may write beside the application may write in it: they could replace the application
    /// anyway, and then they can also take a bad build back. Where only owners may remove (`/tmp`), it is the owner's.
    pub(crate) fn make_folder(&self) -> Result<(), UpdateError> {
        // Where one may only read, one may still look whether there is something to know.
        if let Some(found) = fs::look(&self.folder).at("look at", &self.folder)?
            && found.is_dir()
        {
            return self.trust_folder(fs::is_ours_alone(&found));
        }
        if fs::make_dir(&self.folder).at("make", &self.folder)? {
            let parent =
                fs::look(&self.parent).at("look at", &self.parent)?.map_or(0o755, |meta| fs::mode_of(&meta));
            let mode = if parent & 0o1000 == 0 { parent & 0o777 | 0o700 } else { 0o700 };
            fs::set_mode(&self.folder, mode).at("set the permissions of", &self.folder)?;
            fs::sync_dir(&self.parent).at("sync", &self.parent)?;
            return Ok(());
        }
        match fs::look(&self.folder).at("look at", &self.folder)? {
            Some(found) => self.trust_folder(fs::is_ours_alone(&found)),
            None => Ok(()),
        }
    }

    /// In a folder where everybody may make names (`/tmp`) ours may have been made by somebody else, to have their file
    /// put in the application's place.
    fn trust_folder(&self, ours: bool) -> Result<(), UpdateError> {
        let parent = fs::look(&self.parent).at("look at", &self.parent)?.map_or(0o755, |m| fs::mode_of(&m));
        if parent & 0o1000 == 0 || ours {
            return Ok(());
        }
        Err(UpdateError::new(
            ErrorKind::Permission,
            format!("{} was made by somebody else, or others may write to it", self.folder.display()),
        )
        .hint("install the application in a folder where only its owner makes files, or remove that folder"))
    }

    /// Waits until every name is on the disk.
    pub(crate) fn sync(&self) -> Result<(), UpdateError> {
        fs::sync_dir(&self.parent).at("sync", &self.parent)?;
        fs::sync_dir(&self.folder).at("sync", &self.folder)
    }

    /// Takes a name away from whatever has it, at once, and removes that in its own time.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), UpdateError> {
        if fs::look(path).at("look at", path)?.is_none() {
            return Ok(());
        }
        let trash = self.trash();
        fs::make_dir(&trash).at("make", &trash)?;
        let mut number = 0u32;
        let slot = loop {
            let slot = trash.join(number.to_string());
            if fs::look(&slot).at("look at", &slot)?.is_none() {
                break slot;
            }
            number = number.checked_add(1).ok_or_else(|| {
                io_error("remove", &trash, std::io::Error::other("too many things wait to be removed"))
            })?;
        };
        fs::rename(path, &slot, Duration::from_secs(2)).at("remove", path)?;
        // A running program cannot be removed on Windows; what stays is removed by whoever comes next.
        let _ = tree::remove(&slot);
        Ok(())
    }

    /// Removes what work that ended, or was ended, left behind.
    pub(crate) fn clean(&self) -> Result<(), UpdateError> {
        self.discard(&self.incoming())?;
        self.discard(&self.outgoing())?;
        let _ = tree::remove(&self.folder.join("journal.new"));
        let _ = tree::remove(&self.trash());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn where_everybody_makes_files_a_folder_that_others_may_write_to_is_not_ours() {
        use super::*;
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(dir.path().join("App"), b"app").unwrap();
        let place = Place::find(&dir.path().join("App")).unwrap();
        std::fs::create_dir(&place.folder).unwrap();
        set(&place.folder, 0o777);
        place.make_folder().unwrap();
        set(dir.path(), 0o1777);
        assert_eq!(place.make_folder().unwrap_err().kind(), ErrorKind::Permission);
        set(&place.folder, 0o700);
        place.make_folder().unwrap();
    }
}
