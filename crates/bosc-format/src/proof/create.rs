//! Answering proof requests (hypercore's `generateProof`).
//!
//! The nodes of each part are in the order in which a verifier needs them:
//! * block and hash: the node itself (hash only), then siblings upward as far as the request's `nodes` say;
//! * seek: the same, from the node the byte offset is proved at to where it meets the block's or hash's path;
//! * upgrade: the subtrees that fill the gap from `start` to `start + length`, left to right. One that holds the
//!   requested block, hash or seek is left out: it comes of that part.
//!
//! One difference: hypercore 11.37.1 computes no offset for blocks that are not below the first root, and so leaves a
//! seek out of their proofs. Here it is in; its verifier takes both.

use super::answer::{BlockProof, HashProof, Proof, SeekProof, UpgradeProof};
use super::request::{ProofRequest, SeekRequest, UpgradeRequest};
use crate::flat_tree;
use crate::manifest::Manifest;
use crate::merkle::{
    Head, Node, TreeError, TreeReadError, TreeReader, WithRoots, next_subtree, node_byte_offset,
};
use bytes::Bytes;
use thiserror::Error;

/// A request cannot be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request makes no sense for this core: the peer's fault.
    #[error("invalid request: {0}")]
    Invalid(&'static str),
    /// The place where nodes are kept failed.
    #[error(transparent)]
    Read(#[from] TreeReadError),
}

/// Why making a proof stopped.
enum Stop {
    Request(RequestError),
    /// A node is not here: the answer is "no data".
    Missing,
}

impl From<TreeError> for Stop {
    fn from(e: TreeError) -> Self {
        match e {
            TreeError::Read(e) => Self::Request(RequestError::Read(e)),
            TreeError::Missing(_) => Self::Missing,
            TreeError::OutOfBounds(what) | TreeError::TooLarge(what) => invalid(what),
        }
    }
}

impl From<TreeReadError> for Stop {
    fn from(e: TreeReadError) -> Self {
        Self::Request(e.into())
    }
}

fn invalid(what: &'static str) -> Stop {
    Stop::Request(RequestError::Invalid(what))
}

/// Answers `request` from the core's `head`, `tree` and blocks.
///
/// `block` reads a block, `None` when it is not here. `manifest` is the core's, `None` for compat cores; it is sent
/// when asked for, and its prologue widens upgrades. The result is `None` when something needed is not here, or when
/// nothing came together (a seek alone): the peer gets a "no data" then. The caller has compared the request's fork
/// with the head's.
pub fn create_proof(
    head: &Head,
    manifest: Option<&Manifest>,
    tree: &dyn TreeReader,
    request: &ProofRequest,
    block: &mut dyn FnMut(u64) -> Result<Option<Bytes>, TreeReadError>,
) -> Result<Option<Proof>, RequestError> {
    match Maker::make(head, manifest, tree, request, block) {
        Ok(proof) if proof.is_empty() => Ok(None),
        Ok(proof) => Ok(Some(proof)),
        Err(Stop::Missing) => Ok(None),
        Err(Stop::Request(e)) => Err(e),
    }
}

/// The nodes from length `from` to length `to` of a core: an upgrade proof's `nodes`, and what signatures over
/// different lengths are joined with. Needs every node; a missing one is [`TreeError::Missing`].
pub fn upgrade_nodes(head: &Head, tree: &dyn TreeReader, from: u64, to: u64) -> Result<Vec<Node>, TreeError> {
    if from >= to || to > head.length {
        return Err(TreeError::OutOfBounds("an upgrade"));
    }
    let tree = WithRoots { head, tree };
    subtrees(from, to).map(|index| tree.need(index)).collect()
}

/// The largest subtrees that fill `from..to`, left to right.
fn subtrees(from: u64, to: u64) -> impl Iterator<Item = u64> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let index = next_subtree(at, to);
        at = at.saturating_add(flat_tree::count_leaves(index));
        Some(index)
    })
}

/// A requested block or hash.
struct Target {
    /// Flat-tree index.
    index: u64,
    nodes: u64,
    is_block: bool,
    /// The last block below.
    last_block: u64,
}

impl Target {
    fn of(request: &ProofRequest) -> Option<Self> {
        if let Some(b) = request.block {
            let index = b.index.saturating_mul(2);
            return Some(Self { index, nodes: b.nodes, is_block: true, last_block: b.index });
        }
        let h = request.hash?;
        let last_block = flat_tree::right_span(h.index) / 2;
        Some(Self { index: h.index, nodes: h.nodes, is_block: false, last_block })
    }
}

