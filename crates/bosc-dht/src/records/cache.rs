//! A map bounded in count, bytes and age by two generations (npm `xache`).
//!
//! New entries go to the fresh generation. When it is full, or every two thirds of the maximum age, it
//! becomes the old one and what was old is dropped. Reading an entry makes it fresh again. So an entry
//! nobody reads lives between 2/3 and 4/3 of the maximum age, and at most twice the bounds are held.
//! Retained entries stay until they are removed.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::Duration;

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    source: Option<Ipv4Addr>,
}

#[derive(Debug)]
struct Generation<K, V> {
    map: HashMap<K, Entry<V>>,
    sources: HashMap<Ipv4Addr, usize>,
    bytes: usize,
}

impl<K: Eq + Hash, V> Generation<K, V> {
    fn new() -> Self {
        Self { map: HashMap::new(), sources: HashMap::new(), bytes: 0 }
    }

    fn insert(&mut self, key: K, entry: Entry<V>) {
        self.bytes += entry.bytes;
        if let Some(host) = entry.source {
            *self.sources.entry(host).or_insert(0) += 1;
        }
        if let Some(old) = self.map.insert(key, entry) {
            self.forget(&old);
        }
    }

    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let old = self.map.remove(key)?;
        self.forget(&old);
        Some(old)
    }

    fn forget(&mut self, old: &Entry<V>) {
        self.bytes = self.bytes.saturating_sub(old.bytes);
        let Some(host) = old.source else { return };
        if let Some(n) = self.sources.get_mut(&host) {
            *n -= 1;
            if *n == 0 {
                self.sources.remove(&host);
            }
        }
    }

    fn of(&self, host: Ipv4Addr) -> usize {
        self.sources.get(&host).copied().unwrap_or(0)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    fresh: Generation<K, V>,
    old: Generation<K, V>,
    retained: HashMap<K, V>,
    max: usize,
    max_bytes: usize,
    max_per_source: usize,
    period: Duration,
    turned: Duration,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// At most `max` entries in a generation; `max_age` zero means entries do not age.
    pub(crate) fn new(max: usize, max_age: Duration, now: Duration) -> Self {
        Self {
            fresh: Generation::new(),
            old: Generation::new(),
            retained: HashMap::new(),
            max: max.max(1),
            max_bytes: usize::MAX,
            max_per_source: usize::MAX,
            period: max_age * 2 / 3,
            turned: now,
        }
    }

    /// Bounds the bytes of a generation, and the entries one host may have in it.
    pub(crate) fn bounded(mut self, max_bytes: usize, max_per_source: usize) -> Self {
        self.max_bytes = max_bytes;
        self.max_per_source = max_per_source;
        self
    }

    fn advance(&mut self, now: Duration) {
        if self.period.is_zero() {
            return;
        }
        let late = now.saturating_sub(self.turned);
        if late >= self.period {
            self.turn();
            if late >= self.period.saturating_mul(2) {
                self.turn();
            }
            self.turned = now;
        }
    }

    fn turn(&mut self) {
        self.old = std::mem::replace(&mut self.fresh, Generation::new());
    }

    /// Keeps `value` under `key`, for nobody in particular.
    pub(crate) fn set(&mut self, key: K, value: V, now: Duration) {
        self.set_from(key, value, 0, None, now);
    }

    /// Keeps `value` of `bytes` under `key` for `source`. False when the host already has its share; what
    /// was kept stays. A retained entry is never replaced.
    pub(crate) fn set_from(
        &mut self,
        key: K,
        value: V,
        bytes: usize,
        source: Option<Ipv4Addr>,
        now: Duration,
    ) -> bool {
        self.advance(now);
        if self.retained.contains_key(&key) {
            return true;
        }
        if let Some(host) = source
            && !self.fresh.map.contains_key(&key)
            && self.fresh.of(host) + self.old.of(host) >= self.max_per_source
            && !self.old.map.contains_key(&key)
        {
            return false;
        }
        self.old.remove(&key);
        self.fresh.insert(key, Entry { value, bytes, source });
        if self.fresh.map.len() >= self.max || self.fresh.bytes >= self.max_bytes {
            self.turn();
        }
        true
    }

    /// Keeps `value` until it is removed, whatever others store under `key`.
    pub(crate) fn retain(&mut self, key: K, value: V) {
        self.fresh.remove(&key);
        self.old.remove(&key);
        self.retained.insert(key, value);
    }

    /// The value under `key`; reading makes it fresh.
    pub(crate) fn get(&mut self, key: &K, now: Duration) -> Option<&V> {
        self.advance(now);
        if let Some(entry) = self.old.remove(key) {
            self.fresh.insert(key.clone(), entry);
        }
        self.fresh.map.get(key).map(|e| &e.value).or_else(|| self.retained.get(key))
    }

    /// Drops the value under `key`.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.fresh.remove(key).is_some()
            | self.old.remove(key).is_some()
            | self.retained.remove(key).is_some()
    }

    /// Drops the value under `key` unless it is retained.
    pub(crate) fn remove_passing(&mut self, key: &K) -> bool {
        self.fresh.remove(key).is_some() | self.old.remove(key).is_some()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.fresh.map.len() + self.old.map.len() + self.retained.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn unread_entries_age_out_and_read_ones_stay() {
        let mut c: Cache<u8, u8> = Cache::new(100, at(30), at(0));
        c.set(1, 1, at(0));
        c.set(2, 2, at(0));
        assert_eq!(c.get(&1, at(21)), Some(&1));
        assert_eq!(c.get(&1, at(41)), Some(&1));
        assert_eq!(c.get(&2, at(42)), None);
        assert_eq!(c.get(&1, at(1000)), None);
        c.retain(3, 3);
        c.set(3, 9, at(1000));
        assert_eq!(c.get(&3, at(100_000)), Some(&3));
        assert!(c.remove(&3) && !c.remove(&3));
    }

    #[test]
    fn count_bytes_and_shares_are_bounded() {
        let mut c: Cache<u32, ()> = Cache::new(10, at(0), at(0));
        for i in 0..1000 {
            c.set(i, (), at(0));
        }
        assert!(c.len() <= 20);
        let mut c: Cache<u32, ()> = Cache::new(1000, at(0), at(0)).bounded(100, usize::MAX);
        for i in 0..1000 {
            c.set_from(i, (), 10, None, at(0));
            assert!(c.fresh.bytes + c.old.bytes <= 200);
        }
        let (a, b) = (Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2));
        let mut c: Cache<u32, ()> = Cache::new(1000, at(0), at(0)).bounded(usize::MAX, 2);
        assert!(c.set_from(1, (), 1, Some(a), at(0)));
        assert!(c.set_from(2, (), 1, Some(a), at(0)));
        assert!(!c.set_from(3, (), 1, Some(a), at(0)));
        assert!(c.set_from(2, (), 1, Some(a), at(0)), "renewing is no new entry");
        assert!(c.set_from(3, (), 1, Some(b), at(0)));
        assert!(c.remove(&1));
        assert!(c.set_from(4, (), 1, Some(a), at(0)));
    }
}
