//! A drive's two cores on the network, and waits that end.

use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::conflict::{Conflicts, forked_now};
use crate::error::CommandError;
use crate::multisig::FULL_COPIES;
use crate::multisig::event::{CopiesOf, MultisigEvent, Waiting};
use bosc_follow::CoreName;
use bosc_follow::vouch::{is_told, is_uncompared};
use bosc_follow::{Alarm, FollowedCore, FollowedDrive, Wait};
use bosc_format::crypto::Hash;
use bosc_format::merkle::Head;
use bosc_node::CoreStatus;
use bosc_store::Core;
use std::time::{Duration, Instant};

/// How long a download may stand still.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// How long the first search for peers may take before those it found are all there is.
const SEARCH: Duration = Duration::from_secs(20);
/// How long is waited, once those who were found have told their length, for one that has any of it, and for proofs that
/// it is of our history.
const COMPARE: Duration = Duration::from_secs(2);
/// Least time between two events of progress.
const PROGRESS: Duration = Duration::from_millis(250);

/// One core of a drive, by the name errors use.
pub(super) type Named<'a> = (CoreName, &'a FollowedCore);

/// A drive that peers are asked about.
pub(super) struct AskedDrive {
    pub(super) db: FollowedCore,
    pub(super) blobs: Option<FollowedCore>,
    followed: FollowedDrive,
    /// What is written to: another history of it ends every wait.
    pub(super) written: bool,
}

impl AskedDrive {
    /// Starts looking for peers of a drive. As `server` it is also offered to others, and is what is written to.
    pub(super) fn open(engine: &Engine, db: &Core, server: bool) -> Result<Self, CommandError> {
        let followed = engine.follow_drive(&engine.drive_of(db.clone()), server)?;
        let blobs = followed.known_blobs().cloned();
        Ok(Self { db: followed.db().clone(), blobs, followed, written: server })
    }

    /// Takes the blobs core in, once the db's manifest is known.
    pub(super) fn find_blobs(&mut self) -> Result<bool, CommandError> {
        self.blobs = self.followed.blobs()?.cloned();
        Ok(self.blobs.is_some())
    }

    /// Whether the first search for peers is over.
    pub(super) fn searched(&self) -> bool {
        self.followed.topic().is_flushed()
    }

