//! Seeding until others hold a drive.

use super::Engine;
use super::drive::DriveCores;
use super::peer_table::peer_table;
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::seed::event::SeedEvent;
use bosc_follow::{FollowError, Wait};
use bosc_format::id;
use std::time::{Duration, Instant};

/// How often is told what was sent, while something is.
const SENT_EVERY: Duration = Duration::from_secs(1);
/// Most peers that are named.
const MAX_NAMED: usize = 4;

/// Until when a drive is seeded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeedUntil {
    /// So many hold it.
    pub(crate) wanted: usize,
    /// So long at most.
    pub(crate) wait: Duration,
    /// And no longer than so after a peer came or fetched something.
    pub(crate) stall: Option<Duration>,
    /// Who is connected is told as well.
    pub(crate) tables: bool,
}

/// Who has a drive that was seeded.
#[derive(Debug, Default)]
pub(crate) struct HeldBy {
    /// How many have all of it.
    pub(crate) full: usize,
    /// Some that are connected and do not: how their keys begin.
    pub(crate) partial: Vec<String>,
}

impl HeldBy {
    /// A release that too few peers hold: who is missing.
    pub(crate) fn too_few(&self, drive: &DriveCores, wanted: usize) -> CommandError {
        let who = match self.partial.as_slice() {
            [] if self.full == 0 => "no peer came for it".to_owned(),
            [] => "no other peer came for it".to_owned(),
            all => format!("{} did not fetch all of it", all.join(", ")),
        };
        CommandError::new(
            ErrorKind::Network,
            "ERR_NOT_SEEDED",
            format!(
                "the release {} is in this store, and {} of {wanted} peers hold it: {who}",
                drive.verlink(),
                self.full
            ),
        )
        .hint(format!(
            "run `bosc seed {}` here, or on a machine that stays online; `--copies 0` does not wait for a peer",
            drive.plain_link()
        ))
    }
}

impl Engine {
    /// Seeds a drive that is whole here, or until it is stopped. Who has it.
    pub(crate) fn seed_until(
        &self,
        drive: DriveCores,
        until: &SeedUntil,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<HeldBy, CommandError> {
        sink.tell(SeedEvent::Seeding { key: id::encode(drive.key()), link: drive.plain_link() });
        let SeedUntil { wanted, wait, stall, tables } = *until;
        let followed = self.follow_drive(&drive, true)?;
        let mut shown: Option<Instant> = None;
        let needed = drive.blobs_needed();
        let (mut announced, mut told) = (false, None);
        let mut sent = (Instant::now(), 0);
        let limit = Wait::new(stop).timeout(wait);
        let mut limit = match stall {
            Some(stall) => limit.stall(stall),
            None => limit,
        };
        let waited = followed.wait(&mut limit, |alarm| {
            if !announced && followed.topic().is_flushed() && followed.node().status().listening {
                announced = true;
                sink.tell(SeedEvent::Announced);
            }
            let copies = followed.copies(needed);
            let full = copies.full.len();
            let (db, blobs) = followed.statuses();
            let uploaded = db.uploaded_bytes.saturating_add(blobs.uploaded_bytes);
            alarm.came(uploaded.saturating_add(u64::try_from(copies.peers).unwrap_or(0)));
            // What is sent meanwhile is told now and then, while a peer fetches.
            let moves = uploaded != sent.1 && alarm.has_passed(sent.0, SENT_EVERY);
            let due = tables && shown.is_none_or(|then| alarm.has_passed(then, SENT_EVERY));
            if due {
                shown = Some(alarm.now());
                alarm.has_passed(alarm.now(), SENT_EVERY);
                sink.tell(peer_table(&followed, &followed.node().status(), true));
            }
            if moves || due || told.as_ref() != Some(&copies) {
                sent = (alarm.now(), uploaded);
                sink.tell(SeedEvent::Copies {
                    full,
                    wanted,
                    peers: copies.peers,
                    length: db.length,
                    uploaded_bytes: uploaded,
                });
                told = Some(copies);
            }
            Ok((full >= wanted).then_some(()))
        });
        match waited {
            Ok(_) | Err(FollowError::Stopped) => {
                let full = followed.copies(needed).full;
                let partial =
                    followed.statuses().0.peers.into_iter().map(|p| p.key).filter(|k| !full.contains(k));
                let start = |key| id::encode(&key).chars().take(12).collect();
                Ok(HeldBy { full: full.len(), partial: partial.take(MAX_NAMED).map(start).collect() })
            }
            Err(e) => Err(e.into()),
        }
    }
}
