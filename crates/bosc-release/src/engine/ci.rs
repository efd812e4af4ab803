//! Writing on a link from a machine that has only its primary key: learning the newest head before, keeping it after.
//!
//! ```text
//! mirror restored --> peers asked --> quiet (with a mirror) --> [staged] --> mirror saved --> [seeded] --> snapshot
//! ```
//!
//! The newest head is known when
//! * the first discovery is over, so that every peer that can be found was tried, and all that are connected told
//!   their length;
//! * nobody is ahead, in fork or length, and all blocks up to the head are here;
//! * it is not below the snapshot;
//! * and someone vouches for it: a peer that holds whole what it has of both cores, or the mirror. With `--first`
//!   nobody may have anything.
//!
//! "Quiet" ends the node before the release is signed, when no other command uses it: peers see the new head only once
//! the mirror has it.

use super::copies::Watched;
use super::drive::DriveCores;
use super::shared::SharedKey;
use super::wait::{core_failed, stopped, timed_out};
use super::{Engine, not_writable, store_error};
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::publish::Ci;
use crate::publish::mirror::Mirror;
use crate::publish::rules;
use crate::publish::snapshot::Snapshot;
use bosc_node::{CoreStatus, Download, TICK};
use bosc_store::Core;
use serde_json::json;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often peers are looked for again while nobody is there.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// What was found out, and what is held until the release is out.
pub(super) struct Learned {
    mirror: Option<Mirror>,
    snapshot: Snapshot,
}

/// How the newest head is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    Peers(usize),
    Mirror,
    Nobody,
}

impl Engine {
    /// Brings the drive to its newest head, or fails. See the module.
    pub(super) fn learn_newest(
        &self,
        drive: &DriveCores,
        ci: &Ci,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Learned, CommandError> {
        let snapshot = match &ci.snapshot {
            Some(path) => Snapshot::read(path)?,
            None => Snapshot::default(),
        };
        let blobs = drive.blobs(self)?.ok_or_else(not_writable)?;
        let before = drive.db.length();
        let mirror = ci.mirror.as_deref().map(Mirror::open).transpose()?;
        let mut mirrored = 0;
        if let Some(mirror) = &mirror {
            // The db last: while it is short, nobody needs the rest of the blobs.
            for core in [&blobs, &drive.db] {
                mirror.restore(&self.store, core)?;
            }
            mirrored = mirror.head(&drive.db)?.1;
            sink.event("mirror", json!({ "length": mirrored, "blobsLength": mirror.head(&blobs)?.1 }));
        }
        let least = (snapshot.length(drive.db.key()), snapshot.length(blobs.key()));
        if ci.first && before == 0 && (mirrored > 0 || least.0 > 0) {
            return Err(published(drive, mirrored.max(least.0)));
        }
        sink.event(
            "learning",
            json!({ "link": drive.plain_link(), "length": drive.db.length(), "atLeast": least.0 }),
        );
        let mut learning = Learning {
            watched: Watched::join(self, DriveCores { db: drive.db.clone() }, false)?,
            blobs,
            ci,
            before,
            least,
            mirrored,
        };
        let witness = learning.run(sink, stop)?;
        self.store.flush().map_err(store_error)?;
        let (kind, peers) = match witness {
            Witness::Peers(n) => ("peers", n),
            Witness::Mirror => ("mirror", 0),
            Witness::Nobody => ("first", 0),
        };
        sink.event(
            "learned",
            json!({ "length": drive.db.length(), "fork": drive.db.head().fork, "from": kind, "peers": peers }),
        );
        drop(learning);
        // Other commands of this store ask peers as well before they write on it.
        let head = drive.db.head();
        let blobs_length = drive.blobs(self)?.map_or(0, |b| b.length());
        SharedKey { fork: head.fork, length: head.length, blobs_length, seed: None }.keep(&drive.db)?;
        if mirror.is_some() {
            self.quiet();
        }
        Ok(Learned { mirror, snapshot })
    }

    /// Ends the node unless another command uses it.
    fn quiet(&self) {
        let mut slot = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = slot.take() {
            match Arc::try_unwrap(node) {
                Ok(node) => node.close(),
                Err(shared) => *slot = Some(shared),
            }
        }
    }

    /// Has the mirror hold the drive. Whether there is one.
    pub(super) fn save_mirror(
        &self,
        drive: &DriveCores,
        learned: &Learned,
        sink: &mut dyn Sink,
    ) -> Result<bool, CommandError> {
        let Some(mirror) = &learned.mirror else { return Ok(false) };
        let blobs = drive.blobs(self)?.ok_or_else(not_writable)?;
        let content = mirror.save(&blobs)?;
        let entries = mirror.save(&drive.db)?;
        sink.event("mirrored", json!({ "length": drive.db.length(), "blocks": content + entries }));
        Ok(true)
    }

    /// Writes how long the link is now.
    pub(super) fn save_snapshot(
        &self,
        drive: &DriveCores,
        ci: &Ci,
        learned: Learned,
        sink: &mut dyn Sink,
    ) -> Result<(), CommandError> {
        let Some(path) = &ci.snapshot else { return Ok(()) };
        let blobs = drive.blobs(self)?.ok_or_else(not_writable)?;
        let mut snapshot = learned.snapshot;
        let namespace = rules::namespace(&ci.name);
        snapshot.set(drive.db.key(), drive.db.length(), Some((&namespace, rules::CORE_NAME)));
        snapshot.set(blobs.key(), blobs.length(), None);
        snapshot.write(path)?;
        sink.event("snapshot", json!({ "file": path, "length": drive.db.length() }));
        Ok(())
    }
}

struct Learning<'a> {
    watched: Watched,
    blobs: Core,
    ci: &'a Ci,
    /// Length of the db here before anything was learned.
    before: u64,
    /// Lengths of the snapshot.
    least: (u64, u64),
    /// Length of the db in the mirror.
    mirrored: u64,
}

