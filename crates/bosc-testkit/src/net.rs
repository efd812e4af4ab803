//! Datagrams between socket addresses in virtual time, over links that lose, delay, duplicate, reorder, damage and
//! throttle them.
//!
//! [`Simulator`] is a clock and a queue. A test sends datagrams ([`Simulator::send`]) and sets alarms
//! ([`Simulator::wake`]); [`Simulator::next`] moves the clock to the next thing that happens and returns it. Things at
//! the same instant happen in the order they were asked for. The same seed and calls give the same run.
//!
//! A link is a direction between two addresses: one found by [`Simulator::set_link`], else by
//! [`Simulator::set_node`] of the sender, else of the receiver, else the default.

use crate::rng::Rng;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How one direction of a link treats datagrams. Probabilities are 0.0 to 1.0.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// Time every datagram takes.
    pub delay: Duration,
    /// Up to this much is added, evenly. Datagrams may pass each other if `keep_order` is false.
    pub jitter: Duration,
    /// Jitter never lets a datagram pass another one.
    pub keep_order: bool,
    /// Probability to be lost.
    pub loss: f64,
    /// Probability to arrive twice.
    pub duplicate: f64,
    /// Probability to be held back by up to `reorder_delay`.
    pub reorder: f64,
    /// See `reorder`.
    pub reorder_delay: Duration,
    /// Probability that one to three bits are flipped.
    pub corrupt: f64,
    /// Bytes a second; none is unlimited.
    pub rate: Option<u64>,
    /// With `rate`: bytes that may wait before the bottleneck; more are dropped.
    pub queue: usize,
    /// With `rate`: all links of the same number share one bottleneck.
    pub bottleneck: Option<u32>,
    /// Larger datagrams are dropped without a word.
    pub mtu: usize,
    /// Bytes every datagram costs on the link beyond its payload (IP and UDP headers), for `rate`, `queue` and `mtu`.
    pub overhead: usize,
}

impl Default for LinkConfig {
    /// A perfect link of 1 ms.
    fn default() -> Self {
        LinkConfig {
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            keep_order: true,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::ZERO,
            corrupt: 0.0,
            rate: None,
            queue: 256 * 1024,
            bottleneck: None,
            mtu: 1500,
            overhead: 28,
        }
    }
}

impl LinkConfig {
    /// A perfect link of this delay.
    pub fn delay(delay: Duration) -> Self {
        LinkConfig { delay, ..LinkConfig::default() }
    }

    /// Everything that can go wrong does, in moderation: loss, duplicates, reordering, bit flips, jitter.
    pub fn hostile(delay: Duration) -> Self {
        LinkConfig {
            delay,
            jitter: delay / 2,
            keep_order: false,
            loss: 0.05,
            duplicate: 0.02,
            reorder: 0.05,
            reorder_delay: delay * 3,
            corrupt: 0.01,
            ..LinkConfig::default()
        }
    }
}

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub from: SocketAddr,
    /// Where it arrived.
    pub to: SocketAddr,
    /// What arrived, bit flips included.
    pub payload: Vec<u8>,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A datagram arrives.
    Datagram(Delivery),
    /// An alarm rings.
    Wake {
        /// What [`Simulator::wake`] was given.
        token: u64,
    },
}

/// What became of the datagrams so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetStats {
    /// Handed to [`Simulator::send`].
    pub sent: u64,
    /// Their payload bytes.
    pub sent_bytes: u64,
    /// Arrived, duplicates included.
    pub delivered: u64,
    /// Lost at random.
    pub lost: u64,
    /// Lost because the bottleneck's queue was full.
    pub overflowed: u64,
    /// Lost because they were too large.
    pub oversized: u64,
    /// Lost because of a partition.
    pub cut: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delivered with flipped bits.
    pub corrupted: u64,
}

#[derive(Debug, Default)]
struct LinkState {
    last_arrival: Duration,
}

/// What waits in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Bottleneck {
    Link(SocketAddr, SocketAddr),
    Shared(u32),
}

