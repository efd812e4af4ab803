//! One link that is seeded.

use super::board::{CoreFacts, LinkFacts};
use super::disk::Need;
use super::event::{NatType, NetworkTraffic, SeedEvent, SeedStats, Traffic};
use super::scrub::{Scrub, ScrubFound};
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::conflict::Conflicts;
use crate::engine::peer_table::peer_table;
use crate::engine::seeded::SeededHere;
use crate::error::CommandError;
use crate::mirror::keep::Keeping;
use bosc_follow::{Alarm, Background, FollowedCore, FollowedDrive, Urgent, copies};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{BlindWish, Blocks, CoreStatus, Download, NetStatus};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A drive being seeded.
pub(super) struct Seeding<'a> {
    engine: &'a Engine,
    /// `publish` of the link needs no other peer while it is here.
    _seeded: SeededHere,
    /// Dropped before the drive: they belong to its cores.
    fetching: [Fetching; 2],
    /// Somebody has to bring something before there is anything to seed.
    waiting: Option<Urgent>,
    followed: FollowedDrive,
    link: String,
    /// This store writes it: its bytes are not fetched for others.
    own: bool,
    /// The blobs core was found.
    blobs: bool,
    announced: bool,
    peers: BTreeSet<PublicKey>,
    pub(super) synced: BTreeSet<PublicKey>,
    last: Instant,
    interval: Duration,
    told: Option<SeedProgress>,
    rates: Rates,
    conflicts: Conflicts,
    /// How long the blobs core must be for the db at a fork and length.
    needed: Option<((u64, u64), u64)>,
    scrub: Scrub<'a>,
    /// It does not fit into what may be kept; how many bytes it needs.
    pub(super) limited: Option<u64>,
    /// Fork and length of the release whose policy was asked for mirrors last.
    named: Option<(u64, u64)>,
    /// A mirror of it that is kept up to date.
    pub(super) keeping: Option<Keeping>,
}

/// What is fetched of a core.
#[derive(Default)]
enum Fetching {
    #[default]
    Nothing,
    /// Everything, as it comes. Its handle stops the download when it is dropped.
    All { _handle: Background },
    /// All blocks of one head.
    Head { fork: u64, length: u64, handle: Background },
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

impl<'a> Seeding<'a> {
    /// Begins with a link: joins its topic. Nothing is fetched before [`Seeding::fetch`].
    pub(super) fn begin(
        engine: &'a Engine,
        link: &PearLink,
        interval: Duration,
        sink: &mut dyn Sink,
    ) -> Result<Self, CommandError> {
        let drive = engine.open_drive(link)?;
        sink.tell(SeedEvent::Seeding { key: id::encode(drive.key()), link: drive.plain_link() });
        let followed = engine.follow_drive(&drive, true)?;
        let mut scrub = Scrub::new(engine);
        scrub.add(&drive.db, false);
        Ok(Self {
            engine,
            _seeded: engine.seeded.note(drive.key()),
            fetching: Default::default(),
            waiting: (drive.db.length() == 0).then(|| followed.topic().urgent()),
            link: drive.plain_link(),
            own: drive.db.writable(),
            followed,
            blobs: false,
            announced: false,
            peers: BTreeSet::new(),
            synced: BTreeSet::new(),
            last: Instant::now(),
            interval,
            told: None,
            rates: Rates::default(),
            conflicts: Conflicts::default(),
            needed: None,
            scrub,
            limited: None,
            named: None,
            keeping: None,
        })
    }

    /// Its link, without a version.
    pub(super) fn link(&self) -> &str {
        &self.link
    }

    /// What is known of its db.
    pub(super) fn db(&self) -> CoreStatus {
        self.followed.db().status()
    }

    /// What a blind peer is asked for: its cores, with their lengths here.
    pub(super) fn wishes(&self) -> Vec<BlindWish> {
        let of = |core: &FollowedCore| BlindWish { key: *core.core().key(), length: core.status().length };
        std::iter::once(self.followed.db()).chain(self.followed.known_blobs()).map(of).collect()
    }

    /// Of others, and so counted: what it needs.
    pub(super) fn need(&self) -> Option<Need> {
        if self.own {
            return None;
        }
        let of = |core: &FollowedCore| {
            let (info, head) = (core.core().info(), core.status());
            Need { held: info.block_bytes, whole: head.byte_length.max(info.block_bytes) }
        };
        let (db, blobs) = (of(self.followed.db()), self.followed.known_blobs().map(of));
        let blobs = blobs.unwrap_or(Need { held: 0, whole: 0 });
        Some(Need { held: db.held.saturating_add(blobs.held), whole: db.whole.saturating_add(blobs.whole) })
    }

