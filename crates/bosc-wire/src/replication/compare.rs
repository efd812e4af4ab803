//! Comparing histories: whether a peer's tree is ours as far as both go.
//!
//! A sync tells fork and length and nothing else. Two cores that were written apart with one key are alike in both and
//! hold other blocks; who is about to write must not take the one for the other. After [`Replicator::compare`] every
//! peer at our fork is asked for the signed proof of its head from 0 on, by way of the roots at the length both have.
//!
//! States of a peer: unknown; asked; *proved* up to a length; *other* (it proved another history).
//!
//! Invariants, while comparing:
//! * a peer that was not compared up to the length both have is asked for nothing else, so a longer head is taken only
//!   from one whose history goes on from ours, and one with another history is never mistaken for a liar;
//! * *proved* and *other* both follow from a signature of the core's key, so nobody else can cause either;
//! * at another fork everything starts again.

use super::Replicator;
use super::access::{ApplyError, CoreAccess, ManifestState};
use super::event::{Event, InvalidPeer, Outgoing, PeerId};
use super::peer::{Peer, Sent};
use bosc_format::proof::{Proof, ProofRequest, UpgradeRequest};
use std::time::Duration;

/// About how many bytes an answer has.
const SIZE: u64 = 2048;
/// Until an answer that came at the wrong moment is asked for again.
const AGAIN: Duration = Duration::from_millis(200);

impl Replicator {
    /// Compares the history of every peer with ours from now on. [`Event::Compared`] tells of each.
    pub fn compare(&mut self) {
        self.comparing = true;
        self.mark_all();
    }

    /// Whether there is something to compare with the peer first.
    pub(super) fn must_compare(&self, peer: &Peer) -> bool {
        let head = self.head;
        let both = peer.remote.length.min(head.length);
        self.comparing
            && head.manifest != ManifestState::Missing
            && (peer.other_history || peer.proved < both)
    }

    pub(super) fn next_comparison(&mut self, id: PeerId, now: Duration) -> Option<Outgoing> {
        let peer = self.peers.get(&id)?;
        let asked = peer.in_flight.values().any(|s| s.compare.is_some());
        if asked || peer.other_history || now < peer.upgrade_after {
            return None;
        }
        let length = peer.remote.length.min(self.head.length);
        let sent = Sent { compare: Some(length), size: SIZE, ..Sent::default() };
        let upgrade = Some(UpgradeRequest { start: 0, length });
        self.ask(id, sent, ProofRequest { upgrade, ..ProofRequest::default() }, 0, now).map(|(out, _)| out)
    }

    /// The answer to a request of this module.
    pub(super) fn on_comparison(
        &mut self,
        id: PeerId,
        length: u64,
        proof: &Proof,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let same = if proof.fork == self.head.fork {
            core.same_history(proof, length)
        } else {
            Err(ApplyError::Stale)
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match same {
            Ok(true) => peer.proved = peer.proved.max(length),
            Ok(false) => peer.other_history = true,
            Err(ApplyError::Peer(why)) => {
                return self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
            }
            Err(ApplyError::Stale) => {
                peer.upgrade_after = now.saturating_add(AGAIN);
                return;
            }
            Err(ApplyError::Core(e)) => return self.fail(&e.to_string()),
        }
        self.events.push_back(Event::Compared { peer: id });
        self.mark_all();
    }
}
