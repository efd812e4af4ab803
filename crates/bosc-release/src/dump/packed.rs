//! Packed copies of whole files, where they cost less than the blocks that are missing (see `bosc_drive::deltas`). What comes of one is proved
//! block by block, as what peers send is; whatever a copy does not give, they do.

use super::actions::WriteAction;
use super::command::Dumping;
use crate::engine::follow::{reading, stopped};
use crate::error::{CommandError, ErrorKind};
use bosc_drive::blobs::{BlobId, content_blocks};
use bosc_drive::deltas::{self, AboutDelta, NOTHING};
use bosc_drive::drive::Drive;
use bosc_follow::offer::{Alone, Gathering, OVERHEAD, Patch};
use bosc_follow::{Fetch, FollowError, FollowedCore, Wait};
use std::cell::Cell;
use std::time::Duration;

/// Most patches looked at.
const MAX_DELTAS: usize = 4096;
/// How long an entry may be waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is shown how it goes.
const SHOW_EVERY: Duration = Duration::from_millis(250);

impl Dumping<'_> {
    /// Brings what it can of these files here, from their packed copies.
    pub(super) fn take_packed(
        &mut self,
        live: &FollowedCore,
        writes: &[WriteAction],
    ) -> Result<(), CommandError> {
        let source = self.opened.contents(live.core());
        let is_missing = |block: u64| !live.core().has(block).unwrap_or(false);
        let mut wanted = Vec::new();
        let mut files = Vec::new();
        for action in writes.iter().filter(|w| w.size > OVERHEAD) {
            let Some(id) = action.content() else { continue };
            let Ok(blocks) = content_blocks(&source, &id) else { continue };
            let before = wanted.len();
            wanted.extend(blocks.into_iter().flatten().filter(|b| is_missing(*b)));
            if wanted.len() > before {
                files.push(id);
            }
        }
        if files.is_empty() {
            return Ok(());
        }
        let mut alone = match self.copies(&files) {
            Ok(alone) => alone,
            Err(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
            // Peers may hold no more than what their own builds needed.
            Err(_) => return Ok(()),
        };
        let (taken, stop, timeout) = (Cell::new(0), self.stop, self.timeout);
        let mut show = || {
            self.stats();
            true
        };
        let mut wait = Wait::new(stop).stall(timeout).tell(SHOW_EVERY, &mut show);
        match Gathering::new(live, wanted, &taken, &mut wait).from(&mut [&mut alone]) {
            Err(FollowError::Stopped) => Err(stopped()),
            // What is missing comes as blocks, and what fails for good fails there.
            _ => Ok(()),
        }
    }

    /// The packed copies of these contents.
    fn copies(&self, files: &[BlobId]) -> Result<Alone, CommandError> {
        let drive = Drive::checkout(self.opened.entries(), self.version);
        let (db, patience) = (self.opened.db(), PATIENCE.min(self.timeout));
        let mut list = drive.list(deltas::FOLDER)?;
        let (mut alone, mut count) = (Alone::default(), 0);
        while let Some(entry) = reading(db, patience, self.stop).next(&mut list)? {
            count += 1;
            if count > MAX_DELTAS {
                break;
            }
            let Some((file, NOTHING)) = deltas::parse(&entry.key) else { continue };
            let size = AboutDelta::of_metadata(&entry.value.metadata).size;
            let (Some(size), Some(blob)) = (size, entry.value.blob) else { continue };
            let file = reading(db, patience, self.stop).read(|| drive.entry(&file))?;
            // It may go to another name.
            if let Some(id) = file.and_then(|f| f.value.blob).filter(|id| files.contains(id)) {
                alone.copies.push((id, Patch { size, blob }));
            }
        }
        Ok(alone)
    }
}
