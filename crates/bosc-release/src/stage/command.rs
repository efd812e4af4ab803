//! `stage`: a folder into a drive of this store.

use super::{
    Addendum, BlobBlock, BlobsSize, CoreState, Leaf, Stage, StageError, StageEvent, StageNews, StageOptions,
    StageSummary, StageTarget, Staged, Summary, TargetError, TargetState, stage,
};
use crate::build::{PackageKind, ReleasePackage};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{
    CoreSource, DriveCores, blobs_head, check_batch_end, drive_error, parse_whole_link,
};
use crate::engine::errors::{not_writable, store_error};
use crate::engine::folders::{DRY_BUILD_FOLDER, WORK_FOLDER};
use crate::engine::follow::stopped;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::Package;
use crate::folder::scan::errors::unreadable;
use crate::policy::{of_folder, tell_folder};
use crate::secrets::{self, Found, KeysInUse};
use crate::update_costs::CostsOf;
use bosc_drive::BlockSource;
use bosc_drive::drive::Drive;
use bosc_files::Work;
use bosc_format::crypto::Hash;
use bosc_format::id;
use bosc_store::{Batch, Core, CreateOptions, Options, Store};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Folder in the store for what is remembered of staged folders.
pub(crate) const INDEX_FOLDER: &str = "stage-index";

/// A writable drive of the store, seen whole or cut back to an older length.
pub(super) struct StoreTarget {
    store: Store,
    db: Core,
    blobs: Core,
    source: CoreSource,
    /// Lengths of db and blobs when only pretending that the drive was cut back.
    pretend: Option<(u64, u64)>,
    batch: Batch,
}

impl StoreTarget {
    pub(super) fn new(store: &Store, db: Core, blobs: Core, pretend: Option<(u64, u64)>) -> Self {
        let source = match pretend {
            Some((length, _)) => CoreSource::cut(&db, length),
            None => CoreSource::new(&db),
        };
        Self { store: store.clone(), db, blobs, source, pretend, batch: store.batch() }
    }
}

fn failed(e: bosc_store::Error) -> TargetError {
    TargetError::Failed(Box::new(e))
}

fn core_state(core: &Core, cut: Option<u64>) -> Result<CoreState, TargetError> {
    let head = match cut {
        Some(length) => core.head_at(length).map_err(failed)?,
        None => (*core.head()).clone(),
    };
    Ok(CoreState {
        key: *core.key(),
        fork: head.fork + u64::from(cut.is_some()),
        length: head.length,
        byte_length: head.byte_length,
        tree_hash: head.tree_hash(),
    })
}

impl StageTarget for StoreTarget {
    fn state(&self) -> Result<TargetState, TargetError> {
        Ok(TargetState {
            db: core_state(&self.db, self.pretend.map(|p| p.0))?,
            blobs: core_state(&self.blobs, self.pretend.map(|p| p.1))?,
        })
    }

    fn db(&self) -> &dyn BlockSource {
        &self.source
    }

    fn db_beside(&self) -> Option<Box<dyn BlockSource>> {
        Some(Box::new(self.source.clone()))
    }

    fn append_db(&mut self, blocks: Vec<Bytes>) -> Result<(), TargetError> {
        for block in blocks {
            self.batch.append_block(&self.db, block).map_err(failed)?;
        }
        Ok(())
    }

    fn blob_leaf(&self, index: u64) -> Result<Leaf, TargetError> {
        if let Some((hash, size)) = self.batch.leaf(&self.blobs, index).map_err(failed)? {
            return Ok(Leaf { hash, size });
        }
        let node = self.blobs.node(index.saturating_mul(2)).map_err(failed)?;
        node.map(|n| Leaf { hash: n.hash, size: n.size }).ok_or(TargetError::Missing(index))
    }

    fn blob_block(&self, index: u64) -> Result<Bytes, TargetError> {
        self.blobs.block(index).map_err(failed)?.ok_or(TargetError::Missing(index))
    }

    fn append_blobs(&mut self, blocks: Vec<BlobBlock>) -> Result<(), TargetError> {
        for block in blocks {
            let hash: Hash = block.hash;
            self.batch.append_hashed(&self.blobs, block.bytes, hash).map_err(failed)?;
        }
        Ok(())
    }

