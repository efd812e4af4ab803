//! How fast two replicators move a core through memory: choosing, proving, encoding, decoding, verifying, without
//! encryption and sockets. Run with
//! `cargo test --release -p bosc-wire --test replication_throughput -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_wire::replication::{
    ApplyError, Comparison, Config, CoreAccess, Download, HeadInfo, HeadSummary, ManifestState, PeerId,
    ProveError, ReorgStep, Replicator,
};
use bytes::Bytes;
use memory_core::MemoryCore;
use std::time::{Duration, Instant};

#[allow(unreachable_pub, dead_code)]
#[path = "replication_support/memory_core.rs"]
mod memory_core;

fn run(blocks: u64, len: usize) {
    let mut giver = MemoryCore::writer(1);
    let data = Bytes::from(vec![7; len]);
    giver.append((0..blocks).map(|_| data.clone()));
    let mut taker = MemoryCore::reader(giver.key);
    taker.discard = true;
    let mut a = Replicator::new(Config::default(), &giver);
    let mut b = Replicator::new(Config::default(), &taker);
    let start = Instant::now();
    let p = PeerId(1);
    a.add_peer(p, &giver, Duration::ZERO);
    b.add_peer(p, &taker, Duration::ZERO);
    b.download(Download::live(), &taker);
    let mut wire = 0;
    while taker.contiguous_length() < blocks {
        let now = start.elapsed();
        let mut idle = true;
        while a.poll_ready().is_some() || b.poll_ready().is_some() {}
        let mut room = 256 << 10;
        while room > 0
            && let Some(out) = a.poll_outgoing(p, &mut giver, now)
        {
            idle = false;
            wire += out.payload.len();
            room = usize::saturating_sub(room, out.payload.len());
            b.handle_message(p, out.kind as u32, out.payload.concat(), &mut taker, now);
        }
        while let Some(out) = b.poll_outgoing(p, &mut taker, now) {
            idle = false;
            a.handle_message(p, out.kind as u32, out.payload.concat(), &mut giver, now);
        }
        while b.poll_event().is_some() {}
        assert!(!idle || taker.contiguous_length() == blocks, "stuck");
    }
    let took = start.elapsed();
    let total = blocks as usize * len;
    println!(
        "{blocks} x {len}: {:.0} MB/s, {:.0} blocks/s, {:.2} % more than the blocks",
        total as f64 / 1e6 / took.as_secs_f64(),
        blocks as f64 / took.as_secs_f64(),
        (wire as f64 / total as f64 - 1.0) * 100.0
    );
}

#[test]
#[ignore = "prints figures, proves nothing"]
fn throughput() {
    run(200_000, 200);
    run(50_000, 4096);
    run(16_384, 65_536);
    run(128, 8 << 20);
}
