//! A network in virtual time: hosts with a server and a client socket each, some behind NATs, datagrams that
//! take 5 to 50 ms and get lost as told.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod world;

use bosc_dht::{Config, Dht, Entropy, Event, QueryDone, QueryId, QueryReply, SocketKind};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub const SERVER_PORT: u16 = 49737;
pub const CLIENT_PORT: u16 = 50000;

pub fn seeded(seed: u64) -> Entropy {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Box::new(move |out: &mut [u8]| {
        for b in out {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *b = (state >> 32) as u8;
        }
    })
}

/// What a host is behind. Those who were not written to cannot write back, except to an open one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    Open,
    /// One port outside for each socket.
    Cone,
    /// One port outside for each socket and remote.
    Symmetric,
}

/// The port of a socket for holepunching.
pub fn pool_port(number: u32) -> u16 {
    51_000 + u16::try_from(number % 5000).unwrap()
}

pub struct Host {
    pub dht: Dht,
    pub ip: Ipv4Addr,
    pub alive: bool,
    pub nat: Nat,
    /// A port of the router that leads to the server socket.
    pub led: Option<u16>,
    /// How long datagrams to its server socket take besides.
    pub late: Duration,
    opened: HashSet<(SocketKind, SocketAddrV4)>,
    /// Of a symmetric NAT: the port outside for a socket and whom it writes to, and back.
    mapped: HashMap<(SocketKind, SocketAddrV4), u16>,
    behind: HashMap<u16, (SocketKind, SocketAddrV4)>,
    /// Sockets for holepunching that something was sent from, and bytes that arrived there alone.
    pub pool: HashSet<u32>,
    pub probes: VecDeque<(u32, SocketAddrV4)>,
    pub events: VecDeque<Event>,
}

struct Packet {
    from: SocketAddrV4,
    to: SocketAddrV4,
    bytes: bytes::Bytes,
}

