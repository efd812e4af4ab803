//! What a store's folder may look like when it is opened, and what that means.
//!
//! The files: `FORMAT`, `SEQ`, `bosc.redb`, `data/*.seg` (and `LOCK` and `OWNER`, which say nothing: whoever opens a
//! folder makes them; and `MARK` and `MARK.new`, which tell a store from its copies: see [`crate::identity`]). They are made in this order, each durable, name and bytes, before the next one begins:
//!
//! 1. `bosc.redb`, with the tables and the primary key in it;
//! 2. `FORMAT`;
//! 3. only then the store is handed out: `SEQ` and segments come with what is written to it.
//!
//! So a crash while a store is made leaves a database file that is missing, empty or begun, and nothing else. `FORMAT`,
//! `SEQ` or a segment, in whatever state, prove that there was a whole database once:
//!
//! | `FORMAT`, `SEQ`, segments | `bosc.redb` | the folder is |
//! |---|---|---|
//! | none of them | missing, empty, or begun (its first bytes are zeros) | new: a store is made |
//! | none of them | a database | new: its making is finished |
//! | none of them | anything else | damaged: that file is not ours to empty |
//! | any of them | a database with the store's tables | a store; a lost `FORMAT` is written again |
//! | any of them | missing, empty, begun, anything else, or without the tables | damaged |
//!
//! A damaged folder is left as it is: nothing is written, cut off or removed. A store that were made in it anew would
//! have another primary key, and would take the blocks it does not know for a crash's leavings.
//!
//! # What may be removed
//!
//! A crash leaves bytes in segments, or whole segments, behind the last commit. They are removed at the next opening,
//! but only when they cannot be anything else:
//!
//! * The database was read, and every checksum in it is right (asked only when there is something to remove).
//! * The database is the newest one that was in this folder. `SEQ` says which commit was the last; a database with a
//!   lower number was put back from a backup, and what it does not name may be what was written since. That is kept,
//!   and remembered in the database (`kept` in the table `meta`); no later opening takes it for a crash's leavings. A
//!   store without `SEQ` is one of before there was such a file: it counts as up to date.
//! * Nothing says that the folder is a copy or was put back ([`crate::identity`]): a whole backup written over the
//!   folder sets database and `SEQ` back together. What is not named then is kept in the same way.

use crate::db::{self, FORMAT_VERSION};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::segment::FOLDER;
use crate::sequence;
use std::path::Path;

/// Names the format, in a file of its own: a version that keeps nothing in `bosc.redb` can say so.
pub(crate) const FORMAT_FILE: &str = "FORMAT";
const FORMAT_PREFIX: &str = "bosc-store ";
/// First bytes of a redb file. They are written last when one is made.
const REDB_MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// What the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FolderState {
    /// No store was ever finished here: tables and a primary key may be made.
    New,
    /// There is a store: the database must have its tables and its primary key.
    Store {
        /// `FORMAT` is to be written again.
        unformatted: bool,
    },
}

/// What is found in place of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    Missing,
    Empty,
    /// Its making was cut short: redb writes its first bytes last.
    Begun,
    Redb,
    Other,
}

/// Looks at the folder and changes nothing.
///
/// # Errors
/// [`Error::NewerVersion`]; [`Error::Corrupt`] for a folder that is damaged; what the file system says.
pub(crate) fn look(disk: &dyn Disk) -> Result<FolderState> {
    let format = read_format(disk)?;
    let segments: Vec<_> = disk
        .list(FOLDER)
        .map_err(|e| Error::io(disk.path(FOLDER), e))?
        .into_iter()
        .filter(|name| name.ends_with(".seg"))
        .collect();
    let seen = exists(disk, sequence::FILE)?;
    let database = look_at_database(disk)?;
    if format == Format::Missing && segments.is_empty() && !seen {
        return match database {
            Database::Other => {
                Err(damaged(disk, "is not a database, and nothing else of a store is beside it"))
            }
            _ => Ok(FolderState::New),
        };
    }
    let beside = match segments.len() {
        0 => "a store was made here".to_owned(),
        1 => "a segment with blocks is here".to_owned(),
        n => format!("{n} segments with blocks are here"),
    };
    match database {
        Database::Redb => Ok(FolderState::Store { unformatted: format != Format::Ours }),
        Database::Missing => Err(damaged(disk, &format!("is missing, but {beside}"))),
        Database::Empty => Err(damaged(disk, &format!("is empty, but {beside}"))),
        Database::Begun => Err(damaged(disk, &format!("has lost its beginning, but {beside}"))),
        Database::Other => Err(damaged(disk, &format!("is no longer a database, but {beside}"))),
    }
}

