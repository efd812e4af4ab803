//! What takes time to find out of a link: its releases and what each changed, what updates cost, what the quorum allows, what `doctor`
//! finds. Run in a thread beside the loop.
//!
//! Bounds: [`MAX_BATCHES`] versions of a history are kept, [`MAX_FILES`] files counted, and what [`super::snapshot`] says is shown.

use super::snapshot::{
    Change, MAX_CHANGES, MAX_COSTS, MAX_NAME, MAX_NOTES, MAX_RELEASES, PolicyView, ReleaseView, SaidView, cut,
};
use crate::changelog::{self, MAX_CHANGELOG};
use crate::clock::now;
use crate::command::{Event, Stop};
use crate::doctor::event::DoctorEvent;
use crate::doctor::{Doctor, Finding, Level};
use crate::engine::Engine;
use crate::engine::follow::reading;
use crate::engine::open::{Opened, PACKAGE_MAX};
use crate::error::{CommandError, ErrorKind};
use crate::event::UpdateCost;
use crate::update_costs::CostsOf;
use crate::versions::command::{Said, said};
use bosc_drive::bee::Bee;
use bosc_drive::blobs::BlobId;
use bosc_drive::deltas;
use bosc_drive::drive::{Drive, EntryValue, FILES_PREFIX};
use bosc_follow::{Fetch, FollowedDrive, Wait, operators};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_policy::{Halt, Policy, Right, Seen};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long peers may take to deliver what is read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most versions of a history that are kept.
const MAX_BATCHES: usize = 64;
/// Most files whose sizes are counted.
const MAX_FILES: usize = 200_000;

/// What was found of a link at one head.
#[derive(Debug, Clone, Default)]
pub(super) struct Exam {
    /// Lengths that ended a batch, ascending, with their versions.
    pub(super) versions: Vec<(u64, Option<String>)>,
    pub(super) app: Option<String>,
    pub(super) version: Option<String>,
    pub(super) release_bytes: Option<u64>,
    pub(super) releases: Vec<ReleaseView>,
    pub(super) more_releases: u64,
    pub(super) costs: Vec<UpdateCost>,
    pub(super) policy: Option<PolicyView>,
    /// Why not all of it could be read.
    pub(super) error: Option<String>,
}

/// One batch of a history.
#[derive(Debug, Clone, Default)]
struct Batch {
    length: u64,
    put: u64,
    deleted: u64,
    bytes: u64,
    changes: Vec<Change>,
    package: Option<BlobId>,
}

impl Batch {
    fn change(&mut self, change: Change) {
        self.changes.push(change);
        if self.changes.len() > 8 * MAX_CHANGES {
            self.keep_largest();
        }
    }

    fn keep_largest(&mut self) {
        self.changes.sort_by_key(|c| (std::cmp::Reverse(c.bytes.or(c.before)), c.file.clone()));
        self.changes.truncate(MAX_CHANGES);
    }
}

impl Engine {
    /// Reads what a link releases, from this store and from peers who are there.
    pub(super) fn examine(&self, link: &PearLink, stop: &Stop) -> Result<Exam, CommandError> {
        let opened = self.open_fresh(link, PATIENCE, stop)?;
        let length = opened.drive.db.length();
        let mut exam = Exam::default();
        let outcome = self.examine_opened(&opened, length, &mut exam, stop);
        match outcome {
            Err(e) if e.kind() == ErrorKind::Network => exam.error = Some(e.message().to_owned()),
            other => other?,
        }
        Ok(exam)
    }

    fn examine_opened(
        &self,
        opened: &Opened,
        length: u64,
        exam: &mut Exam,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let (batches, total) = batches(opened, length, stop)?;
        let notes = self.notes(opened, length, stop)?;
        let mut last: Option<(BlobId, Said)> = None;
        for batch in &batches {
            let said = match (batch.package, &last) {
                (None, _) => Said::default(),
                (Some(blob), Some((known, said))) if *known == blob => said.clone(),
                (Some(blob), _) => self.package(opened, blob, stop)?,
            };
            last = batch.package.map(|blob| (blob, said.clone()));
            exam.app = said.product_name.or(said.name).map(|n| cut(&n, MAX_NAME));
            let version = said.version.map(|v| cut(&v, MAX_NAME));
            exam.version.clone_from(&version);
            exam.versions.push((batch.length, version.clone()));
            exam.release_bytes = Some(batch.bytes);
            let notes = version.as_ref().and_then(|v| notes.get(v)).map(|n| cut(n, MAX_NOTES));
            release(&mut exam.releases, batch, version, notes);
        }
        exam.releases.reverse();
        // Of the oldest that was kept it is not known what came before.
        exam.more_releases = total.saturating_sub(batches.len() as u64)
            + exam.releases.len().saturating_sub(MAX_RELEASES) as u64;
        exam.releases.truncate(MAX_RELEASES);
        exam.costs = CostsOf::opened(opened, length, stop)?.find()?;
        exam.costs.truncate(MAX_COSTS);
        exam.policy = self.policy(opened, length, stop)?;
        Ok(())
    }

