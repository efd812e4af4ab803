//! Content of files: byte ranges of the blobs core (npm `hyperblobs` 2).
//!
//! A plain blob is a run of blocks. A blob with a block map names a run of blocks that hold the map, and the map names
//! the content's blocks in any order; that is how parts of earlier versions are used again. Map blocks are
//! `uint 0 | uint count | count x (uint index, uint byteLength)` in compact encoding, up to 8192 references each and
//! up to 64 blocks.
//!
//! # Files
//!
//! - `read`: a blob's bytes, also a range of them. `write`: which blocks are new, and the map that names them; blocks of a plain
//!   blob. `map`: maps as bytes, how many references.
//! - `id`: the name of a blob.

mod id;
mod map;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use id::BlobId;
pub use map::{BlockRef, MAP_REFS_PER_BLOCK, MAX_MAP_BLOCKS, decode_map, encode_map};
pub use read::{BlobReader, Piece, ReadPlan, content_blocks, content_length, load_map, read_plan};
pub use write::{BLOCK_SIZE, ContentMap, Placement};
