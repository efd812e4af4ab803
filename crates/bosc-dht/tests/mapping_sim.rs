//! Ports that a router leads to a node, true and false, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bosc_dht::{Config, Event};
use common::{Nat, Net};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const HOST: usize = 12;
const PORT: u16 = 45_000;

/// Twelve nodes, and one behind a NAT.
fn behind(seed: u64, nat: Nat) -> Net {
    let mut net = Net::persistent(seed, 12);
    assert_eq!(net.add_behind(Config { firewalled: true, ..net.base_config() }, nat), HOST);
    net.run(Duration::from_secs(60));
    net
}

/// What was told of the mapping since the last call.
fn told(net: &mut Net) -> Vec<Option<SocketAddrV4>> {
    let events = std::mem::take(&mut net.hosts[HOST].events);
    events.iter().filter_map(|e| if let Event::PortMapped(at) = e { Some(*at) } else { None }).collect()
}

fn at(net: &Net) -> SocketAddrV4 {
    SocketAddrV4::new(net.hosts[HOST].ip, PORT)
}

#[test]
fn a_port_that_leads_to_us_is_proved_and_changes_nothing_else() {
    for (seed, nat) in [(1, Nat::Symmetric), (2, Nat::Cone)] {
        let mut net = behind(seed, nat);
        let seen = |net: &Net| {
            let dht = &net.hosts[HOST].dht;
            (dht.is_firewalled(), dht.is_randomized(), dht.remote_address(), dht.nat().host())
        };
        let before = seen(&net);
        net.hosts[HOST].led = Some(PORT);
        let at = at(&net);
        net.with(HOST, |dht, now| dht.set_mapping(Some(at), now));
        net.run(Duration::from_secs(10));
        assert_eq!(told(&mut net), [Some(at)], "{nat:?}");
        assert_eq!(net.hosts[HOST].dht.mapped_address(), Some(at));
        assert_eq!(seen(&net), before, "{nat:?}");
    }
}

#[test]
fn a_router_that_lies_is_found_out() {
    // It leads nothing here.
    for (seed, nat) in [(3, Nat::Symmetric), (4, Nat::Cone)] {
        let mut net = behind(seed, nat);
        let at = at(&net);
        net.with(HOST, |dht, now| dht.set_mapping(Some(at), now));
        net.run(Duration::from_secs(600));
        assert_eq!((told(&mut net), net.hosts[HOST].dht.mapped_address()), (vec![], None), "{nat:?}");
    }
    // It does, but its address is another one.
    let mut net = behind(5, Nat::Symmetric);
    net.hosts[HOST].led = Some(PORT);
    let elsewhere = SocketAddrV4::new(Ipv4Addr::new(5, 9, 0, 250), PORT);
    net.with(HOST, |dht, now| dht.set_mapping(Some(elsewhere), now));
    net.run(Duration::from_secs(600));
    assert_eq!((told(&mut net), net.hosts[HOST].dht.mapped_address()), (vec![], None));
}

#[test]
fn one_that_leads_here_no_longer_is_noticed() {
    for doubted in [false, true] {
        let mut net = behind(6, Nat::Symmetric);
        net.hosts[HOST].led = Some(PORT);
        let at = at(&net);
        net.with(HOST, |dht, now| dht.set_mapping(Some(at), now));
        net.run(Duration::from_secs(10));
        assert_eq!(told(&mut net), [Some(at)]);
        net.hosts[HOST].led = None;
        if doubted {
            net.with(HOST, |dht, now| dht.doubt_mapping(now));
        }
        net.run(Duration::from_secs(90));
        assert_eq!(told(&mut net), if doubted { vec![None] } else { vec![] });
        net.run(Duration::from_secs(300));
        assert_eq!(net.hosts[HOST].dht.mapped_address(), None);
    }
}

#[test]
fn another_network_has_another_router() {
    let mut net = behind(7, Nat::Symmetric);
    net.hosts[HOST].led = Some(PORT);
    let at = at(&net);
    net.with(HOST, |dht, now| dht.set_mapping(Some(at), now));
    net.run(Duration::from_secs(10));
    assert_eq!(told(&mut net), [Some(at)]);
    net.with(HOST, |dht, now| dht.network_changed(Vec::new(), now));
    assert_eq!((told(&mut net), net.hosts[HOST].dht.mapped_address()), (vec![None], None));
}
