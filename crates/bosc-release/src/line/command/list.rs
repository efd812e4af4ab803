//! `line list`: all lines at once, side by side.
//!
//! Every link is joined at the start and they are looked at together until each has settled or the time is up:
//! discovery is over, all connected peers told what they have, package.json is read, and enough copies are counted (or
//! no more news came for a moment).

use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, parse_link};
use crate::engine::errors::store_error;
use crate::engine::open::PACKAGE_MAX;
use crate::error::CommandError;
use crate::event::link::UpdateCost;
use crate::folder::package::Package;
use crate::line::compare::{LineSeen, LineStanding, compare};
use crate::line::file::{Declared, LineFile, LineKind, Seeds};
use crate::line::{LineEvent, LineShown, ListedLines, Seeders};
use crate::update_costs::CostsOf;
use bosc_drive::blobs::BlobReader;
use bosc_drive::drive::Drive;
use bosc_follow::read::{Asking, Unread};
use bosc_follow::{Alarm, Copies, Fetch, FollowedDrive, Wait, vouch, wait_for};
use bosc_format::id;
use bosc_store::Core;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long nothing may change before what is there counts as all there is.
const QUIET: Duration = Duration::from_millis(1500);

struct Looked<'a> {
    line: &'a Declared,
    followed: Option<FollowedDrive>,
    /// The package.json at a fork and length.
    package: Option<((u64, u64), Option<Package>)>,
    copies: Copies,
    changed: Instant,
    /// Blocks of db and blobs that were asked for.
    asked: (BTreeSet<u64>, BTreeSet<u64>),
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
    ) -> Result<ListedLines, CommandError> {
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
            let followed = match &line.link {
                Some(link) => Some(self.follow_drive(&self.open_drive(&parse_link(link)?)?, false)?),
                None => None,
            };
            all.push(Looked {
                line,
                followed,
                package: None,
                copies: Copies::default(),
                changed: Instant::now(),
                asked: Default::default(),
                error: None,
            });
        }
        let topics: Vec<_> =
            all.iter().filter_map(|l| l.followed.as_ref()).map(|f| f.topic().clone()).collect();
        wait_for(&*self.node()?, &topics, &mut Wait::new(stop).timeout(timeout), |alarm| {
            let mut settled = true;
            for looked in &mut all {
                settled &= looked.look(alarm)?;
            }
            Ok::<_, CommandError>(settled.then_some(()))
        })?;
        self.store.flush().map_err(store_error)?;
        let mut count = 0;
        for looked in all.iter().filter(|l| shown(l.line)) {
            let source = looked.line.source.as_ref().and_then(|s| all.iter().find(|l| l.line.name == *s));
            sink.tell(LineEvent::Line(Box::new(looked.told(file, source, stop))));
            count += 1;
        }
        for looked in all.iter().filter(|l| shown(l.line)) {
            let source = looked.line.source.as_ref().and_then(|s| all.iter().find(|l| l.line.name == *s));
            if let Some(source) = source
                && matches!(looked.standing(Some(source)), LineStanding::Behind | LineStanding::Empty)
            {
                let (line, of) = (source.line.name.clone(), looked.line.name.clone());
                sink.tell(LineEvent::Ahead {
                    version: source.version().map(str::to_owned),
                    than: looked.version().map(str::to_owned),
                    next: format!("bosc line promote {line} {of}"),
                    line,
                    of,
                });
            }
        }
        Ok(ListedLines { lines: count })
    }
}

/// A drive's package.json; `None` when it has none that can be read as one.
fn read_package(
    followed: &FollowedDrive,
    blobs: Option<&Core>,
    asked: &mut (BTreeSet<u64>, BTreeSet<u64>),
) -> Result<Option<Package>, Unread> {
    let db = CoreSource::new(&followed.cores().db);
    let drive = Drive::new(db.clone());
    let entry =
        Asking::new(Some(followed.db()), &mut asked.0).read(|| drive.entry_follow("/package.json"))?;
    let Some(blob) = entry.and_then(|e| e.value.blob) else { return Ok(None) };
    let Some(core) = blobs else { return Err(Unread::Coming) };
    let mut reader = BlobReader::new(db.contents(core), blob);
    let mut bytes = Vec::new();
    while let Some(part) = Asking::new(followed.known_blobs(), &mut asked.1).next(&mut reader)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > PACKAGE_MAX {
            return Ok(None);
        }
    }
    Ok(Package::parse(&bytes).ok())
}

