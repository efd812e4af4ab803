//! `bosc line`: flags, request, what people read.

pub(crate) mod args;
pub(crate) mod human;

use crate::values::{absolute, seconds};
use args::{Kind, Line, LineCommand};
use bosc_release::error::CommandError;
use bosc_release::line::Action;
use bosc_release::line::file::{self, Seeds};
use bosc_release::multisig::config::Config;
use bosc_release::request::Request;
use std::io::Read;
use std::path::Path;

/// The request of `bosc line`.
pub(crate) fn line(a: &Line) -> Result<Request, CommandError> {
    let action = match &a.command {
        LineCommand::List => Action::List { names: Vec::new() },
        LineCommand::Show { name } => Action::List { names: vec![name.clone()] },
        LineCommand::Init { config } => Action::Init { production: production_link(config)? },
        LineCommand::Add(add) => Action::Add(bosc_release::line::Add {
            name: add.name.clone(),
            kind: match add.kind {
                Kind::Stage => file::LineKind::Stage,
                Kind::Provision => file::LineKind::Provision,
                Kind::Multisig => file::LineKind::Multisig,
            },
            link: add.link.clone(),
            source: add.source.clone(),
            production: add.production.clone(),
            seeds: add.seeds.as_deref().map(Seeds::parse).transpose()?,
            replace: add.replace,
        }),
        LineCommand::Remove { name } => Action::Remove { name: name.clone() },
        LineCommand::Promote(p) => Action::Promote(bosc_release::line::Promote {
            sole_copy: p.sole_copy,
            from: p.from.clone(),
            to: p.to.clone(),
            length: p.length,
            dry_run: p.dry_run,
            force: p.force,
            contiguous: p.contiguous,
            cooldown_ms: seconds(if p.yes { 0.0 } else { p.cooldown })?,
        }),
    };
    Ok(Request::Line(bosc_release::line::Line {
        file: absolute(&a.file)?,
        action,
        timeout_ms: seconds(a.timeout)?,
    }))
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
    bosc_files::open_plain(config).is_ok_and(|f| f.take(1 << 20).read_to_end(&mut text).is_ok())
        && String::from_utf8_lossy(&text).contains("\"multisig\"")
}
