//! One stream over a real socket, driven as a node drives it: batches in, acknowledgements together, batches out.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

use bosc_testkit::Rng;
use bosc_udx::{CloseReason, Event, SocketTag, Stream};
use bytes::Bytes;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UdpSocket;

pub const PATTERN: usize = 65537;

/// The bytes both sides send, as interop/js/udx-peer.cjs makes them.
pub fn pattern() -> Bytes {
    let mut x = 1u32;
    (0..PATTERN)
        .map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 24) as u8
        })
        .collect::<Vec<u8>>()
        .into()
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

pub struct Socket {
    pub tag: SocketTag,
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    pub fn bind(tag: u64) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let io = UdpSocket::from_std(socket.into()).unwrap();
        let state = UdpSocketState::new((&io).into()).unwrap();
        // What node does; more is better, but a stock kernel gives 208 KiB at most.
        let wanted = number("BOSC_UDX_RCVBUF").unwrap_or(1 << 20);
        let _ = state.set_recv_buffer_size((&io).into(), wanted);
        let _ = state.set_send_buffer_size((&io).into(), 1 << 20);
        Socket { tag: SocketTag(tag), io, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.io.local_addr().unwrap()
    }

    fn receive(&self, storage: &mut [Vec<u8>], metas: &mut [RecvMeta; BATCH_SIZE]) -> io::Result<usize> {
        let mut buffers: Vec<IoSliceMut<'_>> =
            storage.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut buffers, metas))
    }

    async fn send(&self, to: SocketAddr, contents: &[u8], segment: usize) {
        let transmit = quinn_udp::Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: (segment < contents.len()).then_some(segment),
            src_ip: None,
        };
        loop {
            match self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.io.writable().await.unwrap(),
                // A port that is closed already, a probe that is too large: the stream sees it as loss.
                Err(_) | Ok(()) => return,
            }
        }
    }
}

/// What an end does besides carrying bytes.
pub struct Peer {
    pub stream: Stream,
    pub sockets: Vec<Socket>,
    pub to_write: usize,
    pub written: usize,
    pub end_after_write: bool,
    pub end_with_remote: bool,
    pub received: usize,
    pub correct: bool,
    pub events: Vec<Event>,
    pub closed: Option<CloseReason>,
    pub first_byte: Option<Duration>,
    pub last_byte: Duration,
    pub start: Instant,
    pub segments: usize,
    /// Part of the datagrams that are dropped on arrival.
    pub loss: f64,
    rng: Rng,
}

impl Peer {
    pub fn new(stream: Stream, socket: Socket, start: Instant) -> Self {
        Peer {
            stream,
            segments: number("BOSC_UDX_SEGMENTS").unwrap_or(socket.state.max_gso_segments()),
            sockets: vec![socket],
            to_write: 0,
            written: 0,
            end_after_write: true,
            end_with_remote: false,
            received: 0,
            correct: true,
            events: Vec::new(),
            closed: None,
            first_byte: None,
            last_byte: Duration::ZERO,
            start,
            loss: number("BOSC_UDX_LOSS_PERMILLE").unwrap_or(0) as f64 / 1000.0,
            rng: Rng::new(1),
        }
    }

    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn application(&mut self, block: &Bytes) {
        while self.written < self.to_write {
            let at = self.written % PATTERN;
            let len = (PATTERN - at).min(self.to_write - self.written);
            if self.stream.write(block.slice(at..at + len)).is_err() {
                break;
            }
            self.written += len;
        }
        let may_end = !self.end_with_remote || self.stream.is_read_finished();
        if self.end_after_write && may_end && self.written == self.to_write {
            self.stream.end();
        }
        while let Some(bytes) = self.stream.read() {
            self.first_byte.get_or_insert(self.start.elapsed());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let at = self.received % PATTERN;
                let len = (PATTERN - at).min(rest.len());
                let (piece, after) = rest.split_at(len);
                self.correct &= piece == &block[at..at + len];
                self.received += len;
                rest = after;
            }
            self.last_byte = self.start.elapsed();
        }
        while let Some(event) = self.stream.poll_event() {
            if let Event::Closed(reason) = event {
                self.closed = Some(reason);
            }
            self.events.push(event);
        }
    }

    /// Runs until `done` or `limit` from now.
    pub async fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Peer) -> bool) -> bool {
        let block = pattern();
        let gro = self.sockets[0].state.gro_segments();
        let mut storage: Vec<Vec<u8>> = (0..BATCH_SIZE).map(|_| vec![0; 2048 * gro.max(1)]).collect();
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut out = Vec::with_capacity(64 * 2048);
        let deadline = self.start.elapsed() + limit;
        loop {
            let mut now = self.start.elapsed();
            let mut received = 0;
            for socket in &self.sockets {
                while received < 64 {
                    let Ok(count) = socket.receive(&mut storage, &mut metas) else { break };
                    for (meta, buffer) in metas.iter().zip(&storage).take(count) {
                        for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                            received += 1;
                            if !self.rng.chance(self.loss) {
                                self.stream.handle_packet(socket.tag, meta.addr, datagram, now);
                            }
                        }
                    }
                }
            }
            if self.stream.next_timeout().is_some_and(|at| at <= now) {
                self.stream.handle_timeout(now);
            }
            self.application(&block);
            if done(self) {
                now = self.start.elapsed();
                self.flush(now, &mut out).await;
                return true;
            }
            now = self.start.elapsed();
            if now >= deadline {
                return false;
            }
            let sent = self.flush(now, &mut out).await;
            if received > 0 || sent {
                // Others on this thread want to run too.
                if received == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            let wake = self.stream.next_timeout().unwrap_or(deadline).min(deadline);
            let wait = wake.saturating_sub(self.start.elapsed()).max(Duration::from_micros(1));
            let mut readable: Vec<_> =
                self.sockets.iter().map(|socket| Box::pin(socket.io.readable())).collect();
            let any = std::future::poll_fn(|cx| {
                if readable.iter_mut().any(|f| f.as_mut().poll(cx).is_ready()) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            });
            let _ = tokio::time::timeout(wait, any).await;
        }
    }

    async fn flush(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        let mut sent = false;
        for _ in 0..4 {
            out.clear();
            let Some(transmit) = self.stream.poll_transmit_many(now, self.segments.min(44), out) else {
                break;
            };
            if let Some(socket) = self.sockets.iter().find(|socket| socket.tag == transmit.socket) {
                socket.send(transmit.to, out, transmit.segment).await;
            }
            sent = true;
        }
        sent
    }
}
