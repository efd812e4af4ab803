//! Proving guesses against the tree without fetching what they stand for.
//!
//! A guess says: block `i` of the core is this piece of a file on this disk. The hashes of all guesses below a node of
//! the tree give a hash for that node. When the core knows the node (it hangs below a signed head) and the hashes
//! are equal, every guess below is right, and no byte was fetched for it. Where they differ, or where the core does
//! not know the node, peers are asked for one leaf's hash: its proof brings the nodes beside the way from that leaf up
//! to the first known one, so the next look is finer. A core that differs in a few places costs a few proofs.
//!
//! Invariants: nothing is put into the core but by [`Core::apply`], which hashes the bytes again and checks them
//! against the tree; every round asks for leaves that were not known, so there are at most as many rounds as levels
//! times differing places, and at most [`MAX_ROUNDS`].

use super::fetching::Fetching;
use super::local::{Chunk, Local};
use crate::error::UpdateError;
use bosc_format::crypto::{leaf_hash, parent_hash};
use bosc_format::flat_tree;
use bosc_format::merkle::Node;
use bosc_format::proof::{BlockProof, Proof};
use bosc_node::LiveCore;
use bosc_store::{Applied, Core, Error};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Most rounds of asking.
const MAX_ROUNDS: usize = 256;
/// Most leaves asked for in one round.
const MAX_ASKED: usize = 4096;
/// How long peers may take for one round before what is not proved by then is fetched instead.
const ROUND: Duration = Duration::from_secs(10);

/// What a block may be.
#[derive(Debug, Clone)]
pub(super) enum Guess {
    /// A piece of a file.
    File(usize, Chunk),
    /// These bytes.
    Bytes(Bytes),
}

impl Guess {
    fn node(&self, block: u64) -> Node {
        let index = block.saturating_mul(2);
        match self {
            Self::File(_, c) => Node { index, size: c.len, hash: c.hash },
            Self::Bytes(b) => Node { index, size: b.len() as u64, hash: leaf_hash(b) },
        }
    }
}

/// Guesses about blocks of one core.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    by_block: BTreeMap<u64, Guess>,
    computed: HashMap<u64, Node>,
}

/// What one look at the tree found.
#[derive(Default)]
struct Look {
    /// Nodes below which every guess is right.
    right: Vec<u64>,
    /// Blocks whose guess is wrong.
    wrong: Vec<u64>,
    /// Leaves to ask for.
    ask: Vec<u64>,
}

impl Guesses {
    pub(super) fn add(&mut self, block: u64, guess: Guess) {
        self.by_block.entry(block).or_insert(guess);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_block.is_empty()
    }

    /// The node as the guesses below have it; `None` when one is missing.
    fn compute(&mut self, index: u64) -> Option<Node> {
        if let Some(node) = self.computed.get(&index) {
            return Some(*node);
        }
        let node = match flat_tree::children(index) {
            None => self.by_block.get(&(index / 2))?.node(index / 2),
            Some((left, right)) => {
                // The cheap way out: a missing guess at either end.
                let (first, end) = (flat_tree::first_block(index), flat_tree::end_block(index));
                if !self.by_block.contains_key(&first) || !self.by_block.contains_key(&end.saturating_sub(1))
                {
                    return None;
                }
                let (left, right) = (self.compute(left)?, self.compute(right)?);
                let size = left.size.checked_add(right.size)?;
                Node { index, size, hash: parent_hash(size, &left.hash, &right.hash) }
            }
        };
        self.computed.insert(index, node);
        Some(node)
    }

    fn look(&mut self, core: &Core, index: u64, out: &mut Look) -> Result<(), Error> {
        let (first, end) = (flat_tree::first_block(index), flat_tree::end_block(index));
        if self.by_block.range(first..end).next().is_none() {
            return Ok(());
        }
        let known = core.node(index)?;
        if let Some(known) = known
            && let Some(computed) = self.compute(index)
        {
            if known.hash == computed.hash {
                out.right.push(index);
                return Ok(());
            }
            if flat_tree::is_leaf(index) {
                out.wrong.push(first);
                return Ok(());
            }
        }
        match flat_tree::children(index) {
            Some((left, right)) if core.node(left)?.is_some() && core.node(right)?.is_some() => {
                self.look(core, left, out)?;
                self.look(core, right, out)
            }
            Some(_) => {
                out.ask.extend(self.beside_a_gap(first, end));
                Ok(())
            }
            None => {
                out.ask.push(first);
                Ok(())
            }
        }
    }

