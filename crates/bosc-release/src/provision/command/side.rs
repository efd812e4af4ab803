//! A drive at one version, read block by block from the store, and from peers where the store lacks something.

use super::context::Context;
use crate::engine::drive::{CoreSource, DriveCores, drive_error};
use crate::engine::errors::store_error;
use crate::engine::follow::{reading, timed_out, update};
use crate::engine::open::Opened;
use crate::error::{CommandError, ErrorKind};
use crate::provision::{Moved, ProvisionEvent, ProvisionStats, Which};
use bosc_follow::{Fetch, FollowedCore, Wait};
use bosc_format::crypto::Hash;
use bosc_format::link::PearLink;
use bosc_store::Core;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Least time between two looks at what to tell.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Blocks in one download.
const AT_ONCE: usize = 256 * 1024;

/// A drive at one version.
pub(crate) struct DriveAt<'a> {
    pub(crate) cx: &'a Context<'a>,
    link: PearLink,
    pub(crate) drive: DriveCores,
    /// Length of the db at this version.
    pub(crate) length: u64,
    /// The db's fork at this version.
    fork: u64,
    blobs: RefCell<Option<Core>>,
    /// Length of the blobs at this version, once it is known.
    pub(crate) blobs_length: Cell<u64>,
    opened: RefCell<Option<Opened>>,
}

