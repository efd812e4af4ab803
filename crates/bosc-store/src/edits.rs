//! Changes to one core on their way: pages edited on copies, and the record they lead to.
//!
//! A change is computed off to the side and becomes visible whole: either installed as pending (what peers sent;
//! it can be fetched again) or committed first (what is signed here; it must never be seen and then lost).
//!
//! A change too large for memory puts pages aside: rows of the database under a core number of its own (from
//! [`crate::page::ASIDE`] up), which the commit moves to where they belong. Nobody else knows that number; rows left over by a
//! crash are deleted when the store is opened.

use crate::core_state::CoreShared;
use crate::delta::Delta;
use crate::error::{Error, Result};
use crate::events::CoreChange;
use crate::inner::Inner;
use crate::page::{BITS, PLACES, Page, PageKey, Place, SharedPage, first_tree_page_from, kind, tree_slot};
use crate::record::Record;
use crate::segment::{Uses, add_use, free_use};
use bosc_format::merkle::Node;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pages of one core as they are to become.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edits {
    core: u32,
    pages: BTreeMap<PageKey, SharedPage>,
    /// Core number of pages put aside; what is in `pages` is newer.
    aside: Option<u32>,
    /// Everything from this block on was cut off.
    cut: Option<u64>,
    uses: Uses,
    /// Blocks and bytes put, and given up.
    put: (u64, u64),
    gone: (u64, u64),
}

impl Edits {
    pub(crate) fn new(core: u32) -> Self {
        Self { core, ..Self::default() }
    }

    /// The page as it is to become, for reading.
    fn peek(&self, inner: &Inner, key: &PageKey) -> Result<Option<SharedPage>> {
        if let Some(page) = self.pages.get(key) {
            return Ok(Some(page.clone()));
        }
        if let Some(core) = self.aside
            && let Some(page) = inner.page(&PageKey { core, ..*key })?
        {
            return Ok(Some(page));
        }
        if self.is_cut(key) { Ok(None) } else { inner.page(key) }
    }

    /// Whether the page begins behind the cut.
    fn is_cut(&self, key: &PageKey) -> bool {
        self.cut.is_some_and(|length| key.number >= first_page_from(key.kind, length))
    }

