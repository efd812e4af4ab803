//! How cores are kept: blocks, tree nodes, heads, manifests and keys, on disk or in memory, crash-safe.
//!
//! It owns the folder of a store: its lock, its database, its segments of block bytes, and what may be removed of them. It
//! never speaks to a peer, starts no thread but the one that commits beside downloads, and hands out no byte that does not match
//! the tree.
//!
//! # On disk
//!
//! A store is a directory with one owner process at a time:
//! * `bosc.redb`: a redb database with everything but block bytes (tables in `db.rs`, rows in `page.rs` and
//!   `record.rs`);
//! * `data/NNNNNN.seg`: segments, to which block bytes are appended;
//! * `FORMAT`: `bosc-store 1`; `SEQ`: the number of the last commit; `LOCK`, `OWNER`: the owner's lock and process id;
//!   `MARK`: tells the store from its copies (see `identity/mod.rs`); `RESERVE`: disk space kept for removals (`reserve.rs`).
//!
//! Block bytes are written to a segment as they come. A commit syncs the segments and then puts everything that
//! names those bytes (places, tree nodes, bits, heads, of any number of cores) into one durable database
//! transaction. What a crash leaves in segments behind the last commit is cut off at the next opening, when it cannot
//! be anything else. What a folder may look like, what counts as damage, and what may be removed: `folder_state.rs`.
//!
//! # What is promised
//!
//! 1. A core's blocks, nodes, bits and head move together or not at all; a [`Batch`] moves several cores so.
//! 2. What is signed here ([`Core::append`], [`Batch::commit`], [`Core::truncate`]) is durable before anyone can
//!    see it. A signed head that was seen and lost would make two histories of one core.
//! 3. What peers sent ([`Core::apply`]) is visible at once and durable with the next commit: when a bound of
//!    pending bytes is reached, with a local append, or on [`Store::flush`]. A crash loses at most that.
//! 4. A failed operation (disk full, device error) changes nothing; trying again later works. Memory is bounded.
//! 5. Bytes of blocks leave the store ([`Core::block`], [`Core::prove`]) only when they match the tree. A block whose
//!    bytes rotted counts as not here and can be fetched again; see `core/damage.rs`.
//! 6. Damage to the database is an error, never a panic: redb panics on some damaged pages, which is caught at the edge
//!    (`db.rs`). A program built with `panic = "abort"` has no such edge and ends there.
//!
//! # Use
//!
//! ```
//! # fn main() -> Result<(), bosc_store::Error> {
//! use bosc_store::{CreateOptions, Options, Store};
//! let store = Store::memory(Options::default())?;
//! let core = store.create_core(CreateOptions::named("db"))?;
//! let head = core.append(&["hello".into(), "world".into()])?;
//! assert_eq!(head.length, 2);
//! assert_eq!(core.block(1)?.as_deref(), Some(&b"world"[..]));
//!
//! let mut batch = store.batch();
//! batch.append_block(&core, "again".into())?;
//! assert_eq!(core.head().length, 2);
//! batch.commit()?;
//! assert_eq!(core.head().length, 3);
//! # Ok(())
//! # }
//! ```
//!
//! All handles are cheap to clone and may be used from any thread. Every method may block on the disk.
//!
//! # Files
//!
//! - `store`: finding and making cores, names and keys. `core/`: one core. `batch`: several cores changed as one. `events`: telling
//!   others that a core changed.
//! - `open`: opens a folder, cleans up what a crash left, by the rules in `folder_state`: new, damaged, put back, of a newer version.
//!   `options`: how: bounds of pending bytes and of the cache. `owner`: what handles hold, and the thread that commits beside
//!   downloads. `identity/`: whether this store is a copy.
//! - `inner`: what all handles share, the order of locks, and how full the pending state is. `core_state`: what all handles of one
//!   core share; `recent`: blocks of it that came just now. `lock`: taking a lock.
//! - `commit`: everything pending, in one transaction, in which order, and what follows when it fails. `pending`: a commit on its
//!   way. `edits`, `delta`: a change to one core before it is made, put aside when it is too large. `sequence`: `SEQ`, by which a
//!   database put back is noticed.
//! - `db`: the database, its tables and version, its panics and failed commits. `page`, `record`: rows of a core, their format.
//!   `rows`: rows that callers name: longest name and value. `cache`: pages in memory.
//! - `segment/`: block bytes, the largest block (`files`). `gc`: disk space given back, in which steps, on a full disk; `reserve`:
//!   what that needs on a full disk. `disk/`: file operations as a trait, so that a test can have a disk that crashes; the owner's
//!   lock, files' modes.
//! - `error`: failures, by who is to blame. `random`: random bytes of the system.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod batch;
mod cache;
mod commit;
mod core;
mod core_state;
mod db;
mod delta;
pub mod disk;
mod edits;
mod error;
mod events;
mod folder_state;
mod gc;
mod identity;
mod inner;
mod lock;
mod open;
mod options;
mod owner;
mod page;
mod pending;
mod random;
mod recent;
mod record;
mod reserve;
mod rows;
mod segment;
mod sequence;
mod store;

pub use batch::Batch;
pub use core::{Applied, AsItComes, Checked, Core, CoreInfo, Damage, ReadAhead, ReorgSession};
pub use db::FORMAT_VERSION;
pub use error::{Error, ErrorKind, Result};
pub use events::{CoreChange, Listener, Subscription};
pub use folder_state::is_store;
pub use gc::Collected;
pub use identity::{Copied, Evidence};
pub use options::Options;
pub use segment::MAX_BLOCK_SIZE;
pub use store::{CreateOptions, Store, StoreStats};
