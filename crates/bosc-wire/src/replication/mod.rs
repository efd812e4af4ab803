//! Replication of one core with many peers (npm `hypercore` 11, `lib/replicator.js`), without IO.
//!
//! A [`Replicator`] stands between one core ([`CoreAccess`]) and the peers that have a channel open for it. The
//! owner moves messages: what comes from a channel goes to [`Replicator::handle_message`]; peers that may have
//! something to send come out of [`Replicator::poll_ready`], and while such a peer's connection takes more,
//! [`Replicator::poll_outgoing`] gives the next message. Nothing is prepared before it is polled: requests and
//! answers are made at that moment, so a connection that stands still costs nothing, and one that is slow gets
//! the freshest choice.
//!
//! ```text
//! open a mux channel (PROTOCOL, channel_id(key)) with local_handshake(..)
//!   -> channel opened: verify_remote_handshake(..), then add_peer
//!   -> message: handle_message        -> channel closed: remove_peer
//! after every call: poll_event until None, poll_ready until None and poll_outgoing for each of them while the
//! connection takes more (Replicator::wake when a full one drained), next_timeout
//! ```
//!
//! Per peer: a `sync` goes out first, then what we hold. A peer is asked only after its own `sync`, at our fork,
//! for blocks it announced. A peer at a higher fork is asked to prove it, and the core moves to it (see `reorg`).
//! What is wrong in a way no honest peer is drops the peer at once ([`Event::InvalidPeer`]); a proof that does not hold
//! may also come from a second history that the core's key signed, which is looked into first (see `compare`). Silence
//! makes a peer's requests go to others. An owner that knows better may take no heads from a peer (see `heads`).
//!
//! Invariants:
//! * Nothing from a peer reaches the core but through [`CoreAccess::apply`] and the reorg calls, which prove it.
//! * A block is asked of one peer at a time that answers (of two at the very end), and of more only while none of them answered
//!   anything yet (see `trust`).
//! * Everything a peer makes us keep is bounded: 4 MiB of bitmaps and 100 KiB of runs, 2048 requests, 512 parts
//!   wanted, 8 MiB of answers that came early.
//! * `head` is the core's head as of the last call.
//!
//! # Files
//!
//! - `access`: the seam to whatever keeps the core, and its errors: the peer's fault or the store's. `event`: what else goes in and
//!   comes out; settings, among them how long an answer may take. `messages`: the wire format, longest lists and signatures.
//! - `capability`: who may replicate. `incoming`: reading messages, blocks of one batch hashed together.
//! - `peer`: what is kept for each peer and how much, and how long a refusal or a failure keeps us from asking it. `wants`: which
//!   parts each side is told about, and what becomes of a peer that wants too many. `announce`: telling what we hold: what is told
//!   unasked, and how soon; `news`: what is still to be told.
//! - `selection`: what is to be fetched (downloads, urgent blocks, hashes). `request`: what to ask whom for, in which order, and what
//!   is asked of a second peer (the end of a download, a peer that stalls). `window`: how much at once.
//! - `receive`: taking answers: those that come early, those nobody asked for, refusals in a row. `serve`: answering: how many
//!   requests wait, how many bad ones are forgiven. `timers`: silence, the slowest rate that is none, and news that are due.
//! - `compare`: whether a peer's history is ours, when that is asked, and what follows from a conflict. `reorg`: following the core
//!   to another fork: whose is asked, how many at once.
//! - `heads`: whose heads are taken, and a head that a peer does not prove. `trust`: peers that are silent, slow or lie are told
//!   apart by what they deliver, and lose their turn.
//! - `block_set`: a set of block numbers in bounded memory.
//!
//! [`Replicator`] is the state that these files share.

mod access;
mod announce;
mod block_set;
mod capability;
mod compare;
mod event;
mod heads;
mod incoming;
pub mod messages;
mod news;
mod peer;
mod receive;
mod reorg;
mod request;
mod selection;
mod serve;
#[cfg(test)]
mod tests;
mod timers;
mod trust;
mod wants;
mod window;

