//! The request and reply layer: datagrams, transaction ids, tokens, retries and congestion (npm `dht-rpc`).
//!
//! # Files
//!
//! - Here: numbers of commands and errors. `io`: requests in flight: transaction ids, how often each is sent again, whose reply
//!   counts. `wire`: datagrams, their flags and fields, how many closer nodes. `tokens`: who may store something here, and how long a
//!   token is good.
//! - `adaptive`: how long to wait for a reply. `congestion`: how many at once. `health`: whether the network works: online, degraded,
//!   offline.

pub(crate) mod adaptive;
pub(crate) mod congestion;
pub(crate) mod health;
pub(crate) mod io;
pub(crate) mod tokens;
pub mod wire;

/// The internal commands of dht-rpc, sent with the internal flag set (`dht-rpc/lib/commands.js`).
pub mod internal {
    /// Are you there? The reply says from which address the question came.
    pub const PING: u64 = 0;
    /// Ping my other socket: the value is its port, u16 little endian.
    pub const PING_NAT: u64 = 1;
    /// Nodes close to the target. The nodes are in every reply that names a target.
    pub const FIND_NODE: u64 = 2;
    /// A node you told me about is down: the value is its address, 6 bytes.
    pub const DOWN_HINT: u64 = 3;
    /// A ping answered after a delay: the value is the delay in milliseconds, u32 little endian.
    pub const DELAYED_PING: u64 = 4;
}

/// The commands of HyperDHT (`hyperdht/lib/constants.js`).
pub mod command {
    /// A Noise handshake to a listening peer, relayed.
    pub const PEER_HANDSHAKE: u64 = 0;
    /// A holepunch round with a listening peer, relayed.
    pub const PEER_HOLEPUNCH: u64 = 1;
    /// The record of a listening peer, by the hash of its public key.
    pub const FIND_PEER: u64 = 2;
    /// The peers announced on a topic.
    pub const LOOKUP: u64 = 3;
    /// Adds a signed record to a topic.
    pub const ANNOUNCE: u64 = 4;
    /// Takes a record off a topic.
    pub const UNANNOUNCE: u64 = 5;
    /// Stores a signed, versioned value.
    pub const MUTABLE_PUT: u64 = 6;
    /// Reads a signed, versioned value.
    pub const MUTABLE_GET: u64 = 7;
    /// Stores a value under its hash.
    pub const IMMUTABLE_PUT: u64 = 8;
    /// Reads a value by its hash.
    pub const IMMUTABLE_GET: u64 = 9;
}

/// The error numbers a reply can carry.
pub mod error_code {
    /// The node does not know the command, or does not serve it.
    pub const UNKNOWN_COMMAND: u64 = 1;
    /// The token was not issued to this address, or is too old. Ask again for a fresh one.
    pub const INVALID_TOKEN: u64 = 2;
    /// A mutable value of the same sequence number but other content is stored.
    pub const SEQ_REUSED: u64 = 16;
    /// A mutable value of a higher sequence number is stored.
    pub const SEQ_TOO_LOW: u64 = 17;
}
