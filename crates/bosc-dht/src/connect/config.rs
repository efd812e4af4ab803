//! Settings and bounds.

use std::time::Duration;

/// Settings and bounds.
#[derive(Debug, Clone)]
pub struct ConnectConfig {
    /// Outgoing connections under way at once.
    pub max_connects: usize,
    /// Handshakes of others kept: under way, or answered less than `clear_wait` ago.
    pub max_handshakes: usize,
    /// How long the other side's first stream packet is waited for.
    pub passive_timeout: Duration,
    /// How long an answered handshake is remembered.
    pub clear_wait: Duration,
    /// Peers whose relays are remembered for the next connection.
    pub max_relay_cache: usize,
    /// Stream packets kept for a connection before it is made.
    pub max_early_packets: usize,
    /// Holepunches of others under way at once. Each has a socket, one of them may have 256. A new one ends the oldest that does
    /// not send probes yet.
    pub max_punchers: usize,
    /// Blind relays that others chose, asked or used at once.
    pub max_relayed: usize,
    /// How long the direct way is tried alone where a blind relay was named.
    pub relay_after: Duration,
    /// How long a pairing at a blind relay may take.
    pub relay_timeout: Duration,
}

impl Default for ConnectConfig {
    fn default() -> Self {
        Self {
            max_connects: 1024,
            max_handshakes: 4096,
            passive_timeout: Duration::from_secs(10),
            clear_wait: Duration::from_secs(10),
            max_relay_cache: 4096,
            max_early_packets: 32,
            max_punchers: 128,
            max_relayed: 32,
            relay_after: Duration::from_millis(1500),
            relay_timeout: Duration::from_secs(15),
        }
    }
}