/// Empties a database file whose making was cut short, so that it is made again. For a folder that is
/// [`FolderState::New`].
pub(crate) fn clear_begun(disk: &dyn Disk) -> Result<()> {
    if look_at_database(disk)? == Database::Begun
        && let Some(file) = disk.open(db::FILE, false).map_err(|e| Error::io(disk.path(db::FILE), e))?
    {
        file.set_len(0).map_err(|e| Error::io(disk.path(db::FILE), e))?;
    }
    Ok(())
}

/// Writes `FORMAT`, once the database is there to stay.
pub(crate) fn write_format(disk: &dyn Disk) -> Result<()> {
    let io = |e| Error::io(disk.path(FORMAT_FILE), e);
    // Its presence proves that there is a database: that one's name comes first.
    disk.sync_dirs().map_err(io)?;
    let file = disk.open(FORMAT_FILE, true).map_err(io)?.ok_or(Error::NotFound("the format file"))?;
    let text = format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n");
    file.set_len(0).map_err(io)?;
    file.write_at(0, text.as_bytes()).map_err(io)?;
    file.sync().map_err(io)?;
    disk.sync_dirs().map_err(io)
}

/// Whether a store is, or was, in this folder: some file of one is there. Nothing is made or opened.
pub fn is_store(dir: impl AsRef<Path>) -> bool {
    let dir = dir.as_ref();
    let segments = || std::fs::read_dir(dir.join(FOLDER)).is_ok_and(|mut files| files.next().is_some());
    [db::FILE, FORMAT_FILE, sequence::FILE].iter().any(|name| dir.join(name).exists()) || segments()
}

/// A folder whose database is not what it must be.
fn damaged(disk: &dyn Disk, what: &str) -> Error {
    Error::corrupt(format!("{} {what}", disk.path(db::FILE).display()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Missing,
    Ours,
    /// Empty or something else.
    Unreadable,
}

fn read_format(disk: &dyn Disk) -> Result<Format> {
    let io = |e| Error::io(disk.path(FORMAT_FILE), e);
    let Some(file) = disk.open(FORMAT_FILE, false).map_err(io)? else { return Ok(Format::Missing) };
    let len = usize::try_from(file.len().map_err(io)?).unwrap_or(usize::MAX).min(64);
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes).map_err(io)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let Some(Ok(found)) = text
        .strip_prefix(FORMAT_PREFIX)
        .and_then(|rest| rest.strip_suffix('\n'))
        .map(|version| version.trim().parse::<u64>())
    else {
        return Ok(Format::Unreadable);
    };
    if found > FORMAT_VERSION {
        return Err(Error::NewerVersion { found, supported: FORMAT_VERSION });
    }
    Ok(Format::Ours)
}

fn exists(disk: &dyn Disk, name: &str) -> Result<bool> {
    Ok(disk.open(name, false).map_err(|e| Error::io(disk.path(name), e))?.is_some())
}

fn look_at_database(disk: &dyn Disk) -> Result<Database> {
    let io = |e| Error::io(disk.path(db::FILE), e);
    let Some(file) = disk.open(db::FILE, false).map_err(io)? else { return Ok(Database::Missing) };
    let len = file.len().map_err(io)?;
    if len == 0 {
        return Ok(Database::Empty);
    }
    let mut first = vec![0; REDB_MAGIC.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    file.read_at(0, &mut first).map_err(io)?;
    Ok(match first.as_slice() {
        REDB_MAGIC => Database::Redb,
        zeros if zeros.iter().all(|b| *b == 0) => Database::Begun,
        _ => Database::Other,
    })
}
