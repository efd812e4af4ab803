//! What an offer is, and how blocks are gathered from several.

use crate::core::FollowedCore;
use crate::error::FollowError;
use crate::wait::Wait;
use bosc_format::crypto::{Hash, leaf_hash};
use bosc_format::merkle::Node;
use bosc_format::proof::{BlockProof, Proof};
use bosc_store::{Applied, Core, Error};
use bytes::Bytes;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Most guesses held at a time.
pub const MAX_GUESSES: usize = 1 << 20;

/// Most leaf hashes asked for at a time.
pub const MAX_LEAVES: usize = 1 << 16;

/// How often a source may be wrong about a block's bytes in one gathering.
pub const MAX_REFUSED: usize = 64;

/// How long peers may take for leaf hashes before the blocks are fetched instead.
pub(super) const ROUND: Duration = Duration::from_secs(10);

/// What a source costs, from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// What this store holds already, at another place.
    Store,
    /// What has to be read from this disk and hashed.
    Disk,
    /// What is made of a patch, which comes from peers, and of what is on this disk.
    Delta,
    /// What comes from a server of the publisher.
    Server,
    /// What comes from peers.
    Peers,
}

/// A source of bytes. See the invariants of the module.
pub trait Offer {
    /// What it is, for logs.
    fn name(&self) -> &'static str;

    /// What it costs.
    fn cost(&self) -> Cost;

    /// Puts what it can of the missing blocks into the core, and leaves the rest.
    ///
    /// # Errors
    /// [`FollowError::Stopped`], and failures of the store. Others only end what it offers.
    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError>;
}

/// What became of bytes that were put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// They are the block's, and here now.
    Taken,
    /// The block was here before.
    Known,
    /// They are not the block's.
    Refused,
    /// The core moved on meanwhile, or the block's leaf hash is not proved.
    Unproved,
}

/// Blocks of one core on their way here.
pub struct Gathering<'g, 'w> {
    followed: &'g FollowedCore,
    wait: &'g mut Wait<'w>,
    /// Sorted.
    wanted: Vec<u64>,
    pub(super) taken: &'g Cell<u64>,
    refused: usize,
}

