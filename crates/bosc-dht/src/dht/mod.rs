//! The machine: everything a node keeps, and the way in and out.
//!
//! # Files
//!
//! - Here: the way in and out, how many nodes a walk asks at once, when it is said that no bootstrap node answers.
//! - `bootstrap`: finds our own place in the id space, finds out whether we are reachable (firewalled) and makes us persistent.
//! - `tick`: every five seconds: pings old nodes, refreshes the table, judges the network, notices a sleep, decides when to try to be
//!   persistent.
//! - `serve`: answers others: to whom a large value goes, delayed pings, hints that a node is down. `queries`: drives the queries:
//!   nodes of an earlier run, a background walk, unannounces and storing. `listen`: keeps key pairs announced at their relays: how
//!   many, pinged and announced again when.
//! - `commands`: what the layer above asks for: requests, pings, lookups, announces, values; how long a handshake's reply is waited
//!   for. `owner`: who wants the result of a request.
//! - `life`: the network under us changes, we sleep for a while; what is sent and announced again, and how often a NAT that moves us
//!   is followed. `mapping`: a port of our router that leads to us: how many nodes have to reach us there, and when that is checked
//!   again.
//!
//! [`Dht`] is the state that these files share.

mod bootstrap;
mod commands;
mod life;
mod listen;
mod mapping;
mod owner;
mod queries;
mod serve;
mod tick;

use crate::addr::{self, NodeId};
use crate::config::{Config, Limits};
use crate::event::{Event, Reply, SocketKind, Stats, Transmit};
use crate::nat::NatSampler;
use crate::query::Query;
use crate::records::store::Store;
use crate::rng::{Entropy, Rng};
use crate::router::Router;
use crate::rpc::health::{Health, NetworkState};
use crate::rpc::internal;
use crate::rpc::io::{Expired, Finished, Io, IoConfig, Outgoing};
use crate::rpc::wire::{self, Message, ReplyMessage};
use crate::table::{Added, Node, Table};
use crate::{Busy, ListenId, QueryId, RequestId};
use bootstrap::{Boot, Probe};
use bytes::Bytes;
pub use commands::{AnnounceOptions, MutableGetOptions, ReplyOptions, Request};
use listen::Listener;
use mapping::Mapping;
use owner::Owner;
use serve::{DelayedPing, LargeAnswer};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Sends to a bootstrap node that were in vain when we say that nobody answers: one more than requests usually have, so that a
/// machine that wakes up has some 8 s to come into its network.
const SENT_IN_VAIN: u32 = 5;
/// Nodes that a walk asks at once.
const AT_ONCE: usize = 10;
/// Most nodes of an earlier run that are asked at the start.
const MAX_EARLIER: usize = 40;

/// A node of the DHT. See the crate's documentation.
pub struct Dht {
    io: Io<Owner>,
    entropy: Entropy,
    rng: Rng,
    table: Table,
    nat: NatSampler,
    health: Health,
    network: NetworkState,
    router: Router,
    store: Store,
    queries: HashMap<QueryId, Query>,
    listeners: BTreeMap<ListenId, Listener>,
    wakes: BTreeSet<(Duration, ListenId)>,
    delayed: BTreeMap<(Duration, u64), DelayedPing>,
    /// Large values to send once who asked has shown that it receives there, oldest first.
    unproved: BTreeMap<u64, LargeAnswer>,
    events: VecDeque<Event>,
    boot: Boot,
    probe: Option<Probe>,
    mapping: Option<Mapping>,
    probing_quick: bool,
    quick_nat_ok: bool,
    next_id: u64,

    bootstrap: Vec<SocketAddrV4>,
    earlier: Vec<SocketAddrV4>,
    server_port: u16,
    local_addresses: Vec<SocketAddrV4>,
    adaptive: bool,
    force_persistent: bool,
    quick_firewall: bool,
    ephemeral: bool,
    concurrency: usize,
    down_hints: bool,
    max_down_hints: u32,
    unix_time: Duration,
    limits: Limits,
    /// Our address is known for sure, and whether others cannot reach us before it is proved that they can.
    known_address: bool,
    starts_firewalled: bool,
    suspended: bool,

