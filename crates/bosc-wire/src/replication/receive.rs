//! Taking answers.
//!
//! An answer is taken when its request is in flight or expired and it holds nothing that was not asked for. If its
//! proof ends at a node that another answer in flight brings, it waits for that one (JavaScript peers may answer
//! out of order); up to 8 MiB wait for each peer, what is over is asked for again.

use super::Replicator;
use super::access::{ApplyError, CoreAccess, ManifestState};
use super::event::{Event, InvalidPeer, PeerId};
use super::messages::{NoData, NoDataReason};
use super::peer::{Early, Sent, mark};
use bosc_format::proof::{HashedProof, Proof};
use std::time::Duration;

/// Bytes of answers waiting for others, for each peer.
const MAX_EARLY: usize = 8 << 20;
/// Answers to nothing that are forgiven.
pub(super) const MAX_UNASKED: u32 = 256;

/// Refusals in a row after which a peer is left alone for a while.
const MAX_DENIALS: u32 = 16;

/// How an answer fits its request.
#[derive(PartialEq, Eq)]
enum Fit {
    Full,
    /// Less than was asked for.
    Partial,
    /// Something nobody asked for.
    Wrong,
}

fn fit(sent: &Sent, p: &Proof) -> Fit {
    let block = p.block.as_ref().map(|b| b.index);
    let hash = p.hash.as_ref().map(|h| h.index);
    let asked_hash = sent.hash.map(|b| b.saturating_mul(2));
    if (block.is_some() && block != sent.block)
        || (hash.is_some() && hash != asked_hash)
        || p.seek.is_some()
        || (p.upgrade.is_some() && !sent.upgrade && sent.reorg.is_none() && sent.compare.is_none())
        || (p.manifest.is_some() && !sent.manifest)
    {
        return Fit::Wrong;
    }
    let upgrade = sent.head();
    if block != sent.block || hash != asked_hash || p.upgrade.is_some() != upgrade {
        return Fit::Partial;
    }
    Fit::Full
}

impl Replicator {
    pub(super) fn on_data(
        &mut self,
        id: PeerId,
        rid: u64,
        proof: HashedProof,
        bytes: usize,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if rid == 0 && proof.upgrade.as_ref().is_some_and(|u| u.start == 0) {
            return self.on_conflict_proof(id, &proof, core, now);
        }
        let was_late = peer.expired.contains_key(&rid);
        let Some(sent) = peer.take(rid).or_else(|| peer.expired.remove(&rid)) else {
            // Pushes are not taken.
            peer.unasked += 1;
            if peer.unasked > MAX_UNASKED {
                self.drop_peer(id, InvalidPeer::Unasked, core, now);
            }
            return;
        };
        peer.last_progress = now;
        peer.strikes = 0;
        peer.denials = 0;
        peer.paused_until = Duration::ZERO;
        if !was_late {
            peer.window.on_answer(now, now.saturating_sub(sent.sent_at), bytes as u64);
        }
        let heads = peer.heads;
        mark(&mut self.ready, id, peer);
        self.forget_upgrade(id, rid);
        match fit(&sent, &proof) {
            Fit::Wrong => {
                self.release(id, rid, &sent, core);
                self.drop_peer(id, InvalidPeer::Unasked, core, now);
            }
            Fit::Partial => {
                self.on_refused(id, rid, &sent, NoDataReason::NotAvailable, core, now);
                if proof.manifest.is_some() {
                    // The peer gave what it could: the manifest alone.
                    let manifest = proof.manifest.clone();
                    let p = Proof { fork: self.head.fork, manifest, ..Proof::default() };
                    self.apply(id, &p.into(), core, now);
                }
                self.settle_early(id, rid, core, now);
            }
            // It was asked while its heads were taken.
            Fit::Full if (sent.upgrade || sent.reorg.is_some()) && !heads => {
                self.release(id, rid, &sent, core);
                self.settle_early(id, rid, core, now);
            }
            Fit::Full if sent.reorg.is_some() => {
                if !was_late {
                    self.on_reorg_data(id, rid, &sent, &proof, core, now);
                }
            }
            Fit::Full => match sent.compare {
                Some(length) => self.on_comparison(id, length, &proof, core, now),
                None => self.on_answer(id, rid, sent, proof, core, now),
            },
        }
    }

