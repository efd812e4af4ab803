//! Whole networks of our nodes in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use bosc_dht::messages::{Handshake, mode};
use bosc_dht::{
    AnnounceOptions, Config, Event, MutableGetOptions, QueryData, QueryError, QueryOptions, QueryReply,
    ReplyOptions, Request, command, node_id,
};
use bosc_format::crypto::{KeyPair, hash};
use bytes::Bytes;
use common::Net;
use std::collections::BTreeSet;
use std::time::Duration;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn keys(replies: &[QueryReply]) -> BTreeSet<[u8; 32]> {
    replies
        .iter()
        .filter_map(|r| if let QueryData::Peers { peers, .. } = &r.data { Some(peers) } else { None })
        .flatten()
        .map(|p| p.public_key)
        .collect()
}

fn lookup(net: &mut Net, host: usize, topic: [u8; 32]) -> BTreeSet<[u8; 32]> {
    let query = net.with(host, |d, now| d.lookup(topic, &QueryOptions::default(), now)).unwrap();
    keys(&net.done(host, query).1)
}

fn announce(net: &mut Net, host: usize, topic: [u8; 32], key_pair: &KeyPair, clear: bool) {
    let options = AnnounceOptions { clear, ..AnnounceOptions::default() };
    let relays = ["1.2.3.4:5".parse().unwrap()];
    let query = net.with(host, |d, now| d.announce(topic, key_pair, &relays, &options, now)).unwrap();
    let (done, _) = net.done(host, query);
    assert_eq!(done.result, Ok(()));
    assert!(done.committed >= done.closest.len() / 2, "{} of {}", done.committed, done.closest.len());
}

/// Known as soon as it is certain: when every bootstrap node was asked, and asked again as often as that is done.
#[test]
fn that_nobody_answers_is_known_within_ten_seconds() {
    let mut net = Net::persistent(1, 5);
    let bootstrap = vec![net.server(1), net.server(2)];
    let config = || Config { bootstrap: bootstrap.clone(), ..Config::default() };
    // The network is away, for good or for as long as it takes a machine to wake up.
    for (back, known) in [(None, true), (Some(secs(4)), false)] {
        net.loss = 1000;
        let (begun, host) = (net.now, net.add(config(), false));
        let mut since = None;
        for _ in 0..200 {
            net.run(Duration::from_millis(100));
            let passed = net.now - begun;
            if back.is_some_and(|back| passed >= back) {
                net.loss = 0;
            }
            if net.hosts[host].dht.is_unanswered() {
                since.get_or_insert(passed);
            }
        }
        assert_eq!(since.is_some(), known, "{since:?}");
        assert!(since.is_none_or(|since| since > secs(5) && since < secs(10)), "{since:?}");
        // Whatever was thought, it ends with the first answer.
        net.loss = 0;
        net.with(host, |d, now| d.bootstrap(now));
        net.run(secs(30));
        assert!(!net.hosts[host].dht.is_unanswered());
    }
}

#[test]
fn all_nodes_become_persistent_and_know_each_other() {
    let mut net = Net::persistent(1, 30);
    for h in 0..30 {
        let d = &net.hosts[h].dht;
        assert_eq!(d.id(), Some(node_id(net.server(h))), "host {h}");
        assert_eq!(d.remote_address(), Some(net.server(h)));
        assert!(d.is_bootstrapped() && !d.is_firewalled());
        assert!(d.node_count() >= 19, "host {h} knows {}", d.node_count());
    }
    for i in 0..10u8 {
        let target = hash(&[&[i]]);
        let query = net.with(7, |d, now| d.find_node(target, &QueryOptions::default(), now)).unwrap();
        let (done, _) = net.done(7, query);
        let mut want: Vec<_> = (0..30).filter(|h| *h != 7).map(|h| node_id(net.server(h))).collect();
        want.sort_by_key(|id| bosc_dht::distance(id, &target));
        let got: Vec<_> = done.closest.iter().map(|c| c.id).collect();
        assert_eq!(got, want[..20]);
    }
}

