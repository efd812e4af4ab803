//! What can be seen of the machine from outside: the snapshot, when it may have changed, counters.

use super::connection::Connection;
use super::machine::NetMachine;
use super::relay::RelayStatus;
use super::relay::server::RelayServer;
use crate::status::{ConnectionStatus, MappingStatus, NetStatus};
use bosc_format::crypto::PublicKey;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// See [`NetMachine::look_at_facts`].
pub(super) type Facts = (bool, usize, bool, Option<SocketAddrV4>, bool, bool, usize, bool);

impl NetMachine {
    /// The snapshot may have changed if one of these did.
    pub(super) fn look_at_facts(&mut self, now: Duration) {
        let dht = &self.dht;
        let facts = (
            dht.is_bootstrapped(),
            dht.node_count(),
            dht.is_unanswered(),
            dht.remote_address(),
            dht.is_firewalled(),
            dht.is_randomized(),
            // So many say something.
            dht.nat().len().min(4),
            self.swarm.is_connecting(),
        );
        let before = std::mem::replace(&mut self.facts, facts);
        self.changed |= before != facts;
        // The first node that answers after there was none at all.
        if before.0 && before.1 == 0 && facts.1 > 0 {
            self.network_back(now);
        }
    }

    /// Up to `limit` DHT nodes that are known, those heard of last first.
    pub fn nodes(&self, limit: usize) -> Vec<SocketAddrV4> {
        self.dht.nodes(limit)
    }

    /// Up to `limit` DHT nodes that answered us, and when.
    pub fn answering_nodes(&self, limit: usize) -> Vec<(SocketAddrV4, Duration)> {
        self.dht.answering_nodes(limit)
    }

    /// Whether the snapshot may have changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A snapshot. What only the sockets know is zero.
    pub fn status(&self) -> NetStatus {
        NetStatus {
            bootstrapped: self.dht.is_bootstrapped(),
            unanswered: self.dht.is_unanswered(),
            nodes: self.dht.node_count(),
            address: self.dht.remote_address(),
            firewalled: self.dht.is_firewalled(),
            randomized: self.dht.is_randomized(),
            nat_host: self.dht.nat().host(),
            nat_port: self.dht.nat().port(),
            nat_samples: self.dht.nat().len(),
            mapping_known: self.mapping_known,
            mapping: self.mapping.map(|(address, by)| MappingStatus {
                address,
                by,
                proved: self.dht.mapped_address() == Some(address),
            }),
            connections: self.links.values().filter(|l| l.conn_open).map(|l| l.remote).collect(),
            peers: self.connection_statuses(),
            relayed: self.relayed(),
            flushed: self.flushed.clone(),
            listening: self.listening,
            connecting: self.swarm.is_connecting(),
            received: 0,
            sent: 0,
            port: 0,
        }
    }

    /// Open connections by the key of the peer.
    fn connection_statuses(&self) -> BTreeMap<PublicKey, ConnectionStatus> {
        let open = self.links.iter().filter(|(_, l)| l.conn_open);
        let one = |(id, l): (&u32, &Connection)| {
            let (_, address) = self.table.get(*id)?.remote()?;
            let relayed = l.via.is_some_and(|v| !v.moved);
            Some((l.remote, ConnectionStatus { address, relayed, dialled: l.initiator }))
        };
        open.filter_map(one).collect()
    }

    /// Open connections whose packets go through a blind relay.
    fn relayed(&self) -> usize {
        self.links.values().filter(|l| l.conn_open && l.via.is_some_and(|v| !v.moved)).count()
    }

    /// What we do as a relay; none when we are none.
    pub fn relay_status(&self) -> Option<RelayStatus> {
        self.relay_server.as_ref().map(RelayServer::status)
    }

    /// For tests: sessions with relays and with clients, and relays that are dialled or used.
    pub fn session_count(&self) -> (usize, usize) {
        (self.sessions.len(), self.relays.len())
    }

    /// Connections whose encryption noticed damage, since the start.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// For tests: each link's peer, bytes of frames that wait for it, whether it has its stream, and words on its state.
    pub fn links(&self) -> Vec<(PublicKey, usize, bool, String)> {
        let one = |(id, l): (&u32, &Connection)| {
            let stream = self.table.get(*id);
            let text = stream.map_or_else(String::new, |s| {
                format!(
                    "(open {} unacknowledged {} room {} closed {} timer {:?})",
                    l.conn_open,
                    s.unacknowledged(),
                    s.write_capacity(),
                    s.is_closed(),
                    s.next_timeout()
                )
            });
            (l.remote, l.waiting(), stream.is_some(), text)
        };
        self.links.iter().map(one).collect()
    }

    /// For tests: streams in the table, those that only say good-bye included.
    pub fn stream_count(&self) -> usize {
        self.table.len()
    }
}
