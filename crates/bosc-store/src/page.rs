//! Pages: the unit in which a core's tree nodes, block places and bits are kept, cached and written.
//!
//! One database row per tree node would cost more for its key than for its value, and a proof would take a
//! lookup per level. So nodes are kept by subtree: a tree page holds a perfect subtree of 5 levels (16 leaves,
//! 31 nodes), and its 16 siblings' parents are leaves of a page one group up. A path from leaf to root of a core
//! with a million blocks touches 4 pages.
//!
//! Formats (all numbers little endian), version 1:
//! * tree page: `u32` mask of the slots that are there, then 40 bytes for each: `u64` size, 32 bytes hash
//! * place page (64 blocks): `u64` mask, then 12 bytes for each: `u32` segment, `u32` offset, `u32` length
//! * bit page (8192 blocks): 1024 bytes, block `i` is bit `i % 8` of byte `i / 8`
//!
//! A page with nothing in it has no row.

use bosc_format::crypto::Hash;
use bosc_format::merkle::Node;
use std::sync::Arc;

/// Levels in a tree page.
const LEVELS: u32 = 5;
/// Nodes in a tree page.
const SLOTS: usize = 31;
/// Blocks in a place page.
pub(crate) const PLACES: u64 = 64;
/// 64-bit words in a bit page.
const WORDS: usize = 128;
/// Blocks in a bit page.
pub(crate) const BITS: u64 = WORDS as u64 * 64;

/// Kinds of pages, in the order of their keys. Tree pages of group `g` have kind `g`.
pub(crate) mod kind {
    /// Highest tree group: 64 levels in groups of 5.
    pub(crate) const TREE_LAST: u8 = 12;
    /// Block places.
    pub(crate) const PLACE: u8 = 32;
    /// Bits.
    pub(crate) const BIT: u8 = 33;
}

/// Core numbers from here on are not cores but pages put aside.
pub(crate) const ASIDE: u32 = 1 << 31;

/// Names a page: which core, what kind, and its number within the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PageKey {
    pub(crate) core: u32,
    pub(crate) kind: u8,
    pub(crate) number: u64,
}

impl PageKey {
    /// Database key: big endian, so that rows sort by core, kind and number.
    pub(crate) fn to_bytes(self) -> [u8; 13] {
        let mut out = [0; 13];
        let (core, rest) = out.split_at_mut(4);
        core.copy_from_slice(&self.core.to_be_bytes());
        if let Some((kind, number)) = rest.split_first_mut() {
            *kind = self.kind;
            number.copy_from_slice(&self.number.to_be_bytes());
        }
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8; 13]) -> Self {
        let [a, b, c, d, kind, rest @ ..] = *bytes;
        Self { core: u32::from_be_bytes([a, b, c, d]), kind, number: u64::from_be_bytes(rest) }
    }

    pub(crate) fn places(core: u32, block: u64) -> Self {
        Self { core, kind: kind::PLACE, number: block / PLACES }
    }

    pub(crate) fn bits(core: u32, block: u64) -> Self {
        Self { core, kind: kind::BIT, number: block / BITS }
    }
}

/// Where tree node `index` is kept: its page and the slot in it. `None` for the one index (`u64::MAX`) that is
/// no node.
pub(crate) fn tree_slot(core: u32, index: u64) -> Option<(PageKey, usize)> {
    let depth = index.trailing_ones();
    let offset = index.checked_shr(depth + 1).unwrap_or(0);
    if depth >= 64 {
        return None;
    }
    let level = depth % LEVELS;
    let up = LEVELS - 1 - level;
    let within = (offset & ((1 << up) - 1)) as usize;
    // Levels from the leaves up start at slots 0, 16, 24, 28, 30.
    let base = 32usize - (32usize >> level);
    Some((PageKey { core, kind: (depth / LEVELS) as u8, number: offset >> up }, base + within))
}

/// Number of the first tree page of group `group` that begins at or after block `block`: every page before it
/// has a node over an earlier block.
pub(crate) fn first_tree_page_from(group: u8, block: u64) -> u64 {
    let shift = LEVELS * (u32::from(group) + 1) - 1;
    if shift >= 64 {
        return u64::from(block > 0);
    }
    let whole = block >> shift;
    if block & ((1 << shift) - 1) == 0 { whole } else { whole + 1 }
}

