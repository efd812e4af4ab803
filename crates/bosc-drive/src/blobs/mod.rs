//! Content of files: byte ranges of the blobs core (npm `hyperblobs` 2).
//!
//! A plain blob is a run of blocks. A blob with a block map names a run of blocks that hold the map, and the map names
//! the content's blocks in any order; that is how parts of earlier versions are used again. Map blocks are
//! `uint 0 | uint count | count x (uint index, uint byteLength)` in compact encoding, up to 8192 references each and
//! up to 64 blocks.
//!
//! # Files
//!
//! - `read`: a blob's bytes. `write`: which blocks are new, and the map that names them. `map`: maps as bytes.

mod map;
mod read;
mod write;

pub use map::{BlockRef, MAP_REFS_PER_BLOCK, MAX_MAP_BLOCKS, decode_map, encode_map};
pub use read::{BlobReader, Piece, ReadPlan, content_blocks, content_length, load_map, read_plan};
pub use write::{BLOCK_SIZE, ContentMap, Placement};

/// Where a file's content lies in the blobs core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct BlobId {
    /// First block of the content, or of the block map.
    pub block_offset: u64,
    /// First byte of those blocks in the core.
    pub byte_offset: u64,
    /// How many blocks.
    pub block_length: u64,
    /// How many bytes those blocks hold: the file's size only when there is no block map.
    pub byte_length: u64,
    /// Whether the blocks hold a map.
    pub block_map: bool,
}

#[cfg(test)]
mod tests;
