//! Sockets for holepunching: bound when something is first sent from one, gone when nothing needs it. A connection that was made
//! through one stays on it.

use super::socket::Socket;
use super::tags::POOL;
use bosc_udx::SocketTag;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::task::Poll;

/// Most sockets at once: what punchers and their connections may have. Above it nothing is bound, and what would be sent is lost, as
/// on a network.
const MAX_SOCKETS: usize = 1024;

#[derive(Default)]
pub(super) struct Pool {
    host: Option<Ipv4Addr>,
    sockets: BTreeMap<SocketTag, Socket>,
    /// Of sockets that are gone.
    received: u64,
    sent: u64,
}

impl Pool {
    /// Without a socket; each is bound to `host`.
    pub(super) fn new(host: Ipv4Addr) -> Self {
        Self { host: Some(host), ..Self::default() }
    }

    pub(super) fn get(&mut self, tag: SocketTag) -> Option<&mut Socket> {
        self.sockets.get_mut(&tag)
    }

    /// Sends a datagram, from a new socket if need be.
    pub(super) fn send(&mut self, tag: SocketTag, to: SocketAddrV4, datagram: &[u8], ttl: Option<u8>) {
        if !self.sockets.contains_key(&tag) {
            if tag < POOL || self.sockets.len() >= MAX_SOCKETS {
                return;
            }
            match Socket::bind(self.host.unwrap_or(Ipv4Addr::UNSPECIFIED), 0) {
                Ok(socket) => self.sockets.insert(tag, socket),
                Err(e) => {
                    tracing::debug!(error = %e, "no socket for holepunching");
                    return;
                }
            };
        }
        if let Some(socket) = self.sockets.get_mut(&tag) {
            match ttl {
                Some(ttl) => socket.send_with_ttl(to, datagram, ttl),
                None => socket.send(to, datagram, datagram.len()),
            }
        }
    }

    pub(super) fn close(&mut self, tag: SocketTag) {
        if let Some(socket) = self.sockets.remove(&tag) {
            self.received += socket.received;
            self.sent += socket.sent;
        }
    }

    /// Waits until one of them can be read; for ever without any.
    pub(super) async fn readable(&self) {
        poll_fn(|cx| {
            // All are asked, so that each of them wakes us.
            let ready = self.sockets.values().filter(|s| s.poll_readable(cx).is_ready()).count() > 0;
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes in what has arrived, with up to `most` system calls a socket.
    pub(super) fn receive(
        &mut self,
        most: usize,
        storage: &mut Vec<u8>,
        mut each: impl FnMut(SocketTag, SocketAddrV4, &[u8]),
    ) {
        for (tag, socket) in &mut self.sockets {
            for _ in 0..most {
                match socket.receive(storage, |from, datagram| each(*tag, from, datagram)) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) => {
                        tracing::debug!(error = %e, "receiving failed");
                        break;
                    }
                }
            }
        }
    }

    /// Bytes received and sent, since the start.
    pub(super) fn traffic(&self) -> (u64, u64) {
        self.sockets
            .values()
            .fold((self.received, self.sent), |(received, sent), s| (received + s.received, sent + s.sent))
    }
}
