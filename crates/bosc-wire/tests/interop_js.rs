//! Talks to the real `@hyperswarm/secret-stream` and `protomux` over TCP on loopback.
//!
//! Runs when `BOSC_INTEROP_NODE_MODULES` names a `node_modules` folder and `node` is on the path; says so when
//! it does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_format::crypto::{KeyPair, hash};
use bosc_wire::mux::{ChannelId, CloseReason, Limits, Mux, MuxEvent};
use bosc_wire::noise::Pattern;
use bosc_wire::secret_stream::{Config, SecretStream, Seeds};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Peer(Child, serde_json::Value);

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn start() -> Option<Peer> {
    let Some(modules) = std::env::var_os("BOSC_INTEROP_NODE_MODULES") else {
        println!("not run: BOSC_INTEROP_NODE_MODULES is not set");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/js/secure-peer.mjs");
    let mut child = Command::new("node")
        .arg(script)
        .arg(modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Some(Peer(child, serde_json::from_str(&line).expect("ports")))
}

/// A connection driven by blocking calls.
struct Connection {
    socket: TcpStream,
    stream: SecretStream,
    mux: Mux,
    start: Instant,
    events: VecDeque<MuxEvent>,
}

impl Connection {
    fn open(peer: &Peer, we_initiate: bool, pattern: Pattern, seed: u8) -> Self {
        let role = if we_initiate { "responder" } else { "initiator" };
        let port = peer.1[format!("{role}-{pattern:?}")].as_u64().unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let theirs = KeyPair::from_seed(&[2; 32]).public();
        let mut n = seed;
        let seeds = Seeds::draw(&mut |out| {
            n = n.wrapping_add(1);
            out.fill(n);
        });
        let stream = SecretStream::in_band(
            we_initiate,
            pattern,
            &KeyPair::from_seed(&[1; 32]),
            Some(theirs),
            Config { keep_alive: Duration::from_millis(50), ..Config::default() },
            seeds,
            Duration::ZERO,
        )
        .unwrap();
        let mut c = Self {
            socket,
            stream,
            mux: Mux::new(Limits::default()),
            start: Instant::now(),
            events: VecDeque::new(),
        };
        c.flush();
        while !c.stream.is_open() {
            c.read();
            c.flush();
        }
        assert_eq!(c.stream.handshake().unwrap().remote_public_key, theirs);
        c
    }

    fn flush(&mut self) {
        let now = self.start.elapsed();
        while let Some(f) = self.mux.poll_frame() {
            self.stream.send_parts(f.parts(), now).unwrap();
        }
        while let Some(chunk) = self.stream.take_output() {
            self.socket.write_all(&chunk).unwrap();
        }
    }

    fn read(&mut self) {
        let mut buffer = vec![0; 50_000];
        let n = self.socket.read(&mut buffer).unwrap();
        assert!(n > 0, "the other side closed");
        self.stream.feed(&buffer[..n], self.start.elapsed()).unwrap();
    }

    fn next(&mut self) -> MuxEvent {
        loop {
            if let Some(e) = self.mux.poll_event().unwrap() {
                return e;
            }
            match self.stream.next_message().unwrap() {
                Some(m) => self.mux.feed(m).unwrap(),
                None => {
                    self.flush();
                    self.read();
                }
            }
        }
    }

    /// The next event about this channel; others are kept.
    fn next_on(&mut self, want: ChannelId) -> MuxEvent {
        let on = |e: &MuxEvent| match e {
            MuxEvent::Opened { channel, .. }
            | MuxEvent::Message { channel, .. }
            | MuxEvent::Closed { channel, .. } => *channel == want,
            MuxEvent::RemoteOpen { .. } => false,
        };
        if let Some(at) = self.events.iter().position(on) {
            return self.events.remove(at).unwrap();
        }
        loop {
            let e = self.next();
            if on(&e) {
                return e;
            }
            self.events.push_back(e);
        }
    }

    fn message_on(&mut self, channel: ChannelId) -> (u32, Bytes) {
        match self.next_on(channel) {
            MuxEvent::Message { ty, payload, .. } => (ty, payload),
            e => panic!("{e:?}"),
        }
    }
}

fn string(s: &str) -> Vec<u8> {
    let mut e = bosc_format::codec::Encoder::new();
    e.string(s);
    e.finish()
}

fn conversation(mut c: Connection) {
    // They open a channel that we learn of and accept.
    let MuxEvent::RemoteOpen { protocol, id, handshake } = c.next() else { panic!() };
    assert_eq!((protocol.as_str(), id.as_deref()), ("from javascript", Some(&[9; 32][..])));
    assert_eq!(handshake, string("javascript says hello"));
    let theirs = c.mux.open(&protocol, id.as_deref(), &string("rust")).unwrap();
    assert_eq!(c.next_on(theirs), MuxEvent::Opened { channel: theirs, handshake });
    assert_eq!(c.message_on(theirs), (0, string("opened with rust").into()));

    // Channels nobody wants are rejected.
    let unwanted = c.mux.open("no such protocol", None, b"").unwrap();
    c.flush();
    let closed = MuxEvent::Closed { channel: unwanted, reason: CloseReason::Rejected };
    assert_eq!(c.next_on(unwanted), closed);

    // Two echo channels; messages go out before the other side opened.
    let (one, two) = ([1; 32], [2; 32]);
    let a = c.mux.open("echo", Some(&one), &string("")).unwrap();
    let b = c.mux.open("echo", Some(&two), &string("")).unwrap();
    for i in 0..500u32 {
        let body = [i.to_le_bytes().as_slice(), &vec![i as u8; i as usize % 97]].concat();
        c.mux.send(if i % 3 == 0 { b } else { a }, 0, &body).unwrap();
        match i {
            100 | 300 => c.mux.cork(),
            200 | 450 => c.mux.uncork(),
            _ => {}
        }
    }
    for (channel, id) in [(a, one), (b, two)] {
        let name = format!("echo {}", data_encoding::HEXLOWER.encode(&id));
        assert_eq!(c.next_on(channel), MuxEvent::Opened { channel, handshake: string(&name).into() });
    }
    for i in 0..500u32 {
        let body = [i.to_le_bytes().as_slice(), &vec![i as u8; i as usize % 97]].concat();
        let (ty, got) = c.message_on(if i % 3 == 0 { b } else { a });
        assert_eq!((ty, got), (0, body.into()));
    }

    // Large ones, whole and in parts, echoed and hashed.
    for n in [65_536usize, 65_537, 1 << 20, 8 << 20, bosc_wire::mux::MAX_PAYLOAD] {
        let body = Bytes::from((0..n).map(|i| (i % 251) as u8).collect::<Vec<_>>());
        let (head, tail) = body.split_at(7);
        let parts = [Bytes::copy_from_slice(head), body.slice(7..7 + tail.len())];
        c.mux.send_parts(a, 1, &parts).unwrap();
        assert_eq!(c.message_on(a), (1, Bytes::copy_from_slice(&hash(&[&body]))));
        c.mux.send_parts(b, 0, &parts).unwrap();
        let (ty, got) = c.message_on(b);
        assert!(ty == 0 && got == body, "{n} bytes");
    }

    // A batch of theirs over two channels.
    let mut e = bosc_format::codec::Encoder::new();
    e.uint(1000);
    c.mux.send(a, 2, e.as_slice()).unwrap();
    for i in 0..1000u64 {
        let mut e = bosc_format::codec::Encoder::new();
        e.uint(i);
        assert_eq!(c.message_on(a), (2, e.finish().into()));
        assert_eq!(c.message_on(theirs), (0, string(&format!("batch {i}")).into()));
    }

    // Silence: keep-alives pass both ways and do not show.
    std::thread::sleep(Duration::from_millis(120));
    c.stream.handle_timeout(c.start.elapsed()).unwrap();
    assert!(c.stream.output_len() > 0);
    c.mux.send(theirs, 0, &string("still there?")).unwrap();
    assert_eq!(c.message_on(theirs), (0, string("STILL THERE?").into()));

    // They count what came, close one channel on request, and see us close the other.
    c.mux.send(a, 3, &[0]).unwrap();
    assert_eq!(c.message_on(a), (3, Bytes::from(string_count(500 - 167 + 5 + 1))));
    c.mux.send(b, 4, b"").unwrap();
    assert_eq!(c.next_on(b), MuxEvent::Closed { channel: b, reason: CloseReason::Remote });
    c.mux.close(a);
    let name = format!("echo closed {}", data_encoding::HEXLOWER.encode(&one));
    assert_eq!(c.message_on(theirs), (0, string(&name).into()));

    // The freed numbers work again.
    let again = c.mux.open("echo", Some(&one), &string("")).unwrap();
    c.mux.send(again, 0, b"again").unwrap();
    assert!(matches!(c.next_on(again), MuxEvent::Opened { .. }));
    assert_eq!(c.message_on(again), (0, Bytes::from_static(b"again")));
    assert_eq!(c.events, []);
}

fn string_count(n: u64) -> Vec<u8> {
    let mut e = bosc_format::codec::Encoder::new();
    e.uint(n);
    e.finish()
}

#[test]
fn conversations_with_the_javascript_peer_in_every_role() {
    let Some(peer) = start() else { return };
    for (i, (we_initiate, pattern)) in
        [(true, Pattern::XX), (true, Pattern::IK), (false, Pattern::XX), (false, Pattern::IK)]
            .into_iter()
            .enumerate()
    {
        conversation(Connection::open(&peer, we_initiate, pattern, 40 * i as u8));
    }
}
