//! What a commit does about segments: rows to write, files to sync, files to delete.

use super::files::{FOLDER, file_name};
use super::table::{Segment, Segments};
use super::uses::Uses;
use crate::disk::DiskFile;
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// What a commit does about segments.
#[derive(Debug, Default)]
pub(crate) struct SegmentCommit {
    /// Rows to write: number, end, live.
    pub(crate) rows: Vec<(u32, u32, u64)>,
    /// Rows to delete, and files once that is durable.
    pub(crate) doomed: Vec<u32>,
    pub(super) unsynced: BTreeSet<u32>,
    pub(super) created: bool,
}

impl SegmentCommit {
    pub(crate) fn is_nothing(&self) -> bool {
        self.rows.is_empty() && self.doomed.is_empty() && self.unsynced.is_empty()
    }
}

impl Segments {
    /// Collects what a commit has to do: what is installed, and `more` on top.
    pub(crate) fn begin_commit<'a>(&self, more: impl Iterator<Item = &'a Uses>) -> SegmentCommit {
        let mut state = self.lock();
        let mut sum = Uses::new();
        for (id, u) in more.flatten() {
            let s = sum.entry(*id).or_default();
            s.end = s.end.max(u.end);
            s.added = s.added.saturating_add(u.added);
            s.freed = s.freed.saturating_add(u.freed);
            if u.added > 0 {
                state.unsynced.insert(*id);
            }
        }
        state.pending = 0;
        let mut ids = std::mem::take(&mut state.changed);
        ids.extend(sum.keys());
        let mut out = SegmentCommit {
            unsynced: std::mem::take(&mut state.unsynced),
            created: std::mem::take(&mut state.created),
            ..SegmentCommit::default()
        };
        for id in ids {
            let Some(segment) = state.segments.get_mut(&id) else { continue };
            let u = sum.get(&id).copied().unwrap_or_default();
            let live = segment.live.saturating_add(u.added).saturating_sub(u.freed);
            if (Segment { live, ..*segment }).is_dead() {
                segment.doomed = true;
                out.doomed.push(id);
            } else {
                out.rows.push((id, segment.end.max(u.end), live));
            }
        }
        out
    }

    /// Syncs the files the commit names.
    pub(crate) fn sync(&self, commit: &SegmentCommit) -> Result<()> {
        for id in &commit.unsynced {
            if commit.doomed.contains(id) {
                continue;
            }
            let file = self.file(*id, false)?;
            self.mend(*id, &*file)?;
            if let Err(e) = file.sync() {
                self.suspect(*id);
                return Err(Error::io(self.path(*id), e));
            }
            if let Some(segment) = self.lock().segments.get_mut(id) {
                segment.suspect = false;
            }
        }
        if commit.created {
            self.disk.sync_dirs().map_err(|e| Error::io(self.disk.path(FOLDER), e))?;
        }
        Ok(())
    }

    /// After a failed sync the operating system may take unwritten bytes for written. Remember to write them
    /// again.
    pub(super) fn suspect(&self, id: u32) {
        if let Some(segment) = self.lock().segments.get_mut(&id) {
            segment.suspect = true;
        }
    }

    /// Writes the bytes of a suspect segment again, so that the next sync covers them.
    fn mend(&self, id: u32, file: &dyn DiskFile) -> Result<()> {
        if !self.lock().segments.get(&id).is_some_and(|s| s.suspect) {
            return Ok(());
        }
        let io = |e| Error::io(self.path(id), e);
        let end = file.len().map_err(io)?;
        let mut at = 0;
        let mut buffer = vec![0; 1 << 18];
        while at < end {
            let n = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let Some(part) = buffer.get_mut(..n) else { break };
            file.read_at(at, part).map_err(io)?;
            file.write_at(at, part).map_err(io)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Ends a commit. Durable: deletes the files of dead segments. Not: all is to be done again.
    pub(crate) fn end_commit(&self, commit: SegmentCommit, durable: bool) {
        let mut state = self.lock();
        if durable {
            for id in &commit.doomed {
                state.segments.remove(id);
                state.handles.remove(id);
            }
            drop(state);
            for id in &commit.doomed {
                let _ = self.disk.remove(&file_name(*id));
            }
            return;
        }
        state.changed.extend(commit.rows.iter().map(|(id, ..)| *id));
        state.changed.extend(&commit.doomed);
        for id in &commit.doomed {
            if let Some(segment) = state.segments.get_mut(id) {
                segment.doomed = false;
            }
        }
        state.unsynced.extend(&commit.unsynced);
        state.created |= commit.created;
    }
}
