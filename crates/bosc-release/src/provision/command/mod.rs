//! `provision`: production's blocks and one batch that equals a version of a source. See [`crate::provision`].
//!
//! Everything is compared before anything is written; the target's first block is written after the cooldown.
//!
//! # Files
//!
//! - `side`: a drive at one version. `read`: what it holds. `prefix`: the target against production, how long its blobs must be.
//!   `target`: what is written to, and what of it is durable at once.
//! - `context`: what they share.

pub(crate) mod context;
mod prefix;
pub(crate) mod read;
pub(crate) mod side;
mod target;
#[cfg(test)]
mod tests;

use super::event::{CoreVersion, Diffed, DriveVersion, ProvisionEvent, ProvisionWarning, Provisioned, Which};
use super::plan::{ProvisionPlan, plan};
use super::types::{Layout, Provision, ProvisionError};
use super::version::{ReleaseVersion, VersionError};
use super::write::write;
use crate::command::{Sink, Stop};
use crate::dump::command::no_files;
use crate::engine::Engine;
use crate::engine::drive::{check_batch_end, drive_error, parse_link, parse_whole_link};
use crate::engine::errors::store_error;
use crate::engine::follow::stopped;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::policy::check;
use crate::policy::event::PolicyEvent;
use crate::policy::shown::PolicyShown;
use crate::stage::TargetError;
use bosc_follow::Fetch;
use bosc_format::id;
use bosc_format::link::PearLink;
use context::Context;
use prefix::Start;
use read::invalid_manifest;
use side::DriveAt;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use target::{Prefixed, Target};

/// The three links.
struct Links {
    source: PearLink,
    target: PearLink,
    production: PearLink,
    /// Length of the production link.
    prefix: u64,
}

impl Links {
    fn parse(request: &Provision) -> Result<Self, CommandError> {
        let (source, target, production) = (
            parse_link(&request.source)?,
            parse_whole_link(&request.target)?,
            parse_link(&request.production)?,
        );
        if source.version.is_none() {
            return Err(unversioned("source"));
        }
        let version = production.version.ok_or_else(|| unversioned("production"))?;
        let prefix = version.length;
        if prefix == 0 && version.fork > 0 {
            return Err(CommandError::input("a production of length 0 has no forks")
                .hint("while there is no production, give pear://0.0.<key>"));
        }
        if source.key == target.key {
            return Err(CommandError::input("source and target are the same link")
                .hint("make a target of its own with `bosc touch`"));
        }
        Ok(Self { source, target, production, prefix })
    }
}

