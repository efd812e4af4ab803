//! Snapshots of live cores for callers.

use super::access;
use super::machine::LiveMachine;
use crate::status::CoreStatus;
use bosc_wire::replication::PeerId;
use std::sync::PoisonError;

impl LiveMachine {
    /// Gives callers new snapshots of what changed.
    pub(super) fn publish(&mut self) {
        for slot in self.cores.values_mut() {
            if !std::mem::take(&mut slot.changed) {
                continue;
            }
            let head = slot.core.head();
            let mut status = CoreStatus {
                fork: head.fork,
                length: head.length,
                byte_length: head.byte_length,
                contiguous_length: slot.core.contiguous_length(),
                has_manifest: access::has_manifest(&slot.core),
                peers: Vec::with_capacity(slot.peers.len()),
                peers_seen: slot.peers_seen,
                downloaded_bytes: slot.downloaded.0,
                downloaded_blocks: slot.downloaded.1,
                uploaded_bytes: slot.gone.0,
                uploaded_blocks: slot.gone.1,
                failed: slot.failed.clone(),
                dropped_peer: slot.dropped_peer.clone(),
                conflicts: Vec::new(),
            };
            slot.conflicts.retain(|c| c.conflict.fork == head.fork);
            status.conflicts.clone_from(&slot.conflicts);
            for conn in &slot.peers {
                let (Some(c), Some(p)) = (self.conns.get(conn), slot.replicator.stats(PeerId(*conn))) else {
                    continue;
                };
                status.uploaded_bytes += p.uploaded_bytes;
                status.uploaded_blocks += p.uploaded_blocks;
                status.peers.push(crate::status::PeerStatus {
                    key: c.remote,
                    synced: p.remote_synced,
                    fork: p.remote_fork,
                    length: p.remote_length,
                    contiguous_length: p.remote_contiguous_length,
                    proved_length: p.remote_proved_length,
                    other_history: p.remote_other_history || slot.others.contains(conn),
                    unproved: p.remote_unproved,
                    stale: p.remote_stale,
                    uploaded_bytes: p.uploaded_bytes,
                });
            }
            let mut shared = slot.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits for what was uploaded.
            (shared.uploaded_bytes, shared.uploaded_blocks) = (status.uploaded_bytes, status.uploaded_blocks);
            for (old, new) in shared.peers.iter_mut().zip(&status.peers) {
                old.uploaded_bytes = new.uploaded_bytes;
            }
            let news = *shared != status;
            *shared = status;
            drop(shared);
            if std::mem::take(&mut slot.raise) || news {
                slot.shared.signal.raise();
                self.raised = true;
            }
        }
    }
}
