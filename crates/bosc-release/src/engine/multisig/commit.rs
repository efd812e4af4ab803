//! `multisig verify` and `commit`.
//!
//! # Order
//!
//! ```text
//! texts, configuration, signatures   no store, no network: what fails here fails at once
//! learn production                   this store, the journal, peers
//! per core (db, then blobs)          source long enough -> its hash is the request's -> production goes on from there
//!                                    -> copies of source -> copies of production
//! fetch what is missing here
//! both signatures against the heads that will come out
//! -- verify ends here --
//! journal: begun
//! one transaction: both cores, both signatures, journal: written
//! wait until FULL_COPIES peers hold all of it; journal: committed
//! ```
//!
//! # Invariants
//!
//! 1. Nothing is written to production before every signature and every hash was checked.
//! 2. Running the same command again, here or elsewhere, after any interruption, ends in the same two heads. A core that
//!    is where the request wants it is done, however it came there; production that is a beginning of the request is
//!    extended. So there is no state that only force gets out of.
//! 3. Production that cannot be seen is not taken for production that does not exist: without a peer's answer, a
//!    record here or a word from the user (`--first-commit`), nothing is written.
//! 4. Every wait has an end, and says what it waits for.

use super::gaps::Gaps;
use super::peers::{Side, copies};
use super::request::source_copies;
use super::target::{Standing, Wanted, standing, standing_alone};
use super::write::{Part, Written};
use super::{TargetCores, core_json, now};
use crate::command::{Outcome, Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{DriveCores, parse_link};
use crate::engine::wait::timed_out;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::quorum::{self, Judged};
use crate::multisig::record::{Phase, Record};
use crate::multisig::{Commit, FULL_COPIES, errors, text};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::Head;
use bosc_format::signing::{Request, SigningError};
use bosc_node::{Download, LiveCore};
use bosc_store::Core;
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::time::Duration;

/// How often a write that was overtaken looks again.
const ATTEMPTS: usize = 16;

/// A commit whose texts hold.
struct Plan {
    request: Request,
    request_text: String,
    judged: Judged,
    responses: Vec<String>,
    /// The signatures of db and blobs, when there are enough.
    signatures: Option<[Vec<u8>; 2]>,
    wanted: [Wanted; 2],
}

/// A commit under way.
struct Committing<'a> {
    engine: &'a Engine,
    ask: &'a Commit,
    plan: Plan,
    cores: TargetCores,
    drive: DriveCores,
    source: Side,
    target: Side,
    first: bool,
}

impl Engine {
    pub(super) fn multisig_commit(&self, ask: &Commit, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&ask.link)?;
        let cores = self.target_cores(&ask.signers.manifest()?)?;
        let plan = self.plan(ask, &cores, sink)?;
        let drive = self.open_drive(&link)?;
        let source = Side::open(self, &drive.db, None, false)?;
        let target = Side::open(self, &cores.db, Some(&cores.blobs), true)?;
        sink.event(
            "verify-committable-start",
            json!({ "srcKey": id::encode(drive.key()), "dstKey": id::encode(cores.db.key()) }),
        );
        let mut c = Committing { engine: self, ask, plan, cores, drive, source, target, first: false };
        let outcome = c.run(sink, stop);
        drop(c);
        let _ = self.store.flush();
        outcome
    }

    /// Everything that can be said without a network.
    fn plan(&self, ask: &Commit, cores: &TargetCores, sink: &mut dyn Sink) -> Result<Plan, CommandError> {
        let (request, bytes) = text::request(&ask.request)?;
        let shown: Vec<&String> = ask.responses.iter().collect();
        sink.event(
            "multisigging",
            json!({ "request": ask.request, "responses": shown, "dryRun": ask.dry_run }),
        );
        if request.fork > 0 {
            return Err(errors::bad_request(
                "it is for a drive that was truncated before, and could never be committed",
            ));
        }
        let Some(content) = request.content else {
            return Err(errors::bad_request("it is for a single core, not for a drive"));
        };
        let link = |key| PearLink::new(key).to_string();
        if request.manifest != cores.manifest {
            return Err(errors::other_link(&link(request.key()), &link(*cores.db.key())));
        }
        // What a begun commit was given before need not be given again.
        let request_text = request.to_text();
        let mut given = ask.responses.clone();
        if let Some(r) = self.journal()?.get(cores.db.key())
            && r.is_for(&request_text)
        {
            given.extend(r.responses.iter().cloned());
        }
        let judged = quorum::judge(&request, &bytes, &given)?;
        sink.event(
            "signatures",
            json!({
                "quorum": request.manifest.quorum,
                "valid": judged.count(),
                "responses": judged.to_json(),
            }),
        );
        judged.refuse_bad()?;
        let signatures = match request.assemble(&bytes, &judged.valid) {
            Ok((db, blobs)) => Some([db, blobs.unwrap_or_default()]),
            Err(SigningError::Quorum { have, need }) if !ask.dry_run => {
                return Err(errors::insufficient_quorum(have, need));
            }
            Err(SigningError::Quorum { .. }) => None,
            Err(e) => return Err(errors::bad_request(&e.to_string())),
        };
        let wanted = [
            Wanted { name: "db", length: request.length, hash: request.tree_hash },
            Wanted { name: "blobs", length: content.length, hash: content.tree_hash },
        ];
        let responses = judged.valid.iter().map(bosc_format::signing::Response::to_text).collect();
        Ok(Plan { request, request_text, judged, responses, signatures, wanted })
    }
}

