//! Datagrams of the DHT and what is inside them.

use crate::Input;
use crate::wire::{ours, theirs};
use bosc_dht::connect::{
    ConnectConfig, ConnectOptions, Connector, HolepunchPayload, NoisePayload, NoiseWrap, SecurePayload,
    ServerOptions,
};
use bosc_dht::messages::{Announce, Handshake, Holepunch, LookupReply, MutableRecord, PeerRecord};
use bosc_dht::wire::{self, Message, RequestMessage};
use bosc_dht::{Config, Dht, Entropy, Limits, QueryOptions, SocketKind, Token, command, is_dht_datagram};
use bosc_dht::{messages as records, node_id};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// A peer's address.
pub fn peer(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, n), 4000)
}

/// Our own.
pub fn own() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 49737)
}

/// One datagram, read, written and read again.
pub fn datagram(data: &[u8]) {
    let Ok(message) = wire::decode(data, peer(1)) else { return };
    assert!(is_dht_datagram(data));
    let bytes = match &message {
        Message::Request(m) => m.encode(),
        Message::Reply(m) => {
            assert!(m.closer.len() <= wire::MAX_CLOSER);
            m.encode()
        }
    };
    assert_eq!(wire::decode(&bytes, peer(1)).as_ref(), Ok(&message));
}

/// Values of requests and replies; the first byte says which.
pub fn messages(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    macro_rules! round_trip {
        ($kind:ty) => {
            if let Ok(m) = <$kind>::decode(data) {
                assert_eq!(<$kind>::decode(&m.encode()).as_ref(), Ok(&m));
            }
        };
    }
    match kind % 10 {
        0 => round_trip!(PeerRecord),
        1 => {
            let _ = LookupReply::decode(data);
        }
        2 => {
            round_trip!(Announce);
            if let Ok(m) = Announce::decode(data) {
                let _ = records::verify_announce(&[1; 32], &[2; 32], &[3; 32], &m);
                let _ = records::verify_unannounce(&[1; 32], &[2; 32], &[3; 32], &m);
            }
        }
        3 => {
            round_trip!(MutableRecord);
            let _ = MutableRecord::decode(data).map(|m| m.verify(&ours().public()));
            let _ = MutableRecord::decode_put(data).map(|(k, m)| m.verify(&k));
        }
        4 => round_trip!(Handshake),
        5 => round_trip!(Holepunch),
        // Of other versions only the number is read; we write our own.
        6 if NoisePayload::decode(data).is_ok_and(|m| m.version != bosc_dht::connect::VERSION) => {}
        6 => round_trip!(NoisePayload),
        7 => round_trip!(HolepunchPayload),
        8 => {
            let mut noise = NoiseWrap::responder(&ours(), [8; 32]).unwrap();
            if noise.recv(data).is_some() {
                assert_ne!(noise.remote_public_key(), Some(ours().public()));
            }
        }
        _ => {
            let _ = SecurePayload::new(&[7; 64], [6; 32]).open(data);
        }
    }
}

fn entropy(mut state: u64) -> Entropy {
    Box::new(move |out: &mut [u8]| {
        for b in out {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *b = (state >> 32) as u8;
        }
    })
}

/// A node with its layer above, and what it sent last.
#[allow(missing_debug_implementations)]
pub struct Host {
    dht: Dht,
    connector: Connector,
    now: Duration,
    last: Vec<(SocketAddrV4, u16)>,
    token: Token,
    bytes_out: usize,
}

const LIMITS: Limits = Limits {
    max_inflight: 256,
    max_queries: 16,
    max_listens: 4,
    max_transmits: 512,
    max_events: 256,
    max_delayed_pings: 32,
    max_records: 64,
    record_age: Duration::from_secs(1200),
    max_values: 32,
    max_value_bytes: 64 << 10,
    max_value_len: 4 << 10,
    value_age: Duration::from_secs(3600),
    max_per_source: 32,
};

