//! Everything the live thread decides, without a thread or a clock: one replicator a core, one mux a connection.
//!
//! ```text
//!   FromNet, callers' wishes, changes of the store --> LiveMachine --> FromLive, snapshots and their signals
//!                                                          ^
//!                                                          `-- now, next_timeout
//! ```
//!
//! Life of a channel: we open one for every live core on every connection; the other side opens its own for a
//! core we keep and makes that core live. A channel counts only after the other side's capability proved that
//! it knows the core's key.
//!
//! How it is driven: give it what came in, call [`LiveMachine::work`], then take everything from
//! [`LiveMachine::poll_net`]; come back at [`LiveMachine::next_timeout`] or with the next input. It reads and writes the
//! store and does no other IO.
//!
//! Invariants:
//! * Nothing of a core goes over a channel before the peer has proved that it knows the core's key.
//! * What is made for a connection and not yet taken by its stream is bounded by its [`Credit`], one turn and one
//!   message.
//! * A drive's blobs take no head from a peer whose db was not shown to be ours (see `beside`).
//! * A core's signal is raised after its snapshot is in place, and only when something in it changed that somebody can
//!   wait for: what was uploaded changes without it.
//! * Blocks received are flushed at most [`FLUSH_AFTER`] later.
//! * The same inputs at the same times give the same outputs: nothing iterates over a hash map.
//! * What blind peers are asked, and what is asked of us as one: see `blind`.
//! * At rest (nothing asked, nothing owed, nothing unflushed) it has no timeout.
//!
//! [`LiveMachine`] is the state that the files beside it share.

