//! Every file operation of the installer, one thin function each.
//!
//! What makes, renames and removes goes through [`bosc_files::Dir`]: the folder is opened first, and no name in it is followed. Nothing
//! else in `install`, `health` and `archive` calls `std::fs` (a test reads the sources to see to it), so a test can count the
//! calls, make any of them fail, or kill its own process at any of them: see `bosc_files::faults`.

mod attributes;
#[cfg(unix)]
mod entry;
mod sys;

pub(crate) use attributes::carry_over;

use super::owner::Owner;
use bosc_files::Dir;
#[cfg(feature = "faults")]
pub use bosc_files::{Op, faults};
use std::ffi::{OsStr, OsString};
pub(crate) use std::fs::Metadata;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Bytes read or written at once.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Counts the call, and fails or kills when a test asked for it.
#[cfg(feature = "faults")]
fn step(op: Op, path: &Path) -> io::Result<()> {
    faults::step(op, path)
}

#[cfg(not(feature = "faults"))]
#[allow(clippy::unnecessary_wraps)]
fn step(_: Op, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The operations that are counted here; what changes a name or makes something is counted where it is done, in `bosc_files`.
#[cfg(not(feature = "faults"))]
#[derive(Clone, Copy)]
enum Op {
    Look,
    Read,
    Sync,
    Mode,
    Lock,
}

/// The folder that a path is in, open, and the name in it. No link of another user is followed on the way, and none is once the
/// folder is open.
fn place(path: &Path) -> io::Result<(Dir, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(parent)?, name))
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
    Ok(Writer {
        file: dir.create_file(name, 0o600)?,
        #[cfg(feature = "faults")]
        path: path.to_owned(),
    })
}

impl Writer {
    /// Writes all of it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        faults::write_step(&self.path, bytes, &mut self.file)?;
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

/// Makes a folder. `Ok(false)` when there is one already.
#[cfg(any(feature = "_unpack", feature = "msix"))]
pub(crate) fn make_dir(path: &Path) -> io::Result<bool> {
    make_dir_with(path, 0o777)
}

/// Makes a folder for this user alone, whatever the umask is. `Ok(false)` when there is one already.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<bool> {
    make_dir_with(path, 0o700)
}

fn make_dir_with(path: &Path, mode: u32) -> io::Result<bool> {
    let (dir, name) = place(path)?;
    match dir.create_dir(name, mode) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.metadata(name)?.is_folder() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes a symbolic link. The target has `/` between its parts.
pub(crate) fn make_link(target: &str, path: &Path) -> io::Result<()> {
    let (dir, name) = place(path)?;
    // Windows wants to know whether it leads to a folder.
    let folder = cfg!(windows) && dir.path().join(target).is_dir();
    dir.symlink(OsStr::new(target), name, folder)
}

/// Sets the permissions of what was looked at, and of nothing that was put in its place since. No link; Unix only.
pub(crate) fn set_mode(path: &Path, looked_at: &Metadata, mode: u32) -> io::Result<()> {
    step(Op::Mode, path)?;
    #[cfg(unix)]
    entry::set_mode(path, looked_at, mode)?;
    #[cfg(not(unix))]
    let _ = (looked_at, mode);
    Ok(())
}

/// Waits until a file's bytes are on the disk.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    step(Op::Sync, path)?;
    sys::open_to_sync(path)?.sync_all()
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
    Dir::open(path)?.sync()
}

/// Tries again for `patience` while something else holds it open (Windows).
fn patiently(patience: Duration, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match work() {
            Err(e) if sys::in_use(&e) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// Gives something another name; what has it, is replaced if it is a file. Tries again for `patience` while something
/// else holds it open (Windows).
pub(crate) fn rename(from: &Path, to: &Path, patience: Duration) -> io::Result<()> {
    let ((dir, name), (to, to_name)) = (place(from)?, place(to)?);
    patiently(patience, || dir.rename(name, &to, to_name))
}

/// Gives something a name that nothing has. `AlreadyExists` when something does.
pub(crate) fn rename_new(from: &Path, to: &Path, patience: Duration) -> io::Result<()> {
    let ((dir, name), (to, to_name)) = (place(from)?, place(to)?);
    patiently(patience, || dir.rename_new(name, &to, to_name))
}

/// Lets two names change places in one step. `Ok(false)` when system or file system cannot.
pub(crate) fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    let ((dir, name), (to, to_name)) = (place(a)?, place(b)?);
    match dir.exchange(name, &to, to_name) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(e) => Err(e),
    }
}