    /// The page as it is to become, for changing.
    fn page_mut(&mut self, inner: &Inner, key: PageKey) -> Result<&mut Page> {
        if !self.pages.contains_key(&key) {
            let page = self.peek(inner, &key)?.unwrap_or_else(|| Arc::new(Page::empty(&key)));
            self.pages.insert(key, page);
        }
        self.pages.get_mut(&key).map(Arc::make_mut).ok_or_else(|| Error::corrupt("a page"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Bytes of memory the pages take, about.
    pub(crate) fn cost(&self) -> usize {
        // A place page for every four tree pages.
        self.pages.len().saturating_mul(1250)
    }

    /// The pages to put aside under core number `aside`, which stays the same for the life of the change.
    pub(crate) fn to_put_aside(&self, aside: u32) -> Vec<(PageKey, SharedPage)> {
        self.pages.iter().map(|(k, p)| (PageKey { core: aside, ..*k }, p.clone())).collect()
    }

    /// Lets go of pages that were put aside.
    pub(crate) fn put_aside(&mut self, aside: u32) {
        self.aside = Some(aside);
        self.pages.clear();
    }

    pub(crate) fn aside(&self) -> Option<u32> {
        self.aside
    }

    pub(crate) fn put_node(&mut self, inner: &Inner, node: &Node) -> Result<()> {
        let Some((key, slot)) = tree_slot(self.core, node.index) else {
            return Err(Error::Argument("a tree index is out of range"));
        };
        if let Page::Tree(page) = self.page_mut(inner, key)? {
            page.put(slot, node);
        }
        Ok(())
    }

    pub(crate) fn node(&self, inner: &Inner, index: u64) -> Result<Option<Node>> {
        let Some((key, slot)) = tree_slot(self.core, index) else { return Ok(None) };
        Ok(self.peek(inner, &key)?.and_then(|p| p.tree()?.get(slot, index)))
    }

    pub(crate) fn place(&self, inner: &Inner, block: u64) -> Result<Option<Place>> {
        let page = self.peek(inner, &PageKey::places(self.core, block))?;
        Ok(page.and_then(|p| p.place()?.get(block)))
    }

    /// Whether the block is here: its bit is set.
    pub(crate) fn has(&self, inner: &Inner, block: u64) -> Result<bool> {
        let page = self.peek(inner, &PageKey::bits(self.core, block))?;
        Ok(page.and_then(|p| Some(p.bit()?.get(block))).unwrap_or(false))
    }

    /// Puts a block's place and sets its bit.
    pub(crate) fn put_block(&mut self, inner: &Inner, block: u64, place: Place) -> Result<()> {
        // Both pages are at hand before either changes.
        self.page_mut(inner, PageKey::bits(self.core, block))?;
        let mut old = None;
        if let Page::Place(page) = self.page_mut(inner, PageKey::places(self.core, block))? {
            old = page.set(block, Some(place));
        }
        let mut had = false;
        if let Page::Bit(page) = self.page_mut(inner, PageKey::bits(self.core, block))? {
            had = page.set(block, true);
        }
        add_use(&mut self.uses, place);
        self.put = (self.put.0 + 1, self.put.1.saturating_add(u64::from(place.len)));
        if let Some(old) = old {
            self.give_up(old, had);
        }
        Ok(())
    }

    /// Moves a block to another place.
    pub(crate) fn move_block(&mut self, inner: &Inner, block: u64, place: Place) -> Result<()> {
        if let Page::Place(page) = self.page_mut(inner, PageKey::places(self.core, block))?
            && let Some(old) = page.set(block, Some(place))
        {
            free_use(&mut self.uses, old);
        }
        add_use(&mut self.uses, place);
        Ok(())
    }

    /// Sets or clears a block's bit and leaves its place: what is there is, or is not, the block. See
    /// `core/damage.rs`.
    pub(crate) fn set_here(&mut self, inner: &Inner, block: u64, here: bool) -> Result<()> {
        let Some(place) = self.place(inner, block)? else { return Ok(()) };
        let mut had = here;
        if let Page::Bit(page) = self.page_mut(inner, PageKey::bits(self.core, block))? {
            had = page.set(block, here);
        }
        let count = match (had, here) {
            (false, true) => &mut self.put,
            (true, false) => &mut self.gone,
            _ => return Ok(()),
        };
        *count = (count.0 + 1, count.1.saturating_add(u64::from(place.len)));
        Ok(())
    }

    /// Gives a block up: place and bit. Whether it was here.
    pub(crate) fn remove_block(&mut self, inner: &Inner, block: u64) -> Result<bool> {
        // Both pages are at hand before either changes.
        self.page_mut(inner, PageKey::bits(self.core, block))?;
        let mut old = None;
        if let Page::Place(page) = self.page_mut(inner, PageKey::places(self.core, block))? {
            old = page.set(block, None);
        }
        let mut had = false;
        if let Page::Bit(page) = self.page_mut(inner, PageKey::bits(self.core, block))? {
            had = page.set(block, false);
        }
        if let Some(old) = old {
            self.give_up(old, had);
        }
        Ok(had)
    }

    /// Frees a place. `had`: the block counted as being here.
    fn give_up(&mut self, place: Place, had: bool) {
        free_use(&mut self.uses, place);
        if had {
            self.gone = (self.gone.0 + 1, self.gone.1.saturating_add(u64::from(place.len)));
        }
    }

    /// Cuts everything off from block `length` on. All of the core must be in the database (flushed): whole
    /// pages are only removed there. Must come first.
    pub(crate) fn cut(&mut self, inner: &Inner, length: u64) -> Result<()> {
        let mut next = Some(length);
        while let Some(from) = next {
            let (places, rest) = inner.places(self.core, from..u64::MAX)?;
            for (block, place) in places {
                self.give_up(place, inner.has(self.core, block)?);
            }
            next = rest;
        }
        // The pages that reach over the cut.
        for kind in page_kinds() {
            let first = first_page_from(kind, length);
            let Some(number) = first.checked_sub(1) else { continue };
            let key = PageKey { core: self.core, kind, number };
            if inner.page(&key)?.is_none() {
                continue;
            }
            match self.page_mut(inner, key)? {
                Page::Tree(page) => page.cut(kind, number, length),
                Page::Place(page) => {
                    (length..first.saturating_mul(PLACES)).for_each(|b| {
                        page.set(b, None);
                    });
                }
                Page::Bit(page) => {
                    (length..first.saturating_mul(BITS)).for_each(|b| {
                        page.set(b, false);
                    });
                }
            }
        }
        self.cut = Some(length);
        Ok(())
    }

    /// Brings what was added to a core of `length` blocks onto the core as it is now, which still has that
    /// length: blocks may have come or gone meanwhile.
    pub(crate) fn rebase(&mut self, inner: &Inner, length: u64) -> Result<()> {
        if let Some(core) = self.aside {
            // The pages that reach over the old end come back from where they were put.
            for kind in page_kinds() {
                let first = first_page_from(kind, length);
                let Some(number) = first.checked_sub(1) else { continue };
                let key = PageKey { core: self.core, kind, number };
                if !self.pages.contains_key(&key)
                    && let Some(page) = inner.page(&PageKey { core, ..key })?
                {
                    self.pages.insert(key, page);
                }
            }
        }
        for (key, page) in &mut self.pages {
            let first = first_page_from(key.kind, length);
            if key.number >= first {
                continue;
            }
            let Some(now) = inner.page(key)? else { continue };
            let mut now = Arc::unwrap_or_clone(now);
            match (&mut now, &**page) {
                (Page::Tree(now), Page::Tree(new)) => now.take_over(new, key.kind, key.number, length),
                (Page::Place(now), Page::Place(new)) => {
                    (length..first.saturating_mul(PLACES)).for_each(|b| {
                        now.set(b, new.get(b));
                    });
                }
                (Page::Bit(now), Page::Bit(new)) => {
                    (length..first.saturating_mul(BITS)).for_each(|b| {
                        now.set(b, new.get(b));
                    });
                }
                _ => return Err(Error::corrupt("a page of the wrong kind")),
            }
            *page = Arc::new(now);
        }
        Ok(())
    }

    /// First block at or after `from` that is not here, `length` at most.
    pub(crate) fn first_missing(&self, inner: &Inner, from: u64, length: u64) -> Result<u64> {
        let mut at = from;
        while at < length {
            let key = PageKey::bits(self.core, at);
            let page = self.peek(inner, &key)?;
            let Some(page) = page.as_ref().and_then(|p| p.bit()) else { return Ok(at) };
            if let Some(found) = page.first_not(true, at % BITS) {
                return Ok((at / BITS * BITS + found).min(length));
            }
            at = (at / BITS + 1) * BITS;
        }
        Ok(length)
    }

    /// The finished change. `record` is the one before, with a new head or manifest if there is one; its counts
    /// and contiguous length are brought up to date here.
    pub(crate) fn finish(
        self,
        inner: &Inner,
        core: Arc<CoreShared>,
        mut record: Record,
        changes: Vec<CoreChange>,
    ) -> Result<Delta> {
        record.blocks = record.blocks.saturating_add(self.put.0).saturating_sub(self.gone.0);
        record.bytes = record.bytes.saturating_add(self.put.1).saturating_sub(self.gone.1);
        let contiguous = record.contiguous.min(self.cut.unwrap_or(u64::MAX));
        record.contiguous = self.first_missing(inner, contiguous, record.head.length)?;
        let mut cuts = Vec::new();
        if let Some(length) = self.cut {
            for kind in page_kinds() {
                let start = PageKey { core: self.core, kind, number: first_page_from(kind, length) };
                cuts.push((start, PageKey { number: u64::MAX, ..start }));
            }
        }
        let pages = self.pages.into_iter().map(|(k, p)| (k, Some(p).filter(|p| !p.is_empty()))).collect();
        let aside = self.aside;
        Ok(Delta { core, cuts, aside, pages, record: Some(record), uses: self.uses, changes })
    }
}

fn page_kinds() -> impl Iterator<Item = u8> {
    (0..=kind::TREE_LAST).chain([kind::PLACE, kind::BIT])
}

/// Number of the first page of a kind that has nothing before block `block`.
fn first_page_from(kind: u8, block: u64) -> u64 {
    match kind {
        kind::PLACE => block.div_ceil(PLACES),
        kind::BIT => block.div_ceil(BITS),
        group => first_tree_page_from(group, block),
    }
}
