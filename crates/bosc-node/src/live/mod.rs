//! The thread that owns live cores: one replicator a core, one mux a connection.
//!
//! It takes what the socket thread decrypted, callers' wishes and changes of the store; it gives frames to the
//! socket thread and snapshots to callers. It blocks on the store's disk and on nothing else, so a slow disk
//! slows peers down through [`crate::credit::Credit`] and never loses a datagram.
//!
//! Life of a channel: we open one for every live core on every connection; the other side opens its own for a
//! core we keep and makes that core live. A channel counts only after the other side's capability proved that
//! it knows the core's key.

mod access;
mod channels;
mod conn;
mod pump;

use crate::credit::Credit;
use crate::net::NetCommand;
use crate::signal::Signal;
use crate::status::CoreStatus;
use crate::swarm::ConnId;
use bosc_format::crypto::{CoreKey, DiscoveryKey, PublicKey};
use bosc_store::{Core, Store};
use bosc_wire::replication::{Config, Download, DownloadId, Event, LocalChange, PeerId, Replicator};
use bytes::Bytes;
use conn::Conn;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most inputs worked through before what they cause is sent.
const BATCH: usize = 256;
/// Priority of blocks that a caller waits for.
const WANTED: u8 = 128;
/// How long received blocks may stay unflushed.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// What the thread is told.
pub(crate) enum Input {
    /// A connection is open.
    Open { conn: ConnId, remote: PublicKey, initiator: bool, hash: [u8; 64], credit: Arc<Credit> },
    /// Messages came in on it.
    Messages { conn: ConnId, messages: Vec<Bytes>, bytes: usize },
    /// There is room to send on it again.
    Writable { conn: ConnId },
    /// Bytes arrive on it, perhaps of a message that is not whole yet.
    Active { conn: ConnId },
    /// It ended.
    Closed { conn: ConnId },
    /// Make a core live.
    Attach { core: Core, reply: Sender<Arc<CoreShared>> },
    /// Download blocks.
    Download { key: CoreKey, download: Download, reply: Sender<Arc<DownloadState>> },
    /// Stop downloading them.
    Cancel { key: CoreKey, state: Arc<DownloadState> },
    /// Compare peers' histories with ours.
    Compare { key: CoreKey },
    /// Get these blocks before others.
    Want { key: CoreKey, blocks: Vec<u64> },
    /// Get the leaf hashes of these blocks of the present head, without the blocks.
    Hashes { key: CoreKey, ranges: Vec<Range<u64>> },
    /// The store's core was changed by someone else in this process.
    Changed { key: CoreKey, change: LocalChange },
    /// Write all that was received to disk, then answer.
    Flush { reply: Sender<Result<(), String>> },
    /// End.
    Close,
}

/// A live core's snapshot, shared with callers.
#[derive(Debug, Default)]
pub(crate) struct CoreShared {
    status: Mutex<CoreStatus>,
}

