//! A private DHT on loopback for the examples.

use bosc_node::{Node, NodeConfig, Role};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Starts four nodes, and says where they are. They run until they are dropped.
pub(crate) fn start() -> (Vec<Node>, Vec<SocketAddrV4>) {
    let mut network = Vec::new();
    let mut bootstrap = Vec::new();
    for _ in 0..4 {
        let config = NodeConfig {
            host: Ipv4Addr::LOCALHOST,
            role: Role::Persistent(Ipv4Addr::LOCALHOST),
            ..NodeConfig::peer(bootstrap.iter().take(1).copied().collect())
        };
        let node = Node::start(config, None).unwrap();
        bootstrap.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, node.port()));
        network.push(node);
    }
    (network, bootstrap)
}
