//! Owner and permissions of what was looked at, and of nothing that was put in its place since.
//!
//! Root updates applications in folders of other users, who can give any name there to something else at any moment. So an entry
//! is opened without following a link, compared with what was looked at, and changed by its handle:
//! * a link, or another entry, in its place is refused;
//! * so is a link in place of a folder on the way, when root works: the paths of an installation have none;
//! * so is a file with a second name: that name may be that of somebody else's file.
//!
//! Where a system opens neither links nor files that their owner may not read, those are changed by name, links not followed,
//! after the comparison.

use super::meta::{Metadata, me};
use rustix::fs::{Gid, Mode, OFlags, Uid, openat};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path};

#[cfg(any(target_os = "linux", target_os = "android"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEARCH: OFlags = OFlags::RDONLY;

enum Entry<'a> {
    /// Open: changed by the handle.
    Open(File),
    /// A handle that only names it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Named(File, std::marker::PhantomData<&'a ()>),
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Named(OwnedFd, &'a OsStr),
}

/// The folder that a path is in, and the name in it.
fn parent(path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if me() != 0 || !path.is_absolute() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        return Ok((rustix::fs::open(parent, flags, Mode::empty())?, name));
    }
    let mut at = rustix::fs::open("/", flags, Mode::empty())?;
    for part in parent.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => at = openat(&at, part, flags | OFlags::NOFOLLOW, Mode::empty())?,
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok((at, name))
}

/// Opens a file, or makes it for this user alone, to read and write it. Neither a link is followed nor a fifo waited for, and a
/// file with a second name is refused.
pub(super) fn open_or_make(path: &Path) -> io::Result<File> {
    let (parent, name) = parent(path)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&parent, name, flags, Mode::from_raw_mode(0o600))?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    one_name(&found)?;
    Ok(file)
}

fn one_name(found: &Metadata) -> io::Result<()> {
    if !found.is_dir() && found.nlink() > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file has a second name elsewhere"));
    }
    Ok(())
}

fn open<'a>(path: &'a Path, looked_at: &Metadata) -> io::Result<Entry<'a>> {
    let same = |found: &Metadata| {
        if (found.dev(), found.ino()) != (looked_at.dev(), looked_at.ino()) {
            return Err(io::Error::other("something else was put in its place"));
        }
        one_name(found)
    };
    let (parent, name) = parent(path)?;
    if !looked_at.file_type().is_symlink() {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&parent, name, flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                same(&file.metadata()?)?;
                return Ok(Entry::Open(file));
            }
            Err(rustix::io::Errno::ACCESS) => {}
            Err(e) => return Err(e.into()),
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&parent, name, flags, Mode::empty())?);
        same(&file.metadata()?)?;
        Ok(Entry::Named(file, std::marker::PhantomData))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        same(&std::fs::symlink_metadata(path)?)?;
        Ok(Entry::Named(parent, name))
    }
}

/// Sets the permissions of what was looked at: no link.
pub(super) fn set_mode(path: &Path, looked_at: &Metadata, mode: u32) -> io::Result<()> {
    let permissions = std::fs::Permissions::from_mode(mode);
    match open(path, looked_at)? {
        Entry::Open(file) => file.set_permissions(permissions),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Entry::Named(file, _) => {
            use std::os::fd::AsRawFd;
            std::fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), permissions)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Entry::Named(parent, name) => Ok(rustix::fs::chmodat(
            &parent,
            name,
            Mode::from_bits_retain(mode as _),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )?),
    }
}

