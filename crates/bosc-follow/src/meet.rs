//! Two runs that look for each other: each announces itself on a topic that only such runs join, and then looks once
//! more. Of two runs at least one finds the other, and a connection tells both.
//!
//! ```text
//! joined ── announced ── looked once more ──> those who are there, until nobody new comes
//! ```

use crate::core::FollowedCore;
use crate::error::FollowError;
use crate::topics::Topics;
use crate::wait::{Alarm, Wait};
use bosc_format::crypto::PublicKey;
use bosc_node::Node;
use bosc_store::Core;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after the last connection a peer has to show itself.
const SETTLE: Duration = Duration::from_millis(500);
/// How often the number of known DHT nodes, which raises no signal, is looked at.
const NODES: Duration = Duration::from_secs(1);

/// How far an announcement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Others can find us.
    pub announced: bool,
    /// The look after the announcement is over.
    pub looked: bool,
    /// There is no DHT: nobody can be found, nor find us.
    pub alone: bool,
}

/// A core that is announced for others to meet at.
#[derive(Debug)]
pub struct Meeting {
    core: FollowedCore,
    /// Connections and peers seen last, and since when they are the same.
    seen: (BTreeSet<PublicKey>, Vec<PublicKey>, Instant),
}

impl Meeting {
    /// Offers `core` on its own topic.
    pub fn join(node: &Arc<Node>, topics: &Topics, core: &Core) -> Self {
        let live = node.attach(core);
        let topic = topics.join(node, *core.discovery_key(), true);
        let core = FollowedCore::new(node, &topic, live.core());
        Self { core, seen: (BTreeSet::new(), Vec::new(), Instant::now()) }
    }

    /// The core.
    pub fn core(&self) -> &FollowedCore {
        &self.core
    }

    /// Those who are there.
    pub fn others(&self) -> Vec<PublicKey> {
        self.core.status().peers.iter().map(|p| p.key).collect()
    }

    /// Whether no DHT node is known.
    pub fn is_alone(&self) -> bool {
        self.core.node.dht_nodes(1).is_empty()
    }

    /// Announces itself, and then looks once more.
    ///
    /// # Errors
    /// [`FollowError::Stopped`].
    pub fn announce(&mut self, wait: &mut Wait<'_>) -> Result<Announced, FollowError> {
        let node = &self.core.node;
        let ready = |alarm: &mut Alarm| {
            alarm.is_past(alarm.now() + NODES);
            let status = node.status();
            // Nobody can be found: the discovery that goes on finds nobody either.
            status.unanswered || self.core.is_flushed() && (status.listening || status.nodes == 0)
        };
        let announced =
            wait.run(node.signal(), |alarm| Ok::<_, FollowError>(ready(alarm).then_some(())))?.is_some();
        let alone = self.is_alone();
        if announced && !alone {
            node.look_again(*self.core.topic.id());
        }
        let looked = wait
            .run(node.signal(), |_| {
                let over = node.status().unanswered || self.core.is_flushed();
                Ok::<_, FollowError>(over.then_some(()))
            })?
            .is_some();
        self.begin();
        Ok(Announced { announced, looked, alone: self.is_alone() })
    }

    /// What was shown until now does not count: whoever is there has the usual time again.
    pub fn begin(&mut self) {
        self.seen.2 = Instant::now();
    }

    /// Whether nobody came or went for long enough that who is connected has shown itself.
    pub fn is_settled(&mut self, alarm: &mut Alarm) -> bool {
        let now = (self.core.node.status().connections, self.others());
        if (&now.0, &now.1) != (&self.seen.0, &self.seen.1) {
            self.seen = (now.0, now.1, alarm.now());
        }
        alarm.has_passed(self.seen.2, SETTLE)
    }
}
