//! Answering requests.
//!
//! Requests wait as the few bytes they are; an answer is made when the peer's connection takes it and not before,
//! so that a slow reader costs no memory. Urgent requests go first.

use super::Replicator;
use super::access::{CoreAccess, ProveError};
use super::event::{InvalidPeer, Outgoing, PeerId};
use super::messages::{Data, MessageType, NoData, NoDataReason, Request};
use super::peer::mark;
use bosc_format::proof::{Proof, ProofRequest};
use std::time::Duration;

/// Most requests kept for one peer. JavaScript peers keep up to 512 open, and some more for urgent blocks.
const MAX_REQUESTS: usize = 2048;
/// Requests looked at beyond the one that is answered: what a turn of a connection takes of blocks of 64 KiB.
const AHEAD: usize = 3;
/// Requests no head could answer that are forgiven.
const MAX_BAD: u32 = 64;

impl Replicator {
    pub(super) fn on_request(
        &mut self,
        id: PeerId,
        request: Request,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        // The same id again replaces the old request. Ids grow, so a new one is not searched for.
        if request.id <= peer.highest_request {
            peer.cancel_request(request.id);
        }
        peer.highest_request = peer.highest_request.max(request.id);
        if peer.queued_requests() >= MAX_REQUESTS {
            return self.drop_peer(id, InvalidPeer::TooManyRequests, core, now);
        }
        if request.priority > 0 {
            peer.urgent_requests.push_back(request);
        } else {
            peer.requests.push_back(request);
        }
        mark(&mut self.ready, id, peer);
    }

    pub(super) fn on_cancel(&mut self, id: PeerId, request: u64) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.cancel_request(request);
        }
    }

    /// Answers the next request.
    pub(super) fn next_answer(
        &mut self,
        id: PeerId,
        core: &mut dyn CoreAccess,
        now: Duration,
    ) -> Option<Outgoing> {
        let peer = self.peers.get_mut(&id)?;
        let request = peer.urgent_requests.pop_front().or_else(|| peer.requests.pop_front())?;
        let no_data = |reason| {
            let msg = NoData { request: request.id, reason };
            Some(Outgoing::new(MessageType::NoData, msg.encode()))
        };
        if request.what.block.is_some() && self.config.uploading && request.fork == self.head.fork {
            let waiting = peer.urgent_requests.iter().chain(&peer.requests).take(AHEAD);
            let next = std::iter::once(&request).chain(waiting).filter_map(|r| Some(r.what.block?.index));
            core.expect(&next.collect::<Vec<_>>());
        }
        match self.answer(&request, core) {
            Ok(Some(proof)) => {
                if let Some(b) = &proof.block {
                    let peer = self.peers.get_mut(&id)?;
                    peer.stats.uploaded_blocks += 1;
                    peer.stats.uploaded_bytes =
                        peer.stats.uploaded_bytes.saturating_add(b.value.len() as u64);
                }
                let data = Data { request: request.id, proof };
                Some(Outgoing::new(MessageType::Data, data.encode()))
            }
            Ok(None) => no_data(NoDataReason::NotAvailable),
            Err(ProveError::Invalid(_)) => {
                let peer = self.peers.get_mut(&id)?;
                peer.bad_requests += 1;
                if peer.bad_requests >= MAX_BAD {
                    self.drop_peer(id, InvalidPeer::BadRequests, core, now);
                    return None;
                }
                no_data(NoDataReason::InvalidRequest)
            }
            Err(ProveError::Core(e)) => {
                self.events.push_back(super::Event::CoreFailed(e.to_string()));
                no_data(NoDataReason::NotAvailable)
            }
        }
    }

    fn answer(&self, request: &Request, core: &dyn CoreAccess) -> Result<Option<Proof>, ProveError> {
        let what = &request.what;
        let held = what.block.is_none_or(|b| core.has(b.index));
        let available = self.config.uploading && request.fork == self.head.fork && held;
        let proof = if available { core.prove(what)?.filter(|p| p.fork == request.fork) } else { None };
        if proof.is_none() && what.manifest {
            // The manifest can be given even when the rest cannot.
            let only = ProofRequest { manifest: true, ..ProofRequest::default() };
            return Ok(core.prove(&only)?.filter(|p| p.manifest.is_some()));
        }
        Ok(proof)
    }
}

impl super::peer::Peer {
    pub(super) fn cancel_request(&mut self, id: u64) {
        self.requests.retain(|r| r.id != id);
        self.urgent_requests.retain(|r| r.id != id);
    }
}
