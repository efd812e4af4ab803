//! Every file operation of the installer, one thin function each.
//!
//! Nothing else in `install`, `health` and `archive` calls `std::fs` (a test reads the sources to see to it), so a test
//! can count the calls, make any of them fail, or kill its own process at any of them: see `faults`.

#[cfg(any(test, feature = "faults"))]
pub mod faults;
mod sys;

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Bytes read or written at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// What a call does, for the faults of tests.
#[cfg_attr(not(feature = "faults"), allow(dead_code, unreachable_pub))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Looks.
    Look,
    /// Reads bytes.
    Read,
    /// Makes a file, folder or link.
    Make,
    /// Writes bytes.
    Write,
    /// Waits until the disk has it.
    Sync,
    /// Gives something another name.
    Rename,
    /// Lets two names change places.
    Exchange,
    /// Removes a name.
    Remove,
    /// Changes permissions.
    Mode,
    /// Takes a lock.
    Lock,
}

/// Counts the call, and fails or kills when a test asked for it.
#[cfg(any(test, feature = "faults"))]
fn step(op: Op, path: &Path) -> io::Result<()> {
    faults::step(op, path)
}

#[cfg(not(any(test, feature = "faults")))]
#[allow(clippy::unnecessary_wraps)]
fn step(_: Op, _: &Path) -> io::Result<()> {
    Ok(())
}

/// What is at a path, links not followed.
pub(crate) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    step(Op::Look, path)?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A name for what is at a path that stays with it when it is renamed, where the file system keeps one.
pub(crate) fn identity(path: &Path) -> io::Result<String> {
    step(Op::Look, path)?;
    sys::identity(path)
}

/// Bytes that this user may still write on the file system of a path.
pub(crate) fn available_space(path: &Path) -> io::Result<u64> {
    step(Op::Look, path)?;
    sys::available_space(path)
}

/// The path with every link followed.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    step(Op::Look, path)?;
    fs::canonicalize(path)
}

/// The names in a folder, sorted. Fails with `InvalidData` above `limit`.
pub(crate) fn names(path: &Path, limit: usize) -> io::Result<Vec<OsString>> {
    step(Op::Look, path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        if names.len() >= limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many entries"));
        }
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Where a link points.
pub(crate) fn link_target(path: &Path) -> io::Result<PathBuf> {
    step(Op::Look, path)?;
    fs::read_link(path)
}

/// A file being read.
pub(crate) struct Reader {
    file: File,
    #[cfg(any(test, feature = "faults"))]
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
        // A fifo put in a file's place must not make us wait.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(Reader {
        file,
        #[cfg(any(test, feature = "faults"))]
        path: path.to_owned(),
    })
}

impl Reader {
    /// Its size now.
    #[cfg(feature = "archives")]
    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(any(test, feature = "faults"))]
        step(Op::Read, &self.path)?;
        self.file.read(buf)
    }
}

#[cfg(feature = "archives")]
impl io::Seek for Reader {
    fn seek(&mut self, pos: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(pos)
    }
}

/// A file being written.
pub(crate) struct Writer {
    file: File,
    #[cfg(any(test, feature = "faults"))]
    path: PathBuf,
}

/// Opens a file so that, on Windows, nobody can write, rename or remove it until the returned one is closed. Elsewhere it
/// only opens it.
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
    step(Op::Make, path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    Ok(Writer {
        file: options.open(path)?,
        #[cfg(any(test, feature = "faults"))]
        path: path.to_owned(),
    })
}

impl Writer {
    /// Writes all of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(any(test, feature = "faults"))]
        faults::write_step(&self.path, bytes, &mut self.file)?;
        self.file.write_all(bytes)
    }

    /// Sets who may read and run it, and does not wait for the disk.
    #[cfg(feature = "archives")]
    pub(crate) fn close(self, mode: u32) -> io::Result<()> {
        #[cfg(any(test, feature = "faults"))]
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
        #[cfg(any(test, feature = "faults"))]
        step(Op::Sync, &self.path)?;
        self.mode(mode)?;
        self.file.sync_all()
    }
}

