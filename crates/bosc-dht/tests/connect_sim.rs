//! Connections in a network in virtual time, with NATs, loss, liars and floods.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bosc_dht::connect::{
    Approach, ConnectConfig, ConnectError, ConnectOptions, HolepunchPayload, NoisePayload, NoiseWrap,
    SecurePayload, ServerOptions, StreamPacket, UdxInfo,
};
use bosc_dht::messages::{Handshake, Holepunch, mode};
use bosc_dht::{Event, ReplyOptions, Request, SocketKind, command};
use bosc_format::crypto::hash;
use common::world::{World, key};
use std::time::Duration;

/// A client and a server, each behind a NAT or not, and the connection between them.
fn meet(client_nat: bool, server_nat: bool, loss: u64) -> World {
    let config = ConnectConfig::default();
    let mut w = World::new(1, config.clone());
    let server = w.add(server_nat, &config);
    let client = w.add(client_nat, &config);
    w.listen(server, &key(1), ServerOptions::default());
    w.net.loss = loss;
    w.connect(client, &ConnectOptions::new(&key(2)), &key(1));
    w.run(Duration::from_secs(8));
    w
}

#[test]
fn two_open_peers_connect_at_once() {
    let mut w = meet(false, false, 0);
    w.agree(7, 6);
    let (_, c) = &w.made[7][0];
    assert_eq!((c.handshake.remote_public_key, c.early.len()), (key(1).public(), 0));
    assert_eq!(w.made[6][0].1.handshake.remote_public_key, key(2).public());
    assert_eq!(w.packet(7, 6), StreamPacket::Unknown, "the owner has the stream by now");
    w.forgotten();
}

#[test]
fn a_hidden_client_comes_to_an_open_server() {
    let mut w = meet(true, false, 0);
    assert_eq!((w.made[7].len(), w.made[6].len()), (1, 0));
    assert_eq!(w.packet(7, 6), StreamPacket::Taken);
    w.agree(7, 6);
    assert_eq!(w.made[6][0].1.early.len(), 1);
    w.forgotten();
}

#[test]
fn an_open_client_waits_for_a_hidden_server() {
    let mut w = meet(false, true, 0);
    assert_eq!((w.made[7].len(), w.made[6].len()), (0, 1));
    assert_eq!(w.packet(6, 7), StreamPacket::Taken);
    w.agree(7, 6);
    assert_eq!(w.made[7][0].1.early[0].bytes, "packet");
    w.forgotten();

    let mut w = meet(false, true, 0);
    w.run(Duration::from_secs(10));
    let errors: Vec<_> = w.failed[7].iter().map(|f| f.1).collect();
    assert_eq!(errors, [ConnectError::Aborted], "the packet never came");
    w.forgotten();
}

#[test]
fn a_third_of_the_datagrams_may_get_lost() {
    let mut w = meet(false, false, 300);
    w.run(Duration::from_secs(30));
    w.agree(7, 6);
    assert_eq!(w.connectors[6].stats().accepted, 1, "several relays, several repeats, one connection");
    w.net.loss = 0;
    w.forgotten();
}

#[test]
fn the_second_connection_uses_the_relays_of_the_first() {
    let mut w = meet(false, false, 0);
    let before = w.net.hosts[7].dht.stats();
    w.connect(7, &ConnectOptions::new(&key(3)), &key(1));
    w.run(Duration::from_millis(250));
    assert_eq!(w.made[7].len(), 2);
    let after = w.net.hosts[7].dht.stats();
    assert!(after.requests - before.requests < 25, "{} requests", after.requests - before.requests);
    // And the peer itself may be the relay.
    let direct = ConnectOptions { relay_addresses: vec![w.net.server(6)], ..ConnectOptions::new(&key(4)) };
    w.connect(7, &direct, &key(1));
    w.run(Duration::from_millis(250));
    assert_eq!(w.made[7].len(), 3);
    assert_eq!(w.made[7][2].1.remote_address, w.net.server(6));
    assert_eq!(w.made[6][2].1.remote_address, w.net.server(7));
    w.forgotten();
}

