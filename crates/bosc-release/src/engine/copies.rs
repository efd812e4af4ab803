//! Seeding until others hold a drive.

use super::Engine;
use super::drive::DriveCores;
use crate::command::{Sink, Stop};
use crate::error::CommandError;
use crate::seed::event::SeedEvent;
use bosc_follow::{FollowError, Wait};
use bosc_format::id;
use std::time::Duration;

impl Engine {
    /// Seeds a drive that is whole here until `wanted` others hold it, `wait` is over, or it is stopped. How many hold it.
    pub(crate) fn seed_until(
        &self,
        drive: DriveCores,
        wanted: usize,
        wait: Duration,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<usize, CommandError> {
        sink.tell(SeedEvent::Seeding { key: id::encode(drive.key()), link: drive.plain_link() });
        let followed = self.follow_drive(&drive, true)?;
        let needed = drive.blobs_needed();
        let (mut announced, mut told) = (false, None);
        let waited = followed.wait(&mut Wait::new(stop).timeout(wait), |_| {
            if !announced && followed.topic().is_flushed() && followed.node().status().listening {
                announced = true;
                sink.tell(SeedEvent::Announced);
            }
            let copies = followed.copies(needed);
            let full = copies.full.len();
            if told.as_ref() != Some(&copies) {
                let (db, blobs) = followed.statuses();
                sink.tell(SeedEvent::Copies {
                    full,
                    wanted,
                    peers: copies.peers,
                    length: db.length,
                    uploaded_bytes: db.uploaded_bytes + blobs.uploaded_bytes,
                });
                told = Some(copies);
            }
            Ok((full >= wanted).then_some(()))
        });
        match waited {
            Ok(_) | Err(FollowError::Stopped) => Ok(followed.copies(needed).full.len()),
            Err(e) => Err(e.into()),
        }
    }
}
