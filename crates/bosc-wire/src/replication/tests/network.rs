//! Nodes, links and time.

use super::memory_core::MemoryCore;
use super::*;
use std::collections::BTreeSet;

pub(super) const MS: Duration = Duration::from_millis(1);

/// A small generator, so that runs repeat.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn block(&mut self, len: usize) -> Bytes {
        (0..len).map(|_| self.next() as u8).collect::<Vec<_>>().into()
    }
}

pub(super) struct Node {
    pub(super) core: MemoryCore,
    pub(super) rep: Replicator,
    pub(super) events: Vec<Event>,
    /// Peers whose connection was full.
    blocked: BTreeSet<PeerId>,
    links: BTreeMap<PeerId, usize>,
}

/// One direction of a connection.
pub(super) struct Link {
    to: usize,
    peer_there: PeerId,
    pub(super) queue: VecDeque<(Duration, u32, Bytes)>,
    pub(super) queued: usize,
    free_at: Duration,
    pub(super) latency: Duration,
    /// Bytes a second.
    pub(super) rate: u64,
    /// Everything sent is lost.
    pub(super) silent: bool,
    /// Answers never leave.
    pub(super) mute: bool,
    /// Answers leave so much later.
    pub(super) dawdle: Duration,
    /// Answers may overtake each other.
    pub(super) shuffle: bool,
    pub(super) bytes: u64,
    /// Messages sent, by kind.
    pub(super) sent: [u64; 10],
    /// Changes a message on its way.
    pub(super) tamper: Option<Box<dyn FnMut(u32, Bytes) -> Bytes>>,
}

pub(super) struct Net {
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    next_peer: u64,
    rng: Rng,
}

impl Net {
    pub(super) fn new() -> Self {
        Self { now: Duration::ZERO, nodes: Vec::new(), links: Vec::new(), next_peer: 0, rng: Rng(99) }
    }

    pub(super) fn add(&mut self, core: MemoryCore) -> usize {
        let config = Config { seed: 7919 * (self.nodes.len() as u64 + 1), ..Config::default() };
        let rep = Replicator::new(config, &core);
        self.nodes.push(Node {
            core,
            rep,
            events: Vec::new(),
            blocked: BTreeSet::new(),
            links: BTreeMap::new(),
        });
        self.nodes.len() - 1
    }

    /// Connects two nodes; the links from `a` to `b` and back, and the peers' ids at `a` and `b`.
    pub(super) fn connect(&mut self, a: usize, b: usize) -> (usize, usize, PeerId, PeerId) {
        let (at_a, at_b) = (PeerId(self.next_peer), PeerId(self.next_peer + 1));
        self.next_peer += 2;
        let link = |to, peer_there| Link {
            to,
            peer_there,
            queue: VecDeque::new(),
            queued: 0,
            free_at: Duration::ZERO,
            latency: MS * 5,
            rate: 100_000_000,
            silent: false,
            mute: false,
            dawdle: Duration::ZERO,
            shuffle: false,
            bytes: 0,
            sent: [0; 10],
            tamper: None,
        };
        self.links.push(link(b, at_b));
        self.links.push(link(a, at_a));
        let (out, back) = (self.links.len() - 2, self.links.len() - 1);
        let now = self.now;
        for (n, peer, link) in [(a, at_a, out), (b, at_b, back)] {
            let node = &mut self.nodes[n];
            node.links.insert(peer, link);
            node.rep.add_peer(peer, &node.core, now);
        }
        (out, back, at_a, at_b)
    }

    /// Both ends lose the connection.
    pub(super) fn cut(&mut self, out: usize, back: usize) {
        for l in [out, back] {
            let (to, peer) = (self.links[l].to, self.links[l].peer_there);
            let node = &mut self.nodes[to];
            node.rep.remove_peer(peer, &node.core);
            node.links.remove(&peer);
            self.links[l].queue.clear();
            self.links[l].queued = 0;
        }
    }

    pub(super) fn with<T>(
        &mut self,
        n: usize,
        f: impl FnOnce(&mut Replicator, &mut MemoryCore, Duration) -> T,
    ) -> T {
        let now = self.now;
        let node = &mut self.nodes[n];
        f(&mut node.rep, &mut node.core, now)
    }

