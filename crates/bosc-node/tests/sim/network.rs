//! A few processes on a network with a DHT, for runs that are not drawn from a plan: see `world` for those.

use super::host::{Datagram, Host, SERVER_PORT, Setup};
use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_node::RelaySetup;
use bosc_node::machine::Disguise;
use bosc_node::swarm::Topic;
use bosc_store::{Core, CreateOptions, Options, Store};
use bosc_testkit::{LinkConfig, Occurrence, Rng, Simulator};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

/// Nodes of the DHT.
pub(super) const NODES: usize = 4;
/// A process takes time: nothing it waits for happens sooner.
const GRAIN: Duration = Duration::from_micros(50);

/// One process.
pub(super) struct Place {
    pub(super) ip: Ipv4Addr,
    pub(super) key: PublicKey,
    pub(super) host: Host,
    armed: Option<Duration>,
    woken: Option<Duration>,
    pub(super) wakes: u64,
    /// Whom it wrote to, from which port, when it is behind a firewall: only they get through.
    hidden: Option<HashSet<(u16, SocketAddr)>>,
    /// The store of a follower and the db whose blobs become live with its manifest.
    follows: Option<(Store, Core)>,
}

/// What a process has to do with blind relays.
#[derive(Default)]
pub(super) struct Relaying {
    /// The relay that it names.
    pub(super) through: Option<PublicKey>,
    /// The relay that it is.
    pub(super) relay: Option<RelaySetup>,
}

/// All processes and what is between them.
pub(super) struct Network {
    pub(super) net: Simulator,
    pub(super) rng: Rng,
    pub(super) places: Vec<Place>,
    /// Pairs of places between which nothing arrives, and places to and from which nothing does.
    pub(super) walls: HashSet<(usize, usize)>,
    pub(super) dead: HashSet<usize>,
    /// Whose machine sleeps.
    frozen: Option<usize>,
    out: Vec<Datagram>,
}

impl Network {
    /// A network whose links are `links`, with a DHT.
    pub(super) fn new(seed: u64, links: LinkConfig) -> Self {
        let mut rng = Rng::new(seed);
        let net = Simulator::new(rng.next_u64(), links);
        let mut world = Self {
            net,
            rng,
            places: Vec::new(),
            walls: HashSet::new(),
            dead: HashSet::new(),
            frozen: None,
            out: Vec::new(),
        };
        world.start(Vec::new(), None, false, false);
        for _ in 1..NODES {
            world.start(vec![Self::server(0)], None, false, false);
            world.run(Duration::from_millis(100));
        }
        world
    }

