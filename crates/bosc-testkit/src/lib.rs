//! Parts for deterministic tests: a seeded random source and a lossy packet network in virtual
//! time. Not published. (The crashing disk lives with the store's own `Disk` trait, in its tests.)
//!
//! Everything is a pure function of one 64-bit seed. A failing test prints the seed ([`seed::Replay`]); running it
//! again with `BOSC_SEED=<number>` repeats the same run packet by packet.
//!
//! - [`rng`]: a small, fast generator, and `Entropy` made from it.
//! - [`seed`]: where a test's seed comes from, and how it is shown when the test fails.
//! - [`net`]: [`net::Simulator`], datagrams between socket addresses with delay, jitter, loss, duplication,
//!   reordering, corruption, rate limits and partitions.
//! - `examples/wire.rs`: the same for real frames between two network interfaces, in real time.
#![forbid(unsafe_code)]

pub mod net;
pub mod rng;
pub mod seed;

pub use net::{Delivery, LinkConfig, Occurrence, Simulator};
pub use rng::Rng;
pub use seed::Replay;
