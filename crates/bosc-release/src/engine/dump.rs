//! `dump`: a drive's files to a folder or to the caller.

use super::drive::{CoreSource, check_batch_end, drive_error, parse_link};
use super::info::Opened;
use super::wait::{stopped, timed_out, update, wait_block};
use super::{Engine, store_error};
use crate::command::{Dump, Outcome, Sink, Stop};
use crate::diff::DiffCount;
use crate::dump::{DumpError, DumpOptions, Outcome as Written, plan};
use crate::error::{CommandError, ErrorKind};
use crate::glob::Only;
use bosc_drive::blobs::{BlobReader, content_blocks};
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_node::{Download, LiveCore};
use bosc_store::Core;
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Blocks asked for ahead of the one that is needed.
const AHEAD: usize = 512;
/// Between two `stats` events.
const STATS_EVERY: Duration = Duration::from_millis(250);
/// Content of one `file` event, in bytes; larger files come as several.
const PART: usize = 256 << 10;

pub(super) struct Dumping<'a> {
    pub(super) opened: &'a Opened,
    pub(super) blobs: Option<Core>,
    pub(super) version: u64,
    pub(super) timeout: Duration,
    pub(super) stop: &'a Stop,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) told: Instant,
}

impl Engine {
    pub(super) fn dump(&self, request: &Dump, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let path = link.path().ok_or_else(|| CommandError::input("the path in the link is not UTF-8"))?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let shown = request.dir.as_ref().map_or("-".to_owned(), |d| d.display().to_string());
        sink.event("dumping", json!({ "link": request.link, "dir": shown, "list": request.list }));
        if request.dry_run {
            sink.event("dry", Value::Null);
        }
        if let Some(dir) = request.dir.as_deref().filter(|_| !request.list) {
            refuse_used(dir, request.force)?;
        }
        let opened = self.open_fresh(&link, timeout, stop)?;
        let head = opened.drive.db.head();
        let version = request.checkout.or(link.version.map(|v| v.length)).unwrap_or(head.length);
        if version > head.length {
            return Err(CommandError::not_found(format!(
                "the drive has no version {version} (it has {})",
                head.length
            ))
            .hint("use a length that a verlink showed"));
        }
        let mut d = Dumping {
            blobs: opened.drive.blobs(self)?,
            opened: &opened,
            version,
            timeout,
            stop,
            sink,
            told: Instant::now(),
        };
        if version != head.length {
            let db = opened.db.clone();
            let source = CoreSource::new(&opened.drive.db);
            d.fetching(db.as_ref(), || check_batch_end(source.clone(), version))?;
        }
        let entries = if version == 0 { Vec::new() } else { d.entries(&path)? };
        let outcome = d.run(request, entries);
        self.store.flush().map_err(store_error)?;
        let count = outcome?;
        let received = [opened.db.as_ref(), opened.blobs.as_ref()]
            .into_iter()
            .flatten()
            .map(|c| c.status().downloaded_bytes)
            .sum::<u64>();
        Ok(json!({ "count": count, "received": received, "version": version }))
    }
}

