//! A drive that is followed on the network: the layer between node, store and drive below, and commands and updaters
//! above.
//!
//! It owns every wait for what peers have or do: the newest head, blocks, copies, another run of the same command. It
//! owns topics ([`Topics`]), a drive's cores ([`DriveCores`], [`FollowedDrive`]), the sources of bytes ([`offer`], [`mirror`]), and
//! the one loop that reads what may not be here ([`read`]).
//! It never signs or appends, never decides what a version means, never writes a file, and knows nothing of commands,
//! events or their words.
//!
//! # A followed drive
//!
//! ```text
//! opened ── topic joined, db live ──> manifest known ── blobs live ──> head proved ──> blocks here ──> whole
//!    │                                                                     │  ▲
//!    └── nobody answers: Ok(None) or FollowError::TimedOut                 └──┘ a longer head, or a higher fork
//! ```
//!
//! # Invariants
//!
//! 1. A head, a block and a leaf hash count only once the tree below a signed head proves them. Where bytes come from
//!    ([`offer::Offer`]) never matters.
//! 2. A length that a peer tells is a claim. It makes us wait and ask; it decides nothing.
//! 3. Every wait ends: by what it waits for, its deadline, its stall, or its [`Stop`]. Nothing else wakes it but the
//!    event it waits for, and an [`Alarm`] that it set itself. Without a wait nothing here wakes at all.
//! 4. While somebody waits for the network, the topic is urgent, and the swarm looks for peers by its own back-off.
//!    Nobody above asks it to look again.
//! 5. Contents are read by the entries of one history with them, whichever of the two cores came first (`beside`).
//! 6. Errors are typed ([`FollowError`]); nothing is recognised by its text.
//!
//! # Files
//!
//! - `drive`: a followed drive. `core`: one core of it: its newest head, when nobody is left to wait for. `cores`: a drive's two
//!   cores in the store. `topics`: those that are joined, and which are urgent.
//! - `beside`: whether both cores are of one history, and what follows while they are not.
//! - `wait`: the one way to wait: deadline, stall, alarm. `stop`: being asked to end. `news`: telling without being asked, and what
//!   is news. `meet`: two runs that look for each other, and how long.
//! - `read`: the one way to read what may not be here, and how often a block is fetched anew. `source`: blocks for it. `offer/`:
//!   where bytes come from, in which order, guesses and patches. `mirror/`: heads and blocks from static files, at the same time as
//!   from peers.
//! - `vouch`: whose word counts: peers that proved our history, claims in vain, how many are remembered. `operators`: what operators
//!   of a link say, from DHT and mirrors, how long is waited. `policy`: who they are, as far as that is here. `error`: why a drive
//!   could not be followed.
#![forbid(unsafe_code)]

mod beside;
mod core;
mod cores;
mod drive;
mod error;
mod meet;
pub mod mirror;
mod news;
pub mod offer;
pub mod operators;
mod policy;
pub mod read;
mod source;
mod stop;
mod topics;
pub mod vouch;
mod wait;

pub use self::beside::CutBack;
pub use self::core::{Background, FollowedCore, Update, Word};
pub use cores::{CoreName, DriveCores};
pub use drive::{Copies, FollowedDrive, copies, wait_for};
pub use error::{FollowError, TimedOut};
pub use meet::{Announced, Meeting};
pub use news::News;
pub use policy::policy_here;
pub use read::{Fetch, Reader};
pub use source::CoreSource;
pub use stop::Stop;
pub use topics::{Topic, Topics, Urgent};
pub use wait::{Alarm, Wait};
