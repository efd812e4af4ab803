//! What a signer is shown: which files a request is about, as far as this machine can prove it.
//!
//! A request names hashes, not a source. Its content is known when both cores of some drive in this store (or of the
//! link given with `--source`) have exactly these tree hashes at these lengths; then everything told of it is proved by
//! what is signed. The db alone does not tell: it holds names, sizes and places, so two releases whose files differ but
//! have the same sizes have the same db. Of the drives in the store, such a one is passed over, and told. Production is known from this store and from peers. Since production is the beginning of every source that
//! can be committed, the difference is read from the source alone.
//!
//! Nothing here needs the network, and nothing fails for want of it: what is not known is said to be so, and `inspected`
//! is false unless all of it was seen: every file with its size, and package.json. Whoever signs decides by that. What is
//! known and wrong (the named source is something else, production is not the beginning) is an error: such a request is
//! not signed.

use super::TargetCores;
use super::content::{Content, PackageFound};
use super::peers::{AskedDrive, STALL, known_hash, known_head};
use super::target::{TargetStanding, Wanted, standing, standing_alone};
use super::version::check_version;
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, parse_link};
use crate::engine::errors::store_error;
use crate::engine::follow::reading;
use crate::error::{CommandError, ErrorKind};
use crate::event::Event;
use crate::folder::diff::{ByteDiff, DiffCount};
use crate::multisig::errors;
use crate::multisig::event::{
    Inspected, Known, MultisigEvent, Production, ReleaseContent, RequestSays, Seen, ToldBy,
};
use crate::multisig::{Inspect, text};
use crate::update_costs::CostsOf;
use bosc_drive::blobs::content_length;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_follow::{CoreName, Fetch, FollowedCore};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::merkle::Appender;
use bosc_format::signing::{Request, request_hash};
use bosc_store::Core;
use serde_json::Value;
use std::time::Duration;

/// Files whose sizes are asked for at a time.
const AHEAD: usize = 256;

/// What the search of the store found.
struct ContentFound {
    content: Option<Content>,
    /// A drive with the request's db over other contents.
    alike: Option<String>,
}

/// What is known of production.
struct Told {
    known: bool,
    from: ToldBy,
    length: u64,
    hash: [u8; 32],
}

impl Engine {
    pub(super) fn multisig_inspect(
        &self,
        r: &Inspect,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Inspected, CommandError> {
        let (request, bytes) = text::request(&r.request)?;
        let cores = self.target_cores(&request.manifest)?;
        let wait = Duration::from_millis(r.wait_ms);
        let (production, _target) = self.production(&cores, wait, stop)?;
        let ContentFound { content, alike } = match r.source.as_deref() {
            Some(link) => {
                ContentFound { content: self.named_content(&request, link, wait, stop)?, alike: None }
            }
            None => self.stored_content(&request, stop)?,
        };
        let mut notes: Vec<String> = Vec::new();
        if !production.known {
            notes.push(
                "The current production is not known: it is not in this store and no peer reported it. \
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
        let wanted = Wanted { name: CoreName::Db, length: request.length, hash: request.tree_hash };
        let mut compatible = None;
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
                    Wanted { name: CoreName::Blobs, length: c.length, hash: c.tree_hash },
                )?,
                Some(c) => (c.length == 0).then_some(TargetStanding::Done),
                None => Some(TargetStanding::Done),
            };
            released = (standing, blobs) == (Some(TargetStanding::Done), Some(TargetStanding::Done));
            // The same db over other contents would be another release: only the blobs tell.
            let known = standing.is_some_and(|s| s != TargetStanding::Done || released);
            compatible = known.then_some(true);
        }
        if released {
            notes.push("This release is in production already; signing it again changes nothing.".into());
        }
        let settled = if compatible == Some(true) { production.length } else { 0 };
        // The source's own past is production's present only when that was proved.
        let apart = production.known && settled != production.length;
        let base = (production.known && !apart).then_some(production.length);
        let (told, missing) = match &content {
            Some(content) => {
                let (told, missing) = self.tell_content(content, &request, base, &mut notes, sink, stop)?;
                let unproved =
                    apart.then_some("whether it goes on from production cannot be determined here");
                (told, missing.or(unproved))
            }
            None => (None, Some("its source drive is not known here")),
        };
        let earlier = self.earlier(&r.signed, &request, (&cores, settled), content.as_ref())?;
        let _ = self.store.flush();
        Ok(Inspected {
            says: RequestSays::of(&request),
            known: Known {
                source: content
                    .as_ref()
                    .map(|c| PearLink::verlink(*c.drive.key(), 0, request.length).to_string()),
                production: Production {
                    known: production.known,
                    from: production.from,
                    length: Some(production.length),
                    tree_hash: Some(id::encode(&production.hash)),
                },
                compatible,
                released,
                content: told,
                notes,
            },
            request_hash: id::encode(&request_hash(&bytes)),
            seen: Seen { inspected: missing.is_none(), missing: missing.map(str::to_owned), earlier },
        })
    }

