//! Replicates with real Hypercores over `@hyperswarm/secret-stream` on TCP loopback, both ways.
//!
//! Runs when `BOSC_INTEROP_NODE_MODULES` names a `node_modules` folder and `node` is on the path; says so when
//! it does not. Prints what was measured; nothing is judged by time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_format::crypto::{KeyPair, hash};
use bosc_wire::mux::{ChannelId, Limits, Mux, MuxEvent};
use bosc_wire::noise::Pattern;
use bosc_wire::replication::{
    ApplyError, Comparison, Config, CoreAccess, Download, Event, HeadInfo, HeadSummary, LocalChange,
    ManifestState, PROTOCOL, PeerId, ProveError, ReorgStep, Replicator, channel_id, local_handshake,
    verify_remote_handshake,
};
use bosc_wire::secret_stream::{Config as StreamConfig, SecretStream, Seeds};
use bytes::Bytes;
use memory_core::MemoryCore;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

#[allow(unreachable_pub, dead_code)]
#[path = "replication_support/memory_core.rs"]
mod memory_core;

struct Node {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Node {
    fn start() -> Option<Self> {
        let Some(modules) = std::env::var_os("BOSC_INTEROP_NODE_MODULES") else {
            println!("not run: BOSC_INTEROP_NODE_MODULES is not set");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/js/replication-peer.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let out = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, out })
    }

