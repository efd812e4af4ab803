//! Settings and bounds.

use std::net::SocketAddrV4;
use std::time::Duration;

/// How a node takes part.
#[derive(Debug, Clone)]
pub struct Config {
    /// Nodes everybody knows. Empty for the first node of a network.
    pub bootstrap: Vec<SocketAddrV4>,
    /// Nodes known from an earlier run, see [`crate::Dht::nodes`].
    pub nodes: Vec<SocketAddrV4>,
    /// Nodes that answered in an earlier run, see [`crate::Dht::answering_nodes`]. The walk to our own place asks the first 40 of
    /// them beside the bootstrap nodes, and so do queries while nobody is known: a network whose bootstrap nodes are all gone
    /// is found by them. Who does not answer gets into no table.
    pub earlier: Vec<SocketAddrV4>,
    /// The local port of the server socket; others are asked to ping it.
    pub server_port: u16,
    /// The server socket's address on every local interface, for peers in the same network.
    pub local_addresses: Vec<SocketAddrV4>,
    /// `None`: ephemeral at first, persistent after 20 minutes if the server socket can be reached.
    /// `Some(false)`: persistent as soon as our address is known. `Some(true)`: ephemeral for good.
    pub ephemeral: Option<bool>,
    /// Whether to assume that others cannot reach the server socket until it is proved that they can.
    pub firewalled: bool,
    /// Whether to find out while bootstrapping if the server socket can be reached.
    pub quick_firewall: bool,
    /// Our address as others see it, where it is known for sure, as on a bootstrap node.
    pub known_address: Option<SocketAddrV4>,
    /// How many requests a query has on the wire at once.
    pub concurrency: usize,
    /// How many requests may be sent without a reply in 750 ms.
    pub max_window: usize,
    /// Whether the wait for a reply follows the measured round trip times; otherwise it is one second.
    pub adaptive_timeouts: bool,
    /// Whether to tell others that nodes they named are down.
    pub down_hints: bool,
    /// How many of these in five seconds.
    pub max_down_hints: u32,
    /// The time since 1970 at `now` zero. Used for nothing but to refuse bumps from the future.
    pub unix_time: Duration,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            nodes: Vec::new(),
            earlier: Vec::new(),
            server_port: 0,
            local_addresses: Vec::new(),
            ephemeral: None,
            firewalled: true,
            quick_firewall: true,
            known_address: None,
            concurrency: 10,
            max_window: 80,
            adaptive_timeouts: true,
            down_hints: true,
            max_down_hints: 50,
            unix_time: Duration::ZERO,
            limits: Limits::default(),
        }
    }
}

/// Bounds of everything others can make a node keep. Counts of records are per generation; up to twice as
/// much is held.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Our requests without a reply, queued ones included. At most 32,768.
    pub max_inflight: usize,
    /// Queries at once.
    pub max_queries: usize,
    /// Key pairs listening at once.
    pub max_listens: usize,
    /// Datagrams waiting for [`crate::Dht::poll_transmit`].
    pub max_transmits: usize,
    /// Events waiting for [`crate::Dht::poll_event`], from which on requests of others are dropped.
    pub max_events: usize,
    /// Delayed pings waiting for their time.
    pub max_delayed_pings: usize,
    /// Announced peers; as many relayed ones.
    pub max_records: usize,
    /// How long an announce is kept, on average.
    pub record_age: Duration,
    /// Mutable values; as many immutable ones.
    pub max_values: usize,
    /// Bytes of mutable values; as many of immutable ones.
    pub max_value_bytes: usize,
    /// Bytes of one value.
    pub max_value_len: usize,
    /// How long a value is kept that nobody reads, on average.
    pub value_age: Duration,
    /// Announces one host may have here; as many relayed ones; as many values of each kind.
    pub max_per_source: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_inflight: 4096,
            max_queries: 512,
            max_listens: 256,
            max_transmits: 16_384,
            max_events: 4096,
            max_delayed_pings: 1024,
            max_records: 65_536,
            record_age: Duration::from_secs(20 * 60),
            max_values: 32_768,
            max_value_bytes: 32 << 20,
            max_value_len: 16 << 10,
            value_age: Duration::from_secs(48 * 60 * 60),
            max_per_source: 4096,
        }
    }
}