    /// An answer that holds what was asked for: applies it, and then those that waited for it.
    fn on_answer(
        &mut self,
        id: PeerId,
        rid: u64,
        sent: Sent,
        proof: HashedProof,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let mut queue = vec![Early { id: rid, sent, proof }];
        while let Some(Early { id: rid, sent, proof }) = queue.pop() {
            if !self.peers.contains_key(&id) {
                // Dropped for an answer before.
                self.release(id, rid, &sent, core);
                continue;
            }
            if sent.top.is_none_or(|top| core.has_node(top)) {
                self.apply_answer(id, rid, &sent, proof, core, now);
            } else if let Some(back) = self.wait_for_dependency(id, rid, sent, proof) {
                self.release(id, rid, &back, core);
            }
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            for early in peer.early.remove(&rid).into_iter().flatten() {
                peer.early_bytes = peer.early_bytes.saturating_sub(early_size(&early.proof));
                queue.push(early);
            }
        }
    }

    /// Keeps an answer until the one it depends on comes. Gives the request back when that will not be.
    fn wait_for_dependency(&mut self, id: PeerId, rid: u64, sent: Sent, proof: HashedProof) -> Option<Sent> {
        let Some(peer) = self.peers.get_mut(&id) else { return Some(sent) };
        let size = early_size(&proof);
        let waits_for = sent
            .depends
            .filter(|d| peer.in_flight.contains_key(d) || peer.early.values().flatten().any(|e| e.id == *d));
        match waits_for {
            Some(d) if peer.early_bytes.saturating_add(size) <= MAX_EARLY && sent.fork == self.head.fork => {
                peer.early_bytes += size;
                peer.early.entry(d).or_default().push(Early { id: rid, sent, proof });
                None
            }
            _ => Some(sent),
        }
    }

    fn apply_answer(
        &mut self,
        id: PeerId,
        rid: u64,
        sent: &Sent,
        proof: HashedProof,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        // The block may have come from another peer or from elsewhere; its nodes may still be needed.
        let held = proof.block.as_ref().is_some_and(|b| core.has(b.index));
        let needed =
            !held || proof.upgrade.is_some() || self.peers.get(&id).is_some_and(|p| p.has_dependents(rid));
        if !needed || proof.fork != self.head.fork || !self.apply(id, &proof, core, now) || held {
            self.release(id, rid, sent, core);
            return;
        }
        if let Some(b) = &proof.block {
            let len = b.value.len();
            let recent = self.recent_block.unwrap_or(len as u64);
            self.recent_block = Some((recent.saturating_mul(7).saturating_add(len as u64)) / 8);
            if let Some(p) = self.peers.get_mut(&id) {
                p.stats.downloaded_blocks += 1;
                p.stats.downloaded_bytes = p.stats.downloaded_bytes.saturating_add(len as u64);
            }
            self.events.push_back(Event::BlockReceived { index: b.index, len, peer: id });
            self.on_block_held(b.index, Some((id, rid)), core, now);
        }
        if let Some(block) = sent.hash {
            self.events.push_back(Event::HashReceived { index: block });
        }
    }

    /// Gives a proof to the core. `true` when it was kept.
    fn apply(&mut self, id: PeerId, proof: &HashedProof, core: &mut dyn CoreAccess, now: Duration) -> bool {
        let before = self.head;
        match core.apply(proof) {
            Ok(()) => {
                // A fork made by the owner at this moment is taken up when the owner tells of it.
                self.head = Some(core.head()).filter(|h| h.fork == before.fork).unwrap_or(before);
                if before.manifest == ManifestState::Missing && self.head.manifest != ManifestState::Missing {
                    self.events.push_back(Event::ManifestReceived);
                    self.sync_all();
                }
                if before.length != self.head.length {
                    if let Some(p) = self.peers.get_mut(&id) {
                        p.unproved = 0;
                        // Its signature covers what was here before.
                        p.proved = p.proved.max(self.head.length);
                    }
                    self.events.push_back(Event::Upgraded { fork: self.head.fork, length: self.head.length });
                    self.on_longer(before.length, core, now);
                }
                true
            }
            Err(ApplyError::Peer(why)) => {
                self.on_wrong_proof(id, why, core, now);
                false
            }
            Err(ApplyError::Stale) => {
                if let Some(p) = self.peers.get_mut(&id) {
                    p.upgrade_after = now.saturating_add(Duration::from_millis(50));
                }
                false
            }
            Err(ApplyError::Core(e)) => {
                self.fail(&e.to_string());
                false
            }
        }
    }

