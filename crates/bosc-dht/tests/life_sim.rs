//! A node whose network changes under it, that sleeps, that rests, and one that starts from what it knew before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use bosc_dht::{Config, Event, ListenId};
use bosc_format::crypto::KeyPair;
use common::{Nat, Net, SERVER_PORT};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(77, 7, 7, 7);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn key(n: u8) -> KeyPair {
    KeyPair::from_seed(&[n; 32])
}

fn listen(net: &mut Net, n: usize) -> ListenId {
    let id = net.with(n, |dht, now| dht.listen(key(9), now).unwrap());
    net.run(secs(20));
    assert!(!net.hosts[n].dht.relays(id).is_empty());
    id
}

/// Whether all relays of a key know this host for it.
fn relays_see(net: &Net, n: usize, id: ListenId, ip: Ipv4Addr) -> bool {
    let relays = net.hosts[n].dht.relays(id);
    !relays.is_empty() && relays.iter().all(|r| *r.peer_address.ip() == ip)
}

#[test]
fn a_new_address_is_announced_and_sampled_within_two_seconds() {
    let mut net = Net::persistent(1, 8);
    let n = net.add_plain(true);
    let id = listen(&mut net, n);
    net.run(secs(60));
    net.hosts[n].events.clear();
    net.readdress(n, ELSEWHERE);
    net.with(n, |dht, now| dht.network_changed(vec![], now));
    assert_eq!(net.hosts[n].dht.nat().host(), None, "what was is forgotten");
    net.run(secs(2));
    let dht = &net.hosts[n].dht;
    assert_eq!(dht.nat().host(), Some(ELSEWHERE));
    assert!(relays_see(&net, n, id, ELSEWHERE), "{:?}", net.hosts[n].dht.relays(id));
    assert!(net.hosts[n].events.iter().any(|e| matches!(e, Event::Announced { .. })));
}

#[test]
fn from_behind_a_nat_into_the_open_and_back_without_waiting_for_a_tick() {
    let mut net = Net::persistent(2, 8);
    let n = net.add_plain(true);
    net.run(secs(30));
    assert!(net.hosts[n].dht.is_firewalled());
    net.readdress(n, ELSEWHERE);
    net.hosts[n].nat = Nat::Open;
    net.with(n, |dht, now| dht.network_changed(vec![], now));
    net.run(secs(3));
    let open = SocketAddrV4::new(ELSEWHERE, SERVER_PORT);
    assert_eq!(net.hosts[n].dht.remote_address(), Some(open));
    net.readdress(n, Ipv4Addr::new(77, 7, 7, 8));
    net.hosts[n].nat = Nat::Cone;
    net.with(n, |dht, now| dht.network_changed(vec![], now));
    net.run(secs(3));
    assert!(net.hosts[n].dht.is_firewalled(), "what was proved of the other network says nothing");
}

#[test]
fn a_mapping_that_changes_is_noticed_by_a_ping_and_announced_once_a_minute_at_most() {
    let mut net = Net::persistent(3, 8);
    let n = net.add_plain(true);
    let id = listen(&mut net, n);
    net.run(secs(60));
    net.hosts[n].events.clear();
    // The router was restarted: nothing changed on this machine.
    net.readdress(n, ELSEWHERE);
    net.run(secs(25));
    assert!(relays_see(&net, n, id, ELSEWHERE), "{:?}", net.hosts[n].dht.relays(id));
    let changed = |net: &Net| net.hosts[n].events.iter().filter(|e| **e == Event::MappingChanged).count();
    assert_eq!(changed(&net), 1);
    // One that moves us with every ping is not followed.
    for i in 0..12u8 {
        net.readdress(n, Ipv4Addr::new(77, 7, 8, i));
        net.run(secs(5));
    }
    assert!((1..=3).contains(&changed(&net)), "{}", changed(&net));
}

#[test]
fn a_sleep_that_the_clock_did_not_count_is_one_all_the_same() {
    let mut net = Net::persistent(4, 8);
    let n = net.add_plain(true);
    let id = listen(&mut net, n);
    net.run(secs(60));
    net.hosts[n].events.clear();
    net.readdress(n, ELSEWHERE);
    net.with(n, |dht, now| dht.slept(now));
    net.run(secs(6));
    assert!(net.hosts[n].events.contains(&Event::Wakeup));
    assert!(relays_see(&net, n, id, ELSEWHERE));
}

#[test]
fn who_rests_sends_nothing_and_wants_nothing() {
    let mut net = Net::persistent(5, 8);
    let n = net.add_plain(true);
    let id = listen(&mut net, n);
    let query = net.with(n, |dht, now| dht.lookup([1; 32], &Default::default(), now).unwrap());
    net.with(n, |dht, now| dht.suspend(now));
    let cancelled =
        |e: &Event| matches!(e, Event::QueryDone(done) if done.query == query && done.result.is_err());
    assert!(net.hosts[n].events.iter().any(cancelled), "what was under way has an end");
    let sent = net.hosts[n].dht.stats().datagrams_sent;
    assert_eq!(net.hosts[n].dht.next_timeout(), None);
    let nodes = net.hosts[n].dht.node_count();
    net.run(secs(3600));
    assert_eq!(net.hosts[n].dht.stats().datagrams_sent, sent);
    assert_eq!(net.hosts[n].dht.node_count(), nodes, "silence of our own says nothing of others");
    net.readdress(n, ELSEWHERE);
    net.with(n, |dht, now| dht.resume(vec![], SERVER_PORT, now));
    net.run(secs(5));
    assert!(relays_see(&net, n, id, ELSEWHERE));
}

#[test]
fn nodes_of_an_earlier_run_do_for_bootstrap_nodes_that_are_gone() {
    let mut net = Net::persistent(6, 12);
    let first = net.add_plain(true);
    net.run(secs(60));
    let earlier: Vec<_> = net.hosts[first].dht.answering_nodes(40).into_iter().map(|(a, _)| a).collect();
    assert!(earlier.len() > 8, "{earlier:?}");
    net.kill(0);
    let config = Config { earlier: earlier.clone(), ..net.base_config() };
    let without = net.add_behind(net.base_config(), Nat::Cone);
    let with = net.add_behind(config, Nat::Cone);
    net.run(secs(10));
    assert_eq!(net.hosts[without].dht.node_count(), 0);
    assert!(net.hosts[with].dht.node_count() > 8);
}

#[test]
fn wrong_nodes_of_an_earlier_run_cost_a_moment_and_get_nowhere() {
    let mut net = Net::persistent(7, 12);
    let nobody = (0..200u8).map(|n| SocketAddrV4::new(Ipv4Addr::new(99, 1, 1, n), 1000));
    let bad = [SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1), SocketAddrV4::new(Ipv4Addr::new(99, 1, 1, 1), 0)];
    let config = Config { earlier: bad.into_iter().chain(nobody).collect(), ..net.base_config() };
    let n = net.add_behind(config, Nat::Cone);
    net.run(secs(5));
    let dht = &net.hosts[n].dht;
    assert!(dht.is_bootstrapped() && dht.node_count() > 8, "{}", dht.node_count());
    assert!(dht.answering_nodes(100).iter().all(|(a, _)| a.ip().octets()[0] != 99));
    assert!(dht.nodes(100).iter().all(|a| a.ip().octets()[0] != 99), "who does not answer is in no table");
    // Nobody but the first forty was asked, each a few times.
    assert!(dht.stats().requests < 40 + 200, "{:?}", dht.stats());
}
