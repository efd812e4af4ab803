//! A drive at one version, read block by block from the store, and from peers where the store lacks something.

use super::context::Context;
use crate::engine::drive::{CoreSource, DriveCores, drive_error};
use crate::engine::info::{Opened, check_version};
use crate::engine::store_error;
use crate::engine::wait::{core_failed, stopped, timed_out, update, wait_block};
use crate::error::{CommandError, ErrorKind};
use bosc_format::crypto::Hash;
use bosc_format::link::PearLink;
use bosc_node::{Download, LiveCore, TICK};
use bosc_store::Core;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Blocks asked for ahead of the one that is needed.
pub(super) const AHEAD: usize = 512;
/// Blocks in one download.
const AT_ONCE: usize = 256 * 1024;

/// Which of a drive's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Db,
    Blobs,
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Db => "metadata",
            Self::Blobs => "blobs",
        }
    }
}

/// A drive at one version.
pub(super) struct Side<'a> {
    pub(super) cx: &'a Context<'a>,
    link: PearLink,
    pub(super) drive: DriveCores,
    /// Length of the db at this version.
    pub(super) length: u64,
    blobs: RefCell<Option<Core>>,
    /// Length of the blobs at this version, once it is known.
    pub(super) blobs_length: Cell<u64>,
    opened: RefCell<Option<Opened>>,
}

impl<'a> Side<'a> {
    /// Opens the version a link names: from this store when it is here, else from peers. Length 0 is the newest.
    pub(super) fn open(cx: &'a Context<'a>, link: &PearLink) -> Result<Self, CommandError> {
        let drive = cx.engine.open_drive(link)?;
        let version = link.version.ok_or_else(|| CommandError::input("the link has no version"))?;
        let head = drive.db.head();
        let here = drive.db.manifest().is_some()
            && version.length > 0
            && head.length >= version.length
            && head.fork == version.fork;
        let mut opened = None;
        if !here {
            opened = Some(cx.engine.open_fresh(link, cx.timeout, cx.stop)?);
        }
        check_version(link, &drive)?;
        let length = if version.length > 0 { version.length } else { drive.db.length() };
        if length == 0 {
            return Err(CommandError::not_found("the source holds nothing yet")
                .hint("stage something to it first with `bosc stage <link> <dir>`"));
        }
        let blobs = drive.blobs(cx.engine)?;
        let side = Self {
            cx,
            link: link.clone(),
            drive,
            length,
            blobs: RefCell::new(blobs),
            blobs_length: Cell::new(0),
            opened: RefCell::new(opened),
        };
        if let Some(hash) = link.hash.filter(|_| version.length > 0)
            && side.tree_hash(Which::Db, length)? != hash
        {
            return Err(CommandError::new(
                ErrorKind::Integrity,
                "ERR_HASH_MISMATCH",
                "the drive's content at this version is not what the link names",
            )
            .hint("do not use the link; ask whoever gave it for the right one"));
        }
        Ok(side)
    }

    /// A version of a drive that is all in this store.
    pub(super) fn local(cx: &'a Context<'a>, drive: &DriveCores, blobs: &Core, length: u64, to: u64) -> Self {
        Self {
            cx,
            link: PearLink::new(*drive.key()),
            drive: drive.clone(),
            length,
            blobs: RefCell::new(Some(blobs.clone())),
            blobs_length: Cell::new(to),
            opened: RefCell::new(None),
        }
    }

    /// The db, cut to this version.
    pub(super) fn db(&self) -> CoreSource {
        CoreSource::cut(&self.drive.db, self.length)
    }

    pub(super) fn core(&self, which: Which) -> Result<Core, CommandError> {
        match which {
            Which::Db => Ok(self.drive.db.clone()),
            Which::Blobs => {
                let mut blobs = self.blobs.borrow_mut();
                if blobs.is_none() {
                    *blobs = self.drive.blobs(self.cx.engine)?;
                }
                blobs.clone().ok_or_else(|| CommandError::failed("the drive's manifest is not known"))
            }
        }
    }

    /// How long the blobs are at this version.
    pub(super) fn set_blobs_length(&self, length: u64) {
        self.blobs_length.set(length);
    }

    /// Goes to the network, if it was not there yet, and gives the core on it. `None`: nobody else has this core,
    /// because it is written here.
    fn live(&self, which: Which) -> Result<Option<LiveCore>, CommandError> {
        let mut opened = self.opened.borrow_mut();
        let opened = match &mut *opened {
            Some(opened) => opened,
            none => none.insert(self.cx.engine.open_fresh(&self.link, self.cx.timeout, self.cx.stop)?),
        };
        if which == Which::Db {
            return Ok(opened.db.clone());
        }
        if opened.blobs.is_none()
            && let Some(node) = &opened.node
        {
            opened.blobs = Some(node.attach(&self.core(Which::Blobs)?));
        }
        Ok(opened.blobs.clone())
    }

    /// Asks whether a core is `length` long by now, for a while.
    pub(super) fn look(&self, which: Which, length: u64, patience: Duration) -> Result<(), CommandError> {
        if let Some(live) = self.live(which)? {
            let node = self.cx.engine.node()?;
            update(&node, &live, length, patience, self.cx.stop)?;
        }
        Ok(())
    }

