//! The database of metadata: redb behind the store's own disk, with its failures sorted.
//!
//! A failed commit is a question, not an answer: redb applies a transaction whole or not at all, but a commit
//! that reported an error may still have reached the disk. Every commit therefore writes its number. After an
//! error the database is opened again, which repairs it, and the number there tells what happened.
//!
//! After any failed operation redb refuses all others until it is opened again. A failed read does that by itself
//! and tries once more, except while the fate of a commit is unknown: the one who settles that opens it.
//!
//! A repaired database may be an older commit: redb keeps the last two. Who has this store open knows newer heads by then,
//! and would sign and write on from those. So a database that turns out to be older than it was refuses everything from
//! then on, until the store is opened again.

use crate::disk::{DatabaseFile, Disk};
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Name of the database's file.
pub(crate) const FILE: &str = "bosc.redb";

/// Version of the format on disk that this code writes, and the newest it reads.
pub const FORMAT_VERSION: u64 = 1;

/// Store-wide values: `format` (u64le), `seq` (u64le, number of the last commit), `primary` (32 bytes), `kept` (see
/// `open.rs`), `identity` (see `identity/mod.rs`).
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Core number to core record.
pub(crate) const CORES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("cores");
/// Discovery key to core number.
pub(crate) const KEYS: TableDefinition<'_, &[u8; 32], u32> = TableDefinition::new("keys");
/// Namespace (32 bytes) and name to core number.
pub(crate) const NAMES: TableDefinition<'_, &[u8], u32> = TableDefinition::new("names");
/// Page key to page.
pub(crate) const PAGES: TableDefinition<'_, &[u8; 13], &[u8]> = TableDefinition::new("pages");
/// Segment number to (bytes in use, of those live).
pub(crate) const SEGMENTS: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("segments");
/// Core number (u32be, 0 for the store itself) and name to a caller's own bytes.
pub(crate) const USER: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("user");

/// Why something done to the database failed: the database, or the one who used it.
#[derive(Debug)]
pub(crate) enum Fail {
    Db(redb::Error),
    Own(Error),
}

impl From<Error> for Fail {
    fn from(e: Error) -> Self {
        Fail::Own(e)
    }
}

macro_rules! from_redb {
    ($($kind:ident),*) => {$(
        impl From<redb::$kind> for Fail {
            fn from(e: redb::$kind) -> Self {
                Fail::Db(e.into())
            }
        }
    )*};
}
from_redb!(StorageError, TableError, TransactionError, CommitError, DatabaseError, CompactionError);

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is durable.
    Yes,
    /// It did not happen.
    No(Error),
    /// Nobody knows until the database can be opened again.
    Unknown(Error),
}

/// Name and value of a row of the table `meta`.
pub(crate) type MetaRow = (&'static str, Vec<u8>);

pub(crate) fn write_meta_rows(txn: &WriteTransaction, rows: &[MetaRow]) -> Result<(), Fail> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(META)?;
    for (name, row) in rows {
        table.insert(*name, row.as_slice())?;
    }
    Ok(())
}

#[derive(Debug)]
pub(crate) struct Db {
    disk: Arc<dyn Disk>,
    cache_bytes: usize,
    /// `None` after a failure, until it could be opened again.
    open: RwLock<Option<Database>>,
    /// The fate of a commit is unknown and matters.
    unsettled: AtomicBool,
    /// There is a store: a database that is missing or empty now is damage, and is not made anew.
    established: AtomicBool,
    /// Number of the last commit that is known to be durable.
    last: AtomicU64,
    /// It was mended by going back before that one.
    went_back: AtomicBool,
    sequence: Sequence,
}

impl Db {
    /// Opens the database, creating it when `create` is set.
    pub(crate) fn open(disk: Arc<dyn Disk>, cache_bytes: usize, create: bool) -> Result<Self> {
        let db = Self {
            disk,
            cache_bytes,
            open: RwLock::new(None),
            unsettled: AtomicBool::new(false),
            established: AtomicBool::new(!create),
            last: AtomicU64::new(0),
            went_back: AtomicBool::new(false),
            sequence: Sequence::default(),
        };
        let database = db.open_database()?;
        *db.open.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(db)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.disk.path(FILE)
    }

