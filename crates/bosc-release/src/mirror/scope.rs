//! Which blocks of the contents a mirror holds.

use crate::command::Stop;
use crate::engine::drive::drive_error;
use crate::engine::follow::reading;
use crate::engine::open::Opened;
use crate::error::CommandError;
use crate::folder::glob::Only;
use bosc_drive::blobs::{BlobId, content_blocks};
use bosc_drive::drive::Drive;
use bosc_follow::Fetch;
use bosc_store::Core;
use std::ops::Range;
use std::time::Duration;

/// The files of one version, as far as they are wanted, with their deltas.
pub(super) fn of_version(
    opened: &Opened,
    blobs: &Core,
    length: u64,
    only: &[String],
    timeout: Duration,
    stop: &Stop,
) -> Result<Vec<Range<u64>>, CommandError> {
    let takes = Only::new(only).map_err(|e| CommandError::input(e.to_string()))?;
    let drive = Drive::checkout(opened.entries(), length);
    let entries = reading(opened.db(), timeout, stop).all(drive.list("/")?)?;
    let contents = opened.contents(blobs);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut taken = 0;
    // What every client reads first: which version it is, and whether it may have it.
    let always = ["/package.json", bosc_policy::FILE];
    for entry in entries.iter().filter(|e| takes.takes(&e.key) || always.contains(&e.key.as_str())) {
        taken += usize::from(takes.takes(&entry.key));
        let Some(id) = entry.value.blob else { continue };
        if let Some(range) = map(&id) {
            if let Some(live) = opened.blobs()? {
                live.range(range.clone(), &mut bosc_follow::Wait::new(stop).stall(timeout))?;
            }
            ranges.push(range);
        }
        ranges.extend(content_blocks(&contents, &id).map_err(drive_error)?);
    }
    if taken == 0 {
        return Err(CommandError::not_found("the drive has none of the paths of --only")
            .hint("nothing was written; see what it has with `bosc dump <link> --list`"));
    }
    ranges.sort_unstable_by_key(|r| r.start);
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges.into_iter().filter(|r| r.start < r.end) {
        match out.last_mut().filter(|last| last.end >= range.start) {
            Some(last) => last.end = last.end.max(range.end),
            None => out.push(range),
        }
    }
    Ok(out)
}

/// The blocks of a file's map.
fn map(id: &BlobId) -> Option<Range<u64>> {
    let end = id.block_offset.saturating_add(id.block_length);
    (id.block_map && id.block_length > 0).then_some(id.block_offset..end)
}
