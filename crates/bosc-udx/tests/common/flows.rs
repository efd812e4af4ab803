//! Flows that share a bottleneck, in virtual time: streams of ours, and models of what others send.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

use super::rival::{Kind, Rival};
use super::{SOCKET, Side, address, payload};
use bosc_testkit::{LinkConfig, Occurrence, Rng, Simulator};
use bosc_udx::{Config, SocketTag, Stream};
use std::time::Duration;

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `rate` bytes a second and a queue of `queue` bytes that everybody shares.
pub fn shared(delay: Duration, rate: u64, queue: usize) -> LinkConfig {
    LinkConfig { rate: Some(rate), queue, bottleneck: Some(1), ..LinkConfig::delay(delay) }
}

/// Jain's index: 1 if all have as much, one part in `shares.len()` if one has everything.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

enum Flow {
    /// The writer and its reader.
    Ours(Box<(Side, Side)>),
    Rival(Box<Rival>),
}

pub struct Flows {
    net: Simulator,
    flows: Vec<Flow>,
    /// When each begins.
    starts: Vec<Duration>,
    /// Bytes read by each.
    got: Vec<u64>,
    alarms: Vec<Duration>,
}

impl Flows {
    /// Acknowledgements have links of their own.
    pub fn new(seed: u64, count: u8, forward: &LinkConfig) -> Self {
        Flows::starting(seed, &vec![Duration::ZERO; usize::from(count)], forward)
    }

    /// Streams of ours.
    pub fn starting(seed: u64, starts: &[Duration], forward: &LinkConfig) -> Self {
        Flows::of(seed, &starts.iter().map(|start| (None, *start)).collect::<Vec<_>>(), forward)
    }

    /// Ours where no kind is named.
    pub fn of(seed: u64, flows: &[(Option<Kind>, Duration)], forward: &LinkConfig) -> Self {
        let mut rng = Rng::new(seed);
        let mut net = Simulator::new(
            seed,
            LinkConfig { jitter: Duration::from_micros(300), ..LinkConfig::delay(forward.delay) },
        );
        let made = flows.iter().zip(0u8..).map(|(&(kind, _), i)| {
            let (at_a, at_b) = (address(i), address(100 + i));
            net.set_link(at_a, at_b, forward.clone());
            let ids = (rng.next_u64() as u32, u32::from(i) + 1000);
            if let Some(kind) = kind {
                return Flow::Rival(Box::new(Rival::new(kind, at_a, at_b, u64::from(ids.0))));
            }
            let mut a = Stream::new(ids.0, Config::default(), Duration::ZERO);
            let mut b = Stream::new(ids.1, Config::default(), Duration::ZERO);
            a.connect(SOCKET, ids.1, at_b, Duration::ZERO);
            b.connect(SOCKET, ids.0, at_a, Duration::ZERO);
            Flow::Ours(Box::new((Side::new(a, at_a), Side::new(b, at_b))))
        });
        Flows {
            flows: made.collect(),
            net,
            starts: flows.iter().map(|(_, start)| *start).collect(),
            got: vec![0; flows.len()],
            alarms: vec![Duration::MAX; flows.len()],
        }
    }

    pub fn set_forward(&mut self, link: &LinkConfig) {
        for i in (0u8..).take(self.flows.len()) {
            self.net.set_link(address(i), address(100 + i), link.clone());
        }
    }

    /// The round trip that the writer of a stream of ours sees.
    pub fn rtt(&self, of: usize) -> Duration {
        match &self.flows[of] {
            Flow::Ours(pair) => pair.0.stream.stats().rtt.unwrap(),
            Flow::Rival(_) => panic!("not ours"),
        }
    }

    /// Until `end`. Writers always have something to write; what was read is only counted. A host is given its turn only when
    /// something happens to it: whoever came first in every turn would have every place of a full queue that becomes free.
    pub fn run(&mut self, end: Duration) {
        let mut datagram = Vec::new();
        for i in 0..self.flows.len() {
            self.turn(i, &mut datagram);
        }
        while let Some(what) = self.net.next_until(end) {
            let now = self.net.now();
            let of = match what {
                Occurrence::Datagram(d) => {
                    let of = (0u8..)
                        .take(self.flows.len())
                        .position(|i| d.to == address(i) || d.to == address(100 + i))
                        .unwrap();
                    match &mut self.flows[of] {
                        Flow::Ours(pair) => {
                            let (a, b) = &mut **pair;
                            let side = if d.to == a.at { a } else { b };
                            side.stream.handle_packet(SocketTag(0), d.from, &d.payload, now);
                        }
                        Flow::Rival(rival) => rival.handle(&mut self.net, d.to, &d.payload),
                    }
                    of
                }
                Occurrence::Wake { token } => {
                    let of = usize::try_from(token).unwrap();
                    if let Flow::Ours(pair) = &mut self.flows[of] {
                        for side in [&mut pair.0, &mut pair.1] {
                            if side.stream.next_timeout().is_some_and(|at| at <= now) {
                                side.stream.handle_timeout(now);
                            }
                        }
                    }
                    of
                }
            };
            self.turn(of, &mut datagram);
        }
    }

    fn turn(&mut self, of: usize, datagram: &mut Vec<u8>) {
        let now = self.net.now();
        if self.starts[of] > now {
            self.net.wake(self.starts[of], of as u64);
            return;
        }
        let next = match &mut self.flows[of] {
            Flow::Rival(rival) => {
                let next = rival.turn(&mut self.net);
                self.got[of] = rival.received;
                Some(next)
            }
            Flow::Ours(pair) => {
                let (a, b) = &mut **pair;
                if a.to_write.is_empty() {
                    a.to_write = payload(1, 50_000);
                }
                a.written = 0;
                let mut next = None;
                for side in [&mut *a, &mut *b] {
                    side.application(now);
                    while let Some(transmit) = side.stream.poll_transmit(now, datagram) {
                        self.net.send(side.at, transmit.to, datagram.as_slice());
                        datagram.clear();
                    }
                    next = next.into_iter().chain(side.stream.next_timeout()).min();
                }
                while a.stream.write_capacity() > 0 && a.written == a.to_write.len() {
                    a.written = 0;
                    a.application(now);
                }
                self.got[of] += b.read.len() as u64;
                b.read.clear();
                next
            }
        };
        // An alarm that is already set for then, or earlier, will do.
        if let Some(next) = next
            && (next < self.alarms[of] || self.alarms[of] <= now)
        {
            self.alarms[of] = next.max(now + Duration::from_micros(1));
            self.net.wake(self.alarms[of], of as u64);
        }
    }

    pub fn read(&self) -> Vec<f64> {
        self.got.iter().map(|bytes| *bytes as f64).collect()
    }

    /// Bytes that each reader got from now to `end`.
    pub fn read_until(&mut self, end: Duration) -> Vec<f64> {
        let before = self.read();
        self.run(end);
        self.read().iter().zip(before).map(|(after, before)| after - before).collect()
    }
}
