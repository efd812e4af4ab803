//! Packets passed on between two streams of others, as `relayTo` of udx-native does: a relay rewrites the stream id and nothing else.
//! It sees headers and ciphertext, keeps no order, acknowledges nothing and repeats nothing; that is between the two ends.
//!
//! ```text
//!   left's packets, to id L  ──▶  stream id := the right end's own  ──▶  the right end
//!   right's packets, to id R ──▶  stream id := the left end's own   ──▶  the left end
//! ```
//!
//! A pair's life: [`RelayTable::add`] → packets → [`RelayTable::remove`], or [`RelayTable::poll_over`] says that it is over: idle for
//! [`RelayLimits::idle`], more than [`RelayLimits::bytes`] passed, or a DESTROY passed and [`LINGER`] went by.
//!
//! Invariants:
//! * Packets for an end are taken only from the host that its owner named: who guesses a stream id can neither feed a pair nor have it
//!   send to a third host. So nothing is ever sent to a host that has not proved itself to the owner.
//! * What leaves for one datagram that came in is that datagram, once: nothing is amplified.
//! * A pair passes [`RelayLimits::rate`] bytes a second, and all pairs together [`RelayLimits::total_rate`]. What is above waits its turn,
//!   [`HOLD`] of it, as before a slow line, and is dropped beyond that: the ends take both for what they are, and slow down. A pair that
//!   does not use its rate leaves it to others, no pair takes more than its own, and pairs that wait take turns.
//! * What waits for a rate is bounded by [`HELD`] bytes, what waits to be sent by [`QUEUE`].

use crate::event::SocketTag;
use crate::header::{self, Header, flags};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of all pairs that wait for a rate.
const HELD: usize = 16 << 20;
/// How much of its rate may wait in one direction of a pair.
const HOLD: Duration = Duration::from_millis(100);
/// What may wait there in any case.
const LEAST_HELD: u64 = 32 << 10;
/// Least time between two looks at what waits.
const RELEASE_EVERY: Duration = Duration::from_millis(2);
/// Bytes that wait for [`RelayTable::poll_transmit`].
const QUEUE: usize = 4 << 20;
/// Bytes sent with one call: what a UDP datagram could be at most.
const RUN: usize = 60_000;
/// How long a pair is passed on after one end has destroyed its stream: the answers to that go the same way.
const LINGER: Duration = Duration::from_secs(5);
/// This part of a second's worth may pass at once, and [`LEAST_BURST`] in any case.
const BURST_DIVISOR: u64 = 20;
const LEAST_BURST: u64 = 16 << 10;

/// Bounds on what is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Bytes a second of one pair, both directions together; 0: any.
    pub rate: u64,
    /// Bytes a second of all pairs; 0: any.
    pub total_rate: u64,
    /// Bytes of one pair in its life; 0: any.
    pub bytes: u64,
    /// A pair over which nothing passed for so long is over.
    pub idle: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { rate: 0, total_rate: 0, bytes: 0, idle: Duration::from_secs(60) }
    }
}

/// One end of a pair, as its owner knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayEnd {
    /// Packets for it carry this id: one of the node's own stream ids, that no stream has.
    pub local_id: u32,
    /// The id that the end has given to its stream.
    pub remote_id: u32,
    /// Where the end is: its host is the only one whose packets are taken. Its port is where its first packet comes from.
    pub socket: SocketTag,
    /// See `socket`.
    pub at: SocketAddr,
}

/// Why a pair is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayOver {
    /// Nothing passed for [`RelayLimits::idle`].
    Idle,
    /// [`RelayLimits::bytes`] have passed.
    Bytes,
    /// One end has destroyed its stream.
    Destroyed,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayStats {
    /// Bytes passed on, UDX headers included.
    pub bytes: u64,
    /// Packets passed on.
    pub packets: u64,
    /// Packets dropped: too many wait for a rate, or to be sent.
    pub dropped: u64,
    /// Packets refused: from another host than the end's.
    pub strangers: u64,
}

/// A token bucket of bytes.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: u64,
    level: u64,
    at: Duration,
}

impl Bucket {
    fn new(rate: u64, now: Duration) -> Self {
        Self { rate, level: Self::burst(rate), at: now }
    }

    fn burst(rate: u64) -> u64 {
        (rate / BURST_DIVISOR).max(LEAST_BURST)
    }

