//! The routing table: who we know, by distance and by when we last heard of them
//! (npm `kademlia-routing-table` and `time-ordered-set`).
//!
//! A row per count of leading bits shared with our own id, at most [`K`] nodes in a row, sorted by id. So the
//! table knows its neighbourhood well and the rest of the space sparsely, and holds at most 256 * 20 nodes.

use crate::addr::{self, NodeId};
use crate::rng::Rng;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;
use std::time::Duration;

/// How many nodes a row holds, and how many nodes keep a record.
pub const K: usize = 20;

const ROWS: usize = 256;

/// A node of the table. Times are in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddrV4,
    /// When it last told us our own address; `None`: never.
    pub(crate) sampled: Option<u64>,
    /// When it came.
    pub(crate) added: u64,
    /// When we last talked to it or it to us.
    pub(crate) pinged: u64,
    /// Counts up with every sign of life in the table, so that two of them in one tick differ.
    pub(crate) heard: u64,
    /// When it last answered us, on the clock of `now`.
    pub(crate) answered: Option<Duration>,
    /// How many others said it is down.
    pub(crate) down_hints: u32,
}

#[derive(Debug)]
pub(crate) struct Table {
    id: NodeId,
    rows: Vec<Vec<NodeId>>,
    nodes: HashMap<NodeId, Node>,
    order: BTreeMap<u64, NodeId>,
    clock: u64,
}

/// What [`Table::add`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    /// The node was there already, or is ourselves.
    No,
    /// Its row is full.
    Full,
}

impl Table {
    pub(crate) fn new(id: NodeId) -> Self {
        Self { id, rows: vec![Vec::new(); ROWS], nodes: HashMap::new(), order: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn id(&self) -> &NodeId {
        &self.id
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Number of leading bits `id` shares with ours: the index of its row.
    fn row_of(&self, id: &NodeId) -> usize {
        let mut bits = 0;
        for (a, b) in id.iter().zip(&self.id) {
            let x = a ^ b;
            if x != 0 {
                return bits + x.leading_zeros() as usize;
            }
            bits += 8;
        }
        ROWS - 1
    }

    pub(crate) fn get(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id)
    }

    /// Adds a node as just heard of.
    pub(crate) fn add(&mut self, mut node: Node) -> Added {
        if node.id == self.id || self.nodes.contains_key(&node.id) {
            return Added::No;
        }
        let row = self.row_of(&node.id);
        let Some(row) = self.rows.get_mut(row) else { return Added::No };
        if row.len() >= K {
            return Added::Full;
        }
        let at = row.partition_point(|id| id < &node.id);
        row.insert(at, node.id);
        self.clock += 1;
        node.heard = self.clock;
        self.order.insert(self.clock, node.id);
        self.nodes.insert(node.id, node);
        Added::Yes
    }

    /// Notes a sign of life.
    pub(crate) fn touch(&mut self, id: &NodeId, tick: u64) {
        if let Some(node) = self.nodes.get_mut(id) {
            self.order.remove(&node.heard);
            self.clock += 1;
            node.heard = self.clock;
            node.pinged = tick;
            self.order.insert(self.clock, node.id);
        }
    }

    /// Notes that a node answered us.
    pub(crate) fn answered(&mut self, id: &NodeId, now: Duration) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.answered = Some(now);
        }
    }

    /// Forgets when nodes told us our own address.
    pub(crate) fn forget_samples(&mut self) {
        self.nodes.values_mut().for_each(|node| node.sampled = None);
    }

    pub(crate) fn remove(&mut self, id: &NodeId) -> Option<Node> {
        let node = self.nodes.remove(id)?;
        self.order.remove(&node.heard);
        let row = self.row_of(id);
        if let Some(row) = self.rows.get_mut(row)
            && let Ok(at) = row.binary_search(id)
        {
            row.remove(at);
        }
        Some(node)
    }

    /// Takes another id for ourselves; nodes for which there is no room now are dropped.
    pub(crate) fn rebuild(&mut self, id: NodeId) {
        let mut old = std::mem::replace(self, Self::new(id));
        for id in old.order.values() {
            if let Some(node) = old.nodes.remove(id) {
                self.add(node);
            }
        }
    }

