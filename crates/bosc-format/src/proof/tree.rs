//! Checking the parts of a proof that climb from a block, hash or seek to one node, and upgrades.

use super::answer::{Proof, UpgradeProof};
use super::error::{InvalidProof, ProofError, from_growing};
use crate::crypto::{self, Hash};
use crate::flat_tree;
use crate::manifest::Prologue;
use crate::merkle::{MAX_BYTES, Node, RootStack, tree_hash};
use bytes::Bytes;

/// Nodes of a proof in the order they are needed, plus one that was computed (hypercore's `NodeQueue`).
pub(super) struct NodeQueue<'a> {
    nodes: std::slice::Iter<'a, Node>,
    extra: Option<Node>,
}

impl<'a> NodeQueue<'a> {
    pub(super) fn new(nodes: &'a [Node], extra: Option<Node>) -> Self {
        Self { nodes: nodes.iter(), extra }
    }

    /// The node `index`, and whether it is the computed one.
    fn shift(&mut self, index: u64) -> Result<(Node, bool), InvalidProof> {
        if let Some(node) = self.extra.take_if(|n| n.index == index) {
            return Ok((node, true));
        }
        let node = self.nodes.next().ok_or(InvalidProof::MissingNode(index))?;
        if node.index != index {
            return Err(InvalidProof::UnexpectedNode { expected: index, got: node.index });
        }
        if node.size > MAX_BYTES {
            return Err(InvalidProof::TooLarge("the size of a node"));
        }
        Ok((*node, false))
    }

    fn is_empty(&self) -> bool {
        self.extra.is_none() && self.nodes.len() == 0
    }

    /// Whether the computed node was used.
    fn used_extra(&self) -> bool {
        self.extra.is_none()
    }
}

/// What the block, hash and seek parts of a proof come to: one node that has to be trusted for another reason.
#[derive(Debug)]
pub(super) struct Climb {
    /// The node all others hang below. `nodes` has it too.
    pub(super) root: Node,
    /// Whether the hash of `root` was computed here, and so says what its size must be.
    pub(super) computed: bool,
    /// Every node on the way, computed or given.
    pub(super) nodes: Vec<Node>,
}

/// Climbs from `start` through the nodes of `queue`. Every level raises the index's depth, so it ends by
/// [`flat_tree::MAX_INDEX`].
fn climb(start: Node, mut queue: NodeQueue<'_>, out: &mut Vec<Node>) -> Result<(Node, bool), InvalidProof> {
    let mut root = start;
    let mut computed = false;
    while !queue.is_empty() {
        let (sibling, is_extra) = queue.shift(flat_tree::sibling(root.index))?;
        root = Node::parent_of(&root, &sibling).ok_or(InvalidProof::TooLarge("the number of bytes"))?;
        if root.index > flat_tree::MAX_INDEX {
            return Err(InvalidProof::TooLarge("a tree index"));
        }
        if !is_extra {
            out.push(sibling);
        }
        out.push(root);
        computed = true;
    }
    Ok((root, computed))
}

/// Checks block, hash and seek (hypercore's `verifyTree`). `None` when there is none of them. `leaf` is the block's
/// leaf hash if it was computed already.
pub(super) fn climb_proof(proof: &Proof, leaf: Option<Hash>) -> Result<Option<Climb>, InvalidProof> {
    let mut nodes = Vec::new();
    let mut seek_root = None;
    if let Some(seek) = &proof.seek
        && let Some((first, rest)) = seek.nodes.split_first()
    {
        check_start(first.index, first.size)?;
        nodes.push(*first);
        seek_root = Some(climb(*first, NodeQueue::new(rest, None), &mut nodes)?);
    }
    let (start, rest, leaf_computed) = match (&proof.block, &proof.hash) {
        (Some(block), _) => {
            if block.index >= flat_tree::MAX_LENGTH {
                return Err(InvalidProof::TooLarge("a block index"));
            }
            let hash = leaf.unwrap_or_else(|| crypto::leaf_hash(&block.value));
            let size = block.value.len() as u64;
            let leaf = Node { index: block.index.saturating_mul(2), size, hash };
            (leaf, block.nodes.as_slice(), true)
        }
        (None, Some(hash)) => {
            let (start, rest) = hash.nodes.split_first().ok_or(InvalidProof::MissingNode(hash.index))?;
            if start.index != hash.index {
                return Err(InvalidProof::UnexpectedNode { expected: hash.index, got: start.index });
            }
            check_start(start.index, start.size)?;
            (*start, rest, false)
        }
        (None, None) => {
            return Ok(seek_root.map(|(root, computed)| Climb { root, computed, nodes }));
        }
    };
    nodes.push(start);
    let queue = NodeQueue::new(rest, seek_root.map(|(root, _)| root));
    let (root, computed) = climb(start, queue, &mut nodes)?;
    Ok(Some(Climb { root, computed: computed || leaf_computed, nodes }))
}

fn check_start(index: u64, size: u64) -> Result<(), InvalidProof> {
    if index > flat_tree::MAX_INDEX {
        return Err(InvalidProof::TooLarge("a tree index"));
    }
    if size > MAX_BYTES {
        return Err(InvalidProof::TooLarge("the size of a node"));
    }
    Ok(())
}

/// The block of a proof, if any: cheap to clone.
pub(super) fn block_of(proof: &Proof) -> Option<(u64, Bytes)> {
    proof.block.as_ref().map(|b| (b.index, b.value.clone()))
}

/// Grows `stack` by an upgrade (hypercore's `verifyUpgrade`), collecting new nodes in `out`. Returns whether `extra`
/// became part of it. The caller has checked that the upgrade starts at the stack's length; the result means nothing
/// until the signature over it is checked.
pub(super) fn grow(
    stack: &mut RootStack,
    upgrade: &UpgradeProof,
    extra: Option<Node>,
    prologue: Option<&Prologue>,
    out: &mut Vec<Node>,
) -> Result<bool, ProofError> {
    let to = upgrade.start.saturating_add(upgrade.length);
    if to > flat_tree::MAX_LENGTH {
        return Err(InvalidProof::TooLarge("the length of an upgrade").into());
    }
    if upgrade.length == 0 {
        return Err(InvalidProof::Malformed("an upgrade without blocks").into());
    }
    if let Some(p) = prologue
        && upgrade.start < p.length
        && (upgrade.start != 0 || upgrade.length < p.length)
    {
        return Err(InvalidProof::Prologue.into());
    }
    let mut queue = NodeQueue::new(&upgrade.nodes, extra);
    while stack.length < to {
        let (node, is_extra) = queue.shift(crate::merkle::next_subtree(stack.length, to))?;
        let mut skip = is_extra;
        let made = |n| {
            // The computed node is among the climb's nodes already.
            if !std::mem::take(&mut skip) {
                out.push(n);
            }
        };
        stack.push(node, made).map_err(from_growing)?;
    }
    if queue.nodes.len() > 0 {
        return Err(InvalidProof::SpareNodes.into());
    }
    if let Some(p) = prologue
        && stack.length == p.length
        && tree_hash(&stack.roots) != p.hash
    {
        return Err(InvalidProof::Prologue.into());
    }
    for node in &upgrade.additional_nodes {
        check_start(node.index, node.size)?;
        stack.push(*node, |n| out.push(n)).map_err(from_growing)?;
    }
    Ok(queue.used_extra())
}
