//! `bosc publish`, `bosc line` and `bosc rotate`: from flags to requests, and the one question.

pub(crate) mod args;
mod human;

pub(crate) use human::line as human_line;

use crate::run::{absolute, seconds};
use crate::tools::passphrase_from_environment;
use args::{Kind, Line, LineCommand, Publish, Rotate};
use bosc_release::command::{Request, Stop};
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::lines::file::{self, Seeds};
use bosc_release::lines::{self, Action};
use bosc_release::multisig::config::Config;
use bosc_release::package::Package;
use bosc_release::publish::{self, Ci, rules};
use bosc_release::rotate;
use bosc_release::tools::key_file;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Names the file with an encrypted primary key.
const KEY_FILE: &str = "BOSC_PRIMARY_KEY_FILE";

/// The request of `bosc publish`. `primary` is the primary key of the environment.
pub(crate) fn publish(a: &Publish, primary: Option<&[u8; 32]>, stop: &Stop) -> Result<Request, CommandError> {
    if a.ci {
        rules::check_target(&a.dir)?;
    }
    let dir = absolute(&a.dir)?;
    let artifacts = artifacts(a)?;
    let ci = if a.ci { Some(ci(a, &dir, primary)?) } else { None };
    let mint = a.yes || (ci.is_none() && !a.dry_run && lacks_link(&dir) && ask(&dir, stop)?);
    Ok(Request::Publish(publish::Publish {
        dir,
        mint,
        artifacts,
        target: a.build.target.as_deref().map(absolute).transpose()?,
        force_build: a.build.force_build,
        dry_run: a.dry_run,
        ignore: a.ignore.clone(),
        copies: a.copies,
        wait_ms: seconds(a.wait)?,
        ci,
    }))
}

fn artifacts(a: &Publish) -> Result<Vec<(String, std::path::PathBuf)>, CommandError> {
    let b = &a.build;
    let out = b.apps.named()?;
    if out.is_empty() && (b.target.is_some() || b.force_build) {
        return Err(CommandError::input("--target and --force-build are for what is built")
            .hint("name an application, as in `--linux-x64-app ./dist/App.AppImage`"));
    }
    Ok(out)
}

fn ci(a: &Publish, dir: &Path, primary: Option<&[u8; 32]>) -> Result<Ci, CommandError> {
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
        None => Package::read(dir).ok().and_then(|p| p.name).ok_or_else(|| {
            CommandError::input("package.json has no name").hint("name the link with `--name`")
        })?,
    };
    rules::check_name(&name)?;
    Ok(Ci {
        link: rules::link(primary, &name).to_string(),
        name,
        wait_peers_ms: a.wait_peers.map_or(Ok(publish::WAIT_PEERS_MS), seconds)?,
        mirror: a.mirror.as_deref().map(absolute).transpose()?,
        snapshot: a.snapshot.as_deref().map(absolute).transpose()?,
        first: a.first,
    })
}

/// Whether package.json is fine and has no link.
fn lacks_link(dir: &Path) -> bool {
    Package::read(dir).is_ok_and(|p| p.upgrade.is_none_or(|u| u.trim().is_empty()))
}

/// Asks whether a link shall be made. False when nobody can be asked.
fn ask(dir: &Path, stop: &Stop) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(
        err,
        "{} has no `upgrade` link. Make one and write it there? [y/N] ",
        dir.join("package.json").display()
    )
    .and_then(|()| err.flush());
    drop(err);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if stop.is_stopped() {
        return Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped"));
    }
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The request of `bosc line`.
pub(crate) fn line(a: &Line) -> Result<Request, CommandError> {
    let action = match &a.command {
        LineCommand::List => Action::List { names: Vec::new() },
        LineCommand::Show { name } => Action::List { names: vec![name.clone()] },
        LineCommand::Init { config } => Action::Init { production: production_link(config)? },
        LineCommand::Add(add) => Action::Add(lines::Add {
            name: add.name.clone(),
            kind: match add.kind {
                Kind::Stage => file::Kind::Stage,
                Kind::Provision => file::Kind::Provision,
                Kind::Multisig => file::Kind::Multisig,
            },
            link: add.link.clone(),
            source: add.source.clone(),
            production: add.production.clone(),
            seeds: add.seeds.as_deref().map(Seeds::parse).transpose()?,
            replace: add.replace,
        }),
        LineCommand::Remove { name } => Action::Remove { name: name.clone() },
        LineCommand::Promote(p) => Action::Promote(lines::Promote {
            from: p.from.clone(),
            to: p.to.clone(),
            length: p.length,
            dry_run: p.dry_run,
            force: p.force,
            contiguous: p.contiguous,
            cooldown_ms: seconds(if p.yes { 0.0 } else { p.cooldown })?,
        }),
    };
    Ok(Request::Line(lines::Line { file: absolute(&a.file)?, action, timeout_ms: seconds(a.timeout)? }))
}

/// The link that the signers in `config` stand for, when there are any.
fn production_link(config: &Path) -> Result<Option<String>, CommandError> {
    let signers = match Config::read(config) {
        Ok(config) => config.signers,
        // A project whose signers are not known yet.
        Err(_) if !mentions_signers(config) => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(Some(bosc_format::link::PearLink::new(signers.manifest()?.key()).to_string()))
}

fn mentions_signers(config: &Path) -> bool {
    let mut text = Vec::new();
    std::fs::File::open(config).is_ok_and(|f| f.take(1 << 20).read_to_end(&mut text).is_ok())
        && String::from_utf8_lossy(&text).contains("\"multisig\"")
}

/// The request of `bosc rotate`.
pub(crate) fn rotate(a: &Rotate) -> Result<Request, CommandError> {
    Ok(Request::Rotate(rotate::Rotate {
        old: a.old.clone(),
        new: a.new.clone(),
        check: a.check,
        target: a.target.clone(),
        dry_run: a.dry_run,
        copies: a.copies,
        timeout_ms: seconds(a.timeout)?,
        wait_ms: seconds(a.wait)?,
        cooldown_ms: seconds(if a.yes { 0.0 } else { a.cooldown })?,
    }))
}

/// The primary key in the file that BOSC_PRIMARY_KEY_FILE names, decrypted with BOSC_PASSPHRASE.
pub(crate) fn encrypted_primary_key() -> Result<Option<Zeroizing<[u8; 32]>>, CommandError> {
    let Some(path) = std::env::var_os(KEY_FILE).filter(|v| !v.is_empty()) else { return Ok(None) };
    let unusable = |why: &str| {
        CommandError::input(format!("the file of {KEY_FILE} cannot be used: {why}"))
            .hint("write one with `bosc keys backup FILE`, and set BOSC_PASSPHRASE to its passphrase")
    };
    let mut text = String::new();
    std::fs::File::open(&path)
        .and_then(|f| f.take(key_file::MAX_FILE as u64 + 1).read_to_string(&mut text))
        .map_err(|e| unusable("it cannot be read").because(e))?;
    let passphrase = passphrase_from_environment()?.ok_or_else(|| unusable("BOSC_PASSPHRASE is not set"))?;
    let contents = key_file::open(&text, passphrase.expose()).map_err(|e| unusable(&e.to_string()))?;
    let primary =
        contents.primary.as_ref().ok_or_else(|| unusable("it holds the key of one link, no backup"))?;
    bosc_format::id::decode(&primary.0)
        .map(|k| Some(Zeroizing::new(k)))
        .map_err(|_| unusable("its primary key is no key"))
}
