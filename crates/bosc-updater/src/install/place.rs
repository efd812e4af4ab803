//! Names on the disk.

use super::errors::{At, io_error};
use super::folder::{self, MAX_SLOTS};
use super::fs;
use super::fs::Owner;
use super::tree;
use super::types::Kind;
use crate::error::{ErrorKind, UpdateError};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A build that is kept beside the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The one before the installed one: `<target>.prev`.
    Previous,
    /// The last one that was rolled back: `<target>.broken`.
    Broken,
}

/// Whether there is anything at a path where a build is to be, or was kept. No pipe, socket or device is replaced, removed or put
/// in the application's place.
///
/// # Errors
/// `Input` for one of those, with what it is.
pub(crate) fn holds_build(path: &Path) -> Result<bool, UpdateError> {
    let Some(found) = fs::look(path).at("look at", path)? else { return Ok(false) };
    let kind = found.file_type();
    if kind.is_file() || kind.is_dir() || kind.is_symlink() {
        return Ok(true);
    }
    let is = bosc_files::refuse_special(path).err().map_or_else(String::new, |e| format!(": {e}"));
    Err(UpdateError::new(ErrorKind::Input, format!("{} cannot be replaced{is}", path.display()))
        .hint("Give the path of the executable, AppImage, folder or .app that is installed."))
}

/// The application's path and everything that is named after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The application.
    pub(crate) target: PathBuf,
    /// The folder that the application is in.
    pub(crate) parent: PathBuf,
    /// `.<name>.bosc` beside it, or another name where that is somebody's own; see [`folder`].
    pub(crate) folder: PathBuf,
    name: OsString,
}

