//! Blind peers: asking one to keep cores, and being one. The message is in `bosc_wire::blind_peer`.
//!
//! ```text
//!   we ask:      Connecting ── connection open, channel open: all wishes sent ──▶ Asked ── connection lost ──▶ Connecting
//!                                         └── the channel is rejected or closed ──▶ Refused, until the next connection
//!   we are one:  channel offered ── allowed? ──▶ opened ── message ──▶ BlindRequest, which the owner takes and decides on;
//!                     └── no ──▶ rejected           └── too much, or no such message ──▶ closed
//! ```
//!
//! # Invariants
//!
//! * What is asked of us changes nothing by itself: the owner of the node makes the core and calls
//!   [`LiveMachine::attach_for_clients`], or does not. Only then a channel for it is opened, and only to those who asked.
//! * A node that is a blind peer offers nobody what it keeps for others: a core that was not attached by
//!   [`LiveMachine::attach`] is there for those who ask for it.
//! * A client costs at most [`MAX_KEYS`] keys in memory for as long as it is connected, all clients together
//!   [`MAX_WAITING`] wishes that wait for the owner, and each [`BURST`] wishes at once and [`RATE`] a second.

use super::machine::LiveMachine;
use super::shared::CoreShared;
use crate::swarm::ConnId;
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_store::Core;
use bosc_wire::blind_peer::{CORES, Cores, MAX_CORES, PROTOCOL};
use bosc_wire::mux::ChannelId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most keys that one connection may have asked for.
const MAX_KEYS: usize = 4096;
/// Most wishes that wait for the owner.
const MAX_WAITING: usize = 4096;
/// Wishes that a client may send at once.
const BURST: f64 = 1024.0;
/// Wishes that a client may send a second, in the long run.
const RATE: f64 = 16.0;

/// Who may ask us to keep cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlindFor {
    /// Everyone.
    Anyone,
    /// Those with these keys.
    Keys(BTreeSet<PublicKey>),
}

/// How a blind peer that we ask stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlindPeerState {
    /// No connection to it, which is tried again and again.
    #[default]
    Connecting,
    /// It was asked. Whether it does it is seen from what it holds: it is a peer of the cores.
    Asked,
    /// It is no blind peer, or none for us.
    Refused,
}

/// What a client asks of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlindRequest {
    /// Its key.
    pub client: PublicKey,
    /// What it asks for.
    pub cores: Cores,
}

/// Shared with the owner of the node.
#[derive(Debug, Default)]
pub struct BlindShared {
    states: Mutex<BTreeMap<PublicKey, BlindPeerState>>,
    requests: Mutex<VecDeque<BlindRequest>>,
}

impl BlindShared {
    /// How the blind peers stand that we ask.
    pub fn states(&self) -> BTreeMap<PublicKey, BlindPeerState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What clients asked since the last call, in order.
    pub fn take_requests(&self) -> Vec<BlindRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Keeps a request for the owner. Whether there was room.
    fn push(&self, request: BlindRequest) -> bool {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // One without a core costs something, too.
        let of = |r: &BlindRequest| r.cores.cores.len().max(1);
        let waiting: usize = requests.iter().map(of).sum();
        let fits = waiting.saturating_add(of(&request)) <= MAX_WAITING;
        if fits {
            requests.push_back(request);
        }
        fits
    }
}

/// What a machine knows of blind peers.
#[derive(Debug, Default)]
pub(super) struct Blind {
    pub(super) shared: Arc<BlindShared>,
    /// What we ask of whom.
    pub(super) asks: BTreeMap<PublicKey, Cores>,
}

/// The channel of one connection.
#[derive(Debug)]
pub(super) struct BlindChannel {
    pub(super) channel: ChannelId,
    open: bool,
    /// Wishes that may still come, and when that was.
    left: (f64, Duration),
    /// What the client asked for.
    keys: BTreeSet<CoreKey>,
}

impl BlindChannel {
    fn new(channel: ChannelId, now: Duration) -> Self {
        Self { channel, open: false, left: (BURST, now), keys: BTreeSet::new() }
    }