impl Committing<'_> {
    fn run(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        self.learn_target(sink, stop)?;
        if !self.done()? {
            self.learn_source(stop)?;
            self.check(sink, stop)?;
        }
        let keys = json!({
            "dryRun": self.ask.dry_run,
            "srcKey": id::encode(self.drive.key()),
            "dstKey": id::encode(self.cores.db.key()),
        });
        sink.event("commit-start", keys);
        if !self.done()? {
            self.check_signatures(stop)?;
        }
        if self.ask.dry_run {
            return Ok(self.result(None));
        }
        self.write(sink, stop)?;
        let seeded = self.until_seeded(sink, stop)?;
        Ok(self.result(Some(seeded)))
    }

    fn parts(&self) -> [(Wanted, &Core); 2] {
        let [db, blobs] = self.plan.wanted;
        [(db, &self.cores.db), (blobs, &self.cores.blobs)]
    }

    /// Whether both cores are where the request wants them: a commit that was interrupted after its write.
    fn done(&self) -> Result<bool, CommandError> {
        for (wanted, core) in self.parts() {
            if standing_alone(core, wanted)? != Some(Standing::Done) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn update(&self) -> Duration {
        Duration::from_millis(self.ask.peer_update_timeout_ms)
    }

    /// Learns how long production is, and whether it has releases at all.
    fn learn_target(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let journal = self.engine.journal()?;
        let record = journal.get(self.cores.db.key());
        let committed = record.and_then(|r| r.last.clone());
        let mut learned = self.target.until_learned(&self.target.db, self.update(), stop)?;
        let mut blobs_told = true;
        if self.cores.db.length() > 0
            && let Some(blobs) = &self.target.blobs
        {
            // The db is news enough, unless it is the request's; of the blobs, an older head only means more to copy.
            blobs_told = self.target.until_learned(blobs, self.update(), stop)?
                && blobs.status().peers.iter().all(|p| p.length <= self.cores.blobs.length());
        }
        let length = self.cores.db.length();
        if let Some((known, _)) = &committed
            && length < *known
        {
            return Err(errors::target_stale(length, *known));
        }
        let resumed = record.is_some_and(|r| r.is_for(&self.plan.request_text));
        // Two releases of the same names and sizes have the same db. Where production's db is the request's, only its
        // blobs tell whether that release is this one; to go on without them could sign a second history.
        let [db, blobs] = self.plan.wanted;
        if !resumed
            && !blobs_told
            && matches!(standing_alone(&self.cores.db, db), Ok(Some(Standing::Done)))
            && !matches!(standing_alone(&self.cores.blobs, blobs), Ok(Some(Standing::Done)))
        {
            return Err(errors::target_blobs_unknown(length));
        }
        let has_blobs = self.cores.blobs.length() > 0;
        self.first = length == 0;
        if self.first && !learned && !has_blobs && !resumed {
            if self.ask.dry_run && !self.ask.first_commit {
                sink.event(
                    "target-unknown",
                    json!({ "link": PearLink::new(*self.cores.db.key()).to_string() }),
                );
            } else if !self.ask.first_commit && !self.ask.force_dangerous {
                return Err(errors::target_unknown());
            }
            learned = true;
        }
        if self.ask.first_commit && !self.first {
            // Sure and wrong. When the release goes on from what is there, no harm is done by going on.
            sink.event("not-first-commit", json!({ "length": length }));
        }
        sink.event(
            "target",
            json!({ "length": length, "blobsLength": self.cores.blobs.length(), "firstCommit": self.first, "fromPeers": learned }),
        );
        Ok(())
    }

    /// Brings the source to the requested lengths, and finds its blobs core.
    fn learn_source(&mut self, stop: &Stop) -> Result<(), CommandError> {
        let [db, blobs] = self.plan.wanted;
        let update = self.update();
        self.source.until_length(&self.source.db, db.length, update, stop)?;
        let have = self.drive.db.length();
        if have < db.length {
            return Err(if have == 0 {
                timed_out(&self.source.db.status())
            } else {
                errors::source_too_small("db", have, db.length)
            });
        }
        self.source.wait(update, stop, || Ok(self.source.db.status().has_manifest.then_some(())))?;
        if !self.source.find_blobs(self.engine, &self.drive)? {
            return Err(timed_out(&self.source.db.status()));
        }
        let live = self.source_blobs()?;
        self.source.until_length(&live, blobs.length, update, stop)?;
        Ok(())
    }

    fn source_blobs(&self) -> Result<LiveCore, CommandError> {
        self.source.blobs.clone().ok_or_else(|| timed_out(&self.source.db.status()))
    }

    /// Source and target of the two cores, db first.
    fn pairs(&self) -> Result<[(Wanted, LiveCore, LiveCore); 2], CommandError> {
        let [db, blobs] = self.plan.wanted;
        let target_blobs = self.target.blobs.clone().ok_or_else(|| timed_out(&self.target.db.status()))?;
        Ok([
            (db, self.source.db.clone(), self.target.db.clone()),
            (blobs, self.source_blobs()?, target_blobs),
        ])
    }

    /// The checks of each core, and the blocks that are missing here.
    fn check(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let pairs = self.pairs()?;
        for (wanted, source, target) in &pairs {
            let have = source.core().length();
            if have < wanted.length {
                return Err(errors::source_too_small(wanted.name, have, wanted.length));
            }
            if self.source.head_at(source, wanted.length, stop)?.tree_hash() != wanted.hash {
                return Err(errors::source_mismatch(wanted.name, wanted.length));
            }
            let there = target.core().length();
            if there > 0 && there < wanted.length {
                self.source.head_at(source, there, stop)?;
            }
            let standing = match standing(target.core(), source.core(), *wanted) {
                Err(e) if self.ask.first_commit && e.code() == "INCOMPATIBLE_SOURCE_AND_TARGET" => {
                    return Err(errors::target_not_empty(wanted.name, there).because(e));
                }
                other => other?,
            };
            if standing == Standing::Done || self.ask.force_dangerous {
                continue;
            }
            source_copies(&self.source, (wanted.name, source), wanted.length, self.update(), sink, stop)?;
            if let Standing::Earlier(length) = standing {
                self.target_copies((wanted.name, target), length, sink, stop)?;
            }
        }
        if self.ask.dry_run {
            return Ok(());
        }
        for (wanted, source, target) in &pairs {
            let from = target.core().length().min(wanted.length);
            self.source.fetch((wanted.name, source), from, wanted.length, sink, stop)?;
        }
        Ok(())
    }

    fn target_copies(
        &self,
        core: super::peers::Named<'_>,
        length: u64,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let (peers, full) =
            self.target.until_copies(core, length, self.update(), "production", sink, stop)?;
        if full >= FULL_COPIES {
            Ok(())
        } else if peers < FULL_COPIES {
            Err(errors::target_peers(core.0, peers, FULL_COPIES))
        } else {
            Err(errors::target_copies(core.0, full, FULL_COPIES))
        }
    }

    /// The heads that will come out must verify under the link's own keys, before anything is written.
    fn check_signatures(&self, stop: &Stop) -> Result<(), CommandError> {
        let Some(signatures) = &self.plan.signatures else { return Ok(()) };
        let manifests = [&self.cores.manifest, &self.cores.blobs_manifest];
        for (((wanted, source, _), signature), manifest) in
            self.pairs()?.iter().zip(signatures).zip(manifests)
        {
            if wanted.length == 0 {
                continue;
            }
            let head = self.source.head_at(source, wanted.length, stop)?;
            if !verifies(manifest, Head { fork: 0, signature: signature.clone(), ..head }) {
                return Err(CommandError::new(
                    ErrorKind::Integrity,
                    "SIGNATURE_INVALID",
                    format!(
                        "Invalid signature! The quorum's signature does not fit the {} core",
                        wanted.name
                    ),
                )
                .hint("ask the signers to sign the request again; nothing was written"));
            }
        }
        Ok(())
    }

    fn record(&self, phase: Phase) -> Result<Record, CommandError> {
        let journal = self.engine.journal()?;
        let [db, blobs] = self.plan.wanted;
        let before = journal.get(self.cores.db.key());
        let same = before.filter(|r| r.is_for(&self.plan.request_text));
        let done = Some((db.length, Record::hash_text(&db.hash)));
        Ok(Record {
            key: id::encode(self.cores.db.key()),
            source: id::encode(self.drive.key()),
            request: self.plan.request_text.clone(),
            responses: self.plan.responses.clone(),
            length: db.length,
            tree_hash: Record::hash_text(&db.hash),
            blobs_length: blobs.length,
            phase: same.map_or(phase, |r| r.phase.max(phase)),
            first_commit: same.map_or(self.first, |r| r.first_commit || self.first),
            began: same.map_or_else(now, |r| r.began),
            updated: now(),
            last: if phase == Phase::Begun { before.and_then(|r| r.last.clone()) } else { done },
        })
    }

    /// The write, unless it was done before.
    fn write(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let _alone = self.engine.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let resumed = self.done()?;
        if resumed {
            self.engine.note(self.record(Phase::Written)?)?;
        } else {
            let signatures = self.plan.signatures.clone().ok_or_else(|| {
                errors::insufficient_quorum(self.plan.judged.count(), self.plan.request.manifest.quorum)
            })?;
            self.engine.note(self.record(Phase::Begun)?)?;
            sink.event("journaled", json!({ "phase": "begun" }));
            let mut written = Written::Moved;
            for _ in 0..ATTEMPTS {
                written = self.write_once(&signatures, sink, stop)?;
                if written == Written::Now || self.done()? {
                    written = Written::Now;
                    break;
                }
            }
            if written == Written::Moved {
                return Err(errors::commit_failed(std::io::Error::other(
                    "production kept changing meanwhile",
                )));
            }
        }
        sink.event(
            "committed",
            json!({
                "length": self.cores.db.length(),
                "blobsLength": self.cores.blobs.length(),
                "resumed": resumed,
            }),
        );
        Ok(())
    }

    fn write_once(
        &self,
        signatures: &[Vec<u8>; 2],
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Written, CommandError> {
        let pairs = self.pairs()?;
        for (wanted, source, target) in &pairs {
            // Production may have moved, so that other nodes of the source are asked for.
            let there = target.core().length();
            if there > 0 && there < wanted.length {
                self.source.head_at(source, there, stop)?;
            }
        }
        // Blobs first: who reads the db may look for them.
        let parts: Vec<Part<'_>> = pairs
            .iter()
            .zip(signatures)
            .rev()
            .map(|((wanted, source, target), signature)| Part {
                wanted: *wanted,
                source: source.core(),
                target: target.core(),
                signature: signature.clone(),
            })
            .collect();
        self.engine.write_release(&self.cores, &parts, self.record(Phase::Written)?, sink, stop)
    }

    /// Waits until enough peers hold the release. Returns whether they do (forced commits do not wait).
    fn until_seeded(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<bool, CommandError> {
        let key = *self.cores.db.key();
        let link = PearLink::new(key).to_string();
        sink.event(
            "verify-committed-start",
            json!({ "firstCommit": self.first, "key": id::encode(&key), "link": link }),
        );
        let blobs = self.target.blobs.clone().ok_or_else(|| timed_out(&self.target.db.status()))?;
        let _downloads = [self.target.db.download(Download::live()), blobs.download(Download::live())];
        let [db_length, blobs_length] = self.plan.wanted.map(|w| w.length);
        let Committing { engine, drive, source, target, cores, .. } = self;
        let mut gaps = Gaps::new(cores);
        gaps.fill(drive, source, stop)?;
        if self.ask.force_dangerous {
            return Ok(false);
        }
        let count = || {
            let full = copies(&target.db.status(), db_length);
            // A drive without files has nothing in its blobs core to hold.
            (full, if blobs_length == 0 { full } else { copies(&blobs.status(), blobs_length) })
        };
        let mut told = None;
        let seeded = target.wait(Duration::from_millis(self.ask.wait_ms), stop, || {
            gaps.look(engine, drive, source, stop)?;
            let (db, blobs) = count();
            if told != Some((db, blobs)) {
                told = Some((db, blobs));
                sink.event(
                    "verify-committed",
                    json!({ "db": { "fullCopies": db }, "blobs": { "fullCopies": blobs }, "need": FULL_COPIES }),
                );
            }
            Ok((db >= FULL_COPIES && blobs >= FULL_COPIES).then_some(()))
        })?;
        if seeded.is_none() {
            let (db, blobs) = count();
            return Err(errors::not_seeded(db, blobs, FULL_COPIES, &link));
        }
        let _alone = self.engine.committing.lock().unwrap_or_else(PoisonError::into_inner);
        self.engine.note(self.record(Phase::Committed)?)?;
        Ok(true)
    }

    fn result(&self, seeded: Option<bool>) -> Value {
        let mut cores = serde_json::Map::new();
        let sources = [Some(&self.source.db), self.source.blobs.as_ref()];
        for (i, (wanted, target)) in self.parts().into_iter().enumerate() {
            let now = target.head();
            let mut batch = core_json(target.key(), wanted.length, &wanted.hash);
            let signature =
                self.plan.signatures.as_ref().and_then(|s| s.get(i)).filter(|_| wanted.length > 0);
            if let Some(map) = batch.as_object_mut() {
                map.insert("signature".into(), json!(signature.map(|s| id::encode_bytes(s))));
            }
            let source = sources.get(i).copied().flatten().map(|live| {
                let head = live.core().head();
                core_json(live.key(), head.length, &head.tree_hash())
            });
            cores.insert(
                wanted.name.into(),
                json!({
                    "destCore": core_json(target.key(), now.length, &now.tree_hash()),
                    "srcCore": source,
                    "batch": batch,
                }),
            );
        }
        let key = *self.cores.db.key();
        json!({
            "dstKey": id::encode(&key),
            "dryRun": self.ask.dry_run,
            "quorum": { "amount": self.plan.request.manifest.quorum, "total": self.plan.judged.count() },
            "result": cores,
            "link": PearLink::new(key).to_string(),
            "verlink": PearLink::verlink(key, 0, self.plan.request.length).to_string(),
            "firstCommit": self.first,
            "seeded": seeded,
        })
    }
}

fn verifies(manifest: &Manifest, head: Head) -> bool {
    Verifier::new(&manifest.key(), Some(manifest)).is_ok_and(|v| v.verify(&head))
}