impl Engine {
    /// What was provisioned; nothing on a dry run.
    pub(crate) fn provision(
        &self,
        request: &Provision,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Option<Provisioned>, CommandError> {
        let links = Links::parse(request)?;
        let _lock = match request.dry_run {
            true => None,
            // The key of the target may be on other machines too.
            false => {
                let target = self.open_drive(&links.target)?;
                self.refuse_forked(&target, sink)?;
                self.before_writing(&target, Newest::of_flags(request.newest), sink, stop)?
            }
        };
        let cx = Context::new(self, Duration::from_millis(request.timeout_ms), sink, stop);
        let target = Target::open(self, &links.target)?;
        let outcome = run(&cx, request, &links, &target);
        // What was received is kept, whatever became of the rest.
        let flushed = self.store.flush().map_err(store_error);
        let provisioned = outcome?;
        flushed?;
        Ok(provisioned)
    }
}

fn run<'a>(
    cx: &'a Context<'a>,
    request: &Provision,
    links: &Links,
    target: &Target,
) -> Result<Option<Provisioned>, CommandError> {
    let source = DriveAt::open(cx, &links.source)?;
    let length = source.length;
    source.reading(Which::Db).read(|| check_batch_end(source.db(), length))?;
    let source_tree = source.tree()?;
    if source_tree.entries.is_empty() {
        return Err(no_files(length));
    }
    let needed = DriveAt::blobs_needed(&source_tree);
    source.reach(Which::Blobs, needed)?;
    source.set_blobs_length(needed);
    let package = source.package()?.ok_or_else(|| invalid_manifest("it has no package.json"))?;
    let version = ReleaseVersion::parse(package.version.as_deref()).map_err(version_error)?;
    if let Some(bytes) = source.rules()? {
        let policy = check::read(&bytes, ErrorKind::Integrity)?;
        let shown = PolicyShown::new(&links.source.to_string(), package.version.as_deref(), &policy);
        cx.tell(PolicyEvent::Policy(Box::new(shown)));
    }

    let production = (links.prefix > 0).then(|| DriveAt::open(cx, &links.production)).transpose()?;
    warn_of_production(cx, links)?;
    let start: Start<'_> = prefix::start(cx, target, production.as_ref())?;
    let no_base = || CommandError::failed("there is no production to start from");
    let base = start.own.as_ref().or(production.as_ref()).ok_or_else(no_base)?;
    if !start.ahead {
        base.reading(Which::Db).read(|| check_batch_end(base.db(), base.length))?;
    }

    cx.tell(ProvisionEvent::Diffing);
    let plan = plan(&source_tree, &source, &base.tree()?, base).map_err(command_error)?;
    for diff in &plan.diffs {
        cx.tell(ProvisionEvent::ByteDiff(diff.clone()));
    }
    let changes = plan.diffs.len();
    cx.tell(ProvisionEvent::Diffed(Box::new(Diffed {
        changes,
        fields: plan.fields.len(),
        semver: version.to_string(),
        source: source.told(),
        target: target.told(),
    })));
    if start.ahead && !plan.is_empty() {
        return Err(prefix::ahead(target, links.prefix));
    }
    if !plan.is_empty() {
        check_above(cx, links, &version, base)?;
    }
    if request.dry_run {
        cx.tell(ProvisionEvent::Dry);
        return Ok(None);
    }
    let behind = target.length < base.length || target.blobs_length < start.blobs;
    if !plan.is_empty() || behind {
        cool_down(cx, Duration::from_millis(request.cooldown_ms))?;
        put(cx, request, target, &plan, &source, base, start.blobs)?;
    }
    cx.tell_costs(&target.drive.db, &target.blobs);
    let production = match &production {
        Some(production) => production.told(),
        None => nothing(&links.production),
    };
    Ok(Some(Provisioned { source: source.told(), target: target.told(), production, changes }))
}

fn put(
    cx: &Context<'_>,
    request: &Provision,
    target: &Target,
    plan: &ProvisionPlan,
    source: &DriveAt<'_>,
    base: &DriveAt<'_>,
    blobs: u64,
) -> Result<(), CommandError> {
    // Two that write to one target would each build on the same head.
    let _alone = cx.engine.staging.lock().unwrap_or_else(PoisonError::into_inner);
    target.check_unchanged()?;
    cx.tell(ProvisionEvent::Staging);
    target.copy_blobs(cx, base, blobs)?;
    let mut prefixed = Prefixed::new(cx, target, base)?;
    let layout = if request.contiguous { Layout::Contiguous } else { Layout::Dedup };
    let total = plan.diffs.len();
    let summary = write(&mut prefixed, plan, source, base, layout, &mut |files, bytes| {
        cx.progress(|| ProvisionEvent::Writing { files, of: total, bytes });
    })
    .map_err(command_error)?;
    cx.tell(ProvisionEvent::Staged {
        changes: total,
        new_bytes: summary.new_bytes,
        new_blocks: summary.new_blocks,
        shared_bytes: summary.shared_bytes,
    });
    for change in &plan.fields {
        let field = change.field.to_owned();
        cx.tell(match &change.value {
            None => ProvisionEvent::Unsetting { field },
            Some(value) => {
                ProvisionEvent::Setting { field, value: serde_json::from_slice(value).unwrap_or_default() }
            }
        });
    }
    Ok(())
}

