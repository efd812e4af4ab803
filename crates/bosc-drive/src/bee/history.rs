//! Every operation, in the order it was written.

use super::entry::Entry;
use super::view::Bee;
use crate::{BlockSource, Error, Result};

impl<S: BlockSource> Bee<S> {
    /// Every operation from block `start` (at least 1) up to this version, oldest first.
    pub fn history(&self, start: u64) -> History<S>
    where
        S: Clone,
    {
        History::new(self.clone(), start)
    }
}

/// One operation of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// What was written.
    pub entry: Entry,
    /// Whether it deleted the key rather than put it.
    pub deleted: bool,
}

/// Iterator over operations, oldest first. `Err(Error::Missing(i))` does not advance it.
#[derive(Debug, Clone)]
pub struct History<S> {
    bee: Bee<S>,
    at: u64,
}

impl<S: BlockSource> History<S> {
    pub(crate) fn new(bee: Bee<S>, start: u64) -> Self {
        Self { bee, at: start.max(1) }
    }

    /// Up to `max` blocks it will need and the source does not have.
    pub fn wanted(&self, max: usize) -> Vec<u64> {
        (self.at..self.bee.version()).take(4096).filter(|&i| !self.bee.source().has(i)).take(max).collect()
    }

    fn step(&mut self) -> Result<HistoryEntry> {
        let block = self.bee.node_block(self.at)?;
        let deleted = block.value.is_none() && !block.links_itself()?;
        self.at = self.at.saturating_add(1);
        Ok(HistoryEntry { entry: block.into(), deleted })
    }
}

impl<S: BlockSource> Iterator for History<S> {
    type Item = Result<HistoryEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bee.version() {
            return None;
        }
        let result = self.step();
        if matches!(&result, Err(e) if !matches!(e, Error::Missing(_))) {
            self.at = u64::MAX;
        }
        Some(result)
    }
}
