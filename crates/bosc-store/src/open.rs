//! Opening a store: what the folder is, the database, and what a crash left to clean up. The rules are in
//! [`crate::folder_state`].

use crate::cache::Cache;
use crate::db::{self, Db, FORMAT_VERSION, MetaRow, Written, u64_from, write_meta_rows};
use crate::disk::{Disk, Place};
use crate::error::{Error, Result};
use crate::folder_state::{self, FolderState};
use crate::identity::{self, Identity};
use crate::inner::{Inner, OpenCores, PrimaryKey};
use crate::options::Options;
use crate::page::{ASIDE, PageKey};
use crate::pending::CommitState;
use crate::random::random;
use crate::reserve;
use crate::segment::{Claims, SegmentWriter, Segments};
use crate::sequence;
use redb::ReadableTable;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, RwLock};
use zeroize::Zeroizing;

/// Row of the table `meta`: numbers (u32le) of segments that hold bytes which the database does not name and which
/// nobody may remove: it was put back from a backup, and they may be what was written since.
const KEPT: &str = "kept";

pub(crate) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Inner> {
    let state = folder_state::look(&*disk)?;
    let new = state == FolderState::New;
    if new {
        folder_state::clear_begun(&*disk)?;
    }
    let db = Db::open(disk.clone(), options.database_cache_bytes, new)?;
    let (seq, primary) = prepare(&db, new, disk.place())?;
    if state != (FolderState::Store { unformatted: false }) {
        folder_state::write_format(&*disk)?;
    }
    db.establish(seq);
    let rows = db.read(|txn| {
        let mut rows = Vec::new();
        for row in txn.open_table(db::SEGMENTS)?.iter()? {
            let (id, value) = row?;
            let (end, live) = value.value();
            rows.push((id.value(), end, live));
        }
        Ok(rows)
    })?;
    let mut claims = Claims::look(&*disk, &rows, read_kept(&db)?)?;
    let last = sequence::read(&*disk).unwrap_or(0);
    let (identity, found) = Identity::open(disk.place(), &db)?;
    let mut owed = Vec::new();
    if last > seq || found.put_back {
        let before = claims.kept.len();
        claims.keep_all();
        if last > seq || claims.kept.len() > before {
            owed.push((KEPT, claims.kept.iter().flat_map(|id| id.to_le_bytes()).collect()));
        }
    } else {
        // What is removed cannot be had back: only on the word of a database that is whole. Where that cannot be said
        // (a disk that fails), it is said at another opening.
        claims.remove = claims.any_to_remove() && db.check().unwrap_or(false);
    }
    owed.extend(found.row);
    let seq = remember(&db, seq.max(last), &mut owed)?;
    let (seq, next_aside) = clear_aside(&db, seq)?;
    let next_id = db.read(|txn| {
        let last = txn.open_table(db::CORES)?.last()?.map_or(0, |(id, _)| id.value());
        Ok(last.saturating_add(1))
    })?;
    if options.keep_reserve {
        reserve::keep(&*disk);
    }
    let limit = options.segment_bytes.clamp(1, 3 << 30);
    let segments = Arc::new(Segments::open(disk.clone(), limit, claims)?);
    Ok(Inner {
        db,
        cache: Mutex::new(Cache::new(options.page_cache_bytes)),
        gate: RwLock::new(()),
        commit: Mutex::new(CommitState::new(seq, owed)),
        dirty: Mutex::default(),
        open: Mutex::new(OpenCores { next_id, next_aside, ..OpenCores::default() }),
        stream: Mutex::new(SegmentWriter::new(segments.clone(), true)),
        segments,
        primary: RwLock::new(PrimaryKey(primary)),
        options,
        disk,
        identity: Mutex::new(identity),
    })
}

