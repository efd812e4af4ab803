//! Releases between the installed one and the newest, where that one is held back.
//!
//! ```text
//! history of the db core ── lengths at which /package.json changed ── read there, newest first ── Release
//! ```
//!
//! A release is the last length at which a batch ended before the next `/package.json` came: a length inside a batch is half of a
//! release, and is never one. Each is a length of the history whose newest head the quorum signed, proved as that is.
//!
//! Invariants:
//! * Only versions above what is installed (and what is asked for), and below the newest; only with a build for this platform.
//! * Where the content of one cannot be had (a mirror that keeps the newest alone, a peer that cleared old blocks), the search ends there:
//!   it waits for that once, [`PATIENCE`].
//! * Bounds: a history of [`MAX_HISTORY`] blocks, [`MAX_RELEASES`] releases.

use super::fetching::Fetching;
use super::options::P2pOptions;
use super::{package, plan};
use crate::error::{ErrorKind, UpdateError};
use crate::release::{newer, same};
use bosc_drive::bee::Bee;
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::{EntryValue, FILES_PREFIX};
use bosc_follow::{CoreSource, Fetch};
use bosc_policy::Release;
use semver::Version;
use std::time::Duration;

/// Longest history that is looked through, in blocks: one each that a release adds, changes or removes.
const MAX_HISTORY: u64 = 1 << 14;
/// Most releases that are looked at.
const MAX_RELEASES: usize = 8;
/// How long nothing may come before what is older is left alone.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// All that are wanted below the release at `length`: above both `floors` and below `newest`; the highest version first.
///
/// # Errors
/// `Cancelled`, and what the disk says. What nobody delivers is left out.
pub(super) fn releases(
    fetching: &mut Fetching<'_, '_>,
    options: &P2pOptions,
    (newest, length): (&Version, u64),
    floors: [&Version; 2],
) -> Result<Vec<Release>, UpdateError> {
    let mut found: Vec<Release> = Vec::new();
    let db = CoreSource::cut(fetching.link.db().core(), length);
    let Some(lengths) = left_out(lengths(fetching, &db, length))? else { return Ok(found) };
    for length in lengths {
        let at = CoreSource::cut(fetching.link.db().core(), length);
        let version = match package::version(fetching, &at, length) {
            // What is older is away as well, and each wait is a long one.
            Err(e) if e.kind() == ErrorKind::Network => break,
            other => left_out(other)?.flatten(),
        };
        let Some(version) = version else { continue };
        let wanted = newer(newest, &version) && floors.iter().all(|floor| newer(&version, floor));
        if !wanted || found.iter().any(|other| same(&version, &other.version)) {
            continue;
        }
        let name = plan::find_name(fetching, &at, length, &options.name, &options.platform);
        if left_out(name)?.is_some() {
            found.push(Release { version, length });
        }
    }
    found.sort_by(|a, b| b.version.cmp_precedence(&a.version));
    Ok(found)
}

/// What a release lacks, or nobody has, is no reason to fail: there is only one release less to choose from.
fn left_out<T>(result: Result<T, UpdateError>) -> Result<Option<T>, UpdateError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::Cancelled | ErrorKind::Disk | ErrorKind::NoSpace) => Err(e),
        Err(_) => Ok(None),
    }
}

/// The lengths of releases before the one at `length`, the newest first.
fn lengths(fetching: &mut Fetching<'_, '_>, db: &CoreSource, length: u64) -> Result<Vec<u64>, UpdateError> {
    if length > MAX_HISTORY {
        return Ok(Vec::new());
    }
    let key = [FILES_PREFIX, b"/package.json"].concat();
    let core = fetching.link.db();
    let mut history = Bee::checkout(db.clone(), length).versions();
    let mut now: Option<BlobId> = None;
    // Of each release its last length.
    let mut all: Vec<(Option<BlobId>, u64)> = Vec::new();
    while let Some(step) = fetching.of(core).next(&mut history)? {
        let entry = &step.entry.entry;
        if entry.key == key {
            let value = entry.value.as_deref().filter(|_| !step.entry.deleted);
            now = value.and_then(|v| EntryValue::decode(entry.seq, v).ok()).and_then(|v| v.blob);
        }
        if step.ends_batch {
            let end = entry.seq.saturating_add(1);
            match all.last_mut().filter(|(blob, _)| *blob == now) {
                Some((_, last)) => *last = end,
                None => all.push((now, end)),
            }
        }
    }
    let older = all.iter().rev().filter(|(blob, end)| blob.is_some() && *end < length);
    Ok(older.map(|(_, end)| *end).take(MAX_RELEASES).collect())
}
