//! How often a node that has nothing to do wakes up.
//!
//! `cargo run --release -p bosc-node --example idle [SECONDS]` starts a private network on loopback and lets five nodes rest: one
//! alone on a topic as client, one alone as client and server, one with an idle peer, that peer, and one whose bootstrap
//! node never answers. It lets them settle for as long as it then measures (60 seconds), and counts how often their
//! threads were put to sleep (`voluntary_ctxt_switches`), which is how often they were woken. Linux only.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod network;

use bosc_node::{Download, Node, NodeConfig, Part};
use bosc_store::{CreateOptions, Options, Store};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

const CLIENT: Part = Part { client: true, server: false, urgent: false };
const SERVER: Part = Part { client: true, server: true, urgent: false };

/// The threads of this process.
fn threads() -> BTreeSet<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return BTreeSet::new() };
    tasks.filter_map(|t| Some(t.ok()?.file_name().to_string_lossy().into_owned())).collect()
}

fn wakes(threads: &BTreeSet<String>) -> Vec<(String, u64)> {
    let one = |tid: &String| {
        let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).ok()?;
        let field = |name| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        let count = field("voluntary_ctxt_switches:")?.parse().ok()?;
        Some((field("Name:")?.to_owned(), count))
    };
    threads.iter().filter_map(one).collect()
}

struct Resting {
    what: &'static str,
    node: Node,
    threads: BTreeSet<String>,
}

fn start(what: &'static str, bootstrap: Vec<SocketAddrV4>, store: Option<&Store>) -> Resting {
    let before = threads();
    let config = NodeConfig { host: Ipv4Addr::LOCALHOST, ..NodeConfig::peer(bootstrap) };
    let node = Node::start(config, store.cloned()).unwrap();
    Resting { what, node, threads: threads().difference(&before).cloned().collect() }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(60);
    if threads().is_empty() {
        println!("no /proc/self/task here: nothing measured");
        return;
    }
    let (_network, bootstrap) = network::start();

    let alone = start("alone, client", bootstrap.clone(), None);
    alone.node.join([1; 32], CLIENT);
    let announced = start("alone, client and server", bootstrap.clone(), None);
    announced.node.join([2; 32], SERVER);

    let store = Store::memory(Options::default()).unwrap();
    let core = store.create_core(CreateOptions::new()).unwrap();
    core.append(&["block".into()]).unwrap();
    let topic = *core.discovery_key();
    let seeder = start("seeder with one idle peer", bootstrap.clone(), Some(&store));
    let served = seeder.node.attach(&core);
    seeder.node.join(topic, SERVER);
    let other = Store::memory(Options::default()).unwrap();
    let follower = start("follower with one idle peer", bootstrap, Some(&other));
    let replica = other.open_core(core.key()).unwrap();
    let live = follower.node.attach(&replica);
    let _download = live.download(Download::live());
    follower.node.join(topic, CLIENT);

    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nowhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, silent.local_addr().unwrap().port());
    let cut_off = start("no network, client and server", vec![nowhere], None);
    cut_off.node.join([3; 32], SERVER);

    let deadline = Instant::now() + Duration::from_secs(30);
    let came = live.signal().wait(Some(deadline), || (replica.contiguous_length() == 1).then_some(()));
    assert!(came.is_some() && served.status().length == 1, "the follower has nothing");

    let all = [alone, announced, seeder, follower, cut_off];
    std::thread::sleep(Duration::from_secs(seconds));
    let before: Vec<_> = all.iter().map(|r| wakes(&r.threads)).collect();
    std::thread::sleep(Duration::from_secs(seconds));
    for (resting, before) in all.iter().zip(before) {
        let after = wakes(&resting.threads);
        let each: Vec<(&str, u64)> =
            after.iter().zip(&before).map(|((name, a), (_, b))| (name.as_str(), a - b)).collect();
        let sum: u64 = each.iter().map(|(_, n)| n).sum();
        let rate = sum as f64 / seconds as f64;
        println!("{:32} {sum:4} wake-ups in {seconds} s ({rate:.2}/s): {each:?}", resting.what);
    }
}
