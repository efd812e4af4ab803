//! Two writers with one key, each with a history of its own, and followers that meet both.

use super::host::{CLIENT_PORT, SERVER_PORT};
use super::network::{Network, memory};
use bosc_format::crypto::{Hash, KeyPair};
use bosc_store::{Core, CreateOptions, Store};
use bosc_testkit::{LinkConfig, Rng};
use bosc_wire::replication::LocalChange;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the followers may take once both writers are there.
const WITHIN: Duration = Duration::from_secs(120);

/// How the followers of one run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met {
    /// Have both cores of the first writer, or of the second.
    pub whole: [usize; 2],
    /// Have the db of one and blobs of the other.
    pub mixed: usize,
    /// Have neither in time.
    pub late: usize,
    /// What those have that are not whole.
    pub what: Vec<String>,
}

/// A drive in one store.
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) db: Core,
    pub(super) blobs: Core,
}

impl Side {
    /// An empty one.
    pub(super) fn new(pair: &KeyPair) -> Self {
        let store = memory();
        let db = store.create_core(CreateOptions::with_key_pair(pair.clone())).unwrap();
        let manifest = db.manifest().unwrap().blobs(db.key()).unwrap();
        let options = CreateOptions::with_key_pair(pair.clone()).manifest(manifest);
        let blobs = store.create_core(options).unwrap();
        Self { store, db, blobs }
    }

    /// Appends to both cores.
    pub(super) fn grow(&self, rng: &mut Rng) {
        let mut blocks = |most: u64, size: u64| -> Vec<Bytes> {
            let n = rng.range(1, most);
            (0..n)
                .map(|_| rng.range(1, size))
                .collect::<Vec<_>>()
                .into_iter()
                .map(|len| rng.bytes(len as usize).into())
                .collect()
        };
        self.blobs.append(&blocks(40, 3000)).unwrap();
        self.db.append(&blocks(6, 200)).unwrap();
    }

    /// What a copy has of it: the tree hashes of both cores.
    fn hashes(&self) -> [Hash; 2] {
        [&self.db, &self.blobs].map(|core| core.head().tree_hash())
    }
}

struct Run {
    world: Network,
    sides: [Side; 2],
    /// Both writers' processes, once they run.
    writers: [Option<usize>; 2],
    followers: Vec<(usize, Store)>,
}

impl Run {
    fn write(&mut self, side: usize) {
        let mut rng = self.world.rng.fork();
        self.sides[side].grow(&mut rng);
        let Some(n) = self.writers[side] else { return };
        let now = self.world.net.now();
        for core in [&self.sides[side].blobs, &self.sides[side].db] {
            self.world.places[n].host.local_changed(core.key(), LocalChange::Appended, now);
        }
        self.world.work(n);
    }

    /// Its links are slower or faster than others'.
    fn uneven(&mut self, n: usize, links: &LinkConfig) {
        let factor = *self.world.rng.pick(&[0.2, 0.5, 1.0, 1.0, 2.0, 5.0]).unwrap();
        let own = LinkConfig { delay: links.delay.mul_f64(factor), ..links.clone() };
        for port in [SERVER_PORT, CLIENT_PORT] {
            let at = SocketAddr::from((self.world.places[n].ip, port));
            self.world.net.set_node(at, own.clone());
        }
    }

    fn start_writer(&mut self, side: usize, links: &LinkConfig) {
        let known = self.world.bootstrap();
        let Side { store, db, blobs } = &self.sides[side];
        let n = self.world.start(known, Some(store), false, false);
        for core in [db, blobs] {
            self.world.places[n].host.attach(core.clone());
        }
        let topic = *db.discovery_key();
        self.world.join(n, topic, true, true);
        self.writers[side] = Some(n);
        self.uneven(n, links);
    }

    fn start_follower(&mut self, links: &LinkConfig) {
        let store = memory();
        let db = store.open_core(self.sides[0].db.key()).unwrap();
        let known = self.world.bootstrap();
        let hidden = self.world.rng.chance(0.3);
        let n = self.world.start(known, Some(&store), true, hidden);
        let topic = *db.discovery_key();
        self.world.follow(n, &store, db);
        let found = self.world.rng.chance(0.5);
        self.world.join(n, topic, true, found);
        self.followers.push((n, store));
        self.uneven(n, links);
    }