impl Looked<'_> {
    /// Takes in what is new. Whether there is nothing more to wait for.
    fn look(&mut self, alarm: &mut Alarm) -> Result<bool, CommandError> {
        let Some(followed) = &self.followed else { return Ok(true) };
        followed.blobs()?;
        let writable = followed.cores().db.writable();
        let (db, blobs) = followed.statuses();
        let flushed = followed.topic().is_flushed();
        let copies = followed.copies(Some(0));
        if copies != self.copies {
            self.copies = copies;
            self.changed = Instant::now();
        }
        let told = vouch::is_told(&db) && blobs.peers.iter().all(|p| p.synced);
        if db.length == 0 {
            return Ok(flushed && told && alarm.has_passed(self.changed, QUIET));
        }
        let at = (db.fork, db.length);
        if self.package.as_ref().is_none_or(|(known, _)| *known != at) {
            match self.read_package()? {
                Some(package) => {
                    self.package = Some((at, package));
                    self.changed = Instant::now();
                }
                None => return Ok(writable && flushed && alarm.has_passed(self.changed, QUIET)),
            }
        }
        let enough = self.copies.full.len() as u64 >= self.line.seeds.wanted();
        Ok(flushed && told && (enough || alarm.has_passed(self.changed, QUIET)))
    }

    /// The drive's package.json; outer `None` while blocks of it are on their way.
    fn read_package(&mut self) -> Result<Option<Option<Package>>, CommandError> {
        let Some(followed) = &self.followed else { return Ok(Some(None)) };
        let blobs = followed.cores().blobs()?;
        match read_package(followed, blobs.as_ref(), &mut self.asked) {
            Ok(package) => Ok(Some(package)),
            Err(Unread::Coming) => Ok(None),
            Err(Unread::Failed(e)) => {
                // One line whose content makes no sense must not hide the others.
                self.error = Some(e.to_string());
                Ok(Some(None))
            }
        }
    }

    fn version(&self) -> Option<&str> {
        self.package.as_ref().and_then(|(_, p)| p.as_ref()).and_then(|p| p.version.as_deref())
    }

    fn seen(&self, source: Option<&Looked<'_>>) -> LineSeen {
        let Some(followed) = &self.followed else { return LineSeen::default() };
        let head = followed.cores().db.head();
        let known = head.length > 0 || followed.topic().is_flushed();
        let there = source.and_then(|s| s.followed.as_ref()).map(|w| &w.cores().db);
        LineSeen {
            length: known.then_some(head.length),
            version: self.version().map(str::to_owned),
            tree_hash: Some(head.tree_hash()),
            source_hash_at_length: there
                .filter(|core| core.length() >= head.length)
                .and_then(|core| core.head_at(head.length).ok())
                .map(|h| h.tree_hash()),
        }
    }

    fn standing(&self, source: Option<&Looked<'_>>) -> LineStanding {
        if self.line.source.is_some() && source.is_none() {
            return LineStanding::Unknown;
        }
        let theirs = source.map(|s| s.seen(None));
        compare(&self.seen(source), theirs.as_ref(), self.line.kind == LineKind::Multisig)
    }

    /// What updates to it cost.
    fn updates(&self, stop: &Stop) -> Vec<UpdateCost> {
        let Some(followed) = &self.followed else { return Vec::new() };
        let Ok(blobs) = followed.cores().blobs() else { return Vec::new() };
        let db = &followed.cores().db;
        let costs = CostsOf {
            db: CoreSource::new(db),
            length: db.length(),
            followed: Some(followed.db()),
            blobs: blobs.map(|core| (core, followed.known_blobs())),
            stop,
        };
        costs.find().unwrap_or_default()
    }

    fn told(&self, file: &LineFile, source: Option<&Looked<'_>>, stop: &Stop) -> LineShown {
        let head = self.followed.as_ref().map(|w| w.cores().db.head());
        let package = self.package.as_ref().and_then(|(_, p)| p.as_ref());
        let upgrade = package.and_then(|p| p.upgrade.clone());
        let holds = |key: &String| id::decode(key).is_ok_and(|k| self.copies.full.contains(&k));
        let missing = match &self.line.seeds {
            Seeds::Count(_) => Vec::new(),
            Seeds::Keys(keys) => keys.iter().filter(|k| !holds(k)).cloned().collect(),
        };
        LineShown {
            declared: self.line.clone(),
            verlink: self.followed.as_ref().map(|w| w.cores().verlink()),
            version: self.version().map(str::to_owned),
            length: head.as_ref().map(|h| h.length),
            fork: head.as_ref().map(|h| h.fork),
            writable: self.followed.as_ref().is_some_and(|w| w.cores().db.writable()),
            upgrade_line: upgrade.as_deref().and_then(|u| file.of_link(u)).map(|l| l.name.clone()),
            upgrade,
            seeders: Seeders {
                full: self.copies.full.len(),
                peers: self.copies.peers,
                wanted: self.line.seeds.wanted(),
                missing,
            },
            state: self.standing(source),
            error: self.error.clone(),
            updates: self.updates(stop),
        }
    }
}
