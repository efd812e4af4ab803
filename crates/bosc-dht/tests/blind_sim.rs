//! Blind relays beside the direct way, in a network in virtual time: when a relay is asked, what becomes of its answer, of its silence
//! and of a direct way that is found, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bosc_dht::SocketKind;
use bosc_dht::connect::{ConnectConfig, ConnectError, ConnectEvent, ConnectOptions, ServerOptions};
use bosc_format::crypto::PublicKey;
use common::Nat;
use common::world::{World, key};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const SERVER: usize = 6;
const CLIENT: usize = 7;
const SECOND: Duration = Duration::from_secs(1);
const RELAY_AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 9), 9000);

/// A pairing that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    at: Duration,
    local_id: u32,
    relay: PublicKey,
    token: [u8; 32],
    is_initiator: bool,
}

fn relay() -> PublicKey {
    key(77).public()
}

fn named() -> ConnectOptions {
    ConnectOptions { relay_through: Some(relay()), ..ConnectOptions::new(&key(2)) }
}

/// A listening peer and one that connects, behind NATs.
fn apart(client: Nat, server: Nat, options: ServerOptions, config: &ConnectConfig) -> World {
    let mut w = World::new(1, config.clone());
    assert_eq!(w.add_behind(server, config), SERVER);
    assert_eq!(w.add_behind(client, config), CLIENT);
    w.listen(SERVER, &key(1), options);
    w
}

fn symmetric(options: ServerOptions) -> World {
    apart(Nat::Symmetric, Nat::Symmetric, options, &ConnectConfig::default())
}

fn asked(w: &World, n: usize) -> Vec<Asked> {
    let of = |(at, event): &(Duration, ConnectEvent)| match event {
        ConnectEvent::Relay { local_id, relay, token, is_initiator } => Some(Asked {
            at: *at,
            local_id: *local_id,
            relay: *relay,
            token: *token,
            is_initiator: *is_initiator,
        }),
        _ => None,
    };
    w.blind[n].iter().filter_map(of).collect()
}

fn unused(w: &World, n: usize) -> Vec<u32> {
    let of = |(_, event): &(Duration, ConnectEvent)| match event {
        ConnectEvent::RelayUnused { local_id } => Some(*local_id),
        _ => None,
    };
    w.blind[n].iter().filter_map(of).collect()
}

fn answer(w: &mut World, n: usize, asked: Asked, remote_id: u32) -> bool {
    w.with(n, |c, dht, now| c.relayed(dht, asked.local_id, remote_id, SocketKind::Client, RELAY_AT, now))
}

#[test]
fn two_symmetric_nats_ask_one_relay_for_two_halves() {
    let mut w = symmetric(ServerOptions::default());
    let id = w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 15);
    let (ours, theirs) = (asked(&w, CLIENT), asked(&w, SERVER));
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    let (ours, theirs) = (ours[0], theirs[0]);
    assert_eq!((ours.relay, theirs.relay, ours.token), (relay(), relay(), theirs.token));
    assert!(ours.is_initiator && !theirs.is_initiator, "whose relay it is begins");
    // That there is no direct way is no failure while a relay is asked.
    assert!(w.failed[CLIENT].is_empty() && w.made[CLIENT].is_empty());
    assert!(answer(&mut w, CLIENT, ours, 500) && answer(&mut w, SERVER, theirs, 600));
    assert!(!answer(&mut w, CLIENT, ours, 500), "the second answer changes nothing");
    let (client, server) = (w.made[CLIENT].pop().unwrap(), w.made[SERVER].pop().unwrap());
    assert_eq!(client.0, Some(id));
    let (client, server) = (client.1, server.1);
    assert_eq!((client.relay, server.relay), (Some(relay()), Some(relay())));
    assert_eq!((client.remote_id, server.remote_id), (500, 600));
    assert_eq!((client.peer_id, server.peer_id), (server.local_id, client.local_id));
    assert_eq!((client.remote_address, server.remote_address), (RELAY_AT, RELAY_AT));
    // The keys are the peers' own: the relay had no part in them.
    assert_eq!((client.handshake.tx, client.handshake.rx), (server.handshake.rx, server.handshake.tx));
    w.run(SECOND * 60);
    w.forgotten();
}

#[test]
fn the_relay_of_the_listening_side_counts_first() {
    let other = key(78).public();
    let mut w = symmetric(ServerOptions { relay_through: Some(other), ..ServerOptions::default() });
    w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 15);
    let (ours, theirs) = (asked(&w, CLIENT)[0], asked(&w, SERVER)[0]);
    assert_eq!((ours.relay, theirs.relay, ours.token), (other, other, theirs.token));
    assert!(!ours.is_initiator && theirs.is_initiator);
    // Who connects needs none of its own.
    w.connect(CLIENT, &ConnectOptions::new(&key(3)), &key(1));
    w.run(SECOND * 15);
    assert_eq!(asked(&w, CLIENT).len(), 2);
}

#[test]
fn a_relay_is_not_asked_where_the_direct_way_is_found_in_time() {
    let after = ConnectConfig::default().relay_after;
    for (client, server) in [(Nat::Cone, Nat::Cone), (Nat::Cone, Nat::Open), (Nat::Symmetric, Nat::Open)] {
        let mut w = apart(client, server, ServerOptions::default(), &ConnectConfig::default());
        let began = w.net.now;
        w.connect(CLIENT, &named(), &key(1));
        while w.made[CLIENT].is_empty() {
            w.run(Duration::from_millis(5));
            assert!(w.net.now < began + SECOND * 3, "{client:?} {server:?}");
        }
        assert!(w.made[CLIENT][0].1.relay.is_none());
        let early = |n: usize| asked(&w, n).iter().any(|a| a.at < began + after);
        assert!(!early(CLIENT) && !early(SERVER), "{client:?} {server:?}");
        if w.net.now < began + after {
            w.run(SECOND * 20);
            assert!(asked(&w, CLIENT).is_empty(), "{client:?} {server:?}");
        }
    }
    // Who is open is connected to.
    let mut w = apart(Nat::Open, Nat::Symmetric, ServerOptions::default(), &ConnectConfig::default());
    w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 20);
    assert!(asked(&w, CLIENT).is_empty() && asked(&w, SERVER).is_empty());
    assert_eq!(w.made[SERVER].len(), 1);
}