    fn commit(&mut self, blocks: &mut dyn Iterator<Item = Bytes>) -> Result<TargetState, TargetError> {
        for block in blocks {
            self.batch.append_block(&self.db, block).map_err(failed)?;
        }
        self.batch.commit().map_err(failed)?;
        self.source = CoreSource::new(&self.db);
        self.state()
    }

    fn rollback(&mut self) {
        self.batch = self.store.batch();
    }
}

impl Engine {
    /// Stages a folder. The summary is told as well; it is for those who go on from here.
    pub(crate) fn stage(
        &self,
        request: &Stage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(Staged, StageSummary), CommandError> {
        let newest = match request.dry_run && request.sole_copy {
            // What would be staged once it was said.
            true => Newest::Learned,
            false => Newest::of_flags(request.newest),
        };
        self.stage_on(request, newest, sink, stop)
    }

    /// As [`Engine::stage`], by who may know that this store has the newest version.
    pub(super) fn stage_on(
        &self,
        request: &Stage,
        newest: Newest,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(Staged, StageSummary), CommandError> {
        let link = parse_whole_link(&request.link)?;
        let found = read_package(request)?;
        let package = &found.package;
        // Whoever stages, and whoever signs it later, sees what it will mean.
        tell_folder(&request.dir, package.version.as_deref(), sink)?;
        let drive = self.open_drive(&link)?;
        let _alone = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        // Cutting back is the way out of two histories.
        if request.truncate.is_none() {
            self.refuse_forked(&drive, sink)?;
        }
        let _lock = self.before_writing(&drive, newest, sink, stop)?;
        if !drive.db.writable() {
            return Err(not_writable());
        }
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let pretend = match request.truncate {
            None => None,
            Some(length) => self.truncate(&drive, &blobs, length, request.dry_run)?,
        };
        sink.tell(StageEvent::Staging {
            name: package.name.clone(),
            key: id::encode(drive.key()),
            link: drive.plain_link(),
            verlink: drive.verlink(),
            current: drive.db.length(),
            dir: request.dir.clone(),
        });
        if request.dry_run {
            sink.tell(StageEvent::Dry);
        }
        let mut options = self.stage_options(request, package, &drive)?;
        options.stop = stop.clone();
        let made = self.made_package(&found, sink)?;
        options.package = made.as_ref().map(|(_, path)| path.clone());
        let mut target = StoreTarget::new(&self.store, drive.db.clone(), blobs.clone(), pretend);
        let summary = stage(&mut target, &request.dir, &options, &mut |step| {
            if let Some(event) = told(step) {
                sink.tell(event);
            }
        })
        .map_err(stage_error)?;
        self.tell((&drive, &blobs), request, &summary, sink, stop);
        Ok((Staged { link: drive.plain_link(), verlink: drive.verlink() }, summary))
    }

    /// Fails as a stage of the folder to a new link would, whatever that link is: for those who make one only for a folder
    /// that can be released.
    pub(crate) fn would_stage(&self, request: &Stage, stop: &Stop) -> Result<(), CommandError> {
        let found = read_package(request)?;
        of_folder(&request.dir)?;
        let store = Store::memory(Options::default()).map_err(store_error)?;
        let core = store.create_core(CreateOptions::named("looked at")).map_err(store_error)?;
        let drive = DriveCores::new(&store, core);
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let mut options = self.stage_options(request, &found.package, &drive)?;
        let made = self.made_package(&found, &mut |_: crate::event::Event| {})?;
        options.package = made.as_ref().map(|(_, path)| path.clone());
        (options.dry_run, options.index, options.stop) = (true, None, stop.clone());
        let mut target = StoreTarget::new(&store, drive.db.clone(), blobs, None);
        stage(&mut target, &request.dir, &options, &mut |_| {}).map_err(stage_error)?;
        Ok(())
    }

    /// The package.json of a folder that has none, in a file that goes with the returned folder.
    fn made_package(
        &self,
        found: &ReleasePackage,
        sink: &mut dyn Sink,
    ) -> Result<Option<(Work, PathBuf)>, CommandError> {
        let Some(text) = &found.made else { return Ok(None) };
        let (work, tree) = self.work()?;
        let path = tree.with_file_name("package.json");
        std::fs::write(&path, text).map_err(|e| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", format!("{} cannot be written", path.display()))
                .because(e)
                .hint("check the store's folder, its disk and its permissions")
        })?;
        sink.tell(StageEvent::Package {
            file: found.file.clone(),
            name: found.package.name.clone(),
            version: found.package.version.clone(),
        });
        Ok(Some((work, path)))
    }

    pub(super) fn tell(
        &self,
        (drive, blobs): (&DriveCores, &Core),
        request: &Stage,
        summary: &StageSummary,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) {
        let (db_now, blobs_now) = (summary.after.db, summary.after.blobs);
        sink.tell(StageEvent::Summary(Box::new(Summary {
            files: summary.count.files,
            add: summary.count.add,
            remove: summary.count.remove,
            change: summary.count.change,
            length: db_now.length,
            byte_length: db_now.byte_length,
            new_bytes: summary.new_bytes,
            new_blocks: summary.new_blocks,
            shared_bytes: summary.shared_bytes,
            looks_secret: summary.suspects.iter().map(Found::told).collect(),
            blobs: BlobsSize {
                length: blobs_now.length,
                fork: blobs_now.fork,
                byte_length: blobs_now.byte_length,
            },
        })));
        if request.dry_run {
            sink.tell(StageEvent::Skipping { reason: "dry-run".into(), success: true });
        }
        sink.tell(StageEvent::Complete { dry_run: request.dry_run });
        if request.dry_run {
            return;
        }
        // Everything is written: a stop ends the look, and not the stage.
        let _ = CostsOf::stored(&drive.db, blobs, drive.db.length(), stop).tell(sink);
        sink.tell(StageEvent::Addendum(Box::new(Addendum {
            version: drive.db.length(),
            key: id::encode(drive.key()),
            link: drive.plain_link(),
            verlink: drive.verlink(),
            hashlink: drive.hashlink(),
            blobs: blobs_head(blobs),
        })));
    }

    fn stage_options(
        &self,
        request: &Stage,
        package: &Package,
        drive: &DriveCores,
    ) -> Result<StageOptions, CommandError> {
        let folder = self.dir.join(INDEX_FOLDER);
        // Without the folder the next stage reads every file again, nothing worse.
        let index = std::fs::create_dir_all(&folder).ok().map(|()| folder.join(id::encode(drive.key())));
        Ok(StageOptions {
            ignore: [request.ignore.clone(), package.stage.ignore.clone()].concat(),
            only: [request.only.clone(), package.stage.only.clone()].concat(),
            purge: request.purge || package.stage.purge,
            dry_run: request.dry_run,
            index,
            store: Some(self.dir.clone()),
            store_work: [WORK_FOLDER, DRY_BUILD_FOLDER].map(str::to_owned).to_vec(),
            allow: request.allow.clone(),
            allow_key: request.allow_key.clone(),
            no_suspects: request.no_suspects,
            keys: self.keys_in_use(),
            app: package.app_names(),
            version: package.version.clone(),
            deltas: !request.no_deltas,
            no_packed: request.no_packed,
            ..StageOptions::default()
        })
    }

    /// The keys that this process holds: none of them may be published.
    pub(super) fn keys_in_use(&self) -> KeysInUse {
        KeysInUse::of_environment().with(self.store.primary_key().as_slice())
    }

    /// Cuts the drive back to an older version, or on a dry run says what it would be cut back to.
    fn truncate(
        &self,
        drive: &DriveCores,
        blobs: &Core,
        length: u64,
        dry_run: bool,
    ) -> Result<Option<(u64, u64)>, CommandError> {
        let head = drive.db.head();
        if length > head.length {
            return Err(CommandError::input(format!(
                "the drive has length {}, so it cannot be cut back to {length}",
                head.length
            ))
            .hint("use a length that a verlink showed"));
        }
        if length == head.length {
            return Ok(None);
        }
        let kept = if length <= 1 {
            0
        } else {
            let cut = CoreSource::cut(&drive.db, length);
            check_batch_end(cut.clone(), length).map_err(drive_error)?;
            Drive::new(cut).blobs_length().map_err(drive_error)?
        };
        if dry_run {
            return Ok(Some((length, kept)));
        }
        // The db first: were we cut off between the two, the rest of the blobs is only dead weight.
        drive.db.truncate(length, head.fork + 1).map_err(store_error)?;
        let fork = blobs.head().fork + 1;
        blobs.truncate(kept.min(blobs.length()), fork).map_err(store_error)?;
        Ok(None)
    }
}

/// What is told of a step.
pub(super) fn told(step: StageNews) -> Option<StageEvent> {
    Some(match step {
        StageNews::Diff(diff) => StageEvent::ByteDiff(diff),
        StageNews::Skipped(s) => StageEvent::Skipped { path: s.path, reason: s.why.to_owned() },
        StageNews::IgnoreFile(path) => StageEvent::IgnoreFile { path },
        StageNews::VersionMismatch { key, release, running } => {
            let path = key.trim_start_matches('/').to_owned();
            StageEvent::VersionMismatch { path, release, running }
        }
        StageNews::Unmatched { list, pattern } => StageEvent::Unmatched { list: list.to_owned(), pattern },
        StageNews::BadName(found) => StageEvent::BadName(found.told()),
        StageNews::Dangling { key, target } => {
            StageEvent::Dangling { path: key.trim_start_matches('/').to_owned(), target }
        }
        StageNews::Suspect(found) => StageEvent::LooksSecret(found.told()),
        StageNews::Delta { key, from, size, whole } => {
            let path = key.trim_start_matches('/').to_owned();
            StageEvent::Delta { path, from, bytes: size, instead_of: whole }
        }
        StageNews::Packing { key, size } => {
            StageEvent::Packing { path: key.trim_start_matches('/').to_owned(), bytes: size }
        }
        StageNews::Packed { key, size, whole } => {
            let path = key.trim_start_matches('/').to_owned();
            StageEvent::Packed { path, bytes: size, instead_of: whole }
        }
        StageNews::Scanned { .. } | StageNews::Progress { .. } => return None,
    })
}

fn read_package(request: &Stage) -> Result<ReleasePackage, CommandError> {
    let dir: &Path = &request.dir;
    match std::fs::metadata(dir) {
        Ok(m) if m.is_dir() => {}
        Ok(_) => {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_PROJECT_DIR",
                format!("{} is not a folder", dir.display()),
            )
            .hint("give the folder that holds package.json"));
        }
        Err(e) => {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_PROJECT_DIR",
                format!("the folder {} cannot be read", dir.display()),
            )
            .because(e)
            .hint("check that it exists and that you may read it"));
        }
    }
    if request.skip_package {
        // What it says of the stage still counts when it can be read.
        let package = Package::read(dir).unwrap_or_default();
        return Ok(ReleasePackage {
            file: dir.join("package.json"),
            kind: PackageKind::Npm,
            package,
            made: None,
        });
    }
    ReleasePackage::of_folder(dir).map_err(|e| {
        let hint = format!("{}; `bosc stage --skip-package-json` stages without a look at it", e.hint_text());
        e.hint(hint)
    })
}

