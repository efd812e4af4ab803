//! The network under a node changes, the machine sleeps, the application rests.
//!
//! ```text
//!  a new address, another network ──┐                    ┌─ DHT: forget the old place, announce at once, sample the NAT anew
//!  the machine slept ───────────────┼─ every link asked ─┼─ swarm: every topic is looked at again
//!  the NAT moved us, routes moved ──┘         │          └─ (the last two: links and relays are asked, no more)
//!                                             │
//!               answered in time: it stays    └ silent: it is dropped, and its peer dialled again at once
//! ```
//!
//! A link is asked by what is on its way, sent again at once, and by heartbeats every [`ASK_EVERY`]; it has [`PATIENCE`], or six round
//! trips, to answer. A Bosc peer notices that we speak from another place and follows (`bosc_udx`'s `Event::Elsewhere`), so the connection and what
//! is under way on it go on. JavaScript peers never follow, nor does one behind a NAT that lets us in no more: they are dialled
//! again, under the same key, which makes them drop the old connection. Without this a dead connection lives for 13 seconds.
//!
//! The other side of it: a peer that moved is followed, whoever it is, once its old place is silent.
//!
//! What tells us: `watch`. What the DHT does: `bosc_dht`'s `dht/life`.

use super::machine::NetMachine;
use crate::swarm::{Part, Topic};
use bosc_udx::{SocketTag, Stream};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// Least time a link has to answer after a change.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most.
const PATIENCE_MOST: Duration = Duration::from_secs(6);
const ASK_EVERY: Duration = Duration::from_millis(500);
/// What came so soon after the change was on its way before it.
const STALE: Duration = Duration::from_millis(20);
/// How long taking announcements back and saying good-bye may take before the node rests.
const REST_BY: Duration = Duration::from_millis(1500);

/// A link that is asked whether it lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    since: Duration,
    ask: Duration,
    until: Duration,
}

/// A node that rests, or is about to.
#[derive(Debug)]
pub(super) struct Rest {
    topics: Vec<(Topic, Part)>,
    by: Duration,
    listened: bool,
}

impl NetMachine {
    /// Our address, or the network, is another one. `local_addresses` are the server socket's addresses now.
    pub fn network_changed(&mut self, local_addresses: Vec<SocketAddrV4>, now: Duration) {
        tracing::debug!(?local_addresses, "the network has changed");
        self.dht.network_changed(local_addresses, now);
        self.lan.iter_mut().for_each(|lan| lan.network_changed(now));
        self.check_links(true, now);
        self.swarm.network_back(now);
        self.actions(now);
        self.changed = true;
    }

    /// Something happened to interfaces or routes that did not change our address.
    pub fn look_around(&mut self, now: Duration) {
        self.dht.look_around(now);
        self.lan.iter_mut().for_each(|lan| lan.look_around(now));
        self.check_links(false, now);
    }

    /// The machine slept, and `now` did not count it.
    pub fn slept(&mut self, now: Duration) {
        tracing::debug!("the machine slept");
        self.dht.slept(now);
    }

    /// Asks every link whether it lives. With `anew` what is on its way counts as lost.
    pub(super) fn check_links(&mut self, anew: bool, now: Duration) {
        for id in self.table.ids().collect::<std::collections::BTreeSet<_>>() {
            let Some(stream) = self.table.get_mut(id) else { continue };
            let loopback = stream.remote().is_some_and(|(_, to)| to.ip().is_loopback());
            if loopback || !stream.is_connected() {
                continue;
            }
            if anew {
                stream.hurry(now);
            } else {
                stream.ask();
            }
            let rtt = stream.stats().rtt.unwrap_or(PATIENCE);
            let patience = rtt.saturating_mul(6).clamp(PATIENCE, PATIENCE_MOST);
            if let Some(link) = self.links.get_mut(&id) {
                link.check = Some(Check { since: now + STALE, ask: now + ASK_EVERY, until: now + patience });
            }
        }
    }

    pub(super) fn check_timeout(&self) -> Option<Duration> {
        let check = self.links.values().filter_map(|l| l.check).map(|c| c.ask.min(c.until)).min();
        check.into_iter().chain(self.rest.as_ref().filter(|_| !self.dht.is_suspended()).map(|r| r.by)).min()
    }