/// Where a block's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Segment number, from 1. 0: no block.
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Place {
    /// Whether `next` begins where this ends, on disk.
    pub(crate) fn is_before(&self, next: &Self) -> bool {
        self.segment == next.segment && self.offset.checked_add(self.len) == Some(next.offset)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    size: u64,
    hash: Hash,
}

/// 31 nodes of a subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreePage {
    mask: u32,
    slots: [Slot; SLOTS],
}

impl TreePage {
    pub(crate) fn get(&self, slot: usize, index: u64) -> Option<Node> {
        if self.mask >> slot & 1 == 0 {
            return None;
        }
        self.slots.get(slot).map(|s| Node { index, size: s.size, hash: s.hash })
    }

    pub(crate) fn put(&mut self, slot: usize, node: &Node) {
        if let Some(s) = self.slots.get_mut(slot) {
            *s = Slot { size: node.size, hash: node.hash };
            self.mask |= 1 << slot;
        }
    }

    /// Removes the nodes of page `number` of group `group` that reach over the end of a tree of `length` blocks.
    pub(crate) fn cut(&mut self, group: u8, number: u64, length: u64) {
        self.mask &= !slots_over(group, number, length);
    }

    /// Takes from `newer` what reaches over the end of a tree of `length` blocks.
    pub(crate) fn take_over(&mut self, newer: &TreePage, group: u8, number: u64, length: u64) {
        let over = slots_over(group, number, length) & newer.mask;
        for (i, (slot, new)) in self.slots.iter_mut().zip(&newer.slots).enumerate() {
            if over >> i & 1 == 1 {
                *slot = *new;
            }
        }
        self.mask |= over;
    }
}

/// Mask of the slots of a tree page whose nodes reach over the end of a tree of `length` blocks.
fn slots_over(group: u8, number: u64, length: u64) -> u32 {
    let mut mask = 0;
    for level in 0..LEVELS {
        let depth = u32::from(group) * LEVELS + level;
        let up = LEVELS - 1 - level;
        for within in 0..1u64 << up {
            // The node is within the tree when all blocks below it are: offset + 1 subtrees of its size fit.
            let offset = u128::from(number) << up | u128::from(within);
            if (offset + 1).checked_shl(depth).is_none_or(|end| end > u128::from(length)) {
                mask |= 1 << (32 - (32u64 >> level) + within);
            }
        }
    }
    mask
}

/// Places of 64 blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacePage {
    places: [Place; PLACES as usize],
}

impl PlacePage {
    pub(crate) fn get(&self, block: u64) -> Option<Place> {
        self.places.get((block % PLACES) as usize).copied().filter(|p| p.segment != 0)
    }

    /// Sets (or with `None` removes) a place; returns what was there.
    pub(crate) fn set(&mut self, block: u64, place: Option<Place>) -> Option<Place> {
        let slot = self.places.get_mut((block % PLACES) as usize)?;
        let old = std::mem::replace(slot, place.unwrap_or_default());
        (old.segment != 0).then_some(old)
    }

    /// The places there are, each with its position in the page.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Place)> {
        (0u64..).zip(self.places.iter().copied()).filter(|(_, p)| p.segment != 0)
    }
}

/// Bits of 8192 blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BitPage {
    words: [u64; WORDS],
}

impl BitPage {
    pub(crate) fn get(&self, block: u64) -> bool {
        let at = block % BITS;
        self.words.get((at / 64) as usize).is_some_and(|w| w >> (at % 64) & 1 == 1)
    }

    /// Sets a bit; returns what it was.
    pub(crate) fn set(&mut self, block: u64, value: bool) -> bool {
        let at = block % BITS;
        let Some(word) = self.words.get_mut((at / 64) as usize) else { return false };
        let bit = 1u64 << (at % 64);
        let old = *word & bit != 0;
        if value {
            *word |= bit
        } else {
            *word &= !bit
        }
        old
    }

    /// The `n`th 32-bit word.
    pub(crate) fn word32(&self, n: usize) -> u32 {
        let word = self.words.get(n / 2).copied().unwrap_or(0);
        (word >> (32 * (n % 2))) as u32
    }

