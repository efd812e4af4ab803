//! Why a drive could not be followed. Typed through and through; those above give it words, codes and hints, once.

use crate::mirror::MirrorFault;
use bosc_format::crypto::PublicKey;
use bosc_node::{CoreFailure, CoreStatus, DroppedPeer};

/// Nothing came in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimedOut {
    /// How many peers that have the core were connected in the end.
    pub peers: usize,
    /// The last peer that was dropped for what it sent.
    pub dropped: Option<DroppedPeer>,
    /// What was wrong with mirrors: their names, and why.
    pub mirrors: Vec<(String, MirrorFault)>,
}

impl TimedOut {
    /// As a core's snapshot has it.
    pub fn of(status: &CoreStatus) -> Self {
        Self { peers: status.peers.len(), dropped: status.dropped_peer.clone(), mirrors: Vec::new() }
    }
}

/// Why a drive could not be followed, or something of it not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// It was asked to end.
    #[error("stopped")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] bosc_store::Error),
    /// The drive does not hold what its format says, or cannot be read.
    #[error(transparent)]
    Drive(#[from] bosc_drive::Error),
    /// What peers sent could not be stored.
    #[error("what was received could not be stored: {0}")]
    NotStored(CoreFailure),
    /// Nobody was found, or nobody who was found delivered.
    #[error("{}", if .0.peers == 0 { "no peer that has it was found in time" } else { "the peers that were found did not deliver in time" })]
    TimedOut(TimedOut),
    /// A block that was here is damaged, and nobody brought it again in time.
    #[error("block {block} is damaged here, and no peer sent it again in time")]
    Damaged {
        /// The block.
        block: u64,
        /// Who was there.
        why: TimedOut,
    },
    /// The link's core is not a drive: its manifest names no blobs.
    #[error("the core is not a drive of a current format")]
    NotADrive,
    /// The drive is shorter than the version that was asked for.
    #[error("the drive has no version {asked} (it has {have})")]
    NoSuchVersion {
        /// Length asked for.
        asked: u64,
        /// Length of the proved head.
        have: u64,
    },
    /// The drive is at another fork than the link names.
    #[error("the link names fork {asked} and the drive is at fork {have}")]
    OtherFork {
        /// The link's.
        asked: u64,
        /// The drive's.
        have: u64,
    },
    /// At that length the drive has another tree than the link names.
    #[error("the drive at length {length} is not what the link's hash names")]
    HashMismatch {
        /// The length.
        length: u64,
    },
    /// A peer proved another history, signed by the same key.
    #[error("a peer holds another history, signed by the same key")]
    Forked {
        /// Its public key.
        peer: PublicKey,
    },
}

impl FollowError {
    /// Whether the disk is full: with space freed it can go on.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store(e) => e.kind() == bosc_store::ErrorKind::Full,
            Self::NotStored(failure) => failure.is_full(),
            _ => false,
        }
    }
}

/// Fails when a core cannot go on.
pub(crate) fn check(status: &CoreStatus) -> Result<(), FollowError> {
    match &status.failed {
        Some(failure) => Err(FollowError::NotStored(failure.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_store::ErrorKind;

    #[test]
    fn a_full_disk_is_known_by_its_kind_wherever_it_shows() {
        let failure = |kind| FollowError::NotStored(CoreFailure { kind, why: "no space left".into() });
        assert!(failure(ErrorKind::Full).is_full());
        assert!(!failure(ErrorKind::Io).is_full(), "the text does not count");
        let full = bosc_store::Error::Full { path: "x".into() };
        assert!(FollowError::from(full).is_full());
    }

    #[test]
    fn those_who_were_there_are_told_from_nobody() {
        let e = FollowError::TimedOut(TimedOut::of(&CoreStatus::default()));
        assert_eq!(e.to_string(), "no peer that has it was found in time");
    }
}
