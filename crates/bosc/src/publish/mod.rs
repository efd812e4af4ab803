//! `bosc publish`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::plain::one_line;
use crate::printer::Printer;
use crate::question::confirm;
use crate::values::{absolute, seconds};
use args::Publish;
use bosc_release::build::ReleasePackage;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::publish::{COPIES, Ci, KEPT_COPIES, STALL_MS, WAIT_MS};
use bosc_release::request::Request;
use bosc_release::stage::link_rules;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The request of `bosc publish`. `primary` is the primary key of the environment.
pub(crate) fn publish(
    a: &Publish,
    primary: Option<&[u8; 32]>,
    printer: &Printer,
    stop: &Stop,
) -> Result<Request, CommandError> {
    if a.ci {
        link_rules::check_target(&a.dir)?;
    }
    let dir = absolute(&a.dir)?;
    let artifacts = artifacts(a)?;
    let ci = if a.ci { Some(ci(a, package_of(&dir, &artifacts), primary)?) } else { None };
    let found = package_of(&dir, &artifacts);
    let linkless = found.as_ref().filter(|p| p.package.upgrade.as_ref().is_none_or(|u| u.trim().is_empty()));
    let mint = a.yes
        || match linkless {
            Some(found) if ci.is_none() && !a.dry_run => ask(&found.file, printer, stop)?,
            _ => false,
        };
    Ok(Request::Publish(bosc_release::publish::Publish {
        sole_copy: a.sole_copy,
        dir,
        mint,
        artifacts,
        target: a.build.target.as_deref().map(absolute).transpose()?,
        force_build: a.build.force_build,
        dry_run: a.dry_run,
        ignore: a.ignore.clone(),
        allow: a.allow.clone(),
        allow_key: a.allow_key.clone(),
        copies: a.copies.unwrap_or(if a.ci { KEPT_COPIES } else { COPIES }),
        wait_ms: a.wait.map_or(Ok(WAIT_MS), seconds)?,
        stall_ms: if a.ci || a.copies.is_some() || a.wait.is_some() { 0 } else { STALL_MS },
        ci,
    }))
}

fn artifacts(a: &Publish) -> Result<Vec<(String, PathBuf)>, CommandError> {
    let b = &a.build;
    let out = b.apps.named()?;
    if out.is_empty() && (b.target.is_some() || b.force_build) {
        return Err(CommandError::input("--target and --force-build are for what is built")
            .hint("name an application, as in `--linux-x64-app ./dist/App.AppImage`"));
    }
    Ok(out)
}

fn ci(a: &Publish, found: Option<ReleasePackage>, primary: Option<&[u8; 32]>) -> Result<Ci, CommandError> {
    let Some(primary) = primary else {
        return Err(CommandError::new(
            ErrorKind::Input,
            "ERR_NO_PRIMARY_KEY",
            "--ci takes the primary key from the environment, and there is none",
        )
        .hint(
            "set BOSC_PRIMARY_KEY (64 hex characters), or BOSC_PRIMARY_KEY_FILE (from `bosc keys backup`) and \
             BOSC_PASSPHRASE, from the secrets of the CI",
        ));
    };
    let name = match &a.name {
        Some(name) => name.clone(),
        None => found.and_then(|p| p.package.name).ok_or_else(|| {
            CommandError::input("package.json has no name").hint("name the link with `--name`")
        })?,
    };
    link_rules::check_name(&name)?;
    Ok(Ci {
        link: link_rules::link(primary, &name).to_string(),
        name,
        wait_peers_ms: a.wait_peers.map_or(Ok(bosc_release::publish::WAIT_PEERS_MS), seconds)?,
        mirror: a.mirror.as_deref().map(absolute).transpose()?,
        snapshot: a.snapshot.as_deref().map(absolute).transpose()?,
        first: a.first,
    })
}

/// What is published, if that can be read.
fn package_of(dir: &Path, artifacts: &[(String, PathBuf)]) -> Option<ReleasePackage> {
    match artifacts.is_empty() {
        true => ReleasePackage::of_folder(dir).ok(),
        false => ReleasePackage::of_project(dir).ok(),
    }
}

/// Asks whether to make a link. False when nobody can be asked.
fn ask(file: &Path, printer: &Printer, stop: &Stop) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let question =
        format!("{} has no `upgrade` link. Make one and write it there?", one_line(&file.to_string_lossy()));
    confirm(&question, "--yes", printer, stop)
}
