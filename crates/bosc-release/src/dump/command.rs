//! `dump`: a drive's files to a folder or to the caller.

use super::actions::DumpOptions;
use super::event::{Content, DumpEvent, DumpStats, Dumped, FilePart, Received, Sent};
use super::plan::plan;
use super::request::{Dump, DumpError};
use super::root::Root;
use super::write::FileOutcome as Written;
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, check_batch_end, drive_error, parse_link_with_path};
use crate::engine::errors::store_error;
use crate::engine::folders::WORK_FOLDER;
use crate::engine::follow::{reading, stopped, update};
use crate::engine::open::Opened;
use crate::error::{CommandError, ErrorKind};
use crate::folder::diff::DiffCount;
use crate::folder::glob::Only;
use crate::secrets::KeysInUse;
use bosc_drive::blobs::{BlobReader, content_blocks};
use bosc_drive::deltas;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_follow::read::Attempt;
use bosc_follow::{Fetch, FollowError, FollowedCore};
use bosc_format::link::PearLink;
use bosc_node::Download;
use bosc_store::Core;
use bytes::Bytes;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two `stats` events.
const STATS_EVERY: Duration = Duration::from_millis(250);
/// Content of one `file` event, in bytes; larger files come as several.
const PART: usize = 256 << 10;

pub(crate) struct Dumping<'a> {
    pub(crate) opened: &'a Opened,
    pub(crate) blobs: Option<Core>,
    pub(crate) version: u64,
    pub(crate) timeout: Duration,
    /// The folder of the store in use.
    pub(crate) store: &'a Path,
    pub(crate) stop: &'a Stop,
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) told: Instant,
    /// What is written in all, once that is known.
    pub(crate) content: Option<Content>,
}

impl Engine {
    pub(crate) fn dump(
        &self,
        request: &Dump,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Dumped, CommandError> {
        let link = parse_link_with_path(&request.link)?;
        let path = link.path().ok_or_else(|| CommandError::input("the path in the link is not UTF-8"))?;
        let shown = request.dir.as_ref().map_or("-".to_owned(), |d| d.display().to_string());
        sink.tell(DumpEvent::Dumping { link: request.link.clone(), dir: shown, list: request.list });
        if request.dry_run {
            sink.tell(DumpEvent::Dry);
        }
        // Of every drive, the first block is its header.
        if let Some(version) = request.checkout.or(link.version.map(|v| v.length)).filter(|v| *v <= 1) {
            return Err(no_files(version));
        }
        let dir = request.dir.as_deref().filter(|_| !request.list);
        self.dump_to(dir, &link, &path, request, sink, stop).map_err(|e| again(e, request))
    }

    fn dump_to(
        &self,
        dir: Option<&Path>,
        link: &PearLink,
        path: &str,
        request: &Dump,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Dumped, CommandError> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let root = match dir {
            Some(dir) => Some(self.root(dir, link, request.force)?),
            None => None,
        };
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let opened = self.open_fresh(link, timeout, stop)?;
        let head = opened.drive.db.head();
        let version = request.checkout.or(link.version.map(|v| v.length)).unwrap_or(head.length);
        if version > head.length {
            return Err(CommandError::not_found(format!(
                "the drive has no version {version} (it has {})",
                head.length
            ))
            .hint("use a length that a verlink showed"));
        }
        let mut d = self.dumping(&opened, version, timeout, stop, sink)?;
        if version != head.length {
            let source = opened.entries();
            d.reading(opened.db()).read(|| check_batch_end(source.clone(), version))?;
        }
        let entries = if version <= 1 { Vec::new() } else { d.entries(path)? };
        let outcome = match entries.is_empty() {
            true => Err(no_files(version)),
            false => d.run(request, root.as_ref(), path, entries),
        };
        self.tell_conflicts(&opened, sink)?;
        crate::mirror::sources::tell(opened.followed.as_ref(), sink);
        self.store.flush().map_err(store_error)?;
        let count = outcome?;
        let received = [opened.db(), opened.blobs()?]
            .into_iter()
            .flatten()
            .map(FollowedCore::downloaded_bytes)
            .sum::<u64>();
        Ok(Dumped { count, received, version })
    }

    /// A version of an open drive whose files are to be written.
    pub(crate) fn dumping<'a>(
        &'a self,
        opened: &'a Opened,
        version: u64,
        timeout: Duration,
        stop: &'a Stop,
        sink: &'a mut dyn Sink,
    ) -> Result<Dumping<'a>, CommandError> {
        let blobs = opened.drive.blobs()?;
        Ok(Dumping {
            opened,
            blobs,
            version,
            timeout,
            store: &self.dir,
            stop,
            sink,
            told: Instant::now(),
            content: None,
        })
    }

    /// The folder to write. That it is in use is told early, before the network is asked; that there is nothing to write,
    /// as far as this store knows for sure, is told before that.
    fn root(&self, dir: &Path, link: &PearLink, force: bool) -> Result<Root, CommandError> {
        let root = Root::open(dir).map_err(|e| {
            CommandError::new(
                ErrorKind::Permission,
                "ERR_UNREADABLE",
                format!("the folder {} cannot be used", dir.display()),
            )
            .because(e)
            .hint("choose another folder")
        })?;
        if !force && root.is_used().map_err(dump_error)? {
            let drive = self.open_drive(link)?;
            if drive.db.writable() && drive.db.length() <= 1 && !self.is_shared(&drive)? {
                return Err(no_files(drive.db.length()));
            }
            return Err(dump_error(DumpError::NotEmpty(dir.to_owned())));
        }
        Ok(root)
    }
}

