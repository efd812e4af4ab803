//! A network in virtual time: hosts with a server and a client socket each, some behind NATs, datagrams that
//! take 5 to 50 ms and get lost as told.
#![allow(dead_code, unreachable_pub)]

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

pub struct Host {
    pub dht: Dht,
    pub ip: Ipv4Addr,
    pub alive: bool,
    /// Behind a NAT: only those who were written to can write back.
    pub nat: bool,
    /// How long datagrams to its server socket take besides.
    pub late: Duration,
    opened: HashSet<(SocketKind, SocketAddrV4)>,
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
        let n = self.hosts.len();
        let ip = Self::ip(n);
        let mut dht = Dht::new(config, seeded(n as u64 + 77), self.now);
        dht.bootstrap(self.now);
        let host = Host {
            dht,
            ip,
            alive: true,
            nat,
            late: Duration::ZERO,
            opened: HashSet::new(),
            events: VecDeque::new(),
        };
        self.hosts.push(host);
        self.by_ip.insert(ip, n);
        self.collect(n);
        n
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
            let port = match t.socket {
                SocketKind::Server => SERVER_PORT,
                SocketKind::Client => CLIENT_PORT,
                SocketKind::Pool(n) => 51000 + n as u16,
            };
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
            let socket = match p.to.port() {
                SERVER_PORT => SocketKind::Server,
                CLIENT_PORT => SocketKind::Client,
                port if port > 51000 => SocketKind::Pool(u32::from(port - 51000)),
                _ => return true,
            };
            let h = &mut self.hosts[n];
            if h.alive && (!h.nat || h.opened.contains(&(socket, p.from))) {
                self.delivered += 1;
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
