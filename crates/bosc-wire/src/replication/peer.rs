//! What is kept for each peer.

use super::block_set::BlockSet;
use super::event::{PeerId, PeerStats};
use super::messages::{NoData, Request, Sync, Want};
use super::news::News;
use super::wants::{LocalWants, RemoteWants};
use super::window::Window;
use bosc_format::flat_tree;
use bosc_format::proof::HashedProof;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Most bitmaps of 4 KiB kept of what one peer holds: 33 million blocks held with gaps.
const MAX_MIXED: usize = 1024;
/// Most runs of full pages kept of what one peer holds.
const MAX_RUNS: usize = 4096;
/// Most requests kept whose answer is no longer waited for.
const MAX_EXPIRED: usize = 1024;
/// Most blocks kept that a peer said it holds and did not give.
const MAX_REFUSED: usize = 1024;

/// How long a peer may take to answer a new length of ours with its own.
pub(crate) const ACK_PATIENCE: Duration = Duration::from_secs(2);

/// What a request to move to another fork asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReorgAsk {
    /// The whole head.
    Head,
    /// A leaf's hash.
    Hash,
}

/// A request sent to a peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub(crate) fork: u64,
    pub(crate) block: Option<u64>,
    /// The block whose leaf's hash was asked for.
    pub(crate) hash: Option<u64>,
    pub(crate) upgrade: bool,
    pub(crate) manifest: bool,
    pub(crate) reorg: Option<ReorgAsk>,
    /// The head from 0 on was asked for, to compare the trees at this length.
    pub(crate) compare: Option<u64>,
    /// Nothing waits for the comparison, and a peer that refuses it did nothing wrong.
    pub(crate) quiet: bool,
    /// Levels asked for above the leaf.
    pub(crate) nodes: u64,
    /// The node the proof ends at, which must be known to check it. `None` for proofs with an upgrade.
    pub(crate) top: Option<u64>,
    /// The request whose answer brings `top`.
    pub(crate) depends: Option<u64>,
    /// About how many bytes the answer has.
    pub(crate) size: u64,
    pub(crate) sent_at: Duration,
}

impl Sent {
    /// Whether it asked the peer to prove its head.
    pub(crate) fn head(&self) -> bool {
        self.upgrade || self.compare.is_some() || self.reorg == Some(ReorgAsk::Head)
    }

    /// The leaf at the bottom of the nodes asked for.
    pub(crate) fn leaf(&self) -> Option<u64> {
        self.block.or(self.hash).map(|b| b.saturating_mul(2))
    }
}

/// The peer as its last [`Sync`] says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Remote {
    pub(crate) synced: bool,
    pub(crate) fork: u64,
    pub(crate) length: u64,
    pub(crate) can_upgrade: bool,
    pub(crate) uploading: bool,
    pub(crate) has_manifest: bool,
    /// Our length as far as the peer knows; 0 when forks differ.
    pub(crate) acked_length: u64,
}

