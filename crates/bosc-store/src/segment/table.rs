//! The segments of a store: which has room, which has a writer, what lives in each.

use super::claims::Claims;
use super::files::{MAX_BLOCK_SIZE, file_name};
use super::uses::{Use, Uses};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::page::Place;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Segment files held open for reading.
const MAX_HANDLES: usize = 64;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Segment {
    /// In use up to here.
    pub(super) end: u32,
    /// Next free byte; more than `end` while a writer is ahead of its commit.
    pub(super) tail: u32,
    pub(super) live: u64,
    /// Has a writer.
    pub(super) busy: bool,
    /// About to be deleted.
    pub(super) doomed: bool,
    /// A sync failed: all bytes are written again before the next one. No new writer meanwhile.
    pub(super) suspect: bool,
    /// Gets no writer: its file lacks bytes that it should have, or has some that are not to be written over.
    pub(super) closed: bool,
    /// Holds bytes that the database does not name and that stay, whatever else goes.
    pub(super) kept: bool,
}

impl Segment {
    /// Whether nothing in it is wanted.
    pub(super) fn is_dead(&self) -> bool {
        self.live == 0 && !self.busy && !self.kept
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) next: u32,
    /// Rows the next commit writes.
    pub(super) changed: BTreeSet<u32>,
    /// Files with bytes that were not synced.
    pub(super) unsynced: BTreeSet<u32>,
    /// Bytes installed since the last commit began.
    pub(super) pending: u64,
    /// Files were created since directories were synced.
    pub(super) created: bool,
    pub(super) handles: HashMap<u32, Arc<dyn DiskFile>>,
}

#[derive(Debug)]
pub(crate) struct Segments {
    pub(super) disk: Arc<dyn Disk>,
    /// A segment is full when it has this many bytes.
    pub(super) limit: u32,
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, id: u32) -> PathBuf {
        self.disk.path(&file_name(id))
    }

    pub(super) fn file(&self, id: u32, create: bool) -> Result<Arc<dyn DiskFile>> {
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
    pub(super) fn checkout(&self) -> Result<(u32, u32, Arc<dyn DiskFile>)> {
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
    pub(super) fn give_back(&self, id: u32, tail: u32) {
        if let Some(segment) = self.lock().segments.get_mut(&id) {
            segment.busy = false;
            segment.tail = tail.max(segment.end);
        }
    }

    /// Gives a segment back, dropping what was written and not committed.
    pub(super) fn give_up(&self, id: u32) {
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
