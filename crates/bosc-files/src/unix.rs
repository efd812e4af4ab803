//! Folders by handle.

use crate::meta::{Kind, Meta};
use crate::names::{one, random_name, trusted_owner};
use crate::op::Op;
use crate::resolve::{self, Missing};
use crate::step::{exchange_forbidden, step};
use rustix::fs::{
    self as sys, AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, readlinkat, renameat, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open folder. Its path is for messages, and for programs that take nothing else.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a folder that the user named. Links on the way, the last one included, are followed when they belong to
    /// the user or to root.
    ///
    /// # Errors
    /// Of the system; `PermissionDenied` for a link of another user, `NotADirectory`.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { fd: resolve::folder(path, Missing::Fail)?, path: path.to_owned() })
    }

    /// Opens a folder that was looked at, whoever made the links on the way.
    ///
    /// # Errors
    /// Of the system; `PermissionDenied` when another folder is there by now.
    pub fn open_same(path: &Path, looked_at: &Meta) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Self { fd: openat(sys::CWD, path, flags, Mode::empty())?, path: path.to_owned() };
        if dir.own_metadata()?.same_file(looked_at) { Ok(dir) } else { Err(exchanged(path)) }
    }

    /// As [`Dir::open`]; folders that are missing are made with `mode`, as far as the umask lets it.
    ///
    /// # Errors
    /// As [`Dir::open`].
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        Ok(Self { fd: resolve::folder(path, Missing::Make(mode))?, path: path.to_owned() })
    }

    /// As [`Dir::create`], for one user alone: the owner of the folder that they are made in.
    pub(crate) fn create_private(path: &Path) -> io::Result<Self> {
        Ok(Self { fd: resolve::folder(path, Missing::MakeForOwner)?, path: path.to_owned() })
    }

    /// Another handle of the same folder.
    ///
    /// # Errors
    /// When the process has no more handles.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    /// The path it was opened by. Another folder may be there by now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system says of the folder itself.
    ///
    /// # Errors
    /// Of the system.
    pub fn own_metadata(&self) -> io::Result<Meta> {
        Ok(meta(&sys::fstat(&self.fd)?))
    }

    /// What the system says of a name; a link is not followed.
    ///
    /// # Errors
    /// `NotFound`, others of the system.
    pub fn metadata(&self, name: impl AsRef<OsStr>) -> io::Result<Meta> {
        Ok(meta(&statat(&self.fd, one(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// `NotADirectory` for a link or file.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = one(name.as_ref())?;
        let fd = openat(&self.fd, name, FOLDER, Mode::empty()).map_err(|e| match e {
            // What systems say of a link, in one word.
            Errno::LOOP | Errno::NOTDIR | Errno::MLINK => io::ErrorKind::NotADirectory.into(),
            e => io::Error::from(e),
        })?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Makes a folder with exactly this mode, less what the umask takes.
    ///
    /// # Errors
    /// `AlreadyExists`; `PermissionDenied` when what was made is not ours a moment later.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        let name = one(name.as_ref())?;
        step(Op::Make, self.path(), name)?;
        mkdirat(&self.fd, name, Mode::from_raw_mode(mode as _))?;
        let made = self.open_dir(name)?;
        if made.is_ours()? { Ok(made) } else { Err(exchanged(&made.path)) }
    }

    /// Whether the folder was made by this user. Where files cannot have an owner of ours (FAT, network folders that
    /// give all to one user), a file made in it tells who that is.
    pub(crate) fn is_ours(&self) -> io::Result<bool> {
        let folder = self.own_metadata()?;
        Ok(folder.ours()
            || same_owner(&folder, || {
                let name = random_name(".probe-", "")?;
                let file = Meta::from(&self.create_file(&name, 0o600)?.metadata()?);
                self.remove_file(&name)?;
                Ok(file)
            }))
    }

    /// Fails unless what is in the folder was put there by this user or root: it belongs to one of them, and not
    /// everybody may write to it. Its group may, which is the owner's choice. Where files have no owners or modes (FAT,
    /// network folders that give all to one user) every folder is good.
    ///
    /// # Errors
    /// `PermissionDenied` with what is wrong, as in "it belongs to another user (uid 7)"; others of the system.
    pub fn refuse_others(&self) -> io::Result<()> {
        const WRITTEN_BY_ALL: u32 = 0o002;
        let denied = |text: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        let folder = self.own_metadata()?;
        if !trusted_owner(folder.uid) && !self.is_ours()? {
            return denied(format!("it belongs to another user (uid {})", folder.uid));
        }
        if folder.mode & WRITTEN_BY_ALL != 0 {
            let name = random_name(".probe-", "")?;
            let file = Meta::from(&self.create_file(&name, 0o600)?.metadata()?);
            self.remove_file(&name)?;
            if file.mode & WRITTEN_BY_ALL == 0 {
                return denied("every user may write to it".to_owned());
            }
        }
        Ok(())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for what is not a plain file.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.plain(name.as_ref(), OFlags::RDONLY)
    }

    /// Opens a file that is there for reading and writing. What it holds stays.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for what is not a plain file.
    pub fn open_to_write(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.plain(name.as_ref(), OFlags::RDWR)
    }

    /// Opens a file for writing, or makes it with this mode. What it holds stays.
    ///
    /// # Errors
    /// `InvalidInput` for what is not a plain file.
    pub fn open_or_create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let name = name.as_ref();
        loop {
            match self.plain(name, OFlags::RDWR) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create_file(name, mode) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => return other,
            }
        }
    }

    fn plain(&self, name: &OsStr, how: OFlags) -> io::Result<File> {
        let name = one(name)?;
        let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let not_plain = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file");
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // A link; a pipe or socket that nobody serves.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::ISDIR) => return Err(not_plain()),
            Err(e) => return Err(e.into()),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_plain()) }
    }

    /// Makes a file with this mode, less what the umask takes.
    ///
    /// # Errors
    /// `AlreadyExists`, also for a link that leads nowhere.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = one(name.as_ref())?;
        step(Op::Make, self.path(), name)?;
        Ok(File::from(openat(&self.fd, name, flags, Mode::from_raw_mode(mode as _))?))
    }

    /// The names in it, in no order.
    ///
    /// # Errors
    /// Of the system.
    pub fn list(&self) -> io::Result<Vec<OsString>> {
        let mut out = Vec::new();
        for item in sys::Dir::read_from(&self.fd)? {
            let item = item?;
            let name = item.file_name().to_bytes();
            if name != b"." && name != b".." {
                out.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(out)
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = one(name.as_ref())?;
        step(Op::Remove, self.path(), name)?;
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Of the system.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        let name = one(name.as_ref())?;
        step(Op::Remove, self.path(), name)?;
        Ok(unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Moves a name to another folder; a file there is replaced.
    ///
    /// # Errors
    /// Of the system.
    pub fn rename(&self, name: impl AsRef<OsStr>, to: &Self, to_name: impl AsRef<OsStr>) -> io::Result<()> {
        let (name, to_name) = (one(name.as_ref())?, one(to_name.as_ref())?);
        step(Op::Rename, self.path(), name)?;
        Ok(renameat(&self.fd, name, &to.fd, to_name)?)
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
        let (name, to_name) = (one(name.as_ref())?, one(to_name.as_ref())?);
        step(Op::Rename, self.path(), name)?;
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios"))]
        match sys::renameat_with(&self.fd, name, &to.fd, to_name, sys::RenameFlags::NOREPLACE) {
            #[allow(unreachable_patterns)] // Two names of one number on some systems.
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
        // This file system cannot; a hard link to a file is as good, and a folder replaces only empty ones.
        if self.metadata(name)?.is_file() {
            match linkat(&self.fd, name, &to.fd, to_name, AtFlags::empty()) {
                Ok(()) => return self.remove_file(name),
                Err(Errno::EXIST) => return Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => {}
            }
        }
        match to.metadata(to_name) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.rename(name, to, to_name),
            Err(e) => Err(e),
        }
    }

    /// Swaps two names in one step.
    ///
    /// # Errors
    /// `Unsupported` where system or file system cannot.
    pub fn exchange(&self, name: impl AsRef<OsStr>, to: &Self, to_name: impl AsRef<OsStr>) -> io::Result<()> {
        let (name, to_name) = (one(name.as_ref())?, one(to_name.as_ref())?);
        step(Op::Exchange, self.path(), name)?;
        if exchange_forbidden() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios"))]
        {
            sys::renameat_with(&self.fd, name, &to.fd, to_name, sys::RenameFlags::EXCHANGE).map_err(|e| {
                match e {
                    // XDEV: some overlays cannot exchange what they can rename.
                    #[allow(unreachable_patterns)] // Two names of one number on some systems.
                    Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTSUP | Errno::XDEV => {
                        io::ErrorKind::Unsupported.into()
                    }
                    e => e.into(),
                }
            })
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "ios")))]
        {
            let _ = (name, to, to_name);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Makes a link with this text; `folder` is whether it leads to one, which only Windows asks.
    ///
    /// # Errors
    /// `AlreadyExists`.
    pub fn symlink(&self, text: &OsStr, name: impl AsRef<OsStr>, folder: bool) -> io::Result<()> {
        let _ = folder;
        let name = one(name.as_ref())?;
        step(Op::Make, self.path(), name)?;
        Ok(symlinkat(text, &self.fd, name)?)
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
        let (name, to_name) = (one(name.as_ref())?, one(to_name.as_ref())?);
        step(Op::Make, to.path(), to_name)?;
        Ok(linkat(&self.fd, name, &to.fd, to_name, AtFlags::empty())?)
    }

    /// The text of a link.
    ///
    /// # Errors
    /// `InvalidInput` when it is none.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<OsString> {
        Ok(OsString::from_vec(readlinkat(&self.fd, one(name.as_ref())?, Vec::new())?.into_bytes()))
    }

    /// The text of a link that may be followed (see [`Dir::open`]); `None` when the name is not a link.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` for a link of another user.
    pub(crate) fn trusted_link(&self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        resolve::link(&self.fd, one(name)?, &self.path)
    }

    /// Has the names in the folder on disk when it returns.
    ///
    /// # Errors
    /// Of the system.
    pub fn sync(&self) -> io::Result<()> {
        step(Op::Sync, self.path(), OsStr::new(""))?;
        match sys::fsync(&self.fd) {
            // File systems that cannot have nothing to lose by it.
            #[allow(unreachable_patterns)] // Two names of one number on some systems.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTSUP) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Sets the mode of the folder itself.
    pub(crate) fn set_own_mode(&self, mode: u32) -> io::Result<()> {
        as_far_as_there_are_modes(sys::fchmod(&self.fd, Mode::from_raw_mode(mode as _)))
    }
}

/// Whether a folder has the owner that a file has which was made in it just now. A file of ours in somebody else's
/// folder is ours, where there are owners.
pub(crate) fn same_owner(folder: &Meta, make: impl FnOnce() -> io::Result<Meta>) -> bool {
    make().is_ok_and(|file| file.uid == folder.uid)
}

/// What a change of a file's mode, which we made, ended with: file systems without modes (FAT) refuse it.
pub(crate) fn as_far_as_there_are_modes(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        #[allow(unreachable_patterns)] // Two names of one number on some systems.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOTSUP) => Ok(()),
        other => Ok(other?),
    }
}

/// Gives an open file the owner, group and permission bits of another. Owners that we may not give are left out.
pub(crate) fn like(file: &File, old: &Meta) -> io::Result<()> {
    let now = Meta::from(&file.metadata()?);
    let mut mode = old.mode & 0o777;
    if (now.uid, now.gid) != (old.uid, old.gid) {
        let (uid, gid) = (sys::Uid::from_raw(old.uid), sys::Gid::from_raw(old.gid));
        // Not root: the group alone, when we are in it.
        if sys::fchown(file, Some(uid), Some(gid)).is_err() && sys::fchown(file, None, Some(gid)).is_err() {
            // The rights of that group would be another's: no more than everybody has.
            mode = (mode & !0o070) | ((mode & 0o007) << 3);
        }
    }
    as_far_as_there_are_modes(sys::fchmod(file, Mode::from_raw_mode(mode as _)))
}

pub(crate) fn exchanged(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{} was replaced by another process while it was used", path.display()),
    )
}

pub(crate) fn meta(stat: &sys::Stat) -> Meta {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    {
        let nanos = |s: i64, n: i64| s.saturating_mul(1_000_000_000).saturating_add(n);
        Meta {
            kind,
            len: stat.st_size as u64,
            mode: (stat.st_mode as u32) & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mtime: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}
