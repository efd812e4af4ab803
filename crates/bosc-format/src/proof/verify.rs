//! Checking a proof against what is known of a core.

use super::answer::{Proof, UpgradeProof};
use super::error::{InvalidProof, ProofError};
use super::hashed::HashedProof;
use super::tree::{Climb, block_of, climb_proof, grow};
use crate::crypto::{self, CoreKey, Hash};
use crate::flat_tree;
use crate::manifest::{Manifest, Verifier};
use crate::merkle::{self, Head, Node, RootStack, TreeReadError, TreeReader, WithRoots};
use bytes::Bytes;

/// What a proof proved. Only [`verify_proof`] and [`verify_hashed`] make one. Store all of it in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    nodes: Vec<Node>,
    upgrade: Option<Head>,
    block: Option<(u64, Bytes)>,
    manifest: Option<Manifest>,
}

impl Verified {
    /// Tree nodes to store.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The new head, with its signature.
    pub fn upgrade(&self) -> Option<&Head> {
        self.upgrade.as_ref()
    }

    /// The block and its index.
    pub fn block(&self) -> Option<(u64, &Bytes)> {
        self.block.as_ref().map(|(i, b)| (*i, b))
    }

    /// The core's manifest, when it was not known before.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Nodes, new head, block, manifest.
    #[allow(clippy::type_complexity)] // Named by the methods above.
    pub fn into_parts(self) -> (Vec<Node>, Option<Head>, Option<(u64, Bytes)>, Option<Manifest>) {
        (self.nodes, self.upgrade, self.block, self.manifest)
    }
}

/// The manifest to go by, and whether it is news.
pub(super) fn effective_manifest<'a>(
    key: &CoreKey,
    known: Option<&'a Manifest>,
    sent: Option<&'a Manifest>,
) -> Result<(Option<&'a Manifest>, bool), InvalidProof> {
    match (known, sent) {
        (Some(m), _) => Ok((Some(m), false)),
        (None, Some(m)) if m.is_compat_with(key) => Ok((None, false)),
        (None, Some(m)) if m.key() == *key => Ok((Some(m), true)),
        (None, Some(_)) => Err(InvalidProof::Manifest),
        (None, None) => Ok((None, false)),
    }
}

/// Checks `proof` against the core `key`, of which `head` and `tree` are known, and `manifest` if it is.
///
/// With no manifest known or sent, `key` is taken for a compat key. An upgrade must start at `head.length`. Nothing
/// is changed; store what comes back if `head` is still the head then.
pub fn verify_proof(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    head: &Head,
    tree: &dyn TreeReader,
    proof: &Proof,
) -> Result<Verified, ProofError> {
    verify_with(key, manifest, head, tree, proof, None)
}

/// [`verify_proof`] of a proof whose block may have been hashed before, beside others.
pub fn verify_hashed(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    head: &Head,
    tree: &dyn TreeReader,
    proof: &HashedProof,
) -> Result<Verified, ProofError> {
    verify_with(key, manifest, head, tree, proof, proof.leaf())
}

fn verify_with(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    head: &Head,
    tree: &dyn TreeReader,
    proof: &Proof,
    leaf: Option<Hash>,
) -> Result<Verified, ProofError> {
    if proof.fork != head.fork {
        return Err(ProofError::Stale("it is of another fork"));
    }
    let (manifest, is_new) = effective_manifest(key, manifest, proof.manifest.as_ref())?;
    let climb = climb_proof(proof, leaf)?;
    let mut nodes = Vec::new();
    let mut upgrade = None;
    let mut anchored = false;
    if let Some(u) = &proof.upgrade {
        if u.start != head.length {
            return Err(ProofError::Stale("it starts at another length"));
        }
        let stack = RootStack::from_head(head);
        let extra = climb.as_ref().map(|c| c.root);
        let (new, used) = signed_upgrade(key, manifest, stack, proof.fork, u, extra, &mut nodes)?;
        anchored = used;
        upgrade = Some(new);
    }
    if let Some(climb) = climb {
        let known = WithRoots { head, tree };
        if !anchored {
            anchor(&known, head, &climb, &mut nodes)?;
        }
        // Blocks say what every size on their way is. Without one, never replace what is here.
        let sure = proof.block.is_some() && proof.seek.is_none();
        for node in climb.nodes {
            let is_root = !anchored && node.index == climb.root.index;
            if !is_root && (sure || known.get(node.index)?.is_none()) {
                nodes.push(node);
            }
        }
    }
    let manifest = if is_new { manifest.cloned() } else { None };
    Ok(Verified { nodes, upgrade, block: block_of(proof), manifest })
}