/// A version without a file: nothing can be made of it, and no folder be made the same.
pub(crate) fn no_files(version: u64) -> CommandError {
    match version {
        0 | 1 => CommandError::not_found("the link holds nothing at this version").hint(
            "stage to it with `bosc stage <link> <dir>`, or name a version that `bosc versions <link>` lists",
        ),
        _ => CommandError::not_found(format!("version {version} of the link holds no files"))
            .hint("nothing was touched; name a version that `bosc versions <link>` lists"),
    }
}

/// A core that is read for a dump.
struct DumpReading<'d, 'a> {
    dumping: &'d mut Dumping<'a>,
    core: Option<&'d FollowedCore>,
}

impl Fetch for DumpReading<'_, '_> {
    type Error = CommandError;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), CommandError> {
        if self.core.is_some() {
            self.dumping.stats();
        }
        reading(self.core, self.dumping.timeout, self.dumping.stop).fetch(block, ahead)
    }
}

impl Attempt for DumpError {
    type Error = Self;

    fn lacks(&self) -> Option<(u64, Vec<u64>)> {
        match self {
            Self::Missing(blocks) => Some((blocks.first().copied().unwrap_or(0), blocks.clone())),
            _ => None,
        }
    }

    fn into_error(self) -> Self {
        self
    }
}

impl From<DumpError> for CommandError {
    fn from(e: DumpError) -> Self {
        dump_error(e)
    }
}

impl<'a> Dumping<'a> {
    fn run(
        &mut self,
        request: &Dump,
        root: Option<&Root>,
        path: &str,
        entries: Vec<DriveEntry>,
    ) -> Result<DiffCount, CommandError> {
        let only = Only::new(&request.only).map_err(|e| CommandError::input(e.to_string()))?;
        if entries.iter().filter(|e| only.takes(&e.key)).count() == 0 {
            return Err(dump_error(DumpError::NothingTaken));
        }
        for pattern in only.unused() {
            self.sink.tell(DumpEvent::Unmatched { list: "only".into(), pattern: pattern.to_owned() });
        }
        if request.list || request.dir.is_none() {
            let mut count = DiffCount::default();
            for entry in entries.iter().filter(|e| only.takes(&e.key)) {
                count.files += 1;
                if request.list {
                    let file = FilePart { key: entry.key.clone(), ..FilePart::default() };
                    self.sink.tell(DumpEvent::File(file));
                } else {
                    self.tell_content(entry)?;
                }
            }
            return Ok(count);
        }
        match root {
            Some(root) => self.write(request, root, path, &entries),
            None => Ok(DiffCount::default()),
        }
    }

