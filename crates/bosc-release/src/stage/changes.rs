//! Folder against drive: what must be removed, linked, or read.

use super::compare::Old;
use super::entries::EntryList;
use super::error::StageError;
use super::index::IndexCursor;
use super::options::StageOptions;
use super::pipeline::{Cut, Job};
use super::target::StageTarget;
use crate::folder::diff::ByteDiff;
use crate::folder::glob::{Ignore, Only};
use crate::folder::scan::{FileList, ListedFile, ListedKind};
use crate::secrets::Suspect;
use bosc_drive::deltas;
use bosc_drive::drive::{Drive, DriveEntry, EntryValue, path};
use std::collections::BTreeMap;

/// What to do about one file of the folder.
#[derive(Debug)]
pub(super) enum Task {
    /// It is in the drive as it is.
    Same,
    /// Put an entry that needs no content: a symlink, or a changed executable bit.
    Put(EntryValue, ByteDiff),
    /// Read it.
    Read(Box<ReadTask>),
}

/// A file to read, and what the drive has in its place.
#[derive(Debug)]
pub(super) struct ReadTask {
    pub(super) job: u64,
    /// The entry in the drive.
    pub(super) entry: Option<DriveEntry>,
    /// Its content, when all of it is known.
    pub(super) old: Option<Old>,
    /// Bytes the diff says go away.
    pub(super) removed: u64,
    pub(super) executable: Option<bool>,
    pub(super) size: u64,
    /// Whether the content may be the same.
    pub(super) comparable: bool,
}

/// All entries of the drive, by key.
pub(super) fn list<'f, T: StageTarget>(target: &T, files: &'f FileList) -> Result<EntryList<'f>, StageError> {
    Ok(EntryList::new(files, Drive::new(target.db()).list("/")?)?)
}

/// Entries to remove, by key.
pub(super) fn removals(
    entries: &EntryList<'_>,
    ignore: &Ignore,
    only: &Only,
    options: &StageOptions,
) -> Vec<DriveEntry> {
    entries.select_beside_files(|key| {
        if deltas::holds(key) {
            // They go with their file.
            return false;
        }
        if ignore.ignores(key) { options.purge } else { !options.keep_missing && only.takes(key) }
    })
}

/// Decides about one file. A file that must be read also gets a job. One that is not was looked at before: what it looked
/// like then goes to `suspects`. Files come in the order of their keys.
pub(super) fn decide<T: StageTarget>(
    target: &T,
    (files, file): (&FileList, ListedFile<'_>),
    entries: &EntryList<'_>,
    index: &mut IndexCursor<'_>,
    suspects: &mut BTreeMap<String, Suspect>,
    number: u64,
) -> Result<(Task, Option<Job>), StageError> {
    let entry = entries.find(file.key);
    let (stat, executable) = match file.kind {
        ListedKind::Symlink { target: link } => {
            return Ok((symlink(target, file.key, link, entry.as_ref())?, None));
        }
        ListedKind::File { stat, executable } => (stat, executable),
    };
    let Some(entry) = entry else {
        let task = ReadTask {
            job: number,
            entry: None,
            old: None,
            removed: 0,
            executable,
            size: stat.size,
            comparable: false,
        };
        let job = Job { number, path: files.path(file.key), stat, cut: Cut::Content };
        return Ok((Task::Read(Box::new(task)), Some(job)));
    };
    let is_file = entry.value.linkname.is_none() && entry.value.blob.is_some();
    if is_file && let Some(suspect) = index.unchanged(file.key, &stat) {
        suspects.extend(suspect.map(|s| (file.key.to_owned(), s)));
        return Ok((same_content(&entry, executable), None));
    }
    let old = Old::load(target, &entry)?;
    let removed = old.as_ref().map_or(0, |o| o.size);
    // One that says it is empty may have content all the same (`/proc`).
    let comparable = is_file && old.as_ref().is_some_and(|o| o.size == stat.size || stat.size == 0);
    let cut = match &old {
        Some(old) if comparable && !old.mapped => Cut::At(old.blocks.iter().map(|b| b.leaf.size).collect()),
        _ => Cut::Content,
    };
    let job = Job { number, path: files.path(file.key), stat, cut };
    let task =
        ReadTask { job: number, entry: Some(entry), old, removed, executable, size: stat.size, comparable };
    Ok((Task::Read(Box::new(task)), Some(job)))
}

/// For a file whose content the drive has.
pub(super) fn same_content(entry: &DriveEntry, executable: Option<bool>) -> Task {
    match executable {
        Some(executable) if executable != entry.value.executable => {
            let value = EntryValue { executable, ..entry.value.clone() };
            Task::Put(value, ByteDiff::change(&entry.key, 0, 0))
        }
        _ => Task::Same,
    }
}

fn symlink<T: StageTarget>(
    target: &T,
    key: &str,
    link: &str,
    entry: Option<&DriveEntry>,
) -> Result<Task, StageError> {
    let value = EntryValue::symlink(link);
    let Some(entry) = entry else { return Ok(Task::Put(value, ByteDiff::add(key, 0))) };
    if entry.value.linkname.as_deref().is_some_and(|known| same_link(key, known, link)) {
        return Ok(Task::Same);
    }
    let removed = Old::load(target, entry)?.map_or(0, |o| o.size);
    Ok(Task::Put(value, ByteDiff::change(key, removed, 0)))
}

/// Whether two targets of the link `key` mean the same. A dump writes absolute targets as relative ones.
pub(crate) fn same_link(key: &str, known: &str, link: &str) -> bool {
    if known == link {
        return true;
    }
    let folder = key.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder });
    known.starts_with('/') != link.starts_with('/')
        && matches!((path::resolve(folder, known), path::resolve(folder, link)), (Ok(a), Ok(b)) if a == b)
}