    /// Where the process of this number is reached.
    pub(super) fn server(n: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(80, 10 + n, 7, 1), SERVER_PORT)
    }

    /// Nodes of the DHT.
    pub(super) fn bootstrap(&self) -> Vec<SocketAddrV4> {
        vec![Self::server(0), Self::server(1)]
    }

    pub(super) fn join(&mut self, n: usize, topic: Topic, client: bool, server: bool) {
        let now = self.net.now();
        self.places[n].host.join(topic, client, server, now);
        self.work(n);
    }

    /// Starts a process, which downloads or not, and is behind a firewall or not. Returns its number.
    pub(super) fn start(
        &mut self,
        bootstrap: Vec<SocketAddrV4>,
        store: Option<&Store>,
        download: bool,
        hidden: bool,
    ) -> usize {
        self.start_as(bootstrap, store, download, hidden, None)
    }

    /// As [`Network::start`], in a disguise.
    pub(super) fn start_as(
        &mut self,
        bootstrap: Vec<SocketAddrV4>,
        store: Option<&Store>,
        download: bool,
        hidden: bool,
        disguise: Option<Arc<dyn Disguise>>,
    ) -> usize {
        self.start_with(bootstrap, store, download, hidden, disguise, Relaying::default())
    }

    /// As [`Network::start_as`], with a relay to go through, or as one.
    pub(super) fn start_with(
        &mut self,
        bootstrap: Vec<SocketAddrV4>,
        store: Option<&Store>,
        download: bool,
        hidden: bool,
        disguise: Option<Arc<dyn Disguise>>,
        relaying: Relaying,
    ) -> usize {
        let n = self.places.len();
        let ip = Ipv4Addr::new(80, 10 + n as u8, 7, 1);
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let key_pair = KeyPair::from_seed(&seed);
        let key = key_pair.public();
        let setup = Setup {
            ip,
            key_pair,
            bootstrap,
            persistent: n < NODES,
            store,
            download,
            disguise,
            relay_through: relaying.through,
            relay: relaying.relay,
            rng: self.rng.fork(),
        };
        let host = Host::new(setup, self.net.now());
        self.places.push(Place {
            ip,
            key,
            host,
            armed: None,
            woken: None,
            wakes: 0,
            hidden: hidden.then(HashSet::new),
            follows: None,
        });
        self.work(n);
        n
    }

    /// Has a process follow a drive as applications do: its db is live, and its blobs once they are known.
    pub(super) fn follow(&mut self, n: usize, store: &Store, db: Core) {
        self.places[n].host.attach(db.clone());
        self.places[n].follows = Some((store.clone(), db));
        self.work(n);
    }

    pub(super) fn work(&mut self, n: usize) {
        let now = self.net.now();
        let place = &mut self.places[n];
        // What comes at one moment is one wake-up.
        if place.woken.replace(now) != Some(now) {
            place.wakes += 1;
        }
        place.host.work(now, &mut self.out);
        if let Some((store, db)) = &place.follows
            && let Some(manifest) = db.manifest()
        {
            let blobs = manifest.blobs(db.key()).unwrap();
            place.host.attach(store.create_core(CreateOptions::new().manifest(blobs)).unwrap());
            place.follows = None;
            place.host.work(now, &mut self.out);
        }
        for d in self.out.drain(..) {
            if let Some(hidden) = &mut place.hidden {
                hidden.insert((d.from.port(), d.to));
            }
            self.net.send(d.from, d.to, d.bytes);
        }
        let Some(next) = place.host.next_timeout() else { return };
        let next = next.max(now + GRAIN);
        if place.armed.is_none_or(|at| next < at || at < now) {
            place.armed = Some(next);
            self.net.wake(next, n as u64);
        }
    }

    fn address(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(80, 10 + n, 7, 1)
    }

    /// A process gets the address of this number, and a firewall that knows nobody.
    pub(super) fn move_to(&mut self, n: usize, to: u8) {
        let (now, ip) = (self.net.now(), Self::address(to));
        self.places[n].ip = ip;
        self.places[n].hidden.iter_mut().for_each(HashSet::clear);
        self.places[n].host.readdress(ip, now);
        self.work(n);
    }

    /// The machine of a process sleeps: nothing reaches it, and none of its timers runs.
    pub(super) fn freeze(&mut self, n: usize, time: Duration) {
        self.dead.insert(n);
        self.frozen = Some(n);
        self.run(time);
        self.frozen = None;
        self.dead.remove(&n);
    }

    /// It notices by its clocks.
    pub(super) fn slept(&mut self, n: usize) {
        let now = self.net.now();
        self.places[n].host.slept(now);
        self.work(n);
    }

    pub(super) fn suspend(&mut self, n: usize) {
        let now = self.net.now();
        self.places[n].host.suspend(now);
        self.work(n);
    }

    pub(super) fn resume(&mut self, n: usize, to: u8) {
        let (now, ip) = (self.net.now(), Self::address(to));
        self.places[n].ip = ip;
        self.places[n].hidden.iter_mut().for_each(HashSet::clear);
        self.places[n].host.resume(ip, now);
        self.work(n);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.net.now() + time;
        self.places.iter_mut().for_each(|p| p.wakes = 0);
        while let Some(what) = self.net.next_until(until) {
            match what {
                Occurrence::Datagram(d) => {
                    let Some(n) = self.places.iter().position(|p| d.to.ip() == p.ip) else { continue };
                    let from = self.places.iter().position(|p| d.from.ip() == p.ip).unwrap_or(n);
                    let walled = self.walls.contains(&(from, n)) || self.walls.contains(&(n, from));
                    if walled || self.dead.contains(&n) || self.dead.contains(&from) {
                        continue;
                    }
                    if self.places[n].hidden.as_ref().is_some_and(|h| !h.contains(&(d.to.port(), d.from))) {
                        continue;
                    }
                    if self.places[n].host.is_suspended() {
                        continue;
                    }
                    let now = self.net.now();
                    self.places[n].host.receive(d.to.port(), d.from, &d.payload, now);
                    self.work(n);
                }
                Occurrence::Wake { token } => {
                    let n = token as usize;
                    let now = self.net.now();
                    if self.frozen == Some(n) {
                        continue;
                    }
                    // An alarm that was put off is no wake-up: a real thread sleeps until the last word.
                    if self.places[n].armed == Some(now) {
                        self.places[n].armed = None;
                        if self.places[n].host.next_timeout().is_some_and(|t| t <= now) {
                            self.work(n);
                        } else {
                            let next = self.places[n].host.next_timeout();
                            self.places[n].armed = next;
                            next.into_iter().for_each(|t| self.net.wake(t, token));
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn memory() -> Store {
    let mut options = Options::default();
    options.background = false;
    options.database_cache_bytes = 256 << 10;
    Store::memory(options).unwrap()
}