    fn fill(&mut self, now: Duration) {
        let micros = u64::try_from(now.saturating_sub(self.at).as_micros()).unwrap_or(u64::MAX);
        let more = self.rate.saturating_mul(micros.min(1_000_000)) / 1_000_000;
        // Time is kept where it is too short for a byte.
        if more > 0 {
            self.level = self.level.saturating_add(more).min(Self::burst(self.rate));
            self.at = now;
        }
    }

    fn has(&mut self, bytes: u64, now: Duration) -> bool {
        if self.rate == 0 {
            return true;
        }
        self.fill(now);
        self.level >= bytes.min(Self::burst(self.rate))
    }

    /// When so many bytes may pass.
    fn when(&self, bytes: u64, now: Duration) -> Duration {
        if self.rate == 0 || self.level >= bytes {
            return now;
        }
        let micros = (bytes - self.level).saturating_mul(1_000_000) / self.rate;
        self.at.max(now).saturating_add(Duration::from_micros(micros.saturating_add(1)))
    }

    fn take(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(bytes);
    }
}

#[derive(Debug)]
struct End {
    pair: u64,
    right: bool,
    remote_id: u32,
    socket: SocketTag,
    at: SocketAddr,
    /// A packet of its came: `at` is where it is, and not only where it should be.
    seen: bool,
}

#[derive(Debug)]
struct Pair {
    ends: [u32; 2],
    bytes: u64,
    bucket: Bucket,
    last: Duration,
    destroyed: Option<Duration>,
    /// What waits for a rate, of the left end and of the right one.
    held: [VecDeque<Vec<u8>>; 2],
    held_bytes: [usize; 2],
    /// Whose turn it is.
    turn: bool,
    /// When it is looked at next.
    timer: Duration,
}

/// Datagrams of one length for one place.
#[derive(Debug)]
struct Run {
    socket: SocketTag,
    to: SocketAddr,
    segment: usize,
    bytes: Vec<u8>,
}

/// The pairs of a node. See the module's documentation.
#[derive(Debug)]
pub struct RelayTable {
    limits: RelayLimits,
    ends: HashMap<u32, End>,
    pairs: BTreeMap<u64, Pair>,
    timers: BTreeSet<(Duration, u64)>,
    total: Bucket,
    runs: VecDeque<Run>,
    queued: usize,
    /// Pairs of which something waits for a rate, in the order of their turns.
    holding: VecDeque<u64>,
    held: usize,
    release_at: Option<Duration>,
    over: VecDeque<(u64, RelayOver)>,
    stats: RelayStats,
}

impl RelayTable {
    /// Without pairs.
    pub fn new(limits: RelayLimits, now: Duration) -> Self {
        Self {
            limits,
            ends: HashMap::new(),
            pairs: BTreeMap::new(),
            timers: BTreeSet::new(),
            total: Bucket::new(limits.total_rate, now),
            runs: VecDeque::new(),
            queued: 0,
            holding: VecDeque::new(),
            held: 0,
            release_at: None,
            over: VecDeque::new(),
            stats: RelayStats::default(),
        }
    }

