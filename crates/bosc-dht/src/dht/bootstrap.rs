//! Finding our place, and whether others can reach us (`dht-rpc/index.js`).
//!
//! ```text
//! New -> Walking(0) -> Probing(0) -> Walking(1) -> Probing(1) -> Done
//! ```
//!
//! A walk is a query for our own id. The first probe is only made when a single quick ping, sent at the first reply, came
//! back by the end of the walk; one that comes back later makes it when it comes. A probe asks up to five nodes to ping
//! our server socket: reachable means that at least three answered to it (one, when fewer were asked), that they see the
//! host that is seen on the other socket, and the port the socket has. Who is not firewalled and has an agreed address can
//! take its id from it and be persistent. An adaptive node only finds out here whether it is reachable; it becomes
//! persistent after 20 calm minutes, see `tick`.

use super::Dht;
use super::owner::Owner;
use crate::addr;
use crate::event::{Event, Reply, SocketKind};
use crate::nat::NatSampler;
use crate::query::{Kind, Query, QueryOptions, QueryOwner};
use crate::rpc::internal;
use crate::rpc::io::Outgoing;
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// How many nodes are asked to ping our server socket.
const PROBES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boot {
    New,
    Walking(u8),
    Probing(u8),
    Done,
}

/// A firewall check under way.
#[derive(Debug)]
pub(super) struct Probe {
    only_firewall: bool,
    host: Ipv4Addr,
    port: u16,
    asked: usize,
    pending: usize,
    reached: usize,
    sampler: NatSampler,
}

impl Dht {
    /// Walks to our own place in the network. Ends with [`Event::Bootstrapped`]. Afterwards, walks to a
    /// random place.
    pub fn bootstrap(&mut self, now: Duration) {
        match self.boot {
            Boot::New => {
                self.probing_quick = self.io.firewalled && self.quick_firewall && !self.force_persistent;
                self.boot_walk(0, now);
            }
            Boot::Done => self.refresh(now),
            Boot::Walking(_) | Boot::Probing(_) => {}
        }
    }

    fn boot_walk(&mut self, round: u8, now: Duration) {
        self.boot = Boot::Walking(round);
        if !self.walk_to(*self.table.id(), QueryOwner::Bootstrap, now) {
            self.boot_done();
        }
    }

    /// Starts a query for nodes close to `target`; false when too many queries are going on.
    pub(super) fn walk_to(&mut self, target: addr::NodeId, owner: QueryOwner, now: Duration) -> bool {
        let query = Query::new(owner, target, Kind::FindNode, true, internal::FIND_NODE);
        self.start_query(query, &QueryOptions::default(), now).is_ok()
    }

    /// A node replied to the bootstrap walk. The first one is asked at once to ping our server socket.
    pub(super) fn boot_reply(&mut self, from: SocketAddrV4, now: Duration) {
        if std::mem::take(&mut self.probing_quick) {
            let out = self.ping_nat(from, Owner::QuickNat);
            let _ = self.send(out, now);
        }
    }

    fn ping_nat(&self, to: SocketAddrV4, owner: Owner) -> Outgoing<Owner> {
        let value = Some(Bytes::copy_from_slice(&self.server_port.to_le_bytes()));
        Outgoing { value, ..Outgoing::internal(to, internal::PING_NAT, owner) }
    }

    pub(super) fn boot_walked(&mut self, now: Duration) {
        let Boot::Walking(round) = self.boot else { return };
        if !self.quick_nat_ok && !self.force_persistent {
            self.boot_done();
            return;
        }
        self.boot = Boot::Probing(round);
        if let Some(ok) = self.update_network_state(!self.force_persistent, now) {
            self.boot_probed(ok, now);
        }
    }

    /// What came of the first ping of our server socket. On a busy machine it may come after the walk, when nobody waits
    /// for it any more.
    pub(super) fn quick_answered(&mut self, ok: bool, now: Duration) {
        self.quick_nat_ok |= ok;
        if ok && self.boot == Boot::Done {
            self.update_network_state(true, now);
        }
    }

    pub(super) fn boot_probed(&mut self, ok: bool, now: Duration) {
        let Boot::Probing(round) = self.boot else { return };
        if ok && round == 0 { self.boot_walk(1, now) } else { self.boot_done() }
    }

