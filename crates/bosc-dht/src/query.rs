//! One iterative query (`dht-rpc/lib/query.js`), as pure state: [`crate::Dht`] does the sending.
//!
//! The query *walks*: it asks the closest node not asked yet, up to `concurrency` at once, and learns closer
//! ones from the replies. A node that lets the first wait pass counts as slow and no longer holds up others.
//! The walk is over when nobody closer is left to ask. Then, if something is to be stored, the query
//! *settles* (waits for unannounces under way) and *commits*: it sends the request to the k closest that
//! replied.
//!
//! Nodes that do not reply are reported as down to those who named them. A query remembers at most
//! [`MAX_SEEN`] nodes; what is over is not asked.

use crate::addr::{self, NodeId};
use crate::event::{ClosestNode, QueryDone};
use crate::messages::MutableRecord;
use crate::table::K;
use crate::{ListenId, QueryId, RequestId};
use bosc_format::crypto::{KeyPair, PublicKey};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;

/// Most nodes one query looks at.
const MAX_SEEN: usize = 1024;
/// Most nodes that are told a node they named is down.
const MAX_REFS: usize = 8;

/// How a query walks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// Nodes to ask first, such as the closest ones of an earlier query of the same target.
    pub nodes: Vec<SocketAddrV4>,
    /// Ask nobody but `nodes`.
    pub only_nodes: bool,
    /// How many requests at once; `None`: the machine's own.
    pub concurrency: Option<usize>,
    /// How often a request is sent again; `None`: 5.
    pub retries: Option<u32>,
}

/// Who wants the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryOwner {
    User,
    Bootstrap,
    Background,
    Listen(ListenId),
}

/// How replies are read.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    FindNode,
    FindPeer,
    Lookup,
    /// Stop at the first value.
    ImmutableGet,
    Immutable,
    Mutable {
        /// `None`: nobody asks for the value.
        public_key: Option<PublicKey>,
        seq: u64,
    },
    Raw,
}

/// What is stored at the closest nodes.
#[derive(Debug, Clone)]
pub(crate) enum Commit {
    None,
    /// The query's own command and value again, with a token.
    Same,
    Announce(Box<Announcing>),
    Value {
        command: u64,
        value: Bytes,
    },
    /// The newest value found, so that the nodes closest now have it.
    Refresh(PublicKey),
}

/// What is announced at the closest nodes.
#[derive(Debug, Clone)]
pub(crate) struct Announcing {
    pub(crate) key_pair: KeyPair,
    pub(crate) relays: Vec<SocketAddrV4>,
    pub(crate) refresh: Option<[u8; 32]>,
    pub(crate) bump: u64,
}

#[derive(Debug)]
enum Seen {
    /// Known from these nodes; asked, or about to be.
    Pending(Vec<SocketAddrV4>),
    Done,
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Walking,
    Settling,
    Committing,
}

/// A node that is down, and who named it.
pub(crate) type DownHint = (SocketAddrV4, SocketAddrV4);

#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) owner: QueryOwner,
    pub(crate) target: NodeId,
    pub(crate) internal: bool,
    pub(crate) command: u64,
    pub(crate) value: Option<Bytes>,
    pub(crate) kind: Kind,
    pub(crate) commit: Commit,
    /// Whose old announces are taken off while walking.
    pub(crate) unannounce: Option<KeyPair>,
    pub(crate) concurrency: usize,
    pub(crate) retries: u32,
    pub(crate) phase: Phase,
    /// Requests of the walk.
    pub(crate) visits: Vec<RequestId>,
    /// Unannounces, then commits, under way.
    pub(crate) side_requests: Vec<RequestId>,
    pub(crate) committed: usize,
    pub(crate) refused: Option<u64>,
    pub(crate) immutable: Option<Bytes>,
    pub(crate) mutable: Option<MutableRecord>,
    pub(crate) closest: Vec<ClosestNode>,
    pub(crate) successes: usize,
    pub(crate) errors: usize,
    /// Whether the routing table was asked already.
    pub(crate) from_table: bool,
    only_nodes: bool,
    slow: usize,
    slowdown: bool,
    seen: HashMap<SocketAddrV4, Seen>,
    pending: BTreeMap<NodeId, (NodeId, SocketAddrV4)>,
}

