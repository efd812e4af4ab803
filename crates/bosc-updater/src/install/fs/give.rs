//! Giving things to an owner, and setting their permissions.

#[cfg(unix)]
use super::entry;
use super::meta::{Metadata, Owner};
#[cfg(unix)]
use super::meta::{me, owner_of};
use super::step::{Op, step};
#[cfg(unix)]
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;

/// Sets the permissions of what was looked at, and of nothing that was put in its place since. No link; Unix only.
pub(crate) fn set_mode(path: &Path, looked_at: &Metadata, mode: u32) -> io::Result<()> {
    step(Op::Mode, path)?;
    #[cfg(unix)]
    entry::set_mode(path, looked_at, mode)?;
    #[cfg(not(unix))]
    let _ = (looked_at, mode);
    Ok(())
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