#[test]
fn what_is_announced_is_found_until_it_is_taken_off() {
    let mut net = Net::persistent(2, 25);
    let topic = [3; 32];
    let pairs: Vec<KeyPair> = (1..6).map(|n| KeyPair::from_seed(&[n; 32])).collect();
    for (i, k) in pairs.iter().enumerate() {
        announce(&mut net, i + 3, topic, k, i % 2 == 0);
    }
    let all: BTreeSet<_> = pairs.iter().map(KeyPair::public).collect();
    assert_eq!(lookup(&mut net, 20, topic), all);
    assert!(lookup(&mut net, 20, [4; 32]).is_empty());
    let query = net.with(3, |d, now| d.unannounce(topic, &pairs[0], &QueryOptions::default(), now)).unwrap();
    net.done(3, query);
    assert_eq!(lookup(&mut net, 20, topic).len(), 4);
    net.run(secs(60 * 60));
    assert!(lookup(&mut net, 20, topic).is_empty(), "records age out");
}

#[test]
fn announces_survive_loss_and_leaving_nodes() {
    let mut net = Net::persistent(3, 40);
    net.loss = 100;
    let topic = [9; 32];
    let k = KeyPair::from_seed(&[1; 32]);
    announce(&mut net, 5, topic, &k, false);
    assert_eq!(lookup(&mut net, 6, topic), BTreeSet::from([k.public()]));
    for h in (1..40).step_by(2) {
        net.kill(h);
    }
    assert_eq!(lookup(&mut net, 6, topic), BTreeSet::from([k.public()]));
    net.run(secs(30 * 60));
    for h in (0..40).step_by(2) {
        let dead =
            (1..40).step_by(2).filter(|d| net.hosts[h].dht.nodes(999).contains(&net.server(*d))).count();
        assert!(dead <= 2, "host {h} still knows {dead} dead nodes after half an hour");
    }
    announce(&mut net, 8, topic, &k, false);
    let query = net.with(10, |d, now| d.lookup(topic, &QueryOptions::default(), now)).unwrap();
    let (done, replies) = net.done(10, query);
    assert_eq!(keys(&replies), BTreeSet::from([k.public()]));
    assert!(done.closest.len() >= 15, "{}", done.closest.len());
}

#[test]
fn values_are_stored_and_versions_respected() {
    let mut net = Net::persistent(4, 25);
    net.loss = 50;
    let opts = QueryOptions::default();
    let value = Bytes::from(vec![7; 900]);
    let query = net.with(2, |d, now| d.immutable_put(value.clone(), &opts, now)).unwrap();
    let (done, _) = net.done(2, query);
    assert_eq!((done.result, done.target), (Ok(()), hash(&[&value])));
    let query = net.with(9, |d, now| d.immutable_get(done.target, &opts, now)).unwrap();
    assert_eq!(net.done(9, query).0.immutable, Some(value));
    let query = net.with(9, |d, now| d.immutable_get([0; 32], &opts, now)).unwrap();
    assert_eq!(net.done(9, query).0.immutable, None);

    let k = KeyPair::from_seed(&[5; 32]);
    let put = |net: &mut Net, seq, value: &'static [u8]| {
        let value = Bytes::from_static(value);
        let query = net.with(2, |d, now| d.mutable_put(&k, seq, value, &opts, now)).unwrap();
        net.done(2, query).0.result
    };
    let get = |net: &mut Net, seq| {
        let opts = MutableGetOptions { seq, refresh: true, ..Default::default() };
        let query = net.with(9, |d, now| d.mutable_get(&k.public(), &opts, now)).unwrap();
        net.done(9, query).0.mutable.map(|m| (m.seq, m.value))
    };
    assert_eq!(get(&mut net, 0), None);
    assert_eq!(put(&mut net, 4, b"four"), Ok(()));
    assert_eq!(put(&mut net, 4, b"four"), Ok(()));
    assert_eq!(get(&mut net, 0), Some((4, Bytes::from_static(b"four"))));
    assert_eq!(get(&mut net, 5), None);
    assert_eq!(put(&mut net, 3, b"three"), Err(QueryError::CommitRefused(17)));
    assert_eq!(put(&mut net, 4, b"vier"), Err(QueryError::CommitRefused(16)));
    assert_eq!(put(&mut net, 5, b"five"), Ok(()));
    assert_eq!(get(&mut net, 5), Some((5, Bytes::from_static(b"five"))));
}

