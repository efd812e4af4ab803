//! A version of another drive as the next release of a stage link: from drive to drive, with no folder in between.
//!
//! ```text
//! source (store, peers) ── entries ──> plan against the target ──> gate ──> checks ──> blobs, block by block ──> commit
//! ```
//!
//! What passes is what a stage of the same files would let pass: version, names, secrets. Everything becomes visible in
//! one commit of the store; until then a reader, and whoever is killed, has the release before.

use super::checks::CheckedFolder;
use super::command::{StoreTarget, told};
use super::entries::EntryList;
use super::link_rules;
use super::next_release::{Released, judge};
use super::{Stage, StageError, StageEvent, StageNews, StageOptions, StageSummary, StageTarget};
use crate::command::{Sink, Stop};
use crate::dump::command::no_files;
use crate::dump::{DumpEvent, DumpStats, Received, Sent};
use crate::engine::Engine;
use crate::engine::drive::{check_batch_end, parse_link};
use crate::engine::errors::{not_writable, store_error};
use crate::engine::follow::stopped;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::event::Event;
use crate::folder::scan::{FileList, FileStat, LocalKind};
use crate::provision::command::command_error;
use crate::provision::command::context::Context;
use crate::provision::command::read::invalid_manifest;
use crate::provision::command::side::DriveAt;
use crate::provision::{DriveTree, Layout, ProvisionEvent, ProvisionPlan, Which, plan, write};
use crate::publish::PublishEvent;
use crate::secrets::{self, Allow, ContentVerdict, HEAD, KeysInUse, Search, SecretFound, Suspect};
use bosc_drive::blobs::{BlobId, BlobReader};
use bosc_drive::drive::DriveEntry;
use bosc_follow::Fetch;
use bosc_format::id;
use bosc_format::link::PearLink;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What files start with that can be told only as files of the system: see [`secrets::look`].
const DATABASE: &[u8] = b"redb";

/// Both drives, and what differs.
struct Promotion<'d, 'c> {
    engine: &'d Engine,
    /// What the source holds, by key.
    tree: DriveTree,
    source: DriveAt<'c>,
    /// What the target holds, by key.
    base_tree: DriveTree,
    base: DriveAt<'c>,
    plan: ProvisionPlan,
}

