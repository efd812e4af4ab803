//! What a signer is shown: which files a request is about, as far as this machine can prove it.
//!
//! A request names hashes, not a source. Its content is known when some core of this store (or of the link given with
//! `--source`) has exactly that tree hash at that length; then everything told of it is proved by the hash that is
//! signed. Production is known from this store and from peers. Since production is the beginning of every source that
//! can be committed, the difference is read from the source alone.
//!
//! Nothing here needs the network, and nothing fails for want of it: what is not known is said to be so. What is known
//! and wrong (the source is something else, production is not its beginning) is an error: such a request is not signed.

use super::TargetCores;
use super::peers::{STALL, Side, known_hash, known_head};
use super::target::{Standing, Wanted, standing, standing_alone};
use super::version::check_version;
use crate::command::{Outcome, Sink, Stop};
use crate::diff::{ByteDiff, DiffCount};
use crate::engine::drive::{CoreSource, DriveCores, parse_link};
use crate::engine::wait::fetching;
use crate::engine::{Engine, store_error};
use crate::error::{CommandError, ErrorKind};
use crate::multisig::{Inspect, errors, text};
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::Request;
use bosc_node::LiveCore;
use bosc_store::Core;
use serde_json::{Value, json};
use std::time::Duration;

/// Largest package.json that is read.
const PACKAGE_MAX: usize = 1 << 20;

/// A source whose content is the request's.
struct Content {
    drive: DriveCores,
    db: Option<LiveCore>,
    blobs: Option<(Core, Option<LiveCore>)>,
    /// Peers are asked as long as this lives.
    _side: Option<Side>,
}

/// What is known of production.
struct Production {
    known: bool,
    from: &'static str,
    length: u64,
    hash: [u8; 32],
}

impl Engine {
    pub(super) fn multisig_inspect(&self, r: &Inspect, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let (request, _) = text::request(&r.request)?;
        if request.fork > 0 {
            return Err(errors::bad_request(
                "it is for a drive that was truncated before, and could never be committed",
            ));
        }
        let cores = self.target_cores(&request.manifest)?;
        let wait = Duration::from_millis(r.wait_ms);
        let (production, _target) = self.production(&cores, wait, stop)?;
        let content = self.content(&request, r.source.as_deref(), wait, stop)?;
        let mut notes: Vec<String> = Vec::new();
        if !production.known {
            notes.push(
                "The current production is not known: it is not in this store and no peer told of it. \
                 What this release changes cannot be shown."
                    .into(),
            );
        }
        if content.is_none() {
            notes.push(
                "The files of this request are not known on this machine: a request carries hashes only. \
                 Give the source drive with --source <link> to see them before you sign."
                    .into(),
            );
        }
        let wanted = Wanted { name: "db", length: request.length, hash: request.tree_hash };
        let mut compatible = Value::Null;
        let mut released = false;
        if production.known && production.length > 0 {
            let standing = match &content {
                Some(c)
                    if known_head(&c.drive.db, production.length).is_some()
                        || production.length > request.length =>
                {
                    Some(standing(&cores.db, &c.drive.db, wanted)?)
                }
                _ => standing_alone(&cores.db, wanted)?,
            };
            released = standing == Some(Standing::Done);
            compatible = standing.map_or(Value::Null, |_| Value::Bool(true));
        }
        if released {
            notes.push("This release is in production already; signing it again changes nothing.".into());
        }
        let mut told = json!({});
        if let Some(content) = &content {
            told = self.tell_content(content, &request, &production, &mut notes, sink, stop)?;
        }
        let _ = self.store.flush();
        let blobs =
            request.content.map(|c| json!({ "length": c.length, "treeHash": id::encode(&c.tree_hash) }));
        let signers: Vec<String> =
            request.manifest.signers.iter().map(|s| id::encode(&s.public_key)).collect();
        Ok(json!({
            "key": id::encode(&request.key()),
            "link": PearLink::new(request.key()).to_string(),
            "verlink": PearLink::verlink(request.key(), request.fork, request.length).to_string(),
            "length": request.length,
            "fork": request.fork,
            "treeHash": id::encode(&request.tree_hash),
            "blobs": blobs,
            "quorum": request.manifest.quorum,
            "signers": signers,
            "source": content.as_ref().map(|c| PearLink::verlink(*c.drive.key(), 0, request.length).to_string()),
            "production": {
                "known": production.known,
                "from": production.from,
                "length": production.length,
                "treeHash": id::encode(&production.hash),
            },
            "compatible": compatible,
            "released": released,
            "content": told,
            "notes": notes,
        }))
    }

