//! Topics somebody waits on.
//!
//! ```text
//!            joined as urgent                     a look is due        wait twice as long: at most 3 s while nobody
//!   resting ------------------> waiting (0.5 s)  --------------> query   shares the core, at most 60 s while somebody
//!      ^    last look over 20 s    |              ^                  |   does
//!      |    ago: query at once     |              +------------------+
//!      +--- joined as not urgent --+   delivered, or the last who shared it went: wait 3 s
//! ```
//!
//! Who "shares the core" opened the channel of the core whose discovery key the topic is; the owner tells with
//! [`Swarm::shares`]. For a topic that is not a core's nobody ever does.

use super::joined::Urgent;
use super::state::Swarm;
use super::types::{ConnId, Topic};
use std::time::Duration;

/// Wait before the first look when urgency begins: peers that were about to announce are missed by the query before, and
/// who waits may need more than the first one that was found.
pub(super) const SOON: Duration = Duration::from_millis(500);
/// Longest wait between two looks while nobody is there; the wait after something was delivered.
pub(super) const NEAR: Duration = Duration::from_secs(3);
/// Longest wait while those who are there do not deliver.
pub(super) const MOST: Duration = Duration::from_secs(60);
/// When urgency begins and the last look is older, peers who are not connected yet are looked for at once: otherwise
/// whoever is connected first and knows of nothing new would be believed until the next refresh.
pub(super) const OLD: Duration = Duration::from_secs(20);

impl Swarm {
    pub(super) fn set_urgent(&mut self, topic: Topic, urgent: bool, now: Duration) {
        let Some(joined) = self.topics.get_mut(&topic) else { return };
        if !urgent {
            joined.urgent = None;
        } else if joined.urgent.is_none() {
            let old = joined.looked.is_none_or(|at| now.saturating_sub(at) >= OLD);
            joined.urgent = Some(Urgent { wait: SOON, at: None });
            joined.restart(SOON, now);
            if old {
                self.discover(topic, now);
            }
        }
    }

    /// Whether an open connection shares the topic's core.
    fn is_shared(&self, topic: &Topic) -> bool {
        self.links.values().any(|l| l.open && l.shares.contains(topic))
    }

    /// An urgent look is about to begin: the one after it comes later if somebody is there.
    pub(super) fn wait_longer(&mut self, topic: Topic, now: Duration) {
        let shared = self.is_shared(&topic);
        if let Some(u) = self.topics.get_mut(&topic).and_then(|j| j.urgent.as_mut())
            && u.at.take_if(|at| *at <= now).is_some()
        {
            u.wait = (u.wait * 2).min(if shared { MOST } else { NEAR });
        }
    }

    /// A query has ended.
    pub(super) fn plan_urgent(&mut self, topic: Topic, now: Duration) {
        if let Some(u) = self.topics.get_mut(&topic).and_then(|j| j.urgent.as_mut()) {
            u.at = Some(now + u.wait);
        }
    }

    /// Nobody may be left who shares the topic's core: then the next look is near again.
    pub(super) fn look_if_alone(&mut self, topic: Topic, now: Duration) {
        if !self.is_shared(&topic)
            && let Some(joined) = self.topics.get_mut(&topic)
        {
            joined.restart(NEAR, now);
        }
    }

    /// The peer of `conn` shares the core whose discovery key is `topic`, or does so no longer.
    pub fn shares(&mut self, conn: ConnId, topic: Topic, shared: bool, now: Duration) {
        let most = self.limits.topics;
        let Some(link) = self.by_conn.get(&conn).and_then(|peer| self.links.get_mut(peer)) else { return };
        if !shared {
            if link.shares.remove(&topic) {
                self.look_if_alone(topic, now);
            }
        } else if link.shares.len() < most {
            link.shares.insert(topic);
        }
    }

    /// Whether the peer of `conn` shares any core with us.
    pub fn shares_any(&self, conn: ConnId) -> bool {
        self.by_conn.get(&conn).and_then(|peer| self.links.get(peer)).is_some_and(|l| !l.shares.is_empty())
    }

    /// The peer of `conn` delivered something somebody asked for: no need to look further for what it shares.
    pub fn delivered(&mut self, conn: ConnId, now: Duration) {
        self.moved(conn, now);
        let Some(link) = self.by_conn.get(&conn).and_then(|peer| self.links.get(peer)) else { return };
        for topic in &link.shares {
            if let Some(joined) = self.topics.get_mut(topic) {
                joined.restart(NEAR, now);
            }
        }
    }
}
