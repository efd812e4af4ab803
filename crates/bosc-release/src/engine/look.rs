//! Looking at a link: opening it for `doctor` to see who holds it, and whether this process has it in use.

use super::Engine;
use super::follow::for_peers;
use super::open::Opened;
use crate::command::Stop;
use crate::error::CommandError;
use bosc_follow::{FollowedCore, vouch};
use bosc_format::link::PearLink;
use std::time::{Duration, Instant};

/// How long nobody must have been found before a link that is here is judged without peers.
const ALONE: Duration = Duration::from_secs(10);

impl Engine {
    /// Whether this process is on the network with a link right now.
    pub(crate) fn in_use(&self, topic: &[u8; 32]) -> bool {
        let slot = self.node.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.as_ref().is_some_and(|node| node.status().flushed.contains(topic))
    }

    /// Opens a link and stays on the network with it whether or not it is written here. Waits until discovery is over
    /// and every connected peer has told its length, or for `timeout`.
    pub(crate) fn open_watched(
        &self,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Opened, CommandError> {
        let drive = self.open_drive(link)?;
        let followed = self.follow_drive(&drive, false)?;
        let db = followed.db();
        let at_least = link.version.map_or(0, |v| v.length);
        // Without peers, what is here is looked at soon after discovery found nobody.
        let mut alone_since: Option<Instant> = None;
        followed.wait(&mut for_peers(timeout, stop), |alarm| {
            let s = db.status();
            let blobs = followed.blobs()?.map(FollowedCore::status);
            let flushed = db.is_flushed();
            let ready = flushed
                && !s.peers.is_empty()
                && vouch::is_told(&s)
                && s.length >= at_least
                && (s.length == 0
                    || blobs.as_ref().is_some_and(|b| !b.peers.is_empty() && vouch::is_told(b)));
            if ready {
                return Ok(Some(()));
            }
            // The end of the last attempt to connect raises no signal.
            if flushed && s.peers.is_empty() {
                alarm.is_past(alarm.now() + Duration::from_secs(1));
            }
            if flushed && s.peers.is_empty() && !followed.node().status().connecting {
                let since = *alone_since.get_or_insert_with(|| alarm.now());
                let alone = alarm.has_passed(since, ALONE) && s.length > 0 && s.length >= at_least;
                return Ok::<_, CommandError>(alone.then_some(()));
            }
            alone_since = None;
            Ok(None)
        })?;
        if drive.db.length() > 0 {
            drive.check_link(link)?;
        }
        let fork = drive.db.head().fork;
        Ok(Opened { drive, followed: Some(followed), fork })
    }
}