    /// Production as this store has it, brought up to date when peers may be asked.
    fn production(
        &self,
        cores: &TargetCores,
        wait: Duration,
        stop: &Stop,
    ) -> Result<(Told, Option<AskedDrive>), CommandError> {
        let mut from = if cores.db.length() > 0 { ToldBy::Store } else { ToldBy::Unknown };
        let mut known = cores.db.length() > 0;
        let mut side = None;
        // Without a network there is nothing to learn, which is no reason to fail.
        if !wait.is_zero()
            && let Ok(s) = AskedDrive::open(self, &cores.db, false)
        {
            if s.until_learned(&s.db, wait, stop)? {
                (known, from) = (true, ToldBy::Peers);
            } else if !known && s.db.status().peers.iter().any(|p| p.synced) {
                // A first release, or whoever has one is away: shown as the first one, and said to be unproved.
                (known, from) = (true, ToldBy::EmptyPeers);
            }
            side = Some(s);
        }
        if self.journal()?.get(cores.db.key()).is_some_and(|r| r.committed().is_some()) && !known {
            (known, from) = (true, ToldBy::Store);
        }
        let head = cores.db.head();
        Ok((Told { known, from, length: head.length, hash: head.tree_hash() }, side))
    }

    /// The drive of this store whose content is the request's.
    fn stored_content(&self, request: &Request, stop: &Stop) -> Result<ContentFound, CommandError> {
        let mut found = ContentFound { content: None, alike: None };
        for info in self.store.cores().map_err(store_error)? {
            if info.length < request.length {
                continue;
            }
            let core = self.store.open_core(&info.key).map_err(store_error)?;
            if known_hash(&core, request.length) != Some(request.tree_hash) {
                continue;
            }
            let drive = self.drive_of(core);
            let blobs = drive.blobs()?.map(|b| (b, None));
            let content = Content { drive, db: None, blobs, _side: None };
            match is_content(&content, request, stop)? {
                Some(true) => return Ok(ContentFound { content: Some(content), alike: None }),
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
        let side = if wait.is_zero() { None } else { AskedDrive::open(self, &drive.db, false).ok() };
        let Some(mut side) = side else {
            let blobs = drive.blobs()?.map(|b| (b, None));
            let Some(known) = known_hash(&drive.db, request.length) else { return Ok(None) };
            if known != request.tree_hash {
                return Err(errors::source_mismatch(CoreName::Db, request.length));
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
                Err(errors::source_too_small(CoreName::Db, have, request.length))
            };
        }
        side.wait(wait, stop, |_| Ok(side.db.status().has_manifest.then_some(())))?;
        if side.head_at(&side.db, request.length, stop)?.tree_hash() != request.tree_hash {
            return Err(errors::source_mismatch(CoreName::Db, request.length));
        }
        // All of it: which files there are, and whether production is its beginning, is read from it.
        side.fetch((CoreName::Db, &side.db), 0, request.length, &mut |_: Event| {}, stop)?;
        side.find_blobs()?;
        if let (Some(live), Some(c)) = (&side.blobs, request.content) {
            side.until_length(live, c.length, wait, stop)?;
        }
        let blobs = side.blobs.clone().map(|live| (live.core().clone(), Some(live)));
        let content = Content { drive, db: Some(side.db.clone()), blobs, _side: Some(side) };
        check_content(&content, request, stop)?;
        Ok(Some(content))
    }

    /// Tells which files differ from production, which has the length `base`, or all of them; and the versions. The second
    /// is what could not be seen.
    fn tell_content(
        &self,
        content: &Content,
        request: &Request,
        base: Option<u64>,
        notes: &mut Vec<String>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(Option<ReleaseContent>, Option<&'static str>), CommandError> {
        let db = content.db.as_ref();
        let source = CoreSource::cut(&content.drive.db, request.length);
        let now = Drive::checkout(source.clone(), request.length);
        let missing = |e: &CommandError| e.code() == "ERR_NOT_FOUND" && db.is_none();
        match reading(db, STALL, stop).read(|| check_version(source.clone(), request.length)) {
            Err(e) if missing(&e) => {
                notes.push("Only a part of the source is in this store: the files cannot be shown.".into());
                return Ok((None, Some("only a part of its source is here")));
            }
            other => other?,
        }
        let mut missing_here = None;
        let mut count = DiffCount::default();
        let mut sizes = Sizes { blobs: content.blobs.as_ref(), missing: false };
        if let Some(production) = base {
            let base = production.min(request.length).max(1);
            let changes = now
                .diff(base, "/")
                .map_err(CommandError::from)
                .and_then(|diff| reading(db, STALL, stop).all(diff));
            match changes {
                Ok(changes) => {
                    for some in changes.chunks(AHEAD) {
                        sizes.ask(some.iter().flat_map(|c| [c.new.as_ref(), c.old.as_ref()]).flatten());
                        for change in some {
                            let (new, old) = (change.new.as_ref(), change.old.as_ref());
                            let diff = byte_diff(new, old, |e| sizes.of(e, stop))?;
                            count.count(&diff);
                            sink.tell(MultisigEvent::ByteDiff(diff));
                        }
                    }
                }
                Err(e) if missing(&e) => {
                    missing_here = Some("only a part of its source is here");
                    notes.push(
                        "Only a part of the source is in this store: the difference cannot be shown.".into(),
                    );
                }
                Err(e) => return Err(e),
            }
        } else {
            let entries = reading(db, STALL, stop).all(now.list("/")?)?;
            for some in entries.chunks(AHEAD) {
                sizes.ask(some.iter());
                for entry in some {
                    count.files += 1;
                    sink.tell(MultisigEvent::File { key: entry.key.clone(), size: sizes.of(entry, stop)? });
                }
            }
        }
        if sizes.missing {
            missing_here = Some("the sizes of some files are not known here");
            notes.push("The sizes of some files are not known on this machine: they are shown as 0.".into());
        }
        let costs = CostsOf {
            db: source.clone(),
            length: request.length,
            followed: db,
            blobs: content.blobs.as_ref().map(|(core, live)| (core.clone(), live.as_ref())),
            stop,
        };
        costs.tell(sink)?;
        let package = match self.package_of(content, request.length, stop) {
            PackageFound::Read(package) => package,
            PackageFound::None => {
                notes.push("The release has no package.json, so it has no version.".into());
                Value::Null
            }
            PackageFound::Broken => {
                missing_here = Some("its package.json is not a JSON object, or too large");
                notes.push(
                    "The release's package.json cannot be understood: its version is not known.".into(),
                );
                Value::Null
            }
            PackageFound::Unknown => {
                missing_here = Some("its package.json is not here");
                notes.push(
                    "The release's package.json is not on this machine: its version is not known.".into(),
                );
                Value::Null
            }
        };
        let version = package.get("version").and_then(Value::as_str);
        if !self.tell_rules(content, (version, request.length), base, sink, stop)? {
            missing_here = Some("its rules (/release.json) are not here");
            notes.push("The release's rules (/release.json) are not on this machine.".into());
        }
        let before = match base {
            Some(length @ 2..) => self.package_of(content, length, stop).read(),
            _ => Value::Null,
        };
        let asked = request.content.map_or(0, |c| c.length);
        match reading(db, STALL, stop).read(|| now.blobs_length()) {
            // Clients would wait for the rest for ever.
            Ok(needed) if asked < needed => {
                return Err(errors::bad_request(&format!(
                    "its content ends at block {asked}, its files at block {needed}"
                )));
            }
            Ok(needed) if asked > needed => {
                missing_here = Some("a part of its content belongs to no file");
                notes.push(format!(
                    "Content from block {needed} to {asked} belongs to no file of this release."
                ));
            }
            Err(e) if missing(&e) => missing_here = Some("only a part of its source is here"),
            other => drop(other?),
        }
        let field = |v: &Value, name: &str| v.get(name).cloned().unwrap_or(Value::Null);
        let told = ReleaseContent {
            name: field(&package, "name"),
            version: field(&package, "version"),
            upgrade: field(&package, "upgrade"),
            production_version: field(&before, "version"),
            add: count.add,
            change: count.change,
            remove: count.remove,
            files: count.files,
        };
        Ok((Some(told), missing_here))
    }
}

/// Whether the blobs core is the request's too: a db alone says only where content would lie. `None`: cannot be told.
fn is_content(content: &Content, request: &Request, stop: &Stop) -> Result<Option<bool>, CommandError> {
    let Some(asked) = request.content else { return Ok(Some(true)) };
    if asked.length == 0 {
        return Ok(Some(asked.tree_hash == Appender::default().finish(0).0.tree_hash()));
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
        Some(false) => Err(errors::source_mismatch(CoreName::Blobs, length)),
        None => Err(CommandError::new(
            ErrorKind::NotFound,
            "SOURCE_CORE_TOO_SMALL",
            format!(
                "whether the source's blobs core at length {length} is the request's cannot be determined here"
            ),
        )
        .hint("let peers be asked, with a seeder of the source online (--wait SECONDS, and no --offline)")),
    }
}

/// Sizes of files, as they are when they are read. Of a file with a block map only the map knows.
struct Sizes<'a> {
    blobs: Option<&'a (Core, Option<FollowedCore>)>,
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
            live.live().want(first.collect());
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
        match reading(live, STALL, stop).read(|| content_length(&CoreSource::new(core), &blob)) {
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
