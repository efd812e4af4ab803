//! `rotate`: see [`crate::rotate`].

use super::{Followed, MAX_HOPS, Rotate, RotateEvent, Rotated, RotatedBefore, RotationToSign};
use crate::command::{Outcome, Sink, Stop};
use crate::engine::Engine;
use crate::engine::copies::SeedUntil;
use crate::engine::drive::{DriveCores, parse_link, parse_whole_link};
use crate::engine::errors::no_dht;
use crate::engine::shared::Newest;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::Package;
use crate::line::command::multisig_steps;
use crate::line::{Step, Who};
use crate::provision::Provision;
use crate::stage::link_rules;
use crate::stage::link_rules::Gate;
use crate::touch::Touch;
use bosc_follow::Wait;
use bosc_format::id;
use bosc_format::link::PearLink;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long nothing may change before the copies that are seen count as all there are.
const QUIET: Duration = Duration::from_secs(3);

/// One end of a rotation, as peers show it.
struct End {
    link: PearLink,
    drive: DriveCores,
    package: Package,
    full: usize,
}

impl End {
    fn version(&self) -> &str {
        self.package.version.as_deref().unwrap_or_default()
    }

    fn upgrade(&self) -> Option<PearLink> {
        self.package.upgrade.as_deref().and_then(|u| PearLink::parse(u).ok())
    }
}

/// Tells each check, and keeps the first that failed.
struct Checks<'a> {
    sink: &'a mut dyn Sink,
    failed: Option<CommandError>,
}

impl Checks<'_> {
    fn check(&mut self, name: &str, ok: bool, detail: String, hint: impl FnOnce() -> String) {
        self.sink.tell(RotateEvent::Condition { name: name.to_owned(), ok, detail: detail.clone() });
        if !ok && self.failed.is_none() {
            self.failed = Some(
                CommandError::new(ErrorKind::Failed, "ERR_ROTATE_CHECK", format!("{name}: {detail}"))
                    .hint(hint()),
            );
        }
    }

    fn end(self) -> Result<(), CommandError> {
        self.failed.map_or(Ok(()), Err)
    }
}

