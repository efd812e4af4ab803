//! Folders by path, where the standard library has no handles of them. Links are looked for before each step.

use crate::meta::Meta;
use crate::names::one;
use crate::op::Op;
use crate::step::step;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A folder. Its path is for messages, and for programs that take nothing else.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
}

impl Dir {
    /// Opens a folder that the user named.
    ///
    /// # Errors
    /// Of the system; `NotADirectory`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        if !fs::metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
    }

    /// Opens a folder that was looked at.
    ///
    /// # Errors
    /// Of the system.
    pub fn open_same(path: &Path, _: &Meta) -> io::Result<Self> {
        Self::open(path)
    }

    /// As [`Dir::open`]; folders that are missing are made.
    ///
    /// # Errors
    /// As [`Dir::open`].
    pub fn create(path: &Path, _: u32) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// As [`Dir::create`].
    pub(crate) fn create_private(path: &Path) -> io::Result<Self> {
        Self::create(path, 0o700)
    }

    /// Another handle of the same folder.
    ///
    /// # Errors
    /// When the process has no more handles.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self, name: impl AsRef<OsStr>) -> io::Result<PathBuf> {
        Ok(self.path.join(one(name.as_ref())?))
    }

    /// What the system says of the folder itself.
    ///
    /// # Errors
    /// Of the system.
    pub fn own_metadata(&self) -> io::Result<Meta> {
        Ok(Meta::from(&fs::metadata(&self.path)?))
    }

    /// What the system says of a name; a link is not followed.
    ///
    /// # Errors
    /// `NotFound`, others of the system.
    pub fn metadata(&self, name: impl AsRef<OsStr>) -> io::Result<Meta> {
        Ok(Meta::from(&fs::symlink_metadata(self.at(name)?)?))
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// `NotADirectory` for a link or file.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let path = self.at(name)?;
        if !fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// `AlreadyExists`.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, _: u32) -> io::Result<Self> {
        let path = self.at(&name)?;
        step(Op::Make, self.path(), name.as_ref())?;
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// Fails unless what is in the folder was put there by this user or the system. Here its access list says so, and
    /// every folder is good.
    ///
    /// # Errors
    /// None.
    pub fn refuse_others(&self) -> io::Result<()> {
        Ok(())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for what is not a plain file.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.plain(self.at(name)?, OpenOptions::new().read(true))
    }

    /// Opens a file that is there for reading and writing. What it holds stays.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for what is not a plain file.
    pub fn open_to_write(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.plain(self.at(name)?, OpenOptions::new().read(true).write(true))
    }

    /// Opens a file for writing, or makes it. What it holds stays.
    ///
    /// # Errors
    /// `InvalidInput` for what is not a plain file.
    pub fn open_or_create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let name = name.as_ref();
        match self.plain(self.at(name)?, OpenOptions::new().read(true).write(true)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.create_file(name, mode),
            other => other,
        }
    }

    fn plain(&self, path: PathBuf, how: &OpenOptions) -> io::Result<File> {
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
        }
        how.open(path)
    }

    /// Makes a file.
    ///
    /// # Errors
    /// `AlreadyExists`.
    pub fn create_file(&self, name: impl AsRef<OsStr>, _: u32) -> io::Result<File> {
        let path = self.at(&name)?;
        step(Op::Make, self.path(), name.as_ref())?;
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// The names in it, in no order.
    ///
    /// # Errors
    /// Of the system.
    pub fn list(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.path)?.map(|item| Ok(item?.file_name())).collect()
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let path = self.at(&name)?;
        step(Op::Remove, self.path(), name.as_ref())?;
        match fs::remove_file(&path) {
            // Windows removes a link to a folder as a folder.
            Err(e) if fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) => {
                fs::remove_dir(&path).map_err(|_| e)
            }
            other => other,
        }
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let path = self.at(&name)?;
        step(Op::Remove, self.path(), name.as_ref())?;
        fs::remove_dir(path)
    }

    /// Moves a name to another folder; a file there is replaced.
    ///
    /// # Errors
    /// Of the system.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Self, to_name: impl AsRef<OsStr>) -> io::Result<()> {
        let (from, to) = (self.at(&name)?, to.at(to_name)?);
        step(Op::Rename, self.path(), name.as_ref())?;
        fs::rename(from, to)
    }

    /// Moves a name to one that must be free.
    ///
    /// # Errors
    /// `AlreadyExists`.
    pub fn rename_new(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        to_name: impl AsRef<OsStr>,
    ) -> io::Result<()> {
        let (from, to) = (self.at(&name)?, to.at(to_name)?);
        step(Op::Rename, self.path(), name.as_ref())?;
        #[cfg(windows)]
        match crate::windows::rename_new(&from, &to) {
            // A path that is too long for this call, which the standard library writes in another way.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        // Not by a second name: the first of a program that runs could then not be removed.
        match fs::symlink_metadata(&to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(e) => Err(e),
        }
    }

    /// Swaps two names in one step.
    ///
    /// # Errors
    /// `Unsupported`, always.
    pub fn exchange(&self, name: impl AsRef<OsStr>, _: &Self, _: impl AsRef<OsStr>) -> io::Result<()> {
        step(Op::Exchange, self.path(), name.as_ref())?;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a link with this text; `folder` is whether it leads to one.
    ///
    /// # Errors
    /// `AlreadyExists`; where the user may make none, of the system.
    pub fn symlink(&self, text: &OsStr, name: impl AsRef<OsStr>, folder: bool) -> io::Result<()> {
        let path = self.at(&name)?;
        step(Op::Make, self.path(), name.as_ref())?;
        #[cfg(windows)]
        {
            let text: PathBuf = Path::new(text).components().collect();
            if folder {
                std::os::windows::fs::symlink_dir(text, path)
            } else {
                std::os::windows::fs::symlink_file(text, path)
            }
        }
        #[cfg(not(windows))]
        {
            let _ = (text, path, folder);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists`; where the file system has none, of the system.
    pub fn second_name(
        &self,
        name: impl AsRef<OsStr>,
        to: &Self,
        to_name: impl AsRef<OsStr>,
    ) -> io::Result<()> {
        let (from, at) = (self.at(name)?, to.at(&to_name)?);
        step(Op::Make, to.path(), to_name.as_ref())?;
        fs::hard_link(from, at)
    }

    /// The text of a link.
    ///
    /// # Errors
    /// When it is none.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<OsString> {
        Ok(fs::read_link(self.at(name)?)?.into_os_string())
    }

    /// The text of a link that may be followed; `None` when the name is not a link.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) fn trusted_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        let path = self.at(name)?;
        if fs::symlink_metadata(&path)?.is_symlink() { fs::read_link(path).map(Some) } else { Ok(None) }
    }

    /// Has the names in the folder on disk when it returns. Windows does that with the files themselves.
    ///
    /// # Errors
    /// Of the system.
    pub fn sync(&self) -> io::Result<()> {
        step(Op::Sync, self.path(), OsStr::new(""))
    }

    pub(crate) fn set_own_mode(&self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

/// A read-only file stays one.
pub(crate) fn like(_: &File, _: &Meta) -> io::Result<()> {
    Ok(())
}

pub(crate) fn exchanged(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} was replaced by another process while it was used", path.display()),
    )
}
