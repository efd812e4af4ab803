//! The HyperDHT as one state machine without IO: who is where, who announced what, and how to reach them.
//!
//! It owns the routing table, queries, announces, records kept for others, and the way from a key to a connection
//! ([`connect`]). It never touches a socket, a clock or a random source, never opens a stream, and never decides whom to
//! look for: `bosc-node` does. Where its files are: the end of this text.
//!
//! Speaks dht-rpc 6 and HyperDHT 6 (npm `dht-rpc`, `hyperdht`). [`Dht`] is a node: it bootstraps, keeps a
//! routing table, answers others, stores announces and values for them when it is reachable, runs queries,
//! keeps key pairs announced and passes handshakes on. Handshakes and holepunch rounds for our own key pairs
//! come up as [`Event::Request`] and are answered by the layer above.
//!
//! # Driving it
//!
//! Bind two UDP sockets, [`SocketKind::Client`] and [`SocketKind::Server`]. Then, forever:
//!
//! * give datagrams for which [`is_dht_datagram`] is true to [`Dht::handle_datagram`];
//! * call [`Dht::handle_timeout`] when [`Dht::next_timeout`] has come;
//! * after each call of any method, send what [`Dht::poll_transmit`] gives, take what [`Dht::poll_event`]
//!   gives, and look at [`Dht::next_timeout`] again.
//!
//! `now` is the time since an arbitrary start and never goes backwards. A machine that slept is noticed by
//! the gap.
//!
//! ```
//! # use bosc_dht::{Config, Dht, Event, QueryOptions};
//! # use std::time::Duration;
//! let mut now = Duration::ZERO;
//! let entropy = Box::new(|out: &mut [u8]| out.fill(7)); // the system's random source
//! let mut dht = Dht::new(Config::default(), entropy, now);
//! dht.bootstrap(now);
//! let query = dht.lookup([1; 32], &QueryOptions::default(), now)?;
//! loop {
//!     while let Some(datagram) = dht.poll_transmit() {
//!         // send datagram.bytes from datagram.socket to datagram.to
//!     }
//!     match dht.poll_event() {
//!         Some(Event::QueryDone(done)) if done.query == query => break, // nobody was there to ask
//!         Some(_) => continue,
//!         None => {}
//!     }
//!     now = dht.next_timeout().unwrap_or(now); // or until a datagram comes
//!     dht.handle_timeout(now);
//! }
//! # Ok::<(), bosc_dht::Busy>(())
//! ```
//!
//! Handshakes of other peers are passed on inside ([`Forward`]); only those for key pairs given to
//! [`Dht::listen`] or [`Dht::serve`] come up.
//!
//! # What is sent at rest, and what is kept
//!
//! Against npm `dht-rpc` and `hyperdht`; `crates/bosc-node` has the table of wake-ups that follows from it.
//!
//! | | JavaScript | here |
//! |---|---|---|
//! | pings of known nodes | up to five every 40 s | the same on a persistent node; every 3 min on an ephemeral one, on which nobody depends |
//! | a walk through the table | 5 min without a query | the same; 15 min on an ephemeral node |
//! | pings of a listening key's three relays | 3 s | 3 s for 15 s, then 20 s: less than any NAT forgets in |
//! | a listening key is announced again | 5 min, or when fewer than three relays answer | the same, and when a relay sees us elsewhere |
//! | keep-alives of a connection | 5 s each way | the same, one datagram for both |
//! | tokens | a new secret every 7.5 s, the one before is good too; the next secret is the hash of the last but one | the same times; each secret is drawn |
//! | after a sleep | a tick that is 15 s late: all nodes look old, no id, a walk | the same, also where the clock did not count the sleep; keys are announced again |
//! | after a change of interfaces | keys are announced again, connections get a keep-alive, topics are looked up | the same; the NAT is sampled anew, requests under way are sent again, connections that do not answer are dropped |
//! | suspend | keys withdrawn, connections and sockets closed | the same |
//! | punching a random NAT | one at a time, 20 s apart, 1750 tries; 256 sockets | the same |
//! | announces kept for others | 65,536 for 20 min | the same, at most 512 a topic and 4096 a host |
//! | values kept for others | 32,768 of each kind for 48 h | the same, at most 32 MiB of each kind |
//! | routes of handshakes, round trip times | 65,536 for 20 min; unbounded | 65,536; 4096 for 10 min |
//!
//! # Invariants
//!
//! * Nothing panics on any datagram, and everything others can make us keep is bounded by [`Limits`].
//! * Nothing is stored for a host that did not show a token sent to it before, nor without a valid signature
//!   by the peer it is about (immutable values: without the right hash).
//! * A reply counts only when it comes from the address that was asked.
//! * Every query ends with one [`Event::QueryDone`], every request with one [`Event::Response`] or
//!   [`Event::RequestTimeout`], unless it was cancelled.
//!
//! # Files
//!
//! - `dht/`: the node, its id and when that changes. `rpc/`: requests, replies, retries, tokens, command and error numbers. `query`:
//!   one query: whom it asks next, when its walk is over, how many nodes it looks at. `table`: who we know, by distance and by when
//!   they were heard of, how many in a row. `nat`: our own address, by majority of what others say.
//! - `records/`: what is kept for others, and what a request must show before it is stored (`records/store`).
//! - `messages`: the values inside requests and replies, and what is signed. `router`: handshakes and holepunch rounds of others on
//!   their way through us.
//! - `connect/`: from a key to a connection. `addr`: addresses and ids. `config`: settings, and the bounds of all that others can
//!   have us keep: records, values and their age, per host. `event`: what goes in and out. `ids`: what names something under way, and
//!   the error when too much is. `rng`: randomness, handed in.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod addr;
mod config;
pub mod connect;
mod dht;
mod event;
mod ids;
pub mod messages;
mod nat;
mod query;
mod records;
mod rng;
mod router;
mod rpc;
mod table;

pub use addr::{
    ADDRESS_LEN, NodeId, address_bytes, distance, get_address, get_addresses, network_of, node_id,
    put_address, put_addresses,
};
pub use config::{Config, Limits};
pub use connect::is_public;
pub use dht::{AnnounceOptions, Dht, MutableGetOptions, ReplyOptions, Request};
pub use event::{
    ClosestNode, Event, IncomingRequest, QueryData, QueryDone, QueryError, QueryReply, Relay, Reply,
    SocketKind, Stats, Transmit,
};
pub use ids::{Busy, ListenId, QueryId, RequestId};
pub use messages::{MutableRecord, PeerRecord};
pub use nat::NatSampler;
pub use query::QueryOptions;
pub use records::refresh_chain;
pub use rng::Entropy;
pub use router::Forward;
pub use rpc::health::NetworkState;
pub use rpc::wire::{self, Token, is_dht_datagram};
pub use rpc::{command, error_code, internal};
pub use table::K;