/// An answer that came before the one it builds on.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) id: u64,
    pub(crate) sent: Sent,
    pub(crate) proof: HashedProof,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) remote: Remote,
    /// What it holds.
    pub(crate) blocks: BlockSet,
    pub(crate) stats: PeerStats,
    /// Whether it is in the replicator's list of peers that may have something to send.
    pub(crate) ready: bool,

    // What it is told.
    pub(crate) sync_sent: Option<Sync>,
    pub(crate) sync_due: bool,
    pub(crate) news: News,
    pub(crate) remote_wants: RemoteWants,

    // What it asks.
    pub(crate) requests: VecDeque<Request>,
    pub(crate) urgent_requests: VecDeque<Request>,
    pub(crate) no_data: VecDeque<NoData>,
    pub(crate) bad_requests: u32,
    pub(crate) highest_request: u64,

    // What it is asked.
    pub(crate) next_id: u64,
    pub(crate) in_flight: BTreeMap<u64, Sent>,
    pub(crate) in_flight_bytes: u64,
    pub(crate) expired: BTreeMap<u64, Sent>,
    pub(crate) cancels: VecDeque<u64>,
    pub(crate) window: Window,
    pub(crate) local_wants: LocalWants,
    pub(crate) want_queue: VecDeque<Want>,
    pub(crate) wants_due: bool,
    /// Nodes that answers in flight will bring, each with its request.
    pub(crate) promised: HashMap<u64, u64>,
    /// Answers waiting for the request they depend on, by its id.
    pub(crate) early: BTreeMap<u64, Vec<Early>>,
    pub(crate) early_bytes: usize,
    /// The group of neighbouring blocks being fetched from it.
    pub(crate) lane: Option<u64>,
    /// No block below this is both needed and held by it.
    pub(crate) scan_from: u64,
    /// Blocks it announced and refused; believed again after a while.
    pub(crate) refused: Vec<u64>,
    pub(crate) refused_until: Duration,

    // How it behaves.
    pub(crate) last_progress: Duration,
    pub(crate) paused_until: Duration,
    /// Consecutive failures to answer; each doubles the pause.
    pub(crate) strikes: u32,
    /// Refusals since the last answer.
    pub(crate) denials: u32,
    pub(crate) unasked: u32,
    /// When pauses were last looked at.
    pub(crate) woken: Duration,
    pub(crate) upgrade_after: Duration,
    /// Until when it is waited for that it knows our length. One that does not say so is asked all the same.
    pub(crate) ack_until: Duration,
    /// Whether a longer head or a higher fork is taken from it (see `heads`).
    pub(crate) heads: bool,
    /// It is compared before blocks are asked of it.
    pub(crate) compare_soon: bool,
    /// Head for which the owner was told that the peer holds all of it.
    pub(crate) synced_at: Option<(u64, u64)>,
    /// Requests to prove its head that it did not answer, since it last proved a longer one.
    pub(crate) unproved: u32,
    /// Length up to which it proved that it has our history.
    pub(crate) proved: u64,
    /// It proved that it has another one.
    pub(crate) other_history: bool,
    /// Why a proof of it did not hold, until it is known whether it has another history.
    pub(crate) suspect: Option<String>,
    /// When it may be compared again with nothing waiting for that.
    pub(crate) compare_after: Duration,
    /// At which length it refused to be compared, and until when it is not asked again at that length.
    pub(crate) compare_refused: (Option<u64>, Duration),
    /// Length up to which it is owed our head, because its own is of another history.
    pub(crate) owed_proof: Option<u64>,
    /// It delivered blocks of another core that belongs to this one.
    pub(crate) delivers: bool,
    /// Since when it claims more than we have.
    pub(crate) ahead_since: Option<Duration>,
}

