//! A drive on the network, and who holds all of it.

use super::Engine;
use super::drive::{CoreSource, DriveCores};
use super::topics::Topic;
use super::wait::core_failed;
use crate::command::{Sink, Stop};
use crate::error::CommandError;
use bosc_drive::drive::Drive;
use bosc_format::id;
use bosc_node::{CoreStatus, LiveCore, Node, TICK};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often peers are looked for again while too few are there.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A drive whose cores are live, on a joined topic.
pub(super) struct Watched {
    pub(super) node: Arc<Node>,
    pub(super) drive: DriveCores,
    pub(super) db: LiveCore,
    pub(super) blobs: Option<LiveCore>,
    _topic: Topic,
}

/// What peers hold of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Copies {
    /// Peers that hold both cores whole.
    pub(super) full: BTreeSet<[u8; 32]>,
    /// Peers that have the drive at all.
    pub(super) peers: usize,
}

impl Watched {
    /// Joins the drive's topic; as `server` also lets itself be found.
    pub(super) fn join(engine: &Engine, drive: DriveCores, server: bool) -> Result<Self, CommandError> {
        let node = engine.node()?;
        let db = node.attach(&drive.db);
        let topic = engine.join_topic(&node, *drive.db.discovery_key(), server);
        let mut watched = Self { node, drive, db, blobs: None, _topic: topic };
        watched.find_blobs(engine)?;
        Ok(watched)
    }

    /// The blobs core's key follows from the db's manifest, which may come from a peer first.
    pub(super) fn find_blobs(&mut self, engine: &Engine) -> Result<(), CommandError> {
        if self.blobs.is_none()
            && let Some(core) = self.drive.blobs(engine)?
        {
            self.blobs = Some(self.node.attach(&core));
        }
        Ok(())
    }

    pub(super) fn topic(&self) -> [u8; 32] {
        *self.drive.db.discovery_key()
    }

    pub(super) fn status(&self) -> (CoreStatus, CoreStatus) {
        (self.db.status(), self.blobs.as_ref().map(LiveCore::status).unwrap_or_default())
    }

    /// How long the blobs core must be for the files of the db; `None` while the db is not all here.
    pub(super) fn blobs_needed(&self) -> Option<u64> {
        let db = &self.drive.db;
        match db.length() {
            0 => Some(0),
            length if db.contiguous_length() < length => None,
            _ => Some(Drive::new(CoreSource::new(db)).blobs_length().unwrap_or(0)),
        }
    }

    /// Who holds everything, as far as they told. `None` for `needed` counts nobody.
    pub(super) fn copies(&self, needed: Option<u64>) -> Copies {
        let (db, blobs) = self.status();
        let whole = |s: &CoreStatus, key: &[u8; 32]| {
            s.peers.iter().any(|p| p.key == *key && p.fork == s.fork && p.contiguous_length >= s.length)
        };
        let known = db.length > 0 && needed.is_some_and(|n| blobs.length >= n);
        let full = db
            .peers
            .iter()
            .map(|p| p.key)
            .filter(|k| known && whole(&db, k) && (blobs.length == 0 || whole(&blobs, k)))
            .collect();
        Copies { full, peers: db.peers.len() }
    }
}

impl Engine {
    /// Seeds a drive that is whole here until `wanted` others hold it, `wait` is over, or it is stopped. How many hold it.
    pub(super) fn seed_until(
        &self,
        drive: DriveCores,
        wanted: usize,
        wait: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<usize, CommandError> {
        sink.event("seeding", json!({ "key": id::encode(drive.key()), "link": drive.plain_link() }));
        let watched = Watched::join(self, drive, true)?;
        let (topic, needed) = (watched.topic(), watched.blobs_needed());
        let deadline = Instant::now() + wait;
        let (mut announced, mut told, mut looked) = (false, None, Instant::now());
        loop {
            let (db, blobs) = watched.status();
            if let Some(why) = db.failed.as_ref().or(blobs.failed.as_ref()) {
                return Err(core_failed(why));
            }
            if !announced && watched.node.is_flushed(&topic) && watched.node.status().listening {
                announced = true;
                sink.event("announced", Value::Null);
            }
            let copies = watched.copies(needed);
            if told.as_ref() != Some(&copies) {
                sink.event(
                    "copies",
                    json!({
                        "full": copies.full.len(),
                        "wanted": wanted,
                        "peers": copies.peers,
                        "length": db.length,
                        "uploadedBytes": db.uploaded_bytes + blobs.uploaded_bytes,
                    }),
                );
                told = Some(copies.clone());
            }
            if copies.full.len() >= wanted || stop.is_stopped() || Instant::now() >= deadline {
                return Ok(copies.full.len());
            }
            if copies.peers < wanted && looked.elapsed() >= LOOK_AGAIN && watched.node.is_flushed(&topic) {
                looked = Instant::now();
                watched.node.refresh(topic);
            }
            watched.node.signal().wait(Some(Instant::now() + TICK), TICK, || {
                (stop.is_stopped() || watched.copies(needed) != copies).then_some(())
            });
        }
    }
}
