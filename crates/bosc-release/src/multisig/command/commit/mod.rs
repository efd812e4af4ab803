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
//!
//! # Files
//!
//! - `plan`: what is to be done, from texts alone, and what they refuse. `learn`: what production and source hold, and the checks.
//!   `write`: the claim, the write, the journal, and until peers hold it; a write that was overtaken.
//!
//! `Committing` is the state that `learn` and `write` share.

mod learn;
mod plan;
mod write;

use super::TargetCores;
use super::peers::AskedDrive;
use super::target::{TargetStanding, Wanted, standing_alone};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{DriveCores, parse_link};
use crate::engine::follow::timed_out;
use crate::error::CommandError;
use crate::multisig::Commit;
use crate::multisig::event::{
    CommitDone, CommittedCore, CommittedCores, CoreHead, MultisigEvent, QuorumReached, SignedHead,
};
use bosc_follow::FollowedCore;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;
use plan::CommitPlan;
use std::time::Duration;

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
