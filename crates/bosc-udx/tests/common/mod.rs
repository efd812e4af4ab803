//! Two streams (or more) over the simulated network.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

pub mod flows;
pub mod rival;

use bosc_testkit::{LinkConfig, Occurrence, Rng, Simulator};
use bosc_udx::{CloseReason, Config, Event, SocketTag, Stream};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

pub const SOCKET: SocketTag = SocketTag(0);

pub fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 4000))
}

/// One side: a stream, what the application wants to write, what it has read.
pub struct Side {
    pub stream: Stream,
    /// Its first socket's address; a socket's tag is its place in `addresses`.
    pub at: SocketAddr,
    pub addresses: Vec<SocketAddr>,
    pub to_write: Vec<u8>,
    pub written: usize,
    pub end_after_write: bool,
    pub read: Vec<u8>,
    pub read_limit: Option<usize>,
    pub events: Vec<Event>,
    pub closed: Option<CloseReason>,
    pub closed_at: Duration,
    pub done_at: Duration,
}

impl Side {
    pub fn new(stream: Stream, at: SocketAddr) -> Self {
        Side {
            stream,
            at,
            addresses: vec![at],
            to_write: Vec::new(),
            written: 0,
            end_after_write: false,
            read: Vec::new(),
            read_limit: None,
            events: Vec::new(),
            closed: None,
            closed_at: Duration::ZERO,
            done_at: Duration::ZERO,
        }
    }

    pub fn application(&mut self, now: Duration) {
        while self.written < self.to_write.len() {
            let end = (self.written + 50_000).min(self.to_write.len());
            match self.stream.write(Bytes::copy_from_slice(&self.to_write[self.written..end])) {
                Ok(_) => self.written = end,
                Err(_) => break,
            }
        }
        if self.end_after_write && self.written == self.to_write.len() {
            self.stream.end();
        }
        while self.read_limit.is_none_or(|limit| self.read.len() < limit) {
            let Some(bytes) = self.stream.read() else { break };
            self.read.extend_from_slice(&bytes);
            self.done_at = now;
        }
        while let Some(event) = self.stream.poll_event() {
            if let Event::Closed(reason) = event {
                assert!(self.closed.is_none(), "closed twice");
                self.closed = Some(reason);
                self.closed_at = now;
            }
            self.events.push(event);
        }
    }
}

/// Two sides and the network between them.
pub struct Pair {
    pub net: Simulator,
    pub a: Side,
    pub b: Side,
    alarm: Duration,
}

impl Pair {
    pub fn new(seed: u64, link: LinkConfig) -> Self {
        Pair::with(seed, link, Config::default(), Config::default())
    }

    pub fn with(seed: u64, link: LinkConfig, a: Config, b: Config) -> Self {
        let net = Simulator::new(seed, link);
        let now = net.now();
        let (at_a, at_b) = (address(1), address(2));
        let (first_a, first_b) = (a.initial_sequence, b.initial_sequence);
        let mut a = Stream::new(11, a, now);
        let mut b = Stream::new(22, b, now);
        a.connect_at(SOCKET, 22, at_b, first_b, now);
        b.connect_at(SOCKET, 11, at_a, first_a, now);
        Pair { net, a: Side::new(a, at_a), b: Side::new(b, at_b), alarm: Duration::MAX }
    }

    fn pump(&mut self) {
        let now = self.net.now();
        let mut datagram = Vec::new();
        for side in [&mut self.a, &mut self.b] {
            side.application(now);
            datagram.clear();
            while let Some(transmit) = side.stream.poll_transmit(now, &mut datagram) {
                assert_eq!(transmit.len, datagram.len());
                let from = side.addresses[usize::try_from(transmit.socket.0).unwrap()];
                self.net.send(from, transmit.to, datagram.as_slice());
                datagram.clear();
            }
        }
        let next = [self.a.stream.next_timeout(), self.b.stream.next_timeout()].into_iter().flatten().min();
        if let Some(next) = next {
            // An alarm that is already set for then, or earlier, will do.
            if next < self.alarm || self.alarm <= now {
                self.alarm = next.max(now + Duration::from_micros(1));
                self.net.wake(self.alarm, 0);
            }
        }
    }

    /// Runs until `done` or nothing happens any more or `limit`. Returns whether `done`.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&Pair) -> bool) -> bool {
        loop {
            self.pump();
            if done(self) {
                return true;
            }
            let Some(what) = self.net.next_until(limit) else { return false };
            let now = self.net.now();
            match what {
                Occurrence::Datagram(d) => {
                    for side in [&mut self.a, &mut self.b] {
                        if let Some(tag) = side.addresses.iter().position(|at| *at == d.to) {
                            side.stream.handle_packet(SocketTag(tag as u64), d.from, &d.payload, now);
                        }
                    }
                }
                Occurrence::Wake { .. } => {
                    for side in [&mut self.a, &mut self.b] {
                        if side.stream.next_timeout().is_some_and(|at| at <= now) {
                            side.stream.handle_timeout(now);
                        }
                    }
                }
            }
        }
    }
}

pub fn payload(seed: u64, len: usize) -> Vec<u8> {
    Rng::new(seed).bytes(len)
}

/// MiB a second.
pub fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / (1 << 20) as f64 / time.as_secs_f64()
}
