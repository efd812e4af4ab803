//! All processes, the network between them, and what is checked while they run.

use super::history::{Change, History};
use super::host::{CLIENT_PORT, Datagram, Handshake, Host, POOL_PORTS, SERVER_PORT, Setup};
use super::liar::Lies;
use super::plan::{Action, NODES, Plan, WRITER};
use bosc_format::crypto::{CoreKey, KeyPair};
use bosc_node::machine::Disguise;
use bosc_store::{Core, CoreChange, Options, Store};
use bosc_testkit::{Occurrence, Rng, Simulator};
use bosc_wire::replication::LocalChange;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// Tokens from here on are actions of the plan; below, places whose timers are due.
const ACTIONS: u64 = 1000;
const SWEEP: u64 = 999;
/// How often everything that everybody holds is looked at, whatever was told of it.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long after the network has become calm all must be equal. A peer that gave up on another while it had a third
/// one hears of it with its next lookup, after at most twelve minutes.
const CONVERGE_WITHIN: Duration = Duration::from_secs(900);
/// How long it is watched after that.
const STAYS: Duration = Duration::from_secs(3);
/// A process takes time: nothing it waits for happens sooner.
const GRAIN: Duration = Duration::from_micros(50);

/// What a run was like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Report {
    /// Of all datagrams, in order.
    pub digest: u64,
    /// Virtual time.
    pub simulated: Duration,
    /// From calm, or the last change, to all being equal.
    pub recovery: Duration,
    /// Datagrams that arrived.
    pub delivered: u64,
    /// Connections opened, by either side.
    pub connections: u64,
    /// Connections whose encryption noticed damage.
    pub broken: u64,
    /// Wrong proofs given.
    pub lies: u64,
    /// Times a peer was dropped for what it sent.
    pub bans: u64,
    /// Blocks that arrived and were compared.
    pub blocks: u64,
    /// Moves to another fork.
    pub reorgs: u64,
}

struct Place {
    ip: Ipv4Addr,
    key_pair: KeyPair,
    store: Option<Store>,
    host: Option<Host>,
    /// The earliest alarm that is set.
    armed: Option<Duration>,
    /// Behind a NAT: which remote addresses each port may hear from.
    hidden: Option<HashSet<(u16, SocketAddr)>>,
    lies: Option<Arc<Lies>>,
}

pub struct World {
    net: Simulator,
    plan: Plan,
    places: Vec<Place>,
    by_ip: HashMap<IpAddr, usize>,
    history: History,
    rng: Rng,
    out: Vec<Datagram>,
    report: Report,
    /// Connections dialled by processes that are gone, and whether they lied.
    handshakes: HashMap<Handshake, bool>,
    /// All datagrams of streams are lost, for good.
    streams_lost: bool,
    /// Steps since virtual time last moved.
    standing: (Duration, u32),
}