    /// The head grew from `old` blocks.
    pub(super) fn on_longer(&mut self, old: u64, core: &dyn CoreAccess, now: Duration) {
        self.refill(old, core);
        self.sync_all();
        self.note_claims(now);
        for (id, p) in &mut self.peers {
            p.wants_due = true;
            p.ack_until = now.saturating_add(super::peer::ACK_PATIENCE);
            p.scan_from = p.scan_from.min(old);
            mark(&mut self.ready, *id, p);
        }
        self.announce_gained(old, old, core, now);
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.check_synced(id);
        }
    }

    /// A block is held now, by an answer (of `by`) or otherwise.
    pub(super) fn on_block_held(
        &mut self,
        block: u64,
        by: Option<(PeerId, u64)>,
        core: &dyn CoreAccess,
        now: Duration,
    ) {
        if let Some(owners) = self.in_flight.remove(&block) {
            let after = owners.all().position(|o| Some(o) == by).unwrap_or(0);
            for (n, (peer, rid)) in owners.all().enumerate().filter(|(_, o)| Some(*o) != by) {
                if n < after {
                    self.overtaken(peer, now);
                }
                self.cancel_request(peer, rid);
            }
        }
        for id in self.selection.on_held(block, core) {
            self.events.push_back(Event::DownloadDone(id));
        }
        self.announce_gained(block, block.saturating_add(1), core, now);
    }

    pub(super) fn on_no_data(&mut self, id: PeerId, msg: NoData, core: &mut dyn CoreAccess, now: Duration) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        mark(&mut self.ready, id, peer);
        let late = peer.expired.remove(&msg.request).is_some();
        let Some(sent) = peer.take(msg.request) else {
            if !late {
                peer.unasked += 1;
                if peer.unasked > MAX_UNASKED {
                    self.drop_peer(id, InvalidPeer::Unasked, core, now);
                }
            }
            return;
        };
        peer.last_progress = now;
        self.forget_upgrade(id, msg.request);
        self.on_refused(id, msg.request, &sent, msg.reason, core, now);
        self.settle_early(id, msg.request, core, now);
    }

    /// The peer did not give what it was asked for.
    fn on_refused(
        &mut self,
        id: PeerId,
        rid: u64,
        sent: &Sent,
        reason: NoDataReason,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        if sent.compare.is_some() && self.on_comparison_refused(id, sent, core, now) {
            return self.release(id, rid, sent, core);
        }
        if let Some(p) = self.peers.get_mut(&id) {
            if sent.head() {
                p.unproved = p.unproved.saturating_add(1);
                p.upgrade_after = now.saturating_add(Duration::from_secs(1));
            }
            if let Some(b) = sent.block.or(sent.hash)
                && sent.fork == p.remote.fork
            {
                p.refuse(b, now);
            }
            p.denials = p.denials.saturating_add(1);
            if reason == NoDataReason::InvalidRequest || p.denials.is_multiple_of(MAX_DENIALS) {
                p.strike(now);
            }
        }
        self.release(id, rid, sent, core);
    }

    /// Answers that waited for a request which will not be answered.
    fn settle_early(&mut self, id: PeerId, rid: u64, core: &mut dyn CoreAccess, now: Duration) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        for early in peer.early.remove(&rid).into_iter().flatten() {
            if let Some(p) = self.peers.get_mut(&id) {
                p.early_bytes = p.early_bytes.saturating_sub(early_size(&early.proof));
            }
            self.on_answer(id, early.id, early.sent, early.proof, core, now);
        }
    }

    pub(super) fn forget_upgrade(&mut self, id: PeerId, rid: u64) {
        self.upgrades.retain(|u| (u.peer, u.request) != (id, rid));
        if self.manifest_request == Some((id, rid)) {
            self.manifest_request = None;
        }
    }

    /// A request is over without result: what it asked for is to be asked for again, if still wanted.
    pub(super) fn release(&mut self, id: PeerId, rid: u64, sent: &Sent, core: &dyn CoreAccess) {
        self.forget_upgrade(id, rid);
        self.reorg.on_failed(id, rid);
        if let Some(block) = sent.block {
            if let Some(owners) = self.in_flight.get_mut(&block) {
                owners.remove(id, rid);
                if owners.is_empty() {
                    self.in_flight.remove(&block);
                }
            }
            if !self.in_flight.contains_key(&block) && !core.has(block) {
                self.selection.need(block, self.head.length);
                self.rescan(block);
            }
        }
        if let Some(block) = sent.hash.filter(|_| sent.reorg.is_none()) {
            self.selection.hashes.insert(block);
        }
        self.mark_all();
    }
}

fn early_size(proof: &Proof) -> usize {
    proof.block.as_ref().map_or(0, |b| b.value.len()).saturating_add(1024)
}
