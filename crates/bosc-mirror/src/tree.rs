//! Tiles of a core's tree that were proved.

use crate::layout::{NODE, TILE, Tile};
use bosc_format::crypto::parent_hash;
use bosc_format::flat_tree;
use bosc_format::merkle::{Head, MAX_BYTES, Node, TreeReadError, TreeReader};
use std::collections::{HashMap, VecDeque};

/// Most tiles that are kept of one core: 3 MiB.
pub const MAX_TILES: usize = 128;

/// Why bytes are not a tile of the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// They are too many or too few.
    #[error("it has {got} bytes, and {expected} were expected")]
    Length {
        /// What the tile has.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// They do not lead to what is proved.
    #[error("it is not of this drive's tree")]
    NotOfTheTree,
    /// The tile above is not here, or it is no tile of this core.
    #[error("a tile above it is missing")]
    Unanchored,
}

/// What is known of the tree below one verified head. Every node in it leads to a root of that head.
#[derive(Debug, Clone)]
pub struct ProvenTree {
    head: Head,
    /// Of each tile its nodes, level by level from its own up.
    tiles: HashMap<(u32, u64), Vec<Vec<Node>>>,
    /// In the order in which they came.
    order: VecDeque<(u32, u64)>,
}

impl ProvenTree {
    /// Below this head, which was verified.
    pub fn new(head: Head) -> Self {
        Self { head, tiles: HashMap::new(), order: VecDeque::new() }
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether a tile is here.
    pub fn has(&self, tile: Tile) -> bool {
        self.tiles.contains_key(&(tile.level, tile.n))
    }

    /// The tiles around a block that are not here, from the top.
    pub fn lacks(&self, block: u64) -> Vec<Tile> {
        Tile::chain(block, self.head.length).into_iter().filter(|t| !self.has(*t)).collect()
    }

    /// Takes a tile, once it is proved: it leads to a root of the head, or to an entry of the tile above, which is here.
    ///
    /// # Errors
    /// See [`TileError`]; nothing is kept then.
    pub fn insert(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), TileError> {
        if bytes.len() != tile.bytes() {
            return Err(TileError::Length { expected: tile.bytes(), got: bytes.len() });
        }
        if Tile::of(tile.index(0), self.head.length) != Some(tile) {
            return Err(TileError::Unanchored);
        }
        let levels = grow(tile, bytes).ok_or(TileError::NotOfTheTree)?;
        for top in tops(tile) {
            let known = self.anchor(top).ok_or(TileError::Unanchored)?;
            if at(&levels, tile, top) != Some(known) {
                return Err(TileError::NotOfTheTree);
            }
        }
        let name = (tile.level, tile.n);
        if self.tiles.insert(name, levels).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > MAX_TILES {
            // Those above are needed by all below them, and few.
            let Some(i) = self.order.iter().position(|(level, n)| (*level, *n) != name && *level == 0) else {
                break;
            };
            if let Some(old) = self.order.remove(i) {
                self.tiles.remove(&old);
            }
        }
        Ok(())
    }

    /// A node that a tile below has to lead to.
    fn anchor(&self, index: u64) -> Option<Node> {
        self.head.root(index).copied().or_else(|| self.look(index))
    }

    fn look(&self, index: u64) -> Option<Node> {
        let tile = Tile::of(index, self.head.length)?;
        at(self.tiles.get(&(tile.level, tile.n))?, tile, index)
    }
}

impl TreeReader for ProvenTree {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.anchor(index))
    }
}

/// The node with this index among those of a tile.
fn at(levels: &[Vec<Node>], tile: Tile, index: u64) -> Option<Node> {
    let up = flat_tree::depth(index).checked_sub(tile.depth())?;
    let first = (tile.n * TILE).checked_shr(up)?;
    let i = flat_tree::offset(index).checked_sub(first)?;
    levels.get(up as usize)?.get(usize::try_from(i).ok()?).copied()
}

/// The nodes that everything in the tile is below: one of a full tile, else the last roots of the head.
fn tops(tile: Tile) -> Vec<u64> {
    let top = |root: u64| {
        let (up, offset) = (flat_tree::depth(root), flat_tree::offset(root));
        let first = (tile.n * TILE).checked_shr(up).unwrap_or(0);
        flat_tree::index(tile.depth() + up, first.saturating_add(offset))
    };
    flat_tree::full_roots(tile.width).map(top).collect()
}

/// The entries of a tile, and everything that follows from them.
fn grow(tile: Tile, bytes: &[u8]) -> Option<Vec<Vec<Node>>> {
    let mut entries = Vec::with_capacity(bytes.len() / NODE);
    for (i, entry) in bytes.chunks_exact(NODE).enumerate() {
        let (size, hash) = entry.split_first_chunk::<8>()?;
        let size = u64::from_le_bytes(*size);
        if size > MAX_BYTES {
            return None;
        }
        entries.push(Node { index: tile.index(i as u64), size, hash: hash.try_into().ok()? });
    }
    let mut levels = vec![entries];
    while let Some(below) = levels.last().filter(|l| l.len() > 1) {
        let mut above = Vec::with_capacity(below.len() / 2);
        for pair in below.chunks_exact(2) {
            let [left, right] = pair else { return None };
            let size = left.size.checked_add(right.size).filter(|s| *s <= MAX_BYTES)?;
            let hash = parent_hash(size, &left.hash, &right.hash);
            above.push(Node { index: flat_tree::parent(left.index), size, hash });
        }
        levels.push(above);
    }
    Some(levels)
}
