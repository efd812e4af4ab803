//! What is to be fetched: downloads, urgent blocks, hashes.
//!
//! Sets, all bounded by runs rather than by numbers:
//! * `selected`: the union of all downloads, blocks to come included.
//! * `needed`: selected blocks of the present head that are neither held nor asked for. A block leaves it when it
//!   is asked for and comes back when the answer fails.
//! * `hashes`: blocks whose leaf's hash is wanted and not asked for.
//!
//! A download waits at its first missing block; when that comes it moves on, and is done at its end.

use super::access::CoreAccess;
use super::block_set::BlockSet;
use super::event::{Blocks, Download, DownloadId};
use bosc_format::flat_tree::MAX_LENGTH;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

const MAX_MIXED: usize = 16_384;
const MAX_RUNS: usize = 1 << 20;

#[derive(Debug)]
struct Entry {
    download: Download,
    /// For runs the first block not yet known to be held, for lists the place of it.
    cursor: u64,
}

impl Entry {
    /// The first block that is missing and its cursor; `None` when the download is done.
    fn first_missing(&self, core: &dyn CoreAccess) -> Option<(u64, u64)> {
        match &self.download.blocks {
            Blocks::Range { start, end } => {
                let at = core.next_missing(self.cursor.max(*start));
                end.is_none_or(|e| at < e).then_some((at, at))
            }
            Blocks::List(list) => {
                let from = usize::try_from(self.cursor).unwrap_or(usize::MAX);
                list.iter()
                    .enumerate()
                    .skip(from)
                    .find(|(_, b)| !core.has(**b))
                    .map(|(place, b)| (*b, place as u64))
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Selection {
    entries: BTreeMap<DownloadId, Entry>,
    next_id: u64,
    /// Downloads by the block they wait at.
    waiting: BTreeMap<u64, Vec<DownloadId>>,
    selected: BlockSet,
    pub(crate) needed: BlockSet,
    pub(crate) hashes: BlockSet,
    /// Urgent blocks not asked for, most urgent first, then in order of asking.
    urgent: BTreeMap<(Reverse<u8>, u64), u64>,
    urgent_keys: HashMap<u64, (Reverse<u8>, u64)>,
    next_urgent: u64,
    linear: usize,
}

impl Selection {
    pub(crate) fn new() -> Self {
        let set = || BlockSet::new(MAX_MIXED, MAX_RUNS);
        Self {
            entries: BTreeMap::new(),
            next_id: 1,
            waiting: BTreeMap::new(),
            selected: set(),
            needed: set(),
            hashes: set(),
            urgent: BTreeMap::new(),
            urgent_keys: HashMap::new(),
            next_urgent: 0,
            linear: 0,
        }
    }

    /// Whether some download must go from front to back.
    pub(crate) fn is_linear(&self) -> bool {
        self.linear > 0
    }

    /// Adds a download; `true` when it is done already.
    pub(crate) fn add(&mut self, mut download: Download, core: &dyn CoreAccess) -> (DownloadId, bool) {
        let id = DownloadId(self.next_id);
        self.next_id += 1;
        if let Blocks::List(list) = &mut download.blocks {
            list.retain(|b| *b < MAX_LENGTH);
            if !download.linear {
                list.sort_unstable();
                list.dedup();
            }
        }
        let entry = Entry { download, cursor: 0 };
        if entry.first_missing(core).is_none() {
            return (id, true);
        }
        select(&mut self.selected, &entry.download.blocks);
        self.linear += usize::from(entry.download.linear);
        self.entries.insert(id, entry);
        self.wait(id, core);
        (id, false)
    }

    /// Puts a download to wait at its first missing block; `true` when there is none.
    fn wait(&mut self, id: DownloadId, core: &dyn CoreAccess) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        match entry.first_missing(core) {
            Some((block, cursor)) => {
                entry.cursor = cursor;
                self.waiting.entry(block).or_default().push(id);
                false
            }
            None => true,
        }
    }

    /// A block came: the downloads that are done by it.
    pub(crate) fn on_held(&mut self, block: u64, core: &dyn CoreAccess) -> Vec<DownloadId> {
        if let Some(key) = self.urgent_keys.remove(&block) {
            self.urgent.remove(&key);
        }
        self.needed.remove(block);
        let Some(ids) = self.waiting.remove(&block) else { return Vec::new() };
        let mut done = Vec::new();
        for id in ids {
            if self.wait(id, core) {
                self.forget(id);
                done.push(id);
            }
        }
        done
    }

    /// Blocks `start..end` are no longer held.
    pub(crate) fn on_lost(&mut self, start: u64, end: u64, core: &dyn CoreAccess) {
        self.waiting.clear();
        let ids: Vec<DownloadId> = self.entries.keys().copied().collect();
        for id in ids {
            if let Some(e) = self.entries.get_mut(&id) {
                match e.download.blocks {
                    Blocks::Range { .. } => e.cursor = e.cursor.min(start),
                    Blocks::List(_) => e.cursor = 0,
                }
            }
            self.wait(id, core);
        }
        self.needed.remove_range(start, end);
    }

    fn forget(&mut self, id: DownloadId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.linear -= usize::from(entry.download.linear);
        // What other downloads select as well stays.
        match &entry.download.blocks {
            Blocks::Range { start, end } => self.selected.remove_range(*start, end.unwrap_or(MAX_LENGTH)),
            Blocks::List(list) => list.iter().for_each(|b| self.selected.remove(*b)),
        }
        for e in self.entries.values() {
            select(&mut self.selected, &e.download.blocks);
        }
    }

    /// Takes a download back. `false` when it is not known (any more).
    pub(crate) fn cancel(&mut self, id: DownloadId) -> bool {
        if !self.entries.contains_key(&id) {
            return false;
        }
        for ids in self.waiting.values_mut() {
            ids.retain(|i| *i != id);
        }
        self.waiting.retain(|_, ids| !ids.is_empty());
        self.forget(id);
        let mut at = self.needed.next_set(0);
        while let Some(start) = at {
            let end = self.needed.next_unset(start);
            let mut gap = self.selected.next_unset(start);
            while gap < end {
                let until = self.selected.next_set(gap).unwrap_or(end).min(end);
                self.needed.remove_range(gap, until);
                gap = self.selected.next_unset(until);
            }
            at = self.needed.next_set(end);
        }
        true
    }

    /// Whether somebody still wants this block.
    pub(crate) fn wants(&self, block: u64) -> bool {
        self.selected.contains(block) || self.urgent_keys.contains_key(&block)
    }

    /// The first selected block at or after `from` that `held` has.
    pub(crate) fn next_selected(&self, held: &BlockSet, from: u64) -> Option<u64> {
        self.selected.next_common(held, from)
    }

    /// Adds to `needed` what is selected in `start..end` and not held.
    pub(crate) fn fill(&mut self, start: u64, end: u64, core: &dyn CoreAccess) {
        let mut at = self.selected.next_set(start);
        while let Some(from) = at.filter(|b| *b < end) {
            let to = self.selected.next_unset(from).min(end);
            let mut block = core.next_missing(from);
            while block < to {
                let until = core.next_held(block).unwrap_or(to).min(to);
                self.needed.insert_range(block, until);
                block = core.next_missing(until);
            }
            at = self.selected.next_set(to);
        }
    }

    /// A block has to be asked for (again).
    pub(crate) fn need(&mut self, block: u64, length: u64) {
        if let Some(key) = self.urgent_keys.get(&block) {
            self.urgent.insert(*key, block);
        } else if block < length && self.selected.contains(block) {
            self.needed.insert(block);
        }
    }

    pub(crate) fn add_urgent(&mut self, block: u64, priority: u8, in_flight: bool) {
        if let Some(old) = self.urgent_keys.get(&block).copied() {
            if old.0.0 >= priority {
                return;
            }
            self.urgent.remove(&old);
        }
        let key = (Reverse(priority), self.next_urgent);
        self.next_urgent += 1;
        self.urgent_keys.insert(block, key);
        if !in_flight {
            self.urgent.insert(key, block);
        }
        self.needed.remove(block);
    }

    /// Urgent blocks not asked for.
    pub(crate) fn urgent_blocks(&self) -> impl Iterator<Item = u64> {
        self.urgent.values().copied()
    }

    /// Priority of an urgent block.
    pub(crate) fn priority(&self, block: u64) -> u8 {
        self.urgent_keys.get(&block).map_or(0, |k| k.0.0)
    }

    /// A block is being asked for.
    pub(crate) fn on_asked(&mut self, block: u64) {
        self.needed.remove(block);
        if let Some(key) = self.urgent_keys.get(&block) {
            self.urgent.remove(key);
        }
    }
}

fn select(set: &mut BlockSet, blocks: &Blocks) {
    match blocks {
        Blocks::Range { start, end } => {
            set.insert_range(*start, end.unwrap_or(MAX_LENGTH));
        }
        Blocks::List(list) => {
            for b in list {
                set.insert(*b);
            }
        }
    }
}
