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
//! claim production where other commits see it (see `claim`)
//! journal: begun
//! one transaction: both cores, both signatures, journal: written
//! wait until FULL_COPIES peers hold a full copy; journal: committed
//! ```
//!
//! # Invariants
//!
//! 1. Nothing is written to production before every signature and every hash was checked.
//! 2. Running the same command again, here or elsewhere, after any interruption, ends in the same two heads. A core that
//!    is where the request wants it is done, however it came there; production that is a beginning of the request is
//!    extended. One state has to wait for the store that wrote: when it died after peers took its db and before any took its
//!    blobs, nobody else knows what they are. Only when that store is lost, force is the way out.
//! 3. Production that cannot be seen is not taken for production that does not exist: without a peer's answer, a
//!    record here or a word from the user (`--first-commit`), nothing is written.
//! 4. Two requests that each extend production are not both written by stores that reach each other: production is
//!    claimed before it is written. One that has two histories already is not written to at all.
//! 5. Every wait has an end, and says what it waits for.

use super::claim::Claim;
use super::gaps::Gaps;
use super::peers::{AskedDrive, copies};
use super::request::source_copies;
use super::target::{TargetStanding, Wanted, standing, standing_alone};
use super::write::{CoreWrite, Written};
use super::{TargetCores, now};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{DriveCores, parse_link};
use crate::engine::follow::timed_out;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::errors;
use crate::multisig::event::{
    CommitDone, CommittedCore, CommittedCores, CopiesOf, CoreHead, FullCopies, MultisigEvent, QuorumReached,
    SignedHead,
};
use crate::multisig::journal::{Phase, Record};
use crate::multisig::quorum::{self, Judged};
use crate::multisig::{Commit, FULL_COPIES, text};
use bosc_follow::CoreName;
use bosc_follow::FollowedCore;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::Head;
use bosc_format::signing::{Request, SigningError};
use bosc_node::Download;
use bosc_store::Core;
use std::sync::PoisonError;
use std::time::Duration;

/// How often a write that was overtaken looks again.
const ATTEMPTS: usize = 16;

/// A commit whose texts hold.
struct CommitPlan {
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
    plan: CommitPlan,
    cores: TargetCores,
    drive: DriveCores,
    source: AskedDrive,
    target: AskedDrive,
    first: bool,
}

impl Engine {
    pub(crate) fn multisig_commit(
        &self,
        ask: &Commit,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<CommitDone, CommandError> {
        let link = parse_link(&ask.link)?;
        let cores = self.target_cores(&ask.signers.manifest()?)?;
        let plan = self.plan(ask, &cores, sink)?;
        let drive = self.open_drive(&link)?;
        let source = AskedDrive::open(self, &drive.db, false)?;
        let mut target = AskedDrive::open(self, &cores.db, true)?;
        // Whoever forces it has chosen the history that is here.
        target.written &= !ask.force_dangerous;
        sink.tell(MultisigEvent::VerifyCommittableStart {
            src_key: id::encode(drive.key()),
            dst_key: id::encode(cores.db.key()),
        });
        let mut c = Committing { engine: self, ask, plan, cores, drive, source, target, first: false };
        let mut outcome = c.run(sink, stop);
        for side in [&c.source, &c.target] {
            if let Err(e) = side.tell_conflicts(self, sink) {
                outcome = outcome.and(Err(e));
            }
        }
        drop(c);
        let _ = self.store.flush();
        outcome
    }

    /// Everything that can be said without a network.
    fn plan(
        &self,
        ask: &Commit,
        cores: &TargetCores,
        sink: &mut dyn Sink,
    ) -> Result<CommitPlan, CommandError> {
        let (request, bytes) = text::request(&ask.request)?;
        sink.tell(MultisigEvent::Multisigging {
            request: ask.request.clone(),
            responses: ask.responses.clone(),
            dry_run: ask.dry_run,
        });
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
        sink.tell(MultisigEvent::Signatures {
            quorum: request.manifest.quorum,
            valid: judged.count(),
            responses: judged.told(),
        });
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
            Wanted { name: CoreName::Db, length: request.length, hash: request.tree_hash },
            Wanted { name: CoreName::Blobs, length: content.length, hash: content.tree_hash },
        ];
        let responses = judged.valid.iter().map(bosc_format::signing::Response::to_text).collect();
        Ok(CommitPlan { request, request_text, judged, responses, signatures, wanted })
    }
}

