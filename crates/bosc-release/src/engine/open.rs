//! Opening a drive and bringing it up to date as far as peers allow.

use super::Engine;
use super::drive::{CoreSource, DriveCores};
use super::errors::{invalid_manifest, no_such_version, store_error};
use super::follow::{reading, update};
use crate::command::Stop;
use crate::error::CommandError;
use bosc_drive::blobs::{BlobId, BlobReader};
use bosc_drive::drive::Drive;
use bosc_follow::{Fetch, FollowError, FollowedCore, FollowedDrive, Update};
use bosc_format::link::PearLink;
use bosc_store::Core;
use serde_json::Value;
use std::time::Duration;

/// Largest package.json that is read.
pub(crate) const PACKAGE_MAX: usize = 1 << 20;
/// What is said of a package.json that JavaScript cannot read.
pub(crate) const PACKAGE_MARK: &str = "its package.json starts with a byte order mark";

/// A drive that was brought up to date as far as peers allowed.
pub(crate) struct Opened {
    pub(crate) drive: DriveCores,
    /// On the network as long as the drive is read; `None` when it is read from this store alone.
    pub(crate) followed: Option<FollowedDrive>,
    /// The fork it was opened at.
    pub(super) fork: u64,
}

impl Opened {
    /// The db, for reading entries.
    pub(crate) fn entries(&self) -> CoreSource {
        CoreSource::new(&self.drive.db).of_fork(self.fork)
    }

    /// The blobs, for reading what the entries name.
    pub(crate) fn contents(&self, blobs: &Core) -> CoreSource {
        self.entries().contents(blobs)
    }

    pub(crate) fn db(&self) -> Option<&FollowedCore> {
        self.followed.as_ref().map(FollowedDrive::db)
    }

    /// The blobs core, once the db's manifest is known.
    pub(crate) fn blobs(&self) -> Result<Option<&FollowedCore>, CommandError> {
        match &self.followed {
            Some(followed) => Ok(followed.blobs()?),
            None => Ok(None),
        }
    }
}

impl Engine {
    /// Opens a link's drive and learns its newest version: from this store alone when it is the writer, else
    /// from peers. Fails when nothing is known in the end, or not the version the link names.
    pub(crate) fn open_fresh(
        &self,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Opened, CommandError> {
        let drive = self.open_drive(link)?;
        let at_least = link.version.map_or(0, |v| v.length);
        // Who writes it needs nobody, unless some of it is damaged (or was given up) here.
        if drive.db.writable() && !self.is_shared(&drive)? && drive.is_whole()? {
            let head = drive.db.head();
            if head.length < at_least {
                return Err(no_such_version(at_least, head.length));
            }
            drive.check_link(link)?;
            return Ok(Opened { drive, followed: None, fork: head.fork });
        }
        let followed = self.follow_drive(&drive, false)?;
        let db = followed.db();
        let known = db.status().length >= at_least.max(1) && db.status().has_manifest;
        // What is already here answers soon when nobody else is around.
        let patience = if known { timeout.min(Duration::from_secs(5)) } else { timeout };
        let outcome = update(db, at_least, patience, stop)?;
        let s = db.status();
        if outcome == Update::Nobody && (s.length == 0 || !s.has_manifest || s.length < at_least) {
            if s.length > 0 && s.length < at_least && !s.peers.is_empty() {
                return Err(no_such_version(at_least, s.length));
            }
            return Err(FollowError::TimedOut(db.in_vain()).into());
        }
        drive.check_link(link)?;
        followed.blobs()?;
        let fork = drive.db.head().fork;
        Ok(Opened { drive, followed: Some(followed), fork })
    }

    /// The drive's package.json at a length, `None` when it has none.
    pub(crate) fn package_json(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Value>, CommandError> {
        let entry = reading(opened.db(), timeout, stop)
            .read(|| Drive::checkout(opened.entries(), length).entry_follow("/package.json"))?;
        let Some(blob) = entry.and_then(|e| e.value.blob) else { return Ok(None) };
        let Some(bytes) = self.read_file(opened, blob, PACKAGE_MAX, timeout, stop)? else { return Ok(None) };
        if bytes.starts_with("\u{feff}".as_bytes()) {
            return Err(invalid_manifest(PACKAGE_MARK));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| invalid_manifest("its package.json is not JSON").because(e))
    }

    /// A file of the drive, at most `max` bytes. `None` while the drive's manifest is not known.
    pub(crate) fn read_file(
        &self,
        opened: &Opened,
        blob: BlobId,
        max: usize,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(bytes) = self.read_range(opened, blob, (0, max as u64 + 1), timeout, stop)? else {
            return Ok(None);
        };
        if bytes.len() > max {
            return Err(invalid_manifest("a file that should be small text is over 1 MiB"));
        }
        Ok(Some(bytes))
    }

    /// A part of a file of the drive: so many bytes from an offset on, fewer at its end; the caller bounds it. `None` while
    /// the drive's manifest is not known.
    pub(crate) fn read_range(
        &self,
        opened: &Opened,
        blob: BlobId,
        (from, length): (u64, u64),
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(core) = opened.drive.blobs()? else { return Ok(None) };
        let end = blob.block_offset.saturating_add(blob.block_length);
        let followed = opened.blobs()?;
        if let Some(blobs) = followed
            && blobs.status().length < end
            && update(blobs, end, timeout, stop)? == Update::Nobody
        {
            return Err(FollowError::TimedOut(blobs.in_vain()).into());
        }
        let mut reader = BlobReader::range(opened.contents(&core), blob, from..from.saturating_add(length));
        let mut bytes = Vec::new();
        while let Some(part) = reading(followed, timeout, stop).next(&mut reader)? {
            bytes.extend_from_slice(&part);
        }
        self.store.flush().map_err(store_error)?;
        Ok(Some(bytes))
    }
}