    /// First position at or after `from` (within the page) whose bit is not `value`; `None`: there is none.
    pub(crate) fn first_not(&self, value: bool, from: u64) -> Option<u64> {
        let mut at = from;
        while at < BITS {
            let word = self.words.get((at / 64) as usize)?;
            let looked = if value { !word } else { *word } >> (at % 64);
            if looked != 0 {
                return Some(at + u64::from(looked.trailing_zeros()));
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }
}

/// A page of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    Tree(Box<TreePage>),
    Place(Box<PlacePage>),
    Bit(Box<BitPage>),
}

impl Page {
    /// An empty page of the kind in `key`.
    pub(crate) fn empty(key: &PageKey) -> Self {
        match key.kind {
            kind::PLACE => Page::Place(Box::new(PlacePage { places: [Place::default(); PLACES as usize] })),
            kind::BIT => Page::Bit(Box::new(BitPage { words: [0; WORDS] })),
            _ => Page::Tree(Box::new(TreePage { mask: 0, slots: [Slot::default(); SLOTS] })),
        }
    }

    /// Whether it holds nothing and needs no row.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Page::Tree(p) => p.mask == 0,
            Page::Place(p) => p.places.iter().all(|p| p.segment == 0),
            Page::Bit(p) => p.words.iter().all(|w| *w == 0),
        }
    }

    /// Bytes it takes in memory, about.
    pub(crate) fn cost(&self) -> usize {
        96 + match self {
            Page::Tree(_) => size_of::<TreePage>(),
            Page::Place(_) => size_of::<PlacePage>(),
            Page::Bit(_) => size_of::<BitPage>(),
        }
    }

    pub(crate) fn tree(&self) -> Option<&TreePage> {
        if let Page::Tree(p) = self { Some(p) } else { None }
    }

    pub(crate) fn place(&self) -> Option<&PlacePage> {
        if let Page::Place(p) = self { Some(p) } else { None }
    }

    pub(crate) fn bit(&self) -> Option<&BitPage> {
        if let Page::Bit(p) = self { Some(p) } else { None }
    }

    /// Writes the page into `out` (emptied first).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Page::Tree(p) => {
                out.extend_from_slice(&p.mask.to_le_bytes());
                for (i, s) in p.slots.iter().enumerate() {
                    if p.mask >> i & 1 == 1 {
                        out.extend_from_slice(&s.size.to_le_bytes());
                        out.extend_from_slice(&s.hash);
                    }
                }
            }
            Page::Place(p) => {
                let mask = p.iter().fold(0u64, |m, (i, _)| m | 1 << i);
                out.extend_from_slice(&mask.to_le_bytes());
                for (_, place) in p.iter() {
                    out.extend_from_slice(&place.segment.to_le_bytes());
                    out.extend_from_slice(&place.offset.to_le_bytes());
                    out.extend_from_slice(&place.len.to_le_bytes());
                }
            }
            Page::Bit(p) => p.words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes())),
        }
    }

    /// Reads a page; `None` when the bytes are not a page of this kind.
    pub(crate) fn decode(key: &PageKey, mut bytes: &[u8]) -> Option<Self> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, tail) = bytes.split_first_chunk::<N>()?;
            *bytes = tail;
            Some(*head)
        }
        let bytes = &mut bytes;
        let mut page = Page::empty(key);
        match &mut page {
            Page::Tree(p) => {
                p.mask = u32::from_le_bytes(take(bytes)?);
                if p.mask >> SLOTS != 0 {
                    return None;
                }
                for (i, s) in p.slots.iter_mut().enumerate() {
                    if p.mask >> i & 1 == 1 {
                        *s = Slot { size: u64::from_le_bytes(take(bytes)?), hash: take(bytes)? };
                    }
                }
            }
            Page::Place(p) => {
                let mask = u64::from_le_bytes(take(bytes)?);
                for (i, place) in p.places.iter_mut().enumerate() {
                    if mask >> i & 1 == 1 {
                        *place = Place {
                            segment: u32::from_le_bytes(take(bytes)?),
                            offset: u32::from_le_bytes(take(bytes)?),
                            len: u32::from_le_bytes(take(bytes)?),
                        };
                        if place.segment == 0 {
                            return None;
                        }
                    }
                }
            }
            Page::Bit(p) => {
                for w in &mut p.words {
                    *w = u64::from_le_bytes(take(bytes)?);
                }
            }
        }
        bytes.is_empty().then_some(page)
    }
}

