//! Deltas of a release, as a source of the blocks that a plan needs: a patch from peers makes the new file of one on this
//! disk, or of nothing (see `bosc_drive::deltas`).
//!
//! ```text
//! file with missing blocks ──▶ routes: from a base on this disk, over three patches at most; the whole file packed
//!                                 │ the cheapest, if it takes fewer bytes than the blocks
//!                                 ▼
//!       patch ── leaf hashes ── apply, streamed ── blocks, each checked against the tree as it comes ── all here
//!         ▲                                                │ refused, no memory, no room
//!         └──────────── the next route, while all together still take fewer bytes than the blocks ──▶ peers
//! ```
//!
//! # Invariants
//!
//! 1. A block that a delta made is put as any source's is: proved by its leaf hash, or refused. With the first that is
//!    refused, the route is given up.
//! 2. Which way is taken is decided from sizes in signed entries, before any byte of a patch is asked for. All routes that are tried
//!    for a file cost less than its missing blocks: with what comes from peers after them, less than twice the plain way.
//! 3. What is between two patches is a file in a work folder beside the store. It is held to the hash that its hop names, and to
//!    [`MOST_BETWEEN`] times the file and 1 MiB; at most two are there at a time, and a start removes what a kill left.
//! 4. Memory: see `bosc_follow::offer::Patch`.

use super::fetching::Fetching;
use super::plan::{Plan, PlanFile};
use crate::base_file::BaseFile;
use crate::error::UpdateError;
use bosc_drive::deltas::{self, AboutDelta, Leg, NOTHING, routes};
use bosc_drive::drive::Drive;
use bosc_files::{Dir, Work};
use bosc_follow::offer::{Cost, Gathering, Lacking, MAX_PATCH, OVERHEAD, Offer, Patch};
use bosc_follow::{CoreSource, Fetch, FollowError};
use bosc_format::crypto::{Hash, Hasher};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most deltas looked at.
const MAX_DELTAS: usize = 4096;
/// Most names of a folder looked at, and most files of such a name as another one has.
const MAX_NAMES: usize = 10_000;
const MAX_ALIKE: usize = 8;
/// How many times larger what is between two patches may be than the file.
const MOST_BETWEEN: u64 = 2;
/// Names of work folders begin with it.
const WORK: &str = "between-";

/// What is on this disk: builds, and where files may be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) builds: &'a [PathBuf],
    pub(super) dir: &'a Path,
}

/// The deltas of a release to files of a plan.
pub(super) struct Deltas<'a> {
    plan: &'a Plan,
    here: Here<'a>,
    /// By the path of the file they are for, below the build.
    by_rel: BTreeMap<String, Vec<Leg<Patch>>>,
    /// Blocks of those that were used.
    pub(super) used: Vec<u64>,
}

/// A way to make a file.
struct Route {
    cost: u64,
    base: Option<BaseFile>,
    legs: Vec<Leg<Patch>>,
}

impl<'a> Deltas<'a> {
    /// Those of the build at this key. Reads a few blocks of the db.
    ///
    /// # Errors
    /// As reading the db.
    pub(super) fn find(
        fetching: &mut Fetching<'_, '_>,
        (source, version): (&CoreSource, u64),
        root: &str,
        plan: &'a Plan,
        here: Here<'a>,
    ) -> Result<Self, UpdateError> {
        let mut found = Self { plan, here, by_rel: BTreeMap::new(), used: Vec::new() };
        let Some(folder) = deltas::folder_of(root) else { return Ok(found) };
        let db = fetching.link.db();
        let drive = Drive::checkout(source.clone(), version);
        let mut list = drive.list(&folder)?;
        let mut count = 0;
        while let Some(entry) = fetching.of(db).next(&mut list)? {
            count += 1;
            if count > MAX_DELTAS {
                break;
            }
            let (file, base, result) = match (deltas::parse(&entry.key), deltas::parse_hop(&entry.key)) {
                (Some((file, base)), _) => (file, base, None),
                (_, Some((file, base, result))) => (file, base, Some(result)),
                _ => continue,
            };
            let said = AboutDelta::of_metadata(&entry.value.metadata).size;
            let (Some(rel), Some(said), Some(blob)) = (below(root, &file), said, entry.value.blob) else {
                continue;
            };
            if said <= MAX_PATCH {
                let (size, patch) = (said.saturating_add(OVERHEAD), Patch { size: said, blob });
                found.by_rel.entry(rel.to_owned()).or_default().push(Leg { base, result, size, patch });
            }
        }
        Ok(found)
    }

    /// The ways to make a file that cost less than `at_most`, the cheapest first.
    fn routes(
        &self,
        to: &mut Gathering<'_, '_>,
        file: &PlanFile,
        at_most: u64,
    ) -> Result<Vec<Route>, FollowError> {
        let Some(legs) = self.by_rel.get(&file.rel) else { return Ok(Vec::new()) };
        let known = routes(legs);
        let take = |hash: &Hash| known.get(hash).filter(|(cost, _)| *cost < at_most);
        let route = |base, (cost, at): &(u64, Vec<usize>)| Route {
            cost: *cost,
            base,
            legs: at.iter().filter_map(|i| legs.get(*i).copied()).collect(),
        };
        let mut found: Vec<Route> = take(&NOTHING).into_iter().map(|way| route(None, way)).collect();
        // To look for a base all that may be one is read.
        if known.iter().any(|(hash, (cost, _))| *hash != NOTHING && *cost < at_most) {
            let builds = self.here.builds.iter().filter_map(|build| build.canonicalize().ok());
            for path in builds.flat_map(|build| candidates(build, &file.rel)) {
                let Some((base, hash)) = open_base(&path, &mut || to.go_on())? else { continue };
                if let Some(way) = take(&hash).filter(|_| hash != NOTHING) {
                    found.push(route(Some(base), way));
                    break;
                }
            }
        }
        found.sort_by_key(|route| route.cost);
        Ok(found)
    }