impl Dumping<'_> {
    fn run(&mut self, request: &Dump, entries: Vec<DriveEntry>) -> Result<DiffCount, CommandError> {
        let only = Only::new(&request.only).map_err(|e| CommandError::input(e.to_string()))?;
        if request.list || request.dir.is_none() {
            let mut count = DiffCount::default();
            for entry in entries.iter().filter(|e| only.takes(&e.key)) {
                count.files += 1;
                if request.list {
                    self.sink.event("file", json!({ "key": entry.key }));
                } else {
                    self.tell_content(entry)?;
                }
            }
            return Ok(count);
        }
        match request.dir.as_deref() {
            Some(dir) => self.write(request, dir, &entries),
            None => Ok(DiffCount::default()),
        }
    }

    /// The drive's files below `path`, or the one it names.
    pub(super) fn entries(&mut self, path: &str) -> Result<Vec<DriveEntry>, CommandError> {
        let drive = Drive::checkout(CoreSource::new(&self.opened.drive.db), self.version);
        let db = self.opened.db.clone();
        let path = path.trim_end_matches('/');
        if !path.is_empty()
            && let Some(entry) = self.fetching(db.as_ref(), || drive.entry(path))?
        {
            return Ok(vec![entry]);
        }
        let mut list = drive.list(if path.is_empty() { "/" } else { path }).map_err(drive_error)?;
        let mut out = Vec::new();
        loop {
            match list.next() {
                None => break,
                Some(Ok(entry)) => out.push(entry),
                Some(Err(e)) => {
                    let Some(block) = e.missing() else { return Err(drive_error(e)) };
                    self.fetch(db.as_ref(), block, list.wanted(AHEAD))?;
                }
            }
        }
        if out.is_empty() && !path.is_empty() {
            return Err(CommandError::not_found(format!("the drive has no {path}"))
                .hint("see what it has with `bosc dump <link> --list`"));
        }
        Ok(out)
    }

    fn fetching<T>(
        &mut self,
        core: Option<&LiveCore>,
        mut op: impl FnMut() -> Result<T, bosc_drive::Error>,
    ) -> Result<T, CommandError> {
        loop {
            match op() {
                Ok(value) => return Ok(value),
                Err(e) => {
                    let Some(block) = e.missing() else { return Err(drive_error(e)) };
                    self.fetch(core, block, Vec::new())?;
                }
            }
        }
    }

    /// Gets a block, asking for others that will be needed on the way.
    fn fetch(&mut self, core: Option<&LiveCore>, block: u64, ahead: Vec<u64>) -> Result<(), CommandError> {
        let Some(core) = core else { return Err(drive_error(bosc_drive::Error::Missing(block))) };
        if self.stop.is_stopped() {
            return Err(stopped());
        }
        if !ahead.is_empty() {
            core.want(ahead);
        }
        self.stats();
        wait_block(core, block, self.timeout, self.stop)
    }

    /// The blobs core as long as this version needs it.
    fn blobs(&mut self) -> Result<Core, CommandError> {
        let core =
            self.blobs.clone().ok_or_else(|| CommandError::failed("the drive's manifest is not known"))?;
        if let (Some(node), Some(live)) = (&self.opened.node, &self.opened.blobs) {
            let before = live.status();
            let patience =
                if before.length > 0 { Duration::from_secs(5).min(self.timeout) } else { self.timeout };
            update(node, live, 0, patience, self.stop)?;
        }
        Ok(core)
    }

    /// Waits until the blobs core is long enough for a block that was not known to exist.
    fn longer(&self, block: u64) -> Result<(), CommandError> {
        let (Some(node), Some(live)) = (&self.opened.node, &self.opened.blobs) else {
            return Err(drive_error(bosc_drive::Error::Missing(block)));
        };
        update(node, live, block.saturating_add(1), self.timeout, self.stop)?;
        let status = live.status();
        if status.length <= block { Err(timed_out(&status)) } else { Ok(()) }
    }

    pub(super) fn write(
        &mut self,
        request: &Dump,
        dir: &Path,
        entries: &[DriveEntry],
    ) -> Result<DiffCount, CommandError> {
        let blobs = self.blobs()?;
        let live = self.opened.blobs.clone();
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
            only: request.only.clone(),
            keep_missing: !request.prune,
            force: request.force,
            dry_run: request.dry_run,
            fsync: false,
        };
        let source = CoreSource::new(&blobs);
        let mut plan = loop {
            let leaf = |block| blobs.leaf_hash(block).ok().flatten();
            match plan(dir, entries, &source, leaf, &options) {
                Ok(plan) => break plan,
                Err(DumpError::Missing(missing)) => {
                    let first = missing.first().copied().unwrap_or(0);
                    self.fetch(live.as_ref(), first, missing.into_iter().take(AHEAD).collect())?;
                }
                Err(e) => return Err(dump_error(e)),
            }
        };
        let _all = match &live {
            Some(live) if !request.dry_run => Some(self.prefetch(live, &source, &plan.writes)?),
            _ => None,
        };
        let sink = &mut *self.sink;
        plan.remove(&mut |diff| sink.event("byte-diff", json!(diff))).map_err(dump_error)?;
        let mut count = plan.count;
        let writes = std::mem::take(&mut plan.writes);
        for action in &writes {
            let content = action.content();
            // A dry run compares as far as it can without fetching.
            if request.dry_run && live.is_some() {
                if let Some(diff) = action.diff() {
                    count.count(&diff);
                    self.sink.event("byte-diff", json!(diff));
                }
                continue;
            }
            let mut writer = plan.open(action).map_err(dump_error)?;
            if let Some(id) = content {
                let mut reader = BlobReader::new(source.clone(), id);
                while let Some(part) = self.next_part(&mut reader, live.as_ref())? {
                    writer.push(&part).map_err(dump_error)?;
                }
            }
            if let Written::Written(diff) = writer.finish().map_err(dump_error)? {
                count.count(&diff);
                self.sink.event("byte-diff", json!(diff));
            }
        }
        Ok(count)
    }

    /// Starts to download all content that will be written.
    fn prefetch(
        &mut self,
        live: &LiveCore,
        source: &CoreSource,
        writes: &[crate::dump::WriteAction],
    ) -> Result<bosc_node::DownloadHandle, CommandError> {
        let mut blocks = Vec::new();
        for id in writes.iter().filter_map(crate::dump::WriteAction::content) {
            for range in content_blocks(source, &id).map_err(drive_error)? {
                blocks.extend(range.filter(|b| !live.core().has(*b).unwrap_or(false)));
            }
        }
        Ok(live.download(Download::list(blocks)))
    }

    fn next_part(
        &mut self,
        reader: &mut BlobReader<CoreSource>,
        live: Option<&LiveCore>,
    ) -> Result<Option<Bytes>, CommandError> {
        loop {
            if self.stop.is_stopped() {
                return Err(stopped());
            }
            match reader.next() {
                None => return Ok(None),
                Some(Ok(part)) => return Ok(Some(part)),
                Some(Err(e)) => {
                    let Some(block) = e.missing() else { return Err(drive_error(e)) };
                    self.fetch(live, block, Vec::new())?;
                }
            }
        }
    }

    /// A file's content as events.
    fn tell_content(&mut self, entry: &DriveEntry) -> Result<(), CommandError> {
        let Some(id) = entry.value.blob else {
            let target = entry.value.linkname.as_deref();
            self.sink.event("file", json!({ "key": entry.key, "linkname": target, "value": "" }));
            return Ok(());
        };
        let blobs = self.blobs()?;
        let end = id.block_offset.saturating_add(id.block_length);
        if end > blobs.length() {
            self.longer(end - 1)?;
        }
        let live = self.opened.blobs.clone();
        let mut reader = BlobReader::new(CoreSource::new(&blobs), id);
        let (mut held, mut offset, mut told) = (Vec::new(), 0u64, false);
        while let Some(part) = self.next_part(&mut reader, live.as_ref())? {
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
        let mut data = match String::from_utf8(bytes) {
            Ok(text) => json!({ "key": key, "value": text }),
            Err(e) => json!({ "key": key, "base64": data_encoding::BASE64.encode(e.as_bytes()) }),
        };
        if (*offset > 0 || more)
            && let Some(map) = data.as_object_mut()
        {
            map.insert("offset".into(), json!(*offset));
            map.insert("more".into(), json!(more));
        }
        *offset += n;
        self.sink.event("file", data);
    }

    fn stats(&mut self) {
        if self.told.elapsed() < STATS_EVERY {
            return;
        }
        self.told = Instant::now();
        let Some(live) = &self.opened.blobs else { return };
        let s = live.status();
        self.sink.event(
            "stats",
            json!({
                "peers": s.peers.len(),
                "driveLength": self.version,
                "download": { "bytes": s.downloaded_bytes, "blocks": s.downloaded_blocks,
                              "totalBytes": s.downloaded_bytes },
                "upload": { "bytes": s.uploaded_bytes, "blocks": s.uploaded_blocks },
            }),
        );
    }
}

