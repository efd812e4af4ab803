//! Blind relays, both sides of them: peers that we reach through one ([`client`]), and being one ([`server`]). The protocol is in
//! `bosc_wire::blind_relay`, which packets are passed on in `bosc_udx::RelayTable`, when a relay is asked in
//! `bosc_dht::connect`.
//!
//! A *session* is a connection between a peer and its relay: a UDX stream, a secret stream, a mux with one channel. It carries
//! requests to be paired and nothing else; it has no part in the swarm, and no core is offered on it.
//!
//! # A peer's side
//!
//! ```text
//!  connector: Relay ──▶ session there? ──no──▶ dial ──▶ channel open ──▶ Pair sent ──answer──▶ connector.relayed ──▶ a link like any other
//!                          │ yes ─────────────────────────────────▲          │                        │
//!                          │          dial failed, session lost, Unpair, RelayUnused                  ├─ a direct way: the stream moves,
//!                          ▼                                                 ▼                        │  the relay is let go after GRACE
//!                       refused: too many relays            connector.relay_failed, forgotten         └─ the relay is lost: the link ends
//!                                                                                                        after LOST_AFTER, unless it moved
//! ```
//!
//! # A relay's side
//!
//! ```text
//!  accepted, on the relay's own key ──▶ Pair, Pair of the other half ──▶ both answered, packets pass ──▶ over: idle, its bytes are spent,
//!      │ full: the oldest session that holds nothing goes, or the new one                                 a stream destroyed, a client left
//!      └ not allowed: no answer to the handshake
//! ```
//!
//! # Invariants
//!
//! * What arrives from a relay decides where packets go and that a way has ended, nothing else: a link through a relay proves its peer as
//!   a direct one does.
//! * A session without a request or a pair is ended by us; on a relay it is the first to go when another wants its place.
//! * Sessions are bounded: [`client::MAX_RELAYS`] to relays of others' choice, [`RelayBounds::clients`] of clients, and of these
//!   [`RelayBounds::clients_per_host`] from one host.
//! * What waits to be written on a session is bounded by [`session::MAX_OUTPUT`]: a client that asks and does not read is dropped.
//! * Nothing here wakes the thread but the sessions' keep-alives and the time-outs above.
//!
//! # Files
//!
//! - Here: how many relays a node is told to go through.
//! - `session`: a session, on either side: how long it may take to open and to end, how long its frames and its output may be.
//!   `client`: relays that we use: how many, packets that come early, how long one is kept or missed. `server`: being a relay: who is
//!   let in, which session makes room, pairs and their end.
//! - `offer`: relays that nobody configured: peers that are one, when they are named, who may use ours.

pub(in crate::net) mod client;
pub(in crate::net) mod offer;
pub(in crate::net) mod server;
pub(in crate::net) mod session;

use bosc_format::crypto::{KeyPair, PublicKey};
use bosc_udx::RelayLimits;
use bosc_wire::blind_relay::Limits as PairLimits;
use std::collections::BTreeSet;

/// Most relays that a node is told to go through.
pub const MAX_RELAYS_NAMED: usize = 16;

/// Bounds of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayBounds {
    /// Clients at once.
    pub clients: usize,
    /// Clients at once from one host.
    pub clients_per_host: usize,
    /// What is paired.
    pub pairs: PairLimits,
    /// What is passed on.
    pub traffic: RelayLimits,
}

impl Default for RelayBounds {
    fn default() -> Self {
        Self {
            clients: 256,
            clients_per_host: 16,
            pairs: PairLimits::default(),
            traffic: RelayLimits {
                rate: 8 << 20,
                total_rate: 64 << 20,
                bytes: 32 << 30,
                ..RelayLimits::default()
            },
        }
    }
}

/// Who may use a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayFor {
    /// Everyone.
    Anyone,
    /// Those with these keys.
    Keys(BTreeSet<PublicKey>),
    /// Those who share a core with this node at the moment, as they proved on a connection, and those at the same IP addresses.
    Peers,
}

/// How a node is a relay.
#[derive(Debug, Clone)]
pub struct RelaySetup {
    /// The key that peers name. Another one than the node's own: who connects to it is a client of the relay, not a peer.
    pub key_pair: KeyPair,
    /// Who may use it.
    pub allow: RelayFor,
    /// Tell peers that share a core with us that there is this relay; see `offer`.
    pub offer: bool,
    /// Bounds.
    pub bounds: RelayBounds,
}

/// What a relay does, as a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayStatus {
    /// Clients with a session.
    pub clients: usize,
    /// Halves of pairs that wait for the other.
    pub waiting: usize,
    /// Pairs whose packets pass.
    pub pairs: usize,
    /// Pairs made since the start.
    pub paired: u64,
    /// Halves that waited in vain, since the start.
    pub expired: u64,
    /// Requests and clients that were refused for a bound, since the start.
    pub refused: u64,
    /// Bytes passed on since the start.
    pub bytes: u64,
    /// Packets passed on since the start.
    pub packets: u64,
    /// Packets dropped for a rate, since the start.
    pub dropped: u64,
    /// Whether the relay's key can be found by others.
    pub listening: bool,
}
