//! `dht`: a node of the DHT itself, for private networks, or all nodes of one on loopback.
//!
//! # Files
//!
//! - Here: a node, or a network of how many on loopback. `command`: what `data dht` tells, how many nodes. `event`: what is told.

mod command;
pub mod event;

use crate::command::{Outcome, Sink, Stop};
use crate::engine::bootstrap_nodes;
use crate::error::{CommandError, ErrorKind};
use crate::event::Output;
use bosc_follow::{FollowError, Wait};
use bosc_node::{Node, NodeConfig, Role};
use event::DhtEvent;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// How the node takes part.
#[derive(Debug, Clone)]
pub struct DhtConfig {
    /// Address to bind.
    pub host: Ipv4Addr,
    /// UDP port; 0 takes a free one.
    pub port: u16,
    /// The address others reach it at, when it is not the bound one.
    pub public_host: Option<Ipv4Addr>,
    /// Nodes of the network to join; empty starts a network of its own.
    pub bootstrap: Vec<String>,
}

/// Starts a node that stores and relays for others.
pub fn start(config: &DhtConfig) -> Result<Node, CommandError> {
    // Without others it is the first of its network, never a part of the public one.
    let bootstrap =
        if config.bootstrap.is_empty() { Vec::new() } else { bootstrap_nodes(&config.bootstrap)? };
    let public = config.public_host.unwrap_or(if config.host.is_unspecified() {
        Ipv4Addr::LOCALHOST
    } else {
        config.host
    });
    let mut node = NodeConfig::peer(bootstrap);
    (node.host, node.port, node.role) = (config.host, config.port, Role::Persistent(public));
    Node::start(node, None).map_err(|e| {
        CommandError::new(
            ErrorKind::Network,
            "ERR_CONNECTION",
            format!("UDP port {} of {} cannot be used", config.port, config.host),
        )
        .because(e)
        .hint("choose another with `--port`; 0 takes a free one")
    })
}

/// Nodes of a network on loopback: as many as JavaScript peers need to find each other.
pub(crate) const LOCAL_NODES: usize = 4;

/// Starts a whole network of its own on loopback. The first node is at `port`, or at a free one when that is 0.
pub(crate) fn start_local(port: u16) -> Result<Vec<Node>, CommandError> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..LOCAL_NODES {
        let first = nodes.first().map(Node::port);
        nodes.push(start(&DhtConfig {
            host: Ipv4Addr::LOCALHOST,
            port: if first.is_none() { port } else { 0 },
            public_host: None,
            bootstrap: first.map(|port| format!("127.0.0.1:{port}")).into_iter().collect(),
        })?);
    }
    Ok(nodes)
}

/// Runs a whole network on loopback until stopped.
///
/// # Errors
/// `ERR_CONNECTION` when the port is taken.
pub fn run_local(port: u16, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let nodes = start_local(port)?;
    if let Some(first) = nodes.first() {
        let bootstrap = format!("127.0.0.1:{}", first.port());
        sink.tell(DhtEvent::Local { bootstrap, nodes: nodes.len() });
        // Nothing but a stop ends it.
        let _: Result<Option<()>, FollowError> = Wait::new(stop).run(first.signal(), |_| Ok(None));
    }
    nodes.into_iter().for_each(Node::close);
    Ok(Output::Nothing)
}

/// Runs a node until stopped.
pub fn run(config: &DhtConfig, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let node = start(config)?;
    let host = config.public_host.unwrap_or(if config.host.is_unspecified() {
        Ipv4Addr::LOCALHOST
    } else {
        config.host
    });
    sink.tell(DhtEvent::Ready { host: host.to_string(), port: node.port() });
    // Nothing but a stop ends it.
    let _: Result<Option<()>, FollowError> = Wait::new(stop).run(node.signal(), |_| Ok(None));
    node.close();
    Ok(Output::Nothing)
}

/// `bosc data dht`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDht {
    /// How long to ask the network, in milliseconds.
    pub timeout_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_event_has_the_names_that_others_read() {
        crate::golden::events(vec![
            (DhtEvent::Ready { host: "h".into(), port: 1 }, "ready", r#"{"host":"h","port":1}"#),
            (
                DhtEvent::Local { bootstrap: "h:1".into(), nodes: 4 },
                "local",
                r#"{"bootstrap":"h:1","nodes":4}"#,
            ),
        ]);
    }
}
