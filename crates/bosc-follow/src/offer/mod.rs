//! Sources of bytes: each offers, the tree proves.
//!
//! Blocks of a core that is followed need not come from peers. The build that is installed, an older version of the
//! drive, a mirror on a web server, a delta, a folder: each is an [`Offer`]. A [`Gathering`] asks them in order of their
//! cost for what is missing, and peers last.
//!
//! ```text
//! wanted ── the cheapest offer ── the next ── ... ── peers ──> all here
//!                 │                                  │
//!                 ▼                                  ▼
//!      guess, find, put ── refused: it stays missing, the next one is asked
//!                 │
//!                 ▼
//!           Core::apply: hashed again, checked against the tree
//! ```
//!
//! # Invariants
//!
//! 1. An offer brings bytes for blocks whose leaf hash is proved, or whose proof is asked of peers before the bytes are
//!    taken ([`Gathering::prove`], [`Gathering::put`]). Nothing gets into the core but by [`bosc_store::Core::apply`].
//!    So a source that lies, or is damaged, or changes while it is read costs time and nothing else.
//! 2. That time is bounded. A source is left for good in a gathering once it was refused [`MAX_REFUSED`] times; what
//!    it fails with is not a failure of the gathering, unless the store failed or somebody stopped it.
//! 3. Memory is bounded: at most [`MAX_GUESSES`] guesses and [`MAX_LEAVES`] leaf hashes at a time, and one block's bytes.
//! 4. It can be stopped between any two blocks ([`Gathering::go_on`]); a source that waits for something itself waits by
//!    [`crate::Wait`].
//! 5. No source needs another: whatever one leaves missing, the next is asked for. An order of costs, not of trust.
//!
//! # Files
//!
//! - `guess`: guesses proved against the tree, and in how many rounds. `peers`: the dearest offer.
//! - `gathering`: blocks from several offers: costs, bounds, when one is left. `patch`: blocks of a file that a patch makes: the
//!   longest patch, when one pays, when it is given up.

mod gathering;
mod guess;
#[cfg(feature = "deltas")]
mod patch;
mod peers;

pub use gathering::{Cost, Gathering, MAX_GUESSES, MAX_LEAVES, MAX_REFUSED, Offer, Put};
pub use guess::Guesses;
#[cfg(feature = "deltas")]
pub use patch::{Alone, Lacking, MAX_PATCH, OVERHEAD, Patch};
pub use peers::Peers;
