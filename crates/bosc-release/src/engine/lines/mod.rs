//! `line`: see [`crate::lines`].

mod list;
mod promote;

use super::Engine;
use super::drive::parse_link;
use crate::command::{Outcome, Sink, Stop, Touch};
use crate::error::{CommandError, ErrorKind};
use crate::lines::file::{Declared, Kind, LineFile};
use crate::lines::{Action, Add, Line};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

pub(super) use promote::multisig_steps;

/// The five usual lines: name, kind, source.
const USUAL: [(&str, Kind, Option<&str>); 5] = [
    ("development", Kind::Stage, None),
    ("staging", Kind::Stage, Some("development")),
    ("rc", Kind::Stage, Some("staging")),
    ("prerelease", Kind::Provision, Some("rc")),
    ("production", Kind::Multisig, Some("prerelease")),
];

impl Engine {
    pub(super) fn line(&self, request: &Line, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let timeout = Duration::from_millis(request.timeout_ms);
        if let Action::List { names } = &request.action {
            return self.list_lines(&LineFile::open(&request.file)?, names, timeout, sink, stop);
        }
        // One at a time changes the file, or releases.
        let _alone = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        match &request.action {
            Action::List { .. } => Ok(Value::Null),
            Action::Add(add) => self.add_line(&request.file, add, sink, stop),
            Action::Remove { name } => {
                let mut file = LineFile::open(&request.file)?;
                let line = file.remove(name)?;
                file.write(&request.file)?;
                sink.event("line-removed", declared_json(&line));
                Ok(json!({ "file": request.file }))
            }
            Action::Init { production } => self.init_lines(&request.file, production.as_deref(), sink, stop),
            Action::Promote(promote) => {
                self.promote(&LineFile::open(&request.file)?, promote, timeout, sink, stop)
            }
        }
    }

    fn add_line(&self, path: &Path, add: &Add, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let mut file = match LineFile::read(path)? {
            Some(file) => file,
            None => LineFile::new()?,
        };
        let old = file.lines().iter().find(|l| l.name == add.name).cloned();
        if old.is_some() && !add.replace {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_EXISTS",
                format!("there is a line {:?} already", add.name),
            )
            .hint("choose another name, or change that one with --replace"));
        }
        let known = add.link.clone().or_else(|| old.as_ref().and_then(|l| l.link.clone()));
        let mut line = Declared {
            name: add.name.clone(),
            kind: add.kind,
            link: known.map(|l| parse_link(&l).map(|l| l.origin().to_string())).transpose()?,
            source: add.source.clone().or_else(|| old.as_ref().and_then(|l| l.source.clone())),
            production: add.production.clone().or_else(|| old.as_ref().and_then(|l| l.production.clone())),
            seeds: add.seeds.clone().or_else(|| old.as_ref().map(|l| l.seeds.clone())).unwrap_or_default(),
        };
        // What cannot be declared needs no link.
        file.clone().put(&line)?;
        self.mint_line(&mut line, stop)?;
        file.put(&line)?;
        file.write(path)?;
        sink.event("line-added", declared_json(&line));
        Ok(json!({ "file": path, "link": line.link }))
    }

    /// Gives a line that this machine may write a link.
    fn mint_line(&self, line: &mut Declared, stop: &Stop) -> Result<(), CommandError> {
        if line.link.is_none() && line.kind != Kind::Multisig {
            let made = self.touch(&Touch::default(), stop)?;
            line.link = made.get("link").and_then(Value::as_str).map(str::to_owned);
        }
        Ok(())
    }

    fn init_lines(&self, path: &Path, production: Option<&str>, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let mut file = match LineFile::read(path)? {
            Some(file) if !file.lines().is_empty() => {
                return Err(CommandError::new(
                    ErrorKind::Input,
                    "ERR_EXISTS",
                    format!("{} has lines already", path.display()),
                )
                .hint("add others with `bosc line add`"));
            }
            Some(file) => file,
            None => LineFile::new()?,
        };
        let mut made = Vec::new();
        for (name, kind, source) in USUAL {
            let mut line = Declared {
                name: name.to_owned(),
                kind,
                source: source.map(str::to_owned),
                link: (kind == Kind::Multisig).then(|| production.map(str::to_owned)).flatten(),
                ..Declared::default()
            };
            self.mint_line(&mut line, stop)?;
            file.put(&line)?;
            made.push(line);
        }
        file.write(path)?;
        for line in &made {
            sink.event("line-added", declared_json(line));
        }
        if production.is_none() {
            sink.event(
                "notice",
                json!({
                    "code": "NO_PRODUCTION_LINK",
                    "message": "production has no link yet: it comes from its signers",
                    "next": "write the signers into pear.json, then: bosc line add production --kind multisig \
                             --source prerelease --link $(bosc multisig link) --replace",
                }),
            );
        }
        Ok(json!({ "file": path, "lines": made.len() }))
    }
}

/// A declared line in JSON.
fn declared_json(line: &Declared) -> Value {
    json!({
        "name": line.name,
        "kind": line.kind.name(),
        "link": line.link,
        "source": line.source,
        "production": line.production,
        "seeds": match &line.seeds {
            crate::lines::file::Seeds::Count(n) => json!(n),
            crate::lines::file::Seeds::Keys(keys) => json!(keys),
        },
    })
}

/// The link of a line, which it needs now.
fn link_of(line: &Declared) -> Result<&str, CommandError> {
    line.link.as_deref().ok_or_else(|| {
        let hint = match line.kind {
            Kind::Multisig => {
                format!("bosc line add {} --kind multisig --link $(bosc multisig link) --replace", line.name)
            }
            _ => format!("bosc line add {} --kind {} --replace makes one", line.name, line.kind.name()),
        };
        CommandError::not_found(format!("the line {:?} has no link", line.name)).hint(hint)
    })
}
