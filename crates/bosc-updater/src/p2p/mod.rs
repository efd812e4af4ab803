//! Releases from a `pear://` link: found, fetched and proved peer to peer.
//!
//! # How a release is brought here
//!
//! ```text
//! check   head ── newest proved head of the db core, from the first peers that answer
//!         version ── /package.json at that head; only a strictly newer SemVer goes on
//!         build ── is there an entry below /by-arch/<platform>/app/<name>?
//!         rules ── does /release.json, if there is one, let this installation have it? (see `rules`)
//! fetch   plan ── all entries of the build, checked (see `plan`, `paths`)
//!         reuse ── blocks that builds on this disk hold (see `reuse`, `bosc_follow::offer`)
//!         room ── is there space for the rest and for the build?
//!         deltas ── patches of what is on this disk, or of nothing, where they are smaller (see `deltas`)
//!         download ── the rest, from peers
//!         write ── the build into staging, hashed as it is written (see `write`)
//! ```
//!
//! # Invariants
//!
//! 1. Every byte that is written comes out of a core of the store, and nothing gets into one that does not hang below a
//!    head signed by the link's key: not from a peer, and not from the installed build.
//!    A history that parts from the one that is here is never followed, whoever signed it; it is reported
//!    ([`crate::client::Event::Conflict`]), because somebody has signed two.
//! 2. A head never goes back: the store keeps the newest one that was proved, so a peer with an older one is no
//!    source of releases.
//! 3. A killed fetch loses nothing that was acknowledged; the next one fetches the rest.
//! 4. Blocks of older releases are given up once a newer one is whole, so the store stays about as large as one build.
//!
//! # Files
//!
//! - `options`: what the source is made from. `link`: the followed drive: its newest head and how long that is waited for, news,
//!   conflicts. `mirrors`: what the address of a mirror means. `fetching`: a fetch with progress, which can be stopped, given up when
//!   nobody delivers.
//! - `package`: what a release says of itself: version, notes, their bounds. `plan`: what it consists of, how many files. `paths`:
//!   which names it may have.
//! - `rules`: what the link's policy and its operators let this client do. `between`: releases below the newest, where that is held
//!   back, and how far is looked.
//! - `local`: builds on this disk, in blocks: how many files, how deep. `reuse`: what of them need not be fetched, in which looks,
//!   and when one pays. `deltas`: what is made of them, or of nothing, by patches: which routes, how many, when they pay. `write`:
//!   the build into staging.
//! - `cache`: what was downloaded, put aside when damaged, and what a kill may cost. `error`: the updater's words.

mod between;
mod cache;
#[cfg(feature = "deltas")]
mod deltas;
mod error;
mod fetching;
mod link;
mod local;
mod mirrors;
mod options;
mod package;
mod paths;
mod plan;
mod reuse;
mod rules;
mod write;

pub use bosc_follow::Stop;
pub use mirrors::mirror;
#[cfg(feature = "http")]
pub use mirrors::named_mirror;
pub use options::{NamedMirror, P2pOptions, Room, Where, host};

use crate::error::{ErrorKind, UpdateError};
use crate::release::{Release, ReleaseId, Staged};
use crate::rules::Rules;
use crate::source::{Conflict, Guidance, OnProgress, Sealed, Source, Terms};
use bosc_drive::blobs::BlobId;
use bosc_follow::CoreSource;
use bosc_follow::offer::Peers;
use bosc_format::link::PearLink;
use bosc_policy::Newest;
#[cfg(feature = "deltas")]
use deltas::{Deltas, Here};
use error::store_error;
use fetching::Fetching;
use link::FollowedLink;
use local::Local;
use plan::Plan;
use reuse::{LocalBuilds, Needs};
use semver::Version;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Name under which the store remembers the last version whose build it holds whole.
const WHOLE: &str = "bosc-updater/whole";

/// Whether a link could be followed for an application of this name: nothing is opened.
pub(crate) fn check(link: &str, name: &str) -> Result<(), UpdateError> {
    let key = format!("/{name}");
    if !bosc_drive::drive::path::components(&key).is_ok_and(|p| p.len() == 1) {
        return Err(UpdateError::new(ErrorKind::Input, "the application's name is not the name of a file")
            .hint("give the name it has in the release, such as Demo, Demo.app or Demo.AppImage"));
    }
    link::parse(link).map(drop)
}

