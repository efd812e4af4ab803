//! Files that are read: their size is asked first, and no more than that is taken.

use crate::error::{CommandError, ErrorKind};
use bosc_delta::{Base, MAX_FILE};
use bosc_files::{Meta, open_plain};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that was opened, and its size then.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    file: RefCell<File>,
    pub(super) bytes: u64,
    /// Whether it may be executed.
    pub(super) executable: bool,
}

impl Input {
    /// Opens a plain file of at most 4 GiB.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let opened = open_plain(path).and_then(|file| Ok((file.metadata()?, file)));
        let (meta, file) = opened.map_err(|e| unreadable(path, e))?;
        let (bytes, executable) = (meta.len(), Meta::from(&meta).executable().unwrap_or(false));
        if bytes > MAX_FILE {
            return Err(CommandError::input(format!(
                "{} has {bytes} bytes; a file of a patch has at most {MAX_FILE}",
                path.display()
            ))
            .hint("make patches of the files in it, one by one"));
        }
        Ok(Self { path: path.to_owned(), file: RefCell::new(file), bytes, executable })
    }

    /// All of it.
    pub(super) fn read(&self) -> Result<Vec<u8>, CommandError> {
        let size = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| {
            CommandError::failed(format!(
                "there is no memory for the {size} bytes of {}",
                self.path.display()
            ))
            .hint("end other programs, or run it on a machine with more memory")
        })?;
        let read = (&*self.file.borrow()).take(self.bytes).read_to_end(&mut bytes);
        match read {
            Ok(n) if n == size => Ok(bytes),
            Ok(_) => Err(CommandError::failed(format!("{} became shorter meanwhile", self.path.display()))
                .hint("run the command again when nothing writes to it")),
            Err(e) => Err(unreadable(&self.path, e)),
        }
    }
}

impl Base for Input {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(into)
    }
}

pub(super) fn unreadable(path: &Path, e: io::Error) -> CommandError {
    let message = format!("{} cannot be read", path.display());
    match e.kind() {
        io::ErrorKind::NotFound => {
            CommandError::not_found(format!("there is no file {}", path.display())).hint("check the path")
        }
        io::ErrorKind::PermissionDenied => {
            CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message)
                .because(e)
                .hint("check its permissions")
        }
        _ => CommandError::input(message).because(e).hint("name a plain file"),
    }
}
