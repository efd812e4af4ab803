//! A folder, or a version of another drive, as the next release of a stage link.

use super::drive::{CoreSource, DriveCores, drive_error, parse_link};
use super::info::Opened;
use super::info::PACKAGE_MAX;
use super::{Engine, not_writable};
use crate::command::{Dump, Outcome, Request, Sink, Stage, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::package::Package;
use crate::publish::rules::{self, Gate};
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::Drive;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder in the store for trees on their way from one link to another. Removed when its one user is done.
const WORK_FOLDER: &str = "work";

/// What became of a release.
#[derive(Debug, Clone)]
pub(super) struct Released {
    /// Whether anything was (or on a dry run would be) staged.
    pub(super) changed: bool,
    /// The version the link held.
    pub(super) before: Option<String>,
    /// The version it holds now.
    pub(super) version: String,
    /// The link that names what it holds now.
    pub(super) verlink: String,
}

/// Counts of a stage.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    files: u64,
    changes: u64,
}

/// Reads the package.json of a drive that is whole here; `None` when it holds none or cannot be read as one.
pub(super) fn local_package(engine: &Engine, drive: &DriveCores) -> Result<Option<Package>, CommandError> {
    if drive.db.length() <= 1 {
        return Ok(None);
    }
    let entry = Drive::new(CoreSource::new(&drive.db)).entry_follow("/package.json").map_err(drive_error)?;
    let (Some(blob), Some(core)) = (entry.and_then(|e| e.value.blob), drive.blobs(engine)?) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    for part in BlobReader::new(CoreSource::new(&core), blob) {
        bytes.extend_from_slice(&part.map_err(drive_error)?);
        if bytes.len() > PACKAGE_MAX {
            return Ok(None);
        }
    }
    Ok(Package::parse(&bytes).ok())
}

