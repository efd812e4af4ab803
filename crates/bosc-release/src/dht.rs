//! `dht`: a node of the DHT itself, for private networks.

use crate::command::{Outcome, Sink, Stop};
use crate::engine::resolve;
use crate::error::{CommandError, ErrorKind};
use bosc_node::{Node, NodeConfig, Role, TICK};
use serde_json::json;
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
    let bootstrap = if config.bootstrap.is_empty() { Vec::new() } else { resolve(&config.bootstrap)? };
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

/// Runs a node until stopped.
pub fn run(config: &DhtConfig, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let node = start(config)?;
    let host = config.public_host.unwrap_or(if config.host.is_unspecified() {
        Ipv4Addr::LOCALHOST
    } else {
        config.host
    });
    sink.event("ready", json!({ "host": host.to_string(), "port": node.port() }));
    node.signal().wait(None, TICK, || stop.is_stopped().then_some(()));
    node.close();
    Ok(json!({}))
}
