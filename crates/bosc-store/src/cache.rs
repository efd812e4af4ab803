//! The page cache: pages that a commit has yet to write, pages that one is writing, and pages read lately.
//!
//! A page is in at most one of three states that matter:
//! * *dirty*: changed in memory, not in the database. Never evicted; its bytes are bounded by the store.
//! * *flushing*: part of the commit under way. Never evicted; dirty again when the commit fails, clean when it
//!   succeeds. A page may be dirtied again meanwhile; the dirty one is the newer and is found first.
//! * *clean*: equal to the database. Kept in two generations: when the young one is full it becomes the old one
//!   and the old one is forgotten. What is used moves to the young one. `None` in a clean entry: no row.

use crate::page::{Page, PageKey, SharedPage};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Cache {
    dirty: BTreeMap<PageKey, SharedPage>,
    dirty_bytes: usize,
    flushing: Arc<BTreeMap<PageKey, SharedPage>>,
    young: HashMap<PageKey, Option<SharedPage>>,
    old: HashMap<PageKey, Option<SharedPage>>,
    young_bytes: usize,
    limit: usize,
}

fn cost(page: Option<&SharedPage>) -> usize {
    page.map_or(64, |p| p.cost())
}

impl Cache {
    /// Keeps up to `limit` bytes of clean pages (in each of two generations of half of it).
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit / 2, ..Self::default() }
    }

    /// The page if known: `Some(None)` is known to be missing.
    pub(crate) fn get(&mut self, key: &PageKey) -> Option<Option<SharedPage>> {
        if let Some(page) = self.dirty.get(key).or_else(|| self.flushing.get(key)) {
            return Some(Some(page.clone()));
        }
        if let Some(page) = self.young.get(key) {
            return Some(page.clone());
        }
        let page = self.old.remove(key)?;
        self.put_clean(*key, page.clone());
        Some(page)
    }

    /// Takes a page just read (or written) as equal to the database.
    pub(crate) fn put_clean(&mut self, key: PageKey, page: Option<SharedPage>) {
        if self.dirty.contains_key(&key) || self.flushing.contains_key(&key) {
            return;
        }
        self.young_bytes += cost(page.as_ref());
        if let Some(before) = self.young.insert(key, page) {
            self.young_bytes = self.young_bytes.saturating_sub(cost(before.as_ref()));
        }
        self.old.remove(&key);
        if self.young_bytes > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    /// Takes a changed page.
    pub(crate) fn put_dirty(&mut self, key: PageKey, page: SharedPage) {
        self.dirty_bytes += page.cost();
        if let Some(before) = self.dirty.insert(key, page) {
            self.dirty_bytes = self.dirty_bytes.saturating_sub(before.cost());
        }
    }

    /// A page that a commit has just written outside of the flushing set: replaces every older form.
    pub(crate) fn put_committed(&mut self, key: PageKey, page: Option<SharedPage>) {
        if let Some(before) = self.dirty.remove(&key) {
            self.dirty_bytes = self.dirty_bytes.saturating_sub(before.cost());
        }
        Arc::make_mut(&mut self.flushing).remove(&key);
        self.put_clean(key, page);
    }

    /// Forgets everything in `start..=end`: the rows are gone from the database.
    pub(crate) fn forget(&mut self, start: PageKey, end: PageKey) {
        let within = |k: &PageKey| start <= *k && *k <= end;
        let mut dropped = 0;
        self.dirty.retain(|k, p| {
            let drop = within(k);
            if drop {
                dropped += p.cost();
            }
            !drop
        });
        self.dirty_bytes = self.dirty_bytes.saturating_sub(dropped);
        Arc::make_mut(&mut self.flushing).retain(|k, _| !within(k));
        self.young.retain(|k, _| !within(k));
        self.old.retain(|k, _| !within(k));
    }

    /// Forgets what is clean of a core number: its rows changed in the database.
    pub(crate) fn forget_clean(&mut self, core: u32) {
        self.young.retain(|k, _| k.core != core);
        self.old.retain(|k, _| k.core != core);
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Moves the dirty pages to the flushing set and returns that. One flush at a time.
    pub(crate) fn begin_flush(&mut self) -> Arc<BTreeMap<PageKey, SharedPage>> {
        self.flushing = Arc::new(std::mem::take(&mut self.dirty));
        self.dirty_bytes = 0;
        self.flushing.clone()
    }

    /// Ends the flush: its pages are clean, or dirty again unless something newer is.
    pub(crate) fn end_flush(&mut self, written: bool) {
        let flushed = std::mem::take(&mut self.flushing);
        for (key, page) in flushed.iter() {
            if self.dirty.contains_key(key) {
                continue;
            }
            if written {
                self.put_clean(*key, Some(page.clone()).filter(|p: &Arc<Page>| !p.is_empty()));
            } else {
                self.put_dirty(*key, page.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PageKey {
        PageKey { core: 1, kind: 33, number }
    }

    fn page(block: u64) -> SharedPage {
        let mut p = Page::empty(&key(0));
        if let Page::Bit(p) = &mut p {
            p.set(block, true);
        }
        Arc::new(p)
    }

    #[test]
    fn a_failed_flush_loses_nothing_and_keeps_the_newer_page() {
        let mut c = Cache::new(1 << 20);
        c.put_dirty(key(1), page(1));
        c.put_dirty(key(2), page(2));
        assert_eq!(c.begin_flush().len(), 2);
        assert_eq!(c.dirty_bytes(), 0);
        c.put_dirty(key(2), page(3));
        c.end_flush(false);
        assert_eq!(c.get(&key(1)), Some(Some(page(1))));
        assert_eq!(c.get(&key(2)), Some(Some(page(3))));
        assert_eq!(c.begin_flush().len(), 2);
        c.end_flush(true);
        assert_eq!(c.begin_flush().len(), 0);
        assert_eq!(c.get(&key(2)), Some(Some(page(3))));
    }

    #[test]
    fn clean_pages_are_bounded_and_dirty_ones_stay() {
        let mut c = Cache::new(64 * 1024);
        c.put_dirty(key(0), page(9));
        for n in 1..10_000 {
            c.put_clean(key(n), Some(page(1)));
        }
        assert!((c.young.len() + c.old.len()) * 1100 <= 64 * 1024 + 2200);
        assert_eq!(c.get(&key(0)), Some(Some(page(9))));
        assert_eq!(c.get(&key(1)), None);
        assert_eq!(c.get(&key(9_999)), Some(Some(page(1))));
    }
}
