//! One stage from start to commit.

use super::changes::{self, ReadTask, Task};
use super::checks::{self, Allowed, CheckedFolder};
use super::compare::Old;
use super::deltas::{self, ChangedBuild, Made};
use super::entries::EntryList;
use super::error::StageError;
use super::index::{ChangeIndex, Clock, NextIndex};
use super::news::StageNews;
use super::options::{BUDGET, StageOptions, StageSummary};
use super::pipeline::{Cut, Job, Pipeline, ReadItem, read_here};
use super::puts::PutList;
use super::target::{StageTarget, TargetState};
use super::writer::ContentWriter;
use crate::command::Stop;
use crate::folder::diff::ByteDiff;
use crate::folder::glob::{Ignore, Only};
use crate::folder::scan::{FileList, FileStat, LocalFile, LocalKind, scan_list};
use crate::secrets::{ContentVerdict, SecretFound, Suspect};
use bosc_drive::blobs::ContentMap;
use bosc_drive::drive::{DriveBatch, DriveEntry, EntryValue};
use bosc_format::crypto::Hash;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::SystemTime;

/// Files decided about ahead of the one being written, and blocks of old content held for them.
const AHEAD_FILES: usize = 512;
const AHEAD_BLOCKS: usize = 64 * 1024;

/// What clients read of a release.
const PACKAGE: &str = "/package.json";

/// Makes `target` hold what `root` holds. On an error nothing was written.
pub fn stage<T: StageTarget>(
    target: &mut T,
    root: &Path,
    options: &StageOptions,
    on: &mut dyn FnMut(StageNews),
) -> Result<StageSummary, StageError> {
    let result = run(target, root, options, on);
    if result.is_err() {
        target.rollback();
    }
    result
}

