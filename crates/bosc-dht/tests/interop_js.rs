//! Our nodes and the real hyperdht on loopback sockets. Run with `BOSC_INTEROP_NODE_MODULES` set to a
//! `node_modules` folder that has hyperdht, and `node` in the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_dht::messages::{Handshake, mode};
use bosc_dht::{
    AnnounceOptions, Config, Dht, Event, ListenId, MutableGetOptions, QueryData, QueryDone, QueryId,
    QueryOptions, Request, SocketKind, command, node_id,
};
use bosc_format::crypto::{KeyPair, hash};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn modules() -> Option<String> {
    let path = std::env::var("BOSC_INTEROP_NODE_MODULES").ok().filter(|p| !p.is_empty());
    if path.is_none() {
        println!("not run: BOSC_INTEROP_NODE_MODULES is not set");
    }
    path
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The JavaScript side.
struct Js {
    child: Child,
    input: ChildStdin,
    output: mpsc::Receiver<String>,
}

impl Js {
    fn start(modules: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/js/dht-peer.mjs");
        let modules = std::fs::canonicalize(modules).expect("BOSC_INTEROP_NODE_MODULES exists");
        let mut child = Command::new("node")
            .arg(script)
            .env("BOSC_INTEROP_NODE_MODULES", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let input = child.stdin.take().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tx, output) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tx.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, output }
    }
}

