//! What was downloaded is a cache: everything in it can be fetched again. When it is damaged it is put aside, and no application waits
//! for a person to clear it away.
//!
//! | what happens | what is done |
//! |---|---|
//! | opening says that it is damaged, or of a newer format | put aside, a new one is made |
//! | a check or a fetch finds it damaged | marked; put aside when it is opened next |
//! | opening ends the process (the database panics on some damaged pages, and the program was built with `panic = "abort"`) | it was marked before and the mark is there at the next start: put aside |
//!
//! The mark is `<folder>.opening`, not empty while the folder is being opened, and locked meanwhile: a mark whose lock is held is of
//! a process that is at it. A kill at that moment costs the cache, nothing else. What was put aside is `<folder>.damaged`,
//! one of them, until the next release is whole.

use super::error::store_error;
use crate::error::{ErrorKind, UpdateError};
use bosc_files::{open_plain, open_private};
use bosc_store::{Error, Options, Store};
use std::ffi::OsString;
use std::fs::{self, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes of blocks that a kill may cost.
const MAX_LOST: u64 = 16 << 20;

fn beside(dir: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(dir);
    name.push(ending);
    name.into()
}

fn busy() -> UpdateError {
    UpdateError::new(ErrorKind::Busy, "another process of this application is already looking for updates")
        .hint("let that one do it, or give this instance another folder")
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> UpdateError + '_ {
    move |e| {
        UpdateError::new(ErrorKind::Disk, format!("{} cannot be used", path.display()))
            .hint("give the updater a folder that this user may write to")
            .because(e)
    }
}

/// Opens the store in `dir`, or a new one where that is damaged.
pub(super) fn open(dir: &Path) -> Result<Store, UpdateError> {
    let path = beside(dir, ".opening");
    bosc_files::make_private_folders(dir).map_err(failed(dir))?;
    let mut mark = open_private(&path).map_err(failed(&path))?;
    match mark.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy()),
        Err(TryLockError::Error(e)) => return Err(failed(&path)(e)),
    }
    let mut text = Vec::new();
    (&mut mark).take(16).read_to_end(&mut text).map_err(failed(&path))?;
    if !text.is_empty() {
        put_aside(dir)?;
    } else {
        mark.write_all(b"opening").map_err(failed(&path))?;
    }
    bosc_files::make_private_folders(dir).map_err(failed(dir))?;
    let mut options = Options::default();
    options.for_owner_of_folder = true;
    // What is fetched again after a kill, however slow the disk is.
    options.pending_block_bytes = MAX_LOST;
    let store = match Store::open(dir, options.clone()) {
        Err(Error::Corrupt(_) | Error::NewerVersion { .. }) => {
            put_aside(dir)?;
            bosc_files::make_private_folders(dir).map_err(failed(dir))?;
            Store::open(dir, options.clone())
        }
        other => other,
    };
    mark.set_len(0).map_err(failed(&path))?;
    store.map_err(store_error)
}

/// Takes the store out of the way, unless a living process has it.
fn put_aside(dir: &Path) -> Result<(), UpdateError> {
    if fs::symlink_metadata(dir).is_err() {
        return Ok(());
    }
    if let Ok(lock) = open_plain(&dir.join("LOCK"))
        && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
    {
        return Err(busy());
    }
    let aside = beside(dir, ".damaged");
    remove(&aside).map_err(failed(&aside))?;
    fs::rename(dir, &aside).map_err(failed(dir))
}

/// What was put aside is of no use any more.
pub(super) fn forget_damaged(dir: &Path) {
    let _ = remove(&beside(dir, ".damaged"));
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Remembers that the store is damaged when that is why something failed.
pub(super) fn mark_if_damaged(dir: &Path, e: &UpdateError) {
    let mut next = std::error::Error::source(e);
    while let Some(cause) = next {
        if matches!(cause.downcast_ref::<Error>(), Some(Error::Corrupt(_))) {
            let path = beside(dir, ".opening");
            let mark = open_private(&path);
            let _ = mark.and_then(|mut mark| mark.set_len(0).and_then(|()| mark.write_all(b"damaged")));
            return;
        }
        next = cause.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is damaged, the cache can be used, and what was there is put aside until it is not needed any more.
    #[test]
    fn a_damaged_cache_is_put_aside() {
        for damage in ["database", "garbage", "format", "mark"] {
            let temp = tempfile::tempdir().unwrap();
            let dir = temp.path().join("p2p");
            let store = open(&dir).unwrap();
            store.set_user_data("x", Some(b"y")).unwrap();
            store.flush().unwrap();
            assert_eq!(open(&dir).unwrap_err().kind(), ErrorKind::Busy, "a second process waits its turn");
            drop(store);
            let text = |store: &Store| store.user_data("x").unwrap();
            assert_eq!(text(&open(&dir).unwrap()).as_deref(), Some(b"y".as_slice()), "kept while it is good");
            match damage {
                "database" => {
                    let path = dir.join("bosc.redb");
                    let mut bytes = fs::read(&path).unwrap();
                    bytes.iter_mut().take(4096).for_each(|b| *b ^= 0x55);
                    fs::write(&path, bytes).unwrap();
                }
                "garbage" => fs::write(dir.join("bosc.redb"), vec![b'?'; 5000]).unwrap(),
                "format" => fs::write(dir.join("FORMAT"), "bosc-store 99\n").unwrap(),
                _ => fs::write(beside(&dir, ".opening"), "opening").unwrap(),
            }
            assert_eq!(text(&open(&dir).unwrap()), None, "{damage}: a new one");
            assert!(beside(&dir, ".damaged").is_dir(), "{damage}");
            forget_damaged(&dir);
            assert!(!beside(&dir, ".damaged").exists());
            assert_eq!(fs::read(beside(&dir, ".opening")).unwrap(), b"", "{damage}");
        }
    }

    #[test]
    fn a_mark_beside_a_store_in_use_takes_it_from_nobody() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("p2p");
        let _store = open(&dir).unwrap();
        fs::write(beside(&dir, ".opening"), "damaged").unwrap();
        assert_eq!(open(&dir).unwrap_err().kind(), ErrorKind::Busy);
        assert!(dir.join("bosc.redb").exists());
    }
}