#[derive(Debug)]
struct Queued {
    at: Duration,
    order: u64,
    what: Occurrence,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The network and its clock.
#[derive(Debug)]
pub struct Simulator {
    now: Duration,
    rng: Rng,
    default: LinkConfig,
    nodes: HashMap<SocketAddr, LinkConfig>,
    links: HashMap<(SocketAddr, SocketAddr), LinkConfig>,
    states: HashMap<(SocketAddr, SocketAddr), LinkState>,
    busy_until: HashMap<Bottleneck, Duration>,
    isolated: HashSet<SocketAddr>,
    cuts: BTreeSet<(SocketAddr, SocketAddr)>,
    queue: BinaryHeap<Reverse<Queued>>,
    next_order: u64,
    stats: NetStats,
}

impl Simulator {
    /// An empty network at time zero.
    pub fn new(seed: u64, default: LinkConfig) -> Self {
        Simulator {
            now: Duration::ZERO,
            rng: Rng::new(seed),
            default,
            nodes: HashMap::new(),
            links: HashMap::new(),
            states: HashMap::new(),
            busy_until: HashMap::new(),
            isolated: HashSet::new(),
            cuts: BTreeSet::new(),
            queue: BinaryHeap::new(),
            next_order: 0,
            stats: NetStats::default(),
        }
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// What became of the datagrams so far.
    pub fn stats(&self) -> NetStats {
        self.stats
    }

    /// The network's generator, for decisions of the test that belong to the same seed.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Replaces the config of every link that has none of its own.
    pub fn set_default(&mut self, config: LinkConfig) {
        self.default = config;
    }

    /// The config of what this address sends and receives, unless a link says otherwise.
    pub fn set_node(&mut self, node: SocketAddr, config: LinkConfig) {
        self.nodes.insert(node, config);
    }

    /// The config of one direction.
    pub fn set_link(&mut self, from: SocketAddr, to: SocketAddr, config: LinkConfig) {
        self.links.insert((from, to), config);
    }

    /// Cuts an address off from everyone, or joins it again. Datagrams on their way to it are lost on arrival.
    pub fn isolate(&mut self, node: SocketAddr, cut: bool) {
        if cut {
            self.isolated.insert(node);
        } else {
            self.isolated.remove(&node);
        }
    }

    /// Cuts one direction, or opens it again.
    pub fn cut(&mut self, from: SocketAddr, to: SocketAddr, cut: bool) {
        if cut {
            self.cuts.insert((from, to));
        } else {
            self.cuts.remove(&(from, to));
        }
    }

    /// Cuts every direction between the two groups, or opens them again.
    pub fn partition(&mut self, left: &[SocketAddr], right: &[SocketAddr], cut: bool) {
        for &a in left {
            for &b in right {
                self.cut(a, b, cut);
                self.cut(b, a, cut);
            }
        }
    }

    /// Sends one datagram now.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: impl Into<Vec<u8>>) {
        let mut payload = payload.into();
        self.stats.sent += 1;
        self.stats.sent_bytes += payload.len() as u64;
        if self.is_cut(from, to) {
            self.stats.cut += 1;
            return;
        }
        let config = self.link(from, to).clone();
        let size = payload.len() + config.overhead;
        if size > config.mtu {
            self.stats.oversized += 1;
            return;
        }
        let state = self.states.entry((from, to)).or_default();
        let mut leaves = self.now;
        if let Some(rate) = config.rate {
            let line = config.bottleneck.map_or(Bottleneck::Link(from, to), Bottleneck::Shared);
            let busy_until = self.busy_until.entry(line).or_default();
            let start = (*busy_until).max(self.now);
            let waiting = (start - self.now).as_secs_f64() * rate as f64;
            if waiting > config.queue as f64 {
                self.stats.overflowed += 1;
                return;
            }
            leaves = start + Duration::from_secs_f64(size as f64 / rate.max(1) as f64);
            *busy_until = leaves;
        }
        if self.rng.chance(config.loss) {
            self.stats.lost += 1;
            return;
        }
        let mut at = leaves + config.delay + self.rng.duration(config.jitter);
        if config.keep_order {
            at = at.max(state.last_arrival);
            state.last_arrival = at;
        }
        if self.rng.chance(config.reorder) {
            at += self.rng.duration(config.reorder_delay);
        }
        if self.rng.chance(config.duplicate) {
            self.stats.duplicated += 1;
            let again = at + self.rng.duration(config.delay.max(Duration::from_micros(10)));
            self.push(again, Occurrence::Datagram(Delivery { from, to, payload: payload.clone() }));
        }
        if !payload.is_empty() && self.rng.chance(config.corrupt) {
            self.stats.corrupted += 1;
            for _ in 0..self.rng.range(1, 3) {
                let (position, bit) = (self.rng.index(payload.len()), self.rng.below(8));
                if let Some(byte) = payload.get_mut(position) {
                    *byte ^= 1 << bit;
                }
            }
        }
        self.push(at, Occurrence::Datagram(Delivery { from, to, payload }));
    }

    /// Rings at `at` (at once if that is past). Alarms cannot be taken back; the test ignores those it no longer wants.
    pub fn wake(&mut self, at: Duration, token: u64) {
        self.push(at.max(self.now), Occurrence::Wake { token });
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(queued)| queued.at)
    }

