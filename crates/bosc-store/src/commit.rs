//! Commits: everything pending, and changes that must be durable before they are seen, in one transaction.
//!
//! Order: snapshot, sync of the segments, the database's transaction (durable), then the changes become visible
//! and dead segments are deleted. A crash anywhere leaves the state before or after.
//!
//! A commit that fails changes nothing: pending pages are pending again, changes are not seen. One whose fate is
//! unknown (the database failed and cannot be opened again) is remembered and settled before anything else is
//! committed. When it held nothing but pending changes its fate does not matter: they are written again.

use crate::db::{self, Fail, Written};
use crate::edits::Delta;
use crate::error::{Error, Result};
use crate::inner::{CoreShared, Inner, lock};
use crate::page::{PageKey, SharedPage};
use crate::record::{KeySource, Record};
use crate::segment::{SegmentCommit, SegmentWriter};
use bosc_format::crypto::DiscoveryKey;
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLockWriteGuard};

/// A caller's own bytes: key in the table and value, `None` to remove.
pub(crate) type UserChange = (Vec<u8>, Option<Vec<u8>>);

/// Name and value of a row of the table `meta`.
pub(crate) type MetaRow = (&'static str, Vec<u8>);

#[derive(Debug, Default)]
pub(crate) struct CommitState {
    /// Number of the last commit that was tried. Every try has its own.
    seq: u64,
    /// A commit whose fate is unknown, and its number.
    unsettled: Option<(u64, Pending)>,
    /// What the opening could not write on a full disk: it goes with the next commit.
    owed: Vec<MetaRow>,
}

/// A commit on its way.
struct Pending {
    pages: Arc<BTreeMap<PageKey, SharedPage>>,
    records: BTreeMap<u32, (Arc<CoreShared>, Record)>,
    deltas: Vec<Delta>,
    user: Vec<UserChange>,
    segments: SegmentCommit,
    writer: Option<SegmentWriter>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a commit of {} pages and {} changes", self.pages.len(), self.deltas.len())
    }
}

impl Inner {
    /// Makes everything pending durable, and `deltas` and `user` with it. Whoever passes deltas holds the
    /// intents of their cores. `writer` has the segments the deltas' blocks are in: it is taken once their fate
    /// is out of the caller's hands, and left when the commit did not happen.
    pub(crate) fn commit(
        &self,
        deltas: Vec<Delta>,
        user: Vec<UserChange>,
        writer: &mut Option<SegmentWriter>,
    ) -> Result<()> {
        let mut state = lock(&self.commit);
        self.settle(&mut state)?;
        if let Some(writer) = writer {
            writer.settle()?;
        }
        let pending = self.snapshot(deltas, user);
        if pending.is_nothing() {
            self.finish(pending, false, &mut BTreeMap::new());
            return Ok(());
        }
        if let Err(e) = self.segments.sync(&pending.segments) {
            self.finish(pending, false, &mut BTreeMap::new());
            return Err(e);
        }
        // Readers of what is about to go wait for the new state.
        let holding: Vec<_> =
            pending.deltas.iter().filter(|d| d.takes_away()).map(|d| d.core.clone()).collect();
        let mut held: BTreeMap<u32, _> = holding.iter().map(|c| (c.id, c.write())).collect();
        let seq = state.next();
        let renewal = match pending.deltas.is_empty() {
            true => None,
            false => lock(&self.identity).renew(self.disk.place()),
        };
        let written = self.db.write(seq, !pending.deltas.is_empty(), |txn| {
            write_meta_rows(txn, &state.owed)?;
            pending.write(txn)?;
            renewal.as_ref().map_or(Ok(()), |r| r.write(txn))
        });
        match written {
            Written::Yes => {
                state.owed.clear();
                if let Some(renewal) = renewal {
                    lock(&self.identity).renewed(self.disk.place(), renewal);
                }
                self.finish(pending, true, &mut held);
                if let Some(writer) = writer.take() {
                    writer.keep();
                }
                Ok(())
            }
            Written::No(e) => {
                self.finish(pending, false, &mut held);
                Err(e)
            }
            Written::Unknown(e) if pending.deltas.is_empty() => {
                let only_pending = pending.user.is_empty();
                self.finish(pending, false, &mut held);
                Err(if only_pending { e } else { Error::Uncertain(Box::new(e)) })
            }
            Written::Unknown(e) => {
                state.unsettled = Some((seq, Pending { writer: writer.take(), ..pending }));
                Err(Error::Uncertain(Box::new(e)))
            }
        }
    }

