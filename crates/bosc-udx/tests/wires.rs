//! One stream over each wire of the table in docs/performance.md, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::LinkConfig;
use common::{Pair, payload};
use std::time::Duration;

#[derive(Clone, Copy)]
struct Wire {
    /// %.
    loss: f64,
    /// One way, ms.
    delay: u64,
    jitter: u64,
    mbit: u64,
    /// KB.
    queue: usize,
}

const WIRES: [Wire; 7] = [
    Wire { loss: 0.0, delay: 20, jitter: 0, mbit: 100, queue: 500 },
    Wire { loss: 2.0, delay: 50, jitter: 0, mbit: 100, queue: 1000 },
    Wire { loss: 10.0, delay: 50, jitter: 0, mbit: 100, queue: 1000 },
    Wire { loss: 0.0, delay: 100, jitter: 5, mbit: 50, queue: 1000 },
    Wire { loss: 2.0, delay: 300, jitter: 0, mbit: 20, queue: 1000 },
    Wire { loss: 0.0, delay: 20, jitter: 0, mbit: 10, queue: 60 },
    Wire { loss: 5.0, delay: 10, jitter: 2, mbit: 200, queue: 500 },
];

impl Wire {
    fn link(self) -> LinkConfig {
        LinkConfig {
            delay: Duration::from_millis(self.delay),
            jitter: Duration::from_millis(self.jitter),
            loss: self.loss / 100.0,
            rate: Some(self.mbit * 125_000),
            queue: self.queue * 1000,
            // Ethernet, IP and UDP.
            overhead: 42,
            mtu: 1514,
            ..LinkConfig::default()
        }
    }

    /// Bytes a second that arrive if the sender never pauses and knows the rate.
    fn holds(self) -> f64 {
        self.mbit as f64 * 125_000.0 * (1.0 - self.loss / 100.0) * 1452.0 / 1514.0
    }

    /// Median seconds of five seeds until `len` bytes have arrived.
    fn takes(self, len: usize) -> f64 {
        let mut times: Vec<f64> = (1..=5)
            .map(|seed| {
                let mut pair = Pair::new(seed, self.link());
                pair.a.to_write = payload(1, len);
                let done = pair.run(Duration::from_secs(200), |pair| pair.b.read.len() == len);
                assert!(done, "{} of {len} bytes", pair.b.read.len());
                let stats = pair.a.stream.stats();
                println!(
                    "  {:.2} s, sent again {}, lost {}, for nothing {}, duplicates {}, timeouts {}, probes {}, net {:?}",
                    pair.b.done_at.as_secs_f64(),
                    stats.retransmitted_packets,
                    stats.lost_packets,
                    stats.spurious_losses,
                    pair.b.stream.stats().duplicate_packets,
                    stats.timeouts,
                    stats.tail_probes,
                    pair.net.stats().overflowed,
                );
                pair.b.done_at.as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[2]
    }
}

#[test]
fn a_long_transfer_uses_what_the_wire_has() {
    // Of what the wire holds, the first round trips included.
    let wanted = [0.85, 0.65, 0.55, 0.7, 0.55, 0.9, 0.75];
    let mut below = Vec::new();
    for (wire, wanted) in WIRES.into_iter().zip(wanted) {
        let len = 20 << 20;
        let rate = len as f64 / wire.takes(len);
        let part = rate / wire.holds();
        println!(
            "{} %, {} ms, {} Mbit/s: {:.2} MB/s, {part:.2} of it",
            wire.loss,
            wire.delay,
            wire.mbit,
            rate / 1e6
        );
        if part < wanted {
            below.push((wire.loss, wire.delay, part, wanted));
        }
    }
    assert!(below.is_empty(), "{below:?}");
}

#[test]
fn a_short_transfer_takes_few_round_trips() {
    let wanted = [6.5, 7.5, 10.0, 6.5, 7.5, 25.0, 9.0];
    let mut above = Vec::new();
    for (wire, wanted) in WIRES.into_iter().zip(wanted) {
        let rounds = wire.takes(1 << 20) / (wire.delay as f64 / 500.0);
        println!("{} %, {} ms, {} Mbit/s: {rounds:.1} round trips", wire.loss, wire.delay, wire.mbit);
        if rounds > wanted {
            above.push((wire.loss, wire.delay, rounds, wanted));
        }
    }
    assert!(above.is_empty(), "{above:?}");
}
