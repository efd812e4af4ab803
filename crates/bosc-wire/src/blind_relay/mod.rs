//! Blind relays: two peers who cannot reach each other meet at a third one (npm `blind-relay`).
//!
//! Each peer opens a channel [`PROTOCOL`] on its secret stream to the relay, under its own public key as the channel's id, and sends
//! [`Pair`] with a token that both know and the id of its UDX stream. When both halves are there the relay makes a UDX stream id for
//! each, answers both with it, and passes packets from one to the other. The peers' own handshake went another way: what the relay
//! sees are their packets, encrypted from end to end.
//!
//! Here are the messages ([`Pair`], [`Unpair`]) and what a relay decides about them ([`Pairings`]). The packets are passed on by
//! `bosc_udx::RelayTable`; sessions, sockets and the client's side are in `bosc_node`.
//!
//! # A token at the relay
//!
//! ```text
//!           Pair            Pair of the other half
//!   unknown ----> waiting --------------------------> paired
//!     ^             |  pair_timeout, Unpair, the client left  |
//!     '-------------'<----------------------------------------'  Unpair, a client left, or the owner: over its bounds, idle
//! ```
//!
//! # Invariants
//!
//! * A token pairs one initiator with one other, once. While it is waiting or paired, no third half is taken.
//! * Only a client that holds a half of a token can take it back. (npm lets anyone who knows the token do so.)
//! * What a client holds, waiting and paired, is bounded by [`Limits`], and so is what all hold. When the table of those that wait is
//!   full, the client that has most in it loses its oldest: one client cannot keep others out.
//! * A half that waits is forgotten after [`Limits::pair_timeout`]. (npm keeps it as long as the session.)
//!
//! # Files
//!
//! - `messages`: the wire format. `pairings`: tokens that wait or are paired, who may take one back, when they end, and what makes
//!   room.

mod messages;
mod pairings;
#[cfg(test)]
mod tests;

pub use messages::{Message, Pair, Token, Unpair};
pub use pairings::{Answer, ClientId, Ended, Half, Limits, PairId, Paired, Pairings, Refusal};

/// The protocol's name on a mux.
pub const PROTOCOL: &str = "blind-relay";