/// Checks the tables and the store-wide values; makes them in a new store. Number of the last commit, and the primary
/// key.
fn prepare(db: &Db, new: bool, place: Option<&Place>) -> Result<(u64, Zeroizing<[u8; 32]>)> {
    let found = db.read(|txn| {
        let table = match txn.open_table(db::META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let format = table.get("format")?.map_or(0, |v| u64_from(v.value()));
        let seq = table.get("seq")?.map_or(0, |v| u64_from(v.value()));
        let primary = table.get("primary")?.and_then(|v| <[u8; 32]>::try_from(v.value()).ok());
        Ok(Some((format, seq, primary.map(Zeroizing::new))))
    })?;
    match found {
        Some((format, ..)) if format > FORMAT_VERSION => {
            Err(Error::NewerVersion { found: format, supported: FORMAT_VERSION })
        }
        Some((_, seq, Some(primary))) => Ok((seq, primary)),
        Some(_) => Err(Error::corrupt("the store has no primary key")),
        None if !new => {
            Err(Error::corrupt(format!("{} is an empty database, or another program's", db.path().display())))
        }
        None => {
            let mut primary = Zeroizing::new([0; 32]);
            random(&mut *primary)?;
            let written = db.write(1, false, |txn| {
                let mut meta = txn.open_table(db::META)?;
                meta.insert("format", FORMAT_VERSION.to_le_bytes().as_slice())?;
                meta.insert("primary", primary.as_slice())?;
                if let Some((name, row)) = identity::first_row(place) {
                    meta.insert(name, row.as_slice())?;
                }
                txn.open_table(db::CORES)?;
                txn.open_table(db::KEYS)?;
                txn.open_table(db::NAMES)?;
                txn.open_table(db::PAGES)?;
                txn.open_table(db::SEGMENTS)?;
                txn.open_table(db::USER)?;
                Ok(())
            });
            match written {
                Written::Yes => Ok((1, primary)),
                Written::No(e) | Written::Unknown(e) => Err(e),
            }
        }
    }
}

fn read_kept(db: &Db) -> Result<BTreeSet<u32>> {
    db.read(|txn| {
        let table = txn.open_table(db::META)?;
        let Some(row) = table.get(KEPT)? else { return Ok(BTreeSet::new()) };
        let (numbers, _) = row.value().as_chunks::<4>();
        Ok(numbers.iter().map(|n| u32::from_le_bytes(*n)).collect())
    })
}

/// Writes what the opening found in one commit, whose number is above `seq` and so above all that this folder has seen.
/// Number of the last commit. On a full disk the rows stay in `owed`, for the next commit: what frees space has to be
/// able to start.
fn remember(db: &Db, seq: u64, owed: &mut Vec<MetaRow>) -> Result<u64> {
    if owed.is_empty() {
        return Ok(seq);
    }
    let next = seq.saturating_add(1);
    match db.write(next, false, |txn| write_meta_rows(txn, owed)) {
        Written::Yes => {
            owed.clear();
            Ok(next)
        }
        Written::No(Error::Full { .. }) => Ok(seq),
        Written::No(e) | Written::Unknown(e) => Err(e),
    }
}

/// Deletes pages that were put aside by a batch that did not live to commit. Number of the last commit, and the first
/// number that no such page has: on a full disk they stay until another opening.
fn clear_aside(db: &Db, seq: u64) -> Result<(u64, u32)> {
    let first = PageKey { core: ASIDE, kind: 0, number: 0 }.to_bytes();
    let last = db.read(|txn| {
        let table = txn.open_table(db::PAGES)?;
        let row = table.range::<&[u8; 13]>(&first..)?.next_back().transpose()?;
        Ok(row.map(|(key, _)| PageKey::from_bytes(key.value()).core))
    })?;
    let Some(last) = last else { return Ok((seq, ASIDE)) };
    let next = seq.saturating_add(1);
    match db.write(next, false, |txn| {
        txn.open_table(db::PAGES)?.retain_in::<&[u8; 13], _>(&first.., |_, _| false)?;
        Ok(())
    }) {
        Written::Yes => Ok((next, ASIDE)),
        Written::No(Error::Full { .. }) => Ok((seq, last.saturating_add(1))),
        Written::No(e) | Written::Unknown(e) => Err(e),
    }
}
