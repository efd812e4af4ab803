//! What `data dht` does: the DHT nodes that are known once the first walk through the network is over.

use super::DataDht;
use super::event::{DhtNode, DhtNodes};
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::CommandError;
use bosc_follow::Wait;
use std::time::Duration;

/// Most DHT nodes named.
const MAX_NODES: usize = 1000;

impl Engine {
    /// The DHT nodes that are known once the first walk through the network is over.
    pub(crate) fn data_dht(&self, request: &DataDht, stop: &Stop) -> Result<DhtNodes, CommandError> {
        let node = self.node()?;
        let timeout = Duration::from_millis(request.timeout_ms);
        Wait::new(stop)
            .timeout(timeout)
            .run(node.signal(), |_| Ok::<_, CommandError>(node.status().bootstrapped.then_some(())))?;
        let nodes = node.dht_nodes(MAX_NODES);
        if nodes.is_empty() {
            return Err(CommandError::new(
                crate::error::ErrorKind::Network,
                "ERR_NETWORK_TIMEOUT",
                "no node of the DHT answered in time",
            ));
        }
        let node = |n: &std::net::SocketAddrV4| DhtNode { host: n.ip().to_string(), port: n.port() };
        Ok(DhtNodes { nodes: nodes.iter().map(node).collect() })
    }
}