pub use access::{
    ApplyError, Comparison, CoreAccess, CoreError, HeadInfo, HeadSummary, ManifestState, ProveError,
    ReorgStep,
};
pub use capability::{
    PROTOCOL, PROTOCOL_ALIAS, capability, channel_id, local_handshake, verify_remote_handshake,
};
pub use event::{
    Blocks, Config, Conflict, Download, DownloadId, Event, InvalidPeer, LocalChange, Outgoing, PeerId,
    PeerStats,
};
pub use messages::{MessageType, Payload};

use bosc_format::codec::DecodeError;
use bosc_format::flat_tree::MAX_LENGTH;
use bytes::Bytes;
use incoming::{Incoming, Message};
use messages::{BitfieldPart, Cancel, NoData, Range, Request, Sync, Want};
use peer::{Owners, Peer, UpgradeInFlight, mark};
use selection::Selection;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Replicator {
    config: Config,
    head: HeadInfo,
    peers: BTreeMap<PeerId, Peer>,
    ready: VecDeque<PeerId>,
    events: VecDeque<Event>,
    selection: Selection,
    /// Blocks asked for, and of whom.
    in_flight: BTreeMap<u64, Owners>,
    upgrades: Vec<UpgradeInFlight>,
    manifest_request: Option<(PeerId, u64)>,
    reorg: reorg::Reorg,
    /// See [`Replicator::compare`].
    comparing: bool,
    /// Moving average of the size of blocks that came.
    recent_block: Option<u64>,
    /// The core failed; nothing is asked for.
    failed: bool,
    /// When time was last looked at.
    last_wake: Duration,
    /// State of the small generator that spreads downloads.
    random: u64,
}

impl Replicator {
    /// A replicator for this core, without peers.
    pub fn new(config: Config, core: &dyn CoreAccess) -> Self {
        Self {
            random: config.seed | 1,
            config,
            head: core.head(),
            peers: BTreeMap::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            selection: Selection::new(),
            in_flight: BTreeMap::new(),
            upgrades: Vec::new(),
            manifest_request: None,
            reorg: reorg::Reorg::default(),
            comparing: false,
            recent_block: None,
            failed: false,
            last_wake: Duration::ZERO,
        }
    }

    /// A channel for this core is open and the remote's capability was verified. A peer that had this id before
    /// is removed.
    pub fn add_peer(&mut self, id: PeerId, core: &dyn CoreAccess, now: Duration) {
        self.remove_peer(id, core);
        let mut peer = Peer::new(now);
        if core.contiguous_length() > 0 {
            peer.news.owe(core.contiguous_length());
            peer.news.due = Some(now);
        }
        mark(&mut self.ready, id, &mut peer);
        self.peers.insert(id, peer);
    }

