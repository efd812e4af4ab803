//! Choosing what to ask a peer for.
//!
//! Asked for when the peer is polled and its window has room, in this order: the manifest, another fork, what
//! is to be compared (see `compare`), the next head, what somebody waits to see compared (see `heads`), urgent blocks,
//! hashes, blocks of downloads. Blocks of downloads go in groups of neighbours ("lanes"), one peer to a group while there
//! are enough, so that the proofs of a group share their nodes; with several peers groups of downloads that need no order
//! are taken at random, so that peers have something for each other. `nodes` counts what
//! neither the core holds nor an answer in flight from the same peer will bring: over a whole core that is about
//! one node a block. No block is asked of two peers, except of one with nothing else to do when the first is silent
//! for two seconds, much slower, never answered anything (see `trust`) or, at the very end of everything, takes long.

use super::Replicator;
use super::access::{CoreAccess, ManifestState};
use super::event::{Outgoing, PeerId};
use super::messages::{Cancel, MessageType, Request, Want};
use super::peer::{Peer, Sent, UpgradeInFlight};
use bosc_format::flat_tree;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use std::time::Duration;

/// Neighbouring blocks fetched from one peer.
const LANE: u64 = 32;
/// Urgent blocks looked at for each request.
const URGENT_SCAN: usize = 256;
/// Most peers asked for the next head at once.
const MAX_UPGRADES: usize = 64;
/// Blocks in flight below which idle peers are asked for what others owe.
const END_GAME: usize = 64;
pub(super) const END_GAME_AGE: Duration = Duration::from_millis(500);
/// Silence of a peer after which idle peers are asked for what it owes, however much that is.
const STALLED: Duration = Duration::from_secs(2);
/// Nodes looked below for a block that a peer behind us can prove.
const BEHIND_TRIES: usize = 8;
/// Bytes of an answer besides the block.
const OVERHEAD: u64 = 256;

/// Levels to ask for above a leaf, the known node above them, and the request that brings it if it is not here yet.
fn levels(peer: &Peer, leaf: u64, length: u64, core: &dyn CoreAccess) -> (u64, u64, Option<u64>) {
    let end = length.saturating_mul(2);
    let mut at = leaf;
    let mut nodes = 0;
    while !flat_tree::contains(at, end) && nodes < 64 {
        if core.has_node(at) {
            return (nodes, at, None);
        }
        if let Some(id) = peer.promised.get(&at) {
            return (nodes, at, Some(*id));
        }
        nodes += 1;
        at = flat_tree::parent(at);
    }
    (nodes, at, None)
}

impl Replicator {
    /// Cancellations, wants and answers of "no data".
    pub(super) fn next_control(&mut self, id: PeerId) -> Option<Outgoing> {
        self.update_wants(id);
        let peer = self.peers.get_mut(&id)?;
        if let Some(request) = peer.cancels.pop_front() {
            return Some(Outgoing::new(MessageType::Cancel, Cancel { request }.encode()));
        }
        if let Some(w) = peer.want_queue.pop_front() {
            return Some(Outgoing::new(MessageType::Want, Want::encode(&w)));
        }
        let n = peer.no_data.pop_front()?;
        Some(Outgoing::new(MessageType::NoData, n.encode()))
    }

    /// The next request for a peer.
    pub(super) fn next_request(
        &mut self,
        id: PeerId,
        core: &dyn CoreAccess,
        now: Duration,
    ) -> Option<Outgoing> {
        let head = self.head;
        let estimate = self.block_estimate();
        let peer = self.peers.get_mut(&id)?;
        if self.failed || !peer.remote.synced || !peer.remote.uploading || now < peer.paused_until {
            return None;
        }
        let peer = self.peers.get(&id)?;
        let (most, bytes) = (self.most_requests(peer), self.config.max_window_bytes);
        if !peer.window.allows(peer.in_flight.len(), peer.in_flight_bytes, estimate, most, bytes) {
            return None;
        }
        let peer = self.peers.get_mut(&id)?;
        if !peer.refused.is_empty() && now >= peer.refused_until {
            peer.forgive();
        }
        if head.manifest == ManifestState::Missing
            && peer.remote.has_manifest
            && peer.remote.length == 0
            && self.manifest_request.is_none()
        {
            let sent = Sent { manifest: true, size: OVERHEAD, ..Sent::default() };
            let (out, rid) = self.ask(id, sent, ProofRequest::default(), 0, now)?;
            self.manifest_request = Some((id, rid));
            return Some(out);
        }
        if peer.remote.fork > head.fork {
            return if peer.heads { self.next_reorg_request(id, now) } else { None };
        }
        if peer.remote.fork != head.fork {
            return None;
        }
        if self.must_compare(self.peers.get(&id)?) {
            return self.next_comparison(id, now);
        }
        let soon = self.peers.get(&id)?.compare_soon;
        self.next_upgrade(id, now)
            .or_else(|| if soon { self.next_quiet_comparison(id, now) } else { None })
            .or_else(|| self.next_part(id, core, now))
            .or_else(|| self.next_quiet_comparison(id, now))
    }