    /// The drive's files below `path`, or the one it names.
    pub(crate) fn entries(&mut self, path: &str) -> Result<Vec<DriveEntry>, CommandError> {
        let drive = Drive::checkout(self.opened.entries(), self.version);
        let db = self.opened.db();
        let path = path.trim_end_matches('/');
        if !path.is_empty()
            && let Some(entry) = self.reading(db).read(|| drive.entry(path))?
        {
            return Ok(vec![entry]);
        }
        let mut out = self.reading(db).all(drive.list(if path.is_empty() { "/" } else { path })?)?;
        if path.is_empty() {
            // They are no part of what was staged: whoever wants them names their folder.
            out.retain(|entry| !deltas::holds(&entry.key));
        }
        if out.is_empty() && !path.is_empty() {
            return Err(CommandError::not_found(format!("the drive has no {path}"))
                .hint("see what it has with `bosc dump <link> --list`"));
        }
        Ok(out)
    }

    /// Reads `core`, showing how it goes whenever something is missing.
    fn reading<'d>(&'d mut self, core: Option<&'d FollowedCore>) -> DumpReading<'d, 'a> {
        DumpReading { dumping: self, core }
    }

    /// The blobs core as long as this version needs it.
    fn blobs(&mut self) -> Result<Core, CommandError> {
        let core =
            self.blobs.clone().ok_or_else(|| CommandError::failed("the drive's manifest is not known"))?;
        if let Some(blobs) = self.opened.blobs()? {
            let before = blobs.status();
            let patience =
                if before.length > 0 { Duration::from_secs(5).min(self.timeout) } else { self.timeout };
            update(blobs, 0, patience, self.stop)?;
        }
        Ok(core)
    }

    /// Waits until the blobs core is long enough for a block that was not known to exist.
    fn longer(&self, block: u64) -> Result<(), CommandError> {
        let Some(blobs) = self.opened.blobs()? else {
            return Err(drive_error(bosc_drive::Error::Missing(block)));
        };
        update(blobs, block.saturating_add(1), self.timeout, self.stop)?;
        if blobs.status().length <= block {
            return Err(FollowError::TimedOut(blobs.in_vain()).into());
        }
        Ok(())
    }

    /// Makes the folder hold the entries, which are those of the drive below `path`.
    pub(crate) fn write(
        &mut self,
        request: &Dump,
        root: &Root,
        path: &str,
        entries: &[DriveEntry],
    ) -> Result<DiffCount, CommandError> {
        let blobs = self.blobs()?;
        let live = self.opened.blobs()?;
        let needed = entries
            .iter()
            .filter_map(|e| e.value.blob)
            .map(|b| b.block_offset.saturating_add(b.block_length))
            .max()
            .unwrap_or(0);
        if needed > blobs.length() {
            self.longer(needed - 1)?;
        }
        let options = DumpOptions {
            below: path.to_owned(),
            only: request.only.clone(),
            keep_missing: !request.prune,
            force: request.force,
            dry_run: request.dry_run,
            fsync: false,
        };
        let source = self.opened.contents(&blobs);
        let leaf = |block| blobs.leaf_hash(block).ok().flatten();
        let mut plan = self.reading(live).read(|| plan(root, entries, &source, leaf, &options))?;
        let below = |key: &str| root.path().join(key.trim_start_matches('/'));
        let removed = plan.removals.iter().map(|r| below(&r.diff.key));
        let written = plan.writes.iter().map(|w| below(&w.entry.key));
        crate::secrets::keep(
            self.store,
            &[WORK_FOLDER],
            &KeysInUse::of_environment(),
            removed.chain(written),
        )?;
        let _memory = live.as_ref().map(|live| live.core().read_as_it_comes());
        let _all = match &live {
            Some(live) if !request.dry_run => {
                self.take_packed(live, &plan.writes)?;
                Some(self.prefetch(live, &source, &plan.writes)?)
            }
            _ => None,
        };
        let writes = std::mem::take(&mut plan.writes);
        // Of a file in pieces the content is a map of them: its own size counts.
        let sizes = writes.iter().filter(|w| w.content().is_some()).map(|w| w.size);
        let bytes = sizes.fold(0, u64::saturating_add);
        self.content = Some(Content { bytes, written: 0 });
        for action in &writes {
            let content = action.content();
            // A dry run compares as far as it can without fetching.
            if request.dry_run && live.is_some() {
                if let Some(diff) = action.diff() {
                    plan.count.count(&diff);
                    self.sink.tell(DumpEvent::ByteDiff(diff));
                }
                continue;
            }
            let mut writer = plan.open(action).map_err(dump_error)?;
            if let Some(id) = content {
                let mut reader = BlobReader::new(source.clone(), id);
                while let Some(part) = self.next_part(&mut reader, live)? {
                    writer.push(&part).map_err(dump_error)?;
                    if let Some(content) = &mut self.content {
                        content.written = content.written.saturating_add(part.len() as u64);
                    }
                    self.stats();
                }
            }
            if let Written::Written(diff) = writer.finish().map_err(dump_error)? {
                plan.count.count(&diff);
                self.sink.tell(DumpEvent::ByteDiff(diff));
            }
        }
        if self.stop.is_stopped() {
            return Err(stopped());
        }
        let sink = &mut *self.sink;
        plan.prune(&mut |diff| sink.tell(DumpEvent::ByteDiff(diff.clone()))).map_err(dump_error)?;
        Ok(plan.count)
    }

    /// Starts to download all content that will be written.
    fn prefetch(
        &mut self,
        live: &FollowedCore,
        source: &CoreSource,
        writes: &[crate::dump::WriteAction],
    ) -> Result<bosc_follow::Background, CommandError> {
        let mut blocks = Vec::new();
        for id in writes.iter().filter_map(crate::dump::WriteAction::content) {
            for range in content_blocks(source, &id).map_err(drive_error)? {
                blocks.extend(range.filter(|b| !live.core().has(*b).unwrap_or(false)));
            }
        }
        Ok(live.fetch_in_background(Download::list(blocks)))
    }

    fn next_part(
        &mut self,
        reader: &mut BlobReader<CoreSource>,
        live: Option<&FollowedCore>,
    ) -> Result<Option<Bytes>, CommandError> {
        if self.stop.is_stopped() {
            return Err(stopped());
        }
        self.reading(live).next(reader)
    }

    /// A file's content as events.
    fn tell_content(&mut self, entry: &DriveEntry) -> Result<(), CommandError> {
        let Some(id) = entry.value.blob else {
            self.sink.tell(DumpEvent::File(FilePart {
                key: entry.key.clone(),
                linkname: Some(entry.value.linkname.clone()),
                value: Some(String::new()),
                ..FilePart::default()
            }));
            return Ok(());
        };
        let blobs = self.blobs()?;
        let end = id.block_offset.saturating_add(id.block_length);
        if end > blobs.length() {
            self.longer(end - 1)?;
        }
        let live = self.opened.blobs()?;
        let mut reader = BlobReader::new(self.opened.contents(&blobs), id);
        let (mut held, mut offset, mut told) = (Vec::new(), 0u64, false);
        while let Some(part) = self.next_part(&mut reader, live)? {
            for piece in part.chunks(PART) {
                held.extend_from_slice(piece);
                if held.len() >= PART {
                    self.tell_part(&entry.key, std::mem::take(&mut held), &mut offset, true);
                    told = true;
                }
            }
        }
        if !held.is_empty() || !told {
            self.tell_part(&entry.key, held, &mut offset, false);
        }
        Ok(())
    }

    fn tell_part(&mut self, key: &str, bytes: Vec<u8>, offset: &mut u64, more: bool) {
        let n = bytes.len() as u64;
        let mut part = FilePart { key: key.to_owned(), ..FilePart::default() };
        match String::from_utf8(bytes) {
            Ok(text) => part.value = Some(text),
            Err(e) => part.base64 = Some(data_encoding::BASE64.encode(e.as_bytes())),
        }
        if *offset > 0 || more {
            (part.offset, part.more) = (Some(*offset), Some(more));
        }
        *offset += n;
        self.sink.tell(DumpEvent::File(part));
    }

    pub(super) fn stats(&mut self) {
        if self.told.elapsed() < STATS_EVERY {
            return;
        }
        self.told = Instant::now();
        let Ok(Some(live)) = self.opened.blobs() else { return };
        let (s, down) = (live.status(), live.downloaded_bytes());
        self.sink.tell(DumpEvent::Stats(DumpStats {
            peers: s.peers.len(),
            drive_length: self.version,
            download: Received { bytes: down, blocks: s.downloaded_blocks, total_bytes: down },
            upload: Sent { bytes: s.uploaded_bytes, blocks: s.uploaded_blocks },
            content: self.content,
        }));
    }
}

