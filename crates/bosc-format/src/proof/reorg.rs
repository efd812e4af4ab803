//! Replacing a tree by one of a higher fork (hypercore's `ReorgBatch`).
//!
//! States: a first proof carries the whole new head, signed, from length 0. Comparing its roots with the stored tree
//! shows the leftmost subtree that differs. While that subtree is not a leaf, `want` names a hash request whose proof
//! has the subtree's children; each answer moves one or more levels down. Finished, all blocks left of the
//! difference (`ancestors`) are common to both trees and stay; all right of it goes.
//!
//! Invariant: every node kept hangs below the signed head; an answer that brings nothing new keeps nothing, so memory
//! is bounded by the depth of the tree times the size of a proof.

use super::answer::Proof;
use super::error::{InvalidProof, ProofError};
use super::tree::climb_proof;
use super::verify::{effective_manifest, signed_upgrade};
use crate::crypto::CoreKey;
use crate::flat_tree;
use crate::manifest::Manifest;
use crate::merkle::{Head, Node, RootStack, TreeReadError, TreeReader, WithRoots};
use std::collections::BTreeMap;

/// What a [`Reorg`] needs next: a hash request for leaf `2 * i` of any block `i` in `start..end` that the peer has,
/// with this many `nodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReorgWant {
    /// First block.
    pub start: u64,
    /// Block after the last; not over the old tree's length.
    pub end: u64,
    /// The `nodes` of the request.
    pub nodes: u64,
}

/// A reorg in progress.
#[derive(Debug, Clone)]
pub struct Reorg {
    based_on: (u64, u64),
    head: Head,
    nodes: Vec<Node>,
    manifest: Option<Manifest>,
    /// The leftmost subtree known to differ; `None` when the whole new tree is here.
    diff: Option<Node>,
    ancestors: u64,
    want: Option<ReorgWant>,
}

/// A finished reorg: everything it takes to switch to the new fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedReorg {
    based_on: (u64, u64),
    ancestors: u64,
    head: Head,
    nodes: Vec<Node>,
    manifest: Option<Manifest>,
}

impl VerifiedReorg {
    /// Fork and length of the head it was made against. Apply it only while these are current.
    pub fn based_on(&self) -> (u64, u64) {
        self.based_on
    }

    /// How many blocks stay. Drop all later blocks of the old tree and what
    /// [`replaced_nodes`](crate::merkle::replaced_nodes)`(ancestors, old length)` names, then store `nodes`.
    pub fn ancestors(&self) -> u64 {
        self.ancestors
    }

    /// The new head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Tree nodes to store.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The core's manifest, when it was not known before.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Ancestors, head, nodes, manifest.
    pub fn into_parts(self) -> (u64, Head, Vec<Node>, Option<Manifest>) {
        (self.ancestors, self.head, self.nodes, self.manifest)
    }
}

impl Reorg {
    /// Starts from a proof of a higher fork, with an upgrade from 0. `head` and `tree` are the current ones.
    pub fn start(
        key: &CoreKey,
        manifest: Option<&Manifest>,
        head: &Head,
        tree: &dyn TreeReader,
        proof: &Proof,
    ) -> Result<Self, ProofError> {
        if proof.fork <= head.fork {
            return Err(ProofError::Stale("it is not of a higher fork"));
        }
        let (manifest, is_new) = effective_manifest(key, manifest, proof.manifest.as_ref())?;
        let upgrade = proof.upgrade.as_ref().ok_or(InvalidProof::Malformed("a fork without an upgrade"))?;
        if upgrade.start != 0 {
            return Err(InvalidProof::Malformed("a fork's upgrade does not start at 0").into());
        }
        let climb = climb_proof(proof, None)?;
        let extra = climb.as_ref().map(|c| c.root);
        let mut nodes = climb.map(|c| c.nodes).unwrap_or_default();
        let stack = RootStack::default();
        let (new, used) = signed_upgrade(key, manifest, stack, proof.fork, upgrade, extra, &mut nodes)?;
        if extra.is_some() && !used {
            return Err(InvalidProof::Malformed("a fork proof with parts outside its head").into());
        }
        let mut reorg = Self {
            based_on: (head.fork, head.length),
            ancestors: new.length,
            head: new,
            nodes,
            manifest: if is_new { manifest.cloned() } else { None },
            diff: None,
            want: None,
        };
        let known = WithRoots { head, tree };
        let mut diff = None;
        for root in &reorg.head.roots {
            if !is_here(&known, root)? {
                diff = Some(*root);
                break;
            }
        }
        if let Some(root) = diff {
            let below = reorg.nodes.iter().map(|n| (n.index, *n)).collect();
            let diff = descend(&known, root, &below)?;
            reorg.set_diff(diff);
        }
        Ok(reorg)
    }

