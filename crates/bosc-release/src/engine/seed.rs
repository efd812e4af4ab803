//! `seed`: keep a drive here, whole and up to date, for whoever asks.

use super::Engine;
use super::drive::{CoreSource, DriveCores, parse_link};
use super::wait::{core_failed, timed_out};
use crate::command::{Outcome, Seed, Sink, Stop};
use crate::error::CommandError;
use bosc_drive::drive::Drive;
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_node::{CoreStatus, Download, DownloadHandle, LiveCore, NetStatus, Node, TICK};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A drive being seeded.
struct Seeding<'a> {
    engine: &'a Engine,
    node: &'a Node,
    drive: DriveCores,
    db: LiveCore,
    blobs: Option<LiveCore>,
    downloads: Vec<DownloadHandle>,
    announced: bool,
    peers: BTreeSet<PublicKey>,
    synced: BTreeSet<PublicKey>,
    last: Instant,
    interval: Duration,
    told: Option<Progress>,
    rates: Rates,
    /// How long the blobs core must be for the db at a fork and length.
    needed: Option<((u64, u64), u64)>,
}

/// What a `stats` event is sent for at once when it changes.
#[derive(PartialEq, Eq, Clone)]
struct Progress {
    fork: u64,
    length: u64,
    db_whole: bool,
    blobs_length: u64,
    blobs_whole: bool,
}

#[derive(Default)]
struct Rates {
    up: u64,
    down: u64,
}

impl Engine {
    pub(super) fn seed(&self, request: &Seed, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let mut until = Vec::new();
        for key in &request.until_sync {
            until.push(id::decode(key).map_err(|_| {
                CommandError::input("--until-sync takes the public key of a peer")
                    .hint("it is the `whoami` of the peer's stats: 52 characters of z-base-32 or 64 of hex")
            })?);
        }
        let drive = self.open_drive(&link)?;
        let node = self.node()?;
        sink.event("seeding", json!({ "key": id::encode(drive.key()), "link": drive.plain_link() }));
        let db = node.attach(&drive.db);
        let topic = *drive.db.discovery_key();
        let mut s = Seeding {
            engine: self,
            node: &node,
            downloads: vec![db.download(Download::live())],
            drive,
            db,
            blobs: None,
            announced: false,
            peers: BTreeSet::new(),
            synced: BTreeSet::new(),
            last: Instant::now(),
            interval: Duration::from_millis(request.stats_interval_ms.max(20)),
            told: None,
            rates: Rates::default(),
            needed: None,
        };
        let joined = self.join_topic(&node, topic, true);
        let result = s.run(request, &until, sink, stop);
        drop(joined);
        drop(s);
        let _ = node.flush();
        result
    }
}

