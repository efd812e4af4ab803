//! Hyperbee 2: an ordered map in an append-only core (npm `hyperbee`).
//!
//! Block 0 is a [`Header`]. Every later block is one put or delete and carries the tree nodes that operation rewrote,
//! the root first; all other nodes are named as (block, offset). The core's length is the version: reading at a
//! length means reading the tree whose root is in the block before it. Of a batch only the last block carries a
//! root, so only its end is a version.
//!
//! A B-tree node holds up to 8 keys. Keys are compared as bytes.
//!
//! # Files
//!
//! - `view`: a bee at one version. `entry`: a key and its value. `bounds`: what is taken of it at most: keys, nodes, depth; when a
//!   node is split.
//! - `tree`: nodes, and one key. `range`: keys in order, bounds of a range, keys that come in another order. `history`: all
//!   operations in theirs. `diff`: two versions compared.
//! - `batch`: puts and deletes that become one append, on the tree in `pending`: splits, merges, what writes a block. `rising`: the
//!   same of keys in order, made as it grows. `versions`: which lengths are versions, and which are inside a batch.
//! - `proto`: blocks as bytes, fields that are skipped or refused.

mod batch;
mod bounds;
mod diff;
mod entry;
mod history;
mod pending;
mod proto;
mod range;
mod rising;
#[cfg(test)]
mod tests;
mod tree;
mod versions;
mod view;

pub use batch::{Batch, BatchBlocks};
pub use bounds::MAX_KEY_LEN;
pub use diff::{Change, Diff};
pub use entry::Entry;
pub use history::{History, HistoryEntry};
pub use proto::{Header, Metadata};
pub use range::{KeyRange, Range};
pub use rising::RisingBatch;
pub use tree::Lookup;
pub use versions::{Step, Versions};
pub use view::Bee;
