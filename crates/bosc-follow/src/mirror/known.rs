//! What is known of one mirror: its verified heads, and the trees below them.

use super::carrier::{Answer, Ask, Connection};
use super::fault::{FaultKind, MirrorFault};
use bosc_format::flat_tree;
use bosc_format::merkle::{Node, TreeReadError, TreeReader};
use bosc_format::proof::{Proof, ProofRequest, create_proof};
use bosc_mirror::{CoreHead, Part, ProvenTree, Tile, TileError};
use bytes::Bytes;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most rounds of fetching tiles for one proof: a proof has at most so many nodes.
const MAX_ROUNDS: usize = 128;
/// Whole objects that are kept of a server without ranges, of at most [`bosc_mirror::MAX_PIECE`] bytes each.
const MAX_KEPT: usize = 2;

/// One core of a mirror, whose head was verified.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) part: Part,
    pub(super) head: CoreHead,
    tree: Mutex<ProvenTree>,
    /// What a server without ranges sent last, not proved: more of it may be wanted soon, and it would send all of it again.
    kept: Mutex<VecDeque<(String, Bytes)>>,
}

/// Remembers which node was not there.
struct Noting<'a> {
    tree: &'a ProvenTree,
    lacks: Cell<Option<u64>>,
}

impl TreeReader for Noting<'_> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        let node = self.tree.node(index)?;
        if node.is_none() {
            self.lacks.set(Some(index));
        }
        Ok(node)
    }
}

impl Known {
    pub(super) fn new(part: Part, head: CoreHead) -> Self {
        let tree = Mutex::new(ProvenTree::new(head.head.clone()));
        Self { part, head, tree, kept: Mutex::default() }
    }

    pub(super) fn tree(&self) -> MutexGuard<'_, ProvenTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A whole object that came before, unless it is too long ago.
    pub(super) fn kept(&self, path: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(name, _)| name == path).map(|(_, bytes)| bytes.clone())
    }

    /// Keeps a whole object for a while; `None`: it is not what it has to be.
    pub(super) fn keep(&self, path: &str, bytes: Option<Bytes>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(name, _)| name != path);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 <= bosc_mirror::MAX_PIECE) else { return };
        if kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back((path.to_owned(), bytes));
    }

    /// Has tiles here. One thread at a time: several would fetch the same one.
    fn tiles(&self, tiles: &[Tile], from: &mut dyn Connection) -> Result<(), MirrorFault> {
        let mut tree = self.tree();
        for tile in tiles {
            if tree.has(*tile) {
                continue;
            }
            let path = self.head.layout.tile_path(self.part, *tile).unwrap_or_default();
            let ask = Ask { path: &path, range: None, max: tile.bytes() as u64, head: None };
            let Answer::Whole(bytes, _) = from.get(&ask)? else {
                return Err(MirrorFault::new(FaultKind::WrongLength, &path, "a part came instead of all"));
            };
            tree.insert(*tile, &bytes).map_err(|e| match e {
                TileError::Length { .. } => {
                    let fault = MirrorFault::wrong(&path, &bytes, &e);
                    match fault.kind {
                        FaultKind::WebPage => fault,
                        _ => MirrorFault::new(FaultKind::WrongLength, &path, &e),
                    }
                }
                e => MirrorFault::wrong(&path, &bytes, &e),
            })?;
        }
        Ok(())
    }

    /// Has everything here that tells where a block is.
    pub(super) fn around(&self, block: u64, from: &mut dyn Connection) -> Result<(), MirrorFault> {
        let lacks = self.tree().lacks(block);
        self.tiles(&lacks, from)
    }

    /// What a peer with this head would answer. `None`: it cannot be answered below this head.
    pub(super) fn prove(
        &self,
        request: &ProofRequest,
        value: Option<&Bytes>,
        from: &mut dyn Connection,
    ) -> Result<Option<Proof>, MirrorFault> {
        let length = self.head.head.length;
        for _ in 0..MAX_ROUNDS {
            let lacks = {
                let tree = self.tree();
                let noting = Noting { tree: &tree, lacks: Cell::new(None) };
                let manifest = self.head.manifest.as_ref();
                let mut block = |_| Ok(value.cloned());
                match create_proof(&self.head.head, manifest, &noting, request, &mut block) {
                    Ok(Some(proof)) => return Ok(Some(proof)),
                    Err(_) => return Ok(None),
                    Ok(None) => noting.lacks.get(),
                }
            };
            let Some(index) = lacks else { return Ok(None) };
            let level = flat_tree::depth(index) / 8;
            let chain = Tile::chain(flat_tree::first_block(index), length);
            let chain: Vec<Tile> = chain.into_iter().filter(|t| t.level >= level).collect();
            if chain.is_empty() || chain.iter().all(|t| self.tree().has(*t)) {
                return Ok(None);
            }
            self.tiles(&chain, from)?;
        }
        Ok(None)
    }
}