    /// Whether an end has this id.
    pub fn has_id(&self, id: u32) -> bool {
        self.ends.contains_key(&id)
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// No pairs.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Counters since the start.
    pub fn stats(&self) -> RelayStats {
        self.stats
    }

    /// Begins to pass packets between two ends. `pair` is the owner's name for them. False, and nothing changes, when the pair or one of the ids exists.
    pub fn add(&mut self, pair: u64, left: RelayEnd, right: RelayEnd, now: Duration) -> bool {
        let taken = self.has_id(left.local_id) || self.has_id(right.local_id);
        if taken || left.local_id == right.local_id || self.pairs.contains_key(&pair) {
            return false;
        }
        for (end, is_right) in [(left, false), (right, true)] {
            let RelayEnd { local_id, remote_id, socket, at } = end;
            let at = crate::stream::canonical(at);
            self.ends.insert(local_id, End { pair, right: is_right, remote_id, socket, at, seen: false });
        }
        let timer = now.saturating_add(self.limits.idle);
        let bucket = Bucket::new(self.limits.rate, now);
        let ends = [left.local_id, right.local_id];
        let made = Pair {
            ends,
            bytes: 0,
            bucket,
            last: now,
            destroyed: None,
            held: Default::default(),
            held_bytes: [0; 2],
            turn: false,
            timer,
        };
        self.pairs.insert(pair, made);
        self.timers.insert((timer, pair));
        true
    }

    /// Ends a pair: its packets are nobody's from now on. Gives the bytes that it passed on; none when there is no such pair.
    pub fn remove(&mut self, pair: u64) -> Option<u64> {
        let p = self.pairs.remove(&pair)?;
        self.timers.remove(&(p.timer, pair));
        self.held = self.held.saturating_sub(p.held_bytes.iter().sum());
        self.holding.retain(|other| *other != pair);
        for id in p.ends {
            self.ends.remove(&id);
        }
        Some(p.bytes)
    }

    /// Takes a datagram. False when it is not for an end.
    pub fn handle_datagram(
        &mut self,
        socket: SocketTag,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> bool {
        let Some(head) = Header::decode(datagram) else { return false };
        let Some(end) = self.ends.get_mut(&head.stream_id) else { return false };
        let from = crate::stream::canonical(from);
        if from.ip() != end.at.ip() || from.port() == 0 {
            self.stats.strangers += 1;
            return true;
        }
        if !end.seen {
            (end.seen, end.socket, end.at) = (true, socket, from);
        }
        let (name, right) = (end.pair, end.right);
        let Some(pair) = self.pairs.get_mut(&name) else { return true };
        pair.last = now;
        if head.flags & flags::DESTROY != 0 && pair.destroyed.is_none() {
            pair.destroyed = Some(now);
            self.timers.remove(&(pair.timer, name));
            pair.timer = now.saturating_add(LINGER);
            self.timers.insert((pair.timer, name));
        }
        let len = datagram.len() as u64;
        let free = pair.held.iter().all(VecDeque::is_empty);
        if free && self.holding.is_empty() && self.total.has(len, now) && pair.bucket.has(len, now) {
            self.pass(name, right, datagram);
        } else {
            self.hold(name, right, datagram, now);
        }
        true
    }

    /// Keeps a datagram until the rates allow it, or drops it.
    fn hold(&mut self, name: u64, right: bool, datagram: &[u8], now: Duration) {
        let Some(pair) = self.pairs.get_mut(&name) else { return };
        let rate = if self.limits.rate > 0 { self.limits.rate } else { self.limits.total_rate };
        let most = (rate.saturating_mul(HOLD.as_millis() as u64) / 1000).max(LEAST_HELD);
        let [left_bytes, right_bytes] = &mut pair.held_bytes;
        let [left_held, right_held] = &mut pair.held;
        let (bytes, held) = if right { (right_bytes, right_held) } else { (left_bytes, left_held) };
        let after = bytes.saturating_add(datagram.len());
        if after as u64 > most || self.held.saturating_add(datagram.len()) > HELD {
            self.stats.dropped += 1;
            return;
        }
        *bytes = after;
        held.push_back(datagram.to_vec());
        self.held += datagram.len();
        if !self.holding.contains(&name) {
            self.holding.push_back(name);
        }
        self.release_at.get_or_insert(now.saturating_add(RELEASE_EVERY));
    }

    /// Passes what the rates allow by now of what waits, a packet of each pair in turn.
    fn release(&mut self, now: Duration) {
        self.release_at = None;
        // Pairs in a row that had to wait.
        let mut waiting = 0;
        let mut next = None;
        while waiting < self.holding.len()
            && let Some(name) = self.holding.pop_front()
        {
            let Some(pair) = self.pairs.get_mut(&name) else { continue };
            let [left, right] = &pair.held;
            let from_right = if pair.turn { !right.is_empty() } else { left.is_empty() };
            let Some(len) = (if from_right { right } else { left }).front().map(Vec::len) else { continue };
            if !self.total.has(len as u64, now) || !pair.bucket.has(len as u64, now) {
                let at = pair.bucket.when(len as u64, now).max(self.total.when(len as u64, now));
                next = Some(next.map_or(at, |n: Duration| n.min(at)));
                self.holding.push_back(name);
                waiting += 1;
                continue;
            }
            waiting = 0;
            pair.turn = !from_right;
            let [left, right] = &mut pair.held;
            let Some(datagram) = (if from_right { right } else { left }).pop_front() else { continue };
            let [left_bytes, right_bytes] = &mut pair.held_bytes;
            let bytes = if from_right { right_bytes } else { left_bytes };
            *bytes = bytes.saturating_sub(len);
            self.held = self.held.saturating_sub(len);
            if pair.held.iter().any(|h| !h.is_empty()) {
                self.holding.push_back(name);
            }
            self.pass(name, from_right, &datagram);
        }
        self.release_at = next.map(|at| at.max(now.saturating_add(RELEASE_EVERY)));
    }

    /// Passes a datagram on, and counts it.
    fn pass(&mut self, name: u64, right: bool, datagram: &[u8]) {
        let len = datagram.len() as u64;
        let Some(pair) = self.pairs.get_mut(&name) else { return };
        let [left_id, right_id] = pair.ends;
        let Some(to) = self.ends.get(if right { &left_id } else { &right_id }) else { return };
        if self.queued.saturating_add(datagram.len()) > QUEUE {
            self.stats.dropped += 1;
            return;
        }
        self.total.take(len);
        pair.bucket.take(len);
        pair.bytes = pair.bytes.saturating_add(len);
        let spent = self.limits.bytes > 0 && pair.bytes >= self.limits.bytes;
        self.stats.bytes += len;
        self.stats.packets += 1;
        let (socket, at, id) = (to.socket, to.at, to.remote_id);
        self.push(socket, at, id, datagram);
        if spent {
            self.end(name, RelayOver::Bytes);
        }
    }

    /// Queues a datagram under another stream id, behind those of the same length for the same place.
    fn push(&mut self, socket: SocketTag, to: SocketAddr, id: u32, datagram: &[u8]) {
        let len = datagram.len();
        self.queued += len;
        let fits = |r: &&mut Run| {
            let whole = r.bytes.len().is_multiple_of(r.segment.max(1));
            r.socket == socket && r.to == to && len <= r.segment && whole && r.bytes.len() + len <= RUN
        };
        let run = match self.runs.back_mut().filter(fits) {
            Some(run) => run,
            None => {
                self.runs.push_back(Run { socket, to, segment: len, bytes: Vec::with_capacity(len) });
                match self.runs.back_mut() {
                    Some(run) => run,
                    None => return,
                }
            }
        };
        let start = run.bytes.len();
        run.bytes.extend_from_slice(datagram);
        if let Some(copy) = run.bytes.get_mut(start..) {
            header::set_stream_id(copy, id);
        }
    }

    /// Writes the next datagrams to send into `out`, which is emptied: up to `max` for one place, each as long as the number returned
    /// but perhaps the last.
    pub fn poll_transmit(&mut self, max: usize, out: &mut Vec<u8>) -> Option<(SocketTag, SocketAddr, usize)> {
        out.clear();
        let run = self.runs.front_mut()?;
        let (socket, to, segment) = (run.socket, run.to, run.segment);
        let most = segment.saturating_mul(max.max(1));
        if run.bytes.len() <= most {
            std::mem::swap(out, &mut run.bytes);
            self.runs.pop_front();
        } else {
            out.extend(run.bytes.drain(..most));
        }
        self.queued = self.queued.saturating_sub(out.len());
        Some((socket, to, segment))
    }

    /// A pair that is over, and why. It is not in the table any more.
    pub fn poll_over(&mut self) -> Option<(u64, RelayOver)> {
        self.over.pop_front()
    }

    fn end(&mut self, pair: u64, why: RelayOver) {
        if self.remove(pair).is_some() {
            self.over.push_back((pair, why));
        }
    }

    /// When [`RelayTable::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        [self.timers.first().map(|(at, _)| *at), self.release_at].into_iter().flatten().min()
    }

    /// Passes on what waited for a rate, and ends pairs whose time is over.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.release_at.is_some_and(|at| at <= now) {
            self.release(now);
        }
        while let Some((at, name)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, name));
            let Some(pair) = self.pairs.get_mut(&name) else { continue };
            if pair.destroyed.is_some() {
                self.end(name, RelayOver::Destroyed);
                continue;
            }
            let idle_at = pair.last.saturating_add(self.limits.idle);
            if idle_at <= now {
                self.end(name, RelayOver::Idle);
            } else {
                pair.timer = idle_at;
                self.timers.insert((idle_at, name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
