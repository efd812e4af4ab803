//! Peers who reach each other through a blind relay only: what they fetch, what becomes of the relay when a direct way opens, when the
//! relay dies, stalls or refuses, and what a relay lets clients do.

use super::network::{Network, Relaying, memory};
use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_node::{RelayBounds, RelayFor, RelaySetup};
use bosc_store::{Core, CreateOptions, Store};
use bosc_testkit::LinkConfig;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const BLOCKS: u64 = 400;
const BLOCK: usize = 4096;

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn setup(n: u8) -> RelaySetup {
    RelaySetup { key_pair: key(n), allow: RelayFor::Anyone, offer: false, bounds: RelayBounds::default() }
}

/// A seeder, a fetcher, both behind firewalls with a wall between them, and a relay.
struct Apart {
    net: Network,
    relay: usize,
    seeder: usize,
    fetcher: usize,
    core: Core,
    copy: Core,
    _stores: [Store; 3],
}

impl Apart {
    /// `named`: who names the relay.
    fn new(seed: u64, relay: RelaySetup, named: [bool; 2]) -> Self {
        Self::with(seed, relay, named, false)
    }

    /// `shares`: the relay is a peer that has the core, and holds nothing of it.
    fn with(seed: u64, relay: RelaySetup, named: [bool; 2], shares: bool) -> Self {
        let key = relay.key_pair.public();
        let mut net = Network::new(seed, LinkConfig::delay(Duration::from_millis(10)));
        let known = net.bootstrap();
        let relaying = Relaying { relay: Some(relay), through: None };
        let third = memory();
        let relay = net.start_with(known.clone(), Some(&third), false, false, None, relaying);
        net.run(SECOND * 5);
        assert!(net.places[relay].host.relay().listening);
        let (store, other) = (memory(), memory());
        let core = store.create_core(CreateOptions::new()).unwrap();
        let blocks: Vec<bytes::Bytes> = (0..BLOCKS).map(|n| vec![n as u8; BLOCK].into()).collect();
        core.append(&blocks).unwrap();
        let copy = other.open_core(core.key()).unwrap();
        if shares {
            net.places[relay].host.attach(third.open_core(core.key()).unwrap());
            net.join(relay, *core.discovery_key(), true, true);
            net.run(SECOND * 2);
        }
        let through = |named: bool| Relaying { through: named.then_some(key), relay: None };
        let seeder = net.start_with(known.clone(), Some(&store), false, true, None, through(named[0]));
        let fetcher = net.start_with(known, Some(&other), true, true, None, through(named[1]));
        net.walls.insert((seeder, fetcher));
        net.places[seeder].host.attach(core.clone());
        net.places[fetcher].host.attach(copy.clone());
        net.join(seeder, *core.discovery_key(), false, true);
        net.run(SECOND * 4);
        net.join(fetcher, *core.discovery_key(), true, false);
        Self { net, relay, seeder, fetcher, core, copy, _stores: [store, other, third] }
    }

    /// Runs until `done`, or `most` is over. Gives the time it took.
    fn until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.net.net.now();
        while !done(self) {
            if self.net.net.now() >= start + most {
                return None;
            }
            self.net.run(Duration::from_millis(20));
        }
        Some(self.net.net.now() - start)
    }

    fn whole(&self) -> bool {
        self.copy.contiguous_length() == BLOCKS
    }

    fn begun(&self) -> bool {
        self.copy.contiguous_length() > 10
    }

    /// Open connections, those through a relay, sessions with relays.
    fn of_fetcher(&self) -> (usize, usize, usize) {
        self.net.places[self.fetcher].host.relayed()
    }

    fn of_seeder(&self) -> (usize, usize, usize) {
        self.net.places[self.seeder].host.relayed()
    }

    fn check(&self) {
        assert!(self.whole());
        for n in [0, BLOCKS / 2, BLOCKS - 1] {
            assert_eq!(self.copy.block(n).unwrap(), self.core.block(n).unwrap());
        }
    }
}

