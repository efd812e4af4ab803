//! Replacing one file.
//!
//! ```text
//! begun (a temporary file beside it, made new) --> written --> synced --> renamed --> the folder synced
//!     \--> dropped: the temporary file is gone, the old file is there
//! ```

use crate::given::give;
use crate::meta::{Kind, Meta};
use crate::names::{one, random_name};
use crate::op::Op;
use crate::plain::refuse_special;
use crate::step::step;
use crate::system::{Dir, like};
use crate::tree::set_mode;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most links followed to the file.
const MAX_LINKS: usize = 40;

/// What a power cut may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Holds against the death of the process only: for what is made anew after a start.
    Process,
    /// The file is the old one or the new one, whole.
    Whole,
    /// The new file is on disk under its name on return.
    Disk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Kept,
    Given,
    Private,
}

/// How to replace a file.
#[derive(Debug, Clone, Copy)]
pub struct Replace {
    durability: Durability,
    access: Access,
    mode: u32,
    follow: bool,
    /// Folders that are missing are made.
    folders: Option<Folders>,
    /// A new file is the folder's owner's.
    given: bool,
    only_new: bool,
    temp: Temp,
}

/// For whom folders are made.
#[derive(Debug, Clone, Copy)]
enum Folders {
    Usual,
    Private,
}

/// The name of the temporary file.
#[derive(Debug, Clone, Copy)]
enum Temp {
    Random,
    /// That of the file with this behind it.
    Ending(&'static str),
    Fixed(&'static str),
}

impl Replace {
    /// The permissions and owner of the file that is replaced, as far as we may give them; those of the system's
    /// default when there is none. A link in the file's place is replaced.
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            access: Access::Kept,
            mode: 0o666,
            follow: false,
            folders: None,
            given: false,
            only_new: false,
            temp: Temp::Random,
        }
    }

