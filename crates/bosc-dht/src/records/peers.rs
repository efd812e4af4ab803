//! The peers announced on topics: a set per topic, two generations (npm `record-cache`).
//!
//! Differences from the JavaScript module, on purpose: announcing again replaces the record at once; a topic holds at
//! most [`MAX_PER_TOPIC`] records per generation; and a host has a share.
//!
//! Invariants, so that nobody hides the others of a topic by announcing much:
//! * In a full topic the newest record of the network (/24) with most of them makes room, in it of the host with most. So
//!   records of other networks stay, and of one host's those that came first.
//! * When a topic has more records than are asked for, each network is represented before any is twice, and in each its hosts.
//!   In JavaScript one host with 4000 records leaves the others one place in two hundred.
//! * Below these bounds nobody counts: many honest peers share an address.

use crate::addr::network_of;
use crate::rng::Rng;
use bosc_format::crypto::PublicKey;
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Most records of one topic in a generation.
const MAX_PER_TOPIC: usize = 512;

#[derive(Debug)]
struct Record {
    key: PublicKey,
    value: Bytes,
    source: Ipv4Addr,
}

#[derive(Debug, Default)]
struct Generation {
    topics: HashMap<[u8; 32], Vec<Record>>,
    sources: HashMap<Ipv4Addr, usize>,
    size: usize,
}

impl Generation {
    fn remove(&mut self, topic: &[u8; 32], key: &PublicKey) -> bool {
        let Some(list) = self.topics.get_mut(topic) else { return false };
        let Some(at) = list.iter().position(|r| &r.key == key) else { return false };
        let old = list.remove(at);
        if list.is_empty() {
            self.topics.remove(topic);
        }
        self.size -= 1;
        self.forget(old.source);
        true
    }

    fn forget(&mut self, source: Ipv4Addr) {
        if let Some(n) = self.sources.get_mut(&source) {
            *n -= 1;
            if *n == 0 {
                self.sources.remove(&source);
            }
        }
    }

    fn add(&mut self, topic: [u8; 32], record: Record, rng: &mut Rng) {
        let source = record.source;
        let list = self.topics.entry(topic).or_default();
        let replaced = if let Some(old) = list.iter_mut().find(|r| r.key == record.key) {
            Some(std::mem::replace(old, record))
        } else if list.len() >= MAX_PER_TOPIC {
            let at = makes_room(list, source, rng);
            let old = (at < list.len()).then(|| list.remove(at));
            list.push(record);
            old
        } else {
            list.push(record);
            None
        };
        *self.sources.entry(source).or_insert(0) += 1;
        match replaced {
            Some(old) => self.forget(old.source),
            None => self.size += 1,
        }
    }

    fn of(&self, host: Ipv4Addr) -> usize {
        self.sources.get(&host).copied().unwrap_or(0)
    }

    fn holds(&self, topic: &[u8; 32], key: &PublicKey) -> bool {
        self.topics.get(topic).is_some_and(|l| l.iter().any(|r| &r.key == key))
    }
}

/// The place in a full list of the record that makes room for one of `source`. Records are in the order in which they came.
fn makes_room(list: &[Record], source: Ipv4Addr, rng: &mut Rng) -> usize {
    let (mut networks, mut hosts) = (HashMap::new(), HashMap::new());
    for host in list.iter().map(|r| r.source).chain([source]) {
        *networks.entry(network_of(host)).or_insert(0usize) += 1;
        *hosts.entry(host).or_insert(0usize) += 1;
    }
    let crowd = |r: &Record| (networks.get(&network_of(r.source)), hosts.get(&r.source));
    let most = list.iter().map(crowd).max();
    if most == Some((Some(&1), Some(&1))) {
        return rng.index(list.len());
    }
    list.iter().rposition(|r| Some(crowd(r)) == most).unwrap_or(0)
}

/// Sorts so that each network comes before any comes twice, and within each its hosts likewise.
fn take_turns<T>(records: &mut [T], host: impl Fn(&T) -> Ipv4Addr) {
    in_turns(records, &host);
    in_turns(records, |r| network_of(host(r)));
}

/// One of each, then a second of each, and so on; else in the order they have.
fn in_turns<T, K: Eq + Hash>(records: &mut [T], of: impl Fn(&T) -> K) {
    let mut turns: HashMap<K, usize> = HashMap::new();
    records.sort_by_cached_key(|r| {
        let turn = turns.entry(of(r)).or_insert(0);
        *turn += 1;
        *turn
    });
}

/// See the module.
#[derive(Debug)]
pub(crate) struct PeerRecords {
    fresh: Generation,
    stale: Generation,
    max: usize,
    max_per_source: usize,
    period: Duration,
    turned: Duration,
}

impl PeerRecords {
    pub(crate) fn new(max: usize, max_per_source: usize, max_age: Duration, now: Duration) -> Self {
        Self {
            fresh: Generation::default(),
            stale: Generation::default(),
            max: max.max(1),
            max_per_source,
            period: max_age * 2 / 3,
            turned: now,
        }
    }

    fn turn(&mut self) {
        self.stale = std::mem::take(&mut self.fresh);
    }

    fn advance(&mut self, now: Duration) {
        let late = now.saturating_sub(self.turned);
        if self.period.is_zero() || late < self.period {
            return;
        }
        self.turn();
        if late >= self.period.saturating_mul(2) {
            self.turn();
        }
        self.turned = now;
    }