impl Query {
    pub(crate) fn new(owner: QueryOwner, target: NodeId, kind: Kind, internal: bool, command: u64) -> Self {
        Self {
            owner,
            target,
            internal,
            command,
            value: None,
            kind,
            commit: Commit::None,
            unannounce: None,
            concurrency: 10,
            retries: 5,
            phase: Phase::Walking,
            visits: Vec::new(),
            side_requests: Vec::new(),
            committed: 0,
            refused: None,
            immutable: None,
            mutable: None,
            closest: Vec::new(),
            successes: 0,
            errors: 0,
            from_table: false,
            only_nodes: false,
            slow: 0,
            slowdown: false,
            seen: HashMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Takes the options; the nodes named are the first to be asked.
    pub(crate) fn configure(&mut self, options: &QueryOptions, default_concurrency: usize) {
        self.concurrency = options.concurrency.unwrap_or(default_concurrency).clamp(1, 64);
        self.retries = options.retries.unwrap_or(5).min(16);
        for addr in options.nodes.iter().take(K * 4) {
            self.add(*addr, None);
        }
        self.only_nodes = options.only_nodes && !options.nodes.is_empty();
        self.from_table |= self.only_nodes;
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn is_closer(&self, distance: &NodeId) -> bool {
        self.closest.len() < K
            || self.closest.last().is_none_or(|c| *distance < addr::distance(&self.target, &c.id))
    }

    /// Learns of a node, from `referrer` if another node named it. Gives the referrer a hint if the node is
    /// known to be down.
    pub(crate) fn add(&mut self, node: SocketAddrV4, referrer: Option<SocketAddrV4>) -> Option<DownHint> {
        if self.only_nodes || !addr::is_sendable(node) || addr::is_stray(node) {
            return None;
        }
        match self.seen.get_mut(&node) {
            Some(Seen::Done) => return None,
            Some(Seen::Down) => return referrer.map(|r| (r, node)),
            Some(Seen::Pending(refs)) => {
                if refs.len() < MAX_REFS {
                    refs.extend(referrer);
                }
                return None;
            }
            None => {}
        }
        let id = addr::node_id(node);
        let distance = addr::distance(&self.target, &id);
        if self.seen.len() < MAX_SEEN && self.is_closer(&distance) {
            self.seen.insert(node, Seen::Pending(referrer.into_iter().collect()));
            self.pending.insert(distance, (id, node));
        }
        None
    }

    /// The next node to ask now, if any.
    pub(crate) fn next_visit(&mut self) -> Option<(NodeId, SocketAddrV4)> {
        let limit = (if self.slowdown { 3.min(self.concurrency) } else { self.concurrency }) + self.slow;
        if self.phase != Phase::Walking || self.visits.len() >= limit {
            return None;
        }
        let (distance, next) = self.pending.pop_first()?;
        if !self.is_closer(&distance) {
            // Sorted by distance, so none of the others is either.
            self.pending.clear();
            return None;
        }
        Some(next)
    }

    /// Called after each round of asking. When nodes of an earlier query are asked first, they get a chance
    /// to reply before others are.
    pub(crate) fn round_over(&mut self) {
        if !self.from_table && self.successes == 0 && self.errors == 0 {
            self.slowdown = true;
        }
    }

    /// Whether nobody is left whose reply would matter.
    pub(crate) fn walked(&self) -> bool {
        self.phase == Phase::Walking
            && self.pending.is_empty()
            && (self.visits.is_empty() || (self.slow >= self.visits.len() && self.closest.len() >= K))
    }

    fn visit_over(&mut self, request: RequestId, slow: bool) {
        if let Some(at) = self.visits.iter().position(|v| *v == request) {
            self.visits.swap_remove(at);
        }
        if slow {
            self.slow = self.slow.saturating_sub(1);
        }
    }

    /// The first wait for a node is over.
    pub(crate) fn visit_slow(&mut self) {
        self.slow += 1;
    }

    /// A node replied. Returns whether the walk still goes on and the reply counts.
    pub(crate) fn visit_replied(
        &mut self,
        request: RequestId,
        slow: bool,
        node: ClosestReply<'_>,
    ) -> Vec<DownHint> {
        self.visit_over(request, slow);
        self.seen.insert(node.from, Seen::Done);
        if self.phase != Phase::Walking {
            return Vec::new();
        }
        if node.error == 0 {
            self.successes += 1;
            if let Some(id) = node.id {
                self.push_closest(ClosestNode { id, addr: node.from, to: node.to, token: node.token });
            }
        } else {
            self.errors += 1;
        }
        let own = node.own_id;
        let mut hints = Vec::new();
        for closer in node.closer {
            if addr::node_id(*closer) != *own {
                hints.extend(self.add(*closer, Some(node.from)));
            }
        }
        if !self.from_table && self.successes + self.errors >= self.concurrency {
            self.slowdown = false;
        }
        hints
    }

    /// A node did not reply. Those who named it are to be told.
    pub(crate) fn visit_timed_out(
        &mut self,
        request: RequestId,
        slow: bool,
        to: SocketAddrV4,
    ) -> Vec<DownHint> {
        self.visit_over(request, slow);
        self.errors += 1;
        match self.seen.insert(to, Seen::Down) {
            Some(Seen::Pending(refs)) => refs.into_iter().map(|r| (r, to)).collect(),
            _ => Vec::new(),
        }
    }

    /// A node could not be asked.
    pub(crate) fn visit_failed(&mut self) {
        self.errors += 1;
    }

    fn push_closest(&mut self, node: ClosestNode) {
        let d = addr::distance(&self.target, &node.id);
        let at = self.closest.partition_point(|c| addr::distance(&self.target, &c.id) < d);
        if self.closest.get(at).is_some_and(|c| c.id == node.id) {
            return;
        }
        self.closest.insert(at, node);
        self.closest.truncate(K);
    }

    /// What the owner is told.
    pub(crate) fn done(self, query: QueryId, result: Result<(), crate::QueryError>) -> QueryDone {
        QueryDone {
            query,
            target: self.target,
            result,
            closest: self.closest,
            successes: self.successes,
            errors: self.errors,
            committed: self.committed,
            immutable: self.immutable,
            mutable: self.mutable,
        }
    }
}

/// The parts of a reply a walk looks at.
#[derive(Debug)]
pub(crate) struct ClosestReply<'a> {
    pub(crate) from: SocketAddrV4,
    pub(crate) id: Option<NodeId>,
    pub(crate) to: SocketAddrV4,
    pub(crate) token: Option<[u8; 32]>,
    pub(crate) error: u64,
    pub(crate) closer: &'a [SocketAddrV4],
    pub(crate) own_id: &'a NodeId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(n: u32) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from(0x0a00_0000 + n), 1000)
    }

    fn reply(q: &mut Query, n: u32, closer: &[SocketAddrV4]) -> Vec<DownHint> {
        let from = at(n);
        let reply = ClosestReply {
            from,
            id: Some(addr::node_id(from)),
            to: at(9999),
            token: None,
            error: 0,
            closer,
            own_id: &[0; 32],
        };
        q.visit_replied(RequestId(u64::from(n)), false, reply)
    }

    #[test]
    fn asks_the_closest_first_and_ends_when_none_is_closer() {
        let target = [5; 32];
        let mut q = Query::new(QueryOwner::User, target, Kind::FindNode, true, 2);
        q.from_table = true;
        let all: Vec<_> = (1..200).map(at).collect();
        q.add(at(0), None);
        assert_eq!(q.next_visit().map(|n| n.1), Some(at(0)));
        reply(&mut q, 0, &all);
        let mut sorted = all.clone();
        sorted.push(at(0));
        sorted.sort_by_key(|a| addr::distance(&target, &addr::node_id(*a)));
        let mut asked = 0;
        while let Some((_, addr)) = q.next_visit() {
            asked += 1;
            let n = u32::from(*addr.ip()) - 0x0a00_0000;
            reply(&mut q, n, &all);
        }
        assert!((19..=20).contains(&asked), "{asked}");
        assert!(q.walked());
        let got: Vec<_> = q.closest.iter().map(|c| c.addr).collect();
        assert_eq!(got, sorted[..20]);
    }

    #[test]
    fn a_node_that_is_down_is_reported_to_all_who_name_it() {
        let mut q = Query::new(QueryOwner::User, [5; 32], Kind::FindNode, true, 2);
        q.add(at(1), None);
        q.add(at(2), None);
        while q.next_visit().is_some() {}
        assert!(reply(&mut q, 1, &[at(3)]).is_empty());
        assert_eq!(q.next_visit().map(|n| n.1), Some(at(3)));
        assert_eq!(q.visit_timed_out(RequestId(3), false, at(3)), [(at(1), at(3))]);
        assert_eq!(reply(&mut q, 2, &[at(3)]), [(at(2), at(3))]);
    }

    #[test]
    fn a_liar_cannot_make_it_remember_more_than_its_bound() {
        let mut q = Query::new(QueryOwner::User, [5; 32], Kind::FindNode, true, 2);
        for i in 0..20_000 {
            q.add(at(i), None);
        }
        assert!(q.seen.len() <= MAX_SEEN && q.pending.len() <= MAX_SEEN);
    }
}
