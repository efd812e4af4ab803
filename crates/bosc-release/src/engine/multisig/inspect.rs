//! What a signer is shown: which files a request is about, as far as this machine can prove it.
//!
//! A request names hashes, not a source. Its content is known when both cores of some drive in this store (or of the
//! link given with `--source`) have exactly these tree hashes at these lengths; then everything told of it is proved by
//! what is signed. The db alone does not tell: it holds names, sizes and places, so two releases whose files differ but
//! have the same sizes have the same db. Of the drives in the store, such a one is passed over, and told. Production is known from this store and from peers. Since production is the beginning of every source that
//! can be committed, the difference is read from the source alone.
//!
//! Nothing here needs the network, and nothing fails for want of it: what is not known is said to be so. What is known
//! and wrong (the named source is something else, production is not the beginning) is an error: such a request is not
//! signed.

use super::TargetCores;
use super::peers::{STALL, Side, known_hash, known_head};
use super::target::{Standing, Wanted, standing, standing_alone};
use super::version::check_version;
use crate::command::{Outcome, Sink, Stop};
use crate::diff::{ByteDiff, DiffCount};
use crate::engine::drive::{CoreSource, DriveCores, parse_link};
use crate::engine::info::PACKAGE_MAX;
use crate::engine::wait::fetching;
use crate::engine::{Engine, store_error};
use crate::error::{CommandError, ErrorKind};
use crate::multisig::{Inspect, errors, text};
use bosc_drive::blobs::{BlobReader, content_length};
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::Request;
use bosc_node::LiveCore;
use bosc_store::Core;
use serde_json::{Value, json};
use std::time::Duration;

/// Files whose sizes are asked for at a time.
const AHEAD: usize = 256;

/// A source whose content is the request's.
struct Content {
    drive: DriveCores,
    db: Option<LiveCore>,
    blobs: Option<(Core, Option<LiveCore>)>,
    /// Peers are asked as long as this lives.
    _side: Option<Side>,
}