    /// Finds out what became of a commit whose fate is unknown.
    fn settle(&self, state: &mut CommitState) -> Result<()> {
        if state.unsettled.is_none() {
            return self.db.make_ready();
        }
        let found = self.db.settle()?;
        let Some((seq, mut pending)) = state.unsettled.take() else { return Ok(()) };
        let happened = found == seq;
        let writer = pending.writer.take();
        let changed: Vec<_> = pending.deltas.iter().map(|d| (d.core.clone(), d.changes.clone())).collect();
        self.finish(pending, happened, &mut BTreeMap::new());
        if happened {
            if let Some(writer) = writer {
                writer.keep();
            }
            for (core, changes) in changed {
                crate::events::notify(&core.listeners, &changes);
            }
        }
        Ok(())
    }

    /// Takes everything that is visible and not in the database.
    fn snapshot(&self, deltas: Vec<Delta>, user: Vec<UserChange>) -> Pending {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.stream).leave_suspect();
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        let records = dirty
            .into_iter()
            .map(|(id, core)| {
                let record = core.read().record.clone();
                (id, (core, record))
            })
            .collect();
        Pending {
            pages: lock(&self.cache).begin_flush(),
            records,
            segments: self.segments.begin_commit(deltas.iter().map(|d| &d.uses)),
            deltas,
            user,
            writer: None,
        }
    }

    /// Makes a durable commit visible, or takes back one that did not happen. `held` has the states that are
    /// locked already.
    fn finish<'a>(
        &self,
        pending: Pending,
        durable: bool,
        held: &mut BTreeMap<u32, RwLockWriteGuard<'a, crate::inner::State>>,
    ) {
        if durable {
            for (id, (core, _)) in &pending.records {
                match held.get_mut(id) {
                    Some(state) => state.persisted = true,
                    None => core.write().persisted = true,
                }
            }
            for delta in &pending.deltas {
                let mut own;
                let state = match held.get_mut(&delta.core.id) {
                    Some(state) => &mut **state,
                    None => {
                        own = delta.core.write();
                        &mut *own
                    }
                };
                {
                    let mut cache = lock(&self.cache);
                    for (start, end) in &delta.cuts {
                        cache.forget(*start, *end);
                    }
                    if let Some(aside) = delta.aside {
                        cache.forget_clean(aside);
                        cache.forget_clean(delta.core.id);
                    }
                    for (key, page) in &delta.pages {
                        cache.put_committed(*key, page.clone());
                    }
                }
                self.segments.install_committed(&delta.uses);
                match &delta.record {
                    Some(record) => {
                        state.take(record.clone());
                        state.persisted = true;
                        state.kept = true;
                    }
                    None => {
                        state.removed = true;
                        state.kept = false;
                    }
                }
            }
            let mut open = lock(&self.open);
            if !open.names.is_empty() {
                let written: Vec<_> =
                    pending.all_records().filter_map(|(_, r)| name_key(&r.source)).collect();
                written.iter().for_each(|name| {
                    open.names.remove(name);
                });
            }
        } else {
            let mut dirty = lock(&self.dirty);
            for (id, (core, _)) in pending.records {
                dirty.entry(id).or_insert(core);
            }
        }
        lock(&self.cache).end_flush(durable);
        self.segments.end_commit(pending.segments, durable);
    }
}