struct Maker<'a> {
    known: WithRoots<'a>,
    target: Option<Target>,
    seek: Option<SeekRequest>,
    target_nodes: Option<Vec<Node>>,
    seek_nodes: Option<Vec<Node>>,
}

impl<'a> Maker<'a> {
    fn make(
        head: &'a Head,
        manifest: Option<&Manifest>,
        tree: &'a dyn TreeReader,
        request: &ProofRequest,
        block: &mut dyn FnMut(u64) -> Result<Option<Bytes>, TreeReadError>,
    ) -> Result<Proof, Stop> {
        let mut proof = Proof { fork: head.fork, ..Proof::default() };
        if request.manifest {
            proof.manifest = manifest.cloned();
        }
        if head.length == 0 {
            return Ok(proof);
        }
        let mut upgrade = request.upgrade;
        if let (Some(u), Some(p)) = (&mut upgrade, manifest.and_then(|m| m.prologue.as_ref()))
            && u.start < p.length
        {
            *u = UpgradeRequest { start: 0, length: p.length };
        }
        let mut maker = Maker {
            known: WithRoots { head, tree },
            target: Target::of(request),
            seek: request.seek,
            target_nodes: None,
            seek_nodes: None,
        };
        proof.upgrade = maker.run(upgrade)?;
        maker.into_parts(request, proof, block)
    }

    fn run(&mut self, upgrade: Option<UpgradeRequest>) -> Result<Option<UpgradeProof>, Stop> {
        let length = self.known.head.length;
        let start = upgrade.map_or(0, |u| u.start);
        let to = match upgrade {
            Some(u) => u.start.checked_add(u.length).ok_or_else(|| invalid("upgrade"))?,
            None => length,
        };
        if start >= to || to > length {
            return Err(invalid("upgrade"));
        }
        // The node that stands for what was requested inside the upgrade; behind the end when there is none.
        let mut sub_tree = length.saturating_mul(2);
        let from = start.saturating_mul(2);
        match &self.target {
            Some(t) if upgrade.is_some() && self.seek.is_some() && t.index >= from => {
                return Err(invalid("a seek and a block in the same upgrade"));
            }
            Some(t) if upgrade.is_none() || t.last_block < start => {
                sub_tree = climb_to(t.index, t.nodes, to)?;
                let seek_root = match self.seek {
                    Some(s) => Some(self.seek_below(sub_tree, s)?),
                    None => None,
                };
                self.target_proof(seek_root, sub_tree)?;
            }
            target => {
                if upgrade.is_some() {
                    if let Some(s) = self.seek {
                        sub_tree = self.seek_from_head(to, s)?;
                    } else if let Some(t) = target {
                        sub_tree = t.index;
                    }
                }
            }
        }
        let Some(u) = upgrade else { return Ok(None) };
        let mut nodes = Vec::new();
        for index in subtrees(start, to) {
            let is_free = self.target_nodes.is_none() && self.seek_nodes.is_none();
            if is_free && flat_tree::contains(index, sub_tree) {
                self.target_or_seek_proof(sub_tree, index)?;
            } else {
                nodes.push(self.known.need(index)?);
            }
        }
        let additional_nodes =
            subtrees(to, length).map(|index| self.known.need(index)).collect::<Result<_, _>>()?;
        let signature = self.known.head.signature.clone();
        Ok(Some(UpgradeProof { start: u.start, length: u.length, nodes, additional_nodes, signature }))
    }

    fn into_parts(
        self,
        request: &ProofRequest,
        mut proof: Proof,
        block: &mut dyn FnMut(u64) -> Result<Option<Bytes>, TreeReadError>,
    ) -> Result<Proof, Stop> {
        if let Some(target) = &self.target {
            let nodes = self.target_nodes.ok_or_else(|| invalid("a block or hash outside the tree"))?;
            if target.is_block {
                let index = target.last_block;
                let value = block(index)?.ok_or(Stop::Missing)?;
                proof.block = Some(BlockProof { index, value, nodes });
            } else {
                proof.hash = Some(HashProof { index: target.index, nodes });
            }
        }
        if let (Some(seek), Some(nodes)) = (request.seek, self.seek_nodes) {
            proof.seek = Some(SeekProof { bytes: seek.bytes, nodes });
        }
        Ok(proof)
    }

