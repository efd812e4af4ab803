//! Telling peers what we hold: `sync`, `range` and `bitfield`.
//!
//! `sync` goes out whenever it would say something other than the last one and the peer has use for it. What is
//! held from 0 on without a gap goes out as one range; other blocks are announced when the peer wants their part
//! or when they are among the last 256, and several in one range. A head held whole is told at once, progress
//! towards it after 50 ms or, to peers that hold everything, once a second.

use super::Replicator;
use super::access::CoreAccess;
use super::event::{Outgoing, PeerId};
use super::messages::{BitfieldPart, MessageType, Range, Sync, Want};
use super::peer::mark;
use super::wants::PART;
use std::time::Duration;

/// Blocks at the end of the core that are announced without being wanted.
const LAST_BLOCKS: u64 = 256;
const MAX_RANGES: usize = 64;
const SOON: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

impl Replicator {
    /// What a sync to this peer says now.
    fn sync_for(&self, id: PeerId, core: &dyn CoreAccess) -> Option<Sync> {
        let remote = self.peers.get(&id)?.remote;
        let head = self.head;
        let same = head.fork == remote.fork;
        let can_upgrade =
            same && (remote.length == 0 || (remote.length < head.length && core.has_roots(remote.length)));
        Some(Sync {
            fork: head.fork,
            length: head.length,
            remote_length: if same { remote.length } else { 0 },
            can_upgrade,
            uploading: self.config.uploading,
            downloading: self.config.downloading,
            has_manifest: head.manifest == super::ManifestState::Held,
            allow_push: false,
        })
    }

    pub(super) fn next_sync(&mut self, id: PeerId, core: &dyn CoreAccess) -> Option<Outgoing> {
        let peer = self.peers.get_mut(&id)?;
        if !std::mem::take(&mut peer.sync_due) {
            return None;
        }
        let sync = self.sync_for(id, core)?;
        let peer = self.peers.get_mut(&id)?;
        if peer.sync_sent == Some(sync) {
            return None;
        }
        peer.sync_sent = Some(sync);
        Some(Outgoing::new(MessageType::Sync, sync.encode()))
    }

    /// All peers are to be told a new head.
    pub(super) fn sync_all(&mut self) {
        for (id, p) in &mut self.peers {
            p.sync_due = true;
            mark(&mut self.ready, *id, p);
        }
    }

    /// The next piece of news that is due.
    pub(super) fn next_news(&mut self, id: PeerId, core: &dyn CoreAccess, now: Duration) -> Option<Outgoing> {
        let length = self.head.length;
        let peer = self.peers.get_mut(&id)?;
        if peer.news.due.is_some_and(|d| d <= now) {
            let contiguous = core.contiguous_length().min(length);
            while let Some(r) = peer.news.ranges.pop_front() {
                if r.drop || r.start.saturating_add(r.length) > contiguous {
                    return Some(Outgoing::new(MessageType::Range, r.encode()));
                }
                peer.news.owe(contiguous);
            }
            peer.news.due = None;
            if contiguous > peer.news.contiguous_told {
                peer.news.contiguous_told = contiguous;
                peer.news.owe(contiguous);
                let r = Range { drop: false, start: 0, length: contiguous };
                return Some(Outgoing::new(MessageType::Range, r.encode()));
            }
        }
        while let Some((start, len)) = peer.news.bitfields.pop_front() {
            let first = start / 32 * 32;
            let end = start.saturating_add(len).min(length);
            let count = usize::try_from(end.saturating_sub(first).div_ceil(32)).unwrap_or(0);
            let mut words = core.bitfield_words(first, count.min((PART / 32) as usize + 1));
            while words.last() == Some(&0) {
                words.pop();
            }
            if !words.is_empty() {
                let part = BitfieldPart { start: first, words };
                return Some(Outgoing::new(MessageType::Bitfield, part.encode()));
            }
        }
        None
    }