/// A followed link. Dropping it leaves the network.
#[derive(Debug)]
pub struct P2pSource {
    options: P2pOptions,
    link: FollowedLink,
    found: Option<Found>,
    /// What was fetched last and is not yet written down: its blocks, the staging folder, and the build's folder in it.
    unsettled: Option<(Found, Needs, PathBuf, PathBuf)>,
    /// Heads of other histories that were reported.
    told: BTreeSet<[u8; 32]>,
    rules: Rules,
}

fn gone() -> UpdateError {
    UpdateError::new(ErrorKind::Refused, "the release is no longer part of the link's history")
        .hint("check for updates again")
}

/// A release that a check found.
#[derive(Debug, Clone)]
struct Found {
    id: ReleaseId,
    version: Version,
    length: u64,
    /// The node's count of received bytes when the check began.
    received_before: u64,
}

impl P2pSource {
    /// Opens the link's store and joins its topic. Works without a network, too: peers are found when there is one.
    ///
    /// # Errors
    /// `Input` for a bad link, name or bootstrap node; `Busy` while another process has the folder; `Disk`.
    pub fn open(options: P2pOptions) -> Result<Self, UpdateError> {
        check(&options.link, &options.name)?;
        let link = FollowedLink::open(&options)?;
        let rules = rules::beside(&options);
        Ok(Self { options, link, found: None, unsettled: None, told: BTreeSet::new(), rules })
    }

    /// Bytes received and sent on the network since the start.
    pub fn traffic(&self) -> (u64, u64) {
        let status = self.link.node.status();
        (status.received, status.sent)
    }

    /// How many peers that have the link are connected.
    pub fn peers(&self) -> usize {
        self.link.db().status().peers.len()
    }

    /// What listens to a check: nothing is reported, and a stop ends it.
    fn quiet(&self) -> impl FnMut(crate::source::Progress) -> bool + Send + use<> {
        let stop = self.options.stop.clone();
        move |_| !stop.is_stopped()
    }

    /// What the newest head holds, whatever its version is.
    fn look(&self) -> Result<Option<Found>, UpdateError> {
        let received_before = self.link.received();
        let Some(head) = self.link.newest(self.options.patience)? else {
            return Err(error::nobody(&self.link.db().in_vain()));
        };
        let source = CoreSource::cut(self.link.db().core(), head.length);
        let mut quiet = self.quiet();
        let mut fetching = Fetching::new(&self.link, &mut quiet, self.options.patience, received_before);
        let Some(version) = package::version(&mut fetching, &source, head.length)? else { return Ok(None) };
        let id = ReleaseId(head.tree_hash());
        Ok(Some(Found { id, version, length: head.length, received_before }))
    }

    /// Whether the link's history still holds what was found: it may have been cut back since.
    fn is_current(&self, found: &Found) -> bool {
        self.link.db().core().head_at(found.length).is_ok_and(|head| head.tree_hash() == found.id.0)
    }

    /// Where the drive's core stood when `release` was found.
    fn recall(&self, release: &Release) -> Result<Found, UpdateError> {
        if let Some(found) = self.found.as_ref().filter(|f| f.id == release.id) {
            return Ok(found.clone());
        }
        let link = PearLink::parse(&release.origin).map_err(|e| gone().because(e))?;
        let version = link.version.filter(|_| link.key == self.link.link.key).ok_or_else(gone)?;
        let head = self.link.db().core().head_at(version.length).map_err(|e| gone().because(e))?;
        if head.tree_hash() != release.id.0 || head.fork != version.fork {
            return Err(gone());
        }
        Ok(Found {
            id: release.id,
            version: release.version.clone(),
            length: version.length,
            received_before: self.link.received(),
        })
    }