    /// Fork of the new head.
    pub fn fork(&self) -> u64 {
        self.head.fork
    }

    /// The new head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Fork and length of the head it was made against.
    pub fn based_on(&self) -> (u64, u64) {
        self.based_on
    }

    /// Whether [`Reorg::finish`] can be called.
    pub fn is_finished(&self) -> bool {
        self.want.is_none()
    }

    /// What to ask peers for, `None` when finished.
    pub fn want(&self) -> Option<ReorgWant> {
        self.want
    }

    /// Takes an answer to what is wanted; `head` and `tree` are the current ones. Returns whether it is finished.
    /// An answer to an earlier want is [`ProofError::Stale`].
    pub fn update(&mut self, head: &Head, tree: &dyn TreeReader, proof: &Proof) -> Result<bool, ProofError> {
        let (Some(_), Some(diff)) = (self.want, self.diff) else { return Ok(true) };
        if proof.fork != self.head.fork {
            return Err(ProofError::Stale("it is of another fork"));
        }
        if (head.fork, head.length) != self.based_on {
            return Err(ProofError::Stale("the core changed during the reorg"));
        }
        let Some(climb) = climb_proof(proof, None)? else {
            return Err(InvalidProof::Malformed("a proof without nodes").into());
        };
        if climb.root.index != diff.index {
            return Err(ProofError::Stale("it answers another question"));
        }
        if climb.root.hash != diff.hash {
            return Err(InvalidProof::Checksum(diff.index).into());
        }
        let below: BTreeMap<u64, Node> = climb.nodes.iter().map(|n| (n.index, *n)).collect();
        let next = descend(&WithRoots { head, tree }, diff, &below)?;
        if next.index == diff.index {
            return Err(InvalidProof::Malformed("a proof that brings nothing new").into());
        }
        self.nodes.extend(climb.nodes.into_iter().filter(|n| n.index != diff.index));
        self.set_diff(next);
        Ok(self.is_finished())
    }

    fn set_diff(&mut self, diff: Node) {
        let old_length = self.based_on.1;
        let start = flat_tree::first_block(diff.index);
        let end = flat_tree::end_block(diff.index).min(old_length);
        self.ancestors = start;
        self.diff = Some(diff);
        self.want = if flat_tree::is_leaf(diff.index) || start >= end {
            None
        } else {
            Some(ReorgWant { start, end, nodes: u64::from(flat_tree::depth(diff.index)) })
        };
    }

    /// The finished reorg, or itself back when something is still wanted.
    pub fn finish(self) -> Result<VerifiedReorg, Box<Self>> {
        if self.want.is_some() {
            return Err(Box::new(self));
        }
        Ok(VerifiedReorg {
            based_on: self.based_on,
            // A tree that is a prefix of the old one, or shares more blocks than there were.
            ancestors: self.ancestors.min(self.based_on.1),
            head: self.head,
            nodes: self.nodes,
            manifest: self.manifest,
        })
    }
}

fn is_here(known: &WithRoots<'_>, node: &Node) -> Result<bool, TreeReadError> {
    // Nodes over the end of the head may be left over from a longer tree.
    if flat_tree::right_span(node.index) >= known.head.length.saturating_mul(2) {
        return Ok(false);
    }
    Ok(known.get(node.index)?.is_some_and(|here| here.hash == node.hash))
}

/// From a subtree that differs down to the lowest one `below` can tell: left where the left child differs, else right.
fn descend(known: &WithRoots<'_>, diff: Node, below: &BTreeMap<u64, Node>) -> Result<Node, TreeReadError> {
    let mut diff = diff;
    while let Some((left, right)) = flat_tree::children(diff.index) {
        let Some(left) = below.get(&left) else { break };
        let next = if is_here(known, left)? { below.get(&right) } else { Some(left) };
        match next {
            Some(next) => diff = *next,
            None => break,
        }
    }
    Ok(diff)
}