    /// We now hold `start..end`.
    pub(super) fn announce_gained(&mut self, start: u64, end: u64, core: &dyn CoreAccess, now: Duration) {
        let length = self.head.length;
        let contiguous = core.contiguous_length().min(length);
        for (id, p) in &mut self.peers {
            let whole = contiguous == length;
            if contiguous > p.news.contiguous_told {
                p.news.owe(contiguous);
                let knows_all = p.contiguous() >= contiguous;
                p.news.soon(match (whole, knows_all) {
                    (true, _) => now,
                    (false, true) => now.saturating_add(SELDOM),
                    (false, false) => now.saturating_add(SOON),
                });
            }
            let last = end.saturating_add(LAST_BLOCKS) > length;
            let known = p.blocks.next_unset(start) >= end;
            if end > contiguous && !known && (last || p.remote_wants.touches(start, end)) {
                p.news.push(Range { drop: false, start, length: end.saturating_sub(start) });
                p.news.soon(now.saturating_add(SOON));
                if p.news.ranges.len() > MAX_RANGES {
                    p.news.start_over(&p.remote_wants, contiguous, length);
                }
            }
            if whole {
                mark(&mut self.ready, *id, p);
            }
        }
    }

    /// We no longer hold `start..end`.
    pub(super) fn announce_dropped(&mut self, start: u64, end: u64, core: &dyn CoreAccess, now: Duration) {
        if start >= end {
            return;
        }
        let length = self.head.length;
        let contiguous = core.contiguous_length().min(length);
        for (id, p) in &mut self.peers {
            p.news.drop_range(start, end);
            p.news.soon(now);
            if p.news.ranges.len() > MAX_RANGES {
                p.news.start_over(&p.remote_wants, contiguous, length);
            }
            mark(&mut self.ready, *id, p);
        }
    }

    /// A peer wants to be told about a part.
    pub(super) fn on_want(&mut self, id: PeerId, want: Want, core: &dyn CoreAccess, now: Duration) {
        let length = self.head.length;
        let contiguous = core.contiguous_length().min(length);
        let Some(p) = self.peers.get_mut(&id) else { return };
        if !p.remote_wants.add(want) {
            return;
        }
        let end = want.start.saturating_add(want.length);
        if end < contiguous || contiguous == length || (want.any && want.start < contiguous) {
            // Told again even if it was told before: the peer asks because it does not know.
            p.news.contiguous_told = 0;
            p.news.owe(contiguous);
            p.news.soon(now);
        } else if want.any {
            if let Some(b) = core.next_held(want.start).filter(|b| *b < end) {
                p.news.push(Range { drop: false, start: b, length: 1 });
                p.news.soon(now);
            }
        } else if want.start < length {
            p.news.push_bitfield(want.start, want.length);
        }
        mark(&mut self.ready, id, p);
    }

    /// Parts of which something is needed and the peer has not said all: asks it to.
    pub(super) fn update_wants(&mut self, id: PeerId) {
        let Some(p) = self.peers.get_mut(&id) else { return };
        if !std::mem::take(&mut p.wants_due) || !p.remote.synced || p.remote.fork != self.head.fork {
            return;
        }
        let known = p.contiguous();
        let mut want = |block: u64| {
            let part = block / PART;
            let end = (part + 1).saturating_mul(PART).min(p.remote.length);
            if block < p.remote.length
                && known < end
                && !p.local_wants.contains(part)
                && let Some(w) = p.local_wants.add(part)
            {
                p.want_queue.push_back(w);
            }
            !p.local_wants.is_full()
        };
        for set in [&self.selection.needed, &self.selection.hashes] {
            let mut at = set.next_set(known);
            while let Some(block) = at {
                if block >= p.remote.length || !want(block) {
                    break;
                }
                at = set.next_set((block / PART + 1).saturating_mul(PART));
            }
        }
        for block in self.selection.urgent_blocks().take(1024) {
            want(block);
        }
        if let Some((start, end)) = self.reorg.wanted_range()
            && start < end
        {
            want(start);
        }
    }
}