    fn package(&self, opened: &Opened, blob: BlobId, stop: &Stop) -> Result<Said, CommandError> {
        let bytes = self.read_file(opened, blob, PACKAGE_MAX, PATIENCE, stop)?.unwrap_or_default();
        Ok(said(&serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// A small file of the drive; none where there is none, or a larger one.
    fn small(
        &self,
        opened: &Opened,
        length: u64,
        name: &str,
        max: usize,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, CommandError> {
        let drive = Drive::checkout(opened.entries(), length);
        let entry = reading(opened.db(), PATIENCE, stop).read(|| drive.entry_follow(name))?;
        match entry.and_then(|e| e.value.blob) {
            Some(blob) if blob.byte_length <= max as u64 => self.read_file(opened, blob, max, PATIENCE, stop),
            _ => Ok(None),
        }
    }

    /// What the changelog says, by version.
    fn notes(
        &self,
        opened: &Opened,
        length: u64,
        stop: &Stop,
    ) -> Result<BTreeMap<String, String>, CommandError> {
        let bytes = self.small(opened, length, "/CHANGELOG.md", MAX_CHANGELOG, stop)?.unwrap_or_default();
        let all = changelog::parse(&String::from_utf8_lossy(&bytes));
        Ok(all.into_iter().map(|r| (r.version, cut(&r.text, MAX_NOTES))).collect())
    }

    /// What the quorum allows, and what its operators said.
    fn policy(&self, opened: &Opened, length: u64, stop: &Stop) -> Result<Option<PolicyView>, CommandError> {
        let bytes = match self.rules_file(opened, length, PATIENCE, stop) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(e) if e.code() == "ERR_INVALID_POLICY" => {
                let error = Some(cut(&e.causes().join(": "), MAX_NAME));
                return Ok(Some(PolicyView { error, ..PolicyView::default() }));
            }
            Err(e) => return Err(e),
        };
        let policy = match Policy::read(&bytes) {
            Ok(policy) => policy,
            Err(e) => {
                return Ok(Some(PolicyView {
                    error: Some(cut(&e.to_string(), MAX_NAME)),
                    ..PolicyView::default()
                }));
            }
        };
        let mut seen = Seen::new(*opened.drive.key());
        if let Some(node) = self.running_node() {
            let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
            let mirrors = opened.followed.as_ref().map(FollowedDrive::mirrors);
            let mut wait = Wait::new(stop).timeout(PATIENCE);
            for signed in operators::ask(&node, mirrors, &keys, &mut wait)?.statements {
                // What is about another link, or by nobody of the policy, counts for nothing.
                let _ = seen.take(signed, &policy);
            }
        }
        Ok(Some(policy_view(&policy, &seen)))
    }

    /// What `doctor` finds.
    pub(super) fn findings(&self, link: &PearLink, stop: &Stop) -> Result<Vec<Finding>, CommandError> {
        let mut found = Vec::new();
        let request = Doctor {
            link: PearLink::new(link.key).to_string(),
            timeout_ms: u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX),
            ..Doctor::default()
        };
        let outcome = self.doctor(
            &request,
            &mut |event: Event| {
                if let Event::Doctor(DoctorEvent::Finding(finding)) = event {
                    found.push(finding);
                }
            },
            stop,
        );
        match outcome {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => return Err(e),
            // The findings say it.
            Err(e) if e.code() == "ERR_UNHEALTHY" => {}
            Err(e) => found.push(Finding {
                check: "doctor".into(),
                level: Level::Warn,
                message: e.message().to_owned(),
                next: Some(e.hint_text().to_owned()),
            }),
        }
        found.sort_by_key(|f| std::cmp::Reverse(f.level));
        Ok(found)
    }
}

/// The newest batches of a history, oldest first, and how many there are.
fn batches(opened: &Opened, length: u64, stop: &Stop) -> Result<(VecDeque<Batch>, u64), CommandError> {
    let (mut out, mut total) = (VecDeque::new(), 0);
    if length < 2 {
        return Ok((out, 0));
    }
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut all = 0u64;
    let mut batch = Batch::default();
    let mut history = Bee::checkout(opened.entries(), length).versions();
    while let Some(step) = reading(opened.db(), PATIENCE, stop).next(&mut history)? {
        let (ends_batch, deleted, entry) = (step.ends_batch, step.entry.deleted, step.entry.entry);
        let name = entry.key.strip_prefix(FILES_PREFIX).map(String::from_utf8_lossy);
        if let Some(name) = name.filter(|n| !n.starts_with(deltas::FOLDER)) {
            let value = entry.value.as_deref().filter(|_| !deleted);
            let blob = value.and_then(|v| EntryValue::decode(entry.seq, v).ok()).and_then(|v| v.blob);
            let bytes = blob.map_or(0, |b| b.byte_length);
            let before = match deleted {
                true => sizes.remove(&*name),
                false if sizes.len() < MAX_FILES || sizes.contains_key(&*name) => {
                    sizes.insert(name.clone().into_owned(), bytes)
                }
                false => None,
            };
            all = all.saturating_sub(before.unwrap_or(0)).saturating_add(bytes);
            match deleted {
                true => batch.deleted += 1,
                false => batch.put += 1,
            }
            if &*name == "/package.json" {
                batch.package = blob;
            }
            batch.change(Change { file: cut(&name, MAX_NAME), bytes: (!deleted).then_some(bytes), before });
        }
        if ends_batch {
            batch.length = entry.seq.saturating_add(1);
            batch.bytes = all;
            batch.keep_largest();
            total += 1;
            if out.len() >= MAX_BATCHES {
                out.pop_front();
            }
            out.push_back(batch.clone());
            batch = Batch { package: batch.package, ..Batch::default() };
        }
    }
    Ok((out, total))
}

/// Adds a batch: to the release of its version, or as a new one.
fn release(releases: &mut Vec<ReleaseView>, batch: &Batch, version: Option<String>, notes: Option<String>) {
    if let Some(last) = releases.last_mut().filter(|r| r.version == version) {
        last.length = batch.length;
        last.bytes = batch.bytes;
        last.put += batch.put;
        last.deleted += batch.deleted;
        for change in &batch.changes {
            match last.changes.iter_mut().find(|c| c.file == change.file) {
                Some(known) => known.bytes = change.bytes,
                None => last.changes.push(change.clone()),
            }
        }
        last.changes.truncate(MAX_CHANGES);
        return;
    }
    releases.push(ReleaseView {
        version,
        length: batch.length,
        bytes: batch.bytes,
        put: batch.put,
        deleted: batch.deleted,
        changes: batch.changes.clone(),
        notes,
    });
}

fn policy_view(policy: &Policy, seen: &Seen) -> PolicyView {
    let operator = |key: &[u8; 32]| {
        let name = policy.operators().iter().find(|o| o.key == *key).and_then(|o| o.name.as_deref());
        name.map_or_else(|| id::encode(key).chars().take(12).collect(), |n| cut(n, MAX_NAME))
    };
    let mut said = Vec::new();
    for signed in seen.statements() {
        for about in &signed.statement().versions {
            said.push(SaidView {
                operator: operator(signed.operator()),
                version: about.version.to_string(),
                rollout: about
                    .share
                    .filter(|_| policy.lets(signed.operator(), Right::Rollout))
                    .map(|s| s.hundredths()),
                halt: about.halt.map(|h| {
                    match h {
                        Halt::Lifted => "lifted",
                        Halt::Halted => "halted",
                        Halt::Recalled => "recalled",
                    }
                    .to_owned()
                }),
                time: signed.statement().time,
            });
        }
    }
    let latest = now().saturating_add(bosc_policy::AHEAD);
    let refreshed = seen
        .statements()
        .filter(|s| s.statement().newest.is_some() && policy.lets(s.operator(), Right::Refresh))
        .map(|s| s.statement().time)
        .filter(|time| *time <= latest);
    PolicyView {
        error: None,
        channel: policy.channel().map(str::to_owned),
        time: policy.time(),
        minimum: policy.minimum().map(ToString::to_string),
        mandatory: policy.is_mandatory(),
        rollout: policy.rollout().hundredths(),
        freshness: policy.freshness(),
        heard: refreshed.chain(policy.time()).max(),
        recall: policy.allows_recall(),
        operators: policy
            .operators()
            .iter()
            .map(|o| {
                let rights: Vec<&str> = o.may.iter().map(|r| r.as_str()).collect();
                format!("{}: {}", operator(&o.key), rights.join(", "))
            })
            .collect(),
        said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_one_version_are_one_release() {
        let batch = |length, file: &str| Batch {
            length,
            put: 1,
            bytes: length * 10,
            changes: vec![Change { file: file.into(), bytes: Some(length), before: None }],
            ..Batch::default()
        };
        let mut out = Vec::new();
        release(&mut out, &batch(3, "/a"), Some("1.0.0".into()), None);
        release(&mut out, &batch(5, "/b"), Some("1.0.0".into()), None);
        release(&mut out, &batch(7, "/a"), Some("1.1.0".into()), Some("news".into()));
        assert_eq!(out.len(), 2);
        assert_eq!((out[0].length, out[0].put, out[0].bytes, out[0].changes.len()), (5, 2, 50, 2));
        assert_eq!(out[1].notes.as_deref(), Some("news"));
    }

    #[test]
    fn the_largest_changes_are_named_however_many_there_are() {
        let mut batch = Batch::default();
        for n in 0..10_000u64 {
            batch.change(Change { file: format!("/{n}"), bytes: Some(n), before: None });
        }
        batch.keep_largest();
        assert_eq!(batch.changes.len(), MAX_CHANGES);
        assert_eq!(batch.changes[0].bytes, Some(9_999));
    }
}
