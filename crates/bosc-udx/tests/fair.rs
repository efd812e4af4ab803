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

use bosc_testkit::LinkConfig;
use common::flows::{Flows, jain, millis, shared};
use std::time::Duration;

#[test]
fn a_deep_queue_is_not_filled() {
    // Room for two seconds at this rate.
    let link = shared(millis(20), 2_500_000, 5_000_000);
    let mut flows = Flows::new(1, 1, &link);
    flows.run(millis(3_000));
    let mut worst = Duration::ZERO;
    for tenth in 31..200 {
        flows.run(millis(tenth * 100));
        worst = worst.max(flows.rtt(0));
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
