//! What `blind-peer` tells on the way.

use serde::{Deserialize, Serialize};

/// What happens while a blind peer runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum BlindPeerEvent {
    /// It begins.
    Keeping {
        /// Its key: what clients give to `seed --blind-peer`.
        key: String,
        /// Its UDP port.
        port: u16,
        /// Everyone may ask.
        public: bool,
        /// How many clients are allowed by name.
        allowed: usize,
        /// Cores that it keeps from before.
        cores: usize,
        /// Bytes of their blocks.
        bytes: u64,
    },
    /// Clients can find it.
    Announced,
    /// No DHT node answers.
    Offline {
        /// Those that were tried.
        tried: Vec<String>,
    },
    /// A core is kept from now on.
    Add {
        /// Its key.
        core: String,
        /// Who asked for it.
        client: String,
        /// It is announced, so that others find it here.
        announce: bool,
    },
    /// A core is not kept: there is no room for another one.
    Full {
        /// Its key.
        core: String,
        /// Who asked for it.
        client: String,
    },
    /// All blocks of a core's newest head are here.
    Whole {
        /// Its key.
        core: String,
        /// Their bytes.
        bytes: u64,
    },
    /// The blocks of a core that nobody asked for lately made room for others. They are fetched again when there is room.
    Cleared {
        /// Its key.
        core: String,
        /// Their bytes.
        bytes: u64,
    },
    /// A core that nobody asked for lately made room for another, and is forgotten.
    Removed {
        /// Its key.
        core: String,
    },
    /// How it stands.
    Stats(BlindPeerStats),
}

/// How a blind peer stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlindPeerStats {
    /// Clients that are connected and asked for something.
    pub clients: usize,
    /// Cores that are kept.
    pub cores: usize,
    /// Of these, those that are announced.
    pub announced: usize,
    /// Bytes of blocks of theirs that are here.
    pub bytes: u64,
    /// Cores for whose newest head there is no room.
    pub waiting: usize,
    /// Cores taken since the start.
    pub added: u64,
    /// Cores not taken for want of room, since the start.
    pub refused: u64,
    /// Bytes that made room for others, since the start.
    pub cleared_bytes: u64,
}
