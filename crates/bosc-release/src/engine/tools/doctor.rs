//! `doctor`: gathers what is known of a link and has it judged.

use super::super::Engine;
use super::super::drive::{CoreSource, drive_error, parse_link};
use super::super::info::Opened;
use super::super::shared::SharedKey;
use super::super::wait::{stopped, wait_block};
use super::versions::{DriveVersion, MAX_VERSIONS, said};
use crate::command::{Outcome, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::tools::Doctor;
use crate::tools::doctor::{Facts, Level, Platform, client, judge};
use bosc_drive::drive::Drive;
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{CoreStatus, TICK};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// How long peers are given to say which blocks they hold once they said how many there are.
const SETTLE: Duration = Duration::from_secs(3);
/// Most names told of one platform.
const MAX_NAMES: usize = 64;
/// Blocks asked for ahead.
const AHEAD: usize = 512;

impl Engine {
    pub(super) fn doctor(&self, request: &Doctor, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let no_version = |why: String| CommandError::input(why).hint("give the client's version as in 1.2.3");
        // A wrong flag is told before the network is asked.
        client(&Facts::default(), request.version.as_deref(), None).map_err(no_version)?;
        let seeding = self.in_use(&bosc_format::crypto::discovery_key(&link.key));
        let opened = self.open_watched(&link, timeout, stop)?;
        let mut facts = self.facts(&opened, &link, timeout, stop)?;
        facts.seeding = seeding;
        self.count_copies(&opened, &mut facts, stop)?;
        sink.event("doctor", summary(&opened, &facts));
        for p in &facts.platforms {
            sink.event("platform", json!(p));
        }
        let findings = judge(&facts);
        let mut counts = BTreeMap::from([(Level::Ok, 0u64), (Level::Warn, 0), (Level::Bad, 0)]);
        for finding in &findings {
            *counts.entry(finding.level).or_default() += 1;
            sink.event("finding", json!(finding));
        }
        if request.version.is_some() || request.platform.is_some() {
            let judged = client(&facts, request.version.as_deref(), request.platform.as_deref());
            sink.event("client", json!(judged.map_err(no_version)?));
        }
        let count = |level| counts.get(&level).copied().unwrap_or(0);
        let (ok, warn, bad) = (count(Level::Ok), count(Level::Warn), count(Level::Bad));
        if bad > 0 {
            let worst = findings.iter().find(|f| f.level == Level::Bad);
            let next = worst.and_then(|f| f.next.clone()).unwrap_or_default();
            return Err(CommandError::new(
                ErrorKind::Failed,
                "ERR_UNHEALTHY",
                format!("{bad} of {} findings are bad", findings.len()),
            )
            .hint(next));
        }
        Ok(json!({ "ok": ok, "warn": warn, "bad": bad }))
    }

    fn facts(
        &self,
        opened: &Opened,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Facts, CommandError> {
        let db = &opened.drive.db;
        let head = db.head();
        let row = SharedKey::of(db)?;
        let manifest = db.manifest();
        let at = link.version.map_or(head.length, |v| v.length).min(head.length);
        let mut facts = Facts {
            link: opened.drive.plain_link(),
            key: id::encode(opened.drive.key()),
            fork: head.fork,
            length: head.length,
            at,
            writable: db.writable(),
            pending: row.as_ref().is_some_and(|r| r.seed.is_some()) && !db.writable(),
            shared: row.is_some(),
            signers: manifest.as_ref().map_or(1, |m| m.signers.len()),
            quorum: manifest.as_ref().map_or(1, |m| m.quorum),
            ..Facts::default()
        };
        if at < 2 {
            facts.batch_end = true;
            return Ok(facts);
        }
        // What peers do not deliver is not known; the findings say what is missing.
        let versions = match self.drive_versions(opened, at, MAX_VERSIONS, timeout, stop) {
            Err(e) if e.kind() == ErrorKind::Network => return Ok(facts),
            other => other?.0,
        };
        facts.batch_end = versions.back().is_some_and(|v| v.length == at);
        if !facts.batch_end {
            return Ok(facts);
        }
        // What peers do not deliver is not known; the findings say what is missing.
        match self.drive_content(opened, &versions, &mut facts, timeout, stop) {
            Err(e) if e.kind() == ErrorKind::Network => Ok(facts),
            Err(e) => Err(e),
            Ok(()) => Ok(facts),
        }
    }

    /// What the drive's files say.
    fn drive_content(
        &self,
        opened: &Opened,
        versions: &VecDeque<DriveVersion>,
        facts: &mut Facts,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let mut list = Drive::checkout(CoreSource::new(&opened.drive.db), facts.at)
            .list("/by-arch")
            .map_err(drive_error)?;
        let mut platforms: BTreeMap<String, (BTreeSet<String>, u64, u64)> = BTreeMap::new();
        loop {
            match list.next() {
                None => break,
                Some(Ok(entry)) => {
                    let mut parts = entry.key.split('/').skip(2);
                    let (Some(platform), Some("app"), Some(name)) =
                        (parts.next(), parts.next(), parts.next())
                    else {
                        continue;
                    };
                    if platforms.len() >= MAX_NAMES && !platforms.contains_key(platform) {
                        continue;
                    }
                    let (names, files, length) = platforms.entry(platform.to_owned()).or_default();
                    if names.len() < MAX_NAMES {
                        names.insert(name.to_owned());
                    }
                    *files += 1;
                    *length = (*length).max(entry.seq.saturating_add(1));
                }
                Some(Err(e)) => {
                    let (Some(block), Some(live)) = (e.missing(), &opened.db) else {
                        return Err(drive_error(e));
                    };
                    live.want(list.wanted(AHEAD));
                    wait_block(live, block, timeout, stop)?;
                }
            }
        }
        if let Some(json) = match self.package_json(opened, facts.at, timeout, stop) {
            Ok(json) => json,
            Err(e) if e.kind() == ErrorKind::Integrity => None,
            Err(e) => return Err(e),
        } {
            facts.package = json.is_object();
            let found = said(&json);
            facts.app = found.product_name.or_else(|| found.name.clone());
            facts.version = found.version;
            facts.upgrade_key =
                found.upgrade.as_deref().and_then(|u| PearLink::parse(u).ok()).map(|l| id::encode(&l.key));
            facts.upgrade = found.upgrade;
            if let Some(object) = json.as_object() {
                facts.bins = crate::build::bin_names(object, found.name.as_deref().unwrap_or_default());
            }
        }
        let mut known: BTreeMap<u64, Option<String>> = BTreeMap::new();
        for (platform, (apps, files, length)) in platforms {
            // Files of a batch have the seq of their own block; the version is the end of it.
            let batch = versions.iter().find(|v| v.length >= length);
            let end = batch.map_or(length, |v| v.length);
            let version = match known.get(&end) {
                Some(version) => version.clone(),
                None if end == facts.at => facts.version.clone(),
                None => match self.package_json(opened, end, timeout, stop) {
                    Ok(json) => said(&json.unwrap_or(Value::Null)).version,
                    Err(_) => None,
                },
            };
            known.insert(end, version.clone());
            let apps = apps.into_iter().collect();
            facts.platforms.push(Platform { platform, apps, files, length: end, version });
        }
        Ok(())
    }

    /// Counts who holds everything, giving peers a moment to say what they hold.
    fn count_copies(&self, opened: &Opened, facts: &mut Facts, stop: &Stop) -> Result<(), CommandError> {
        let (Some(node), Some(db)) = (&opened.node, &opened.db) else { return Ok(()) };
        let needed = if facts.batch_end && facts.at > 1 {
            Drive::checkout(CoreSource::new(&opened.drive.db), facts.at).blobs_length().unwrap_or(0)
        } else {
            0
        };
        let deadline = Instant::now() + SETTLE;
        let count = || {
            let (d, b) = (db.status(), opened.blobs.as_ref().map(|b| b.status()).unwrap_or_default());
            let full_db = whole(&d, d.length);
            let full_blobs = if needed == 0 { full_db.clone() } else { whole(&b, needed) };
            let both = full_db.intersection(&full_blobs).count();
            (d.peers.len(), (full_db.len(), full_blobs.len(), both))
        };
        node.signal().wait(Some(deadline), TICK, || {
            let (peers, (_, _, both)) = count();
            // Nobody to wait for, or nobody left to wait for.
            (stop.is_stopped() || peers == 0 || (both == peers && both >= 2)).then_some(())
        });
        if stop.is_stopped() {
            return Err(stopped());
        }
        (facts.peers, facts.full) = count();
        let core = opened.drive.blobs(self)?;
        let blobs_here = core.as_ref().is_some_and(|c| c.contiguous_length() >= needed);
        facts.here = facts.length > 0
            && opened.drive.db.contiguous_length() >= facts.length
            && (needed == 0 || blobs_here);
        Ok(())
    }
}

/// Who holds the first `length` blocks of a core.
fn whole(s: &CoreStatus, length: u64) -> BTreeSet<PublicKey> {
    s.peers
        .iter()
        .filter(|p| length > 0 && p.fork == s.fork && p.contiguous_length >= length)
        .map(|p| p.key)
        .collect()
}

fn summary(opened: &Opened, f: &Facts) -> Value {
    json!({
        "link": f.link,
        "verlink": (f.length > 0).then(|| opened.drive.verlink()),
        "length": f.length,
        "fork": f.fork,
        "at": f.at,
        "batchEnd": f.batch_end,
        "name": f.app,
        "version": f.version,
        "upgrade": f.upgrade,
        "writable": f.writable,
        "sharedKey": f.shared,
        "signers": f.signers,
        "quorum": f.quorum,
        "here": f.here,
        "seeding": f.seeding,
        "seeders": { "peers": f.peers, "db": f.full.0, "blobs": f.full.1, "both": f.full.2 },
    })
}
