//! Topics joined by several parts of one process.
//!
//! A node joins a topic once and leaves it once. Those who follow beside each other would take each other's
//! announcements away; here each holds a [`Topic`], and the node plays the strongest part any of them asked for until
//! the last one is gone.
//!
//! Urgency is counted in the same way. A topic is *waiting* while somebody waits for what its peers have, and *idle*
//! else: the swarm looks again soon and often for those that wait, and rarely for the rest.

use bosc_node::{Node, Part};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many hold a topic, how many of them as servers, and how many wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    all: usize,
    servers: usize,
    waiting: usize,
}

/// What one holder adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Client,
    Server,
    Waiting,
}

impl Held {
    fn change(&mut self, holder: Holder, come: bool) {
        let step = |n: &mut usize| *n = if come { n.saturating_add(1) } else { n.saturating_sub(1) };
        match holder {
            Holder::Client => step(&mut self.all),
            Holder::Server => {
                step(&mut self.all);
                step(&mut self.servers);
            }
            Holder::Waiting => step(&mut self.waiting),
        }
    }

    fn part(self) -> Option<Part> {
        (self.all > 0).then_some(Part { client: true, server: self.servers > 0, urgent: self.waiting > 0 })
    }
}

/// Topics of one process's node.
#[derive(Debug, Clone, Default)]
pub struct Topics(Arc<Mutex<BTreeMap<[u8; 32], Held>>>);

impl Topics {
    /// Joins a topic, looking for peers; as `server` also lets itself be found.
    pub fn join(&self, node: &Arc<Node>, topic: [u8; 32], server: bool) -> Topic {
        let holder = if server { Holder::Server } else { Holder::Client };
        self.change(node, topic, holder, true);
        Topic(Arc::new(Joined { node: Arc::clone(node), topics: self.clone(), topic, holder }))
    }

    fn change(&self, node: &Node, topic: [u8; 32], holder: Holder, come: bool) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = map.entry(topic).or_default();
        let before = held.part();
        held.change(holder, come);
        let after = held.part();
        if *held == Held::default() {
            map.remove(&topic);
        }
        // Told with the map locked, so that the node hears it in order.
        match after {
            _ if after == before => {}
            Some(part) => node.join(topic, part),
            None => node.leave(topic),
        }
    }
}

#[derive(Debug)]
struct Joined {
    node: Arc<Node>,
    topics: Topics,
    topic: [u8; 32],
    holder: Holder,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.topics.change(&self.node, self.topic, self.holder, false);
    }
}

/// A joined topic; left with its last handle, unless others hold it.
#[derive(Debug, Clone)]
pub struct Topic(Arc<Joined>);

impl Topic {
    /// The topic.
    pub fn id(&self) -> &[u8; 32] {
        &self.0.topic
    }

    /// Whether the first discovery is over and each peer it found was tried.
    pub fn is_flushed(&self) -> bool {
        self.0.node.is_flushed(&self.0.topic)
    }

    /// Somebody waits for its peers until the value is dropped.
    pub fn urgent(&self) -> Urgent {
        self.0.topics.change(&self.0.node, self.0.topic, Holder::Waiting, true);
        Urgent(self.clone())
    }
}

/// Somebody waits for a topic's peers.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct Urgent(Topic);

impl Drop for Urgent {
    fn drop(&mut self) {
        let joined = &self.0.0;
        joined.topics.change(&joined.node, joined.topic, Holder::Waiting, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(server: bool, urgent: bool) -> Option<Part> {
        Some(Part { client: true, server, urgent })
    }

    #[test]
    fn the_strongest_part_is_played_until_the_last_one_is_gone() {
        let mut held = Held::default();
        let mut after = |holder, come| {
            held.change(holder, come);
            held.part()
        };
        assert_eq!(after(Holder::Client, true), part(false, false));
        assert_eq!(after(Holder::Server, true), part(true, false));
        assert_eq!(after(Holder::Waiting, true), part(true, true));
        assert_eq!(after(Holder::Waiting, true), part(true, true));
        assert_eq!(after(Holder::Server, false), part(false, true), "a server that goes takes only its part");
        assert_eq!(after(Holder::Waiting, false), part(false, true), "one still waits");
        assert_eq!(after(Holder::Waiting, false), part(false, false));
        assert_eq!(after(Holder::Client, false), None);
    }

    #[test]
    fn nothing_is_kept_of_a_topic_that_was_left() {
        let config = bosc_node::NodeConfig {
            host: std::net::Ipv4Addr::LOCALHOST,
            ..bosc_node::NodeConfig::peer(Vec::new())
        };
        let node = Arc::new(Node::start(config, None).unwrap());
        let topics = Topics::default();
        let topic = topics.join(&node, [1; 32], true);
        let urgent = topic.urgent();
        drop(topic);
        assert_eq!(topics.0.lock().unwrap().len(), 1, "who waits holds it");
        drop(urgent);
        assert!(topics.0.lock().unwrap().is_empty());
    }
}