use super::access::{self, Access};
use super::beside::Blobs;
use super::blind::{Blind, BlindFor, BlindShared};
use super::conn::Conn;
use super::inbox::Inbox;
use super::shared::{CoreShared, DownloadState};
use crate::between::{FromLive, FromNet};
use crate::status::{ConflictStatus, CoreFailure, DroppedPeer, MAX_CONFLICTS};
use crate::swarm::ConnId;
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_store::{Core, Store};
use bosc_wire::replication::{
    Config, CoreAccess, Download, DownloadId, Event, LocalChange, PeerId, Replicator,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The protomux protocol whose handshake names a relay; see `net::relay::offer`.
pub(super) const RELAY_PROTOCOL: &str = "bosc/relay";
/// Priority of blocks that a caller waits for.
const WANTED: u8 = 128;
/// How long received blocks may stay unflushed.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
/// How often the net side is told that a peer delivers.
const DELIVERED_EVERY: Duration = Duration::from_secs(1);

/// Shows cores to peers as something other than they are: for simulated peers that lie.
pub trait Disguise: Send + Sync {
    /// What peers see instead of `core`.
    fn show<'a>(&'a self, core: Box<dyn CoreAccess + 'a>) -> Box<dyn CoreAccess + 'a>;
}

/// How a machine is made.
pub struct LiveSetup {
    /// Cores in it are served to whoever knows their keys.
    pub store: Option<Store>,
    /// Decides the order of downloads.
    pub seed: u64,
    /// Called, from any thread, with changes that others make to live cores: they have to come back as
    /// [`LiveMachine::changed`].
    pub tell: Arc<dyn Fn(CoreKey, LocalChange) + Send + Sync>,
    /// How cores are shown to peers, if not as they are.
    pub disguise: Option<Arc<dyn Disguise>>,
    /// Bytes made for one connection before others get their turn.
    pub turn: usize,
    /// The key of the blind relay that we are for those who share a core with us.
    pub offer_relay: Option<PublicKey>,
    /// Be a blind peer, and for whom.
    pub blind_for: Option<BlindFor>,
    /// Where the owner finds what clients ask, and how blind peers stand that we ask.
    pub blind: Arc<BlindShared>,
}

pub(super) struct Slot {
    pub(super) core: Core,
    pub(super) replicator: Replicator,
    pub(super) shared: Arc<CoreShared>,
    disguise: Option<Arc<dyn Disguise>>,
    downloads: HashMap<DownloadId, Arc<DownloadState>>,
    pub(super) peers: BTreeSet<ConnId>,
    pub(super) peers_seen: u64,
    /// See `beside`.
    pub(super) blobs: Blobs,
    /// The db of the drive whose blobs this core holds.
    pub(super) db: Option<CoreKey>,
    /// Peers whose db is of another history.
    pub(super) others: BTreeSet<ConnId>,
    /// It is offered on every connection, and not only to those who ask for it.
    pub(super) offered: bool,
    /// The snapshot may have changed.
    pub(super) changed: bool,
    /// Something changed that is in no snapshot.
    pub(super) raise: bool,
    pub(super) failed: Option<CoreFailure>,
    pub(super) dropped_peer: Option<DroppedPeer>,
    pub(super) conflicts: Vec<ConflictStatus>,
    pub(super) downloaded: (u64, u64),
    pub(super) gone: (u64, u64),
    memory: access::Memory,
    _watch: bosc_store::Subscription,
}

impl Slot {
    /// Does something with the replicator and the core as it is shown to peers.
    pub(super) fn with<T>(&mut self, f: impl FnOnce(&mut Replicator, &mut dyn CoreAccess) -> T) -> T {
        let mut access = Access::new(&self.core, &mut self.memory);
        match &self.disguise {
            None => f(&mut self.replicator, &mut access),
            Some(d) => f(&mut self.replicator, &mut *d.show(Box::new(access))),
        }
    }

    /// Lets go of what was read for peers whose turn is over.
    pub(super) fn rest(&mut self) {
        self.memory.rest();
    }

    /// Keeps a conflict. One history that grows, or that several peers have, counts once.
    fn conflict(&mut self, new: ConflictStatus) {
        let same = |c: &ConflictStatus| {
            c.peer == new.peer || c.conflict.theirs.tree_hash == new.conflict.theirs.tree_hash
        };
        if !self.conflicts.iter().any(same) && self.conflicts.len() < MAX_CONFLICTS {
            self.conflicts.push(new);
        }
    }

    fn fail(&mut self, failure: CoreFailure) {
        self.failed = Some(failure);
        self.changed = true;
    }
}

/// See the module's documentation.
pub struct LiveMachine {
    pub(super) setup: LiveSetup,
    pub(super) cores: BTreeMap<CoreKey, Slot>,
    pub(super) conns: BTreeMap<ConnId, Conn>,
    pub(super) to_net: VecDeque<FromLive>,
    pub(super) dirty: BTreeSet<ConnId>,
    pub(super) raised: bool,
    pub(super) strangers: u64,
    pub(super) inbox: Option<Inbox>,
    pub(super) blind: Blind,
    unflushed: Option<Duration>,
}

impl std::fmt::Debug for LiveMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveMachine")
            .field("cores", &self.cores.len())
            .field("conns", &self.conns.len())
            .finish_non_exhaustive()
    }
}

impl LiveMachine {
    /// A machine without cores and connections.
    pub fn new(setup: LiveSetup) -> Self {
        let blind = Blind { shared: Arc::clone(&setup.blind), ..Blind::default() };
        Self {
            setup,
            blind,
            cores: BTreeMap::new(),
            conns: BTreeMap::new(),
            to_net: VecDeque::new(),
            dirty: BTreeSet::new(),
            raised: false,
            strangers: 0,
            inbox: None,
            unflushed: None,
        }
    }

    /// The net side tells something.
    pub fn from_net(&mut self, told: FromNet, now: Duration) {
        match told {
            FromNet::Open { conn, remote, initiator, hash, credit } => {
                self.conns.insert(conn, Conn::new(remote, initiator, hash, credit));
                let offered = self.cores.iter().filter(|(_, slot)| slot.offered).map(|(key, _)| *key);
                for key in offered.collect::<Vec<_>>() {
                    self.open_channel(conn, key);
                }
                self.open_blind(conn, now);
                self.dirty.insert(conn);
            }
            FromNet::Messages { conn, messages, bytes } => self.messages(conn, messages, bytes, now),
            FromNet::Writable { conn } => {
                self.dirty.insert(conn);
            }
            FromNet::Active { conn } => {
                for slot in self.cores.values_mut() {
                    slot.replicator.peer_active(PeerId(conn), now);
                }
            }
            FromNet::Closed { conn } => {
                self.take_in(now);
                self.conn_closed(conn);
            }
        }
    }

