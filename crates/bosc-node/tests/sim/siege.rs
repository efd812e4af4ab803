//! Handshakes that nobody will finish, from addresses that nobody has, at a seeder.

use super::host::SERVER_PORT;
use super::network::{Network, memory};
use bosc_dht::command;
use bosc_dht::connect::{NoisePayload, NoiseWrap, UdxInfo, firewall};
use bosc_dht::messages::{Handshake, mode};
use bosc_dht::wire::RequestMessage;
use bosc_format::crypto::{KeyPair, PublicKey, hash};
use bosc_store::CreateOptions;
use bosc_testkit::LinkConfig;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// How many come at once, and then a second.
#[derive(Debug, Clone, Copy)]
pub struct Siege {
    pub burst: u32,
    pub rate: u32,
}

/// The datagram number `n`: half of them come as from a client, half as from a relay that passes on an open client.
fn datagram(n: u32, key: &PublicKey, to: SocketAddrV4) -> (SocketAddr, Vec<u8>) {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&n.to_le_bytes());
    let mut wrap = NoiseWrap::initiator(&KeyPair::from_seed(&seed), *key, seed).unwrap();
    let relayed = n.is_multiple_of(2);
    let from = SocketAddrV4::new(Ipv4Addr::from(0x5500_0000 + n * 7), 4000);
    let noise = wrap
        .send(&NoisePayload {
            firewall: if relayed { firewall::OPEN } else { firewall::UNKNOWN },
            udx: Some(UdxInfo { version: 1, reusable_socket: false, id: n, seq: 0 }),
            ..NoisePayload::default()
        })
        .unwrap();
    let value = Handshake {
        mode: if relayed { mode::FROM_RELAY } else { mode::FROM_CLIENT },
        noise: noise.into(),
        peer_address: relayed.then_some(from),
        relay_address: None,
    }
    .encode();
    let message = RequestMessage {
        tid: n as u16,
        to,
        id: None,
        token: None,
        internal: false,
        command: command::PEER_HANDSHAKE,
        target: Some(hash(&[key])),
        value: Some(&value),
    };
    (SocketAddr::V4(from), message.encode().to_vec())
}

/// How long a follower that comes in the middle of it takes until it has all. `None`: longer than a minute.
pub fn siege(seed: u64, siege: Siege) -> Option<Duration> {
    let mut world = Network::new(seed, LinkConfig::delay(Duration::from_millis(20)));
    let known = world.bootstrap();
    let (store, other) = (memory(), memory());
    let core = store.create_core(CreateOptions::new()).unwrap();
    core.append(&(0..20).map(|n| vec![n; 1000].into()).collect::<Vec<_>>()).unwrap();
    let topic = *core.discovery_key();
    let seeder = world.start(known.clone(), Some(&store), false, false);
    world.places[seeder].host.attach(core.clone());
    world.join(seeder, topic, true, true);
    world.run(Duration::from_secs(20));
    let (key, to) = (world.places[seeder].key, SocketAddrV4::new(world.places[seeder].ip, SERVER_PORT));
    let mut sent = 0;
    let mut send = |world: &mut Network, count: u32| {
        for n in sent..sent + count {
            let (from, bytes) = datagram(n, &key, to);
            let now = world.net.now();
            world.places[seeder].host.receive(SERVER_PORT, from, &bytes, now);
        }
        sent += count;
        world.work(seeder);
    };
    send(&mut world, siege.burst);
    let follower = world.start(known, Some(&other), true, true);
    let copy = other.open_core(core.key()).unwrap();
    world.places[follower].host.attach(copy.clone());
    world.join(follower, topic, true, false);
    let start = world.net.now();
    while world.net.now() < start + Duration::from_secs(60) {
        send(&mut world, siege.rate / 10);
        world.run(Duration::from_millis(100));
        if copy.contiguous_length() == core.length() {
            return Some(world.net.now() - start);
        }
    }
    None
}