#[test]
fn a_node_finds_out_whether_it_can_be_reached() {
    let mut net = Net::persistent(5, 20);
    let open = net.add_plain(false);
    let natted = net.add_plain(true);
    net.run(secs(30));
    for h in [open, natted] {
        assert!(net.hosts[h].dht.is_bootstrapped() && net.hosts[h].dht.is_ephemeral(), "host {h}");
    }
    assert!(!net.hosts[open].dht.is_firewalled());
    assert_eq!(net.hosts[open].dht.remote_address(), Some(net.server(open)));
    assert!(net.hosts[natted].dht.is_firewalled());
    assert_eq!(net.hosts[natted].dht.remote_address(), None);
    assert_eq!(net.hosts[natted].dht.nat().host(), Some(net.hosts[natted].ip));
    net.run(secs(45 * 60));
    assert!(!net.hosts[open].dht.is_ephemeral(), "persistent after a while");
    assert_eq!(net.hosts[open].dht.id(), Some(node_id(net.server(open))));
    assert!(net.hosts[natted].dht.is_ephemeral(), "cannot be reached");
    assert!(net.hosts[1].dht.nodes(999).contains(&net.server(open)));
}

/// The quick ping is answered after the walk is over: it counts all the same, and not only ten seconds later.
#[test]
fn a_late_answer_of_the_quick_ping_counts() {
    let mut net = Net::persistent(5, 20);
    let open = net.add_plain(false);
    net.hosts[open].late = Duration::from_millis(700);
    let booted = |net: &mut Net| net.hosts[open].dht.is_bootstrapped().then_some(());
    net.until(booted);
    assert!(net.hosts[open].dht.is_firewalled(), "nothing came to the server socket yet");
    net.run(secs(3));
    assert!(!net.hosts[open].dht.is_firewalled());
}

#[test]
fn a_network_starts_without_anyone_knowing_an_address() {
    let mut net = Net::new(6);
    let config = |net: &Net| Config { ephemeral: Some(false), firewalled: false, ..net.base_config() };
    for _ in 0..6 {
        let c = config(&net);
        net.add(c, false);
        net.run(secs(5));
    }
    net.run(secs(60));
    for h in 0..6 {
        assert_eq!(net.hosts[h].dht.id(), Some(node_id(net.server(h))), "host {h}");
    }
    announce(&mut net, 0, [1; 32], &KeyPair::from_seed(&[1; 32]), false);
    assert_eq!(lookup(&mut net, 5, [1; 32]).len(), 1);
}

#[test]
fn a_node_alone_ends_its_queries() {
    let mut net = Net::new(7);
    let h = net.add_persistent();
    assert!(net.hosts[h].dht.is_bootstrapped() && !net.hosts[h].dht.is_ephemeral());
    let opts = QueryOptions::default();
    let k = KeyPair::from_seed(&[1; 32]);
    let query = net.with(h, |d, now| d.lookup([1; 32], &opts, now)).unwrap();
    assert_eq!(net.done(h, query).0.result, Ok(()));
    let query = net.with(h, |d, now| d.announce([1; 32], &k, &[], &Default::default(), now)).unwrap();
    assert_eq!(net.done(h, query).0.result, Err(QueryError::TooFewNodes));
    let listen = net.with(h, |d, now| d.listen(k, now)).unwrap();
    net.run(secs(600));
    net.with(h, |d, now| d.unlisten(listen, now));
    net.event(h, |e| (*e == Event::Unlistened(listen)).then_some(()));
    // And with a bootstrap node that is not there.
    let config = Config { bootstrap: vec!["10.99.99.99:1".parse().unwrap()], ..net.base_config() };
    let h = net.add(config, false);
    net.event(h, |e| (*e == Event::Bootstrapped).then_some(()));
}