    /// Makes a core live. Its snapshot is in place when this returns.
    pub fn attach(&mut self, core: Core) -> Arc<CoreShared> {
        let key = *core.key();
        let shared = self.attach_as(core, true);
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            self.open_channel(conn, key);
        }
        shared
    }

    /// Makes a core live, without opening a channel for it; `offered`: on connections that come it is.
    pub(super) fn attach_as(&mut self, core: Core, offered: bool) -> Arc<CoreShared> {
        let key = *core.key();
        if let Some(slot) = self.cores.get_mut(&key) {
            slot.offered |= offered;
            return Arc::clone(&slot.shared);
        }
        let config = Config { seed: self.setup.seed, ..Config::default() };
        let tell = Arc::clone(&self.setup.tell);
        // Before the replicator takes the head: a change between the two is told twice, not lost.
        let watch = access::watch(&core, move |change| tell(key, change));
        let mut memory = access::Memory::default();
        let replicator = Replicator::new(config, &Access::new(&core, &mut memory));
        let shared = Arc::new(CoreShared::default());
        let slot = Slot {
            core,
            replicator,
            shared: Arc::clone(&shared),
            disguise: self.setup.disguise.clone(),
            downloads: HashMap::new(),
            peers: BTreeSet::new(),
            peers_seen: 0,
            blobs: Blobs::Unknown,
            db: None,
            others: BTreeSet::new(),
            offered,
            changed: true,
            raise: false,
            failed: None,
            dropped_peer: None,
            conflicts: Vec::new(),
            downloaded: (0, 0),
            gone: (0, 0),
            memory,
            _watch: watch,
        };
        self.cores.insert(key, slot);
        self.publish();
        shared
    }

    /// Downloads blocks of a live core.
    pub fn download(&mut self, key: &CoreKey, download: Download) -> Arc<DownloadState> {
        let state = Arc::new(DownloadState::default());
        if let Some(slot) = self.cores.get_mut(key) {
            let id = slot.with(|r, core| r.download(download, core));
            *state.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
            slot.downloads.insert(id, Arc::clone(&state));
        }
        state
    }

    /// Stops to download them.
    pub fn cancel(&mut self, key: &CoreKey, state: &DownloadState) {
        let id = *state.id.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(slot), Some(id)) = (self.cores.get_mut(key), id) {
            slot.replicator.cancel(id);
            slot.downloads.remove(&id);
        }
    }

    /// Compares peers' histories with ours.
    pub fn compare(&mut self, key: &CoreKey) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.replicator.compare();
        }
    }

    /// Gets these blocks before others.
    pub fn want(&mut self, key: &CoreKey, blocks: Vec<u64>) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.with(|r, core| {
                for block in blocks {
                    r.want_block(block, WANTED, core);
                }
            });
        }
    }

    /// Gets the leaf hashes of these blocks of the present head, without the blocks.
    pub fn want_hashes(&mut self, key: &CoreKey, ranges: Vec<Range<u64>>) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.with(|r, core| {
                for range in ranges {
                    r.want_hashes(range.start, range.end, core);
                }
            });
        }
    }

    /// Somebody else changed the core in the store.
    pub fn changed(&mut self, key: &CoreKey, change: LocalChange, now: Duration) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.with(|r, core| r.local_changed(change, core, now));
            (slot.changed, slot.raise) = (true, true);
        }
    }

    /// Writes all that was received to disk.
    ///
    /// # Errors
    /// What the store says.
    pub fn flush(&mut self) -> Result<(), CoreFailure> {
        self.unflushed = None;
        let Some(store) = &self.setup.store else { return Ok(()) };
        store.flush().map_err(|e| CoreFailure { kind: e.kind(), why: e.to_string() })
    }

    /// Everything that follows from what came in or from time passing.
    pub fn work(&mut self, now: Duration) {
        self.take_in(now);
        self.timeouts(now);
        self.events(now);
        self.look_beside();
        self.pump(now);
        self.publish();
    }

    /// When [`LiveMachine::work`] has something to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        let cores = self.cores.values().filter_map(|s| s.replicator.next_timeout()).min();
        let flush = self.unflushed.map(|since| since + FLUSH_AFTER);
        [cores, flush].into_iter().flatten().min()
    }

    /// The next thing the net side has to do.
    pub fn poll_net(&mut self) -> Option<FromLive> {
        self.to_net.pop_front()
    }

    /// Whether a core's signal was raised since the last call.
    pub fn take_raised(&mut self) -> bool {
        std::mem::take(&mut self.raised)
    }

    /// Flushes and wakes everyone who waits for a core.
    pub fn end(&mut self) {
        let _ = self.flush();
        for slot in self.cores.values() {
            slot.shared.signal.raise();
        }
    }

    /// The live cores, those that peers asked for included.
    pub fn cores(&self) -> impl Iterator<Item = &Core> {
        self.cores.values().map(|s| &s.core)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// How often a peer asked for a core whose key it does not know.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    fn timeouts(&mut self, now: Duration) {
        for slot in self.cores.values_mut() {
            if slot.replicator.next_timeout().is_some_and(|t| t <= now) {
                slot.with(|r, core| r.handle_timeout(core, now));
                // Who answers in time is told as well.
                slot.changed = true;
            }
        }
        if self.unflushed.is_some_and(|since| since + FLUSH_AFTER <= now)
            && let Err(e) = self.flush()
        {
            self.cores.values_mut().for_each(|slot| slot.fail(e.clone()));
        }
    }

    /// Works through what the replicators tell.
    fn events(&mut self, now: Duration) {
        let (mut bad, mut delivers) = (Vec::new(), Vec::new());
        for slot in self.cores.values_mut() {
            while let Some(event) = slot.replicator.poll_event() {
                slot.changed = true;
                match event {
                    Event::BlockReceived { len, peer: PeerId(conn), .. } => {
                        slot.downloaded.0 += len as u64;
                        slot.downloaded.1 += 1;
                        self.unflushed.get_or_insert(now);
                        if let Some(c) = self.conns.get_mut(&conn)
                            && c.told_delivered.is_none_or(|at| now.saturating_sub(at) >= DELIVERED_EVERY)
                        {
                            if c.told_delivered.replace(now).is_none() {
                                delivers.push(conn);
                            }
                            self.to_net.push_back(FromLive::Delivered { conn });
                        }
                    }
                    Event::Upgraded { .. } | Event::Reorged { .. } | Event::ManifestReceived => {
                        slot.raise = true;
                        self.unflushed.get_or_insert(now);
                    }
                    Event::DownloadDone(id) => {
                        slot.raise = true;
                        if let Some(state) = slot.downloads.remove(&id) {
                            state.finish();
                        }
                    }
                    Event::InvalidPeer { peer: PeerId(conn), why } => {
                        if let Some(c) = self.conns.get(&conn) {
                            slot.dropped_peer = Some(DroppedPeer { key: c.remote, why: why.clone() });
                            bad.push((conn, c.remote, why));
                        }
                    }
                    Event::Conflict { peer: PeerId(conn), conflict } => {
                        if let Some(c) = self.conns.get(&conn) {
                            tracing::warn!(length = conflict.length, "a peer has another history of a core");
                            slot.conflict(ConflictStatus { peer: c.remote, conflict });
                        }
                    }
                    Event::CoreFailed(why) => {
                        slot.failed = Some(CoreFailure { kind: slot.memory.failed_kind(), why });
                    }
                    Event::HashReceived { .. } | Event::Compared { .. } => slot.raise = true,
                    Event::PeerSynced { .. } | Event::PeerIdle(_) => {}
                }
            }
        }
        for conn in delivers {
            self.cores.values_mut().for_each(|slot| slot.replicator.delivers(PeerId(conn)));
        }
        for (conn, remote, why) in bad {
            tracing::info!(conn, %why, "peer dropped");
            self.to_net.push_back(FromLive::Ban { conn, remote, why });
            self.conn_closed(conn);
        }
    }
}
