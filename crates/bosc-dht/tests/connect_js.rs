//! Connections between our nodes and the real hyperdht on loopback sockets, with UDX and secret streams on top.
//! Run with `BOSC_INTEROP_NODE_MODULES` set to a `node_modules` folder that has hyperdht, and `node` in the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_dht::connect::{
    ConnectConfig, ConnectError, ConnectEvent, ConnectOptions, Connection, Connector, ServerOptions,
};
use bosc_dht::{Config, Dht, Event, SocketKind};
use bosc_format::crypto::KeyPair;
use bosc_udx::{Dispatch, Firewall, SocketTag, Stream, StreamTable};
use bosc_wire::secret_stream::{self, SecretStream, Seeds};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const BYTES: usize = 1 << 20;

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

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + (i >> 9)) as u8).collect()
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

struct Js {
    child: Child,
    input: ChildStdin,
    output: mpsc::Receiver<String>,
}

impl Js {
    fn start(modules: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/js/connect-peer.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("BOSC_INTEROP_NODE_MODULES", std::fs::canonicalize(modules).expect("the folder exists"))
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

/// A connection with its streams. A listener sends back what it gets.
struct Session {
    secret: SecretStream,
    echo: bool,
    received: Vec<u8>,
    waiting: VecDeque<Bytes>,
    remote: [u8; 32],
    ended: bool,
}

struct Node {
    dht: Dht,
    connector: Connector,
    table: StreamTable,
    server: UdpSocket,
    client: UdpSocket,
    /// For holepunching.
    pool: HashMap<u32, UdpSocket>,
    sessions: HashMap<u32, Session>,
    events: Vec<Event>,
    failed: Vec<ConnectError>,
    made: Vec<(u32, SocketAddrV4)>,
    early: usize,
}

fn bind() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    enlarge(&socket);
    socket
}

/// What a node does: the stock buffer holds some 90 packets, and a burst of the other side is more.
fn enlarge(socket: &UdpSocket) {
    socket2::SockRef::from(socket).set_recv_buffer_size(4 << 20).unwrap();
}

fn v4(addr: SocketAddr) -> SocketAddrV4 {
    match addr {
        SocketAddr::V4(a) => a,
        SocketAddr::V6(a) => panic!("{a}"),
    }
}

fn tag(kind: SocketKind) -> SocketTag {
    match kind {
        SocketKind::Client => SocketTag(0),
        SocketKind::Server => SocketTag(1),
        SocketKind::Pool(number) => SocketTag(2 + u64::from(number)),
    }
}

impl Node {
    fn socket(&mut self, tag: SocketTag) -> &UdpSocket {
        match tag.0 {
            0 => &self.client,
            1 => &self.server,
            n => self.pool.entry(u32::try_from(n - 2).unwrap()).or_insert_with(bind),
        }
    }

    fn start(&mut self, connection: Connection, now: Duration) {
        let Connection {
            is_initiator, handshake, local_id, remote_id, remote_address, socket, early, ..
        } = connection;
        let config = bosc_udx::Config { firewall: Firewall::Surface, ..bosc_udx::Config::default() };
        let mut stream = Stream::new(local_id, config, now);
        stream.connect(tag(socket), remote_id, remote_address.into(), now);
        self.early += early.len();
        for packet in early {
            stream.handle_packet(tag(packet.socket), packet.from.into(), &packet.bytes, now);
        }
        assert!(self.table.insert(stream).is_ok());
        let remote = handshake.remote_public_key;
        let seeds = Seeds::draw(&mut random());
        let secret = SecretStream::from_handshake(
            is_initiator,
            handshake,
            secret_stream::Config::default(),
            seeds,
            now,
        );
        let session = Session {
            secret,
            echo: !is_initiator,
            received: Vec::new(),
            waiting: VecDeque::new(),
            remote,
            ended: false,
        };
        self.sessions.insert(local_id, session);
        self.made.push((local_id, remote_address));
    }