pub(crate) fn write_meta_rows(txn: &WriteTransaction, rows: &[MetaRow]) -> Result<(), Fail> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(db::META)?;
    for (name, row) in rows {
        table.insert(*name, row.as_slice())?;
    }
    Ok(())
}

/// Key of a named core's row in the table of names.
pub(crate) fn name_key(source: &KeySource) -> Option<Vec<u8>> {
    match source {
        KeySource::Name { namespace, name } => Some(name_row(namespace, name)),
        _ => None,
    }
}

pub(crate) fn name_row(namespace: &[u8; 32], name: &[u8]) -> Vec<u8> {
    [namespace.as_slice(), name].concat()
}

impl Pending {
    fn is_nothing(&self) -> bool {
        self.pages.is_empty()
            && self.records.is_empty()
            && self.deltas.is_empty()
            && self.user.is_empty()
            && self.segments.is_nothing()
    }

    /// Records to write, those of changes after those that are pending.
    fn all_records(&self) -> impl Iterator<Item = (&CoreShared, &Record)> {
        let pending = self.records.values().map(|(c, r)| (&**c, r));
        pending.chain(self.deltas.iter().filter_map(|d| Some((&*d.core, d.record.as_ref()?))))
    }

    fn write(&self, txn: &WriteTransaction) -> Result<(), Fail> {
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

impl Inner {
    /// Fails for a core that was removed.
    pub(crate) fn alive(core: &CoreShared) -> Result<()> {
        if core.read().removed { Err(Error::NotFound("the core")) } else { Ok(()) }
    }
}

/// Rows moved at once.
const MOVE_ROWS: usize = 256;

/// First and last key of a core number's pages.
fn all_pages(core: u32) -> ([u8; 13], [u8; 13]) {
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

impl Inner {
    /// Writes pages nobody sees yet.
    pub(crate) fn put_aside(&self, pages: &[(PageKey, SharedPage)]) -> Result<()> {
        self.write_own(|txn| {
            let mut table = txn.open_table(db::PAGES)?;
            let mut bytes = Vec::new();
            for (key, page) in pages {
                page.encode(&mut bytes);
                table.insert(&key.to_bytes(), bytes.as_slice())?;
            }
            Ok(())
        })?;
        let mut cache = lock(&self.cache);
        for (key, page) in pages {
            cache.put_clean(*key, Some(page.clone()));
        }
        Ok(())
    }

    /// Deletes pages put aside and not wanted any more.
    pub(crate) fn drop_aside(&self, aside: u32) -> Result<()> {
        let (first, last) = all_pages(aside);
        self.write_own(|txn| {
            let mut table = txn.open_table(db::PAGES)?;
            table.retain_in::<&[u8; 13], _>(&first..=&last, |_, _| false)?;
            Ok(())
        })?;
        lock(&self.cache).forget_clean(aside);
        Ok(())
    }
}

impl CommitState {
    pub(crate) fn new(seq: u64, owed: Vec<MetaRow>) -> Self {
        Self { seq, unsettled: None, owed }
    }

    fn next(&mut self) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }
}

impl Inner {
    /// Writes one store-wide value.
    pub(crate) fn write_meta(&self, name: &str, value: &[u8]) -> Result<()> {
        self.write_own(|txn| {
            txn.open_table(db::META)?.insert(name, value)?;
            Ok(())
        })
    }

    /// A transaction that touches nothing that is visible.
    fn write_own(&self, f: impl Fn(&WriteTransaction) -> Result<(), Fail>) -> Result<()> {
        let mut state = lock(&self.commit);
        self.settle(&mut state)?;
        let seq = state.next();
        match self.db.write(seq, false, |txn| {
            write_meta_rows(txn, &state.owed)?;
            f(txn)
        }) {
            Written::Yes => {
                state.owed.clear();
                Ok(())
            }
            Written::No(e) => Err(e),
            Written::Unknown(e) => Err(Error::Uncertain(Box::new(e))),
        }
    }
}
