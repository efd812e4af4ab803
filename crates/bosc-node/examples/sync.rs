//! What it costs to move a core from one process to another on loopback, in CPU seconds of each.
//!
//! `cargo run --release -p bosc-node --example sync [MIB] [BLOCK_KIB] [RUNS] [DIR] [AT_ONCE]` makes a core of MIB (256) in
//! blocks of BLOCK_KIB (64) and has new processes download it, AT_ONCE (1) of them at the same time and that RUNS (5)
//! times, into stores of their own in DIR.
//! `examples/parts.rs` says what hashing, opening and writing as much cost alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod network;

use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_node::{Download, Node, NodeConfig, Part};
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// User and system time of this process so far (Linux; elsewhere 0).
fn cpu() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').map(|f| f.parse().unwrap_or(0)).collect();
    let ticks = |i: usize| Duration::from_millis(10 * fields.get(i).copied().unwrap_or(0));
    (ticks(12), ticks(13))
}

/// Peak resident memory in MiB (Linux; elsewhere 0).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// CPU time of each thread that is still there.
fn threads() -> String {
    let mut out = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let nanos: u64 = text("schedstat").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        if nanos > 10_000_000 {
            out.push(format!("{} {:.3}", text("comm").trim(), nanos as f64 / 1e9));
        }
    }
    out.join(", ")
}

fn noise(len: usize, x: &mut u64) -> Bytes {
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(len);
    out.into()
}

fn start(bootstrap: Vec<SocketAddrV4>, store: &Store) -> Node {
    let config = NodeConfig { host: Ipv4Addr::LOCALHOST, ..NodeConfig::peer(bootstrap) };
    Node::start(config, Some(store.clone())).unwrap()
}

/// The downloading process.
fn download(dir: &Path, key: &CoreKey, length: u64, bootstrap: Vec<SocketAddrV4>) {
    let store = Store::open(dir, Options::default()).unwrap();
    let core = store.open_core(key).unwrap();
    let node = start(bootstrap, &store);
    let live = node.attach(&core);
    let _download = live.download(Download::range(0, length));
    node.join(*core.discovery_key(), Part { client: true, server: false, urgent: true });
    let signal = live.signal();
    let deadline = Some(Instant::now() + Duration::from_secs(300));
    let peer = signal.wait(deadline, || (!live.status().peers.is_empty()).then(Instant::now)).unwrap();
    signal.wait(deadline, || (core.contiguous_length() == length).then_some(())).unwrap();
    let took = peer.elapsed();
    let of_threads = threads();
    node.close();
    drop((live, core));
    drop(store);
    let (user, system) = cpu();
    println!(
        "{:.3} {:.2} {:.2} {} {of_threads}",
        took.as_secs_f64(),
        user.as_secs_f64(),
        system.as_secs_f64(),
        peak()
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "download") {
        let bootstrap = args[5..].iter().map(|a| a.parse().unwrap()).collect();
        return download(
            Path::new(&args[2]),
            &id::decode(&args[3]).unwrap(),
            args[4].parse().unwrap(),
            bootstrap,
        );
    }
    let number =
        |i: usize, default: usize| args.get(i).and_then(|n| n.parse().ok()).unwrap_or(default).max(1);
    let (mib, block, runs) = (number(1, 256), number(2, 64) << 10, number(3, 5));
    let dir = args.get(4).map_or_else(std::env::temp_dir, Into::into);
    let dir = dir.join(format!("bosc-sync-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();

    let (_network, bootstrap) = network::start();
    let store = Store::open(dir.join("seeder"), Options::default()).unwrap();
    let core = store.create_core(CreateOptions::new()).unwrap();
    let (mut left, mut x) = (mib << 20, 0x9e37_79b9_7f4a_7c15);
    while left > 0 {
        let mut batch = store.batch();
        for _ in 0..256 {
            let len = left.min(block);
            left -= len;
            if len > 0 {
                batch.append_block(&core, noise(len, &mut x)).unwrap();
            }
        }
        batch.commit().unwrap();
    }
    let topic = *core.discovery_key();
    let seeder = start(bootstrap.clone(), &store);
    let _served = seeder.attach(&core);
    seeder.join(topic, Part { client: true, server: true, urgent: false });
    let deadline = Some(Instant::now() + Duration::from_secs(30));
    seeder.signal().wait(deadline, || seeder.is_flushed(&topic).then_some(())).unwrap();

    println!("{mib} MiB in blocks of {} KiB; CPU as user + system", block >> 10);
    for _ in 0..runs {
        let before = cpu();
        let children: Vec<_> = (0..number(5, 1))
            .map(|i| {
                let to = dir.join(format!("d{i}"));
                let child = Command::new(std::env::current_exe().unwrap())
                    .args(["download".as_ref(), to.as_os_str()])
                    .args([id::encode(core.key()), core.length().to_string()])
                    .args(bootstrap.iter().map(ToString::to_string))
                    .stdout(std::process::Stdio::piped())
                    .spawn()
                    .unwrap();
                (to, child)
            })
            .collect();
        for (to, child) in children {
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success());
            let line = String::from_utf8(out.stdout).unwrap();
            let f: Vec<&str> = line.trim().splitn(5, ' ').collect();
            let threads = f.get(4).unwrap_or(&"");
            println!("took {} s; downloader {} + {} s, {} MiB ({threads})", f[0], f[1], f[2], f[3]);
            std::fs::remove_dir_all(&to).unwrap();
        }
        let after = cpu();
        let (user, system) = ((after.0 - before.0).as_secs_f64(), (after.1 - before.1).as_secs_f64());
        println!("  seeder {user:.2} + {system:.2} s, {} MiB", peak());
    }
    seeder.close();
    drop((core, store));
    std::fs::remove_dir_all(&dir).unwrap();
}