impl Committing<'_> {
    fn run(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<CommitDone, CommandError> {
        self.learn_target(sink, stop)?;
        if !self.done()? {
            self.learn_source(stop)?;
            self.check(sink, stop)?;
        }
        sink.tell(MultisigEvent::CommitStart {
            dry_run: self.ask.dry_run,
            src_key: id::encode(self.drive.key()),
            dst_key: id::encode(self.cores.db.key()),
        });
        if !self.done()? {
            self.check_signatures(stop)?;
        }
        if self.ask.dry_run {
            return Ok(self.result(None));
        }
        // Held until the release is out: whoever comes later sees it, or us.
        let mut claim = match self.ask.force_dangerous || self.done()? {
            true => None,
            false => Some(self.claim(sink, stop)?),
        };
        self.write(&mut claim, sink, stop)?;
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
            if standing_alone(core, wanted)? != Some(TargetStanding::Done) {
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
            && !self.ask.force_dangerous
            && !blobs_told
            && matches!(standing_alone(&self.cores.db, db), Ok(Some(TargetStanding::Done)))
            && !matches!(standing_alone(&self.cores.blobs, blobs), Ok(Some(TargetStanding::Done)))
        {
            return Err(errors::target_blobs_unknown(length));
        }
        let has_blobs = self.cores.blobs.length() > 0;
        self.first = length == 0;
        if self.first && !learned && !has_blobs && !resumed {
            if self.ask.dry_run && !self.ask.first_commit {
                let link = PearLink::new(*self.cores.db.key()).to_string();
                sink.tell(MultisigEvent::TargetUnknown { link });
            } else if !self.ask.first_commit && !self.ask.force_dangerous {
                return Err(errors::target_unknown());
            }
            learned = true;
        }
        if self.ask.first_commit && !self.first {
            // Sure and wrong. When the release goes on from what is there, no harm is done by going on.
            sink.tell(MultisigEvent::NotFirstCommit { length });
        }
        sink.tell(MultisigEvent::Target {
            length,
            blobs_length: self.cores.blobs.length(),
            first_commit: self.first,
            from_peers: learned,
        });
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
                errors::source_too_small(CoreName::Db, have, db.length)
            });
        }
        self.source.wait(update, stop, |_| Ok(self.source.db.status().has_manifest.then_some(())))?;
        if !self.source.find_blobs()? {
            return Err(timed_out(&self.source.db.status()));
        }
        let live = self.source_blobs()?;
        self.source.until_length(&live, blobs.length, update, stop)?;
        Ok(())
    }

    fn source_blobs(&self) -> Result<FollowedCore, CommandError> {
        self.source.blobs.clone().ok_or_else(|| timed_out(&self.source.db.status()))
    }

    /// Source and target of the two cores, db first.
    fn pairs(&self) -> Result<[(Wanted, FollowedCore, FollowedCore); 2], CommandError> {
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
            if standing == TargetStanding::Done || self.ask.force_dangerous {
                continue;
            }
            source_copies(&self.source, (wanted.name, source), wanted.length, self.update(), sink, stop)?;
            if let TargetStanding::Earlier(length) = standing {
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
            self.target.until_copies(core, length, self.update(), CopiesOf::Production, sink, stop)?;
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

    /// Sees to it that no other request is committed to production at the same time.
    fn claim(&self, sink: &mut dyn Sink, stop: &Stop) -> Result<Claim, CommandError> {
        let key = self.cores.db.key();
        let (text, length) = (id::encode(key), self.plan.request.length);
        sink.tell(MultisigEvent::Claiming { key: text.clone(), length });
        let bootstrap = self.engine.bootstrap.clone();
        let journal = self.engine.journal()?;
        let committed = journal.get(key).and_then(|r| r.last.as_ref()).map_or(0, |(length, _)| *length);
        let plan = &self.plan;
        // Production may have its db and lack its blobs: the request still is a claim.
        let floor = self.cores.db.length().max(committed).min(plan.request.length.saturating_sub(1));
        let claim = Claim::take(bootstrap, key, floor, &plan.request_text, &plan.responses, sink, stop)?;
        sink.tell(MultisigEvent::Claimed { key: text, length });
        // What came while we waited counts.
        self.target.check()?;
        Ok(claim)
    }

    /// The write, unless it was done before.
    fn write(
        &mut self,
        claim: &mut Option<Claim>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let _alone = self.engine.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let resumed = self.done()?;
        if resumed {
            self.engine.note(self.record(Phase::Written)?)?;
        } else {
            let signatures = self.plan.signatures.clone().ok_or_else(|| {
                errors::insufficient_quorum(self.plan.judged.count(), self.plan.request.manifest.quorum)
            })?;
            if let Some(claim) = claim {
                claim.check()?;
            }
            self.engine.note(self.record(Phase::Begun)?)?;
            sink.tell(MultisigEvent::Journaled { phase: Phase::Begun });
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
        sink.tell(MultisigEvent::Committed {
            length: self.cores.db.length(),
            blobs_length: self.cores.blobs.length(),
            resumed,
        });
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
        let parts: Vec<CoreWrite<'_>> = pairs
            .iter()
            .zip(signatures)
            .rev()
            .map(|((wanted, source, target), signature)| CoreWrite {
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
        sink.tell(MultisigEvent::VerifyCommittedStart {
            first_commit: self.first,
            key: id::encode(&key),
            link: link.clone(),
        });
        let blobs = self.target.blobs.clone().ok_or_else(|| timed_out(&self.target.db.status()))?;
        let _downloads =
            [self.target.db.live().download(Download::live()), blobs.live().download(Download::live())];
        let [db_length, blobs_length] = self.plan.wanted.map(|w| w.length);
        let Committing { drive, source, target, cores, .. } = self;
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
        let seeded = target.wait(Duration::from_millis(self.ask.wait_ms), stop, |alarm| {
            gaps.look(drive, source, alarm, stop)?;
            let (db, blobs) = count();
            if told != Some((db, blobs)) {
                told = Some((db, blobs));
                sink.tell(MultisigEvent::VerifyCommitted {
                    db: FullCopies { full_copies: db },
                    blobs: FullCopies { full_copies: blobs },
                    need: FULL_COPIES,
                });
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

    fn result(&self, seeded: Option<bool>) -> CommitDone {
        let [db, blobs] = self.parts();
        let signatures = self.plan.signatures.as_ref();
        let [db_signature, blobs_signature] = signatures.map_or([None, None], |s| s.each_ref().map(Some));
        let key = *self.cores.db.key();
        CommitDone {
            dst_key: id::encode(&key),
            dry_run: self.ask.dry_run,
            quorum: QuorumReached {
                amount: self.plan.request.manifest.quorum,
                total: self.plan.judged.count(),
            },
            result: CommittedCores {
                db: committed(db, Some(&self.source.db), db_signature),
                blobs: committed(blobs, self.source.blobs.as_ref(), blobs_signature),
            },
            link: PearLink::new(key).to_string(),
            verlink: PearLink::verlink(key, 0, self.plan.request.length).to_string(),
            first_commit: self.first,
            seeded,
        }
    }
}

/// A core of production as it is now, its source, and what was signed of it.
fn committed(
    (wanted, target): (Wanted, &Core),
    source: Option<&FollowedCore>,
    signature: Option<&Vec<u8>>,
) -> CommittedCore {
    let head = |core: &Core| {
        let now = core.head();
        CoreHead::new(core.key(), now.length, &now.tree_hash())
    };
    CommittedCore {
        dest_core: head(target),
        src_core: source.map(|live| head(live.core())),
        batch: SignedHead {
            head: CoreHead::new(target.key(), wanted.length, &wanted.hash),
            signature: signature.filter(|_| wanted.length > 0).map(|s| id::encode_bytes(s)),
        },
    }
}

fn verifies(manifest: &Manifest, head: Head) -> bool {
    Verifier::new(&manifest.key(), Some(manifest)).is_ok_and(|v| v.verify(&head))
}
