//! Which peers we are connected to: attempts, which of two connections is kept, what follows when one ends. No bytes pass
//! here; those are in `net/links`.

use super::peers::Backoff;
use super::state::{Connected, Swarm};
use super::types::{Action, ConnId};
use bosc_format::crypto::PublicKey;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Longest time between two connections that were dialled at once by both sides. As long a peer that was killed and started again
/// is refused where we had dialled it before: not longer than it waits before it dials again.
pub(super) const RACE: Duration = Duration::from_millis(1500);

impl Swarm {
    /// Our attempt `conn` is open.
    pub fn opened(&mut self, conn: ConnId, now: Duration) {
        let Some(peer) = self.by_conn.get(&conn).copied() else { return };
        if let Some(link) = self.links.get_mut(&peer).filter(|l| l.conn == conn && !l.open) {
            (link.open, link.since) = (true, now);
            self.lonely = (0, None);
            self.connecting = self.connecting.saturating_sub(1);
            self.peers.connected(&peer, now);
            self.tried(&peer);
        }
        self.pump(now);
    }

    /// A peer at `host` connected to us. `carried(conn)` tells whether a connection has carried bytes both ways.
    /// Returns the id for it, or `None` when it is to be closed. Another connection may have to make room, see `room`.
    pub fn accepted(
        &mut self,
        peer: PublicKey,
        host: Ipv4Addr,
        carried: impl Fn(ConnId) -> bool,
        now: Duration,
    ) -> Option<ConnId> {
        if peer == self.me || self.peers.is_banned(&peer) {
            return None;
        }
        if let Some(existing) = self.links.get(&peer) {
            // A new server connection was initiated by them.
            let we_should_initiate = self.me > peer;
            // Nobody dials twice: they lost the one before, as who was killed and started again.
            let again = !existing.initiator;
            let lost = existing.open && now.saturating_sub(existing.since) >= RACE && carried(existing.conn);
            let keep_new = again || lost || !we_should_initiate;
            if !keep_new {
                return None;
            }
            let old = existing.conn;
            self.drop_link(&peer, now);
            self.actions.push_back(Action::Close { conn: old });
        } else if !self.make_room(host, now) {
            return None;
        }
        let conn = self.take_conn();
        self.links.insert(peer, Connected::accepted(conn, host, now));
        self.by_conn.insert(conn, peer);
        self.lonely = (0, None);
        self.peers.seen(peer, now);
        self.peers.connected(&peer, now);
        self.tried(&peer);
        self.pump(now);
        Some(conn)
    }

    /// A connection or an attempt has ended.
    pub fn closed(&mut self, conn: ConnId, now: Duration) {
        let Some(peer) = self.by_conn.get(&conn).copied() else { return };
        if self.dialled(conn).is_some() || self.peers.is_named(&peer) {
            let jitter = self.random() % 500;
            self.peers.disconnected(&peer, Backoff { now, jitter });
        }
        if self.links.get(&peer).is_some_and(|l| l.conn == conn) {
            self.drop_link(&peer, now);
        }
        self.by_conn.remove(&conn);
        self.tried(&peer);
        self.pump(now);
        self.note_loneliness(now);
    }

    /// A connection of ours was closed by the peer before it said anything. That is how it refuses a second one from one key: it has
    /// another, which we made and lost (killed and started again), or which it was dialling us on. Until it notices, which takes it
    /// longer than anybody waits here, our key does not get in, so the next attempt is made under one that is used once.
    pub fn refused(&mut self, conn: ConnId, now: Duration) {
        if let Some(peer) = self.dialled(conn) {
            self.peers.refused(&peer);
        }
        self.closed(conn, now);
    }

    /// The connection to a peer was lost with the network under it: it is tried again without a pause, if we had dialled it.
    pub fn retry_now(&mut self, peer: &PublicKey, now: Duration) {
        self.peers.retry_now(peer, now);
    }

    /// Connects to a peer for its own sake and keeps the connection, whatever topics are joined, until it is not named any more. A
    /// connection that is there then stays.
    pub fn name(&mut self, peer: PublicKey, named: bool, now: Duration) {
        if peer == self.me {
            return;
        }
        let connected = self.links.contains_key(&peer);
        self.peers.name(peer, named, connected, now);
        self.pump(now);
    }

    /// Whom `conn` leads to, if we dialled it and no other has replaced it.
    fn dialled(&self, conn: ConnId) -> Option<PublicKey> {
        let peer = self.by_conn.get(&conn)?;
        self.links.get(peer).is_some_and(|l| l.conn == conn && l.initiator).then_some(*peer)
    }

    /// The peer on a connection said something.
    pub fn heard(&mut self, conn: ConnId) {
        if let Some(peer) = self.by_conn.get(&conn) {
            self.peers.heard(peer);
        }
    }

    /// Never connect to this peer again, and close what there is: it misbehaved.
    pub fn ban(&mut self, peer: &PublicKey, now: Duration) {
        self.peers.ban(*peer, now);
        if let Some(link) = self.links.get(peer) {
            let conn = link.conn;
            self.actions.push_back(Action::Close { conn });
        }
    }

    pub(super) fn drop_link(&mut self, peer: &PublicKey, now: Duration) {
        if let Some(link) = self.links.remove(peer) {
            self.by_conn.remove(&link.conn);
            if link.open {
                self.peers.left(peer);
            } else {
                self.connecting = self.connecting.saturating_sub(1);
            }
            for topic in link.shares {
                self.look_if_alone(topic, now);
            }
        }
    }

    pub(super) fn take_conn(&mut self) -> ConnId {
        let id = self.next_conn;
        self.next_conn = self.next_conn.wrapping_add(1);
        id
    }

    pub(super) fn tried(&mut self, peer: &PublicKey) {
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let was =
                self.topics.get_mut(&topic).and_then(|j| j.flushing.as_mut()).is_some_and(|f| f.remove(peer));
            if was {
                self.flush_maybe(topic);
            }
        }
    }
}
