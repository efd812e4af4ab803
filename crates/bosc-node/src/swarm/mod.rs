//! Who to look for, who to connect to, which connection to keep: Hyperswarm as a state machine without IO.
//!
//! A *topic* is announced (server) or looked up (client) when it is joined and again every ten to twelve
//! minutes. Peers that a lookup finds are queued and connected to in random order, those that never failed first, at most
//! [`Limits::parallel`] at a time and [`Limits::peers`] in all; as many connect to us, and more when fewer were dialled. A connection that ends is tried again with growing back-off as long as a joined
//! topic names the peer.
//!
//! Invariants:
//! * At most one connection (opening or open) per remote key. When two race, both sides pick the same one: the
//!   initiator is the peer with the greater public key, unless the older connection has been open for `RACE` and has
//!   carried bytes both ways: then its other end must have lost it, and the newer one wins. (Hyperswarm has no such time:
//!   when two that dialled each other at once both saw bytes on their own connection, each gives up its own, and both are
//!   lost.)
//! * A peer that never said anything to us and closes a connection of ours is dialled next under a key that is used once: it
//!   still holds one with our key that a program before us made. (Hyperswarm stays away until the peer notices.) One that
//!   spoke with us has its reasons: no second key.
//! * We never connect to ourselves or to a banned peer.
//! * A topic counts as flushed once its first query has ended and each peer it found was tried once.
//! * A peer that is *named* is connected to for its own sake: it is tried again every half minute at the latest for as long as it is
//!   named, its connection makes room for nobody, and its record stays.
//! * Peers kept are bounded by [`Limits::known`]; the longest unseen idle one makes room, one that was connected before last.
//! * Connections that do nothing keep out nobody who does something, and attempts that hang hold up nobody: see `room`.
//! * While a topic is joined as *urgent* (somebody waits) and no query runs, its next look is never further away than
//!   its present wait: half a second at first, then twice the wait before, up to three seconds while nobody there
//!   shares the topic's core, up to a minute while somebody does. What is delivered puts the look off: those who deliver are
//!   enough. See `urgency`.
//! * A topic that is not urgent is looked at by the refresh, `NOBODY` and `LONELY` alone.
//! * While queries fail outright (no network) looks are spread further and further, up to `FAILED_MOST`;
//!   [`Swarm::network_back`] ends that at once.
//!
//! # Files
//!
//! - `peers`: who is known (how many), queued, banned, named; when one that was lost is tried again, and when under a one-time key.
//!   `urgency`: topics that somebody waits on: how soon is looked again.
//! - `room`: which connection goes when there is no room for another (unproved, idle, busy; the part of one network), and when the
//!   next peer is dialled.
//! - `state`: the machine and its timers. `topics` and `links` are parts of it: topics joined and left, refreshed, looked at again
//!   when nobody is found or the network fails; connections: which of two is kept, and what follows when one ends.
//! - `joined`: a topic that is joined. `types`: what a swarm and its owner tell each other, its limits and back-off.

mod joined;
mod links;
mod peers;
mod room;
mod state;
#[cfg(test)]
mod tests;
mod topics;
mod types;
mod urgency;

pub(crate) use room::STEP;
pub use state::Swarm;
pub use types::{Action, ConnId, Limits, Part, Topic};
