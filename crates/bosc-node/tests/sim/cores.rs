//! Live cores and the connections they are offered on: what `live` does in the node, without its thread.

use super::access::{Access, PendingReorg};
use super::host::Host;
use super::liar::{Liar, Lies};
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_node::swarm::ConnId;
use bosc_store::{Core, CoreChange, Subscription};
use bosc_wire::mux::{ChannelId, Limits, Mux, MuxEvent};
use bosc_wire::replication::{
    Config, CoreAccess, Download, Event, LocalChange, PROTOCOL, PeerId, Replicator, local_handshake,
    verify_remote_handshake,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of frames that may wait for a connection before no more are made. Small, so that it is reached.
const OUTBOUND_HIGH: usize = 96 << 10;
/// What one turn may add to that: a message at least.
const TURN: usize = 32 << 10;
/// No queue of frames may ever be longer: the bound, a turn, and one message with the greatest block.
const OUTBOUND_MAX: usize = OUTBOUND_HIGH + TURN + (64 << 10);

/// A live core.
pub(super) struct Slot {
    pub(super) core: Core,
    replicator: Replicator,
    reorg: Option<PendingReorg>,
    lies: Option<Rc<Lies>>,
    changes: Arc<Mutex<Vec<CoreChange>>>,
    _watch: Subscription,
}

impl Slot {
    fn new(core: Core, seed: u64, download: bool, lies: Option<Rc<Lies>>) -> Self {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&changes);
        let watch = core.subscribe(Box::new(move |change| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        }));
        let mut reorg = None;
        let config = Config { seed, ..Config::default() };
        let replicator = Replicator::new(config, &Access::new(&core, &mut reorg));
        let mut slot = Self { core, replicator, reorg, lies, changes, _watch: watch };
        if download {
            slot.with(|r, core| r.download(Download::live(), core));
        }
        slot
    }

    /// Does something with the replicator and the core as it is shown to peers.
    fn with<T>(&mut self, f: impl FnOnce(&mut Replicator, &mut dyn CoreAccess) -> T) -> T {
        let inner = Access::new(&self.core, &mut self.reorg);
        match &self.lies {
            None => {
                let mut inner = inner;
                f(&mut self.replicator, &mut inner)
            }
            Some(lies) => f(&mut self.replicator, &mut Liar { inner, lies }),
        }
    }

    /// What the store told of since the last call.
    pub(super) fn take_changes(&self) -> Vec<CoreChange> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.replicator.next_timeout()
    }
}

/// A connection's multiplexer and which channel carries which core.
pub(super) struct Conn {
    remote: PublicKey,
    initiator: bool,
    hash: [u8; 64],
    mux: Mux,
    channels: BTreeMap<ChannelId, (CoreKey, bool)>,
    by_core: BTreeMap<CoreKey, ChannelId>,
    ready: BTreeSet<CoreKey>,
}

