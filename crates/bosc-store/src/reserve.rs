//! `RESERVE`: disk space that is kept so that giving space back works on a full disk.
//!
//! Removing blocks is a commit, and a commit needs room before it frees any: the database never writes over what is
//! committed. On a disk that is full to the last byte nothing could be removed, by the very command that is to help.
//!
//! ```text
//! opened, or gc done --there is room--> kept --a removal meets a full disk--> spent --gc done, there is room--> kept
//! ```
//!
//! Invariants:
//! * The file holds nothing, and nobody reads it. It may be deleted, cut or copied; it says nothing about the store.
//! * It is made of bytes that are written and synced: a hole in a file reserves nothing.
//! * It is spent by removals alone ([`crate::Core::clear`], removing a core, [`crate::Store::gc`]), each of which then
//!   tries once more. What adds to a store is refused on a full disk as without it.
//! * Not being able to make it fails nothing, and leaves no part of it.

use crate::disk::Disk;
use crate::error::{ErrorKind, Result};

/// Its name.
pub(crate) const FILE: &str = "RESERVE";
/// Its size: what one commit of a removal writes at most, which takes at most 1,024 pages out of the database, and what the
/// command writes around it.
pub(crate) const BYTES: u64 = 2 << 20;
/// Bytes written at once.
const PIECE: usize = 64 << 10;

/// Makes the file where it is missing or short, if the disk has room for it.
pub(crate) fn keep(disk: &dyn Disk) {
    let Ok(Some(file)) = disk.open(FILE, true) else { return };
    if file.len().is_ok_and(|len| len == BYTES) {
        return;
    }
    let piece = [0; PIECE];
    let write = || {
        file.set_len(0)?;
        for at in (0..BYTES).step_by(PIECE) {
            file.write_at(at, &piece)?;
        }
        file.sync()
    };
    if write().is_err() {
        let _ = disk.remove(FILE);
    }
}

/// Gives the space to whoever asks next. False: there was none.
pub(crate) fn spend(disk: &dyn Disk) -> bool {
    let there =
        disk.open(FILE, false).is_ok_and(|file| file.is_some_and(|f| f.len().is_ok_and(|len| len > 0)));
    there && disk.remove(FILE).is_ok() && disk.sync_dirs().is_ok()
}

/// Runs what removes; once more with the reserve spent when the disk is full.
pub(crate) fn with_reserve<T>(disk: &dyn Disk, mut remove: impl FnMut() -> Result<T>) -> Result<T> {
    match remove() {
        Err(e) if e.kind() == ErrorKind::Full && spend(disk) => remove(),
        done => done,
    }
}
