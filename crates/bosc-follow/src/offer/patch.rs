//! Blocks of a file that a patch makes: of another file, or, where the patch is the whole file packed, of none.
//!
//! # Invariants
//!
//! 1. A block is put as any source's is: proved by its leaf hash, or refused. With the first that is refused the patch is given up, so
//!    what one unpacks to is bounded by the file that the signed tree has.
//! 2. A patch is asked for by what signed entries say; one that has other bytes than its entry says is given up before its content
//!    is fetched.
//! 3. Memory: the patch, up to [`MAX_PATCH`], a block of up to [`MAX_CHUNK`], and what `bosc_delta::apply` takes. The file is never
//!    whole in memory, nor on the disk but as blocks.

use super::gathering::{Cost, Gathering, MAX_LEAVES, Offer, Put};
use crate::error::FollowError;
use crate::source::CoreSource;
use bosc_delta::Base;
use bosc_drive::BlockSource;
use bosc_drive::blobs::{BlobId, BlobReader, BlockRef, content_blocks, load_map};
use bosc_drive::chunker::{ChunkBuffer, MAX_CHUNK};
use bytes::Bytes;
use std::io::{self, Write};

/// Longest patch taken, in bytes.
pub const MAX_PATCH: u64 = 64 << 20;

/// What a patch costs beside its bytes: its entry, proofs, a round trip.
pub const OVERHEAD: u64 = 16 << 10;

/// A patch in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Bytes that its entry says it has.
    pub size: u64,
    /// Its content.
    pub blob: BlobId,
}

impl Patch {
    /// Its bytes, from peers where they are not here, and their blocks into `used`; `None` when it is not what its entry says.
    ///
    /// # Errors
    /// As [`Gathering::fetch`].
    pub fn bytes(
        &self,
        to: &mut Gathering<'_, '_>,
        used: &mut Vec<u64>,
    ) -> Result<Option<Vec<u8>>, FollowError> {
        let source = CoreSource::new(to.core());
        let end = self.blob.block_offset.saturating_add(self.blob.block_length);
        if self.size > MAX_PATCH || end > source.length() || self.blob.block_length > self.size {
            return Ok(None);
        }
        let mut blocks: Vec<u64> = (self.blob.block_offset..end).collect();
        if self.blob.block_map {
            to.fetch(blocks.clone())?;
            let size = load_map(&source, &self.blob)
                .map(|refs| refs.iter().fold(0, |n: u64, r| n.saturating_add(r.byte_length)));
            if size.ok() != Some(self.size) {
                return Ok(None);
            }
            let Ok(runs) = content_blocks(&source, &self.blob) else { return Ok(None) };
            blocks.extend(runs.into_iter().flatten());
        } else if self.blob.byte_length != self.size {
            return Ok(None);
        }
        to.fetch(blocks.clone())?;
        used.extend(blocks);
        let mut bytes = Vec::new();
        let mut reader = BlobReader::new(source, self.blob);
        for part in reader.by_ref() {
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(_) => return Ok(None),
            }
        }
        Ok((bytes.len() as u64 == self.size).then_some(bytes))
    }
}

/// A file of which blocks are missing.
#[derive(Debug)]
pub struct Lacking {
    refs: Vec<BlockRef>,
    missing: Vec<u64>,
    /// Bytes of those blocks.
    pub bytes: u64,
    /// Bytes of the file.
    pub whole: u64,
}

impl Lacking {
    /// What is missing of a file whose map is here; `None` when nothing is, or too much at a time.
    ///
    /// # Errors
    /// What the store says.
    pub fn of(to: &mut Gathering<'_, '_>, id: &BlobId) -> Result<Option<Self>, FollowError> {
        if !id.block_map {
            return Ok(None);
        }
        let Ok(refs) = load_map(&CoreSource::new(to.core()), id) else { return Ok(None) };
        let (mut missing, mut bytes) = (Vec::new(), 0u64);
        for r in &refs {
            if to.is_missing(r.index)? {
                missing.push(r.index);
                bytes = bytes.saturating_add(r.byte_length);
            }
        }
        let some = !missing.is_empty() && missing.len() <= MAX_LEAVES;
        let whole = refs.iter().fold(0, |n: u64, r| n.saturating_add(r.byte_length));
        Ok(some.then_some(Self { refs, missing, bytes, whole }))
    }

    /// Puts what is missing of what `patch` makes of `base`. Whether it made the file.
    ///
    /// # Errors
    /// As [`Gathering::leaves`] and [`Gathering::put`].
    pub fn put(
        &self,
        to: &mut Gathering<'_, '_>,
        base: &dyn Base,
        patch: &[u8],
    ) -> Result<bool, FollowError> {
        if !to.leaves(&self.missing)? {
            return Ok(false);
        }
        let mut blocks = Blocks { to, refs: self.refs.iter(), chunks: ChunkBuffer::new(), failed: None };
        // What is left over is the last block.
        let made = bosc_delta::apply(base, patch, &mut blocks).is_ok() && blocks.finish().is_ok();
        match blocks.failed {
            Some(e) => Err(e),
            None => Ok(made),
        }
    }
}

/// Cuts what a patch makes into the blocks of the file, and puts those that are missing.
struct Blocks<'b, 'g, 'w> {
    to: &'b mut Gathering<'g, 'w>,
    refs: std::slice::Iter<'b, BlockRef>,
    chunks: ChunkBuffer,
    /// What ends more than this patch.
    failed: Option<FollowError>,
}

impl Blocks<'_, '_, '_> {
    fn put(&mut self, chunk: Bytes) -> io::Result<()> {
        let other = || io::Error::new(io::ErrorKind::InvalidData, "another file");
        let r = self.refs.next().filter(|r| r.byte_length == chunk.len() as u64).ok_or_else(other)?;
        let put = match self.to.is_missing(r.index) {
            Ok(false) => return Ok(()),
            Ok(true) => self.to.put(r.index, chunk),
            Err(e) => Err(e),
        };
        match put {
            Ok(Put::Taken | Put::Known) => Ok(()),
            Ok(Put::Refused | Put::Unproved) => Err(other()),
            Err(e) => {
                self.failed = Some(e);
                Err(other())
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.chunks.finish() {
            Some(chunk) => self.put(chunk),
            None => Ok(()),
        }
    }
}

impl Write for Blocks<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunks.buffer().extend_from_slice(bytes);
        while let Some(chunk) = self.chunks.next_chunk() {
            self.put(chunk)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a chunk may have at most is what a block may.
const _: () = assert!(MAX_CHUNK <= MAX_PATCH as usize);

/// Whole files, packed, as a source of their blocks: for whoever has nothing that a patch could start from.
#[derive(Debug, Default)]
pub struct Alone {
    /// Files and their packed copies.
    pub copies: Vec<(BlobId, Patch)>,
}

impl Offer for Alone {
    fn name(&self) -> &'static str {
        "packed copies"
    }

    fn cost(&self) -> Cost {
        Cost::Delta
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        for (file, patch) in &self.copies {
            to.go_on()?;
            let Some(lacking) = Lacking::of(to, file)? else { continue };
            if patch.size.saturating_add(OVERHEAD) < lacking.bytes
                && let Some(bytes) = patch.bytes(to, &mut Vec::new())?
            {
                let nothing: &[u8] = &[];
                lacking.put(to, &nothing, &bytes)?;
            }
        }
        Ok(())
    }
}
