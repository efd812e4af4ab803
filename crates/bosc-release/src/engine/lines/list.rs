//! `line list`: all lines at once, side by side.
//!
//! Every link is joined at the start and they are looked at together until each has settled or the time is up:
//! discovery is over, all connected peers told what they have, package.json is read, and enough copies are counted (or
//! no more news came for a moment).

use super::super::copies::{Copies, Watched};
use super::super::drive::{CoreSource, parse_link};
use super::super::wait::stopped;
use super::super::{Engine, store_error};
use super::declared_json;
use crate::command::{Outcome, Sink, Stop};
use crate::engine::info::PACKAGE_MAX;
use crate::error::CommandError;
use crate::lines::compare::{Seen, Standing, compare};
use crate::lines::file::{Declared, Kind, LineFile, Seeds};
use crate::package::Package;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::Drive;
use bosc_format::id;
use bosc_node::TICK;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long nothing may change before what is there counts as all there is.
const QUIET: Duration = Duration::from_millis(1500);

struct Looked<'a> {
    line: &'a Declared,
    watched: Option<Watched>,
    /// The package.json at a fork and length.
    package: Option<((u64, u64), Option<Package>)>,
    copies: Copies,
    changed: Instant,
    wants: Vec<u64>,
    /// Why its content cannot be read.
    error: Option<String>,
}

impl Engine {
    pub(super) fn list_lines(
        &self,
        file: &LineFile,
        names: &[String],
        timeout: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Outcome {
        for name in names {
            file.get(name)?;
        }
        // Sources are looked at as well: a line is shown next to what it comes from.
        let shown = |l: &Declared| names.is_empty() || names.contains(&l.name);
        let needed = |l: &&Declared| {
            shown(l) || file.lines().iter().any(|o| shown(o) && o.source.as_deref() == Some(l.name.as_str()))
        };
        let mut all = Vec::new();
        for line in file.lines().iter().filter(needed) {
            let watched = match &line.link {
                Some(link) => Some(Watched::join(self, self.open_drive(&parse_link(link)?)?, false)?),
                None => None,
            };
            all.push(Looked {
                line,
                watched,
                package: None,
                copies: Copies::default(),
                changed: Instant::now(),
                wants: Vec::new(),
                error: None,
            });
        }
        let node = self.node()?;
        let deadline = Instant::now() + timeout;
        loop {
            if stop.is_stopped() {
                return Err(stopped());
            }
            let mut settled = true;
            for looked in &mut all {
                settled &= looked.look(self)?;
            }
            if settled || Instant::now() >= deadline {
                break;
            }
            node.signal().wait(Some((Instant::now() + TICK).min(deadline)), TICK, || None::<()>);
        }
        self.store.flush().map_err(store_error)?;
        let mut count = 0;
        for looked in all.iter().filter(|l| shown(l.line)) {
            let source = looked.line.source.as_ref().and_then(|s| all.iter().find(|l| l.line.name == *s));
            sink.event("line", looked.json(file, source));
            count += 1;
        }
        for looked in all.iter().filter(|l| shown(l.line)) {
            let source = looked.line.source.as_ref().and_then(|s| all.iter().find(|l| l.line.name == *s));
            if let Some(source) = source
                && matches!(looked.standing(Some(source)), Standing::Behind | Standing::Empty)
            {
                sink.event(
                    "ahead",
                    json!({
                        "line": source.line.name,
                        "of": looked.line.name,
                        "version": source.version(),
                        "than": looked.version(),
                        "next": format!("bosc line promote {} {}", source.line.name, looked.line.name),
                    }),
                );
            }
        }
        Ok(json!({ "lines": count }))
    }
}

impl Looked<'_> {
    /// Takes in what is new. Whether there is nothing more to wait for.
    fn look(&mut self, engine: &Engine) -> Result<bool, CommandError> {
        let Some(watched) = &mut self.watched else { return Ok(true) };
        watched.find_blobs(engine)?;
        let writable = watched.drive.db.writable();
        let (db, blobs) = watched.status();
        let flushed = watched.node.is_flushed(&watched.topic());
        let copies = watched.copies(Some(0));
        if copies != self.copies {
            self.copies = copies;
            self.changed = Instant::now();
        }
        let told = db.peers.iter().all(|p| p.synced && (p.fork, p.length) <= (db.fork, db.length))
            && blobs.peers.iter().all(|p| p.synced);
        if db.length == 0 {
            return Ok(flushed && told && self.changed.elapsed() >= QUIET);
        }
        let at = (db.fork, db.length);
        if self.package.as_ref().is_none_or(|(known, _)| *known != at) {
            match self.read_package(engine)? {
                Some(package) => {
                    self.package = Some((at, package));
                    self.changed = Instant::now();
                }
                None => return Ok(writable && flushed && self.changed.elapsed() >= QUIET),
            }
        }
        let enough = self.copies.full.len() as u64 >= self.line.seeds.wanted();
        Ok(flushed && told && (enough || self.changed.elapsed() >= QUIET))
    }

