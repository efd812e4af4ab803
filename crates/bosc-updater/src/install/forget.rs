//! An application is taken away: what the updater keeps beside it goes as well.

use super::errors::At;
use super::fs;
use super::journal::{Journal, State};
use super::place::{Kept, Place};
use super::session::lock;
use super::tree;
use crate::error::UpdateError;
use std::path::Path;
use std::time::Duration;

/// Removes what an [`super::Installer`] of the application that was at `target` keeps beside it, the builds that it kept included. What
/// was added to the application and kept aside stays. Does nothing while builds change places, and where there is nothing of an
/// installer.
///
/// # Errors
/// `Busy`, `Disk`, `Permission`, and `Refused` when a newer updater wrote the journal.
pub fn forget(target: &Path) -> Result<(), UpdateError> {
    let Some(place) = Place::of(target)? else { return Ok(()) };
    if !place.is_made()? {
        return Ok(());
    }
    let lock = lock(&place.lock(), place.owner()?.lock(), Duration::from_secs(10))?;
    let journal = Journal::read(&place.folder, false)?;
    if journal.lost {
        return Ok(());
    }
    let before = match (journal.state, &journal.flight) {
        (State::Settled, _) => None,
        // Each has its place, and the one on trial will say nothing any more.
        (State::Trial, Some(flight)) => Some(&flight.old),
        _ => return Ok(()),
    };
    let kept = [
        (Kept::Previous, journal.kept.as_ref()),
        (Kept::Previous, before),
        (Kept::Broken, journal.broken.as_ref()),
    ];
    for (what, piece) in kept {
        let Some(piece) = piece else { continue };
        let name = place.kept(what, piece.slot);
        if piece.is_at(&name)? {
            place.discard(&name)?;
        }
    }
    place.clean()?;
    place.clear_staging();
    tree::remove(&place.folder.join("journal.json"))?;
    super::added::Shipped::sweep(&place.folder, &std::collections::BTreeSet::new());
    drop(lock);
    place.unmake()?;
    fs::sync_dir(&place.parent).at("sync", &place.parent)
}