impl Seeding<'_> {
    fn run(&mut self, request: &Seed, until: &[PublicKey], sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let start = Instant::now();
        let topic = *self.drive.db.discovery_key();
        loop {
            self.find_blobs(sink)?;
            let (db, blobs) = (self.db.status(), self.blobs.as_ref().map(LiveCore::status));
            for status in [Some(&db), blobs.as_ref()].into_iter().flatten() {
                if let Some(why) = &status.failed {
                    return Err(core_failed(why));
                }
            }
            if !self.announced && self.node.is_flushed(&topic) && self.node.status().listening {
                self.announced = true;
                sink.event("announced", Value::Null);
            }
            self.peer_events(&db, blobs.as_ref(), sink);
            self.stats(&db, blobs.as_ref(), sink);
            if stop.is_stopped() {
                return Ok(json!({}));
            }
            if !until.is_empty() && until.iter().all(|k| self.synced.contains(k)) {
                return Ok(json!({}));
            }
            if let Some(ms) = request.timeout_ms
                && db.length == 0
                && start.elapsed() > Duration::from_millis(ms)
            {
                return Err(timed_out(&db));
            }
            let seen = (db, blobs, self.peers.len());
            let tick = self.interval.min(TICK);
            self.node.signal().wait(Some(Instant::now() + tick), tick, || {
                let now = (self.db.status(), self.blobs.as_ref().map(LiveCore::status), self.peers.len());
                (stop.is_stopped() || now != seen).then_some(())
            });
        }
    }

    /// The blobs core's key follows from the db's manifest, which a new seeder has to receive first.
    fn find_blobs(&mut self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        if self.blobs.is_none()
            && let Some(core) = self.drive.blobs(self.engine)?
        {
            let live = self.node.attach(&core);
            self.downloads.push(live.download(Download::live()));
            sink.event("key", json!(id::encode(core.key())));
            self.blobs = Some(live);
        }
        Ok(())
    }

    fn peer_events(&mut self, db: &CoreStatus, blobs: Option<&CoreStatus>, sink: &mut dyn Sink) {
        let now: BTreeSet<PublicKey> = db.peers.iter().map(|p| p.key).collect();
        for key in now.difference(&self.peers) {
            sink.event("peer-add", json!(id::encode(key)));
        }
        for key in self.peers.difference(&now) {
            sink.event("peer-remove", json!(id::encode(key)));
        }
        self.peers = now;
        let needed = self.blobs_needed(db);
        let whole = |s: &CoreStatus, key: &PublicKey| {
            s.length == 0
                || s.peers
                    .iter()
                    .any(|p| p.key == *key && p.fork == s.fork && p.contiguous_length >= s.length)
        };
        let mut synced = BTreeSet::new();
        for key in &self.peers {
            if db.length > 0 && whole(db, key) && blobs.is_some_and(|b| b.length >= needed && whole(b, key)) {
                if !self.synced.contains(key) {
                    sink.event("peer-sync", json!(id::encode(key)));
                }
                synced.insert(*key);
            }
        }
        // A peer that had everything and left has still had it.
        self.synced.retain(|k| !self.peers.contains(k));
        self.synced.extend(synced);
    }

    /// How long the blobs core must be for every file of the db; endless while the db is not all here.
    fn blobs_needed(&mut self, db: &CoreStatus) -> u64 {
        if db.length == 0 || db.contiguous_length < db.length {
            return u64::MAX;
        }
        let at = (db.fork, db.length);
        match self.needed {
            Some((known, length)) if known == at => length,
            _ => {
                // What is not a drive has no files to wait for.
                let length = Drive::new(CoreSource::new(&self.drive.db)).blobs_length().unwrap_or(0);
                self.needed = Some((at, length));
                length
            }
        }
    }

    fn stats(&mut self, db: &CoreStatus, blobs: Option<&CoreStatus>, sink: &mut dyn Sink) {
        let none = CoreStatus::default();
        let b = blobs.unwrap_or(&none);
        let progress = Progress {
            fork: db.fork,
            length: db.length,
            db_whole: db.contiguous_length >= db.length,
            blobs_length: b.length,
            // A core that is still too short for the files of the db is not whole, whatever it holds.
            blobs_whole: b.contiguous_length >= b.length && b.length >= self.blobs_needed(db),
        };
        let elapsed = self.last.elapsed();
        let changed = self.told.as_ref() != Some(&progress);
        if !changed && elapsed < self.interval {
            return;
        }
        let seconds = elapsed.as_secs_f64().max(0.001);
        let (up, down) = (db.uploaded_bytes + b.uploaded_bytes, db.downloaded_bytes + b.downloaded_bytes);
        let speed = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        let (up_speed, down_speed) = (speed(up, self.rates.up), speed(down, self.rates.down));
        self.rates = Rates { up, down };
        self.last = Instant::now();
        self.told = Some(progress.clone());
        let net: NetStatus = self.node.status();
        sink.event(
            "stats",
            json!({
                "peers": db.peers.len(),
                "driveKey": id::encode(self.drive.key()),
                "driveLength": db.length,
                "driveFork": db.fork,
                "driveByteLength": db.byte_length,
                "driveSynced": progress.db_whole && db.length > 0,
                "blobsLength": b.length,
                "blobsByteLength": b.byte_length,
                "blobsSynced": progress.blobs_whole && blobs.is_some(),
                "discoveryKey": id::encode(self.drive.db.discovery_key()),
                "contentKey": self.blobs.as_ref().map_or("pending".to_owned(), |b| id::encode(b.key())),
                "verlink": self.drive.verlink(),
                "whoami": id::encode(self.node.public_key()),
                "firewalled": net.firewalled,
                "natType": if net.randomized { "Random" } else { "Consistent" },
                "fullCopies": db.full_copies().min(b.full_copies()),
                "upload": {
                    "totalBytes": up,
                    "totalBlocks": db.uploaded_blocks + b.uploaded_blocks,
                    "speed": up_speed,
                },
                "download": {
                    "totalBytes": down,
                    "totalBlocks": db.downloaded_blocks + b.downloaded_blocks,
                    "speed": down_speed,
                },
                "network": { "receivedBytes": net.received, "sentBytes": net.sent },
                "connections": net.connections.len(),
            }),
        );
    }
}
