//! Segments: the files block bytes are appended to.
//!
//! A segment only grows. The database knows how far it is in use (`end`) and how many of those bytes belong to
//! blocks (`live`); whatever is behind `end` was never committed and is cut off or written over (but see
//! [`crate::folder_state`] for what may be removed when a store is opened). A segment in which nothing lives is
//! deleted after the commit that says so. One whose file is missing or too short gets no new writer; what is still
//! in it can be read.
//!
//! Invariants:
//! * Every committed place lies below the committed `end` of its segment, and those bytes were synced before
//!   the commit that names them.
//! * Bytes below `end` never change.
//! * A writer has its segment for itself (`busy`), so a writer that gives up takes its bytes with it.

mod claims;
mod writer;

pub(crate) use claims::Claims;
pub(crate) use writer::SegmentWriter;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::page::Place;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest block, in bytes. JavaScript peers take messages of up to 16 MiB.
pub const MAX_BLOCK_SIZE: usize = 64 << 20;

/// Segment files held open for reading.
const MAX_HANDLES: usize = 64;

pub(crate) const FOLDER: &str = "data";

fn file_name(id: u32) -> String {
    format!("{FOLDER}/{id:06}.seg")
}

/// The number in a segment's file name.
fn parse_name(name: &str) -> Option<u32> {
    name.strip_suffix(".seg")?.parse().ok()
}

/// What one change does to a segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use {
    /// In use at least up to here.
    pub(crate) end: u32,
    /// Bytes of new blocks.
    pub(crate) added: u64,
    /// Bytes of blocks given up.
    pub(crate) freed: u64,
}

/// What changes do to segments, by number.
pub(crate) type Uses = BTreeMap<u32, Use>;

/// Counts a new block.
pub(crate) fn add_use(uses: &mut Uses, place: Place) {
    let u = uses.entry(place.segment).or_default();
    u.end = u.end.max(place.offset.saturating_add(place.len));
    u.added = u.added.saturating_add(u64::from(place.len));
}

/// Counts a block given up.
pub(crate) fn free_use(uses: &mut Uses, place: Place) {
    let u = uses.entry(place.segment).or_default();
    u.freed = u.freed.saturating_add(u64::from(place.len));
}

#[derive(Debug, Default, Clone, Copy)]
struct Segment {
    /// In use up to here.
    end: u32,
    /// Next free byte; more than `end` while a writer is ahead of its commit.
    tail: u32,
    live: u64,
    /// Has a writer.
    busy: bool,
    /// About to be deleted.
    doomed: bool,
    /// A sync failed: all bytes are written again before the next one. No new writer meanwhile.
    suspect: bool,
    /// Gets no writer: its file lacks bytes that it should have, or has some that are not to be written over.
    closed: bool,
    /// Holds bytes that the database does not name and that stay, whatever else goes.
    kept: bool,
}

impl Segment {
    /// Whether nothing in it is wanted.
    fn is_dead(&self) -> bool {
        self.live == 0 && !self.busy && !self.kept
    }
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<u32, Segment>,
    next: u32,
    /// Rows the next commit writes.
    changed: BTreeSet<u32>,
    /// Files with bytes that were not synced.
    unsynced: BTreeSet<u32>,
    /// Bytes installed since the last commit began.
    pending: u64,
    /// Files were created since directories were synced.
    created: bool,
    handles: HashMap<u32, Arc<dyn DiskFile>>,
}

/// What a commit does about segments.
#[derive(Debug, Default)]
pub(crate) struct SegmentCommit {
    /// Rows to write: number, end, live.
    pub(crate) rows: Vec<(u32, u32, u64)>,
    /// Rows to delete, and files once that is durable.
    pub(crate) doomed: Vec<u32>,
    unsynced: BTreeSet<u32>,
    created: bool,
}

