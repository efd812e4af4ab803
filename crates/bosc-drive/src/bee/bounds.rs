//! What is taken of a bee, at most, and what its nodes are written with.

/// Longest key taken, in bytes.
pub const MAX_KEY_LEN: usize = 64 * 1024;
/// Most keys of a tree node taken from a block. Hyperbee writes at most 8.
pub(crate) const MAX_NODE_KEYS: usize = 64;
/// Most levels of a block's index looked at. Hyperbee writes about three for each level of the tree.
pub(crate) const MAX_LEVELS: u64 = 1024;
/// Deepest tree taken. 32 levels of at least 5 children are more keys than a core can have blocks.
pub(crate) const MAX_DEPTH: usize = 32;
/// Fewest keys a node other than the root is left with.
pub(crate) const MIN_KEYS: usize = 4;
/// A node that reaches this many keys is split.
pub(crate) const SPLIT_KEYS: usize = 9;