/// A page as it is shared between the cache, readers and a commit on its way.
pub(crate) type SharedPage = Arc<Page>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn every_node_has_its_own_slot() {
        let mut seen = HashSet::new();
        for index in 0..200_000u64 {
            let (key, slot) = tree_slot(7, index).unwrap();
            assert!(slot < SLOTS);
            assert!(seen.insert((key, slot)), "node {index} shares a slot");
        }
        // 100,000 leaves fill exactly these pages at the lowest group.
        assert_eq!(tree_slot(1, 199_998).unwrap().0, PageKey { core: 1, kind: 0, number: 99_999 / 16 });
        assert_eq!(tree_slot(1, 15).unwrap(), (PageKey { core: 1, kind: 0, number: 0 }, 30));
        assert_eq!(tree_slot(1, 31).unwrap(), (PageKey { core: 1, kind: 1, number: 0 }, 0));
        assert!(tree_slot(1, u64::MAX).is_none());
        assert_eq!(tree_slot(1, u64::MAX - 1).unwrap().0.kind, 0);
        assert_eq!(tree_slot(1, (1 << 63) - 1).unwrap().0.kind, kind::TREE_LAST);
    }

    proptest! {
        #[test]
        fn keys_and_pages_survive_a_round_trip(core: u32, index: u64, size: u64, hash: [u8; 32], block: u64) {
            prop_assume!(index != u64::MAX);
            let (key, slot) = tree_slot(core, index).unwrap();
            prop_assert_eq!(PageKey::from_bytes(&key.to_bytes()), key);
            let mut page = Page::empty(&key);
            let node = Node { index, size, hash };
            let Page::Tree(p) = &mut page else { panic!() };
            p.put(slot, &node);
            prop_assert_eq!(p.get(slot, index), Some(node));
            let mut bytes = Vec::new();
            page.encode(&mut bytes);
            prop_assert_eq!(Page::decode(&key, &bytes), Some(page));

            let key = PageKey::places(core, block);
            let mut page = Page::empty(&key);
            let Page::Place(p) = &mut page else { panic!() };
            let place = Place { segment: 3, offset: size as u32, len: index as u32 };
            p.set(block, Some(place));
            prop_assert_eq!(p.get(block), Some(place));
            page.encode(&mut bytes);
            prop_assert_eq!(Page::decode(&key, &bytes), Some(page));

            let key = PageKey::bits(core, block);
            let mut page = Page::empty(&key);
            let Page::Bit(p) = &mut page else { panic!() };
            p.set(block, true);
            prop_assert!(p.get(block));
            prop_assert_eq!(p.first_not(false, 0), Some(block % BITS));
            page.encode(&mut bytes);
            prop_assert_eq!(Page::decode(&key, &bytes), Some(page));
        }

        #[test]
        fn slots_over_the_end_are_those_of_nodes_over_the_end(length in 0u64..3000, index in 0u64..6000) {
            let (key, slot) = tree_slot(1, index).unwrap();
            let over = slots_over(key.kind, key.number, length) >> slot & 1 == 1;
            prop_assert_eq!(over, bosc_format::flat_tree::right_span(index) >= 2 * length);
        }

        #[test]
        fn garbage_is_no_page(kind in 0u8..40, bytes: Vec<u8>) {
            let _ = Page::decode(&PageKey { core: 1, kind, number: 0 }, &bytes);
        }

        #[test]
        fn pages_from_a_block_on_hold_nothing_before_it(block in 0u64..100_000, group in 0u8..13) {
            let first = first_tree_page_from(group, block);
            // The page's leftmost block.
            let shift = LEVELS * (u32::from(group) + 1) - 1;
            if shift < 64 {
                prop_assert!(first << shift >= block);
                prop_assert!(first == 0 || (first - 1) << shift < block);
            }
        }
    }
}
