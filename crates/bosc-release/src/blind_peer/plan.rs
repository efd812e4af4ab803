//! Which cores a blind peer keeps, fetches and clears.
//!
//! Cores stand in an order: those of clients that are allowed by name before those of anyone, those whose client is connected before
//! others, then priority, then who was wanted last. A core is fetched up to its newest head only when all of it fits.
//!
//! # Invariants
//!
//! * What is fetched and what is here never exceed [`Bounds::disk`], if they did not before; never more than [`Bounds::cores`] cores.
//! * A core makes room only for one that stands before it, and only when its client is away and nobody wanted it for [`GRACE`].
//! * Of clients that are not allowed by name, one network (/24) gets a [`SHARE`] of each bound: whoever fills it keeps nobody else
//!   out, and a core of a client allowed by name makes no room for one of those.

use super::record::Record;
use bosc_format::crypto::CoreKey;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a core that nobody wants stays at least, in seconds.
pub(super) const GRACE: u64 = 3600;
/// The part of each bound, one in so many, that a network may have.
const SHARE: usize = 4;

/// What may be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) disk: u64,
    pub(super) cores: usize,
}

/// A core that is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    pub(super) record: Record,
    /// Bytes of blocks that are here.
    pub(super) held: u64,
    /// Bytes with all blocks of the newest head.
    pub(super) whole: u64,
    /// A client that asked for it is connected.
    pub(super) present: bool,
}

impl Kept {
    /// What stands first is the least.
    fn rank(&self) -> impl Ord + use<> {
        let r = &self.record;
        (Reverse(r.trusted), Reverse(self.present), Reverse(r.priority), Reverse(r.wanted))
    }

    /// Whether it may make room.
    fn may_go(&self, now: u64) -> bool {
        !self.present && now.saturating_sub(self.record.wanted) >= GRACE
    }
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Is to be fetched up to its newest head, or is whole.
    pub(super) fetch: BTreeSet<CoreKey>,
    /// Its blocks are to be given up.
    pub(super) clear: Vec<CoreKey>,
}

/// What is taken while a plan is made.
struct Room<'a> {
    disk: u64,
    total: u64,
    /// Of clients that are not allowed by name.
    networks: HashMap<[u8; 3], u64>,
    /// Those that may make room, with their place in the order; the last one first.
    victims: Vec<(usize, &'a CoreKey, &'a Kept)>,
    cleared: Vec<CoreKey>,
}

impl Room<'_> {
    fn add(&mut self, k: &Kept, bytes: u64) {
        self.total = self.total.saturating_add(bytes);
        if !k.record.trusted {
            let used = self.networks.entry(k.record.network).or_default();
            *used = used.saturating_add(bytes);
        }
    }

    /// Whether `more` bytes of a core are within its network's share.
    fn in_share(&self, k: &Kept, more: u64) -> bool {
        let used = self.networks.get(&k.record.network).copied().unwrap_or(0);
        k.record.trusted || used.saturating_add(more) <= self.disk / SHARE as u64
    }

    fn fits(&self, more: u64) -> bool {
        self.total.saturating_add(more) <= self.disk
    }

    /// Clears the last one, if it stands behind `at`.
    fn clear_last(&mut self, at: usize) -> bool {
        let Some((_, key, k)) = self.victims.pop_if(|(place, ..)| *place > at) else { return false };
        self.total = self.total.saturating_sub(k.held);
        if let Some(used) = self.networks.get_mut(&k.record.network).filter(|_| !k.record.trusted) {
            *used = used.saturating_sub(k.held);
        }
        self.cleared.push(*key);
        true
    }

    /// Clears those behind `at` until `more` bytes fit; none if that would not do.
    fn make(&mut self, at: usize, more: u64) -> bool {
        let behind = self.victims.iter().filter(|(place, ..)| *place > at);
        let most = behind.fold(0u64, |sum, (.., k)| sum.saturating_add(k.held));
        if self.total.saturating_sub(most).saturating_add(more) > self.disk {
            return false;
        }
        while !self.fits(more) && self.clear_last(at) {}
        self.fits(more)
    }
}

