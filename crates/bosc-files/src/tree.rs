//! Whole folders, by handle.

use crate::system::Dir;
use std::ffi::OsStr;
use std::fs::File;
use std::io;

impl Dir {
    /// The folder at the end of these names, each a folder in the one before; `None` when one of them is missing or no
    /// folder.
    ///
    /// # Errors
    /// Others of the system.
    pub fn descend<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> io::Result<Option<Self>> {
        let mut at = self.again()?;
        for name in names {
            at = match at.open_dir(name) {
                Ok(next) => next,
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                Err(e) => return Err(e),
            };
        }
        Ok(Some(at))
    }

    /// The same, making folders that are missing.
    ///
    /// # Errors
    /// `NotADirectory` where a file or link is in the way.
    pub fn descend_making<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        let mut at = self.again()?;
        for name in names {
            at = at.open_or_create_dir(name, 0o777)?;
        }
        Ok(at)
    }

    /// Opens a folder in this one, or makes it.
    ///
    /// # Errors
    /// `NotADirectory` where a file or link is in the way.
    pub fn open_or_create_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        let name = name.as_ref();
        for _ in 0..8 {
            match self.open_dir(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create_dir(name, mode) {
                // Made by somebody else just now.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
        Err(crate::system::exchanged(&self.path().join(name)))
    }

    /// Removes a file, link or folder with all that is in it; links are not followed. Whether there was one.
    ///
    /// # Errors
    /// Of the system. What comes to lie in a folder while it is removed makes it fail.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        let name = name.as_ref();
        let removed = match self.metadata(name) {
            Ok(meta) if meta.is_folder() => {
                self.open_dir(name).and_then(|dir| dir.clear()).and_then(|()| self.remove_dir(name))
            }
            Ok(_) => self.remove_file(name),
            Err(e) => Err(e),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes everything in the folder.
    ///
    /// # Errors
    /// As [`Dir::remove`].
    pub fn clear(&self) -> io::Result<()> {
        for name in self.list()? {
            self.remove(&name)?;
        }
        Ok(())
    }

    /// Removes a folder that holds nothing but such folders.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` when there is a file in it; folders without may be gone then.
    pub fn remove_hollow(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        let dir = self.open_dir(name)?;
        if dir.has_file()? {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        for below in dir.list()? {
            dir.remove_hollow(&below)?;
        }
        drop(dir);
        self.remove_dir(name)
    }

    /// Whether there is anything but folders in it, at any depth.
    ///
    /// # Errors
    /// Of the system.
    pub fn has_file(&self) -> io::Result<bool> {
        for name in self.list()? {
            if !self.metadata(&name)?.is_folder() || self.open_dir(&name)?.has_file()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has all files and names at and below a name on disk when it returns.
    ///
    /// # Errors
    /// Of the system.
    pub fn sync_below(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = name.as_ref();
        let meta = self.metadata(name)?;
        if meta.is_folder() {
            let dir = self.open_dir(name)?;
            for below in dir.list()? {
                dir.sync_below(&below)?;
            }
            return dir.sync();
        }
        if meta.is_file() {
            let file = if cfg!(unix) { self.open_file(name) } else { self.open_or_create(name, 0o600) };
            match file.and_then(|f| f.sync_all()) {
                // One that nobody may read or write cannot be opened to sync it.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Sets the permission bits of a file, by handle. Nothing is done where a system has none.
    ///
    /// # Errors
    /// As [`Dir::open_file`].
    pub fn set_mode(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<()> {
        if !cfg!(unix) {
            return Ok(());
        }
        set_mode(&self.open_file(name)?, mode)
    }
}

/// Sets the permission bits of an open file.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = (file, mode);
        Ok(())
    }
}