    /// Brings all blocks of a build here: from this disk what is on it, the rest from peers.
    fn gather(
        &self,
        fetching: &mut Fetching<'_, '_>,
        found: &Found,
        installed: Option<&Version>,
        staging: Option<&Path>,
    ) -> Result<(Plan, Needs, CoreSource), UpdateError> {
        let db = CoreSource::cut(self.link.db().core(), found.length);
        if !self.is_current(found) {
            return Err(gone());
        }
        let options = &self.options;
        let name = plan::find_name(fetching, &db, found.length, &options.name, &options.platform)?;
        let plan = plan::load(fetching, &db, found.length, &name, &options.platform)?;
        let blobs = self.link.need_blobs()?;
        let end = |id: BlobId| id.block_offset.saturating_add(id.block_length);
        let needed = plan.files.iter().filter_map(|f| f.blob).map(end).max().unwrap_or(0);
        let source = package::long_enough(fetching, &db, blobs, needed)?;
        // A store that holds the installed build or a later one whole can learn little from the build itself.
        let whole = self.link.store.user_data(WHOLE).map_err(store_error)?;
        let whole = whole.and_then(|v| Version::parse(std::str::from_utf8(&v).ok()?).ok());
        let known = installed.zip(whole).is_some_and(|(installed, whole)| whole >= *installed);
        if !known {
            let mut builds = LocalBuilds::new(&plan, Local::scan(&options.builds));
            fetching.gather(blobs, reuse::needed_first(&plan), &mut [&mut builds])?;
        }
        #[cfg_attr(not(feature = "deltas"), expect(unused_mut, reason = "patches add to them"))]
        let mut needs = reuse::needs(fetching, blobs, &source, &plan)?;
        let core = blobs.core();
        let missing: Vec<u64> =
            needs.blocks.iter().copied().filter(|b| !core.has(*b).unwrap_or(false)).collect();
        self.check_room(&needs, missing.len(), staging)?;
        let local = needs.bytes.saturating_sub(self.weight(&missing, &plan, &source));
        fetching.count(local, needs.bytes);
        fetching.tell_now()?;
        #[cfg(feature = "deltas")]
        if local < needs.bytes {
            let root = format!("/by-arch/{}/app/{name}", options.platform);
            let at = (&db, found.length);
            let here = Here { builds: &options.builds, dir: &options.dir };
            let mut deltas = Deltas::find(fetching, at, &root, &plan, here)?;
            fetching.gather(blobs, missing, &mut [&mut deltas, &mut Peers])?;
            needs.deltas = deltas.used;
            return Ok((plan, needs, source));
        }
        fetching.gather(blobs, missing, &mut [&mut Peers])?;
        Ok((plan, needs, source))
    }

    /// About how many bytes of files are in blocks that are not here.
    fn weight(&self, missing: &[u64], plan: &Plan, source: &CoreSource) -> u64 {
        let lacks = |b: u64| missing.binary_search(&b).is_ok();
        let mut bytes = 0u64;
        for id in plan.files.iter().filter_map(|f| f.blob) {
            if id.block_map {
                let refs = bosc_drive::blobs::load_map(source, &id).unwrap_or_default();
                bytes = refs
                    .iter()
                    .filter(|r| lacks(r.index))
                    .fold(bytes, |n, r| n.saturating_add(r.byte_length));
            } else if id.block_length > 0 {
                let end = id.block_offset.saturating_add(id.block_length);
                let count = (id.block_offset..end).filter(|b| lacks(*b)).count() as u64;
                let mean = u128::from(id.byte_length) * u128::from(count) / u128::from(id.block_length);
                bytes = bytes.saturating_add(u64::try_from(mean).unwrap_or(u64::MAX));
            }
        }
        bytes
    }

    fn check_room(&self, needs: &Needs, missing: usize, staging: Option<&Path>) -> Result<(), UpdateError> {
        let Some(room) = &self.options.room else { return Ok(()) };
        let count = needs.blocks.len().max(1) as u128;
        let share = u128::from(needs.bytes) * missing as u128 / count;
        let download = u64::try_from(share).unwrap_or(u64::MAX);
        room(&self.options.dir, download)?;
        match staging {
            Some(staging) => room(staging, needs.bytes.saturating_add(download)),
            None => Ok(()),
        }
    }

    /// Remembers what is here whole, and gives up blocks of older releases.
    fn keep_only(&self, found: &Found, needs: &Needs) -> Result<(), UpdateError> {
        let blobs = self.link.need_blobs()?;
        let core = blobs.core();
        // What the next check, and whoever fetches from this one, reads first.
        let db = CoreSource::cut(self.link.db().core(), found.length);
        let source = db.contents(core);
        let mut kept = [needs.blocks.as_slice(), &needs.deltas].concat();
        kept.extend(package::blocks(&db, &source, found.length));
        kept.sort_unstable();
        kept.dedup();
        let mut at = 0;
        let mut gaps = Vec::new();
        for block in kept.into_iter().chain([core.length()]) {
            if block > at {
                gaps.push(at..block);
            }
            at = block.saturating_add(1);
        }
        for gap in gaps {
            // Looking is cheap, clearing commits.
            let held = (gap.start..gap.end).any(|b| core.has(b).unwrap_or(false));
            if held {
                core.clear(gap.start, gap.end).map_err(store_error)?;
            }
        }
        let version = found.version.to_string();
        self.link.store.set_user_data(WHOLE, Some(version.as_bytes())).map_err(store_error)?;
        self.link.store.flush().map_err(store_error)
    }
}

