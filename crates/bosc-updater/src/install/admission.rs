//! Whether a release may be installed: what is there, the floor, and the releases that were rolled back.

use super::app::App;
use super::errors::At;
use super::fs;
use super::journal::{Journal, Piece, Rejected, time};
use super::types::{Admission, Reason, Rejection};
use crate::error::UpdateError;
use crate::release::{Release, ReleaseId, newer, same};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How far a clock may be ahead of itself: a time later than this was written by a clock that was wrong.
const CLOCK_ERROR: Duration = Duration::from_secs(86_400);

impl App {
    /// As [`super::Installer::admit`].
    pub(crate) fn admission(
        &self,
        journal: &Journal,
        release: &Release,
        now: SystemTime,
    ) -> Result<Admission, UpdateError> {
        let version = &release.version;
        // Another process may have installed something since this one started. A build on trial is not a measure yet.
        let installed = match &journal.current {
            Some(current) if is_there(current, &self.place.target)? => &current.version,
            _ => &self.options.version,
        };
        let downgrade = self.options.downgrade && !same(version, installed);
        if !downgrade && !newer(version, installed) {
            return Ok(Admission::NotNewer);
        }
        if let Some(floor) = journal.floor.as_ref().filter(|floor| !downgrade && newer(floor, version)) {
            return Ok(Admission::BelowFloor(floor.clone()));
        }
        if let Some(rejected) = held_back(journal, release, self.options.back_off, now) {
            return Ok(rejected);
        }
        Ok(if journal.flight.is_some() { Admission::OnTrial } else { Admission::Admitted })
    }
}

/// Whether a release was rolled back and its time is not over yet.
pub(crate) fn held_back(
    journal: &Journal,
    release: &Release,
    back_off: Duration,
    now: SystemTime,
) -> Option<Admission> {
    let rejections = journal.rejected.iter().rev().map(|rejected| rejection(rejected, back_off, now));
    let mut held = rejections.filter(|rejection| {
        // What was recalled works, and its operators say when it may come again.
        rejection.reason != Reason::Recalled
            && (rejection.version == release.version || rejection.release == Some(release.id))
            && now < rejection.until
    });
    held.next().map(|rejection| Admission::Rejected { until: rejection.until, times: rejection.times })
}

/// What a remembered release means now.
pub(crate) fn rejection(rejected: &Rejected, back_off: Duration, now: SystemTime) -> Rejection {
    let written = time(rejected.last_ms);
    // From a clock that was wrong: held back from now on, not until a year that never comes.
    let wrong = now.checked_add(CLOCK_ERROR).is_some_and(|latest| written > latest);
    let last = if wrong { now } else { written };
    let factor = 1u32 << rejected.times.saturating_sub(1).min(6);
    let until = last.checked_add(back_off.saturating_mul(factor)).unwrap_or(last);
    Rejection {
        version: rejected.version.clone(),
        release: rejected.release.map(ReleaseId),
        times: rejected.times,
        last,
        until,
        reason: Reason::parse(&rejected.reason).unwrap_or(Reason::Asked),
    }
}

/// Whether that build is at a path.
pub(super) fn is_there(piece: &Piece, path: &Path) -> Result<bool, UpdateError> {
    if fs::look(path).at("look at", path)?.is_none() {
        return Ok(false);
    }
    Ok(piece.identity.as_ref() == Some(&fs::identity(path).at("look at", path)?))
}