impl Engine {
    /// Seeds the old link until enough others hold it, or the time is up. How many do, and the error when those are too few.
    fn keep_available(
        &self,
        old: &PearLink,
        request: &Rotate,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(usize, Option<CommandError>), CommandError> {
        let wait = Duration::from_millis(request.wait_ms);
        let drive = self.open_drive(old)?;
        let until = SeedUntil { wanted: request.copies, wait, stall: None, tables: false };
        let held = self.seed_until(drive.clone(), &until, sink, stop)?;
        if held.full >= request.copies {
            return Ok((held.full, None));
        }
        sink.tell(RotateEvent::FewCopies { full: held.full, wanted: request.copies, link: old.to_string() });
        let failed = (!stop.is_stopped()).then(|| held.too_few(&drive, request.copies));
        Ok((held.full, failed))
    }

    pub(crate) fn rotate(&self, request: &Rotate, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let (old, new) = (parse_whole_link(&request.old)?.origin(), parse_whole_link(&request.new)?.origin());
        // Said before anybody is asked for anything.
        request.target.as_deref().map(parse_whole_link).transpose()?;
        if old.key == new.key {
            return Err(
                CommandError::input("old and new are the same link").hint("name the link to move to second")
            );
        }
        if request.check {
            return Ok(self.follow(request, &old, &new, sink, stop)?.into());
        }
        let alone = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        sink.tell(RotateEvent::Rotating {
            old: old.to_string(),
            new: new.to_string(),
            dry_run: request.dry_run,
        });
        let old_end = self.end(&old, request, stop)?;
        let new_end = self.end(&new, request, stop)?;
        if old_end.upgrade().is_some_and(|u| u.key == new.key) {
            sink.tell(RotateEvent::Unchanged {
                version: old_end.version().to_owned(),
                verlink: old_end.drive.verlink(),
                files: (),
            });
            drop(alone);
            // Written before, and maybe stopped before anybody else had it.
            let full = match old_end.full < request.copies && old_end.drive.db.writable() && !request.dry_run
            {
                true => match self.keep_available(&old, request, sink, stop)? {
                    (_, Some(e)) => return Err(e),
                    (full, None) => full,
                },
                false => old_end.full,
            };
            return Ok(RotatedBefore {
                old: old.to_string(),
                new: new.to_string(),
                changed: false,
                copies: full,
                done: full >= request.copies,
            }
            .into());
        }
        check_ends(&old_end, &new_end, request.copies, sink)?;
        let quorum = old_end.drive.db.manifest().is_some_and(|m| m.signers.len() > 1);
        let source = new_end.drive.verlink();
        if quorum {
            return Ok(self.rotate_signed(request, &old_end, &source, &new, sink, stop)?.into());
        }
        let _lock = self.before_writing(&old_end.drive, Newest::Unknown, sink, stop)?;
        self.check_stage_link(
            &old_end.drive,
            "rotate on the machine that made the old link, or bring its key here with `bosc keys import`",
        )?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let done = self.restage(&source, &old.to_string(), request.dry_run, timeout, sink, stop)?;
        drop(alone);
        let (mut copies, mut failed) = (None, None);
        if !request.dry_run && request.copies > 0 {
            let (full, too_few) = self.keep_available(&old, request, sink, stop)?;
            (copies, failed) = (Some(full), too_few);
        }
        sink.tell(RotateEvent::NextStep(look_from_outside(1, &old, &new)));
        if let Some(e) = failed {
            return Err(e);
        }
        Ok(Rotated {
            old: old.to_string(),
            new: new.to_string(),
            verlink: done.verlink,
            version: done.version,
            before: done.before,
            changed: done.changed,
            copies,
            done: !request.dry_run,
        }
        .into())
    }

    /// Prepares the release on an old link that a quorum signs.
    fn rotate_signed(
        &self,
        request: &Rotate,
        old: &End,
        source: &str,
        new: &PearLink,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<RotationToSign, CommandError> {
        let target = match &request.target {
            Some(target) => parse_whole_link(target)?.origin().to_string(),
            None if request.dry_run => {
                return Err(CommandError::input("a dry run makes no link to prepare the release on")
                    .hint("make one with `bosc touch` and name it with --target"));
            }
            None => {
                let made = self.touch(&Touch::default(), stop)?;
                made.link
            }
        };
        let production = old.drive.verlink();
        sink.tell(RotateEvent::Command { command: format!("bosc provision {source} {target} {production}") });
        let provision = Provision {
            source: source.to_owned(),
            target: target.clone(),
            production,
            dry_run: request.dry_run,
            contiguous: false,
            timeout_ms: request.timeout_ms,
            cooldown_ms: request.cooldown_ms,
            newest: false,
            sole_copy: request.sole_copy,
        };
        self.provision(&provision, sink, stop)?;
        let prepared = self.open_drive(&parse_link(&target)?)?;
        let verlink = prepared.verlink();
        if !request.dry_run {
            let mut steps = multisig_steps(&verlink);
            steps.push(look_from_outside(steps.len() + 1, &old.link, new));
            for step in steps {
                sink.tell(RotateEvent::NextStep(step));
            }
            // Last, as every command that makes a version ends with its verlink.
            sink.tell(RotateEvent::Provisioned { verlink: verlink.clone(), hashlink: prepared.hashlink() });
        }
        Ok(RotationToSign {
            old: old.link.to_string(),
            new: new.to_string(),
            target,
            verlink,
            version: (),
            changed: true,
            done: false,
        })
    }

    /// Learns a link's newest release and who holds it.
    fn end(&self, link: &PearLink, request: &Rotate, stop: &Stop) -> Result<End, CommandError> {
        let timeout = Duration::from_millis(request.timeout_ms);
        let opened = self.open_fresh(link, timeout, stop)?;
        let length = opened.drive.db.length();
        if length <= 1 {
            if let Some(tried) = self.unanswered() {
                return Err(no_dht(&tried));
            }
            return Err(CommandError::not_found(format!("{link} holds no release"))
                .hint("publish to it first, and keep it seeded"));
        }
        let package = self.remote_package(&opened, length, timeout, stop)?;
        let drive = opened.drive.clone();
        let full = match request.copies {
            0 => 0,
            wanted => self.copies_elsewhere(&drive, wanted, timeout, stop)?,
        };
        Ok(End { link: link.clone(), drive, package, full })
    }

    /// How many others hold a drive: until `wanted` do, or nothing more is heard.
    fn copies_elsewhere(
        &self,
        drive: &DriveCores,
        wanted: usize,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<usize, CommandError> {
        let followed = self.follow_drive(drive, false)?;
        let (mut changed, mut last) = (Instant::now(), None);
        followed.wait(&mut Wait::new(stop).timeout(timeout), |alarm| {
            followed.blobs()?;
            // How long the blobs must be is not known without all of the db; those who hold both cores whole hold it.
            let copies = followed.copies(Some(0));
            let full = copies.full.len();
            if last.as_ref() != Some(&copies) {
                (last, changed) = (Some(copies), alarm.now());
            }
            let quiet = followed.topic().is_flushed() && alarm.has_passed(changed, QUIET);
            Ok::<_, CommandError>((full >= wanted || quiet).then_some(()))
        })?;
        Ok(followed.copies(Some(0)).full.len())
    }

    /// Walks where a follower of `old` goes, from outside.
    fn follow(
        &self,
        request: &Rotate,
        old: &PearLink,
        new: &PearLink,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Followed, CommandError> {
        let outside = Engine::in_memory(self.bootstrap.clone())?;
        // The engine that looks is the one that knows whether anything answered it.
        let result = outside.walk(request, old, new, sink, stop).map_err(|e| outside.or_no_dht(e));
        outside.close();
        result
    }

    fn walk(
        &self,
        request: &Rotate,
        old: &PearLink,
        new: &PearLink,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Followed, CommandError> {
        let mut at = old.clone();
        let mut seen = Vec::new();
        let mut version: Option<String> = None;
        let mut checks = Checks { sink, failed: None };
        loop {
            let end = self.end(&at, request, stop)?;
            let upgrade = end.upgrade();
            checks.sink.tell(RotateEvent::Hop {
                link: at.to_string(),
                verlink: end.drive.verlink(),
                version: end.package.version.clone(),
                upgrade: end.package.upgrade.clone(),
                full: end.full,
            });
            checks.check(
                "seeded",
                end.full >= request.copies,
                format!("{} of {} wanted hold {at}", end.full, request.copies),
                || format!("start more seeders: bosc seed {at}"),
            );
            let takes = |held: &str| {
                link_rules::gate(end.package.version.as_deref(), Some(held)).is_ok_and(|g| g == Gate::Above)
            };
            // A follower that comes from before waits here for the next release; one that is behind stays behind.
            if let Some(before) = &version {
                let fine = takes(before) || end.version() == before;
                checks.check("version", fine, format!("{} after {before}", end.version()), || {
                    format!("publish a version above {before} to {at}")
                });
            }
            version = end.package.version.clone();
            seen.push(at.key);
            match upgrade {
                None => {
                    checks.check("upgrade", false, format!("the release on {at} has no `upgrade`"), || {
                        format!("run `bosc rotate {at} {new}`")
                    });
                    break;
                }
                Some(next) if next.key == at.key => break,
                Some(next) if seen.contains(&next.key) || seen.len() >= MAX_HOPS => {
                    checks.check(
                        "upgrade",
                        false,
                        format!("followers are sent round in a circle at {at}"),
                        || format!("publish a release to {new} whose `upgrade` is {new}"),
                    );
                    break;
                }
                Some(next) => at = next.origin(),
            }
        }
        checks.check("ends", at.key == new.key, format!("a follower of {old} ends on {at}"), || {
            format!("run `bosc rotate {old} {new}`; for a signed link, commit what it prepares")
        });
        checks.end()?;
        let hops: Vec<String> = seen.iter().map(|k| PearLink::new(*k).to_string()).collect();
        Ok(Followed { old: old.to_string(), new: new.to_string(), ends: id::encode(&at.key), hops, version })
    }
}

/// The step that ends a rotation.
fn look_from_outside(number: usize, old: &PearLink, new: &PearLink) -> Step {
    Step {
        number,
        who: Who::Anyone,
        command: format!("bosc rotate --check {old} {new}"),
        text: "looks from outside where followers end".to_owned(),
    }
}

fn check_ends(old: &End, new: &End, copies: usize, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut checks = Checks { sink, failed: None };
    checks.check(
        "old-committed",
        old.drive.db.length() > 0,
        format!("{} holds version {}", old.drive.verlink(), old.version()),
        String::new,
    );
    let own = new.upgrade();
    checks.check(
        "new-upgrade",
        own.as_ref().is_some_and(|u| u.key == new.link.key),
        match &own {
            None => format!("the release on {} has no `upgrade`", new.link),
            Some(u) if u.key == old.link.key => {
                format!("the release on {} sends its followers back to {u}", new.link)
            }
            Some(u) => format!("`upgrade` of the release on {} is {u}", new.link),
        },
        || format!("build a release with \"upgrade\": \"{}\" and publish it there", new.link),
    );
    let above =
        link_rules::gate(new.package.version.as_deref(), old.package.version.as_deref())? == Gate::Above;
    checks.check(
        "new-version",
        above,
        format!("{} on the new link, {} on the old one", new.version(), old.version()),
        || {
            format!(
                "followers take only higher versions: publish one above {} to {}",
                old.version(),
                new.link
            )
        },
    );
    for (name, end) in [("old-seeded", old), ("new-seeded", new)] {
        checks.check(
            name,
            end.full >= copies,
            format!("{} of {copies} wanted hold {}", end.full, end.link),
            || format!("start more seeders (bosc seed {}), or ask for fewer with --copies", end.link),
        );
    }
    checks.end()
}
