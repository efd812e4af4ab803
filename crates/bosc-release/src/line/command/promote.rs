//! `line promote`: what one line holds becomes the next release of another.
//!
//! | to | what is done |
//! |---|---|
//! | stage | the version is fetched and staged, file by file as it is |
//! | provision | `provision` with the versioned links of source and production |
//! | multisig | nothing can be done alone: the steps are told, with their links |

use crate::command::{Outcome, Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::line::file::{Declared, LineFile, LineKind};
use crate::line::{
    LineEvent, LinePromoted, Notice, NoticeCode, Over, Promote, PromotedProvision, PromotedStage,
    PromotedToSign, Step, Who,
};
use crate::provision::Provision;
use bosc_format::link::{PearLink, Version};
use std::time::Duration;

impl Engine {
    pub(super) fn promote(
        &self,
        file: &LineFile,
        request: &Promote,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Outcome {
        let (from, to) = (file.get(&request.from)?, file.get(&request.to)?);
        check_way(from, to, request.force)?;
        let mut link = parse_link(link_of(from)?)?;
        let target = parse_link(link_of(to)?)?.origin();
        let opened = self.open_fresh(&link, timeout, stop)?;
        let head = opened.drive.db.head();
        let length = request.length.unwrap_or(head.length);
        if length <= 1 || length > head.length {
            return Err(match head.length {
                0 | 1 => CommandError::not_found(format!("the line {:?} holds nothing", from.name)).hint(
                    match (&from.kind, &from.source) {
                        (LineKind::Stage, _) => {
                            format!("publish to it first: bosc stage {} DIR", link.origin())
                        }
                        // To stage on it would keep it from ever being signed.
                        (_, Some(source)) => {
                            format!("promote to it first: bosc line promote {source} {}", from.name)
                        }
                        _ => "promote a line to it first".to_owned(),
                    },
                ),
                _ if length <= 1 => crate::dump::command::no_files(length),
                n => CommandError::not_found(format!(
                    "the line {:?} has no version {length} (it has {n})",
                    from.name
                ))
                .hint("use a length that a verlink showed"),
            });
        }
        link.version = Some(Version { fork: head.fork, length });
        let verlink = link.to_string();
        let package = self.remote_package(&opened, length, timeout, stop)?;
        sink.tell(LineEvent::Promoting {
            from: from.name.clone(),
            to: to.name.clone(),
            kind: to.kind,
            source: verlink.clone(),
            target: target.to_string(),
            version: package.version.clone(),
            dry_run: request.dry_run,
        });
        drop(opened);
        self.warn_of_upgrade(file, to, &target, package.upgrade.as_deref(), sink);
        match to.kind {
            LineKind::Stage => {
                Ok(self.promote_stage(to, &verlink, &target, request, timeout, sink, stop)?.into())
            }
            LineKind::Provision => {
                let version = package.version.as_deref();
                let done = self.promote_provision(
                    file,
                    to,
                    (&verlink, version),
                    &target,
                    request,
                    timeout,
                    sink,
                    stop,
                )?;
                Ok(Box::new(done).into())
            }
            LineKind::Multisig => {
                for step in multisig_steps(&verlink) {
                    sink.tell(LineEvent::NextStep(step));
                }
                Ok(PromotedToSign {
                    from: from.name.clone(),
                    to: to.name.clone(),
                    source: verlink,
                    target: target.to_string(),
                    done: false,
                }
                .into())
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn promote_stage(
        &self,
        to: &Declared,
        verlink: &str,
        target: &PearLink,
        request: &Promote,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<PromotedStage, CommandError> {
        let drive = self.open_drive(target)?;
        self.refuse_forked(&drive, sink)?;
        let _lock = self.before_writing(&drive, Newest::Unknown, sink, stop)?;
        self.check_stage_link(
            &drive,
            "promote on the machine that made the line, or bring its key with `bosc keys import`",
        )?;
        let done = self.restage(verlink, &target.to_string(), request.dry_run, timeout, sink, stop)?;
        if !request.dry_run {
            sink.tell(LineEvent::Promoted(LinePromoted {
                line: to.name.clone(),
                verlink: done.verlink.clone(),
                version: Some(done.version.clone()),
                over: Some(Over { before: done.before.clone(), changed: done.changed }),
            }));
        }
        Ok(PromotedStage {
            from: request.from.clone(),
            to: to.name.clone(),
            source: verlink.to_owned(),
            target: target.to_string(),
            verlink: done.verlink,
            version: done.version,
            before: done.before,
            changed: done.changed,
            done: !request.dry_run,
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn promote_provision(
        &self,
        file: &LineFile,
        to: &Declared,
        (verlink, version): (&str, Option<&str>),
        target: &PearLink,
        request: &Promote,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<PromotedProvision, CommandError> {
        let production = self.production_verlink(file, to, target, timeout, sink, stop)?;
        let provision = Provision {
            source: verlink.to_owned(),
            target: target.to_string(),
            production: production.clone(),
            dry_run: request.dry_run,
            contiguous: request.contiguous,
            timeout_ms: timeout.as_millis() as u64,
            cooldown_ms: request.cooldown_ms,
            newest: false,
            sole_copy: request.sole_copy,
        };
        let command = format!("bosc provision {verlink} {target} {production}");
        sink.tell(LineEvent::Command { command });
        let provisioned = self.provision(&provision, sink, stop)?;
        let drive = self.open_drive(target)?;
        if !request.dry_run {
            sink.tell(LineEvent::Promoted(LinePromoted {
                line: to.name.clone(),
                verlink: drive.verlink(),
                version: version.map(str::to_owned),
                over: None,
            }));
        }
        Ok(PromotedProvision {
            provisioned,
            from: request.from.clone(),
            to: to.name.clone(),
            source_link: verlink.to_owned(),
            target_link: target.to_string(),
            production_link: production,
            verlink: drive.verlink(),
            done: !request.dry_run,
        })
    }

    /// The versioned link of the line that a provision line starts with; of length 0 while that holds nothing.
    fn production_verlink(
        &self,
        file: &LineFile,
        to: &Declared,
        target: &PearLink,
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<String, CommandError> {
        let line = file.production_of(to)?;
        let Some(link) = line.and_then(|l| l.link.as_deref()) else {
            sink.tell(LineEvent::Notice(Notice {
                code: NoticeCode::NoProduction,
                message: format!("no production line is known for {:?}: it starts empty", to.name),
                upgrade: None,
                next: format!(
                    "when there is one: bosc line add {} --kind provision --production NAME --replace",
                    to.name
                ),
            }));
            return Ok(PearLink::verlink(target.key, 0, 0).to_string());
        };
        let link = parse_link(link)?.origin();
        match self.open_fresh(&link, timeout, stop) {
            Ok(opened) => Ok(opened.drive.verlink()),
            Err(e) if e.kind() == ErrorKind::Network && self.open_drive(&link)?.db.length() == 0 => {
                // Whether there is nothing or nobody tells cannot be known from here; a first provision is told apart
                // by the target, which a quorum would refuse later.
                if self.open_drive(target)?.db.length() > 0 {
                    return Err(
                        e.hint("production must be reachable: start a seeder for it, then promote again")
                    );
                }
                sink.tell(LineEvent::Notice(Notice {
                    code: NoticeCode::EmptyProduction,
                    message: format!("no peer has any of {link}: treated as a production without a release"),
                    upgrade: None,
                    next: "if there is one, stop now (Ctrl+C), start a seeder for it and promote again"
                        .to_owned(),
                }));
                Ok(PearLink::verlink(link.key, 0, 0).to_string())
            }
            Err(e) => Err(e),
        }
    }

    /// A build carries its link: says where those who install from this line will go next.
    fn warn_of_upgrade(
        &self,
        file: &LineFile,
        to: &Declared,
        target: &PearLink,
        upgrade: Option<&str>,
        sink: &mut dyn Sink,
    ) {
        let key = upgrade.and_then(|u| PearLink::parse(u).ok()).map(|l| l.key);
        if key == Some(target.key) {
            return;
        }
        let follows = upgrade.and_then(|u| file.of_link(u)).map_or("another link", |l| l.name.as_str());
        let message = match key {
            None => format!(
                "its package.json has no `upgrade`: what is installed from {:?} will not update",
                to.name
            ),
            Some(_) => {
                format!("its `upgrade` is {follows}: what is installed from {:?} follows that", to.name)
            }
        };
        sink.tell(LineEvent::Notice(Notice {
            code: NoticeCode::OtherUpgrade,
            message,
            upgrade: Some(upgrade.map(str::to_owned)),
            next: format!(
                "fine for installers that are tried by hand; else build with \"upgrade\": \"{target}\""
            ),
        }));
    }
}

fn check_way(from: &Declared, to: &Declared, force: bool) -> Result<(), CommandError> {
    if from.name == to.name {
        return Err(CommandError::input("a line cannot be promoted to itself"));
    }
    if to.kind == LineKind::Multisig && from.kind != LineKind::Provision && !force {
        return Err(CommandError::input(format!(
            "{:?} is not a provision line, and {:?} copies its source block for block",
            from.name, to.name
        ))
        .hint("promote to a provision line first, and that to production; --force to do without"));
    }
    match &to.source {
        Some(source) if *source != from.name && !force => {
            Err(CommandError::input(format!("{:?} comes from {source:?}, not from {:?}", to.name, from.name))
                .hint(format!("promote {source}, or add --force to take this one anyway")))
        }
        _ => Ok(()),
    }
}

/// What a team does to release on a multisig line.
pub(crate) fn multisig_steps(verlink: &str) -> Vec<Step> {
    let steps = [
        (Who::Anyone, format!("bosc seed {verlink}"), "two machines or more hold the source whole"),
        (Who::Anyone, format!("bosc multisig request {verlink}"), "prints REQUEST"),
        (
            Who::Signers,
            "bosc multisig sign REQUEST".to_owned(),
            "as many as the quorum; each prints RESPONSE",
        ),
        (
            Who::Anyone,
            format!("bosc multisig verify {verlink} REQUEST RESPONSE..."),
            "checks all of it, writes nothing",
        ),
        (
            Who::Anyone,
            format!("bosc multisig commit {verlink} REQUEST RESPONSE..."),
            "puts it into production",
        ),
    ];
    (1..)
        .zip(steps)
        .map(|(number, (who, command, text))| Step { number, who, command, text: text.to_owned() })
        .collect()
}

/// The link of a line, which it needs now.
fn link_of(line: &Declared) -> Result<&str, CommandError> {
    line.link.as_deref().ok_or_else(|| {
        let hint = match line.kind {
            LineKind::Multisig => {
                format!("bosc line add {} --kind multisig --link $(bosc multisig link) --replace", line.name)
            }
            _ => format!("bosc line add {} --kind {} --replace makes one", line.name, line.kind.name()),
        };
        CommandError::not_found(format!("the line {:?} has no link", line.name)).hint(hint)
    })
}
