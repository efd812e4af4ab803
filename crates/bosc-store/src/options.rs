//! How a store is opened.

/// Sizes and limits of a store. The defaults keep the whole store under about 24 MiB of memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Bytes of database pages kept in memory.
    pub database_cache_bytes: usize,
    /// Bytes of decoded pages kept in memory.
    pub page_cache_bytes: usize,
    /// Bytes of pages that may be pending (visible, not durable) before a download commits; and that a batch
    /// keeps in memory for each core before it puts them aside on disk.
    pub pending_bytes: usize,
    /// Bytes of blocks that may be pending: what a crash may make a download fetch again.
    pub pending_block_bytes: u64,
    /// Commit downloads beside them, in a thread that lives as long as there is something to commit. Without it
    /// the caller who reaches a bound commits.
    pub background: bool,
    /// Bytes after which a segment file is full (a last block may reach over it). At most 3 GiB.
    pub segment_bytes: u32,
    /// The folder may be another user's when root opens it, and what root makes in it is that user's. For what holds no key
    /// of root's, as a cache that a program run once as root must not take from its user.
    pub for_owner_of_folder: bool,
    /// Keep 2 MiB of the disk aside, so that blocks can be removed when it is full. Made when the store is opened, and again
    /// after [`crate::Store::gc`], where there is room.
    pub keep_reserve: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database_cache_bytes: 8 << 20,
            page_cache_bytes: 4 << 20,
            pending_bytes: 4 << 20,
            pending_block_bytes: 64 << 20,
            background: true,
            segment_bytes: 64 << 20,
            for_owner_of_folder: false,
            keep_reserve: false,
        }
    }
}
