//! What happens every five seconds (`_ontick` of `dht-rpc/index.js`).
//!
//! Ticks are counted on a fixed grid whether or not anybody is awake. A tick in which there is nothing to do is slept
//! through; what counts ticks takes all of them at the next one. While requests are under way every tick is taken, so
//! that the network is judged as `dht-rpc` judges it.
//!
//! A node nobody depends on (an ephemeral one) pings its table more rarely than `dht-rpc` does and leaves walks to the
//! queries of its owner: at rest it wakes every three minutes for at most five pings, or for a walk when it knows
//! nobody, and for a walk after a quarter of an hour without any query.

use super::Dht;
use super::owner::Owner;
use crate::addr::NodeId;
use crate::event::Event;
use crate::query::QueryOwner;
use crate::rpc::health::NetworkState;
use crate::table::K;
use std::time::Duration;

/// Length of a tick.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// A tick that comes so late: the machine must have slept.
const SLEPT: Duration = Duration::from_secs(10);
/// Calm ticks before an adaptive node tries to be persistent: 20 minutes.
pub(super) const STABLE: u64 = 240;
/// Before it tries again.
pub(super) const MORE_STABLE: u64 = 3 * STABLE;
/// Ticks before a node that found itself firewalled looks again, and before the next look: the one packet that
/// would have shown that it can be reached may have been lost. Each wait is twice the one before.
pub(super) const FIREWALL_CHECKS: (u64, u64) = (2, 4);
/// Ticks without a query before the table is refreshed: 5 minutes.
pub(super) const REFRESH: u64 = 60;
/// The same of an ephemeral node: 15 minutes, longer than owners of topics leave between two lookups.
pub(super) const EPHEMERAL_REFRESH: u64 = 180;
/// Ticks between two rounds of pings: 40 seconds.
const PINGS: u64 = 8;
/// The same of an ephemeral node: 3 minutes.
const EPHEMERAL_PINGS: u64 = 36;
/// Ticks between two walks of a node that knows few others: 5 minutes.
const FEW: u64 = 64;
/// Ticks a node counts as heard of just now: 1 minute.
pub(super) const RECENT_NODE: u64 = 12;
/// Ticks after which a node is proven: 30 minutes.
pub(super) const OLD_NODE: u64 = 360;
/// Most nodes whose presence is checked at once because others said they are down.
pub(super) const MAX_CHECKS: u32 = 10;