impl Learning<'_> {
    fn run(&mut self, sink: &mut dyn Sink, stop: &Stop) -> Result<Witness, CommandError> {
        let patience = Duration::from_millis(self.ci.wait_peers_ms);
        let topic = self.watched.topic();
        let live = [Some(&self.watched.db), self.watched.blobs.as_ref()];
        let _downloads: Vec<_> = live.into_iter().flatten().map(|c| c.download(Download::live())).collect();
        let mut moved = (0, Instant::now());
        let (mut looked, mut told) = (Instant::now(), Instant::now());
        loop {
            if stop.is_stopped() {
                return Err(stopped());
            }
            let (db, blobs) = self.watched.status();
            if let Some(why) = db.failed.as_ref().or(blobs.failed.as_ref()) {
                return Err(core_failed(why));
            }
            let flushed = self.watched.node.is_flushed(&topic);
            if flushed && let Some(witness) = self.witness(&db, &blobs)? {
                return Ok(witness);
            }
            let blocks = db.downloaded_blocks + blobs.downloaded_blocks;
            if blocks != moved.0 {
                moved = (blocks, Instant::now());
                if told.elapsed() > Duration::from_secs(1) {
                    told = Instant::now();
                    sink.event(
                        "fetching",
                        json!({ "link": self.watched.drive.plain_link(), "length": db.length, "blocks": blocks,
                                "bytes": db.downloaded_bytes + blobs.downloaded_bytes }),
                    );
                }
            }
            if moved.1.elapsed() >= patience {
                return self.give_up(&db, &blobs, flushed);
            }
            if db.peers.is_empty() && flushed && looked.elapsed() >= LOOK_AGAIN {
                looked = Instant::now();
                self.watched.node.refresh(topic);
            }
            let seen = (db, blobs);
            self.watched.node.signal().wait(Some(Instant::now() + TICK), TICK, || {
                (stop.is_stopped() || self.watched.status() != seen).then_some(())
            });
        }
    }

    /// Whether all that is known to exist is here, as far as peers told.
    /// `all`: nobody may have told nothing yet.
    fn is_newest(&self, db: &CoreStatus, blobs: &CoreStatus, all: bool) -> bool {
        let level = |s: &CoreStatus| {
            s.peers.iter().all(|p| if p.synced { (p.fork, p.length) <= (s.fork, s.length) } else { !all })
        };
        let whole = |s: &CoreStatus| s.contiguous_length >= s.length;
        level(db)
            && level(blobs)
            && whole(db)
            && whole(blobs)
            && self.watched.blobs_needed().is_some_and(|n| blobs.length >= n)
            && db.length >= self.least.0
            && self.blobs.length() >= self.least.1
    }

    /// Peers that hold whole what they have, of both cores.
    fn full_peers(db: &CoreStatus, blobs: &CoreStatus) -> usize {
        let holds = |s: &CoreStatus, key: &[u8; 32]| {
            s.peers
                .iter()
                .any(|p| p.key == *key && p.length > 0 && p.fork == s.fork && p.contiguous_length >= p.length)
        };
        db.peers.iter().filter(|p| holds(db, &p.key) && (blobs.length == 0 || holds(blobs, &p.key))).count()
    }

    fn witness(&self, db: &CoreStatus, blobs: &CoreStatus) -> Result<Option<Witness>, CommandError> {
        let theirs = db.peers.iter().filter(|p| p.synced).map(|p| p.length).max().unwrap_or(0);
        if self.ci.first && self.before == 0 && theirs > 0 {
            return Err(published(&self.watched.drive, theirs));
        }
        if !self.is_newest(db, blobs, true) {
            return Ok(None);
        }
        let full = Self::full_peers(db, blobs);
        if full > 0 {
            return Ok(Some(Witness::Peers(full)));
        }
        // Discovery is over: nobody is there to know better.
        Ok((self.ci.first && theirs == 0).then_some(Witness::Nobody))
    }

    /// The time is up: a mirror is enough when nobody contradicts it.
    fn give_up(&self, db: &CoreStatus, blobs: &CoreStatus, flushed: bool) -> Result<Witness, CommandError> {
        let drive = &self.watched.drive;
        // A peer that never tells what it has does not keep the others' word from counting.
        let newest = self.is_newest(db, blobs, false);
        let full = Self::full_peers(db, blobs);
        if newest && flushed && full > 0 && !(self.ci.first && self.before == 0) {
            return Ok(Witness::Peers(full));
        }
        let dropped = db.dropped_peer.as_ref().or(blobs.dropped_peer.as_ref());
        if newest && self.mirrored > 0 {
            return match dropped {
                None => Ok(Witness::Mirror),
                Some(why) => Err(CommandError::new(
                    ErrorKind::Integrity,
                    "ERR_FORKED",
                    "a peer has another history of the link than the mirror",
                )
                .because(std::io::Error::other(why.clone()))
                .hint("find out who wrote last before anything else is published; nothing was written")),
            };
        }
        if db.length < self.least.0 || self.blobs.length() < self.least.1 {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_BELOW_SNAPSHOT",
                format!(
                    "the snapshot says that the link had length {}, and only {} could be had; nothing was written",
                    self.least.0, db.length
                ),
            )
            .hint("start a seeder that has it (`bosc seed`), or give a --mirror that has it"));
        }
        let ahead = db.peers.iter().filter(|p| p.synced).map(|p| p.length).max().unwrap_or(0);
        if !db.peers.is_empty() && (!newest || ahead > db.contiguous_length) {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_NEWEST_UNKNOWN",
                format!(
                    "peers know the link up to length {}, and the blocks up to there could not be had; nothing was written",
                    ahead.max(db.length)
                ),
            )
            .hint("start a seeder that has all of it, then run the command again; what was received is kept"));
        }
        let error = timed_out(db);
        let why = match flushed {
            true => "no peer holds the whole link",
            false => "peers could not be looked for in time",
        };
        Err(CommandError::new(
            ErrorKind::Network,
            "ERR_NO_FULL_PEER",
            format!("{why}, so its newest version is not known; nothing was written"),
        )
        .because(error)
        .hint(format!(
            "start a seeder (`bosc seed {}`), wait longer with --wait-peers, or give a --mirror; \
             use --first only for a link that was never published",
            drive.plain_link()
        )))
    }
}

fn published(drive: &DriveCores, length: u64) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_ALREADY_PUBLISHED",
        format!("{} was published before: it has length {length}; nothing was written", drive.plain_link()),
    )
    .hint("leave --first out")
}
