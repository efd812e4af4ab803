//! The network under a node changes, the machine sleeps, the owner rests for a while.
//!
//! | what | how it is noticed | what follows |
//! |---|---|---|
//! | another address or network | the owner, [`Dht::network_changed`] | what was learnt of our own address is forgotten; requests under way are sent again; every key is announced again at once, and a walk samples the new NAT and finds out whether we can be reached |
//! | something moved that is perhaps of no account | the owner, [`Dht::look_around`] | relays are pinged |
//! | the NAT gave us another address | a relay's answer to a ping | keys are announced again, at most once a minute for that; [`Event::MappingChanged`] |
//! | the machine slept | a tick that comes late, or the owner, [`Dht::slept`] | as `dht-rpc` does: all looks old, keys are announced again, [`Event::Wakeup`] |
//! | the owner rests | [`Dht::suspend`] and [`Dht::resume`] | nothing is sent, nothing is due; then as after a change of network |
//!
//! `hyperdht` announces again when an interface changes and leaves the rest to its timers: samples of the old NAT outvote the new
//! one until 16 nodes have answered, and a mapping that changed is noticed with the next announce, five minutes later.

use super::listen::Listener;
use super::{Dht, Owner, tick};
use crate::ListenId;
use crate::event::{Event, Reply};
use crate::nat::NatSampler;
use crate::query::QueryOwner;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Ticks between two announces because a NAT gave us another address: a minute. One that does so with every packet is not followed.
const MOVED_AGAIN: u64 = 12;

impl Dht {
    /// Our address or the network has changed. `local_addresses` are the server socket's addresses now.
    pub fn network_changed(&mut self, local_addresses: Vec<SocketAddrV4>, now: Duration) {
        self.count_ticks(now);
        self.local_addresses = local_addresses;
        self.forget_place(now);
        self.health.reset();
        self.network_state_changed(now);
        self.io.send_all_again(&mut self.rng, now);
        for id in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.renew_now(id, now);
        }
        self.walk_to(*self.table.id(), QueryOwner::Background, now);
    }

    /// Forgets what others said of our address, and whether they reach us.
    fn forget_place(&mut self, now: Duration) {
        self.stable_ticks = tick::MORE_STABLE;
        self.firewall_ticks = tick::FIREWALL_CHECKS;
        self.last_host = None;
        if self.known_address {
            return;
        }
        let before = (self.nat.host(), self.nat.port());
        self.nat = NatSampler::new();
        self.ephemeral_samples.clear();
        self.table.forget_samples();
        self.forget_mapping();
        self.nat_changed(before);
        self.quick_nat_ok = false;
        if self.probe.take().is_some() {
            self.boot_probed(false, now);
        }
        if !self.force_persistent {
            self.io.firewalled = self.starts_firewalled;
            self.probing_quick = self.io.firewalled && self.quick_firewall;
        }
        self.become_ephemeral();
    }

    fn become_ephemeral(&mut self) {
        if (self.adaptive || self.force_persistent) && !self.ephemeral {
            self.ephemeral = true;
            self.io.identity = None;
            self.events.push_back(Event::PersistentChanged(false));
        }
    }

    /// Something happened to the machine's interfaces or routes that did not change our address: relays are asked whether they
    /// still hear us, and from where.
    pub fn look_around(&mut self, now: Duration) {
        for id in self.listeners.keys().copied().collect::<Vec<_>>() {
            if self.listeners.get(&id).is_some_and(Listener::is_asleep) {
                self.keep_open(id, now);
            }
        }
    }

    /// The machine slept and `now` did not count it. One that `now` counts is noticed here.
    pub fn slept(&mut self, now: Duration) {
        self.count_ticks(now);
        self.unticked = 0;
        self.on_wakeup(now);
        self.ticked = self.last_tick;
        self.next_tick = self.last_tick + tick::INTERVAL;
    }

    /// Nothing is sent, taken or due any more, until [`Dht::resume`]. What is under way fails. Whoever should not be found in the
    /// meantime takes announces back before that.
    pub fn suspend(&mut self, now: Duration) {
        let mut queries: Vec<_> = self.queries.keys().copied().collect();
        queries.sort_unstable();
        for query in queries {
            self.cancel_query(query, now);
        }
        while let Some(mut finished) = self.io.give_up_one() {
            // Silence of our own making says nothing of a node.
            finished.node = None;
            match finished.owner {
                Owner::Check { .. } => self.checks = self.checks.saturating_sub(1),
                Owner::Swap { .. } => self.repinging = self.repinging.saturating_sub(1),
                _ => self.finish_request(finished, Err(()), now),
            }
        }
        self.delayed.clear();
        self.unproved.clear();
        self.suspended = true;
    }

    /// Whether [`Dht::suspend`] was called last.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Goes on after [`Dht::suspend`], at another place perhaps. `server_port` is the local port of the server socket now.
    pub fn resume(&mut self, local_addresses: Vec<SocketAddrV4>, server_port: u16, now: Duration) {
        if !std::mem::take(&mut self.suspended) {
            return;
        }
        self.server_port = server_port;
        self.slept(now);
        self.network_changed(local_addresses, now);
    }

    /// A relay answered a ping: does it see us where it saw us before?
    pub(super) fn relay_saw_us(&mut self, id: ListenId, reply: &Reply) {
        let tick = self.tick;
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if listener.saw_us_elsewhere(reply, tick, MOVED_AGAIN) {
            self.events.push_back(Event::MappingChanged);
        }
    }
}