    /// Production as this store has it, brought up to date when peers may be asked.
    fn production(
        &self,
        cores: &TargetCores,
        wait: Duration,
        stop: &Stop,
    ) -> Result<(Production, Option<Side>), CommandError> {
        let mut from = if cores.db.length() > 0 { "store" } else { "unknown" };
        let mut known = cores.db.length() > 0;
        let mut side = None;
        // Without a network there is nothing to learn, which is no reason to fail.
        if !wait.is_zero()
            && let Ok(s) = Side::open(self, &cores.db, Some(&cores.blobs), false)
        {
            if s.until_learned(&s.db, wait, stop)? {
                (known, from) = (true, "peers");
            }
            side = Some(s);
        }
        if self.journal()?.get(cores.db.key()).is_some_and(|r| r.committed().is_some()) && !known {
            (known, from) = (true, "store");
        }
        let head = cores.db.head();
        Ok((Production { known, from, length: head.length, hash: head.tree_hash() }, side))
    }

    /// The source whose content is the request's.
    fn content(
        &self,
        request: &Request,
        source: Option<&str>,
        wait: Duration,
        stop: &Stop,
    ) -> Result<Option<Content>, CommandError> {
        if let Some(text) = source {
            return self.named_content(request, text, wait, stop);
        }
        for info in self.store.cores().map_err(store_error)? {
            if info.length < request.length {
                continue;
            }
            let core = self.store.open_core(&info.key).map_err(store_error)?;
            if known_hash(&core, request.length) == Some(request.tree_hash) {
                let drive = DriveCores { db: core };
                let blobs = drive.blobs(self)?.map(|b| (b, None));
                let content = Content { drive, db: None, blobs, _side: None };
                check_content(&content, request, stop)?;
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    fn named_content(
        &self,
        request: &Request,
        text: &str,
        wait: Duration,
        stop: &Stop,
    ) -> Result<Option<Content>, CommandError> {
        let drive = self.open_drive(&parse_link(text)?)?;
        let side = if wait.is_zero() { None } else { Side::open(self, &drive.db, None, false).ok() };
        let Some(mut side) = side else {
            let blobs = drive.blobs(self)?.map(|b| (b, None));
            let known = known_hash(&drive.db, request.length);
            if known.is_some_and(|h| h != request.tree_hash) {
                return Err(errors::source_mismatch("db", request.length));
            }
            let content = Content { drive, db: None, blobs, _side: None };
            check_content(&content, request, stop)?;
            return Ok(known.map(|_| content));
        };
        if !side.until_length(&side.db, request.length, wait, stop)? {
            let have = drive.db.length();
            // A source that is known and too short is not the request's, as far as anyone can tell.
            return if have == 0 {
                Ok(None)
            } else {
                Err(errors::source_too_small("db", have, request.length))
            };
        }
        side.wait(wait, stop, || Ok(side.db.status().has_manifest.then_some(())))?;
        if side.head_at(&side.db, request.length, stop)?.tree_hash() != request.tree_hash {
            return Err(errors::source_mismatch("db", request.length));
        }
        // All of it: which files there are, and whether production is its beginning, is read from it.
        side.fetch(("db", &side.db), 0, request.length, &mut |_: &str, _: Value| {}, stop)?;
        side.find_blobs(self, &drive)?;
        if let (Some(live), Some(c)) = (&side.blobs, request.content) {
            side.until_length(live, c.length, wait, stop)?;
        }
        let blobs = side.blobs.clone().map(|live| (live.core().clone(), Some(live)));
        let content = Content { drive, db: Some(side.db.clone()), blobs, _side: Some(side) };
        check_content(&content, request, stop)?;
        Ok(Some(content))
    }

    /// Tells which files differ, and the versions.
    fn tell_content(
        &self,
        content: &Content,
        request: &Request,
        production: &Production,
        notes: &mut Vec<String>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Value, CommandError> {
        let db = content.db.as_ref();
        let source = CoreSource::cut(&content.drive.db, request.length);
        let now = Drive::checkout(source.clone(), request.length);
        let missing = |e: &CommandError| e.code() == "ERR_NOT_FOUND" && db.is_none();
        match fetching(db, STALL, stop, || check_version(source.clone(), request.length)) {
            Err(e) if missing(&e) => {
                notes.push("Only a part of the source is in this store: the files cannot be shown.".into());
                return Ok(json!({}));
            }
            other => other?,
        }
        let mut count = DiffCount::default();
        if production.known {
            // The source begins with production, so its own past is production's present.
            let base = production.length.min(request.length).max(1);
            let changes = fetching(db, STALL, stop, || now.diff(base, "/")?.collect::<Result<Vec<_>, _>>());
            match changes {
                Ok(changes) => {
                    for change in changes {
                        let diff = byte_diff(change.new.as_ref(), change.old.as_ref());
                        count.count(&diff);
                        sink.event("byte-diff", serde_json::to_value(&diff).unwrap_or(Value::Null));
                    }
                }
                Err(e) if missing(&e) => {
                    notes.push(
                        "Only a part of the source is in this store: the difference cannot be shown.".into(),
                    );
                }
                Err(e) => return Err(e),
            }
        } else {
            for entry in fetching(db, STALL, stop, || now.list("/")?.collect::<Result<Vec<_>, _>>())? {
                count.files += 1;
                sink.event("file", json!({ "key": entry.key, "size": size(&entry) }));
            }
        }
        let package = self.package_of(content, request.length, stop);
        let before = if production.known && production.length > 1 {
            self.package_of(content, production.length, stop)
        } else {
            Value::Null
        };
        if package.is_null() {
            notes.push("The release's package.json is not on this machine: its version is not known.".into());
        }
        let field = |v: &Value, name: &str| v.get(name).cloned().unwrap_or(Value::Null);
        Ok(json!({
            "name": field(&package, "name"),
            "version": field(&package, "version"),
            "upgrade": field(&package, "upgrade"),
            "productionVersion": field(&before, "version"),
            "add": count.add,
            "change": count.change,
            "remove": count.remove,
            "files": count.files,
        }))
    }

    /// package.json at a length, null when it cannot be had or is none.
    fn package_of(&self, content: &Content, length: u64, stop: &Stop) -> Value {
        let read = || -> Result<Value, CommandError> {
            let source = CoreSource::cut(&content.drive.db, length);
            let drive = Drive::checkout(source, length);
            let entry = fetching(content.db.as_ref(), STALL, stop, || drive.entry_follow("/package.json"))?;
            let (Some(blob), Some((core, live))) = (entry.and_then(|e| e.value.blob), &content.blobs) else {
                return Ok(Value::Null);
            };
            let mut reader = BlobReader::new(CoreSource::new(core), blob);
            let mut bytes = Vec::new();
            while let Some(part) = fetching(live.as_ref(), STALL, stop, || reader.next().transpose())? {
                bytes.extend_from_slice(&part);
                if bytes.len() > PACKAGE_MAX {
                    return Ok(Value::Null);
                }
            }
            Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        };
        read().unwrap_or(Value::Null)
    }
}

/// The blobs core must be the request's too: a db alone says only where content would lie.
fn check_content(content: &Content, request: &Request, stop: &Stop) -> Result<(), CommandError> {
    let (Some(asked), Some((core, live))) = (request.content, &content.blobs) else { return Ok(()) };
    let known = match (known_hash(core, asked.length), &content._side, live) {
        (Some(hash), _, _) => Some(hash),
        (None, Some(side), Some(live)) if core.length() >= asked.length => {
            Some(side.head_at(live, asked.length, stop)?.tree_hash())
        }
        _ => None,
    };
    match known {
        Some(hash) if hash == asked.tree_hash => Ok(()),
        Some(_) => Err(errors::source_mismatch("blobs", asked.length)),
        None => Err(CommandError::new(
            ErrorKind::NotFound,
            "SOURCE_CORE_TOO_SMALL",
            format!(
                "whether the source's blobs core at length {} is the request's cannot be told here",
                asked.length
            ),
        )
        .hint("name the source with --source <link> and let peers be asked (--wait SECONDS)")),
    }
}

fn size(entry: &DriveEntry) -> u64 {
    entry.value.blob.map_or(0, |b| b.byte_length)
}

fn byte_diff(new: Option<&DriveEntry>, old: Option<&DriveEntry>) -> ByteDiff {
    match (new, old) {
        (Some(n), None) => ByteDiff::add(n.key.clone(), size(n)),
        (Some(n), Some(o)) => ByteDiff::change(n.key.clone(), size(o), size(n)),
        (None, Some(o)) => ByteDiff::remove(o.key.clone(), size(o)),
        (None, None) => ByteDiff::change(String::new(), 0, 0),
    }
}
