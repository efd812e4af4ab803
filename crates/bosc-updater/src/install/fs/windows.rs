//! Windows. The only unsafe code of this crate: three calls that no kept crate wraps.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileTypeExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    GetDiskFreeSpaceExW, GetFileInformationByHandle, REPLACEFILE_IGNORE_MERGE_ERRORS, ReplaceFileW,
};

fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let mut text: Vec<u16> = path.as_os_str().encode_wide().collect();
    if text.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path with a zero in it"));
    }
    text.push(0);
    Ok(text)
}

/// Replaces a file and keeps the old one under another name. `Ok(false)` when it did not and nothing changed, or when it
/// stopped half way with the old file under its new name: the caller looks at what is there.
pub(crate) fn replace_file(target: &Path, new: &Path, old: &Path) -> io::Result<bool> {
    let (target, new, old) = (wide(target)?, wide(new)?, wide(old)?);
    // SAFETY: the three pointers are to zero-terminated UTF-16 that lives until the call returns; the reserved ones are
    // null, as documented.
    let done = unsafe {
        ReplaceFileW(
            target.as_ptr(),
            new.as_ptr(),
            old.as_ptr(),
            REPLACEFILE_IGNORE_MERGE_ERRORS,
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    Ok(done != 0)
}

/// A name for what is at a path that stays with it when it is renamed: the volume's serial number and the file's index. On NTFS
/// the index holds a sequence number, so that no later file gets the same one.
pub(crate) fn identity(path: &Path) -> io::Result<String> {
    // Access 0 asks for nothing but information; the flags open folders, and links themselves.
    let file = OpenOptions::new()
        .access_mode(0)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open until `file` is dropped, and `found` is a valid place for the structure.
    let done = unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    Ok(format!("{:x}.{index:x}", found.dwVolumeSerialNumber))
}

/// Bytes that this user may still write on the volume of a path.
pub(crate) fn available_space(path: &Path) -> io::Result<u64> {
    let folder = wide(path)?;
    let mut free = 0u64;
    // SAFETY: the path is zero-terminated and `free` outlives the call; the pointers that are not wanted may be null.
    let done = unsafe {
        GetDiskFreeSpaceExW(folder.as_ptr(), &raw mut free, std::ptr::null_mut(), std::ptr::null_mut())
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(free) }
}

/// Removes a file or a link, to folders too, read-only or not.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    let found = std::fs::symlink_metadata(path)?;
    if found.file_type().is_symlink_dir() {
        return std::fs::remove_dir(path);
    }
    if found.permissions().readonly() && found.is_file() {
        let mut permissions = found.permissions();
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        std::fs::set_permissions(path, permissions)?;
    }
    std::fs::remove_file(path)
}

/// Whether an error says that something else, a virus scanner for example, holds the file open for a moment.
pub(crate) fn in_use(error: &io::Error) -> bool {
    let code = error.raw_os_error().and_then(|code| u32::try_from(code).ok());
    matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION | ERROR_LOCK_VIOLATION))
}
