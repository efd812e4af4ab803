//! Walks that stop at a block that is not here and go on from there.

use crate::bee::{Change, Diff, Entry, History, HistoryEntry, Range, Step, Versions};
use crate::blobs::BlobReader;
use crate::drive::{DriveDiff, DriveEntry, EntryChange, List};
use crate::error::Result;
use crate::source::BlockSource;
use bytes::Bytes;

/// An iterator that does not advance on [`crate::Error::Missing`], and knows which blocks it will need next.
pub trait Walk: Iterator<Item = Result<Self::Step>> {
    /// What it yields.
    type Step;

    /// Up to `max` blocks it will need and its source does not have, nearest first.
    fn wanted(&self, max: usize) -> Vec<u64>;
}

macro_rules! walks {
    ($($walk:ident => $step:ty),* $(,)?) => {$(
        impl<S: BlockSource + Clone> Walk for $walk<S> {
            type Step = $step;

            fn wanted(&self, max: usize) -> Vec<u64> {
                $walk::wanted(self, max)
            }
        }
    )*};
}

walks! {
    Range => Entry,
    Diff => Change,
    History => HistoryEntry,
    Versions => Step,
    List => DriveEntry,
    DriveDiff => EntryChange,
    BlobReader => Bytes,
}
