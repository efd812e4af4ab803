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

use bosc_testkit::{LinkConfig, Occurrence, Rng, Simulator};
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
    /// When each begins.
    starts: Vec<Duration>,
    /// Bytes read by each.
    got: Vec<u64>,
    alarms: Vec<Duration>,
}

impl Flows {
    /// Acknowledgements have links of their own.
    fn new(seed: u64, count: u8, forward: &LinkConfig) -> Self {
        Flows::starting(seed, &vec![Duration::ZERO; usize::from(count)], forward)
    }

    fn starting(seed: u64, starts: &[Duration], forward: &LinkConfig) -> Self {
        let count = u8::try_from(starts.len()).unwrap();
        let mut rng = Rng::new(seed);
        let mut net = Simulator::new(
            seed,
            LinkConfig { jitter: Duration::from_micros(300), ..LinkConfig::delay(forward.delay) },
        );
        let pairs = (0..count)
            .map(|i| {
                let (at_a, at_b) = (address(i), address(100 + i));
                net.set_link(at_a, at_b, forward.clone());
                let ids = (rng.next_u64() as u32, u32::from(i) + 1000);
                let mut a = Stream::new(ids.0, Config::default(), Duration::ZERO);
                let mut b = Stream::new(ids.1, Config::default(), Duration::ZERO);
                a.connect(SOCKET, ids.1, at_b, Duration::ZERO);
                b.connect(SOCKET, ids.0, at_a, Duration::ZERO);
                (Side::new(a, at_a), Side::new(b, at_b))
            })
            .collect();
        Flows {
            net,
            pairs,
            starts: starts.to_vec(),
            got: vec![0; starts.len()],
            alarms: vec![Duration::MAX; starts.len()],
        }
    }

    fn set_forward(&mut self, link: &LinkConfig) {
        for (a, b) in &self.pairs {
            self.net.set_link(a.at, b.at, link.clone());
        }
    }

    /// Until `end`. Writers always have something to write; what was read is only counted. A host is given its turn only when something
    /// happens to it: whoever came first in every turn would have every place of a full queue that becomes free.
    fn run(&mut self, end: Duration) {
        let mut datagram = Vec::new();
        for i in 0..self.pairs.len() {
            self.turn(i, &mut datagram);
        }
        while let Some(what) = self.net.next_until(end) {
            let now = self.net.now();
            let of = match what {
                Occurrence::Datagram(d) => {
                    let of = self.pairs.iter().position(|(a, b)| d.to == a.at || d.to == b.at).unwrap();
                    let (a, b) = &mut self.pairs[of];
                    let side = if d.to == a.at { a } else { b };
                    side.stream.handle_packet(SocketTag(0), d.from, &d.payload, now);
                    of
                }
                Occurrence::Wake { token } => {
                    let of = usize::try_from(token).unwrap();
                    let (a, b) = &mut self.pairs[of];
                    for side in [a, b] {
                        if side.stream.next_timeout().is_some_and(|at| at <= now) {
                            side.stream.handle_timeout(now);
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
        let (a, b) = &mut self.pairs[of];
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
        // An alarm that is already set for then, or earlier, will do.
        if let Some(next) = next
            && (next < self.alarms[of] || self.alarms[of] <= now)
        {
            self.alarms[of] = next.max(now + Duration::from_micros(1));
            self.net.wake(self.alarms[of], of as u64);
        }
    }

    fn read(&self) -> Vec<f64> {
        self.got.iter().map(|bytes| *bytes as f64).collect()
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

/// Jain's index: 1 if all have as much, one part in `shares.len()` if one has everything.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

/// Delay of one way in ms, Mbit/s, queue in KB, loss.
const SHARED: [(u64, u64, usize, f64); 6] = [
    (20, 40, 60, 0.0),
    (20, 40, 200, 0.0),
    (20, 40, 600, 0.0),
    (50, 40, 250, 0.0),
    (20, 100, 500, 0.0),
    (20, 40, 200, 0.01),
];

fn wire((delay, mbit, queue, loss): (u64, u64, usize, f64)) -> LinkConfig {
    LinkConfig { loss, ..shared(millis(delay), mbit * 125_000, queue * 1000) }
}

#[test]
fn four_flows_share_a_queue() {
    // Of those that start one after another; 0.9 is the aim, and a flow that has the link lets go of it too slowly.
    let wanted = [0.65, 0.75, 0.65, 0.3, 0.6, 0.85];
    let mut below = Vec::new();
    for (config, staggered) in SHARED.into_iter().zip(wanted) {
        let link = wire(config);
        for (name, gap) in [("together", 0), ("one after another", 700)] {
            let starts: Vec<_> = (0..4).map(|i| millis(i * gap)).collect();
            let mut indices = Vec::new();
            let mut used = Vec::new();
            for seed in 1..=3 {
                let mut flows = Flows::starting(seed, &starts, &link);
                flows.run(millis(4_000));
                let shares = flows.read_until(millis(16_000));
                indices.push(jain(&shares));
                used.push(shares.iter().sum::<f64>() / (12.0 * link.rate.unwrap() as f64));
                println!(
                    "    {:.2?}",
                    shares.iter().map(|s| s / shares.iter().sum::<f64>()).collect::<Vec<_>>()
                );
            }
            println!("{config:?} {name}: Jain {indices:.2?}, used {used:.2?}");
            indices.sort_by(f64::total_cmp);
            let wanted = if gap == 0 { 0.85 } else { staggered };
            if indices[0] < wanted || used.iter().any(|u| *u < 0.8) {
                below.push((config, name, indices, used));
            }
        }
    }
    assert!(below.is_empty(), "{below:?}");
}

#[test]
fn who_starts_beside_a_running_flow_gets_a_share() {
    // In its first four seconds; half is the aim.
    let wanted = [0.1, 0.2, 0.3, 0.08, 0.2, 0.2];
    let mut below = Vec::new();
    for (config, wanted) in SHARED.into_iter().zip(wanted) {
        let link = wire(config);
        for seed in 1..=3 {
            let mut flows = Flows::starting(seed, &[Duration::ZERO, millis(6_000)], &link);
            flows.run(millis(6_000));
            let total = 4.0 * link.rate.unwrap() as f64;
            let shares: Vec<_> = flows.read_until(millis(10_000)).iter().map(|s| s / total).collect();
            println!("{config:?}: {shares:.2?}");
            if shares.iter().any(|share| *share < wanted) {
                below.push((config, seed, shares));
            }
        }
    }
    assert!(below.is_empty(), "{below:?}");
}
