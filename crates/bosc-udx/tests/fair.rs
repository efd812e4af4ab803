//! A bottleneck with a deep queue, and one whose rate changes, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::{LinkConfig, Occurrence, Simulator};
use bosc_udx::{Config, SocketTag, Stream};
use common::{SOCKET, Side, address, payload};
use std::time::Duration;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `rate` bytes a second and a queue of `queue` bytes that everybody shares.
fn shared(delay: Duration, rate: u64, queue: usize) -> LinkConfig {
    LinkConfig { rate: Some(rate), queue, bottleneck: Some(1), ..LinkConfig::delay(delay) }
}

/// Writers, each with its reader.
struct Flows {
    net: Simulator,
    pairs: Vec<(Side, Side)>,
}

impl Flows {
    /// Acknowledgements have links of their own.
    fn new(seed: u64, count: u8, forward: &LinkConfig) -> Self {
        let mut net = Simulator::new(seed, LinkConfig::delay(forward.delay));
        let pairs = (0..count)
            .map(|i| {
                let (at_a, at_b) = (address(i), address(100 + i));
                net.set_link(at_a, at_b, forward.clone());
                let ids = (u32::from(i) * 7 + 1, u32::from(i) + 1000);
                let mut a = Stream::new(ids.0, Config::default(), Duration::ZERO);
                let mut b = Stream::new(ids.1, Config::default(), Duration::ZERO);
                a.connect(SOCKET, ids.1, at_b, Duration::ZERO);
                b.connect(SOCKET, ids.0, at_a, Duration::ZERO);
                (Side::new(a, at_a), Side::new(b, at_b))
            })
            .collect();
        Flows { net, pairs }
    }

    fn set_forward(&mut self, link: &LinkConfig) {
        for (a, b) in &self.pairs {
            self.net.set_link(a.at, b.at, link.clone());
        }
    }

    /// Until `end`. Writers always have something to write; what was read is only counted.
    fn run(&mut self, end: Duration) {
        let mut alarm = Duration::MAX;
        loop {
            let now = self.net.now();
            let mut next = None;
            let mut datagram = Vec::new();
            for (a, b) in &mut self.pairs {
                if a.to_write.is_empty() {
                    a.to_write = payload(1, 50_000);
                }
                a.written = 0;
                for side in [&mut *a, &mut *b] {
                    side.application(now);
                    while let Some(transmit) = side.stream.poll_transmit(now, &mut datagram) {
                        self.net.send(side.at, transmit.to, datagram.as_slice());
                        datagram.clear();
                    }
                    next = next.into_iter().chain(side.stream.next_timeout()).min();
                }
                while a.stream.write_capacity() > 0 && a.written == a.to_write.len() {
                    a.written = 0;
                    a.application(now);
                }
            }
            if let Some(next) = next
                && (next < alarm || alarm <= now)
            {
                alarm = next.max(now + Duration::from_micros(1));
                self.net.wake(alarm, 0);
            }
            let Some(what) = self.net.next_until(end) else { return };
            let now = self.net.now();
            for (a, b) in &mut self.pairs {
                for side in [a, b] {
                    match &what {
                        Occurrence::Datagram(d) if d.to == side.at => {
                            side.stream.handle_packet(SocketTag(0), d.from, &d.payload, now);
                        }
                        Occurrence::Datagram(_) => {}
                        Occurrence::Wake { .. } => {
                            if side.stream.next_timeout().is_some_and(|at| at <= now) {
                                side.stream.handle_timeout(now);
                            }
                        }
                    }
                }
            }
        }
    }

    fn read(&self) -> Vec<f64> {
        self.pairs.iter().map(|(_, b)| b.read.len() as f64).collect()
    }

    /// Bytes that each reader got from now to `end`.
    fn read_until(&mut self, end: Duration) -> Vec<f64> {
        let before = self.read();
        self.run(end);
        self.read().iter().zip(before).map(|(after, before)| after - before).collect()
    }
}

#[test]
fn a_deep_queue_is_not_filled() {
    // Room for two seconds at this rate.
    let link = shared(millis(20), 2_500_000, 5_000_000);
    let mut flows = Flows::new(1, 1, &link);
    flows.run(millis(3_000));
    let mut worst = Duration::ZERO;
    for tenth in 31..200 {
        flows.run(millis(tenth * 100));
        worst = worst.max(flows.pairs[0].0.stream.stats().rtt.unwrap());
    }
    let used = flows.read()[0] / (20.0 * 2_500_000.0);
    println!("round trip at most {worst:?}, {used:.2} of the link");
    assert!(worst < millis(120), "{worst:?}");
    assert!(used > 0.85, "{used}");
}

#[test]
fn a_rate_that_falls_to_a_tenth_and_comes_back() {
    let fast = shared(millis(25), 12_500_000, 500_000);
    let slow = shared(millis(25), 1_250_000, 500_000);
    let mut flows = Flows::new(1, 1, &fast);
    flows.run(millis(5_000));
    flows.set_forward(&slow);
    flows.run(millis(7_000));
    let during = flows.read_until(millis(12_000))[0] / (5.0 * 1_250_000.0);
    flows.set_forward(&fast);
    flows.run(millis(16_000));
    let after = flows.read_until(millis(20_000))[0] / (4.0 * 12_500_000.0);
    println!("{during:.2} of the slow link, {after:.2} of the fast one four seconds later");
    assert!(during > 0.75, "{during}");
    assert!(after > 0.75, "{after}");
}