impl SegmentCommit {
    pub(crate) fn is_nothing(&self) -> bool {
        self.rows.is_empty() && self.doomed.is_empty() && self.unsynced.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    /// A segment is full when it has this many bytes.
    limit: u32,
    /// Bytes that the database does not name and that are kept.
    unnamed_bytes: u64,
    state: Mutex<State>,
}

impl Segments {
    /// Takes over what the database knows of segments, and removes what `claims` says may go.
    pub(crate) fn open(disk: Arc<dyn Disk>, limit: u32, claims: Claims) -> Result<Self> {
        let mut state = State { next: 1, ..State::default() };
        for (id, row) in &claims.rows {
            state.next = state.next.max(id.saturating_add(1));
            let segment = Segment {
                end: row.end,
                tail: row.end,
                live: row.live,
                closed: row.short || claims.kept.contains(id),
                kept: claims.kept.contains(id),
                ..Segment::default()
            };
            state.segments.insert(*id, segment);
        }
        for id in claims.kept.iter().chain(claims.unnamed.keys()) {
            state.next = state.next.max(id.saturating_add(1));
        }
        let unnamed_bytes = claims.kept_bytes();
        let this = Self { disk, limit, unnamed_bytes, state: Mutex::new(State::default()) };
        for id in claims.removable() {
            // Cleaning up is for disk space only: where it fails (a disk that cannot be written), reading still works,
            // and writing will report it.
            match state.segments.get(&id) {
                None => {
                    let _ = this.disk.remove(&file_name(id));
                }
                Some(segment) => {
                    if let Ok(Some(file)) = this.disk.open(&file_name(id), false) {
                        let _ = file.set_len(u64::from(segment.end));
                    }
                }
            }
        }
        if !claims.remove {
            // Nobody writes over what may be somebody's.
            for id in claims.unnamed.keys() {
                if let Some(segment) = state.segments.get_mut(id) {
                    segment.closed = true;
                }
            }
        }
        // Dead segments: their rows go with the next commit.
        if claims.remove {
            state.changed = state.segments.iter().filter(|(_, s)| s.is_dead()).map(|(id, _)| *id).collect();
        }
        *this.lock() = state;
        Ok(this)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: u32) -> PathBuf {
        self.disk.path(&file_name(id))
    }

    fn file(&self, id: u32, create: bool) -> Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.lock().handles.get(&id) {
            return Ok(file.clone());
        }
        let file = self
            .disk
            .open(&file_name(id), create)
            .map_err(|e| Error::io(self.path(id), e))?
            .ok_or_else(|| Error::corrupt(format!("{} is missing", self.path(id).display())))?;
        let mut state = self.lock();
        if state.handles.len() >= MAX_HANDLES {
            state.handles.clear();
        }
        state.handles.insert(id, file.clone());
        Ok(file)
    }

