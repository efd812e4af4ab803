//! Names that are made, changed and removed: by the handle of the folder they are in.

#[cfg(all(windows, feature = "faults"))]
use super::step::{Op, step};
use super::sys;
use bosc_files::Dir;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The folder that a path is in, open, and the name in it. No link of another user is followed on the way, and none is once the
/// folder is open.
pub(super) fn place(path: &Path) -> io::Result<(Dir, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((Dir::open(parent)?, name))
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
        Ok(_) => {
            bosc_files::give_folder_to_owner(path);
            Ok(true)
        }
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

/// Puts file `new` in place of `target` and gives the replaced one the name `old`, in one call. `Ok(false)` when the
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
