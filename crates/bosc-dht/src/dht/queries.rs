//! Driving the queries: sending for them, reading replies, storing at the end.

use super::Dht;
use super::owner::Owner;
use crate::event::{ClosestNode, Event, QueryData, QueryDone, QueryError, QueryReply, Reply};
use crate::messages::{self, LookupReply, MutableRecord, PeerRecord};
use crate::query::{ClosestReply, Commit, DownHint, Kind, Phase, Query, QueryOptions, QueryOwner};
use crate::rpc::io::Outgoing;
use crate::rpc::{command, internal};
use crate::table::K;
use crate::{Busy, QueryId, RequestId, addr};
use bosc_format::crypto::hash;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Requests of a background walk at once, while there is other traffic.
const BACKGROUND: usize = 2;
/// How often a node of an earlier run that is not known otherwise is asked again.
const EARLIER_RETRIES: u32 = 1;

impl Dht {
    pub(super) fn start_query(
        &mut self,
        query: Query,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let id = QueryId(self.next_id());
        self.start_query_as(id, query, options, now)
    }

    /// Starts a query under an id taken before. It may be over when this returns.
    pub(super) fn start_query_as(
        &mut self,
        id: QueryId,
        mut query: Query,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        if self.queries.len() >= self.limits.max_queries {
            return Err(Busy);
        }
        self.io.stats.queries += 1;
        self.refresh_ticks =
            if self.ephemeral { super::tick::EPHEMERAL_REFRESH } else { super::tick::REFRESH };
        query.configure(options, self.concurrency);
        if query.pending() < K {
            self.add_from_table(&mut query);
        }
        // A walk to our own place asks all who may be there, whatever the table says: nodes of an earlier run may be gone.
        let start = query.owner == QueryOwner::Bootstrap;
        if start || query.pending() < K {
            let earlier = if start { self.earlier.len() } else { K / 2 };
            for node in self.bootstrap.iter().chain(self.earlier.iter().take(earlier)) {
                query.add(*node, None);
            }
        }
        self.queries.insert(id, query);
        self.pump(id, now);
        Ok(id)
    }

    fn add_from_table(&self, query: &mut Query) {
        query.from_table = true;
        for (_, node) in self.table.closest(&query.target, K.saturating_sub(query.pending())) {
            query.add(node, None);
        }
    }

    /// Sends what a query may send, and ends its walk if nobody is left to ask.
    fn pump(&mut self, id: QueryId, now: Duration) {
        loop {
            let active = self.io.active();
            let Some(query) = self.queries.get_mut(&id) else { return };
            if query.owner == QueryOwner::Background {
                query.concurrency = if active < 3 { self.concurrency } else { BACKGROUND };
            }
            while let Some((node, to)) = query.next_visit() {
                // Nobody waits long for nodes of an earlier run.
                let stale = self.earlier.contains(&to) && self.table.get(&node).is_none();
                let out = Outgoing {
                    node: Some(node),
                    internal: query.internal,
                    target: Some(query.target),
                    value: query.value.clone(),
                    retries: if stale { query.retries.min(EARLIER_RETRIES) } else { query.retries },
                    ..Outgoing::new(to, query.command, Owner::Visit(id))
                };
                match self.io.request(out, &mut self.rng, now) {
                    Ok(request) => query.visits.push(request),
                    Err(Busy) => query.visit_failed(),
                }
            }
            query.round_over();
            if !query.walked() {
                return;
            }
            if query.from_table || query.successes >= K / 4 {
                break;
            }
            // The nodes of an earlier query are mostly gone: start over from the table.
            let Some(mut query) = self.queries.remove(&id) else { return };
            self.add_from_table(&mut query);
            self.queries.insert(id, query);
        }
        self.settle(id, now);
    }

