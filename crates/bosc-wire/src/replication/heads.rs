//! Whose heads are taken, for an owner that keeps cores which belong together.
//!
//! A drive is two cores, and nothing signed says which head of the one belongs to which head of the other. Where a key
//! has signed two histories, a reader that takes each core from whoever answers first can end with one core of each. The
//! owner therefore says for every peer of the second core whether a longer head or a higher fork is taken from it
//! ([`Replicator::take_heads`]), by what the same peer proved of the first ([`Replicator::shares_history`]). Blocks need
//! no such word: the head that is here proves them, whoever sends them.
//!
//! ```text
//! taken (at first) <--> not taken: nothing is asked that could move the head, an answer asked for before is let go
//! ```
//!
//! Invariants:
//! * while a peer's heads are not taken, no answer of it makes our head longer or moves it to another fork;
//! * such a peer holds up nobody: another one is asked for the head at once;
//! * nothing else differs. It is compared, serves and is served as any other.

use super::Replicator;
use super::event::PeerId;
use super::peer::mark;

/// How often a peer is asked in vain to prove its head until nobody waits for that.
const IN_VAIN: u32 = 2;

impl Replicator {
    /// Whether a longer head and a higher fork are taken from this peer.
    pub fn take_heads(&mut self, id: PeerId, take: bool) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.heads == take {
            return;
        }
        peer.heads = take;
        peer.wants_due = true;
        self.upgrades.retain(|u| take || u.peer != id);
        self.mark_all();
    }

    /// Whether a peer claims a longer head or a higher fork than ours.
    pub fn is_ahead(&self, id: PeerId) -> bool {
        let head = self.head;
        self.peers
            .get(&id)
            .is_some_and(|p| p.remote.synced && (p.remote.fork, p.remote.length) > (head.fork, head.length))
    }

    /// Whether a peer proved that all it has of the core is of our history. One that claims more than we have, was asked
    /// for that in vain and has what we have counts as well.
    pub fn shares_history(&self, id: PeerId) -> bool {
        let head = self.head;
        self.peers.get(&id).is_some_and(|p| {
            let both = p.remote.length.min(head.length);
            let known = p.remote.length <= head.length || p.unproved >= IN_VAIN;
            p.remote.synced
                && p.remote.fork == head.fork
                && !p.other_history
                && p.suspect.is_none()
                && both > 0
                && p.proved >= both
                && known
        })
    }

    /// Whether a peer is of those that will not prove what they have of the core: it told nothing, has nothing, is at a
    /// fork before ours, or was asked in vain.
    pub fn shows_nothing(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_none_or(|p| {
            let r = p.remote;
            !r.synced || r.length == 0 || r.fork < self.head.fork || p.unproved >= IN_VAIN
        })
    }

    /// Whether a peer proved that it has another history.
    pub fn has_other_history(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|p| p.other_history)
    }

    /// Compares a peer's history with ours before blocks are asked of it: somebody waits to know.
    pub fn compare_soon(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id)
            && !std::mem::replace(&mut peer.compare_soon, true)
        {
            mark(&mut self.ready, id, peer);
        }
    }

    /// Whether [`Replicator::compare`] was called.
    pub fn is_comparing(&self) -> bool {
        self.comparing
    }
}
