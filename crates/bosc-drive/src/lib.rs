//! What a drive is: Hyperbee, blobs, drive entries and the content-defined chunker, over any source of blocks.
//!
//! Nothing here reads a file, a socket or a clock. Blocks come from a [`BlockSource`]; a block that is not here yet
//! surfaces as [`Error::Missing`], the caller fetches it and calls again. Iterators do not advance on `Missing`, keep
//! what they loaded, and tell through `wanted` which blocks they will need next, so that a caller can fetch many
//! at once: [`Walk`].
//!
//! - [`bee`]: Hyperbee 2, a B-tree of keys in an append-only core: lookup, ranges, checkouts, diffs, history and
//!   batches that produce the very bytes the JavaScript module would append.
//! - [`drive`]: drive entries and paths on top of a bee, as `hyperdrive` lays them out.
//! - [`blobs`]: blob ids, block maps, reading and writing plans, as `hyperblobs` lays them out.
//! - [`chunker`]: the Rabin content-defined chunker with the cut points of `rabin-native`.
//!
//! Invariants: every number read from a block is checked before it is used as an index or a size; a tree walk visits
//! at most as many nodes as the core has blocks, so no tree, however made, loops; no input panics.
//!
//! # Files
//!
//! - `bee/`: keys in a core: searched, walked, changed, compared; what is taken of a tree at most. `drive/`: entries and paths,
//!   symlinks, the longest of each. `blobs/`: contents, block maps and their size. `chunker/`: cut points, shortest and longest
//!   chunk. `source`: where blocks come from. `walk`: walks that stop and go on.
//! - `deltas`: where a drive keeps patches of its files: keys, hops, routes of how many. `json`: JSON as JavaScript writes it.
//!   `error`: what can go wrong: missing, damaged.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod bee;
pub mod blobs;
pub mod chunker;
pub mod deltas;
pub mod drive;
mod error;
pub mod json;
mod source;
mod walk;

pub use error::{Error, Result};
pub use source::{BlockSource, MemorySource, SourceError};
pub use walk::Walk;
