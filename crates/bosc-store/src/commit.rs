//! Commits: everything pending, and changes that must be durable before they are seen, in one transaction.
//!
//! Order: snapshot, sync of the segments, the database's transaction (durable), then the changes become visible
//! and dead segments are deleted. A crash anywhere leaves the state before or after.
//!
//! A commit that fails changes nothing: pending pages are pending again, changes are not seen. One whose fate is
//! unknown (the database failed and cannot be opened again) is remembered and settled before anything else is
//! committed. When it held nothing but pending changes its fate does not matter: they are written again.

use crate::core_state::State;
use crate::db::{self, Fail, Written, write_meta_rows};
use crate::delta::Delta;
use crate::error::{Error, Result};
use crate::events::notify;
use crate::inner::Inner;
use crate::lock::lock;
use crate::page::{PageKey, SharedPage};
use crate::pending::{CommitState, Pending, all_pages};
use crate::rows::{UserChange, name_key};
use crate::segment::SegmentWriter;
use redb::WriteTransaction;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLockWriteGuard};

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
                notify(&core.listeners, &changes);
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
        held: &mut BTreeMap<u32, RwLockWriteGuard<'a, State>>,
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

impl Drop for Inner {
    fn drop(&mut self) {
        // What fails here was never promised.
        let _ = self.commit(Vec::new(), Vec::new(), &mut None);
    }
}
