//! `seed`: keep a drive here, whole and up to date, for whoever asks.

use super::Seed;
use super::event::{NatType, NetworkTraffic, SeedEvent, SeedStats, Traffic};
use super::scrub::{Scrub, ScrubFound};
use crate::command::{Sink, Stop};
use crate::engine::conflict::Conflicts;
use crate::engine::drive::parse_link;
use crate::engine::follow::timed_out;
use crate::engine::{Engine, OFFLINE_AFTER};
use crate::error::{CommandError, ErrorKind};
use bosc_follow::{Alarm, FollowedCore, FollowedDrive, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_node::{CoreStatus, Download, DownloadHandle, NetStatus};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether one answers after that.
const OFFLINE_LOOK: Duration = Duration::from_secs(1);

/// A drive being seeded.
struct Seeding<'a> {
    engine: &'a Engine,
    followed: &'a FollowedDrive,
    /// The blobs core was found.
    blobs: bool,
    downloads: Vec<DownloadHandle>,
    announced: bool,
    /// It was said that no DHT node answers.
    offline: bool,
    peers: BTreeSet<PublicKey>,
    synced: BTreeSet<PublicKey>,
    last: Instant,
    interval: Duration,
    told: Option<SeedProgress>,
    rates: Rates,
    conflicts: Conflicts,
    /// How long the blobs core must be for the db at a fork and length.
    needed: Option<((u64, u64), u64)>,
    scrub: Scrub<'a>,
}

/// What a `stats` event is sent for at once when it changes.
#[derive(PartialEq, Eq, Clone)]
struct SeedProgress {
    fork: u64,
    length: u64,
    db_whole: bool,
    blobs_length: u64,
    blobs_whole: bool,
    found: ScrubFound,
    conflicts: usize,
}

#[derive(Default)]
struct Rates {
    up: u64,
    down: u64,
}

