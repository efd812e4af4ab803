//! A core of the store as a source of blocks, at a fixed length.

use crate::error::{ErrorKind, UpdateError};
use bosc_drive::{BlockSource, SourceError};
use bosc_format::merkle::Seek;
use bosc_store::Core;
use bytes::Bytes;

/// A core as long as it was at one moment. Blocks are checked against the tree when they are read.
#[derive(Debug, Clone)]
pub(super) struct CoreSource {
    core: Core,
    length: u64,
}

impl CoreSource {
    pub(super) fn new(core: &Core, length: u64) -> Self {
        Self { core: core.clone(), length: core.length().min(length) }
    }
}

impl BlockSource for CoreSource {
    fn length(&self) -> u64 {
        self.length
    }

    fn block(&self, index: u64) -> Result<Bytes, SourceError> {
        if index >= self.length {
            return Err(SourceError::Missing(index));
        }
        match self.core.block(index) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(SourceError::Missing(index)),
            Err(e) => Err(SourceError::Failed(Box::new(e))),
        }
    }

    fn has(&self, index: u64) -> bool {
        index < self.length && self.core.has(index).unwrap_or(false)
    }

    fn seek(&self, offset: u64) -> Result<Option<(u64, u64)>, SourceError> {
        match self.core.seek(offset) {
            Ok(Seek::Found { block, offset }) => Ok(Some((block, offset))),
            // The reader then walks the blocks.
            _ => Ok(None),
        }
    }
}

/// The store failed.
pub(super) fn store_error(e: bosc_store::Error) -> UpdateError {
    use bosc_store::Error as E;
    let (kind, message, hint) = match &e {
        E::Locked { .. } => (
            ErrorKind::Busy,
            "another process of this application looks for updates already",
            "let that one do it, or give this instance another folder",
        ),
        E::NewerVersion { .. } => (
            ErrorKind::Disk,
            "what was downloaded so far was kept by a newer version of the updater",
            "remove the updater's folder; everything in it can be fetched again",
        ),
        E::Corrupt { .. } => (
            ErrorKind::Disk,
            "what was downloaded so far is damaged",
            "remove the updater's folder; everything in it can be fetched again",
        ),
        E::Full { .. } => {
            (ErrorKind::NoSpace, "the disk is full", "free some space; what was downloaded is kept")
        }
        E::InvalidProof(_) | E::Invalid(_) => (
            ErrorKind::Integrity,
            "what came does not match the link's key",
            "it is fetched again from others",
        ),
        _ => (
            ErrorKind::Disk,
            "what was downloaded could not be kept",
            "check the updater's folder, its disk and its permissions",
        ),
    };
    UpdateError::new(kind, message).hint(hint).because(e)
}

/// The drive does not hold what its format says: its owner signed something wrong, or the link is no drive's.
pub(super) fn drive_error(e: bosc_drive::Error) -> UpdateError {
    match e {
        bosc_drive::Error::Source(e) => match e.downcast::<bosc_store::Error>() {
            Ok(e) => store_error(*e),
            Err(e) => UpdateError::new(ErrorKind::Disk, "what was downloaded could not be read").because(e),
        },
        e => UpdateError::new(ErrorKind::Integrity, "the link's drive cannot be read")
            .hint("the publisher has to stage the release again")
            .because(e),
    }
}
