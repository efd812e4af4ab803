//! Whose is what root makes in somebody else's folder: that folder's owner's. A program that was run once as root does not lock its
//! user out of their own data.
//!
//! Only what was made this moment, by handle, is given away: what lies there already may be a link to something of root's. Where
//! everybody makes names the folder's owner has no claim to them.

use std::fs::File;
use std::path::Path;

/// Gives a file that this process has just made to the owner and group of the folder it lies in, when root made it in somebody
/// else's. Where that cannot be it stays as it is: not every file system has owners.
pub fn give_to_owner(made: &File, folder: &Path) {
    #[cfg(unix)]
    if crate::user() == 0
        && let Ok(found) = std::fs::metadata(folder)
    {
        give(made, &crate::Meta::from(&found));
    }
    #[cfg(not(unix))]
    let _ = (made, folder);
}

/// [`give_to_owner`] for a folder. A link that took its place meanwhile is not followed.
pub fn give_folder_to_owner(made: &Path) {
    #[cfg(unix)]
    if crate::user() == 0
        && let Some(above) = made.parent()
    {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(made) = rustix::fs::open(made, flags, Mode::empty()) {
            give_to_owner(&made.into(), above);
        }
    }
    #[cfg(not(unix))]
    let _ = made;
}

/// [`give_to_owner`], of the folder that was looked at.
#[cfg(unix)]
pub(crate) fn give(made: impl std::os::fd::AsFd, folder: &crate::Meta) {
    use rustix::fs::{Gid, Uid, fchown};
    if crate::user() == 0 && folder.uid != 0 && folder.mode & 0o1002 == 0 {
        let _ = fchown(made, Some(Uid::from_raw(folder.uid)), Some(Gid::from_raw(folder.gid)));
    }
}

#[cfg(not(unix))]
pub(crate) fn give(_: &File, _: &crate::Meta) {}