/// Asks each relay for `k` and answers at `server`; gives the bytes the client got.
fn handshake(net: &mut Net, client: usize, server: usize, k: &KeyPair) -> Handshake {
    let target = hash(&[&k.public()]);
    let query = net.with(client, |d, now| d.find_peer(target, &QueryOptions::default(), now)).unwrap();
    let (_, replies) = net.done(client, query);
    let relay = replies.first().expect("a relay was found").from;
    assert!(matches!(&replies[0].data, QueryData::Peer(p) if p.public_key == k.public()));
    let hs = Handshake {
        mode: mode::FROM_CLIENT,
        noise: Bytes::from_static(b"hello"),
        peer_address: None,
        relay_address: None,
    };
    let request = Request {
        target: Some(target),
        value: Some(hs.encode().into()),
        ..Request::new(relay, command::PEER_HANDSHAKE)
    };
    let id = net.with(client, |d, now| d.request(request, now)).unwrap();
    let incoming = net.event(server, |e| if let Event::Request(r) = e { Some(r.clone()) } else { None });
    let got = Handshake::decode(incoming.value.as_deref().unwrap()).unwrap();
    assert_eq!((got.mode, &got.noise[..], incoming.from), (mode::FROM_RELAY, &b"hello"[..], relay));
    let back = Handshake {
        mode: mode::FROM_SERVER,
        noise: Bytes::from_static(b"welcome"),
        peer_address: got.peer_address,
        relay_address: None,
    };
    net.with(server, |d, _| d.relay(&incoming, &back.encode(), incoming.from, None));
    let reply = net.event(client, |e| match e {
        Event::Response { request, reply } if *request == id => Some(reply.clone()),
        _ => None,
    });
    assert_eq!(reply.from, relay);
    Handshake::decode(reply.value.as_deref().unwrap()).unwrap()
}

#[test]
fn a_listening_peer_behind_a_nat_is_reached_through_its_relays() {
    let mut net = Net::persistent(8, 30);
    let server = net.add_plain(true);
    let client = net.add_plain(true);
    net.run(secs(20));
    let k = KeyPair::from_seed(&[8; 32]);
    let listen = net.with(server, |d, now| d.listen(k.clone(), now)).unwrap();
    let announced = |net: &mut Net| {
        net.event(server, |e| match e {
            Event::Announced { listen: l, relays, relay_addresses } if *l == listen => {
                Some((relays.clone(), relay_addresses.clone()))
            }
            _ => None,
        })
    };
    let (relays, addresses) = announced(&mut net);
    assert_eq!(relays.len(), 3);
    assert_eq!(addresses, relays.iter().map(|r| r.relay_address).collect::<Vec<_>>());
    assert_eq!(net.hosts[server].dht.relays(listen), relays);
    let reply = handshake(&mut net, client, server, &k);
    assert_eq!((reply.mode, &reply.noise[..]), (mode::REPLY, &b"welcome"[..]));
    assert_eq!(reply.peer_address.map(|a| *a.ip()), Some(net.hosts[server].ip));

    // It stays reachable while relays leave.
    let victim = (0..30).find(|h| net.server(*h) == relays[0].relay_address).unwrap();
    net.kill(victim);
    let (relays, _) = announced(&mut net);
    assert!(relays.len() == 3 && !relays.iter().any(|r| r.relay_address == net.server(victim)));
    handshake(&mut net, client, server, &k);

    // And for long.
    net.run(secs(2 * 60 * 60));
    handshake(&mut net, client, server, &k);

    let target = hash(&[&k.public()]);
    net.with(server, |d, now| d.unlisten(listen, now));
    net.event(server, |e| (*e == Event::Unlistened(listen)).then_some(()));
    let query = net.with(client, |d, now| d.find_peer(target, &QueryOptions::default(), now)).unwrap();
    assert!(net.done(client, query).1.is_empty(), "all relays were told");
}