impl Dht {
    /// Counts the ticks that have passed.
    pub(super) fn count_ticks(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.last_tick).as_secs() / INTERVAL.as_secs();
        if passed > 0 {
            self.tick += passed;
            self.unticked += passed;
            self.last_tick += INTERVAL.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX));
        }
    }

    /// When the next tick has to be taken.
    pub(super) fn tick_due(&self) -> Duration {
        if self.io.active() > 0 { self.next_tick.min(self.ticked + INTERVAL) } else { self.next_tick }
    }

    pub(super) fn on_tick(&mut self, now: Duration) {
        let mut passed = std::mem::take(&mut self.unticked);
        if now.saturating_sub(self.next_tick) > SLEPT {
            self.tick -= passed;
            passed = 1;
            self.on_wakeup(now);
        }
        self.ticked = self.last_tick;
        if self.is_bootstrapped() {
            self.take_ticks(passed, now);
        }
        self.next_tick = self.last_tick + INTERVAL.saturating_mul(self.ticks_to_rest() as u32);
    }

    fn take_ticks(&mut self, passed: u64, now: Duration) {
        self.try_persistent(passed, now);
        self.check_firewall(passed, now);
        let tick = self.tick;
        let crossed = |every: u64| tick / every != tick.saturating_sub(passed) / every;
        if crossed(self.ping_ticks()) {
            self.ping_some(now);
        }
        self.refresh_ticks = self.refresh_ticks.saturating_sub(passed);
        // Who knows nobody walks instead of pinging.
        let few = crossed(FEW) && (1..K).contains(&self.table.len());
        if self.refresh_ticks == 0 || few {
            self.refresh(now);
        }
        self.down_hints_sent = 0;
        // All but the first were quiet.
        for _ in 0..passed.min(5) {
            self.health.update(self.io.stats.responses, self.io.stats.timeouts);
        }
        self.network_state_changed(now);
    }

    fn ping_ticks(&self) -> u64 {
        if self.ephemeral { EPHEMERAL_PINGS } else { PINGS }
    }

    /// Ticks until there is something to do, if nothing else happens.
    fn ticks_to_rest(&self) -> u64 {
        if !self.is_bootstrapped() || (self.force_persistent && self.ephemeral) {
            return 1;
        }
        let until = |every: u64| every - self.tick % every;
        let mut next = until(self.ping_ticks()).min(self.refresh_ticks);
        if (1..K).contains(&self.table.len()) {
            next = next.min(until(FEW));
        }
        if self.adaptive && self.ephemeral {
            next = next.min(self.stable_ticks);
        }
        if self.io.firewalled && self.quick_firewall && !self.force_persistent {
            next = next.min(self.firewall_ticks.0);
        }
        next.max(1)
    }

    fn try_persistent(&mut self, passed: u64, now: Duration) {
        if !self.ephemeral {
            return;
        }
        if self.force_persistent {
            // The first node of a network learns its address only when others speak to it.
            if self.nat.address().is_some() && self.last_host != self.nat.host() {
                self.update_network_state(false, now);
            }
        } else if self.adaptive {
            self.stable_ticks = self.stable_ticks.saturating_sub(passed);
            if self.stable_ticks > 0 {
                return;
            }
            if self.last_host == self.nat.host() {
                self.stable_ticks = MORE_STABLE;
            } else {
                self.update_network_state(false, now);
            }
        }
    }

    /// A peer that only thinks it is hidden costs others a holepunch, so it looks sooner than after the 20 minutes of `dht-rpc`.
    fn check_firewall(&mut self, passed: u64, now: Duration) {
        if !self.io.firewalled || !self.quick_firewall || self.force_persistent {
            return;
        }
        let (ticks, next) = &mut self.firewall_ticks;
        *ticks = ticks.saturating_sub(passed);
        if *ticks == 0 {
            *ticks = *next;
            *next = next.saturating_mul(2).min(STABLE);
            self.update_network_state(true, now);
        }
    }

    /// Makes everything look old, so that it is looked at again.
    pub(super) fn on_wakeup(&mut self, now: Duration) {
        // Two ticks before the next round of pings.
        self.tick = ((self.tick + 2 * OLD_NODE) | 7) - 1;
        self.stable_ticks = MORE_STABLE;
        self.firewall_ticks = FIREWALL_CHECKS;
        self.refresh_ticks = 1;
        self.last_host = None;
        self.health.reset();
        if self.adaptive && !self.ephemeral {
            self.ephemeral = true;
            self.io.identity = None;
            self.events.push_back(Event::PersistentChanged(false));
        }
        self.renew_listens(now);
        self.events.push_back(Event::Wakeup);
    }

    pub(super) fn network_state_changed(&mut self, now: Duration) {
        let state = self.health.state();
        if state == self.network {
            return;
        }
        let was_offline = self.network == NetworkState::Offline;
        self.network = state;
        self.events.push_back(Event::Network(state));
        if was_offline {
            self.listeners_online(now);
        }
    }

    /// Walks to a random place we know, so that the table stays fresh.
    pub(super) fn refresh(&mut self, now: Duration) {
        let target = self.table.random(&mut self.rng).map_or(*self.table.id(), |n| n.id);
        self.walk_to(target, QueryOwner::Background, now);
    }

    /// Pings the nodes not heard of for longest.
    fn ping_some(&mut self, now: Duration) {
        let Some(oldest) = self.table.oldest().next() else {
            self.refresh(now);
            return;
        };
        let count = if self.tick.saturating_sub(oldest.pinged) < RECENT_NODE {
            2
        } else if self.io.active() > 2 {
            3
        } else {
            5
        };
        let tick = self.tick;
        let due: Vec<NodeId> =
            self.table.oldest().take_while(|n| n.pinged != tick).take(count).map(|n| n.id).collect();
        for id in due {
            self.check_node(&id, now);
        }
    }

    /// Pings a node of the table; it is removed if it does not reply.
    pub(super) fn check_node(&mut self, id: &NodeId, now: Duration) {
        let tick = self.tick;
        let Some(node) = self.table.get_mut(id) else { return };
        node.pinged = tick;
        let (addr, owner) = (node.addr, Owner::Check { node: *id, heard: node.heard });
        if self.send_ping(addr, owner, now) {
            self.checks += 1;
        }
    }
}
