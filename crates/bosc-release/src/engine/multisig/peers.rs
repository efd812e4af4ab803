//! A drive's two cores on the network, and waits that end.

use crate::command::{Sink, Stop};
use crate::engine::drive::DriveCores;
use crate::engine::topics::Topic;
use crate::engine::wait::{core_failed, stopped, timed_out};
use crate::engine::{Engine, store_error};
use crate::error::CommandError;
use crate::multisig::FULL_COPIES;
use bosc_format::crypto::Hash;
use bosc_format::merkle::Head;
use bosc_node::{CoreStatus, Download, LiveCore, Node, TICK};
use bosc_store::Core;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon, and at most how rarely, peers are looked for again during a wait.
const LOOK_FIRST: Duration = Duration::from_millis(500);
const LOOK_RARELY: Duration = Duration::from_secs(30);
/// How long a download may stand still.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// Least time between two events of progress.
const PROGRESS: Duration = Duration::from_millis(250);

/// One core of a drive, by the name errors use.
pub(super) type Named<'a> = (&'static str, &'a LiveCore);

/// A drive that peers are asked about.
pub(super) struct Side {
    pub(super) db: LiveCore,
    pub(super) blobs: Option<LiveCore>,
    node: Arc<Node>,
    topic: [u8; 32],
    _joined: Topic,
}

impl Side {
    /// Starts looking for peers of a drive. As `server` it is also offered to others.
    pub(super) fn open(
        engine: &Engine,
        db: &Core,
        blobs: Option<&Core>,
        server: bool,
    ) -> Result<Self, CommandError> {
        let node = engine.node()?;
        let topic = *db.discovery_key();
        let joined = engine.join_topic(&node, topic, server);
        Ok(Self { db: node.attach(db), blobs: blobs.map(|b| node.attach(b)), node, topic, _joined: joined })
    }

    /// Takes the blobs core in, once the db's manifest is known.
    pub(super) fn find_blobs(&mut self, engine: &Engine, drive: &DriveCores) -> Result<bool, CommandError> {
        if self.blobs.is_none()
            && let Some(core) = drive.blobs(engine)?
        {
            self.blobs = Some(self.node.attach(&core));
        }
        Ok(self.blobs.is_some())
    }

    /// Whether the first search for peers is over.
    pub(super) fn searched(&self) -> bool {
        self.node.is_flushed(&self.topic)
    }

    /// Waits until `ready` answers or the time is over, looking for peers again now and then.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        stop: &Stop,
        mut ready: impl FnMut() -> Result<Option<T>, CommandError>,
    ) -> Result<Option<T>, CommandError> {
        let deadline = Instant::now().checked_add(timeout);
        let (mut looked, mut pause) = (Instant::now(), LOOK_FIRST);
        let outcome = self.node.signal().wait(deadline, TICK, || {
            if stop.is_stopped() {
                return Some(Err(stopped()));
            }
            for live in [Some(&self.db), self.blobs.as_ref()].into_iter().flatten() {
                if let Some(why) = &live.status().failed {
                    return Some(Err(core_failed(why)));
                }
            }
            match ready() {
                Ok(Some(value)) => return Some(Ok(value)),
                Err(e) => return Some(Err(e)),
                Ok(None) => {}
            }
            if looked.elapsed() >= pause && self.searched() {
                looked = Instant::now();
                pause = (pause * 2).min(LOOK_RARELY);
                self.node.refresh(self.topic);
            }
            None
        });
        outcome.transpose()
    }

    /// Waits until a core is at least so long. `false` when the time is over.
    pub(super) fn until_length(
        &self,
        core: &LiveCore,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let got = self.wait(timeout, stop, || Ok((core.status().length >= length).then_some(())))?;
        Ok(got.is_some())
    }

    /// Waits until [`FULL_COPIES`] peers hold the first `length` blocks of a core. Returns how many peers there are and how many
    /// hold them, whatever the numbers are when the time is over.
    pub(super) fn until_copies(
        &self,
        (name, core): Named<'_>,
        length: u64,
        timeout: Duration,
        what: &str,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(usize, usize), CommandError> {
        let mut told = None;
        self.wait(timeout, stop, || {
            let status = core.status();
            let now = (status.peers.len(), copies(&status, length));
            if now.1 >= FULL_COPIES {
                return Ok(Some(()));
            }
            if told != Some(now) {
                told = Some(now);
                sink.event(
                    "waiting",
                    json!({ "for": what, "core": name, "peers": now.0, "fullCopies": now.1, "need": FULL_COPIES }),
                );
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
        core: &LiveCore,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let learned = self.wait(timeout, stop, || {
            let s = core.status();
            let behind = s.peers.iter().any(|p| p.fork > s.fork || (p.fork == s.fork && p.length > s.length));
            let told = !s.peers.is_empty() && s.peers.iter().all(|p| p.synced);
            Ok((told && !behind && self.searched()).then_some(()))
        })?;
        // Whoever has nothing cannot know that there is nothing.
        let told = core.status().peers.iter().any(|p| p.synced && p.length > 0);
        Ok(told || (learned.is_some() && core.core().length() > 0))
    }

    /// Waits until the first search is over, and whoever was found has told what there is. Nobody is an answer too.
    pub(super) fn until_searched(
        &self,
        core: &LiveCore,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        self.wait(timeout, stop, || {
            let s = core.status();
            let told = s.peers.iter().all(|p| p.synced && (p.fork, p.length) <= (s.fork, s.length));
            Ok((self.searched() && told).then_some(()))
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
        let core = live.core();
        if core.first_missing(start, end).map_err(store_error)?.is_none() {
            return Ok(());
        }
        let handle = live.download(Download::range(start, end));
        let mut moved = (live.status().downloaded_blocks, Instant::now());
        let mut told: Option<Instant> = None;
        let done = self.wait(Duration::from_secs(86_400 * 30), stop, || {
            if handle.is_done() {
                return Ok(Some(()));
            }
            let s = live.status();
            if s.downloaded_blocks != moved.0 {
                moved = (s.downloaded_blocks, Instant::now());
            }
            if moved.1.elapsed() > STALL {
                return Err(timed_out(&s));
            }
            if told.is_none_or(|t| t.elapsed() >= PROGRESS) {
                told = Some(Instant::now());
                sink.event(
                    "download",
                    json!({ "core": name, "blocks": s.downloaded_blocks, "bytes": s.downloaded_bytes, "of": end - start }),
                );
            }
            Ok(None)
        })?;
        done.ok_or_else(|| timed_out(&live.status()))
    }

    /// A core's head as it was at `length`, fetching the nodes it takes.
    pub(super) fn head_at(&self, live: &LiveCore, length: u64, stop: &Stop) -> Result<Head, CommandError> {
        if let Some(head) = known_head(live.core(), length) {
            return Ok(head);
        }
        // The proof of the last block below brings every root of the shorter tree.
        if length > 0 {
            crate::engine::wait::wait_block(live, length - 1, STALL, stop)?;
        }
        live.core().head_at(length).map_err(store_error)
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
    status.peers.iter().filter(|p| p.fork == status.fork && p.contiguous_length >= length).count()
}
