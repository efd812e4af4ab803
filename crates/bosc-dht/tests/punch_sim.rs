//! Holepunching in a network in virtual time: each kind of NAT against each, with loss, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bosc_dht::SocketKind;
use bosc_dht::connect::{ConnectConfig, ConnectError, ConnectOptions, ServerOptions, StreamPacket};
use common::Nat;
use common::world::{World, key};
use std::time::Duration;

const SERVER: usize = 6;
const CLIENT: usize = 7;

/// A listening peer and one that connects, behind NATs.
fn apart(seed: u64, client: Nat, server: Nat) -> World {
    let config = ConnectConfig::default();
    let mut w = World::new(seed, config.clone());
    assert_eq!(w.add_behind(server, &config), SERVER);
    assert_eq!(w.add_behind(client, &config), CLIENT);
    w.listen(SERVER, &key(1), ServerOptions::default());
    w
}

/// Runs until the connecting side has a connection or failed. Gives the time it took.
fn connect(w: &mut World) -> Result<Duration, ConnectError> {
    let began = w.net.now;
    w.connect(CLIENT, &ConnectOptions::new(&key(2)), &key(1));
    while w.net.now < began + Duration::from_secs(60) {
        w.run(Duration::from_millis(10));
        if let Some((_, error)) = w.failed[CLIENT].last() {
            return Err(*error);
        }
        if !w.made[CLIENT].is_empty() {
            return Ok(w.net.now - began);
        }
    }
    panic!("neither connected nor failed");
}

/// The connecting side's first stream packet makes the connection at the other one.
fn first_packet(w: &mut World) {
    let (_, c) = w.made[CLIENT].last().unwrap();
    assert!(matches!(c.socket, SocketKind::Pool(_)), "{c:?}");
    let (id, socket, to) = (c.remote_id, c.socket, c.remote_address);
    let (theirs, from) = w.net.path(CLIENT, socket, to).expect("a way through both NATs");
    let taken = w.with(SERVER, |c, dht, now| c.handle_stream_packet(dht, id, theirs, from, b"packet", now));
    assert_eq!(taken, StreamPacket::Taken);
    let (_, c) = w.made[SERVER].last().unwrap();
    assert_eq!((c.socket, c.remote_address), (theirs, from));
}

#[test]
fn peers_behind_cone_nats_meet_in_a_second() {
    for seed in 0..20 {
        let mut w = apart(seed, Nat::Cone, Nat::Cone);
        let took = connect(&mut w).unwrap();
        assert!(took < Duration::from_secs(3), "seed {seed}: {took:?}");
        first_packet(&mut w);
        w.forgotten();
    }
}

#[test]
fn a_peer_behind_a_symmetric_nat_is_met_from_a_cone() {
    for (client, server) in [(Nat::Cone, Nat::Symmetric), (Nat::Symmetric, Nat::Cone)] {
        let mut met = 0;
        for seed in 0..6 {
            let mut w = apart(seed, client, server);
            match connect(&mut w) {
                Ok(_) => {
                    met += 1;
                    first_packet(&mut w);
                }
                Err(error) => assert_eq!(error, ConnectError::HolepunchFailed),
            }
            w.run(Duration::from_secs(40));
            w.forgotten();
        }
        // Of 256 sockets and 1750 random ports one pair meets nearly always: 1 - (1 - 256/64535)^1750 = 0.999.
        assert!(met >= 5, "{client:?} to {server:?}: {met} of 6");
    }
}

#[test]
fn two_symmetric_nats_are_given_up_soon() {
    let mut w = apart(1, Nat::Symmetric, Nat::Symmetric);
    let began = w.net.now;
    assert_eq!(connect(&mut w), Err(ConnectError::BothNatsRandom));
    assert!(w.net.now - began < Duration::from_secs(20), "{:?}", w.net.now - began);
    w.forgotten();
}

#[test]
fn open_peers_do_not_punch() {
    for (client, server) in [(Nat::Cone, Nat::Open), (Nat::Open, Nat::Cone), (Nat::Symmetric, Nat::Open)] {
        let mut w = apart(1, client, server);
        w.connect(CLIENT, &ConnectOptions::new(&key(2)), &key(1));
        w.run(Duration::from_secs(5));
        assert_eq!(w.made[CLIENT].len() + w.made[SERVER].len(), 1, "{client:?} {server:?}");
        assert!(w.connectors.iter().all(|c| c.stats().punches == 0));
    }
}

#[test]
fn a_fifth_of_the_datagrams_may_get_lost() {
    let mut met = 0;
    for seed in 0..20 {
        let mut w = apart(seed, Nat::Cone, Nat::Cone);
        w.net.loss = 200;
        met += usize::from(connect(&mut w).is_ok());
        w.net.loss = 0;
        w.run(Duration::from_secs(40));
        w.forgotten();
    }
    assert!(met >= 16, "{met} of 20");
}

#[test]
fn one_with_random_ports_at_a_time() {
    let config = ConnectConfig::default();
    let mut w = apart(3, Nat::Cone, Nat::Symmetric);
    let other = w.add_behind(Nat::Symmetric, &config);
    w.listen(other, &key(5), ServerOptions::default());
    w.connect(CLIENT, &ConnectOptions::new(&key(2)), &key(1));
    w.run(Duration::from_secs(4));
    let second = w.connect(CLIENT, &ConnectOptions::new(&key(2)), &key(5));
    w.run(Duration::from_secs(10));
    assert!(w.failed[CLIENT].contains(&(second, ConnectError::Busy)), "{:?}", w.failed[CLIENT]);
}

#[test]
fn floods_of_handshakes_open_few_sockets() {
    let config = ConnectConfig { max_punchers: 4, ..ConnectConfig::default() };
    let mut w = World::new(9, config.clone());
    assert_eq!(w.add_behind(Nat::Cone, &config), SERVER);
    w.listen(SERVER, &key(1), ServerOptions::default());
    let others: Vec<usize> = (0..3).map(|_| w.add_behind(Nat::Cone, &config)).collect();
    for (i, n) in others.iter().enumerate() {
        for k in 0..4u8 {
            w.connect(*n, &ConnectOptions::new(&key(100 + 10 * i as u8 + k)), &key(1));
        }
    }
    for _ in 0..400 {
        w.run(Duration::from_millis(5));
        assert!(w.net.hosts[SERVER].pool.len() <= 4, "{:?}", w.net.hosts[SERVER].pool);
    }
    w.run(Duration::from_secs(60));
    w.forgotten();
}

#[test]
fn handshakes_that_lead_nowhere_do_not_keep_out_who_comes_later() {
    let config = ConnectConfig { max_punchers: 4, ..ConnectConfig::default() };
    let mut w = World::new(9, config.clone());
    assert_eq!(w.add_behind(Nat::Cone, &config), SERVER);
    assert_eq!(w.add_behind(Nat::Cone, &config), CLIENT);
    w.listen(SERVER, &key(1), ServerOptions::default());
    for n in 0..12 {
        let id = w.connect(CLIENT, &ConnectOptions::new(&key(100 + n)), &key(1));
        // Their handshake arrives, and nothing after it.
        w.run(Duration::from_millis(300));
        w.with(CLIENT, |c, dht, now| c.cancel(dht, id, now));
    }
    assert!(w.connectors[SERVER].stats().punches < 12);
    assert!(connect(&mut w).unwrap() < Duration::from_secs(3));
    first_packet(&mut w);
    w.forgotten();
}