impl<'a> DriveAt<'a> {
    /// Opens the version a link names: from this store when it is here, else from peers. Length 0 is the newest.
    pub(crate) fn open(cx: &'a Context<'a>, link: &PearLink) -> Result<Self, CommandError> {
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
        drive.check_link(link)?;
        let length = if version.length > 0 { version.length } else { drive.db.length() };
        // The first block is a drive's header.
        if length <= 1 {
            return Err(CommandError::not_found("the source holds nothing yet")
                .hint("stage something to it first with `bosc stage <link> <dir>`"));
        }
        let blobs = drive.blobs()?;
        let fork = drive.db.head().fork;
        let side = Self {
            cx,
            link: link.clone(),
            drive,
            length,
            fork,
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
    pub(crate) fn local(cx: &'a Context<'a>, drive: &DriveCores, blobs: &Core, length: u64, to: u64) -> Self {
        Self {
            cx,
            link: PearLink::new(*drive.key()),
            drive: drive.clone(),
            length,
            fork: drive.db.head().fork,
            blobs: RefCell::new(Some(blobs.clone())),
            blobs_length: Cell::new(to),
            opened: RefCell::new(None),
        }
    }

    /// The db, cut to this version.
    pub(crate) fn db(&self) -> CoreSource {
        CoreSource::cut(&self.drive.db, self.length).of_fork(self.fork)
    }

    /// The blobs, for what entries of this version name.
    pub(crate) fn contents(&self) -> Result<CoreSource, CommandError> {
        Ok(self.db().contents(&self.core(Which::Blobs)?))
    }

    /// Whether a core can be read as it is here: blobs may be of a history before the db's.
    fn is_ready(&self, which: Which) -> Result<bool, CommandError> {
        let source = match which {
            Which::Db => self.db(),
            Which::Blobs => self.contents()?,
        };
        source.is_ready().map_err(|e| drive_error(e.into()))
    }

    pub(crate) fn core(&self, which: Which) -> Result<Core, CommandError> {
        match which {
            Which::Db => Ok(self.drive.db.clone()),
            Which::Blobs => {
                let mut blobs = self.blobs.borrow_mut();
                if blobs.is_none() {
                    *blobs = self.drive.blobs()?;
                }
                blobs.clone().ok_or_else(|| CommandError::failed("the drive's manifest is not known"))
            }
        }
    }

    /// How long the blobs are at this version.
    pub(crate) fn set_blobs_length(&self, length: u64) {
        self.blobs_length.set(length);
    }

    /// Goes to the network, if it was not there yet, and gives the core on it. `None`: nobody else has this core,
    /// because it is written here.
    fn live(&self, which: Which) -> Result<Option<FollowedCore>, CommandError> {
        let mut opened = self.opened.borrow_mut();
        let opened = match &mut *opened {
            Some(opened) => opened,
            none => none.insert(self.cx.engine.open_fresh(&self.link, self.cx.timeout, self.cx.stop)?),
        };
        match which {
            Which::Db => Ok(opened.db().cloned()),
            Which::Blobs => Ok(opened.blobs()?.cloned()),
        }
    }

    /// Asks whether a core is `length` long by now, for a while.
    pub(crate) fn look(&self, which: Which, length: u64, patience: Duration) -> Result<(), CommandError> {
        if let Some(live) = self.live(which)? {
            update(&live, length, patience, self.cx.stop)?;
        }
        Ok(())
    }

    /// Waits until a core is known to be `length` long.
    pub(crate) fn reach(&self, which: Which, length: u64) -> Result<(), CommandError> {
        if self.core(which)?.length() >= length && self.is_ready(which)? {
            return Ok(());
        }
        let missing = || drive_error(bosc_drive::Error::Missing(length.saturating_sub(1)));
        let live = self.live(which)?.ok_or_else(missing)?;
        update(&live, length, self.cx.timeout, self.cx.stop)?;
        let status = live.status();
        if status.length < length {
            return Err(timed_out(&status));
        }
        // Long enough, and perhaps of another history still.
        Ok(live.longer(length, &mut Wait::new(self.cx.stop).timeout(self.cx.timeout))?)
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
        let mut tell = || {
            tell(&core);
            !self.cx.stop.is_stopped()
        };
        let mut wait = Wait::new(self.cx.stop).stall(self.cx.timeout).tell(TELL_EVERY, &mut tell);
        for part in blocks.chunks(AT_ONCE) {
            live.blocks(part.to_vec(), &mut wait)?;
        }
        Ok(())
    }

    fn tell_stats(&self, which: Which, wanted: usize) {
        let Ok(Some(live)) = self.live(which) else { return };
        self.cx.progress(|| {
            let s = live.status();
            let moved = |bytes, blocks| Moved { bytes, blocks, total_bytes: bytes };
            ProvisionEvent::Stats(ProvisionStats {
                core: which,
                link: self.drive.plain_link(),
                peers: s.peers.len(),
                drive_length: self.length,
                wanted,
                download: moved(s.downloaded_bytes, s.downloaded_blocks),
                upload: moved(s.uploaded_bytes, s.uploaded_blocks),
            })
        });
    }

    pub(crate) fn get_with_stats(&self, which: Which, blocks: Vec<u64>) -> Result<(), CommandError> {
        let wanted = blocks.len();
        self.get(which, blocks, &|_| self.tell_stats(which, wanted))
    }

    /// Has the first `length` blocks of a core here.
    pub(crate) fn sync(&self, which: Which, length: u64, tell: &dyn Fn(u64)) -> Result<(), CommandError> {
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
    pub(crate) fn tree_hash(&self, which: Which, length: u64) -> Result<Hash, CommandError> {
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

    /// Reads one of the cores, going to the network when something is missing.
    pub(crate) fn reading(&self, which: Which) -> ReadingAt<'_, 'a> {
        ReadingAt { drive: self, which }
    }
}

/// A core of a drive at a version, as it is read.
pub(crate) struct ReadingAt<'d, 'a> {
    drive: &'d DriveAt<'a>,
    which: Which,
}

impl Fetch for ReadingAt<'_, '_> {
    type Error = CommandError;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), CommandError> {
        let Self { drive, which } = *self;
        drive.reach(which, block.saturating_add(1))?;
        let live = drive.live(which)?;
        drive.cx.check_stop()?;
        drive.tell_stats(which, 1);
        reading(live.as_ref(), drive.cx.timeout, drive.cx.stop).fetch(block, ahead)
    }
}
