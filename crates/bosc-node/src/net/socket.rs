//! One UDP socket that sends and receives many datagrams a system call where the OS can.
//!
//! Datagrams to one place and of one size are gathered into a single send (GSO); received batches (GRO) are
//! split again. Where the OS has none of that (wine refuses the socket options it takes) datagrams go one by one. A
//! full send buffer drops the datagram: every protocol above repeats what is lost.

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::io::Interest;

const SOCKET_BUFFER: usize = 4 << 20;
const BATCH: usize = 8;
const BATCH_BYTES: usize = 65_536;

/// A bound socket.
pub(crate) struct Socket {
    io: tokio::net::UdpSocket,
    /// `None`: one datagram a system call.
    state: Option<UdpSocketState>,
    metas: [RecvMeta; BATCH],
    gather: Gather,
    /// Bytes received and sent since the start.
    pub(crate) received: u64,
    /// Bytes sent since the start.
    pub(crate) sent: u64,
}

/// Datagrams gathered for one send.
struct Gather {
    to: SocketAddrV4,
    segment: usize,
    bytes: Vec<u8>,
    count: usize,
    closed: bool,
}

impl Socket {
    /// Binds `host:port` (0 takes a free port).
    pub(crate) fn bind(host: Ipv4Addr, port: u16) -> io::Result<Self> {
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        raw.bind(&SocketAddr::from((host, port)).into())?;
        raw.set_nonblocking(true)?;
        // Larger buffers ride out pauses; the OS may give less than is asked for.
        let _ = raw.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = raw.set_send_buffer_size(SOCKET_BUFFER);
        let std: std::net::UdpSocket = raw.into();
        let io = tokio::net::UdpSocket::from_std(std)?;
        let state = match UdpSocketState::new((&io).into()) {
            Ok(state) => Some(state),
            Err(e) => {
                tracing::debug!(error = %e, "no batches of datagrams on this system");
                None
            }
        };
        Ok(Self {
            io,
            state,
            metas: [RecvMeta::default(); BATCH],
            gather: Gather {
                to: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
                segment: 0,
                bytes: Vec::new(),
                count: 0,
                closed: true,
            },
            received: 0,
            sent: 0,
        })
    }

    /// Binds it anew, to the same port or, where that is taken, to another one.
    pub(crate) fn bind_again(&mut self, host: Ipv4Addr) -> io::Result<()> {
        let (port, received, sent) = (self.port(), self.received, self.sent);
        // The port is free only when the old socket is gone.
        *self = Self::bind(host, 0)?;
        if let Ok(same) = Self::bind(host, port) {
            *self = same;
        }
        (self.received, self.sent) = (received, sent);
        Ok(())
    }

    /// The port it is bound to.
    pub(crate) fn port(&self) -> u16 {
        self.io.local_addr().map_or(0, |a| a.port())
    }

    /// As [`Socket::readable`], to be asked.
    pub(crate) fn poll_readable(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        self.io.poll_recv_ready(cx)
    }

    /// Sends one datagram at once, with an IP time to live of its own.
    pub(crate) fn send_with_ttl(&mut self, to: SocketAddrV4, datagram: &[u8], ttl: u8) {
        let raw = socket2::SockRef::from(&self.io);
        let Ok(before) = raw.ttl_v4() else { return };
        if raw.set_ttl_v4(u32::from(ttl)).is_ok() {
            self.send(to, datagram, datagram.len());
        }
        let _ = socket2::SockRef::from(&self.io).set_ttl_v4(before);
    }

    /// Waits until something can be received.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Receives what is there, calling `each` for every datagram. Returns how many there were; 0 when there was
    /// nothing.
    ///
    /// `storage` is for what arrives, and is made as large as it must be. All sockets of a node share one: each would take 512 KiB.
    pub(crate) fn receive(
        &mut self,
        storage: &mut Vec<u8>,
        mut each: impl FnMut(SocketAddrV4, &[u8]),
    ) -> io::Result<usize> {
        storage.resize(BATCH * BATCH_BYTES, 0);
        let Self { io, state, metas, .. } = self;
        let Some(state) = state else { return self.receive_one_by_one(storage, each) };
        let mut buffers: Vec<IoSliceMut<'_>> =
            storage.chunks_exact_mut(BATCH_BYTES).map(IoSliceMut::new).collect();
        let got = io.try_io(Interest::READABLE, || state.recv((&*io).into(), &mut buffers, &mut metas[..]));
        let n = match got {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            // An ICMP answer to something sent before (Windows): says nothing about this socket.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(1),
            Err(e) => return Err(e),
        };
        drop(buffers);
        let mut count = 0;
        for (meta, buffer) in self.metas.iter().zip(storage.chunks_exact(BATCH_BYTES)).take(n) {
            let SocketAddr::V4(from) = meta.addr else { continue };
            let data = buffer.get(..meta.len).unwrap_or_default();
            for datagram in data.chunks(meta.stride.max(1)) {
                count += 1;
                self.received += datagram.len() as u64;
                each(from, datagram);
            }
        }
        Ok(count.max(1))
    }