impl Peer {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            remote: Remote { uploading: true, ..Remote::default() },
            blocks: BlockSet::new(MAX_MIXED, MAX_RUNS),
            stats: PeerStats::default(),
            ready: false,
            sync_sent: None,
            sync_due: true,
            news: News::default(),
            remote_wants: RemoteWants::default(),
            requests: VecDeque::new(),
            urgent_requests: VecDeque::new(),
            no_data: VecDeque::new(),
            bad_requests: 0,
            highest_request: 0,
            next_id: 1,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            expired: BTreeMap::new(),
            cancels: VecDeque::new(),
            window: Window::new(),
            local_wants: LocalWants::default(),
            want_queue: VecDeque::new(),
            wants_due: false,
            promised: HashMap::new(),
            early: BTreeMap::new(),
            early_bytes: 0,
            lane: None,
            scan_from: 0,
            refused: Vec::new(),
            refused_until: Duration::ZERO,
            last_progress: now,
            paused_until: Duration::ZERO,
            strikes: 0,
            denials: 0,
            unasked: 0,
            woken: now,
            upgrade_after: Duration::ZERO,
            ack_until: now.saturating_add(ACK_PATIENCE),
            heads: true,
            compare_soon: false,
            synced_at: None,
            unproved: 0,
            proved: 0,
            other_history: false,
            suspect: None,
            compare_after: Duration::ZERO,
            compare_refused: (None, Duration::ZERO),
            owed_proof: None,
            delivers: false,
            ahead_since: None,
        }
    }

    /// Registers a request and returns its id.
    pub(crate) fn send(&mut self, sent: Sent) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        if self.in_flight.is_empty() {
            // The silence before was not the peer's.
            self.last_progress = sent.sent_at;
        }
        self.promise(id, &sent);
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(sent.size);
        self.in_flight.insert(id, sent);
        id
    }

    /// Whether an answer to this request would be taken.
    pub(crate) fn was_asked(&self, id: u64) -> bool {
        self.in_flight.contains_key(&id) || self.expired.contains_key(&id)
    }

    /// Takes a request out of those in flight.
    pub(crate) fn take(&mut self, id: u64) -> Option<Sent> {
        let sent = self.in_flight.remove(&id)?;
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(sent.size);
        self.unpromise(id, &sent);
        if self.in_flight.is_empty() {
            self.window.on_idle();
        }
        Some(sent)
    }

    /// Stops waiting for a request; its answer is still taken should it come.
    pub(crate) fn expire(&mut self, id: u64) -> Option<Sent> {
        let sent = self.take(id)?;
        if self.expired.len() >= MAX_EXPIRED {
            self.expired.pop_first();
        }
        self.expired.insert(id, sent.clone());
        Some(sent)
    }

    /// The answer to a request with a leaf brings the way up from it and the siblings on that way.
    fn promise(&mut self, id: u64, sent: &Sent) {
        if sent.top.is_none() {
            return;
        }
        let Some(mut at) = sent.leaf() else { return };
        for _ in 0..sent.nodes.min(64) {
            self.promised.insert(at, id);
            self.promised.insert(flat_tree::sibling(at), id);
            at = flat_tree::parent(at);
        }
        if sent.nodes == 0 {
            self.promised.entry(at).or_insert(id);
        }
    }

    fn unpromise(&mut self, id: u64, sent: &Sent) {
        let Some(mut at) = sent.leaf() else { return };
        for _ in 0..sent.nodes.clamp(1, 64) {
            for n in [at, flat_tree::sibling(at)] {
                if self.promised.get(&n) == Some(&id) {
                    self.promised.remove(&n);
                }
            }
            at = flat_tree::parent(at);
        }
    }

    /// Whether the answer to a request in flight, or one that came early, builds on this one's.
    pub(crate) fn has_dependents(&self, id: u64) -> bool {
        self.early.contains_key(&id) || self.in_flight.values().any(|s| s.depends == Some(id))
    }

    /// Blocks held from 0 on without a gap, as far as the peer's length.
    pub(crate) fn contiguous(&self) -> u64 {
        self.blocks.next_unset(0).min(self.remote.length)
    }

    pub(crate) fn queued_requests(&self) -> usize {
        self.requests.len().saturating_add(self.urgent_requests.len())
    }

    /// Keeps in mind that the peer does not give a block it announced.
    pub(crate) fn refuse(&mut self, block: u64, now: Duration) {
        self.blocks.remove(block);
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(block);
        }
        self.refused_until = now.saturating_add(Duration::from_secs(5));
    }

    /// Believes refused blocks again.
    pub(crate) fn forgive(&mut self) {
        for b in std::mem::take(&mut self.refused) {
            self.blocks.insert(b);
            self.scan_from = self.scan_from.min(b);
        }
    }

    /// Leaves the peer alone for a while, longer each time.
    pub(crate) fn strike(&mut self, now: Duration) {
        let pause = Duration::from_millis(500).saturating_mul(1 << self.strikes.min(6));
        self.paused_until = now.saturating_add(pause);
        self.strikes = self.strikes.saturating_add(1);
    }

    /// What was compared does not hold any more.
    pub(crate) fn forget_comparison(&mut self) {
        self.proved = 0;
        self.other_history = false;
        self.suspect = None;
        self.owed_proof = None;
        self.compare_after = Duration::ZERO;
        self.compare_refused = (None, Duration::ZERO);
    }

    pub(crate) fn figures(&self) -> PeerStats {
        PeerStats {
            remote_synced: self.remote.synced,
            remote_fork: self.remote.fork,
            remote_length: self.remote.length,
            remote_contiguous_length: self.contiguous(),
            remote_blocks: self.blocks.count(),
            remote_proved_length: self.proved,
            remote_other_history: self.other_history,
            remote_unproved: self.unproved,
            requests_in_flight: self.in_flight.len(),
            requests_queued: self.queued_requests(),
            ..self.stats
        }
    }
}

/// Who was asked for a block, with each request, first the one asked first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owners(Vec<(PeerId, u64)>);

impl Owners {
    pub(crate) fn add(&mut self, peer: PeerId, id: u64) {
        self.0.push((peer, id));
    }

    pub(crate) fn remove(&mut self, peer: PeerId, id: u64) {
        self.0.retain(|o| *o != (peer, id));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (PeerId, u64)> {
        self.0.iter().copied()
    }
}

/// A request for the next head, not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpgradeInFlight {
    pub(super) peer: PeerId,
    pub(super) request: u64,
    pub(super) since: Duration,
}

/// Puts a peer on the list of those that may have something to send.
pub(super) fn mark(ready: &mut VecDeque<PeerId>, id: PeerId, peer: &mut Peer) {
    if !peer.ready {
        peer.ready = true;
        ready.push_back(id);
    }
}
