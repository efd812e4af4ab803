//! Blocks of production that nobody offers, taken from the source.
//!
//! Peers pass heads on before blocks. When a committer dies right after its write, production's new head can be known
//! everywhere and its blocks nowhere but in the source. The source has the same blocks in the same tree, so its proofs
//! are proofs of production: what is missing here is taken from it, and everyone else takes it from here.

use super::TargetCores;
use super::peers::AskedDrive;
use crate::command::Stop;
use crate::engine::drive::DriveCores;
use crate::engine::errors::store_error;
use crate::engine::follow::stopped;
use crate::error::CommandError;
use bosc_follow::Alarm;
use bosc_format::proof::{NodeRequest, ProofRequest};
use bosc_node::{Download, DownloadHandle};
use bosc_store::Core;
use std::time::{Duration, Instant};

/// How long production's own peers have before the source is asked, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(300);

/// What is missing of production, and how it is got.
pub(super) struct Gaps {
    cores: [Core; 2],
    held: [u64; 2],
    since: Instant,
    looked: Instant,
    downloads: [Option<DownloadHandle>; 2],
}

impl Gaps {
    pub(super) fn new(cores: &TargetCores) -> Self {
        let now = Instant::now();
        Self {
            cores: [cores.db.clone(), cores.blobs.clone()],
            held: [0; 2],
            since: now,
            looked: now,
            downloads: [None, None],
        }
    }

    /// Looks whether something is missing that does not come, and sees to it.
    pub(super) fn look(
        &mut self,
        drive: &DriveCores,
        source: &mut AskedDrive,
        alarm: &mut Alarm,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let whole = |c: &Core| c.contiguous_length() >= c.length();
        if self.cores.iter().all(whole) || !alarm.has_passed(self.looked, AGAIN) {
            return Ok(());
        }
        self.looked = alarm.now();
        alarm.has_passed(self.looked, AGAIN);
        let [db, blobs] = &self.cores;
        let held = [db.contiguous_length(), blobs.contiguous_length()];
        if held != self.held {
            (self.held, self.since) = (held, self.looked);
        }
        if alarm.has_passed(self.since, PATIENCE) {
            source.find_blobs()?;
            let from = [Some(&source.db), source.blobs.as_ref()];
            for ((core, live), download) in self.cores.iter().zip(from).zip(&mut self.downloads) {
                if let Some(live) = live
                    && download.is_none()
                    && let Some(start) = core.first_missing(0, core.length()).map_err(store_error)?
                {
                    *download = Some(live.live().download(Download::range(start, core.length())));
                }
            }
        }
        self.fill(drive, source, stop)
    }

    /// Takes what the source has here.
    pub(super) fn fill(
        &self,
        drive: &DriveCores,
        source: &AskedDrive,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let [db, blobs] = &self.cores;
        fill(db, &drive.db, stop)?;
        match &source.blobs {
            Some(live) => fill(blobs, live.core(), stop),
            None => Ok(()),
        }
    }
}

/// Takes blocks of production that are not here from the source, where they are the same. What cannot be taken comes
/// from peers.
fn fill(target: &Core, source: &Core, stop: &Stop) -> Result<(), CommandError> {
    let length = target.length();
    let mut at = 0;
    while let Some(index) = target.first_missing(at, length).map_err(store_error)? {
        if stop.is_stopped() {
            return Err(stopped());
        }
        at = index + 1;
        let known = target.node(index.saturating_mul(2)).map_err(store_error)?;
        let same = known.is_none_or(|n| source.leaf_hash(index).is_ok_and(|h| h == Some(n.hash)));
        if !same || !source.has(index).unwrap_or(false) {
            continue;
        }
        let Ok(nodes) = target.missing_nodes(index.saturating_mul(2)) else { continue };
        let request = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
        if let Ok(Some(proof)) = source.prove(&request) {
            // A proof that does not fit is no harm: nothing is kept of it.
            let _ = target.apply(&proof);
        }
    }
    Ok(())
}