    /// Moves messages out of nodes into links.
    fn pump(&mut self) {
        for n in 0..self.nodes.len() {
            loop {
                let node = &mut self.nodes[n];
                while let Some(e) = node.rep.poll_event() {
                    if let Event::InvalidPeer { peer, .. } = e
                        && let Some(l) = node.links.remove(&peer)
                    {
                        self.links[l].silent = true;
                    }
                    node.events.push(e);
                }
                let Some(id) = node.rep.poll_ready() else { break };
                node.blocked.insert(id);
                let Some(l) = node.links.get(&id).copied() else { continue };
                while self.links[l].queued < 128 << 10 {
                    let node = &mut self.nodes[n];
                    let Some(out) = node.rep.poll_outgoing(id, &mut node.core, self.now) else {
                        node.blocked.remove(&id);
                        break;
                    };
                    let mut bytes = out.payload.concat();
                    let kind = out.kind as u32;
                    let link = &mut self.links[l];
                    if let Some(t) = &mut link.tamper {
                        bytes = t(kind, bytes);
                    }
                    let start = link.free_at.max(self.now);
                    link.free_at =
                        start + Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / link.rate.max(1));
                    link.bytes += bytes.len() as u64;
                    link.sent[kind as usize] += 1;
                    let answer = [MessageType::Data as u32, MessageType::NoData as u32].contains(&kind);
                    if !(link.silent || answer && link.mute) {
                        link.queued += bytes.len();
                        let late = if answer { link.dawdle } else { Duration::ZERO };
                        link.queue.push_back((link.free_at + link.latency + late, kind, bytes));
                    }
                }
            }
        }
    }

    /// One step of time. `false` when nothing will ever happen again.
    pub(super) fn step(&mut self) -> bool {
        self.pump();
        let arrivals = self.links.iter().filter_map(|l| l.queue.front().map(|m| m.0));
        let timers = self.nodes.iter().filter_map(|n| n.rep.next_timeout());
        let Some(next) = arrivals.chain(timers).min() else { return false };
        self.now = self.now.max(next);
        for l in 0..self.links.len() {
            // What comes so close together came in one packet.
            while self.links[l].queue.front().is_some_and(|m| m.0 <= self.now + MS / 50) {
                let link = &mut self.links[l];
                if link.shuffle && link.queue.len() > 1 {
                    let n = link.queue.len().min(8) as u64;
                    let j = self.rng.below(n) as usize;
                    let data = MessageType::Data as u32;
                    if link.queue[0].1 == data && link.queue[j].1 == data {
                        let (a, b) = (link.queue[0].2.clone(), link.queue[j].2.clone());
                        link.queue[0].2 = b;
                        link.queue[j].2 = a;
                    }
                }
                let (_, kind, bytes) = link.queue.pop_front().unwrap();
                link.queued -= bytes.len();
                let (to, peer) = (link.to, link.peer_there);
                // The sender may go on.
                let from = self.links[l ^ 1].to;
                let back_peer = self.links[l ^ 1].peer_there;
                let sender = &mut self.nodes[from];
                if sender.blocked.remove(&back_peer) {
                    sender.rep.wake(back_peer);
                }
                let node = &mut self.nodes[to];
                node.rep.handle_message(peer, kind, bytes, &mut node.core, self.now);
            }
        }
        for node in &mut self.nodes {
            if node.rep.next_timeout().is_some_and(|t| t <= self.now) {
                node.rep.handle_timeout(&mut node.core, self.now);
            }
        }
        true
    }

    /// Runs until `done` or `limit` of virtual time from now; panics when it does not come.
    pub(super) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now + limit;
        let mut steps = 0u64;
        while !done(self) {
            steps += 1;
            assert!(steps < 5_000_000, "runs in circles at {:?}", self.now);
            let more = self.step();
            if !more || self.now > end {
                self.pump();
                assert!(done(self), "not done at {:?} (more: {more})", self.now);
                return;
            }
        }
        self.pump();
    }

    /// Runs for a while.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && self.step() {}
        self.pump();
    }

    pub(super) fn complete(&self, n: usize, of: usize) -> bool {
        let (a, b) = (&self.nodes[n].core, &self.nodes[of].core);
        a.head.length == b.head.length && a.head.fork == b.head.fork && a.blocks.len() == b.blocks.len()
    }

    pub(super) fn assert_same(&self, n: usize, of: usize) {
        let (a, b) = (&self.nodes[n].core, &self.nodes[of].core);
        assert_eq!(a.head, b.head);
        assert!(a.blocks == b.blocks);
    }
}

/// A writer with `n` blocks of `len` bytes.
pub(super) fn writer(n: u64, len: usize) -> MemoryCore {
    let mut core = MemoryCore::writer(1);
    let mut rng = Rng(0x9e37_79b9);
    core.append((0..n).map(|_| rng.block(len)));
    core
}

pub(super) fn reader() -> MemoryCore {
    MemoryCore::reader(MemoryCore::writer(1).key)
}
