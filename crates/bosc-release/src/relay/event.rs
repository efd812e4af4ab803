//! What `relay` tells on the way.

use serde::{Deserialize, Serialize};

/// What happens while a relay runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum RelayEvent {
    /// It begins.
    Relaying {
        /// The relay's key: what peers give to `--relay`.
        key: String,
        /// Its UDP port.
        port: u16,
        /// Everyone may use it.
        public: bool,
        /// How many keys may, if not everyone.
        allowed: usize,
    },
    /// Others can find it.
    Announced,
    /// No DHT node answers.
    Offline {
        /// Those that were tried.
        tried: Vec<String>,
    },
    /// How it stands.
    Stats(RelayStats),
}

/// How a relay stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayStats {
    /// Clients that are connected.
    pub clients: usize,
    /// Halves of pairs that wait for the other.
    pub waiting: usize,
    /// Pairs whose packets pass.
    pub pairs: usize,
    /// Pairs made since the start.
    pub paired: u64,
    /// Halves that waited in vain, since the start.
    pub expired: u64,
    /// Clients and pairs refused for a bound, since the start.
    pub refused: u64,
    /// Bytes passed on since the start.
    pub bytes: u64,
    /// Packets passed on since the start.
    pub packets: u64,
    /// Packets dropped for a rate, since the start.
    pub dropped: u64,
}