impl CoreShared {
    pub(crate) fn status(&self) -> CoreStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A download's state, shared with callers.
#[derive(Debug, Default)]
pub(crate) struct DownloadState {
    done: std::sync::atomic::AtomicBool,
    id: Mutex<Option<DownloadId>>,
}

impl DownloadState {
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn finish(&self) {
        self.done.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

struct Slot {
    core: Core,
    replicator: Replicator,
    shared: Arc<CoreShared>,
    downloads: HashMap<DownloadId, Arc<DownloadState>>,
    peers: BTreeSet<ConnId>,
    peers_seen: u64,
    changed: bool,
    failed: Option<String>,
    dropped_peer: Option<String>,
    downloaded: (u64, u64),
    gone: (u64, u64),
    reorg: Option<access::PendingReorg>,
    _watch: bosc_store::Subscription,
}

pub(crate) struct Live {
    store: Option<Store>,
    start: Instant,
    seed: u64,
    cores: HashMap<CoreKey, Slot>,
    discovery: HashMap<DiscoveryKey, CoreKey>,
    conns: HashMap<ConnId, Conn>,
    net: tokio::sync::mpsc::UnboundedSender<NetCommand>,
    inputs: Sender<Input>,
    signal: Signal,
    unflushed: Option<Duration>,
    dirty: HashSet<ConnId>,
}

impl Live {
    pub(crate) fn new(
        store: Option<Store>,
        start: Instant,
        seed: u64,
        net: tokio::sync::mpsc::UnboundedSender<NetCommand>,
        inputs: Sender<Input>,
        signal: Signal,
    ) -> Self {
        Self {
            store,
            start,
            seed,
            cores: HashMap::new(),
            discovery: HashMap::new(),
            conns: HashMap::new(),
            net,
            inputs,
            signal,
            unflushed: None,
            dirty: HashSet::new(),
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs until told to close.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            let wait = self.next_timeout().map_or(Duration::from_secs(1), |t| t.saturating_sub(self.now()));
            match inputs.recv_timeout(wait) {
                Ok(Input::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(first) => {
                    self.input(first);
                    for next in inputs.try_iter().take(BATCH) {
                        if matches!(next, Input::Close) {
                            self.end();
                            return;
                        }
                        self.input(next);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.timeouts();
            self.events();
            self.pump();
            self.publish();
        }
        self.end();
    }

    fn end(&mut self) {
        if let Some(store) = &self.store {
            let _ = store.flush();
        }
        self.signal.raise();
    }

    fn next_timeout(&self) -> Option<Duration> {
        let cores = self.cores.values().filter_map(|s| s.replicator.next_timeout()).min();
        let flush = self.unflushed.map(|since| since + FLUSH_AFTER);
        [cores, flush].into_iter().flatten().min()
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Open { conn, remote, initiator, hash, credit } => {
                self.conns.insert(conn, Conn::new(remote, initiator, hash, credit));
                for key in self.cores.keys().copied().collect::<Vec<_>>() {
                    self.open_channel(conn, key);
                }
                self.dirty.insert(conn);
            }
            Input::Messages { conn, messages, bytes } => self.messages(conn, messages, bytes),
            Input::Writable { conn } => {
                self.dirty.insert(conn);
            }
            Input::Active { conn } => {
                let now = self.now();
                for slot in self.cores.values_mut() {
                    slot.replicator.peer_active(PeerId(conn), now);
                }
            }
            Input::Closed { conn } => self.conn_closed(conn),
            Input::Attach { core, reply } => {
                let key = *core.key();
                self.attach(core);
                if let Some(slot) = self.cores.get(&key) {
                    let _ = reply.send(Arc::clone(&slot.shared));
                }
            }
            Input::Download { key, download, reply } => {
                let state = Arc::new(DownloadState::default());
                if let Some(slot) = self.cores.get_mut(&key) {
                    let access = access::Access::new(&slot.core, &mut slot.reorg);
                    let id = slot.replicator.download(download, &access);
                    *state.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
                    slot.downloads.insert(id, Arc::clone(&state));
                }
                let _ = reply.send(state);
            }
            Input::Cancel { key, state } => {
                let id = *state.id.lock().unwrap_or_else(PoisonError::into_inner);
                if let (Some(slot), Some(id)) = (self.cores.get_mut(&key), id) {
                    slot.replicator.cancel(id);
                    slot.downloads.remove(&id);
                }
            }
            Input::Compare { key } => {
                if let Some(slot) = self.cores.get_mut(&key) {
                    slot.replicator.compare();
                }
            }
            Input::Want { key, blocks } => {
                if let Some(slot) = self.cores.get_mut(&key) {
                    let access = access::Access::new(&slot.core, &mut slot.reorg);
                    for block in blocks {
                        slot.replicator.want_block(block, WANTED, &access);
                    }
                }
            }
            Input::Hashes { key, ranges } => {
                if let Some(slot) = self.cores.get_mut(&key) {
                    let access = access::Access::new(&slot.core, &mut slot.reorg);
                    for range in ranges {
                        slot.replicator.want_hashes(range.start, range.end, &access);
                    }
                }
            }
            Input::Changed { key, change } => {
                let now = self.now();
                if let Some(slot) = self.cores.get_mut(&key) {
                    let mut access = access::Access::new(&slot.core, &mut slot.reorg);
                    slot.replicator.local_changed(change, &mut access, now);
                    slot.changed = true;
                }
            }
            Input::Flush { reply } => {
                let result = self.flush();
                let _ = reply.send(result);
            }
            Input::Close => {}
        }
    }

    fn attach(&mut self, core: Core) {
        let key = *core.key();
        if self.cores.contains_key(&key) {
            return;
        }
        let config = Config { seed: self.seed, ..Config::default() };
        let inputs = self.inputs.clone();
        // Before the replicator takes the head: a change between the two is told twice, not lost.
        let watch = access::watch(&core, move |change| {
            let _ = inputs.send(Input::Changed { key, change });
        });
        let mut reorg = None;
        let replicator = Replicator::new(config, &access::Access::new(&core, &mut reorg));
        self.discovery.insert(*core.discovery_key(), key);
        let slot = Slot {
            core,
            replicator,
            shared: Arc::new(CoreShared::default()),
            downloads: HashMap::new(),
            peers: BTreeSet::new(),
            peers_seen: 0,
            changed: true,
            failed: None,
            dropped_peer: None,
            downloaded: (0, 0),
            gone: (0, 0),
            reorg,
            _watch: watch,
        };
        self.cores.insert(key, slot);
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            self.open_channel(conn, key);
        }
        self.publish();
    }

    fn timeouts(&mut self) {
        let now = self.now();
        for slot in self.cores.values_mut() {
            if slot.replicator.next_timeout().is_some_and(|t| t <= now) {
                let mut access = access::Access::new(&slot.core, &mut slot.reorg);
                slot.replicator.handle_timeout(&mut access, now);
                // Who answers in time is told as well.
                slot.changed = true;
            }
        }
        if self.unflushed.is_some_and(|since| since + FLUSH_AFTER <= now)
            && let Err(e) = self.flush()
        {
            for slot in self.cores.values_mut() {
                slot.failed = Some(e.clone());
                slot.changed = true;
            }
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        self.unflushed = None;
        match &self.store {
            Some(store) => store.flush().map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// Works through what the replicators tell.
    fn events(&mut self) {
        let now = self.now();
        let mut bad = Vec::new();
        for slot in self.cores.values_mut() {
            while let Some(event) = slot.replicator.poll_event() {
                slot.changed = true;
                match event {
                    Event::BlockReceived { len, .. } => {
                        slot.downloaded.0 += len as u64;
                        slot.downloaded.1 += 1;
                        self.unflushed.get_or_insert(now);
                    }
                    Event::Upgraded { .. } | Event::Reorged { .. } | Event::ManifestReceived => {
                        self.unflushed.get_or_insert(now);
                    }
                    Event::DownloadDone(id) => {
                        if let Some(state) = slot.downloads.remove(&id) {
                            state.finish();
                        }
                    }
                    Event::InvalidPeer { peer: PeerId(conn), why } => {
                        slot.dropped_peer = Some(why.to_string());
                        bad.push((conn, why));
                    }
                    Event::CoreFailed(why) => slot.failed = Some(why),
                    Event::HashReceived { .. }
                    | Event::Compared { .. }
                    | Event::PeerSynced { .. }
                    | Event::PeerIdle(_) => {}
                }
            }
        }
        for (conn, why) in bad {
            tracing::info!(conn, %why, "peer dropped");
            let _ = self.net.send(NetCommand::Ban { conn });
            self.conn_closed(conn);
        }
    }

    /// Gives callers new snapshots of what changed.
    fn publish(&mut self) {
        let mut any = false;
        for slot in self.cores.values_mut() {
            if !std::mem::take(&mut slot.changed) {
                continue;
            }
            any = true;
            let head = slot.core.head();
            let mut status = CoreStatus {
                fork: head.fork,
                length: head.length,
                byte_length: head.byte_length,
                contiguous_length: slot.core.contiguous_length(),
                has_manifest: access::has_manifest(&slot.core),
                peers: Vec::with_capacity(slot.peers.len()),
                peers_seen: slot.peers_seen,
                downloaded_bytes: slot.downloaded.0,
                downloaded_blocks: slot.downloaded.1,
                uploaded_bytes: slot.gone.0,
                uploaded_blocks: slot.gone.1,
                failed: slot.failed.clone(),
                dropped_peer: slot.dropped_peer.clone(),
            };
            for conn in &slot.peers {
                let (Some(c), Some(p)) = (self.conns.get(conn), slot.replicator.stats(PeerId(*conn))) else {
                    continue;
                };
                status.uploaded_bytes += p.uploaded_bytes;
                status.uploaded_blocks += p.uploaded_blocks;
                status.peers.push(crate::status::PeerStatus {
                    key: c.remote,
                    synced: p.remote_synced,
                    fork: p.remote_fork,
                    length: p.remote_length,
                    contiguous_length: p.remote_contiguous_length,
                    proved_length: p.remote_proved_length,
                    other_history: p.remote_other_history,
                    unproved: p.remote_unproved,
                });
            }
            *slot.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        }
        if any {
            self.signal.raise();
        }
    }
}
