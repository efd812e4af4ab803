//! What the objects of a mirror are called.

use bosc_format::crypto::{CoreKey, Hash, hash};
use bosc_format::flat_tree;
use std::fmt;
use std::ops::Range;

/// The name of the head, below a mirror's address.
pub const HEAD: &str = "bosc-mirror";
/// The name of what operators say about the drive, beside the head. It changes by itself; what is in it is no affair of this crate.
pub const STATEMENTS: &str = "bosc-statements";
/// Most bytes of that.
pub const MAX_STATEMENTS: u64 = 32 << 10;
/// Nodes in a tile.
pub const TILE: u64 = 256;
/// Bytes of a node in a tile: its size (64 bits, little endian) and its hash.
pub const NODE: usize = 40;
/// Bytes of a piece, unless it is one larger block.
pub const PIECE: u64 = 4 << 20;
/// Bytes of the largest piece that is read: more than the largest block that a store takes.
pub const MAX_PIECE: u64 = 16 << 20;
/// Most pieces of a core: 1 TiB in full ones.
pub const MAX_PIECES: usize = 1 << 18;
/// Most lineages of a core.
pub const MAX_LINEAGES: usize = 64;
/// Levels of the tree that one tile spans.
const LEVELS: u32 = 8;

/// Which of a drive's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The entries.
    Db,
    /// The contents.
    Blobs,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Db, Self::Blobs];

    /// The folder of its objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Db => "db",
            Self::Blobs => "blobs",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One history that only grew: a folder of objects that never change. A core that was cut back goes on in another one, which
/// begins at the blocks that stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// Names the folder.
    pub id: [u8; 8],
    /// Objects that end at this block or before are in the lineage before.
    pub start: u64,
}

impl Lineage {
    /// The lineage that begins with this head.
    pub(crate) fn begin(key: &CoreKey, fork: u64, tree_hash: &Hash, start: u64) -> Self {
        let whole =
            hash(&[b"bosc-mirror lineage", key, &fork.to_le_bytes(), tree_hash, &start.to_le_bytes()]);
        let mut id = [0; 8];
        id.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        Self { id, start }
    }
}

/// Nodes of one level, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Its nodes are 8 times this many levels above the leaves.
    pub level: u32,
    /// How many tiles of this level are left of it.
    pub n: u64,
    /// Nodes in it: 256, and fewer in the last one of a level.
    pub width: u64,
}

impl Tile {
    /// The tile of a level that holds the node with this offset, in a core of `length` blocks.
    fn at(level: u32, offset: u64, length: u64) -> Option<Self> {
        let count = length.checked_shr(level * LEVELS).unwrap_or(0);
        let n = offset / TILE;
        (offset < count).then(|| Self { level, n, width: (count - n * TILE).min(TILE) })
    }

    /// The tile that holds a node of the tree, as an entry or computed from entries.
    pub fn of(index: u64, length: u64) -> Option<Self> {
        let depth = flat_tree::depth(index);
        let first = flat_tree::offset(index).checked_shl(depth % LEVELS)?;
        Self::at(depth / LEVELS, first, length)
    }

    /// The tiles above and around a block, from the top: with all of them its place and its proof are known.
    pub fn chain(block: u64, length: u64) -> Vec<Self> {
        let level = |l: u32| Self::at(l, block.checked_shr(l * LEVELS)?, length);
        let mut chain: Vec<Self> = (0..flat_tree::MAX_LENGTH.ilog2() / LEVELS + 1).map_while(level).collect();
        chain.reverse();
        chain
    }

    /// All tiles of a core.
    pub fn all(length: u64) -> impl Iterator<Item = Self> {
        (0..flat_tree::MAX_LENGTH.ilog2() / LEVELS + 1).flat_map(move |level| {
            let count = length.checked_shr(level * LEVELS).unwrap_or(0);
            (0..count.div_ceil(TILE)).filter_map(move |n| Self::at(level, n * TILE, length))
        })
    }

    /// The depth of its nodes.
    pub fn depth(self) -> u32 {
        self.level * LEVELS
    }

    /// The index of its node number `i`.
    pub fn index(self, i: u64) -> u64 {
        flat_tree::index(self.depth(), (self.n * TILE).saturating_add(i))
    }

    /// The block after the last one below it.
    pub fn end(self) -> u64 {
        (self.n * TILE).saturating_add(self.width).checked_shl(self.depth()).unwrap_or(u64::MAX)
    }

    /// Its size in bytes.
    pub fn bytes(self) -> usize {
        usize::try_from(self.width.min(TILE)).unwrap_or(0) * NODE
    }
}

/// The bytes of some blocks, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// First block.
    pub start: u64,
    /// Block after the last.
    pub end: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Piece {
    /// Its blocks.
    pub fn blocks(&self) -> Range<u64> {
        self.start..self.end
    }
}

/// How the objects of one core are cut and where they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// By where they begin.
    pub lineages: Vec<Lineage>,
    /// In order, not overlapping. What is in none of them is not on this mirror.
    pub pieces: Vec<Piece>,
}

impl Layout {
    fn folder(&self, part: Part, end: u64) -> Option<String> {
        let lineage = self.lineages.iter().rev().find(|l| l.start < end)?;
        Some(format!("{part}/{}", data_encoding::HEXLOWER.encode(&lineage.id)))
    }

    /// Where a tile is; `None` without a lineage.
    pub fn tile_path(&self, part: Part, tile: Tile) -> Option<String> {
        let folder = self.folder(part, tile.end())?;
        Some(format!("{folder}/t/{}-{}-{}", tile.level, tile.n, tile.width))
    }

    /// Where a piece is; `None` without a lineage.
    pub fn piece_path(&self, part: Part, piece: &Piece) -> Option<String> {
        let folder = self.folder(part, piece.end)?;
        Some(format!("{folder}/d/{}-{}", piece.start, piece.end))
    }

    /// The piece that a block is in.
    pub fn piece(&self, block: u64) -> Option<&Piece> {
        let after = self.pieces.partition_point(|p| p.start <= block);
        self.pieces.get(after.checked_sub(1)?).filter(|p| block < p.end)
    }

    /// Whether every block below `length` is in a piece.
    pub fn is_whole(&self, length: u64) -> bool {
        let end = self.pieces.iter().try_fold(0, |at, p| (p.start == at).then_some(p.end));
        end == Some(length)
    }
}
