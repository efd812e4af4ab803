//! Whether the contents here are of the history that the entries here are of.
//!
//! The db and the blobs of a drive are signed each by itself, and come each by itself. After a link was cut back the db is at
//! its new fork for a moment while the blobs are still at the one before. The entries then name places in contents that are
//! not here yet, and what is here at these places is proved, and something else. So nothing of the blobs is read by the
//! entries of a fork before the blobs are of it, too:
//!
//! ```text
//!                    db gets a higher fork
//!   of one history ------------------------> the blobs lag: what is read of them is missing
//!        ▲                                        │
//!        ├──── the blobs get a fork as high ──────┤
//!        └──── a peer that has our db says so, ───┘
//!              for [`SETTLED`]
//! ```
//!
//! Whoever cuts a drive back cuts both cores, so the blobs' fork tells. A writer may have cut the db alone: then peers that have
//! our db have the same blobs as we, and go on having them. They may be in that same moment themselves, so they are believed
//! after [`SETTLED`] only; then it is written down with the blobs, and holds without peers.
//!
//! Invariants:
//! * No block of the blobs is read while they lag behind the db ([`crate::CoreSource::contents`]), and no wait for one ends
//!   ([`crate::FollowedCore::block`] and those beside it).
//! * No block of either core is read by what was learned of a fork that is not the db's any more: [`CutBack`].
//! * Who writes the drive is not asked: it cuts both cores itself.
//!
//! What stays: a drive whose blobs were cut back more often than its db is not known to lag.

use bosc_node::CoreStatus;
use bosc_store::{Core, Error};
use std::time::Duration;

/// How long peers have to stay with blobs of a lower fork before these are taken for what the db's fork has.
pub(crate) const SETTLED: Duration = Duration::from_secs(3);
/// Under this name the blobs core remembers the fork of the db that it was found to be of.
const OF_FORK: &str = "bosc/of-fork";

/// The link was cut back while something of it was read: what was read so far is of a history that is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link was cut back while it was read")]
pub struct CutBack;

/// Whether the blobs here may be of a history before the db's.
///
/// # Errors
/// What the store says.
pub(crate) fn lags(db: &Core, blobs: &Core) -> Result<bool, Error> {
    let fork = db.head().fork;
    if fork <= blobs.head().fork || db.writable() {
        return Ok(false);
    }
    let known = blobs.user_data(OF_FORK)?.and_then(|v| v.try_into().ok()).map(u64::from_be_bytes);
    Ok(known.is_none_or(|known| known < fork))
}

/// Remembers that the blobs here are what the db's fork has.
pub(crate) fn settle(fork: u64, blobs: &Core) -> Result<(), Error> {
    blobs.set_user_data(OF_FORK, Some(&fork.to_be_bytes()))
}

/// Whether a peer that has our db has the blobs that are here, and nobody has newer ones.
pub(crate) fn peers_agree(db: &CoreStatus, blobs: &CoreStatus) -> bool {
    let has_db = |key| {
        let of = |p: &&bosc_node::PeerStatus| p.key == key && p.synced && !p.other_history;
        db.peers.iter().filter(of).any(|p| (p.fork, p.length) == (db.fork, db.length))
    };
    let same = |p: &&bosc_node::PeerStatus| p.synced && !p.other_history && p.fork == blobs.fork;
    !blobs.is_behind() && blobs.peers.iter().filter(same).any(|p| p.length == blobs.length && has_db(p.key))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_node::PeerStatus;

    fn status(core: (u64, u64), peers: &[(u8, u64, u64)]) -> CoreStatus {
        let peer = |(key, fork, length): &(u8, u64, u64)| PeerStatus {
            key: [*key; 32],
            synced: true,
            fork: *fork,
            length: *length,
            contiguous_length: *length,
            proved_length: 0,
            other_history: false,
            unproved: 0,
            stale: false,
            uploaded_bytes: 0,
        };
        CoreStatus {
            fork: core.0,
            length: core.1,
            peers: peers.iter().map(peer).collect(),
            ..CoreStatus::default()
        }
    }

    #[test]
    fn peers_are_believed_who_have_our_db_and_our_blobs_while_nobody_has_newer_ones() {
        let db = status((1, 5), &[(1, 1, 5), (2, 0, 9), (3, 1, 4)]);
        let agree = |peers: &[(u8, u64, u64)]| peers_agree(&db, &status((0, 7), peers));
        assert!(agree(&[(1, 0, 7)]));
        assert!(!agree(&[]), "nobody");
        assert!(!agree(&[(2, 0, 7)]), "the db of before");
        assert!(!agree(&[(3, 0, 7)]), "less of our db");
        assert!(!agree(&[(4, 0, 7)]), "its db is not known");
        assert!(!agree(&[(1, 0, 6)]), "less of our blobs");
        assert!(!agree(&[(1, 0, 7), (2, 1, 3)]), "somebody has newer ones");
    }
}
