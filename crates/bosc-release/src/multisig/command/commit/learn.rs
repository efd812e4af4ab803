//! What production and source hold, the checks of each core, and the blocks that are missing here.

use super::super::content::Content;
use super::super::peers::Named;
use super::super::request::source_copies;
use super::super::target::{TargetStanding, standing, standing_alone};
use super::Committing;
use crate::command::{Sink, Stop};
use crate::engine::drive::CoreSource;
use crate::engine::follow::timed_out;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::event::{CopiesOf, MultisigEvent};
use crate::multisig::{FULL_COPIES, errors};
use crate::update_costs::CostsOf;
use bosc_follow::CoreName;
use bosc_format::link::PearLink;
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::Head;

impl Committing<'_> {
    /// Learns how long production is, and whether it has releases at all.
    pub(super) fn learn_target(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
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
    pub(super) fn learn_source(&mut self, stop: &Stop) -> Result<(), CommandError> {
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

    /// The checks of each core, and the blocks that are missing here.
    pub(super) fn check(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
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
        for (wanted, source, target) in pairs.iter().filter(|_| !self.ask.dry_run) {
            let from = target.core().length().min(wanted.length);
            self.source.fetch((wanted.name, source), from, wanted.length, sink, stop)?;
        }
        let [db, _] = self.plan.wanted;
        let blobs = self.source.blobs.as_ref();
        if let Some(blobs) = blobs {
            // What is there was compared with the source above.
            let there = self.cores.db.length();
            let content = Content::followed(&self.drive, &self.source.db, blobs);
            let base = (there < db.length).then_some(there);
            self.engine.tell_rules_of(&content, db.length, base, sink, stop)?;
        }
        CostsOf {
            db: CoreSource::cut(&self.drive.db, db.length),
            length: db.length,
            followed: Some(&self.source.db),
            blobs: blobs.map(|live| (live.core().clone(), Some(live))),
            stop,
        }
        .tell(sink)
    }

    fn target_copies(
        &self,
        core: Named<'_>,
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
    pub(super) fn check_signatures(&self, stop: &Stop) -> Result<(), CommandError> {
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
}

fn verifies(manifest: &Manifest, head: Head) -> bool {
    Verifier::new(&manifest.key(), Some(manifest)).is_ok_and(|v| v.verify(&head))
}