/// Gives what was looked at, a link itself and not what it names, to a user and a group.
pub(super) fn give(path: &Path, looked_at: &Metadata, uid: Option<u32>, gid: u32) -> io::Result<()> {
    let (uid, gid) = (uid.map(Uid::from_raw), Some(Gid::from_raw(gid)));
    match open(path, looked_at)? {
        Entry::Open(file) => Ok(rustix::fs::fchown(&file, uid, gid)?),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Entry::Named(file, _) => {
            Ok(rustix::fs::chownat(&file, "", uid, gid, rustix::fs::AtFlags::EMPTY_PATH)?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Entry::Named(parent, name) => {
            Ok(rustix::fs::chownat(&parent, name, uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{give, look, set_mode, try_lock};
    use super::*;
    use crate::install::fs::Owner;
    use std::fs;
    use std::os::unix::fs::symlink;

    const OTHER: u32 = 54_003;

    fn modes(path: &Path) -> (u32, u32) {
        let found = fs::metadata(path).unwrap();
        (found.mode() & 0o777, found.uid())
    }

    /// What another user can do between the look and the change: nothing of it reaches the file.
    #[test]
    fn what_is_put_in_the_place_of_an_entry_keeps_its_owner_and_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("secrets")).unwrap();
        let victim = at("secrets/entry");
        fs::write(&victim, "secret").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let before = modes(&victim);
        type Exchange<'a> = (&'a str, &'a dyn Fn(&Path));
        let exchanges: [Exchange<'_>; 3] = [
            ("a link", &|entry| symlink(&victim, entry).unwrap()),
            ("a second name", &|entry| fs::hard_link(&victim, entry).unwrap()),
            ("a link to a link", &|entry| {
                symlink(&victim, at("way")).unwrap();
                symlink(at("way"), entry).unwrap();
            }),
        ];
        for (what, exchange) in exchanges {
            let entry = at("entry");
            fs::write(&entry, "ours").unwrap();
            let found = look(&entry).unwrap().unwrap();
            fs::remove_file(&entry).unwrap();
            exchange(&entry);
            assert!(set_mode(&entry, &found, 0o644).is_err(), "{what}");
            assert_eq!(modes(&victim), before, "{what}");
            if me() == 0 {
                assert!(give(&entry, &found, Some(OTHER), OTHER).is_err(), "{what}");
                assert_eq!(modes(&victim), before, "{what}");
            }
            fs::remove_file(&entry).unwrap();
        }
        // The second name was there before the look.
        fs::hard_link(&victim, at("entry")).unwrap();
        let found = look(&at("entry")).unwrap().unwrap();
        assert!(set_mode(&at("entry"), &found, 0o644).is_err());
        let owner = Owner { uid: OTHER, gid: OTHER, mode: 0o755 };
        assert!(owner.succeed(&at("entry"), &found, false, None).is_err());
        assert!(try_lock(&at("entry"), owner.lock()).is_err());
        assert_eq!(modes(&victim), before);
        if me() != 0 {
            eprintln!("NOT RUN: folders on the way to an entry need root, who works for another user");
            return;
        }
        // A link in place of the folder that the entry is in: even the look finds the other's file.
        symlink(at("secrets"), at("folder")).unwrap();
        fs::remove_file(at("entry")).unwrap();
        let inner = at("folder/entry");
        let found = look(&inner).unwrap().unwrap();
        assert!(owner.succeed(&inner, &found, false, None).is_err());
        assert_eq!(modes(&victim), before);
        assert!(try_lock(&at("folder/LOCK"), owner.lock()).is_err());
        assert!(!at("secrets/LOCK").exists(), "made in a folder that is not the installation's");
    }

    #[test]
    fn what_was_looked_at_is_changed_whether_or_not_it_may_be_read() {
        let dir = tempfile::tempdir().unwrap();
        for (name, mode) in [("readable", 0o644), ("unreadable", 0), ("written", 0o200)] {
            for folder in [false, true] {
                let path = dir.path().join(format!("{name}-{folder}"));
                if folder {
                    fs::create_dir(&path).unwrap()
                } else {
                    fs::write(&path, "x").unwrap()
                }
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                set_mode(&path, &look(&path).unwrap().unwrap(), 0o750).unwrap();
                assert_eq!(modes(&path).0, 0o750);
            }
        }
        let link = dir.path().join("link");
        symlink("nowhere", &link).unwrap();
        let found = look(&link).unwrap().unwrap();
        let gid = if me() == 0 { OTHER } else { found.gid() };
        give(&link, &found, (me() == 0).then_some(OTHER), gid).unwrap();
        assert_eq!(fs::symlink_metadata(&link).unwrap().gid(), gid);
    }
}