    fn boot_done(&mut self) {
        if self.boot != Boot::Done {
            self.boot = Boot::Done;
            self.events.push_back(Event::Bootstrapped);
        }
    }

    /// Sees whether we can be persistent, or with `only_firewall` whether we are reachable. `None` means the
    /// answer comes later.
    pub(super) fn update_network_state(&mut self, only_firewall: bool, now: Duration) -> Option<bool> {
        if !self.ephemeral || (only_firewall && !self.io.firewalled) || self.probe.is_some() {
            return Some(false);
        }
        if !only_firewall {
            self.stable_ticks = super::tick::MORE_STABLE;
            self.last_host = self.nat.host();
        }
        let Some(own) = self.nat.address() else { return Some(false) };
        if !self.io.firewalled {
            return Some(self.become_reachable(only_firewall, own, None, now));
        }
        let mut nodes: Vec<_> = self.table.latest().take(PROBES).map(|n| (Some(n.id), n.addr)).collect();
        if nodes.len() < PROBES {
            let known: Vec<_> = nodes.iter().map(|(_, a)| *a).collect();
            let others = self.bootstrap.iter().filter(|a| !known.contains(a));
            nodes.extend(others.take(PROBES).map(|a| (None, *a)));
        }
        self.probe = Some(Probe {
            only_firewall,
            host: *own.ip(),
            port: own.port(),
            asked: nodes.len(),
            pending: 0,
            reached: 0,
            sampler: NatSampler::new(),
        });
        for (node, to) in nodes {
            // Silence says that we are hidden, not that the node is gone.
            let node = node.filter(|_| !only_firewall);
            let out = Outgoing { node, ..self.ping_nat(to, Owner::Probe) };
            if self.send(out, now).is_ok()
                && let Some(probe) = &mut self.probe
            {
                probe.pending += 1;
            }
        }
        if self.probe.as_ref().is_some_and(|p| p.pending > 0) {
            return None;
        }
        self.probe = None;
        Some(false)
    }

    pub(super) fn probe_answered(&mut self, reply: Option<&Reply>, now: Duration) {
        let Some(probe) = &mut self.probe else { return };
        probe.pending = probe.pending.saturating_sub(1);
        if let Some(reply) = reply.filter(|r| r.socket == SocketKind::Server) {
            probe.reached += 1;
            probe.sampler.add(reply.to);
        }
        if probe.pending > 0 {
            return;
        }
        let Some(probe) = self.probe.take() else { return };
        let ok = self.judge_probe(probe, now);
        self.boot_probed(ok, now);
    }

    fn judge_probe(&mut self, probe: Probe, now: Duration) -> bool {
        let enough = probe.reached >= if probe.asked >= PROBES { 3 } else { 1 };
        let host = probe.sampler.host();
        let reachable = enough
            && host.is_some()
            && host == self.nat.host()
            && probe.sampler.port() != 0
            && probe.sampler.port() == self.server_port;
        if !reachable {
            return false;
        }
        self.io.firewalled = false;
        self.renew_listens(now);
        let unchanged = self.ephemeral
            && self.nat.host() == Some(probe.host)
            && self.nat.port() == probe.port
            && host == Some(probe.host);
        let own = SocketAddrV4::new(probe.host, probe.sampler.port());
        unchanged && self.become_reachable(probe.only_firewall, own, Some(probe.sampler), now)
    }

    /// Our server socket can be reached at `own`: take the id that belongs to it.
    fn become_reachable(
        &mut self,
        only_firewall: bool,
        own: SocketAddrV4,
        sampler: Option<NatSampler>,
        now: Duration,
    ) -> bool {
        if !only_firewall {
            self.ephemeral = false;
        }
        if let Some(sampler) = sampler {
            let before = (self.nat.host(), self.nat.port());
            self.ephemeral_samples.clear();
            self.nat = sampler;
            self.nat_changed(before);
        }
        let id = addr::node_id(own);
        if *self.table.id() != id {
            self.table.rebuild(id);
            if self.is_bootstrapped() {
                self.refresh(now);
            }
        }
        self.io.identity = (!self.ephemeral).then_some(id);
        if !self.ephemeral {
            self.events.push_back(Event::PersistentChanged(true));
        }
        true
    }
}