impl Sealed for P2pSource {}

impl Source for P2pSource {
    fn check(&mut self, installed: &Version) -> Result<Option<Release>, UpdateError> {
        self.newest(installed).inspect_err(|e| cache::mark_if_damaged(&self.options.dir, e))
    }

    fn fetch(
        &mut self,
        release: &Release,
        staging: &Path,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Staged, UpdateError> {
        let staged = self.bring(release, staging, on_progress);
        staged.inspect_err(|e| cache::mark_if_damaged(&self.options.dir, e))
    }

    fn prefetch(&mut self, installed: &Version, on_progress: &mut OnProgress<'_>) -> Result<(), UpdateError> {
        let Some(found) = self.found.clone().filter(|f| f.version == *installed) else { return Ok(()) };
        let whole = self.link.store.user_data(WHOLE).map_err(store_error)?;
        if whole.as_deref() == Some(installed.to_string().as_bytes()) {
            return Ok(());
        }
        let mut fetching =
            Fetching::new(&self.link, on_progress, self.options.patience, found.received_before);
        let (_, needs, _) = self.gather(&mut fetching, &found, None, None)?;
        self.keep_only(&found, &needs)
    }

    fn terms(&self) -> Terms {
        self.rules.terms.clone()
    }

    fn guidance(&mut self) -> Option<Guidance> {
        self.rules.take()
    }

    fn rest(&mut self, rests: bool) {
        self.link.drive.mirrors().rest(rests);
        if rests {
            self.link.node.suspend();
        } else {
            self.link.node.resume();
        }
    }

    fn conflicts(&mut self) -> Vec<Conflict> {
        self.link.conflicts(&mut self.told)
    }

    fn tidy(&mut self, staging: &Path) {
        write::clean(staging, staging);
    }

    fn settle(&mut self) {
        let Some((found, needs, staging, folder)) = self.unsettled.take() else { return };
        write::clean(&staging, &folder);
        // Only room and time are lost when it fails, and the next fetch tries again.
        let _ = self.keep_only(&found, &needs);
        cache::forget_damaged(&self.options.dir);
    }

    fn on_news(&mut self, notify: Box<dyn Fn() + Send + Sync>) -> bool {
        self.link.on_news(notify)
    }
}

impl P2pSource {
    fn newest(&mut self, installed: &Version) -> Result<Option<Release>, UpdateError> {
        self.rules.begin();
        let Some(found) = self.look()? else { return Ok(None) };
        let newer = crate::release::newer(&found.version, installed);
        self.found = Some(found.clone());
        let fork = self.link.db().core().head().fork;
        let mut quiet = self.quiet();
        let mut fetching =
            Fetching::new(&self.link, &mut quiet, self.options.patience, found.received_before);
        let head = Newest { fork, length: found.length, tree_hash: found.id.0 };
        let of = (&found.version, found.length, head);
        let ruled = rules::judge(&mut self.rules, &mut fetching, &self.options, of, installed)?;
        let Some((version, length)) = ruled.chosen.filter(|_| newer) else { return Ok(None) };
        let id = match length == found.length {
            true => found.id,
            false => ReleaseId(self.link.db().core().head_at(length).map_err(store_error)?.tree_hash()),
        };
        let db = CoreSource::cut(self.link.db().core(), length);
        plan::find_name(&mut fetching, &db, length, &self.options.name, &self.options.platform)?;
        let notes = match ruled.notes {
            None => package::notes(&mut fetching, &db, length, &version)?,
            notes => notes,
        };
        let origin = PearLink::verlink(self.link.link.key, fork, length).to_string();
        Ok(Some(Release { version, id, origin, notes, size: None }))
    }

    fn bring(
        &mut self,
        release: &Release,
        staging: &Path,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Staged, UpdateError> {
        let found = self.recall(release)?;
        let mut fetching =
            Fetching::new(&self.link, on_progress, self.options.patience, found.received_before);
        let installed = self.options.version.clone();
        let (plan, needs, source) = self.gather(&mut fetching, &found, installed.as_ref(), Some(staging))?;
        let folder = write::folder_of(staging, &release.id.0);
        let (path, contents) =
            write::write(&mut fetching, (self.link.need_blobs()?, &source), &plan, &folder)?;
        fetching.is_here(needs.bytes);
        fetching.tell_now()?;
        let size = Some(needs.bytes);
        self.unsettled = Some((found, needs, staging.to_owned(), folder));
        let release = Release { size, ..release.clone() };
        Ok(Staged { release, path, contents })
    }
}