#[test]
fn a_relay_carries_what_no_direct_way_does() {
    for (seed, named) in [(1, [true, false]), (2, [false, true]), (3, [true, true])] {
        let mut w = Apart::new(seed, setup(9), named);
        assert!(
            w.until(SECOND * 60, Apart::whole).is_some(),
            "{named:?}: {}",
            w.net.places[w.fetcher].host.state()
        );
        w.check();
        assert_eq!(w.of_fetcher(), (1, 1, 1), "{named:?}");
        let status = w.net.places[w.relay].host.relay();
        assert_eq!((status.clients, status.pairs, status.waiting), (2, 1, 0), "{named:?}");
        assert!(status.bytes > BLOCKS * BLOCK as u64);
        // The way that is left stays, for as long as it is used.
        w.net.run(SECOND * 300);
        assert_eq!(w.of_fetcher(), (1, 1, 1), "{named:?}");
    }
}

#[test]
fn without_a_relay_the_wall_holds() {
    let mut w = Apart::new(4, setup(9), [false, false]);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None);
    assert_eq!(w.net.places[w.relay].host.relay().clients, 0);
}

#[test]
fn a_connection_moves_to_the_direct_way_and_lets_the_relay_go() {
    let mut w = Apart::new(5, setup(9), [false, true]);
    assert!(w.until(SECOND * 30, Apart::begun).is_some());
    assert_eq!(w.of_fetcher().1, 1, "through the relay first");
    let opened = w.net.places[w.fetcher].host.opened;
    w.net.walls.clear();
    let moved = |w: &Apart| w.of_fetcher().1 == 0 && w.of_seeder().1 == 0;
    assert!(w.until(SECOND * 20, moved).is_some(), "{:?}", w.of_fetcher());
    assert_eq!((w.of_fetcher().0, w.of_seeder().0), (1, 1));
    assert_eq!(w.net.places[w.fetcher].host.opened, opened, "it is the same connection");
    assert!(w.until(SECOND * 30, Apart::whole).is_some());
    w.check();
    w.net.run(SECOND * 15);
    assert_eq!((w.of_fetcher().2, w.of_seeder().2), (0, 0), "the sessions with the relay");
    let status = w.net.places[w.relay].host.relay();
    assert_eq!((status.clients, status.pairs), (0, 0));
    // And goes on without it.
    w.net.dead.insert(w.relay);
    w.core.append(&[vec![1; BLOCK].into()]).unwrap();
    let now = w.net.net.now();
    w.net.places[w.seeder].host.local_changed(
        w.core.key(),
        bosc_wire::replication::LocalChange::Appended,
        now,
    );
    w.net.work(w.seeder);
    assert!(w.until(SECOND * 20, |w| w.copy.contiguous_length() == BLOCKS + 1).is_some());
    assert_eq!(w.net.places[w.fetcher].host.opened, opened);
}

#[test]
fn a_relay_that_dies_is_dialled_again() {
    let mut w = Apart::new(6, setup(9), [false, true]);
    assert!(w.until(SECOND * 30, Apart::begun).is_some());
    w.net.dead.insert(w.relay);
    assert!(w.until(SECOND * 60, |w| w.of_fetcher().0 == 0).is_some(), "its connections end with it");
    assert!(w.until(SECOND * 10, |w| w.of_fetcher().2 == 0).is_some(), "and the session");
    assert!(!w.whole());
    w.net.dead.clear();
    assert!(w.until(SECOND * 900, Apart::whole).is_some(), "{}", w.net.places[w.fetcher].host.state());
    w.check();
}

#[test]
fn a_relay_that_dies_is_not_missed_where_a_direct_way_opens() {
    let mut w = Apart::new(7, setup(9), [true, true]);
    assert!(w.until(SECOND * 30, Apart::begun).is_some());
    w.net.dead.insert(w.relay);
    w.net.walls.clear();
    assert!(w.until(SECOND * 900, Apart::whole).is_some());
    w.check();
    assert_eq!(w.of_fetcher().1, 0);
}

#[test]
fn who_is_not_allowed_gets_nothing_of_a_relay() {
    let mut closed = setup(9);
    closed.allow = RelayFor::Keys([key(200).public()].into_iter().collect());
    let mut w = Apart::new(8, closed, [false, true]);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None);
    let status = w.net.places[w.relay].host.relay();
    assert_eq!((status.clients, status.pairs, status.bytes), (0, 0, 0));
}