/// Makes a folder. `Ok(false)` when there is one already.
pub(crate) fn make_dir(path: &Path) -> io::Result<bool> {
    step(Op::Make, path)?;
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() => {
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

/// Makes a symbolic link.
pub(crate) fn make_link(target: &str, path: &Path) -> io::Result<()> {
    step(Op::Make, path)?;
    sys::symlink(target, path)
}

/// Gives a file a second name.
#[cfg_attr(windows, allow(dead_code))]
pub(crate) fn second_name(path: &Path, name: &Path) -> io::Result<()> {
    step(Op::Make, name)?;
    fs::hard_link(path, name)
}

/// Sets permissions, Unix only.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    step(Op::Mode, path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

/// Waits until a file's bytes are on the disk.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    // Windows flushes only what may be written.
    OpenOptions::new().read(true).write(cfg!(windows)).open(path)?.sync_all()
}

/// Waits until everything on the file system of a path is on the disk: for hundreds of files one wait and not hundreds.
/// `Ok(false)` where the system cannot.
pub(crate) fn sync_all(path: &Path) -> io::Result<bool> {
    step(Op::Sync, path)?;
    sys::sync_all(path)
}

/// Hands a file's bytes to the disk, which may still hold them in its own memory: for many files before one that is
/// synced in full.
pub(crate) fn hand_over(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    sys::hand_over(path)
}

/// Waits until a folder's names are on the disk. Nothing to do on Windows, whose file systems order them themselves.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    #[cfg(unix)]
    match File::open(path)?.sync_all() {
        // Some file systems cannot sync a folder and say so.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
        other => other?,
    }
    Ok(())
}

/// Gives something another name; what has it, is replaced if it is a file. Tries again for `patience` while something
/// else holds it open (Windows).
pub(crate) fn rename(from: &Path, to: &Path, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        step(Op::Rename, from)?;
        match fs::rename(from, to) {
            Err(e) if sys::in_use(&e) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// Lets two names change places in one step. `Ok(false)` when system or file system cannot.
pub(crate) fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    step(Op::Exchange, a)?;
    #[cfg(any(test, feature = "faults"))]
    if faults::exchange_forbidden() {
        return Ok(false);
    }
    sys::exchange(a, b)
}

/// Puts file `new` in the place of `target` and gives the replaced one the name `old`, in one call. `Ok(false)` when the
/// system cannot.
pub(crate) fn replace(target: &Path, new: &Path, old: &Path) -> io::Result<bool> {
    #[cfg(windows)]
    {
        step(Op::Exchange, target)?;
        sys::replace_file(target, new, old)
    }
    #[cfg(not(windows))]
    {
        match second_name(target, old) {
            Ok(()) => {}
            // File systems without second names (FAT), and systems that do not give them to others' files.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
                    || matches!(e.raw_os_error(), Some(1 | 31 | 95 | 45)) =>
            {
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
        if let Some(folder) = old.parent() {
            sync_dir(folder)?;
        }
        rename(new, target, Duration::ZERO)?;
        Ok(true)
    }
}

/// Removes a file or link.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    step(Op::Remove, path)?;
    sys::remove_file(path)
}

/// Removes an empty folder.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    step(Op::Remove, path)?;
    fs::remove_dir(path)
}

/// Opens a file to lock it, and tries to.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    step(Op::Lock, path)?;
    // A lock file of another user can be opened for reading, and that is enough to lock it.
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?
        }
        Err(e) => return Err(e),
    };
    lock_now(file)
}

fn lock_now(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// [`try_lock`], and writes down since when, where this user may.
pub(crate) fn try_lock_since(path: &Path, now: SystemTime) -> io::Result<Option<File>> {
    step(Op::Lock, path)?;
    let writable = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = writable.or_else(|_| OpenOptions::new().read(true).open(path))?;
    let locked = lock_now(file)?;
    if let Some(file) = &locked {
        // Without it every start counts.
        let _ = file.set_modified(now);
    }
    Ok(locked)
}

/// Whether this user owns it and nobody else may write to it. True where there is no such thing.
pub(crate) fn is_ours_alone(found: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        found.uid() == rustix::process::geteuid().as_raw() && mode_of(found) & 0o022 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        true
    }
}

/// Permission bits, Unix; 0o755 elsewhere.
pub(crate) fn mode_of(found: &Metadata) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        found.mode() & 0o7777
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        0o755
    }
}
