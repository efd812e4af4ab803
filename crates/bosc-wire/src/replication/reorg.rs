//! Following a core to another fork.
//!
//! States: none; a head of a higher fork asked for (of up to three peers at once, one each); a head proved and the
//! hash that tells where the forks part wanted (asked of one peer at a time); done, which is none again. Only a
//! proved head becomes a state, so a peer that claims forks it cannot prove holds up nobody but itself.

use super::Replicator;
use super::access::{ApplyError, CoreAccess, ReorgStep};
use super::event::{Event, InvalidPeer, Outgoing, PeerId};
use super::peer::{ReorgAsk, Sent};
use bosc_format::proof::{NodeRequest, Proof, ProofRequest, UpgradeRequest};
use std::time::Duration;

const MAX_HEADS: usize = 3;
const SIZE: u64 = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reorg {
    /// A proved head and what is wanted next.
    want: Option<Want>,
    /// Who was asked for the hash.
    asked: Option<(PeerId, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Want {
    fork: u64,
    start: u64,
    end: u64,
    nodes: u64,
}

impl Reorg {
    /// The blocks of which one's hash is wanted.
    pub(crate) fn wanted_range(&self) -> Option<(u64, u64)> {
        self.want.map(|w| (w.start, w.end))
    }

    /// A request failed.
    pub(crate) fn on_failed(&mut self, peer: PeerId, request: u64) {
        if self.asked == Some((peer, request)) {
            self.asked = None;
        }
    }
}

impl Replicator {
    pub(super) fn next_reorg_request(&mut self, id: PeerId, now: Duration) -> Option<Outgoing> {
        let peer = self.peers.get_mut(&id)?;
        if peer.remote.length == 0 {
            return None;
        }
        match self.reorg.want {
            Some(w) if w.fork == peer.remote.fork => {
                if self.reorg.asked.is_some() {
                    return None;
                }
                let end = w.end.min(peer.remote.length);
                let Some(block) = peer.blocks.next_set(w.start).filter(|b| *b < end) else {
                    peer.wants_due = true;
                    return None;
                };
                let sent =
                    Sent { reorg: Some(ReorgAsk::Hash), hash: Some(block), size: SIZE, ..Sent::default() };
                let hash = Some(NodeRequest { index: block.saturating_mul(2), nodes: w.nodes });
                let (out, rid) =
                    self.ask(id, sent, ProofRequest { hash, ..ProofRequest::default() }, 0, now)?;
                self.reorg.asked = Some((id, rid));
                Some(out)
            }
            Some(w) if w.fork > peer.remote.fork => None,
            _ => {
                let mine = |s: &Sent| s.reorg.is_some();
                if now < peer.upgrade_after || peer.in_flight.values().any(mine) {
                    return None;
                }
                let length = peer.remote.length;
                let asked = self.peers.values().filter(|p| p.in_flight.values().any(mine)).count();
                if asked >= MAX_HEADS {
                    return None;
                }
                let sent = Sent { reorg: Some(ReorgAsk::Head), size: SIZE, ..Sent::default() };
                let upgrade = Some(UpgradeRequest { start: 0, length });
                let (out, _) =
                    self.ask(id, sent, ProofRequest { upgrade, ..ProofRequest::default() }, 0, now)?;
                Some(out)
            }
        }
    }

    /// An answer to a request of this module. The request is no longer in flight.
    pub(super) fn on_reorg_data(
        &mut self,
        id: PeerId,
        request: u64,
        sent: &Sent,
        proof: &Proof,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        self.reorg.on_failed(id, request);
        let fork = proof.fork;
        if fork != sent.fork || fork <= self.head.fork {
            return self.mark_all();
        }
        let old_length = self.head.length;
        let step = match (sent.reorg, self.reorg.want) {
            (Some(ReorgAsk::Hash), Some(w)) if w.fork == fork => core.continue_reorg(proof),
            (Some(ReorgAsk::Head), w) if w.is_none_or(|w| w.fork < fork) => core.begin_reorg(proof),
            _ => return self.mark_all(),
        };
        match step {
            Ok(ReorgStep::Want { start, end, nodes }) => {
                self.reorg.want = Some(Want { fork, start, end, nodes });
                self.reorg.asked = None;
                for p in self.peers.values_mut() {
                    p.wants_due = true;
                }
            }
            Ok(ReorgStep::Done { ancestors }) => {
                let had_manifest = self.head.manifest;
                self.on_reorged(ancestors, old_length, core, now);
                let head = self.head;
                self.events.push_back(Event::Reorged { fork: head.fork, ancestors, length: head.length });
                if had_manifest == super::ManifestState::Missing && head.manifest != had_manifest {
                    self.events.push_back(Event::ManifestReceived);
                }
            }
            Err(ApplyError::Peer(why)) => {
                // A hash that does not fit can be the fault of the one who gave the head only if that head was
                // not signed, and it was.
                return self.drop_peer(id, InvalidPeer::WrongProof(why), core, now);
            }
            Err(ApplyError::Stale) => {
                self.reorg = Reorg::default();
                if let Some(p) = self.peers.get_mut(&id) {
                    p.upgrade_after = now.saturating_add(Duration::from_millis(200));
                }
            }
            Err(ApplyError::Core(e)) => self.fail(&e.to_string()),
        }
        self.mark_all();
    }

    /// The core is at another fork of which `ancestors` blocks are shared with the old one.
    pub(super) fn on_reorged(
        &mut self,
        ancestors: u64,
        old_length: u64,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        self.reorg = Reorg::default();
        self.upgrades.clear();
        self.in_flight.clear();
        self.head = core.head();
        // Answers made for the old fork are of no use, and whoever owed them owes nothing.
        for p in self.peers.values_mut() {
            let ids: Vec<u64> =
                p.in_flight.iter().filter(|(_, s)| s.fork != self.head.fork).map(|(i, _)| *i).collect();
            for rid in ids {
                if let Some(s) = p.expire(rid)
                    && let Some(b) = s.hash.filter(|_| s.reorg.is_none())
                {
                    self.selection.hashes.insert(b);
                }
            }
            for early in std::mem::take(&mut p.early).into_values().flatten() {
                if let Some(b) = early.sent.hash {
                    self.selection.hashes.insert(b);
                }
            }
            p.early_bytes = 0;
            p.remote.acked_length = 0;
            p.ack_until = now.saturating_add(super::peer::ACK_PATIENCE);
            p.unproved = 0;
            p.forget_comparison();
            p.synced_at = None;
            p.scan_from = 0;
            p.forgive();
            p.wants_due = true;
        }
        self.selection.on_lost(ancestors, old_length.max(self.head.length), core);
        self.selection.needed.clear();
        self.refill(0, core);
        self.announce_dropped(ancestors, old_length, core, now);
        self.sync_all();
        self.announce_gained(0, 0, core, now);
    }
}
