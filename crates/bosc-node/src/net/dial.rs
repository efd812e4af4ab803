//! Handshakes that are over: those we dialled, and those who dialled us.

use super::connection::Established;
use super::machine::{NetMachine, tag};
use bosc_dht::connect::ConnectEvent;
use std::net::SocketAddr;
use std::time::Duration;

impl NetMachine {
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
                            None => {
                                self.unused.push_back(tag(connection.socket));
                                continue;
                            }
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
                ConnectEvent::SocketUnused { number } => {
                    self.unused.push_back(tag(bosc_dht::SocketKind::Pool(number)));
                }
                _ => {}
            }
        }
        any
    }
}
