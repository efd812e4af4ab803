//! A commit on its way: what it holds, and how that is written into one transaction.

use crate::core_state::CoreShared;
use crate::db::{self, Fail, MetaRow};
use crate::delta::Delta;
use crate::page::{PageKey, SharedPage};
use crate::record::Record;
use crate::rows::{UserChange, name_key};
use crate::segment::{SegmentCommit, SegmentWriter};
use bosc_format::crypto::DiscoveryKey;
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct CommitState {
    /// Number of the last commit that was tried. Every try has its own.
    seq: u64,
    /// A commit whose fate is unknown, and its number.
    pub(crate) unsettled: Option<(u64, Pending)>,
    /// What the opening could not write on a full disk: it goes with the next commit.
    pub(crate) owed: Vec<MetaRow>,
}

impl CommitState {
    pub(crate) fn new(seq: u64, owed: Vec<MetaRow>) -> Self {
        Self { seq, unsettled: None, owed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }
}

/// A commit on its way.
pub(crate) struct Pending {
    pub(crate) pages: Arc<BTreeMap<PageKey, SharedPage>>,
    pub(crate) records: BTreeMap<u32, (Arc<CoreShared>, Record)>,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) user: Vec<UserChange>,
    pub(crate) segments: SegmentCommit,
    pub(crate) writer: Option<SegmentWriter>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a commit of {} pages and {} changes", self.pages.len(), self.deltas.len())
    }
}

impl Pending {
    pub(crate) fn is_nothing(&self) -> bool {
        self.pages.is_empty()
            && self.records.is_empty()
            && self.deltas.is_empty()
            && self.user.is_empty()
            && self.segments.is_nothing()
    }

    /// Records to write, those of changes after those that are pending.
    pub(crate) fn all_records(&self) -> impl Iterator<Item = (&CoreShared, &Record)> {
        let pending = self.records.values().map(|(c, r)| (&**c, r));
        pending.chain(self.deltas.iter().filter_map(|d| Some((&*d.core, d.record.as_ref()?))))
    }

    pub(crate) fn write(&self, txn: &WriteTransaction) -> Result<(), Fail> {
        self.write_pages(txn)?;
        self.write_records(txn)?;
        let mut table = txn.open_table(db::SEGMENTS)?;
        for (id, end, live) in &self.segments.rows {
            table.insert(*id, (u64::from(*end), *live))?;
        }
        for id in &self.segments.doomed {
            table.remove(*id)?;
        }
        let mut table = txn.open_table(db::USER)?;
        for (key, value) in &self.user {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
        Ok(())
    }

    fn write_pages(&self, txn: &WriteTransaction) -> Result<(), Fail> {
        let mut table = txn.open_table(db::PAGES)?;
        let cuts = || self.deltas.iter().flat_map(|d| &d.cuts);
        for (start, end) in cuts() {
            table.retain_in::<&[u8; 13], _>(&start.to_bytes()..=&end.to_bytes(), |_, _| false)?;
        }
        let mut bytes = Vec::new();
        for (key, page) in self.pages.iter() {
            if cuts().any(|(start, end)| start <= key && key <= end) {
                continue;
            }
            if page.is_empty() {
                table.remove(&key.to_bytes())?;
            } else {
                page.encode(&mut bytes);
                table.insert(&key.to_bytes(), bytes.as_slice())?;
            }
        }
        for delta in &self.deltas {
            if let Some(aside) = delta.aside {
                move_rows(&mut table, aside, delta.core.id)?;
            }
        }
        for (key, page) in self.deltas.iter().flat_map(|d| &d.pages) {
            match page {
                Some(page) => {
                    page.encode(&mut bytes);
                    table.insert(&key.to_bytes(), bytes.as_slice())?;
                }
                None => {
                    table.remove(&key.to_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn write_records(&self, txn: &WriteTransaction) -> Result<(), Fail> {
        let mut cores = txn.open_table(db::CORES)?;
        let mut keys = txn.open_table(db::KEYS)?;
        let mut names = txn.open_table(db::NAMES)?;
        for (core, record) in self.all_records() {
            if cores.insert(core.id, record.encode().as_slice())?.is_none() {
                keys.insert(&core.discovery_key, core.id)?;
            }
            if let Some(name) = name_key(&record.source)
                && names.get(name.as_slice())?.is_none()
            {
                names.insert(name.as_slice(), core.id)?;
            }
        }
        for delta in self.deltas.iter().filter(|d| d.record.is_none()) {
            let (id, discovery): (u32, &DiscoveryKey) = (delta.core.id, &delta.core.discovery_key);
            cores.remove(id)?;
            keys.remove(discovery)?;
            names.retain(|_, core| core != id)?;
            let (start, end) = (id.to_be_bytes(), id.saturating_add(1).to_be_bytes());
            let mut user = txn.open_table(db::USER)?;
            user.retain_in::<&[u8], _>(start.as_slice()..end.as_slice(), |_, _| false)?;
        }
        Ok(())
    }
}

/// Rows moved at once.
const MOVE_ROWS: usize = 256;

/// First and last key of a core number's pages.
pub(crate) fn all_pages(core: u32) -> ([u8; 13], [u8; 13]) {
    let key = |kind, number| PageKey { core, kind, number }.to_bytes();
    (key(0, 0), key(u8::MAX, u64::MAX))
}

/// Gives all pages of core number `from` to `to`.
fn move_rows(table: &mut Table<'_, &[u8; 13], &[u8]>, from: u32, to: u32) -> Result<(), Fail> {
    let (first, last) = all_pages(from);
    let mut at = first;
    loop {
        let mut rows = Vec::with_capacity(MOVE_ROWS);
        for row in table.range::<&[u8; 13]>(&at..=&last)?.take(MOVE_ROWS) {
            let (key, value) = row?;
            rows.push((PageKey::from_bytes(key.value()), value.value().to_vec()));
        }
        let Some((end, _)) = rows.last() else { break };
        at = end.to_bytes();
        for (key, value) in &rows {
            table.insert(&PageKey { core: to, ..*key }.to_bytes(), value.as_slice())?;
        }
        table.retain_in::<&[u8; 13], _>(&first..=&at, |_, _| false)?;
    }
    Ok(())
}