impl Place {
    /// Finds the application. A link at the target is followed, and the folder's own links are.
    pub(crate) fn find(target: &Path) -> Result<Self, UpdateError> {
        let nothing = || {
            UpdateError::new(ErrorKind::Input, format!("there is no application at {}", target.display()))
                .hint("give the path of the executable, AppImage, folder or .app that is installed")
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
        let folder = folder::of(&parent, name)?;
        let place = Self { target: parent.join(name), folder, name: name.to_owned(), parent };
        let exists = |path: &Path| fs::look(path).map(|meta| meta.is_some()).at("look at", path);
        if place.is_there()? || exists(&place.prev())? || exists(&place.outgoing())? {
            Ok(place)
        } else {
            Err(nothing())
        }
    }

    /// The place of an application that may be gone; `None` where there is no such folder.
    pub(crate) fn of(target: &Path) -> Result<Option<Self>, UpdateError> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Ok(None) };
        if fs::look(parent).at("look at", parent)?.is_none() {
            return Ok(None);
        }
        let parent =
            if cfg!(windows) { parent.to_owned() } else { fs::canonical(parent).at("look at", parent)? };
        let folder = folder::of(&parent, name)?;
        Ok(Some(Self { target: parent.join(name), folder, name: name.to_owned(), parent }))
    }

    /// Whether an updater of the application made its folder.
    pub(crate) fn is_made(&self) -> Result<bool, UpdateError> {
        let found = fs::look(&self.folder).at("look at", &self.folder)?;
        Ok(found.is_some_and(|found| found.is_dir()) && folder::was_used(&self.folder))
    }

    /// Removes the folder, unless there is something in it that is not ours.
    pub(crate) fn unmake(&self) -> Result<(), UpdateError> {
        for ours in [self.lock(), self.running()] {
            tree::remove(&ours)?;
        }
        match fs::remove_dir(&self.folder) {
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            done => done.at("remove", &self.folder),
        }
    }

    /// Whether a build is at the target, or a link took its place. Asked again right before another one is put there.
    ///
    /// # Errors
    /// As [`holds_build`].
    pub(crate) fn is_there(&self) -> Result<bool, UpdateError> {
        holds_build(&self.target)
    }

    fn sibling(&self, ending: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(ending);
        self.parent.join(name)
    }

    /// A name beside the application for a build that is kept. Slot 1 has Perry's name; the others are for when that is
    /// somebody else's.
    pub(crate) fn kept(&self, what: Kept, slot: u32) -> PathBuf {
        let ending = match what {
            Kept::Previous => ".prev",
            Kept::Broken => ".broken",
        };
        if slot <= 1 { self.sibling(ending) } else { self.sibling(&format!("{ending}-{slot}")) }
    }

    /// The build before the installed one, under Perry's name.
    pub(crate) fn prev(&self) -> PathBuf {
        self.kept(Kept::Previous, 1)
    }

    /// Where the build that is to come waits; after an exchange the one that went is here.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    /// Where the build that is to go waits, when there is no exchange.
    pub(crate) fn outgoing(&self) -> PathBuf {
        self.folder.join("outgoing")
    }

    pub(crate) fn staging(&self, number: u32) -> PathBuf {
        self.folder.join(if number <= 1 { "staging".to_owned() } else { format!("staging-{number}") })
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

    /// What the state folder is to have; see [`Owner`].
    pub(crate) fn owner(&self) -> Result<Owner, UpdateError> {
        let parent = fs::look(&self.parent).at("look at", &self.parent)?.ok_or_else(|| self.no_parent())?;
        let target = fs::look(&self.target).at("look at", &self.target)?;
        Ok(Owner::of_state(&parent, target.as_ref()))
    }

    fn no_parent(&self) -> UpdateError {
        UpdateError::new(ErrorKind::Input, format!("there is no folder {}", self.parent.display()))
            .hint("install the application again")
    }

    /// Makes the folder. Who may write beside the application may write in it, nobody else: they could replace the application
    /// anyway, and then they can also roll a bad build back.
    pub(crate) fn make_folder(&self) -> Result<(), UpdateError> {
        let parent = fs::look(&self.parent).at("look at", &self.parent)?.ok_or_else(|| self.no_parent())?;
        let target = fs::look(&self.target).at("look at", &self.target)?;
        let owner = Owner::of_state(&parent, target.as_ref());
        let parent = Owner::of(&parent);
        if let Some(found) = fs::look(&self.folder).at("look at", &self.folder)? {
            return self.trust_folder(&found, parent, owner);
        }
        if fs::make_private_dir(&self.folder).at("make", &self.folder)? {
            owner.apply(&self.folder)?;
            folder::mark(&self.folder, owner.lock());
            return fs::sync_dir(&self.parent).at("sync", &self.parent);
        }
        match fs::look(&self.folder).at("look at", &self.folder)? {
            Some(found) => self.trust_folder(&found, parent, owner),
            None => Ok(()),
        }
    }

    /// In a folder where everybody may make names ours may have been made by somebody else, to have their file put in the
    /// application's place. Elsewhere only its permissions can be too wide.
    fn trust_folder(&self, found: &fs::Metadata, parent: Owner, owner: Owner) -> Result<(), UpdateError> {
        let there = Owner::of(found);
        let wide =
            there.mode & 0o022 & !owner.mode != 0 || (there.mode & 0o020 != 0 && there.gid != owner.gid);
        let stranger = parent.is_open_to_all() && !owner.trusts(there.uid) && there.uid != 0;
        let folder = self.folder.display();
        if !found.is_dir() {
            // A link may have been put there by others.
            let (what, kind) = match (found.is_symlink(), found.is_file()) {
                (true, _) => ("a link", ErrorKind::Permission),
                (_, true) => ("a file", ErrorKind::Input),
                _ => ("something else", ErrorKind::Input),
            };
            let why = format!(
                "{folder} is {what}, and what the updater remembers of the application is kept in a folder there"
            );
            return Err(UpdateError::new(kind, why)
                .hint("give it another name, or move it away; until then no update is installed"));
        }
        let refused = |why: String| {
            Err(UpdateError::new(ErrorKind::Permission, why).hint(
                "install the application in a folder where only its owner makes files, or remove that folder",
            ))
        };
        if stranger {
            return refused(format!("{folder} was created by another user"));
        }
        if wide && parent.is_sticky() {
            return refused(format!("other users may write to {folder}"));
        }
        if wide && (there.uid == fs::me() || fs::me() == 0) {
            owner.apply(&self.folder)?;
            // Whoever could write there until now may have.
            self.discard(&self.staging(1))?;
        }
        Ok(())
    }

    /// A folder that only this user writes to, whatever the umask is. What others made under its name, or could write to, is not
    /// used: it goes if it is this user's, and another name is taken if it is not.
    pub(crate) fn make_staging(&self) -> Result<PathBuf, UpdateError> {
        let owner = self.owner()?.private();
        for number in 1..=MAX_SLOTS {
            let staging = self.staging(number);
            if let Some(found) = fs::look(&staging).at("look at", &staging)? {
                let there = Owner::of(&found);
                if !owner.trusts(there.uid) {
                    continue;
                }
                if found.is_dir() && there.mode & 0o022 == 0 {
                    return Ok(staging);
                }
                self.discard(&staging)?;
            }
            if fs::make_private_dir(&staging).at("make", &staging)? {
                owner.apply(&staging)?;
                return Ok(staging);
            }
        }
        Err(UpdateError::new(
            ErrorKind::Permission,
            format!("{} and the names after it belong to other users", self.staging(1).display()),
        )
        .hint("remove them as their owner"))
    }

    /// Nothing that was fetched is needed any more. Errors are not looked at: it only frees room.
    pub(crate) fn clear_staging(&self) {
        for number in 1..=MAX_SLOTS {
            let staging = self.staging(number);
            match fs::look(&staging) {
                Ok(Some(_)) => drop(tree::remove(&staging)),
                _ => break,
            }
        }
    }

    /// The folder that [`Self::make_staging`] gives, if it is there.
    pub(crate) fn staging_there(&self) -> Option<PathBuf> {
        let me = |found: &fs::Metadata| found.is_dir() && fs::owner_of(found).0 == fs::me();
        let mut all = (1..=MAX_SLOTS).map(|number| self.staging(number));
        all.find(|path| matches!(fs::look(path), Ok(Some(found)) if me(&found)))
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
        if fs::make_private_dir(&trash).at("make", &trash)? {
            self.owner()?.private().apply(&trash)?;
        }
        let mut number = 0u32;
        let slot = loop {
            let slot = trash.join(number.to_string());
            if fs::look(&slot).at("look at", &slot)?.is_none() {
                break slot;
            }
            number = number.checked_add(1).ok_or_else(|| {
                io_error(
                    "remove",
                    &trash,
                    std::io::Error::other("too many entries are waiting to be removed"),
                )
            })?;
        };
        fs::rename(path, &slot, Duration::from_secs(2)).at("remove", path)?;
        // A running program cannot be removed on Windows; what stays is removed by whoever comes next.
        if tree::remove(&slot).is_ok() {
            let _ = fs::remove_dir(&trash);
        }
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
    /// Where a build is to be replaced, and where the one before is to be kept or put back from: they stay what they are.
    #[cfg(unix)]
    #[test]
    fn no_pipe_or_socket_is_a_build() {
        use super::*;
        use crate::install::plain;
        use std::os::unix::fs::{FileTypeExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let fifo = |path: PathBuf| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success())
        };
        fifo(at("Pipe"));
        let _socket = std::os::unix::net::UnixListener::bind(at("Socket")).unwrap();
        symlink("Pipe", at("Link")).unwrap();
        for (name, is) in [("Pipe", "a pipe"), ("Socket", "a socket"), ("Link", "a pipe")] {
            let error = Place::find(&at(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
            assert!(error.to_string().contains(is), "{error}");
            std::fs::write(at("new"), b"new").unwrap();
            assert_eq!(plain::put(&at("new"), &at(name)).unwrap_err().kind(), ErrorKind::Input);
        }
        std::fs::write(at("App"), b"app").unwrap();
        let place = Place::find(&at("App")).unwrap();
        fifo(place.prev());
        assert_eq!(plain::put(&at("new"), &at("App")).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(plain::put_back(&at("App")).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(std::fs::read(at("App")).unwrap(), b"app");
        for path in [at("Pipe"), place.prev()] {
            assert!(std::fs::symlink_metadata(path).unwrap().file_type().is_fifo());
        }
        // It came after the application was found.
        std::fs::remove_file(at("App")).unwrap();
        fifo(at("App"));
        assert_eq!(place.is_there().unwrap_err().kind(), ErrorKind::Input);
    }

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
        let mode = || std::fs::metadata(&place.folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode() & 0o022, 0, "narrowed to what the folder around it allows");
        set(&place.folder, 0o777);
        set(dir.path(), 0o1777);
        assert_eq!(place.make_folder().unwrap_err().kind(), ErrorKind::Permission);
        set(&place.folder, 0o700);
        place.make_folder().unwrap();
    }
}