pub struct Net {
    pub now: Duration,
    pub hosts: Vec<Host>,
    /// Lost datagrams of a thousand.
    pub loss: u64,
    pub delivered: u64,
    by_ip: HashMap<Ipv4Addr, usize>,
    flying: BTreeMap<(Duration, u64), Packet>,
    count: u64,
    random: Entropy,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        Self {
            now: Duration::from_secs(1000),
            hosts: Vec::new(),
            loss: 0,
            delivered: 0,
            by_ip: HashMap::new(),
            flying: BTreeMap::new(),
            count: 0,
            random: seeded(seed),
        }
    }

    /// A network of `n` persistent nodes; the first is the bootstrap node.
    pub fn persistent(seed: u64, n: usize) -> Self {
        let mut net = Self::new(seed);
        for _ in 0..n {
            net.add_persistent();
        }
        net.run(Duration::from_secs(30));
        net
    }

    fn below(&mut self, n: u64) -> u64 {
        let mut b = [0; 8];
        (self.random)(&mut b);
        u64::from_le_bytes(b) % n
    }

    pub fn server(&self, host: usize) -> SocketAddrV4 {
        SocketAddrV4::new(self.hosts[host].ip, SERVER_PORT)
    }

    pub fn base_config(&self) -> Config {
        let bootstrap = if self.hosts.is_empty() { vec![] } else { vec![self.server(0)] };
        Config { bootstrap, server_port: SERVER_PORT, ..Config::default() }
    }

    pub fn add_persistent(&mut self) -> usize {
        let mut config = Config { ephemeral: Some(false), firewalled: false, ..self.base_config() };
        if self.hosts.is_empty() {
            config.known_address = Some(SocketAddrV4::new(Self::ip(0), SERVER_PORT));
        }
        self.add(config, false)
    }

    /// An ordinary node that does not know whether it can be reached.
    pub fn add_plain(&mut self, nat: bool) -> usize {
        self.add(self.base_config(), nat)
    }

    fn ip(n: usize) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0001 + (n as u32) * 0x0001_0203)
    }

    pub fn add(&mut self, config: Config, nat: bool) -> usize {
        self.add_behind(config, if nat { Nat::Cone } else { Nat::Open })
    }

    pub fn add_behind(&mut self, config: Config, nat: Nat) -> usize {
        let n = self.hosts.len();
        let ip = Self::ip(n);
        let mut dht = Dht::new(config, seeded(n as u64 + 77), self.now);
        dht.bootstrap(self.now);
        let host = Host {
            dht,
            ip,
            alive: true,
            nat,
            led: None,
            late: Duration::ZERO,
            opened: HashSet::new(),
            mapped: HashMap::new(),
            behind: HashMap::new(),
            pool: HashSet::new(),
            probes: VecDeque::new(),
            events: VecDeque::new(),
        };
        self.hosts.push(host);
        self.by_ip.insert(ip, n);
        self.collect(n);
        n
    }

    /// A host gets another address (or its NAT does), behind which nobody is known.
    pub fn readdress(&mut self, host: usize, ip: Ipv4Addr) {
        let h = &mut self.hosts[host];
        self.by_ip.remove(&h.ip);
        h.ip = ip;
        h.opened.clear();
        self.by_ip.insert(ip, host);
    }

    pub fn kill(&mut self, host: usize) {
        self.hosts[host].alive = false;
    }

    /// Does something with a node and sends what comes of it.
    pub fn with<T>(&mut self, host: usize, f: impl FnOnce(&mut Dht, Duration) -> T) -> T {
        let now = self.now;
        let out = f(&mut self.hosts[host].dht, now);
        self.collect(host);
        out
    }

    fn collect(&mut self, host: usize) {
        loop {
            let h = &mut self.hosts[host];
            let Some(t) = h.dht.poll_transmit() else { break };
            assert!(t.bytes.len() <= 1500, "fits a packet");
            h.opened.insert((t.socket, t.to));
            let mut port = match t.socket {
                SocketKind::Server => SERVER_PORT,
                SocketKind::Client => CLIENT_PORT,
                SocketKind::Pool(n) => {
                    h.pool.insert(n);
                    pool_port(n)
                }
            };
            if h.nat == Nat::Symmetric {
                let next = 60_000 - u16::try_from(h.mapped.len() * 7 % 40_000).unwrap();
                port = *h.mapped.entry((t.socket, t.to)).or_insert(next);
                h.behind.insert(port, (t.socket, t.to));
            }
            if t.ttl.is_some() {
                // It dies on the way.
                continue;
            }
            let from = SocketAddrV4::new(h.ip, port);
            self.count += 1;
            if self.below(1000) < self.loss {
                continue;
            }
            let late = match self.by_ip.get(t.to.ip()) {
                Some(n) if t.to.port() == SERVER_PORT => self.hosts[*n].late,
                _ => Duration::ZERO,
            };
            let at = self.now + late + Duration::from_millis(5 + self.below(45));
            self.flying.insert((at, self.count), Packet { from, to: t.to, bytes: t.bytes });
        }
        let h = &mut self.hosts[host];
        while let Some(event) = h.dht.poll_event() {
            h.events.push_back(event);
        }
    }

    fn step(&mut self, until: Duration) -> bool {
        let packet = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timer = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, h)| h.alive)
            .filter_map(|(i, h)| h.dht.next_timeout().map(|at| (at, i)))
            .min();
        let next = packet.into_iter().chain(timer.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if packet == Some(next) {
            let Some((_, p)) = self.flying.pop_first() else { return true };
            let Some(&n) = self.by_ip.get(p.to.ip()) else { return true };
            let h = &mut self.hosts[n];
            let led = h.led == Some(p.to.port());
            let socket = match (h.nat, p.to.port()) {
                _ if led => SocketKind::Server,
                (Nat::Symmetric, port) => match h.behind.get(&port) {
                    Some((socket, to)) if *to == p.from => *socket,
                    _ => return true,
                },
                (_, SERVER_PORT) => SocketKind::Server,
                (_, CLIENT_PORT) => SocketKind::Client,
                (_, port) => match h.pool.iter().find(|n| pool_port(**n) == port) {
                    Some(number) => SocketKind::Pool(*number),
                    None => return true,
                },
            };
            if h.alive && (led || h.nat == Nat::Open || h.opened.contains(&(socket, p.from))) {
                self.delivered += 1;
                if let (SocketKind::Pool(number), 1) = (socket, p.bytes.len()) {
                    h.probes.push_back((number, p.from));
                    return true;
                }
                h.dht.handle_datagram(socket, p.from, &p.bytes, self.now);
                self.collect(n);
            }
        } else if let Some((_, n)) = timer {
            self.hosts[n].dht.handle_timeout(self.now);
            self.collect(n);
        }
        true
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Where a datagram arrives now that a host sends from a socket: in which socket, and where it seems to come from.
    pub fn path(
        &self,
        host: usize,
        socket: SocketKind,
        to: SocketAddrV4,
    ) -> Option<(SocketKind, SocketAddrV4)> {
        let h = &self.hosts[host];
        let port = match (h.nat, socket) {
            (Nat::Symmetric, _) => *h.mapped.get(&(socket, to))?,
            (_, SocketKind::Server) => SERVER_PORT,
            (_, SocketKind::Client) => CLIENT_PORT,
            (_, SocketKind::Pool(n)) => pool_port(n),
        };
        let from = SocketAddrV4::new(h.ip, port);
        let h = &self.hosts[*self.by_ip.get(to.ip())?];
        let socket = match (h.nat, to.port()) {
            (Nat::Symmetric, port) => h.behind.get(&port)?.0,
            (_, SERVER_PORT) => SocketKind::Server,
            (_, CLIENT_PORT) => SocketKind::Client,
            (_, port) => SocketKind::Pool(*h.pool.iter().find(|n| pool_port(**n) == port)?),
        };
        (h.nat == Nat::Open || h.opened.contains(&(socket, from))).then_some((socket, from))
    }

    /// Runs until `f` gives something, for at most five minutes.
    pub fn until<T>(&mut self, mut f: impl FnMut(&mut Self) -> Option<T>) -> T {
        let until = self.now + Duration::from_secs(300);
        loop {
            if let Some(out) = f(self) {
                return out;
            }
            assert!(self.step(until), "did not happen in five minutes");
        }
    }

    /// Waits for an event of one host and takes it out.
    pub fn event<T>(&mut self, host: usize, mut f: impl FnMut(&Event) -> Option<T>) -> T {
        self.until(|net| {
            let events = &mut net.hosts[host].events;
            let (at, out) = events.iter().enumerate().find_map(|(i, e)| f(e).map(|out| (i, out)))?;
            events.remove(at);
            Some(out)
        })
    }

    /// Waits for the end of a query; gives its replies too.
    pub fn done(&mut self, host: usize, query: QueryId) -> (QueryDone, Vec<QueryReply>) {
        let done = self.event(host, |e| match e {
            Event::QueryDone(d) if d.query == query => Some(d.clone()),
            _ => None,
        });
        let mut replies = Vec::new();
        self.hosts[host].events.retain(|e| match e {
            Event::QueryReply(r) if r.query == query => {
                replies.push(r.clone());
                false
            }
            _ => true,
        });
        (done, replies)
    }
}