    /// Whose db is of another history is said to have another one of the blobs, too.
    fn check_others(&self, n: usize) {
        let status = |core: &Core| self.world.places[n].host.cores.get(core.key()).map(|s| s.shared.status());
        let [Some(db), Some(blobs)] = [&self.sides[0].db, &self.sides[0].blobs].map(status) else { return };
        for other in db.peers.iter().filter(|p| p.other_history) {
            assert!(
                blobs.peers.iter().filter(|p| p.key == other.key).all(|p| p.other_history),
                "follower {n}"
            );
        }
    }

    fn met(&self) -> Met {
        let mut met = Met::default();
        let sides = [0, 1].map(|s| self.sides[s].hashes());
        for (n, store) in &self.followers {
            self.check_others(*n);
            let cores = [&self.sides[0].db, &self.sides[0].blobs].map(|c| store.open_core(c.key()).unwrap());
            let whole = cores.iter().all(|c| c.contiguous_length() == c.length());
            let [db, blobs] = [0, 1].map(|i| {
                let hash = cores[i].head().tree_hash();
                sides.iter().position(|s| s[i] == hash)
            });
            match (db, blobs) {
                (Some(a), Some(b)) if a != b => met.mixed += 1,
                (Some(a), Some(_)) if whole => {
                    met.whole[a] += 1;
                    continue;
                }
                _ => met.late += 1,
            }
            let have = cores.map(|c| (c.length(), c.contiguous_length()));
            met.what.push(format!("{n}: db of {db:?}, blobs of {blobs:?}, {have:?}"));
        }
        met
    }
}

/// One run.
pub fn twins(seed: u64) -> Met {
    let mut rng = Rng::new(seed);
    let delay = Duration::from_millis(rng.range(1, 60));
    let links = LinkConfig {
        delay,
        jitter: delay.mul_f64(rng.unit() / 2.0),
        keep_order: rng.chance(0.5),
        loss: if rng.chance(0.5) { rng.unit() * 0.05 } else { 0.0 },
        ..LinkConfig::default()
    };
    let pair = KeyPair::from_seed(&rng.bytes(32).try_into().unwrap());
    let sides = [Side::new(&pair), Side::new(&pair)];
    for _ in 0..rng.range(0, 2) {
        let mut both = rng.fork();
        sides[0].grow(&mut both.clone());
        sides[1].grow(&mut both);
    }
    let world = Network::new(rng.next_u64(), links.clone());
    let mut run = Run { world, sides, writers: [None; 2], followers: Vec::new() };
    let mut what: Vec<(u64, What)> = Vec::new();
    // Who has what both histories share, or nothing, meets both at about the same time.
    let early = rng.chance(0.5);
    let at = if early { 15_000 } else { 0 };
    for side in 0..2 {
        // At one moment: a writer that saw the other's history would go on with that.
        what.push((at, What::Write(side)));
        let start = if early && rng.chance(0.5) { rng.range(0, 3000) } else { at + rng.range(0, 1500) };
        what.push((start, What::Writer(side)));
        if rng.chance(0.3) {
            what.push((at + rng.range(0, 4000), What::Write(side)));
        }
    }
    for _ in 0..rng.range(1, 3) {
        what.push((if early { rng.range(0, 3000) } else { rng.range(0, 2500) }, What::Follower));
    }
    what.sort_unstable();
    for (at, what) in what {
        let now = run.world.net.now().as_millis() as u64;
        // The DHT was up before.
        run.world.run(Duration::from_millis((at + 400).saturating_sub(now)));
        match what {
            What::Writer(side) => run.start_writer(side, &links),
            What::Write(side) => run.write(side),
            What::Follower => run.start_follower(&links),
        }
    }
    let until = run.world.net.now() + WITHIN;
    loop {
        run.world.run(Duration::from_millis(500));
        let met = run.met();
        let over = met.mixed > 0 || run.world.net.now() >= until;
        if over || met.late == 0 {
            return met;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Write(usize),
    Writer(usize),
    Follower,
}
