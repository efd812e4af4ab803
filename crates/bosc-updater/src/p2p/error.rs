//! Why a link could not be followed, in the updater's words. The only place where they are given.

use crate::error::{ErrorKind, UpdateError};
use bosc_follow::{FollowError, TimedOut};
use bosc_node::CoreFailure;

impl From<FollowError> for UpdateError {
    fn from(e: FollowError) -> Self {
        match e {
            FollowError::Stopped => cancelled(),
            FollowError::Store(e) => store_error(e),
            FollowError::Drive(e) => drive_error(e),
            FollowError::NotStored(failure) => not_stored(&failure),
            FollowError::TimedOut(why) => nobody(&why),
            FollowError::Damaged { why, .. } => again(&why),
            FollowError::NotADrive => {
                Self::new(ErrorKind::Integrity, "the link does not name a drive of a current format")
                    .hint("stage the application with a current version of bosc or pear")
            }
            FollowError::HashMismatch { .. } => {
                Self::new(ErrorKind::Integrity, "the drive is not the one the link's hash names")
                    .hint("check the link, or leave the hash out of it")
            }
            FollowError::NoSuchVersion { .. } | FollowError::OtherFork { .. } => older(),
            e => Self::new(ErrorKind::Integrity, "the link's drive cannot be followed")
                .hint("the publisher has to stage the release again")
                .because(e),
        }
    }
}

/// Peers have nothing as new as the link names.
pub(super) fn older() -> UpdateError {
    UpdateError::new(ErrorKind::Refused, "peers have only an older version than the link names")
        .hint("wait until somebody seeds the version in the link")
}

pub(super) fn cancelled() -> UpdateError {
    UpdateError::new(ErrorKind::Cancelled, "the update was stopped").hint("what was downloaded is kept")
}

fn not_stored(failure: &CoreFailure) -> UpdateError {
    let kind = if failure.is_full() { ErrorKind::NoSpace } else { ErrorKind::Disk };
    UpdateError::new(kind, format!("what was downloaded could not be kept: {failure}"))
        .hint("check the disk of the updater's folder; what was downloaded is kept")
}

/// Nothing came in time.
pub(super) fn nobody(why: &TimedOut) -> UpdateError {
    let message = match why.peers {
        0 => "nobody who has the release was found",
        _ => "the peers that were found did not deliver",
    };
    let e = UpdateError::new(ErrorKind::Network, message)
        .hint("somebody has to seed the link; it is tried again when a peer appears");
    if let Some((name, fault)) = why.mirrors.first() {
        return e.because(format!("the mirror {name} cannot be used: {fault}"));
    }
    match &why.dropped {
        Some(peer) => e.because(format!("a peer was dropped because it {peer}")),
        None => e,
    }
}

/// A part of what was downloaded is damaged on this disk, and nobody brought it again.
fn again(why: &TimedOut) -> UpdateError {
    let message = match why.peers {
        0 => "a part of what was downloaded is damaged, and nobody who has the release was found",
        _ => {
            "a part of what was downloaded is damaged, and the peers that were found did not deliver it again"
        }
    };
    UpdateError::new(ErrorKind::Network, message)
        .hint("somebody has to seed the link; it is fetched again when a peer appears")
}

/// The store failed.
pub(super) fn store_error(e: bosc_store::Error) -> UpdateError {
    use bosc_store::Error as E;
    let (kind, message, hint) = match &e {
        E::Locked { .. } => (
            ErrorKind::Busy,
            "another process of this application is already looking for updates",
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
            (ErrorKind::NoSpace, "the disk is full", "free some disk space; what was downloaded is kept")
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

impl From<bosc_drive::Error> for UpdateError {
    fn from(e: bosc_drive::Error) -> Self {
        drive_error(e)
    }
}

/// The drive does not hold what its format says: its owner signed something wrong, or the link is not a drive's.
fn drive_error(e: bosc_drive::Error) -> UpdateError {
    match e {
        bosc_drive::Error::Source(e) => match e.downcast::<bosc_store::Error>() {
            Ok(e) => store_error(*e),
            Err(e) => UpdateError::new(ErrorKind::Disk, "what was downloaded could not be read").because(e),
        },
        // What was here is damaged, or was cut back meanwhile: nothing that anybody signed.
        e @ bosc_drive::Error::Missing(_) => {
            UpdateError::new(ErrorKind::Disk, "a part of what was downloaded is not here any more")
                .hint("check for updates again: it is fetched again")
                .because(e)
        }
        e => UpdateError::new(ErrorKind::Integrity, "the link's drive cannot be read")
            .hint("the publisher has to stage the release again")
            .because(e),
    }
}
