//! The Merkle tree over a core's blocks (hypercore `lib/merkle-tree.js`).
//!
//! * [`Head`] is one signed state of a tree: roots, length, fork.
//! * [`Appender`] turns leaf hashes into nodes and a longer head, streaming.
//! * [`truncate`], [`roots_at`], [`byte_offset`], [`byte_range`], [`seek`], [`missing_nodes`] read a stored tree
//!   through [`TreeReader`].
//!
//! Invariants:
//! * The roots of a well-formed head are exactly [`full_roots`](crate::flat_tree::full_roots) of its length, left to right, and their
//!   sizes add up to its byte length ([`Head::is_well_formed`]).
//! * No length is over [`MAX_LENGTH`](crate::flat_tree::MAX_LENGTH) and no sum of sizes over [`MAX_BYTES`].
//!
//! # Files
//!
//! - `node`: one node, and the most bytes. `head`: one signed state, when it is well formed. `reader`: where nodes are kept.
//! - `append`: a longer head. `query`: a stored tree is read: offsets, seeks, missing nodes, roots of shorter trees.

mod append;
mod head;
mod node;
mod query;
mod reader;
#[cfg(test)]
pub(crate) mod tests;

pub use append::Appender;
pub(crate) use append::{RootStack, next_subtree};
pub use head::{Head, tree_hash};
pub use node::{MAX_BYTES, Node};
pub use query::{
    ReplacedNodes, Seek, byte_offset, byte_range, max_missing_nodes, missing_nodes, replaced_nodes, roots_at,
    seek, truncate,
};
pub(crate) use query::{WithRoots, node_byte_offset};
pub use reader::{TreeError, TreeReadError, TreeReader};
