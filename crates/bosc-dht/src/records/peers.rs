//! The peers announced on topics: a set per topic, two generations (npm `record-cache`).
//!
//! Differences from the JavaScript module, on purpose: announcing again replaces the record at once; a topic
//! holds at most [`MAX_PER_TOPIC`] records per generation, over which a new one takes the place of a random
//! one; and a host has a share.

use crate::rng::Rng;
use bosc_format::crypto::PublicKey;
use bytes::Bytes;
use std::collections::HashMap;
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
        let old = list.swap_remove(at);
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
            let at = rng.index(list.len());
            list.get_mut(at).map(|old| std::mem::replace(old, record))
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

    /// At most `n` records of a topic, a random choice when there are more.
    pub(crate) fn get(&mut self, topic: &[u8; 32], n: usize, rng: &mut Rng, now: Duration) -> Vec<Bytes> {
        self.advance(now);
        let list = |g: &Generation| g.topics.get(topic).map_or(0, Vec::len);
        let (a, b) = (list(&self.fresh), list(&self.stale));
        let mut order: Vec<usize> = (0..a + b).collect();
        let n = n.min(order.len());
        let mut out = Vec::with_capacity(n);
        for i in 0..n {
            let j = i + rng.index(order.len() - i);
            order.swap(i, j);
            let Some(at) = order.get(i).copied() else { break };
            let (from, at) = if at < a { (&self.fresh, at) } else { (&self.stale, at - a) };
            if let Some(r) = from.topics.get(topic).and_then(|l| l.get(at)) {
                out.push(r.value.clone());
            }
        }
        out
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
}
