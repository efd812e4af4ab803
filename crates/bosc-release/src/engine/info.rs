//! `info`: what a link holds.

use super::drive::{CoreSource, DriveCores, parse_link};
use super::topics::Topic;
use super::wait::{Update, fetching, timed_out, update};
use super::{Engine, store_error};
use crate::command::{Info, Outcome, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use bosc_drive::blobs::{BlobId, BlobReader};
use bosc_drive::drive::Drive;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{LiveCore, Node};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Largest package.json that is read.
pub(super) const PACKAGE_MAX: usize = 1 << 20;

/// A drive that was brought up to date as far as peers allowed.
pub(super) struct Opened {
    pub(super) drive: DriveCores,
    pub(super) db: Option<LiveCore>,
    pub(super) blobs: Option<LiveCore>,
    pub(super) node: Option<Arc<Node>>,
    /// Held as long as the drive is read.
    pub(super) _joined: Option<Topic>,
}

impl Engine {
    /// Opens a link's drive and learns its newest version: from this store alone when it is the writer, else
    /// from peers. Fails when nothing is known in the end, or not the version the link names.
    pub(super) fn open_fresh(
        &self,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Opened, CommandError> {
        let drive = self.open_drive(link)?;
        let at_least = link.version.map_or(0, |v| v.length);
        if drive.db.writable() && !self.is_shared(&drive)? {
            let head = drive.db.head();
            if head.length < at_least {
                return Err(no_such_version(at_least, head.length));
            }
            check_version(link, &drive)?;
            return Ok(Opened { drive, db: None, blobs: None, node: None, _joined: None });
        }
        let node = self.node()?;
        let db = node.attach(&drive.db);
        let topic = *drive.db.discovery_key();
        let joined = Some(self.join_topic(&node, topic, false));
        let mut opened =
            Opened { drive, db: Some(db), blobs: None, node: Some(Arc::clone(&node)), _joined: joined };
        let db = opened.db.clone();
        if let Some(db) = &db {
            let known = db.status().length >= at_least.max(1) && db.status().has_manifest;
            // What is already here answers soon when nobody else is around.
            let patience = if known { timeout.min(Duration::from_secs(5)) } else { timeout };
            let outcome = update(&node, db, at_least, patience, stop)?;
            let s = db.status();
            if outcome == Update::Nobody && (s.length == 0 || !s.has_manifest || s.length < at_least) {
                if s.length > 0 && s.length < at_least && !s.peers.is_empty() {
                    return Err(no_such_version(at_least, s.length));
                }
                return Err(timed_out(&s));
            }
        }
        check_version(link, &opened.drive)?;
        if let Some(core) = opened.drive.blobs(self)? {
            opened.blobs = Some(node.attach(&core));
        }
        Ok(opened)
    }

    pub(super) fn info(&self, request: &Info, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        sink.event("retrieving", json!({ "z32": id::encode(&link.key), "onlyShowKey": request.key }));
        let opened = self.open_fresh(&link, timeout, stop)?;
        let drive = &opened.drive;
        let length = link.version.map_or(drive.db.head().length, |v| v.length);
        let blobs = drive.blobs(self)?;
        let only = request.key || request.metadata || request.manifest || request.multisig;
        if request.key || !only {
            sink.event(
                "keys",
                json!({
                    "project": id::encode(drive.key()),
                    "content": blobs.as_ref().map(|b| id::encode(b.key())),
                    "discovery": id::encode(drive.db.discovery_key()),
                }),
            );
        }
        if length == 0 {
            sink.event("empty", Value::Null);
            return Ok(json!({}));
        }
        if request.multisig || !only {
            self.signers(drive, request.multisig, sink)?;
        }
        if request.manifest || request.metadata || !only {
            let package = self.package_json(&opened, length, timeout, stop)?;
            if request.manifest {
                sink.event("manifest", json!({ "manifest": package }));
                return Ok(json!({}));
            }
            if let (Some(node), Some(live)) = (&opened.node, &opened.blobs) {
                // The blobs' head is news of its own; what is asked for does not depend on it.
                let _ = update(node, live, 0, timeout.min(Duration::from_secs(3)), stop)?;
            }
            let field = |k: &str| package.as_ref().and_then(|p| p.get(k)).cloned().unwrap_or(Value::Null);
            let head = drive.db.head();
            sink.event(
                "info",
                json!({
                    "link": drive.plain_link(),
                    "verlink": drive.verlink(),
                    "hashlink": drive.hashlink(),
                    "name": field("name"),
                    "version": field("version"),
                    "productName": field("productName"),
                    "upgrade": field("upgrade"),
                    "length": head.length,
                    "byteLength": head.byte_length,
                    "fork": head.fork,
                    "writable": drive.db.writable(),
                    "blobs": drive.blobs_json(blobs.as_ref()),
                }),
            );
        }
        Ok(json!({}))
    }

    fn signers(&self, drive: &DriveCores, asked: bool, sink: &mut dyn Sink) -> Result<(), CommandError> {
        match drive.db.manifest().filter(|m| m.signers.len() > 1) {
            Some(m) => {
                let keys: Vec<String> = m.signers.iter().map(|s| id::encode(&s.public_key)).collect();
                sink.event("multisig", json!({ "quorum": m.quorum, "publicKeys": keys, "only": asked }));
                Ok(())
            }
            None if asked => Err(CommandError::input("Link has no multisig signers")
                .hint("the link has one signer; leave --multisig out")),
            None => Ok(()),
        }
    }

    /// The drive's package.json at a length, `None` when it has none.
    pub(super) fn package_json(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Value>, CommandError> {
        let entry = fetching(opened.db.as_ref(), timeout, stop, || {
            Drive::checkout(CoreSource::new(&opened.drive.db), length).entry_follow("/package.json")
        })?;
        let Some(blob) = entry.and_then(|e| e.value.blob) else { return Ok(None) };
        let Some(bytes) = self.read_file(opened, blob, PACKAGE_MAX, timeout, stop)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| invalid_manifest("its package.json is not JSON").because(e))
    }

    /// A file of the drive, at most `max` bytes. `None` while the drive's manifest is not known.
    pub(super) fn read_file(
        &self,
        opened: &Opened,
        blob: BlobId,
        max: usize,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(core) = opened.drive.blobs(self)? else { return Ok(None) };
        let end = blob.block_offset.saturating_add(blob.block_length);
        if let (Some(node), Some(live)) = (&opened.node, &opened.blobs)
            && live.status().length < end
            && update(node, live, end, timeout, stop)? == Update::Nobody
        {
            return Err(timed_out(&live.status()));
        }
        let mut reader = BlobReader::new(CoreSource::new(&core), blob);
        let mut bytes = Vec::new();
        while let Some(part) = fetching(opened.blobs.as_ref(), timeout, stop, || reader.next().transpose())? {
            if bytes.len() + part.len() > max {
                return Err(invalid_manifest("a file that should be small text is over 1 MiB"));
            }
            bytes.extend_from_slice(&part);
        }
        self.store.flush().map_err(store_error)?;
        Ok(Some(bytes))
    }
}

pub(super) fn invalid_manifest(why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_INVALID_MANIFEST",
        format!("the drive is not an application: {why}"),
    )
    .hint("ask whoever staged it to stage a folder with a valid package.json")
}

pub(super) fn no_such_version(asked: u64, have: u64) -> CommandError {
    CommandError::not_found(format!("the drive has no version {asked} (it has {have})"))
        .hint("check the number in the link; leave it out for the newest version")
}

/// A versioned link names a fork, and perhaps a tree hash: both must be the drive's.
pub(super) fn check_version(link: &PearLink, drive: &DriveCores) -> Result<(), CommandError> {
    let (Some(version), head) = (link.version, drive.db.head()) else { return Ok(()) };
    if head.length > 0 && version.fork != head.fork {
        return Err(CommandError::not_found(format!(
            "the link names fork {} and the drive is at fork {}",
            version.fork, head.fork
        ))
        .hint("the drive was cut back since; use a new link from who staged it"));
    }
    if let Some(hash) = link.hash {
        // A node that is not here yet makes it unknown; then the proof of each block still has to hold.
        if drive.db.head_at(version.length).is_ok_and(|there| there.tree_hash() != hash) {
            return Err(CommandError::new(
                ErrorKind::Integrity,
                "ERR_HASH_MISMATCH",
                "the drive's content at this version is not what the link names",
            ));
        }
    }
    Ok(())
}