    /// The channel is gone. What the peer owed is asked of others.
    pub fn remove_peer(&mut self, id: PeerId, core: &dyn CoreAccess) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        while let Some((rid, sent)) = peer.in_flight.pop_first() {
            self.release(id, rid, &sent, core);
        }
        for early in peer.early.into_values().flatten() {
            self.release(id, early.id, &early.sent, core);
        }
    }

    /// Peers, in order of their ids.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.peers.keys().copied()
    }

    /// Figures of a peer. Takes time for each page of its bitfield.
    pub fn stats(&self, id: PeerId) -> Option<PeerStats> {
        self.peers.get(&id).map(Peer::figures)
    }

    /// How many peers hold every block of our head.
    pub fn full_copies(&self) -> usize {
        let HeadInfo { fork, length, .. } = self.head;
        self.peers
            .values()
            .filter(|p| p.remote.synced && p.remote.fork == fork && p.contiguous() >= length)
            .count()
    }

    /// Whether some peer can give a longer head or a higher fork.
    pub fn is_behind(&self) -> bool {
        let HeadInfo { fork, length, .. } = self.head;
        self.peers.values().any(|p| {
            let r = p.remote;
            r.synced && (r.fork > fork || (r.fork == fork && r.length > length && r.can_upgrade))
        })
    }

    /// Starts a download. [`Event::DownloadDone`] tells the end, at once when all is there. Blocks of all
    /// downloads are fetched together, lowest first unless none is linear.
    pub fn download(&mut self, download: Download, core: &dyn CoreAccess) -> DownloadId {
        let (id, done) = self.selection.add(download, core);
        if done {
            self.events.push_back(Event::DownloadDone(id));
        } else {
            self.refill(0, core);
        }
        id
    }

    /// Takes a download back. Blocks only it wanted are no longer waited for. `false` when it is not going on.
    pub fn cancel(&mut self, id: DownloadId) -> bool {
        let known = self.selection.cancel(id);
        let unwanted: Vec<u64> =
            self.in_flight.keys().copied().filter(|b| !self.selection.wants(*b)).collect();
        for block in unwanted {
            self.stop_waiting(block);
        }
        known
    }

    /// Asks for one block before all downloads; higher `priority` first. [`Event::BlockReceived`] tells that it
    /// came. The block may lie behind the head: it is asked for when a peer has a head that holds it. `false`
    /// when it is held already.
    pub fn want_block(&mut self, block: u64, priority: u8, core: &dyn CoreAccess) -> bool {
        if core.has(block) || block >= MAX_LENGTH {
            return false;
        }
        self.selection.add_urgent(block, priority.max(1), self.in_flight.contains_key(&block));
        for (id, p) in &mut self.peers {
            p.wants_due = true;
            mark(&mut self.ready, *id, p);
        }
        true
    }

    /// Asks for the hashes of the leaves of `start..end` of the present head, without the blocks: enough to learn
    /// which blocks a local file already holds. [`Event::HashReceived`] tells each that came or was there.
    pub fn want_hashes(&mut self, start: u64, end: u64, core: &dyn CoreAccess) {
        for index in start..end.min(self.head.length) {
            if core.has_node(index.saturating_mul(2)) {
                self.events.push_back(Event::HashReceived { index });
            } else {
                self.selection.hashes.insert(index);
            }
        }
        for (id, p) in &mut self.peers {
            p.wants_due = true;
            mark(&mut self.ready, *id, p);
        }
    }

    fn stop_waiting(&mut self, block: u64) {
        for (peer, rid) in self.in_flight.remove(&block).unwrap_or_default().all() {
            self.cancel_request(peer, rid);
        }
    }

    /// Takes a request back, unless it asked for more than a block or others build on its answer.
    fn cancel_request(&mut self, peer: PeerId, request: u64) {
        let Some(p) = self.peers.get_mut(&peer) else { return };
        if p.in_flight.get(&request).is_some_and(|s| !s.upgrade) && !p.has_dependents(request) {
            p.expire(request);
            p.cancels.push_back(request);
            mark(&mut self.ready, peer, p);
        }
    }

    /// The owner changed the core: peers are told at once.
    pub fn local_changed(&mut self, change: LocalChange, core: &mut dyn CoreAccess, now: Duration) {
        let old = self.head;
        self.head = core.head();
        match change {
            LocalChange::Appended => {
                for block in old.length..self.head.length.min(old.length.saturating_add(1 << 16)) {
                    if core.has(block) {
                        self.settle_local(block, core);
                    }
                }
                self.on_longer(old.length, core, now);
                self.announce_gained(old.length, self.head.length, core, now);
            }
            LocalChange::Gained { start, end } => {
                let mut block = start;
                while let Some(b) = core.next_held(block).filter(|b| *b < end) {
                    self.settle_local(b, core);
                    block = b.saturating_add(1);
                }
                self.announce_gained(start, end, core, now);
            }
            LocalChange::Cleared { start, end } => {
                self.selection.on_lost(start, end, core);
                self.refill(start, core);
                self.announce_dropped(start, end, core, now);
            }
            LocalChange::Reorged { ancestors } => self.on_reorged(ancestors, old.length, core, now),
        }
    }

    /// A block is held without a peer's doing.
    fn settle_local(&mut self, block: u64, core: &dyn CoreAccess) {
        self.stop_waiting(block);
        for id in self.selection.on_held(block, core) {
            self.events.push_back(Event::DownloadDone(id));
        }
    }

    /// Changes whether we are interested in data, and tells peers.
    pub fn set_downloading(&mut self, downloading: bool) {
        self.config.downloading = downloading;
        self.sync_all();
    }

    /// Goes on after [`Event::CoreFailed`].
    pub fn resume(&mut self) {
        self.failed = false;
        self.mark_all();
    }

    /// A message came on the peer's channel. Unknown peers and numbers are ignored.
    pub fn handle_message(
        &mut self,
        id: PeerId,
        kind: u32,
        payload: Bytes,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        self.handle_messages(id, vec![(kind, payload)], core, now);
    }

    /// Messages came on the peer's channel, in this order. The same as one by one, and faster where several bring blocks:
    /// those are hashed side by side.
    pub fn handle_messages(
        &mut self,
        id: PeerId,
        messages: Vec<(u32, Bytes)>,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let Some(peer) = self.peers.get(&id) else { return };
        for Incoming { bytes, message } in incoming::read(messages, peer) {
            // It may have been dropped for the message before.
            let Some(peer) = self.peers.get_mut(&id) else { return };
            peer.stats.received_bytes = peer.stats.received_bytes.saturating_add(bytes as u64);
            let done = match message {
                Message::Data(rid, proof) => {
                    self.on_data(id, rid, *proof, bytes, core, now);
                    Ok(())
                }
                Message::Other(kind, payload) => self.dispatch(id, kind, &payload, core, now),
                Message::Unknown => Ok(()),
                Message::Malformed(e) => Err(e),
            };
            if let Err(e) = done {
                self.drop_peer(id, InvalidPeer::Malformed(e.to_string()), core, now);
            }
        }
    }

    fn dispatch(
        &mut self,
        id: PeerId,
        kind: MessageType,
        payload: &Bytes,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) -> Result<(), DecodeError> {
        match kind {
            MessageType::Sync => self.on_sync(id, Sync::decode(payload)?, now)?,
            MessageType::Request => self.on_request(id, Request::decode(payload)?, core, now),
            MessageType::Cancel => self.on_cancel(id, Cancel::decode(payload)?.request),
            // Read before, with others.
            MessageType::Data => {}
            MessageType::NoData => self.on_no_data(id, NoData::decode(payload)?, core, now),
            MessageType::Want => self.on_want(id, Want::decode(payload)?, core, now),
            MessageType::Unwant => {
                let want = Want::decode(payload)?;
                if let Some(p) = self.peers.get_mut(&id) {
                    p.remote_wants.remove(want);
                }
            }
            MessageType::Bitfield => {
                let part = BitfieldPart::decode(payload)?;
                self.on_have(id, part.start, |p| {
                    p.blocks.replace(part.start, &part.words);
                });
            }
            MessageType::Range => {
                let r = Range::decode(payload)?;
                let end = r.start.saturating_add(r.length);
                self.on_have(id, r.start, |p| {
                    if r.drop {
                        p.blocks.remove_range(r.start, end);
                    } else {
                        p.blocks.insert_range(r.start, end);
                    }
                });
            }
            // No extension is spoken here.
            MessageType::Extension => {}
        }
        Ok(())
    }

    fn on_sync(&mut self, id: PeerId, sync: Sync, now: Duration) -> Result<(), DecodeError> {
        if sync.length > MAX_LENGTH || sync.fork > MAX_LENGTH {
            return Err(DecodeError::TooLarge("length of a core"));
        }
        let head = self.head;
        let Some(p) = self.peers.get_mut(&id) else { return Ok(()) };
        let same = sync.fork == head.fork;
        if p.remote.fork != sync.fork {
            p.forgive();
            // Whoever is suspect stays so: its own word must not clear it.
            let suspect = p.suspect.take();
            p.forget_comparison();
            p.suspect = suspect;
        }
        p.remote = peer::Remote {
            synced: true,
            fork: sync.fork,
            length: sync.length,
            can_upgrade: sync.can_upgrade,
            uploading: sync.uploading,
            has_manifest: sync.has_manifest,
            acked_length: if same { sync.remote_length } else { 0 },
        };
        p.wants_due = true;
        p.scan_from = 0;
        p.upgrade_after = Duration::ZERO;
        if same && head.length > sync.length {
            p.sync_due = true;
        }
        mark(&mut self.ready, id, p);
        if !sync.downloading && !self.config.downloading {
            self.events.push_back(Event::PeerIdle(id));
        }
        self.note_claims(now);
        self.check_synced(id);
        Ok(())
    }

    /// A peer said what it holds from `from` on.
    fn on_have(&mut self, id: PeerId, from: u64, change: impl FnOnce(&mut Peer)) {
        let Some(p) = self.peers.get_mut(&id) else { return };
        change(p);
        p.scan_from = p.scan_from.min(from);
        mark(&mut self.ready, id, p);
        self.check_synced(id);
    }

    /// Tells when a peer holds all of our head.
    fn check_synced(&mut self, id: PeerId) {
        let HeadInfo { fork, length, .. } = self.head;
        let Some(p) = self.peers.get_mut(&id) else { return };
        let at = Some((fork, length));
        if length == 0 || p.remote.fork != fork || p.synced_at == at || !p.remote.synced {
            return;
        }
        let contiguous_length = p.contiguous();
        if contiguous_length >= length {
            p.synced_at = at;
            self.events.push_back(Event::PeerSynced { peer: id, contiguous_length });
        }
    }

    /// The next peer that may have something to send: poll it with [`Replicator::poll_outgoing`] until there is
    /// nothing more, or remember it.
    pub fn poll_ready(&mut self) -> Option<PeerId> {
        loop {
            let id = self.ready.pop_front()?;
            if let Some(p) = self.peers.get_mut(&id) {
                p.ready = false;
                return Some(id);
            }
        }
    }

    /// Puts a peer on the list of [`Replicator::poll_ready`]: its connection, which was full, takes more.
    pub fn wake(&mut self, id: PeerId) {
        if let Some(p) = self.peers.get_mut(&id) {
            mark(&mut self.ready, id, p);
        }
    }

    /// The next message to a peer. Call it when the peer's connection can take one.
    pub fn poll_outgoing(
        &mut self,
        id: PeerId,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) -> Option<Outgoing> {
        // What is held goes before the sync that makes the peer look for it. At the start and at a new fork the
        // sync leads, or the peer would look at the old one.
        let opened = self.peers.get(&id)?.sync_sent.is_some_and(|s| s.fork == self.head.fork);
        let out = if opened { self.next_news(id, core, now) } else { None }
            .or_else(|| self.next_sync(id, core))
            .or_else(|| self.next_news(id, core, now))
            .or_else(|| self.next_conflict_proof(id, core))
            .or_else(|| self.next_control(id))
            .or_else(|| self.next_request(id, core, now))
            .or_else(|| self.next_answer(id, core, now))?;
        if let Some(p) = self.peers.get_mut(&id) {
            p.stats.sent_bytes = p.stats.sent_bytes.saturating_add(out.payload.len() as u64);
        }
        Some(out)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Adds what is selected from `start` on to what is needed.
    fn refill(&mut self, start: u64, core: &dyn CoreAccess) {
        self.selection.fill(start, self.head.length, core);
        for block in self.in_flight.range(start..).map(|(b, _)| *b) {
            self.selection.needed.remove(block);
        }
        for (id, p) in &mut self.peers {
            p.scan_from = p.scan_from.min(start);
            p.wants_due = true;
            mark(&mut self.ready, *id, p);
        }
    }

    /// A block became needed: no peer's search may start behind it.
    fn rescan(&mut self, block: u64) {
        for p in self.peers.values_mut() {
            p.scan_from = p.scan_from.min(block);
            p.wants_due = true;
        }
    }

    fn mark_all(&mut self) {
        for (id, p) in &mut self.peers {
            mark(&mut self.ready, *id, p);
        }
    }

    fn drop_peer(&mut self, id: PeerId, why: InvalidPeer, core: &dyn CoreAccess, _now: Duration) {
        if self.peers.contains_key(&id) {
            self.remove_peer(id, core);
            self.events.push_back(Event::InvalidPeer { peer: id, why });
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed = true;
        self.events.push_back(Event::CoreFailed(why.to_owned()));
    }
}