/// What ended in the middle left files in the folder: the same command would refuse it.
fn again(e: CommandError, request: &Dump) -> CommandError {
    let unfinished =
        matches!(e.code(), "ERR_NETWORK_TIMEOUT" | "ERR_DISK_FULL" | "ERR_STORE" | "ERR_INTERRUPTED");
    let begun = |dir: &Path| std::fs::read_dir(dir).is_ok_and(|mut all| all.next().is_some());
    if !unfinished
        || request.force
        || request.list
        || request.dry_run
        || !request.dir.as_deref().is_some_and(begun)
    {
        return e;
    }
    let hint = match e.hint_text() {
        "" => "run the command again".to_owned(),
        hint => hint.to_owned(),
    };
    let prunes = if request.prune {
        "; it makes the folder the same as the drive, so what else is in it goes"
    } else {
        ""
    };
    e.hint(format!("{hint}. The folder holds a part: add --force to go on{prunes}"))
}

fn dump_error(e: DumpError) -> CommandError {
    let message = e.to_string();
    let hint = e.hint();
    let error = match e {
        DumpError::Drive(e) => return drive_error(e),
        DumpError::Empty | DumpError::NothingTaken => CommandError::not_found(message),
        DumpError::NotEmpty(_) => CommandError::new(ErrorKind::Input, "ERR_DIR_NONEMPTY", message),
        DumpError::Unsafe { outside, .. } => CommandError::new(ErrorKind::Integrity, "ERR_UNSAFE_PATH", message)
            .hint(match outside {
                true => "the drive was made to write outside the folder; do not use it",
                false => {
                    "no folder here can hold it: dump the folders beside it with --only, or ask the publisher for another \
                     name"
                }
            }),
        DumpError::Io { error, .. } if bosc_files::is_full(&error) => {
            CommandError::new(ErrorKind::Failed, "ERR_DISK_FULL", message)
                .hint("free some disk space and run the command again; what was received is kept")
        }
        DumpError::Io { .. } | DumpError::Blocked(_) => {
            CommandError::new(ErrorKind::Permission, "ERR_UNWRITABLE", message)
                .hint("check the folder's permissions, or choose another one")
        }
        DumpError::Glob(_) => CommandError::input(message),
        _ => CommandError::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", message),
    };
    match hint {
        Some(h) => error.hint(h),
        None => error,
    }
}
