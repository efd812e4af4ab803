//! Handshakes: dialling peers and answering those who dial us, between the swarm and the DHT's connector.

use super::links::Established;
use super::{CLIENT, Net, SERVER, entropy};
use crate::swarm::ConnId;
use bosc_dht::connect::{ConnectConfig, ConnectEvent, ConnectId, ConnectOptions, Connector, StreamPacket};
use bosc_dht::{Dht, SocketKind};
use bosc_format::crypto::{KeyPair, PublicKey};
use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

/// Outgoing attempts and what they are called on either side.
pub(super) struct Dialer {
    pub(super) connector: Connector,
    key_pair: KeyPair,
    conns: HashMap<ConnectId, ConnId>,
    attempts: HashMap<ConnId, ConnectId>,
}

impl Dialer {
    pub(super) fn new(key_pair: KeyPair) -> Self {
        Self {
            connector: Connector::new(ConnectConfig::default(), Box::new(entropy)),
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
        relays: &[SocketAddrV4],
        dht: &mut Dht,
        now: Duration,
    ) -> bool {
        let options =
            ConnectOptions { relay_addresses: relays.to_vec(), ..ConnectOptions::new(&self.key_pair) };
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

    fn finish(&mut self, id: ConnectId) -> Option<ConnId> {
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

impl Net {
    /// Works through what the connector tells. Returns whether there was anything.
    pub(super) fn dial_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(event) = self.dialer.connector.poll_event() {
            any = true;
            match event {
                ConnectEvent::Connected { connect, connection, .. } => {
                    let conn = match connect {
                        None => None,
                        // Nobody waits for it any more.
                        Some(id) => match self.dialer.finish(id) {
                            Some(conn) => Some(conn),
                            None => continue,
                        },
                    };
                    let c = *connection;
                    let established = Established {
                        conn,
                        initiator: c.is_initiator,
                        handshake: c.handshake,
                        local_id: c.local_id,
                        remote_id: c.remote_id,
                        socket: tag(c.socket),
                        to: SocketAddr::V4(c.remote_address),
                    };
                    self.establish(established, now);
                    for early in c.early {
                        let from = SocketAddr::V4(early.from);
                        let _ = self.table.handle_datagram(tag(early.socket), from, &early.bytes, now);
                    }
                }
                ConnectEvent::Failed { connect, error, .. } => {
                    if let Some(conn) = self.dialer.finish(connect) {
                        tracing::debug!(conn, %error, "connecting failed");
                        self.swarm.closed(conn, now);
                    }
                }
                _ => {}
            }
        }
        any
    }
}

fn tag(socket: SocketKind) -> bosc_udx::SocketTag {
    match socket {
        SocketKind::Server => SERVER,
        SocketKind::Client | SocketKind::Pool(_) => CLIENT,
    }
}
