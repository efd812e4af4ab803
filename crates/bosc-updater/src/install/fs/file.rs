//! Files that are read and written.

#[cfg(unix)]
use super::meta::flags;
use super::names::place;
use super::step::{Op, step};
#[cfg(unix)]
use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
#[cfg(feature = "faults")]
use std::path::PathBuf;

/// A file being read.
pub(crate) struct Reader {
    file: File,
    #[cfg(feature = "faults")]
    path: PathBuf,
}

/// Opens a file to read it. A link in its place is not followed where the system can refuse that.
pub(crate) fn open(path: &Path) -> io::Result<Reader> {
    step(Op::Read, path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(flags());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(Reader {
        file,
        #[cfg(feature = "faults")]
        path: path.to_owned(),
    })
}

impl Reader {
    /// Its size now.
    #[cfg(feature = "_unpack")]
    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "faults")]
        step(Op::Read, &self.path)?;
        self.file.read(buf)
    }
}

#[cfg(feature = "_unpack")]
impl io::Seek for Reader {
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(pos)
    }
}

/// A file being written.
pub(crate) struct Writer {
    file: File,
    #[cfg(feature = "faults")]
    path: PathBuf,
}

/// Opens a file so that, on Windows, nobody can write, rename or remove it until the returned one is closed. Elsewhere it
/// only opens it.
#[cfg(feature = "msix")]
pub(crate) fn hold(path: &Path) -> io::Result<File> {
    step(Op::Read, path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_SHARE_READ: u32 = 1;
        options.share_mode(FILE_SHARE_READ);
    }
    options.open(path)
}

/// Makes a file that must not exist yet; nobody else can read it until [`Writer::finish`].
pub(crate) fn create(path: &Path) -> io::Result<Writer> {
    let (dir, name) = place(path)?;
    let file = dir.create_file(name, 0o600)?;
    bosc_files::give_to_owner(&file, dir.path());
    Ok(Writer {
        file,
        #[cfg(feature = "faults")]
        path: path.to_owned(),
    })
}

impl Writer {
    /// Writes all of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        super::step::faults::write_step(&self.path, bytes, &mut self.file)?;
        self.file.write_all(bytes)
    }

    /// Sets who may read and run it, and does not wait for the disk.
    #[cfg(feature = "_unpack")]
    pub(crate) fn close(self, mode: u32) -> io::Result<()> {
        #[cfg(feature = "faults")]
        step(Op::Mode, &self.path)?;
        self.mode(mode)
    }

    fn mode(&self, mode: u32) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            self.file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        #[cfg(not(unix))]
        let _ = mode;
        Ok(())
    }

    /// Sets who may read and run it, and waits until it is on the disk.
    pub(crate) fn finish(self, mode: u32) -> io::Result<()> {
        #[cfg(feature = "faults")]
        step(Op::Sync, &self.path)?;
        self.mode(mode)?;
        self.file.sync_all()
    }
}
