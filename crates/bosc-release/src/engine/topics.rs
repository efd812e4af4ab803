//! Topics joined by several commands of one process.
//!
//! A node joins a topic once and leaves it once. Commands that run beside each other (a `seed` and what others handed
//! over) would take each other's announcements away; here each holds a [`Topic`], and the node plays the strongest part
//! any of them asked for until the last one is gone.

use super::Engine;
use bosc_node::Node;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many hold a topic, and how many of them as servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    all: usize,
    servers: usize,
}

/// Topics held in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topics(Arc<Mutex<BTreeMap<[u8; 32], Held>>>);

/// A joined topic; left when it is dropped, unless others hold it.
pub(crate) struct Topic {
    node: Arc<Node>,
    topics: Topics,
    topic: [u8; 32],
    server: bool,
}

impl Topics {
    fn change(&self, node: &Node, topic: [u8; 32], server: bool, come: bool) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = map.entry(topic).or_default();
        let before = *held;
        let step = |n: usize, by: bool| match (by, come) {
            (false, _) => n,
            (true, true) => n + 1,
            (true, false) => n.saturating_sub(1),
        };
        *held = Held { all: step(held.all, true), servers: step(held.servers, server) };
        let now = *held;
        if now.all == 0 {
            map.remove(&topic);
            node.leave(topic);
        } else if before.all == 0 || (before.servers > 0) != (now.servers > 0) {
            node.join(topic, true, now.servers > 0);
        }
    }
}

impl Engine {
    /// Joins a topic, looking for peers; as `server` also lets itself be found.
    pub(crate) fn join_topic(&self, node: &Arc<Node>, topic: [u8; 32], server: bool) -> Topic {
        self.topics.change(node, topic, server, true);
        Topic { node: Arc::clone(node), topics: self.topics.clone(), topic, server }
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.topics.change(&self.node, self.topic, self.server, false);
    }
}
