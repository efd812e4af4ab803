//! An address that a router says leads to our server socket (UPnP, NAT-PMP, PCP): whether it does, others find out.
//!
//! ```text
//!   none ── the owner has one ──▶ Checking ── enough nodes reached the server socket through it ──▶ proved ── AGAIN ──▶ Checking
//!                                     └── not enough: not used ── AGAIN ──▶ Checking                 └── a peer did not come ──▶ Checking
//! ```
//!
//! Up to [`ASKED`] nodes are asked to ping that port at the host they see us at, as for the firewall check (`PING_NAT` of dht-rpc), from
//! the other socket. Their answers say where they sent them. So an address behind another NAT, a port that somebody else has and a router that
//! lies are noticed, and none of it is ever told to peers. Relays of ours are not asked: our NAT lets them in anyway.
//!
//! # Invariants
//!
//! * What is mapped is told to peers in handshakes and nowhere else: the NAT is sampled and classified as if there were no mapping, and our
//!   id, which others compute from the address they see, stays as it is.
//! * An address counts only while it is proved; a change of network forgets it.
//! * At most one check at a time, and one a minute because a peer did not come.

use super::Dht;
use super::owner::Owner;
use crate::event::{Event, Reply, SocketKind};
use crate::rpc::internal;
use crate::rpc::io::Outgoing;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How many nodes are asked.
const ASKED: usize = 5;
/// How many have to reach us, when so many were asked; half of them when fewer were.
const ENOUGH: usize = 3;
/// When a mapping is checked again.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// One that nobody could be asked about is checked so soon.
const SOON: Duration = Duration::from_secs(5);
/// How soon after a check a peer that did not come causes another.
const DOUBT: Duration = Duration::from_secs(60);

/// An address that a router gave.
#[derive(Debug)]
pub(super) struct Mapping {
    at: SocketAddrV4,
    proved: bool,
    /// The check under way.
    check: Option<Check>,
    checked: Duration,
    due: Duration,
}

#[derive(Debug, Default)]
struct Check {
    asked: usize,
    pending: usize,
    reached: usize,
}

impl Dht {
    /// A router says that `at` leads to our server socket; or nothing does any more. [`Event::PortMapped`] tells what comes of it.
    pub fn set_mapping(&mut self, at: Option<SocketAddrV4>, now: Duration) {
        if self.mapping.as_ref().map(|m| m.at) == at {
            return;
        }
        self.forget_mapping();
        self.mapping = at.map(|at| Mapping { at, proved: false, check: None, checked: now, due: now });
        self.check_mapping(now);
    }

    /// The address at which everybody reaches our server socket by a mapping of our router.
    pub fn mapped_address(&self) -> Option<SocketAddrV4> {
        self.mapping.as_ref().filter(|m| m.proved).map(|m| m.at)
    }

    /// A peer that was told of the mapping did not come: it may lead nowhere by now.
    pub fn doubt_mapping(&mut self, now: Duration) {
        if let Some(m) = self.mapping.as_mut().filter(|m| m.check.is_none()) {
            m.due = m.due.min(m.checked + DOUBT).max(now);
        }
    }

    pub(super) fn forget_mapping(&mut self) {
        if self.mapping.take().is_some_and(|m| m.proved) {
            self.events.push_back(Event::PortMapped(None));
        }
    }

    pub(super) fn mapping_due(&self) -> Option<Duration> {
        self.mapping.as_ref().filter(|m| m.check.is_none()).map(|m| m.due)
    }

    pub(super) fn check_mapping(&mut self, now: Duration) {
        let Some(m) = self.mapping.as_mut().filter(|m| m.check.is_none() && m.due <= now) else { return };
        let at = m.at;
        let relays: Vec<SocketAddrV4> =
            self.listeners.values().flat_map(|l| l.relay_addresses().to_vec()).collect();
        let known = self.table.latest().map(|n| n.addr).chain(self.bootstrap.iter().copied());
        let mut to: Vec<SocketAddrV4> = Vec::new();
        for addr in known {
            if to.len() < ASKED && !to.contains(&addr) && !relays.contains(&addr) {
                to.push(addr);
            }
        }
        let port = at.port();
        let mut check = Check::default();
        for addr in to {
            let value = Some(Bytes::copy_from_slice(&port.to_le_bytes()));
            let out =
                Outgoing { value, ..Outgoing::internal(addr, internal::PING_NAT, Owner::Mapping(port)) };
            if self.send(out, now).is_ok() {
                check.asked += 1;
                check.pending += 1;
            }
        }
        if let Some(m) = &mut self.mapping {
            m.checked = now;
            if check.asked == 0 {
                // Nobody is known yet.
                m.due = now + SOON;
            } else {
                m.check = Some(check);
            }
        }
    }

    pub(super) fn mapping_answered(&mut self, port: u16, reply: Option<&Reply>, now: Duration) {
        let Some(m) = self.mapping.as_mut().filter(|m| m.at.port() == port) else { return };
        let Some(check) = &mut m.check else { return };
        check.pending = check.pending.saturating_sub(1);
        check.reached += usize::from(reply.is_some_and(|r| r.socket == SocketKind::Server && r.to == m.at));
        if check.pending > 0 {
            return;
        }
        let proved = check.reached >= if check.asked >= ASKED { ENOUGH } else { check.asked.div_ceil(2) };
        let (at, before) = (m.at, m.proved);
        (m.proved, m.check, m.due) = (proved, None, now + AGAIN);
        if before != proved {
            self.events.push_back(Event::PortMapped(proved.then_some(at)));
        }
    }
}