#[test]
fn a_way_that_is_found_later_moves_the_connection() {
    // The relay is asked at once, so that it is faster than the punch.
    let config = ConnectConfig { relay_after: Duration::ZERO, ..ConnectConfig::default() };
    let mut w = apart(Nat::Cone, Nat::Cone, ServerOptions::default(), &config);
    w.connect(CLIENT, &named(), &key(1));
    while asked(&w, CLIENT).is_empty() || asked(&w, SERVER).is_empty() {
        w.run(Duration::from_millis(5));
    }
    let (ours, theirs) = (asked(&w, CLIENT)[0], asked(&w, SERVER)[0]);
    assert!(answer(&mut w, CLIENT, ours, 500) && answer(&mut w, SERVER, theirs, 600));
    let peer_id = w.made[CLIENT][0].1.peer_id;
    w.run(SECOND * 15);
    let direct: Vec<_> = w.blind[CLIENT]
        .iter()
        .filter_map(|(_, event)| match event {
            ConnectEvent::Direct { local_id, remote_id, socket, .. } => {
                Some((*local_id, *remote_id, *socket))
            }
            _ => None,
        })
        .collect();
    assert_eq!(direct.len(), 1);
    assert_eq!((direct[0].0, direct[0].1), (ours.local_id, peer_id));
    assert!(matches!(direct[0].2, SocketKind::Pool(_)), "the socket that the way was found with");
    assert_eq!((w.made[CLIENT].len(), w.failed[CLIENT].len()), (1, 0), "one connection, moved");
    // The listening side sees it by the stream's packets, and says so.
    w.with(SERVER, |c, dht, now| c.settled(dht, theirs.local_id, None, now));
    w.run(SECOND * 60);
    w.forgotten();
}

#[test]
fn a_relay_that_fails_leaves_the_error_of_the_direct_way() {
    let mut w = symmetric(ServerOptions::default());
    let id = w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 15);
    let (ours, theirs) = (asked(&w, CLIENT)[0], asked(&w, SERVER)[0]);
    w.with(CLIENT, |c, dht, now| c.relay_failed(dht, ours.local_id, now));
    w.with(SERVER, |c, dht, now| c.relay_failed(dht, theirs.local_id, now));
    assert_eq!(w.failed[CLIENT].len(), 1);
    let (failed, error) = w.failed[CLIENT][0];
    assert_eq!(failed, id);
    assert!(matches!(error, ConnectError::BothNatsRandom | ConnectError::HolepunchFailed), "{error:?}");
    assert!(!answer(&mut w, CLIENT, ours, 500), "an answer after the end changes nothing");
    w.run(SECOND * 60);
    w.forgotten();
}

#[test]
fn a_relay_that_never_answers_is_given_up() {
    let mut w = symmetric(ServerOptions::default());
    w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 60);
    let (ours, theirs) = (asked(&w, CLIENT)[0], asked(&w, SERVER)[0]);
    assert_eq!(w.failed[CLIENT].len(), 1);
    assert_eq!((unused(&w, CLIENT), unused(&w, SERVER)), (vec![ours.local_id], vec![theirs.local_id]));
    w.forgotten();
}

#[test]
fn who_gives_up_lets_the_relay_go() {
    let mut w = symmetric(ServerOptions::default());
    let id = w.connect(CLIENT, &named(), &key(1));
    w.run(SECOND * 12);
    let ours = asked(&w, CLIENT)[0];
    w.with(CLIENT, |c, dht, now| c.cancel(dht, id, now));
    assert_eq!(unused(&w, CLIENT), [ours.local_id]);
    assert!(w.failed[CLIENT].is_empty());
    w.run(SECOND * 60);
    w.forgotten();
}

#[test]
fn few_relays_of_others_choice_are_asked_at_once() {
    let config = ConnectConfig { max_relayed: 3, ..ConnectConfig::default() };
    let mut w = apart(Nat::Symmetric, Nat::Symmetric, ServerOptions::default(), &config);
    for n in 0..8 {
        let options = ConnectOptions {
            relay_through: Some(key(100 + n).public()),
            ..ConnectOptions::new(&key(50 + n))
        };
        w.connect(CLIENT, &options, &key(1));
    }
    w.run(SECOND * 14);
    assert_eq!(asked(&w, SERVER).len(), 3, "of eight");
    // The bound is on what goes on at once.
    w.run(SECOND * 60);
    let options = ConnectOptions { relay_through: Some(key(90).public()), ..ConnectOptions::new(&key(91)) };
    w.connect(CLIENT, &options, &key(1));
    w.run(SECOND * 14);
    assert_eq!(asked(&w, SERVER).len(), 4);
    w.run(SECOND * 60);
    w.forgotten();
}

#[test]
fn no_relay_is_named_to_reach_itself() {
    let mut w = symmetric(ServerOptions::default());
    let options = ConnectOptions { relay_through: Some(key(1).public()), ..ConnectOptions::new(&key(2)) };
    w.connect(CLIENT, &options, &key(1));
    w.run(SECOND * 40);
    assert!(asked(&w, CLIENT).is_empty() && asked(&w, SERVER).is_empty());
    w.forgotten();
}