#[test]
fn a_request_reaches_a_served_key_directly() {
    let mut net = Net::persistent(9, 5);
    let k = KeyPair::from_seed(&[8; 32]);
    net.with(2, |d, _| d.serve(&k.public()));
    let hs = Handshake {
        mode: mode::FROM_CLIENT,
        noise: Bytes::from_static(b"hello"),
        peer_address: None,
        relay_address: None,
    };
    let ask = Request {
        target: Some(hash(&[&k.public()])),
        value: Some(hs.encode().into()),
        ..Request::new(net.server(2), command::PEER_HANDSHAKE)
    };
    let id = net.with(3, |d, now| d.request(ask.clone(), now)).unwrap();
    let r = net.event(2, |e| if let Event::Request(r) = e { Some(r.clone()) } else { None });
    net.with(2, |d, now| d.reply(&r, Some(b"yes"), ReplyOptions::default(), now));
    let reply = net.event(3, |e| match e {
        Event::Response { request, reply } if *request == id => Some(reply.clone()),
        _ => None,
    });
    assert_eq!((reply.value.as_deref(), reply.token, reply.closer.len()), (Some(&b"yes"[..]), None, 0));
    net.with(2, |d, _| d.unserve(&k.public()));
    net.with(3, |d, now| d.request(ask, now)).unwrap();
    let reply =
        net.event(3, |e| if let Event::Response { reply, .. } = e { Some(reply.clone()) } else { None });
    assert!(reply.value.is_none() && reply.closer.len() >= 4, "is told who may know more");
}

#[test]
fn sleep_and_loss_of_the_network_are_noticed() {
    let mut net = Net::persistent(10, 12);
    let h = net.add_plain(false);
    net.run(secs(60 * 60));
    assert!(!net.hosts[h].dht.is_ephemeral());
    net.now += secs(3600);
    net.with(h, |d, now| d.handle_timeout(now));
    assert!(net.hosts[h].events.contains(&Event::Wakeup));
    assert!(net.hosts[h].dht.is_ephemeral());
    net.run(secs(30));
    net.loss = 1000;
    net.hosts[h].events.clear();
    for i in 0..60u8 {
        net.with(h, |d, now| d.lookup([i; 32], &QueryOptions::default(), now)).unwrap();
        net.run(secs(3));
    }
    assert_eq!(net.hosts[h].dht.network(), bosc_dht::NetworkState::Offline);
    net.loss = 0;
    for i in 0..20u8 {
        net.with(h, |d, now| d.lookup([i; 32], &QueryOptions::default(), now)).unwrap();
        net.run(secs(3));
    }
    assert_eq!(net.hosts[h].dht.network(), bosc_dht::NetworkState::Online);
}

#[test]
fn cached_nodes_stand_in_for_the_bootstrap_node() {
    let mut net = Net::persistent(11, 20);
    let nodes = net.hosts[3].dht.nodes(10);
    net.kill(0);
    let config = Config { nodes, ..net.base_config() };
    let h = net.add(config, false);
    net.event(h, |e| (*e == Event::Bootstrapped).then_some(()));
    assert!(net.hosts[h].dht.node_count() >= 15);
    let closest = {
        let query = net.with(h, |d, now| d.find_node([1; 32], &QueryOptions::default(), now)).unwrap();
        net.done(h, query).0.closest
    };
    let before = net.hosts[h].dht.stats().requests;
    let options = QueryOptions {
        nodes: closest.iter().take(3).map(|c| c.addr).collect(),
        only_nodes: true,
        ..QueryOptions::default()
    };
    let query = net.with(h, |d, now| d.lookup([1; 32], &options, now)).unwrap();
    assert_eq!(net.done(h, query).0.successes, 3);
    assert!(net.hosts[h].dht.stats().requests - before <= 4);
    let query = net.with(h, |d, now| d.lookup([2; 32], &QueryOptions::default(), now)).unwrap();
    net.with(h, |d, now| d.cancel_query(query, now));
    assert_eq!(net.done(h, query).0.result, Err(QueryError::Cancelled));
}