impl Engine {
    /// Checks that this store alone signs for a link.
    pub(super) fn check_stage_link(&self, drive: &DriveCores, hint: &str) -> Result<(), CommandError> {
        if drive.db.writable() {
            return Ok(());
        }
        if drive.db.manifest().is_some_and(|m| m.signers.len() > 1) {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_MULTISIG_LINK",
                format!("{} is signed by a quorum", drive.plain_link()),
            )
            .hint("put releases on a line before it and promote them: see `bosc line` and `bosc multisig request`"));
        }
        Err(not_writable().hint(hint))
    }

    /// Stages a folder as the next release: its version must be above what the link holds, unless nothing changed.
    pub(super) fn release(
        &self,
        stage: &Stage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Released, CommandError> {
        let drive = self.open_drive(&parse_link(&stage.link)?)?;
        let package = Package::read(&stage.dir).map_err(package_error)?;
        let version = rules::version(package.version.as_deref())?.to_string();
        let before = local_package(self, &drive)?.and_then(|p| p.version);
        let mut released = Released {
            changed: true,
            before: before.clone(),
            version: version.clone(),
            verlink: drive.verlink(),
        };
        if rules::gate(Some(&version), before.as_deref())? == Gate::NotAbove {
            let dry = self.dry_stage(stage, stop)?;
            if dry.changes > 0 {
                return Err(rules::not_above(
                    &version,
                    before.as_deref().unwrap_or_default(),
                    &drive.plain_link(),
                ));
            }
            released.changed = false;
            sink.event(
                "unchanged",
                json!({ "version": version, "verlink": released.verlink, "files": dry.files }),
            );
            return Ok(released);
        }
        self.execute_request(&Request::Stage(stage.clone()), sink, stop)?;
        released.verlink = drive.verlink();
        Ok(released)
    }

    /// How much a stage would change, without a word.
    fn dry_stage(&self, stage: &Stage, stop: &Stop) -> Result<Counted, CommandError> {
        let mut counted = Counted::default();
        let mut quiet = |tag: &str, data: Value| {
            if tag == "summary" {
                let n = |k: &str| data.get(k).and_then(Value::as_u64).unwrap_or(0);
                counted = Counted { files: n("files"), changes: n("add") + n("change") + n("remove") };
            }
        };
        let dry = Request::Stage(Stage { dry_run: true, ..stage.clone() });
        self.execute_request(&dry, &mut quiet, stop)?;
        Ok(counted)
    }

    /// Makes a version of another drive the next release of a stage link.
    pub(super) fn restage(
        &self,
        from: &str,
        to: &str,
        dry_run: bool,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Released, CommandError> {
        let work = Work::make(&self.dir)?;
        sink.event("fetching", json!({ "link": from }));
        let mut listed = 0u64;
        let data = {
            let mut progress = |tag: &str, data: Value| {
                if tag == "stats" {
                    sink.event(tag, data);
                }
            };
            let dump = Dump {
                link: from.to_owned(),
                dir: Some(work.0.clone()),
                force: true,
                prune: true,
                timeout_ms: timeout.as_millis() as u64,
                ..Dump::default()
            };
            self.execute_request(&Request::Dump(dump), &mut progress, stop)?
        };
        if let Some(files) = data.get("count").and_then(|c| c.get("files")).and_then(Value::as_u64) {
            listed = files;
        }
        let stage =
            Stage { link: to.to_owned(), dir: work.0.clone(), dry_run, newest: true, ..Stage::default() };
        // Verbatim: what package.json leaves out of a stage must not be lost on the way.
        let taken = self.dry_stage(&stage, stop)?.files;
        if taken != listed {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_MANIFEST",
                format!("{from} has {listed} files, of which its own `pear.stage` settings would leave out {}",
                    listed.saturating_sub(taken)),
            )
            .hint("take `ignore` and `only` out of `pear.stage` in its package.json, and release that version first"));
        }
        self.release(&stage, sink, stop)
    }

    /// The package.json of a link's newest version (or the one it names), from peers when it is not here.
    pub(super) fn remote_package(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Package, CommandError> {
        let json = self.package_json(opened, length, timeout, stop)?;
        let Some(json) = json else {
            return Err(CommandError::new(
                ErrorKind::NotFound,
                "ERR_INVALID_MANIFEST",
                format!("{} holds no package.json", opened.drive.plain_link()),
            )
            .hint("publish a release to it first"));
        };
        Package::parse(json.to_string().as_bytes()).map_err(|e| {
            CommandError::new(ErrorKind::Integrity, "ERR_INVALID_MANIFEST", "its package.json cannot be used")
                .because(e)
        })
    }
}

/// A `package.json` that cannot be used.
pub(super) fn package_error(e: crate::package::PackageError) -> CommandError {
    let code = match &e {
        crate::package::PackageError::Invalid { .. } => "ERR_INVALID_MANIFEST",
        _ => "ERR_INVALID_PROJECT_DIR",
    };
    let hint = e.hint().unwrap_or_else(|| "mend its package.json and run the command again".into());
    CommandError::new(ErrorKind::Input, code, e.to_string()).hint(hint)
}

/// A folder for one tree, readable by its user only, gone when dropped. What a killed process left is removed first.
struct Work(PathBuf);

impl Work {
    fn make(store: &Path) -> Result<Self, CommandError> {
        let dir = store.join(WORK_FOLDER);
        let failed = |e: std::io::Error| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", format!("{} cannot be used", dir.display()))
                .because(e)
        };
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(failed)?;
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir).map_err(failed)?;
        Ok(Self(dir))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The `data` of a step that only tells a command to run.
pub(super) fn step(number: usize, who: &str, command: &str, text: &str) -> Value {
    json!({ "number": number, "who": who, "command": command, "text": text })
}

/// Passes an outcome's data on with more fields.
pub(super) fn with(mut data: Value, more: Value) -> Outcome {
    if let (Some(to), Value::Object(from)) = (data.as_object_mut(), more) {
        to.extend(from);
    }
    Ok(data)
}