impl Engine {
    /// Makes a version of another drive the next release of a stage link: its version must be above what the link holds,
    /// unless nothing changed.
    pub(crate) fn restage(
        &self,
        from: &str,
        to: &str,
        dry_run: bool,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Released, CommandError> {
        let shared = Mutex::new(sink);
        let tell = |event: Event| shared.lock().unwrap_or_else(PoisonError::into_inner).event(event);
        tell(PublishEvent::Fetching { link: from.to_owned() }.into());
        let mut progress = |event: Event| {
            if let Event::Provision(ProvisionEvent::Stats(s)) = event {
                tell(stats(&s).into());
            }
        };
        let cx = Context::new(self, timeout, &mut progress, stop);

        let source = open_source(&cx, &parse_link(from)?)?;
        let tree = tree(&source)?;
        if tree.entries.is_empty() {
            return Err(no_files(source.length));
        }
        let needed = DriveAt::blobs_needed(&tree);
        source.reach(Which::Blobs, needed)?;
        source.set_blobs_length(needed);
        let package = source.package()?.ok_or_else(|| invalid_manifest("it has no package.json"))?;
        let version = link_rules::version(package.version.as_deref())?.to_string();

        let drive = self.open_drive(&parse_link(to)?)?;
        let _alone = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = {
            let mut sink = shared.lock().unwrap_or_else(PoisonError::into_inner);
            self.refuse_forked(&drive, &mut **sink)?;
            self.before_writing(&drive, Newest::Learned, &mut **sink, stop)?
        };
        if !drive.db.writable() {
            return Err(not_writable());
        }
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let base = DriveAt::local(&cx, &drive, &blobs, drive.db.length(), blobs.length());
        let base_tree = if drive.db.length() > 1 { self::tree(&base)? } else { DriveTree::default() };
        let plan = plan(&tree, &source, &base_tree, &base).map_err(command_error)?;

        let unchanged = || Ok(plan.is_empty().then_some(tree.entries.len() as u64));
        let released = judge(&drive, version, unchanged, &mut |event| tell(event))?;
        if !released.changed {
            return Ok(released);
        }

        tell(
            StageEvent::Staging {
                name: package.name.clone(),
                key: id::encode(drive.key()),
                link: drive.plain_link(),
                verlink: drive.verlink(),
                current: drive.db.length(),
                dir: PathBuf::from(from),
            }
            .into(),
        );
        if dry_run {
            tell(StageEvent::Dry.into());
        }
        let mut news = |news: StageNews| {
            if let Some(event) = told(news) {
                tell(event.into());
            }
        };
        let promotion = Promotion { engine: self, tree, source, base_tree, base, plan };
        let suspects = promotion.check(package.app_names(), &mut news)?;
        let mut target = StoreTarget::new(&self.store, drive.db.clone(), blobs.clone(), None);
        let state = target.state().map_err(StageError::from)?;
        let mut summary = StageSummary {
            count: promotion.plan.count,
            suspects,
            before: state,
            after: state,
            ..StageSummary::default()
        };
        if stop.is_stopped() {
            return Err(stopped());
        }
        if !dry_run && !promotion.plan.is_empty() {
            let Promotion { plan, source, base, .. } = &promotion;
            let written = write(&mut target, plan, source, base, Layout::Dedup, &mut |_, _| {})
                .map_err(command_error)?;
            summary.new_bytes = written.new_bytes;
            summary.new_blocks = written.new_blocks;
            summary.shared_bytes = written.shared_bytes;
            summary.after = target.state().map_err(StageError::from)?;
        }
        let request = Stage { dry_run, ..Stage::default() };
        self.tell(
            (&drive, &blobs),
            &request,
            &summary,
            &mut **shared.lock().unwrap_or_else(PoisonError::into_inner),
            stop,
        );
        self.store.flush().map_err(store_error)?;
        Ok(Released { verlink: drive.verlink(), ..released })
    }
}

/// What comes from peers, as a dump tells it.
fn stats(s: &crate::provision::ProvisionStats) -> DumpEvent {
    DumpEvent::Stats(DumpStats {
        peers: s.peers,
        drive_length: s.drive_length,
        download: Received {
            bytes: s.download.bytes,
            blocks: s.download.blocks,
            total_bytes: s.download.total_bytes,
        },
        upload: Sent { bytes: s.upload.bytes, blocks: s.upload.blocks },
        content: None,
    })
}

/// The source at the version that the link names.
fn open_source<'c>(cx: &'c Context<'c>, link: &PearLink) -> Result<DriveAt<'c>, CommandError> {
    let source = DriveAt::open(cx, link)?;
    let length = source.length;
    source.reading(Which::Db).read(|| check_batch_end(source.db(), length))?;
    Ok(source)
}

/// All files and symlinks, by key. What is beside them in the db is a drive's own.
fn tree(drive: &DriveAt<'_>) -> Result<DriveTree, CommandError> {
    let mut tree = drive.tree()?;
    tree.fields.clear();
    tree.entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(tree)
}

/// What an entry would have been in a folder.
fn as_found(entry: &DriveEntry) -> LocalKind {
    match &entry.value.linkname {
        Some(target) => LocalKind::Symlink { target: target.clone() },
        None => LocalKind::File {
            stat: FileStat { size: entry.value.blob.map_or(0, |b| b.byte_length), ..FileStat::default() },
            executable: Some(entry.value.executable),
        },
    }
}

impl Promotion<'_, '_> {
    /// What a stage of the same files checks and tells. Returns what looks secret.
    fn check(
        &self,
        app: Vec<String>,
        news: &mut dyn FnMut(StageNews),
    ) -> Result<Vec<secrets::Found>, CommandError> {
        let mut files = FileList::default();
        self.tree.entries.iter().for_each(|e| files.push(&e.key, &as_found(e)));
        let base = self.base_tree.entries.iter().cloned().map(Ok::<_, CommandError>);
        let entries = EntryList::new(&files, base)?;
        let removals = entries.select_beside_files(|_| true);
        let options = StageOptions { app, ..StageOptions::default() };
        let checked =
            CheckedFolder { files: &files, entries: &entries, removals: &removals, options: &options };
        checked.names(news)?;
        checked.dangling(news);
        let mut suspects: BTreeMap<String, Suspect> = BTreeMap::new();
        let keys = self.engine.keys_in_use();
        for entry in &self.tree.entries {
            match self.look(entry, &keys)? {
                ContentVerdict::Plain => {}
                ContentVerdict::Suspect(suspect) => drop(suspects.insert(entry.key.clone(), suspect)),
                ContentVerdict::Secret(secret) => {
                    return Err(SecretFound { path: PathBuf::from(&entry.key), secret }.into());
                }
            }
        }
        self.plan.diffs.iter().for_each(|d| news(StageNews::Diff(d.clone())));
        // A key in a text was allowed by who released it on the source.
        let found = secrets::find_suspect_keys(files.keys(), &suspects, &Allow::default());
        found.iter().for_each(|f| news(StageNews::Suspect(f.clone())));
        Ok(found)
    }

