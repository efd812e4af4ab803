//! Outgoing attempts, between the swarm and the DHT's connector.

use crate::swarm::ConnId;
use bosc_dht::connect::{ConnectConfig, ConnectId, ConnectOptions, Connector, StreamPacket};
use bosc_dht::{Dht, Entropy, SocketKind};
use bosc_format::crypto::{KeyPair, PublicKey};
use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How a peer is tried.
pub(super) struct Way<'a> {
    /// Nodes that can relay the handshake.
    pub(super) relays: &'a [SocketAddrV4],
    /// The key to try it with, where it is not the node's own.
    pub(super) one_time_key: Option<&'a KeyPair>,
    /// A blind relay for where no direct way is found.
    pub(super) relay_through: Option<PublicKey>,
}

/// Outgoing attempts and what they are called on either side.
pub(super) struct Dialer {
    pub(super) connector: Connector,
    key_pair: KeyPair,
    conns: HashMap<ConnectId, ConnId>,
    attempts: HashMap<ConnId, ConnectId>,
}

impl Dialer {
    pub(super) fn new(key_pair: KeyPair, entropy: Entropy) -> Self {
        Self {
            connector: Connector::new(ConnectConfig::default(), entropy),
            key_pair,
            conns: HashMap::new(),
            attempts: HashMap::new(),
        }
    }

    /// Starts an attempt. `false` when too many are under way.
    pub(super) fn connect(
        &mut self,
        conn: ConnId,
        peer: PublicKey,
        way: &Way<'_>,
        dht: &mut Dht,
        now: Duration,
    ) -> bool {
        let key_pair = way.one_time_key.unwrap_or(&self.key_pair);
        let options = ConnectOptions {
            relay_addresses: way.relays.to_vec(),
            relay_through: way.relay_through,
            ..ConnectOptions::new(key_pair)
        };
        match self.connector.connect(dht, peer, &options, now) {
            Ok(id) => {
                self.conns.insert(id, conn);
                self.attempts.insert(conn, id);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives an attempt up.
    pub(super) fn cancel(&mut self, conn: ConnId, dht: &mut Dht, now: Duration) {
        if let Some(id) = self.attempts.remove(&conn) {
            self.conns.remove(&id);
            self.connector.cancel(dht, id, now);
        }
    }

    pub(super) fn finish(&mut self, id: ConnectId) -> Option<ConnId> {
        let conn = self.conns.remove(&id)?;
        self.attempts.remove(&conn);
        Some(conn)
    }

    pub(super) fn packet(
        &mut self,
        dht: &mut Dht,
        id: u32,
        socket: SocketKind,
        from: SocketAddrV4,
        bytes: &[u8],
        now: Duration,
    ) -> StreamPacket {
        self.connector.handle_stream_packet(dht, id, socket, from, bytes, now)
    }
}