    /// A guessed block beside the first one that is not guessed: its proof tells most. Only guessed blocks are asked
    /// for, as a peer that follows this platform alone has no others.
    fn beside_a_gap(&self, first: u64, end: u64) -> Option<u64> {
        let mut last = None;
        for (block, _) in self.by_block.range(first..end) {
            match last {
                None if *block != first => return Some(*block),
                Some(before) if *block != before + 1 => return Some(before),
                _ => last = Some(*block),
            }
        }
        last
    }

    /// Proves the guesses and puts those that are right into the core. What is left over is dropped.
    pub(super) fn settle(
        mut self,
        fetching: &mut Fetching<'_, '_>,
        live: &LiveCore,
        local: &Local,
    ) -> Result<(), UpdateError> {
        let core = live.core().clone();
        for _ in 0..MAX_ROUNDS {
            let head = core.head();
            let mut look = Look::default();
            for root in flat_tree::full_roots(head.length) {
                self.look(&core, root, &mut look).map_err(super::core::store_error)?;
            }
            for index in look.right {
                if !self.fill(fetching, &core, local, index, head.fork)? {
                    return Ok(());
                }
            }
            for block in look.wrong {
                self.by_block.remove(&block);
            }
            look.ask.truncate(MAX_ASKED);
            if look.ask.is_empty() {
                return Ok(());
            }
            if !ask(fetching, live, &look.ask)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts every block below `index` into the core. `false` when the core moved to another fork.
    fn fill(
        &mut self,
        fetching: &mut Fetching<'_, '_>,
        core: &Core,
        local: &Local,
        index: u64,
        fork: u64,
    ) -> Result<bool, UpdateError> {
        for block in flat_tree::first_block(index)..flat_tree::end_block(index) {
            let Some(guess) = self.by_block.remove(&block) else { continue };
            if core.has(block).map_err(super::core::store_error)? {
                continue;
            }
            let (value, counts) = match guess {
                Guess::File(file, chunk) => (local.read(file, chunk), true),
                Guess::Bytes(bytes) => (Some(bytes), false),
            };
            let Some(value) = value else { continue };
            let len = value.len() as u64;
            let mut nodes = Vec::new();
            let mut at = block.saturating_mul(2);
            while core.node(at).map_err(super::core::store_error)?.is_none() {
                let Some(sibling) = self.computed.get(&flat_tree::sibling(at)) else { break };
                nodes.push(*sibling);
                at = flat_tree::parent(at);
            }
            let proof =
                Proof { fork, block: Some(BlockProof { index: block, value, nodes }), ..Proof::default() };
            match core.apply(&proof) {
                Ok(Applied::Stored { .. }) => {
                    if counts {
                        fetching.local = fetching.local.saturating_add(len);
                    }
                }
                Ok(_) => return Ok(false),
                // The file was changed after it was looked at.
                Err(Error::InvalidProof(_)) => {}
                Err(e) => return Err(super::core::store_error(e)),
            }
            fetching.tell()?;
        }
        Ok(true)
    }
}

/// Asks for leaf hashes and waits for them. `false` when they do not come.
pub(super) fn ask(
    fetching: &mut Fetching<'_, '_>,
    live: &LiveCore,
    blocks: &[u64],
) -> Result<bool, UpdateError> {
    let core = live.core().clone();
    let mut open: Vec<u64> = blocks.to_vec();
    live.want_hashes(open.iter().map(|b| *b..b.saturating_add(1)).collect());
    let deadline = Instant::now() + ROUND;
    fetching.wait(live, || {
        while let Some(block) = open.last() {
            if matches!(core.leaf_hash(*block), Ok(None)) {
                return (Instant::now() > deadline).then_some(false);
            }
            open.pop();
        }
        Some(true)
    })
}