    fn receive_one_by_one(
        &mut self,
        storage: &mut [u8],
        mut each: impl FnMut(SocketAddrV4, &[u8]),
    ) -> io::Result<usize> {
        let mut count = 0;
        for buffer in storage.chunks_exact_mut(BATCH_BYTES) {
            match self.io.try_recv_from(buffer) {
                Ok((n, SocketAddr::V4(from))) => {
                    count += 1;
                    self.received += n as u64;
                    each(from, buffer.get(..n).unwrap_or_default());
                }
                Ok(_) => count += 1,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP answer to something sent before, or a datagram larger than any buffer (Windows).
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset || e.raw_os_error() == Some(10040) => {
                    count += 1;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(count)
    }

    /// Datagrams the OS takes at once.
    fn segments(&self) -> usize {
        self.state.as_ref().map_or(1, |s| s.max_gso_segments().max(1))
    }

    /// Queues one datagram, sending what cannot wait with it. The bytes are copied once.
    pub(crate) fn push(&mut self, to: SocketAddrV4, datagram: &[u8]) {
        let g = &self.gather;
        let fits = !g.closed
            && g.to == to
            && datagram.len() <= g.segment
            && g.count < self.segments()
            && g.bytes.len() + datagram.len() <= 65_000;
        if !fits {
            self.flush();
            self.gather.to = to;
            self.gather.segment = datagram.len();
            self.gather.closed = false;
        }
        let g = &mut self.gather;
        g.bytes.extend_from_slice(datagram);
        g.count += 1;
        // Only the last datagram of a batch may be shorter.
        if datagram.len() < g.segment {
            g.closed = true;
        }
    }

    /// Sends datagrams of `segment` bytes each, the last perhaps shorter, that lie one behind the other.
    pub(crate) fn send(&mut self, to: SocketAddrV4, datagrams: &[u8], segment: usize) {
        let segment = segment.max(1);
        let at_once = segment.saturating_mul(self.segments()).min(65_000 / segment * segment);
        for part in datagrams.chunks(at_once.max(segment)) {
            let transmit = Transmit {
                destination: SocketAddr::V4(to),
                ecn: None,
                contents: part,
                segment_size: (part.len() > segment).then_some(segment),
                src_ip: None,
            };
            // Straight to the system: nobody waits for these sockets to be writable, and the runtime holds a socket for
            // unwritable until it first waited for it, which lost the very first datagrams of a node.
            let io = &self.io;
            let sent = match &self.state {
                Some(state) => state.try_send(io.into(), &transmit).is_ok(),
                None => socket2::SockRef::from(io).send_to(part, &SocketAddr::V4(to).into()).is_ok(),
            };
            if sent {
                self.sent += part.len() as u64;
            }
        }
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) {
        let g = &mut self.gather;
        if g.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut g.bytes);
        let (to, segment) = (g.to, g.segment);
        self.send(to, &bytes, segment);
        let g = &mut self.gather;
        g.bytes = bytes;
        g.bytes.clear();
        g.count = 0;
        g.closed = true;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_datagram_goes_out_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut one_by_one = Socket::bind(Ipv4Addr::LOCALHOST, 0).unwrap();
            one_by_one.state = None;
            for mut socket in [Socket::bind(Ipv4Addr::LOCALHOST, 0).unwrap(), one_by_one] {
                let receiver = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let SocketAddr::V4(to) = receiver.local_addr().unwrap() else { unreachable!() };
                // The runtime has not looked at the socket yet.
                socket.push(to, b"first");
                socket.flush();
                assert_eq!(socket.sent, 5);
                let mut buffer = [0; 16];
                assert_eq!(receiver.recv(&mut buffer).unwrap(), 5);
            }
        });
    }
}
