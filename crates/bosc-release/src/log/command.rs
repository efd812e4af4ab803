//! `log`: what the command runs.

use super::event::{LogEvent, LogShown, ReleaseSeen, StatementSeen};
use super::{Log, MAX_RELEASES};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::follow::reading;
use crate::engine::open::Opened;
use crate::error::CommandError;
use crate::event::link::UpdateCost;
use crate::update_costs::CostsOf;
use crate::versions::command::{HistoryVersion, MAX_VERSIONS, Read};
use bosc_drive::blobs::{BlobId, content_length};
use bosc_drive::drive::Drive;
use bosc_follow::{CoreSource, Fetch};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::{PearLink, Version};
use bosc_format::manifest::Verifier;
use bosc_policy::Statements;
use std::collections::VecDeque;
use std::time::Duration;

/// Versions of a drive that say one SemVer.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    read: Read,
    package: Option<BlobId>,
    /// Length of its last version.
    length: u64,
}

impl Engine {
    pub(crate) fn log(
        &self,
        request: &Log,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<LogShown, CommandError> {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let opened = self.open_fresh(&link, timeout, stop)?;
        self.tell_conflicts(&opened, sink)?;
        crate::mirror::sources::tell(opened.followed.as_ref(), sink);
        let head = opened.drive.db.head();
        let until = link.version.map_or(head.length, |v| v.length).min(head.length);
        let (all, total) = self.drive_versions(&opened, until, MAX_VERSIONS, timeout, stop)?;
        let max = request.max.clamp(1, MAX_RELEASES);
        let cut = total > all.len() as u64;
        let mut patience = timeout;
        let runs = self.runs(&opened, &all, max + 1, &mut patience, stop)?;
        let verifier = Verifier::new(opened.drive.db.key(), opened.drive.db.manifest().as_deref());
        let verifier =
            verifier.map_err(|e| CommandError::failed("the link's manifest is another's").because(e))?;
        let signed_by = |length: u64| (length == head.length).then(|| keys(&verifier.signed_by(&head)));
        for (i, run) in runs.iter().enumerate().take(max) {
            let before = runs.get(i + 1);
            let at = Version { fork: head.fork, length: run.length };
            let mut seen = ReleaseSeen {
                version: run.read.said().version,
                gone: run.read == Read::Gone,
                length: run.length,
                fork: head.fork,
                verlink: PearLink { version: Some(at), ..PearLink::new(*opened.drive.key()) }.to_string(),
                hash: opened.drive.db.head_at(run.length).ok().map(|at| id::encode(&at.tree_hash())),
                time: self.policy_at(&opened, run.length, patience, stop)?.and_then(|p| p.time()),
                signers: signed_by(run.length),
                files: 0,
                bytes: Some(0),
                added: 0,
                changed: 0,
                removed: 0,
                new_bytes: Some(0),
                costs: Vec::new(),
            };
            self.measure(&opened, before.map_or(1, |b| b.length), &mut seen, timeout, stop)?;
            if let Some(from) = before.and_then(|b| b.read.said().version) {
                let costs = CostsOf::opened(&opened, run.length, stop)?.find()?;
                seen.costs = costs.into_iter().filter(|cost: &UpdateCost| cost.from == from).collect();
            }
            sink.tell(LogEvent::Release(Box::new(seen)));
        }
        if let Some(policy) = self.policy_at(&opened, head.length, patience, stop)? {
            let heard = self.hear_operators(&opened, &policy, stop)?;
            let newest: Statements = heard.statements.into_iter().collect();
            for signed in newest.iter() {
                let named = policy.operators().iter().find(|o| o.key == *signed.operator());
                let seen = StatementSeen::new(signed, named.and_then(|o| o.name.as_deref()));
                sink.tell(LogEvent::Statement(Box::new(seen)));
            }
            for (mirror, fault) in heard.faults {
                sink.tell(LogEvent::StatementsFault { mirror, fault: fault.kind, why: fault.to_string() });
            }
        }
        let manifest = opened.drive.db.manifest();
        Ok(LogShown {
            link: opened.drive.plain_link(),
            length: head.length,
            fork: head.fork,
            quorum: manifest.as_ref().map_or(1, |m| m.quorum),
            signers: match &manifest {
                Some(m) => m.signers.iter().map(|s| id::encode(&s.public_key)).collect(),
                None => vec![id::encode(opened.drive.db.key())],
            },
            shown: runs.len().min(max),
            more: runs.len() > max || cut,
        })
    }

    /// The newest releases, the newest first, at most `max` of them.
    fn runs(
        &self,
        opened: &Opened,
        all: &VecDeque<HistoryVersion>,
        max: usize,
        patience: &mut Duration,
        stop: &Stop,
    ) -> Result<Vec<Run>, CommandError> {
        let mut runs: Vec<Run> = Vec::new();
        for version in all.iter().rev() {
            // Before the first package.json there is no release.
            let Some(package) = version.package else { continue };
            if runs.last().is_some_and(|run| run.package == Some(package)) {
                continue;
            }
            let read = self.read_package(opened, Some(package), patience, stop)?;
            if let Some(run) = runs.last_mut()
                && read != Read::Gone
                && run.read.said().version == read.said().version
            {
                run.package = Some(package);
                continue;
            }
            if runs.len() >= max {
                break;
            }
            runs.push(Run { read, package: Some(package), length: version.length });
        }
        Ok(runs)
    }

    /// What files there are, and which changed since an older length.
    fn measure(
        &self,
        opened: &Opened,
        before: u64,
        seen: &mut ReleaseSeen,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let drive = Drive::checkout(opened.entries(), seen.length);
        let contents = opened.drive.blobs()?.map(|blobs| opened.contents(&blobs));
        let mut list = drive.list("/")?;
        while let Some(entry) = reading(opened.db(), timeout, stop).next(&mut list)? {
            seen.files += 1;
            seen.bytes = plus(seen.bytes, entry.value.blob, contents.as_ref());
        }
        let mut diff = drive.diff(before, "/")?;
        while let Some(change) = reading(opened.db(), timeout, stop).next(&mut diff)? {
            match (&change.old, &change.new) {
                (_, None) => seen.removed += 1,
                (None, Some(_)) => seen.added += 1,
                (Some(_), Some(_)) => seen.changed += 1,
            }
            let blob = change.new.and_then(|entry| entry.value.blob);
            seen.new_bytes = plus(seen.new_bytes, blob, contents.as_ref());
        }
        Ok(())
    }
}

fn keys(of: &[PublicKey]) -> Vec<String> {
    of.iter().map(id::encode).collect()
}

/// A sum of sizes, as long as all are known here.
fn plus(sum: Option<u64>, blob: Option<BlobId>, contents: Option<&CoreSource>) -> Option<u64> {
    let Some(blob) = blob else { return sum };
    Some(sum?.saturating_add(content_length(contents?, &blob).ok()?))
}
