//! The name of a blob.

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
