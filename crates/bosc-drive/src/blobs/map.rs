//! Block maps as bytes.

use crate::error::{Error, Result};
use bosc_format::codec::{Decoder, Encoder, uint_len};
use bytes::Bytes;

/// References one map block holds.
pub const MAP_REFS_PER_BLOCK: usize = 8192;
/// Most map blocks of a blob; JavaScript refuses more.
pub const MAX_MAP_BLOCKS: u64 = 64;

/// Most references of a blob.
const MAX_REFS: usize = MAP_REFS_PER_BLOCK * MAX_MAP_BLOCKS as usize;

/// A block of the blobs core that holds a part of a file, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// The block.
    pub index: u64,
    /// How many bytes it holds.
    pub byte_length: u64,
}

/// The map blocks of a file made of `refs`: none for an empty file. Fails when there are too many references.
pub fn encode_map(refs: &[BlockRef]) -> Result<Vec<Vec<u8>>> {
    if refs.len() > MAX_REFS {
        return Err(Error::TooLarge("a block map"));
    }
    Ok(refs.chunks(MAP_REFS_PER_BLOCK).map(encode_block).collect())
}

fn encode_block(refs: &[BlockRef]) -> Vec<u8> {
    let len: usize = refs.iter().map(|r| uint_len(r.index) + uint_len(r.byte_length)).sum();
    let mut e = Encoder::with_capacity(len + 6);
    e.uint(0).uint(refs.len() as u64);
    for r in refs {
        e.uint(r.index).uint(r.byte_length);
    }
    e.finish()
}

/// The references of a map. `first` is the first map block's index, for errors.
pub fn decode_map<'a>(first: u64, blocks: impl IntoIterator<Item = &'a Bytes>) -> Result<Vec<BlockRef>> {
    let mut out = Vec::new();
    let mut total = 0u64;
    for (i, block) in blocks.into_iter().enumerate() {
        let at = first.saturating_add(i as u64);
        if i as u64 >= MAX_MAP_BLOCKS {
            return Err(Error::TooLarge("a block map"));
        }
        let bad = |_| Error::malformed(at, "not a block map");
        let mut d = Decoder::new(block);
        if d.uint().map_err(bad)? != 0 {
            return Err(Error::malformed(at, "unknown version of block map"));
        }
        let count = d.count(2).map_err(bad)?;
        if count > MAX_REFS - out.len().min(MAX_REFS) {
            return Err(Error::TooLarge("a block map"));
        }
        out.reserve(count);
        for _ in 0..count {
            let r = BlockRef { index: d.uint().map_err(bad)?, byte_length: d.uint().map_err(bad)? };
            total = total.checked_add(r.byte_length).ok_or(Error::malformed(at, "the file is too large"))?;
            out.push(r);
        }
    }
    Ok(out)
}
