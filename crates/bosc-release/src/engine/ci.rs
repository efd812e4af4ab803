//! Writing on a link from a machine that has only its primary key: learning the newest head before, keeping it after.
//!
//! ```text
//! run lock taken --> mirror restored --> peers asked --> quiet (with a mirror) --> lock checked --> [staged]
//!   --> mirror saved --> [seeded] --> snapshot
//! ```
//!
//! The newest head is known when
//! * the first discovery is over, so that every peer that can be found was tried, and all that are connected told
//!   their length;
//! * nobody is ahead, in fork or length, and all blocks up to the head are here;
//! * it is not below the snapshot;
//! * and someone vouches for it: a peer that holds whole what it has of both cores, or the mirror. With `--first`
//!   nobody may have anything, and the DHT must be there to say so.
//!
//! Invariants:
//! * A length is never taken for a history. Who vouches proved, for both cores, by a signature of the link's key, that
//!   its tree is ours as far as both go; a mirror's head is proved in the same way even if nothing is taken from it. One
//!   peer or mirror that proves another history ends the run with `ERR_FORKED`.
//! * A claim to be ahead that was asked for in vain several times and never proved ([`UNPROVED`]) does not count once
//!   the time is up: anybody can send one.
//! * Nothing is signed before all of this. Two runs at once see each other: see [`super::run_lock`].
//! * With a mirror no node runs from before the signature until the mirror has it: if another command keeps the node,
//!   nothing is signed; one that comes later is refused meanwhile.
//! * Once a peer may have seen the new head, the snapshot says how long the link is, whether or not the release is kept.

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
use bosc_format::id;
use bosc_node::{CoreStatus, Download, PeerStatus, TICK};
use bosc_store::Core;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often peers are looked for again while there is none whose word counts.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// How often a peer is asked in vain to prove what it claims before the claim does not count.
const UNPROVED: u32 = 2;
/// How long connections must stay the same after discovery: a peer is connected before it tells what it has.
const SETTLE: Duration = Duration::from_millis(500);
/// How much longer than the time given it may take to discover peers, and to have claims proved.
const DISCOVERY: Duration = Duration::from_secs(30);

/// What was found out, and what is held until the release is out.
pub(super) struct Learned {
    mirror: Option<Mirror>,
    snapshot: Snapshot,
    quiet: Option<Quiet>,
    /// Somebody else holds all of the head that was learned.
    pub(super) held: bool,
}

