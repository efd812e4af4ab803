//! One build replaced by another as Perry's `installUpdate` and `performRollback` do it: two paths, no release, no journal entry.
//!
//! The installer takes what they leave for what another updater left: [`super::Installer::adopt`] makes a trial of it, and a kill
//! between two renames is put right by the next call that finds `<target>.prev` and no application. Under its lock all the same.
//!
//! ```text
//!  put       old | staged | -     ──▶  new at the target, old at .prev          (one exchange, or second name + rename)
//!  put_back  new | -      | old   ──▶  old at the target, new gone
//! ```

use super::errors::At;
use super::folder;
use super::fs::Owner;
use super::fs::{self, Metadata};
use super::place::{Kept, Place, holds_build};
use super::session::lock;
use super::tree;
use super::trial::no_backup;
use crate::error::{ErrorKind, UpdateError};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How long another updater of the application, and what holds a file open, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

fn enter(place: &Place) -> Result<File, UpdateError> {
    place.make_folder()?;
    let lock = lock(&place.lock(), place.owner()?.lock(), PATIENCE)?;
    folder::mark_locked(&lock);
    Ok(lock)
}

fn nothing_at(path: &Path) -> UpdateError {
    UpdateError::new(ErrorKind::Input, format!("there is nothing at {}", path.display()))
        .hint("give the path of the new build")
}

/// Replaces the target by what is at `staged`, and keeps what was there at `<target>.prev`.
pub(crate) fn put(staged: &Path, target: &Path) -> Result<(), UpdateError> {
    let Some(new) = fs::look(staged).at("look at", staged)? else { return Err(nothing_at(staged)) };
    if fs::look(target).at("look at", target)?.is_none() {
        settle(staged, Owner { mode: 0o755, ..Owner::of(&new) }, None)?;
        fs::rename_new(staged, target, PATIENCE).at("put the build at", target)?;
        return sync_parent(target);
    }
    let place = Place::find(target)?;
    let _lock = enter(&place)?;
    let Some(old) = fs::look(&place.target).at("look at", &place.target)? else {
        return Err(nothing_at(&place.target));
    };
    settle(staged, Owner::of(&old), Some(&place.target))?;
    let prev = place.kept(Kept::Previous, 1);
    holds_build(&prev)?;
    place.discard(&prev)?;
    exchange(&place, staged, &old, &new, &prev)?;
    place.sync()?;
    sync_parent(staged)
}

/// Owner and permissions as the successor of the old build, and all of it on disk.
fn settle(staged: &Path, before: Owner, old: Option<&Path>) -> Result<(), UpdateError> {
    let contents = tree::contents_of(staged)?;
    tree::settle(staged, &contents, before, old).map(drop)
}

fn exchange(
    place: &Place,
    staged: &Path,
    old: &Metadata,
    new: &Metadata,
    prev: &Path,
) -> Result<(), UpdateError> {
    let target = &place.target;
    if !old.is_dir() && !new.is_dir() {
        match fs::replace(target, staged, prev) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(e) => {
                // The second name that the old build got is not a backup of anything.
                if fs::look(target).is_ok_and(|there| there.is_some()) {
                    let _ = place.discard(prev);
                }
                return Err(e).at("replace", target);
            }
        }
    }
    if fs::exchange(target, staged).at("put the build at", target)? {
        return fs::rename(staged, prev, PATIENCE).at("keep the build before as", prev);
    }
    // ReplaceFile may have stopped after its first half.
    if fs::look(target).at("look at", target)?.is_some() {
        fs::rename(target, prev, PATIENCE).at("keep the build before as", prev)?;
    }
    let moved =
        place.sync().and_then(|()| fs::rename(staged, target, PATIENCE).at("put the build at", target));
    moved.inspect_err(|_| {
        let _ = fs::rename(prev, target, PATIENCE);
    })
}

/// Replaces the target by `<target>.prev`; what was there is removed.
pub(crate) fn put_back(target: &Path) -> Result<(), UpdateError> {
    let place = Place::find(target)?;
    let prev = place.kept(Kept::Previous, 1);
    if !holds_build(&prev)? {
        return Err(no_backup());
    }
    let _lock = enter(&place)?;
    let target = &place.target;
    if fs::look(target).at("look at", target)?.is_some() {
        if fs::exchange(target, &prev).at("put the build back to", target)? {
            place.sync()?;
            return place.discard(&prev);
        }
        place.discard(&place.outgoing())?;
        fs::rename(target, &place.outgoing(), PATIENCE).at("put aside", target)?;
    }
    fs::rename(&prev, target, PATIENCE).at("put the build back to", target).inspect_err(|_| {
        let _ = fs::rename(&place.outgoing(), target, PATIENCE);
    })?;
    place.sync()?;
    place.discard(&place.outgoing())
}

fn sync_parent(path: &Path) -> Result<(), UpdateError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::sync_dir(parent).at("sync", parent),
        _ => Ok(()),
    }
}