    /// Moves the clock to the next thing that happens and returns it; none if nothing is left.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is a clock, not a sequence: sending changes what comes"
    )]
    pub fn next(&mut self) -> Option<Occurrence> {
        self.pop(Duration::MAX)
    }

    /// As [`Simulator::next`], but not beyond `limit`: then the clock stands at `limit` and the answer is none.
    pub fn next_until(&mut self, limit: Duration) -> Option<Occurrence> {
        let what = self.pop(limit);
        if what.is_none() {
            self.now = self.now.max(limit);
        }
        what
    }

    fn pop(&mut self, limit: Duration) -> Option<Occurrence> {
        while self.next_at().is_some_and(|at| at <= limit) {
            let Reverse(queued) = self.queue.pop()?;
            self.now = self.now.max(queued.at);
            if let Occurrence::Datagram(delivery) = &queued.what {
                if self.is_cut(delivery.from, delivery.to) {
                    self.stats.cut += 1;
                    continue;
                }
                self.stats.delivered += 1;
            }
            return Some(queued.what);
        }
        None
    }

    fn is_cut(&self, from: SocketAddr, to: SocketAddr) -> bool {
        self.isolated.contains(&from) || self.isolated.contains(&to) || self.cuts.contains(&(from, to))
    }

    fn link(&self, from: SocketAddr, to: SocketAddr) -> &LinkConfig {
        self.links
            .get(&(from, to))
            .or_else(|| self.nodes.get(&from))
            .or_else(|| self.nodes.get(&to))
            .unwrap_or(&self.default)
    }

    fn push(&mut self, at: Duration, what: Occurrence) {
        let order = self.next_order;
        self.next_order += 1;
        self.queue.push(Reverse(Queued { at, order, what }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn run(seed: u64, config: LinkConfig, count: usize) -> (Vec<(Duration, Occurrence)>, NetStats) {
        let mut net = Simulator::new(seed, config);
        for i in 0..count {
            net.send(addr(1), addr(2), vec![i as u8; 100]);
        }
        let mut out = Vec::new();
        while let Some(what) = net.next() {
            out.push((net.now(), what));
        }
        (out, net.stats())
    }

    #[test]
    fn a_perfect_link_delivers_all_in_order() {
        let (out, stats) = run(1, LinkConfig::default(), 50);
        assert_eq!(stats.delivered, 50);
        for (i, (at, what)) in out.iter().enumerate() {
            assert_eq!(*at, Duration::from_millis(1));
            let Occurrence::Datagram(d) = what else { panic!("no alarm was set") };
            assert_eq!(d.payload, vec![i as u8; 100]);
        }
    }

    #[test]
    fn the_seed_decides_everything() {
        let hostile = LinkConfig::hostile(Duration::from_millis(10));
        let (a, stats) = run(3, hostile.clone(), 2000);
        assert_eq!(a, run(3, hostile.clone(), 2000).0);
        assert_ne!(a, run(4, hostile, 2000).0);
        assert!(stats.lost > 50 && stats.duplicated > 10 && stats.corrupted > 5);
        assert!(a.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn rate_and_queue_make_a_bottleneck() {
        let config = LinkConfig { rate: Some(128_000), queue: 12_800, overhead: 28, ..LinkConfig::default() };
        let (out, stats) = run(1, config, 500);
        // 128 bytes each at 128,000 a second: one a millisecond, about a hundred wait.
        assert_eq!(stats.delivered, 101, "{stats:?}");
        assert_eq!(stats.overflowed, 399);
        assert_eq!(out.last().map(|(at, _)| *at), Some(Duration::from_millis(102)));
    }

    #[test]
    fn cuts_lose_what_is_on_its_way_and_alarms_ring() {
        let mut net = Simulator::new(1, LinkConfig::default());
        net.send(addr(1), addr(2), vec![1]);
        net.isolate(addr(2), true);
        net.wake(Duration::from_millis(5), 9);
        assert_eq!(net.next_until(Duration::from_millis(3)), None);
        assert_eq!(net.now(), Duration::from_millis(3));
        assert_eq!(net.next(), Some(Occurrence::Wake { token: 9 }));
        net.isolate(addr(2), false);
        net.partition(&[addr(1)], &[addr(2)], true);
        net.send(addr(2), addr(1), vec![2]);
        net.partition(&[addr(1)], &[addr(2)], false);
        net.send(addr(1), addr(2), vec![3]);
        net.send(addr(1), addr(2), vec![0; 1600]);
        let Some(Occurrence::Datagram(d)) = net.next() else { panic!("a datagram was sent") };
        assert_eq!(d.payload, [3]);
        assert_eq!(net.next(), None);
        let stats = net.stats();
        assert_eq!((stats.cut, stats.oversized, stats.delivered), (2, 1, 1));
    }
}
