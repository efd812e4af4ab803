//! Content into the blobs core: which pieces are new, which only have to be named. Used by `stage` and `provision`.

use super::blocks::KnownBlocks;
use super::compare::Old;
use super::target::{BlobBlock, CoreState, StageTarget, TargetError};
use bosc_drive::blobs::{BlobId, ContentMap, Placement};
use bosc_format::crypto::{Hash, leaf_hash};
use bytes::Bytes;

/// New blocks are given to the store in groups of about so many bytes, or so many blocks.
const GROUP_BYTES: usize = 1 << 20;
const GROUP_BLOCKS: usize = 256;

/// What a file cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Blocks appended, map blocks too.
    pub(crate) blocks: u64,
    /// Bytes of content appended, maps not counted.
    pub(crate) bytes: u64,
}

/// Appends files to a target's blobs core, one after the other.
pub(crate) struct ContentWriter<'a, T> {
    pub(crate) target: &'a mut T,
    known: KnownBlocks,
    /// Blocks not yet given to the target.
    group: Vec<BlobBlock>,
    /// Index of the first of them.
    appended: u64,
    group_bytes: usize,
    /// Bytes of the group that came through somebody's budget.
    group_taken: usize,
    next_block: u64,
    next_byte: u64,
    /// New bytes of the present file.
    file_new: u64,
}

impl<'a, T: StageTarget> ContentWriter<'a, T> {
    /// Appends behind `blobs`, the state of the target's blobs core.
    pub(crate) fn new(target: &'a mut T, blobs: &CoreState) -> Self {
        Self {
            target,
            known: KnownBlocks::default(),
            group: Vec::new(),
            appended: blobs.length,
            group_bytes: 0,
            group_taken: 0,
            next_block: blobs.length,
            next_byte: blobs.byte_length,
            file_new: 0,
        }
    }

    /// Starts a file; all pieces of one file go into the map it gives.
    pub(crate) fn start(&mut self) -> ContentMap {
        self.file_new = 0;
        ContentMap::new(self.next_block, self.next_byte)
    }

    /// The block that holds this content already: of the old version of the same file, else of any.
    pub(crate) fn find(
        &mut self,
        old: Option<&mut Old>,
        hash: &Hash,
        size: u64,
    ) -> Result<Option<bosc_drive::blobs::BlockRef>, TargetError> {
        match old.and_then(|old| old.find(hash)).filter(|r| r.byte_length == size) {
            Some(known) => Ok(Some(known)),
            None => {
                let first = self.appended;
                let held = |index: u64| self.group.get(usize::try_from(index.checked_sub(first)?).ok()?);
                self.known.find(self.target, &held, hash, size)
            }
        }
    }

    /// Puts a piece in its place. `release` gives its bytes back to the budget they were taken from, now or when
    /// they have been given to the target.
    pub(crate) fn place(
        &mut self,
        map: &mut ContentMap,
        old: Option<&mut Old>,
        bytes: Bytes,
        hash: Hash,
        release: Option<&dyn Fn(usize)>,
    ) -> Result<(), TargetError> {
        let size = bytes.len();
        let known = self.find(old, &hash, size as u64)?;
        match map.push(&hash, size as u64, |_| known) {
            Placement::Known(_) => {
                if let Some(release) = release {
                    release(size);
                }
                Ok(())
            }
            Placement::New(new) => {
                self.file_new += size as u64;
                self.known.add(new.index, &hash);
                self.push(BlobBlock { hash, bytes }, release)
            }
        }
    }

    /// Names the block of a piece whose content is not at hand because it was found with [`ContentWriter::find`].
    pub(crate) fn name(map: &mut ContentMap, hash: &Hash, known: bosc_drive::blobs::BlockRef) {
        map.push(hash, known.byte_length, |_| Some(known));
    }

    /// Writes the map of a file whose pieces are all placed, and goes behind it.
    pub(crate) fn finish(&mut self, map: ContentMap) -> Result<(BlobId, Cost), bosc_drive::Error> {
        let (id, blocks) = map.finish()?;
        for block in blocks {
            let hash = leaf_hash(&block);
            self.group_bytes += block.len();
            self.group.push(BlobBlock { hash, bytes: block.into() });
        }
        let end = id.block_offset.saturating_add(id.block_length);
        let cost = Cost { blocks: end.saturating_sub(self.next_block), bytes: self.file_new };
        self.next_block = end;
        self.next_byte = id.byte_offset.saturating_add(id.byte_length);
        Ok((id, cost))
    }

    /// Starts a file without a map: its pieces follow each other as they come.
    pub(crate) fn start_plain(&mut self) -> BlobId {
        self.file_new = 0;
        BlobId { block_offset: self.next_block, byte_offset: self.next_byte, ..BlobId::default() }
    }

    /// Appends a piece of a file without a map.
    pub(crate) fn append_plain(
        &mut self,
        id: &mut BlobId,
        bytes: Bytes,
        hash: Hash,
    ) -> Result<(), TargetError> {
        let size = bytes.len() as u64;
        id.block_length = id.block_length.saturating_add(1);
        id.byte_length = id.byte_length.saturating_add(size);
        self.next_block = self.next_block.saturating_add(1);
        self.next_byte = self.next_byte.saturating_add(size);
        self.push(BlobBlock { hash, bytes }, None)
    }

    fn push(&mut self, block: BlobBlock, release: Option<&dyn Fn(usize)>) -> Result<(), TargetError> {
        let size = block.bytes.len();
        self.group_bytes += size;
        // What did not come through a budget is not given back to one either.
        self.group_taken += if release.is_some() { size } else { 0 };
        self.group.push(block);
        if self.group_bytes >= GROUP_BYTES || self.group.len() >= GROUP_BLOCKS {
            self.flush(release)?;
        }
        Ok(())
    }

    /// Forgets which blocks hold what: for those who name no more content, or little.
    pub(crate) fn forget_known(&mut self) {
        self.known = KnownBlocks::default();
    }

    /// Gives what is held back to the target.
    pub(crate) fn flush(&mut self, release: Option<&dyn Fn(usize)>) -> Result<(), TargetError> {
        self.group_bytes = 0;
        if !self.group.is_empty() {
            let group = std::mem::take(&mut self.group);
            self.appended = self.appended.saturating_add(group.len() as u64);
            self.target.append_blobs(group)?;
        }
        if let Some(release) = release {
            release(std::mem::take(&mut self.group_taken));
        }
        Ok(())
    }
}