impl std::fmt::Debug for Gathering<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering")
            .field("wanted", &self.wanted.len())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl<'g, 'w> Gathering<'g, 'w> {
    /// Of these blocks, which all lie below the proved head. Bytes of content that offers put here are added to `taken`
    /// as they are, for whoever tells of progress.
    pub fn new(
        followed: &'g FollowedCore,
        mut wanted: Vec<u64>,
        taken: &'g Cell<u64>,
        wait: &'g mut Wait<'w>,
    ) -> Self {
        wanted.sort_unstable();
        wanted.dedup();
        Self { followed, wait, wanted, taken, refused: 0 }
    }

    /// Asks offers for what is missing, the cheapest first, until nothing is. Whether nothing is.
    ///
    /// # Errors
    /// [`FollowError::Stopped`]; what the store says; of the last offer that was asked, [`FollowError::TimedOut`].
    pub fn from(&mut self, offers: &mut [&mut dyn Offer]) -> Result<bool, FollowError> {
        let mut order: Vec<usize> = (0..offers.len()).collect();
        order.sort_by_key(|i| offers.get(*i).map(|o| o.cost()));
        let mut failed = None;
        for i in order {
            if self.is_done()? {
                return Ok(true);
            }
            let Some(offer) = offers.get_mut(i) else { continue };
            self.refused = 0;
            failed = match offer.bring(self) {
                Ok(()) => None,
                Err(e @ (FollowError::Stopped | FollowError::Store(_) | FollowError::NotStored(_))) => {
                    return Err(e);
                }
                Err(e) => Some(e),
            };
        }
        match (self.is_done()?, failed) {
            (false, Some(e)) => Err(e),
            (done, _) => Ok(done),
        }
    }

    fn is_done(&self) -> Result<bool, FollowError> {
        for block in &self.wanted {
            if !self.core().has(*block)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The core.
    pub fn core(&self) -> &Core {
        self.followed.core()
    }

    /// Whether a block is wanted and not here.
    ///
    /// # Errors
    /// What the store says.
    pub fn is_missing(&self, block: u64) -> Result<bool, FollowError> {
        Ok(self.wanted.binary_search(&block).is_ok() && !self.core().has(block)?)
    }

    /// What is wanted and not here, sorted.
    ///
    /// # Errors
    /// What the store says.
    pub fn missing(&self) -> Result<Vec<u64>, FollowError> {
        let mut out = Vec::new();
        for block in &self.wanted {
            if !self.core().has(*block)? {
                out.push(*block);
            }
        }
        Ok(out)
    }

    /// Wants these blocks, too: what they hold tells which others are needed.
    pub fn want(&mut self, blocks: impl IntoIterator<Item = u64>) {
        self.wanted.extend(blocks);
        self.wanted.sort_unstable();
        self.wanted.dedup();
    }

    /// To be called now and then by a source that works for long.
    ///
    /// # Errors
    /// [`FollowError::Stopped`].
    pub fn go_on(&mut self) -> Result<(), FollowError> {
        self.wait.go_on()
    }

    /// Gets blocks from peers that the source has to see before it can offer others, such as the map of a file.
    ///
    /// # Errors
    /// As [`FollowedCore::blocks`].
    pub fn fetch(&mut self, blocks: Vec<u64>) -> Result<(), FollowError> {
        self.followed.blocks(blocks, self.wait)
    }

    /// Has the leaf hashes of blocks proved by peers, without the blocks. `false`: they do not come, or are more than
    /// [`MAX_LEAVES`].
    ///
    /// # Errors
    /// As [`FollowedCore::wait`].
    pub fn leaves(&mut self, blocks: &[u64]) -> Result<bool, FollowError> {
        let mut open = Vec::new();
        for block in blocks {
            if self.core().leaf_hash(*block)?.is_none() {
                open.push(*block);
            }
        }
        if open.is_empty() {
            return Ok(true);
        }
        let in_time = |d: Duration| Instant::now().checked_add(d);
        match in_time(ROUND).filter(|_| open.len() <= MAX_LEAVES) {
            Some(until) => self.followed.leaves(&open, until, self.wait),
            None => Ok(false),
        }
    }

    /// The proved leaf hash of a block, if it is known.
    ///
    /// # Errors
    /// What the store says.
    pub fn leaf(&self, block: u64) -> Result<Option<Hash>, FollowError> {
        Ok(self.core().leaf_hash(block)?)
    }

    /// Puts a block's bytes into the core.
    ///
    /// # Errors
    /// What the store says. [`FollowError::Stopped`], also when the source was wrong too often.
    pub fn put(&mut self, block: u64, value: Bytes) -> Result<Put, FollowError> {
        self.go_on()?;
        let core = self.core();
        if core.has(block)? {
            return Ok(Put::Known);
        }
        match core.leaf_hash(block)? {
            None => Ok(Put::Unproved),
            Some(hash) if hash != leaf_hash(&value) => self.refuse(),
            Some(_) => self.apply(block, value, Vec::new()),
        }
    }

    /// `nodes` are the siblings on the way up to the first node that the core knows.
    pub(super) fn apply(&mut self, block: u64, value: Bytes, nodes: Vec<Node>) -> Result<Put, FollowError> {
        let (core, len) = (self.core(), value.len() as u64);
        let fork = core.head().fork;
        let proof =
            Proof { fork, block: Some(BlockProof { index: block, value, nodes }), ..Proof::default() };
        match core.apply(&proof) {
            Ok(Applied::Stored { .. }) => {
                self.taken.set(self.taken.get().saturating_add(len));
                Ok(Put::Taken)
            }
            Ok(_) => Ok(Put::Unproved),
            Err(Error::InvalidProof(_)) => self.refuse(),
            Err(e) => Err(e.into()),
        }
    }

    fn refuse(&mut self) -> Result<Put, FollowError> {
        self.refused = self.refused.saturating_add(1);
        Ok(Put::Refused)
    }

    /// Whether the source that is asked was wrong so often that it is not asked on.
    pub fn is_refused(&self) -> bool {
        self.refused >= MAX_REFUSED
    }
}