    /// Waits until `ready` answers or the time is over, which begins when the first search for peers is over: how long
    /// that takes says nothing about the peers.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        stop: &Stop,
        mut ready: impl FnMut(&mut Alarm) -> Result<Option<T>, CommandError>,
    ) -> Result<Option<T>, CommandError> {
        let mut ready = |alarm: &mut Alarm| {
            self.check()?;
            ready(alarm)
        };
        let found = self.followed.wait(&mut Wait::new(stop).timeout(SEARCH), |alarm| {
            let found = ready(alarm)?;
            Ok::<_, CommandError>((found.is_some() || self.searched()).then_some(found))
        })?;
        match found.flatten() {
            None => self.followed.wait(&mut Wait::new(stop).timeout(timeout), ready),
            found => Ok(found),
        }
    }

    /// Fails when a peer proved another history of what is written to.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let conflicts = if self.written { self.followed.conflicts() } else { Vec::new() };
        let Some((name, conflict)) = conflicts.first() else { return Ok(()) };
        match self.followed.core(*name) {
            Some(core) => Err(forked_now(self.followed.cores(), name.as_str(), core.core(), conflict)),
            None => Ok(()),
        }
    }

    /// Tells of other histories that peers proved.
    pub(super) fn tell_conflicts(&self, engine: &Engine, sink: &mut dyn Sink) -> Result<(), CommandError> {
        Conflicts::default().tell(engine, &self.followed, sink).map(drop)
    }

    /// Waits until a core is at least so long. `false` when the time is over.
    pub(super) fn until_length(
        &self,
        core: &FollowedCore,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let got = self.wait(timeout, stop, |_| Ok((core.status().length >= length).then_some(())))?;
        Ok(got.is_some())
    }

    /// Waits until [`FULL_COPIES`] peers hold the first `length` blocks of a core. Returns how many peers there are and how many
    /// hold them, whatever the numbers are when the time is over.
    pub(super) fn until_copies(
        &self,
        (name, core): Named<'_>,
        length: u64,
        timeout: Duration,
        whose: CopiesOf,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(usize, usize), CommandError> {
        let mut told = None;
        self.wait(timeout, stop, |_| {
            let status = core.status();
            let now = (status.peers.len(), copies(&status, length));
            if now.1 >= FULL_COPIES {
                return Ok(Some(()));
            }
            if told != Some(now) {
                told = Some(now);
                let (peers, full_copies) = now;
                sink.tell(MultisigEvent::Waiting(Waiting {
                    whose,
                    core: name,
                    peers,
                    full_copies,
                    need: FULL_COPIES,
                }));
            }
            Ok(None)
        })?;
        let status = core.status();
        Ok((status.peers.len(), copies(&status, length)))
    }

    /// Waits until peers have told how long a core is and ours is as long. `false`: nobody told
    /// who has any of it.
    ///
    /// While the search is on it goes on listening, so that a peer that is behind does not speak for all.
    pub(super) fn until_learned(
        &self,
        core: &FollowedCore,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let mut told_at: Option<Instant> = None;
        let learned = self.wait(timeout, stop, |alarm| {
            let s = core.status();
            let behind = s.peers.iter().any(|p| p.fork > s.fork || (p.fork == s.fork && p.length > s.length));
            let told = !s.peers.is_empty() && s.peers.iter().all(|p| p.synced);
            if !(told && !behind && self.searched()) {
                return Ok(None);
            }
            // Whoever has nothing (another commit, a seeder of what comes) may only be the first to be found. And peers of
            // one length may have two histories. Neither holds up the others for long.
            let since = *told_at.get_or_insert_with(|| alarm.now());
            let sure = (s.length > 0 || s.peers.iter().any(|p| p.length > 0)) && !is_uncompared(&s);
            Ok((sure || alarm.has_passed(since, COMPARE)).then_some(()))
        })?;
        // Whoever has nothing cannot know that there is nothing.
        let told = core.status().peers.iter().any(|p| p.synced && p.length > 0);
        Ok(told || (learned.is_some() && core.core().length() > 0))
    }

    /// Waits until the first search is over, and whoever was found has told what there is. Nobody is an answer too.
    pub(super) fn until_searched(
        &self,
        core: &FollowedCore,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        self.wait(timeout, stop, |_| {
            let s = core.status();
            Ok((self.searched() && is_told(&s)).then_some(()))
        })
        .map(drop)
    }

    /// Fetches blocks `start..end` of a core.
    pub(super) fn fetch(
        &self,
        (name, live): Named<'_>,
        start: u64,
        end: u64,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let mut tell = || {
            let s = live.status();
            sink.tell(MultisigEvent::Download {
                core: name,
                blocks: s.downloaded_blocks,
                bytes: s.downloaded_bytes,
                of: end - start,
            });
            self.check().is_ok() && !stop.is_stopped()
        };
        let done = live.range(start..end, &mut Wait::new(stop).stall(STALL).tell(PROGRESS, &mut tell));
        self.check()?;
        Ok(done?)
    }

    /// A core's head as it was at `length`, fetching the nodes it takes.
    pub(super) fn head_at(
        &self,
        live: &FollowedCore,
        length: u64,
        stop: &Stop,
    ) -> Result<Head, CommandError> {
        Ok(live.head_at(length, &mut Wait::new(stop).stall(STALL))?)
    }
}

/// A core's head at a length, when all its nodes are here.
pub(super) fn known_head(core: &Core, length: u64) -> Option<Head> {
    if length > core.length() { None } else { core.head_at(length).ok() }
}

/// A core's tree hash at a length, when all its nodes are here.
pub(super) fn known_hash(core: &Core, length: u64) -> Option<Hash> {
    known_head(core, length).map(|h| h.tree_hash())
}

/// How many peers hold the first `length` blocks.
pub(super) fn copies(status: &CoreStatus, length: u64) -> usize {
    status.peers.iter().filter(|p| p.holds(status.fork, length)).count()
}
