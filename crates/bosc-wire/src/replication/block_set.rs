//! A set of block numbers whose memory is bounded whatever is put in.
//!
//! Numbers are grouped in pages of 32,768. A page is absent (no number of it is in the set), full (part of a run
//! of full pages, kept as two numbers) or mixed (a bitmap of 4 KiB). A run of 10^15 blocks costs one entry.
//! The number of mixed pages and of runs is limited; what does not fit is left out, and the caller is told.
//!
//! Invariants: runs are disjoint, not adjacent, and hold no mixed page; a mixed page has at least one bit set and
//! one clear.

use bosc_format::flat_tree::MAX_LENGTH;
use std::collections::BTreeMap;

/// Blocks in a page.
const PAGE: u64 = 32_768;
const WORDS: usize = 512;

#[derive(Debug, Clone)]
struct Page {
    words: Box<[u64; WORDS]>,
    ones: u32,
}

/// What a page holds.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Empty,
    Full,
    Mixed(&'a Page),
}

impl Kind<'_> {
    fn word(self, at: usize) -> u64 {
        match self {
            Kind::Empty => 0,
            Kind::Full => u64::MAX,
            Kind::Mixed(p) => p.words.get(at).copied().unwrap_or(0),
        }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct BlockSet {
    /// First page and the page after the last one of each run of full pages.
    runs: BTreeMap<u64, u64>,
    mixed: BTreeMap<u64, Page>,
    max_mixed: usize,
    max_runs: usize,
}

/// The bits of a word from `lo` up to but not including `hi`, both at most 64.
fn mask(lo: u64, hi: u64) -> u64 {
    let below = |n: u64| if n >= 64 { u64::MAX } else { (1u64 << n) - 1 };
    below(hi) & !below(lo)
}

impl BlockSet {
    /// An empty set that keeps at most `max_mixed` bitmaps of 4 KiB and `max_runs` runs.
    pub(crate) fn new(max_mixed: usize, max_runs: usize) -> Self {
        Self { runs: BTreeMap::new(), mixed: BTreeMap::new(), max_mixed, max_runs }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.mixed.is_empty()
    }

    /// How many numbers are in the set. Takes time for each page kept, not for each number.
    pub(crate) fn count(&self) -> u64 {
        let full: u64 = self.runs.iter().map(|(s, e)| e.saturating_sub(*s)).sum();
        let mixed: u64 = self.mixed.values().map(|p| u64::from(p.ones)).sum();
        full.saturating_mul(PAGE).saturating_add(mixed)
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.mixed.clear();
    }

    /// The run that holds `page`.
    fn run_of(&self, page: u64) -> Option<(u64, u64)> {
        let (s, e) = self.runs.range(..=page).next_back()?;
        (page < *e).then_some((*s, *e))
    }

    fn kind(&self, page: u64) -> Kind<'_> {
        if let Some(p) = self.mixed.get(&page) {
            Kind::Mixed(p)
        } else if self.run_of(page).is_some() {
            Kind::Full
        } else {
            Kind::Empty
        }
    }

    /// The lowest page at or after `page` that is not empty.
    fn next_page(&self, page: u64) -> Option<u64> {
        if self.run_of(page).is_some() {
            return Some(page);
        }
        let run = self.runs.range(page..).next().map(|(s, _)| *s);
        let mixed = self.mixed.range(page..).next().map(|(p, _)| *p);
        match (run, mixed) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn contains(&self, n: u64) -> bool {
        let word = self.kind(n / PAGE).word((n % PAGE / 64) as usize);
        word >> (n % 64) & 1 == 1
    }

    /// The lowest number in the set at or after `from`.
    pub(crate) fn next_set(&self, from: u64) -> Option<u64> {
        self.scan(from, |page| self.next_page(page), |page, at| self.kind(page).word(at))
    }

    /// The lowest number at or after `from` that is in this set and in `other`.
    pub(crate) fn next_common(&self, other: &Self, from: u64) -> Option<u64> {
        self.scan(
            from,
            |mut page| loop {
                let a = self.next_page(page)?;
                page = other.next_page(a)?;
                if a == page {
                    return Some(page);
                }
            },
            |page, at| self.kind(page).word(at) & other.kind(page).word(at),
        )
    }

    fn scan(
        &self,
        from: u64,
        next_page: impl Fn(u64) -> Option<u64>,
        word: impl Fn(u64, usize) -> u64,
    ) -> Option<u64> {
        let mut page = next_page(from / PAGE)?;
        let mut bit = if page == from / PAGE { from % PAGE } else { 0 };
        loop {
            let mut at = (bit / 64) as usize;
            let mut w = word(page, at) & mask(bit % 64, 64);
            while w == 0 && at + 1 < WORDS {
                at += 1;
                w = word(page, at);
            }
            if w != 0 {
                return Some(page * PAGE + at as u64 * 64 + u64::from(w.trailing_zeros()));
            }
            page = next_page(page.checked_add(1)?)?;
            bit = 0;
        }
    }

    /// The lowest number at or after `from` that is not in the set.
    pub(crate) fn next_unset(&self, from: u64) -> u64 {
        let mut at = from;
        loop {
            let page = at / PAGE;
            match self.kind(page) {
                Kind::Empty => return at,
                Kind::Full => {
                    let end = self.run_of(page).map_or(page + 1, |(_, e)| e);
                    at = end.saturating_mul(PAGE);
                }
                Kind::Mixed(p) => {
                    let mut bit = at % PAGE;
                    while bit < PAGE {
                        let w = !p.words.get((bit / 64) as usize).copied().unwrap_or(0) & mask(bit % 64, 64);
                        if w != 0 {
                            return page * PAGE + bit / 64 * 64 + u64::from(w.trailing_zeros());
                        }
                        bit = (bit / 64 + 1) * 64;
                    }
                    at = (page + 1).saturating_mul(PAGE);
                }
            }
        }
    }

    pub(crate) fn insert(&mut self, n: u64) -> bool {
        self.insert_range(n, n.saturating_add(1))
    }

    pub(crate) fn remove(&mut self, n: u64) {
        self.remove_range(n, n.saturating_add(1));
    }

    /// Puts in `start..end`. `false` when part of it did not fit.
    pub(crate) fn insert_range(&mut self, start: u64, end: u64) -> bool {
        let end = end.min(MAX_LENGTH);
        if start >= end {
            return true;
        }
        let (first, last) = (start / PAGE, (end - 1) / PAGE);
        let (lo, hi) = (start % PAGE, end - last * PAGE);
        if first == last {
            return self.set_bits(first, lo, hi);
        }
        let mut fits = true;
        let mut full = (first, last + 1);
        if lo != 0 {
            fits &= self.set_bits(first, lo, PAGE);
            full.0 += 1;
        }
        if hi != PAGE {
            fits &= self.set_bits(last, 0, hi);
            full.1 -= 1;
        }
        fits & self.fill_pages(full.0, full.1)
    }

    /// Takes out `start..end`. What does not fit (a run that would have to be split) is taken out as well, with
    /// the rest of its page.
    pub(crate) fn remove_range(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (first, last) = (start / PAGE, (end - 1) / PAGE);
        let (lo, hi) = (start % PAGE, end - last * PAGE);
        if first == last {
            return self.clear_bits(first, lo, hi);
        }
        let mut full = (first, last.saturating_add(1));
        if lo != 0 {
            self.clear_bits(first, lo, PAGE);
            full.0 += 1;
        }
        if hi != PAGE {
            self.clear_bits(last, 0, hi);
            full.1 -= 1;
        }
        self.empty_pages(full.0, full.1);
    }

    /// Replaces what the set says about the blocks from `start` (a multiple of 32) by `words` of 32 blocks each.
    /// `false` when `start` is no multiple or part did not fit.
    pub(crate) fn replace(&mut self, start: u64, words: &[u32]) -> bool {
        if !start.is_multiple_of(32) {
            return false;
        }
        let mut fits = true;
        let mut at = start;
        let mut rest = words;
        while !rest.is_empty() && at < MAX_LENGTH {
            let in_page = ((PAGE - at % PAGE) / 32) as usize;
            let (now, later) = rest.split_at_checked(in_page).unwrap_or((rest, &[]));
            fits &= self.replace_in_page(at, now);
            rest = later;
            at = (at / PAGE + 1) * PAGE;
        }
        fits
    }

    fn replace_in_page(&mut self, at: u64, words: &[u32]) -> bool {
        let end = at + words.len() as u64 * 32;
        if words.iter().all(|w| *w == u32::MAX) {
            return self.insert_range(at, end);
        }
        if words.iter().all(|w| *w == 0) {
            self.remove_range(at, end);
            return true;
        }
        let Some(page) = self.mixed_page(at / PAGE) else { return false };
        for (i, w) in words.iter().enumerate() {
            let bit = at % PAGE + i as u64 * 32;
            if let Some(word) = page.words.get_mut((bit / 64) as usize) {
                let shift = bit % 64;
                *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(*w) << shift;
            }
        }
        page.ones = page.words.iter().map(|w| w.count_ones()).sum();
        self.settle(at / PAGE);
        true
    }

    /// The bitmap of a page, made from a full or empty one when it has none. `None` when there is no room.
    fn mixed_page(&mut self, page: u64) -> Option<&mut Page> {
        if !self.mixed.contains_key(&page) {
            if self.mixed.len() >= self.max_mixed {
                return None;
            }
            let full = self.run_of(page).is_some();
            if full {
                self.empty_pages(page, page + 1);
            }
            let (word, ones) = if full { (u64::MAX, PAGE as u32) } else { (0, 0) };
            self.mixed.insert(page, Page { words: Box::new([word; WORDS]), ones });
        }
        self.mixed.get_mut(&page)
    }

    /// Turns a bitmap that became all set or all clear into its short form.
    fn settle(&mut self, page: u64) {
        match self.mixed.get(&page).map(|p| p.ones) {
            Some(0) => {
                self.mixed.remove(&page);
            }
            Some(n) if u64::from(n) == PAGE => {
                self.fill_pages(page, page + 1);
            }
            _ => {}
        }
    }

    fn set_bits(&mut self, page: u64, lo: u64, hi: u64) -> bool {
        if lo == 0 && hi == PAGE {
            return self.fill_pages(page, page + 1);
        }
        if self.run_of(page).is_some() {
            return true;
        }
        let Some(p) = self.mixed_page(page) else { return false };
        p.change(lo, hi, true);
        self.settle(page);
        true
    }

    fn clear_bits(&mut self, page: u64, lo: u64, hi: u64) {
        if lo == 0 && hi == PAGE {
            return self.empty_pages(page, page.saturating_add(1));
        }
        if matches!(self.kind(page), Kind::Empty) {
            return;
        }
        match self.mixed_page(page) {
            Some(p) => {
                p.change(lo, hi, false);
                self.settle(page);
            }
            None => self.empty_pages(page, page.saturating_add(1)),
        }
    }

    /// Makes pages `start..end` full.
    fn fill_pages(&mut self, start: u64, end: u64) -> bool {
        if start >= end {
            return true;
        }
        let (mut lo, mut hi) = (start, end);
        if let Some((s, e)) = self.runs.range(..=start).next_back().map(|(s, e)| (*s, *e)) {
            if e >= end {
                return true;
            }
            if e >= start {
                lo = s;
            }
        }
        let inner: Vec<u64> = self.runs.range(lo..=end).map(|(s, _)| *s).collect();
        if inner.is_empty() && self.runs.len() >= self.max_runs {
            return false;
        }
        for s in inner {
            if let Some(e) = self.runs.remove(&s) {
                hi = hi.max(e);
            }
        }
        self.drop_mixed(start, end);
        self.runs.insert(lo, hi);
        true
    }

    fn empty_pages(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        self.drop_mixed(start, end);
        if let Some((s, e)) = self.runs.range(..start).next_back().map(|(s, e)| (*s, *e))
            && e > start
        {
            self.runs.insert(s, start);
            // Splitting may go one over the limit; the next run that has to be added is refused.
            if e > end {
                self.runs.insert(end, e);
            }
        }
        let inner: Vec<u64> = self.runs.range(start..end).map(|(s, _)| *s).collect();
        for s in inner {
            if let Some(e) = self.runs.remove(&s)
                && e > end
            {
                self.runs.insert(end, e);
            }
        }
    }

    fn drop_mixed(&mut self, start: u64, end: u64) {
        while let Some(page) = self.mixed.range(start..end).next().map(|(p, _)| *p) {
            self.mixed.remove(&page);
        }
    }
}

impl Page {
    fn change(&mut self, lo: u64, hi: u64, value: bool) {
        let mut bit = lo;
        while bit < hi {
            let next = ((bit / 64 + 1) * 64).min(hi);
            let base = bit / 64 * 64;
            let m = mask(bit - base, next - base);
            if let Some(w) = self.words.get_mut((bit / 64) as usize) {
                let before = w.count_ones();
                *w = if value { *w | m } else { *w & !m };
                self.ones = self.ones.saturating_add(w.count_ones()).saturating_sub(before);
            }
            bit = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Debug, Clone)]
    enum Op {
        Insert(u64, u64),
        Remove(u64, u64),
        Replace(u64, Vec<u32>),
    }

    const TOP: u64 = PAGE * 4;

    fn op() -> impl Strategy<Value = Op> {
        let at = || prop_oneof![0..TOP, Just(0), Just(PAGE), Just(PAGE * 2), Just(TOP)];
        let word = prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()];
        prop_oneof![
            (at(), at()).prop_map(|(a, b)| Op::Insert(a.min(b), a.max(b))),
            (at(), at()).prop_map(|(a, b)| Op::Remove(a.min(b), a.max(b))),
            (0..TOP / 32, prop::collection::vec(word, 0..40)).prop_map(|(s, w)| Op::Replace(s * 32, w)),
            (0..4u64, prop_oneof![Just(0u32), Just(u32::MAX)])
                .prop_map(|(p, w)| Op::Replace(p * PAGE, vec![w; (PAGE / 32) as usize])),
        ]
    }

    fn check(set: &BlockSet) {
        let mut last = None;
        for (s, e) in &set.runs {
            assert!(s < e);
            assert!(last.is_none_or(|l| l < *s), "runs touch");
            assert!(set.mixed.range(s..e).next().is_none(), "bitmap inside a run");
            last = Some(*e);
        }
        for p in set.mixed.values() {
            assert_eq!(p.ones, p.words.iter().map(|w| w.count_ones()).sum::<u32>());
            assert!(p.ones > 0 && u64::from(p.ones) < PAGE);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_a_plain_set(ops in prop::collection::vec(op(), 1..12), probes in prop::collection::vec(0..TOP + 10, 20)) {
            let mut set = BlockSet::new(1000, 1000);
            let mut model = vec![false; TOP as usize + 2000];
            for op in ops {
                match op {
                    Op::Insert(a, b) => {
                        prop_assert!(set.insert_range(a, b));
                        model[a as usize..b as usize].fill(true);
                    }
                    Op::Remove(a, b) => {
                        set.remove_range(a, b);
                        model[a as usize..b as usize].fill(false);
                    }
                    Op::Replace(at, words) => {
                        prop_assert!(set.replace(at, &words));
                        for (i, w) in words.iter().enumerate() {
                            for b in 0..32 {
                                model[at as usize + i * 32 + b] = w >> b & 1 == 1;
                            }
                        }
                    }
                }
                check(&set);
            }
            prop_assert_eq!(set.count(), model.iter().filter(|b| **b).count() as u64);
            let mut other = BlockSet::new(1000, 1000);
            let mut sparse = BTreeSet::new();
            for p in &probes {
                other.insert(*p);
                sparse.insert(*p);
            }
            for p in probes {
                prop_assert_eq!(set.contains(p), model[p as usize]);
                let next = model.iter().skip(p as usize).position(|b| *b).map(|i| i as u64 + p);
                prop_assert_eq!(set.next_set(p), next);
                let unset = model.iter().skip(p as usize).position(|b| !*b).map(|i| i as u64 + p);
                prop_assert_eq!(Some(set.next_unset(p)), unset);
                let common = sparse.range(p..).find(|n| model[**n as usize]).copied();
                prop_assert_eq!(set.next_common(&other, p), common);
                prop_assert_eq!(other.next_common(&set, p), common);
            }
        }
    }

    #[test]
    fn huge_ranges_take_one_entry_and_limits_hold() {
        let mut set = BlockSet::new(2, 3);
        assert!(set.insert_range(0, 1 << 60));
        assert_eq!((set.runs.len(), set.mixed.len()), (1, 0));
        assert!(set.contains(MAX_LENGTH - 1));
        set.remove_range(5, 1 << 50);
        assert_eq!(set.next_set(5), Some(1 << 50));
        assert!(set.contains(4));
        set.clear();
        for i in 0..100 {
            set.insert_range(i * 2 * PAGE, (i * 2 + 1) * PAGE);
            set.insert(i * 2 * PAGE + PAGE + 7);
        }
        assert!(set.runs.len() <= 4 && set.mixed.len() <= 2);
        // A removal that cannot be kept exactly removes more, never less.
        for i in 0..100 {
            set.remove(i * 2 * PAGE + 3);
            assert!(!set.contains(i * 2 * PAGE + 3));
        }
        assert!(set.insert_range(u64::MAX - 3, u64::MAX));
        set.remove_range(0, u64::MAX);
        assert!(set.is_empty());
    }
}