/// Puts file `new` in the place of `target` and gives the replaced one the name `old`, in one call. `Ok(false)` when the
/// system cannot.
pub(crate) fn replace(target: &Path, new: &Path, old: &Path) -> io::Result<bool> {
    #[cfg(windows)]
    {
        #[cfg(feature = "faults")]
        step(Op::Exchange, target)?;
        sys::replace_file(target, new, old)
    }
    #[cfg(not(windows))]
    {
        let ((dir, name), (to, to_name)) = (place(target)?, place(old)?);
        match dir.second_name(name, &to, to_name) {
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
        to.sync()?;
        rename(new, target, Duration::ZERO)?;
        Ok(true)
    }
}

/// Removes a file or link.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        #[cfg(feature = "faults")]
        step(Op::Remove, path)?;
        sys::remove_file(path)
    }
    #[cfg(not(windows))]
    {
        let (dir, name) = place(path)?;
        dir.remove_file(name)
    }
}

/// Removes an empty folder.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    let (dir, name) = place(path)?;
    dir.remove_dir(name)
}

/// Opens a file to lock it, and tries to. Only who may write to it can: `owner` says who that is, and is seen to for a file that
/// is this user's.
pub(crate) fn try_lock(path: &Path, owner: Owner) -> io::Result<Option<File>> {
    step(Op::Lock, path)?;
    lock_now(open_lock(path, owner)?)
}

fn open_lock(path: &Path, owner: Owner) -> io::Result<File> {
    #[cfg(unix)]
    let file = entry::open_or_make(path)?;
    #[cfg(not(unix))]
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if owner_of(&found).0 == me() || me() == 0 {
        // A group that this user is not in: those in it lock each other out, nothing worse.
        give_open(&file, path, owner, 0o600)?;
    }
    Ok(file)
}

/// Gives an open file to an owner and a group, as far as the system lets this user, and sets its permissions: only those of `others`
/// when it still has another group. Unix only.
pub(crate) fn give_open(file: &File, path: &Path, owner: Owner, others: u32) -> io::Result<()> {
    step(Op::Mode, path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let there = Owner::of(&file.metadata()?);
        if (there.uid, there.gid) != (owner.uid, owner.gid) {
            let uid = (me() == 0).then_some(owner.uid);
            let _ = std::os::unix::fs::fchown(file, uid, Some(owner.gid));
        }
        let given = owner_of(&file.metadata()?).1 == owner.gid;
        let mode = if given { owner.mode } else { owner.mode & others };
        if there.mode & 0o777 != mode {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
    }
    #[cfg(not(unix))]
    let _ = (file, owner, others);
    Ok(())
}

/// Neither a link is followed nor a fifo waited for, in a place that is to hold a file.
#[cfg(unix)]
pub(crate) fn flags() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or(0)
}

fn lock_now(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

/// [`try_lock`], and writes down since when.
pub(crate) fn try_lock_since(path: &Path, owner: Owner, now: SystemTime) -> io::Result<Option<File>> {
    let locked = try_lock(path, owner)?;
    if let Some(file) = &locked {
        // Without it every start counts.
        let _ = file.set_modified(now);
    }
    Ok(locked)
}

/// Names the time since the system was started; `None` where it does not say.
pub(crate) fn boot() -> Option<String> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let mut text = String::new();
    File::open("/proc/sys/kernel/random/boot_id").ok()?.take(64).read_to_string(&mut text).ok()?;
    #[cfg(feature = "faults")]
    if let Some(other) = faults::other_boot() {
        return Some(other);
    }
    Some(text.trim().to_owned())
}

/// The user that this process works as; 0 where there is no such thing.
pub(crate) fn me() -> u32 {
    #[cfg(unix)]
    {
        rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// Owner and group; 0 where there is no such thing.
pub(crate) fn owner_of(found: &Metadata) -> (u32, u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (found.uid(), found.gid())
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        (0, 0)
    }
}

/// Gives what was looked at, and nothing that was put in its place since, to a user and a group; a link itself and not what it
/// names. That the system does not let this user is no error.
pub(crate) fn give(path: &Path, looked_at: &Metadata, uid: Option<u32>, gid: u32) -> io::Result<()> {
    step(Op::Mode, path)?;
    #[cfg(unix)]
    match entry::give(path, looked_at, uid, gid) {
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {}
        other => other?,
    }
    #[cfg(not(unix))]
    let _ = (looked_at, uid, gid);
    Ok(())
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