    /// The next request for a block or a hash.
    fn next_part(&mut self, id: PeerId, core: &dyn CoreAccess, now: Duration) -> Option<Outgoing> {
        let head = self.head;
        let peer = self.peers.get(&id)?;
        let reach = peer.remote.length.min(head.length);
        let urgent = self
            .selection
            .urgent_blocks()
            .take(URGENT_SCAN)
            .find(|b| *b < reach && peer.blocks.contains(*b) && self.beyond(peer, *b, core).is_none())
            .filter(|b| !self.leaves_urgent(id, *b, now));
        if let Some(block) = urgent {
            return self.ask_block(id, block, core, now);
        }
        if let Some(out) = self.next_hash(id, reach, core, now) {
            return Some(out);
        }
        if reach < head.length {
            let block = self.pick_behind(id, reach, core)?;
            return self.ask_block(id, block, core, now);
        }
        if let Some(block) = self.pick(id, reach) {
            return self.ask_block(id, block, core, now);
        }
        let block = self.end_game(id, reach, now)?;
        self.ask_block(id, block, core, now)
    }

    /// About how many bytes a block has.
    pub(super) fn block_estimate(&self) -> u64 {
        let average = self.head.byte_length.checked_div(self.head.length).unwrap_or(65_536);
        let recent = self.recent_block.unwrap_or(average);
        recent.clamp(64, 8 << 20).saturating_add(OVERHEAD)
    }

    /// Registers and encodes a request.
    pub(super) fn ask(
        &mut self,
        id: PeerId,
        mut sent: Sent,
        what: ProofRequest,
        priority: u64,
        now: Duration,
    ) -> Option<(Outgoing, u64)> {
        let peer = self.peers.get_mut(&id)?;
        let manifest = self.head.manifest == ManifestState::Missing && peer.remote.has_manifest;
        sent.fork = peer.remote.fork;
        sent.manifest = manifest;
        sent.sent_at = now;
        let fork = sent.fork;
        let rid = peer.send(sent);
        let request = Request { id: rid, fork, what: ProofRequest { manifest, ..what }, priority };
        Some((Outgoing::new(MessageType::Request, request.encode()), rid))
    }

    fn next_upgrade(&mut self, id: PeerId, now: Duration) -> Option<Outgoing> {
        let head = self.head;
        let estimate = self.block_estimate();
        let peer = self.peers.get(&id)?;
        let remote = peer.remote;
        let wanted = self.config.upgrade
            && remote.can_upgrade
            && remote.length > head.length
            && peer.heads
            // What it can prove depends on our length. JavaScript peers that believe to have no more than we do never
            // answer to it, whatever they claim.
            && (remote.acked_length == head.length || now >= peer.ack_until)
            && now >= peer.upgrade_after;
        let first = self.upgrades.iter().map(|u| u.since).min();
        let most = first.map_or(1, |since| self.doubling(now.saturating_sub(since)));
        let free = self.upgrades.len() < most.min(MAX_UPGRADES) && self.upgrades.iter().all(|u| u.peer != id);
        if !wanted || !free || self.better_for_head(id, now) {
            return None;
        }
        // A block behind the old head, if one is wanted, saves a round trip.
        let urgent = self
            .selection
            .urgent_blocks()
            .take(URGENT_SCAN)
            .find(|b| *b >= head.length && *b < remote.length && peer.blocks.contains(*b));
        let block = urgent
            .or_else(|| self.selection.next_selected(&peer.blocks, head.length))
            .filter(|b| *b < remote.length && !self.in_flight.contains_key(b));
        let upgrade = UpgradeRequest { start: head.length, length: remote.length - head.length };
        let sent = Sent {
            upgrade: true,
            block,
            size: OVERHEAD.saturating_add(if block.is_some() { estimate } else { 0 }),
            ..Sent::default()
        };
        let what = ProofRequest {
            block: block.map(|index| NodeRequest { index, nodes: 0 }),
            upgrade: Some(upgrade),
            ..ProofRequest::default()
        };
        let priority = block.map_or(0, |b| self.selection.priority(b));
        let (out, rid) = self.ask(id, sent, what, u64::from(priority), now)?;
        self.upgrades.push(UpgradeInFlight { peer: id, request: rid, since: now });
        if let Some(b) = block {
            self.own(b, id, rid);
        }
        Some(out)
    }

