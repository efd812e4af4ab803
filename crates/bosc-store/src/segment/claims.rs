//! What lies in the folder of segments, beside what the database says of it.

use super::files::{FOLDER, file_name, parse_name};
use crate::disk::Disk;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// What the database says of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) end: u32,
    pub(super) live: u64,
    /// The file is missing or shorter than that.
    pub(super) short: bool,
}

/// Segments as the database names them, and what lies beside.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(super) rows: BTreeMap<u32, Row>,
    /// Bytes the database does not name, by segment: whole files, and what is behind the end of others.
    pub(super) unnamed: BTreeMap<u32, u64>,
    /// Segments whose unnamed bytes stay.
    pub(crate) kept: BTreeSet<u32>,
    /// Whether the others may go.
    pub(crate) remove: bool,
}

impl Claims {
    /// Looks at the files. `rows`: number, end and live bytes of each segment in the database.
    pub(crate) fn look(disk: &dyn Disk, rows: &[(u32, u64, u64)], kept: BTreeSet<u32>) -> Result<Self> {
        let mut this = Self { kept, ..Self::default() };
        for (id, end, live) in rows {
            let end = u32::try_from(*end).map_err(|_| Error::corrupt("a segment's length"))?;
            // Nothing has to be there of a segment that was begun and never written.
            this.rows.insert(*id, Row { end, live: *live, short: end > 0 });
        }
        for name in disk.list(FOLDER).map_err(|e| Error::io(disk.path(FOLDER), e))? {
            let Some(id) = parse_name(&name) else { continue };
            // Another spelling of a number is not a file of ours.
            if file_name(id) != format!("{FOLDER}/{name}") {
                continue;
            }
            let len = match disk.open(&file_name(id), false) {
                Ok(Some(file)) => file.len().ok(),
                _ => None,
            };
            let Some(row) = this.rows.get_mut(&id) else {
                this.unnamed.insert(id, len.unwrap_or(0));
                continue;
            };
            // A file that cannot be looked at is read when a block of it is asked for.
            row.short = len.is_some_and(|len| len < u64::from(row.end));
            if let Some(more) = len.and_then(|len| len.checked_sub(u64::from(row.end))).filter(|n| *n > 0) {
                this.unnamed.insert(id, more);
            }
        }
        Ok(this)
    }

    /// Whether there is anything that a crash may have left, or that the next commit would delete.
    pub(crate) fn any_to_remove(&self) -> bool {
        self.unnamed.keys().any(|id| !self.kept.contains(id))
            || self.rows.iter().any(|(id, row)| row.live == 0 && !self.kept.contains(id))
    }

    /// Has all bytes that the database does not name stay.
    pub(crate) fn keep_all(&mut self) {
        self.kept.extend(self.unnamed.keys());
    }

    /// Bytes that stay though the database does not name them.
    pub(super) fn kept_bytes(&self) -> u64 {
        let stays = |id: &u32| !self.remove || self.kept.contains(id);
        self.unnamed.iter().filter(|(id, _)| stays(id)).map(|(_, bytes)| bytes).sum()
    }

    /// Segments of which something goes.
    pub(super) fn removable(&self) -> Vec<u32> {
        if self.remove {
            self.unnamed.keys().filter(|id| !self.kept.contains(id)).copied().collect()
        } else {
            Vec::new()
        }
    }
}
