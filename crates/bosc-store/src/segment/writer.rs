//! The writer of a segment.

use super::files::MAX_BLOCK_SIZE;
use super::table::Segments;
use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::page::Place;
use bytes::Bytes;
use std::sync::Arc;

/// Blocks up to this size are gathered, up to so many bytes, and written together.
const SMALL: usize = 16 << 10;
const BUFFER: usize = 128 << 10;

/// Appends blocks to segments it has for itself. Dropping it gives up what was written and not kept.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    segments: Arc<Segments>,
    current: Option<Current>,
    /// Full segments not given back yet, with their tails.
    full: Vec<(u32, u32)>,
    /// Gives full segments back at once: their bytes are installed block by block.
    shared: bool,
    /// Small blocks not written to the current segment yet: they end at its tail.
    buffer: Vec<u8>,
    /// Syncs full segments early, beside the writing.
    early: Vec<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Current {
    id: u32,
    tail: u32,
    file: Arc<dyn DiskFile>,
}

/// A place that is reserved, not written.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) place: Place,
    file: Option<Arc<dyn DiskFile>>,
}

impl SegmentWriter {
    pub(crate) fn new(segments: Arc<Segments>, shared: bool) -> Self {
        Self { segments, current: None, full: Vec::new(), shared, buffer: Vec::new(), early: Vec::new() }
    }

    /// Takes room for `len` bytes.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<Reserved> {
        if len > MAX_BLOCK_SIZE {
            return Err(Error::Argument("a block is larger than 64 MiB"));
        }
        let len = u32::try_from(len).map_err(|_| Error::Argument("a block is larger than 64 MiB"))?;
        if self.is_full(len as usize) {
            self.roll();
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let (id, tail, file) = self.segments.checkout()?;
                self.current.insert(Current { id, tail, file })
            }
        };
        let place = Place { segment: current.id, offset: current.tail, len };
        current.tail = current.tail.saturating_add(len);
        Ok(Reserved { place, file: (len > 0).then(|| current.file.clone()) })
    }

    /// Whether the current segment takes no block of `len` bytes.
    fn is_full(&self, len: usize) -> bool {
        self.current.as_ref().is_some_and(|c| {
            c.tail >= self.segments.limit || u64::from(c.tail) + len as u64 > u64::from(u32::MAX)
        })
    }

    fn roll(&mut self) {
        let Some(c) = self.current.take() else { return };
        if self.shared {
            self.segments.give_back(c.id, c.tail);
            return;
        }
        self.full.push((c.id, c.tail));
        // The commit syncs again; this only spreads the work. Two at a time at most.
        self.early.retain(|t| !t.is_finished());
        if self.early.len() < 2 {
            let segments = self.segments.clone();
            let sync = move || {
                if c.file.sync().is_err() {
                    segments.suspect(c.id);
                }
            };
            self.early.extend(std::thread::Builder::new().name("bosc-store-sync".into()).spawn(sync).ok());
        }
    }

    /// Leaves a segment whose sync failed: what is in it is written again, which nobody may do beside a writer.
    pub(crate) fn leave_suspect(&mut self) {
        if let Some(c) = &self.current
            && self.segments.lock().segments.get(&c.id).is_some_and(|s| s.suspect)
        {
            self.roll();
        }
    }

    /// Leaves the segment it is in.
    pub(crate) fn leave(&mut self) {
        self.roll();
    }

    /// Writes what is gathered and waits for early syncs.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.wait();
        self.write_buffer()
    }

    fn wait(&mut self) {
        for thread in self.early.drain(..) {
            let _ = thread.join();
        }
    }

    /// Appends a block. Small ones are gathered and written together; [`SegmentWriter::settle`] writes the rest.
    /// After an error nothing has changed.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<Place> {
        if self.buffer.len() + data.len() > BUFFER || self.is_full(data.len()) {
            self.write_buffer()?;
        }
        let reserved = self.reserve(data.len())?;
        if data.len() <= SMALL {
            self.buffer.extend_from_slice(data);
            return Ok(reserved.place);
        }
        match self.write_buffer_before(&reserved).and_then(|()| reserved.write(&self.segments, data)) {
            Ok(()) => Ok(reserved.place),
            Err(e) => {
                // Nobody else has it: take the room back.
                if let Some(c) = &mut self.current {
                    c.tail = reserved.place.offset;
                }
                Err(e)
            }
        }
    }

    /// Writes gathered blocks, which end at the tail.
    fn write_buffer(&mut self) -> Result<()> {
        match &self.current {
            Some(c) => self.write_buffer_at(c.tail),
            None => Ok(()),
        }
    }

    /// Writes gathered blocks, which end where a reserved place begins.
    fn write_buffer_before(&mut self, next: &Reserved) -> Result<()> {
        self.write_buffer_at(next.place.offset)
    }

    fn write_buffer_at(&mut self, end: u32) -> Result<()> {
        if let (false, Some(c)) = (self.buffer.is_empty(), &self.current) {
            let start = u64::from(end).saturating_sub(self.buffer.len() as u64);
            c.file.write_at(start, &self.buffer).map_err(|e| Error::io(self.segments.path(c.id), e))?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Reads a block this writer appended.
    pub(crate) fn read(&self, place: Place) -> Result<Bytes> {
        if let Some(c) = &self.current
            && place.segment == c.id
            && place.len > 0
        {
            let start = c.tail.saturating_sub(u32::try_from(self.buffer.len()).unwrap_or(u32::MAX));
            if let Some(at) = place.offset.checked_sub(start) {
                let bytes = self.buffer.get(at as usize..).and_then(|b| b.get(..place.len as usize));
                return bytes
                    .map(Bytes::copy_from_slice)
                    .ok_or_else(|| Error::corrupt("a staged block is gone"));
            }
        }
        self.segments.read(place)
    }

    /// Keeps what was written: gives the segments back as they are.
    pub(crate) fn keep(mut self) {
        self.keep_all();
    }

    fn keep_all(&mut self) {
        for (id, tail) in self.full.drain(..) {
            self.segments.give_back(id, tail);
        }
        if let Some(c) = self.current.take() {
            self.segments.give_back(c.id, c.tail);
        }
    }
}

impl Reserved {
    /// Writes the block into its place.
    pub(crate) fn write(&self, segments: &Segments, data: &[u8]) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.write_at(u64::from(self.place.offset), data)
            .map_err(|e| Error::io(segments.path(self.place.segment), e))
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.wait();
        if self.shared {
            self.keep_all();
            return;
        }
        for (id, _) in self.full.drain(..) {
            self.segments.give_up(id);
        }
        if let Some(c) = self.current.take() {
            self.segments.give_up(c.id);
        }
    }
}