    /// Reads a block's bytes.
    pub(crate) fn read(&self, place: Place) -> Result<Bytes> {
        if place.len == 0 {
            return Ok(Bytes::new());
        }
        if place.len as usize > MAX_BLOCK_SIZE {
            return Err(Error::corrupt("a block's length"));
        }
        let mut out = BytesMut::zeroed(place.len as usize);
        match self.file(place.segment, false)?.read_at(u64::from(place.offset), &mut out) {
            Ok(()) => Ok(out.freeze()),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(Error::corrupt(format!("{} is too short", self.path(place.segment).display())))
            }
            Err(e) => Err(Error::io(self.path(place.segment), e)),
        }
    }

    /// Finds or makes a segment with room and gives it to a writer.
    fn checkout(&self) -> Result<(u32, u32, Arc<dyn DiskFile>)> {
        let (id, tail, new) = {
            let mut state = self.lock();
            let limit = self.limit;
            let room = state
                .segments
                .iter_mut()
                .find(|(_, s)| !s.busy && !s.doomed && !s.suspect && !s.closed && s.tail < limit);
            match room {
                Some((id, segment)) => {
                    segment.busy = true;
                    (*id, segment.tail, false)
                }
                None => {
                    let id = state.next;
                    state.next =
                        id.checked_add(1).ok_or_else(|| Error::corrupt("segment numbers ran out"))?;
                    state.segments.insert(id, Segment { busy: true, ..Segment::default() });
                    (id, 0, true)
                }
            }
        };
        match self.file(id, new) {
            Ok(file) => {
                // Only now: a commit that saw this earlier would sync directories too early.
                self.lock().created |= new;
                Ok((id, tail, file))
            }
            Err(e) => {
                let mut state = self.lock();
                if new {
                    state.segments.remove(&id);
                } else if let Some(segment) = state.segments.get_mut(&id) {
                    segment.busy = false;
                }
                Err(e)
            }
        }
    }

    /// Gives a segment back, keeping what was written up to `tail`.
    fn give_back(&self, id: u32, tail: u32) {
        if let Some(segment) = self.lock().segments.get_mut(&id) {
            segment.busy = false;
            segment.tail = tail.max(segment.end);
        }
    }

    /// Gives a segment back, dropping what was written and not committed.
    fn give_up(&self, id: u32) {
        let mut state = self.lock();
        let Some(segment) = state.segments.get_mut(&id) else { return };
        segment.busy = false;
        segment.tail = segment.end;
        let end = segment.end;
        let file = state.handles.get(&id).cloned();
        if end == 0 {
            state.segments.remove(&id);
            state.handles.remove(&id);
            state.changed.remove(&id);
            state.unsynced.remove(&id);
            drop(state);
            let _ = self.disk.remove(&file_name(id));
        } else if let Some(file) = file {
            // Under the lock: the next writer must not have started.
            let _ = file.set_len(u64::from(end));
        }
    }

    /// Makes changes visible to later commits: they name bytes that are written, not synced.
    pub(crate) fn install(&self, uses: &Uses) {
        let mut state = self.lock();
        for (id, u) in uses {
            state.apply(*id, u);
            state.pending = state.pending.saturating_add(u.added);
            state.changed.insert(*id);
            if u.added > 0 {
                state.unsynced.insert(*id);
            }
        }
    }

    /// Makes changes visible that a commit has just made durable.
    pub(crate) fn install_committed(&self, uses: &Uses) {
        let mut state = self.lock();
        for (id, u) in uses {
            state.apply(*id, u);
        }
    }

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
    fn suspect(&self, id: u32) {
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

    /// Segments worth rewriting: less than half of their bytes live, and no writer. Number and live bytes.
    pub(crate) fn sparse(&self) -> Vec<u32> {
        let state = self.lock();
        state
            .segments
            .iter()
            .filter(|(_, s)| {
                !s.busy && !s.doomed && s.live > 0 && s.live.saturating_mul(2) < u64::from(s.end)
            })
            .map(|(id, _)| *id)
            .collect()
    }

    /// Keeps writers away from these segments (until [`Segments::release`]).
    pub(crate) fn hold(&self, ids: &[u32]) -> Vec<u32> {
        let mut state = self.lock();
        let mut held = Vec::new();
        for id in ids {
            if let Some(s) = state.segments.get_mut(id)
                && !s.busy
                && !s.doomed
            {
                s.busy = true;
                held.push(*id);
            }
        }
        held
    }

    /// Lets go of held segments; the next commit looks whether they are dead.
    pub(crate) fn release(&self, ids: &[u32]) {
        let mut state = self.lock();
        for id in ids {
            if let Some(s) = state.segments.get_mut(id) {
                s.busy = false;
                state.changed.insert(*id);
            }
        }
    }

    /// Bytes of blocks that are visible and not part of a commit.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.lock().pending
    }

    /// Bytes that the database does not name and that are kept.
    pub(crate) fn unnamed_bytes(&self) -> u64 {
        self.unnamed_bytes
    }

    /// Bytes in use, and of those live.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let state = self.lock();
        state.segments.values().fold((0, 0), |(used, live), s| {
            (u64::saturating_add(used, u64::from(s.end)), u64::saturating_add(live, s.live))
        })
    }
}

impl State {
    fn apply(&mut self, id: u32, u: &Use) {
        let segment = self.segments.entry(id).or_default();
        segment.end = segment.end.max(u.end);
        segment.tail = segment.tail.max(segment.end);
        segment.live = segment.live.saturating_add(u.added).saturating_sub(u.freed);
    }
}
