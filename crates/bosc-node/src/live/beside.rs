//! A drive's two cores, and whose heads of the second are taken.
//!
//! The db and the blobs of a drive are signed each by itself: nothing says which head of the one belongs to which of the
//! other. Where a key has signed two histories (a copied store, two machines), each peer has both cores of one of them.
//! A reader that met two such peers and took each core from whoever answered first could end with the db of one and the
//! blobs of the other, and never be whole, nor be of use to anyone. So a peer's heads of the blobs are taken only while the
//! same peer, on the same connection, has shown that its db is ours:
//!
//! ```text
//!   db of the peer                                                   its heads of the blobs
//!   nothing told, or nothing there            -------------------->  not taken
//!   longer than ours, or at a higher fork     -- upgrade, reorg -->  taken once the proof moved our db there
//!   as long as ours or shorter                -- comparison ------>  taken once our tree was proved to be its own
//!   longer, asked in vain, compared with ours -------------------->  taken: it has all that we have, whatever it claims
//!   of another history                        -------------------->  never
//! ```
//!
//! A db that is shorter than ours is compared with ours as it was at that length, which takes nodes that come with blocks of
//! ours. Until then such a peer's heads of the blobs, which are as old, are not taken.
//!
//! Only heads are kept back. What a peer says that it holds, and the blocks it gives, count as ever: the head that is here
//! proves them.
//!
//! Invariants:
//! * The blobs get a head (longer, or of a higher fork) from a peer only while its db is ours at that moment: not when it
//!   was asked, but when the answer is applied.
//! * The db is not affected: it takes heads, asks again and gives up on liars as if it had nothing beside it. What is
//!   waited for there (an upgrade, a comparison) either comes, or is asked again until it counts as asked in vain. A
//!   peer whose heads are not taken holds up nobody.
//! * Who asks every peer to prove its history before it writes ([`LiveMachine::compare`]) has to know of every head that was
//!   signed. There a peer that shows nothing of the db is asked for its blobs all the same, as one alone would be; one
//!   whose db is of another history never is.
//! * Cores that are no drive's, and blobs whose db is not live here, are as they were.
//!
//! What stays: a writer puts contents before the entry that names them. Who follows two writers at the moment when one has
//! done the first and not the second, and the other is faster with both, may still take the contents of the one.

use super::machine::LiveMachine;
use crate::swarm::ConnId;
use bosc_format::crypto::CoreKey;
use bosc_store::Core;
use bosc_wire::replication::{PeerId, Replicator};

/// Which core holds the blobs of this one, if it is a drive's db.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blobs {
    /// Its manifest is not known.
    Unknown,
    /// It has none beside it.
    None,
    /// This one, if it is live.
    Key(CoreKey),
}

impl Blobs {
    fn of(core: &Core) -> Self {
        let Some(manifest) = core.manifest() else { return Self::Unknown };
        manifest.blobs(core.key()).map_or(Self::None, |blobs| Self::Key(blobs.key()))
    }
}

/// Whether a peer's heads of the blobs are taken.
fn takes(db: &Replicator, blobs: &Replicator, peer: PeerId) -> bool {
    let all = blobs.is_comparing() && db.is_comparing();
    !db.has_other_history(peer) && (db.shares_history(peer) || (all && db.shows_nothing(peer)))
}

impl LiveMachine {
    /// Looks at the dbs of all peers again. Cheap where nothing is a drive.
    pub(super) fn look_beside(&mut self) {
        for key in self.cores.keys().copied().collect::<Vec<_>>() {
            let Some(slot) = self.cores.get_mut(&key) else { continue };
            if slot.blobs == Blobs::Unknown {
                slot.blobs = Blobs::of(&slot.core);
            }
            let Blobs::Key(blobs) = slot.blobs else { continue };
            let Some(beside) = self.cores.get_mut(&blobs) else { continue };
            beside.db = Some(key);
            for conn in beside.peers.iter().copied().collect::<Vec<_>>() {
                self.look_at_db_of(blobs, conn);
            }
        }
    }

    /// Decides whether the heads of this core are taken from the peer of this connection, if the core is beside a db.
    pub(super) fn look_at_db_of(&mut self, key: CoreKey, conn: ConnId) {
        let Some(db_key) = self.cores.get(&key).and_then(|slot| slot.db) else { return };
        let (Some(db), Some(blobs)) = (self.cores.get(&db_key), self.cores.get(&key)) else { return };
        let (peer, db, blobs) = (PeerId(conn), &db.replicator, &blobs.replicator);
        let take = takes(db, blobs, peer);
        // Whoever is ahead in the db as well is asked for that first.
        let ask = !take && blobs.is_ahead(peer) && (!db.is_ahead(peer) || db.shows_nothing(peer));
        let other = db.has_other_history(peer);
        if let Some(slot) = self.cores.get_mut(&key) {
            slot.replicator.take_heads(peer, take);
            let known = if other { slot.others.insert(conn) } else { slot.others.remove(&conn) };
            slot.changed |= known;
        }
        if ask && let Some(slot) = self.cores.get_mut(&db_key) {
            slot.replicator.compare_soon(peer);
        }
    }
}
