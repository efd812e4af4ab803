//! Whole nodes on loopback: a private DHT, a seeder, a downloader, each with its own sockets, threads and store.

#![allow(clippy::unwrap_used)]

use bosc_node::{Download, DownloadHandle, LiveCore, Node, NodeConfig, Part, Role};
use bosc_store::{Core, CreateOptions, Options, Store};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

fn network(n: usize) -> (Vec<Node>, Vec<SocketAddrV4>) {
    let mut nodes = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..n {
        let mut config = NodeConfig::peer(bootstrap.iter().take(1).copied().collect());
        config.host = Ipv4Addr::LOCALHOST;
        config.role = Role::Persistent(Ipv4Addr::LOCALHOST);
        let node = Node::start(config, None).unwrap();
        bootstrap.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, node.port()));
        nodes.push(node);
    }
    (nodes, bootstrap)
}

fn peer(bootstrap: &[SocketAddrV4]) -> (Node, Store) {
    let store = Store::memory(Options::default()).unwrap();
    let mut config = NodeConfig::peer(bootstrap.to_vec());
    config.host = Ipv4Addr::LOCALHOST;
    (Node::start(config, Some(store.clone())).unwrap(), store)
}

/// A node that has announced a core with these blocks.
fn seeder(bootstrap: &[SocketAddrV4], blocks: &[Bytes]) -> (Node, Core, LiveCore) {
    let (node, store) = peer(bootstrap);
    let core = store.create_core(CreateOptions::new()).unwrap();
    core.append(blocks).unwrap();
    let topic = *core.discovery_key();
    let served = node.attach(&core);
    node.join(topic, Part { server: true, ..Part::default() });
    wait(&node, &served, "announced", || node.is_flushed(&topic));
    (node, core, served)
}

/// A node that fetches all of a core, as long as the download is held.
fn downloader(bootstrap: &[SocketAddrV4], core: &Core) -> (Node, Core, LiveCore, DownloadHandle) {
    let (node, store) = peer(bootstrap);
    let replica = store.open_core(core.key()).unwrap();
    let live = node.attach(&replica);
    let download = live.download(Download::live());
    node.join(*core.discovery_key(), Part { client: true, ..Part::default() });
    (node, replica, live, download)
}

fn wait(node: &Node, live: &LiveCore, what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    let done = node.signal().wait(Some(deadline), || ready().then_some(()));
    assert!(done.is_some(), "{what}: {:?}", live.status());
}

#[test]
fn a_core_is_found_fetched_live_and_followed_through_a_truncation() {
    let (_nodes, bootstrap) = network(4);
    let blocks: Vec<Bytes> = (0..200u32).map(|i| vec![i as u8; 1000 + i as usize].into()).collect();
    let (seeder, core, served) = seeder(&bootstrap, &blocks);
    let (downloader, replica, live, download) = downloader(&bootstrap, &core);
    wait(&downloader, &live, "whole", || replica.contiguous_length() == 200);
    assert_eq!(replica.head().tree_hash(), core.head().tree_hash());
    for (i, block) in blocks.iter().enumerate() {
        assert_eq!(replica.block(i as u64).unwrap().as_ref(), Some(block));
    }

    core.append(&["live".into()]).unwrap();
    wait(&downloader, &live, "live append", || replica.contiguous_length() == 201);
    assert_eq!(replica.block(200).unwrap().as_deref(), Some(&b"live"[..]));

    core.truncate(50, core.head().fork + 1).unwrap();
    core.append(&["other".into()]).unwrap();
    wait(&downloader, &live, "reorg", || replica.head().fork == 1 && replica.contiguous_length() == 51);
    assert_eq!(replica.head().tree_hash(), core.head().tree_hash());
    assert_eq!(replica.block(50).unwrap().as_deref(), Some(&b"other"[..]));

    wait(&seeder, &served, "full copies", || served.status().full_copies() == 1);
    drop(download);
    downloader.close();
    wait(&seeder, &served, "peer left", || served.status().peers.is_empty());
    seeder.close();
}

#[test]
fn a_node_that_rests_sends_nothing_and_goes_on_afterwards() {
    let (_nodes, bootstrap) = network(4);
    let (seeder, core, _served) = seeder(&bootstrap, &["one".into()]);
    let (downloader, replica, live, _download) = downloader(&bootstrap, &core);
    wait(&downloader, &live, "the first block", || replica.contiguous_length() == 1);

    for node in [&downloader, &seeder] {
        node.suspend();
        node.suspend();
        let sent = node.status().sent;
        std::thread::sleep(Duration::from_millis(3500));
        assert_eq!(node.status().sent, sent, "it rests");
        assert!(node.status().connections.is_empty());
        core.append(&["more".into()]).unwrap();
        let port = node.port();
        node.resume();
        node.resume();
        let length = core.head().length;
        wait(&downloader, &live, "after the rest", || replica.contiguous_length() == length);
        assert_eq!(node.status().port, port, "the same port, where it is free");
    }
    downloader.suspend();
    downloader.close();
    seeder.close();
}