    tick: u64,
    next_tick: Duration,
    /// Start of the present tick.
    last_tick: Duration,
    /// Start of the last tick that was taken, and how many began since.
    ticked: Duration,
    unticked: u64,
    refresh_ticks: u64,
    stable_ticks: u64,
    last_host: Option<Ipv4Addr>,
    /// Ticks until we see again whether we are reachable, and how many the time after.
    firewall_ticks: (u64, u64),
    ephemeral_samples: Vec<SocketAddrV4>,
    repinging: u32,
    checks: u32,
    down_hints_sent: u32,
}

impl std::fmt::Debug for Dht {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dht")
            .field("ephemeral", &self.ephemeral)
            .field("firewalled", &self.io.firewalled)
            .field("nodes", &self.table.len())
            .field("inflight", &self.io.active())
            .finish_non_exhaustive()
    }
}

impl Dht {
    /// A node that knows what `config` says and has not spoken yet. Call [`Dht::bootstrap`] next.
    pub fn new(config: Config, mut entropy: Entropy, now: Duration) -> Self {
        let rng = Rng::new(&mut entropy);
        let io_config = IoConfig {
            max_inflight: config.limits.max_inflight,
            max_window: config.max_window,
            max_transmits: config.limits.max_transmits,
            adaptive: config.adaptive_timeouts,
            firewalled: config.firewalled,
        };
        let io = Io::new(&io_config, &mut entropy, now);
        let mut own = [0; 32];
        entropy(&mut own);
        let limits = config.limits;
        let earlier = earlier(config.earlier, &config.bootstrap);
        let mut dht = Self {
            io,
            entropy,
            rng,
            table: Table::new(own),
            nat: NatSampler::new(),
            health: Health::default(),
            network: NetworkState::Online,
            router: Router::new(&limits, now),
            store: Store::new(&limits, now),
            queries: HashMap::new(),
            listeners: BTreeMap::new(),
            wakes: BTreeSet::new(),
            delayed: BTreeMap::new(),
            unproved: BTreeMap::new(),
            events: VecDeque::new(),
            boot: Boot::New,
            probe: None,
            mapping: None,
            probing_quick: false,
            quick_nat_ok: false,
            next_id: 0,
            bootstrap: config.bootstrap,
            earlier,
            server_port: config.server_port,
            local_addresses: config.local_addresses,
            adaptive: config.ephemeral.is_none(),
            force_persistent: config.ephemeral == Some(false),
            quick_firewall: config.quick_firewall,
            ephemeral: true,
            concurrency: config.concurrency.clamp(1, 64),
            down_hints: config.down_hints,
            max_down_hints: config.max_down_hints,
            unix_time: config.unix_time,
            limits,
            known_address: config.known_address.is_some(),
            starts_firewalled: config.firewalled,
            suspended: false,
            tick: 0,
            next_tick: now + tick::INTERVAL,
            last_tick: now,
            ticked: now,
            unticked: 0,
            refresh_ticks: 0,
            stable_ticks: tick::STABLE,
            last_host: None,
            firewall_ticks: tick::FIREWALL_CHECKS,
            ephemeral_samples: Vec::new(),
            repinging: 0,
            checks: 0,
            down_hints_sent: 0,
        };
        dht.tick = dht.random_offset(100);
        dht.refresh_ticks = dht.random_offset(tick::REFRESH);
        if let Some(addr) = config.known_address {
            dht.nat.add(addr);
        }
        for addr in config.nodes.into_iter().rev().take(1024) {
            dht.add_node(addr::node_id(addr), addr, None, now);
        }
        dht
    }

