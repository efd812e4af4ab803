//! A file's content as a list of blocks, and whether two files hold the same bytes.

use super::types::{BlobTree, MAX_BLOCKS, ProvisionError};
use crate::stage::Leaf;
use crate::stage::compare::{Old, OldBlock};
use bosc_drive::blobs::{BlobId, decode_map};
use bosc_drive::drive::EntryValue;
use bytes::Bytes;

fn invalid(block: u64, what: &'static str) -> ProvisionError {
    ProvisionError::Content { block, what }
}

/// The blob of an entry that has bytes. Symlinks and entries without content have none.
pub(super) fn blob_of(value: &EntryValue) -> Option<BlobId> {
    // A blob of no bytes has no blocks, with and without a map, as in `hyperdrive`.
    value.blob.filter(|b| value.linkname.is_none() && b.byte_length > 0)
}

/// The blocks that hold a blob's map; none without one.
pub(super) fn map_blocks(id: &BlobId, tree: &dyn BlobTree) -> Result<std::ops::Range<u64>, ProvisionError> {
    if id.block_map { run(id, tree) } else { Ok(0..0) }
}

fn run(id: &BlobId, tree: &dyn BlobTree) -> Result<std::ops::Range<u64>, ProvisionError> {
    let end = id.block_offset.checked_add(id.block_length).filter(|end| *end <= tree.length());
    let end = end.ok_or(invalid(id.block_offset, "a blob lies beyond the core"))?;
    if id.block_length > MAX_BLOCKS {
        return Err(ProvisionError::TooManyBlocks);
    }
    Ok(id.block_offset..end)
}

/// The blocks of a blob's content with the sizes that a map gives them, in order. Needs the map blocks.
pub(super) fn blocks(id: &BlobId, tree: &dyn BlobTree) -> Result<Vec<(u64, Option<u64>)>, ProvisionError> {
    let range = run(id, tree)?;
    if !id.block_map {
        return Ok(range.map(|i| (i, None)).collect());
    }
    if id.block_length > bosc_drive::blobs::MAX_MAP_BLOCKS {
        return Err(bosc_drive::Error::TooLarge("a block map").into());
    }
    let maps: Vec<Bytes> = range.map(|i| tree.block(i)).collect::<Result<_, _>>()?;
    let refs = decode_map(id.block_offset, &maps)?;
    if refs.iter().any(|r| r.index >= tree.length()) {
        return Err(invalid(id.block_offset, "a block map names a block beyond the core"));
    }
    Ok(refs.into_iter().map(|r| (r.index, Some(r.byte_length))).collect())
}

/// Looks a content up: its blocks with their hashes. Nothing of the content itself is read.
pub(super) fn load(value: &EntryValue, tree: &dyn BlobTree) -> Result<Old, ProvisionError> {
    let Some(id) = blob_of(value) else { return Ok(Old::default()) };
    let mut out = Old::empty(id.block_map);
    for (index, size) in blocks(&id, tree)? {
        let leaf = tree.leaf(index)?;
        if size.is_some_and(|s| s != leaf.size) {
            return Err(invalid(index, "a block does not have the size that its map says"));
        }
        out.size = out.size.saturating_add(leaf.size);
        out.blocks.push(OldBlock { index, leaf });
    }
    if !id.block_map && out.size != id.byte_length {
        return Err(invalid(id.block_offset, "a blob does not have the size that its entry says"));
    }
    Ok(out)
}

/// Whether both hold the same bytes. Reads them only when they are cut in different ways and everything that can be
/// compared by hashes is equal.
pub(super) fn same(
    a: &Old,
    a_tree: &dyn BlobTree,
    b: &Old,
    b_tree: &dyn BlobTree,
) -> Result<bool, ProvisionError> {
    if a.size != b.size {
        return Ok(false);
    }
    let mut at = 0;
    loop {
        match (a.blocks.get(at), b.blocks.get(at)) {
            (None, None) => return Ok(true),
            (Some(x), Some(y)) if x.leaf == y.leaf => at += 1,
            (Some(x), Some(y)) if x.leaf.size == y.leaf.size => return Ok(false),
            _ => break,
        }
    }
    let (a, b) =
        (a.blocks.get(at..).unwrap_or_default().iter(), b.blocks.get(at..).unwrap_or_default().iter());
    a_tree.fetch(a.clone().map(|x| x.index).collect())?;
    b_tree.fetch(b.clone().map(|x| x.index).collect())?;
    let (mut left, mut right) = (
        ContentReader { blocks: a, tree: a_tree, rest: Bytes::new() },
        ContentReader { blocks: b, tree: b_tree, rest: Bytes::new() },
    );
    loop {
        let (x, y) = (left.rest()?, right.rest()?);
        let n = x.len().min(y.len());
        if x.get(..n) != y.get(..n) {
            return Ok(false);
        }
        if n == 0 {
            return Ok(x.is_empty() && y.is_empty());
        }
        left.rest = x.slice(n..);
        right.rest = y.slice(n..);
    }
}

struct ContentReader<'a> {
    blocks: std::slice::Iter<'a, OldBlock>,
    tree: &'a dyn BlobTree,
    rest: Bytes,
}

impl ContentReader<'_> {
    /// What is left of the present block, or the next one; empty at the end.
    fn rest(&mut self) -> Result<Bytes, ProvisionError> {
        while self.rest.is_empty() {
            let Some(block) = self.blocks.next() else { break };
            self.rest = read(block.index, &block.leaf, self.tree)?;
        }
        Ok(self.rest.clone())
    }
}

/// A block that must be as its leaf says.
pub(super) fn read(index: u64, leaf: &Leaf, tree: &dyn BlobTree) -> Result<Bytes, ProvisionError> {
    let bytes = tree.block(index)?;
    if bytes.len() as u64 == leaf.size {
        Ok(bytes)
    } else {
        Err(invalid(index, "a block does not have the size that its leaf says"))
    }
}
