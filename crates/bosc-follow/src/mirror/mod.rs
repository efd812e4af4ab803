//! Mirrors: a followed drive's heads and blocks from static files, at the same time as from peers.
//!
//! ```text
//!  waits of FollowedCore ── want(blocks) ──> peers (live)
//!            │                                    │
//!            └───────── want(blocks) ──> mirrors ─┤
//!                                         threads │ Core::apply: hashed, checked against the tree
//!                                                 ▼
//!                                       the core ── Gained, Appended ──> live: served to other peers
//! ```
//!
//! Why not an [`crate::offer::Offer`]: offers are asked one after the other, each for what the one before left. A mirror and peers bring
//! blocks of one wish side by side, also where nothing is gathered (a listing, a head, a seeder). The place in the order of costs is kept:
//! what is on this disk is taken first ([`crate::offer::Cost`]), and only the rest is wanted here.
//!
//! # A mirror's life
//!
//! ```text
//! asked ── head: read, verified, of our history ──> known ── wishes: tiles, pieces ──> known
//!   ▲            │ a fault                            │ a fault
//!   └── pause ───┴────────────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! 1. A mirror's word is worth what a peer's is: its head is verified by the same code, and gets into the core by
//!    [`bosc_store::Core::apply`] or a reorg; blocks likewise. A head that is older than ours changes nothing.
//! 2. The blobs of a mirror are taken only beside a db of our history.
//! 3. A mirror with a fault is paused, longer each time, and its faults are kept for whoever asks ([`Mirrors::statuses`]). What it had
//!    promised is free for others at once; what it is slow with, after `work::PATIENCE`.
//! 4. Nothing waits for a mirror alone: whoever waits is woken when a mirror has answered, failed, or brought something.
//! 5. Memory: `work::WORKERS` answers of at most [`bosc_mirror::MAX_PIECE`] bytes for a mirror, and its tiles.
//! 6. While peers are there, a small wish is left to them for `work::HEAD_START`, and of a large one mirrors take the end
//!    first: nearly nothing comes twice.
//!
//! 7. What a mirror has of operators' statements is asked for when somebody wants it, is bounded, and is handed on unread; a fault in it
//!    pauses nothing.
//!
//! # Files
//!
//! - `hub`: the mirrors of a drive, how many, for whoever wants something. `shared`: what their threads share. `wish`: what is
//!   wanted, who brings what of it, how many wishes and for how long.
//! - `work`: the threads, and when each does what: looks at the head, the start that peers have, pauses after a fault. `known`: one
//!   mirror's verified heads and trees, rounds of tiles for a proof. `take`: what came, put into the core: proved, another fork.
//! - `carrier`: who moves bytes. `folder`: from a folder. `fault`: what can be wrong, each kind told apart.

mod carrier;
mod fault;
mod folder;
mod hub;
mod known;
mod shared;
mod take;
mod wish;
mod work;

pub use carrier::{Answer, Ask, Carrier, Connection};
pub use fault::{FaultKind, MirrorFault};
pub use folder::FolderCarrier;
pub use hub::{Mirrors, Wished};
pub use shared::{MirrorStatements, MirrorStatus};
pub(crate) use wish::What;
