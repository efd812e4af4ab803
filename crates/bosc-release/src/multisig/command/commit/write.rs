//! Production is claimed, written and journaled, and waited for until peers hold it.

use super::super::claim::{Claim, Name};
use super::super::gaps::Gaps;
use super::super::peers::copies;
use super::super::write::{CoreWrite, Written};
use super::Committing;
use crate::clock::now;
use crate::command::{Sink, Stop};
use crate::engine::follow::timed_out;
use crate::error::CommandError;
use crate::multisig::event::{FullCopies, MultisigEvent};
use crate::multisig::journal::{Phase, Record};
use crate::multisig::{FULL_COPIES, errors};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::Download;
use std::sync::PoisonError;
use std::time::Duration;

/// How often a write that was overtaken looks again.
const ATTEMPTS: usize = 16;

/// Name of the key that a store's claims are named with.
const CLAIM_KEY: &str = "bosc-claim";

impl Committing<'_> {
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
    pub(super) fn claim(&self, sink: &mut dyn Sink, stop: &Stop) -> Result<Claim, CommandError> {
        let key = self.cores.db.key();
        let (text, length) = (id::encode(key), self.plan.request.length);
        sink.tell(MultisigEvent::Claiming { key: text.clone(), length });
        let bootstrap = self.engine.bootstrap.clone();
        let journal = self.engine.journal()?;
        let committed = journal.get(key).and_then(|r| r.last.as_ref()).map_or(0, |(length, _)| *length);
        let plan = &self.plan;
        // Production may have its db and lack its blobs: the request still is a claim.
        let floor = self.cores.db.length().max(committed).min(plan.request.length.saturating_sub(1));
        let name = Name::new(&self.engine.own_key(CLAIM_KEY)?, &plan.request_text, &plan.responses);
        let claim =
            Claim::take(bootstrap, name, key, floor, (&plan.request_text, &plan.responses), sink, stop)?;
        sink.tell(MultisigEvent::Claimed { key: text, length });
        // What came while we waited counts.
        self.target.check()?;
        Ok(claim)
    }

    /// The write, unless it was done before.
    pub(super) fn write(
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
    pub(super) fn until_seeded(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<bool, CommandError> {
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
}