    /// When a peer with a longer head is asked for it although it did not say that it knows our length.
    pub(super) fn ack_due(&self, peer: &Peer) -> Option<Duration> {
        let (remote, head) = (peer.remote, self.head);
        let open = peer.heads
            && remote.can_upgrade
            && remote.fork == head.fork
            && remote.length > head.length
            && remote.acked_length != head.length;
        open.then_some(peer.ack_until)
    }

    fn own(&mut self, block: u64, peer: PeerId, request: u64) {
        self.in_flight.entry(block).or_default().add(peer, request);
        self.selection.on_asked(block);
    }

    fn ask_block(
        &mut self,
        id: PeerId,
        block: u64,
        core: &dyn CoreAccess,
        now: Duration,
    ) -> Option<Outgoing> {
        let size = self.block_estimate();
        let priority = u64::from(self.selection.priority(block));
        let peer = self.peers.get(&id)?;
        let leaf = block.saturating_mul(2);
        let (nodes, top, depends) = levels(peer, leaf, self.head.length, core);
        let sent = Sent { block: Some(block), nodes, top: Some(top), depends, size, ..Sent::default() };
        let what =
            ProofRequest { block: Some(NodeRequest { index: block, nodes }), ..ProofRequest::default() };
        let (out, rid) = self.ask(id, sent, what, priority, now)?;
        self.own(block, id, rid);
        Some(out)
    }

    fn next_hash(
        &mut self,
        id: PeerId,
        reach: u64,
        core: &dyn CoreAccess,
        now: Duration,
    ) -> Option<Outgoing> {
        let mut from = 0;
        loop {
            let peer = self.peers.get(&id)?;
            let block = self.selection.hashes.next_common(&peer.blocks, from).filter(|b| *b < reach)?;
            let leaf = block.saturating_mul(2);
            if core.has_node(leaf) {
                self.selection.hashes.remove(block);
                self.events.push_back(super::Event::HashReceived { index: block });
                continue;
            }
            let (nodes, top, depends) = levels(peer, leaf, self.head.length, core);
            if nodes == 0 || flat_tree::end_block(top) > peer.remote.length {
                // An answer in flight brings it, or the peer's tree is too short to prove it.
                from = block.saturating_add(1);
                continue;
            }
            let sent =
                Sent { hash: Some(block), nodes, top: Some(top), depends, size: OVERHEAD, ..Sent::default() };
            let what =
                ProofRequest { hash: Some(NodeRequest { index: leaf, nodes }), ..ProofRequest::default() };
            let (out, _) = self.ask(id, sent, what, 0, now)?;
            self.selection.hashes.remove(block);
            return Some(out);
        }
    }

    /// A peer that is behind us proves a block up to the nodes of its own, shorter tree. `None` when that is
    /// enough; else the end of the blocks for which it is not, below the same node.
    fn beyond(&self, peer: &Peer, block: u64, core: &dyn CoreAccess) -> Option<u64> {
        if peer.remote.length >= self.head.length {
            return None;
        }
        let (_, top, _) = levels(peer, block.saturating_mul(2), self.head.length, core);
        let end = flat_tree::end_block(top);
        (end > peer.remote.length).then_some(end)
    }