    /// The drive's package.json; outer `None` while blocks of it are on their way.
    fn read_package(&mut self, engine: &Engine) -> Result<Option<Option<Package>>, CommandError> {
        let Some(watched) = &self.watched else { return Ok(Some(None)) };
        let drive = Drive::new(CoreSource::new(&watched.drive.db));
        let entry = match drive.entry_follow("/package.json") {
            Ok(entry) => entry,
            Err(e) => return self.want(e, false),
        };
        let Some(blob) = entry.and_then(|e| e.value.blob) else { return Ok(Some(None)) };
        let Some(core) = watched.drive.blobs(engine)? else { return Ok(None) };
        let mut bytes = Vec::new();
        for part in BlobReader::new(CoreSource::new(&core), blob) {
            match part {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(e) => return self.want(e, true),
            }
            if bytes.len() > PACKAGE_MAX {
                return Ok(Some(None));
            }
        }
        Ok(Some(Package::parse(&bytes).ok()))
    }

    fn want(&mut self, e: bosc_drive::Error, blobs: bool) -> Result<Option<Option<Package>>, CommandError> {
        let Some(block) = e.missing() else {
            // One line whose content makes no sense must not hide the others.
            self.error = Some(e.to_string());
            return Ok(Some(None));
        };
        let Some(watched) = &self.watched else { return Ok(None) };
        let live = if blobs { watched.blobs.as_ref() } else { Some(&watched.db) };
        let mark = block.saturating_mul(2).saturating_add(u64::from(blobs));
        if let Some(live) = live
            && live.status().length > block
            && !self.wants.contains(&mark)
        {
            self.wants.push(mark);
            live.want(vec![block]);
        }
        Ok(None)
    }

    fn version(&self) -> Option<&str> {
        self.package.as_ref().and_then(|(_, p)| p.as_ref()).and_then(|p| p.version.as_deref())
    }

    fn seen(&self, source: Option<&Looked<'_>>) -> Seen {
        let Some(watched) = &self.watched else { return Seen::default() };
        let head = watched.drive.db.head();
        let known = head.length > 0 || watched.node.is_flushed(&watched.topic());
        let there = source.and_then(|s| s.watched.as_ref()).map(|w| &w.drive.db);
        Seen {
            length: known.then_some(head.length),
            version: self.version().map(str::to_owned),
            tree_hash: Some(head.tree_hash()),
            source_hash_at_length: there
                .filter(|core| core.length() >= head.length)
                .and_then(|core| core.head_at(head.length).ok())
                .map(|h| h.tree_hash()),
        }
    }

    fn standing(&self, source: Option<&Looked<'_>>) -> Standing {
        if self.line.source.is_some() && source.is_none() {
            return Standing::Unknown;
        }
        let theirs = source.map(|s| s.seen(None));
        compare(&self.seen(source), theirs.as_ref(), self.line.kind == Kind::Multisig)
    }

    fn json(&self, file: &LineFile, source: Option<&Looked<'_>>) -> Value {
        let mut data = declared_json(self.line);
        let head = self.watched.as_ref().map(|w| w.drive.db.head());
        let package = self.package.as_ref().and_then(|(_, p)| p.as_ref());
        let upgrade = package.and_then(|p| p.upgrade.as_deref());
        let missing: Vec<&String> = match &self.line.seeds {
            Seeds::Count(_) => Vec::new(),
            Seeds::Keys(keys) => {
                keys.iter().filter(|k| !id::decode(k).is_ok_and(|k| self.copies.full.contains(&k))).collect()
            }
        };
        let more = json!({
            "verlink": self.watched.as_ref().map(|w| w.drive.verlink()),
            "version": self.version(),
            "length": head.as_ref().map(|h| h.length),
            "fork": head.as_ref().map(|h| h.fork),
            "writable": self.watched.as_ref().is_some_and(|w| w.drive.db.writable()),
            "upgrade": upgrade,
            "upgradeLine": upgrade.and_then(|u| file.of_link(u)).map(|l| &l.name),
            "seeders": {
                "full": self.copies.full.len(),
                "peers": self.copies.peers,
                "wanted": self.line.seeds.wanted(),
                "missing": missing,
            },
            "state": self.standing(source).name(),
            "error": self.error,
        });
        if let (Some(to), Value::Object(from)) = (data.as_object_mut(), more) {
            to.extend(from);
        }
        data
    }
}
