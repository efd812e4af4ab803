//! What a persistent node answers to FIND_PEER, LOOKUP, ANNOUNCE, UNANNOUNCE and the value commands
//! (`hyperdht/lib/persistent.js`).
//!
//! Nothing is stored without a token of ours (so the source address is real) and, except for immutable
//! values whose hash is the target, without a signature that covers our id, the token and the target. A
//! request that is wrong gets no reply, as from the JavaScript nodes.

use crate::addr::NodeId;
use crate::config::Limits;
use crate::error_code::{SEQ_REUSED, SEQ_TOO_LOW};
use crate::event::IncomingRequest;
use crate::messages::{self, Announce, LookupReply, MAX_RELAYS, MutableRecord, PeerRecord};
use crate::records::cache::Cache;
use crate::records::peers::PeerRecords;
use crate::rng::Rng;
use crate::router::Router;
use crate::table::K;
use crate::{command, error_code};
use bosc_format::codec::{Decoder, Encoder};
use bosc_format::crypto::{PublicKey, hash};
use bytes::Bytes;
use std::time::Duration;

/// How far ahead of our clock a bump may be.
const MAX_BUMP_DRIFT: u64 = 60_000;

/// What to reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A result, with a token and closer nodes.
    Value(Option<Bytes>),
    /// Stored; nothing else to say.
    Stored,
    /// Refused.
    Error(u64),
    /// No reply at all.
    Silence,
}

#[derive(Debug, Clone)]
struct Refresh {
    target: NodeId,
    record: Bytes,
    announce_self: bool,
}

/// What the machine knows when a request comes.
pub(crate) struct Context<'a> {
    pub(crate) own_id: &'a NodeId,
    pub(crate) router: &'a mut Router,
    pub(crate) rng: &'a mut Rng,
    pub(crate) unix_ms: u64,
    pub(crate) now: Duration,
}

#[derive(Debug)]
pub(crate) struct Store {
    peers: PeerRecords,
    bumps: Cache<NodeId, u64>,
    refreshes: Cache<[u8; 32], Refresh>,
    mutables: Cache<NodeId, Bytes>,
    immutables: Cache<NodeId, Bytes>,
    max_value_len: usize,
}

impl Store {
    pub(crate) fn new(limits: &Limits, now: Duration) -> Self {
        let (max, age, share) = (limits.max_records, limits.record_age, limits.max_per_source);
        let values =
            || Cache::new(limits.max_values, limits.value_age, now).bounded(limits.max_value_bytes, share);
        Self {
            peers: PeerRecords::new(max, share, age, now),
            bumps: Cache::new(max, age, now).bounded(usize::MAX, share),
            refreshes: Cache::new(max, age, now).bounded(usize::MAX, share),
            mutables: values(),
            immutables: values(),
            max_value_len: limits.max_value_len,
        }
    }

    /// How many records and values there are.
    pub(crate) fn len(&self) -> usize {
        self.peers.len() + self.mutables.len() + self.immutables.len()
    }

    pub(crate) fn answer(&mut self, req: &IncomingRequest, cx: &mut Context<'_>) -> Answer {
        let Some(target) = req.target else {
            return if (command::FIND_PEER..=command::IMMUTABLE_GET).contains(&req.command) {
                Answer::Silence
            } else {
                Answer::Error(error_code::UNKNOWN_COMMAND)
            };
        };
        match req.command {
            command::FIND_PEER => Answer::Value(cx.router.get(&target, cx.now).map(|f| f.record.clone())),
            command::LOOKUP => self.lookup(target, cx),
            command::ANNOUNCE => self.announce(target, req, cx).unwrap_or(Answer::Silence),
            command::UNANNOUNCE => self.on_unannounce(target, req, cx).unwrap_or(Answer::Silence),
            command::MUTABLE_PUT => self.mutable_put(target, req, cx).unwrap_or(Answer::Silence),
            command::MUTABLE_GET => self.mutable_get(target, req, cx).unwrap_or(Answer::Silence),
            command::IMMUTABLE_PUT => self.immutable_put(target, req, cx).unwrap_or(Answer::Silence),
            command::IMMUTABLE_GET => Answer::Value(self.immutables.get(&target, cx.now).cloned()),
            _ => Answer::Error(error_code::UNKNOWN_COMMAND),
        }
    }

    fn lookup(&mut self, target: NodeId, cx: &mut Context<'_>) -> Answer {
        let mut records = self.peers.get(&target, K, cx.rng, cx.now);
        if records.len() < K
            && let Some(forward) = cx.router.get(&target, cx.now)
        {
            records.push(forward.record.clone());
        }
        if records.is_empty() {
            return Answer::Value(None);
        }
        let bump = self.bumps.get(&target, cx.now).copied().unwrap_or(0);
        Answer::Value(Some(LookupReply::encode_raw(&records, bump).into()))
    }

