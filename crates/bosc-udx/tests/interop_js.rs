//! Against the real udx-native. Set `BOSC_INTEROP_NODE_MODULES` to a node_modules folder that has it; without that
//! each test says in one line that it did not run. `BOSC_UDX_MIB` sets the size of the transfers (64).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

#[path = "common/driver.rs"]
mod driver;

use bosc_udx::{CloseReason, Config, Event, Firewall, Stream};
use driver::{Peer, Socket};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const OURS: u32 = 0x0102_0304;
const THEIRS: u32 = 0xfffe_fdfc;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn modules(test: &str) -> Option<String> {
    let modules = std::env::var("BOSC_INTEROP_NODE_MODULES").ok();
    if modules.is_none() {
        println!("{test}: not run, BOSC_INTEROP_NODE_MODULES is not set");
    }
    modules
}

fn size() -> usize {
    let mib = std::env::var("BOSC_UDX_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(64usize);
    mib << 20
}

/// The JavaScript side.
struct Node {
    child: Child,
    lines: BufReader<ChildStdout>,
    first: SocketAddr,
    second: SocketAddr,
}

impl Node {
    fn spawn(modules: &str, mode: &str, bytes: usize, ours: SocketAddr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/js/udx-peer.cjs");
        let mut child = Command::new("node")
            .arg(script)
            .args([
                modules,
                mode,
                &bytes.to_string(),
                &THEIRS.to_string(),
                &OURS.to_string(),
                &ours.port().to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let hello = line(&mut lines);
        let port = |name: &str| u16::try_from(hello[name].as_u64().unwrap()).unwrap();
        let address = |name| SocketAddr::from((Ipv4Addr::LOCALHOST, port(name)));
        let (first, second) = (address("port"), address("second"));
        Node { child, lines, first, second }
    }

    fn report(mut self) -> serde_json::Value {
        let report = line(&mut self.lines);
        assert!(self.child.wait().unwrap().success());
        report
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(lines: &mut impl BufRead) -> serde_json::Value {
    let mut text = String::new();
    lines.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn connect(modules: &str, mode: &str, bytes: usize, config: Config) -> (Peer, Node) {
    let start = Instant::now();
    let socket = Socket::bind(0);
    let node = Node::spawn(modules, mode, bytes, socket.address());
    let mut stream = Stream::new(OURS, config, start.elapsed());
    stream.connect(socket.tag, THEIRS, node.first, start.elapsed());
    (Peer::new(stream, socket, start), node)
}

const LIMIT: Duration = Duration::from_secs(120);

async fn run_to_the_end(peer: &mut Peer) {
    assert!(peer.run(LIMIT, |peer| peer.closed.is_some()).await, "{:?}", peer.stream.stats());
    // The last acknowledgement may have to be sent again.
    peer.run(Duration::from_millis(200), |_| false).await;
}

fn sent_twice(peer: &Peer) -> f64 {
    let stats = peer.stream.stats();
    stats.retransmitted_packets as f64 * 100.0 / stats.data_packets_sent.max(1) as f64
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn to_javascript() {
    let Some(modules) = modules("to_javascript") else { return };
    block_on(async {
        let total = size();
        let (mut peer, node) = connect(&modules, "sink", total, Config::default());
        peer.to_write = total;
        run_to_the_end(&mut peer).await;
        let report = node.report();
        println!(
            "bosc to js: {:.0} MiB/s, {:.3} % sent twice; {:?}\n{report}",
            mib(total) / report["seconds"].as_f64().unwrap(),
            sent_twice(&peer),
            peer.stream.stats()
        );
        assert_eq!(peer.closed, Some(CloseReason::Ended));
        assert_eq!(report["received"].as_u64(), Some(total as u64));
        assert_eq!(report["correct"], true);
        assert_eq!(report["error"], serde_json::Value::Null);
    });
}

#[test]
fn from_javascript() {
    let Some(modules) = modules("from_javascript") else { return };
    block_on(async {
        let total = size();
        let (mut peer, node) = connect(&modules, "source", total, Config::default());
        // A first byte, so that the round trip is known, as it is after any handshake.
        peer.to_write = 1;
        peer.end_with_remote = true;
        run_to_the_end(&mut peer).await;
        let report = node.report();
        let stats = peer.stream.stats();
        let seconds = (peer.last_byte - peer.first_byte.unwrap()).as_secs_f64();
        println!(
            "js to bosc: {:.0} MiB/s, {:.3} % arrived twice; {stats:?}\n{report}",
            mib(total) / seconds,
            stats.duplicate_packets as f64 * 100.0 / stats.packets_received as f64,
        );
        assert_eq!(peer.closed, Some(CloseReason::Ended));
        assert_eq!(peer.received, total);
        assert!(peer.correct);
        assert_eq!(report["error"], serde_json::Value::Null);
    });
}

#[test]
fn both_ways_at_once() {
    let Some(modules) = modules("both_ways_at_once") else { return };
    block_on(async {
        let total = size();
        let (mut peer, node) = connect(&modules, "both", total, Config::default());
        peer.to_write = total;
        run_to_the_end(&mut peer).await;
        let report = node.report();
        let seconds = (peer.last_byte - peer.first_byte.unwrap()).as_secs_f64();
        println!(
            "both ways: {:.0} MiB/s each, {:.3} % sent twice; {:?}\n{report}",
            mib(total) / seconds,
            sent_twice(&peer),
            peer.stream.stats()
        );
        assert_eq!(peer.closed, Some(CloseReason::Ended));
        assert_eq!((peer.received, peer.correct), (total, true));
        assert_eq!(report["received"].as_u64(), Some(total as u64));
        assert_eq!(report["correct"], true);
    });
}

#[test]
fn keep_alive_and_destroy() {
    let Some(modules) = modules("keep_alive_and_destroy") else { return };
    block_on(async {
        let config = Config {
            keep_alive: Some(Duration::from_millis(150)),
            idle_timeout: Some(Duration::from_secs(2)),
            ..Config::default()
        };
        let (mut peer, node) = connect(&modules, "idle", 1, config.clone());
        peer.end_after_write = false;
        peer.run(Duration::from_secs(3), |_| false).await;
        assert_eq!(peer.closed, None, "its heartbeats, and its answers to ours, are signs of life");
        let stats = peer.stream.stats();
        assert!(stats.packets_received > 25, "{stats:?}");
        assert_eq!(peer.received, 1);
        let now = peer.now();
        peer.stream.destroy(now);
        peer.run(Duration::from_millis(200), |_| false).await;
        let report = node.report();
        assert_eq!(report["error"], "ECONNRESET");

        // And the other way round.
        let (mut peer, node) = connect(&modules, "destroy", 10, config);
        peer.to_write = 10;
        peer.end_after_write = false;
        assert!(peer.run(LIMIT, |peer| peer.closed.is_some()).await);
        assert_eq!(peer.closed, Some(CloseReason::Reset));
        assert_eq!(node.report()["error"], serde_json::Value::Null);
    });
}

#[test]
fn messages() {
    let Some(modules) = modules("messages") else { return };
    block_on(async {
        let (mut peer, node) = connect(&modules, "messages", 0, Config::default());
        peer.end_after_write = false;
        for i in 0..20u8 {
            peer.stream.send_message(vec![i; 1 + usize::from(i) * 20].into()).unwrap();
        }
        let count =
            |peer: &mut Peer| peer.events.iter().filter(|event| matches!(event, Event::Message(_))).count();
        assert!(peer.run(LIMIT, |peer| count(peer) == 20).await);
        for event in &peer.events {
            if let Event::Message(message) = event {
                let i = usize::from(message[0]);
                assert_eq!(message.len(), 2 * (1 + i * 20));
                assert!(message.iter().all(|&byte| usize::from(byte) == i));
            }
        }
        peer.end_after_write = true;
        run_to_the_end(&mut peer).await;
        assert_eq!(node.report()["messages"], 20);
    });
}

/// Each side moves to other sockets in the middle of a transfer.
#[test]
fn change_of_remote() {
    let Some(modules) = modules("change_of_remote") else { return };
    block_on(async {
        let total = size();
        let config = Config { firewall: Firewall::Surface, ..Config::default() };
        let (mut peer, node) = connect(&modules, "move", total, config);
        peer.sockets.push(Socket::bind(1));
        peer.to_write = total;
        peer.run(Duration::from_millis(100), |_| false).await;
        let (second, now) = (peer.sockets[1].tag, peer.now());
        peer.stream.change_remote(second, THEIRS, node.second, now);
        run_to_the_end(&mut peer).await;
        let report = node.report();
        assert!(peer.events.contains(&Event::RemoteChanged));
        assert_eq!(peer.closed, Some(CloseReason::Ended));
        assert_eq!((peer.received, peer.correct), (total, true));
        assert_eq!(report["received"].as_u64(), Some(total as u64));
        assert_eq!((&report["correct"], &report["remoteChanged"]), (&true.into(), &true.into()));
    });
}

/// As HyperDHT's servers do: the stream exists before it is known where the peer is.
#[test]
fn the_firewall_learns_where_the_peer_is() {
    let Some(modules) = modules("the_firewall_learns_where_the_peer_is") else { return };
    block_on(async {
        let total = 1 << 20;
        let start = Instant::now();
        let (first, second) = (Socket::bind(0), Socket::bind(1));
        let node = Node::spawn(&modules, "source", total, second.address());
        let config = Config { firewall: Firewall::Surface, ..Config::default() };
        let stream = Stream::new(OURS, config, start.elapsed());
        let mut peer = Peer::new(stream, first, start);
        peer.sockets.push(second);
        peer.end_with_remote = true;
        let found = |peer: &mut Peer| {
            peer.events.iter().find_map(|event| match event {
                Event::Firewall { socket, from } => Some((*socket, *from)),
                _ => None,
            })
        };
        assert!(peer.run(LIMIT, |peer| found(peer).is_some()).await);
        let (socket, from) = found(&mut peer).unwrap();
        assert_eq!((socket, from), (peer.sockets[1].tag, node.first));
        let now = peer.now();
        peer.stream.connect(socket, THEIRS, from, now);
        run_to_the_end(&mut peer).await;
        assert_eq!((peer.received, peer.correct), (total, true));
        assert_eq!(peer.closed, Some(CloseReason::Ended));
        let report = node.report();
        assert_eq!(report["error"], serde_json::Value::Null);
    });
}