    /// The walk is over: wait for unannounces, then store.
    fn settle(&mut self, id: QueryId, now: Duration) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        for visit in std::mem::take(&mut query.visits) {
            self.io.cancel(visit);
        }
        query.phase = Phase::Settling;
        if query.side_requests.is_empty() {
            self.commit(id, now);
        }
    }

    fn commit(&mut self, id: QueryId, now: Duration) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        query.phase = Phase::Committing;
        let same = (query.command, query.value.clone());
        let closest = query.closest.clone();
        let target = query.target;
        let commit = std::mem::replace(&mut query.commit, Commit::None);
        let commit = match (commit, &query.mutable) {
            (Commit::Refresh(public_key), Some(record)) => {
                let value = record.encode_put(&public_key).into();
                Commit::Value { command: command::MUTABLE_PUT, value }
            }
            (Commit::Refresh(_), None) => Commit::None,
            (commit, _) => commit,
        };
        let message = |node: &ClosestNode| {
            let token = node.token?;
            let (command, value) = match &commit {
                Commit::None | Commit::Refresh(_) => return None,
                Commit::Same => same.clone(),
                Commit::Value { command, value } => (*command, Some(value.clone())),
                Commit::Announce(a) => {
                    let (key_pair, relays) = (&a.key_pair, &a.relays);
                    let ann = messages::sign_announce(
                        key_pair, &target, &token, &node.id, relays, a.refresh, a.bump,
                    );
                    (command::ANNOUNCE, Some(Bytes::from(ann.encode())))
                }
            };
            let (token, target) = (Some(token), Some(target));
            Some(Outgoing { token, target, value, ..Outgoing::new(node.addr, command, Owner::Commit(id)) })
        };
        if matches!(commit, Commit::None) {
            self.finish_query(id, Ok(()), now);
            return;
        }
        let mut requests: Vec<RequestId> = Vec::new();
        for node in &closest {
            if let Some(out) = message(node)
                && let Ok(request) = self.io.request(out, &mut self.rng, now)
            {
                requests.push(request);
            }
        }
        if requests.is_empty() {
            self.finish_query(id, Err(QueryError::TooFewNodes), now);
        } else if let Some(query) = self.queries.get_mut(&id) {
            query.side_requests = requests;
        }
    }

    /// An unannounce or a commit is over, with this error number if there was a reply.
    pub(super) fn side_request_over(
        &mut self,
        id: QueryId,
        request: RequestId,
        error: Option<u64>,
        now: Duration,
    ) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        if let Some(at) = query.side_requests.iter().position(|r| *r == request) {
            query.side_requests.swap_remove(at);
        }
        if query.phase == Phase::Committing {
            match error {
                Some(0) => query.committed += 1,
                Some(code) => query.refused = Some(code),
                None => {}
            }
        }
        if !query.side_requests.is_empty() {
            return;
        }
        match query.phase {
            Phase::Walking => {}
            Phase::Settling => self.commit(id, now),
            Phase::Committing => {
                let result = match (query.committed, query.refused) {
                    (1.., _) => Ok(()),
                    (0, Some(code)) => Err(QueryError::CommitRefused(code)),
                    (0, None) => Err(QueryError::CommitTimeout),
                };
                self.finish_query(id, result, now);
            }
        }
    }

    fn finish_query(&mut self, id: QueryId, result: Result<(), QueryError>, now: Duration) {
        let Some(query) = self.queries.remove(&id) else { return };
        for request in query.visits.iter().chain(&query.side_requests) {
            self.io.cancel(*request);
        }
        let owner = query.owner;
        let done: QueryDone = query.done(id, result);
        match owner {
            QueryOwner::User => self.events.push_back(Event::QueryDone(done)),
            QueryOwner::Background => {}
            QueryOwner::Bootstrap => self.boot_walked(now),
            QueryOwner::Listen(listen) => self.listen_walked(listen, &done, now),
        }
    }

    /// Gives up a query. It ends with [`QueryError::Cancelled`].
    pub fn cancel_query(&mut self, query: QueryId, now: Duration) {
        self.finish_query(query, Err(QueryError::Cancelled), now);
    }

    pub(super) fn visit_slow(&mut self, id: QueryId, now: Duration) {
        if let Some(query) = self.queries.get_mut(&id) {
            query.visit_slow();
            self.pump(id, now);
        }
    }

    pub(super) fn visit_over(
        &mut self,
        id: QueryId,
        request: RequestId,
        to: SocketAddrV4,
        slow: bool,
        reply: Option<Reply>,
        now: Duration,
    ) {
        let own_id = *self.table.id();
        let Some(query) = self.queries.get_mut(&id) else { return };
        let Some(reply) = reply else {
            let hints = query.visit_timed_out(request, slow, to);
            self.send_down_hints(hints, now);
            self.pump(id, now);
            return;
        };
        let hints = query.visit_replied(
            request,
            slow,
            ClosestReply {
                from: reply.from,
                id: reply.from_id,
                to: reply.to,
                token: reply.token,
                error: reply.error,
                closer: &reply.closer,
                own_id: &own_id,
            },
        );
        self.send_down_hints(hints, now);
        if reply.error == 0 && self.read_reply(id, reply, now) {
            self.settle(id, now);
        } else {
            self.pump(id, now);
        }
    }

    /// Reads what a node said; true if that ends the query.
    fn read_reply(&mut self, id: QueryId, reply: Reply, now: Duration) -> bool {
        let Some(query) = self.queries.get_mut(&id) else { return false };
        let value = reply.value.as_ref();
        let mut stop = false;
        let data = match &query.kind {
            Kind::FindNode => Some(QueryData::Node),
            Kind::Raw => Some(QueryData::Raw(reply.value.clone())),
            Kind::FindPeer => value.and_then(|v| PeerRecord::decode(v).ok()).map(QueryData::Peer),
            Kind::Lookup => value
                .and_then(|v| LookupReply::decode(v).ok())
                .map(|l| QueryData::Peers { peers: l.peers, bump: l.bump }),
            Kind::Immutable => None,
            Kind::ImmutableGet => value.filter(|v| hash(&[v]) == query.target).map(|v| {
                stop = true;
                query.immutable = Some(v.clone());
                QueryData::Immutable(v.clone())
            }),
            Kind::Mutable { public_key: None, .. } => None,
            Kind::Mutable { public_key: Some(key), seq } => value
                .and_then(|v| MutableRecord::decode(v).ok())
                .filter(|m| m.seq >= *seq && query.mutable.as_ref().is_none_or(|old| m.seq > old.seq))
                .filter(|m| m.verify(key))
                .map(|m| {
                    query.mutable = Some(m.clone());
                    QueryData::Mutable(m)
                }),
        };
        let (owner, target) = (query.owner, query.target);
        let unannounce = match (&data, &query.unannounce, reply.token, reply.from_id) {
            (Some(QueryData::Peers { peers, .. }), Some(key_pair), Some(token), Some(node)) => {
                let own = key_pair.public();
                (peers.len() >= K || peers.iter().any(|p| p.public_key == own))
                    .then(|| (token, messages::sign_unannounce(key_pair, &target, &token, &node)))
            }
            _ => None,
        };
        if let Some((token, unann)) = unannounce {
            let out = Outgoing {
                token: Some(token),
                target: Some(target),
                value: Some(unann.encode().into()),
                ..Outgoing::new(reply.from, command::UNANNOUNCE, Owner::Unannounce(id))
            };
            if let Ok(request) = self.io.request(out, &mut self.rng, now) {
                query.side_requests.push(request);
            }
        }
        match owner {
            QueryOwner::User => {
                if let Some(data) = data {
                    let Reply { from, from_id, to, token, .. } = reply;
                    let reply = QueryReply { query: id, from, from_id, to, token, data };
                    self.events.push_back(Event::QueryReply(reply));
                }
            }
            QueryOwner::Bootstrap => self.boot_reply(reply.from, now),
            // After a change of network the first one that answers is asked.
            QueryOwner::Background | QueryOwner::Listen(_) => self.boot_reply(reply.from, now),
        }
        stop
    }

    fn send_down_hints(&mut self, hints: Vec<DownHint>, now: Duration) {
        for (to, down) in hints {
            if !self.down_hints || self.down_hints_sent >= self.max_down_hints {
                return;
            }
            self.down_hints_sent += 1;
            let value = Some(Bytes::copy_from_slice(&addr::address_bytes(down)));
            let out = Outgoing { value, ..Outgoing::internal(to, internal::DOWN_HINT, Owner::Nobody) };
            let _ = self.send(out, now);
        }
    }
}
