//! What `dht` tells on the way, and what `data dht` ends with.

use serde::{Deserialize, Serialize};

/// What happens during `dht`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DhtEvent {
    /// The node answers others.
    Ready {
        /// The address others reach it at.
        host: String,
        /// Its UDP port.
        port: u16,
    },
    /// A whole network on loopback answers.
    Local {
        /// The node to start from: `HOST:PORT`.
        bootstrap: String,
        /// How many nodes it has.
        nodes: usize,
    },
}

/// What `data dht` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtNodes {
    /// The nodes.
    pub nodes: Vec<DhtNode>,
}

/// A node of the DHT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtNode {
    /// Its address.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
}
