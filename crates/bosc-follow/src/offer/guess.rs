//! Proving guesses against the tree without fetching what they stand for.
//!
//! A guess says: block `i` of the core is this piece of the source. The hashes of all guesses below a node of the tree
//! give a hash for that node. When the core knows the node (it hangs below a signed head) and the hashes are equal, every
//! guess below is right, and no byte was fetched for it. Where they differ, or where the core does not know the node,
//! peers are asked for one leaf's hash: its proof brings the nodes beside the way from that leaf up to the first known
//! one, so the next look is finer. A core that differs in a few places costs a few proofs.
//!
//! Invariants: nothing is put into the core but by [`bosc_store::Core::apply`], which hashes the bytes again and checks
//! them against the tree; every round asks for leaves that were not known, so there are at most as many rounds as
//! levels times differing places, and at most [`MAX_ROUNDS`].

use super::gathering::{Gathering, MAX_GUESSES, Put};
use crate::error::FollowError;
use bosc_format::crypto::{Hash, leaf_hash, parent_hash};
use bosc_format::flat_tree;
use bosc_format::merkle::Node;
use bosc_store::{Core, Error};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Most rounds of asking.
const MAX_ROUNDS: usize = 256;
/// Most leaves asked for in one round.
const MAX_ASKED: usize = 4096;

#[derive(Debug, Clone)]
enum Guess<P> {
    /// A piece of the source, with its size and leaf hash.
    Piece(P, u64, Hash),
    /// These bytes, which the source made up.
    Made(Bytes),
}

impl<P> Guess<P> {
    fn node(&self, block: u64) -> Node {
        let index = block.saturating_mul(2);
        match self {
            Self::Piece(_, size, hash) => Node { index, size: *size, hash: *hash },
            Self::Made(b) => Node { index, size: b.len() as u64, hash: leaf_hash(b) },
        }
    }
}

/// Guesses about blocks of one core. `P` is how the source calls its pieces.
#[derive(Debug)]
pub struct Guesses<P> {
    by_block: BTreeMap<u64, Guess<P>>,
    computed: HashMap<u64, Node>,
}

impl<P> Default for Guesses<P> {
    fn default() -> Self {
        Self { by_block: BTreeMap::new(), computed: HashMap::new() }
    }
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

impl<P> Guesses<P> {
    /// Guesses that a block is this piece. The first guess about a block counts; beyond [`MAX_GUESSES`] none does.
    pub fn add(&mut self, block: u64, piece: P, size: u64, hash: Hash) {
        self.put(block, Guess::Piece(piece, size, hash));
    }

    /// Guesses that a block is these bytes, which are not content.
    pub fn add_made(&mut self, block: u64, bytes: Bytes) {
        self.put(block, Guess::Made(bytes));
    }

    fn put(&mut self, block: u64, guess: Guess<P>) {
        if self.by_block.len() < MAX_GUESSES {
            self.by_block.entry(block).or_insert(guess);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
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
}

impl Gathering<'_, '_> {
    /// Proves guesses and puts those that are right into the core. What is left over is dropped. `read` reads a piece
    /// again; `None` when it is not what it was.
    ///
    /// # Errors
    /// [`FollowError::Stopped`], what the store says, and as [`crate::FollowedCore::wait`].
    pub fn prove<P>(
        &mut self,
        mut guesses: Guesses<P>,
        read: &mut dyn FnMut(&P) -> Option<Bytes>,
    ) -> Result<(), FollowError> {
        for _ in 0..MAX_ROUNDS {
            let head = self.core().head();
            let mut look = Look::default();
            for root in flat_tree::full_roots(head.length) {
                guesses.look(self.core(), root, &mut look)?;
            }
            for index in look.right {
                if !self.fill(&mut guesses, index, head.fork, read)? {
                    return Ok(());
                }
            }
            for block in look.wrong {
                guesses.by_block.remove(&block);
            }
            look.ask.truncate(MAX_ASKED);
            if look.ask.is_empty() || self.is_refused() || !self.leaves(&look.ask)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts every block below `index` into the core. `false`: the core moved to another fork, or the source is not what
    /// it was.
    fn fill<P>(
        &mut self,
        guesses: &mut Guesses<P>,
        index: u64,
        fork: u64,
        read: &mut dyn FnMut(&P) -> Option<Bytes>,
    ) -> Result<bool, FollowError> {
        for block in flat_tree::first_block(index)..flat_tree::end_block(index) {
            let Some(guess) = guesses.by_block.remove(&block) else { continue };
            if self.core().has(block)? {
                continue;
            }
            let (value, made) = match &guess {
                Guess::Piece(piece, ..) => (read(piece), false),
                Guess::Made(bytes) => (Some(bytes.clone()), true),
            };
            let Some(value) = value else { continue };
            let len = value.len() as u64;
            let mut nodes = Vec::new();
            let mut at = block.saturating_mul(2);
            while self.core().node(at)?.is_none() {
                let Some(sibling) = guesses.computed.get(&flat_tree::sibling(at)) else { break };
                nodes.push(*sibling);
                at = flat_tree::parent(at);
            }
            match self.apply(block, value, nodes)? {
                Put::Taken if made => self.taken.set(self.taken.get().saturating_sub(len)),
                // The source was changed after it was looked at.
                Put::Refused if self.is_refused() => return Ok(false),
                Put::Unproved if self.core().head().fork != fork => return Ok(false),
                _ => {}
            }
            self.go_on()?;
        }
        Ok(true)
    }
}
