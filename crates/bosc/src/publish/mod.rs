//! `bosc publish`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::plain::one_line;
use crate::printer::Printer;
use crate::question::confirm;
use crate::values::{absolute, seconds};
use args::Publish;
use bosc_release::build::{ReleasePackage, read_project};
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::publish::project_file::ProjectFile;
use bosc_release::publish::{COPIES, Ci, KEPT_COPIES, PublishEvent, STALL_MS, WAIT_MS};
use bosc_release::request::Request;
use bosc_release::stage::link_rules;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Where the deployment directory of a project with a `bosc.toml` is made.
const RELEASE_FOLDER: &str = ".bosc/release";

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
    let mut artifacts = artifacts(a)?;
    let project = ProjectFile::read(&dir)?;
    let package = project.as_ref().and_then(|p| p.package_in(&dir));
    let named = project.as_ref().is_some_and(|p| !p.builds.is_empty()) && artifacts.is_empty();
    if let Some(project) = project.as_ref().filter(|_| named) {
        artifacts = builds_of(project, &dir, printer)?;
    }
    let found = ReleasePackage::of(&dir, package.as_deref(), !artifacts.is_empty()).ok();
    let link_name = project.as_ref().and_then(|p| p.link_name.clone());
    let ci = if a.ci { Some(ci(a, link_name, found.clone(), primary)?) } else { None };
    let linkless = found.as_ref().filter(|p| p.package.upgrade.as_ref().is_none_or(|u| u.trim().is_empty()));
    let mint = a.yes
        || match linkless {
            Some(found) if ci.is_none() && !a.dry_run => ask(&found.file, printer, stop)?,
            _ => false,
        };
    Ok(Request::Publish(bosc_release::publish::Publish {
        sole_copy: a.sole_copy,
        mint,
        artifacts,
        // A folder of its own, which is made anew for each release.
        target: match (&a.build.target, project.is_some()) {
            (Some(target), _) => Some(absolute(target)?),
            (None, true) => Some(dir.join(RELEASE_FOLDER)),
            (None, false) => None,
        },
        force_build: a.build.force_build || project.is_some() && a.build.target.is_none(),
        package,
        rename: named,
        dir,
        dry_run: a.dry_run,
        ignore: a.ignore.clone(),
        allow: a.allow.clone(),
        allow_key: a.allow_key.clone(),
        copies: a.copies.unwrap_or(if a.ci { KEPT_COPIES } else { COPIES }),
        wait_ms: a.wait.map_or(Ok(WAIT_MS), seconds)?,
        tables: printer.shows_progress(),
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

/// What `bosc.toml` says was built, as far as it is there.
fn builds_of(
    project: &ProjectFile,
    dir: &Path,
    printer: &Printer,
) -> Result<Vec<(String, PathBuf)>, CommandError> {
    let package = project.package_in(dir).unwrap_or_else(|| dir.join("package.json"));
    let (there, missing): (Vec<_>, Vec<_>) =
        project.builds_in(dir, &read_project(&package)?).into_iter().partition(|(_, path)| path.exists());
    if there.is_empty() {
        let paths: Vec<String> = missing.iter().map(|(_, path)| one_line(&path.to_string_lossy())).collect();
        return Err(CommandError::not_found(format!(
            "nothing is built yet: there is no {}",
            paths.join(", no ")
        ))
        .hint("build the application first; where it is built is in bosc.toml, below [publish.builds]"));
    }
    for (platform, path) in missing {
        let event = PublishEvent::NotBuilt { platform, path };
        printer.event(&event);
        human::line(printer, &event);
    }
    Ok(there)
}

fn ci(
    a: &Publish,
    link_name: Option<String>,
    found: Option<ReleasePackage>,
    primary: Option<&[u8; 32]>,
) -> Result<Ci, CommandError> {
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
    let name = match a.name.clone().or(link_name) {
        Some(name) => name,
        None => found.and_then(|p| p.package.name).ok_or_else(|| {
            CommandError::input("package.json has no name").hint("name the link with `--name`")
        })?,
    };
    link_rules::check_name(&name)?;
    Ok(Ci {
        link: link_rules::link(primary, &name).to_string(),
        name,
        wait_peers_ms: a.wait_peers.map_or(Ok(bosc_release::publish::WAIT_PEERS_MS), seconds)?,
        cache: a.cache.as_deref().map(cache_folder).transpose()?,
        snapshot: a.snapshot.as_deref().map(absolute).transpose()?,
        first: a.first,
    })
}

/// The folder of `--cache`, which had the name of what other commands call a mirror.
fn cache_folder(path: &Path) -> Result<PathBuf, CommandError> {
    if path.to_string_lossy().contains("://") {
        return Err(CommandError::input(format!(
            "{:?} is an address, and --cache takes a folder",
            path.to_string_lossy()
        ))
        .hint("publish first, then write the release there with `bosc mirror LINK ADDRESS`"));
    }
    absolute(path)
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
