//! Processes whose address changes, that sleep and that rest, in the middle of a transfer and before one.

use super::network::{Network, memory};
use bosc_store::{Core, CreateOptions};
use bosc_testkit::LinkConfig;
use std::time::Duration;

/// Bytes of a block, and blocks.
const BLOCK: usize = 32 << 10;
const BLOCKS: u64 = 600;

/// What happens to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The fetcher gets another address.
    Fetcher,
    /// The seeder does.
    Seeder,
    /// The fetcher has no address for six seconds and another one then.
    Gap,
    /// The fetcher's machine sleeps for two minutes, and its clock does not count them.
    Slept,
    /// The fetcher rests for two minutes.
    Rests,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct After {
    /// From the turn (or the end of the pause) to more blocks having come.
    pub goes_on: Option<Duration>,
    /// Connections that the fetcher opened after it.
    pub opened: u64,
    /// Wake-ups while it rested.
    pub wakes: u64,
}

struct Pair {
    world: Network,
    seeder: usize,
    fetcher: usize,
    copy: Core,
}

fn link() -> LinkConfig {
    LinkConfig { rate: Some(2_000_000), queue: 200_000, ..LinkConfig::delay(Duration::from_millis(20)) }
}

fn pair(seed: u64, hidden: bool) -> Pair {
    let mut world = Network::new(seed, link());
    let known = world.bootstrap();
    let (store, other) = (memory(), memory());
    let core = store.create_core(CreateOptions::new()).unwrap();
    for _ in 0..BLOCKS {
        core.append(&[world.rng.bytes(BLOCK).into()]).unwrap();
    }
    let topic = *core.discovery_key();
    let seeder = world.start(known.clone(), Some(&store), false, false);
    world.places[seeder].host.attach(core.clone());
    world.join(seeder, topic, false, true);
    world.run(Duration::from_secs(20));
    let fetcher = world.start(known, Some(&other), true, hidden);
    let copy = other.open_core(core.key()).unwrap();
    world.places[fetcher].host.attach(copy.clone());
    world.join(fetcher, topic, true, false);
    Pair { world, seeder, fetcher, copy }
}

/// Lets one turn happen in the middle of a transfer. `hidden`: the fetcher is behind a firewall.
pub fn turn(seed: u64, turn: Turn, hidden: bool) -> After {
    let Pair { mut world, seeder, fetcher, copy } = pair(seed, hidden);
    let have = || copy.contiguous_length();
    let step = Duration::from_millis(50);
    for _ in 0..400 {
        if have() > BLOCKS / 4 {
            break;
        }
        world.run(step);
    }
    assert!((BLOCKS / 4..BLOCKS * 3 / 4).contains(&have()), "{} blocks before the turn", have());
    let mut wakes = 0;
    let pause = Duration::from_secs(120);
    match turn {
        Turn::Fetcher => world.move_to(fetcher, 100),
        Turn::Seeder => world.move_to(seeder, 100),
        Turn::Gap => {
            world.dead.insert(fetcher);
            world.run(Duration::from_secs(6));
            world.dead.remove(&fetcher);
            world.move_to(fetcher, 100);
        }
        Turn::Slept => {
            world.freeze(fetcher, pause);
            world.slept(fetcher);
        }
        Turn::Rests => {
            world.suspend(fetcher);
            world.run(Duration::from_secs(2));
            world.run(pause);
            wakes = world.places[fetcher].wakes;
            world.resume(fetcher, 100);
        }
    }
    let (before, opened, since) = (have(), world.places[fetcher].host.opened, world.net.now());
    let mut goes_on = None;
    for _ in 0..1200 {
        world.run(step);
        if goes_on.is_none() && have() > before + 20 {
            goes_on = Some(world.net.now() - since);
        }
        if have() == BLOCKS {
            break;
        }
    }
    assert_eq!(have(), BLOCKS, "{turn:?}: {}", world.places[fetcher].host.state());
    After { goes_on, opened: world.places[fetcher].host.opened - opened, wakes }
}

/// A seeder that nobody is connected to gets another address; from when on is it found by who comes later?
pub fn found_after_move(seed: u64) -> Duration {
    let mut world = Network::new(seed, link());
    let known = world.bootstrap();
    let (store, other) = (memory(), memory());
    let core = store.create_core(CreateOptions::new()).unwrap();
    core.append(&["block".into()]).unwrap();
    let topic = *core.discovery_key();
    let seeder = world.start(known.clone(), Some(&store), false, true);
    world.places[seeder].host.attach(core.clone());
    world.join(seeder, topic, false, true);
    // Long enough for all to have settled.
    world.run(Duration::from_secs(100));
    world.move_to(seeder, 100);
    let since = world.net.now();
    world.run(Duration::from_millis(500));
    let fetcher = world.start(known, Some(&other), true, false);
    let copy = other.open_core(core.key()).unwrap();
    world.places[fetcher].host.attach(copy.clone());
    world.join(fetcher, topic, true, false);
    for _ in 0..1200 {
        world.run(Duration::from_millis(50));
        if copy.contiguous_length() == 1 {
            break;
        }
    }
    assert_eq!(copy.contiguous_length(), 1, "never found");
    world.net.now() - since
}