/// No node of the engine runs until this is dropped.
#[derive(Debug)]
struct Quiet(Arc<AtomicBool>);

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
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
            let content = mirror.restore(&self.store, &blobs)?.length;
            mirrored = mirror.restore(&self.store, &drive.db)?.length;
            sink.event("mirror", json!({ "length": mirrored, "blobsLength": content }));
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
        let copies = learning.watched.copies(learning.watched.blobs_needed());
        let held = !copies.full.is_empty() || (mirrored > 0 && mirrored >= drive.db.length());
        drop(learning);
        // Other commands of this store ask peers as well before they write on it.
        let head = drive.db.head();
        let blobs_length = drive.blobs(self)?.map_or(0, |b| b.length());
        SharedKey { fork: head.fork, length: head.length, blobs_length, seed: None }.keep(&drive.db)?;
        let quiet = if mirror.is_some() { Some(self.quiet()?) } else { None };
        Ok(Learned { mirror, snapshot, quiet, held })
    }

    /// Ends the node, which no other command may use, and lets none start.
    fn quiet(&self) -> Result<Quiet, CommandError> {
        let mut slot = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = slot.take() {
            match Arc::try_unwrap(node) {
                Ok(node) => node.close(),
                Err(shared) => {
                    *slot = Some(shared);
                    return Err(CommandError::new(
                        ErrorKind::Store,
                        "ERR_BUSY",
                        "another command of this store is on the network, and peers would see the release before the \
                         mirror has it; nothing was written",
                    )
                    .hint("stop the `bosc seed` that uses this store, or publish from a store of its own: `--store DIR`"));
                }
            }
        }
        self.silent.store(true, Ordering::SeqCst);
        Ok(Quiet(Arc::clone(&self.silent)))
    }

    /// Has the mirror hold the drive, and lets nodes run again. Whether there is one.
    pub(super) fn save_mirror(
        &self,
        drive: &DriveCores,
        learned: &mut Learned,
        sink: &mut dyn Sink,
    ) -> Result<bool, CommandError> {
        let Some(mirror) = &learned.mirror else { return Ok(false) };
        let blobs = drive.blobs(self)?.ok_or_else(not_writable)?;
        let content = mirror.save(&blobs)?;
        let entries = mirror.save(&drive.db)?;
        sink.event("mirrored", json!({ "length": drive.db.length(), "blocks": content + entries }));
        learned.quiet = None;
        Ok(true)
    }

    /// How many peers of the drive came so far, and how many are there. `None` while no node runs.
    pub(super) fn exposure(&self, drive: &DriveCores) -> Option<(u64, usize)> {
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Arc::clone)?;
        let status = node.attach(&drive.db).status();
        Some((status.peers_seen, status.peers.len()))
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
        // Another run with another name may have written it meanwhile.
        snapshot.merge(Snapshot::read(path)?);
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
        live.into_iter().flatten().for_each(|c| c.compare());
        let _downloads: Vec<_> = live.into_iter().flatten().map(|c| c.download(Download::live())).collect();
        let mut moved = (0, Instant::now());
        let (mut looked, mut told) = (Instant::now(), Instant::now());
        let mut connected = (BTreeSet::new(), Instant::now());
        loop {
            if stop.is_stopped() {
                return Err(stopped());
            }
            let (db, blobs) = self.watched.status();
            if let Some(why) = db.failed.as_ref().or(blobs.failed.as_ref()) {
                return Err(core_failed(why));
            }
            if let Some(peer) = db.peers.iter().chain(&blobs.peers).find(|p| p.other_history) {
                return Err(forked(peer));
            }
            let net = self.watched.node.status();
            let flushed = net.flushed.contains(&topic);
            if !flushed || net.connections != connected.0 {
                connected = (net.connections, Instant::now());
            }
            let settled = flushed && connected.1.elapsed() >= SETTLE;
            if settled && let Some(witness) = self.witness(&db, &blobs)? {
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
            let late = moved.1.elapsed();
            // A claim is proved or not within two answers' time, which may be longer than the time given.
            let claims = |s: &CoreStatus| {
                s.peers.iter().any(|p| (p.fork, p.length) > (s.fork, s.length) && !claims_in_vain(p))
            };
            let open = !settled || claims(&db) || claims(&blobs);
            if late >= patience && (!open || late >= patience + DISCOVERY) {
                return self.give_up(&db, &blobs, settled, sink);
            }
            // Peers whose word does not count are no reason to stop looking for one whose word does.
            if flushed && Self::full_peers(&db, &blobs) == 0 && looked.elapsed() >= LOOK_AGAIN {
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
    /// `all`: nobody may have told nothing yet, nor be one that was not compared.
    fn is_newest(&self, db: &CoreStatus, blobs: &CoreStatus, all: bool) -> bool {
        let level = |s: &CoreStatus| {
            s.peers.iter().all(|p| match (p.fork, p.length) <= (s.fork, s.length) {
                true => {
                    !all || (p.synced && (p.length == 0 || p.fork < s.fork || p.proved_length >= p.length))
                }
                false => !all && claims_in_vain(p),
            })
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

    /// Peers that proved to have our history and hold whole what they have of it, of both cores.
    fn full_peers(db: &CoreStatus, blobs: &CoreStatus) -> usize {
        let holds = |s: &CoreStatus, p: &PeerStatus| {
            p.length > 0
                && p.fork == s.fork
                && p.length <= s.length
                && p.proved_length >= p.length
                && p.contiguous_length >= p.length
        };
        let content = |key: &[u8; 32]| blobs.peers.iter().any(|p| p.key == *key && holds(blobs, p));
        db.peers.iter().filter(|p| holds(db, p) && (blobs.length == 0 || content(&p.key))).count()
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
        // Discovery is over: nobody is there to know better. A DHT that is not there cannot say that.
        Ok((self.ci.first && theirs == 0 && self.dht_answers()).then_some(Witness::Nobody))
    }

    fn dht_answers(&self) -> bool {
        !self.watched.node.dht_nodes(1).is_empty()
    }

    /// The time is up: a mirror is enough when nobody contradicts it.
    fn give_up(
        &self,
        db: &CoreStatus,
        blobs: &CoreStatus,
        flushed: bool,
        sink: &mut dyn Sink,
    ) -> Result<Witness, CommandError> {
        let drive = &self.watched.drive;
        // Neither a peer that never tells what it has nor one that cannot prove it keeps the others' word from counting.
        let newest = self.is_newest(db, blobs, false);
        let full = Self::full_peers(db, blobs);
        let witness = match (newest && flushed, full, self.mirrored) {
            (true, 1.., _) if !(self.ci.first && self.before == 0) => Some(Witness::Peers(full)),
            (true, _, 1..) => Some(Witness::Mirror),
            _ => None,
        };
        if let Some(witness) = witness {
            tell_unproved(db, sink);
            tell_unproved(blobs, sink);
            return Ok(witness);
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
        if !self.dht_answers() {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_CONNECTION",
                "no DHT node answers, so nobody can say what the link's newest version is; nothing was written",
            )
            .because(error)
            .hint("check the network and --bootstrap and run it again, or give a --mirror that has the link"));
        }
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

/// Whether a peer was asked often enough to prove what it claims, and did not.
pub(super) fn claims_in_vain(p: &PeerStatus) -> bool {
    p.unproved >= UNPROVED
}

/// Tells of peers whose claim to be ahead does not count.
pub(super) fn tell_unproved(s: &CoreStatus, sink: &mut dyn Sink) {
    for p in s.peers.iter().filter(|p| (p.fork, p.length) > (s.fork, s.length) && claims_in_vain(p)) {
        let data = json!({ "peer": id::encode(&p.key), "fork": p.fork, "length": p.length });
        sink.event("unproved-peer", data);
    }
}

pub(super) fn forked(peer: &PeerStatus) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_FORKED",
        format!(
            "peer {} holds another history of the link than this store, signed by the same key; nothing was written",
            id::encode(&peer.key)
        ),
    )
    .hint(
        "followers have what peers hold: if nobody got this store's releases, publish with a new store \
         (`--store DIR`) and a new --mirror; if followers have both, move them to a new link with `bosc rotate`",
    )
}

/// The node may not run at the moment.
pub(super) fn busy() -> CommandError {
    CommandError::new(
        ErrorKind::Store,
        "ERR_BUSY",
        "a release of this store is on its way to its mirror, and no peer may see it before",
    )
    .hint("run the command again when `bosc publish` has said that the mirror has it")
}
