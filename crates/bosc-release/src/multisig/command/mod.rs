//! `multisig` on an open store: requests, what a signer is shown, commits and their journal.
//!
//! # Files
//!
//! - `request`: makes a request, once enough peers hold a full copy of the source; how long production may hold it up, the form for
//!   old signers. `inspect`: finds the drive that a request names, here or at peers; what a signer is shown, and when that is not all
//!   of it. `version`: whether the length of a source is one of its versions. `earlier`: what a key signed before, against what it is
//!   asked to sign: when both can be released.
//! - `commit/`: the state machine of `verify` and `commit`, its order (in `plan` what the texts alone refuse, and responses kept from
//!   before; in `learn` production and source; in `write` claim, write, copies). `target/`: what production is, seen from a source:
//!   shorter, longer, parted. `claim/`: two commits see each other, which gives way, how long they look. `gaps`: blocks of production
//!   that nobody offers, taken from the source, and when. `write`: the one transaction that extends it.
//! - `content`: the drive that a request is about, and small files in it. `rules`: its rules, those that clients could not obey, and
//!   what changed in them.
//! - `peers`: a drive's two cores on the network, and bounded waits for lengths, copies and blocks; how long a search or a stall may
//!   be.

mod claim;
mod commit;
mod content;
mod earlier;
mod gaps;
mod inspect;
mod peers;
mod request;
mod rules;
mod target;
mod version;
mod write;

use super::Work;
use super::event::{CommitState, HeldCore, MultisigEvent, RecordKey, Records, StatusShown};
use super::journal::{Journal, Phase, ROW, Record};
use crate::command::{Outcome, Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::errors::store_error;
use crate::error::{CommandError, ErrorKind};
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::manifest::Manifest;
use bosc_store::{Core, CreateOptions};

/// The two cores of a drive that a quorum signs.
#[derive(Debug, Clone)]
pub(super) struct TargetCores {
    pub(crate) manifest: Manifest,
    pub(super) blobs_manifest: Manifest,
    pub(crate) db: Core,
    pub(crate) blobs: Core,
}

impl Engine {
    pub(crate) fn multisig(&self, work: &Work, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        Ok(match work {
            Work::Request(r) => self.multisig_request(r, sink, stop)?.into(),
            Work::Inspect(r) => Box::new(self.multisig_inspect(r, sink, stop)?).into(),
            Work::Commit(r) => Box::new(self.multisig_commit(r, sink, stop)?).into(),
            Work::Status { link } => self.multisig_status(link.as_deref(), sink)?.into(),
            Work::Records => self.multisig_records()?.into(),
        })
    }

    /// The cores of a quorum's drive in this store. Nothing is written until something is put in them.
    pub(super) fn target_cores(&self, manifest: &Manifest) -> Result<TargetCores, CommandError> {
        let blobs_manifest = manifest.blobs(&manifest.key()).ok_or_else(|| {
            CommandError::input("a drive needs a manifest of version 1 or later")
                .hint("make the request again with a current tool")
        })?;
        let open = |m: &Manifest| {
            self.store.create_core(CreateOptions::new().manifest(m.clone())).map_err(store_error)
        };
        Ok(TargetCores {
            db: open(manifest)?,
            blobs: open(&blobs_manifest)?,
            manifest: manifest.clone(),
            blobs_manifest,
        })
    }

    /// The journal of commits.
    pub(crate) fn journal(&self) -> Result<Journal, CommandError> {
        let row = self.store.user_data(ROW).map_err(store_error)?;
        Journal::decode(row.as_deref()).map_err(|e| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", "the journal of commits cannot be read")
                .because(e)
                .hint("it was written by a newer version of Bosc, or the store is damaged: update, or use another store")
        })
    }

    /// Puts a record down, durably, apart from any cores.
    pub(crate) fn note(&self, record: Record) -> Result<(), CommandError> {
        let row = self.journal_row(record)?;
        self.store.set_user_data(ROW, Some(&row)).map_err(store_error)
    }

    /// The journal's row with `record` in it. Call with `committing` held.
    pub(super) fn journal_row(&self, record: Record) -> Result<Vec<u8>, CommandError> {
        let mut journal = self.journal()?;
        journal.put(record);
        journal.encode().map_err(|e| CommandError::failed("the journal cannot be written").because(e))
    }

    fn multisig_status(&self, link: Option<&str>, sink: &mut dyn Sink) -> Result<StatusShown, CommandError> {
        let only = link.map(parse_link).transpose()?.map(|l| id::encode(&l.key));
        let mut shown = 0u64;
        for r in self.journal()?.records {
            if only.as_ref().is_some_and(|k| *k != r.key) {
                continue;
            }
            shown += 1;
            sink.tell(MultisigEvent::Commit(self.status_of(&r)?));
        }
        if shown == 0 && only.is_some() {
            return Err(CommandError::not_found("no commit of this link was made from this store")
                .hint("look on the machine that ran `bosc multisig commit`; `bosc info <link>` shows what peers have"));
        }
        Ok(StatusShown { count: shown })
    }

    fn status_of(&self, r: &Record) -> Result<CommitState, CommandError> {
        let broken = |_| {
            CommandError::new(
                ErrorKind::Store,
                "ERR_STORE",
                "the journal of commits names something that is not a key",
            )
        };
        let key: CoreKey = id::decode(&r.key).map_err(broken)?;
        let db = self.store.get_core(&key).map_err(store_error)?;
        let (here, held) = db.as_ref().map_or((0, 0), |c| (c.length(), c.contiguous_length()));
        let blobs = match db.as_ref().and_then(|c| c.manifest()?.blobs(&key)) {
            Some(m) => self.store.get_core(&m.key()).map_err(store_error)?,
            None => None,
        };
        let next = match r.phase {
            Phase::Begun => "run the same `bosc multisig commit` again: nothing was written yet",
            Phase::Written => {
                "run the same `bosc multisig commit` again: the release is written, other seeders have to take it"
            }
            Phase::Committed => "nothing: it is done",
        };
        Ok(CommitState {
            key: r.key.clone(),
            link: PearLink::new(key).to_string(),
            verlink: PearLink::verlink(key, 0, r.length).to_string(),
            source: r.source.clone(),
            phase: r.phase,
            first_commit: r.first_commit,
            signatures: r.responses.len(),
            began: r.began,
            updated: r.updated,
            request: r.request.clone(),
            db: HeldCore { length: r.length, here, held },
            blobs: HeldCore {
                length: r.blobs_length,
                here: blobs.as_ref().map_or(0, Core::length),
                held: blobs.as_ref().map_or(0, Core::contiguous_length),
            },
            next: next.to_owned(),
        })
    }

    fn multisig_records(&self) -> Result<Records, CommandError> {
        let committed = self.journal()?.records.into_iter().filter(|r| r.committed().is_some());
        Ok(Records { records: committed.map(|r| RecordKey { key: r.key }).collect() })
    }
}
