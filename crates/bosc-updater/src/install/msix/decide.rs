//! Decisions about packages, without a disk or a system.

use super::super::admission::held_back;
use super::super::journal::{Flight, Journal, Piece, State};

use super::super::types::Admission;
use crate::release::{Release, newer};
use semver::Version;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where the application stands, seen from the version that runs. The system does not tell when a package took effect; the
/// code that it starts does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// No update is on its way.
    Settled,
    /// The old version runs: the new package was not handed over, or takes effect when the application has ended.
    Waiting(Flight),
    /// The new version runs and has not said that it is healthy.
    Trial(Flight),
    /// The new version runs still, and the old package is to return.
    Returning(Flight),
    /// The old version runs again.
    Returned(Flight),
    /// Somebody else installed what runs.
    Foreign,
}

pub(super) fn standing(journal: &Journal, running: &Version) -> Standing {
    let Some(flight) = &journal.flight else {
        let other = journal.current.as_ref().is_some_and(|current| current.version != *running);
        return if other { Standing::Foreign } else { Standing::Settled };
    };
    let flight = flight.clone();
    match (
        journal.state == State::RollingBack,
        *running == flight.new.version,
        *running == flight.old.version,
    ) {
        (true, true, _) => Standing::Returning(flight),
        (true, _, true) => Standing::Returned(flight),
        (false, true, _) => Standing::Trial(flight),
        (false, _, true) => Standing::Waiting(flight),
        (_, false, false) => Standing::Foreign,
    }
}

/// Whether a release may be handed over. The system would take any version: this is what keeps a downgrade out.
pub(super) fn admission(
    journal: &Journal,
    running: &Version,
    release: &Release,
    back_off: Duration,
    now: SystemTime,
) -> Admission {
    let standing = standing(journal, running);
    if !newer(&release.version, running) {
        return Admission::NotNewer;
    }
    // What waits to take effect may be handed over again, and be overtaken, but not gone below.
    if let Standing::Waiting(flight) = &standing
        && newer(&flight.new.version, &release.version)
    {
        return Admission::NotNewer;
    }
    if let Some(floor) = journal.floor.as_ref().filter(|floor| newer(floor, &release.version)) {
        return Admission::BelowFloor(floor.clone());
    }
    if let Some(rejected) = held_back(journal, release, back_off, now) {
        return rejected;
    }
    match standing {
        Standing::Trial(_) | Standing::Returning(_) => Admission::OnTrial,
        _ => Admission::Admitted,
    }
}

/// The packages that somebody may have to return to, by their fingerprints. Every other one is garbage.
pub(super) fn needed(journal: &Journal) -> BTreeSet<[u8; 32]> {
    let flight = journal.flight.iter().flat_map(|flight| [&flight.new, &flight.old]);
    let pieces = flight.chain(&journal.current).chain(&journal.kept);
    pieces.filter_map(|piece| piece.contents).collect()
}

/// The package's file name: never a name that a publisher chose.
pub(super) fn file_name(contents: &[u8; 32]) -> String {
    format!("{}.msix", data_encoding::HEXLOWER.encode(contents))
}

/// What is known of the version that runs.
pub(super) fn running_piece(journal: &Journal, running: &Version) -> Piece {
    let known = journal.current.iter().find(|current| current.version == *running);
    known.cloned().unwrap_or_else(|| Piece {
        version: running.clone(),
        release: None,
        contents: None,
        identity: None,
        slot: 1,
        says: None,
        shipped: None,
    })
}

/// Whether a folder lies strictly inside one of `roots`, by its name. Upper and lower case are the same, as on Windows.
pub(super) fn lies_in(folder: &Path, roots: &[PathBuf]) -> bool {
    let plain = |path: &Path| !path.components().any(|part| matches!(part, Component::ParentDir));
    roots.iter().filter(|root| root.is_absolute() && plain(root)).any(|root| {
        let mut inside = folder.components();
        let under = root.components().all(|part| {
            inside.next().is_some_and(|other| {
                let (a, b) = (part.as_os_str().to_string_lossy(), other.as_os_str().to_string_lossy());
                a.to_lowercase() == b.to_lowercase()
            })
        });
        under && inside.next().is_some() && plain(folder)
    })
}
