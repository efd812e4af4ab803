//! Writing on a link from a machine that has only its primary key: learning the newest head before, keeping it after.
//!
//! ```text
//! run lock taken --> cache restored --> peers asked --> quiet (with a cache) --> lock checked --> [staged]
//!   --> cache saved --> [seeded] --> snapshot
//! ```
//!
//! The newest head is known when
//! * the first discovery is over, so that every peer that can be found was tried, and all that are connected told
//!   their length;
//! * nobody is ahead, in fork or length, and all blocks up to the head are here;
//! * it is not below the snapshot;
//! * and someone vouches for it: a peer that holds whole what it has of both cores, or the cache. With `--first`
//!   nobody may have anything, and the DHT must be there to say so.
//!
//! Invariants:
//! * A length is never taken for a history. Who vouches proved, for both cores, by a signature of the link's key, that
//!   its tree is ours as far as both go; a cache's head is proved in the same way even if nothing is taken from it. One
//!   peer or cache that proves another history ends the run with `ERR_FORKED`.
//! * A claim to be ahead that was asked for in vain several times and never proved ([`vouch::claims_in_vain`]) does not count once
//!   the time is up: anybody can send one.
//! * Nothing is signed before all of this. Two runs at once see each other: see [`crate::engine::run_lock`].
//! * With a cache no node runs from before the signature until the cache has it: if another command keeps the node,
//!   nothing is signed; one that comes later is refused meanwhile.
//! * Once a peer may have seen the new head, the snapshot says how long the link is, whether or not the release is kept.

use super::cache::Cache;
use super::snapshot::Snapshot;
use super::{Ci, CiEvent, Voucher};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::conflict::{Conflicts, forked_at};
use crate::engine::drive::DriveCores;
use crate::engine::errors::{not_writable, store_error};
use crate::engine::follow::{stopped, timed_out};
use crate::engine::shared::{SharedKey, tell_unproved};
use crate::error::{CommandError, ErrorKind};
use crate::output_file::alone;
use crate::stage::link_rules;
use bosc_follow::vouch::{self, Claims};
use bosc_follow::{Alarm, FollowedDrive, Wait};
use bosc_node::{CoreStatus, Download};
use bosc_store::Core;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether there is a DHT.
const DHT: Duration = Duration::from_secs(1);
/// How long connections must stay the same after discovery: a peer is connected before it tells what it has.
const SETTLE: Duration = Duration::from_millis(500);
/// How much longer than the time given it may take to discover peers, and to have claims proved.
const DISCOVERY: Duration = Duration::from_secs(30);

/// What was found out, and what is held until the release is out.
pub(super) struct Learned {
    cache: Option<Cache>,
    snapshot: Snapshot,
    quiet: Option<Quiet>,
    /// Somebody else holds all of the head that was learned.
    pub(crate) held: bool,
}

