//! `monitor`: following a link.

use super::Monitor;
use super::event::{Finding, MonitorEvent, Monitored};
use super::file::{MonitorFile, damaged};
use super::judge::Known;
use super::record::{Record, Seen, rights};
use crate::clock::now;
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::follow::stopped;
use crate::engine::open::Opened;
use crate::error::{CommandError, ErrorKind};
use crate::log::event::StatementSeen;
use bosc_follow::{CoreName, FollowError, FollowedCore, Wait};
use bosc_format::id;
use bosc_policy::{Policy, Right};
use std::time::Duration;

/// The file and what is known from it.
struct Watching<'a> {
    file: MonitorFile,
    known: Known,
    sink: &'a mut dyn Sink,
    findings: Vec<Finding>,
}

impl Watching<'_> {
    /// Records what is new, and judges it.
    fn see(&mut self, seen: Seen) -> Result<bool, CommandError> {
        if self.known.has(&seen) {
            return Ok(false);
        }
        let record = Record { time: now(), seen };
        self.file.add(&record)?;
        // Only what was verified gets here.
        let found = self.known.take(&record).unwrap_or_default();
        found.into_iter().for_each(|finding| self.find(finding));
        Ok(true)
    }

    fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.sink.tell(MonitorEvent::Finding(Box::new(finding.clone())));
            self.findings.push(finding);
        }
    }
}

