//! `multisig` on an open store: requests, what a signer is shown, commits and their journal.
//!
//! * `peers`: a drive's two cores on the network, and bounded waits for lengths, copies and blocks.
//! * `request`, `inspect`: reading a source. `commit`: the state machine. `target`: what production is, seen from a
//!   source. `write`: the one transaction that extends production.

mod commit;
mod gaps;
mod inspect;
mod peers;
mod request;
mod target;
mod version;
mod write;

use super::Engine;
use super::drive::parse_link;
use super::store_error;
use crate::command::{Outcome, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::multisig::Work;
use crate::multisig::record::{Journal, Phase, ROW, Record};
use bosc_format::crypto::{CoreKey, Hash};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::manifest::Manifest;
use bosc_store::{Core, CreateOptions};
use serde_json::{Value, json};

/// The two cores of a drive that a quorum signs.
#[derive(Debug, Clone)]
pub(super) struct TargetCores {
    pub(super) manifest: Manifest,
    pub(super) blobs_manifest: Manifest,
    pub(super) db: Core,
    pub(super) blobs: Core,
}

impl Engine {
    pub(super) fn multisig(&self, work: &Work, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        match work {
            Work::Request(r) => self.multisig_request(r, sink, stop),
            Work::Inspect(r) => self.multisig_inspect(r, sink, stop),
            Work::Commit(r) => self.multisig_commit(r, sink, stop),
            Work::Status { link } => self.multisig_status(link.as_deref(), sink),
            Work::Records => self.multisig_records(),
        }
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
    pub(super) fn journal(&self) -> Result<Journal, CommandError> {
        let row = self.store.user_data(ROW).map_err(store_error)?;
        Journal::decode(row.as_deref()).map_err(|e| {
            CommandError::new(ErrorKind::Store, "ERR_STORE", "the journal of commits cannot be read")
                .because(e)
                .hint("it was written by a newer version of Bosc, or the store is damaged: update, or use another store")
        })
    }

    /// Puts a record down, durably, apart from any cores.
    pub(super) fn note(&self, record: Record) -> Result<(), CommandError> {
        let row = self.journal_row(record)?;
        self.store.set_user_data(ROW, Some(&row)).map_err(store_error)
    }

    /// The journal's row with `record` in it. Call with `committing` held.
    pub(super) fn journal_row(&self, record: Record) -> Result<Vec<u8>, CommandError> {
        let mut journal = self.journal()?;
        journal.put(record);
        journal.encode().map_err(|e| CommandError::failed("the journal cannot be written").because(e))
    }

    fn multisig_status(&self, link: Option<&str>, sink: &mut dyn Sink) -> Outcome {
        let only = link.map(parse_link).transpose()?.map(|l| id::encode(&l.key));
        let mut shown = 0u64;
        for r in self.journal()?.records {
            if only.as_ref().is_some_and(|k| *k != r.key) {
                continue;
            }
            shown += 1;
            sink.event("commit", self.status_of(&r)?);
        }
        if shown == 0 && only.is_some() {
            return Err(CommandError::not_found("no commit of this link was made from this store")
                .hint("look on the machine that ran `bosc multisig commit`; `bosc info <link>` shows what peers have"));
        }
        Ok(json!({ "count": shown }))
    }

    fn status_of(&self, r: &Record) -> Result<Value, CommandError> {
        let broken = |_| {
            CommandError::new(
                ErrorKind::Store,
                "ERR_STORE",
                "the journal of commits names a key that is none",
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
        Ok(json!({
            "key": r.key,
            "link": PearLink::new(key).to_string(),
            "verlink": PearLink::verlink(key, 0, r.length).to_string(),
            "source": r.source,
            "phase": r.phase,
            "firstCommit": r.first_commit,
            "signatures": r.responses.len(),
            "began": r.began,
            "updated": r.updated,
            "request": r.request,
            "db": { "length": r.length, "here": here, "held": held },
            "blobs": {
                "length": r.blobs_length,
                "here": blobs.as_ref().map_or(0, Core::length),
                "held": blobs.as_ref().map_or(0, Core::contiguous_length),
            },
            "next": next,
        }))
    }

    fn multisig_records(&self) -> Outcome {
        let records: Vec<Value> = self
            .journal()?
            .records
            .iter()
            .filter(|r| r.committed().is_some())
            .map(|r| json!({ "key": r.key }))
            .collect();
        Ok(json!({ "records": records }))
    }
}

/// A core's length and tree hash, as `hyper-multisig` tells them.
pub(super) fn core_json(key: &CoreKey, length: u64, hash: &Hash) -> Value {
    json!({
        "key": id::encode(key),
        "keyHex": hex(key),
        "length": length,
        "treeHash": id::encode(hash),
        "treeHashHex": hex(hash),
    })
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