/// What the search of the store found.
struct Found {
    content: Option<Content>,
    /// A drive with the request's db over other contents.
    alike: Option<String>,
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
        let Found { content, alike } = match r.source.as_deref() {
            Some(link) => Found { content: self.named_content(&request, link, wait, stop)?, alike: None },
            None => self.stored_content(&request, stop)?,
        };
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
        if let (None, Some(alike)) = (&content, alike) {
            notes.push(format!(
                "{alike} in this store has the same file names and sizes, but the contents differ: it is another release."
            ));
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
            let blobs = match request.content {
                Some(c) if cores.blobs.length() > 0 => standing_alone(
                    &cores.blobs,
                    Wanted { name: "blobs", length: c.length, hash: c.tree_hash },
                )?,
                Some(c) => (c.length == 0).then_some(Standing::Done),
                None => Some(Standing::Done),
            };
            released = (standing, blobs) == (Some(Standing::Done), Some(Standing::Done));
            // The same db over other contents would be another release: only the blobs tell.
            let known = standing.is_some_and(|s| s != Standing::Done || released);
            compatible = if known { Value::Bool(true) } else { Value::Null };
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
            } else if !known && s.db.status().peers.iter().any(|p| p.synced) {
                // A first release, or whoever has one is away: shown as the first one, and said to be unproved.
                (known, from) = (true, "empty-peers");
            }
            side = Some(s);
        }
        if self.journal()?.get(cores.db.key()).is_some_and(|r| r.committed().is_some()) && !known {
            (known, from) = (true, "store");
        }
        let head = cores.db.head();
        Ok((Production { known, from, length: head.length, hash: head.tree_hash() }, side))
    }

    /// The drive of this store whose content is the request's.
    fn stored_content(&self, request: &Request, stop: &Stop) -> Result<Found, CommandError> {
        let mut found = Found { content: None, alike: None };
        for info in self.store.cores().map_err(store_error)? {
            if info.length < request.length {
                continue;
            }
            let core = self.store.open_core(&info.key).map_err(store_error)?;
            if known_hash(&core, request.length) != Some(request.tree_hash) {
                continue;
            }
            let drive = DriveCores { db: core };
            let blobs = drive.blobs(self)?.map(|b| (b, None));
            let content = Content { drive, db: None, blobs, _side: None };
            match is_content(&content, request, stop)? {
                Some(true) => return Ok(Found { content: Some(content), alike: None }),
                Some(false) => found.alike = Some(content.drive.plain_link()),
                None => {}
            }
        }
        Ok(found)
    }

    /// The drive of a link, when its content is the request's. Another content is an error.
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
            let Some(known) = known_hash(&drive.db, request.length) else { return Ok(None) };
            if known != request.tree_hash {
                return Err(errors::source_mismatch("db", request.length));
            }
            let content = Content { drive, db: None, blobs, _side: None };
            check_content(&content, request, stop)?;
            return Ok(Some(content));
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
        let mut sizes = Sizes { blobs: content.blobs.as_ref(), missing: false };
        if production.known {
            // The source begins with production, so its own past is production's present.
            let base = production.length.min(request.length).max(1);
            let changes = fetching(db, STALL, stop, || now.diff(base, "/")?.collect::<Result<Vec<_>, _>>());
            match changes {
                Ok(changes) => {
                    for some in changes.chunks(AHEAD) {
                        sizes.ask(some.iter().flat_map(|c| [c.new.as_ref(), c.old.as_ref()]).flatten());
                        for change in some {
                            let (new, old) = (change.new.as_ref(), change.old.as_ref());
                            let diff = byte_diff(new, old, |e| sizes.of(e, stop))?;
                            count.count(&diff);
                            sink.event("byte-diff", serde_json::to_value(&diff).unwrap_or(Value::Null));
                        }
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
            let entries = fetching(db, STALL, stop, || now.list("/")?.collect::<Result<Vec<_>, _>>())?;
            for some in entries.chunks(AHEAD) {
                sizes.ask(some.iter());
                for entry in some {
                    count.files += 1;
                    sink.event("file", json!({ "key": entry.key, "size": sizes.of(entry, stop)? }));
                }
            }
        }
        if sizes.missing {
            notes.push("The sizes of some files are not known on this machine: they are shown as 0.".into());
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

/// Whether the blobs core is the request's too: a db alone says only where content would lie. `None`: cannot be told.
fn is_content(content: &Content, request: &Request, stop: &Stop) -> Result<Option<bool>, CommandError> {
    let Some(asked) = request.content else { return Ok(Some(true)) };
    if asked.length == 0 {
        return Ok(Some(true));
    }
    let Some((core, live)) = &content.blobs else { return Ok(None) };
    let known = match (known_hash(core, asked.length), &content._side, live) {
        (Some(hash), _, _) => Some(hash),
        (None, Some(side), Some(live)) if core.length() >= asked.length => {
            Some(side.head_at(live, asked.length, stop)?.tree_hash())
        }
        _ => None,
    };
    Ok(known.map(|hash| hash == asked.tree_hash))
}

/// As [`is_content`]; all but yes is an error, for a source that was named.
fn check_content(content: &Content, request: &Request, stop: &Stop) -> Result<(), CommandError> {
    let length = request.content.map_or(0, |c| c.length);
    match is_content(content, request, stop)? {
        Some(true) => Ok(()),
        Some(false) => Err(errors::source_mismatch("blobs", length)),
        None => Err(CommandError::new(
            ErrorKind::NotFound,
            "SOURCE_CORE_TOO_SMALL",
            format!(
                "whether the source's blobs core at length {length} is the request's cannot be told here"
            ),
        )
        .hint("let peers be asked, with a seeder of the source online (--wait SECONDS, and no --offline)")),
    }
}

/// Sizes of files, as they are when they are read. Of a file with a block map only the map knows.
struct Sizes<'a> {
    blobs: Option<&'a (Core, Option<LiveCore>)>,
    /// A map could not be had. Nobody is waited for again.
    missing: bool,
}

impl Sizes<'_> {
    /// Asks peers for the maps of these files.
    fn ask<'e>(&self, entries: impl Iterator<Item = &'e DriveEntry>) {
        if let Some((_, Some(live))) = self.blobs
            && !self.missing
        {
            let maps = entries.filter_map(|e| e.value.blob).filter(|b| b.block_map);
            let first = maps.map(|b| b.block_offset).filter(|at| *at < live.status().length);
            live.want(first.collect());
        }
    }

    fn of(&mut self, entry: &DriveEntry, stop: &Stop) -> Result<u64, CommandError> {
        let Some(blob) = entry.value.blob else { return Ok(0) };
        if !blob.block_map {
            return Ok(blob.byte_length);
        }
        let Some((core, live)) = self.blobs else {
            self.missing = true;
            return Ok(0);
        };
        let live = live.as_ref().filter(|_| !self.missing);
        match fetching(live, STALL, stop, || content_length(&CoreSource::new(core), &blob)) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Network) => {
                self.missing = true;
                Ok(0)
            }
            other => other,
        }
    }
}

fn byte_diff(
    new: Option<&DriveEntry>,
    old: Option<&DriveEntry>,
    mut size: impl FnMut(&DriveEntry) -> Result<u64, CommandError>,
) -> Result<ByteDiff, CommandError> {
    Ok(match (new, old) {
        (Some(n), None) => ByteDiff::add(n.key.clone(), size(n)?),
        (Some(n), Some(o)) => ByteDiff::change(n.key.clone(), size(o)?, size(n)?),
        (None, Some(o)) => ByteDiff::remove(o.key.clone(), size(o)?),
        (None, None) => ByteDiff::change(String::new(), 0, 0),
    })
}