#[test]
fn a_relay_that_takes_no_pair_is_told_apart_at_once() {
    let mut full = setup(9);
    full.bounds.pairs.pairs = 0;
    let mut w = Apart::new(9, full, [false, true]);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None);
    let status = w.net.places[w.relay].host.relay();
    assert!(status.refused >= 1 && status.pairs == 0, "{status:?}");
    assert_eq!(w.of_fetcher().0, 0);
    // It stood in nobody's way.
    w.net.walls.clear();
    assert!(w.until(SECOND * 900, Apart::whole).is_some());
}

#[test]
fn a_spent_pair_ends_and_another_one_goes_on() {
    let mut small = setup(9);
    small.bounds.traffic.bytes = BLOCKS * BLOCK as u64 / 3;
    let mut w = Apart::new(10, small, [false, true]);
    assert!(w.until(SECOND * 900, Apart::whole).is_some(), "{}", w.net.places[w.fetcher].host.state());
    w.check();
    assert!(w.net.places[w.relay].host.relay().paired >= 3);
}

#[test]
fn a_pair_keeps_to_its_rate() {
    let mut slow = setup(9);
    slow.bounds.traffic.rate = 100 << 10;
    let mut w = Apart::new(11, slow, [false, true]);
    assert!(w.until(SECOND * 30, Apart::begun).is_some());
    let took = w.until(SECOND * 120, Apart::whole).expect("slow, but whole");
    assert!(took > SECOND * 12, "1.6 MB at 100 KiB a second: {took:?}");
}

#[test]
fn one_host_takes_its_share_of_a_relay_and_idle_sessions_make_room() {
    let mut small = setup(9);
    small.bounds.clients = 2;
    let relay: PublicKey = small.key_pair.public();
    let mut w = Apart::new(12, small, [false, true]);
    assert!(w.until(SECOND * 60, Apart::whole).is_some());
    let before = w.net.places[w.relay].host.relay();
    assert_eq!((before.clients, before.pairs), (2, 1));
    // A third one asks: both that are there hold a pair, and stay.
    let known = w.net.bootstrap();
    let store = memory();
    let relaying = Relaying { through: Some(relay), relay: None };
    let third = w.net.start_with(known, Some(&store), true, true, None, relaying);
    w.net.walls.insert((w.seeder, third));
    w.net.walls.insert((w.fetcher, third));
    let copy = store.open_core(w.core.key()).unwrap();
    w.net.places[third].host.attach(copy);
    w.net.join(third, *w.core.discovery_key(), true, false);
    w.net.run(SECOND * 30);
    let after = w.net.places[w.relay].host.relay();
    assert_eq!((after.clients, after.pairs), (2, 1));
    assert!(after.refused > before.refused);
    assert_eq!(w.of_fetcher(), (1, 1, 1));
}

#[test]
fn a_peer_that_offers_itself_as_a_relay_carries_what_no_direct_way_does() {
    let offers = |allow| RelaySetup { allow, offer: true, ..setup(9) };
    let mut w = Apart::with(30, offers(RelayFor::Peers), [false, false], true);
    assert!(w.until(SECOND * 120, Apart::whole).is_some(), "{}", w.net.places[w.fetcher].host.state());
    w.check();
    assert_eq!(w.of_fetcher().1, 1);
    assert!(w.net.places[w.relay].host.relay().bytes > BLOCKS * BLOCK as u64);
    // An offer is gone with the peer that made it.
    w.net.dead.insert(w.relay);
    assert!(w.until(SECOND * 120, |w| w.of_fetcher() == (0, 0, 0)).is_some(), "{:?}", w.of_fetcher());

    let nobody = offers(RelayFor::Keys([key(200).public()].into_iter().collect()));
    let mut w = Apart::with(31, nobody, [false, false], true);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None, "it is told of and refuses");
    let silent = RelaySetup { allow: RelayFor::Anyone, ..setup(9) };
    let mut w = Apart::with(32, silent, [false, false], true);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None, "nobody is told of it");
}

#[test]
fn a_relay_for_peers_refuses_those_who_share_nothing_with_it() {
    let peers = RelaySetup { allow: RelayFor::Peers, ..setup(9) };
    let mut w = Apart::with(33, peers, [true, true], false);
    assert_eq!(w.until(SECOND * 60, Apart::begun), None);
    assert_eq!(w.net.places[w.relay].host.relay().clients, 0);
}