fn run<T: StageTarget>(
    target: &mut T,
    root: &Path,
    options: &StageOptions,
    on: &mut dyn FnMut(StageNews),
) -> Result<StageSummary, StageError> {
    let now = options.now.unwrap_or_else(SystemTime::now);
    let ignore = Ignore::new(&options.ignore)?.with_file(checks::ignore_file(root, on)?);
    let (only, allowed) = (Only::new(&options.only)?, Allowed::of(options)?);
    let before = target.state()?;
    let (mut files, found) = scan_list(root, &ignore, &only)?;
    if let Some(path) =
        options.package.as_deref().filter(|_| only.takes(PACKAGE) && files.find(PACKAGE).is_none())
    {
        let unreadable = |error| StageError::Read { path: path.to_owned(), error };
        files.push_apart(PACKAGE, path).map_err(unreadable)?;
    }
    checks::places(root, &files, &found, options)?;
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let bytes = files.iter().map(|f| f.size()).fold(0u64, u64::saturating_add);
    on(StageNews::Scanned { files: files.len() as u64, bytes });
    found.skipped.into_iter().for_each(|s| on(StageNews::Skipped(s)));
    let entries = changes::list(target, &files)?;
    let mut writer = Writer {
        content: ContentWriter::new(target, &before.blobs),
        on,
        dry_run: options.dry_run,
        stop: &options.stop,
        summary: StageSummary { before, after: before, ..StageSummary::default() },
        puts: PutList::default(),
        at: 0,
        suspects: BTreeMap::new(),
        sizeless: BTreeSet::new(),
        builds: Vec::new(),
    };
    let removals = changes::removals(&entries, &ignore, &only, options);
    let checked = CheckedFolder { files: &files, entries: &entries, removals: &removals, options };
    checked.names(writer.on)?;
    checked.dangling(writer.on);
    checked.versions(writer.on);
    if options.no_suspects {
        checked.suspects(&BTreeMap::new(), &allowed)?;
    }
    for entry in &removals {
        let size = Old::load(writer.content.target, entry)?.map_or(0, |o| o.size);
        writer.diff(ByteDiff::remove(&entry.key, size));
    }
    // Not before: what the checks take is free again now.
    let index = match &options.index {
        Some(path) => ChangeIndex::load(path, &root, &before, &options.keys),
        None => ChangeIndex::default(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hashers = options.hashers.unwrap_or(cores.saturating_sub(1).clamp(1, 4));
    std::thread::scope(|scope| {
        let pipeline = Pipeline::start(scope, hashers, BUDGET, &options.keys).map_err(StageError::Thread)?;
        writer.files(&files, &entries, &index, &pipeline)
    })?;
    let Writer { mut content, puts, mut summary, suspects, sizeless, builds, on, .. } = writer;
    if builds.is_empty() {
        // What is known of blocks is not needed any more, and is large.
        content.forget_known();
    }
    summary.suspects = checked.suspects(&suspects, &allowed)?;
    summary.suspects.iter().for_each(|found| on(StageNews::Suspect(found.clone())));
    checks::unmatched(&ignore, &only, &allowed, on);
    if options.stop.is_stopped() {
        return Err(StageError::Stopped);
    }
    if !options.dry_run {
        let with = (options.version.as_deref(), options.no_packed, &options.stop);
        let builds = if options.deltas { builds.as_slice() } else { &[] };
        let made = deltas::make(&mut content, (&files, &entries, &removals), builds, with, on)?;
        drop(content);
        let mut removals = removals;
        removals.extend(stale_deltas(&files, &entries, (&puts, &made), &removals));
        if !puts.is_empty() || !removals.is_empty() {
            summary.after = commit(target, &files, (&puts, &made.puts), &removals)?;
        }
        drop(removals);
        drop(entries);
        if let Some(path) = &options.index {
            // Only a memory aid: without it the next stage reads more.
            let in_scope = |key: &str| only.takes(key);
            let next = NextIndex {
                before: &index,
                files: &files,
                left_out: &sizeless,
                suspects: &suspects,
                now,
                clock: Clock::of(&root),
                in_scope: &in_scope,
            };
            let _ = next.save(path, &root, &summary.after, &options.keys);
        }
    }
    Ok(summary)
}

/// Blocks of entries given to the target at once.
const ENTRY_BLOCKS: usize = 256;

/// Writes the entries: first those that go, then the others in the order of their keys. They are one append, made as it
/// grows where the target can take that.
fn commit<T: StageTarget>(
    target: &mut T,
    files: &FileList,
    (puts, deltas): (&PutList, &[(String, EntryValue)]),
    removals: &[DriveEntry],
) -> Result<TargetState, StageError> {
    let entries = puts.iter().filter_map(|(at, value)| Some((files.key(at)?, Bytes::from(value.encode()))));
    let deltas = deltas.iter().map(|(key, value)| (key.as_str(), Bytes::from(value.encode())));
    let entries = rising(entries, deltas);
    let Some(source) = target.db_beside() else {
        let mut batch = DriveBatch::new(target.db());
        removals.iter().try_for_each(|entry| batch.del(&entry.key).map(drop))?;
        for (key, value) in entries {
            batch.put_encoded(key, value)?;
        }
        let mut blocks = batch.blocks().map(Bytes::from);
        return Ok(target.commit(&mut blocks)?);
    };
    let mut batch = DriveBatch::new(&*source);
    removals.iter().try_for_each(|entry| batch.del(&entry.key).map(drop))?;
    let mut batch = batch.rising();
    let mut group = Vec::new();
    for (key, value) in entries {
        batch.put_encoded(key, value)?;
        while let Some(block) = batch.next_block() {
            group.push(Bytes::from(block));
        }
        if group.len() >= ENTRY_BLOCKS {
            target.append_db(std::mem::take(&mut group))?;
        }
    }
    target.append_db(group)?;
    let mut rest = batch.finish().map(Bytes::from);
    Ok(target.commit(&mut rest)?)
}

/// The entries of both, by key, each of which come by key.
fn rising<'k>(
    one: impl Iterator<Item = (&'k str, Bytes)>,
    other: impl Iterator<Item = (&'k str, Bytes)>,
) -> impl Iterator<Item = (&'k str, Bytes)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b.0 < a.0 => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// Deltas to what files held before this stage.
fn stale_deltas(
    files: &FileList,
    entries: &EntryList<'_>,
    (puts, made): (&PutList, &Made),
    removals: &[DriveEntry],
) -> Vec<DriveEntry> {
    if entries.select_beside_files(bosc_drive::deltas::holds).is_empty() {
        return Vec::new();
    }
    let changed = puts.iter().filter_map(|(at, value)| {
        let key = files.key(at)?;
        entries.find(key).is_some_and(|e| e.value.blob != value.blob).then_some(key)
    });
    let gone = removals.iter().map(|e| e.key.as_str()).chain(changed).collect();
    deltas::stale(entries, &gone, made)
}

struct Writer<'a, T> {
    content: ContentWriter<'a, T>,
    on: &'a mut dyn FnMut(StageNews),
    dry_run: bool,
    stop: &'a Stop,
    summary: StageSummary,
    puts: PutList,
    /// Place of the present file in the list.
    at: usize,
    /// What the content of files looks like, by key.
    suspects: BTreeMap<String, Suspect>,
    /// Keys of files that say they are empty and are not: nothing tells when their content changes.
    sizeless: BTreeSet<String>,
    /// Files of builds whose content changed.
    builds: Vec<ChangedBuild>,
}

/// How far the comparison of a file has come.
enum CompareProgress {
    /// All so far is as in the drive; the next piece is compared with this block.
    Equal(usize),
    Changed,
    /// The content is the same though it is cut otherwise; what still comes is of no interest.
    Same,
    /// It changed, and that is all a dry run wants to know.
    Known,
    /// It changed, but was cut for comparing: it must be read again.
    Again,
}

impl<T: StageTarget> Writer<'_, T> {
    fn go_on(&self) -> Result<(), StageError> {
        if self.stop.is_stopped() { Err(StageError::Stopped) } else { Ok(()) }
    }

    fn diff(&mut self, diff: ByteDiff) {
        self.summary.count.count(&diff);
        (self.on)(StageNews::Diff(diff));
    }

    fn files(
        &mut self,
        files: &FileList,
        entries: &EntryList<'_>,
        index: &ChangeIndex,
        pipeline: &Pipeline,
    ) -> Result<(), StageError> {
        let mut index = index.cursor();
        let mut ahead: VecDeque<Task> = VecDeque::new();
        let mut blocks_ahead = 0;
        let mut undecided = files.iter().enumerate();
        let mut done = (0u64, 0u64);
        for (at, file) in files.iter().enumerate() {
            self.go_on()?;
            self.at = at;
            while ahead.is_empty() || (ahead.len() < AHEAD_FILES && blocks_ahead < AHEAD_BLOCKS) {
                let Some((i, next)) = undecided.next() else { break };
                let number = i as u64 + 1;
                let next = (files, next);
                let (task, job) = changes::decide(
                    self.content.target,
                    next,
                    entries,
                    &mut index,
                    &mut self.suspects,
                    number,
                )?;
                blocks_ahead += blocks_of(&task);
                ahead.push_back(task);
                if let Some(job) = job {
                    pipeline.submit(job);
                }
            }
            let Some(task) = ahead.pop_front() else { break };
            blocks_ahead = blocks_ahead.saturating_sub(blocks_of(&task));
            match task {
                Task::Same => {}
                Task::Put(value, diff) => self.put(value, diff),
                Task::Read(task) => self.read(&file.to_local(files), *task, pipeline)?,
            }
            self.summary.count.files += 1;
            done = (done.0 + 1, done.1.saturating_add(file.size()));
            (self.on)(StageNews::Progress { files: done.0, bytes: done.1 });
        }
        self.content.flush(Some(&|n| pipeline.release(n)))?;
        Ok(())
    }

    fn put(&mut self, value: EntryValue, diff: ByteDiff) {
        self.diff(diff);
        if !self.dry_run {
            self.puts.push(self.at, value);
        }
    }

    fn read(&mut self, file: &LocalFile, mut task: ReadTask, pipeline: &Pipeline) -> Result<(), StageError> {
        self.summary.read += 1;
        let mut map = self.content.start();
        let mut progress = if task.comparable { CompareProgress::Equal(0) } else { CompareProgress::Changed };
        let mut runs = None;
        let mut seen = 0u64;
        loop {
            let (bytes, hash) = match pipeline.next() {
                ReadItem::Piece(bytes, hash) => (bytes, hash),
                ReadItem::Looked(ContentVerdict::Secret(secret)) => {
                    return Err(SecretFound { path: file.path.clone(), secret }.into());
                }
                ReadItem::Looked(ContentVerdict::Suspect(suspect)) => {
                    self.suspects.insert(file.key.clone(), suspect);
                    continue;
                }
                ReadItem::Looked(ContentVerdict::Plain) => continue,
                ReadItem::End => break,
                other => return Err(failed(file, other)),
            };
            self.go_on()?;
            let size = bytes.len();
            seen = seen.saturating_add(size as u64);
            runs.get_or_insert_with(|| looks_executable(&bytes));
            if let CompareProgress::Equal(at) = progress {
                progress = self.compare(file, &task, at, &hash, size, &mut map)?;
                if !matches!(progress, CompareProgress::Equal(_) | CompareProgress::Changed) {
                    pipeline.cancel(task.job);
                }
                if let CompareProgress::Equal(_) = progress {
                    pipeline.release(size);
                    continue;
                }
            }
            match progress {
                CompareProgress::Changed if self.dry_run => {
                    pipeline.cancel(task.job);
                    pipeline.release(size);
                    progress = CompareProgress::Known;
                }
                CompareProgress::Changed => self.place(&mut map, &mut task, bytes, hash, Some(pipeline))?,
                _ => pipeline.release(size),
            }
        }
        let same = match progress {
            CompareProgress::Equal(at) => task.old.as_ref().is_some_and(|o| o.blocks.len() == at),
            CompareProgress::Same => true,
            _ => false,
        };
        let runs = runs.unwrap_or(false);
        if task.size == 0 && seen > 0 {
            self.sizeless.insert(file.key.clone());
            task.size = seen;
        }
        match (same, &task.entry) {
            (true, Some(entry)) => {
                if let Task::Put(value, diff) = changes::same_content(entry, task.executable) {
                    self.put(value, diff);
                }
                Ok(())
            }
            _ => {
                if !self.dry_run && matches!(progress, CompareProgress::Again) {
                    self.read_again(file, &mut map, &mut task)?;
                }
                self.changed(file, map, &task, runs)
            }
        }
    }

    /// Compares a piece with the block in its place.
    fn compare(
        &self,
        file: &LocalFile,
        task: &ReadTask,
        at: usize,
        hash: &Hash,
        size: usize,
        map: &mut ContentMap,
    ) -> Result<CompareProgress, StageError> {
        let Some(old) = &task.old else { return Ok(CompareProgress::Changed) };
        if let Some(known) = old.matches(at, hash, size as u64) {
            map.push(hash, size as u64, |_| Some(known));
            return Ok(CompareProgress::Equal(at + 1));
        }
        if !old.mapped {
            return Ok(if self.dry_run { CompareProgress::Known } else { CompareProgress::Again });
        }
        // Equal length and another hash: another content. Another length may be another way of cutting.
        if old.blocks.get(at).is_none_or(|b| b.leaf.size != size as u64) && equal_at_blocks(file, old)? {
            return Ok(CompareProgress::Same);
        }
        Ok(CompareProgress::Changed)
    }

    /// Puts a piece of a changed file in its place.
    fn place(
        &mut self,
        map: &mut ContentMap,
        task: &mut ReadTask,
        bytes: Bytes,
        hash: Hash,
        pipeline: Option<&Pipeline>,
    ) -> Result<(), StageError> {
        let release = pipeline.map(|p| |n| p.release(n));
        let release = release.as_ref().map(|f| f as &dyn Fn(usize));
        Ok(self.content.place(map, task.old.as_mut(), bytes, hash, release)?)
    }

    /// Cuts a changed file by content on this thread.
    fn read_again(
        &mut self,
        file: &LocalFile,
        map: &mut ContentMap,
        task: &mut ReadTask,
    ) -> Result<(), StageError> {
        *map = self.content.start();
        let mut failure = None;
        let last = read_here(&job_of(file, task.job, Cut::Content), |bytes, hash| {
            failure = self.place(map, task, bytes, hash, None).err();
            failure.is_none()
        });
        match (failure, last) {
            (Some(e), _) => Err(e),
            (None, ReadItem::End) => Ok(()),
            (None, other) => Err(failed(file, other)),
        }
    }

    /// Writes the map and the entry of a changed file whose pieces are all placed.
    fn changed(
        &mut self,
        file: &LocalFile,
        map: ContentMap,
        task: &ReadTask,
        runs: bool,
    ) -> Result<(), StageError> {
        let diff = match &task.entry {
            Some(_) => ByteDiff::change(&file.key, task.removed, task.size),
            None => ByteDiff::add(&file.key, task.size),
        };
        let executable =
            task.executable.unwrap_or_else(|| task.entry.as_ref().map_or(runs, |e| e.value.executable));
        if self.dry_run {
            self.diff(diff);
            return Ok(());
        }
        let (id, cost) = self.content.finish(map)?;
        self.summary.new_blocks += cost.blocks;
        self.summary.new_bytes += cost.bytes;
        self.summary.shared_bytes += task.size.saturating_sub(cost.bytes);
        if ChangedBuild::is_one(&file.key, task.size, cost.bytes) {
            self.builds.push(ChangedBuild { at: self.at, new_bytes: cost.bytes });
        }
        self.put(EntryValue::file(id, executable), diff);
        Ok(())
    }
}

fn blocks_of(task: &Task) -> usize {
    match task {
        Task::Read(task) => task.old.as_ref().map_or(0, |o| o.blocks.len()),
        _ => 0,
    }
}

fn job_of(file: &LocalFile, number: u64, cut: Cut) -> Job {
    let stat = match &file.kind {
        LocalKind::File { stat, .. } => *stat,
        LocalKind::Symlink { .. } => FileStat::default(),
    };
    Job { number, path: file.path.clone(), stat, cut }
}

fn failed(file: &LocalFile, item: ReadItem) -> StageError {
    match item {
        ReadItem::Failed(error) => StageError::Read { path: file.path.clone(), error },
        _ => StageError::Unstable { path: file.path.clone() },
    }
}

/// Whether the file, cut where the old content is cut, is that content.
fn equal_at_blocks(file: &LocalFile, old: &Old) -> Result<bool, StageError> {
    let sizes = old.blocks.iter().map(|b| b.leaf.size).collect();
    let mut at = 0;
    let mut equal = true;
    let last = read_here(&job_of(file, 0, Cut::At(sizes)), |bytes, hash| {
        equal = old.matches(at, &hash, bytes.len() as u64).is_some();
        at += 1;
        equal
    });
    match last {
        ReadItem::End => Ok(equal && at == old.blocks.len()),
        other => Err(failed(file, other)),
    }
}

/// Whether a file starts like a program or script, where the system has no executable bit.
fn looks_executable(start: &[u8]) -> bool {
    const MAGIC: [&[u8]; 8] = [
        b"\x7fELF",
        b"#!",
        b"\xcf\xfa\xed\xfe",
        b"\xce\xfa\xed\xfe",
        b"\xfe\xed\xfa\xcf",
        b"\xfe\xed\xfa\xce",
        b"\xca\xfe\xba\xbe",
        b"\xbe\xba\xfe\xca",
    ];
    MAGIC.iter().any(|m| start.starts_with(m))
}