impl Engine {
    pub(crate) fn monitor(
        &self,
        request: &Monitor,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Monitored, CommandError> {
        let link = parse_whole_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let (mut known, mut before) = (Known::new(link.key), Vec::new());
        let (file, found) = MonitorFile::begin(&request.file, &link.key, |record| {
            before.extend(known.take(&record).map_err(|why| damaged(&request.file, why))?);
            Ok(())
        })?;
        let shown = (link.origin().to_string(), request.file.display().to_string());
        if found.torn > 0 {
            sink.tell(MonitorEvent::Torn { file: shown.1.clone(), bytes: found.torn });
        }
        sink.tell(MonitorEvent::Monitoring {
            link: shown.0.clone(),
            file: shown.1.clone(),
            heads: known.heads,
            statements: known.said,
        });
        let mut watching = Watching { file, known, sink, findings: Vec::new() };
        before.into_iter().filter(Finding::is_lasting).for_each(|finding| watching.find(finding));
        while watching.findings.is_empty() {
            // Mirrors end with the drive that they were read for.
            let mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
            let looked = self.open_fresh(&link, timeout, stop).and_then(|opened| {
                if !answered(&opened) {
                    let core = opened.db().map(FollowedCore::in_vain);
                    return Err(core.map_or_else(stopped, |why| FollowError::TimedOut(why).into()));
                }
                self.look(&opened, &mut watching, timeout, stop)?;
                Ok(opened)
            });
            let opened = match looked {
                Err(e) if e.kind() == ErrorKind::Interrupted && !request.once => break,
                Err(e) if e.kind() == ErrorKind::Network && !request.once => {
                    watching.sink.tell(MonitorEvent::Unanswered);
                    None
                }
                looked => Some(looked?),
            };
            if request.once || !watching.findings.is_empty() {
                break;
            }
            // Whoever is connected meanwhile brings what is new; it is looked at after the pause.
            let mut wait = Wait::new(stop).timeout(Duration::from_millis(request.every_ms.max(1_000)));
            let paused = wait.run(self.node()?.signal(), |_| Ok::<Option<()>, FollowError>(None));
            drop((opened, mirrors));
            if paused.is_err() {
                break;
            }
        }
        let Watching { known, findings, .. } = watching;
        match findings.first() {
            Some(finding) => Err(wrong(finding)),
            None => {
                Ok(Monitored { link: shown.0, file: shown.1, heads: known.heads, statements: known.said })
            }
        }
    }

    /// One look at everything.
    fn look(
        &self,
        opened: &Opened,
        watching: &mut Watching<'_>,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let drive = &opened.drive;
        if let Some(manifest) = drive.db.manifest() {
            watching.see(Seen::Manifest((*manifest).clone()))?;
        }
        let blobs = drive.blobs()?;
        let cores = [Some((CoreName::Db, &drive.db)), blobs.as_ref().map(|blobs| (CoreName::Blobs, blobs))];
        for (name, core) in cores.into_iter().flatten() {
            let head = (*core.head()).clone();
            if head.length == 0 || !watching.known.verifies(name, &head) {
                continue;
            }
            // All of the tree is here, and tells more than the roots of two heads do.
            let before = watching.known.newest(name).filter(|known| known.fork == head.fork);
            let other = before.filter(|known| known.length <= head.length).and_then(|known| {
                let here = core.head_at(known.length).ok()?.tree_hash();
                (here != known.tree_hash()).then(|| (known.length, known.tree_hash(), here))
            });
            let told = (head.fork, head.length, id::encode(&head.tree_hash()));
            if watching.see(Seen::Head(name, head))? {
                let (fork, length, hash) = told;
                let core = name.as_str().to_owned();
                watching.sink.tell(MonitorEvent::Head { core, fork, length, hash });
            }
            if let Some((length, known, here)) = other {
                watching.find(Finding::Fork {
                    core: name.as_str().to_owned(),
                    fork: core.head().fork,
                    lengths: [length, length],
                    hashes: [id::encode(&known), id::encode(&here)],
                });
            }
        }
        self.conflicts(opened, watching)?;
        let policy = self.policy_at(opened, drive.db.length(), timeout, stop)?;
        let operators = policy.iter().flat_map(|p| p.operators()).map(|o| (o.key, rights(&o.may))).collect();
        watching.see(Seen::Operators(operators))?;
        match policy {
            Some(policy) => self.listen(opened, &policy, watching, stop),
            None => Ok(()),
        }
    }

    /// Other histories that peers proved, now or before.
    fn conflicts(&self, opened: &Opened, watching: &mut Watching<'_>) -> Result<(), CommandError> {
        self.tell_conflicts(opened, watching.sink)?;
        for (core, of) in opened.followed.iter().flat_map(|f| f.conflicts()) {
            let (ours, theirs) = (of.conflict.ours, of.conflict.theirs);
            watching.see(Seen::Conflict {
                core,
                fork: of.conflict.fork,
                ours: (ours.length, ours.tree_hash),
                theirs: (theirs.length, theirs.tree_hash),
                peer: of.peer,
            })?;
        }
        Ok(())
    }

    /// What operators say, and whether it fits the history that is here.
    fn listen(
        &self,
        opened: &Opened,
        policy: &Policy,
        watching: &mut Watching<'_>,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let db = &opened.drive.db;
        for signed in self.hear_operators(opened, policy, stop)?.statements {
            let operator = *signed.operator();
            let newest = signed.statement().newest.filter(|_| policy.lets(&operator, Right::Refresh));
            let named = policy.operators().iter().find(|o| o.key == operator);
            let told = StatementSeen::new(&signed, named.and_then(|o| o.name.as_deref()));
            if watching.see(Seen::Statement(signed))? {
                watching.sink.tell(MonitorEvent::Said(Box::new(told)));
            }
            let here = newest.filter(|n| n.fork == db.head().fork && n.length <= db.length());
            let here = here.and_then(|n| Some((n, db.head_at(n.length).ok()?.tree_hash())));
            if let Some((named, here)) = here.filter(|(named, here)| named.tree_hash != *here) {
                watching.find(Finding::OtherHead {
                    operator: id::encode(&operator),
                    length: named.length,
                    hashes: [id::encode(&named.tree_hash), id::encode(&here)],
                });
            }
        }
        Ok(())
    }
}

/// Whether anybody but this store says what the newest head is: what is here alone is not worth a word.
fn answered(opened: &Opened) -> bool {
    let Some(followed) = &opened.followed else { return true };
    let by_peers = followed.db().status().peers.iter().any(|peer| peer.synced);
    by_peers || followed.mirrors().statuses().iter().any(|m| m.head.is_some() && m.fault.is_none())
}

/// The end of a monitor that found something.
fn wrong(finding: &Finding) -> CommandError {
    let (what, hint) = match finding {
        Finding::Fork { core, lengths: [a, b], .. } => (
            format!(
                "the link has two histories: heads of its {core} core with lengths {a} and {b} do not continue each other"
            ),
            "the file proves it: keep it, and follow docs/recovery.md, \"Two histories of one link\"",
        ),
        Finding::CutBack { core, forks: [a, b], .. } => (
            format!("the history of the {core} core was cut back: fork {a} became {b}"),
            "ask its publisher whether that was meant; run the command again to go on from there",
        ),
        Finding::Signers { length, .. } => (
            format!("length {length} was signed by other signers than the head before"),
            "check with the quorum that this was meant; run the command again to go on from there",
        ),
        Finding::Operators { .. } => (
            "the policy names other operators, or gives them other rights".to_owned(),
            "check with the quorum that this was meant; run the command again to go on from there",
        ),
        Finding::Contradiction { counter, .. } => (
            format!("an operator said two things under the counter {counter}"),
            "the file proves it: the key is used by two, or by somebody who lies; have the quorum name another key",
        ),
        Finding::OtherHead { length, .. } => (
            format!("an operator names another history at length {length} than the one that is here"),
            "compare with other monitors' files (`bosc monitor --compare`): this machine or the operator is shown another history",
        ),
    };
    CommandError::new(ErrorKind::Integrity, "ERR_MONITOR", what).hint(hint)
}
