//! A peer that claims a longer db than it can prove, met before one that keeps to the truth.

use super::network::{Network, memory};
use super::twins::Side;
use bosc_format::crypto::KeyPair;
use bosc_format::proof::{HashedProof, Proof, ProofRequest};
use bosc_node::machine::Disguise;
use bosc_store::CreateOptions;
use bosc_testkit::{LinkConfig, Rng};
use bosc_wire::replication::{ApplyError, CoreAccess, HeadInfo, LocalChange, ProveError, ReorgStep};
use std::sync::Arc;
use std::time::Duration;

/// How long everything may take once the other peer is there.
const WITHIN: Duration = Duration::from_secs(40);
/// How much longer the core is said to be.
const MORE: u64 = 1000;

/// Claims more of one core, which is known by its length.
struct Claims {
    length: u64,
}

impl Disguise for Claims {
    fn show<'a>(&'a self, core: Box<dyn CoreAccess + 'a>) -> Box<dyn CoreAccess + 'a> {
        match core.head().length == self.length {
            true => Box::new(Claiming(core)),
            false => core,
        }
    }
}

struct Claiming<'a>(Box<dyn CoreAccess + 'a>);

impl CoreAccess for Claiming<'_> {
    fn head(&self) -> HeadInfo {
        let head = self.0.head();
        HeadInfo { length: head.length + MORE, ..head }
    }

    fn contiguous_length(&self) -> u64 {
        self.0.contiguous_length()
    }

    fn next_held(&self, from: u64) -> Option<u64> {
        self.0.next_held(from)
    }

    fn next_missing(&self, from: u64) -> u64 {
        self.0.next_missing(from)
    }

    fn bitfield_words(&self, start: u64, words: usize) -> Vec<u32> {
        self.0.bitfield_words(start, words)
    }

    fn has_node(&self, index: u64) -> bool {
        self.0.has_node(index)
    }

    /// Refuses what it has not.
    fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>, ProveError> {
        let end = request.upgrade.map_or(0, |u| u.start + u.length);
        if end > self.0.head().length { Ok(None) } else { self.0.prove(request) }
    }

    fn apply(&mut self, proof: &HashedProof) -> Result<(), ApplyError> {
        self.0.apply(proof)
    }

    fn begin_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.0.begin_reorg(proof)
    }

    fn continue_reorg(&mut self, proof: &Proof) -> Result<ReorgStep, ApplyError> {
        self.0.continue_reorg(proof)
    }
}

/// One run. How long the follower took to have all, from when it could, and how often the liar was asked in vain by then
/// or shortly after.
pub fn claims_in_vain(seed: u64) -> (Option<Duration>, u32) {
    let mut rng = Rng::new(seed);
    let delay = Duration::from_millis(rng.range(1, 60));
    let pair = KeyPair::from_seed(&rng.bytes(32).try_into().unwrap());
    let sides = [Side::new(&pair), Side::new(&pair)];
    while sides[0].db.length() == sides[0].blobs.length() || sides[0].db.length() == 0 {
        let mut both = rng.fork();
        sides[0].grow(&mut both.clone());
        sides[1].grow(&mut both);
    }
    // The contents may be with the liar alone: what it has is as good as anyone's.
    let alone = rng.chance(0.3);
    let [honest, liar] = &sides;
    let claims = Arc::new(Claims { length: liar.db.length() });
    let mut world = Network::new(rng.next_u64(), LinkConfig::delay(delay));
    let known = world.bootstrap();
    let topic = *honest.db.discovery_key();

    let l = world.start_as(known.clone(), Some(&liar.store), false, false, Some(claims));
    let now = world.net.now();
    for core in [&liar.db, &liar.blobs] {
        world.places[l].host.attach(core.clone());
        // As one that has just become longer: that is when it is looked at through the disguise.
        world.places[l].host.local_changed(core.key(), LocalChange::Appended, now);
    }
    world.join(l, topic, true, true);
    world.run(Duration::from_secs(2));
    let store = memory();
    let db = store.open_core(honest.db.key()).unwrap();
    let f = world.start(known.clone(), Some(&store), true, rng.chance(0.3));
    world.follow(f, &store, db.clone());
    // Who comes later finds it.
    world.join(f, topic, true, true);
    world.run(Duration::from_millis(rng.range(0, 4000)));

    let with_db = memory();
    let h = world.start(known, Some(if alone { &with_db } else { &honest.store }), false, false);
    if alone {
        let copy = with_db.create_core(CreateOptions::with_key_pair(pair)).unwrap();
        let blocks: Vec<_> = (0..honest.db.length()).map(|i| honest.db.block(i).unwrap().unwrap()).collect();
        copy.append(&blocks).unwrap();
        world.places[h].host.attach(copy);
    } else {
        world.places[h].host.attach(honest.db.clone());
        world.places[h].host.attach(honest.blobs.clone());
    }
    world.join(h, topic, true, true);
    let (start, mut whole, mut asked) = (world.net.now(), None, 0);
    while world.net.now() < start + WITHIN && (whole.is_none() || asked < 2) {
        world.run(Duration::from_millis(100));
        let cores = &world.places[f].host.cores;
        let has = |key| {
            cores
                .get(key)
                .is_some_and(|s| s.core.length() > 0 && s.core.contiguous_length() == s.core.length())
        };
        if whole.is_none() && has(honest.db.key()) && has(honest.blobs.key()) {
            whole = Some(world.net.now() - start);
        }
        let status = cores[honest.db.key()].shared.status();
        asked = status.peers.iter().map(|p| p.unproved).max().unwrap_or(0).max(asked);
    }
    (whole, asked)
}

/// Whether a follower gets contents of which no peer shows the db, when it has the db itself. One that asks every peer to
/// prove its history, as who is about to write does, has to know them.
pub fn contents_without_db(seed: u64, compares: bool) -> bool {
    let mut rng = Rng::new(seed);
    let pair = KeyPair::from_seed(&rng.bytes(32).try_into().unwrap());
    let [whole, mine] = [Side::new(&pair), Side::new(&pair)];
    let both = rng.fork();
    whole.grow(&mut both.clone());
    let contents = memory();
    let manifest = whole.blobs.manifest().unwrap().as_ref().clone();
    let blobs = contents.create_core(CreateOptions::with_key_pair(pair).manifest(manifest)).unwrap();
    for (from, to) in [(&whole.db, &mine.db), (&whole.blobs, &blobs)] {
        let blocks: Vec<_> = (0..from.length()).map(|i| from.block(i).unwrap().unwrap()).collect();
        to.append(&blocks).unwrap();
    }
    let mut world = Network::new(rng.next_u64(), LinkConfig::delay(Duration::from_millis(20)));
    let known = world.bootstrap();
    let topic = *whole.db.discovery_key();
    let c = world.start(known.clone(), Some(&contents), false, false);
    world.places[c].host.attach(blobs);
    world.join(c, topic, true, true);
    let f = world.start(known, Some(&mine.store), true, false);
    for core in [&mine.db, &mine.blobs] {
        world.places[f].host.attach(core.clone());
        if compares {
            world.places[f].host.compare(core.key());
        }
    }
    world.join(f, topic, true, true);
    world.run(Duration::from_secs(30));
    assert!(!world.places[f].host.cores[mine.blobs.key()].shared.status().peers.is_empty());
    mine.blobs.length() == whole.blobs.length() && mine.blobs.contiguous_length() == mine.blobs.length()
}