impl From<StageError> for CommandError {
    fn from(e: StageError) -> Self {
        stage_error(e)
    }
}

fn stage_error(e: StageError) -> CommandError {
    let message = e.to_string();
    match e {
        StageError::Stopped => stopped(),
        StageError::Glob(_) => CommandError::input(message),
        StageError::Secret(found) => found.into(),
        StageError::Suspects(found) => secrets::refused(&found),
        StageError::Names(report) => report.check().err().unwrap_or_else(|| CommandError::failed(message)),
        StageError::IgnoreFile { error, .. } => CommandError::input(message)
            .because(error)
            .hint("correct the file, or rename it; nothing was staged"),
        StageError::Scan(e) => e.into(),
        StageError::Read { error, .. } => {
            CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", message).hint(unreadable(&error))
        }
        StageError::Unstable { .. } => {
            CommandError::failed(message).hint("stage again when nothing writes to the folder")
        }
        StageError::Drive(e) => drive_error(e),
        StageError::Target(TargetError::Failed(e)) => match e.downcast::<bosc_store::Error>() {
            Ok(e) => store_error(*e),
            Err(e) => CommandError::new(ErrorKind::Store, "ERR_STORE", "the store failed").because(e),
        },
        StageError::Target(e) => CommandError::not_found(e.to_string())
            .hint("fetch the whole drive first with `bosc seed <link>`, then stage again"),
        e => CommandError::failed(e.to_string()),
    }
}
