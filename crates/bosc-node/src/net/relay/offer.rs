//! Relays that nobody configured: a peer that others reach offers itself to those who share a core with it.
//!
//! ```text
//!   offers: opens the protomux channel "bosc/relay", with the relay's key as its handshake  ──▶  keeps the key with the connection,
//!                                                                                                rejects the channel
//! ```
//!
//! JavaScript peers reject a channel of a protocol that they do not know, as protomux has it; nothing else of a connection
//! changes. Who knows a relay names it in handshakes as any relay is named (`relayThrough`), so the peer at the other end may
//! be a JavaScript one.
//!
//! # Invariants
//!
//! * An offer counts while the connection that it came on is open and its peer shares a core with us: it is gone with the peer.
//! * One for each connection: the last.
//! * It is named only to peers that were tried in vain before: a JavaScript peer asks a relay that is named to it at once, whether it is
//!   needed or not.
//! * Who may use ours is known by the key that it shares a core under, or by its IP address: JavaScript peers ask relays under
//!   another key than they swarm under (hyperswarm gives its own to no DHT). The address is what the DHT says of a handshake, so
//!   somebody may lie about it; all that is to be had is a part of the bounded rate.
//! * Whichever comes second, the failure of a peer's first attempt or an offer, has that peer tried again at once, and once only: who
//!   offers relays again and again causes no attempts.
//! * A relay that was configured is taken before any that was offered, and from the first attempt on.
//! * A relay sees who talks to whom, how much and when, and nothing of what is said; a peer that shares the core learns the
//!   former from the DHT as well.

use super::MAX_RELAYS_NAMED;
use crate::net::machine::NetMachine;
use crate::swarm::ConnId;
use bosc_format::crypto::PublicKey;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most peers remembered that could not be reached.
const IN_VAIN: usize = 256;

/// A peer that could not be reached.
#[derive(Debug)]
struct InVain {
    peer: PublicKey,
    /// It was tried again for the sake of an offer: no other offer does that once more.
    hurried: bool,
}

/// What is known of offers, and who may take ours.
#[derive(Debug, Default)]
pub(in crate::net) struct Offers {
    theirs: BTreeMap<ConnId, PublicKey>,
    /// Peers that could not be reached, the last ones.
    in_vain: VecDeque<InVain>,
    /// Peers that share a core with us, and where they are. Shared with the connector, which asks.
    sharers: Arc<Mutex<BTreeMap<PublicKey, Option<Ipv4Addr>>>>,
}

impl Offers {
    /// Answers whether a peer shares a core with us, or comes from where one does.
    pub(in crate::net) fn shares(&self) -> impl Fn(&PublicKey, Ipv4Addr) -> bool + Send + use<> {
        let sharers = Arc::clone(&self.sharers);
        move |key, host| {
            let sharers = sharers.lock().unwrap_or_else(PoisonError::into_inner);
            sharers.contains_key(key) || sharers.values().any(|at| *at == Some(host))
        }
    }

    fn set(&self, peer: PublicKey, host: Option<Option<Ipv4Addr>>) {
        let mut sharers = self.sharers.lock().unwrap_or_else(PoisonError::into_inner);
        match host {
            Some(host) => sharers.insert(peer, host),
            None => sharers.remove(&peer),
        };
    }
}

impl NetMachine {
    /// An attempt to reach a peer has failed, and the swarm knows.
    pub(in crate::net) fn note_in_vain(&mut self, peer: PublicKey, now: Duration) {
        let known = &mut self.offers.in_vain;
        if !known.iter().any(|other| other.peer == peer) {
            known.push_back(InVain { peer, hurried: false });
        }
        if known.len() > IN_VAIN {
            known.pop_front();
        }
        self.try_by_offers(now);
    }

    /// A peer offers itself as a relay.
    pub(in crate::net) fn relay_offered(&mut self, conn: ConnId, key: PublicKey, now: Duration) {
        if self.by_conn.contains_key(&conn) {
            self.offers.theirs.insert(conn, key);
            self.try_by_offers(now);
        }
    }

    /// Peers that wait for another attempt need not, if there is an offer that the last one did not name.
    fn try_by_offers(&mut self, now: Duration) {
        if !self.relay_through.is_empty() || self.usable_offers().next().is_none() {
            return;
        }
        for waiting in self.offers.in_vain.iter_mut().filter(|waiting| !waiting.hurried) {
            waiting.hurried = true;
            self.swarm.retry_now(&waiting.peer, now);
        }
    }

    fn usable_offers(&self) -> impl Iterator<Item = PublicKey> {
        self.offers.theirs.iter().filter(|(conn, _)| self.swarm.shares_any(**conn)).map(|(_, key)| *key)
    }

    /// Whether the peer of a connection shares a core with us has changed.
    pub(in crate::net) fn note_sharer(&mut self, conn: ConnId, now: Duration) {
        let link = self.by_conn.get(&conn).and_then(|id| self.links.get(id));
        if let Some(link) = link {
            // One that is relayed itself is where its relay is, as far as we know.
            let host = link.via.is_none_or(|v| v.moved).then_some(link.host);
            self.offers.set(link.remote, self.swarm.shares_any(conn).then_some(host));
        }
        self.try_by_offers(now);
    }

    /// A connection is over.
    pub(in crate::net) fn forget_offers(&mut self, conn: ConnId, peer: PublicKey) {
        self.offers.theirs.remove(&conn);
        self.offers.set(peer, None);
    }

    /// Takes relays that were named beside those that were configured: this node itself is none, and there are not more than
    /// [`MAX_RELAYS_NAMED`].
    pub(in crate::net) fn add_relays(&mut self, relays: &[PublicKey]) {
        let own = self.relay_server.as_ref().map(super::server::RelayServer::key);
        for relay in relays {
            let known = self.relay_through.contains(relay) || own.as_ref() == Some(relay);
            if !known && self.relay_through.len() < MAX_RELAYS_NAMED {
                self.relay_through.push(*relay);
            }
        }
    }

    /// The relay that the next connection names.
    pub(in crate::net) fn choose_relay(&mut self) -> Option<PublicKey> {
        let named = std::mem::take(&mut self.relay_through);
        let chosen = self.choose_of(&named);
        self.relay_through = named;
        chosen
    }

    fn choose_of(&mut self, relays: &[PublicKey]) -> Option<PublicKey> {
        let len = u64::try_from(relays.len()).ok().filter(|n| *n > 0)?;
        let mut random = [0; 8];
        if len > 1 {
            (self.entropy)(&mut random);
        }
        relays.get(usize::try_from(u64::from_le_bytes(random) % len).ok()?).copied()
    }

    /// The relay that an attempt to reach a peer names: one that was configured; or, when the peer was tried in vain before, one
    /// that a peer offers.
    pub(in crate::net) fn choose_relay_to(&mut self, peer: &PublicKey) -> Option<PublicKey> {
        let configured = self.choose_relay();
        if configured.is_some() || !self.offers.in_vain.iter().any(|other| other.peer == *peer) {
            return configured;
        }
        let usable: Vec<PublicKey> = self.usable_offers().collect();
        self.choose_of(&usable)
    }
}