    /// Between half of `n` and `n`.
    fn random_offset(&mut self, n: u64) -> u64 {
        n - self.rng.below((n / 2).max(1))
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes a datagram from a socket. Only those [`crate::is_dht_datagram`] is true for mean anything.
    pub fn handle_datagram(&mut self, socket: SocketKind, from: SocketAddrV4, bytes: &[u8], now: Duration) {
        if self.suspended {
            return;
        }
        self.count_ticks(now);
        self.io.stats.datagrams_received += 1;
        self.io.stats.bytes_received += bytes.len() as u64;
        if !addr::is_sendable(from) {
            self.io.stats.malformed += 1;
            return;
        }
        match wire::decode(bytes, from) {
            Ok(Message::Request(message)) => self.on_request(socket, from, &message, now),
            Ok(Message::Reply(message)) => self.on_reply(socket, from, message, now),
            Err(_) => self.io.stats.malformed += 1,
        }
    }

    fn on_reply(&mut self, socket: SocketKind, from: SocketAddrV4, message: ReplyMessage<'_>, now: Duration) {
        let Some(finished) = self.io.on_reply(message.tid, from, now) else { return };
        let reply = Reply {
            from,
            from_id: message.id,
            to: message.to,
            socket,
            token: message.token,
            closer: message.closer,
            error: message.error,
            value: message.value.map(Bytes::copy_from_slice),
            rtt: finished.rtt,
        };
        let sample = socket == self.io.expected_socket();
        self.heard_from(from, message.id, Some(message.to).filter(|_| sample), now);
        if let Some(id) = &message.id {
            self.table.answered(id, now);
        }
        self.finish_request(finished, Ok(reply), now);
        self.io.drain(&mut self.rng, now);
    }

    /// Brings a result to who wants it. `Err` means nobody replied.
    fn finish_request(&mut self, finished: Finished<Owner>, result: Result<Reply, ()>, now: Duration) {
        let Finished { id, to, node, slow, owner, .. } = finished;
        let ok = result.is_ok();
        match owner {
            Owner::Nobody => {}
            Owner::User => self.events.push_back(match result {
                Ok(reply) => Event::Response { request: id, reply },
                Err(()) => Event::RequestTimeout { request: id, to },
            }),
            Owner::Visit(query) => self.visit_over(query, id, to, slow, result.ok(), now),
            Owner::Unannounce(query) | Owner::Commit(query) => {
                self.side_request_over(query, id, result.ok().map(|r| r.error), now);
            }
            Owner::Check { node, heard } => {
                self.checks = self.checks.saturating_sub(1);
                self.remove_if_silent(&node, heard);
            }
            Owner::Swap { node, heard, other } => {
                self.repinging = self.repinging.saturating_sub(1);
                if self.remove_if_silent(&node, heard) {
                    self.add_node(addr::node_id(other), other, None, now);
                }
            }
            Owner::QuickNat => self.quick_answered(ok, now),
            Owner::Probe => self.probe_answered(result.ok().as_ref(), now),
            Owner::Mapping(port) => self.mapping_answered(port, result.ok().as_ref(), now),
            Owner::Announce(listen) => self.announce_over(listen, result.ok().as_ref(), now),
            Owner::KeepOpen(listen) => self.keep_open_over(listen, result.ok().as_ref(), now),
            Owner::FindRecord(listen) => self.find_record_over(listen, result.ok().as_ref(), now),
            Owner::DropRecord(listen) => self.drop_record_over(listen, now),
            Owner::Receives(n) => self.receives(n, ok, now),
        }
        if !ok && let Some(node) = node {
            self.table.remove(&node);
        }
    }

    /// The next datagram to send. To be called until it gives none, after every other call.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.io.poll_transmit()
    }