    /// Sees which links have answered, and drops those that did not in time.
    pub(super) fn checks_due(&mut self, now: Duration) {
        let asked: Vec<(u32, Check)> =
            self.links.iter().filter_map(|(id, l)| Some((*id, l.check?))).collect();
        for (id, mut check) in asked {
            let heard = self.table.get(id).is_some_and(|s| s.heard() > check.since);
            if !heard && check.until <= now {
                self.lose_link(id, now);
                continue;
            }
            if !heard && check.ask <= now {
                check.ask = now + ASK_EVERY;
                self.table.get_mut(id).into_iter().for_each(Stream::ask);
            }
            if let Some(link) = self.links.get_mut(&id) {
                link.check = (!heard).then_some(check);
            }
        }
    }

    /// A link leads nowhere any more: its peer is dialled again at once, if we had dialled it.
    fn lose_link(&mut self, id: u32, now: Duration) {
        tracing::debug!(id, "a connection did not survive the change of network");
        let peer = self.links.get(&id).map(|l| l.remote);
        self.destroy_link(id, now);
        if let Some(peer) = peer {
            self.swarm.retry_now(&peer, now);
        }
    }

    /// A peer speaks from another place and not from the one we know.
    pub(super) fn follow(&mut self, id: u32, socket: SocketTag, from: SocketAddr, now: Duration) {
        let link = self.links.get_mut(&id);
        // One that goes through a relay is moved by what finds the direct way.
        if link.as_ref().is_some_and(|l| l.via.is_some_and(|v| !v.moved)) {
            return;
        }
        tracing::debug!(id, %from, "a peer moved");
        if let (Some(link), IpAddr::V4(host)) = (link, from.ip()) {
            link.host = host;
        }
        if let Some(stream) = self.table.get_mut(id) {
            stream.follow(socket, from, now);
        }
        self.changed = true;
    }

    /// Begins to rest: announcements are taken back and connections end. [`NetMachine::is_suspended`] says when that is over; from then on
    /// nothing is sent and no timer is set. Topics may be joined and left meanwhile.
    pub fn suspend(&mut self, now: Duration) {
        if self.rest.is_some() || self.closing.is_some() {
            return;
        }
        let topics: Vec<_> = self.swarm.parts().collect();
        let rest = Rest { topics, by: now + REST_BY, listened: self.listen.is_some() };
        self.withdraw_all(now);
        self.listening = false;
        self.rest = Some(rest);
    }

    /// Ends a rest. `server_port` is the local port of the server socket now.
    pub fn resume(&mut self, local_addresses: Vec<SocketAddrV4>, server_port: u16, now: Duration) {
        let Some(rest) = self.rest.take() else { return };
        self.rest_now(now);
        self.dht.resume(local_addresses, server_port, now);
        if rest.listened {
            self.start_listening(now);
        }
        self.start_relay(now);
        self.lan.iter_mut().for_each(|lan| lan.resumed(server_port, now));
        for (topic, part) in rest.topics {
            self.join(topic, part, now);
        }
        self.changed = true;
    }

    /// Whether the node rests.
    pub fn is_suspended(&self) -> bool {
        self.rest.is_some() && self.dht.is_suspended()
    }

    /// Begins to rest in earnest once all is said, or when it took too long.
    pub(super) fn rest_when_quiet(&mut self, now: Duration) {
        let Some(by) = self.rest.as_ref().map(|r| r.by) else { return };
        if self.is_quiet() || now >= by {
            self.rest_now(now);
        }
    }

    fn rest_now(&mut self, now: Duration) {
        if self.dht.is_suspended() {
            return;
        }
        self.dht.suspend(now);
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.drop_link(id, now);
        }
        for id in self.table.ids().collect::<std::collections::BTreeSet<_>>() {
            self.table.remove(id);
            self.unused.extend(self.on_pool.remove(&id));
        }
    }

    /// What a node that rests plays a part in when it goes on; none when it does not rest.
    pub(super) fn resting(&mut self) -> Option<&mut Vec<(Topic, Part)>> {
        self.rest.as_mut().map(|r| &mut r.topics)
    }
}
