//! How often processes that have nothing to do wake up, in virtual time. All but the seeder are behind firewalls, as most are: one that
//! can be reached becomes a node of the DHT after twenty minutes and answers others, which is work.

use super::host::{Datagram, Host, SERVER_PORT, Setup};
use bosc_format::crypto::KeyPair;
use bosc_store::{CreateOptions, Options, Store};
use bosc_testkit::{LinkConfig, Occurrence, Rng, Simulator};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const NODES: usize = 4;
/// A process takes time: nothing it waits for happens sooner.
const GRAIN: Duration = Duration::from_micros(50);

/// Wake-ups in an hour at rest.
#[derive(Debug, Default)]
pub struct AtRest {
    /// Of a client whose topic has nobody.
    pub alone: u64,
    /// Of one that can be found as well.
    pub announced: u64,
    /// Of one that holds the core of one connected peer.
    pub follower: u64,
    /// Of that peer.
    pub seeder: u64,
    /// Of a client that could be found, without any network.
    pub cut_off: u64,
}

struct Place {
    ip: Ipv4Addr,
    host: Host,
    armed: Option<Duration>,
    woken: Option<Duration>,
    wakes: u64,
    /// Whom it wrote to, from which port, when it is behind a firewall: only they get through.
    hidden: Option<HashSet<(u16, SocketAddr)>>,
}

struct Network {
    net: Simulator,
    rng: Rng,
    places: Vec<Place>,
    out: Vec<Datagram>,
}

impl Network {
    fn start(
        &mut self,
        bootstrap: Vec<SocketAddrV4>,
        store: Option<&Store>,
        download: bool,
        hidden: bool,
    ) -> usize {
        let n = self.places.len();
        let ip = Ipv4Addr::new(80, 10 + n as u8, 7, 1);
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let setup = Setup {
            ip,
            key_pair: KeyPair::from_seed(&seed),
            bootstrap,
            persistent: n < NODES,
            store,
            download,
            lies: None,
            rng: self.rng.fork(),
        };
        let host = Host::new(setup, self.net.now());
        self.places.push(Place {
            ip,
            host,
            armed: None,
            woken: None,
            wakes: 0,
            hidden: hidden.then(HashSet::new),
        });
        self.work(n);
        n
    }

    fn work(&mut self, n: usize) {
        let now = self.net.now();
        let place = &mut self.places[n];
        // What comes at one moment is one wake-up.
        if place.woken.replace(now) != Some(now) {
            place.wakes += 1;
        }
        place.host.work(now, &mut self.out);
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

    fn run(&mut self, time: Duration) {
        let until = self.net.now() + time;
        self.places.iter_mut().for_each(|p| p.wakes = 0);
        while let Some(what) = self.net.next_until(until) {
            match what {
                Occurrence::Datagram(d) => {
                    let Some(n) = self.places.iter().position(|p| d.to.ip() == p.ip) else { continue };
                    if self.places[n].hidden.as_ref().is_some_and(|h| !h.contains(&(d.to.port(), d.from))) {
                        continue;
                    }
                    let now = self.net.now();
                    self.places[n].host.receive(d.to.port(), d.from, &d.payload, now);
                    self.work(n);
                }
                Occurrence::Wake { token } => {
                    let n = token as usize;
                    let now = self.net.now();
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

fn memory() -> Store {
    let mut options = Options::default();
    options.background = false;
    options.database_cache_bytes = 256 << 10;
    Store::memory(options).unwrap()
}

/// Lets one process of each kind rest.
pub fn rest(seed: u64) -> AtRest {
    let mut rng = Rng::new(seed);
    let delay = Duration::from_millis(1);
    let net = Simulator::new(rng.next_u64(), LinkConfig { delay, ..LinkConfig::default() });
    let mut world = Network { net, rng, places: Vec::new(), out: Vec::new() };
    let at = |n: u8| SocketAddrV4::new(Ipv4Addr::new(80, 10 + n, 7, 1), SERVER_PORT);
    world.start(Vec::new(), None, false, false);
    for _ in 1..NODES {
        world.start(vec![at(0)], None, false, false);
        world.run(Duration::from_millis(100));
    }
    let known = vec![at(0), at(1)];
    let join = |world: &mut Network, n: usize, topic, server| {
        let now = world.net.now();
        world.places[n].host.join(topic, true, server, now);
        world.work(n);
    };
    let alone = world.start(known.clone(), None, false, true);
    join(&mut world, alone, [1; 32], false);
    let announced = world.start(known.clone(), None, false, true);
    join(&mut world, announced, [2; 32], true);

    let (store, other) = (memory(), memory());
    let core = store.create_core(CreateOptions::new()).unwrap();
    core.append(&["block".into()]).unwrap();
    let topic = *core.discovery_key();
    let seeder = world.start(known.clone(), Some(&store), false, false);
    world.places[seeder].host.attach(core.clone());
    join(&mut world, seeder, topic, true);
    world.run(Duration::from_secs(5));
    let follower = world.start(known, Some(&other), true, true);
    let copy = other.open_core(core.key()).unwrap();
    world.places[follower].host.attach(copy.clone());
    join(&mut world, follower, topic, false);
    // Nobody has this address.
    let cut_off = world.start(vec![at(200)], None, false, true);
    join(&mut world, cut_off, [3; 32], true);

    world.run(Duration::from_secs(1200));
    assert!(copy.contiguous_length() == 1, "the follower has nothing");
    for n in [alone, announced, seeder, follower, cut_off] {
        assert_eq!(world.places[n].host.live_timeout(), None, "the live machine of {n} waits for something");
    }
    world.run(Duration::from_secs(3600));
    let wakes = |n: usize| world.places[n].wakes;
    AtRest {
        alone: wakes(alone),
        announced: wakes(announced),
        follower: wakes(follower),
        seeder: wakes(seeder),
        cut_off: wakes(cut_off),
    }
}