impl Host {
    /// Makes a core live.
    pub(super) fn attach(&mut self, core: Core) {
        let key = *core.key();
        if self.cores.contains_key(&key) {
            return;
        }
        let slot = Slot::new(core, self.rng.next_u64(), self.download, self.lies.clone());
        self.cores.insert(key, slot);
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            self.open_channel(conn, key);
        }
    }

    /// The owner changed the core.
    pub(super) fn local_changed(&mut self, key: &CoreKey, change: LocalChange, now: Duration) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.with(|r, core| r.local_changed(change, core, now));
        }
    }

    pub(super) fn conn_opened(&mut self, id: ConnId, remote: PublicKey, initiator: bool, hash: [u8; 64]) {
        let conn = Conn {
            remote,
            initiator,
            hash,
            mux: Mux::new(Limits::default()),
            channels: BTreeMap::new(),
            by_core: BTreeMap::new(),
            ready: BTreeSet::new(),
        };
        self.conns.insert(id, conn);
        for key in self.cores.keys().copied().collect::<Vec<_>>() {
            self.open_channel(id, key);
        }
    }

    fn open_channel(&mut self, id: ConnId, key: CoreKey) {
        let (Some(c), Some(slot)) = (self.conns.get_mut(&id), self.cores.get(&key)) else { return };
        if c.by_core.contains_key(&key) {
            return;
        }
        let handshake = local_handshake(c.initiator, &key, &c.hash);
        if let Ok(channel) = c.mux.open(PROTOCOL, Some(&slot.core.discovery_key()[..]), &handshake) {
            c.channels.insert(channel, (key, false));
            c.by_core.insert(key, channel);
        }
        self.dirty.insert(id);
    }

    pub(super) fn message(&mut self, id: ConnId, message: Bytes, now: Duration) {
        let Some(c) = self.conns.get_mut(&id) else { return };
        if let Err(e) = c.mux.feed(message) {
            panic!("the other side's mux made a frame that ours refuses: {e}");
        }
        self.dirty.insert(id);
        loop {
            let Some(c) = self.conns.get_mut(&id) else { return };
            match c.mux.poll_event() {
                Ok(Some(event)) => self.mux_event(id, event, now),
                Ok(None) => return,
                Err(e) => panic!("the other side's mux made a frame that ours refuses: {e}"),
            }
        }
    }

    fn mux_event(&mut self, id: ConnId, event: MuxEvent, now: Duration) {
        match event {
            MuxEvent::RemoteOpen { protocol, id: topic, .. } => {
                let topic = topic.as_deref().and_then(|t| <[u8; 32]>::try_from(t).ok());
                let core = topic.and_then(|d| self.store.as_ref()?.get_by_discovery_key(&d).unwrap());
                if let Some(core) = core {
                    let key = *core.key();
                    self.attach(core);
                    self.open_channel(id, key);
                } else if let Some(c) = self.conns.get_mut(&id) {
                    c.mux.reject(&protocol, topic.as_ref().map(|t| &t[..]));
                }
            }
            MuxEvent::Opened { channel, handshake } => {
                let Some(c) = self.conns.get_mut(&id) else { return };
                let Some((key, verified)) = c.channels.get_mut(&channel) else { return };
                let ok = verify_remote_handshake(c.initiator, key, &c.hash, &handshake);
                assert_eq!(ok, Ok(true), "every simulated peer knows the key");
                *verified = true;
                if let Some(slot) = self.cores.get_mut(key) {
                    slot.with(|r, core| r.add_peer(PeerId(id), core, now));
                }
            }
            MuxEvent::Message { channel, ty, payload } => {
                let Some(c) = self.conns.get(&id) else { return };
                let Some((core, true)) = c.channels.get(&channel).copied() else { return };
                if let Some(slot) = self.cores.get_mut(&core) {
                    slot.with(|r, core| r.handle_message(PeerId(id), ty, payload, core, now));
                }
            }
            MuxEvent::Closed { channel, .. } => {
                let Some(c) = self.conns.get_mut(&id) else { return };
                let Some((key, _)) = c.channels.remove(&channel) else { return };
                c.by_core.remove(&key);
                self.remove_peer(id, &key);
            }
        }
    }

    fn remove_peer(&mut self, id: ConnId, key: &CoreKey) {
        if let Some(slot) = self.cores.get_mut(key) {
            slot.with(|r, core| r.remove_peer(PeerId(id), core));
        }
    }

    pub(super) fn conn_closed(&mut self, id: ConnId) {
        let Some(c) = self.conns.remove(&id) else { return };
        self.dirty.remove(&id);
        for key in c.by_core.keys() {
            self.remove_peer(id, key);
        }
    }

    pub(super) fn core_timeouts(&mut self, now: Duration) {
        for slot in self.cores.values_mut() {
            if slot.next_timeout().is_some_and(|t| t <= now) {
                slot.with(|r, core| r.handle_timeout(core, now));
            }
        }
    }

    /// Works through what the replicators tell. Returns whether there was anything.
    pub(super) fn core_events(&mut self, now: Duration) -> bool {
        let mut bad = Vec::new();
        let mut any = false;
        for slot in self.cores.values_mut() {
            while let Some(event) = slot.replicator.poll_event() {
                any = true;
                match event {
                    Event::InvalidPeer { peer: PeerId(conn), why } => bad.push((conn, why)),
                    Event::CoreFailed(why) => panic!("the store failed: {why}"),
                    Event::DownloadDone(_) => panic!("a live download is never done"),
                    _ => {}
                }
            }
        }
        for (conn, why) in bad {
            if let Some(c) = self.conns.get(&conn) {
                self.banned.push((c.remote, why.to_string()));
                self.swarm.ban(&c.remote, now);
            }
            self.conn_closed(conn);
            self.close_conn(conn, now);
        }
        any
    }

    /// Makes messages for every connection that has room. Returns whether any was made.
    pub(super) fn pump(&mut self, now: Duration) -> bool {
        for (key, slot) in &mut self.cores {
            while let Some(PeerId(conn)) = slot.replicator.poll_ready() {
                if let Some(c) = self.conns.get_mut(&conn) {
                    c.ready.insert(*key);
                    self.dirty.insert(conn);
                }
            }
        }
        let mut any = false;
        for conn in std::mem::take(&mut self.dirty) {
            any |= self.pump_one(conn, now);
        }
        any
    }

    fn pump_one(&mut self, id: ConnId, now: Duration) -> bool {
        let waiting = self.outbound(id);
        assert!(waiting <= OUTBOUND_MAX, "{waiting} bytes wait for one connection");
        if waiting >= OUTBOUND_HIGH {
            // Taken up again when the stream has taken some.
            self.starved.insert(id);
            return false;
        }
        let Some(c) = self.conns.get_mut(&id) else { return false };
        let mut made = 0;
        c.mux.cork();
        while let Some(key) = c.ready.first().copied() {
            let (Some(channel), Some(slot)) = (c.by_core.get(&key), self.cores.get_mut(&key)) else {
                c.ready.remove(&key);
                continue;
            };
            let Some(out) = slot.with(|r, core| r.poll_outgoing(PeerId(id), core, now)) else {
                c.ready.remove(&key);
                continue;
            };
            made += out.payload.len();
            if c.mux.send_parts(*channel, out.kind as u32, &out.payload.into_parts()).is_err() {
                c.ready.remove(&key);
            }
            if made >= TURN {
                break;
            }
        }
        c.mux.uncork();
        if !c.ready.is_empty() {
            self.dirty.insert(id);
        }
        let mut frames = Vec::new();
        while let Some(frame) = c.mux.poll_frame() {
            frames.push(frame);
        }
        let any = !frames.is_empty();
        self.send_frames(id, frames, now);
        any
    }
}