    fn file(&mut self, to: &mut Gathering<'_, '_>, file: &PlanFile) -> Result<(), FollowError> {
        let Some(id) = file.blob else { return Ok(()) };
        let Some(mut lacking) = Lacking::of(to, &id)? else { return Ok(()) };
        let budget = lacking.bytes;
        let mut spent = 0u64;
        for route in self.routes(to, file, budget)? {
            spent = spent.saturating_add(route.cost);
            if spent >= budget || self.take(to, &lacking, route)? {
                break;
            }
            // Part of it may have been made.
            match Lacking::of(to, &id)? {
                Some(rest) => lacking = rest,
                None => break,
            }
        }
        Ok(())
    }

    /// Goes a route. Whether it made the file.
    fn take(
        &mut self,
        to: &mut Gathering<'_, '_>,
        lacking: &Lacking,
        route: Route,
    ) -> Result<bool, FollowError> {
        let Some((last, hops)) = route.legs.split_last() else { return Ok(false) };
        let (mut base, mut work) = (route.base, None);
        for hop in hops {
            let (Some(old), Some(result)) = (base.take(), hop.result) else { return Ok(false) };
            let Some(patch) = hop.patch.bytes(to, &mut self.used)? else { return Ok(false) };
            let most = lacking.whole.saturating_mul(MOST_BETWEEN).saturating_add(1 << 20);
            let Ok(made) = between(self.here.dir, &old, &patch, (most, result), &mut || to.go_on()) else {
                return Ok(false);
            };
            to.go_on()?;
            // What it was made of goes now.
            drop(old);
            let (folder, opened) = made;
            (work, base) = (Some(folder), Some(opened));
        }
        let Some(patch) = last.patch.bytes(to, &mut self.used)? else { return Ok(false) };
        let nothing: &[u8] = &[];
        let made = match &base {
            Some(base) => lacking.put(to, base, &patch)?,
            None => lacking.put(to, &nothing, &patch)?,
        };
        drop(base);
        drop(work);
        Ok(made)
    }
}

/// Makes what is between two patches, in a work folder that goes with the value.
fn between(
    dir: &Path,
    old: &BaseFile,
    patch: &[u8],
    (most, result): (u64, Hash),
    tell: &mut dyn FnMut() -> Result<(), FollowError>,
) -> io::Result<(Work, BaseFile)> {
    const NAME: &str = "file";
    let work = Work::create(&Dir::open(dir)?, WORK)?;
    let mut into = Between { file: work.dir().create_file(NAME, 0o600)?, left: most, tell };
    let applied = bosc_delta::apply(old, patch, &mut into).map_err(io::Error::other)?;
    if applied.hash != result {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "another file"));
    }
    drop(into);
    let opened = BaseFile::measured(&work.path().join(NAME), |_| Ok::<_, io::Error>(()))?;
    Ok((work, opened.ok_or(io::ErrorKind::NotFound)?))
}

/// A file that is written up to a length, while somebody may stop that.
struct Between<'t> {
    file: std::fs::File,
    left: u64,
    tell: &'t mut dyn FnMut() -> Result<(), FollowError>,
}

impl Write for Between<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let larger = || io::Error::new(io::ErrorKind::InvalidData, "larger than the file");
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(larger)?;
        (self.tell)().map_err(io::Error::other)?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The part of a file's key below the key of a build, which may be the file itself.
fn below<'k>(root: &str, key: &'k str) -> Option<&'k str> {
    let rest = key.strip_prefix(root)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl Offer for Deltas<'_> {
    fn name(&self) -> &'static str {
        "deltas"
    }

    fn cost(&self) -> Cost {
        Cost::Delta
    }

    fn bring(&mut self, to: &mut Gathering<'_, '_>) -> Result<(), FollowError> {
        if self.by_rel.is_empty() {
            return Ok(());
        }
        // What a killed process left; what cannot be removed takes room and nothing else.
        let _ = Dir::open(self.here.dir).and_then(|dir| Work::sweep(&dir, WORK));
        let plan = self.plan;
        for file in &plan.files {
            to.go_on()?;
            self.file(to, file)?;
        }
        Ok(())
    }
}

/// The files of a build that a delta of this one may start from: itself, and those whose name is the same but for a version.
fn candidates(build: PathBuf, rel: &str) -> Vec<PathBuf> {
    if rel.is_empty() {
        return vec![build];
    }
    let path = build.join(rel);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return vec![path];
    };
    let names = std::fs::read_dir(folder).into_iter().flatten().take(MAX_NAMES).flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut alike: Vec<String> = names.filter(|n| n != name && deltas::are_alike(n, name)).collect();
    alike.sort_unstable();
    alike.truncate(MAX_ALIKE);
    let alike: Vec<PathBuf> = alike.iter().map(|n| folder.join(n)).collect();
    [vec![path], alike].concat()
}

/// Opens a file of an installed build and hashes it; `None` when it cannot be read.
fn open_base(
    path: &Path,
    tell: &mut dyn FnMut() -> Result<(), FollowError>,
) -> Result<Option<(BaseFile, Hash)>, FollowError> {
    let mut hasher = Hasher::new();
    let opened = BaseFile::measured(path, |part| {
        hasher.update(part);
        tell()
    })?;
    Ok(opened.map(|base| (base, hasher.finish())))
}