    /// Keeps a record. False when the host has its share already.
    pub(crate) fn add(
        &mut self,
        topic: [u8; 32],
        key: PublicKey,
        value: Bytes,
        source: Ipv4Addr,
        rng: &mut Rng,
        now: Duration,
    ) -> bool {
        self.advance(now);
        let known = self.fresh.holds(&topic, &key) || self.stale.holds(&topic, &key);
        if !known && self.fresh.of(source) + self.stale.of(source) >= self.max_per_source {
            return false;
        }
        self.stale.remove(&topic, &key);
        self.fresh.add(topic, Record { key, value, source }, rng);
        if self.fresh.size > self.max {
            self.turn();
        }
        true
    }

    pub(crate) fn remove(&mut self, topic: &[u8; 32], key: &PublicKey) {
        self.fresh.remove(topic, key);
        self.stale.remove(topic, key);
    }

    /// At most `n` records of a topic, in random order; when there are more, a random choice among networks.
    pub(crate) fn get(&mut self, topic: &[u8; 32], n: usize, rng: &mut Rng, now: Duration) -> Vec<Bytes> {
        self.advance(now);
        let generations = [&self.fresh, &self.stale].into_iter();
        let mut all: Vec<&Record> = generations.filter_map(|g| g.topics.get(topic)).flatten().collect();
        for i in (1..all.len()).rev() {
            all.swap(i, rng.index(i + 1));
        }
        if all.len() > n {
            take_turns(&mut all, |r| r.source);
        }
        all.into_iter().take(n).map(|r| r.value.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.fresh.size + self.stale.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Entropy;

    #[test]
    fn records_are_replaced_aged_sampled_and_bounded() {
        let mut entropy: Entropy = Box::new(|b: &mut [u8]| b.fill(7));
        let mut rng = Rng::new(&mut entropy);
        let at = Duration::from_secs;
        let host = Ipv4Addr::new(1, 2, 3, 4);
        let key = |n: u32| {
            let mut k = [0; 32];
            k[..4].copy_from_slice(&n.to_le_bytes());
            k
        };
        let mut p = PeerRecords::new(1000, 5000, at(30), at(0));
        assert!(p.add([1; 32], key(1), Bytes::from_static(b"a"), host, &mut rng, at(0)));
        assert!(p.add([1; 32], key(1), Bytes::from_static(b"b"), host, &mut rng, at(1)));
        assert_eq!(p.get(&[1; 32], 20, &mut rng, at(1)), [Bytes::from_static(b"b")]);
        assert_eq!(p.get(&[1; 32], 20, &mut rng, at(39)).len(), 1);
        assert_eq!(p.get(&[1; 32], 20, &mut rng, at(60)).len(), 0);
        for i in 0..5000 {
            p.add([2; 32], key(i), Bytes::new(), host, &mut rng, at(60));
        }
        assert!(p.get(&[2; 32], usize::MAX, &mut rng, at(60)).len() <= 2 * MAX_PER_TOPIC);
        let some = p.get(&[2; 32], 20, &mut rng, at(60));
        assert_eq!(some.len(), 20);
        for i in 0..50_000u32 {
            p.add(key(i), key(i), Bytes::new(), host, &mut rng, at(60));
        }
        assert!(p.len() <= 2 * 1001);
        let mut p = PeerRecords::new(1000, 3, at(30), at(0));
        let ok = (0..10).filter(|i| p.add([1; 32], key(*i), Bytes::new(), host, &mut rng, at(0))).count();
        assert_eq!(ok, 3);
        p.remove(&[1; 32], &key(0));
        assert_eq!(p.len(), 2);
    }

    #[test]
    fn one_host_hides_nobody_on_a_topic() {
        let mut entropy: Entropy = Box::new(|b: &mut [u8]| b.fill(7));
        let mut rng = Rng::new(&mut entropy);
        let at = Duration::from_secs;
        let key = |n: u32| {
            let mut k = [0; 32];
            k[..4].copy_from_slice(&n.to_le_bytes());
            k
        };
        let (liar, neighbour, honest) =
            (Ipv4Addr::new(6, 6, 6, 6), Ipv4Addr::new(6, 6, 6, 7), Ipv4Addr::new(1, 2, 3, 4));
        let value = |n: u32| Bytes::copy_from_slice(&n.to_le_bytes());
        let mut p = PeerRecords::new(65_536, 4096, at(1200), at(0));
        let mut add = |p: &mut PeerRecords, n: u32, host| {
            assert!(p.add([1; 32], key(n), value(n), host, &mut rng, at(0)));
        };
        add(&mut p, 1, honest);
        add(&mut p, 2, liar);
        (1000..5000).for_each(|n| add(&mut p, n, liar));
        // These come when it is full already.
        add(&mut p, 3, honest);
        add(&mut p, 4, neighbour);
        (5000..6000).for_each(|n| add(&mut p, n, liar));
        for _ in 0..20 {
            let some = p.get(&[1; 32], 20, &mut rng, at(1));
            assert_eq!(some.len(), 20);
            for n in [1, 3, 4] {
                assert!(some.contains(&value(n)), "{n} is hidden");
            }
        }
        let all = p.get(&[1; 32], usize::MAX, &mut rng, at(1));
        assert_eq!(all.len(), MAX_PER_TOPIC);
        assert!(all.contains(&value(2)), "who came first on a host stays");
    }
}