    /// What happened. To be called until it gives none, after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Dht::handle_timeout`] is to be called, on the clock of `now`.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.suspended {
            return None;
        }
        let wake = self.wakes.first().map(|(at, _)| *at);
        let delayed = self.delayed.first_key_value().map(|((at, _), _)| *at);
        [self.io.next_timeout(), wake, delayed, self.mapping_due(), Some(self.tick_due())]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time demands. Calling it too early does nothing.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.suspended {
            return;
        }
        while let Some(expired) = self.io.expire(&mut self.rng, now) {
            match expired {
                Expired::Slow(Owner::Visit(query)) => self.visit_slow(query, now),
                Expired::Slow(_) => {}
                Expired::TimedOut(finished) => self.finish_request(finished, Err(()), now),
            }
        }
        self.io.drain(&mut self.rng, now);
        self.answer_delayed(now);
        self.wake_listeners(now);
        self.check_mapping(now);
        let due = now >= self.tick_due();
        self.count_ticks(now);
        if due {
            self.on_tick(now);
        }
    }

    fn send(&mut self, out: Outgoing<Owner>, now: Duration) -> Result<RequestId, Busy> {
        self.io.request(out, &mut self.rng, now)
    }

    fn send_ping(&mut self, to: SocketAddrV4, owner: Owner, now: Duration) -> bool {
        self.send(Outgoing::internal(to, internal::PING, owner), now).is_ok()
    }

    /// Notes a sign of life. `to` is our own address as the node sees it, if its word counts.
    fn heard_from(
        &mut self,
        from: SocketAddrV4,
        id: Option<NodeId>,
        to: Option<SocketAddrV4>,
        now: Duration,
    ) {
        if addr::is_stray(from) {
            return;
        }
        let Some(id) = id else {
            if let Some(to) = to {
                self.sample_ephemeral(from, to);
            }
            return;
        };
        let tick = self.tick;
        let Some(node) = self.table.get_mut(&id) else {
            self.add_node(id, from, to, now);
            return;
        };
        let due = node.sampled.is_none_or(|at| tick.saturating_sub(at) >= tick::OLD_NODE);
        let sample = to.filter(|_| due);
        if sample.is_some() {
            node.sampled = Some(tick);
        }
        self.table.touch(&id, tick);
        if let Some(to) = sample {
            self.sample_nat(to);
        }
    }

    /// Nodes without an id count as well, but only as many as there are bootstrap nodes.
    fn sample_ephemeral(&mut self, from: SocketAddrV4, to: SocketAddrV4) {
        if self.ephemeral_samples.len() < self.bootstrap.len().clamp(1, 16)
            && !self.ephemeral_samples.contains(&from)
        {
            self.ephemeral_samples.push(from);
            self.sample_nat(to);
        }
    }

    fn sample_nat(&mut self, to: SocketAddrV4) {
        if !addr::is_sendable(to) {
            return;
        }
        let before = (self.nat.host(), self.nat.port());
        self.nat.add(to);
        self.nat_changed(before);
    }

    fn nat_changed(&mut self, before: (Option<Ipv4Addr>, u16)) {
        let (host, port) = (self.nat.host(), self.nat.port());
        if before != (host, port) {
            self.events.push_back(Event::NatUpdate { host, port });
        }
    }

    fn add_node(&mut self, id: NodeId, addr: SocketAddrV4, to: Option<SocketAddrV4>, now: Duration) {
        if !addr::is_sendable(addr) || addr::is_stray(addr) {
            return;
        }
        let tick = self.tick;
        let sampled = to.map(|_| tick);
        let node =
            Node { id, addr, sampled, added: tick, pinged: tick, heard: 0, answered: None, down_hints: 0 };
        match self.table.add(node) {
            Added::Yes => {
                if let Some(to) = to {
                    self.sample_nat(to);
                }
            }
            Added::No => {}
            Added::Full => self.row_full(&node, now),
        }
    }

    /// A row of the table has no room for a node: see whether its oldest member is still there.
    fn row_full(&mut self, new: &Node, now: Duration) {
        if !self.is_bootstrapped() || self.repinging >= 3 {
            return;
        }
        let tick = self.tick;
        let oldest = self.table.row(&new.id).filter(|n| n.pinged != tick).min_by_key(|n| (n.pinged, n.added));
        let Some(oldest) = oldest.copied() else { return };
        let recent = tick.saturating_sub(oldest.pinged) < tick::RECENT_NODE;
        if recent && tick.saturating_sub(oldest.added) > tick::OLD_NODE {
            return;
        }
        if let Some(n) = self.table.get_mut(&oldest.id) {
            n.pinged = tick;
        }
        let owner = Owner::Swap { node: oldest.id, heard: oldest.heard, other: new.addr };
        if self.send_ping(oldest.addr, owner, now) {
            self.repinging += 1;
        }
    }

    /// Removes a node not heard from since. True if it is gone.
    fn remove_if_silent(&mut self, id: &NodeId, heard: u64) -> bool {
        if self.table.get(id).is_some_and(|n| n.heard > heard) {
            return false;
        }
        self.table.remove(id);
        true
    }

    /// Whether [`Event::Bootstrapped`] came.
    pub fn is_bootstrapped(&self) -> bool {
        self.boot == Boot::Done
    }

    /// Whether every bootstrap node was asked five times, and nothing ever answered: there is no network, or none of them is there.
    /// The first walk asks them once more; false again with the first answer.
    pub fn is_unanswered(&self) -> bool {
        // They are asked all at once; of more, the last ones may not have been asked. Looked at only where nothing ever answered.
        let asked = || self.bootstrap.len() <= AT_ONCE && self.io.most_sent() > SENT_IN_VAIN;
        !self.bootstrap.is_empty() && self.io.stats.responses == 0 && (self.is_bootstrapped() || asked())
    }

    /// Whether the node has no id and stores nothing for others.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Whether others are thought not to reach the server socket.
    pub fn is_firewalled(&self) -> bool {
        self.io.firewalled
    }

    /// Whether our NAT gives every remote another port.
    pub fn is_randomized(&self) -> bool {
        self.nat.host().is_some() && self.nat.port() == 0
    }

    /// Our id; none while ephemeral.
    pub fn id(&self) -> Option<NodeId> {
        (!self.ephemeral).then(|| *self.table.id())
    }

    /// Our own address as others see it: its host, and its port (0 when they see different ones).
    pub fn nat(&self) -> &NatSampler {
        &self.nat
    }

    /// Our own address if others can reach us there without more ado.
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        self.nat.address().filter(|a| !self.io.firewalled && a.port() == self.server_port)
    }

    /// The server socket's addresses on the local interfaces.
    pub fn local_addresses(&self) -> &[SocketAddrV4] {
        &self.local_addresses
    }

    /// The socket that requests and streams leave from by default.
    pub fn default_socket(&self) -> SocketKind {
        self.io.expected_socket()
    }

    /// Up to `limit` known nodes, those heard of last first. For [`Config::nodes`] of the next run, and for
    /// sampling a NAT.
    pub fn nodes(&self, limit: usize) -> Vec<SocketAddrV4> {
        self.table.latest().take(limit).map(|n| n.addr).collect()
    }

    /// Up to `limit` known nodes that answered us, those that did so last first, and when they did. For
    /// [`Config::earlier`] of the next run.
    pub fn answering_nodes(&self, limit: usize) -> Vec<(SocketAddrV4, Duration)> {
        let mut nodes: Vec<_> = self.table.latest().filter_map(|n| Some((n.addr, n.answered?))).collect();
        nodes.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
        nodes.truncate(limit);
        nodes
    }

    /// How many nodes are known.
    pub fn node_count(&self) -> usize {
        self.table.len()
    }

    /// How many records and values are kept for others.
    pub fn record_count(&self) -> usize {
        self.store.len()
    }

    /// How well the network works.
    pub fn network(&self) -> NetworkState {
        self.network
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.io.stats
    }
}

/// Those of an earlier run that can be asked.
fn earlier(mut nodes: Vec<SocketAddrV4>, bootstrap: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    nodes.retain(|a| addr::is_sendable(*a) && !addr::is_stray(*a) && !bootstrap.contains(a));
    nodes.truncate(MAX_EARLIER);
    nodes
}
