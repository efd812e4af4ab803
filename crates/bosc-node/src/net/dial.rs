//! Handshakes that are over: those we dialled, and those who dialled us.

use super::connection::{Established, Via};
use super::machine::NetMachine;
use super::relay::server::RelayServer;
use super::tags::tag;
use crate::swarm::ConnId;
use bosc_dht::connect::{ConnectEvent, Connection, EarlyPacket};
use std::net::SocketAddr;
use std::time::Duration;

impl NetMachine {
    /// Works through what the connector tells. Returns whether there was anything.
    pub(super) fn dial_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(event) = self.dialer.connector.poll_event() {
            any = true;
            match event {
                ConnectEvent::Connected { connect, listen, connection } => {
                    let of_relay = |s: &RelayServer| listen.is_some() && s.listen == listen;
                    if let Some(relay) = connect.and_then(|id| self.was_to_relay(id)) {
                        let (e, early) = established(*connection, None);
                        self.relay_reached(relay, e, now);
                        self.take_early(early, now);
                        continue;
                    }
                    if self.relay_server.as_ref().is_some_and(of_relay) {
                        let (e, early) = established(*connection, None);
                        self.client_came(e, now);
                        self.take_early(early, now);
                        continue;
                    }
                    let conn = match connect {
                        None => None,
                        // Nobody waits for it any more.
                        Some(id) => match self.dialer.finish(id) {
                            Some(conn) => Some(conn),
                            None => {
                                self.unused.push_back(tag(connection.socket));
                                self.connector_forgets(connection.local_id, now);
                                continue;
                            }
                        },
                    };
                    let (e, early) = established(*connection, conn);
                    let local_id = e.local_id;
                    self.establish(e, now);
                    self.take_early(early, now);
                    self.take_relayed_early(local_id, now);
                }
                ConnectEvent::Relay { local_id, relay, token, is_initiator } => {
                    self.relay_wanted(local_id, relay, token, is_initiator, now);
                }
                ConnectEvent::RelayUnused { local_id } => self.relay_unused(local_id, now),
                ConnectEvent::Direct { local_id, remote_address, socket, .. } => {
                    self.move_link(local_id, tag(socket), SocketAddr::V4(remote_address), now);
                    // Where the link had ended, or had moved already, nothing uses it.
                    self.unused.push_back(tag(socket));
                }
                ConnectEvent::Failed { connect, remote_public_key, error } => {
                    if let Some(relay) = self.was_to_relay(connect) {
                        tracing::debug!(%error, "the relay cannot be reached");
                        self.relay_lost(relay, now);
                    } else if let Some(conn) = self.dialer.finish(connect) {
                        tracing::debug!(conn, %error, "connecting failed");
                        self.swarm.closed(conn, now);
                        self.note_in_vain(remote_public_key, now);
                    }
                }
                ConnectEvent::SocketUnused { number } => {
                    self.unused.push_back(tag(bosc_dht::SocketKind::Pool(number)));
                }
                _ => {}
            }
        }
        any
    }

    /// Packets that came before the stream was made.
    fn take_early(&mut self, early: Vec<EarlyPacket>, now: Duration) {
        for early in early {
            let from = SocketAddr::V4(early.from);
            let _ = self.table.handle_datagram(tag(early.socket), from, &early.bytes, now);
        }
    }

    /// A connection that nobody waits for any more.
    fn connector_forgets(&mut self, local_id: u32, now: Duration) {
        self.dialer.connector.settled(&mut self.dht, local_id, None, now);
        self.relay_unused(local_id, now);
    }
}

fn established(c: Connection, conn: Option<ConnId>) -> (Established, Vec<EarlyPacket>) {
    let via = c.relay.map(|_| Via { peer_id: c.peer_id, moved: false, until: None });
    let established = Established {
        conn,
        initiator: c.is_initiator,
        handshake: c.handshake,
        local_id: c.local_id,
        remote_id: c.remote_id,
        socket: tag(c.socket),
        to: SocketAddr::V4(c.remote_address),
        proved: !c.early.is_empty(),
        via,
    };
    (established, c.early)
}