    /// The next block of a download for a peer that is behind us.
    fn pick_behind(&mut self, id: PeerId, reach: u64, core: &dyn CoreAccess) -> Option<u64> {
        let peer = self.peers.get(&id)?;
        let mut from = peer.scan_from;
        for _ in 0..BEHIND_TRIES {
            let block = self.selection.needed.next_common(&peer.blocks, from).filter(|b| *b < reach)?;
            match self.beyond(peer, block, core) {
                None => return Some(block),
                Some(end) => from = end,
            }
        }
        None
    }

    /// The next block of a download for this peer.
    fn pick(&mut self, id: PeerId, reach: u64) -> Option<u64> {
        let needed = &self.selection.needed;
        let peer = self.peers.get(&id)?;
        if let Some(lane) = peer.lane {
            let next = needed.next_common(&peer.blocks, lane.saturating_mul(LANE));
            if let Some(b) = next.filter(|b| b / LANE == lane && *b < reach) {
                return Some(b);
            }
        }
        let first = needed.next_common(&peer.blocks, peer.scan_from);
        let mut random = self.random;
        let found = first.filter(|b| *b < reach).and_then(|first| {
            let start = if self.selection.is_linear() || self.peers.len() < 2 {
                first
            } else {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.checked_rem(reach).unwrap_or(0) / LANE * LANE
            };
            self.free_lane(id, start.max(first), reach)
                .or_else(|| self.free_lane(id, first, reach))
                // Every group with something for it has a peer: shares one.
                .or(Some(first))
        });
        self.random = random;
        let peer = self.peers.get_mut(&id)?;
        peer.scan_from = first.unwrap_or(u64::MAX);
        peer.lane = found.map(|b| b / LANE);
        found
    }

    /// The first needed block from `from` on whose group no other peer is at.
    fn free_lane(&self, id: PeerId, from: u64, reach: u64) -> Option<u64> {
        let peer = self.peers.get(&id)?;
        let mut from = from;
        for _ in 0..=self.peers.len() {
            let b = self.selection.needed.next_common(&peer.blocks, from).filter(|b| *b < reach)?;
            let lane = b / LANE;
            let taken =
                self.peers.iter().any(|(i, p)| *i != id && p.lane == Some(lane) && !p.in_flight.is_empty());
            if !taken {
                return Some(b);
            }
            from = (lane + 1).saturating_mul(LANE);
        }
        None
    }

    /// A block another peer owes for long, for a peer that has nothing to do.
    fn end_game(&mut self, id: PeerId, reach: u64, now: Duration) -> Option<u64> {
        let peer = self.peers.get(&id)?;
        if self.peers.len() < 2 || peer.in_flight.len() > END_GAME {
            return None;
        }
        let few = self.in_flight.len() <= END_GAME && peer.in_flight.is_empty();
        let (hedge, answers, rate) = (self.hedge(), peer.answers(), peer.window.rate());
        self.in_flight.iter().find_map(|(block, owners)| {
            let owes = |(owner, rid): (PeerId, u64)| {
                let owing = self.peers.get(&owner)?;
                Some((owing, owing.in_flight.get(&rid)?))
            };
            let first = owners.all().filter_map(owes).map(|(_, sent)| sent.sent_at).min()?;
            let answering = || owners.all().filter_map(owes).filter(|(p, _)| p.answers());
            let late = match answering().next() {
                // Only untried ones were asked.
                None if answers => now >= first.saturating_add(hedge),
                None => owners.len() < self.doubling(now.saturating_sub(first)),
                Some((owing, sent)) => {
                    let age = now.saturating_sub(sent.sent_at);
                    let slower = peer.in_flight.is_empty() && owing.window.rate() < rate / 8;
                    answering().nth(1).is_none()
                        && (few && age >= END_GAME_AGE
                            || slower && age >= STALLED
                            || now >= owing.last_progress.max(sent.sent_at).saturating_add(STALLED))
                }
            };
            let ours = owners.all().all(|(owner, _)| owner != id);
            (late && ours && *block < reach && peer.blocks.contains(*block)).then_some(*block)
        })
    }
}