    /// From now on the database is there, with its tables, and commit `seq` in it.
    pub(crate) fn establish(&self, seq: u64) {
        self.last.fetch_max(seq, Ordering::SeqCst);
        self.established.store(true, Ordering::SeqCst);
    }

    fn is_established(&self) -> bool {
        self.established.load(Ordering::SeqCst)
    }

    fn open_database(&self) -> Result<Database> {
        let io = |e| Error::io(self.path(), e);
        let gone = || Error::corrupt(format!("{} is gone", self.path().display()));
        let file = self.disk.open(FILE, !self.is_established()).map_err(io)?.ok_or_else(gone)?;
        if self.is_established() && file.len().map_err(io)? == 0 {
            return Err(gone());
        }
        self.guarded(|| {
            Ok(redb::Builder::new()
                .set_cache_size(self.cache_bytes)
                .create_with_backend(DatabaseFile(file))?)
        })
    }

    /// Runs `f`, sorting redb's errors, and its panics on damaged pages, into ours.
    fn guarded<T>(&self, f: impl FnOnce() -> Result<T, Fail>) -> Result<T> {
        self.caught(f).map_err(|(e, _)| e)
    }

    /// As [`Db::guarded`]; with the error comes whether redb refuses everything from now on.
    fn caught<T>(&self, f: impl FnOnce() -> Result<T, Fail>) -> Result<T, (Error, bool)> {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fail)) => {
                let refuses = matches!(
                    fail,
                    Fail::Db(
                        redb::Error::Io(_)
                            | redb::Error::PreviousIo
                            | redb::Error::DatabaseClosed
                            | redb::Error::LockPoisoned(_)
                    )
                );
                Err((self.sort(fail), refuses))
            }
            Err(_) => Err((self.corrupt("a page of it cannot be read"), true)),
        }
    }

    fn sort(&self, fail: Fail) -> Error {
        match fail {
            Fail::Own(e) => e,
            Fail::Db(redb::Error::Io(e)) => match e.kind() {
                std::io::ErrorKind::InvalidData => self.corrupt(&e.to_string()),
                std::io::ErrorKind::UnexpectedEof => self.corrupt("the file is too short"),
                _ => Error::io(self.path(), e),
            },
            Fail::Db(redb::Error::Corrupted(what)) => self.corrupt(&what),
            Fail::Db(redb::Error::UpgradeRequired(_)) => self.corrupt("its format is unknown"),
            Fail::Db(
                e @ (redb::Error::TableDoesNotExist(_)
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::TableIsNotMultimap(_)
                | redb::Error::TypeDefinitionChanged { .. }
                | redb::Error::RepairAborted),
            ) => self.corrupt(&e.to_string()),
            Fail::Db(e) => Error::io(self.path(), std::io::Error::other(e.to_string())),
        }
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::corrupt(format!("{}: {what}", self.path().display()))
    }

    /// Runs `f` on a snapshot of what is committed. It may run twice.
    pub(crate) fn read<T>(&self, f: impl Fn(&ReadTransaction) -> Result<T, Fail>) -> Result<T> {
        match self.try_read(&f) {
            Ok(value) => Ok(value),
            Err((e, false)) => Err(e),
            Err((e, true)) if self.unsettled.load(Ordering::SeqCst) => Err(e),
            Err((_, true)) => {
                self.reopen()?;
                self.try_read(&f).map_err(|(e, _)| e)
            }
        }
    }

    fn try_read<T>(&self, f: impl Fn(&ReadTransaction) -> Result<T, Fail>) -> Result<T, (Error, bool)> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = open.as_ref() else { return Err((self.failed(), true)) };
        self.caught(|| f(&database.begin_read()?))
    }

    /// Runs `f` in transaction number `seq` and makes it durable. The caller sees to it that there is one at a
    /// time and that every try has a number of its own.
    ///
    /// `matters`: readers must not see what became of it before [`Db::settle`], when that is unknown.
    pub(crate) fn write(
        &self,
        seq: u64,
        matters: bool,
        f: impl FnOnce(&WriteTransaction) -> Result<(), Fail>,
    ) -> Written {
        let result = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = open.as_ref() else { return Written::No(self.failed()) };
            self.guarded(|| {
                let txn = database.begin_write()?;
                f(&txn)?;
                txn.open_table(META)?.insert("seq", seq.to_le_bytes().as_slice())?;
                txn.commit()?;
                Ok(())
            })
        };
        let Err(error) = result else {
            self.last.fetch_max(seq, Ordering::SeqCst);
            // Not while the store is made: its presence proves that there is one.
            if self.is_established() {
                self.sequence.note(&*self.disk, seq);
            }
            return Written::Yes;
        };
        self.unsettled.store(matters, Ordering::SeqCst);
        let Ok(found) = self.reopen() else { return Written::Unknown(error) };
        self.unsettled.store(false, Ordering::SeqCst);
        if found == seq { Written::Yes } else { Written::No(error) }
    }

    /// Reads the whole database and checks every checksum in it. False: something in it was wrong and has been repaired.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be mended, or only by losing the last commit.
    pub(crate) fn check(&self) -> Result<bool> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = open.as_mut() else { return Err(self.failed()) };
        let result = self.guarded(|| Ok(database.check_integrity()?));
        drop(open);
        match result {
            Ok(true) => Ok(true),
            Ok(false) => self.reopen().map(|_| false),
            Err(e) => {
                // It refuses everything after an error.
                let again = self.reopen();
                Err(again.err().filter(|_| self.went_back.load(Ordering::SeqCst)).unwrap_or(e))
            }
        }
    }

    /// Moves pages to the front of the file and cuts it.
    pub(crate) fn compact(&self) -> Result<()> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = open.as_mut() else { return Err(self.failed()) };
        let result = self.guarded(|| {
            database.compact()?;
            Ok(())
        });
        drop(open);
        if result.is_err() {
            // The database refuses everything after an error; what it holds is what was committed.
            self.reopen()?;
        }
        result
    }

    /// Opens the database again after a failure; the number of the last commit that is in it.
    fn reopen(&self) -> Result<u64> {
        if self.went_back.load(Ordering::SeqCst) {
            return Err(self.failed());
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Closing may write; what it meets was reported already.
        let old = open.take();
        let _ = catch_unwind(AssertUnwindSafe(move || drop(old)));
        let database = self.open_database()?;
        let seq = self.guarded(|| {
            let txn = database.begin_read()?;
            let table = match txn.open_table(META) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) if !self.is_established() => return Ok(0),
                Err(e) => return Err(e.into()),
            };
            Ok(table.get("seq")?.map_or(0, |v| u64_from(v.value())))
        })?;
        if seq < self.last.load(Ordering::SeqCst) {
            self.went_back.store(true, Ordering::SeqCst);
            let _ = catch_unwind(AssertUnwindSafe(move || drop(database)));
            return Err(self.failed());
        }
        *open = Some(database);
        Ok(seq)
    }

    /// Opens the database again after a commit whose fate was unknown; the number of the last commit in it.
    pub(crate) fn settle(&self) -> Result<u64> {
        let seq = self.reopen()?;
        self.unsettled.store(false, Ordering::SeqCst);
        Ok(seq)
    }

    /// Sees to it that a write is not refused for what failed before.
    pub(crate) fn make_ready(&self) -> Result<()> {
        match self.try_read(|_| Ok(())) {
            Err((_, true)) => self.reopen().map(|_| ()),
            Err((e, false)) => Err(e),
            Ok(()) => Ok(()),
        }
    }

    fn failed(&self) -> Error {
        if self.went_back.load(Ordering::SeqCst) {
            return self.corrupt(
                "it was damaged and has lost its last commit; nothing is read or written until the store is opened again",
            );
        }
        Error::io(
            self.path(),
            std::io::Error::other("the database failed before and could not be opened again"),
        )
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // Closing reads and writes pages; on damaged ones redb panics.
        let old = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = catch_unwind(AssertUnwindSafe(move || drop(old)));
    }
}

/// A little-endian number of up to 8 bytes.
pub(crate) fn u64_from(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |n, b| n << 8 | u64::from(*b))
}
