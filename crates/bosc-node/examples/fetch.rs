//! How long it takes a new node to find a core on loopback and fetch it.
//!
//! `cargo run --release -p bosc-node --example fetch [RUNS]` starts a private network and a seeder, then starts a node, fetches a
//! core of 20 blocks and ends it, again and again, and prints half, nine of ten, 99 of 100 and all of the times, from the
//! start of the node to the last block.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod network;

use bosc_node::{Download, Node, NodeConfig, Part};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

fn main() {
    let runs = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_usize).max(1);
    let (_network, bootstrap) = network::start();
    let start = |store: &Store| {
        let config = NodeConfig { host: Ipv4Addr::LOCALHOST, ..NodeConfig::peer(bootstrap.clone()) };
        Node::start(config, Some(store.clone())).unwrap()
    };
    let store = Store::memory(Options::default()).unwrap();
    let core = store.create_core(CreateOptions::new()).unwrap();
    let blocks: Vec<Bytes> = (0..20u8).map(|i| vec![i; 4000].into()).collect();
    core.append(&blocks).unwrap();
    let topic = *core.discovery_key();
    let seeder = start(&store);
    let _served = seeder.attach(&core);
    seeder.join(topic, Part { client: true, server: true, urgent: false });
    seeder
        .signal()
        .wait(Some(Instant::now() + Duration::from_secs(30)), || seeder.is_flushed(&topic).then_some(()));

    let mut times = Vec::new();
    for _ in 0..runs {
        let store = Store::memory(Options::default()).unwrap();
        let copy = store.open_core(core.key()).unwrap();
        let began = Instant::now();
        let node = start(&store);
        let live = node.attach(&copy);
        let _download = live.download(Download::range(0, 20));
        node.join(topic, Part { client: true, server: false, urgent: true });
        let deadline = Some(began + Duration::from_secs(30));
        let came = live.signal().wait(deadline, || (copy.contiguous_length() == 20).then_some(()));
        assert!(came.is_some(), "{:?}", live.status());
        times.push(began.elapsed());
        node.close();
    }
    times.sort_unstable();
    let part = |n: usize| times[(times.len() - 1) * n / 100].as_secs_f64() * 1000.0;
    println!(
        "{runs} runs: {:.1} ms (half), {:.1} ms (nine of ten), {:.1} ms (99 of 100), {:.1} ms (all)",
        part(50),
        part(90),
        part(99),
        part(100)
    );
}