    /// Only its owner may read it, whoever could read the old one.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.access = Access::Private;
        self
    }

    /// These permission bits, less what the umask takes, and our owner, whatever is replaced.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        (self.access, self.mode) = (Access::Given, mode);
        self
    }

    /// A link of the user or of root in the file's place is followed. One of somebody else makes it fail.
    #[must_use]
    pub fn follow_links(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Folders on the way that are missing are made.
    #[must_use]
    pub fn make_folders(mut self) -> Self {
        self.folders = Some(Folders::Usual);
        self
    }

    /// What root writes in somebody else's folder is that folder's owner's: a user's data stay theirs. For what its owner may read
    /// anyway, never for a secret of root's.
    #[must_use]
    pub fn for_owner_of_folder(mut self) -> Self {
        self.given = true;
        self
    }

    /// Folders on the way that are missing are made, for this user alone; by root, for the owner of the folder they are made in.
    #[must_use]
    pub fn make_private_folders(mut self) -> Self {
        self.folders = Some(Folders::Private);
        self
    }

    /// The temporary file is `<name><ending>`, and one that a killed process left there goes first: for a file that one process at a
    /// time replaces, because it holds a lock or because the last one wins. Without it the name is random, so that nobody can be in
    /// the way, and what a killed process leaves stays.
    #[must_use]
    pub fn temporary(mut self, ending: &'static str) -> Self {
        self.temp = Temp::Ending(ending);
        self
    }

    /// As [`Replace::temporary`], with this name.
    #[must_use]
    pub fn temporary_name(mut self, name: &'static str) -> Self {
        self.temp = Temp::Fixed(name);
        self
    }

    /// Fails with `AlreadyExists` when anything is there.
    #[must_use]
    pub fn only_new(mut self) -> Self {
        self.only_new = true;
        self
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// Of the system; the old file is there then.
    pub fn write(self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        self.write_in(&dir, name, bytes)
    }

    /// Has the content written by somebody.
    ///
    /// # Errors
    /// Of the system, and of `write`; the old file is there then.
    pub fn write_with(self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let mut pending = self.begin(&dir, &name)?;
        write(pending.file())?;
        pending.commit()
    }

    /// [`Replace::write`] for a file in a folder that is open.
    ///
    /// # Errors
    /// As [`Replace::write`].
    pub fn write_in(self, dir: &Dir, name: impl AsRef<OsStr>, bytes: &[u8]) -> io::Result<()> {
        let mut pending = self.begin(dir, name)?;
        pending.write(bytes)?;
        pending.commit()
    }

    /// Begins to replace a file in a folder. A link there is replaced, whatever [`Replace::follow_links`] said.
    ///
    /// # Errors
    /// `InvalidInput` for a pipe, a socket or a device, with what it is; others of the system.
    pub fn begin(self, dir: &Dir, name: impl AsRef<OsStr>) -> io::Result<Pending> {
        let name = one(name.as_ref())?.to_owned();
        let dir = dir.again()?;
        if dir.metadata(&name).is_ok_and(|there| there.kind == Kind::Other) {
            refuse_special(&dir.path().join(&name))?;
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
        }
        let old = match self.access {
            Access::Kept => dir.metadata(&name).ok().filter(Meta::is_file),
            Access::Given | Access::Private => None,
        };
        // Never more than the file will have, not even for a moment.
        let mode = if self.access == Access::Private || old.is_some() { 0o600 } else { self.mode };
        let temp = match self.temp {
            Temp::Random => random_name(".bosc-", ".tmp")?.into(),
            Temp::Ending(ending) => {
                let mut temp = name.clone();
                temp.push(ending);
                temp
            }
            Temp::Fixed(name) => OsString::from(name),
        };
        if !matches!(self.temp, Temp::Random) && dir.metadata(&temp).is_ok() {
            dir.remove_file(&temp)?;
        }
        let file = dir.create_file(&temp, mode)?;
        let pending = Pending { how: self, dir, name, temp: Some(temp), file: Some(file) };
        if let Some(file) = &pending.file {
            match old {
                Some(old) => like(file, &old)?,
                // Also where the umask would keep the owner out.
                None if self.access == Access::Private => set_mode(file, 0o600)?,
                None => {}
            }
            if self.given {
                give(file, &pending.dir.own_metadata()?);
            }
        }
        Ok(pending)
    }

    /// The folder of the file, and its name in it: where [`Replace::follow_links`] leads.
    ///
    /// # Errors
    /// `InvalidInput` for what is not a plain file when links are followed; others of the system.
    pub fn place(self, path: &Path) -> io::Result<(Dir, OsString)> {
        let mut path = path.to_owned();
        if self.follow {
            refuse_special(&path)?;
        }
        for _ in 0..MAX_LINKS {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let dir = match self.folders {
                Some(Folders::Usual) => Dir::create(parent, 0o777)?,
                Some(Folders::Private) => Dir::create_private(parent)?,
                None => Dir::open(parent)?,
            };
            if !self.follow {
                return Ok((dir, name));
            }
            let text: PathBuf = match dir.trusted_link(&name) {
                Ok(Some(text)) => text,
                Ok(None) => return Ok((dir, name)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((dir, name)),
                Err(e) => return Err(e),
            };
            path = parent.join(text);
        }
        Err(io::Error::other("too many links"))
    }
}

/// A file on its way. Dropped, it leaves the old one.
#[derive(Debug)]
pub struct Pending {
    how: Replace,
    dir: Dir,
    name: OsString,
    temp: Option<OsString>,
    file: Option<File>,
}

impl Pending {
    /// The file to write to.
    #[allow(clippy::missing_panics_doc, clippy::expect_used)]
    pub fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("it is taken only by commit")
    }

    /// Writes these bytes behind those that are there.
    ///
    /// # Errors
    /// Of the system.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        if let (Some(temp), Some(file)) = (&self.temp, &mut self.file) {
            crate::faults::write_step(&self.dir.path().join(temp), bytes, file)?;
        }
        self.file().write_all(bytes)
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// Of the system; the old file is there then.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        if self.how.durability >= Durability::Whole {
            step(Op::Sync, self.dir.path(), self.temp.as_deref().unwrap_or_default())?;
            file.sync_all()?;
        }
        // Windows does not rename what is open.
        drop(file);
        let Some(temp) = &self.temp else { return Ok(()) };
        if self.how.only_new {
            self.dir.rename_new(temp, &self.dir, &self.name)?;
        } else {
            patiently(|| self.dir.rename(temp, &self.dir, &self.name))?;
        }
        self.temp = None;
        if self.how.durability == Durability::Disk {
            self.dir.sync()?;
        }
        Ok(())
    }
}

/// Something else, a virus scanner for example, may hold the file open for a moment. Only Windows knows that.
pub(crate) fn patiently(mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    let begun = std::time::Instant::now();
    loop {
        match work() {
            // ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
            Err(e)
                if cfg!(windows)
                    && matches!(e.raw_os_error(), Some(5 | 32 | 33))
                    && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.file = None;
        if let Some(temp) = &self.temp {
            let _ = self.dir.remove_file(temp);
        }
    }
}