    fn send(&mut self, command: &Value) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let v: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(v["error"].is_null(), "{v}");
        v
    }

    fn call(&mut self, command: Value) -> Value {
        self.send(&command);
        self.answer()
    }

    fn create(&mut self, name: &str, seed: u8) -> [u8; 32] {
        let v = self.call(json!({ "cmd": "create", "name": name, "seed": seed }));
        data_encoding::HEXLOWER.decode(v["key"].as_str().unwrap().as_bytes()).unwrap().try_into().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The same bytes as `block` in the script.
fn block(index: u64, len: usize) -> Bytes {
    (0..len as u64).map(|j| (index * 31 + j * 7 + (j >> 8)) as u8).collect::<Vec<_>>().into()
}

struct Connection {
    socket: TcpStream,
    chunks: Receiver<Vec<u8>>,
    stream: SecretStream,
    mux: Mux,
    channel: Option<ChannelId>,
    peer: PeerId,
    opened: bool,
}

/// Our side: one core, its replicator, and connections to the script.
struct Ours {
    core: MemoryCore,
    rep: Replicator,
    connections: Vec<Connection>,
    start: Instant,
    events: Vec<Event>,
    received: u64,
    sent: u64,
}

impl Ours {
    fn new(core: MemoryCore) -> Self {
        let rep = Replicator::new(Config::default(), &core);
        let start = Instant::now();
        Self { core, rep, connections: Vec::new(), start, events: Vec::new(), received: 0, sent: 0 }
    }

    fn connect(&mut self, node: &mut Node, name: &str, we_initiate: bool) -> PeerId {
        let v = node.call(json!({ "cmd": "listen", "name": name, "initiator": !we_initiate }));
        let socket = TcpStream::connect(("127.0.0.1", v["port"].as_u64().unwrap() as u16)).unwrap();
        socket.set_nodelay(true).unwrap();
        let (tx, chunks) = sync_channel(32);
        let mut reader = socket.try_clone().unwrap();
        std::thread::spawn(move || {
            loop {
                let mut buffer = vec![0; 256 << 10];
                match reader.read(&mut buffer) {
                    Ok(n) if n > 0 => {
                        buffer.truncate(n);
                        if tx.send(buffer).is_err() {
                            return;
                        }
                    }
                    _ => return,
                }
            }
        });
        let mut n = self.connections.len() as u8;
        let seeds = Seeds::draw(&mut |out| {
            n = n.wrapping_add(1);
            out.fill(n);
        });
        let key_pair = KeyPair::from_seed(&[33; 32]);
        let config = StreamConfig::default();
        let now = self.start.elapsed();
        let stream =
            SecretStream::in_band(we_initiate, Pattern::XX, &key_pair, None, config, seeds, now).unwrap();
        let peer = PeerId(self.connections.len() as u64 + 1);
        let mux = Mux::new(Limits::default());
        self.connections.push(Connection { socket, chunks, stream, mux, channel: None, peer, opened: false });
        peer
    }

    fn change(&mut self, f: impl FnOnce(&mut MemoryCore) -> LocalChange) {
        let change = f(&mut self.core);
        self.rep.local_changed(change, &mut self.core, self.start.elapsed());
    }

    /// Moves bytes until `done`.
    fn run(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            self.pump();
            if done(self) {
                return;
            }
            assert!(Instant::now() < end, "not done: {:?} {:?}", self.core.head, self.events.last());
            let now = self.start.elapsed();
            let wait = self.rep.next_timeout().map_or(Duration::from_millis(20), |t| t.saturating_sub(now));
            let wait = wait.min(Duration::from_millis(20)) / self.connections.len().max(1) as u32;
            for i in 0..self.connections.len() {
                match self.connections[i].chunks.recv_timeout(wait) {
                    Ok(chunk) => {
                        self.received += chunk.len() as u64;
                        let c = &mut self.connections[i];
                        c.stream.feed(&chunk, now).unwrap();
                        self.take_messages(i);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => panic!("the other side closed"),
                }
            }
            let now = self.start.elapsed();
            if self.rep.next_timeout().is_some_and(|t| t <= now) {
                self.rep.handle_timeout(&mut self.core, now);
            }
        }
    }

    fn take_messages(&mut self, i: usize) {
        let now = self.start.elapsed();
        let c = &mut self.connections[i];
        while let Some(m) = c.stream.next_message().unwrap() {
            c.mux.feed(m).unwrap();
            while let Some(e) = c.mux.poll_event().unwrap() {
                match e {
                    MuxEvent::Opened { channel, handshake, .. } if Some(channel) == c.channel => {
                        let hh = c.stream.handshake().unwrap().hash;
                        let us = c.stream.is_initiator();
                        assert_eq!(verify_remote_handshake(us, &self.core.key, &hh, &handshake), Ok(true));
                        self.rep.add_peer(c.peer, &self.core, now);
                        c.opened = true;
                    }
                    MuxEvent::Message { channel, ty, payload } if Some(channel) == c.channel => {
                        self.rep.handle_message(c.peer, ty, payload, &mut self.core, now);
                    }
                    MuxEvent::Closed { .. } => panic!("channel closed"),
                    _ => {}
                }
            }
        }
    }

    fn pump(&mut self) {
        let now = self.start.elapsed();
        for c in &mut self.connections {
            if c.channel.is_none()
                && let Some(h) = c.stream.handshake()
                && c.stream.can_send()
            {
                let hello = local_handshake(c.stream.is_initiator(), &self.core.key, &h.hash);
                c.channel = Some(c.mux.open(PROTOCOL, Some(&channel_id(&self.core.key)), &hello).unwrap());
            }
            flush(c, now, &mut self.sent);
        }
        loop {
            while let Some(e) = self.rep.poll_event() {
                if let Event::InvalidPeer { why, .. } = &e {
                    panic!("an honest peer was dropped: {why}");
                }
                self.events.push(e);
            }
            let Some(id) = self.rep.poll_ready() else { break };
            let Some(c) = self.connections.iter_mut().find(|c| c.peer == id) else { continue };
            loop {
                c.mux.cork();
                let mut any = false;
                let mut size = 0;
                while size < 256 << 10
                    && let Some(out) = self.rep.poll_outgoing(id, &mut self.core, now)
                {
                    any = true;
                    size += out.payload.len();
                    c.mux.send_parts(c.channel.unwrap(), out.kind as u32, &out.payload.into_parts()).unwrap();
                }
                c.mux.uncork();
                flush(c, now, &mut self.sent);
                if !any {
                    break;
                }
            }
        }
    }
}

fn flush(c: &mut Connection, now: Duration, sent: &mut u64) {
    while let Some(f) = c.mux.poll_frame() {
        c.stream.send_parts(f.parts(), now).unwrap();
    }
    while let Some(chunk) = c.stream.take_output() {
        *sent += chunk.len() as u64;
        c.socket.write_all(&chunk).unwrap();
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        for c in &self.connections {
            let _ = c.socket.shutdown(Shutdown::Both);
        }
    }
}

fn mb(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

fn median(mut ms: Vec<f64>) -> f64 {
    ms.sort_by(f64::total_cmp);
    ms[ms.len() / 2]
}

fn tree_hash(state: &Value) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(state["treeHash"].as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn javascript_gives() {
    let Some(mut node) = Node::start() else { return };
    for we_initiate in [true, false] {
        let name = format!("giver-{we_initiate}");
        let key = node.create(&name, 50 + u8::from(we_initiate));
        node.call(json!({ "cmd": "append", "name": name, "start": 0, "count": 1000, "len": 100 }));
        node.call(json!({ "cmd": "append", "name": name, "start": 1000, "count": 1024, "len": 65536 }));
        let mut ours = Ours::new(MemoryCore::reader(key));
        ours.rep.download(Download::live(), &ours.core);
        ours.connect(&mut node, &name, we_initiate);
        ours.run(|o| o.core.head.length > 0);
        let from = Instant::now();
        ours.run(|o| o.core.blocks.len() == 2024);
        let took = from.elapsed();
        let total = 1000 * 100 + 1024 * 65_536u64;
        println!(
            "javascript to us: {} blocks, {:.1} MB/s, {:.2} % more on the wire than the blocks",
            2024,
            mb(total, took),
            (ours.received as f64 / total as f64 - 1.0) * 100.0
        );
        assert!((ours.received as f64) < total as f64 * 1.03);
        assert!(ours.core.manifest.is_some(), "the manifest came");
        for (i, b) in &ours.core.blocks {
            assert_eq!(*b, block(*i, if *i < 1000 { 100 } else { 65_536 }));
        }

        // Appended while we are connected.
        let mut ms = Vec::new();
        for i in 0..20u64 {
            let from = Instant::now();
            node.send(&json!({ "cmd": "append", "name": name, "start": 2024 + i, "count": 1, "len": 500 }));
            ours.run(|o| o.core.blocks.len() as u64 == 2025 + i);
            ms.push(from.elapsed().as_secs_f64() * 1e3);
            node.answer();
        }
        println!("javascript appends: block here after {:.1} ms (median)", median(ms));

        // Another fork, and more after it.
        for (keep, add) in [(1500u64, 20u64), (7, 300), (300, 1)] {
            let v = node.call(json!({ "cmd": "truncate", "name": name, "length": keep }));
            let v2 = json!({ "cmd": "append", "name": name, "start": 9000 + keep, "count": add, "len": 77 });
            node.call(v2);
            let (fork, length) = (v["fork"].as_u64().unwrap(), keep + add);
            ours.run(|o| o.core.head.fork == fork && o.core.blocks.len() as u64 == length);
            let state = node.call(json!({ "cmd": "state", "name": name }));
            assert_eq!(ours.core.head.tree_hash().to_vec(), tree_hash(&state));
            assert_eq!(ours.core.blocks[&keep], block(9000 + keep, 77));
            assert!(ours.events.iter().any(|e| matches!(e, Event::Reorged { fork: f, .. } if *f == fork)));
        }
        // The giver knows that we have everything.
        ours.run(|_| {
            let state = node.call(json!({ "cmd": "state", "name": name }));
            state["remoteContiguousLength"] == state["length"]
        });
    }
}

#[test]
fn javascript_takes() {
    let Some(mut node) = Node::start() else { return };
    for we_initiate in [true, false] {
        let name = format!("taker-{we_initiate}");
        let mut core = MemoryCore::writer(70 + u8::from(we_initiate));
        core.append((0..1000).map(|i| block(i, 100)));
        core.append((1000..2024).map(|i| block(i, 65_536)));
        let key = data_encoding::HEXLOWER.encode(&core.key);
        node.call(json!({ "cmd": "create", "name": name, "key": key }));
        node.call(json!({ "cmd": "download", "name": name, "start": 0 }));
        let mut ours = Ours::new(core);
        let peer = ours.connect(&mut node, &name, we_initiate);
        ours.run(|o| o.connections[0].opened);
        let from = Instant::now();
        let synced = Event::PeerSynced { peer, contiguous_length: 2024 };
        ours.run(|o| o.events.contains(&synced));
        let took = from.elapsed();
        let total = 1000 * 100 + 1024 * 65_536u64;
        println!(
            "us to javascript: {:.1} MB/s, {:.2} % more",
            mb(total, took),
            (ours.sent as f64 / total as f64 - 1.0) * 100.0
        );
        assert_eq!(ours.rep.full_copies(), 1);
        let state = node.call(json!({ "cmd": "state", "name": name }));
        assert_eq!(state["manifest"], true);
        let all: Vec<u8> = ours.core.blocks.values().flat_map(|b| b.iter().copied()).collect();
        assert_eq!(tree_hash(&state), ours.core.head.tree_hash());
        let digest = node.call(json!({ "cmd": "digest", "name": name }));
        assert_eq!(digest["hash"].as_str().unwrap(), data_encoding::HEXLOWER.encode(&hash(&[&all])));

        // Live appends.
        let mut ms = Vec::new();
        for i in 0..20u64 {
            let length = 2025 + i;
            let wait = json!({ "cmd": "wait", "name": name, "fork": 0, "length": length, "held": length });
            let from = Instant::now();
            ours.change(|core| {
                core.append([block(2024 + i, 500)]);
                LocalChange::Appended
            });
            let synced = Event::PeerSynced { peer, contiguous_length: length };
            ours.run(|o| o.events.contains(&synced));
            ms.push(from.elapsed().as_secs_f64() * 1e3);
            node.call(wait);
        }
        println!("we append: javascript has told us that it has it after {:.1} ms (median)", median(ms));

        for (keep, add) in [(1500u64, 20u64), (7, 300), (300, 1)] {
            ours.change(|core| {
                core.truncate(keep);
                core.append((0..add).map(|i| block(5000 + i, 66)));
                LocalChange::Reorged { ancestors: keep }
            });
            let (fork, length) = (ours.core.head.fork, keep + add);
            let synced = Event::PeerSynced { peer, contiguous_length: length };
            ours.events.clear();
            ours.run(|o| o.events.contains(&synced));
            node.call(json!({ "cmd": "wait", "name": name, "fork": fork, "length": length, "held": length }));
            let state = node.call(json!({ "cmd": "state", "name": name }));
            assert_eq!(tree_hash(&state), ours.core.head.tree_hash());
        }
    }
}

#[test]
fn javascript_takes_what_we_hold_and_what_we_gain() {
    let Some(mut node) = Node::start() else { return };
    let mut core = MemoryCore::writer(91);
    core.append((0..3000).map(|i| block(i, 1000)));
    let gone: Vec<(u64, Bytes)> = core
        .blocks
        .iter()
        .filter(|(i, _)| **i < 100 || **i % 10 == 7)
        .map(|(i, b)| (*i, b.clone()))
        .collect();
    for (i, _) in &gone {
        core.clear(*i, i + 1);
    }
    let key = data_encoding::HEXLOWER.encode(&core.key);
    node.call(json!({ "cmd": "create", "name": "taker", "key": key }));
    node.call(json!({ "cmd": "download", "name": "taker", "start": 0 }));
    let mut ours = Ours::new(core);
    let peer = ours.connect(&mut node, "taker", true);
    let held = ours.core.blocks.len() as u64;
    ours.run(|o| o.rep.stats(peer).is_some_and(|s| s.uploaded_blocks == held));
    for (i, b) in gone {
        ours.change(|core| {
            core.blocks.insert(i, b);
            core.recount();
            LocalChange::Gained { start: i, end: i + 1 }
        });
    }
    let synced = Event::PeerSynced { peer, contiguous_length: 3000 };
    ours.run(|o| o.events.contains(&synced));
    assert_eq!(ours.rep.stats(peer).unwrap().uploaded_blocks, 3000, "no block was sent twice");
}

#[test]
fn between_javascript_peers_that_hold_parts() {
    let Some(mut node) = Node::start() else { return };
    let mut core = MemoryCore::writer(90);
    core.append((0..3000).map(|i| block(i, 1000)));
    let key = core.key;
    let hex = data_encoding::HEXLOWER.encode(&key);
    let mut ours = Ours::new(core);
    for (name, start, end) in [("low", 100, 2000), ("high", 1500, 3000)] {
        node.call(json!({ "cmd": "create", "name": name, "key": hex }));
        node.call(json!({ "cmd": "download", "name": name, "start": start, "end": end }));
        ours.connect(&mut node, name, true);
    }
    ours.run(|o| {
        let uploaded: u64 = o.rep.peers().map(|p| o.rep.stats(p).unwrap().uploaded_blocks).sum();
        uploaded >= 1900 + 1500
    });
    // JavaScript keeps the blocks a moment later.
    let pause = Instant::now();
    ours.run(|_| pause.elapsed() > Duration::from_millis(500));
    drop(ours);

    let mut taker = Ours::new(MemoryCore::reader(key));
    taker.rep.download(Download::live(), &taker.core);
    taker.connect(&mut node, "low", false);
    taker.connect(&mut node, "high", true);
    taker.run(|o| o.core.blocks.len() == 2900);
    let peers: Vec<u64> = taker.rep.peers().map(|p| taker.rep.stats(p).unwrap().downloaded_blocks).collect();
    println!("from two peers with parts: {peers:?} blocks");
    assert!(peers.iter().all(|n| *n > 900), "{peers:?}");
    for (i, b) in &taker.core.blocks {
        assert_eq!(*b, block(*i, 1000));
    }
    // Hashes of what nobody holds cannot come; those of what they hold can.
    taker.rep.want_hashes(100, 110, &taker.core);
    taker.run(|o| o.events.iter().filter(|e| matches!(e, Event::HashReceived { .. })).count() == 10);
}