impl Engine {
    pub(crate) fn seed(&self, request: &Seed, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let link = parse_link(&request.link)?;
        let mut until = Vec::new();
        for key in &request.until_sync {
            until.push(id::decode(key).map_err(|_| {
                CommandError::input("--until-sync takes the public key of a peer")
                    .hint("it is the `whoami` of the peer's stats: 52 characters of z-base-32 or 64 of hex")
            })?);
        }
        let drive = self.open_drive(&link)?;
        sink.tell(SeedEvent::Seeding { key: id::encode(drive.key()), link: drive.plain_link() });
        let followed = self.follow_drive(&drive, true)?;
        let mut s = Seeding {
            engine: self,
            followed: &followed,
            downloads: vec![followed.db().live().download(Download::live())],
            blobs: false,
            announced: false,
            offline: false,
            peers: BTreeSet::new(),
            synced: BTreeSet::new(),
            last: Instant::now(),
            interval: Duration::from_millis(request.stats_interval_ms.max(20)),
            told: None,
            rates: Rates::default(),
            conflicts: Conflicts::default(),
            needed: None,
            scrub: Scrub::new(self),
        };
        s.scrub.add(&drive.db, false);
        let start = Instant::now();
        // Whoever only keeps what there is waits for nobody; a seeder with nothing to seed does.
        let mut wait = Wait::new(stop);
        let mut result = Ok(None);
        if drive.db.length() == 0 {
            let seeding = &mut s;
            result = followed.wait(&mut wait, |alarm| {
                let over = seeding.look(request, &until, start, sink, alarm)?;
                let begun = followed.db().status().length > 0;
                Ok(over.or(begun.then_some(Over::Begun)))
            });
        }
        if let Ok(None | Some(Over::Begun)) = result {
            result = followed.idle(&mut wait, |alarm| s.look(request, &until, start, sink, alarm));
        }
        let node = Arc::clone(followed.node());
        drop(s);
        drop(followed);
        let _ = node.flush();
        match result {
            Ok(_) => Ok(()),
            // That is how it usually ends.
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Why a look was the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// There is something to seed now.
    Begun,
    /// Those who were to have everything have it.
    Synced,
}

impl Seeding<'_> {
    /// One look at everything, and what there is to tell of it.
    fn look(
        &mut self,
        request: &Seed,
        until: &[PublicKey],
        start: Instant,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) -> Result<Option<Over>, CommandError> {
        self.find_blobs(sink)?;
        let db = self.followed.db().status();
        let blobs = self.followed.known_blobs().map(FollowedCore::status);
        if !self.announced && self.followed.topic().is_flushed() && self.followed.node().status().listening {
            self.announced = true;
            sink.tell(SeedEvent::Announced);
        }
        self.tell_offline(start, sink, alarm);
        self.conflicts.tell(self.engine, self.followed, sink)?;
        self.peer_events(&db, blobs.as_ref(), sink);
        self.scrub.step();
        // What is due at once again is for the next look.
        alarm.is_past(self.scrub.due().max(alarm.now() + Duration::from_millis(1)));
        for event in self.scrub.news() {
            sink.tell(event);
        }
        self.stats(&db, blobs.as_ref(), sink, alarm);
        if !until.is_empty() && until.iter().all(|k| self.synced.contains(k)) {
            return Ok(Some(Over::Synced));
        }
        if let Some(ms) = request.timeout_ms
            && db.length == 0
            && alarm.has_passed(start, Duration::from_millis(ms))
        {
            return Err(timed_out(&db));
        }
        Ok(None)
    }

    /// Says once that no DHT node answers, and once that one does again.
    fn tell_offline(&mut self, start: Instant, sink: &mut dyn Sink, alarm: &mut Alarm) {
        // The first datagram that arrives raises no signal.
        if self.offline {
            alarm.is_past(alarm.now() + OFFLINE_LOOK);
        } else if !alarm.has_passed(start, OFFLINE_AFTER) {
            return;
        }
        let tried = self.engine.unanswered();
        if tried.is_some() == self.offline {
            return;
        }
        self.offline = tried.is_some();
        let tried: Option<Vec<String>> = tried.map(|t| t.iter().map(ToString::to_string).collect());
        sink.tell(match self.offline {
            true => SeedEvent::Offline { tried },
            false => SeedEvent::Online { tried },
        });
    }

    /// The blobs core's key follows from the db's manifest, which a new seeder has to receive first.
    fn find_blobs(&mut self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        if !self.blobs
            && let Some(blobs) = self.followed.blobs()?
        {
            self.blobs = true;
            self.downloads.push(blobs.live().download(Download::live()));
            sink.tell(SeedEvent::Key(id::encode(blobs.core().key())));
            self.scrub.add(blobs.core(), true);
        }
        Ok(())
    }

    fn peer_events(&mut self, db: &CoreStatus, blobs: Option<&CoreStatus>, sink: &mut dyn Sink) {
        let now: BTreeSet<PublicKey> = db.peers.iter().map(|p| p.key).collect();
        for key in now.difference(&self.peers) {
            sink.tell(SeedEvent::PeerAdd(id::encode(key)));
        }
        for key in self.peers.difference(&now) {
            sink.tell(SeedEvent::PeerRemove(id::encode(key)));
        }
        self.peers = now;
        let needed = self.blobs_needed(db);
        let whole = |s: &CoreStatus, key: &PublicKey| {
            s.length == 0 || s.peers.iter().any(|p| p.key == *key && p.holds(s.fork, s.length))
        };
        let mut synced = BTreeSet::new();
        for key in &self.peers {
            if db.length > 0 && whole(db, key) && blobs.is_some_and(|b| b.length >= needed && whole(b, key)) {
                if !self.synced.contains(key) {
                    sink.tell(SeedEvent::PeerSync(id::encode(key)));
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
                let length = self.followed.cores().blobs_needed().unwrap_or(u64::MAX);
                self.needed = Some((at, length));
                length
            }
        }
    }

    fn stats(&mut self, db: &CoreStatus, blobs: Option<&CoreStatus>, sink: &mut dyn Sink, alarm: &mut Alarm) {
        let none = CoreStatus::default();
        let b = blobs.unwrap_or(&none);
        let progress = SeedProgress {
            fork: db.fork,
            length: db.length,
            db_whole: is_whole(db, self.followed.db()),
            blobs_length: b.length,
            // A core that is still too short for the files of the db is not whole, whatever it holds.
            blobs_whole: self.followed.known_blobs().is_some_and(|core| is_whole(b, core))
                && b.length >= self.blobs_needed(db),
            found: self.scrub.found(),
            conflicts: db.conflicts.len() + b.conflicts.len(),
        };
        let elapsed = self.last.elapsed();
        let changed = self.told.as_ref() != Some(&progress);
        if !changed && !alarm.has_passed(self.last, self.interval) {
            return;
        }
        let seconds = elapsed.as_secs_f64().max(0.001);
        let (up, down) = (db.uploaded_bytes + b.uploaded_bytes, db.downloaded_bytes + b.downloaded_bytes);
        let speed = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        let (up_speed, down_speed) = (speed(up, self.rates.up), speed(down, self.rates.down));
        self.rates = Rates { up, down };
        self.last = Instant::now();
        alarm.has_passed(self.last, self.interval);
        self.told = Some(progress.clone());
        let drive = self.followed.cores();
        let net: NetStatus = self.followed.node().status();
        sink.tell(SeedEvent::Stats(Box::new(SeedStats {
            peers: db.peers.len(),
            drive_key: id::encode(drive.key()),
            drive_length: db.length,
            drive_fork: db.fork,
            drive_byte_length: db.byte_length,
            drive_synced: progress.db_whole && db.length > 0,
            blobs_length: b.length,
            blobs_byte_length: b.byte_length,
            blobs_synced: progress.blobs_whole,
            discovery_key: id::encode(drive.db.discovery_key()),
            content_key: self
                .followed
                .known_blobs()
                .map_or("pending".to_owned(), |b| id::encode(b.core().key())),
            verlink: drive.verlink(),
            whoami: id::encode(self.followed.node().public_key()),
            firewalled: net.firewalled,
            nat_type: if net.randomized { NatType::Random } else { NatType::Consistent },
            full_copies: db.full_copies().min(b.full_copies()),
            upload: Traffic {
                total_bytes: up,
                total_blocks: db.uploaded_blocks + b.uploaded_blocks,
                speed: up_speed,
            },
            download: Traffic {
                total_bytes: down,
                total_blocks: db.downloaded_blocks + b.downloaded_blocks,
                speed: down_speed,
            },
            network: NetworkTraffic { received_bytes: net.received, sent_bytes: net.sent },
            connections: net.connections.len(),
            scrub: self.scrub.stats(),
            conflicts: db.conflicts.len() + b.conflicts.len(),
        })));
    }
}

/// Whether every block is here, damage that the scrub counts already left out: the store knows of it before the status.
fn is_whole(status: &CoreStatus, core: &FollowedCore) -> bool {
    status.contiguous_length.min(core.core().contiguous_length()) >= status.length
}