    /// Nodes from the seek's node `seek_root` up to below `root`.
    fn seek_proof(&mut self, seek_root: u64, root: u64) -> Result<(), Stop> {
        let mut nodes = vec![self.known.need(seek_root)?];
        let mut at = seek_root;
        while at != root {
            nodes.push(self.known.need(flat_tree::sibling(at))?);
            at = flat_tree::parent(at);
        }
        self.seek_nodes = Some(nodes);
        Ok(())
    }

    /// Nodes from the target up to below `root`; where the seek branches off, it brings the sibling.
    fn target_proof(&mut self, seek_root: Option<u64>, root: u64) -> Result<(), Stop> {
        let Some(target) = &self.target else { return Ok(()) };
        if !flat_tree::contains(root, target.index) {
            return Err(invalid("a block or hash outside the tree"));
        }
        let mut at = target.index;
        let mut nodes = Vec::new();
        if !target.is_block {
            nodes.push(self.known.need(at)?);
        }
        while at != root {
            let sibling = flat_tree::sibling(at);
            match seek_root {
                Some(s) if s != sibling && flat_tree::contains(sibling, s) => self.seek_proof(s, sibling)?,
                _ => nodes.push(self.known.need(sibling)?),
            }
            at = flat_tree::parent(at);
        }
        self.target_nodes = Some(nodes);
        Ok(())
    }

    fn target_or_seek_proof(&mut self, sub_tree: u64, root: u64) -> Result<(), Stop> {
        if self.target.is_some() { self.target_proof(None, root) } else { self.seek_proof(sub_tree, root) }
    }

    /// The node whose place proves where byte `seek` is, when it is not known to be below `root`.
    fn seek_below(&self, root: u64, seek: SeekRequest) -> Result<u64, Stop> {
        let offset = i128::from(node_byte_offset(self.known.tree, self.known.head, root)?)
            - i128::from(seek.padding) * i128::from(flat_tree::first_block(root));
        let rest = i128::from(seek.bytes) - offset;
        if rest < 0 {
            return Err(invalid("seek"));
        }
        if rest == 0 {
            return Ok(root);
        }
        if unpadded(&self.known.need(root)?, seek.padding) <= rest {
            return Err(invalid("seek"));
        }
        self.seek_inside(root, rest, seek.padding)
    }

    /// The same in the whole tree of `to` blocks; its end when the byte is behind it.
    fn seek_from_head(&self, to: u64, seek: SeekRequest) -> Result<u64, Stop> {
        let mut rest = i128::from(seek.bytes);
        for root in flat_tree::full_roots(to) {
            let size = unpadded(&self.known.need(root)?, seek.padding);
            if rest == size {
                return Ok(root);
            }
            if rest > size {
                rest -= size;
                continue;
            }
            return self.seek_inside(root, rest, seek.padding);
        }
        Ok(to.saturating_mul(2))
    }

    /// The same when byte `bytes` is known to be below `root`. Stops where nodes are not here.
    fn seek_inside(&self, root: u64, bytes: i128, padding: u64) -> Result<u64, Stop> {
        if bytes == 0 {
            return Ok(root);
        }
        let mut rest = bytes;
        let mut at = root;
        while !flat_tree::is_leaf(at) {
            let Some(left) = self.known.get(flat_tree::left_child(at))? else { return Ok(at) };
            let size = unpadded(&left, padding);
            if size == rest {
                return Ok(left.index);
            }
            if size > rest {
                at = left.index;
            } else {
                rest -= size;
                at = flat_tree::right_child(at);
            }
        }
        Ok(at)
    }
}

/// Bytes below a node without the padding of each block. Below 0 when the peer's padding is no true one.
fn unpadded(node: &Node, padding: u64) -> i128 {
    i128::from(node.size) - i128::from(padding) * i128::from(flat_tree::count_leaves(node.index))
}

/// The node `levels` above `index`, which must not reach over the end of the tree of `length` blocks.
fn climb_to(index: u64, levels: u64, length: u64) -> Result<u64, Stop> {
    let end = length.saturating_mul(2);
    if flat_tree::right_span(index) >= end {
        return Err(invalid("a block or hash outside the tree"));
    }
    let mut at = index;
    for _ in 0..levels {
        at = flat_tree::parent(at);
        // Ends within 64 rounds: every round doubles the span.
        if flat_tree::contains(at, end) {
            return Err(invalid("nodes"));
        }
    }
    Ok(at)
}