    /// Waits until a core is known to be `length` long.
    pub(super) fn reach(&self, which: Which, length: u64) -> Result<(), CommandError> {
        if self.core(which)?.length() >= length {
            return Ok(());
        }
        let missing = || drive_error(bosc_drive::Error::Missing(length.saturating_sub(1)));
        let live = self.live(which)?.ok_or_else(missing)?;
        let node = self.cx.engine.node()?;
        update(&node, &live, length, self.cx.timeout, self.cx.stop)?;
        let status = live.status();
        if status.length < length { Err(timed_out(&status)) } else { Ok(()) }
    }

    /// Has all of these blocks here. `tell` makes the events of progress.
    fn get(&self, which: Which, mut blocks: Vec<u64>, tell: &dyn Fn(&Core)) -> Result<(), CommandError> {
        let core = self.core(which)?;
        let mut failure = None;
        blocks.retain(|b| {
            !core.has(*b).unwrap_or_else(|e| {
                failure = Some(e);
                true
            })
        });
        if let Some(e) = failure {
            return Err(store_error(e));
        }
        let Some(last) = blocks.iter().max().copied() else { return Ok(()) };
        self.reach(which, last.saturating_add(1))?;
        let missing = || drive_error(bosc_drive::Error::Missing(last));
        let live = self.live(which)?.ok_or_else(missing)?;
        for part in blocks.chunks(AT_ONCE) {
            let handle = live.download(Download::list(part.to_vec()));
            let mut seen = (live.status().downloaded_blocks, Instant::now());
            let waited = live.signal().wait(None, TICK, || {
                if self.cx.stop.is_stopped() {
                    return Some(Err(stopped()));
                }
                let status = live.status();
                if let Some(why) = &status.failed {
                    return Some(Err(core_failed(why)));
                }
                tell(&core);
                if handle.is_done() {
                    return Some(Ok(()));
                }
                if status.downloaded_blocks != seen.0 {
                    seen = (status.downloaded_blocks, Instant::now());
                }
                (seen.1.elapsed() > self.cx.timeout).then(|| Err(timed_out(&status)))
            });
            waited.unwrap_or_else(|| Err(stopped()))?;
        }
        Ok(())
    }

    fn tell_stats(&self, which: Which, wanted: usize) {
        let Ok(Some(live)) = self.live(which) else { return };
        self.cx.progress("stats", || {
            let s = live.status();
            json!({
                "type": which.name(),
                "link": self.drive.plain_link(),
                "peers": s.peers.len(),
                "driveLength": self.length,
                "wanted": wanted,
                "download": { "bytes": s.downloaded_bytes, "blocks": s.downloaded_blocks,
                              "totalBytes": s.downloaded_bytes },
                "upload": { "bytes": s.uploaded_bytes, "blocks": s.uploaded_blocks,
                            "totalBytes": s.uploaded_bytes },
            })
        });
    }

    pub(super) fn get_with_stats(&self, which: Which, blocks: Vec<u64>) -> Result<(), CommandError> {
        let wanted = blocks.len();
        self.get(which, blocks, &|_| self.tell_stats(which, wanted))
    }

    /// Has the first `length` blocks of a core here.
    pub(super) fn sync(&self, which: Which, length: u64, tell: &dyn Fn(u64)) -> Result<(), CommandError> {
        self.reach(which, length)?;
        let core = self.core(which)?;
        while let Some(start) = core.first_missing(0, length).map_err(store_error)? {
            let end = length.min(start.saturating_add(AT_ONCE as u64));
            self.get(which, (start..end).collect(), &|core| tell(core.contiguous_length().min(length)))?;
        }
        tell(length);
        Ok(())
    }

    /// The tree hash a core had at `length` blocks.
    pub(super) fn tree_hash(&self, which: Which, length: u64) -> Result<Hash, CommandError> {
        self.reach(which, length)?;
        let core = self.core(which)?;
        let here = || match core.head_at(length) {
            Ok(head) => Ok(Some(head.tree_hash())),
            Err(bosc_store::Error::NotFound(_)) => Ok(None),
            Err(e) => Err(store_error(e)),
        };
        if let Some(hash) = here()? {
            return Ok(hash);
        }
        // The block behind comes with what it takes, unless half of it was here before.
        if length < core.length() {
            self.get_with_stats(which, vec![length])?;
            if let Some(hash) = here()? {
                return Ok(hash);
            }
        }
        self.sync(which, length, &|_| {})?;
        here()?.ok_or_else(|| CommandError::failed("the tree of the drive is not complete on this machine"))
    }

    /// Repeats `op` until it has the db blocks it needs.
    pub(super) fn with_db<T>(
        &self,
        mut op: impl FnMut() -> Result<T, bosc_drive::Error>,
    ) -> Result<T, CommandError> {
        loop {
            match op() {
                Ok(value) => return Ok(value),
                Err(e) => {
                    let Some(block) = e.missing() else { return Err(drive_error(e)) };
                    self.db_block(block, Vec::new())?;
                }
            }
        }
    }

    pub(super) fn db_block(&self, block: u64, ahead: Vec<u64>) -> Result<(), CommandError> {
        let missing = || drive_error(bosc_drive::Error::Missing(block));
        let live = self.live(Which::Db)?.ok_or_else(missing)?;
        self.cx.check_stop()?;
        if !ahead.is_empty() {
            live.want(ahead);
        }
        self.tell_stats(Which::Db, 1);
        wait_block(&live, block, self.cx.timeout, self.cx.stop)
    }
}
