//! `publish`: see [`crate::publish`].

use super::snapshot::write_shared;
use super::{Ci, Publish, PublishEvent, Published, own_files, package_edit};
use crate::build::{self, Artifact, Build, ReleasePackage};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::copies::{HeldBy, SeedUntil};
use crate::engine::drive::{DriveCores, parse_link};
use crate::engine::errors::{no_dht, store_error};
use crate::engine::folders::DRY_BUILD_FOLDER;
use crate::engine::run_lock::RunLock;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::MAX_PACKAGE_LEN;
use crate::folder::package::Package;
use crate::output_file::{OutputFile, OutputKind, alone, check_output_folder};
use crate::stage::{Stage, link_rules};
use crate::touch::Touch;
use bosc_format::link::PearLink;
use bosc_store::CreateOptions;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

impl Engine {
    pub(crate) fn publish(
        &self,
        request: &Publish,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Published, CommandError> {
        let alone = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = package_of(request)?;
        let package = &found.package;
        link_rules::version(package.version.as_deref())?;
        check_outputs(request, &found.file)?;
        let (drive, minted, mut lock) = match &request.ci {
            Some(ci) => {
                own_files::left_out(&request.dir, ci)?;
                let (drive, minted) = self.ci_drive(request, ci, &found, sink, stop)?;
                (drive, minted, None)
            }
            None => {
                let (drive, lock) = self.own_drive(request, &found, sink, stop)?;
                (drive, false, lock)
            }
        };
        let link = drive.plain_link();
        sink.tell(PublishEvent::Publishing {
            name: package.name.clone(),
            version: package.version.clone(),
            link: link.clone(),
            dir: request.dir.clone(),
        });
        let (dir, _gone_afterwards) = match request.artifacts.is_empty() {
            true => (request.dir.clone(), None),
            false => self.deployment(request, &found, sink, stop)?,
        };
        if let Some(ci) = request.ci.as_ref().filter(|_| !request.dry_run) {
            lock = Some(self.run_lock(&drive, ci, sink, stop)?);
        }
        let mut learned = match &request.ci {
            Some(ci) => Some(self.learn_newest(&drive, ci, sink, stop)?),
            None => None,
        };
        let own = request.ci.as_ref().map(|ci| own_files::left_out(&dir, ci)).transpose()?;
        // What is not there yet is no reason to say that a pattern left nothing out.
        let own = own
            .unwrap_or_default()
            .into_iter()
            .filter(|p| dir.join(p.trim_start_matches('/')).exists())
            .collect();
        let stage = Stage {
            link: link.clone(),
            dir,
            dry_run: request.dry_run,
            ignore: [request.ignore.clone(), own].concat(),
            allow: request.allow.clone(),
            allow_key: request.allow_key.clone(),
            // Nobody is there to read what looks secret.
            no_suspects: request.ci.is_some(),
            ..Stage::default()
        };
        if let Some(lock) = &lock {
            lock.check()?;
        }
        let exposed = self.exposure(&drive);
        let released = self.release(&stage, sink, stop)?;
        let mut done = Published {
            link,
            verlink: drive.verlink(),
            hashlink: drive.hashlink(),
            length: drive.db.length(),
            version: released.version,
            before: released.before,
            changed: released.changed,
            minted,
            dry_run: request.dry_run,
            copies: None,
            wanted: request.copies,
        };
        if request.dry_run {
            return Ok(done);
        }
        let mut kept = false;
        if let Some(learned) = &mut learned {
            kept = self.save_cache(&drive, learned, sink)?;
        }
        drop(alone);
        let mut failed = None;
        // Whoever said nothing of copies has what is needed: somebody who stays.
        let here = (request.stall_ms > 0 || request.copies == 0) && self.seeded.has(drive.key());
        if here {
            sink.tell(PublishEvent::SeededHere { link: drive.plain_link() });
        }
        if request.copies > 0 && !here {
            let wait = Duration::from_millis(request.wait_ms);
            let stall = Some(request.stall_ms).filter(|ms| *ms > 0).map(Duration::from_millis);
            let own = drive.clone();
            // What peers saw is to be noted whatever became of the seeding.
            let until = SeedUntil { wanted: request.copies, wait, stall, tables: request.tables };
            let held = self.seed_until(own, &until, sink, stop).unwrap_or_else(|e| {
                failed = Some(e);
                HeldBy::default()
            });
            let copies = held.full;
            done.copies = Some(copies);
            kept |= copies > 0;
            if let Some(tried) = self.unanswered().filter(|_| failed.is_none()) {
                failed = Some(no_dht(&tried).because(
                    "the release is in this store: publish again, or seed it, as soon as there is a network",
                ));
            }
            if copies < request.copies && (kept || request.ci.is_none()) {
                sink.tell(PublishEvent::FewCopies {
                    full: copies,
                    wanted: request.copies,
                    link: drive.plain_link(),
                });
                if request.ci.is_none() && failed.is_none() && !stop.is_stopped() {
                    failed = Some(held.too_few(&drive, request.copies));
                }
            }
        }
        if let (Some(ci), Some(learned)) = (&request.ci, learned) {
            // An earlier run may have left its release to nobody.
            kept |= !released.changed && learned.held;
            // Nobody needs to be told of a length that nobody saw and nobody could continue.
            let seen = was_seen(exposed, self.exposure(&drive));
            if kept || seen {
                self.save_snapshot(&drive, ci, learned, sink)?;
            }
            if let Some(e) = failed {
                return Err(e);
            }
            if !kept {
                return Err(not_kept(&drive, seen, ci.snapshot.is_some()));
            }
        } else if let Some(e) = failed {
            return Err(e);
        }
        Ok(done)
    }

    /// The drive of `upgrade` in package.json. Where that names none, a link is made and written there, and nothing else is
    /// done: no build could know it.
    fn own_drive(
        &self,
        request: &Publish,
        found: &ReleasePackage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(DriveCores, Option<RunLock>), CommandError> {
        let link = match upgrade(&found.package)? {
            Some(link) => link,
            None => {
                may_mint(request, &found.file)?;
                if request.dry_run {
                    return Err(CommandError::input("a dry run makes no link").hint(
                        "publish once without --dry-run, or put a link of `bosc touch` into package.json",
                    ));
                }
                self.before_minting(request, found, stop)?;
                let _alone = alone(&found.file)?;
                // Another store may have published the folder meanwhile: there is one link in the end.
                match upgrade(&package_of(request)?.package)? {
                    Some(link) => link,
                    None => {
                        let link = self.touch(&Touch::default(), stop)?.link;
                        self.write_upgrade(request, found, &link, sink)?;
                        return Err(only_minted(&link, request, &found.file));
                    }
                }
            }
        };
        let drive = self.open_drive(&parse_link(&link)?)?;
        self.refuse_forked(&drive, sink)?;
        let lock = self.before_writing(&drive, Newest::Unknown, sink, stop)?;
        self.check_stage_link(
            &drive,
            "publish with the store that made the link, bring its key here with `bosc keys import`, or use --ci",
        )?;
        Ok((drive, lock))
    }

    /// Sees to it that no other run publishes to the link until the lock is dropped.
    fn run_lock(
        &self,
        drive: &DriveCores,
        ci: &Ci,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<RunLock, CommandError> {
        let pair = drive.db.key_pair().ok_or_else(crate::engine::errors::not_writable)?;
        let wait = Duration::from_millis(ci.wait_peers_ms);
        RunLock::take(self.bootstrap.clone(), &pair, wait, sink, stop)
    }

    /// The drive of the primary key and name.
    fn ci_drive(
        &self,
        request: &Publish,
        ci: &Ci,
        found: &ReleasePackage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(DriveCores, bool), CommandError> {
        link_rules::check_name(&ci.name)?;
        let own = link_rules::link(&self.store.primary_key(), &ci.name);
        let link = own.to_string();
        if parse_link(&ci.link)?.key != own.key {
            return Err(CommandError::input(
                "the store that is open has another primary key than this command",
            )
            .hint("give the command a store of its own with `--store DIR`"));
        }
        let mut minted = false;
        let known = upgrade(&found.package)?;
        let mut held = None;
        let known = match known {
            None if !request.dry_run => {
                may_mint(request, &found.file)
                    .map_err(|e| e.hint(format!("put it into package.json: \"upgrade\": \"{link}\"")))?;
                self.before_minting(request, found, stop)?;
                held = alone(&found.file)?;
                upgrade(&package_of(request)?.package)?
            }
            known => known,
        };
        match known {
            Some(text) if parse_link(&text)?.key == own.key => {}
            Some(text) => {
                return Err(CommandError::new(
                    ErrorKind::Input,
                    "ERR_OTHER_LINK",
                    format!("`upgrade` in package.json is {text}, and the name {:?} makes {link}", ci.name),
                )
                .hint("check `--name` and the primary key; or set `upgrade` to the latter, so that clients follow it"));
            }
            None if request.dry_run => {}
            None => {
                self.write_upgrade(request, found, &link, sink)?;
                minted = true;
            }
        }
        drop(held);
        let options = CreateOptions::named_in(link_rules::namespace(&ci.name), link_rules::CORE_NAME);
        let db = self.store.create_core(options).map_err(store_error)?;
        Ok((self.drive_of(db), minted))
    }

    /// Refuses what cannot be released, secrets above all, before a link is made and written into package.json.
    fn before_minting(
        &self,
        request: &Publish,
        found: &ReleasePackage,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        if !request.artifacts.is_empty() {
            return build::check(&Self::build_of(request, found.file.clone(), None));
        }
        self.would_stage(
            &Stage {
                dir: request.dir.clone(),
                ignore: request.ignore.clone(),
                allow: request.allow.clone(),
                no_suspects: request.ci.is_some(),
                ..Stage::default()
            },
            stop,
        )
    }

    fn build_of(request: &Publish, package: PathBuf, target: Option<PathBuf>) -> Build {
        Build {
            package: Some(package),
            target,
            cwd: request.dir.clone(),
            artifacts: request
                .artifacts
                .iter()
                .map(|(arch, path)| Artifact {
                    arch: arch.clone(),
                    path: path.clone(),
                    rename: request.rename,
                })
                .collect(),
            force: request.force_build,
        }
    }

    fn write_upgrade(
        &self,
        request: &Publish,
        found: &ReleasePackage,
        link: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), CommandError> {
        let file = found.file.clone();
        let unwritable = |e: std::io::Error| {
            CommandError::unwritable(
                format!("the link could not be written to {}", file.display()),
                e,
                format!("put it there yourself, \"upgrade\": \"{link}\", and publish again"),
            )
        };
        let text = bosc_files::read_plain(&file, MAX_PACKAGE_LEN)
            .and_then(|b| {
                String::from_utf8(b).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
            })
            .map_err(unwritable)?;
        let text = package_edit::set_upgrade(found.kind, &text, link)
            .map_err(|why| unwritable(std::io::Error::new(std::io::ErrorKind::InvalidData, why)))?;
        write_shared(&file, text.as_bytes()).map_err(unwritable)?;
        let (link, artifacts) = (link.to_owned(), !request.artifacts.is_empty());
        sink.tell(PublishEvent::Minted { link, file, artifacts });
        Ok(())
    }

    /// Builds the deployment directory of the artifacts. A dry run builds it aside, and takes it away in the end.
    ///
    /// A directory of the same name and version was made by this command, which somebody stopped: it is made anew.
    fn deployment(
        &self,
        request: &Publish,
        found: &ReleasePackage,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(PathBuf, Option<DryBuild>), CommandError> {
        let package = found.file.clone();
        let project = build::read_project(&package)?;
        let target = request.target.clone().unwrap_or_else(|| request.dir.join(project.folder_name()));
        let aside = request.dry_run.then(|| DryBuild(self.dir.join(DRY_BUILD_FOLDER)));
        let same = Package::read(&target).is_ok_and(|p| {
            p.name.as_deref() == Some(project.app_name()) && p.version.as_deref() == Some(&*project.version)
        });
        let target = aside.as_ref().map_or(target, |a| a.0.clone());
        let mut build = Self::build_of(request, package, Some(target));
        build.force |= request.dry_run || same;
        let run = if aside.is_some() { build::run_aside } else { build::run };
        let data = run(&build, sink, stop).map_err(|e| match e.code() {
            // With it, what is there is no deployment directory.
            "ERR_DIR_NONEMPTY" if !build.force => {
                e.hint("name another folder with --target, or replace this one with --force-build")
            }
            _ => e,
        })?;
        Ok((data.target, aside))
    }
}

/// What says name, version and link of what is published.
fn package_of(request: &Publish) -> Result<ReleasePackage, CommandError> {
    ReleasePackage::of(&request.dir, request.package.as_deref(), !request.artifacts.is_empty())
}

/// Refuses to write where nothing of this may be, before anything is written.
fn check_outputs(request: &Publish, package: &Path) -> Result<(), CommandError> {
    OutputFile::new(package, OutputKind::Edited).check()?;
    let Some(ci) = &request.ci else { return Ok(()) };
    if let Some(snapshot) = &ci.snapshot {
        OutputFile::new(snapshot, OutputKind::Edited).apart_from([package.to_owned()]).check()?;
    }
    // A cache may be a store that another runner left, but is in none.
    match ci.cache.as_deref().and_then(Path::parent) {
        Some(above) => check_output_folder(above, &[]),
        None => Ok(()),
    }
}

/// A folder that goes away with the value.
struct DryBuild(PathBuf);

impl Drop for DryBuild {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `upgrade` of a package.json; empty counts as none.
fn upgrade(package: &Package) -> Result<Option<String>, CommandError> {
    match package.json.get("upgrade") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => {
            PearLink::parse(text).map_err(|e| {
                CommandError::new(
                    ErrorKind::Input,
                    "ERR_INVALID_LINK",
                    "`upgrade` in package.json is not a pear link",
                )
                .because(e)
                .hint("set it to a link of `bosc touch`, or remove it and publish with --yes to get one")
            })?;
            Ok(Some(text.clone()))
        }
        Some(_) => Err(CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_MANIFEST",
            "`upgrade` in package.json is not a string",
        )
        .hint("set it to the link that the application updates from")),
    }
}

fn may_mint(request: &Publish, file: &Path) -> Result<(), CommandError> {
    if request.mint {
        return Ok(());
    }
    Err(CommandError::new(
        ErrorKind::Input,
        "ERR_NO_UPGRADE_LINK",
        format!("{} has no `upgrade` link", file.display()),
    )
    .hint("run it with --yes to make a link and write it there, or set `upgrade` to a link of `bosc touch`"))
}

/// A link that was made, and no release: that is the next run's.
fn only_minted(link: &str, request: &Publish, file: &Path) -> CommandError {
    CommandError::new(
        ErrorKind::Unfinished,
        "ERR_LINK_MINTED",
        format!("{link} is new and in {}; nothing was released, because no build could know it", file.display()),
    )
    .hint(format!(
        "put the link into the application (`UpdateSource::pear(\"{link}\")`, or `bosc watch --upgrade {link}`), build it \
         again, then run `bosc publish {}` once more",
        request.dir.display()
    ))
}

/// Whether a peer may have seen the head that came between two looks: it was there before, or came since.
fn was_seen(before: Option<(u64, usize)>, after: Option<(u64, usize)>) -> bool {
    let (count, there) = before.unwrap_or_default();
    there > 0 || after.is_some_and(|(now, _)| now > count)
}

/// A release that only this runner has.
fn not_kept(drive: &DriveCores, seen: bool, noted: bool) -> CommandError {
    if seen {
        return CommandError::new(
            ErrorKind::Network,
            "ERR_NOT_SEEDED",
            format!("peers saw the release {} and no peer fetched all of it", drive.verlink()),
        )
        .hint(match noted {
            true => {
                "commit the snapshot, which says so: no run may sign another release of that length; keep this store \
                 and publish again from it while a seeder (`bosc seed`) is online"
            }
            false => {
                "keep this store and publish again from it while a seeder (`bosc seed`) is online; from another store \
                 it would become a second history: a --snapshot that is committed, or a --cache, prevents that"
            }
        });
    }
    CommandError::new(
        ErrorKind::Network,
        "ERR_NOT_SEEDED",
        format!("no peer fetched the release {}; when this runner goes, it is gone", drive.verlink()),
    )
    .hint(
        "keep this store and publish again from it while a seeder (`bosc seed`) is online, or give runners a --cache",
    )
}