    fn turn(&mut self, now: Duration) -> bool {
        let mut busy = false;
        let mut buf = [0; 65536];
        let pool: Vec<SocketKind> = self.pool.keys().map(|n| SocketKind::Pool(*n)).collect();
        for kind in [SocketKind::Server, SocketKind::Client].into_iter().chain(pool) {
            for _ in 0..64 {
                let Ok((n, from)) = self.socket(tag(kind)).recv_from(&mut buf) else { break };
                busy = true;
                let packet = &buf[..n];
                if let (SocketKind::Pool(number), 1) = (kind, n) {
                    self.connector.handle_probe(&mut self.dht, number, v4(from), now);
                } else if bosc_dht::is_dht_datagram(packet) {
                    self.dht.handle_datagram(kind, v4(from), packet, now);
                } else if let Dispatch::Unknown(id) = self.table.handle_datagram(tag(kind), from, packet, now)
                {
                    self.connector.handle_stream_packet(&mut self.dht, id, kind, v4(from), packet, now);
                }
            }
        }
        if self.dht.next_timeout().is_some_and(|at| at <= now) {
            self.dht.handle_timeout(now);
        }
        if self.connector.next_timeout().is_some_and(|at| at <= now) {
            self.connector.handle_timeout(&mut self.dht, now);
        }
        self.table.handle_timeout(now);
        while let Some(event) = self.dht.poll_event() {
            self.events.extend(self.connector.handle_event(&mut self.dht, event, now));
        }
        while let Some(event) = self.connector.poll_event() {
            match event {
                ConnectEvent::Connected { connection, .. } => self.start(*connection, now),
                ConnectEvent::Failed { error, .. } => self.failed.push(error),
                // It may be a connection's by now; here it lives as long as the node.
                ConnectEvent::SocketUnused { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        while let Some((id, event)) = self.table.poll_event() {
            busy = true;
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            match event {
                bosc_udx::Event::Readable => {
                    while let Some(bytes) = self.table.get_mut(id).unwrap().read() {
                        session.secret.feed(&bytes, now).unwrap();
                    }
                    while let Some(message) = session.secret.next_message().unwrap() {
                        session.received.extend_from_slice(&message);
                        if session.echo {
                            session.secret.send(&message, now).unwrap();
                        }
                    }
                }
                bosc_udx::Event::RemoteEnded | bosc_udx::Event::Closed(_) => session.ended = true,
                _ => {}
            }
        }
        for (id, session) in &mut self.sessions {
            while let Some(chunk) = session.secret.take_output() {
                session.waiting.push_back(chunk);
            }
            let stream = self.table.get_mut(*id).unwrap();
            while let Some(chunk) = session.waiting.front() {
                if stream.write_capacity() == 0 || stream.write(chunk.clone()).is_err() {
                    break;
                }
                session.waiting.pop_front();
            }
            if session.ended && session.waiting.is_empty() {
                stream.end();
            }
        }
        let mut out = Vec::new();
        while let Some((_, t)) = self.table.poll_transmit(now, 1, &mut out) {
            busy = true;
            let _ = self.socket(t.socket).send_to(&out, t.to);
            out.clear();
        }
        while let Some(t) = self.dht.poll_transmit() {
            busy = true;
            let socket = self.socket(tag(t.socket));
            if let Some(ttl) = t.ttl {
                socket.set_ttl(u32::from(ttl)).unwrap();
            }
            let _ = socket.send_to(&t.bytes, t.to);
            socket.set_ttl(64).unwrap();
        }
        busy
    }
}

struct World {
    start: Instant,
    nodes: Vec<Node>,
    js: Js,
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
        let address = v4(server.local_addr().unwrap());
        let config = Config { server_port: address.port(), local_addresses: vec![address], ..config };
        let now = self.now();
        let mut dht = Dht::new(config, random(), now);
        dht.bootstrap(now);
        self.nodes.push(Node {
            dht,
            connector: Connector::new(ConnectConfig::default(), random()),
            table: StreamTable::new(),
            server,
            client,
            pool: HashMap::new(),
            sessions: HashMap::new(),
            events: Vec::new(),
            failed: Vec::new(),
            made: Vec::new(),
            early: 0,
        });
        let n = self.nodes.len() - 1;
        self.until(|w| w.nodes[n].dht.is_bootstrapped().then_some(()));
        n
    }

    /// An ordinary node; a closed one does not know that it can be reached, as behind a NAT.
    fn ordinary(&mut self, bootstrap: &[SocketAddrV4], closed: bool) -> usize {
        let n = self.add(Config {
            bootstrap: bootstrap.to_vec(),
            ephemeral: Some(true),
            firewalled: closed,
            quick_firewall: false,
            ..Config::default()
        });
        assert_eq!(self.nodes[n].dht.remote_address().is_none(), closed);
        n
    }

    fn persistent(&mut self, bootstrap: &[SocketAddrV4]) -> usize {
        self.add(Config {
            bootstrap: bootstrap.to_vec(),
            ephemeral: Some(false),
            firewalled: false,
            ..Config::default()
        })
    }

    fn until<T>(&mut self, mut f: impl FnMut(&mut Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let mut busy = false;
            for i in 0..self.nodes.len() {
                let now = self.now();
                busy |= self.nodes[i].turn(now);
            }
            if let Some(out) = f(self) {
                return out;
            }
            assert!(started.elapsed() < PATIENCE, "did not happen");
            if !busy {
                std::thread::sleep(Duration::from_micros(300));
            }
        }
    }

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

    fn js_node(&mut self, bootstrap: &[SocketAddrV4], closed: bool) {
        let ports: Vec<u16> = bootstrap.iter().map(SocketAddrV4::port).collect();
        let out = self.js(json!({"do": "node", "bootstrap": ports, "closed": closed}));
        assert_eq!(out["open"], json!(!closed));
    }

    fn listen(&mut self, node: usize, key_pair: &KeyPair, options: ServerOptions) {
        let now = self.now();
        let n = &mut self.nodes[node];
        let listen = n.connector.listen(&mut n.dht, key_pair, options, now).unwrap();
        self.until(|w| {
            let at = w.nodes[node].events.iter().position(
                |e| matches!(e, Event::Announced { listen: l, relays, .. } if *l == listen && !relays.is_empty()),
            )?;
            Some(w.nodes[node].events.swap_remove(at))
        });
    }

    /// Connects, sends bytes, gets them back. Gives the time to connect, and where to.
    fn connect(&mut self, node: usize, key: &[u8; 32], own: &KeyPair) -> Result<SocketAddrV4, ConnectError> {
        let now = self.now();
        let n = &mut self.nodes[node];
        let made = n.made.len();
        let failed = n.failed.len();
        n.connector.connect(&mut n.dht, *key, &ConnectOptions::new(own), now).unwrap();
        let (id, at) = self.until(|w| {
            let n = &w.nodes[node];
            let failure = n.failed.get(failed).map(|e| Err(*e));
            n.made.get(made).map(|m| Ok(*m)).or(failure)
        })?;
        let wanted = pattern(BYTES);
        let now = self.now();
        let session = self.nodes[node].sessions.get_mut(&id).unwrap();
        assert_eq!(session.remote, *key);
        for part in wanted.chunks(50_000) {
            session.secret.send(part, now).unwrap();
        }
        self.until(|w| (w.nodes[node].sessions[&id].received.len() >= BYTES).then_some(()));
        assert!(self.nodes[node].sessions[&id].received == wanted);
        self.nodes[node].table.get_mut(id).unwrap().end();
        Ok(at)
    }

    fn js_connect(&mut self, node: usize, key: &[u8; 32], seed: u8) -> Value {
        self.js(
            json!({"do": "connect", "node": node, "key": hex(key), "seed": hex(&[seed; 32]), "bytes": BYTES}),
        )
    }
}

fn local(port: u64) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port as u16)
}

#[test]
fn both_directions_open_and_closed_through_javascript_relays() {
    let Some(modules) = modules() else { return };
    let mut w = World::new(&modules);
    let bootstrap = [local(w.js(json!({"do": "testnet", "size": 6}))["bootstrap"].as_u64().unwrap())];
    for (i, closed) in [false, true].into_iter().enumerate() {
        w.js_node(&bootstrap, closed);
        w.js(json!({"do": "listen", "node": i, "seed": hex(&[100 + i as u8; 32])}));
        w.ordinary(&bootstrap, closed);
        w.listen(i, &KeyPair::from_seed(&[200 + i as u8; 32]), ServerOptions::default());
    }
    for (ours, our_closed) in [false, true].into_iter().enumerate() {
        for (theirs, their_closed) in [false, true].into_iter().enumerate() {
            let what = format!("we closed: {our_closed}, they closed: {their_closed}");
            let began = Instant::now();
            let key = KeyPair::from_seed(&[200 + ours as u8; 32]).public();
            let seed = 50 + 2 * ours as u8 + theirs as u8;
            let out = w.js_connect(theirs, &key, seed);
            assert_eq!(out["same"], json!(true), "they to us, {what}: {out}");
            println!("they to us, {what}: open after {} ms, {:?} in all", out["opened"], began.elapsed());
            let client = KeyPair::from_seed(&[seed; 32]).public();
            assert!(w.nodes[ours].sessions.values().any(|s| s.remote == client && s.echo));

            let began = Instant::now();
            let key = KeyPair::from_seed(&[100 + theirs as u8; 32]).public();
            let own = KeyPair::from_seed(&[60 + seed; 32]);
            let early = w.nodes[ours].early;
            let at = w.connect(ours, &key, &own).unwrap_or_else(|e| panic!("we to them, {what}: {e}"));
            let early = w.nodes[ours].early - early;
            println!("we to them, {what}: at {at}, {early} early packets, {:?} in all", began.elapsed());
            let seen = w.js(json!({"do": "seen"}));
            assert!(seen["seen"].as_array().unwrap().contains(&json!(hex(&own.public()))));
        }
    }
    let stats = w.nodes[0].connector.stats();
    assert_eq!((stats.accepted, stats.connected, stats.failed), (2, 2, 0), "{stats:?}");
}

#[test]
fn javascript_peers_and_ours_through_our_relays() {
    let Some(modules) = modules() else { return };
    let mut w = World::new(&modules);
    let first = w.add(Config { ephemeral: Some(false), firewalled: false, ..Config::default() });
    let known = v4(w.nodes[first].server.local_addr().unwrap());
    // The first node cannot learn its address from anybody.
    w.nodes.clear();
    let server = UdpSocket::bind(known).unwrap();
    server.set_nonblocking(true).unwrap();
    enlarge(&server);
    let now = w.now();
    let config = Config {
        server_port: known.port(),
        known_address: Some(known),
        ephemeral: Some(false),
        firewalled: false,
        ..Config::default()
    };
    let mut dht = Dht::new(config, random(), now);
    dht.bootstrap(now);
    w.nodes.push(Node {
        dht,
        connector: Connector::new(ConnectConfig::default(), random()),
        table: StreamTable::new(),
        server,
        client: bind(),
        pool: HashMap::new(),
        sessions: HashMap::new(),
        events: Vec::new(),
        failed: Vec::new(),
        made: Vec::new(),
        early: 0,
    });
    w.until(|w| w.nodes[0].dht.is_bootstrapped().then_some(()));
    let bootstrap = [known];
    for _ in 0..4 {
        w.persistent(&bootstrap);
    }
    let ours = w.ordinary(&bootstrap, false);
    let our_key = KeyPair::from_seed(&[1; 32]);
    w.listen(ours, &our_key, ServerOptions::default());
    w.js_node(&bootstrap, false);
    w.js_node(&bootstrap, true);
    let their_key = KeyPair::from_seed(&[2; 32]).public();
    w.js(json!({"do": "listen", "node": 0, "seed": hex(&[2; 32])}));

    // JavaScript to JavaScript, JavaScript to us, we to JavaScript, we to us.
    let out = w.js_connect(1, &their_key, 3);
    assert_eq!(out["same"], json!(true), "{out}");
    for js in [0, 1] {
        let out = w.js_connect(js, &our_key.public(), 4);
        assert_eq!(out["same"], json!(true), "{out}");
    }
    w.connect(ours, &their_key, &our_key).unwrap();
    let other = w.ordinary(&bootstrap, true);
    w.connect(other, &our_key.public(), &KeyPair::from_seed(&[5; 32])).unwrap();
    w.connect(other, &their_key, &KeyPair::from_seed(&[5; 32])).unwrap();

    // Nobody listens there; and who listens may refuse.
    let nobody = KeyPair::from_seed(&[77; 32]).public();
    assert_eq!(w.connect(other, &nobody, &our_key), Err(ConnectError::PeerNotFound));
    let shy = KeyPair::from_seed(&[6; 32]);
    let welcome = KeyPair::from_seed(&[7; 32]);
    let key = welcome.public();
    let refuse = Box::new(move |a: bosc_dht::connect::Approach<'_>| *a.remote_public_key != key);
    w.listen(ours, &shy, ServerOptions { refuse: Some(refuse), ..ServerOptions::default() });
    assert_eq!(w.connect(other, &shy.public(), &our_key), Err(ConnectError::PeerConnectionFailed));
    w.connect(other, &shy.public(), &welcome).unwrap();
    let out = w.js_connect(0, &shy.public(), 8);
    assert!(out["failed"].is_string(), "{out}");
    let out = w.js_connect(0, &shy.public(), 7);
    assert_eq!(out["same"], json!(true), "{out}");
}