/// Waits, so that whoever reads the diff can still stop it.
fn cool_down(cx: &Context<'_>, time: Duration) -> Result<(), CommandError> {
    if time.is_zero() {
        return Ok(());
    }
    cx.tell(ProvisionEvent::Cooldown { time: time.as_millis() as u64 });
    let start = Instant::now();
    let mut told = time.as_secs().saturating_add(1);
    loop {
        if cx.stop.is_stopped() {
            return Err(
                stopped().hint("nothing was written; run the command again when the difference is right")
            );
        }
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        let seconds = left.as_millis().div_ceil(1000) as u64;
        if seconds < told {
            told = seconds;
            cx.tell(ProvisionEvent::Cooling { left: seconds });
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Says so when this store knows production to be longer than the version to start from.
fn warn_of_production(cx: &Context<'_>, links: &Links) -> Result<(), CommandError> {
    let production = cx.engine.open_drive(&links.production)?;
    let known = production.db.length();
    if known > links.prefix && links.production.key != links.target.key {
        cx.tell(ProvisionEvent::Warning {
            code: ProvisionWarning::ProductionAhead,
            message: format!(
                "production has length {known} and the link names {}: what is made from that can no longer be \
                 signed into production; use {}",
                links.prefix,
                production.verlink(),
            ),
        });
    }
    Ok(())
}

/// Refuses a version that no client would install over production's.
fn check_above(
    cx: &Context<'_>,
    links: &Links,
    version: &ReleaseVersion,
    base: &DriveAt<'_>,
) -> Result<(), CommandError> {
    // What production holds may be no application; then there is nothing to compare with.
    let there = match base.package() {
        Ok(package) => package.and_then(|p| p.version),
        Err(e) if e.code() == "ERR_INVALID_MANIFEST" => None,
        Err(e) => return Err(e),
    };
    let Err(e) = version.check_above(there.as_deref()) else { return Ok(()) };
    // On top of the target's own draft the same version is the rule: it was not released yet.
    if links.production.key == links.target.key {
        cx.tell(ProvisionEvent::Warning { code: ProvisionWarning::VersionNotAbove, message: e.to_string() });
        return Ok(());
    }
    Err(version_error(e))
}

fn nothing(link: &PearLink) -> DriveVersion {
    let empty = id::encode(&bosc_format::merkle::Head::default().tree_hash());
    DriveVersion {
        core: CoreVersion { id: id::encode(&link.key), length: 0, hash: Some(empty) },
        blobs: None,
        link: PearLink::new(link.key).to_string(),
        verlink: PearLink::verlink(link.key, link.version.map_or(0, |v| v.fork), 0).to_string(),
        hashlink: None,
    }
}

fn unversioned(which: &str) -> CommandError {
    let hint = match which {
        "source" => "use the verlink that `bosc stage` printed, or that `bosc info <link>` shows",
        _ => {
            "use the verlink that `bosc info <production-link>` shows; while there is no production, \
             pear://0.0.<key> with the key of the production link or of the target"
        }
    };
    CommandError::new(ErrorKind::Input, "ERR_INVALID_LINK", format!("<{which}-verlink> must be versioned"))
        .hint(hint)
}

fn version_error(e: VersionError) -> CommandError {
    let hint = match &e {
        VersionError::NotAbove { .. } => {
            "applications never install an equal or lower version, so it would reach nobody: raise `version` in \
             package.json, build, stage and provision that; to go back, release the old files under a higher version"
        }
        _ => {
            "production takes versions of the form 1.2.3: set `version` in package.json, stage and provision that"
        }
    };
    CommandError::new(ErrorKind::Input, "ERR_INVALID_MANIFEST", e.to_string()).hint(hint)
}

pub(crate) fn command_error(e: ProvisionError) -> CommandError {
    let message = e.to_string();
    match e {
        ProvisionError::Fetch(e) => *e,
        ProvisionError::Drive(e) => drive_error(e),
        ProvisionError::Target(TargetError::Failed(e)) => match e.downcast::<bosc_store::Error>() {
            Ok(e) => store_error(*e),
            Err(e) => match e.downcast::<CommandError>() {
                Ok(e) => *e,
                Err(e) => match e.downcast::<ProvisionError>() {
                    Ok(e) => command_error(*e),
                    Err(e) => CommandError::new(ErrorKind::Store, "ERR_STORE", "the store failed").because(e),
                },
            },
        },
        ProvisionError::Target(_) => CommandError::not_found(message).hint("run the command again"),
        ProvisionError::Name(_) | ProvisionError::TooManyBlocks | ProvisionError::Content { .. } => {
            CommandError::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", message)
                .hint("stage the source again to a new link, and provision that")
        }
    }
}