/// No node of the engine runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Quiet(Arc<AtomicBool>);

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// How the newest head is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    Peers(usize),
    Cache,
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
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let before = drive.db.length();
        let cache = ci.cache.as_deref().map(Cache::open).transpose()?;
        let mut cached = 0;
        if let Some(cache) = &cache {
            // The db last: while it is short, nobody needs the rest of the blobs.
            let content = cache.restore(&self.store, &blobs)?.length;
            cached = cache.restore(&self.store, &drive.db)?.length;
            sink.tell(CiEvent::Mirror { length: cached, blobs_length: content });
        }
        let least = (snapshot.length(drive.db.key()), snapshot.length(blobs.key()));
        if ci.first && before == 0 && (cached > 0 || least.0 > 0) {
            return Err(published(drive, cached.max(least.0)));
        }
        sink.tell(CiEvent::Learning {
            link: drive.plain_link(),
            length: drive.db.length(),
            at_least: least.0,
        });
        let learning = Learning {
            followed: self.follow_drive(drive, false)?,
            blobs: blobs.clone(),
            ci,
            before,
            least,
            cached,
        };
        let witness = learning.run(sink, stop);
        Conflicts::default().tell(self, &learning.followed, sink)?;
        let witness = witness?;
        self.store.flush().map_err(store_error)?;
        let (from, peers) = match witness {
            Witness::Peers(n) => (Voucher::Peers, n),
            Witness::Cache => (Voucher::Mirror, 0),
            Witness::Nobody => (Voucher::First, 0),
        };
        let (length, fork) = (drive.db.length(), drive.db.head().fork);
        sink.tell(CiEvent::Learned { length, fork, from, peers });
        let copies = learning.followed.copies(drive.blobs_needed());
        let held = !copies.full.is_empty() || (cached > 0 && cached >= drive.db.length());
        drop(learning);
        // Other commands of this store ask peers as well before they write on it.
        let head = drive.db.head();
        let blobs_length = drive.blobs()?.map_or(0, |b| b.length());
        SharedKey { fork: head.fork, length: head.length, blobs_length, seed: None }.keep(&drive.db)?;
        let quiet = if cache.is_some() { Some(self.quiet()?) } else { None };
        Ok(Learned { cache, snapshot, quiet, held })
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
                         cache has it; nothing was written",
                    )
                    .hint("stop the `bosc seed` that uses this store, or publish from a store of its own: `--store DIR`"));
                }
            }
        }
        self.silent.store(true, Ordering::SeqCst);
        Ok(Quiet(Arc::clone(&self.silent)))
    }

    /// Has the cache hold the drive, and lets nodes run again. Whether there is one.
    pub(super) fn save_cache(
        &self,
        drive: &DriveCores,
        learned: &mut Learned,
        sink: &mut dyn Sink,
    ) -> Result<bool, CommandError> {
        let Some(cache) = &learned.cache else { return Ok(false) };
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let content = cache.save(&blobs)?;
        let entries = cache.save(&drive.db)?;
        sink.tell(CiEvent::Mirrored { length: drive.db.length(), blocks: content + entries });
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
        let blobs = drive.blobs()?.ok_or_else(not_writable)?;
        let mut snapshot = learned.snapshot;
        // Another run with another name may have written it meanwhile.
        let _alone = alone(path)?;
        snapshot.merge(Snapshot::read(path)?);
        let namespace = link_rules::namespace(&ci.name);
        snapshot.set(drive.db.key(), drive.db.length(), Some((&namespace, link_rules::CORE_NAME)));
        snapshot.set(blobs.key(), blobs.length(), None);
        snapshot.write(path)?;
        sink.tell(CiEvent::Snapshot { file: path.clone(), length: drive.db.length() });
        Ok(())
    }
}

struct Learning<'a> {
    followed: FollowedDrive,
    blobs: Core,
    ci: &'a Ci,
    /// Length of the db here before anything was learned.
    before: u64,
    /// Lengths of the snapshot.
    least: (u64, u64),
    /// Length of the db in the cache.
    cached: u64,
}