/// Tells early, before the network is asked, that a folder is in use.
fn refuse_used(dir: &Path, force: bool) -> Result<(), CommandError> {
    match std::fs::read_dir(dir) {
        Ok(mut items) => match items.next() {
            Some(_) if !force => Err(dump_error(DumpError::NotEmpty(dir.to_owned()))),
            _ => Ok(()),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(CommandError::new(
            ErrorKind::Permission,
            "ERR_UNREADABLE",
            format!("the folder {} cannot be used", dir.display()),
        )
        .because(e)
        .hint("choose another folder")),
    }
}

fn dump_error(e: DumpError) -> CommandError {
    let message = e.to_string();
    let hint = e.hint();
    let error = match e {
        DumpError::Drive(e) => return drive_error(e),
        DumpError::NotEmpty(_) => CommandError::new(ErrorKind::Input, "ERR_DIR_NONEMPTY", message),
        DumpError::Unsafe { .. } => CommandError::new(ErrorKind::Integrity, "ERR_UNSAFE_PATH", message)
            .hint("the drive was made to write outside the folder; do not use it"),
        DumpError::Io { error, .. } if error.kind() == std::io::ErrorKind::StorageFull => {
            CommandError::new(ErrorKind::Failed, "ERR_DISK_FULL", message)
                .hint("free some space and run the command again; what was received is kept")
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
