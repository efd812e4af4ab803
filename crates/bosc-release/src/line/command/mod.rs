//! `line`: see [`crate::line`].
//!
//! # Files
//!
//! - Here: the five usual lines.
//! - `list`: all lines side by side, when a link has settled. `promote`: what one line holds becomes the next release of another, by
//!   its kind.

mod list;
mod promote;

use super::file::{Declared, LineFile, LineKind};
use super::{Action, Add, Added, Initialised, Line, LineEvent, Notice, NoticeCode, Removed};
use crate::command::{Outcome, Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::no_dht;
use crate::error::{CommandError, ErrorKind};
use crate::event::Output;
use crate::output_file::{OutputFile, OutputKind, alone};
use crate::touch::Touch;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

pub(crate) use promote::multisig_steps;

/// The five usual lines: name, kind, source.
const USUAL: [(&str, LineKind, Option<&str>); 5] = [
    ("development", LineKind::Stage, None),
    ("staging", LineKind::Stage, Some("development")),
    ("rc", LineKind::Stage, Some("staging")),
    ("prerelease", LineKind::Provision, Some("rc")),
    ("production", LineKind::Multisig, Some("prerelease")),
];

impl Engine {
    pub(crate) fn line(&self, request: &Line, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let timeout = Duration::from_millis(request.timeout_ms);
        if let Action::List { names } = &request.action {
            let file = LineFile::open(&request.file)?;
            let listed = self.list_lines(&file, names, timeout, sink, stop)?;
            // What was shown is what this store has.
            let asked = file.lines().iter().any(|line| line.link.is_some());
            return match self.unanswered().filter(|tried| asked && !tried.is_empty()) {
                Some(tried) => Err(no_dht(&tried)),
                None => Ok(listed.into()),
            };
        }
        if !matches!(request.action, Action::Promote(_)) {
            OutputFile::new(&request.file, OutputKind::Edited).check()?;
        }
        let _file = match request.action {
            Action::Promote(_) => None,
            _ => alone(&request.file)?,
        };
        // One at a time changes the file, or releases.
        let _alone = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        match &request.action {
            Action::List { .. } => Ok(Output::Nothing),
            Action::Add(add) => Ok(self.add_line(&request.file, add, sink, stop)?.into()),
            Action::Remove { name } => {
                let mut file = LineFile::open(&request.file)?;
                let line = file.remove(name)?;
                file.write(&request.file)?;
                sink.tell(LineEvent::LineRemoved(line));
                Ok(Removed { file: request.file.clone() }.into())
            }
            Action::Init { production } => {
                Ok(self.init_lines(&request.file, production.as_deref(), sink, stop)?.into())
            }
            Action::Promote(promote) => {
                self.promote(&LineFile::open(&request.file)?, promote, timeout, sink, stop)
            }
        }
    }

    fn add_line(
        &self,
        path: &Path,
        add: &Add,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Added, CommandError> {
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
            link: known.map(|l| parse_whole_link(&l).map(|l| l.origin().to_string())).transpose()?,
            source: add.source.clone().or_else(|| old.as_ref().and_then(|l| l.source.clone())),
            production: add.production.clone().or_else(|| old.as_ref().and_then(|l| l.production.clone())),
            seeds: add.seeds.clone().or_else(|| old.as_ref().map(|l| l.seeds.clone())).unwrap_or_default(),
        };
        // What cannot be declared needs no link.
        file.clone().put(&line)?;
        self.mint_line(&mut line, stop)?;
        file.put(&line)?;
        file.write(path)?;
        let link = line.link.clone();
        sink.tell(LineEvent::LineAdded(line));
        Ok(Added { file: path.to_owned(), link })
    }

    /// Gives a line that this machine may write a link.
    fn mint_line(&self, line: &mut Declared, stop: &Stop) -> Result<(), CommandError> {
        if line.link.is_none() && line.kind != LineKind::Multisig {
            let made = self.touch(&Touch::default(), stop)?;
            line.link = Some(made.link);
        }
        Ok(())
    }

    fn init_lines(
        &self,
        path: &Path,
        production: Option<&str>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Initialised, CommandError> {
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
                link: (kind == LineKind::Multisig).then(|| production.map(str::to_owned)).flatten(),
                ..Declared::default()
            };
            self.mint_line(&mut line, stop)?;
            file.put(&line)?;
            made.push(line);
        }
        file.write(path)?;
        let lines = made.len();
        for line in made {
            sink.tell(LineEvent::LineAdded(line));
        }
        if production.is_none() {
            sink.tell(LineEvent::Notice(Notice {
                code: NoticeCode::NoProductionLink,
                message: "production has no link yet: it comes from its signers".to_owned(),
                upgrade: None,
                next: "write the signers into pear.json, then: bosc line add production --kind multisig \
                       --source prerelease --link $(bosc multisig link) --replace"
                    .to_owned(),
            }));
        }
        Ok(Initialised { file: path.to_owned(), lines })
    }
}