    /// Fetches everything that comes, or, with a bound, all blocks of the present heads if they fit.
    pub(super) fn fetch(&mut self, bounded: bool, fits: bool) {
        let cores = [Some(self.followed.db()), self.followed.known_blobs()];
        for (fetching, core) in self.fetching.iter_mut().zip(cores) {
            let Some(core) = core else { continue };
            if !bounded || self.own {
                if !matches!(fetching, Fetching::All { .. }) {
                    *fetching = Fetching::All { _handle: core.fetch_in_background(Download::live()) };
                }
                continue;
            }
            let status = core.status();
            let missing = status.contiguous_length.min(core.core().contiguous_length()) < status.length;
            let here = matches!(fetching, Fetching::Head { fork, length, handle }
                if (*fork, *length) == (status.fork, status.length) && !(missing && handle.is_done()));
            if !fits || status.length == 0 {
                *fetching = Fetching::Nothing;
            } else if missing && !here {
                let (fork, length) = (status.fork, status.length);
                let blocks = Blocks::Range { start: 0, end: Some(length) };
                let handle = core.fetch_in_background(Download { blocks, linear: false });
                *fetching = Fetching::Head { fork, length, handle };
            }
        }
    }

    /// One look at everything, and what there is to tell of it.
    pub(super) fn look(
        &mut self,
        net: &NetStatus,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) -> Result<(), CommandError> {
        self.followed.check()?;
        self.find_blobs(sink)?;
        let db = self.followed.db().status();
        let blobs = self.followed.known_blobs().map(FollowedCore::status);
        if db.length > 0 {
            self.waiting = None;
        }
        if !self.announced && net.listening && net.flushed.contains(self.followed.topic().id()) {
            self.announced = true;
            sink.tell(SeedEvent::Announced);
        }
        self.conflicts.tell(self.engine, &self.followed, sink)?;
        self.peer_events(&db, blobs.as_ref(), sink);
        self.scrub.step();
        // What is due at once again is for the next look.
        alarm.is_past(self.scrub.due().max(alarm.now() + Duration::from_millis(1)));
        for event in self.scrub.news() {
            sink.tell(event);
        }
        self.stats(&db, blobs.as_ref(), net, sink, alarm);
        let whole = self.told.as_ref().is_some_and(|told| told.db_whole && told.blobs_whole);
        if whole && !self.own && self.named != Some((db.fork, db.length)) {
            self.named = Some((db.fork, db.length));
            self.engine.add_mirrors(&self.followed)?;
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.look(&self.followed, sink, alarm)?;
        }
        Ok(())
    }

    /// The blobs core's key follows from the db's manifest, which a new seeder has to receive first.
    fn find_blobs(&mut self, sink: &mut dyn Sink) -> Result<(), CommandError> {
        if !self.blobs
            && let Some(blobs) = self.followed.blobs()?
        {
            self.blobs = true;
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
        let synced = blobs.map(|blobs| copies(db, blobs, Some(needed)).full).unwrap_or_default();
        for key in synced.difference(&self.synced) {
            sink.tell(SeedEvent::PeerSync(id::encode(key)));
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

    fn stats(
        &mut self,
        db: &CoreStatus,
        blobs: Option<&CoreStatus>,
        net: &NetStatus,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) {
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
        let (up, down) = (db.uploaded_bytes + b.uploaded_bytes, self.received());
        let speed = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        let (up_speed, down_speed) = (speed(up, self.rates.up), speed(down, self.rates.down));
        self.rates = Rates { up, down };
        self.last = Instant::now();
        alarm.has_passed(self.last, self.interval);
        self.told = Some(progress.clone());
        let drive = self.followed.cores();
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
            full_copies: self.followed.full_copies(db, b).len(),
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

    /// Bytes of blocks that came, from peers and mirrors.
    fn received(&self) -> u64 {
        let cores = [Some(self.followed.db()), self.followed.known_blobs()];
        cores.into_iter().flatten().map(FollowedCore::downloaded_bytes).fold(0, u64::saturating_add)
    }

    /// Who has it, and how much of it.
    pub(super) fn peer_table(&self, net: &NetStatus) -> SeedEvent {
        // How the network is, `stats` tells.
        peer_table(&self.followed, net, false)
    }

    /// What machines are told of it.
    pub(super) fn facts(&self) -> LinkFacts {
        let (db, blobs) = self.followed.statuses();
        let of = |core: &FollowedCore, status: &CoreStatus| {
            let info = core.core().info();
            CoreFacts {
                length: status.length,
                bytes: status.byte_length,
                held_blocks: info.blocks,
                held_bytes: info.block_bytes,
            }
        };
        LinkFacts {
            link: self.link.clone(),
            announced: self.announced,
            failed: None,
            limited: self.limited.is_some(),
            complete: self.told.as_ref().is_some_and(|t| t.length > 0 && t.db_whole && t.blobs_whole),
            peers: db.peers.len() as u64,
            full_copies: self.followed.full_copies(&db, &blobs).len() as u64,
            sent: (db.uploaded_bytes + blobs.uploaded_bytes, db.uploaded_blocks + blobs.uploaded_blocks),
            received: (self.received(), db.downloaded_blocks + blobs.downloaded_blocks),
            db: of(self.followed.db(), &db),
            blobs: self.followed.known_blobs().map(|core| of(core, &blobs)).unwrap_or_default(),
            conflicts: (db.conflicts.len() + blobs.conflicts.len()) as u64,
            scrub: self.scrub.stats(),
        }
    }
}

/// Whether every block is here, damage that the scrub counts already left out: the store knows of it before the status.
fn is_whole(status: &CoreStatus, core: &FollowedCore) -> bool {
    status.contiguous_length.min(core.core().contiguous_length()) >= status.length
}