impl Host {
    /// A persistent node that knows one other, listens for one key pair, looks for another, and has given peer 1 a
    /// token.
    pub fn new() -> Self {
        let now = Duration::from_secs(100);
        let config = Config {
            ephemeral: Some(false),
            firewalled: false,
            known_address: Some(own()),
            server_port: own().port(),
            nodes: vec![peer(9)],
            limits: LIMITS,
            ..Config::default()
        };
        let mut dht = Dht::new(config, entropy(77), now);
        dht.bootstrap(now);
        let connector = Connector::new(ConnectConfig::default(), entropy(99));
        let mut host = Self { dht, connector, now, last: Vec::new(), token: [0; 32], bytes_out: 0 };
        host.connector.listen(&mut host.dht, &ours(), ServerOptions::default(), now).unwrap();
        let options = ConnectOptions { relay_addresses: vec![peer(3)], ..ConnectOptions::new(&ours()) };
        let _ = host.connector.connect(&mut host.dht, theirs().public(), &options, now);
        let _ = host.dht.lookup([1; 32], &QueryOptions::default(), now);
        host.drain();
        let ask = RequestMessage {
            tid: 7,
            to: own(),
            id: None,
            token: None,
            internal: false,
            command: command::LOOKUP,
            target: Some([1; 32]),
            value: None,
        };
        host.dht.handle_datagram(SocketKind::Server, peer(1), &ask.encode(), now);
        while let Some(t) = host.dht.poll_transmit() {
            if let Ok(Message::Reply(r)) = wire::decode(&t.bytes, own()) {
                host.token = r.token.unwrap_or_default();
            }
        }
        host
    }

    /// The token peer 1 may store things with. The same in every run.
    pub fn token(&self) -> Token {
        self.token
    }

    fn drain(&mut self) {
        let mut events = 0;
        while let Some(event) = self.dht.poll_event() {
            let _ = self.connector.handle_event(&mut self.dht, event, self.now);
            events += 1;
            assert!(events < 10_000);
        }
        while self.connector.poll_event().is_some() {}
        let mut n = 0;
        while let Some(t) = self.dht.poll_transmit() {
            n += 1;
            assert!(n <= LIMITS.max_transmits + 1 && t.bytes.len() <= 65_507);
            self.bytes_out += t.bytes.len();
            if let [wire::REQUEST, _, a, b, ..] = t.bytes[..] {
                self.last.push((t.to, u16::from_le_bytes([a, b])));
            }
        }
        let extra = self.last.len().saturating_sub(64);
        self.last.drain(..extra);
    }

    /// A datagram. `op` bit 7: as a reply it answers one of our requests. Bit 6: it comes from peer 1, and a token in
    /// it is one we gave. Bit 5: it comes to the socket for clients. The rest is time.
    fn step(&mut self, op: u8, bytes: &[u8]) {
        self.now += Duration::from_millis(u64::from(op & 15) * 300);
        let mut bytes = bytes.to_vec();
        let mut from = peer(bytes.last().copied().unwrap_or(1) % 8 + 1);
        if op & 0x80 != 0
            && bytes.len() > 4
            && bytes[0] == wire::REPLY
            && let Some((to, tid)) = self.last.pop()
        {
            bytes[2..4].copy_from_slice(&tid.to_le_bytes());
            from = to;
            if bytes[1] & 1 != 0 && bytes.len() >= 42 {
                bytes[10..42].copy_from_slice(&node_id(to));
            }
        } else if op & 0x40 != 0 {
            from = peer(1);
            if let [wire::REQUEST, flags, ..] = bytes[..]
                && flags & 2 != 0
                && let at = if flags & 1 != 0 { 42 } else { 10 }
                && let Some(token) = bytes.get_mut(at..at + 32)
            {
                token.copy_from_slice(&self.token);
            }
        }
        let socket = if op & 0x20 != 0 { SocketKind::Client } else { SocketKind::Server };
        if is_dht_datagram(&bytes) {
            self.dht.handle_datagram(socket, from, &bytes, self.now);
        } else if let Some(id) = bosc_udx::stream_id(&bytes) {
            let _ = self.connector.handle_stream_packet(&mut self.dht, id, socket, from, &bytes, self.now);
        }
        self.drain();
        self.tick();
    }

    fn tick(&mut self) {
        if self.dht.next_timeout().is_some_and(|at| at <= self.now) {
            self.dht.handle_timeout(self.now);
        }
        if self.connector.next_timeout().is_some_and(|at| at <= self.now) {
            self.connector.handle_timeout(&mut self.dht, self.now);
        }
        self.drain();
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// A live node with a query, an announced key pair and a connection under way, fed with datagrams (one a step).
pub fn machine(data: &[u8]) {
    let mut host = Host::new();
    let mut input = Input::new(data);
    for _ in 0..200 {
        let Some((op, bytes)) = input.step() else { break };
        host.step(op, bytes);
    }
    for _ in 0..30 {
        host.now += Duration::from_secs(2);
        host.tick();
    }
    // Amplification and endless retries: so many steps can never make us send that much.
    assert!(host.bytes_out < 4 << 20, "{} bytes", host.bytes_out);
}