    /// What a file tells. Of what the target has already, which was searched when it came, only the start is read, there.
    fn look(&self, entry: &DriveEntry, keys: &KeysInUse) -> Result<ContentVerdict, CommandError> {
        let same = || self.base_tree.entries.binary_search_by(|b| b.key.cmp(&entry.key)).ok();
        let there = match self.plan.writes(&entry.key) {
            true => None,
            false => same().and_then(|i| self.base_tree.entries.get(i)),
        };
        let all = there.is_none();
        let (drive, entry) = there.map_or((&self.source, entry), |there| (&self.base, there));
        let Some(blob) = entry.value.blob.filter(|_| entry.value.linkname.is_none()) else {
            return Ok(ContentVerdict::Plain);
        };
        let mut head = Vec::new();
        let mut size = 0u64;
        let (mut search, mut secret) = (None::<Search<'_>>, None);
        read(drive, blob, |part| {
            let (start, rest) = part.split_at(HEAD.saturating_sub(head.len()).min(part.len()));
            head.extend_from_slice(start);
            size = size.saturating_add(part.len() as u64);
            if head.len() < HEAD || !all {
                return Ok(head.len() < HEAD);
            }
            if search.is_none() {
                let mut new = Search::new(&head, keys);
                secret = new.feed(&head);
                search = Some(new);
            }
            secret = secret.or_else(|| search.as_mut().and_then(|search| search.feed(rest)));
            Ok(secret.is_none())
        })?;
        if let Some(secret) = secret {
            return Ok(ContentVerdict::Secret(secret));
        }
        // Of a map the entry does not say how much it holds.
        let size = if head.len() < HEAD { size } else { size.max(blob.byte_length) };
        let name = entry.key.rsplit('/').next().unwrap_or_default();
        if head.starts_with(DATABASE) || (name == "primary-key" && size == 32) {
            return self.look_as_file(drive, &entry.key, blob, &head, size, keys);
        }
        let unreadable =
            |e: io::Error| CommandError::failed("a file of the drive cannot be looked at").because(e);
        let found = search.map_or(ContentVerdict::Plain, Search::end);
        let start = secrets::look(&PathBuf::from(&entry.key), &head, size, keys).map_err(unreadable)?;
        Ok(start.and(found))
    }

    /// For the few that are told by more than their start: writes the file where it can be looked at.
    fn look_as_file(
        &self,
        drive: &DriveAt<'_>,
        key: &str,
        blob: BlobId,
        head: &[u8],
        size: u64,
        keys: &KeysInUse,
    ) -> Result<ContentVerdict, CommandError> {
        let failed = |e: io::Error| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", "the store's folder cannot be used")
                .because(e)
                .hint("check the store's folder, its disk and its permissions")
        };
        let (_work, dir) = self.engine.work()?;
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        fs::create_dir_all(&dir).map_err(failed)?;
        let cores = format!("{folder}/cores/");
        if self.tree.entries.iter().any(|e| e.key.starts_with(&cores)) {
            fs::create_dir_all(dir.join("cores")).map_err(failed)?;
        }
        let name = if name == "primary-key" { name } else { "file" };
        let path = dir.join(name);
        let mut file = fs::File::create_new(&path).map_err(failed)?;
        read(drive, blob, |part| file.write_all(part).map(|()| true).map_err(failed))?;
        secrets::look(&path, head, size, keys).map_err(failed)
    }
}

/// Reads a file's content until `take` has enough.
fn read(
    drive: &DriveAt<'_>,
    blob: BlobId,
    mut take: impl FnMut(&[u8]) -> Result<bool, CommandError>,
) -> Result<(), CommandError> {
    drive.cx.check_stop()?;
    let core = drive.core(Which::Blobs)?;
    let mut reader = BlobReader::new(drive.db().contents(&core), blob);
    while let Some(part) = drive.reading(Which::Blobs).next(&mut reader)? {
        if !take(&part)? {
            break;
        }
    }
    Ok(())
}