    /// The nodes in the row where `id` belongs.
    pub(crate) fn row(&self, id: &NodeId) -> impl Iterator<Item = &Node> {
        self.rows.get(self.row_of(id)).into_iter().flatten().filter_map(|id| self.nodes.get(id))
    }

    /// The `n` known nodes closest to `target`, closest first.
    pub(crate) fn closest(&self, target: &NodeId, n: usize) -> Vec<(NodeId, SocketAddrV4)> {
        // All of the target's own row are closer to it than the rows below, which are all closer than those
        // above, row by row.
        let own = self.row_of(target);
        let mut out: Vec<(NodeId, SocketAddrV4)> = Vec::with_capacity(n.min(64));
        let mut band: Vec<(NodeId, NodeId)> = Vec::new();
        let above = (0..own).rev().map(|i| i..i + 1);
        for rows in [own..own + 1, own + 1..ROWS].into_iter().chain(above) {
            if out.len() >= n {
                break;
            }
            band.clear();
            for id in self.rows.get(rows).into_iter().flatten().flatten() {
                band.push((addr::distance(target, id), *id));
            }
            band.sort_unstable();
            for (_, id) in band.iter().take(n - out.len()) {
                if let Some(node) = self.nodes.get(id) {
                    out.push((*id, node.addr));
                }
            }
        }
        out
    }

    pub(crate) fn random(&self, rng: &mut Rng) -> Option<&Node> {
        let mut n = rng.index(self.nodes.len());
        for row in &self.rows {
            if let Some(id) = row.get(n) {
                return self.nodes.get(id);
            }
            n = n.saturating_sub(row.len());
        }
        None
    }

    /// Nodes by when we last heard of them, longest ago first.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = &Node> {
        self.order.values().filter_map(|id| self.nodes.get(id))
    }

    /// Nodes by when we last heard of them, just now first.
    pub(crate) fn latest(&self) -> impl Iterator<Item = &Node> {
        self.order.values().rev().filter_map(|id| self.nodes.get(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Entropy;
    use std::net::Ipv4Addr;

    fn node(n: u32) -> Node {
        let addr = SocketAddrV4::new(Ipv4Addr::from(0x0a00_0000 + n), 1000);
        Node {
            id: addr::node_id(addr),
            addr,
            sampled: None,
            added: 0,
            pinged: 0,
            heard: 0,
            answered: None,
            down_hints: 0,
        }
    }

    #[test]
    fn closest_is_what_sorting_all_by_distance_gives() {
        let mut t = Table::new(addr::node_id(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)));
        let mut all = Vec::new();
        for i in 0..2000 {
            let n = node(i);
            if t.add(n) == Added::Yes {
                all.push(n.id);
            }
        }
        assert_eq!(all.len(), t.len());
        assert!(t.len() < 300 && t.len() > 100);
        for i in 0..100u32 {
            let target = bosc_format::crypto::hash(&[&i.to_le_bytes()]);
            let mut want = all.clone();
            want.sort_by_key(|id| addr::distance(&target, id));
            let got: Vec<NodeId> = t.closest(&target, K).into_iter().map(|(id, _)| id).collect();
            assert_eq!(got, want[..K]);
        }
        assert_eq!(t.closest(t.id(), usize::MAX).len(), t.len());
    }

    #[test]
    fn order_follows_signs_of_life_and_survives_a_new_id() {
        let mut t = Table::new([7; 32]);
        for i in 0..50 {
            t.add(node(i));
        }
        let first = t.oldest().next().unwrap().id;
        t.touch(&first, 3);
        assert_eq!(t.latest().next().unwrap().id, first);
        assert_eq!(t.get(&first).unwrap().pinged, 3);
        let before = t.len();
        t.rebuild([9; 32]);
        assert!(t.len() <= before);
        assert_eq!(t.latest().next().unwrap().id, first);
        assert!(t.remove(&first).is_some() && t.remove(&first).is_none());
        assert_ne!(t.latest().next().unwrap().id, first);
        let mut entropy: Entropy = Box::new(|b: &mut [u8]| b.fill(1));
        let mut rng = Rng::new(&mut entropy);
        for _ in 0..100 {
            assert!(t.random(&mut rng).is_some());
        }
        assert!(Table::new([0; 32]).random(&mut rng).is_none());
    }
}
