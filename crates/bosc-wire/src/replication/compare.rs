//! Comparing histories: whether a peer's tree is ours as far as both go.
//!
//! A sync tells fork and length and nothing else. Two cores that were written apart with one key are alike in both and
//! hold other blocks. To tell them apart, a peer at our fork is asked for the signed proof of its head from 0 on, by way
//! of the roots at the length both have. That happens
//! * for every peer once there is nothing else to ask of it, at most every two seconds (*quietly*: nothing waits), or
//!   before blocks, as seldom, when [`Replicator::compare_soon`] asks for it;
//! * at once, before anything else, when a proof of it did not hold: it may lie, or have another history;
//! * at once, for every peer, after [`Replicator::compare`]: who is about to write must not take the one for the other.
//!
//! ```text
//! unknown --> asked --> proved up to a length          (again when both are longer)
//!    |          |-----> other: Event::Conflict, our own proof goes out, nothing more is asked
//!    |          '-----> refused: quietly, asked again after a minute
//! suspect --> asked --> proved: it lied, dropped | other: as above | refused or silent: dropped
//! ```
//!
//! JavaScript peers ask in their own way: a request with id 0, answered with data of id 0, which whoever finds a conflict
//! also sends unasked before it closes the channel. Both are understood here, and our proof goes out in that form, so
//! that the other side finds out as it does among its own kind.
//!
//! Invariants:
//! * a peer that is suspect, or not compared although [`Replicator::compare`] asks for it, is asked for nothing else; so
//!   a longer head is taken only from one whose history goes on from ours;
//! * *proved* and *other* both follow from a signature of the core's key, so nobody else can cause either;
//! * a conflict changes nothing in our core: what is here stays, and grows by peers that share it;
//! * at another fork everything starts again, but a peer that changes its own fork stays suspect until it is compared;
//!   only when our core changes its fork is that forgotten.

use super::Replicator;
use super::access::{ApplyError, Comparison, CoreAccess, ManifestState};
use super::event::{Conflict, Event, InvalidPeer, Outgoing, PeerId};
use super::messages::{Data, MessageType};
use super::peer::{Peer, Sent, mark};
use bosc_format::proof::{Proof, ProofRequest, UpgradeRequest};
use std::time::Duration;

/// About how many bytes an answer has.
const SIZE: u64 = 2048;
/// Until an answer that came at the wrong moment is asked for again.
const AGAIN: Duration = Duration::from_millis(200);
/// Between two quiet comparisons with one peer.
const QUIET: Duration = Duration::from_secs(2);
/// The same after it refused one: sparse peers lack nodes.
const REFUSED: Duration = Duration::from_secs(60);

impl Replicator {
    /// Compares the history of every peer with ours from now on, before anything else is asked of it.
    /// [`Event::Compared`] tells of each.
    pub fn compare(&mut self) {
        self.comparing = true;
        self.mark_all();
    }

    /// Whether there is something to compare with the peer first.
    pub(super) fn must_compare(&self, peer: &Peer) -> bool {
        // At another fork a suspect has nothing to compare; what it proves there is checked as anyone's.
        let suspect = peer.suspect.is_some() && peer.remote.fork == self.head.fork;
        peer.other_history || suspect || (self.comparing && self.is_uncompared(peer))
    }

    /// Whether a comparison with the peer would tell something new.
    pub(super) fn is_uncompared(&self, peer: &Peer) -> bool {
        let head = self.head;
        peer.remote.synced
            && peer.remote.fork == head.fork
            && head.manifest != ManifestState::Missing
            && !peer.other_history
            && peer.proved < peer.remote.length.min(head.length)
    }

    pub(super) fn next_comparison(&mut self, id: PeerId, now: Duration) -> Option<Outgoing> {
        let peer = self.peers.get(&id)?;
        if peer.other_history || now < peer.upgrade_after {
            return None;
        }
        self.ask_comparison(id, false, now)
    }

    /// What a peer is asked when there is nothing else to ask.
    pub(super) fn next_quiet_comparison(&mut self, id: PeerId, now: Duration) -> Option<Outgoing> {
        let peer = self.peers.get(&id)?;
        if now < self.quiet_comparison_due(peer)? || now < peer.upgrade_after {
            return None;
        }
        self.ask_comparison(id, true, now)
    }