/// The cores in their order.
fn in_order(kept: &BTreeMap<CoreKey, Kept>) -> Vec<(&CoreKey, &Kept)> {
    let mut order: Vec<_> = kept.iter().collect();
    order.sort_by_key(|(key, k)| (k.rank(), **key));
    order
}

/// Plans for `now`, seconds since 1970.
pub(super) fn plan(kept: &BTreeMap<CoreKey, Kept>, bounds: Bounds, now: u64) -> Plan {
    let order = in_order(kept);
    let victims = order.iter().enumerate().filter(|(_, (_, k))| k.held > 0 && k.may_go(now));
    let mut room = Room {
        disk: bounds.disk,
        total: 0,
        networks: HashMap::new(),
        victims: victims.map(|(at, (key, k))| (at, *key, *k)).collect(),
        cleared: Vec::new(),
    };
    order.iter().for_each(|(_, k)| room.add(k, k.held));
    // A bound that was made smaller.
    while !room.fits(0) && room.clear_last(0) {}
    let mut fetch = BTreeSet::new();
    for (at, (key, k)) in order.iter().enumerate() {
        let more = k.whole.saturating_sub(k.held);
        if room.cleared.contains(key) {
            continue;
        }
        if more > 0 {
            if !room.in_share(k, more) || !(room.fits(more) || room.make(at, more)) {
                continue;
            }
            room.add(k, more);
            // What is on its way makes no room.
            room.victims.retain(|(place, ..)| *place != at);
        }
        fetch.insert(**key);
    }
    Plan { fetch, clear: room.cleared }
}

/// Whether there is room for one core more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// There is.
    Yes,
    /// This one makes room.
    InPlaceOf(CoreKey),
    /// There is none.
    No,
}

