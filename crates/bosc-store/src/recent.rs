//! Blocks that peers brought lately, for somebody who reads them as they come: from memory, neither read nor hashed once more.
//!
//! Invariants:
//! * Nothing is kept while nobody reads so.
//! * A block is kept until it is read once. While there is no room new ones are not kept, and are read from the disk: those
//!   that are here are older, and wanted sooner.
//! * Each is a copy of its own: a slice would hold all of the message it came in, which the peer chose.

use crate::lock::lock;
use bosc_format::crypto::Hash;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes kept of a core, at most.
const ROOM: usize = 8 << 20;
/// Smaller blocks cost less to read again than to keep.
const LEAST: usize = 4 << 10;

/// Those of one core.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    readers: AtomicUsize,
    blocks: Mutex<BTreeMap<u64, (Hash, Bytes)>>,
}

impl Recent {
    pub(crate) fn begin(&self) {
        self.readers.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        if self.readers.fetch_sub(1, Ordering::SeqCst) == 1 {
            lock(&self.blocks).clear();
        }
    }

    /// Whether a block of this length might be kept.
    pub(crate) fn takes(&self, len: usize) -> bool {
        len >= LEAST && self.readers.load(Ordering::SeqCst) > 0
    }

    /// Keeps a block that was verified, with its hash, if there is room.
    pub(crate) fn put(&self, index: u64, hash: Hash, block: &Bytes) {
        let mut blocks = lock(&self.blocks);
        let kept: usize = blocks.values().map(|(_, b)| b.len()).sum();
        // The last reader may have left since.
        if self.takes(block.len()) && kept.saturating_add(block.len()) <= ROOM {
            blocks.insert(index, (hash, Bytes::copy_from_slice(block)));
        }
    }

    /// The block, if it is kept and not longer than `most`; then it is not kept any more.
    pub(crate) fn take(&self, index: u64, most: usize) -> Option<(Hash, Bytes)> {
        if self.readers.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut blocks = lock(&self.blocks);
        blocks.get(&index).filter(|(_, b)| b.len() <= most)?;
        blocks.remove(&index)
    }
}
