//! Index math of flat in-order trees (npm `flat-tree`).
//!
//! A binary tree over blocks 0, 1, 2 ... is numbered in order: block `b` is leaf `2 * b`, and the parent of two
//! subtrees has the odd number between them. The number alone tells depth and offset, so nothing here keeps state:
//! where the JavaScript module walks an iterator, callers keep a `u64` and call these functions.
//!
//! ```text
//!        3
//!    1       5
//!  0   2   4   6
//! ```
//!
//! All functions are total: they return for every `u64`. Results mean what they say for indexes up to [`MAX_INDEX`],
//! the largest integer JavaScript counts with; everything read from a peer is checked against it first.

/// The largest node index: 2^53 - 1, what a JavaScript peer can count to.
pub const MAX_INDEX: u64 = (1 << 53) - 1;

/// The largest number of blocks: 2^52, so that every index of a tree is at most [`MAX_INDEX`].
pub const MAX_LENGTH: u64 = 1 << 52;

fn bit(n: u32) -> u64 {
    1u64.checked_shl(n).unwrap_or(0)
}

/// Levels above the leaves; 0 for a leaf.
pub const fn depth(index: u64) -> u32 {
    index.trailing_ones()
}

/// How many nodes of the same depth are to the left.
pub fn offset(index: u64) -> u64 {
    index.checked_shr(depth(index) + 1).unwrap_or(0)
}

/// The node at `depth` with `offset` nodes of that depth to its left.
pub fn index(depth: u32, offset: u64) -> u64 {
    offset.saturating_mul(bit(depth + 1)).saturating_add(bit(depth).saturating_sub(1))
}

/// Whether this is a leaf.
pub const fn is_leaf(index: u64) -> bool {
    index & 1 == 0
}

/// Whether this is the left child of its parent.
pub fn is_left(index: u64) -> bool {
    offset(index) & 1 == 0
}

/// The node that joins this one and its sibling.
pub fn parent(index: u64) -> u64 {
    let d = depth(index);
    (index | bit(d)) & !bit(d + 1)
}

/// The other child of the parent.
pub fn sibling(index: u64) -> u64 {
    index ^ bit(depth(index) + 1)
}

/// The left child; a leaf returns itself.
pub fn left_child(index: u64) -> u64 {
    match depth(index) {
        0 => index,
        d => index - bit(d - 1),
    }
}

/// The right child; a leaf returns itself.
pub fn right_child(index: u64) -> u64 {
    match depth(index) {
        0 => index,
        d => index.saturating_add(bit(d - 1)),
    }
}

/// Both children, `None` for a leaf.
pub fn children(index: u64) -> Option<(u64, u64)> {
    if is_leaf(index) { None } else { Some((left_child(index), right_child(index))) }
}

/// The leftmost leaf below.
pub const fn left_span(index: u64) -> u64 {
    index & index.wrapping_add(1)
}

/// The rightmost leaf below.
pub fn right_span(index: u64) -> u64 {
    index.saturating_add(bit(depth(index)).saturating_sub(1))
}

/// Leftmost and rightmost leaf below.
pub fn spans(index: u64) -> (u64, u64) {
    (left_span(index), right_span(index))
}

/// How many leaves are below (1 for a leaf).
pub fn count_leaves(index: u64) -> u64 {
    bit(depth(index))
}

/// The first block below.
pub const fn first_block(index: u64) -> u64 {
    left_span(index) / 2
}

/// The block after the last one below.
pub fn end_block(index: u64) -> u64 {
    (right_span(index) / 2).saturating_add(1)
}

/// Whether `other` is `node` or below it.
pub fn contains(node: u64, other: u64) -> bool {
    left_span(node) <= other && other <= right_span(node)
}

/// The leaf right of everything below.
pub fn next_leaf(index: u64) -> u64 {
    right_span(index).saturating_add(2)
}

/// The roots of a tree of `length` blocks, left to right: one full subtree per set bit of `length`.
pub fn full_roots(length: u64) -> FullRoots {
    FullRoots { start: 0, rest: length }
}

/// Iterator over the roots of a tree, made by [`full_roots`].
#[derive(Debug, Clone)]
pub struct FullRoots {
    start: u64,
    rest: u64,
}

impl Iterator for FullRoots {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let blocks = bit(self.rest.checked_ilog2()?);
        let root = self.start.saturating_mul(2).saturating_add(blocks - 1);
        self.start = self.start.saturating_add(blocks);
        self.rest -= blocks;
        Some(root)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = self.rest.count_ones() as usize;
        (n, Some(n))
    }
}

impl ExactSizeIterator for FullRoots {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_tree_by_hand() {
        assert_eq!((0..8).map(depth).collect::<Vec<_>>(), [0, 1, 0, 2, 0, 1, 0, 3]);
        assert_eq!((0..7).map(parent).collect::<Vec<_>>(), [1, 3, 1, 7, 5, 3, 5]);
        assert_eq!((0..7).map(sibling).collect::<Vec<_>>(), [2, 5, 0, 11, 6, 1, 4]);
        assert_eq!(children(3), Some((1, 5)));
        assert_eq!(children(4), None);
        assert_eq!(spans(3), (0, 6));
        assert_eq!(spans(5), (4, 6));
        assert_eq!(full_roots(0).count(), 0);
        assert_eq!(full_roots(11).collect::<Vec<_>>(), [7, 17, 20]);
        assert_eq!(full_roots(11).len(), 3);
        assert_eq!(next_leaf(3), 8);
        assert_eq!(count_leaves(7), 8);
        assert!(contains(3, 6) && !contains(3, 7) && contains(3, 3));
    }

    #[test]
    fn every_function_returns_for_every_index() {
        for i in [0, 1, MAX_INDEX, MAX_INDEX + 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            let _ = (depth(i), offset(i), parent(i), sibling(i), left_child(i), right_child(i));
            let _ = (spans(i), count_leaves(i), next_leaf(i), end_block(i), is_left(i), contains(i, i));
            let _ = full_roots(i).count();
        }
    }

    proptest! {
        #[test]
        fn relations_hold(i in 0..=MAX_INDEX / 4) {
            prop_assert_eq!(index(depth(i), offset(i)), i);
            prop_assert_eq!(parent(sibling(i)), parent(i));
            prop_assert_eq!(sibling(sibling(i)), i);
            prop_assert!(contains(parent(i), i) && !contains(i, parent(i)));
            let (l, r) = children(parent(i)).unwrap();
            prop_assert!(l == i || r == i);
            prop_assert_eq!(is_left(i), l == i);
            prop_assert_eq!(right_span(i) - left_span(i), 2 * (count_leaves(i) - 1));
        }

        #[test]
        fn roots_cover_the_length_without_gaps(length in 0..=MAX_LENGTH) {
            let mut at = 0;
            for root in full_roots(length) {
                prop_assert_eq!(left_span(root), at * 2);
                at += count_leaves(root);
            }
            prop_assert_eq!(at, length);
        }
    }
}