/// Sees whether a core that a client asks for may be added. `new` is what would be remembered of it.
pub(super) fn admit(kept: &BTreeMap<CoreKey, Kept>, new: &Record, bounds: Bounds, now: u64) -> Admission {
    let same = |k: &&Kept| !k.record.trusted && k.record.network == new.network;
    if !new.trusted && kept.values().filter(same).count() >= (bounds.cores / SHARE).max(1) {
        return Admission::No;
    }
    if kept.len() < bounds.cores {
        return Admission::Yes;
    }
    let goes = |(_, k): &&(&CoreKey, &Kept)| k.may_go(now) && (new.trusted || !k.record.trusted);
    in_order(kept).iter().rev().find(goes).map_or(Admission::No, |(key, _)| Admission::InPlaceOf(**key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const OLD: u64 = NOW - GRACE;

    fn kept(n: u8, wanted: u64, held: u64, whole: u64) -> (CoreKey, Kept) {
        let record = Record { trusted: true, wanted, ..Record::default() };
        ([n; 32], Kept { record, held, whole, present: false })
    }

    fn public(n: u8, network: u8, wanted: u64, held: u64, whole: u64) -> (CoreKey, Kept) {
        let (key, mut k) = kept(n, wanted, held, whole);
        (k.record.trusted, k.record.network) = (false, [network; 3]);
        (key, k)
    }

    fn of(cores: impl IntoIterator<Item = (CoreKey, Kept)>, disk: u64) -> (Vec<u8>, Vec<u8>) {
        let p = plan(&cores.into_iter().collect(), Bounds { disk, cores: 9 }, NOW);
        (p.fetch.iter().map(|k| k[0]).collect(), p.clear.iter().map(|k| k[0]).collect())
    }

    #[test]
    fn who_was_wanted_last_comes_first_and_the_least_recently_wanted_makes_room() {
        let cores = [kept(1, OLD, 60, 60), kept(2, NOW, 0, 60), kept(3, OLD - 9, 20, 20)];
        assert_eq!(of(cores, 140), (vec![1, 2, 3], vec![]), "everything fits");
        assert_eq!(of(cores, 120), (vec![1, 2], vec![3]));
        assert_eq!(of(cores, 60), (vec![2], vec![3, 1]));
        assert_eq!(
            of(cores, 59),
            (vec![], vec![3, 1]),
            "too large by itself, and the bound was made smaller"
        );
    }

    #[test]
    fn what_would_not_do_clears_nothing() {
        assert_eq!(of([kept(1, OLD, 60, 60), kept(2, NOW, 0, 101)], 100), (vec![1], vec![]));
        assert_eq!(of([kept(1, OLD, 60, 60), kept(2, NOW, 0, u64::MAX)], 100), (vec![1], vec![]));
    }

    #[test]
    fn what_was_wanted_lately_or_has_its_client_here_makes_no_room() {
        assert_eq!(of([kept(1, OLD + 1, 60, 60), kept(2, NOW, 0, 60)], 100), (vec![1], vec![]));
        let (key, mut k) = kept(1, OLD, 60, 60);
        k.present = true;
        assert_eq!(of([(key, k), kept(2, NOW, 0, 60)], 100), (vec![1], vec![]));
    }

    #[test]
    fn a_network_of_strangers_has_its_share_and_takes_no_room_from_those_allowed_by_name() {
        let strangers = [public(1, 7, NOW, 0, 20), public(2, 7, NOW, 0, 20), public(3, 8, NOW, 0, 20)];
        assert_eq!(of(strangers, 100), (vec![1, 3], vec![]), "a quarter of 100 for each network");
        assert_eq!(of([kept(1, OLD - 99, 90, 90), public(2, 7, NOW, 0, 20)], 100), (vec![1], vec![]));
        assert_eq!(of([kept(1, OLD, 0, 90), public(2, 7, OLD, 20, 20)], 100), (vec![1], vec![2]));
    }

    #[test]
    fn nothing_is_ever_fetched_beyond_the_bound() {
        let mut state = 99u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..3000 {
            let mut cores = BTreeMap::new();
            for n in 0..1 + random(7) {
                let held = random(20);
                let (wanted, whole) = (OLD + 1 - random(3), held + random(60));
                let (key, mut k) = match random(2) {
                    0 => kept(n as u8, wanted, held, whole),
                    _ => public(n as u8, random(2) as u8, wanted, held, whole),
                };
                k.present = random(3) == 0;
                cores.insert(key, k);
            }
            let held: u64 = cores.values().map(|k| k.held).sum();
            let disk = held + random(100);
            let p = plan(&cores, Bounds { disk, cores: 9 }, NOW);
            let after = |(key, k): (&CoreKey, &Kept)| match (p.fetch.contains(key), p.clear.contains(key)) {
                (true, false) => k.whole,
                (false, false) => k.held,
                (false, true) => 0,
                (true, true) => panic!("fetched and cleared"),
            };
            assert!(cores.iter().map(after).sum::<u64>() <= disk, "{cores:?} {p:?} {disk}");
            assert!(p.clear.iter().all(|key| cores[key].may_go(NOW)));
        }
    }

    #[test]
    fn a_full_blind_peer_takes_a_core_in_place_of_one_that_nobody_wants() {
        let bounds = Bounds { disk: 100, cores: 4 };
        let new = Record { trusted: true, ..Record::default() };
        let stranger = Record { network: [7; 3], ..Record::default() };
        let fresh: BTreeMap<_, _> = (0..4).map(|n| kept(n, NOW, 1, 1)).collect();
        assert_eq!(admit(&fresh, &new, bounds, NOW), Admission::No);
        assert_eq!(admit(&fresh, &new, Bounds { cores: 5, ..bounds }, NOW), Admission::Yes);
        let mut old = fresh.clone();
        old.extend([kept(1, OLD - 1, 1, 1), kept(2, OLD - 2, 1, 1)]);
        assert_eq!(admit(&old, &new, bounds, NOW), Admission::InPlaceOf([2; 32]));
        assert_eq!(admit(&old, &stranger, bounds, NOW), Admission::No);
        old.extend([public(3, 8, OLD, 1, 1)]);
        assert_eq!(admit(&old, &stranger, bounds, NOW), Admission::InPlaceOf([3; 32]));
        old.extend([public(3, 7, OLD, 1, 1)]);
        assert_eq!(admit(&old, &stranger, bounds, NOW), Admission::No, "its network has its share");
    }
}
