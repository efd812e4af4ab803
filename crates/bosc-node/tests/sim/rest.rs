//! How often processes that have nothing to do wake up, in virtual time. All but the seeder are behind firewalls, as most are: one that
//! can be reached becomes a node of the DHT after twenty minutes and answers others, which is work.

use super::network::{Network, memory};
use bosc_store::CreateOptions;
use bosc_testkit::LinkConfig;
use std::time::Duration;

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

/// Lets one process of each kind rest.
pub fn rest(seed: u64) -> AtRest {
    let mut world = Network::new(seed, LinkConfig::delay(Duration::from_millis(1)));
    let known = world.bootstrap();
    let join = |world: &mut Network, n: usize, topic, server| world.join(n, topic, true, server);
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
    let cut_off = world.start(vec![Network::server(200)], None, false, true);
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