fn options() -> Options {
    let mut options = Options::default();
    options.background = false;
    options.database_cache_bytes = 256 << 10;
    options
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let net = Simulator::new(rng.next_u64(), plan.link.clone());
        let total = WRITER + 1 + plan.downloaders + usize::from(plan.hostile.is_some());
        let mut places = Vec::new();
        for n in 0..total {
            let mut seed = [0; 32];
            rng.fill(&mut seed);
            let downloader = n.checked_sub(WRITER + 1);
            let hidden = downloader.is_some_and(|d| plan.hidden[d]);
            let hostile = downloader.is_some_and(|d| d >= plan.downloaders);
            places.push(Place {
                ip: Ipv4Addr::new(80, 10 + n as u8, 7, 1),
                key_pair: KeyPair::from_seed(&seed),
                store: (n >= NODES).then(|| Store::memory(options()).unwrap()),
                host: None,
                armed: None,
                hidden: hidden.then(HashSet::new),
                lies: hostile.then(|| Arc::new(Lies::new(rng.fork(), plan.hostile.unwrap_or_default()))),
            });
        }
        let by_ip = places.iter().enumerate().map(|(n, p)| (IpAddr::V4(p.ip), n)).collect();
        let mut history =
            History::new(places[WRITER].store.as_ref().unwrap(), plan.drive, plan.cores, rng.fork());
        if plan.first_blocks > 0 {
            history.append(plan.first_blocks);
        }
        let mut world = Self {
            net,
            places,
            by_ip,
            history,
            rng,
            out: Vec::new(),
            report: Report::default(),
            handshakes: HashMap::new(),
            streams_lost: false,
            standing: (Duration::ZERO, 0),
            plan,
        };
        for (i, (at, _)) in world.plan.actions.iter().enumerate() {
            world.net.wake(*at, ACTIONS + i as u64);
        }
        world.net.wake(SWEEP_EVERY, SWEEP);
        world
    }

    /// Loses every datagram that is not the DHT's, for good: the run must fail.
    pub fn lose_streams(mut self) -> Self {
        self.streams_lost = true;
        self
    }

    /// Changes what the first block of each core is said to be, as if peers had taken another one: the run must fail.
    pub fn forge(mut self) -> Self {
        self.history.forge();
        self
    }

    /// Runs to the end. Panics when a promise is broken.
    pub fn run(mut self) -> Report {
        let last = self.plan.actions.last().map_or(Duration::ZERO, |(at, _)| *at);
        let limit = last + CONVERGE_WITHIN;
        let mut looked = last;
        let mut equal_since = None;
        while let Some(what) = self.net.next_until(limit) {
            self.step(what);
            let now = self.net.now();
            if now < last || now < looked {
                continue;
            }
            looked = now + Duration::from_millis(20);
            if !self.is_converged() {
                assert_eq!(equal_since, None, "all were equal, then not any more");
            } else if equal_since.get_or_insert(now).saturating_add(STAYS) <= now {
                break;
            }
        }
        let Some(equal_since) = equal_since else { panic!("not all are equal:\n{}", self.state()) };
        self.report.recovery = equal_since - last;
        self.finish()
    }

    fn finish(mut self) -> Report {
        self.sweep();
        for n in self.honest() {
            let copies: Vec<Core> = self.history.cores.iter().map(|w| self.copy(n, w.core.key())).collect();
            for (written, copy) in self.history.cores.iter().zip(&copies) {
                written.check_equal(n, copy);
            }
            self.history.check_files(n, &copies);
        }
        for n in 0..self.places.len() {
            self.close_books(n);
        }
        self.report.lies = self.places.iter().filter_map(|p| p.lies.as_ref()).map(|l| l.told()).sum();
        self.report.simulated = self.net.now();
        self.report.delivered = self.net.stats().delivered;
        self.report
    }

    /// The places of honest downloaders.
    fn honest(&self) -> std::ops::RangeInclusive<usize> {
        WRITER + 1..=WRITER + self.plan.downloaders
    }

    fn copy(&self, n: usize, key: &CoreKey) -> Core {
        self.places[n].store.as_ref().unwrap().open_core(key).unwrap()
    }

    fn step(&mut self, what: Occurrence) {
        let now = self.net.now();
        if self.standing.0 != now {
            self.standing = (now, 0);
        }
        self.standing.1 += 1;
        assert!(self.standing.1 < 100_000, "time stands still: {what:?}\n{}", self.state());
        match what {
            Occurrence::Datagram(d) => {
                let Some(&n) = self.by_ip.get(&d.to.ip()) else { return };
                let place = &mut self.places[n];
                if place.hidden.as_ref().is_some_and(|h| !h.contains(&(d.to.port(), d.from))) {
                    return;
                }
                let mut digest = Digest(self.report.digest);
                digest.add(&now.as_nanos().to_le_bytes());
                digest.add(&[n as u8, d.to.port() as u8]);
                digest.add(&d.payload);
                self.report.digest = digest.0;
                if self.streams_lost && !bosc_dht::is_dht_datagram(&d.payload) {
                    return;
                }
                let Some(host) = &mut place.host else { return };
                host.receive(d.to.port(), d.from, &d.payload, now);
                self.work(n);
            }
            Occurrence::Wake { token: SWEEP } => {
                self.sweep();
                self.net.wake(now + SWEEP_EVERY, SWEEP);
            }
            Occurrence::Wake { token } if token >= ACTIONS => {
                let (_, action) = self.plan.actions[(token - ACTIONS) as usize].clone();
                self.act(action);
            }
            Occurrence::Wake { token } => {
                let n = token as usize;
                if self.places[n].armed == Some(now) {
                    self.places[n].armed = None;
                    self.work(n);
                }
            }
        }
    }

    /// Lets a process work, sends what it has to say, checks what it stored, sets its alarm.
    fn work(&mut self, n: usize) {
        let now = self.net.now();
        let place = &mut self.places[n];
        let Some(host) = &mut place.host else { return };
        host.work(now, &mut self.out);
        if host.download && self.plan.drive {
            self.follow_drive(n);
        }
        self.check_changes(n);
        let place = &mut self.places[n];
        for d in self.out.drain(..) {
            if let Some(hidden) = &mut place.hidden {
                hidden.insert((d.from.port(), d.to));
            }
            self.net.send(d.from, d.to, d.bytes);
        }
        let Some(next) = place.host.as_ref().and_then(Host::next_timeout) else { return };
        let next = next.max(now + GRAIN);
        if place.armed.is_none_or(|at| next < at || at < now) {
            place.armed = Some(next);
            self.net.wake(next, n as u64);
        }
    }

    /// A drive's second core becomes known with the first block of its first.
    fn follow_drive(&mut self, n: usize) {
        let (db, blobs) = (*self.history.cores[0].core.key(), *self.history.cores[1].core.key());
        let copy = self.copy(n, &db);
        if let Some(host) = &mut self.places[n].host
            && !host.cores.contains_key(&blobs)
            && copy.has(0).unwrap()
        {
            let core = self.places[n].store.as_ref().unwrap().open_core(&blobs).unwrap();
            if let Some(host) = &mut self.places[n].host {
                host.attach(core);
                let now = self.net.now();
                host.work(now, &mut self.out);
            }
        }
    }

    fn check_changes(&mut self, n: usize) {
        let Some(host) = &self.places[n].host else { return };
        for (key, slot) in &host.cores {
            let changes = slot.take_changes();
            if changes.is_empty() || n == WRITER {
                continue;
            }
            let written = self.history.cores.iter().find(|w| w.core.key() == key).unwrap();
            for change in changes {
                match change {
                    CoreChange::Blocks { start, end } => {
                        self.report.blocks += end - start;
                        for i in start..end {
                            written.check_block(n, &slot.core, i);
                        }
                    }
                    CoreChange::Truncate { .. } => {
                        self.report.reorgs += 1;
                        written.check_all(n, &slot.core);
                    }
                    CoreChange::Append { .. } => written.check_head(n, &slot.core),
                    _ => {}
                }
            }
        }
    }

    fn sweep(&self) {
        for n in WRITER + 1..self.places.len() {
            for written in &self.history.cores {
                written.check_all(n, &self.copy(n, written.core.key()));
            }
        }
    }

    fn is_converged(&self) -> bool {
        self.honest().all(|n| {
            let host = self.places[n].host.as_ref();
            self.history.cores.iter().all(|w| {
                host.and_then(|h| h.cores.get(w.core.key())).is_some_and(|slot| w.is_equal(&slot.core))
            })
        })
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(n) => self.start(n),
            Action::Crash(n) => {
                self.close_books(n);
                self.places[n].host = None;
            }
            Action::Append(blocks) => {
                let changes = self.history.append(blocks);
                self.tell_writer(&changes);
            }
            Action::Reorg(blocks) => {
                let changes = self.history.reorg(blocks);
                self.tell_writer(&changes);
            }
            Action::Partition(who) => {
                let (left, right) = self.sides(&who);
                self.net.partition(&left, &right, true);
            }
            Action::Heal => self.heal(),
            Action::Calm => {
                self.heal();
                self.net.set_default(self.plan.calm.clone());
            }
        }
    }

    fn heal(&mut self) {
        let (_, all) = self.sides(&[]);
        self.net.partition(&all, &all, false);
    }

    fn sides(&self, left: &[usize]) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let ports = |(_, p): (usize, &Place)| {
            let ip = p.ip;
            let all = [SERVER_PORT, CLIENT_PORT].into_iter().chain(POOL_PORTS);
            all.map(move |port| SocketAddr::V4(SocketAddrV4::new(ip, port)))
        };
        let (a, b): (Vec<_>, Vec<_>) = self.places.iter().enumerate().partition(|(n, _)| left.contains(n));
        (a.into_iter().flat_map(ports).collect(), b.into_iter().flat_map(ports).collect())
    }

    fn start(&mut self, n: usize) {
        if self.places[n].host.is_some() {
            return;
        }
        let now = self.net.now();
        let first = SocketAddrV4::new(self.places[0].ip, SERVER_PORT);
        let second = SocketAddrV4::new(self.places[1].ip, SERVER_PORT);
        let place = &self.places[n];
        let mut host = Host::new(
            Setup {
                ip: place.ip,
                key_pair: place.key_pair.clone(),
                bootstrap: match n {
                    0 => Vec::new(),
                    _ if n < NODES => vec![first],
                    _ => vec![first, second],
                },
                persistent: n < NODES,
                store: place.store.as_ref(),
                download: n > WRITER,
                disguise: place.lies.clone().map(|l| l as Arc<dyn Disguise>),
                relay_through: None,
                relay: None,
                rng: self.rng.fork(),
            },
            now,
        );
        if n >= WRITER {
            let topic = *self.history.cores[0].core.discovery_key();
            let known = if self.plan.drive && n > WRITER { 1 } else { self.history.cores.len() };
            for written in self.history.cores.iter().take(known) {
                host.attach(self.copy(n, written.core.key()));
            }
            let (client, server) = match n - WRITER {
                0 => (false, true),
                d => (true, self.plan.found[d - 1]),
            };
            host.join(topic, client, server, now);
        }
        self.places[n].host = Some(host);
        self.work(n);
    }

    fn tell_writer(&mut self, changes: &[(usize, Change)]) {
        let now = self.net.now();
        if let Some(host) = &mut self.places[WRITER].host {
            for (i, change) in changes {
                let change = match *change {
                    Change::Append => LocalChange::Appended,
                    Change::Reorg { ancestors } => LocalChange::Reorged { ancestors },
                };
                host.local_changed(self.history.cores[*i].core.key(), change, now);
            }
        }
        self.work(WRITER);
    }

    /// What a process did, before it is gone. Only liars may have been dropped.
    fn close_books(&mut self, n: usize) {
        let Some(host) = &self.places[n].host else { return };
        self.report.connections += host.opened;
        self.report.broken += host.broken();
        let lies = self.places[n].lies.is_some();
        self.handshakes.extend(host.dialled.iter().map(|h| (*h, lies)));
        for (key, handshake, why) in &host.banned {
            self.report.bans += 1;
            let is_liar = |p: &Place| p.lies.is_some();
            let liar = if host.dialled.contains(handshake) {
                self.places.iter().any(|p| p.key_pair.public() == *key && is_liar(p))
            } else {
                // The other end dialled, under a key that may have been used once.
                let dialled = |p: &&Place| p.host.as_ref().is_some_and(|h| h.dialled.contains(handshake));
                let gone = self.handshakes.get(handshake).copied();
                gone.unwrap_or_else(|| self.places.iter().find(dialled).is_some_and(is_liar))
            };
            assert!(liar, "peer {n} dropped an honest peer: {why}");
        }
    }

    fn state(&self) -> String {
        let mut out = format!("at {:?}, {:#?}\n", self.net.now(), self.plan);
        for (n, place) in self.places.iter().enumerate() {
            out += &format!("{n}: {}", place.host.as_ref().map_or("gone".into(), Host::state));
            for (key, link) in place.host.iter().flat_map(Host::link_states) {
                let to = self.places.iter().position(|p| p.key_pair.public() == key).unwrap_or(99);
                out += &format!("; to {to} {link}");
            }
            for core in place.host.iter().flat_map(|h| h.cores.values()).map(|s| &s.core) {
                let head = core.head();
                out += &format!("; fork {} {}/{}", head.fork, core.contiguous_length(), head.length);
            }
            out += "\n";
        }
        out
    }
}

/// FNV-1a.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