impl Drop for Js {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node of ours with its sockets.
struct Node {
    dht: Dht,
    server: UdpSocket,
    client: UdpSocket,
    events: Vec<Event>,
}

struct World {
    start: Instant,
    nodes: Vec<Node>,
    js: Js,
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn local(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().unwrap() {
        SocketAddr::V4(a) => a,
        SocketAddr::V6(a) => panic!("{a}"),
    }
}

fn random() -> bosc_dht::Entropy {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let state = RandomState::new();
    let mut n = 0u64;
    Box::new(move |out: &mut [u8]| {
        for b in out {
            n += 1;
            let mut h = state.build_hasher();
            h.write_u64(n);
            *b = h.finish() as u8;
        }
    })
}

impl World {
    fn new(modules: &str) -> Self {
        Self { start: Instant::now(), nodes: Vec::new(), js: Js::start(modules) }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn add(&mut self, config: Config) -> usize {
        let (server, client) = (bind(), bind());
        let config = Config { server_port: local(&server).port(), ..config };
        let now = self.now();
        let mut dht = Dht::new(config, random(), now);
        dht.bootstrap(now);
        self.nodes.push(Node { dht, server, client, events: Vec::new() });
        let n = self.nodes.len() - 1;
        self.until(|w| w.nodes[n].dht.is_bootstrapped().then_some(()));
        n
    }

    fn persistent(&mut self, bootstrap: Vec<SocketAddrV4>) -> usize {
        self.add(Config { bootstrap, ephemeral: Some(false), firewalled: false, ..Config::default() })
    }

    fn addr(&self, node: usize) -> SocketAddrV4 {
        local(&self.nodes[node].server)
    }

    /// One turn of all nodes; whether anything happened.
    fn turn(&mut self) -> bool {
        let mut busy = false;
        let mut buf = [0; 65536];
        let start = self.start;
        for node in &mut self.nodes {
            for kind in [SocketKind::Server, SocketKind::Client] {
                let socket = if kind == SocketKind::Server { &node.server } else { &node.client };
                while let Ok((n, SocketAddr::V4(from))) = socket.recv_from(&mut buf) {
                    busy = true;
                    if bosc_dht::is_dht_datagram(&buf[..n]) {
                        node.dht.handle_datagram(kind, from, &buf[..n], start.elapsed());
                    }
                }
            }
            if node.dht.next_timeout().is_some_and(|at| at <= start.elapsed()) {
                node.dht.handle_timeout(start.elapsed());
            }
            while let Some(t) = node.dht.poll_transmit() {
                busy = true;
                let socket = if t.socket == SocketKind::Server { &node.server } else { &node.client };
                let _ = socket.send_to(&t.bytes, t.to);
            }
            while let Some(event) = node.dht.poll_event() {
                node.events.push(event);
            }
        }
        busy
    }

    fn until<T>(&mut self, mut f: impl FnMut(&mut Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let busy = self.turn();
            if let Some(out) = f(self) {
                return out;
            }
            assert!(started.elapsed() < PATIENCE, "did not happen");
            if !busy {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Has the JavaScript side do something while our nodes go on.
    fn js(&mut self, message: Value) -> Value {
        writeln!(self.js.input, "{message}").unwrap();
        let line = self.until(|w| match w.js.output.try_recv() {
            Ok(line) => Some(line),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(e) => panic!("the JavaScript side is gone: {e}"),
        });
        let out: Value = serde_json::from_str(&line).unwrap();
        assert!(out.get("error").is_none(), "{message}: {}", out["error"].as_str().unwrap_or_default());
        out
    }

    fn event<T>(&mut self, node: usize, mut f: impl FnMut(&Event) -> Option<T>) -> T {
        self.until(|w| {
            let events = &mut w.nodes[node].events;
            let (at, out) = events.iter().enumerate().find_map(|(i, e)| f(e).map(|o| (i, o)))?;
            events.remove(at);
            Some(out)
        })
    }

    fn done(&mut self, node: usize, query: QueryId) -> (QueryDone, Vec<QueryData>) {
        let done = self.event(node, |e| match e {
            Event::QueryDone(d) if d.query == query => Some(d.clone()),
            _ => None,
        });
        let mut data = Vec::new();
        for e in &self.nodes[node].events {
            if let Event::QueryReply(r) = e
                && r.query == query
            {
                data.push(r.data.clone());
            }
        }
        (done, data)
    }

    fn lookup(&mut self, node: usize, topic: [u8; 32]) -> BTreeMap<String, Vec<SocketAddrV4>> {
        let now = self.now();
        let query = self.nodes[node].dht.lookup(topic, &QueryOptions::default(), now).unwrap();
        let mut out = BTreeMap::new();
        for data in self.done(node, query).1 {
            let QueryData::Peers { peers, .. } = data else { panic!("{data:?}") };
            out.extend(peers.into_iter().map(|p| (hex(&p.public_key), p.relay_addresses)));
        }
        out
    }

    fn announce(&mut self, node: usize, topic: [u8; 32], k: &KeyPair, relays: &[SocketAddrV4]) -> usize {
        let now = self.now();
        let options = AnnounceOptions { clear: true, ..AnnounceOptions::default() };
        let query = self.nodes[node].dht.announce(topic, k, relays, &options, now).unwrap();
        let done = self.done(node, query).0;
        assert_eq!(done.result, Ok(()));
        done.committed
    }

    fn listen(&mut self, node: usize, k: &KeyPair) -> (ListenId, Vec<SocketAddrV4>) {
        let now = self.now();
        let listen = self.nodes[node].dht.listen(k.clone(), now).unwrap();
        let relays = self.event(node, |e| match e {
            Event::Announced { listen: l, relays, .. } if *l == listen => Some(relays.clone()),
            _ => None,
        });
        (listen, relays.iter().map(|r| r.relay_address).collect())
    }

    fn find_peer(&mut self, node: usize, public_key: &[u8; 32]) -> usize {
        let now = self.now();
        let target = hash(&[public_key]);
        let query = self.nodes[node].dht.find_peer(target, &QueryOptions::default(), now).unwrap();
        let (_, data) = self.done(node, query);
        data.iter().filter(|d| matches!(d, QueryData::Peer(p) if p.public_key == *public_key)).count()
    }

    /// Puts and gets values from `node` to JavaScript and back.
    fn values(&mut self, node: usize, seed: u8) {
        let opts = QueryOptions::default();
        let value = Bytes::from(vec![0xab; 700]);
        let now = self.now();
        let query = self.nodes[node].dht.immutable_put(value.clone(), &opts, now).unwrap();
        let done = self.done(node, query).0;
        assert_eq!(done.result, Ok(()));
        let got = self.js(json!({"do": "immutableGet", "hash": hex(&done.target)}));
        assert_eq!(got["value"], hex(&value));

        let put = self.js(json!({"do": "immutablePut", "value": hex(b"from javascript")}));
        assert_eq!(put["hash"], hex(&hash(&[b"from javascript"])));
        let now = self.now();
        let query = self.nodes[node].dht.immutable_get(hash(&[b"from javascript"]), &opts, now).unwrap();
        assert_eq!(self.done(node, query).0.immutable.as_deref(), Some(&b"from javascript"[..]));

        let k = KeyPair::from_seed(&[seed; 32]);
        let now = self.now();
        let query = self.nodes[node].dht.mutable_put(&k, 1, Bytes::from_static(b"one"), &opts, now).unwrap();
        assert_eq!(self.done(node, query).0.result, Ok(()));
        let got = self.js(json!({"do": "mutableGet", "publicKey": hex(&k.public()), "seq": 0}));
        assert_eq!(got, json!({"seq": 1, "value": hex(b"one")}));
        self.js(json!({"do": "mutablePut", "seed": hex(&[seed; 32]), "seq": 300, "value": hex(b"more")}));
        let now = self.now();
        let options = MutableGetOptions::default();
        let query = self.nodes[node].dht.mutable_get(&k.public(), &options, now).unwrap();
        let got = self.done(node, query).0.mutable.unwrap();
        assert_eq!((got.seq, &got.value[..]), (300, &b"more"[..]));
        let now = self.now();
        let query = self.nodes[node].dht.mutable_put(&k, 2, Bytes::from_static(b"old"), &opts, now).unwrap();
        // Whoever holds the newer one refuses. A node that came near only now does not hold it and may take the old
        // one: then the put counts as done, and readers still get the newest.
        match self.done(node, query).0.result {
            Ok(()) | Err(bosc_dht::QueryError::CommitRefused(bosc_dht::error_code::SEQ_TOO_LOW)) => {}
            other => panic!("{other:?}"),
        }
        let now = self.now();
        let query = self.nodes[node].dht.mutable_get(&k.public(), &options, now).unwrap();
        let got = self.done(node, query).0.mutable.unwrap();
        assert_eq!((got.seq, &got.value[..]), (300, &b"more"[..]));
    }

    /// Announces and looks up from `node` to JavaScript and back.
    fn topics(&mut self, node: usize) {
        let topic = [31; 32];
        let ours = KeyPair::from_seed(&[32; 32]);
        let theirs = KeyPair::from_seed(&[33; 32]);
        let relays = ["1.2.3.4:5".parse().unwrap(), "254.3.2.1:65535".parse().unwrap()];
        self.js(json!({"do": "announce", "topic": hex(&topic), "seed": hex(&[33; 32]),
                       "relays": ["9.8.7.6:5"]}));
        let found = self.lookup(node, topic);
        let want = (hex(&theirs.public()), vec!["9.8.7.6:5".parse().unwrap()]);
        assert_eq!(found, BTreeMap::from([want]));
        assert!(self.announce(node, topic, &ours, &relays) >= 3);
        let found = self.js(json!({"do": "lookup", "topic": hex(&topic)}));
        let peers = &found["peers"];
        assert_eq!(peers[hex(&ours.public())], json!(["1.2.3.4:5", "254.3.2.1:65535"]));
        assert_eq!(peers[hex(&theirs.public())], json!(["9.8.7.6:5"]));
        let now = self.now();
        let opts = QueryOptions::default();
        let query = self.nodes[node].dht.unannounce(topic, &ours, &opts, now).unwrap();
        self.done(node, query);
        let found = self.js(json!({"do": "lookup", "topic": hex(&topic)}));
        assert_eq!(found["peers"], json!({hex(&theirs.public()): ["9.8.7.6:5"]}));
        self.js(json!({"do": "unannounce", "topic": hex(&topic), "seed": hex(&[33; 32])}));
        assert!(self.lookup(node, topic).is_empty());
    }

    /// A handshake from one of our nodes to another through whoever relays.
    fn handshake(&mut self, client: usize, server: usize, k: &KeyPair, relay: SocketAddrV4) {
        let hs = |mode, noise: &'static [u8], peer_address| Handshake {
            mode,
            noise: Bytes::from_static(noise),
            peer_address,
            relay_address: None,
        };
        let request = Request {
            target: Some(hash(&[&k.public()])),
            value: Some(hs(mode::FROM_CLIENT, b"hello", None).encode().into()),
            ..Request::new(relay, command::PEER_HANDSHAKE)
        };
        let now = self.now();
        let id = self.nodes[client].dht.request(request, now).unwrap();
        let r = self.event(server, |e| if let Event::Request(r) = e { Some(r.clone()) } else { None });
        let got = Handshake::decode(r.value.as_deref().unwrap()).unwrap();
        assert_eq!((got.mode, &got.noise[..]), (mode::FROM_RELAY, &b"hello"[..]));
        let back = hs(mode::FROM_SERVER, b"welcome", got.peer_address).encode();
        self.nodes[server].dht.relay(&r, &back, r.from, None);
        let reply = self.event(client, |e| match e {
            Event::Response { request, reply } if *request == id => Some(reply.clone()),
            _ => None,
        });
        let got = Handshake::decode(reply.value.as_deref().unwrap()).unwrap();
        assert_eq!((got.mode, &got.noise[..]), (mode::REPLY, &b"welcome"[..]));
        assert!(got.peer_address.is_some());
    }
}

#[test]
fn our_nodes_in_a_javascript_network() {
    let Some(modules) = modules() else { return };
    let mut w = World::new(&modules);
    let port = w.js(json!({"do": "testnet", "size": 6}))["bootstrap"].as_u64().unwrap() as u16;
    w.js(json!({"do": "client", "bootstrap": [port]}));
    let bootstrap = vec![SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)];
    let a = w.add(Config { bootstrap: bootstrap.clone(), ..Config::default() });
    let b = w.add(Config { bootstrap: bootstrap.clone(), ..Config::default() });
    let d = &w.nodes[a].dht;
    assert!(d.node_count() >= 5, "knows {}", d.node_count());
    assert!(d.is_ephemeral() && !d.is_firewalled(), "loopback has no firewall");
    assert_eq!(d.remote_address(), Some(w.addr(a)));
    w.topics(a);
    w.values(a, 21);

    let k = KeyPair::from_seed(&[41; 32]);
    let (listen, relays) = w.listen(a, &k);
    assert_eq!(relays.len(), 3);
    let found = w.js(json!({"do": "findPeer", "publicKey": hex(&k.public())}));
    let mut found: Vec<SocketAddrV4> =
        found["relays"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().parse().unwrap()).collect();
    let mut want = relays.clone();
    found.sort();
    want.sort();
    assert_eq!(found, want);
    assert_eq!(w.find_peer(b, &k.public()), 3);
    for relay in relays {
        w.handshake(b, a, &k, relay);
    }
    let now = w.now();
    w.nodes[a].dht.unlisten(listen, now);
    w.event(a, |e| (*e == Event::Unlistened(listen)).then_some(()));
    assert_eq!(w.js(json!({"do": "findPeer", "publicKey": hex(&k.public())}))["relays"], json!([]));

    let out = w.js(json!({"do": "listen", "seed": hex(&[42; 32])}));
    let theirs = KeyPair::from_seed(&[42; 32]).public();
    assert_eq!(out["publicKey"], hex(&theirs));
    assert_eq!(w.find_peer(b, &theirs), 3);
    w.js(json!({"do": "close"}));
    assert_eq!(w.find_peer(b, &theirs), 0);

    // A persistent node of ours takes its part of what JavaScript stores.
    let c = w.persistent(bootstrap);
    assert_eq!(w.nodes[c].dht.id(), Some(node_id(w.addr(c))));
    w.topics(a);
    w.values(a, 22);
    assert!(w.nodes[c].dht.record_count() >= 3, "{}", w.nodes[c].dht.record_count());
    let now = w.now();
    let target = node_id(w.addr(c));
    let query = w.nodes[b].dht.find_node(target, &QueryOptions::default(), now).unwrap();
    assert_eq!(w.done(b, query).0.closest[0].addr, w.addr(c));
}

#[test]
fn javascript_nodes_in_our_network() {
    let Some(modules) = modules() else { return };
    let mut w = World::new(&modules);
    let mut bootstrap: Vec<SocketAddrV4> = Vec::new();
    for _ in 0..6 {
        let n = w.persistent(bootstrap.clone());
        if n < 2 {
            bootstrap.push(w.addr(n));
        }
    }
    w.until(|w| w.nodes.iter().all(|n| !n.dht.is_ephemeral()).then_some(()));
    let ports: Vec<u16> = bootstrap.iter().map(SocketAddrV4::port).collect();
    let out = w.js(json!({"do": "client", "bootstrap": ports}));
    assert!(out["nodes"].as_u64().unwrap() >= 5, "{out}");
    assert_eq!(out["host"], "127.0.0.1");
    let plain = w.add(Config { bootstrap: bootstrap.clone(), ..Config::default() });
    w.topics(plain);
    w.values(plain, 21);

    // Two JavaScript peers meet through our relays and talk.
    let server = w.js(json!({"do": "listen", "seed": hex(&[51; 32])}));
    let relays = server["relays"].as_array().unwrap();
    assert!(relays.len() >= 3, "{server}");
    let ours: Vec<String> = (0..6).map(|n| w.addr(n).to_string()).collect();
    assert!(relays.iter().filter(|r| ours.iter().any(|o| r.as_str() == Some(o))).count() >= 2);
    w.js(json!({"do": "client", "bootstrap": ports}));
    let found = w.js(json!({"do": "findPeer", "publicKey": server["publicKey"]}));
    assert_eq!(found["relays"].as_array().unwrap().len(), 3);
    let said = w.js(json!({"do": "connect", "publicKey": server["publicKey"]}));
    assert_eq!(said["reply"], "echo hello");

    // A persistent JavaScript node joins and is found.
    let out = w.js(json!({"do": "client", "bootstrap": ports, "persistent": true}));
    assert_eq!(out["ephemeral"], false, "{out}");
    let theirs = SocketAddrV4::new(Ipv4Addr::LOCALHOST, out["port"].as_u64().unwrap() as u16);
    let now = w.now();
    let query = w.nodes[plain].dht.find_node(node_id(theirs), &QueryOptions::default(), now).unwrap();
    assert_eq!(w.done(plain, query).0.closest[0].addr, theirs);
    w.topics(plain);
    w.values_again(plain);
}

impl World {
    /// The values are there still, and in the new node.
    fn values_again(&mut self, node: usize) {
        let k = KeyPair::from_seed(&[21; 32]);
        let now = self.now();
        let options = MutableGetOptions { refresh: true, ..MutableGetOptions::default() };
        let query = self.nodes[node].dht.mutable_get(&k.public(), &options, now).unwrap();
        let done = self.done(node, query).0;
        assert_eq!(done.mutable.map(|m| m.seq), Some(300));
        assert!(done.committed >= 6, "{}", done.committed);
    }
}