#[test]
fn nobody_listening_a_refusal_and_a_peer_that_left_end_in_errors() {
    let config = ConnectConfig::default();
    let mut w = World::new(2, config.clone());
    let server = w.add(false, &config);
    let client = w.add(false, &config);
    let nobody = w.connect(client, &ConnectOptions::new(&key(2)), &key(50));
    w.run(Duration::from_secs(20));
    assert_eq!(w.failed[client], [(nobody, ConnectError::PeerNotFound)]);

    let friend = key(3).public();
    let refuse = Box::new(move |a: Approach<'_>| *a.remote_public_key != friend);
    let listen =
        w.listen(server, &key(1), ServerOptions { refuse: Some(refuse), ..ServerOptions::default() });
    let refused = w.connect(client, &ConnectOptions::new(&key(2)), &key(1));
    w.run(Duration::from_secs(30));
    assert_eq!(w.failed[client][1], (refused, ConnectError::PeerConnectionFailed));
    w.connect(client, &ConnectOptions::new(&key(3)), &key(1));
    w.run(Duration::from_secs(5));
    w.agree(client, server);

    w.with(server, |c, dht, now| c.unlisten(dht, listen, now));
    w.run(Duration::from_secs(10));
    let left = w.connect(client, &ConnectOptions::new(&key(3)), &key(1));
    w.run(Duration::from_secs(30));
    assert_eq!(w.failed[client].last().unwrap().0, left);
    let cancelled = w.connect(client, &ConnectOptions::new(&key(3)), &key(1));
    assert!(w.with(client, |c, dht, now| c.cancel(dht, cancelled, now)));
    assert!(!w.with(client, |c, dht, now| c.cancel(dht, cancelled, now)));
    w.forgotten();
    assert_eq!(w.failed[client].len(), 3);
}

#[test]
fn a_relay_that_makes_up_answers_costs_one_attempt() {
    let config = ConnectConfig::default();
    let mut w = World::new(3, config.clone());
    let server = w.add(false, &config);
    let client = w.add(false, &config);
    w.listen(server, &key(1), ServerOptions::default());
    // A liar claims to be the server; without its key it can only make something up.
    let liar = 3;
    w.net.with(liar, |dht, _| dht.serve(&key(1).public()));
    let point = key(9).public();
    let junk = [vec![], vec![7; 10], vec![7; 96], point.repeat(3), [&point[..], &[0; 60]].concat()];
    for (i, noise) in junk.into_iter().enumerate() {
        let relay_addresses = vec![w.net.server(liar)];
        w.connect(client, &ConnectOptions { relay_addresses, ..ConnectOptions::new(&key(2)) }, &key(1));
        let mut lied = false;
        for _ in 0..1000 {
            w.run(Duration::from_millis(5));
            if w.made[client].len() > i {
                break;
            }
            for event in std::mem::take(&mut w.others[liar]) {
                let Event::Request(request) = event else { continue };
                lied = true;
                let noise = noise.clone().into();
                let reply = Handshake { mode: mode::REPLY, noise, peer_address: None, relay_address: None };
                w.net.with(liar, |dht, now| {
                    dht.reply(&request, Some(&reply.encode()), ReplyOptions::default(), now);
                });
            }
        }
        assert!(lied && w.made[client].len() == i + 1, "junk {i}: {:?}", w.failed[client]);
    }
    assert!(w.made[client].iter().all(|(_, c)| c.handshake.remote_public_key == key(1).public()));
}

#[test]
fn floods_of_handshakes_are_bounded() {
    let config = ConnectConfig { max_handshakes: 50, max_connects: 5, ..ConnectConfig::default() };
    let mut w = World::new(4, config.clone());
    let server = w.add(false, &config);
    let client = w.add(true, &config);
    w.listen(server, &key(1), ServerOptions::default());
    let to = w.net.server(server);
    let target = Some(hash(&[&key(1).public()]));
    let send = |w: &mut World, noise: Vec<u8>, peer_address| {
        let value =
            Handshake { mode: mode::FROM_RELAY, noise: noise.into(), peer_address, relay_address: None };
        let value = Some(value.encode().into());
        let request = Request { target, value, retries: 0, ..Request::new(to, command::PEER_HANDSHAKE) };
        w.net.with(client, |dht, now| dht.request(request, now).unwrap());
        w.run(Duration::from_millis(10));
    };
    // Junk is not kept at all.
    for n in 0..200usize {
        send(&mut w, vec![n as u8; n], Some("9.9.9.9:9".parse().unwrap()));
    }
    w.run(Duration::from_secs(2));
    assert!(w.connectors[server].is_idle());
    // True handshakes of peers that never come: each is answered, up to the bound are kept, the oldest make room.
    let fresh = |n: u8| {
        let mut wrap = NoiseWrap::initiator(&key(n), key(1).public(), [n; 32]).unwrap();
        let udx = UdxInfo { version: 1, reusable_socket: false, id: 5, seq: 0 };
        let payload = NoisePayload { udx: Some(udx), ..Default::default() };
        wrap.send(&payload).unwrap()
    };
    let dropped = w.connectors[server].stats().dropped;
    for n in 0..100 {
        send(&mut w, fresh(n), Some("9.9.9.9:9".parse().unwrap()));
    }
    w.run(Duration::from_secs(2));
    assert_eq!(w.connectors[server].stats().dropped - dropped, 50);
    assert!(w.made[server].is_empty());
    // Whoever comes then gets in all the same.
    w.connect(client, &ConnectOptions::new(&key(200)), &key(1));
    w.run(Duration::from_secs(2));
    assert_eq!(w.made[client].len(), 1, "{:?}", w.failed[client]);
    assert_eq!(w.packet(client, server), StreamPacket::Taken);
    w.agree(client, server);
    w.run(Duration::from_secs(25));
    assert!(w.connectors[server].is_idle());
    assert_eq!(w.connectors[server].stats().passive_timeouts, 49);
    // Connections of our own are bounded as well.
    for n in 0..5 {
        w.connect(client, &ConnectOptions::new(&key(n)), &key(77));
    }
    let more = w.with(client, |c, dht, now| {
        c.connect(dht, key(77).public(), &ConnectOptions::new(&key(9)), now).is_err()
    });
    assert!(more);
    w.forgotten();
}

#[test]
fn a_holepunch_round_that_leads_nowhere_is_answered_with_aborted() {
    let config = ConnectConfig::default();
    let mut w = World::new(6, config.clone());
    let server = w.add(true, &config);
    let client = w.add(true, &config);
    let listen = w.listen(server, &key(1), ServerOptions::default());
    let relay = w.net.hosts[server].dht.relays(listen)[0].relay_address;
    let target = Some(hash(&[&key(1).public()]));
    let ask = |w: &mut World, command, value: Vec<u8>| {
        let request = Request { target, value: Some(value.into()), ..Request::new(relay, command) };
        let id = w.net.with(client, |dht, now| dht.request(request, now).unwrap());
        w.run(Duration::from_millis(1500));
        let reply = w.others[client].iter().find_map(|e| match e {
            Event::Response { request, reply } if *request == id => Some(reply.clone()),
            _ => None,
        });
        reply.and_then(|r| r.value)
    };
    let mut wrap = NoiseWrap::initiator(&key(2), key(1).public(), [3; 32]).unwrap();
    let udx = UdxInfo { version: 1, reusable_socket: false, id: 5, seq: 0 };
    let noise = wrap.send(&NoisePayload { udx: Some(udx), ..Default::default() }).unwrap().into();
    let hs = Handshake { mode: mode::FROM_CLIENT, noise, peer_address: None, relay_address: None };
    let value = ask(&mut w, command::PEER_HANDSHAKE, hs.encode());
    let answer = wrap.recv(&Handshake::decode(&value.unwrap()).unwrap().noise).unwrap();
    let info = answer.holepunch.unwrap();
    assert_eq!(info.relays, w.net.hosts[server].dht.relays(listen));
    let secure = SecurePayload::new(&wrap.finish().unwrap().hash, [0; 32]);
    let round = HolepunchPayload { round: 4, punching: true, ..Default::default() };
    for (id, payload, answered) in [
        (info.id, secure.seal(&round, [8; 24]), true),
        (info.id, vec![1; 60], false),
        (info.id + 1, secure.seal(&round, [9; 24]), false),
    ] {
        let hp = Holepunch { mode: mode::FROM_CLIENT, id, payload: payload.into(), peer_address: None };
        let value = ask(&mut w, command::PEER_HOLEPUNCH, hp.encode());
        assert_eq!(value.is_some(), answered);
        if let Some(value) = value {
            let reply = secure.open(&Holepunch::decode(&value).unwrap().payload).unwrap();
            assert_eq!((reply.error, reply.round), (bosc_dht::connect::error::ABORTED, 4));
        }
    }
    w.forgotten();
}

#[test]
fn packets_before_the_owner_looks_are_kept_in_order_and_bounded() {
    let config = ConnectConfig { max_early_packets: 3, ..ConnectConfig::default() };
    let mut w = World::new(5, config.clone());
    let server = w.add(false, &config);
    let client = w.add(true, &config);
    w.listen(server, &key(1), ServerOptions::default());
    w.connect(client, &ConnectOptions::new(&key(2)), &key(1));
    w.run(Duration::from_secs(5));
    let (_, c) = w.made[client].last().unwrap();
    let (id, from) = (c.remote_id, w.place(client, c.socket));
    w.with(server, |c, dht, now| {
        for n in 0..5u8 {
            let taken = c.handle_stream_packet(dht, id, SocketKind::Server, from, &[n], now);
            assert_eq!(taken, StreamPacket::Taken);
        }
        let unknown = c.handle_stream_packet(dht, id ^ 1, SocketKind::Server, from, &[1], now);
        assert_eq!(unknown, StreamPacket::Unknown);
    });
    let early: Vec<u8> = w.made[server][0].1.early.iter().map(|p| p.bytes[0]).collect();
    assert_eq!(early, [0, 1, 2]);
    w.agree(client, server);
}

#[test]
fn dead_relays_cost_no_time_beside_one_that_lives() {
    let config = ConnectConfig::default();
    let mut w = World::new(7, config.clone());
    let server = w.add(true, &config);
    let client = w.add(true, &config);
    let listen = w.listen(server, &key(1), ServerOptions::default());
    let lives = w.net.hosts[server].dht.relays(listen)[0].relay_address;
    let dead = (1..=6).map(|n| format!("9.9.9.{n}:9").parse().unwrap());
    let relay_addresses = dead.chain([lives]).collect();
    // Not found by the search: only through these.
    let options = ConnectOptions { relay_addresses, ..ConnectOptions::new(&key(2)) };
    w.connect(client, &options, &key(1));
    w.net.with(client, |dht, _| assert!(dht.network() != bosc_dht::NetworkState::Offline));
    let began = w.net.now;
    while w.made[client].is_empty() && w.net.now < began + Duration::from_secs(20) {
        w.run(Duration::from_millis(50));
    }
    assert!(w.net.now - began < Duration::from_secs(2), "{:?}", w.net.now - began);
}

#[test]
fn under_pressure_a_direct_handshake_makes_a_connection_when_its_address_is_proved() {
    let config = ConnectConfig::default();
    let mut w = World::new(8, config.clone());
    let server = w.add(false, &config);
    let client = w.add(false, &config);
    w.listen(server, &key(1), ServerOptions::default());
    let to = w.net.server(server);
    let target = Some(hash(&[&key(1).public()]));
    let ask = |w: &mut World, n: u8| {
        let mut wrap = NoiseWrap::initiator(&key(n), key(1).public(), [n; 32]).unwrap();
        let udx = UdxInfo { version: 1, reusable_socket: false, id: 5, seq: 0 };
        let noise = wrap.send(&NoisePayload { udx: Some(udx), ..Default::default() }).unwrap().into();
        let hs = Handshake { mode: mode::FROM_CLIENT, noise, peer_address: None, relay_address: None };
        let value = Some(hs.encode().into());
        let request = Request { target, value, ..Request::new(to, command::PEER_HANDSHAKE) };
        let id = w.net.with(client, |dht, now| dht.request(request, now).unwrap());
        w.run(Duration::from_secs(1));
        let reply = w.others[client].iter().find_map(|e| match e {
            Event::Response { request, reply } if *request == id => reply.value.clone(),
            _ => None,
        });
        wrap.recv(&Handshake::decode(&reply.unwrap()).unwrap().noise).unwrap().udx.unwrap().id
    };
    ask(&mut w, 1);
    assert_eq!(w.made[server].len(), 1, "at once");
    w.with(server, |c, _, _| c.press(0));
    let id = ask(&mut w, 2);
    assert_eq!(w.made[server].len(), 1, "only answered");
    let from = w.place(client, SocketKind::Client);
    w.with(server, |c, dht, now| {
        assert_eq!(
            c.handle_stream_packet(dht, id ^ 1, SocketKind::Server, from, b"guess", now),
            StreamPacket::Unknown
        );
        assert_eq!(
            c.handle_stream_packet(dht, id, SocketKind::Server, from, b"first", now),
            StreamPacket::Taken
        );
    });
    let (_, made) = w.made[server].last().unwrap();
    assert_eq!((w.made[server].len(), made.remote_address, made.early.len()), (2, from, 1));
    w.forgotten();
}

#[test]
fn a_handshake_that_is_replayed_says_nothing_to_who_replays_it() {
    let config = ConnectConfig::default();
    let mut w = World::new(9, config.clone());
    let server = w.add(false, &config);
    let thief = w.add(true, &config);
    w.listen(server, &key(1), ServerOptions::default());
    let mut wrap = NoiseWrap::initiator(&key(2), key(1).public(), [2; 32]).unwrap();
    let udx = UdxInfo { version: 1, reusable_socket: false, id: 5, seq: 0 };
    let noise: bytes::Bytes =
        wrap.send(&NoisePayload { udx: Some(udx), ..Default::default() }).unwrap().into();
    let to = w.net.server(server);
    let target = Some(hash(&[&key(1).public()]));
    let mut answers = Vec::new();
    // At once, and after the server has forgotten it.
    for wait in [1, 1, 30] {
        let hs = Handshake {
            mode: mode::FROM_CLIENT,
            noise: noise.clone(),
            peer_address: None,
            relay_address: None,
        };
        let value = Some(hs.encode().into());
        let request = Request { target, value, ..Request::new(to, command::PEER_HANDSHAKE) };
        w.run(Duration::from_secs(wait));
        w.net.with(thief, |dht, now| dht.request(request, now).unwrap());
        w.run(Duration::from_secs(1));
        let last = w.others[thief].iter().rev().find_map(|e| match e {
            Event::Response { reply, .. } => reply.value.clone(),
            _ => None,
        });
        answers.push(Handshake::decode(&last.unwrap()).unwrap().noise);
    }
    assert_eq!(answers[0], answers[1], "the same answer and no second connection");
    assert_ne!(answers[0], answers[2]);
    // Each of the two has keys that only the first sender's secrets give.
    assert_eq!(w.made[server].len(), 2);
    let keys: Vec<_> = w.made[server].iter().map(|(_, c)| c.handshake.tx).collect();
    assert_ne!(keys[0], keys[1]);
    w.forgotten();
}
