//! What happens every five seconds (`_ontick` of `dht-rpc/index.js`).

use super::{Dht, Owner};
use crate::addr::NodeId;
use crate::event::Event;
use crate::query::QueryOwner;
use crate::rpc::health::NetworkState;
use crate::table::K;
use std::time::Duration;

/// Length of a tick.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// A gap after which the machine must have slept.
const SLEPT: Duration = Duration::from_secs(15);
/// Calm ticks before an adaptive node tries to be persistent: 20 minutes.
pub(super) const STABLE: u64 = 240;
/// Before it tries again.
pub(super) const MORE_STABLE: u64 = 3 * STABLE;
/// Ticks before a node that found itself firewalled looks again, and before the next look: the one packet that
/// would have shown that it can be reached may have been lost. Each wait is twice the one before.
pub(super) const FIREWALL_CHECKS: (u64, u64) = (2, 4);
/// Ticks without a query before the table is refreshed: 5 minutes.
pub(super) const REFRESH: u64 = 60;
/// Ticks a node counts as heard of just now: 1 minute.
pub(super) const RECENT_NODE: u64 = 12;
/// Ticks after which a node is proven: 30 minutes.
pub(super) const OLD_NODE: u64 = 360;
/// Most nodes whose presence is checked at once because others said they are down.
pub(super) const MAX_CHECKS: u32 = 10;

impl Dht {
    pub(super) fn on_tick(&mut self, now: Duration) {
        if now.saturating_sub(self.last_tick) > SLEPT {
            self.on_wakeup();
        } else {
            self.tick += 1;
        }
        self.last_tick = now;
        self.next_tick = now + INTERVAL;
        if !self.is_bootstrapped() {
            return;
        }
        self.try_persistent(now);
        self.check_firewall(now);
        if self.tick & 7 == 0 {
            self.ping_some(now);
        }
        self.refresh_ticks = self.refresh_ticks.saturating_sub(1);
        if self.refresh_ticks == 0 || (self.tick & 63 == 0 && self.table.len() < K) {
            self.refresh(now);
        }
        self.down_hints_sent = 0;
        self.health.update(self.io.stats.responses, self.io.stats.timeouts);
        self.network_changed(now);
    }

    fn try_persistent(&mut self, now: Duration) {
        if !self.ephemeral {
            return;
        }
        if self.force_persistent {
            // The first node of a network learns its address only when others speak to it.
            if self.nat.address().is_some() && self.last_host != self.nat.host() {
                self.update_network_state(false, now);
            }
        } else if self.adaptive {
            self.stable_ticks = self.stable_ticks.saturating_sub(1);
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

    /// Holepunching is not there to help a peer that only thinks it is hidden, so it looks sooner than after the 20
    /// minutes of `dht-rpc`.
    fn check_firewall(&mut self, now: Duration) {
        if !self.io.firewalled || !self.quick_firewall || self.force_persistent {
            return;
        }
        let (ticks, next) = &mut self.firewall_ticks;
        *ticks = ticks.saturating_sub(1);
        if *ticks == 0 {
            *ticks = *next;
            *next = next.saturating_mul(2).min(STABLE);
            self.update_network_state(true, now);
        }
    }

    /// Makes everything look old, so that it is looked at again.
    fn on_wakeup(&mut self) {
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
        self.renew_listens();
        self.events.push_back(Event::Wakeup);
    }

    pub(super) fn network_changed(&mut self, now: Duration) {
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