    /// Takes so many wishes from what the client may send. Whether it may.
    fn may_ask(&mut self, wishes: usize, now: Duration) -> bool {
        let (left, at) = self.left;
        let left = (left + now.saturating_sub(at).as_secs_f64() * RATE).min(BURST) - wishes.max(1) as f64;
        self.left = (left.max(0.0), now);
        left >= 0.0
    }
}

impl LiveMachine {
    /// Asks a blind peer to keep cores, in place of what it was asked before; nothing asks it for no more. Who connects to it is
    /// the net side.
    pub fn ask_blind_peer(&mut self, peer: PublicKey, cores: Option<Cores>, now: Duration) {
        match cores {
            Some(cores) => {
                self.blind.asks.insert(peer, cores);
                let shared = Arc::clone(&self.blind.shared);
                shared.states.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default();
            }
            None => {
                self.blind.asks.remove(&peer);
                let shared = Arc::clone(&self.blind.shared);
                shared.states.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
            }
        }
        let to = self.conns.iter().filter(|(_, c)| c.remote == peer).map(|(conn, _)| *conn);
        for conn in to.collect::<Vec<_>>() {
            self.open_blind(conn, now);
            self.send_wishes(conn);
        }
    }

    /// Opens the channel to a blind peer that we ask.
    pub(super) fn open_blind(&mut self, conn: ConnId, now: Duration) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if c.blind.is_some() || !self.blind.asks.contains_key(&c.remote) {
            return;
        }
        if let Ok(channel) = c.mux.open(PROTOCOL, None, &[]) {
            c.blind = Some(BlindChannel::new(channel, now));
            self.dirty.insert(conn);
        }
    }

    /// Somebody offers the channel: a client, if we are a blind peer. Returns whether it was taken.
    pub(super) fn blind_offered(&mut self, conn: ConnId, protocol: &str, now: Duration) -> bool {
        let Some(c) = self.conns.get_mut(&conn).filter(|_| protocol == PROTOCOL) else { return false };
        let allowed = match &self.setup.blind_for {
            Some(BlindFor::Anyone) => true,
            Some(BlindFor::Keys(keys)) => keys.contains(&c.remote),
            None => false,
        };
        if !allowed || c.blind.is_some() {
            return false;
        }
        let Ok(channel) = c.mux.open(PROTOCOL, None, &[]) else { return false };
        c.blind = Some(BlindChannel::new(channel, now));
        self.dirty.insert(conn);
        true
    }

    /// Both sides opened it. Returns whether it is such a channel.
    pub(super) fn blind_opened(&mut self, conn: ConnId, channel: ChannelId) -> bool {
        let Some(b) = self.conns.get_mut(&conn).and_then(|c| c.blind.as_mut()) else { return false };
        if b.channel != channel {
            return false;
        }
        b.open = true;
        self.send_wishes(conn);
        true
    }

    fn send_wishes(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let Some(channel) = c.blind.as_ref().filter(|b| b.open).map(|b| b.channel) else { return };
        let Some(asked) = self.blind.asks.get(&c.remote) else { return };
        for part in asked.cores.chunks(MAX_CORES) {
            let part = Cores { cores: part.to_vec(), ..asked.clone() };
            let _ = c.mux.send(channel, CORES, &part.encode());
        }
        let peer = c.remote;
        self.dirty.insert(conn);
        self.blind_state(peer, BlindPeerState::Asked);
    }

    /// A message on it. Returns whether it is such a channel.
    pub(super) fn blind_message(
        &mut self,
        conn: ConnId,
        channel: ChannelId,
        (ty, payload): (u32, &[u8]),
        now: Duration,
    ) -> bool {
        let Some(c) = self.conns.get_mut(&conn) else { return false };
        let Some(b) = c.blind.as_mut().filter(|b| b.channel == channel) else { return false };
        if ty != CORES || self.setup.blind_for.is_none() {
            return true;
        }
        let taken = match Cores::decode(payload) {
            Ok(cores) if b.may_ask(cores.cores.len(), now) => {
                b.keys.extend(cores.cores.iter().map(|wish| wish.key));
                b.keys.len() <= MAX_KEYS && self.blind.shared.push(BlindRequest { client: c.remote, cores })
            }
            _ => false,
        };
        if taken {
            self.raised = true;
        } else {
            // It may come again on another connection; what it had asked for before stays as it is.
            tracing::debug!(conn, "a client of the blind peer asks for too much");
            c.mux.close(channel);
            c.blind = None;
            self.dirty.insert(conn);
        }
        true
    }

    /// It was closed by the other side.
    pub(super) fn blind_closed(&mut self, conn: ConnId, channel: ChannelId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if c.blind.take_if(|b| b.channel == channel).is_some() {
            let peer = c.remote;
            self.blind_state(peer, BlindPeerState::Refused);
        }
    }

    /// A connection is over.
    pub(super) fn blind_gone(&mut self, peer: PublicKey) {
        if !self.conns.values().any(|c| c.remote == peer && c.blind.is_some()) {
            let states = self.blind.shared.states();
            // Who refused has not changed its mind by being away.
            if states.get(&peer) == Some(&BlindPeerState::Asked) {
                self.blind_state(peer, BlindPeerState::Connecting);
            }
        }
    }

    fn blind_state(&mut self, peer: PublicKey, state: BlindPeerState) {
        let mut states = self.blind.shared.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = states.get_mut(&peer)
            && std::mem::replace(known, state) != state
        {
            self.raised = true;
        }
    }

    /// Makes a core live for those who ask for it: channels for it are opened to clients that asked us to keep it, and to nobody
    /// else before they open theirs. One that is live for all stays so.
    pub fn attach_for_clients(&mut self, core: Core) -> Arc<CoreShared> {
        let key = *core.key();
        let shared = self.attach_as(core, false);
        let asked = |b: &BlindChannel| b.keys.contains(&key);
        let clients = self.conns.iter().filter(|(_, c)| c.blind.as_ref().is_some_and(asked));
        for conn in clients.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            self.open_channel(conn, key);
        }
        shared
    }

    /// A core is live no longer: its channels are closed and its downloads forgotten.
    pub fn detach(&mut self, key: &CoreKey, now: Duration) {
        self.take_in(now);
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            let Some(c) = self.conns.get_mut(&conn) else { continue };
            let Some(channel) = c.by_core.get(key).copied() else { continue };
            c.mux.close(channel);
            self.channel_closed(conn, channel);
            self.dirty.insert(conn);
        }
        if let Some(slot) = self.cores.remove(key) {
            slot.shared.signal.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_send_a_burst_and_then_so_many_a_second() {
        let mut mux = bosc_wire::mux::Mux::new(bosc_wire::mux::Limits::default());
        let channel = mux.open(PROTOCOL, None, &[]).unwrap();
        let mut b = BlindChannel::new(channel, Duration::ZERO);
        for _ in 0..4 {
            assert!(b.may_ask(256, Duration::ZERO));
        }
        assert!(!b.may_ask(1, Duration::ZERO), "an empty message counts as well");
        assert!(b.may_ask(0, Duration::from_millis(100)));
        assert!(!b.may_ask(32, Duration::from_secs(1)));
        assert!(b.may_ask(32, Duration::from_secs(4)));
    }

    #[test]
    fn what_waits_for_the_owner_is_bounded() {
        let shared = BlindShared::default();
        let request = |n: usize| {
            let wish = bosc_wire::blind_peer::Wish { key: [1; 32], length: 1 };
            BlindRequest { client: [7; 32], cores: Cores { cores: vec![wish; n], ..Cores::default() } }
        };
        for _ in 0..MAX_WAITING / 256 - 1 {
            assert!(shared.push(request(256)));
        }
        assert!(!shared.push(request(257)));
        for _ in 0..256 {
            assert!(shared.push(request(0)), "those without a core count as one");
        }
        assert!(!shared.push(request(0)));
        assert_eq!(shared.take_requests().len(), MAX_WAITING / 256 - 1 + 256);
        assert!(shared.push(request(256)));
    }
}
