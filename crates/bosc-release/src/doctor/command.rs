//! `doctor`: gathers what is known of a link and has it judged.

use super::blind::Named;
use super::client::client;
use super::event::{Diagnosis, DoctorEvent, Examined, RotSeen, SeedersSeen};
use super::facts::{Facts, Rules, RulesSeen};
use super::finding::Level;
use super::judge::judge;
use super::request::Doctor;
use crate::clock::now;
use crate::command::{Sink, Stop};
use crate::engine::conflict::way_out;
use crate::engine::drive::parse_link;
use crate::engine::errors::no_dht;
use crate::engine::open::Opened;
use crate::engine::shared::SharedKey;
use crate::engine::{Engine, public_keys};
use crate::error::{CommandError, ErrorKind};
use crate::policy::check::check;
use crate::policy::command::standings;
use crate::policy::look;
use crate::policy::shown::{FreshnessShown, called, meaning};
use crate::store::command::RotCount;
use crate::update_costs::CostsOf;
use crate::versions::command::MAX_VERSIONS;
use bosc_drive::drive::Drive;
use bosc_follow::mirror::MirrorStatus;
use bosc_follow::vouch::is_uncompared;
use bosc_follow::{FollowError, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{CoreStatus, NetStatus, Node};
use bosc_policy::Policy;
use bosc_updater::install::{Installer, Options};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How long peers are given to say which blocks they hold once they said how many there are.
const SETTLE: Duration = Duration::from_secs(3);
/// How long it is waited for what the router says.
const MAPPING: Duration = Duration::from_secs(6);
/// How long blocks that are here are read and compared; the scrub of a seed reads all of them.
const LOOK_FOR_ROT: Duration = Duration::from_secs(5);

impl Engine {
    pub(crate) fn doctor(
        &self,
        request: &Doctor,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Diagnosis, CommandError> {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let no_version = |why: String| CommandError::input(why).hint("give the client's version as in 1.2.3");
        // A wrong flag is told before the network is asked.
        client(&Facts::default(), request.version.as_deref(), None).map_err(no_version)?;
        let seeding = self.in_use(&bosc_format::crypto::discovery_key(&link.key));
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let named = Named::new(self, public_keys(&request.blind_peers, "--blind-peer")?)?;
        let opened = self.open_watched(&link, timeout, stop)?;
        let mut facts = self.facts(&opened, &link, timeout, stop)?;
        facts.seeding = seeding;
        let blobs = opened.drive.blobs()?;
        let cores: Vec<_> = [Some(&opened.drive.db), blobs.as_ref()].into_iter().flatten().collect();
        let rot = RotCount::look(&cores, LOOK_FOR_ROT, stop)?;
        facts.damaged = rot.damaged;
        facts.installed = request.app.as_deref().map(installed);
        facts.journal_damaged = request.app.as_deref().and_then(damaged_journal);
        self.count_copies(&opened, &mut facts, stop)?;
        if let Some(named) = &named {
            facts.blind_peers = named.look(&opened, &facts, needed_blobs(&opened, &facts), stop)?;
        }
        facts.rules = self.rules_seen(&opened, &facts, timeout, stop)?;
        self.tell_conflicts(&opened, sink)?;
        if let Some(conflict) = self.known_conflict(&opened.drive)? {
            facts.conflict = Some((conflict.heads(), way_out(&facts.link, facts.signers)));
        }
        sink.tell(DoctorEvent::Doctor(Box::new(examined(&opened, &facts, rot.told()))));
        crate::mirror::sources::tell(opened.followed.as_ref(), sink);
        for p in &facts.platforms {
            sink.tell(DoctorEvent::Platform(p.clone()));
        }
        if facts.batch_end {
            CostsOf::opened(&opened, facts.at, stop)?.tell(sink)?;
        }
        let findings = judge(&facts);
        let mut counts = BTreeMap::from([(Level::Ok, 0u64), (Level::Warn, 0), (Level::Bad, 0)]);
        for finding in &findings {
            *counts.entry(finding.level).or_default() += 1;
            sink.tell(DoctorEvent::Finding(finding.clone()));
        }
        if request.version.is_some() || request.platform.is_some() {
            let judged = client(&facts, request.version.as_deref(), request.platform.as_deref());
            sink.tell(DoctorEvent::Client(judged.map_err(no_version)?));
        }
        if let Some(node) = self.running_node() {
            self.wait_for_mapping(&node, stop)?;
            sink.tell(DoctorEvent::Nat(super::nat::judge(&node.status())));
        }
        let count = |level| counts.get(&level).copied().unwrap_or(0);
        let (ok, warn, bad) = (count(Level::Ok), count(Level::Warn), count(Level::Bad));
        let mirrored = opened
            .followed
            .as_ref()
            .is_some_and(|f| f.mirrors().statuses().iter().any(|m| m.fault.is_none() && m.head.is_some()));
        if let Some(tried) = self.unanswered().filter(|_| !mirrored) {
            return Err(no_dht(&tried));
        }
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
        Ok(Diagnosis { ok, warn, bad })
    }

    /// Gives the router a moment to say whether it leads a port here, and DHT nodes to find out whether it does.
    fn wait_for_mapping(&self, node: &Node, stop: &Stop) -> Result<(), CommandError> {
        let known = |s: &NetStatus| s.mapping_known && s.mapping.is_none_or(|m| m.proved);
        let waited = Wait::new(stop).timeout(MAPPING).run(node.signal(), |_| {
            let status = node.status();
            let asked = self.wishes().map_port && super::nat::is_behind(&status);
            Ok::<_, FollowError>((!asked || known(&status)).then_some(()))
        });
        match waited {
            // That is said as it stands.
            Ok(_) | Err(FollowError::TimedOut(_)) => Ok(()),
            Err(e) => Err(e.into()),
        }
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
            copied: self
                .store
                .copied()
                .filter(|_| self.store.may_be_elsewhere(db))
                .map(|c| c.evidence.to_string()),
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

    /// What the rules are, and what operators say. None: peers did not deliver them, or it is no whole version.
    fn rules_seen(
        &self,
        opened: &Opened,
        facts: &Facts,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<RulesSeen>, CommandError> {
        if facts.at < 2 || !facts.batch_end {
            return Ok(None);
        }
        let bytes = match self.rules_file(opened, facts.at, timeout, stop) {
            Ok(None) => return Ok(Some(RulesSeen::Missing)),
            Ok(Some(bytes)) => bytes,
            Err(e) if e.kind() == ErrorKind::Network => return Ok(None),
            Err(e) if e.code() == "ERR_INVALID_POLICY" => {
                return Ok(Some(RulesSeen::Wrong(e.causes().join(": "))));
            }
            Err(e) => return Err(e),
        };
        let policy = match Policy::read(&bytes) {
            Ok(policy) => policy,
            Err(e) => return Ok(Some(RulesSeen::Wrong(e.to_string()))),
        };
        let key = opened.drive.key();
        let mirrors = opened.followed.as_ref().map(|followed| followed.mirrors());
        let words = self.words(key, &policy, mirrors, stop)?;
        let (now, seen) = (now(), look::seen(*key, &policy, &words));
        let newest = facts.version.as_deref().and_then(|v| semver::Version::parse(v).ok());
        let named = policy.operators().iter().zip(&words);
        Ok(Some(RulesSeen::Obeyed(Box::new(Rules {
            meaning: meaning(&policy),
            doubts: check(&bytes, now),
            operators: named.map(|(operator, word)| (called(operator), word.heard)).collect(),
            freshness: FreshnessShown::of(&bosc_policy::freshness(&policy, &seen, now), &policy),
            standings: standings(newest.as_ref(), &policy, &seen),
            now,
        }))))
    }

    /// Counts who holds everything, giving peers a moment to say what they hold.
    fn count_copies(&self, opened: &Opened, facts: &mut Facts, stop: &Stop) -> Result<(), CommandError> {
        let Some(followed) = &opened.followed else { return Ok(()) };
        let needed = needed_blobs(opened, facts);
        let count = || {
            let (d, b) = followed.statuses();
            let full_db = whole(&d, d.length);
            let full_blobs = if needed == 0 { full_db.clone() } else { whole(&b, needed) };
            let both = full_db.intersection(&full_blobs).count();
            (d.peers.len(), (full_db.len(), full_blobs.len(), both))
        };
        followed.idle(&mut Wait::new(stop).timeout(SETTLE), |_| {
            let (peers, (_, _, both)) = count();
            // Nobody to wait for, or nobody left to wait for.
            let told = both == peers && both >= 2 && !is_uncompared(&followed.db().status());
            Ok::<_, CommandError>((peers == 0 || told).then_some(()))
        })?;
        (facts.peers, facts.full) = count();
        let newest = (facts.fork, facts.length);
        let statuses = followed.mirrors().statuses();
        let has = |m: &&MirrorStatus| m.fault.is_none() && m.sparse.is_none() && m.head >= Some(newest);
        facts.mirrors = if facts.length > 0 { statuses.iter().filter(has).count() } else { 0 };
        let core = opened.drive.blobs()?;
        let blobs_here = core.as_ref().is_some_and(|c| c.contiguous_length() >= needed);
        facts.here = facts.length > 0
            && opened.drive.db.contiguous_length() >= facts.length
            && (needed == 0 || blobs_here);
        Ok(())
    }
}

/// What the installed application's journal knows of its version. It is only read.
fn installed(app: &Path) -> Result<Option<(String, String)>, String> {
    let read = || {
        // The version is of no account for this.
        let options = Options::new(app, semver::Version::new(0, 0, 0));
        Installer::open(options)?.mismatch()
    };
    match read() {
        Ok(found) => Ok(found.map(|(release, said)| (release.to_string(), said.to_string()))),
        Err(e) => Err(e.to_string()),
    }
}

/// Where the installed application's journal lies if it is damaged.
fn damaged_journal(app: &Path) -> Option<String> {
    let options = Options::new(app, semver::Version::new(0, 0, 0));
    let found = Installer::open(options).and_then(|installer| installer.damaged_journal());
    found.ok().flatten().map(|path| path.display().to_string())
}

/// How many blobs the version that is looked at needs.
fn needed_blobs(opened: &Opened, facts: &Facts) -> u64 {
    if facts.batch_end && facts.at > 1 {
        Drive::checkout(opened.entries(), facts.at).blobs_length().unwrap_or(0)
    } else {
        0
    }
}

/// Who holds the first `length` blocks of a core.
fn whole(s: &CoreStatus, length: u64) -> BTreeSet<PublicKey> {
    s.peers.iter().filter(|p| length > 0 && p.holds(s.fork, length)).map(|p| p.key).collect()
}

fn examined(opened: &Opened, f: &Facts, rot: RotSeen) -> Examined {
    Examined {
        link: f.link.clone(),
        verlink: (f.length > 0).then(|| opened.drive.verlink()),
        length: f.length,
        fork: f.fork,
        at: f.at,
        batch_end: f.batch_end,
        name: f.app.clone(),
        version: f.version.clone(),
        upgrade: f.upgrade.clone(),
        writable: f.writable,
        shared_key: f.shared,
        signers: f.signers,
        quorum: f.quorum,
        here: f.here,
        seeding: f.seeding,
        seeders: SeedersSeen { peers: f.peers, db: f.full.0, blobs: f.full.1, both: f.full.2 },
        rot,
    }
}
