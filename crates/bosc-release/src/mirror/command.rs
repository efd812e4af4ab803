//! `mirror`: what the command runs.

use super::event::{MirrorEvent, Mirrored};
use super::write::{self, Content, Progress};
use super::{Mirror, scope, statements, target};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::store_error;
use crate::engine::open::Opened;
use crate::error::CommandError;
use bosc_follow::{FollowedCore, FollowedDrive, Wait};
use bosc_store::Core;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Between two `mirror-stats` events.
const STATS_EVERY: Duration = Duration::from_millis(250);

impl Engine {
    pub(crate) fn mirror(
        &self,
        request: &Mirror,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Mirrored, CommandError> {
        let link = parse_whole_link(&request.link)?;
        let target = target::open(&request.target)?;
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        sink.tell(MirrorEvent::Mirroring { link: link.origin().to_string(), target: target.name() });
        let timeout = Duration::from_millis(request.timeout_ms);
        let opened = self.open_fresh(&link, timeout, stop)?;
        self.tell_conflicts(&opened, sink)?;
        let content = self.content(request, &opened, timeout, stop)?;
        self.store.flush().map_err(store_error)?;
        let mut told = Instant::now();
        let mut tell = |p: Progress| {
            if told.elapsed() >= STATS_EVERY || p.objects == p.total_objects {
                told = Instant::now();
                sink.tell(MirrorEvent::MirrorStats {
                    objects: p.objects,
                    total_objects: p.total_objects,
                    bytes: p.bytes,
                    total_bytes: p.total_bytes,
                });
            }
        };
        let mut done = write::write(
            &opened.drive,
            &*target,
            &content,
            (request.check, request.grace_ms),
            &mut tell,
            stop,
        )?;
        if statements::has_operators(&opened.drive) {
            let mirrors = opened.followed.as_ref().map(FollowedDrive::mirrors);
            statements::write(&opened.drive, &*target, &*self.node()?, mirrors, stop, &mut done)?;
        }
        Ok(done)
    }

    /// What is to be on the mirror, all of it here.
    fn content(
        &self,
        request: &Mirror,
        opened: &Opened,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Content, CommandError> {
        let db = &opened.drive.db;
        if let Some(live) = opened.db() {
            live.range(0..db.length(), &mut Wait::new(stop).stall(timeout))?;
        }
        let Some(blobs) = opened.drive.blobs()? else { return write::everything(&opened.drive) };
        let live = opened.blobs()?;
        let needed = opened.drive.blobs_needed().unwrap_or(0);
        if let Some(live) = live {
            live.longer(needed, &mut Wait::new(stop).stall(timeout))?;
        }
        if !request.newest && request.only.is_empty() {
            if let Some(live) = live {
                live.range(0..blobs.length(), &mut Wait::new(stop).stall(timeout))?;
            }
            return write::everything(&opened.drive);
        }
        let wanted = scope::of_version(opened, &blobs, db.length(), &request.only, timeout, stop)?;
        if let Some(live) = live {
            for range in &wanted {
                live.range(range.clone(), &mut Wait::new(stop).stall(timeout))?;
            }
            leaves(live, &blobs, timeout, stop)?;
        }
        let only = if request.only.is_empty() {
            String::new()
        } else {
            format!(", only {}", request.only.join(", "))
        };
        let sparse = format!("the newest version{only}");
        Ok(Content { blobs: wanted, sparse: Some(sparse) })
    }
}

/// Has every leaf hash here: tiles hold all of them.
fn leaves(live: &FollowedCore, core: &Core, timeout: Duration, stop: &Stop) -> Result<(), CommandError> {
    const TOGETHER: u64 = 4096;
    let mut at = 0;
    while at < core.length() {
        let part: Range<u64> = at..at.saturating_add(TOGETHER).min(core.length());
        let mut open = Vec::new();
        for block in part.clone() {
            if core.leaf_hash(block).map_err(store_error)?.is_none() {
                open.push(block);
            }
        }
        let until = Instant::now().checked_add(timeout).unwrap_or_else(Instant::now);
        if !open.is_empty() && !live.leaves(&open, until, &mut Wait::new(stop))? {
            return Err(CommandError::not_found("peers did not send the tree of the drive").hint(
                "run the command again when a peer with all of it can be reached, or mirror all of it",
            ));
        }
        at = part.end;
    }
    Ok(())
}