/// Grows `stack` by `upgrade` and checks the signature of what comes out. Returns the head and whether `extra` is
/// part of it.
pub(super) fn signed_upgrade(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    mut stack: RootStack,
    fork: u64,
    upgrade: &UpgradeProof,
    extra: Option<Node>,
    out: &mut Vec<Node>,
) -> Result<(Head, bool), ProofError> {
    let verifier = Verifier::new(key, manifest).map_err(|_| InvalidProof::Manifest)?;
    let used = grow(&mut stack, upgrade, extra, verifier.prologue(), out)?;
    let head = stack.into_head(fork, upgrade.signature.clone());
    if !verifier.verify(&head) {
        return Err(InvalidProof::Signature.into());
    }
    Ok((head, used && extra.is_some()))
}

/// Checks the node a climb came to against the one that is here.
fn anchor(known: &WithRoots<'_>, head: &Head, climb: &Climb, out: &mut Vec<Node>) -> Result<(), ProofError> {
    let root = &climb.root;
    // Nodes that reach over the end of the head may be left over from a longer tree.
    if flat_tree::right_span(root.index) >= head.length.saturating_mul(2) {
        return Err(ProofError::Stale("it hangs on a node outside the tree"));
    }
    let Some(here) = known.get(root.index)? else {
        return Err(ProofError::Stale("it hangs on a node that is not here"));
    };
    if here.hash != root.hash {
        return Err(InvalidProof::Checksum(root.index).into());
    }
    if here.size != root.size {
        if !climb.computed {
            return Err(InvalidProof::Checksum(root.index).into());
        }
        set_sizes_right(known, *root, out)?;
    }
    Ok(())
}

/// `node` is right, and its size is not the one that is kept: an earlier proof without blocks shifted bytes between
/// it and its sibling. Corrects both, and those above that were shifted too.
fn set_sizes_right(known: &WithRoots<'_>, node: Node, out: &mut Vec<Node>) -> Result<(), TreeReadError> {
    let mut right = node;
    loop {
        out.push(right);
        let (Some(sibling), Some(parent)) =
            (known.get(flat_tree::sibling(right.index))?, known.get(flat_tree::parent(right.index))?)
        else {
            return Ok(());
        };
        let (a, b) = if flat_tree::is_left(right.index) { (&right, &sibling) } else { (&sibling, &right) };
        let of_parent = [parent.size, right.size.saturating_add(sibling.size)]
            .into_iter()
            .find(|size| crypto::parent_hash(*size, &a.hash, &b.hash) == parent.hash);
        let Some(size) = of_parent else { return Ok(()) };
        if let Some(rest) = size.checked_sub(right.size)
            && rest != sibling.size
        {
            out.push(Node { size: rest, ..sibling });
        }
        if size == parent.size {
            return Ok(());
        }
        right = Node { size, ..parent };
    }
}

/// Proves the head in `proof` on its own, against nothing but the key: the upgrade must start at 0. For recognising
/// conflicts: two proved heads of one fork where the shorter is no prefix of the longer mean that the core's signers
/// signed two histories.
pub fn verify_detached(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    proof: &Proof,
) -> Result<Head, ProofError> {
    let (manifest, _) = effective_manifest(key, manifest, proof.manifest.as_ref())?;
    let upgrade = proof
        .upgrade
        .as_ref()
        .filter(|u| u.start == 0)
        .ok_or(InvalidProof::Malformed("no upgrade from 0"))?;
    let extra = climb_proof(proof, None)?.map(|c| c.root);
    let (head, _) =
        signed_upgrade(key, manifest, RootStack::default(), proof.fork, upgrade, extra, &mut Vec::new())?;
    Ok(head)
}

/// Two heads of one fork, compared up to a length both reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryComparison {
    /// Whether they share one history that far. If not, the core's signers signed two.
    pub same: bool,
    /// The other head, whole: it carries a signature of the core's key.
    pub theirs: Head,
}

/// Compares the head in `proof`, proved on its own, with `head` up to `length`. The proof's upgrade goes from 0 to
/// `length`, which is not above the head's, and nothing else is in it.
///
/// [`ProofError::Stale`] when the forks differ or the head is shorter.
pub fn compare_history(
    key: &CoreKey,
    manifest: Option<&Manifest>,
    head: &Head,
    tree: &dyn TreeReader,
    proof: &Proof,
    length: u64,
) -> Result<HistoryComparison, ProofError> {
    if proof.fork != head.fork || length > head.length {
        return Err(ProofError::Stale("the core changed meanwhile"));
    }
    // Without a block in it, a proof from 0 on begins with the very roots at its length.
    let upgrade = proof
        .upgrade
        .as_ref()
        .filter(|u| u.start == 0 && u.length == length)
        .filter(|u| u.nodes.iter().map(|n| n.index).eq(flat_tree::full_roots(length)))
        .filter(|_| proof.block.is_none() && proof.hash.is_none() && proof.seek.is_none())
        .ok_or(InvalidProof::Malformed("not the roots that were asked for"))?;
    let theirs = verify_detached(key, manifest, proof)?;
    let ours = merkle::truncate(head, tree, length, head.fork)
        .map_err(|_| ProofError::Stale("roots are not here"))?;
    let same = ours.tree_hash() == merkle::tree_hash(&upgrade.nodes);
    Ok(HistoryComparison { same, theirs })
}
