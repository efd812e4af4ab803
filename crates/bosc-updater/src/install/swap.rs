//! Two builds change places.

use super::errors::{At, busy, io_error};
use super::folder::MAX_SLOTS;
use super::fs;
use super::journal::Piece;
use super::place::{Kept, Place};
use super::tree;
use super::types::Method;
use crate::error::{ErrorKind, UpdateError};
use std::path::Path;
use std::time::Duration;

/// Puts the build at `incoming` at the target. Afterwards the one that was there is at `outgoing`, or at `incoming` when
/// they were exchanged. On an error the target has the build it had.
pub(crate) fn swap(place: &Place, patience: Duration) -> Result<Method, UpdateError> {
    let (target, incoming, outgoing) = (&place.target, &place.incoming(), &place.outgoing());
    let Some(there) = fs::look(target).at("look at", target)? else {
        fs::rename(incoming, target, patience).at("put the build at", target)?;
        place.sync()?;
        return Ok(Method::Renames);
    };
    place.discard(outgoing)?;
    let method = if fs::exchange(target, incoming).at("put the build at", target)? {
        Method::Exchange
    } else if !there.is_dir() && replace(place, there.len(), fs::mode_of(&there))? {
        Method::Replace
    } else {
        renames(place, patience)?;
        Method::Renames
    };
    place.sync()?;
    Ok(method)
}

/// Replaces a file by a file. `false` when that was not possible.
fn replace(place: &Place, size: u64, mode: u32) -> Result<bool, UpdateError> {
    let (target, incoming, outgoing) = (&place.target, &place.incoming(), &place.outgoing());
    if fs::replace(target, incoming, outgoing).at("replace", target)? {
        return Ok(true);
    }
    if cfg!(windows) {
        return Ok(false);
    }
    // No second names here: the old build is copied. What a kill leaves of the copy is never used, because the target
    // never is without a build.
    tree::copy_file(target, outgoing, size, mode)?;
    fs::sync_dir(&place.folder).at("sync", &place.folder)?;
    fs::rename(incoming, target, Duration::ZERO).at("replace", target)?;
    Ok(true)
}

/// One away, the other in its place; the first comes back when the second cannot.
fn renames(place: &Place, patience: Duration) -> Result<(), UpdateError> {
    let (target, incoming, outgoing) = (&place.target, &place.incoming(), &place.outgoing());
    // The Windows replacement may have stopped after its first half.
    if fs::look(target).at("look at", target)?.is_some() {
        fs::rename(target, outgoing, patience).map_err(|e| in_use(target, e))?;
    }
    let moved =
        place.sync().and_then(|()| fs::rename(incoming, target, patience).map_err(|e| in_use(target, e)));
    let Err(e) = moved else { return Ok(()) };
    let back = fs::rename(outgoing, target, patience);
    let _ = place.sync();
    back.at("put the installed build back to", target)?;
    Err(e)
}

fn in_use(path: &Path, error: std::io::Error) -> UpdateError {
    if cfg!(windows) && error.kind() == std::io::ErrorKind::PermissionDenied {
        return busy(
            &format!("{} is in use", path.display()),
            "close it, or update from another process: Windows does not rename a folder while a program in it is running",
        )
        .because(error);
    }
    io_error("rename", path, error)
}

/// Gives the build that went its lasting name, and says which slot that is. What has the name is removed only if it is `ours`,
/// the one the journal says was kept there before; else another name is taken. `moving` is found again under the name that a
/// killed call gave it.
pub(crate) fn keep_outgoing(
    place: &Place,
    what: Kept,
    moving: &Piece,
    ours: Option<&Piece>,
    patience: Duration,
) -> Result<u32, UpdateError> {
    for slot in [place.outgoing(), place.incoming()] {
        if fs::look(&slot).at("look at", &slot)?.is_some() {
            return keep(place, what, &slot, ours, patience);
        }
    }
    let mut free = 0;
    for number in 1..=MAX_SLOTS {
        let name = place.kept(what, number);
        if moving.is_at(&name)? {
            return Ok(number);
        }
        free = if fs::look(&name).at("look at", &name)?.is_some() { 0 } else { free + 1 };
        if free == 2 {
            break;
        }
    }
    Ok(1)
}

fn keep(
    place: &Place,
    what: Kept,
    slot: &Path,
    ours: Option<&Piece>,
    patience: Duration,
) -> Result<u32, UpdateError> {
    for number in 1..=MAX_SLOTS {
        let name = place.kept(what, number);
        if fs::look(&name).at("look at", &name)?.is_some() {
            match ours.filter(|piece| piece.slot == number) {
                Some(piece) if piece.is_at(&name)? => place.discard(&name)?,
                _ => continue,
            }
        }
        match fs::rename_new(slot, &name, patience) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            done => {
                done.at("keep the build before as", &name)?;
                place.sync()?;
                return Ok(number);
            }
        }
    }
    Err(UpdateError::new(
        ErrorKind::Disk,
        format!(
            "every name for a kept build is in use: {} and the ones after it",
            place.kept(what, 1).display()
        ),
    )
    .hint("remove the ones you do not need"))
}

/// Moves a staged build to `incoming`. `false` when it lies on another file system.
pub(crate) fn take_in(place: &Place, staged: &Path, patience: Duration) -> Result<bool, UpdateError> {
    let incoming = place.incoming();
    #[cfg(feature = "faults")]
    if fs::faults::is_other_file_system() {
        return Ok(false);
    }
    match fs::rename(staged, &incoming, patience) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => return Ok(false),
        Err(e) => return Err(io_error("move", staged, e)),
    }
    fs::sync_dir(&place.folder).at("sync", &place.folder)?;
    Ok(true)
}

/// Whether an error means that there is no room, which must not keep a build from being rolled back.
pub(crate) fn is_full(error: &UpdateError) -> bool {
    error.kind() == ErrorKind::NoSpace
}