    /// When the peer is to be compared with nothing waiting for that.
    pub(super) fn quiet_comparison_due(&self, peer: &Peer) -> Option<Duration> {
        let (refused, until) = peer.compare_refused;
        // One that grew since may have the nodes for its new length.
        let again = refused == Some(peer.remote.length.min(self.head.length));
        let due = if again { peer.compare_after.max(until) } else { peer.compare_after };
        self.is_uncompared(peer).then_some(due)
    }

    fn ask_comparison(&mut self, id: PeerId, quiet: bool, now: Duration) -> Option<Outgoing> {
        let peer = self.peers.get_mut(&id)?;
        if peer.in_flight.values().any(|s| s.compare.is_some() && (quiet || !s.quiet)) {
            return None;
        }
        peer.compare_after = now.saturating_add(QUIET);
        peer.compare_soon = false;
        let length = peer.remote.length.min(self.head.length);
        let sent = Sent { compare: Some(length), quiet, size: SIZE, ..Sent::default() };
        let upgrade = Some(UpgradeRequest { start: 0, length });
        self.ask(id, sent, ProofRequest { upgrade, ..ProofRequest::default() }, 0, now).map(|(out, _)| out)
    }

    /// A proof of the peer did not hold.
    pub(super) fn on_wrong_proof(&mut self, id: PeerId, why: String, core: &dyn CoreAccess, now: Duration) {
        let head = self.head;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let both = peer.remote.length.min(head.length);
        let comparable = peer.remote.fork == head.fork && both > 0 && head.manifest != ManifestState::Missing;
        if peer.other_history {
            // It answers by its own history what was asked before.
        } else if comparable && peer.remote.uploading {
            peer.suspect.get_or_insert(why);
            mark(&mut self.ready, id, peer);
        } else {
            self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
        }
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
        let compared = if proof.fork == self.head.fork {
            core.compare_history(proof, length)
        } else {
            Err(ApplyError::Stale)
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match compared {
            Ok(c) if c.same => {
                peer.proved = peer.proved.max(length);
                if let Some(why) = peer.suspect.take() {
                    return self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
                }
            }
            Ok(c) => self.on_conflict(id, length, &c),
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

    /// The peer did not answer a comparison. Whether that is all there is to it.
    pub(super) fn on_comparison_refused(
        &mut self,
        id: PeerId,
        sent: &Sent,
        core: &dyn CoreAccess,
        now: Duration,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return true };
        peer.compare_refused = (sent.compare, now.saturating_add(REFUSED));
        if let Some(why) = peer.suspect.take() {
            self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
            return true;
        }
        sent.quiet
    }

    /// A peer sent its head unasked: it found that ours is of another history, or answers whether it is.
    pub(super) fn on_conflict_proof(
        &mut self,
        id: PeerId,
        proof: &Proof,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        // Each costs a signature's check, and none was asked for.
        peer.unasked += 1;
        if peer.unasked > super::receive::MAX_UNASKED {
            return self.drop_peer(id, InvalidPeer::Unasked, core, now);
        }
        let length = proof.upgrade.as_ref().map_or(0, |u| u.length);
        if peer.other_history || proof.fork != self.head.fork || length > self.head.length || length == 0 {
            return;
        }
        // What does not hold proves nothing, and JavaScript peers ignore it too.
        if let Ok(c) = core.compare_history(proof, length) {
            match c.same {
                true => peer.proved = peer.proved.max(length),
                false => self.on_conflict(id, length, &c),
            }
            self.events.push_back(Event::Compared { peer: id });
        }
    }

    fn on_conflict(&mut self, id: PeerId, length: u64, compared: &Comparison) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.other_history = true;
        peer.suspect = None;
        peer.owed_proof = Some(length);
        mark(&mut self.ready, id, peer);
        let conflict =
            Conflict { fork: self.head.fork, length, ours: compared.ours, theirs: compared.theirs };
        self.events.push_back(Event::Conflict { peer: id, conflict });
    }

    /// Our own head for a peer that has another history.
    pub(super) fn next_conflict_proof(&mut self, id: PeerId, core: &dyn CoreAccess) -> Option<Outgoing> {
        let length = self.peers.get_mut(&id)?.owed_proof.take()?;
        let upgrade = Some(UpgradeRequest { start: 0, length });
        let proof = core.prove(&ProofRequest { upgrade, ..ProofRequest::default() }).ok()??;
        let data = Data { request: 0, proof };
        (data.proof.fork == self.head.fork).then(|| Outgoing::new(MessageType::Data, data.encode()))
    }
}