    fn announce(&mut self, target: NodeId, req: &IncomingRequest, cx: &mut Context<'_>) -> Option<Answer> {
        let token = req.token?;
        let ann = Announce::decode(req.value.as_deref()?).ok()?;
        let Some(peer) = &ann.peer else {
            return self.renew(&ann.refresh?, req, cx);
        };
        if !messages::verify_announce(&target, &token, cx.own_id, &ann) {
            return None;
        }
        let relay_addresses = peer.relay_addresses.iter().copied().take(MAX_RELAYS).collect();
        let record = Bytes::from(PeerRecord { public_key: peer.public_key, relay_addresses }.encode());
        let announce_self = hash(&[&peer.public_key]) == target;
        if !self.keep(target, peer.public_key, record.clone(), announce_self, req, cx) {
            return None;
        }
        let source = Some(*req.from.ip());
        if !announce_self
            && ann.bump <= cx.unix_ms.saturating_add(MAX_BUMP_DRIFT)
            && ann.bump > self.bumps.get(&target, cx.now).copied().unwrap_or(0)
        {
            self.bumps.set_from(target, ann.bump, 0, source, cx.now);
        }
        if let Some(refresh) = ann.refresh {
            let entry = Refresh { target, record, announce_self };
            self.refreshes.set_from(refresh, entry, 0, source, cx.now);
        }
        Some(Answer::Stored)
    }

    fn keep(
        &mut self,
        target: NodeId,
        public_key: PublicKey,
        record: Bytes,
        announce_self: bool,
        req: &IncomingRequest,
        cx: &mut Context<'_>,
    ) -> bool {
        if announce_self {
            self.peers.remove(&target, &public_key);
            cx.router.forward(target, req.from, record, cx.now)
        } else {
            self.peers.add(target, public_key, record, *req.from.ip(), cx.rng, cx.now)
        }
    }

    fn renew(&mut self, shown: &[u8; 32], req: &IncomingRequest, cx: &mut Context<'_>) -> Option<Answer> {
        let active = hash(&[shown]);
        let entry = self.refreshes.get(&active, cx.now)?.clone();
        let public_key = *entry.record.first_chunk::<32>()?;
        if !self.keep(entry.target, public_key, entry.record.clone(), entry.announce_self, req, cx) {
            return None;
        }
        self.refreshes.remove(&active);
        self.refreshes.set_from(*shown, entry, 0, Some(*req.from.ip()), cx.now);
        Some(Answer::Stored)
    }

    fn on_unannounce(
        &mut self,
        target: NodeId,
        req: &IncomingRequest,
        cx: &mut Context<'_>,
    ) -> Option<Answer> {
        let token = req.token?;
        let unann = Announce::decode(req.value.as_deref()?).ok()?;
        let public_key = unann.peer.as_ref()?.public_key;
        if !messages::verify_unannounce(&target, &token, cx.own_id, &unann) {
            return None;
        }
        self.unannounce(&target, &public_key, cx.router);
        Some(Answer::Stored)
    }

    /// Takes a peer off a topic.
    pub(crate) fn unannounce(&mut self, target: &NodeId, public_key: &PublicKey, router: &mut Router) {
        if hash(&[public_key]) == *target {
            router.drop_forward(target);
        }
        self.peers.remove(target, public_key);
    }

    fn mutable_get(&mut self, target: NodeId, req: &IncomingRequest, cx: &mut Context<'_>) -> Option<Answer> {
        let seq = Decoder::new(req.value.as_deref()?).uint().ok()?;
        let stored = self.mutables.get(&target, cx.now).cloned();
        let fresh = stored.filter(|v| Decoder::new(v).uint().is_ok_and(|have| have >= seq));
        Some(Answer::Value(fresh))
    }

    fn mutable_put(&mut self, target: NodeId, req: &IncomingRequest, cx: &mut Context<'_>) -> Option<Answer> {
        req.token?;
        let (public_key, record) = MutableRecord::decode_put(req.value.as_deref()?).ok()?;
        let fits = !record.value.is_empty() && record.value.len() <= self.max_value_len;
        if !fits || hash(&[&public_key]) != target || !record.verify(&public_key) {
            return None;
        }
        if let Some(old) = self.mutables.get(&target, cx.now).and_then(|b| MutableRecord::decode(b).ok()) {
            if old.seq == record.seq && old.value != record.value {
                return Some(Answer::Error(SEQ_REUSED));
            }
            if record.seq < old.seq {
                return Some(Answer::Error(SEQ_TOO_LOW));
            }
        }
        let bytes = Bytes::from(record.encode());
        let len = bytes.len();
        self.mutables
            .set_from(target, bytes, len, Some(*req.from.ip()), cx.now)
            .then_some(Answer::Value(None))
    }

    fn immutable_put(
        &mut self,
        target: NodeId,
        req: &IncomingRequest,
        cx: &mut Context<'_>,
    ) -> Option<Answer> {
        req.token?;
        let value = req.value.clone()?;
        if value.len() > self.max_value_len || hash(&[&value]) != target {
            return None;
        }
        let len = value.len();
        self.immutables
            .set_from(target, value, len, Some(*req.from.ip()), cx.now)
            .then_some(Answer::Value(None))
    }
}

/// The value of a MUTABLE_GET: the lowest version that is of interest.
pub(crate) fn encode_seq(seq: u64) -> Bytes {
    let mut e = Encoder::new();
    e.uint(seq);
    e.finish().into()
}