impl Learning<'_> {
    fn run(&self, sink: &mut dyn Sink, stop: &Stop) -> Result<Witness, CommandError> {
        let patience = Duration::from_millis(self.ci.wait_peers_ms);
        let followed = &self.followed;
        followed.compare();
        let live = [Some(followed.db()), followed.known_blobs()];
        let _downloads: Vec<_> =
            live.into_iter().flatten().map(|c| c.live().download(Download::live())).collect();
        let start = Instant::now();
        let (mut moved, mut told) = ((0, start), start);
        let mut connected = (BTreeSet::new(), start);
        let (mut db_claims, mut blobs_claims) = (Claims::default(), Claims::default());
        let witness = followed.wait(&mut Wait::new(stop), |alarm| {
            let (db, blobs) = followed.statuses();
            db_claims.note(&db);
            blobs_claims.note(&blobs);
            if let Some(peer) = vouch::other_history(&db).or(vouch::other_history(&blobs)) {
                return Err(forked_at(followed.cores(), &peer.key));
            }
            let net = followed.node().status();
            let flushed = net.flushed.contains(followed.topic().id());
            if !flushed || net.connections != connected.0 {
                connected = (net.connections, alarm.now());
            }
            let settled = flushed && alarm.has_passed(connected.1, SETTLE);
            if settled && let Some(witness) = self.witness(&db, &blobs, alarm)? {
                return Ok(Some(witness));
            }
            let fetched = db.downloaded_blocks + blobs.downloaded_blocks;
            if fetched != moved.0 {
                moved = (fetched, alarm.now());
                if alarm.has_passed(told, Duration::from_secs(1)) {
                    told = alarm.now();
                    sink.tell(CiEvent::Fetching {
                        link: followed.cores().plain_link(),
                        length: db.length,
                        blocks: fetched,
                        bytes: db.downloaded_bytes + blobs.downloaded_bytes,
                    });
                }
            }
            // A claim is proved or not within two answers' time, which may be longer than the time given.
            let open = !settled || vouch::has_open_claims(&db) || vouch::has_open_claims(&blobs);
            let late = alarm.has_passed(moved.1, patience);
            if late && (!open || alarm.has_passed(moved.1, patience + DISCOVERY)) {
                return self.give_up(&db, &blobs, settled).map(Some);
            }
            Ok(None)
        })?;
        // Also of those who claimed and went: whether they were heard to the end is luck.
        let (db, blobs) = followed.statuses();
        tell_unproved(&db_claims.unproved(&db), sink);
        tell_unproved(&blobs_claims.unproved(&blobs), sink);
        witness.ok_or_else(stopped)
    }

    /// Whether all that is known to exist is here, as far as peers told.
    /// `all`: nobody may have told nothing yet, nor be one that was not compared.
    fn is_newest(&self, db: &CoreStatus, blobs: &CoreStatus, all: bool) -> bool {
        let whole = |s: &CoreStatus| s.contiguous_length >= s.length;
        vouch::is_level(db, all)
            && vouch::is_level(blobs, all)
            && whole(db)
            && whole(blobs)
            && self.followed.cores().blobs_needed().is_some_and(|n| blobs.length >= n)
            && db.length >= self.least.0
            && self.blobs.length() >= self.least.1
    }

    fn witness(
        &self,
        db: &CoreStatus,
        blobs: &CoreStatus,
        alarm: &mut Alarm,
    ) -> Result<Option<Witness>, CommandError> {
        let theirs = db.peers.iter().filter(|p| p.synced).map(|p| p.length).max().unwrap_or(0);
        if self.ci.first && self.before == 0 && theirs > 0 {
            return Err(published(self.followed.cores(), theirs));
        }
        if !self.is_newest(db, blobs, true) {
            return Ok(None);
        }
        let full = vouch::full_peers(db, blobs);
        if full > 0 {
            return Ok(Some(Witness::Peers(full)));
        }
        // Discovery is over: nobody is there to know better. A DHT that is not there cannot say that; nobody signals
        // that it has come.
        if self.ci.first {
            alarm.is_past(alarm.now() + DHT);
        }
        Ok((self.ci.first && theirs == 0 && self.dht_answers()).then_some(Witness::Nobody))
    }

    fn dht_answers(&self) -> bool {
        !self.followed.node().dht_nodes(1).is_empty()
    }

    /// The time is up: a cache is enough when nobody contradicts it.
    fn give_up(&self, db: &CoreStatus, blobs: &CoreStatus, flushed: bool) -> Result<Witness, CommandError> {
        let drive = self.followed.cores();
        // Neither a peer that never tells what it has nor one that cannot prove it keeps the others' word from counting.
        let newest = self.is_newest(db, blobs, false);
        let full = vouch::full_peers(db, blobs);
        let witness = match (newest && flushed, full, self.cached) {
            (true, 1.., _) if !(self.ci.first && self.before == 0) => Some(Witness::Peers(full)),
            (true, _, 1..) => Some(Witness::Cache),
            _ => None,
        };
        if let Some(witness) = witness {
            return Ok(witness);
        }
        if db.length < self.least.0 || self.blobs.length() < self.least.1 {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_BELOW_SNAPSHOT",
                format!(
                    "the snapshot says that the link had length {}, and only {} could be found; nothing was written",
                    self.least.0, db.length
                ),
            )
            .hint("start a seeder that has it (`bosc seed`), or give a --cache that has it"));
        }
        let ahead = db.peers.iter().filter(|p| p.synced).map(|p| p.length).max().unwrap_or(0);
        if !db.peers.is_empty() && (!newest || ahead > db.contiguous_length) {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_NEWEST_UNKNOWN",
                format!(
                    "peers know the link up to length {}, and the blocks up to there could not be fetched; nothing was written",
                    ahead.max(db.length)
                ),
            )
            .hint("start a seeder that holds a full copy, then run the command again; what was received is kept"));
        }
        let error = timed_out(db);
        if !self.dht_answers() {
            return Err(CommandError::new(
                ErrorKind::Network,
                "ERR_CONNECTION",
                "no DHT node answers, so the link's newest version is not known; nothing was written",
            )
            .because(error)
            .hint(
                "check the network and --bootstrap and run it again, or give a --cache that has the link",
            ));
        }
        let why = match flushed {
            true => "no peer holds a full copy of the link",
            false => "peers could not be looked for in time",
        };
        Err(CommandError::new(
            ErrorKind::Network,
            "ERR_NO_FULL_PEER",
            format!("{why}, so its newest version is not known; nothing was written"),
        )
        .because(error)
        .hint(format!(
            "start a seeder (`bosc seed {}`), wait longer with --wait-peers, or give a --cache; \
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
