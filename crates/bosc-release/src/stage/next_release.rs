//! A folder as the next release of a stage link.

use super::link_rules::Gate;
use super::{Stage, link_rules};
use crate::build::ReleasePackage;
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, DriveCores, drive_error, parse_link};
use crate::engine::errors::not_writable;
use crate::engine::folders::WORK_FOLDER;
use crate::engine::open::{Opened, PACKAGE_MAX};
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::event::Event;
use crate::folder::diff::DiffCount;
use crate::folder::package::Package;
use crate::publish::PublishEvent;
use crate::stage::StageEvent;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::{DirEntry, Drive};
use bosc_files::{Dir, Work};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What became of a release.
#[derive(Debug, Clone)]
pub(crate) struct Released {
    /// Whether anything was (or on a dry run would be) staged.
    pub(crate) changed: bool,
    /// The version the link held.
    pub(crate) before: Option<String>,
    /// The version it holds now.
    pub(crate) version: String,
    /// The link that names what it holds now.
    pub(crate) verlink: String,
}

/// Reads the package.json of a drive that is whole here; `None` when it holds none or cannot be read as one.
fn local_package(drive: &DriveCores) -> Result<Option<Package>, CommandError> {
    if drive.db.length() <= 1 {
        return Ok(None);
    }
    let db = CoreSource::new(&drive.db);
    let entry = Drive::new(db.clone()).entry_follow("/package.json").map_err(drive_error)?;
    let (Some(blob), Some(core)) = (entry.and_then(|e| e.value.blob), drive.blobs()?) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    for part in BlobReader::new(db.contents(&core), blob) {
        bytes.extend_from_slice(&part.map_err(drive_error)?);
        if bytes.len() > PACKAGE_MAX {
            return Ok(None);
        }
    }
    Ok(Package::parse(&bytes).ok())
}

/// Judges a release before it is written: its version must be above what the link holds, unless nothing changed, which is
/// told. `unchanged`: how that is known, asked only when it matters; the number of files if so.
pub(super) fn judge(
    drive: &DriveCores,
    version: String,
    unchanged: impl FnOnce() -> Result<Option<u64>, CommandError>,
    tell: &mut dyn FnMut(Event),
) -> Result<Released, CommandError> {
    let before = local_package(drive)?.and_then(|p| p.version);
    let released = Released { changed: true, before, version, verlink: drive.verlink() };
    let Released { before, version, verlink, .. } = &released;
    if link_rules::gate(Some(version), before.as_deref())? != Gate::NotAbove {
        return Ok(released);
    }
    let Some(files) = unchanged()? else {
        return Err(link_rules::not_above(
            version,
            before.as_deref().unwrap_or_default(),
            &drive.plain_link(),
        ));
    };
    tell(PublishEvent::Unchanged { version: version.clone(), verlink: verlink.clone(), files }.into());
    Ok(Released { changed: false, ..released })
}

impl Engine {
    /// Checks that this store alone signs for a link.
    pub(crate) fn check_stage_link(&self, drive: &DriveCores, hint: &str) -> Result<(), CommandError> {
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

    /// Stages a folder as the next release, by who learned the newest version: its version must be above what the link holds, unless nothing changed.
    pub(crate) fn release(
        &self,
        stage: &Stage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Released, CommandError> {
        let drive = self.open_drive(&parse_link(&stage.link)?)?;
        let package = ReleasePackage::of_folder(&stage.dir)?.package;
        let version = link_rules::version(package.version.as_deref())?.to_string();
        let unchanged = || {
            let dry = self.dry_stage(stage, stop)?;
            Ok((dry.differed() == 0).then_some(dry.files))
        };
        let released = judge(&drive, version, unchanged, &mut |event| sink.event(event))?;
        if !released.changed {
            return Ok(released);
        }
        let mut changed = BTreeSet::new();
        let mut watched = |event: Event| {
            if let Event::Stage(StageEvent::ByteDiff(diff)) = &event {
                changed.extend(platform_of(&diff.key).map(str::to_owned));
            }
            sink.event(event);
        };
        self.stage_on(stage, Newest::Learned, &mut watched, stop)?;
        if let Some(before) = &released.before {
            for platform in platforms(&drive)?.into_iter().filter(|p| !changed.contains(p)) {
                let (version, before) = (released.version.clone(), before.clone());
                sink.tell(PublishEvent::SamePlatform { platform, version, before });
            }
        }
        Ok(Released { verlink: drive.verlink(), ..released })
    }

    /// How much a stage would change, without a word.
    fn dry_stage(&self, stage: &Stage, stop: &Stop) -> Result<DiffCount, CommandError> {
        let dry = Stage { dry_run: true, ..stage.clone() };
        let (_, summary) = self.stage_on(&dry, Newest::Learned, &mut |_: Event| {}, stop)?;
        Ok(summary.count)
    }

    /// A folder of the store for one tree, which is not there yet. What a killed process left is removed first.
    pub(crate) fn work(&self) -> Result<(Work, PathBuf), CommandError> {
        let failed = |e: std::io::Error| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", format!("{} cannot be used", self.dir.display()))
                .because(e)
                .hint("check the store's folder, its disk and its permissions")
        };
        let store = Dir::open(&self.dir).map_err(failed)?;
        Work::sweep(&store, WORK_FOLDER).map_err(failed)?;
        let work = Work::create(&store, WORK_FOLDER).map_err(failed)?;
        let tree = work.path().join("tree");
        Ok((work, tree))
    }

    /// The package.json of a link's newest version (or the one it names), from peers when it is not here.
    pub(crate) fn remote_package(
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

/// Most platforms of a drive that are looked at.
const MAX_PLATFORMS: usize = 256;

/// The platform of a build in a deployment directory: `linux-x64` of `/by-arch/linux-x64/app/Demo`.
fn platform_of(key: &str) -> Option<&str> {
    key.strip_prefix("/by-arch/")?.split_once('/').map(|(platform, _)| platform)
}

/// The platforms that a drive has builds for.
fn platforms(drive: &DriveCores) -> Result<BTreeSet<String>, CommandError> {
    let mut out = BTreeSet::new();
    let drive = Drive::new(CoreSource::new(&drive.db));
    for entry in drive.read_dir("/by-arch").map_err(drive_error)?.take(MAX_PLATFORMS) {
        if let DirEntry::Folder(name) = entry.map_err(drive_error)? {
            out.insert(name);
        }
    }
    Ok(out)
}
